//! Retention, what is read without taking part, and the rate.
#![cfg(ringfile_loom)]

use loom_tests::{Consumer, Producer, Shape, explore, long, replay, two};
use ringfile::ring::claim::Nothing;
use ringfile::ring::pace::Paced;
use ringfile::ring::replay::Reader;
use ringfile::ring::{Ring, reclaim, scrub};
use std::sync::Arc;

/// A ring with so many messages that were consumed; nobody has made room yet.
fn consumed(shape: Shape, messages: u8) -> (Arc<Ring>, Producer, Consumer) {
    let ring = shape.ring();
    let (mut producer, mut consumer) = (Producer::join(&ring), Consumer::join(&ring));
    for value in 1..=messages {
        producer.push(&[value]);
        consumer.pop();
    }
    (ring, producer, consumer)
}

/// Two make room at the same time: what is to stay stays, and is counted once.
#[test]
fn two_make_room_beside_what_is_retained() {
    explore(["(2, [(2, 3)])"], || {
        let shape = Shape::cells(4).retain(1).replayed();
        let (ring, ..) = consumed(shape, 3);
        let (a, b) = (ring.clone(), ring.clone());
        let pass = |ring: Arc<Ring>| move || while reclaim::pass(&ring).expect("a sound ring") {};
        two(pass(a), pass(b));
        let freed = ring.reaped().position - shape.first();
        (freed, replay(&ring, &mut Reader::new(&ring), shape.first()).0)
    });
}

/// A message is consumed while somebody makes room: the last one that was consumed stays, whichever that is.
#[test]
fn what_is_consumed_meanwhile_takes_the_place_of_what_was() {
    explore(["[(1, 2)]"], || {
        let shape = Shape::cells(4).retain(1).replayed();
        let (ring, mut producer, mut consumer) = consumed(shape, 1);
        producer.push(&[2]);
        let reclaiming = ring.clone();
        two(move || while reclaim::pass(&reclaiming).expect("a sound ring") {}, move || consumer.pop());
        while reclaim::pass(&ring).expect("a sound ring") {}
        replay(&ring, &mut Reader::new(&ring), shape.first()).0
    });
}

/// Everything is consumed and retained, and two producers need room: each message that gives way is counted, and no more give way than they need (part C, m).
#[test]
fn m_as_many_give_way_as_are_needed() {
    explore(["(2, 2)"], || {
        let shape = Shape::cells(4).retain(4);
        let (ring, mut a, mut consumer) = consumed(shape, 4);
        let mut b = Producer::join(&ring);
        two(move || a.push(&[3]), move || b.push(&[4]));
        let freed = ring.reaped().position - shape.first();
        assert_eq!(consumer.pops(2).len(), 2);
        (freed, ring.gave_way().load(std::sync::atomic::Ordering::Relaxed))
    });
}

/// One reads what is kept while a producer writes over it: what it gets is what was there, or it is told that it was overtaken (G5).
#[test]
fn g5_a_replay_beside_a_producer() {
    let expected = [
        "([(0, 1), (1, 2), (2, 3)], false)",
        "([(0, 1), (1, 2)], false)",
        "([(0, 1), (2, 3)], true)",
        "([(0, 1)], false)",
        "([(0, 1)], true)",
        "([(2, 3)], true)",
        "([], true)",
    ];
    explore(expected, || {
        let shape = Shape::cells(2).units(2).replayed();
        let ring = shape.ring();
        let (mut producer, mut consumer) = (Producer::join(&ring), Consumer::join(&ring));
        producer.push(&long(1));
        let mut reader = Reader::new(&ring);
        consumer.pop();
        let reading = ring.clone();
        let (kept, _) = two(
            move || replay(&reading, &mut reader, shape.first()),
            move || {
                producer.push(&long(2));
                consumer.pop();
                producer.push(&long(3));
            },
        );
        kept
    });
}

/// Two consumers, and credit for one message.
#[test]
fn credit_for_one_is_taken_once() {
    let expected = ["[Ok(1), Err(Paced(1001))]", "[Err(Paced(1001)), Ok(1)]"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        ring.set_rate(0, 1e6, 0);
        ring.set_burst(0, 1);
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        let take = |mut consumer: Consumer, ring: Arc<Ring>| {
            move || -> Result<u8, Nothing> {
                let mut pace = Paced::new(&ring, ring.pacer(0), || 1);
                let claimed = consumer.try_claim_by(&mut pace)?;
                consumer.ack(&claimed);
                Ok(1)
            }
        };
        let (a, b) = (Consumer::join(&ring), Consumer::join(&ring));
        let got = two(take(a, ring.clone()), take(b, ring.clone()));
        [got.0, got.1]
    });
}

/// One overwrites what is given up while a group is made: it begins beyond that, or was asked (S1).
#[test]
fn s1_a_group_is_made_while_bytes_are_overwritten() {
    explore(["[1, 2]", "[]"], || {
        let (ring, mut producer, mut consumer) = consumed(Shape::cells(2).groups(3).scrubbed(), 2);
        let slot = producer.owner();
        let (scrubbing, making) = (ring.clone(), ring.clone());
        let (_, mut late) =
            two(move || while scrub::step(&scrubbing, slot) {}, move || Consumer::of_new_group(&making, "b"));
        let got = late.pops(2);
        producer.push(&[3]);
        assert_eq!((consumer.pop(), late.pop()), (3, 3));
        got
    });
}

/// One overwrites what is given up while another reads what is kept: that is there, or it is told that it was overtaken.
#[test]
fn s1_a_replay_beside_one_who_overwrites() {
    let expected = ["([(0, 1), (1, 2)], false)", "([(0, 1)], true)", "([], true)"];
    explore(expected, || {
        let shape = Shape::cells(2).groups(2).scrubbed().replayed();
        let ring = shape.ring();
        let (mut producer, mut consumer) = (Producer::join(&ring), Consumer::join(&ring));
        producer.push(&[1]);
        producer.push(&[2]);
        let mut reader = Reader::new(&ring);
        consumer.pop();
        consumer.pop();
        let (reading, slot) = (ring.clone(), producer.owner());
        let (kept, _) = two(
            move || replay(&reading, &mut reader, shape.first()),
            move || while scrub::step(&ring, slot) {},
        );
        kept
    });
}

/// Two overwrite, and a producer needs the space: nobody overwrites what was written again.
#[test]
fn s1_two_overwrite_beside_a_producer() {
    explore(["[3, 4]"], || {
        let (ring, mut producer, mut consumer) = consumed(Shape::cells(2).groups(2).scrubbed(), 2);
        let (scrubbing, slot) = (ring.clone(), consumer.owner());
        two(
            move || scrub::step(&scrubbing, slot),
            move || {
                // What the other has claimed is in the way.
                for value in [3, 4] {
                    while producer.try_push(&[value]).is_err() {
                        loom::thread::yield_now();
                    }
                }
            },
        );
        consumer.pops(2)
    });
}
