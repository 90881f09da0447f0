//! Consumers of an ordered group: who gets what, and what it means to get nothing.
#![cfg(ringfile_loom)]

use loom_tests::{Consumer, Producer, Shape, explore, settle_and_drain, three};
use ringfile::ring::claim::Nothing;

/// Two consumers share the messages: each gets rising positions, and together every message once (C1).
#[test]
fn c1_positions_rise() {
    let expected =
        ["([1, 2], [], [])", "([1], [2], [])", "([1], [], [2])", "([2], [1], [])", "([], [1], [2])"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let (mut a, mut b) = (Consumer::join(&ring).looked(), Consumer::join(&ring).looked());
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        let (_, a, b) = three(move || producer.push(&[2]), move || a.pops(2), move || b.pops(1));
        (a, b, settle_and_drain(&ring))
    });
}

/// A consumer that follows the hint of another sees all that lies below it as the other did (C7). The relaxed
/// hint of the first draft lost a message when a recoverer followed it; recovery goes by announcements now,
/// and what remains is that nothing is `Damaged`.
#[test]
fn c7_relaxed_hint() {
    let expected = [
        "(Err(Empty), Err(Empty))",
        "(Err(Empty), Err(Pending))",
        "(Err(Empty), Ok(1))",
        "(Err(Pending), Err(Empty))",
        "(Err(Pending), Err(Pending))",
        "(Err(Pending), Ok(1))",
        "(Ok(1), Err(Empty))",
        "(Ok(1), Err(Pending))",
    ];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let mut producer = Producer::join(&ring);
        let (mut leader, mut follower) = (Consumer::join(&ring).looked(), Consumer::join(&ring).looked());
        let (_, first, second) =
            three(move || producer.push(&[1]), move || leader.try_pop(), move || follower.try_pop());
        assert!(!matches!(second, Err(Nothing::Damaged(_))));
        (first, second)
    });
}

/// All cells are claimed and none is finished: nothing is there to be claimed a lap further, whatever a
/// consumer draws or walks to (C2).
#[test]
fn c2_nobody_claims_a_lap_ahead() {
    let expected = [
        "(Err(Empty), false, [])",
        "(Err(Empty), true, [3])",
        "(Err(Pending), true, [3])",
        "(Ok(3), true, [])",
    ];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        producer.push(&[2]);
        let (mut holder, mut other) = (Consumer::join(&ring), Consumer::join(&ring));
        let held = holder.claim(2);
        let (_, got, pushed) = three(
            move || {
                assert_eq!(holder.read(&held), [1, 2]);
                holder.ack(&held);
            },
            move || other.try_pop(),
            move || producer.try_push(&[3]).is_ok(),
        );
        (got, pushed, settle_and_drain(&ring))
    });
}
