//! Producers: what is reserved, and when a ring is full.
#![cfg(ringfile_loom)]

use loom_tests::{Consumer, Producer, Shape, explore, long, two};

/// Another producer sees an old tail and a new `reap`: the difference is no measure of anything (P1).
#[test]
fn p1_no_spurious_full() {
    explore(["0", "1", "2", "3"], || {
        let shape = Shape::cells(2);
        let ring = shape.ring();
        let mut busy = (Producer::join(&ring), Consumer::join(&ring));
        let mut other = Producer::join(&ring);
        two(
            move || {
                for value in 1..=3 {
                    // Never more than one that is not popped; pending behind the other's, it stops.
                    busy.0.push(&[value]);
                    if busy.1.try_pop().is_err() {
                        break;
                    }
                }
            },
            move || other.push(&[9]) - shape.first(),
        )
        .1
    });
}

/// The same for the bytes: there are cells enough.
#[test]
fn p1_no_spurious_full_of_bytes() {
    explore(["0", "1", "2", "3"], || {
        let shape = Shape::cells(8).units(2);
        let ring = shape.ring();
        let mut busy = (Producer::join(&ring), Consumer::join(&ring));
        let mut other = Producer::join(&ring);
        two(
            move || {
                for value in 1..=3 {
                    busy.0.push(&long(value));
                    if busy.1.try_pop().is_err() {
                        break;
                    }
                }
            },
            move || other.push(&long(9)) - shape.first(),
        )
        .1
    });
}

/// Nobody is told `Full` by a ring that has room, nobody gets room in a full one, and no two get the same.
#[test]
fn full_is_honest() {
    let expected = [
        "([Err(Full), Err(Full)], [Ok(0), Ok(1)])",
        "([Ok(0), Err(Full)], [Ok(1), Err(Full)])",
        "([Ok(0), Ok(1)], [Err(Full), Err(Full)])",
        "([Ok(1), Err(Full)], [Ok(0), Err(Full)])",
    ];
    explore(expected, || {
        let shape = Shape::cells(2);
        let ring = shape.ring();
        let push_twice = |mut producer: Producer| {
            move || [1, 2].map(|value| producer.try_push(&[value]).map(|at| at - shape.first()))
        };
        two(push_twice(Producer::join(&ring)), push_twice(Producer::join(&ring)))
    });
}
