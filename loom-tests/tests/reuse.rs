//! Slots and group entries that are given out again, while somebody is still busy with the one who had them
//! before.
#![cfg(ringfile_loom)]

use loom_tests::{Consumer, DEAD, Producer, Shape, explore, recover_the_dead, settle_and_drain, three, two};
use ringfile::ring::words::Kind;
use ringfile::ring::{Ring, groups, reclaim};

/// Two recoverers settle a dead producer; one of them is followed by a newcomer, who gets the slot and
/// reserves. The other, who may have seen the slot when it was the dead one's, must not touch what is the
/// newcomer's (part C, a).
#[test]
fn a_recycled_slot_is_not_settled_twice() {
    let expected = ["(1, 0, [Some(Void)])", "(1, 1, [Some(Void), Some(Ready)])"];
    explore(expected, || {
        let ring = Shape::cells(4).participants(1).ring();
        Producer::doomed(&ring).reserve(&[&[1]]).unwrap();
        let (a, b) = (ring.clone(), ring.clone());
        let settled = two(
            move || {
                let settled = recover_the_dead(&a);
                // The other may have settled something, but whoever frees the slot is done.
                if settled.participants == 1 {
                    Producer::join(&a).push(&[2]);
                }
                settled
            },
            move || recover_the_dead(&b),
        );
        (settled.0.voided + settled.1.voided, settled.0.participants, ring_without_slots(&ring))
    });
}

/// The kinds of the first two positions, for a ring that has no slot left to read from.
fn ring_without_slots(ring: &Ring) -> Vec<Option<Kind>> {
    let end = ring.tail().position;
    (ring.reaped().position..end).map(|at| ring.published(at).map(|publish| publish.kind())).collect()
}

/// The same for claims: the newcomer claims what was put back, and that with the dead one's slot number in
/// the word.
#[test]
fn a_recycled_slot_keeps_its_claim() {
    let expected = ["(1, None)", "(1, Some([(1, 2), (2, 1)]))"];
    explore(expected, || {
        let ring = Shape::cells(4).participants(2).ring();
        let mut dead = Consumer::doomed(&ring);
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        dead.claim(1);
        let (a, b) = (ring.clone(), ring.clone());
        let ((first, got), second) = two(
            move || {
                let settled = recover_the_dead(&a);
                let got = (settled.participants == 1).then(|| {
                    let mut newcomer = Consumer::join(&a);
                    let claims = [newcomer.claim(1), newcomer.claim(1)];
                    claims.map(|claimed| {
                        let message = newcomer.read(&claimed)[0];
                        newcomer.ack(&claimed);
                        (message, claimed.deliveries())
                    })
                });
                (settled.put_back, got)
            },
            move || recover_the_dead(&b).put_back,
        );
        (first + second, got)
    });
}

/// What a dead consumer held side by side is put back and delivered, and the ring goes round. Another recoverer may
/// still see the dead one's claim, and behind it the word of the next lap: that is not to be put back (part C, a).
#[test]
fn a_word_of_the_next_lap_is_not_put_back() {
    explore(["(2, [1, 2, 3, 4], [])"], || {
        let ring = Shape::cells(2).ring();
        let mut producer = Producer::join(&ring);
        producer.try_push_batch(&[&[1], &[2]]).unwrap();
        Consumer::doomed(&ring).claim(2);
        let mut consumer = Consumer::join(&ring);
        let (a, b) = (ring.clone(), ring.clone());
        let ((first, popped), second) = two(
            move || {
                let settled = recover_the_dead(&a);
                let mut popped = consumer.pops(2);
                if producer.try_push_batch(&[&[3], &[4]]).is_ok() {
                    popped.extend(consumer.pops(2));
                }
                (settled.put_back, popped)
            },
            move || recover_the_dead(&b).put_back,
        );
        (first + second, popped, settle_and_drain(&ring))
    });
}

/// A slot that was left in order is taken again while somebody recovers the dead: nothing of its earlier
/// owner is held against the new one.
#[test]
fn e8_newcomer_owes_nothing() {
    let expected = ["(0, 0, [1, 2], [])", "(0, 0, [1], [2])"];
    explore(expected, || {
        let ring = Shape::cells(4).participants(3).ring();
        let mut leaving = Producer::doomed(&ring);
        leaving.push(&[1]);
        let mut consumer = Consumer::join(&ring);
        let (joining, recovering) = (ring.clone(), ring.clone());
        let (settled, joined, popped) = three(
            move || recover_the_dead(&recovering).voided,
            move || {
                leaving.detach();
                Producer::join(&joining).push(&[2]) & 1
            },
            move || consumer.pops(2),
        );
        (settled, joined, popped, settle_and_drain(&ring))
    });
}

/// Somebody leaves a slot in order and somebody else takes it at once, reserves and is killed: what the first
/// one wrote as it left is older than what the second announced (E8).
#[test]
fn e8_slot_is_left_before_it_is_taken() {
    explore(["0", "1"], || {
        let ring = Shape::cells(4).participants(1).ring();
        let leaving = Producer::join(&ring);
        let taking = ring.clone();
        let (reserved, ()) = two(
            move || Producer::attach(&taking, DEAD).map(|mut taker| taker.reserve(&[&[1]])).is_some(),
            move || leaving.detach(),
        );
        let voided = recover_the_dead(&ring).voided;
        assert_eq!(voided, u64::from(reserved));
        voided
    });
}

/// A helper moves the frontier of a group entry; meanwhile the group is rewound twice, and the entry serves it again,
/// from the same position on, and its messages are all to be delivered. The life in the pair makes the helper fail, the
/// tenancy in the tags makes the old claim words old (part C, y).
#[test]
fn y_frontier_of_an_earlier_tenancy() {
    explore(["(2, [1, 2])"], || {
        rewound_beside(|helper| {
            reclaim::advance(&helper.ring().group(0));
        })
    });
}

/// The same where the helper is the consumer that has finished them, in the earlier tenancy.
#[test]
fn y_who_has_finished_in_an_earlier_tenancy() {
    explore(["(2, [1, 2])"], || rewound_beside(|helper| helper.advance()));
}

/// What a group gets that is rewound twice while somebody helps it on, and had finished two messages; and the tenancy of its entry.
fn rewound_beside(help: fn(&Consumer)) -> (u64, Vec<u8>) {
    let ring = Shape::cells(4).retain(2).ring();
    let mut producer = Producer::join(&ring);
    let mut earlier = Consumer::join(&ring);
    for value in 1..=2 {
        producer.push(&[value]);
        earlier.pop();
    }
    let rewinding = ring.clone();
    two(
        move || help(&earlier),
        move || {
            for _ in 0..2 {
                groups::rewind(&rewinding, 0).expect("there is an entry");
            }
        },
    );
    (ring.group(0).frontier().tenancy(), settle_and_drain(&ring))
}
