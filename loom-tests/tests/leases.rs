//! Claims that have a lease: taken back from the living, who find out, and whose bytes stay (part C, s).
#![cfg(ringfile_loom)]

use loom_tests::{Consumer, LEASE, Producer, Shape, expire, explore, settle_and_drain, three, two};
use ringfile::ring::Ring;
use ringfile::ring::claim::Claimed;
use std::sync::Arc;

/// A ring with these messages, all of which one consumer has claimed at time 0 at once.
fn claimed(shape: Shape, values: &[u8]) -> (Arc<Ring>, Consumer, Claimed) {
    let ring = shape.ring();
    let mut producer = Producer::join(&ring);
    values.iter().for_each(|value| {
        producer.push(&[*value]);
    });
    producer.detach();
    let mut holder = Consumer::join(&ring);
    let claimed = holder.claim(values.len());
    (ring, holder, claimed)
}

/// One takes back what has expired, and then what it can get, with a lease that has not.
fn taker(ring: &Arc<Ring>, tries: usize) -> impl FnOnce() -> Vec<u8> + use<> {
    let (ring, mut consumer) = (ring.clone(), Consumer::join(ring));
    move || {
        expire(&ring);
        let mut taken = Vec::new();
        for _ in 0..tries {
            if let Ok(claimed) = consumer.try_claim_at(LEASE) {
                taken.extend(consumer.read(&claimed));
                assert!(consumer.ack(&claimed), "nobody takes back what has not expired");
            }
        }
        taken
    }
}

/// Either the holder finishes its message, and is told so, or another does.
#[test]
fn s_one_of_two_finishes() {
    explore(["(false, [1], [])", "(true, [], [])"], || {
        let (ring, holder, held) = claimed(Shape::cells(2).leased(), &[1]);
        let take = taker(&ring, 1);
        let (finished, taken) = two(move || holder.ack(&held), take);
        (finished, taken, settle_and_drain(&ring))
    });
}

/// Two take it back at once, from one that places were drawn for: it is delivered once all the same.
#[test]
fn s_two_take_back() {
    let expected = ["(false, [1], [], [])", "(false, [], [1], [])", "(true, [], [], [])"];
    explore(expected, || {
        let (ring, holder, held) = claimed(Shape::cells(2).ticketed().leased(), &[1]);
        let (one, other) = (taker(&ring, 1), taker(&ring, 1));
        let (finished, one, other) = three(move || holder.ack(&held), one, other);
        (finished, one, other, settle_and_drain(&ring))
    });
}

/// A batch is acknowledged in part while it is taken back: what the holder is told is finished is so, and the
/// rest comes once.
#[test]
fn s_ack_first_or_expiry() {
    let expected = [
        "(false, false, [1, 2, 3], [])",
        "(false, false, [1, 2], [3])",
        "(false, false, [1], [2, 3])",
        "(true, false, [2, 3], [])",
        "(true, true, [], [])",
    ];
    explore(expected, || {
        let (ring, holder, mut held) = claimed(Shape::cells(4).leased(), &[1, 2, 3]);
        let take = taker(&ring, 3);
        let holds = move || {
            let first = holder.ack_first(&mut held, 1);
            (first, holder.ack(&held))
        };
        let ((first, rest), taken) = two(holds, take);
        (first, rest, taken, settle_and_drain(&ring))
    });
}

/// The holder gives back what is taken back, and what another may have by then.
#[test]
fn s_release_or_expiry() {
    explore(["([1, 2], [])"], || {
        let (ring, holder, held) = claimed(Shape::cells(2).leased(), &[1, 2]);
        let take = taker(&ring, 2);
        let ((), taken) = two(move || holder.release(held), take);
        (taken, settle_and_drain(&ring))
    });
}

