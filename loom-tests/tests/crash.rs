//! Killed at every step: each scenario once for each step that its victim does, the first time and the second, while
//! another recovers and goes on.
#![cfg(ringfile_loom)]

use loom_tests::crash::{LONG_DEAD, Scene, explore_deaths};
use loom_tests::{Consumer, DEAD, LIVING, Producer, Shape, Sleeper, expire, long, make_group, remains, two};
use ringfile::park::Parker;
use ringfile::ring::Ring;
use ringfile::ring::words::{Binding, Kind};
use ringfile::ring::{groups, participant, reclaim};
use std::sync::Arc;

/// A ring that has been gone round once, so that room has to be made; with these messages in it.
fn ring_with<const N: usize>(shape: Shape, messages: [&[u8]; N]) -> Arc<Ring> {
    let ring = shape.ring();
    let mut producer = Producer::join(&ring);
    let mut consumer = Consumer::join(&ring);
    for _ in 0..ring.cells() {
        producer.push(&[0]);
        consumer.pop();
    }
    for message in messages {
        producer.push(message);
    }
    producer.detach();
    consumer.detach();
    ring
}

/// Lets the victim work beside one who recovers, and then takes what is there.
fn beside_a_taker(scene: &Scene, victim: impl FnOnce(&Scene) + 'static) {
    let mut taker = Consumer::join(&scene.ring).later();
    let (dying, living) = (scene.clone(), scene.clone());
    two(
        move || dying.victim(victim),
        move || {
            living.recover();
            living.take(&mut taker, 2);
        },
    );
}

fn push(scene: &Scene, messages: &'static [&'static [u8]]) {
    let mut producer = Producer::doomed(&scene.ring);
    beside_a_taker(scene, move |scene| {
        for message in messages {
            scene.push(&mut producer, &[message]);
        }
    });
    scene.check(&[]);
}

/// It makes room, reserves, writes, publishes; twice.
#[test]
fn killed_in_push() {
    explore_deaths(|| ring_with(Shape::cells(2), []), |scene| push(scene, &[&[1], &[2]]));
}

/// The same with messages in the data ring, the second of which needs the space of what was there.
#[test]
fn killed_in_long_push() {
    explore_deaths(
        || ring_with(Shape::cells(2).units(4), [&long(9)]),
        |scene| {
            scene.there(&[9]);
            push(scene, &[&const { long(1) }, &const { long(2) }]);
        },
    );
}

/// A batch is whole or nothing.
#[test]
fn killed_in_batch_push() {
    explore_deaths(
        || ring_with(Shape::cells(4), []),
        |scene| {
            let mut producer = Producer::doomed(&scene.ring);
            beside_a_taker(scene, move |scene| scene.push(&mut producer, &[&[1], &[2], &[3]]));
            scene.check(&[1, 2, 3]);
        },
    );
}

/// Another producer reserves behind the victim, and so carries the evidence of who had reserved before.
#[test]
fn killed_beside_a_producer() {
    explore_deaths(
        || Shape::cells(4).ring(),
        |scene| {
            let mut producer = Producer::doomed(&scene.ring);
            let mut other = Producer::join(&scene.ring);
            let (dying, living) = (scene.clone(), scene.clone());
            two(
                move || dying.victim(|scene| scene.push(&mut producer, &[&[1]])),
                move || {
                    living.push(&mut other, &[&[2]]);
                    living.recover();
                    living.push(&mut other, &[&[3]]);
                },
            );
            scene.check(&[]);
        },
    );
}

/// It gives up what it has reserved.
#[test]
fn killed_in_abort() {
    explore_deaths(
        || Shape::cells(2).ring(),
        |scene| {
            let mut producer = Producer::doomed(&scene.ring);
            beside_a_taker(scene, move |scene| {
                let reserved = producer.reserve(&[&[8]]).expect("room");
                producer.publish(&reserved, Kind::Void);
                scene.push(&mut producer, &[&[1]]);
            });
            scene.check(&[]);
        },
    );
}

fn claim_and_ack(scene: &Scene) {
    scene.there(&[1, 2]);
    let mut consumer = Consumer::doomed(&scene.ring);
    beside_a_taker(scene, move |scene| {
        for _ in 0..2 {
            if let Some(claimed) = scene.claim(&mut consumer, 1) {
                scene.ack(&mut consumer, &claimed);
            }
        }
    });
    scene.check(&[]);
}

