//! Making room: cells and bytes are written again only after their readers have finished, and all of them
//! are.
#![cfg(ringfile_loom)]

use loom_tests::{
    Consumer, Producer, Shape, explore, four, long, recover_the_dead, settle_and_drain, three, two, very_long,
};
use ringfile::ring::reclaim;
use ringfile::ring::words::Kind;

/// A reader, one who moves the frontier, one who moves `reap` and a producer, each another thread: what the
/// reader did happened before the producer writes the same cell (E2). Loom reports the race of the payload if
/// it did not.
#[test]
fn e2_a_cell_is_written_again_after_it_was_read() {
    let expected = ["(false, [2])", "(true, [2, 3])"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        let mut consumer = Consumer::join(&ring);
        let (advancing, reclaiming) = (ring.clone(), ring.clone());
        let (read, _, _, pushed) = four(
            move || consumer.pop(),
            move || reclaim::advance(&advancing.group(0)),
            move || reclaim::pass(&reclaiming).unwrap(),
            move || producer.try_push(&[3]).is_ok(),
        );
        assert_eq!(read, 1);
        (pushed, settle_and_drain(&ring))
    });
}

/// The producer walks over what the reader finished first, and learns from a swap that fails that others have gone
/// further: that tells it of the reader as well (E2).
#[test]
fn e2_a_failed_swap_carries_it_too() {
    let expected = [
        "([1, 2], [false, false], [])",
        "([1, 2], [false, true], [4])",
        "([1, 2], [true, false], [3])",
        "([1, 2], [true, true], [3, 4])",
    ];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        let mut consumer = Consumer::join(&ring);
        let advancing = ring.clone();
        let (popped, _, pushed) = three(
            move || consumer.pops(2),
            move || reclaim::advance(&advancing.group(0)),
            move || [3, 4].map(|value| producer.try_push(&[value]).is_ok()),
        );
        (popped, pushed, settle_and_drain(&ring))
    });
}

/// Consumers move the frontier past what they have finished without another look at it, but not past what somebody else holds: that is still being read (E2).
#[test]
fn e2_who_has_finished_moves_the_frontier() {
    let expected = ["(1, 2, false, [])", "(1, 2, true, [3])"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        let mut slow = Consumer::join(&ring);
        let held = slow.claim(1);
        let mut quick = Consumer::join(&ring);
        let second = quick.pop();
        let (first, (), pushed) = three(
            move || {
                let first = slow.read(&held)[0];
                slow.ack(&held);
                slow.advance();
                first
            },
            move || quick.advance(),
            move || producer.try_push(&[3]).is_ok(),
        );
        (first, second, pushed, settle_and_drain(&ring))
    });
}

/// The same for the data ring, whose units come round more often than the cells.
#[test]
fn e2_bytes_are_written_again_after_they_were_read() {
    let expected =
        ["([false, false], [])", "([false, true], [4])", "([true, false], [3])", "([true, true], [3, 4])"];
    explore(expected, || write_again(Shape::cells(4).units(2)));
}

/// The same where claims have a lease, and are ended by a swap.
#[test]
fn e2_bytes_with_a_lease() {
    let expected =
        ["([false, false], [])", "([false, true], [4])", "([true, false], [3])", "([true, true], [3, 4])"];
    explore(expected, || write_again(Shape::cells(4).units(2).leased()));
}

/// Which of two messages could be pushed while those whose bytes they need were read, and what is left.
fn write_again(shape: Shape) -> ([bool; 2], Vec<u8>) {
    let ring = shape.ring();
    let mut producer = Producer::join(&ring);
    producer.push(&long(1));
    producer.push(&long(2));
    let mut consumer = Consumer::join(&ring);
    let (read, pushed) = two(
        move || (consumer.pop(), consumer.pop()),
        move || [3, 4].map(|value| producer.try_push(&long(value)).is_ok()),
    );
    assert_eq!(read, (1, 2));
    (pushed, settle_and_drain(&ring))
}

/// Messages that would cross the end of the data ring begin at its start; two producers and a consumer agree
/// on where.
#[test]
fn padding_belongs_to_nobody() {
    let expected = [
        "([true, false], true, [1, 3], [])",
        "([true, false], true, [1], [3])",
        "([true, false], true, [3, 1], [])",
        "([true, false], true, [3], [1])",
        "([true, false], true, [], [1, 3])",
        "([true, false], true, [], [3, 1])",
        "([true, true], false, [1, 2], [])",
        "([true, true], false, [1], [2])",
        "([true, true], false, [], [1, 2])",
        "([true, true], true, [1, 2], [3])",
        "([true, true], true, [1, 3], [2])",
        "([true, true], true, [1], [2, 3])",
        "([true, true], true, [1], [3, 2])",
        "([true, true], true, [3, 1], [2])",
        "([true, true], true, [3], [1, 2])",
    ];
    explore(expected, || {
        let ring = Shape::cells(4).units(4).ring();
        let (mut a, mut b) = (Producer::join(&ring), Producer::join(&ring));
        let mut consumer = Consumer::join(&ring);
        // The first unit is the last one before the end, so the first of two units leaves it empty.
        let (pushed_a, pushed_b, popped) = three(
            move || [1, 2].map(|value| a.try_push(&very_long(value)).is_ok()),
            move || b.try_push(&long(3)).is_ok(),
            move || consumer.pops(2),
        );
        (pushed_a, pushed_b, popped, settle_and_drain(&ring))
    });
}

/// A dead one's cell says nothing of its bytes. They come free when the next cell is published, though that
/// is held and `reap` does not move in cells (part C, k).
#[test]
fn k_bytes_of_the_dead_come_free_behind_a_held_message() {
    explore(["0"], || {
        let ring = Shape::cells(4).units(4).ring();
        let (mut dead, mut slow) = (Producer::doomed(&ring), Producer::join(&ring));
        dead.reserve(&[&very_long(1)]).unwrap();
        let unpublished = slow.reserve(&[&long(2)]).unwrap();
        recover_the_dead(&ring);
        let mut consumer = Consumer::join(&ring);
        let mut producer = Producer::join(&ring);
        let reclaiming = ring.clone();
        three(
            move || slow.publish(&unpublished, Kind::Ready),
            move || reclaim::pass(&reclaiming).unwrap(),
            move || consumer.try_claim(1).is_ok(),
        );
        producer.push(&very_long(3));
        0
    });
}

/// A reclaimer that was paused reads a cell that has been used again, and says so instead of calling the file
/// damaged (part C, l).
#[test]
fn l_stale_reclaimer_is_not_damage() {
    explore(["[4]"], || {
        let ring = Shape::cells(2).units(2).ring();
        let mut producer = Producer::join(&ring);
        producer.push(&long(1));
        let mut consumer = Consumer::join(&ring);
        consumer.pop();
        producer.push(&long(2));
        let reclaiming = ring.clone();
        two(
            move || {
                reclaim::pass(&reclaiming).expect("a sound ring");
            },
            move || {
                consumer.pop();
                producer.push(&long(3));
                consumer.pop();
                producer.push(&long(4));
            },
        );
        settle_and_drain(&ring)
    });
}
