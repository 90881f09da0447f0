//! Sleeping and waking. A nap has no end here: who is forgotten sleeps for ever, and loom calls it a
//! deadlock.
#![cfg(ringfile_loom)]

use loom_tests::{Consumer, Producer, Shape, Sleeper, explore, recover_the_dead, three, two};
use ringfile::park::Parker;
use ringfile::ring::Ring;
use ringfile::ring::words::{Kind, Owner};
use ringfile::sys::wait;
use ringfile::watch::{DEPUTYS_NAP, NAP, QUIET, Watch};
use std::time::Duration;

/// A consumer sleeps until something is pushed.
#[test]
fn push_wakes_a_consumer() {
    explore(["(Ok(()), Ok(1))"], || {
        let ring = Shape::cells(2).ring();
        let mut producer = Sleeper::new(Producer::join(&ring));
        let mut consumer = Sleeper::new(Consumer::join(&ring));
        two(move || producer.push(&[1]).map(|_| ()), move || consumer.pop())
    });
}

/// A producer sleeps until there is room.
#[test]
fn ack_wakes_a_producer() {
    explore(["(Ok(()), Ok(1))"], || {
        let ring = Shape::cells(2).ring();
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        let mut producer = Sleeper::new(producer);
        let mut consumer = Sleeper::new(Consumer::join(&ring));
        two(move || producer.push(&[3]).map(|_| ()), move || consumer.pop())
    });
}

/// Two sleep and there is one bit: the wake for the second message must not be lost when the first sleeper
/// has gone (W1).
#[test]
fn w1_two_sleepers_one_flag() {
    let expected = ["(Ok(1), Ok(2))", "(Ok(2), Ok(1))"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let mut producer = Sleeper::new(Producer::join(&ring));
        let pop = |mut consumer: Sleeper<Consumer>| move || consumer.pop();
        let (_, a, b) = three(
            move || [1, 2].map(|value| producer.push(&[value])),
            pop(Sleeper::new(Consumer::join(&ring))),
            pop(Sleeper::new(Consumer::join(&ring))),
        );
        (a, b)
    });
}

/// Two producers sleep on a full ring, and one acknowledgement makes room for both: the first that is woken
/// wakes the next.
#[test]
fn w1_two_sleeping_producers() {
    explore(["((), true, true)"], || {
        let ring = Shape::cells(2).ring();
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        producer.detach();
        let mut consumer = Consumer::join(&ring);
        let held = consumer.claim(2);
        let mut consumer = Sleeper::new(consumer);
        let push = |value: u8| {
            let mut producer = Sleeper::new(Producer::join(&ring));
            move || producer.push(&[value]).is_ok()
        };
        three(move || consumer.ack(&held), push(3), push(4))
    });
}

/// Closing wakes all consumers.
#[test]
fn close_wakes_all_consumers() {
    explore(["((), Err(Closed), Err(Closed))"], || {
        let ring = Shape::cells(2).ring();
        let mut consumer = Sleeper::new(Consumer::join(&ring));
        let mut other = Sleeper::new(Consumer::join(&ring));
        let closing = ring.clone();
        three(
            move || {
                closing.set_closed(true);
                Parker::new(false).wake_all(&closing);
            },
            move || consumer.pop(),
            move || other.pop(),
        )
    });
}

/// A producer sleeps on a full ring that is closed.
#[test]
fn close_wakes_a_producer() {
    explore(["((), true)"], || {
        let ring = Shape::cells(2).ring();
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        let mut producer = Sleeper::new(producer);
        let closing = ring.clone();
        two(
            move || {
                closing.set_closed(true);
                Parker::new(false).wake_all(&closing);
            },
            move || producer.push(&[3]).is_err(),
        )
    });
}

/// The queue is closed and one consumer holds the last message: those who wait for the end learn of it by the
/// acknowledgement (part C, g).
#[test]
fn g_last_ack_wakes_the_group() {
    explore(["((), Err(Closed), Err(Closed))"], || {
        let ring = Shape::cells(2).ring();
        Producer::join(&ring).push(&[1]);
        let mut holder = Consumer::join(&ring);
        let held = holder.claim(1);
        let mut holder = Sleeper::new(holder);
        ring.set_closed(true);
        let pop = || {
            let mut consumer = Sleeper::new(Consumer::join(&ring));
            move || consumer.pop()
        };
        three(move || holder.ack(&held), pop(), pop())
    });
}

/// What is put back wakes one who waits for something.
#[test]
fn release_wakes_a_consumer() {
    explore(["((), Ok(1))"], || {
        let ring = Shape::cells(2).ring();
        Producer::join(&ring).push(&[1]);
        let mut holder = Consumer::join(&ring);
        let held = holder.claim(1);
        let holder = Sleeper::new(holder);
        let mut consumer = Sleeper::new(Consumer::join(&ring));
        two(move || holder.release(held), move || consumer.pop())
    });
}

/// A message behind a slow producer's: the consumer sleeps on `Pending`, and its publish, or its giving up,
/// wakes it.
#[test]
fn abort_wakes_a_consumer() {
    explore(["((), Ok(2))"], || {
        let ring = Shape::cells(2).ring();
        let mut slow = Producer::join(&ring);
        let reserved = slow.reserve(&[&[1]]).unwrap();
        Producer::join(&ring).push(&[2]);
        let slow = Sleeper::new(slow);
        let mut consumer = Sleeper::new(Consumer::join(&ring));
        two(move || slow.publish(&reserved, Kind::Void), move || consumer.pop())
    });
}

