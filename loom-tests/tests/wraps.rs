//! Rings that begin just below the end of a field. Every other model begins below three of them; these go
//! round them one by one.
#![cfg(ringfile_loom)]

use loom_tests::{Consumer, Producer, Shape, explore, long, settle_and_drain, two};

/// A lap and a half with one producer and one consumer, in cells and in bytes; then one of each is killed.
fn round(shape: Shape) -> ([bool; 2], Vec<u8>, Vec<u8>) {
    let ring = shape.units(2).ring();
    let mut producer = Producer::join(&ring);
    producer.push(&long(1));
    let mut consumer = Consumer::join(&ring);
    let (pushed, popped) =
        two(move || [2, 3].map(|value| producer.try_push(&long(value)).is_ok()), move || consumer.pops(2));
    let _ = Producer::doomed(&ring).reserve(&[&[9]]);
    let _ = Consumer::doomed(&ring).try_claim(2);
    (pushed, popped, settle_and_drain(&ring))
}

/// Check bits of announcements: 38 bits of the position.
#[test]
fn below_the_check_bits() {
    let expected = [
        "([true, false], [1, 2], [])",
        "([true, false], [1], [2])",
        "([true, true], [1, 2], [3])",
        "([true, true], [1], [2, 3])",
    ];
    explore(expected, || round(Shape::cells(2).from_position((1 << 38) - 2)));
}

/// The tag of a claim word: 40 bits of lap and tenancy.
#[test]
fn below_the_claim_tag() {
    let expected = [
        "([true, false], [1, 2], [])",
        "([true, false], [1], [2])",
        "([true, true], [1, 2], [3])",
        "([true, true], [1], [2, 3])",
    ];
    explore(expected, || round(Shape::cells(2).from_position(2 * ((1 << 40) - 2))));
}

/// The lap of a publish word: 46 bits.
#[test]
fn below_the_publish_lap() {
    let expected = [
        "([true, false], [1, 2], [])",
        "([true, false], [1], [2])",
        "([true, true], [1, 2], [3])",
        "([true, true], [1], [2, 3])",
    ];
    explore(expected, || round(Shape::cells(2).from_position(2 * ((1 << 46) - 1))));
}

/// The last positions that a file may hold.
#[test]
fn below_the_last_position() {
    let expected = [
        "([true, false], [1, 2], [])",
        "([true, false], [1], [2])",
        "([true, true], [1, 2], [3])",
        "([true, true], [1], [2, 3])",
    ];
    explore(expected, || round(Shape::cells(2).from_position((1 << 63) - 4)));
}
