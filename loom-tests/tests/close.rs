//! Closing: nothing gets in afterwards, and everything that is in comes out before anybody is told.
#![cfg(ringfile_loom)]

use loom_tests::{Consumer, Producer, Shape, explore, settle_and_drain, three, two};

/// A push, a close and a consumer: whoever is told `Closed` has missed nothing.
#[test]
fn closed_is_final() {
    let expected = [
        "(Err(Closed), [Err(Closed), Err(Closed)], [])",
        "(Err(Closed), [Err(Empty), Err(Closed)], [])",
        "(Err(Closed), [Err(Empty), Err(Empty)], [])",
        "(Ok(()), [Err(Empty), Err(Empty)], [1])",
        "(Ok(()), [Err(Empty), Err(Pending)], [1])",
        "(Ok(()), [Err(Empty), Ok(1)], [])",
        "(Ok(()), [Err(Pending), Err(Pending)], [1])",
        "(Ok(()), [Err(Pending), Ok(1)], [])",
        "(Ok(()), [Ok(1), Err(Closed)], [])",
        "(Ok(()), [Ok(1), Err(Empty)], [])",
    ];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let mut producer = Producer::join(&ring);
        let mut consumer = Consumer::join(&ring);
        let closing = ring.clone();
        let (pushed, (), popped) = three(
            move || producer.try_push(&[1]).map(|_| ()),
            move || closing.set_closed(true),
            move || [(); 2].map(|()| consumer.try_pop()),
        );
        (pushed, popped, settle_and_drain(&ring))
    });
}

/// The last message is finished, nobody pushes and nobody makes room: `Closed` comes all the same (part C,
/// f).
#[test]
fn f_closed_comes_without_a_producer() {
    let expected = [
        "(Err(Closed), Err(Closed), Ok(1), Err(Closed))",
        "(Err(Empty), Err(Closed), Ok(1), Err(Closed))",
        "(Err(Empty), Err(Empty), Ok(1), Err(Closed))",
        "(Ok(1), Err(Closed), Err(Closed), Err(Closed))",
        "(Ok(1), Err(Closed), Err(Empty), Err(Closed))",
        "(Ok(1), Err(Empty), Err(Closed), Err(Closed))",
        "(Ok(1), Err(Empty), Err(Empty), Err(Closed))",
    ];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        Producer::join(&ring).push(&[1]);
        let (mut a, mut b) = (Consumer::join(&ring), Consumer::join(&ring));
        let closing = ring.clone();
        let ((a, again), b, ()) =
            three(move || (a.try_pop(), a.try_pop()), move || b.try_pop(), move || closing.set_closed(true));
        (a, again, b, Consumer::join(&ring).try_pop())
    });
}

/// What is claimed may come back, so it is not yet drained: `Closed` comes with the acknowledgement and not
/// before.
#[test]
fn claimed_is_not_drained() {
    let expected = ["[Err(Empty), Err(Empty)]", "[Err(Empty), Ok(1)]", "[Ok(1), Err(Closed)]"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        Producer::join(&ring).push(&[1]);
        let mut holder = Consumer::join(&ring);
        let held = holder.claim(1);
        ring.set_closed(true);
        let mut consumer = Consumer::join(&ring);
        let ((), popped) = two(move || holder.release(held), move || [(); 2].map(|()| consumer.try_pop()));
        popped
    });
}
