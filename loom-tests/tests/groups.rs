//! Groups that are made, rewound and removed, while others make room and consume.
#![cfg(ringfile_loom)]

use loom_tests::{
    Consumer, LIVING, Producer, Shape, explore, long, make_group, recover_the_dead, settle_and_drain, three,
    two,
};
use ringfile::ring::claim::Nothing;
use ringfile::ring::words::Stage;
use ringfile::ring::{Ring, groups, reclaim};
use std::sync::Arc;

/// A ring that is full of messages which the default group is done with, and nobody has made room yet.
fn consumed(shape: Shape) -> (Arc<Ring>, Producer) {
    let ring = shape.ring();
    let mut producer = Producer::join(&ring);
    let mut consumer = Consumer::join(&ring);
    for value in 1..=2 {
        producer.push(&long(value));
        consumer.pop();
    }
    consumer.detach();
    (ring, producer)
}

/// All that the group with this name gets.
fn all_of(ring: &Arc<Ring>, name: &str) -> Vec<u8> {
    Consumer::join_group(ring, name).pops(4)
}

/// A group is made while a producer makes room: wherever it begins, it gets everything from there on, and nothing of that is
/// written again under it (G1). A reclaimer that did not see the group fails, by the version.
#[test]
fn g1_a_group_is_made_while_room_is_made() {
    let expected = ["(false, [1, 2])", "(true, [1, 2, 3])", "(true, [3])"];
    explore(expected, || {
        let (ring, mut producer) = consumed(Shape::cells(2).units(2).groups(2));
        let making = ring.clone();
        let (pushed, (mut consumer, mut got)) = two(
            move || producer.try_push(&long(3)).is_ok(),
            move || {
                let mut consumer = Consumer::of_new_group(&making, "b");
                let got = consumer.pops(1);
                (consumer, got)
            },
        );
        got.extend(consumer.pops(3));
        (pushed, got)
    });
}

/// The same with one who makes room for nobody, and was about to move `reap` over what the group is to get.
#[test]
fn g1_a_reclaimer_that_did_not_see_the_group_fails() {
    explore(["[1, 2]", "[]"], || {
        let (ring, _) = consumed(Shape::cells(2).units(2).groups(2));
        let (making, reclaiming) = (ring.clone(), ring.clone());
        two(
            move || reclaim::pass(&reclaiming).expect("a sound ring"),
            move || {
                let group = make_group(&making, "b", LIVING).expect("there is room for a group");
                groups::serve(&making, group).expect("it is served");
            },
        );
        let got = all_of(&ring, "b");
        let reaped = ring.reaped().position;
        // What it gets is what is not given back.
        assert_eq!(reaped + got.len() as u64, ring.tail().position);
        got
    });
}

/// Two make groups of the same name: there is one (part C, bb).
#[test]
fn bb_two_make_the_same_group() {
    explore(["(1, 1)", "(2, 2)"], || {
        let ring = Shape::cells(2).groups(3).ring();
        let (a, b) = (ring.clone(), ring.clone());
        let make = |ring: Arc<Ring>| {
            move || {
                let group = make_group(&ring, "b", LIVING);
                // The other record of this attachment is the other thread's, and may have been taken back.
                group.unwrap_or_else(|_| groups::find(&ring, b"b").expect("somebody made it"))
            }
        };
        let made = two(make(a), make(b));
        assert!(ring.name(3 - made.0).serving().entry.is_none());
        made
    });
}

/// The same where there is one record for it: who finds it taken is not told that there are too many.
#[test]
fn bb_two_make_the_same_last_group() {
    explore(["(Ok(1), Ok(1))", "(Ok(1), Err(Busy))", "(Err(Busy), Ok(1))"], || {
        let ring = Shape::cells(2).groups(2).ring();
        let (a, b) = (ring.clone(), ring.clone());
        two(move || make_group(&a, "b", LIVING), move || make_group(&b, "b", LIVING))
    });
}

