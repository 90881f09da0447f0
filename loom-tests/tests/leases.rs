//! Claims that have a lease: taken back from the living, who find out, and whose bytes stay (part C, s).
#![cfg(ringfile_loom)]

use loom_tests::{
    Consumer, Producer, Shape, expire, explore, recover_the_dead, settle_and_drain, three, two,
};
use ringfile::fault::{Step, doomed};
use ringfile::ring::Ring;
use ringfile::ring::claim::Claimed;
use std::sync::Arc;

/// A ring with these messages, all of which one consumer has claimed at once at the beginning of time.
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
    let (ring, mut consumer) = (ring.clone(), Consumer::join(ring).later());
    move || {
        expire(&ring);
        let mut taken = Vec::new();
        for _ in 0..tries {
            if let Ok(claimed) = consumer.try_claim(1) {
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
        let (ring, mut holder, held) = claimed(Shape::cells(2).leased(), &[1]);
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
        let (ring, mut holder, held) = claimed(Shape::cells(2).ticketed().leased(), &[1]);
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
        let (ring, mut holder, mut held) = claimed(Shape::cells(4).leased(), &[1, 2, 3]);
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
        let (ring, mut holder, held) = claimed(Shape::cells(2).leased(), &[1]);
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
        let (mut holder, mut other) = (Consumer::join(&ring), Consumer::join(&ring).later());
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
                other.try_claim(1).ok().map(|taken| (other.read(&taken)[0], other.ack(&taken)))
            },
        );
        (read, pushed, finished)
    });
}

/// Who looks at a claim that has expired while its holder gives it back and makes a new one takes nothing of the new one.
#[test]
fn s_newer_claim_is_not_taken() {
    explore(["(true, [])"], || {
        let (ring, holder, held) = claimed(Shape::cells(2).leased(), &[1]);
        let expiring = ring.clone();
        let holds = move || {
            holder.release(held);
            let mut holder = holder.later();
            let again = holder.try_claim(1).expect("nobody else takes it");
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

/// Takes back what has expired, and is killed before it tells anybody.
fn expire_and_die(ring: &Arc<Ring>) {
    let dying = ring.clone();
    let body = move || {
        doomed(Some((Step::ClaimSettled, 1)), || {
            expire(&dying);
        });
    };
    loom::thread::spawn(body).join().unwrap();
}

/// Who takes a message back is killed before it tells anybody: the next who looks tells them, and so does the
/// holder, after which nobody sees any more whose it was.
#[test]
fn s_what_a_dead_one_took_back_is_announced() {
    explore(["([1], [1])"], || {
        let announced_by = |announce: fn(&Arc<Ring>, Consumer, Claimed)| {
            let (ring, holder, held) = claimed(Shape::cells(2).leased(), &[1]);
            // It has looked, so that only an announcement makes it look again.
            let mut other = Consumer::join(&ring).looked();
            expire_and_die(&ring);
            announce(&ring, holder, held);
            other.pops(1)
        };
        let by_the_next = announced_by(|ring, _, _| assert_eq!(expire(ring), 0));
        let by_the_holder = announced_by(|_, mut holder, held| assert!(!holder.ack(&held)));
        (by_the_next, by_the_holder)
    });
}

/// Everybody is told, and then told no more, however long the holder goes on.
#[test]
fn s_it_is_announced_and_that_is_all() {
    explore(["(3, 2)"], || {
        let (ring, _holder, _held) = claimed(Shape::cells(4).leased(), &[1, 2, 3]);
        let mut expired = 0;
        let steps = doomed(None, || expired = (0..5).map(|_| expire(&ring)).sum());
        let announced = steps.into_iter().filter(|step| *step == Step::RedoRaised).count();
        (expired, announced)
    });
}

/// One that is paused before it has what it announced holds nothing, and keeps no room; nor does what a dead one
/// had announced, in the slot of one that has only just taken it.
#[test]
fn s_nothing_held_keeps_no_room() {
    explore(["[2, 3, 4, 5]"], || {
        let ring = Shape::cells(2).leased().participants(6).ring();
        let mut producer = Producer::join(&ring);
        let mut other = Consumer::join(&ring);
        let (paused, mut taken_back) = (Consumer::join(&ring), Consumer::doomed(&ring));
        producer.push(&[0]);
        taken_back.claim(1);
        assert_eq!(expire(&ring), 1);
        assert_eq!(other.pop(), 0);
        assert_eq!(recover_the_dead(&ring).participants, 1);
        let (joining, pausing) = (ring.clone(), ring.clone());
        loom::thread::spawn(move || {
            let join = || drop(Consumer::join(&joining));
            doomed(Some((Step::SlotTaken, 1)), join);
            let mut paused = paused;
            producer_pushes_first(&pausing);
            doomed(Some((Step::ClaimAnnounced, 1)), || {
                let _ = paused.try_claim(1);
            });
        })
        .join()
        .unwrap();
        assert_eq!(other.pop(), 1);
        let mut all = Vec::new();
        for value in 2..=5 {
            producer.push(&[value]);
            all.extend(other.pops(1));
        }
        all
    });
}

/// A message for one that is paused before it has it.
fn producer_pushes_first(ring: &Arc<Ring>) {
    let mut producer = Producer::join(ring);
    producer.push(&[1]);
    producer.detach();
}
