//! Who made a reservation: recovery turns into VOID what the dead had won, and nothing else.
#![cfg(ringfile_loom)]

use loom_tests::{
    Consumer, DEAD, LIVING, Producer, Shape, explore, recover_the_dead, remains, settle_and_drain, three, two,
};
use ringfile::ring::recover::{Settled, recover};
use ringfile::ring::words::{Kind, Link, Owner};

/// Beside recovery of one who died with a reservation, another pushes these and leaves: how much was settled, and what is left.
fn evidence_beside(pushed: &'static [u8]) -> (u64, u64, Vec<u8>) {
    let ring = Shape::cells(4).ring();
    let mut dead = Producer::doomed(&ring);
    dead.reserve(&[&[1]]).unwrap();
    let mut next = Producer::join(&ring);
    let recovering = ring.clone();
    let (settled, ()) = two(
        move || recover_the_dead(&recovering),
        move || {
            for &value in pushed {
                next.push(&[value]);
            }
            next.detach();
        },
    );
    (settled.voided, settled.participants, settle_and_drain(&ring))
}

/// The evidence for the dead one's reservation is in the tail, then in the announcement of the next, then in
/// the cell that this one publishes: wherever recovery meets it, the cell becomes VOID.
#[test]
fn p2_evidence_moves_and_is_not_lost() {
    explore(["(1, 1, [2, 3])"], || evidence_beside(&[2, 3]));
}

/// The same where the next leaves at once: who finds its announcement gone finds its cell (E8).
#[test]
fn p2_evidence_of_one_who_leaves() {
    explore(["(1, 1, [2])"], || evidence_beside(&[2]));
}

/// A paused loser of the race for a position has announced what a dead winner got: that hides nothing (P2).
#[test]
fn p2_paused_loser_hides_no_dead_winner() {
    let expected = ["(1, [2], [])", "(1, [], [2])"];
    explore(expected, || {
        let shape = Shape::cells(4);
        let ring = shape.ring();
        let paused = Producer::join(&ring);
        remains::announced(&ring, paused.owner(), shape.first(), 2, Owner::NOBODY);
        let mut dead = Producer::doomed(&ring);
        dead.reserve(&[&[1]]).unwrap();
        let mut next = Producer::join(&ring);
        let mut consumer = Consumer::join(&ring);
        let recovering = ring.clone();
        let (settled, _, popped) =
            three(move || recover_the_dead(&recovering), move || next.push(&[2]), move || consumer.pops(1));
        (settled.voided, popped, settle_and_drain(&ring))
    });
}

/// The other way round: a dead loser has announced what a living winner got, and has not published yet.
#[test]
fn p2_dead_loser_voids_no_living_winner() {
    explore(["(0, [1, 2])"], || {
        let shape = Shape::cells(4);
        let ring = shape.ring();
        let dead = Producer::doomed(&ring);
        remains::announced(&ring, dead.owner(), shape.first(), 1, Owner::NOBODY);
        let (mut winner, mut next) = (Producer::join(&ring), Producer::join(&ring));
        let recovering = ring.clone();
        let (settled, _, _) =
            three(move || recover_the_dead(&recovering), move || winner.push(&[1]), move || next.push(&[2]));
        let mut left = settle_and_drain(&ring);
        left.sort();
        (settled.voided, left)
    });
}

/// A batch puts a cell that is not the first of anything at the boundary where the dead loser's reservation
/// would have ended. Its distance from the first cell is no slot, though it is the dead one's number.
#[test]
fn p2_interior_distance_is_not_evidence() {
    explore(["(Settled { participants: 1, voided: 0, put_back: 0, expired: 0 }, [1, 2])"], || {
        let shape = Shape::cells(4);
        let ring = shape.ring();
        let mut batch = Producer::join(&ring);
        let dead = Producer::doomed(&ring);
        assert_eq!(dead.owner(), Owner(1));
        remains::announced(&ring, dead.owner(), shape.first(), 1, Owner::NOBODY);
        let recovering = ring.clone();
        let (settled, _) =
            two(move || recover_the_dead(&recovering), move || batch.try_push_batch(&[&[1], &[2]]));
        (settled, settle_and_drain(&ring))
    });
}

/// Two dead, one behind the other. A recoverer settles the second and is killed; a newcomer gets that slot,
/// and its announcements are gone. What was written for the second is then the only evidence for the first.
#[test]
fn p2_a_void_cell_is_evidence() {
    // Who finds the slot freed by the other pushes nothing.
    explore(["(2, [3])", "(2, [])"], || {
        let ring = Shape::cells(4).participants(3).ring();
        // The second of the dead has the lower slot, so it is settled first.
        let mut second = Producer::doomed(&ring);
        let mut first = Producer::doomed(&ring);
        first.reserve(&[&[1]]).unwrap();
        second.reserve(&[&[2]]).unwrap();
        let (a, b) = (ring.clone(), ring.clone());
        let (by_the_killed, by_the_other) = two(
            move || {
                let mut slots = 0..1;
                let settled = recover(&a, 0, |_, attachment| slots.next().is_some() && attachment == DEAD);
                if settled.participants == 1 {
                    Producer::join(&a).push(&[3]);
                }
                settled.voided
            },
            move || recover_the_dead(&b).voided,
        );
        let voided = by_the_killed + by_the_other + recover_the_dead(&ring).voided;
        (voided, settle_and_drain(&ring))
    });
}