/// It claims and acknowledges, or pops, which is the same to the ring.
#[test]
fn killed_in_claim() {
    explore_deaths(
        || ring_with(Shape::cells(2), [&[1], &[2]]),
        |scene| {
            claim_and_ack(scene);
        },
    );
}

/// The same, with places drawn.
#[test]
fn killed_in_ticketed_claim() {
    explore_deaths(
        || {
            let ring = Shape::cells(2).ticketed().ring();
            let mut producer = Producer::join(&ring);
            producer.push(&[1]);
            producer.push(&[2]);
            producer.detach();
            ring
        },
        |scene| {
            claim_and_ack(scene);
        },
    );
}

/// It claims a batch, acknowledges the first and puts the rest back.
#[test]
fn killed_in_ack_first_and_release() {
    explore_deaths(
        || ring_with(Shape::cells(4), [&[1], &[2], &[3]]),
        |scene| {
            scene.there(&[1, 2, 3]);
            let mut consumer = Consumer::doomed(&scene.ring);
            beside_a_taker(scene, move |scene| {
                if let Some(mut claimed) = scene.claim(&mut consumer, 3) {
                    if claimed.cells > 1 {
                        scene.ack_first(&consumer, &mut claimed);
                    }
                    consumer.release(claimed);
                }
            });
            scene.check(&[]);
        },
    );
}

/// It puts a message back, claims it again and acknowledges it.
#[test]
fn killed_in_second_claim() {
    explore_deaths(
        || ring_with(Shape::cells(2), [&[1]]),
        |scene| {
            scene.there(&[1]);
            let mut consumer = Consumer::doomed(&scene.ring);
            beside_a_taker(scene, move |scene| {
                if let Some(claimed) = scene.claim(&mut consumer, 1) {
                    consumer.release(claimed);
                }
                if let Some(claimed) = scene.claim(&mut consumer, 1) {
                    scene.ack(&mut consumer, &claimed);
                }
            });
            scene.check(&[]);
        },
    );
}

/// It is killed in settling what others owe who were killed before: a claim of two messages, and a batch that was published in part.
#[test]
fn killed_in_recovery() {
    explore_deaths(
        || ring_with(Shape::cells(4), [&[1], &[2]]),
        |scene| {
            scene.there(&[1, 2]);
            let mut holder = Consumer::of(&scene.ring, LONG_DEAD);
            holder.claim(2);
            let mut producer = Producer::of(&scene.ring, LONG_DEAD);
            let reserved = producer.reserve(&[&[8], &[9]]).expect("room");
            remains::published_last(&scene.ring, &reserved, 1);
            beside_a_taker(scene, |scene| {
                scene.recover();
            });
            scene.check(&[]);
        },
    );
}

/// It joins and leaves, twice; another joins meanwhile where there are slots for two.
#[test]
fn killed_in_attach_and_detach() {
    explore_deaths(
        || Shape::cells(2).participants(2).ring(),
        |scene| {
            let (dying, living) = (scene.clone(), scene.clone());
            two(
                move || {
                    dying.victim(|scene| {
                        for _ in 0..2 {
                            if let Some(owner) = participant::attach(&scene.ring, DEAD, Binding::Producer) {
                                participant::detach(&scene.ring, owner);
                            }
                        }
                    });
                },
                move || {
                    living.recover();
                    let mut producer = Producer::join(&living.ring);
                    living.push(&mut producer, &[&[1]]);
                    producer.detach();
                },
            );
            scene.check(&[]);
        },
    );
}

/// It closes the queue: others push before, or are told.
#[test]
fn killed_in_close() {
    explore_deaths(
        || Shape::cells(2).ring(),
        |scene| {
            let mut producer = Producer::join(&scene.ring);
            let (dying, living) = (scene.clone(), scene.clone());
            two(
                move || {
                    dying.victim(|scene| {
                        scene.ring.set_closed(true);
                        Parker::new(false).wake_all(&scene.ring);
                    });
                },
                move || living.push(&mut producer, &[&[1]]),
            );
            scene.check(&[]);
        },
    );
}