/// A sleeper waits for what the dead hold: recovery wakes it.
#[test]
fn recovery_wakes_everybody() {
    explore(["((), Ok(2))"], || {
        let ring = Shape::cells(2).ring();
        let mut dead = Producer::doomed(&ring);
        dead.reserve(&[&[1]]).unwrap();
        Producer::join(&ring).push(&[2]);
        let mut consumer = Sleeper::new(Consumer::join(&ring));
        let recovering = ring.clone();
        two(
            move || {
                if !recover_the_dead(&recovering).is_nothing() {
                    Parker::new(false).wake_all(&recovering);
                }
            },
            move || consumer.pop(),
        )
    });
}

/// Somebody who watches and has watched for so long that it may doze.
fn long_watch(ring: &Ring, owner: Owner) -> Watch {
    wait::set_clock(Duration::from_secs(1));
    let mut watch = Watch::new(owner);
    Parker::new(false).lie_down(ring, owner);
    for _ in 0..QUIET {
        assert!(!is_doze(watch.nap(ring)));
    }
    watch
}

fn is_doze(nap: Duration) -> bool {
    nap >= Duration::from_secs(1)
}

/// All are asleep but the watcher, which may doze; one gets up, and could now be killed with a wake that it owes. So the
/// watcher does not doze, or its doze is ended (E9).
#[test]
fn e9_who_gets_up_is_noticed() {
    let expected = ["(false, false)", "(false, true)", "(true, true)"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let (watcher, other) = (Consumer::join(&ring), Consumer::doomed(&ring));
        let mut watch = long_watch(&ring, watcher.owner());
        let parker = Parker::new(false);
        parker.lie_down(&ring, other.owner());
        let (watched, up) = (ring.clone(), ring);
        two(
            move || is_doze(watch.nap(&watched)),
            move || parker.get_up(&up, other.owner(), &Watch::new(other.owner())),
        )
    });
}

/// All are of one process, and asleep; one gets up. What it claims may have a lease, which nobody would see expire.
#[test]
fn e9_who_gets_up_with_a_lease_is_noticed() {
    explore(["(true, true)"], || {
        let ring = Shape::cells(2).leased().ring();
        let (watcher, other) = (Consumer::join(&ring), Consumer::join(&ring));
        let mut watch = long_watch(&ring, watcher.owner());
        let parker = Parker::new(false);
        parker.lie_down(&ring, other.owner());
        let dozes = is_doze(watch.nap(&ring));
        (dozes, parker.get_up(&ring, other.owner(), &Watch::new(other.owner())))
    });
}

/// The watcher dozes, since all others are of its own process; another process joins.
#[test]
fn e9_who_joins_is_noticed() {
    let expected = ["(false, false)", "(false, true)", "(true, true)"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let (watcher, _awake) = (Consumer::join(&ring), Producer::join(&ring));
        let mut watch = long_watch(&ring, watcher.owner());
        let (watched, joined) = (ring.clone(), ring);
        two(
            move || is_doze(watch.nap(&watched)),
            move || {
                let _newcomer = Producer::doomed(&joined);
                Parker::new(false).join(&joined)
            },
        )
    });
}

/// A producer lies down: somebody looks after it, the watcher or itself.
#[test]
fn e9_producer_is_attended() {
    let expected = ["(false, false)", "(false, true)", "(true, true)"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let (watcher, producer) = (Consumer::join(&ring), Producer::join(&ring));
        let mut watch = long_watch(&ring, watcher.owner());
        let (watched, full) = (ring.clone(), ring);
        two(
            move || is_doze(watch.nap(&watched)),
            move || {
                Parker::new(false).lie_down(&full, producer.owner());
                Watch::new(producer.owner()).nap(&full) <= NAP
            },
        )
    });
}

/// Two watch, of different attachments, so that one is left if the other is killed; who is of the watcher's does not
/// take the other role, which the watcher then misses.
#[test]
fn deputy_is_of_another_attachment() {
    explore(["([true, false, true], Some(Owner(2)), None)"], || {
        let ring = Shape::cells(2).ring();
        let (watcher, same, other) = (Consumer::join(&ring), Consumer::join(&ring), Consumer::doomed(&ring));
        let _up = Producer::doomed(&ring);
        let mut watch = long_watch(&ring, watcher.owner());
        let parker = Parker::new(false);
        for sleeper in [&same, &other] {
            parker.lie_down(&ring, sleeper.owner());
        }
        let watches = |nap| nap == NAP || nap == DEPUTYS_NAP;
        let awake = watches(watch.nap(&ring));
        let same = watches(Watch::new(same.owner()).nap(&ring));
        let lacking = watch.lacks_deputy(&ring);
        let other = watches(Watch::new(other.owner()).nap(&ring));
        ([awake, same, other], lacking, watch.lacks_deputy(&ring))
    });
}

/// Whoever was woken for a message may have been killed before it got up: nobody dozes while there is one, though
/// all others are asleep or gone.
#[test]
fn nobody_dozes_over_a_message() {
    explore(["(false, ())"], || {
        let ring = Shape::cells(2).ring();
        let (watcher, woken) = (Consumer::join(&ring), Consumer::doomed(&ring));
        let mut producer = Producer::doomed(&ring);
        let mut watch = long_watch(&ring, watcher.owner());
        Parker::new(false).lie_down(&ring, woken.owner());
        let watched = ring.clone();
        two(
            move || is_doze(watch.nap(&watched)),
            move || {
                producer.push(&[1]);
                producer.detach();
            },
        )
    });
}