/// Two make groups, and there is room for one.
#[test]
fn two_make_the_last_group() {
    let expected =
        ["(Err(Busy), Ok(1))", "(Err(TooMany), Ok(1))", "(Ok(1), Err(Busy))", "(Ok(1), Err(TooMany))"];
    explore(expected, || {
        let ring = Shape::cells(2).groups(2).ring();
        let (a, b) = (ring.clone(), ring.clone());
        let made = two(move || make_group(&a, "a", LIVING), move || make_group(&b, "b", LIVING));
        let name: &[u8] = if made.0.is_ok() { b"a" } else { b"b" };
        assert_eq!(groups::find(&ring, name), Some(1));
        made
    });
}

/// One looks names up while a group is removed and its record given to another: who finds a name finds a group that is there, and not one that is
/// being written.
#[test]
fn a_name_is_looked_up_as_it_changes_hands() {
    explore(["(None, None)", "(None, Some(Ok(1)))", "(Some(1), None)", "(Some(1), Some(Ok(1)))"], || {
        let ring = Shape::cells(2).groups(2).ring();
        make_group(&ring, "a", LIVING).expect("there is room for a group");
        let (looking, changing) = (ring.clone(), ring.clone());
        let (found, _) = two(
            move || {
                let found = groups::find(&looking, b"a");
                let other = groups::find(&looking, b"b");
                (found, other.map(|index| groups::serve(&looking, index).map(|_| index)))
            },
            move || {
                groups::remove(&changing, b"a");
                make_group(&changing, "b", LIVING).expect("there is room for a group");
            },
        );
        assert_eq!(groups::find(&ring, b"b"), Some(1));
        found
    });
}

/// A consumer goes on while its group is rewound: what it gets afterwards, with what is left, is each message once.
#[test]
fn a_consumer_follows_a_rewind() {
    let expected = ["([], [1, 2], [])", "([1, 2], [], [1, 2])", "([1], [1], [2])"];
    explore(expected, || {
        let ring = Shape::cells(4).retain(4).ring();
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        let mut consumer = Consumer::join(&ring);
        let rewinding = ring.clone();
        let (before, after) = two(
            move || {
                let (mut before, mut after) = (Vec::new(), Vec::new());
                for _ in 0..2 {
                    let claimed = consumer.claim(1);
                    let message = consumer.read(&claimed)[0];
                    consumer.ack(&claimed);
                    if consumer.entry() == 0 { before.push(message) } else { after.push(message) }
                }
                (before, after)
            },
            move || groups::rewind(&rewinding, 0).expect("there is an entry"),
        )
        .0;
        (before, after, settle_and_drain(&ring))
    });
}

/// Two rewind at the same time: the group gets everything once.
#[test]
fn two_rewind() {
    explore(["[1]"], || {
        let ring = Shape::cells(2).groups(2).retain(2).ring();
        Producer::join(&ring).push(&[1]);
        Consumer::join(&ring).pop();
        let (a, b) = (ring.clone(), ring.clone());
        two(
            move || groups::rewind(&a, 0).expect("there is an entry"),
            move || groups::rewind(&b, 0).expect("there is an entry"),
        );
        let serving = (0..ring.entries()).filter(|&entry| ring.is_group(entry)).count();
        assert_eq!(serving, 1, "one entry serves the group");
        settle_and_drain(&ring)
    });
}

/// A group is removed while its consumer claims what only that group needs; a producer then writes over it. Either the consumer's claim is seen, and
/// waited for, or it sees that it came too late, and reads nothing (G3). Loom reports the race of the payload if it did.
#[test]
fn g3_a_claim_in_a_group_that_is_removed() {
    let expected = ["(None, false)", "(None, true)", "(Some(1), false)", "(Some(1), true)"];
    explore(expected, || {
        let ring = Shape::cells(2).units(2).groups(2).ring();
        let mut consumer = Consumer::of_new_group(&ring, "b");
        let (_, mut producer) = filled(&ring);
        let removing = ring.clone();
        two(
            move || consumer.try_pop().ok(),
            move || {
                assert!(groups::remove(&removing, b"b"));
                producer.try_push(&long(3)).is_ok()
            },
        )
    });
}

/// Two long messages, which the default group is done with.
fn filled(ring: &Arc<Ring>) -> (Consumer, Producer) {
    let (mut consumer, mut producer) = (Consumer::join(ring), Producer::join(ring));
    for value in 1..=2 {
        producer.push(&long(value));
        consumer.pop();
    }
    (consumer, producer)
}

