//! Opening a ring that others are using: cursors that move are not taken for damage.
#![cfg(ringfile_loom)]

use loom_tests::{Consumer, Producer, Shape, explore, two};

/// What was committed was reserved before: the tail that is read afterwards is not below it.
#[test]
fn committed_is_not_beyond_the_tail() {
    explore(["None"], || {
        let ring = Shape::cells(2).ring();
        let mut busy = (Producer::join(&ring), Consumer::join(&ring));
        let opening = ring.clone();
        let (_, contradiction) = two(
            move || {
                busy.0.push(&[1]);
                busy.1.pops(2)
            },
            move || opening.contradiction(),
        );
        contradiction
    });
}

/// Neither is the head beyond what consumers may have drawn, which is four places here.
fn head_is_not_beyond_the_tail(shape: Shape) -> Option<&'static str> {
    let ring = shape.participants(2).ring();
    let mut busy = (Producer::join(&ring), Consumer::join(&ring).looked());
    let opening = ring.clone();
    let (_, contradiction) = two(
        move || {
            for _ in 0..3 {
                busy.0.try_push_batch(&[&[1], &[2]]).expect("room for both");
                busy.1.try_take(2).expect("both");
            }
        },
        move || opening.contradiction(),
    );
    contradiction
}

#[test]
fn head_of_an_ordered_group() {
    explore(["None"], || head_is_not_beyond_the_tail(Shape::cells(2)));
}

#[test]
fn head_of_a_ticketed_group() {
    explore(["None"], || head_is_not_beyond_the_tail(Shape::cells(2).ticketed()));
}

/// A newcomer of a ticketed group walks, and says how far.
#[test]
fn walk_of_a_ticketed_group() {
    explore(["None"], || {
        let ring = Shape::cells(2).ticketed().participants(2).ring();
        let mut producer = Producer::join(&ring);
        let (joining, opening) = (ring.clone(), ring.clone());
        let (_, contradiction) = two(
            move || {
                for value in 1..=5 {
                    producer.push(&[value]);
                    let mut consumer = Consumer::join(&joining);
                    consumer.pop();
                    consumer.detach();
                }
            },
            move || opening.contradiction(),
        );
        contradiction
    });
}
