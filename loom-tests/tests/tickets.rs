//! Consumers of a ticketed group: a place is only where to look.
#![cfg(ringfile_loom)]

use loom_tests::{
    Consumer, Producer, Shape, explore, explore_deeper, recover_the_dead, remains, settle_and_drain, three,
    two,
};
use ringfile::ring::Ring;
use std::sync::Arc;

/// A ticketed ring and its consumers. Each has looked once and found nothing, for the first look of a
/// newcomer is a walk.
fn with_consumers<const N: usize>(cells: u64) -> (Arc<Ring>, [Consumer; N]) {
    let ring = Shape::cells(cells).ticketed().ring();
    let consumers = [(); N].map(|()| Consumer::join(&ring).looked());
    (ring, consumers)
}

/// What a consumer gets that tries once to take so many.
fn take(mut consumer: Consumer, max: usize) -> impl FnOnce() -> Vec<u8> {
    move || consumer.try_take(max).unwrap_or_default()
}

/// Consumers draw two places each where there are three messages, and walk when there is nothing left to
/// draw: no interval covers what another has claimed (part C, u).
#[test]
fn u_no_overlapping_claims() {
    let expected = [
        "([1, 2], [3], [], [])",
        "([1, 2], [], [3], [])",
        "([1], [3], [2], [])",
        "([1], [], [2, 3], [])",
        "([2, 3], [1], [], [])",
        "([2, 3], [], [1], [])",
        "([2], [1], [3], [])",
        "([2], [3], [1], [])",
        "([3], [1], [2], [])",
        "([3], [], [1, 2], [])",
        "([], [1], [2, 3], [])",
        "([], [3], [1, 2], [])",
    ];
    let deeper = ["([1], [2], [3], [])", "([3], [2], [1], [])"];
    explore_deeper(expected, deeper, || {
        let (ring, [a, b, c]) = with_consumers(4);
        let mut producer = Producer::join(&ring);
        for value in 1..=3 {
            producer.push(&[value]);
        }
        producer.detach();
        let (a, b, c) = three(take(a, 2), take(b, 1), take(c, 2));
        (a, b, c, settle_and_drain(&ring))
    });
}

/// A batch of which only the last cell was published when its producer was killed: nobody who draws that
/// place gets half of it (part C, v).
#[test]
fn v_no_half_batch_by_ticket() {
    explore(["([], [], 2, [])"], || {
        let (ring, [a, b]) = with_consumers(4);
        let mut dead = Producer::doomed(&ring);
        let batch = dead.reserve(&[&[1], &[2]]).unwrap();
        remains::published_last(&ring, &batch, 1);
        let recovering = ring.clone();
        let (a, b, settled) = three(take(a, 1), take(b, 1), move || recover_the_dead(&recovering).voided);
        (a, b, settled, settle_and_drain(&ring))
    });
}

/// The same while the producer lives: both messages are delivered once.
#[test]
fn v_batch_by_ticket() {
    let expected = [
        "([1], [2], [])",
        "([1], [], [2])",
        "([2], [1], [])",
        "([2], [], [1])",
        "([], [1], [2])",
        "([], [2], [1])",
        "([], [], [1, 2])",
    ];
    explore(expected, || {
        let (ring, [a, b]) = with_consumers(4);
        let mut producer = Producer::join(&ring);
        let (_, a, b) =
            three(move || producer.try_push_batch(&[&[1], &[2]]).unwrap(), take(a, 1), take(b, 1));
        (a, b, settle_and_drain(&ring))
    });
}

/// A drawer was killed with one message of two claimed and another place drawn: what it claimed comes again,
/// what it drew is found by walking (part C, t and w).
#[test]
fn t_killed_drawer_leaves_no_debt() {
    let expected = ["([1], [2], 1, [])", "([2], [1], 1, [])", "([2], [], 1, [1])", "([], [2], 1, [1])"];
    explore(expected, || {
        let (ring, [a, b]) = with_consumers(4);
        let mut dead = Consumer::doomed(&ring).looked();
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        let unpublished = producer.reserve(&[&[2]]).unwrap();
        dead.claim(2);
        let recovering = ring.clone();
        producer.publish(&unpublished, ringfile::ring::words::Kind::Ready);
        let (a, b, settled) = three(take(a, 1), take(b, 2), move || recover_the_dead(&recovering).put_back);
        (a, b, settled, settle_and_drain(&ring))
    });
}

/// A place may be drawn before its message is there, and then it is kept; a lap round a small ring, every
/// message is delivered once.
#[test]
fn early_draw_is_kept() {
    let expected = [
        "([true, false], [1], [2], [])",
        "([true, false], [1], [], [2])",
        "([true, false], [2], [1], [])",
        "([true, false], [], [1], [2])",
        "([true, true], [1], [2], [3])",
        "([true, true], [1], [], [2, 3])",
        // The place of 2 is kept by who drew it too early; the other draws the next.
        "([true, true], [1], [3], [2])",
        "([true, true], [2], [1], [3])",
        "([true, true], [3], [1], [2])",
        "([true, true], [], [1], [2, 3])",
    ];
    explore(expected, || {
        let (ring, [a, b]) = with_consumers(2);
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        let (pushed, a, b) =
            three(move || [2, 3].map(|value| producer.try_push(&[value]).is_ok()), take(a, 1), take(b, 1));
        (pushed, a, b, settle_and_drain(&ring))
    });
}

/// A drawer is paused, a walker takes its place, and the ring goes round: a claim word of the next lap is not one of
/// its own (part C, i).
#[test]
fn i_lapped_drawer() {
    let expected = [
        "([1, 2, 3], Ok(4), [])",
        "([1, 2, 4], Ok(3), [])",
        "([1, 3, 2], Err(Empty), [])",
        "([1, 3, 4], Ok(2), [])",
        "([1, 3], Ok(2), [])",
        "([2, 1, 4], Err(Empty), [])",
        "([2, 1, 4], Err(Pending), [])",
        "([2, 1], Ok(4), [])",
        "([2, 3, 4], Ok(1), [])",
        "([2, 4], Ok(1), [])",
        "([2], Ok(1), [])",
    ];
    explore(expected, || {
        let (ring, [mut busy, mut consumer]) = with_consumers(2);
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        let (popped, other) = two(
            move || {
                (2..=4)
                    .filter_map(|value| {
                        // Full where the other has claimed and not acknowledged.
                        let _ = producer.try_push(&[value]);
                        busy.try_pop().ok()
                    })
                    .collect::<Vec<_>>()
            },
            move || consumer.try_pop(),
        );
        (popped, other, settle_and_drain(&ring))
    });
}