/// The same where the newcomer is not the recoverer: whoever sees that it has the slot sees what was settled before
/// the slot was free (E8).
#[test]
fn e8_what_is_settled_is_evidence() {
    explore(["(2, [3])", "(2, [])"], || {
        let ring = Shape::cells(4).participants(3).ring();
        let mut second = Producer::doomed(&ring);
        let mut first = Producer::doomed(&ring);
        first.reserve(&[&[1]]).unwrap();
        second.reserve(&[&[2]]).unwrap();
        let (a, b, c) = (ring.clone(), ring.clone(), ring.clone());
        let (by_the_killed, (), by_the_other) = three(
            move || {
                let mut slots = 0..1;
                recover(&a, 0, |_, attachment| slots.next().is_some() && attachment == DEAD).voided
            },
            move || {
                // The first slot is the one to come free first; who finds none pushes nothing.
                if let Some(mut newcomer) = Producer::attach(&b, LIVING).filter(|n| n.owner() == Owner(0)) {
                    newcomer.push(&[3]);
                }
            },
            move || recover_the_dead(&c).voided,
        );
        let voided = by_the_killed + by_the_other + recover_the_dead(&ring).voided;
        (voided, settle_and_drain(&ring))
    });
}

/// A recoverer runs while nobody is dead: nothing is touched.
#[test]
fn nobody_is_dead() {
    let expected = ["([1, 2], [])", "([], [1, 2])"];
    explore(expected, || {
        let ring = Shape::cells(4).ring();
        let (mut producer, mut consumer) = (Producer::join(&ring), Consumer::join(&ring));
        let recovering = ring.clone();
        let (settled, _, popped) = three(
            move || recover_the_dead(&recovering),
            move || producer.try_push_batch(&[&[1], &[2]]),
            move || consumer.try_take(2).unwrap_or_default(),
        );
        assert_eq!(settled, Settled::default());
        (popped, settle_and_drain(&ring))
    });
}

/// A batch whose producer was killed when all but its first cell were published: nobody gets any of it,
/// whenever recovery comes (P5).
#[test]
fn p5_killed_batch_is_nothing() {
    let expected = ["(2, [3], [])", "(2, [], [3])"];
    explore(expected, || {
        let ring = Shape::cells(4).ring();
        let mut dead = Producer::doomed(&ring);
        let batch = dead.reserve(&[&[1], &[2]]).unwrap();
        remains::published_last(&ring, &batch, 1);
        let mut next = Producer::join(&ring);
        let mut consumer = Consumer::join(&ring);
        let recovering = ring.clone();
        let (settled, _, popped) =
            three(move || recover_the_dead(&recovering), move || next.push(&[3]), move || consumer.pops(2));
        (settled.voided, popped, settle_and_drain(&ring))
    });
}

/// The recoverer of a batch was killed as well, with the last cell settled; two others come at once.
#[test]
fn p5_killed_recoverer_of_a_batch() {
    explore(["(2, [], [])"], || {
        let ring = Shape::cells(4).ring();
        let mut dead = Producer::doomed(&ring);
        let batch = dead.reserve(&[&[1], &[2], &[3]]).unwrap();
        remains::published_last(&ring, &batch, 1);
        remains::publish(&ring, batch.first + 2, Link::Behind(2), Kind::Skip);
        let mut consumer = Consumer::join(&ring);
        let recoverer = || {
            let ring = ring.clone();
            move || recover_the_dead(&ring).voided
        };
        let (a, b, popped) = three(recoverer(), recoverer(), move || consumer.pops(1));
        (a + b, popped, settle_and_drain(&ring))
    });
}

/// A batch is published while a consumer claims: it gets all of it or nothing.
#[test]
fn p5_batch_is_whole() {
    let expected = [
        "([Err(Empty), Err(Empty)], [1, 2])",
        "([Err(Empty), Err(Pending)], [1, 2])",
        "([Err(Empty), Ok([1, 2])], [])",
        "([Err(Pending), Err(Pending)], [1, 2])",
        "([Err(Pending), Ok([1, 2])], [])",
        "([Ok([1, 2]), Err(Empty)], [])",
    ];
    explore(expected, || {
        let ring = Shape::cells(4).ring();
        let mut producer = Producer::join(&ring);
        let mut consumer = Consumer::join(&ring);
        let (_, taken) = two(
            move || producer.try_push_batch(&[&[1], &[2]]),
            move || [(); 2].map(|()| consumer.try_take(2)),
        );
        (taken, settle_and_drain(&ring))
    });
}