/// It is killed in waking a consumer; naps have no end here, so it is the recovery that wakes.
#[test]
fn killed_in_waking() {
    explore_deaths(
        || Shape::cells(2).ring(),
        |scene| {
            let mut producer = Sleeper::new(Producer::doomed(&scene.ring));
            let mut rescuer = Producer::join(&scene.ring);
            let mut consumer = Sleeper::new(Consumer::join(&scene.ring));
            let (dying, living) = (scene.clone(), scene.clone());
            two(
                move || {
                    dying.victim(|scene| scene.push_sleeping(&mut producer, &[1]));
                    assert!(!dying.recover().is_nothing());
                    dying.push(&mut rescuer, &[&[2]]);
                    Parker::new(false).wake_all(&dying.ring);
                },
                move || living.take_sleeping(&mut consumer),
            );
            scene.check(&[]);
        },
    );
}

/// It is killed while it lies down, sleeps or gets up; the wake that it got, or is still counted on to get, is not missed by another.
#[test]
fn killed_in_sleep() {
    explore_deaths(
        || Shape::cells(2).ring(),
        |scene| {
            let mut sleeper = Sleeper::new(Consumer::doomed(&scene.ring));
            let mut producer = Sleeper::new(Producer::join(&scene.ring));
            let mut taker = Consumer::join(&scene.ring);
            let (dying, living) = (scene.clone(), scene.clone());
            two(
                move || dying.victim(|scene| scene.pop_sleeping(&mut sleeper, &[1, 2])),
                move || {
                    living.push_sleeping(&mut producer, &[1]);
                    living.recover();
                    living.push_sleeping(&mut producer, &[2]);
                    living.recover();
                    living.take(&mut taker, 1);
                },
            );
            scene.check(&[]);
        },
    );
}

/// It claims, acknowledges in part and gives back what has a lease, while that is taken back by others.
#[test]
fn killed_with_a_lease() {
    explore_deaths(
        || ring_with(Shape::cells(4).leased(), [&[1], &[2], &[3]]),
        |scene| {
            scene.there(&[1, 2, 3]);
            let mut consumer = Consumer::doomed(&scene.ring);
            let expiring = scene.ring.clone();
            beside_a_taker(scene, move |scene| {
                if let Some(claimed) = scene.claim(&mut consumer, 3) {
                    consumer.release(claimed);
                }
                expire(&expiring);
            });
            scene.check(&[]);
        },
    );
}

/// It takes back what the living have held for too long, and is killed in that.
#[test]
fn killed_in_taking_back() {
    explore_deaths(
        || ring_with(Shape::cells(2).leased(), [&[1], &[2]]),
        |scene| {
            scene.there(&[1, 2]);
            let mut holder = Consumer::join(&scene.ring);
            let held = holder.claim(2);
            let (dying, living) = (scene.clone(), scene.clone());
            let mut taker = Consumer::join(&scene.ring).later();
            two(
                move || {
                    dying.victim(|scene| {
                        expire(&scene.ring);
                    });
                },
                move || {
                    living.take(&mut taker, 1);
                    expire(&living.ring);
                    living.take(&mut taker, 2);
                },
            );
            assert!(!holder.ack(&held), "it was taken back");
            scene.check(&[]);
        },
    );
}

/// It sets aside a message that was handed out for the last time. There is one letter of it, whoever went on.
#[test]
fn killed_in_setting_aside() {
    explore_deaths(
        || {
            let ring = ring_with(Shape::cells(2).max_deliveries(1), [&[1], &[2]]);
            let mut consumer = Consumer::join(&ring);
            let claimed = consumer.claim(1);
            consumer.release(claimed);
            consumer.detach();
            ring
        },
        |scene| {
            let letters = Shape::cells(2).ring();
            scene.there(&[1, 2]);
            let (mut consumer, mut copying) = (Consumer::doomed(&scene.ring), Producer::doomed(&letters));
            let (mut taker, mut moving) = (Consumer::join(&scene.ring), Producer::join(&letters));
            let (dying, living, ring) = (scene.clone(), scene.clone(), letters.clone());
            let (mut taker, mut moving) = two(
                move || dying.victim(|scene| scene.pop_but_letters(&mut consumer, &mut copying, &[2])),
                move || {
                    living.recover();
                    living.recover_in(&ring);
                    living.take_but_letters(&mut taker, &mut moving, 1);
                    (taker, moving)
                },
            )
            .1;
            scene.recover();
            scene.recover_in(&letters);
            scene.take_but_letters(&mut taker, &mut moving, 2);
            taker.detach();
            scene.take_letters(&letters);
            scene.check(&[]);
        },
    );
}