/// A consumer claims while its entry comes to serve the group a second time, and others claim there in earnest: neither is the late claim taken for one of theirs, nor
/// does it take the place of one, so that the next would claim the message again (G2, part C, y).
#[test]
fn g2_a_late_claim_beside_the_next_tenancy() {
    explore(["[1, 2]"], || {
        let ring = Shape::cells(2).retain(2).participants(5).ring();
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        let mut late = Consumer::join(&ring);
        let rewinding = ring.clone();
        let (_, got) = two(
            move || {
                // Once, and without following: it is the earlier tenancy's.
                if let Some(claimed) = late.try_claim_here() {
                    assert_eq!(late.read(&claimed), [1]);
                    late.ack(&claimed);
                }
            },
            move || {
                let mut rewound = 0;
                while rewound < 2 && groups::rewind(&rewinding, 0).is_ok() {
                    rewound += 1;
                }
                let (mut first, mut second) = (Consumer::join(&rewinding), Consumer::join(&rewinding));
                [first.pops(1), second.pops(1)].concat()
            },
        );
        assert_eq!(settle_and_drain(&ring), []);
        got
    });
}

/// What was put back in a group that is removed holds nothing (part C, z), also if it is put back meanwhile, or by recovery.
#[test]
fn z_what_is_put_back_does_not_keep_an_entry_from_draining() {
    explore(["true"], || {
        let ring = Shape::cells(2).groups(2).ring();
        let mut consumer = Consumer::of_new_group(&ring, "b");
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        Consumer::join(&ring).pop();
        let claimed = consumer.claim(1);
        let removing = ring.clone();
        two(move || consumer.release(claimed), move || groups::remove(&removing, b"b"));
        producer.push(&[2]);
        producer.push(&[3]);
        (0..ring.entries()).all(|entry| ring.group(entry).frontier().life.stage != Stage::Draining)
    });
}

/// A dead one's claim in a group that is removed is settled while somebody makes room.
#[test]
fn z_a_dead_ones_claim_in_a_group_that_is_removed() {
    explore(["1"], || {
        let ring = Shape::cells(2).groups(2).ring();
        let group = make_group(&ring, "b", LIVING).expect("there is room for a group");
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        Consumer::join(&ring).pop();
        Consumer::of_group(&ring, loom_tests::DEAD, group).expect("it is served").claim(1);
        let (removing, recovering, reclaiming) = (ring.clone(), ring.clone(), ring.clone());
        let (_, settled, _) = three(
            move || groups::remove(&removing, b"b"),
            move || recover_the_dead(&recovering).put_back,
            move || reclaim::pass(&reclaiming).expect("a sound ring"),
        );
        producer.push(&[2]);
        producer.push(&[3]);
        settled
    });
}

/// A consumer of a group that is removed learns of it, and gets nothing that is not there.
#[test]
fn a_consumer_of_a_removed_group_is_told() {
    explore(["Err(Moved)", "Ok(1)"], || {
        let ring = Shape::cells(2).groups(2).ring();
        let mut consumer = Consumer::of_new_group(&ring, "b");
        Producer::join(&ring).push(&[1]);
        let removing = ring.clone();
        let ((got, mut consumer), _) = two(
            move || {
                let got = consumer.try_pop();
                (got, consumer)
            },
            move || groups::remove(&removing, b"b"),
        );
        assert_eq!(consumer.try_pop(), Err(Nothing::Moved));
        got
    });
}

/// A claim that came too late in a group that is removed, and is undone, holds nothing: the entry drains, and its space comes free.
#[test]
fn a_late_claim_holds_nothing() {
    explore(["None", "Some(1)"], || {
        let ring = Shape::cells(2).groups(2).ring();
        let mut consumer = Consumer::of_new_group(&ring, "b");
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        Consumer::join(&ring).pop();
        let removing = ring.clone();
        let (got, _) = two(move || consumer.try_pop().ok(), move || groups::remove(&removing, b"b"));
        producer.push(&[2]);
        producer.push(&[3]);
        got
    });
}