/// Of one that reads on while its message is taken back, delivered to another and finished, the bytes stay: a producer finds the ring full.
#[test]
fn s_late_holder_keeps_its_bytes() {
    let expected = [
        "(1, false, [1, 2], [])",
        "(1, false, [1], [2])",
        "(1, false, [2], [])",
        "(1, false, [], [2])",
        "(1, true, [1, 2], [3])",
        "(1, true, [1], [2, 3])",
        "(1, true, [2, 3], [])",
        "(1, true, [2], [3])",
        "(1, true, [], [2, 3])",
    ];
    explore(expected, || {
        let (ring, holder, held) = claimed(Shape::cells(2).leased(), &[1]);
        let mut producer = Producer::join(&ring);
        let mut other = Consumer::join(&ring);
        let expiring = ring.clone();
        let (read, pushed, finished) = three(
            move || {
                let read = holder.read(&held)[0];
                holder.ack(&held);
                read
            },
            move || {
                producer.push(&[2]);
                producer.try_push(&[3]).is_ok()
            },
            move || {
                expire(&expiring);
                other.pops(2)
            },
        );
        (read, pushed, finished, settle_and_drain(&ring))
    });
}

/// The same for one that claims while a producer looks for room, and loses its claim at once.
#[test]
fn s_claim_beside_a_reclaimer_keeps_its_bytes() {
    let expected = [
        "(Some((1, false)), false, Some((1, true)))",
        "(Some((1, false)), true, Some((1, true)))",
        "(Some((1, true)), false, Some((2, true)))",
        "(Some((1, true)), true, Some((2, true)))",
        "(Some((2, true)), false, Some((1, true)))",
        "(Some((2, true)), true, Some((1, true)))",
    ];
    explore(expected, || {
        let ring = Shape::cells(2).leased().ring();
        let (mut holder, mut other) = (Consumer::join(&ring), Consumer::join(&ring));
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        let expiring = ring.clone();
        let (read, pushed, finished) = three(
            move || {
                let held = holder.try_claim(1).ok()?;
                let read = holder.read(&held)[0];
                Some((read, holder.ack(&held)))
            },
            move || producer.try_push(&[3]).is_ok(),
            move || {
                expire(&expiring);
                other.try_claim_at(LEASE).ok().map(|taken| (other.read(&taken)[0], other.ack(&taken)))
            },
        );
        (read, pushed, finished)
    });
}

/// Who looks at a claim that has expired while its holder gives it back and makes a new one takes nothing of the new one.
#[test]
fn s_newer_claim_is_not_taken() {
    explore(["(true, [])"], || {
        let (ring, mut holder, held) = claimed(Shape::cells(2).leased(), &[1]);
        let expiring = ring.clone();
        let holds = move || {
            holder.release(held);
            let again = holder.try_claim_at(LEASE).expect("nobody else takes it");
            holder.ack(&again)
        };
        let (finished, _) = two(holds, move || expire(&expiring));
        (finished, settle_and_drain(&ring))
    });
}

/// What was announced and then claimed by another keeps no room.
#[test]
fn s_lost_claim_keeps_no_room() {
    explore(["[3, 4]"], || {
        let ring = Shape::cells(2).participants(5).leased().ring();
        let mut producer = Producer::join(&ring);
        let (mut one, mut other) = (Consumer::join(&ring), Consumer::join(&ring));
        producer.push(&[1]);
        producer.push(&[2]);
        two(move || one.pops(2), move || other.pops(2));
        let mut last = Consumer::join(&ring);
        last.pops(2);
        producer.push(&[3]);
        producer.push(&[4]);
        settle_and_drain(&ring)
    });
}

/// Who takes a message back is killed before it tells anybody: the next who looks tells them.
#[test]
fn s_what_a_dead_one_took_back_is_announced() {
    explore(["[1]"], || {
        let (ring, _holder, _held) = claimed(Shape::cells(2).leased(), &[1]);
        // It has looked, so that only an announcement makes it look again.
        let mut other = Consumer::join(&ring).looked();
        let dying = ring.clone();
        loom::thread::spawn(move || {
            let step = ringfile::fault::Step::ClaimSettled;
            ringfile::fault::doomed(Some((step, 1)), || {
                expire(&dying);
            });
        })
        .join()
        .unwrap();
        expire(&ring);
        other.pops(1)
    });
}