/// Lets the victim work beside one who makes room.
fn beside_a_reclaimer_of(scene: &Scene, victim: impl FnOnce(&Scene) + 'static) {
    let (dying, reclaiming) = (scene.clone(), scene.ring.clone());
    two(move || dying.victim(victim), move || reclaim::pass(&reclaiming).expect("a sound ring"));
}

/// Beside a victim that makes, rewinds or removes a group, somebody makes room, and so takes every entry on that was left half-way. The default
/// group is none of their business.
fn beside_a_reclaimer(scene: &Scene, victim: impl FnOnce(&Scene) + 'static) {
    let (dying, reclaiming) = (scene.clone(), scene.ring.clone());
    two(move || dying.victim(victim), move || reclaim::pass(&reclaiming).expect("a sound ring"));
    // What is left of the other group, if there is one: its space, its record and its entry come back.
    groups::remove(&scene.ring, b"b");
    let group = make_group(&scene.ring, "b", LIVING).expect("the record came back");
    groups::rewind(&scene.ring, group).expect("both entries came back");
    assert!(groups::remove(&scene.ring, b"b"));
    scene.check(&[]);
}

/// It makes a group, which another takes to its end.
#[test]
fn killed_in_making_a_group() {
    explore_deaths(
        || ring_with(Shape::cells(2).groups(2), [&[1]]),
        |scene| {
            scene.there(&[1]);
            beside_a_reclaimer(scene, |scene| {
                let group = make_group(&scene.ring, "b", DEAD).expect("there is room for a group");
                groups::serve(&scene.ring, group).expect("it is served");
            });
        },
    );
}

/// A ring with a message, and a group besides the default one.
fn ring_with_a_group() -> Arc<Ring> {
    let ring = ring_with(Shape::cells(2).groups(2), [&[1]]);
    let group = make_group(&ring, "b", LIVING).expect("there is room for a group");
    groups::serve(&ring, group).expect("it is served");
    ring
}

/// It rewinds a group, and removes it.
#[test]
fn killed_in_rewinding_and_removing() {
    explore_deaths(ring_with_a_group, |scene| {
        scene.there(&[1]);
        beside_a_reclaimer(scene, |scene| {
            groups::rewind(&scene.ring, 1).expect("there is an entry");
            groups::remove(&scene.ring, b"b");
        });
    });
}

/// It consumes in a group that is rewound meanwhile: what it held, and what it undid, holds nothing afterwards.
#[test]
fn killed_in_a_group_that_is_rewound() {
    explore_deaths(ring_with_a_group, |scene| {
        scene.there(&[1]);
        let mut consumer = Consumer::of_group(&scene.ring, DEAD, 1).expect("it is served");
        let (dying, rewinding) = (scene.clone(), scene.ring.clone());
        two(
            move || {
                dying.victim(|_| {
                    if let Some(claimed) = consumer.try_claim_here() {
                        consumer.ack(&claimed);
                    }
                });
            },
            move || groups::rewind(&rewinding, 1).expect("there is an entry"),
        );
        scene.recover();
        assert_eq!(Consumer::join_group(&scene.ring, "b").pops(2).first(), Some(&1));
        assert!(groups::remove(&scene.ring, b"b"));
        scene.check(&[]);
    });
}

/// It makes room beside messages that are retained, the oldest of which give way to it.
#[test]
fn killed_as_retained_messages_give_way() {
    explore_deaths(
        || ring_with(Shape::cells(2).retain(2), []),
        |scene| {
            let mut producer = Producer::doomed(&scene.ring);
            beside_a_reclaimer_of(scene, move |scene| scene.push(&mut producer, &[&[1]]));
            scene.check(&[]);
        },
    );
}

/// It overwrites what is given up, for a push that needs the space; who goes on does that.
#[test]
fn killed_in_overwriting() {
    explore_deaths(
        || ring_with(Shape::cells(2).groups(2).scrubbed(), []),
        |scene| {
            let mut producer = Producer::doomed(&scene.ring);
            beside_a_reclaimer_of(scene, move |scene| scene.push(&mut producer, &[&[1]]));
            scene.check(&[]);
        },
    );
}
