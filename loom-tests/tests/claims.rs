//! Consumers that are killed, or let go of what they hold: nothing is lost, and nothing is delivered twice
//! without a death or a release.
#![cfg(ringfile_loom)]

use loom_tests::{
    Consumer, Producer, Shape, explore, recover_the_dead, remains, settle_and_drain, three, two,
};
use ringfile::ring::Ring;
use ringfile::ring::claim::{Claimed, Nothing};
use ringfile::ring::words::Claim;
use std::sync::Arc;

/// A ring with three messages, the last of which was pushed alone.
fn three_messages() -> Arc<Ring> {
    let ring = Shape::cells(4).ring();
    let mut producer = Producer::join(&ring);
    producer.try_push_batch(&[&[1], &[2]]).unwrap();
    producer.push(&[3]);
    producer.detach();
    ring
}

/// A consumer claimed two messages and was killed. Two recover at once, a third takes what it gets: each
/// message comes once more.
#[test]
fn killed_claim_comes_again() {
    let expected = ["(2, [1], [2, 3])", "(2, [3], [1, 2])"];
    explore(expected, || {
        let ring = three_messages();
        Consumer::doomed(&ring).claim(2);
        let mut consumer = Consumer::join(&ring);
        let recoverer = || {
            let ring = ring.clone();
            move || recover_the_dead(&ring).put_back
        };
        let (a, b, popped) = three(recoverer(), recoverer(), move || consumer.pops(1));
        (a + b, popped, settle_and_drain(&ring))
    });
}

/// It was killed after it had announced the claim of what another claims now.
#[test]
fn announced_claim_is_no_claim() {
    explore(["(0, ([1, 2], 1), [3])"], || {
        let shape = Shape::cells(4);
        let ring = three_messages();
        let dead = Consumer::doomed(&ring);
        remains::announced_claim(&ring, dead.owner(), shape.first(), 2);
        let mut consumer = Consumer::join(&ring);
        let recovering = ring.clone();
        let (settled, popped) = two(
            move || recover_the_dead(&recovering),
            move || {
                let claimed = consumer.claim(2);
                let messages = consumer.read(&claimed);
                consumer.ack(&claimed);
                (messages, claimed.deliveries())
            },
        );
        (settled.put_back, popped, settle_and_drain(&ring))
    });
}

/// It was killed in `ack_first`, between the word of the rest and the word of what is finished: both are
/// delivered again.
#[test]
fn q_killed_in_ack_first() {
    let expected = ["(3, [1], [2, 3])", "(3, [], [1, 2, 3])"];
    explore(expected, || {
        let ring = three_messages();
        let mut dead = Consumer::doomed(&ring);
        let claimed = dead.claim(3);
        remains::claimed(&ring, claimed.first + 2, |tag| Claim::held(tag, dead.owner(), 1));
        let mut consumer = Consumer::join(&ring);
        let recoverer = || {
            let ring = ring.clone();
            move || recover_the_dead(&ring).put_back
        };
        let (a, b, popped) = three(recoverer(), recoverer(), move || consumer.pops(1));
        (a + b, popped, settle_and_drain(&ring))
    });
}

/// A living consumer finishes the first two of three messages while others look for something to claim; then
/// it is killed.
#[test]
fn q_ack_first_keeps_the_rest() {
    let expected = [
        "(Err(Empty), false, [3])",
        "(Err(Empty), true, [3, 4, 5])",
        "(Err(Pending), true, [3, 4, 5])",
        "(Ok(4), true, [3, 5])",
    ];
    explore(expected, || {
        let ring = three_messages();
        let mut dead = Consumer::doomed(&ring);
        let mut claimed = dead.claim(3);
        let (mut a, mut b) = (Consumer::join(&ring), Producer::join(&ring));
        let (_, popped, pushed) = three(
            move || dead.ack_first(&mut claimed, 2),
            move || a.try_pop(),
            move || b.try_push_batch(&[&[4], &[5]]).is_ok(),
        );
        (popped, pushed, settle_and_drain(&ring))
    });
}

/// It was killed in `release`, with the last word written.
#[test]
fn killed_in_release() {
    let expected = ["(2, [1], [2, 3])", "(2, [], [1, 2, 3])"];
    explore(expected, || {
        let ring = three_messages();
        let mut dead = Consumer::doomed(&ring);
        let claimed = dead.claim(3);
        remains::claimed(&ring, claimed.first + 2, |tag| Claim::redo(tag, 1));
        let mut consumer = Consumer::join(&ring);
        let recoverer = || {
            let ring = ring.clone();
            move || recover_the_dead(&ring).put_back
        };
        let (a, b, popped) = three(recoverer(), recoverer(), move || consumer.pops(1));
        (a + b, popped, settle_and_drain(&ring))
    });
}

/// It was killed in `release` with all words written and nobody told: a consumer that had looked before finds
/// them once it is recovered (C3).
#[test]
fn c3_redo_is_announced_in_any_case() {
    explore(["(1, Ok(1))"], || {
        let ring = three_messages();
        let mut dead = Consumer::doomed(&ring);
        let claimed = dead.claim(1);
        let mut consumer = Consumer::join(&ring);
        assert_eq!(consumer.pop(), 2);
        assert_eq!(consumer.pop(), 3);
        remains::claimed(&ring, claimed.first, |tag| Claim::redo(tag, 1));
        let recoverer = || {
            let ring = ring.clone();
            move || recover_the_dead(&ring).participants
        };
        let (a, b) = two(recoverer(), recoverer());
        (a + b, consumer.try_pop())
    });
}

/// What is released is claimed once more, by one of those who look, and says how often it was delivered.
#[test]
fn released_message_is_claimed_once() {
    let expected = [
        "(Err(Empty), Ok((3, 1)), [1, 2])",
        "(Ok((1, 2)), Ok((2, 2)), [3])",
        "(Ok((1, 2)), Ok((3, 1)), [2])",
        "(Ok((2, 2)), Ok((1, 2)), [3])",
        "(Ok((3, 1)), Err(Empty), [1, 2])",
        "(Ok((3, 1)), Ok((1, 2)), [2])",
    ];
    explore(expected, || {
        let ring = three_messages();
        let mut holder = Consumer::join(&ring);
        let held = holder.claim(2);
        let take = |mut consumer: Consumer| {
            move || {
                consumer.try_claim(1).map(|claimed| {
                    let message = consumer.read(&claimed)[0];
                    consumer.ack(&claimed);
                    (message, claimed.deliveries())
                })
            }
        };
        let (a, b) = (Consumer::join(&ring), Consumer::join(&ring));
        let ((), a, b) = three(move || holder.release(held), take(a), take(b));
        (a, b, settle_and_drain(&ring))
    });
}

/// The first of two messages is kept and the second put back: a walker steps over exactly what is kept.
#[test]
fn release_keeps_the_beginning() {
    let expected = ["([2, 3], [])", "([3, 2], [])", "([3], [2])"];
    explore(expected, || {
        let ring = three_messages();
        let mut holder = Consumer::join(&ring);
        let held = holder.claim(2);
        let mut consumer = Consumer::join(&ring);
        let ((), popped) = two(
            move || {
                let kept = holder.release_from(held, 1);
                assert_eq!(holder.read(&kept), [1]);
                holder.ack(&kept);
            },
            move || consumer.pops(2),
        );
        (popped, settle_and_drain(&ring))
    });
}

/// Something is put back behind a consumer's back, and everything before it and behind it is claimed: it must
/// not answer `Empty` (part C, h).
#[test]
fn h_empty_is_not_false_after_release() {
    let expected = [
        "(Err(Empty), Ok(2))",
        "(Ok([1]), Ok(2))",
        "(Ok([2, 3]), Ok(1))",
        "(Ok([2]), Err(Empty))",
        "(Ok([2]), Ok(1))",
        "(Ok([2]), Ok(3))",
        "(Ok([3]), Ok(2))",
    ];
    explore(expected, || {
        let ring = Shape::cells(4).ring();
        let (mut greedy, mut consumer) = (Consumer::join(&ring).looked(), Consumer::join(&ring).looked());
        let mut producer = Producer::join(&ring);
        producer.push(&[1]);
        let mut holder = Consumer::join(&ring);
        let held = holder.claim(1);
        producer.push(&[2]);
        let ((), took, popped) = three(
            move || {
                holder.release(held);
                producer.push(&[3]);
            },
            move || greedy.try_claim(2).map(|claimed| greedy.read(&claimed)),
            move || consumer.try_pop(),
        );
        // Whoever took 2 and 3 at once did so when 1 was there again, and before that 2 was.
        assert!(!(took == Ok(vec![2, 3]) && popped == Err(Nothing::Empty)));
        (took, popped)
    });
}

/// Another goes round the ring meanwhile, and there is always something to pop: that is never `Pending` (part
/// C, i).
#[test]
fn i_lapped_is_not_pending() {
    let expected = ["Ok(1)", "Ok(2)", "Ok(3)", "Ok(4)"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let mut busy = (Producer::join(&ring), Consumer::join(&ring).looked());
        let mut consumer = Consumer::join(&ring).looked();
        busy.0.push(&[1]);
        let (_, popped) = two(
            move || {
                for value in 2..=4 {
                    // Full when the other has claimed and not acknowledged.
                    if busy.0.try_push(&[value]).is_err() {
                        break;
                    }
                    busy.1.pop();
                }
            },
            move || consumer.try_pop(),
        );
        popped
    });
}

/// The same from an empty ring, of which a consumer sees the frontier and may see nothing else yet: a tail that is
/// behind the frontier would be damage.
#[test]
fn i_lapped_is_not_damage() {
    let expected = ["Err(Empty)", "Err(Pending)", "Ok(1)", "Ok(2)", "Ok(3)"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let mut busy = (Producer::join(&ring), Consumer::join(&ring).looked());
        let mut consumer = Consumer::join(&ring).looked();
        let (_, popped) = two(
            move || {
                for value in 1..=3 {
                    if busy.0.try_push(&[value]).is_err() || busy.1.try_pop().is_err() {
                        break;
                    }
                }
            },
            move || consumer.try_pop(),
        );
        popped
    });
}

/// A consumer is about to claim the message at its place. Another claims it first, goes round the ring, claims two
/// messages side by side, the first or the second of them in the same cell, and does something with them. What it
/// writes to their claim words is of the next lap, and who sees that sees that the message has gone. What the first
/// one got, and what is left.
fn lapped(
    shape: Shape,
    first_in_the_same_cell: bool,
    busy: fn(&Arc<Ring>) -> Consumer,
    then: fn(&Arc<Ring>, Consumer, Claimed),
) -> (Result<u8, Nothing>, Vec<u8>) {
    let ring = shape.ring();
    let (mut busy, mut consumer) = (busy(&ring).looked(), Consumer::join(&ring).looked());
    let mut producer = Producer::join(&ring);
    producer.push(&[1]);
    let going_round = ring.clone();
    let (_, popped) = two(
        move || {
            // Full or empty where the other has claimed.
            busy.try_pop().ok()?;
            if first_in_the_same_cell {
                producer.try_push(&[2]).ok()?;
                busy.try_pop().ok()?;
            }
            producer.try_push_batch(&[&[3], &[4]]).ok()?;
            let claimed = busy.try_claim(2).ok()?;
            if claimed.cells == 2 {
                then(&going_round, busy, claimed);
            }
            Some(())
        },
        move || consumer.try_pop(),
    );
    (popped, settle_and_drain(&ring))
}

/// It finishes the first and keeps the second (part C, i).
#[test]
fn i_lapped_by_ack_first() {
    explore(["(Err(Empty), [])", "(Err(Pending), [])", "(Ok(1), [])", "(Ok(3), [])"], || {
        lapped(Shape::cells(2), false, Consumer::join, |_, consumer, mut claimed| {
            assert!(consumer.ack_first(&mut claimed, 1))
        })
    });
}

/// The same where claims have a lease, and every word is ended by a swap.
#[test]
fn i_lapped_by_ack_first_with_a_lease() {
    explore(["(Err(Empty), [])", "(Err(Pending), [])", "(Ok(1), [])", "(Ok(3), [])"], || {
        lapped(Shape::cells(2).leased(), false, Consumer::join, |_, consumer, mut claimed| {
            assert!(consumer.ack_first(&mut claimed, 1));
        })
    });
}

/// It puts both back (part C, i).
#[test]
fn i_lapped_by_release() {
    explore(
        ["(Err(Empty), [3, 4])", "(Err(Pending), [3, 4])", "(Ok(1), [])", "(Ok(3), [4])", "(Ok(3), [])"],
        || lapped(Shape::cells(2), false, Consumer::join, |_, consumer, claimed| consumer.release(claimed)),
    );
}

/// It keeps the first and puts the second back (part C, i).
#[test]
fn i_lapped_by_what_is_kept() {
    explore(
        [
            "(Err(Empty), [4])",
            "(Err(Pending), [4])",
            "(Ok(1), [])",
            "(Ok(2), [])",
            "(Ok(3), [])",
            "(Ok(4), [])",
        ],
        || {
            lapped(Shape::cells(2), true, Consumer::join, |_, consumer, claimed| {
                consumer.release_from(claimed, 1);
            })
        },
    );
}

/// It is killed, and somebody puts back what it held (part C, i).
#[test]
fn i_lapped_by_recovery() {
    explore(["(Err(Empty), [3, 4])", "(Err(Pending), [3, 4])", "(Ok(1), [])", "(Ok(3), [4])"], || {
        lapped(Shape::cells(2), false, Consumer::doomed, |ring, _, _| {
            recover_the_dead(ring);
        })
    });
}

/// A message is pushed, claimed and put back by others: whoever claims it then sees its payload, and has not looked
/// at its publish word.
#[test]
fn e1_put_back_message_can_be_read() {
    let expected = ["(Err(Empty), [1])", "(Err(Pending), [1])", "(Ok(1), [])"];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let (mut first, mut second) = (Consumer::join(&ring).looked(), Consumer::join(&ring).looked());
        let mut producer = Producer::join(&ring);
        let (_, (), popped) = three(
            move || producer.push(&[1]),
            move || {
                if let Ok(claimed) = first.try_claim(1) {
                    first.release(claimed);
                }
            },
            move || second.try_pop(),
        );
        (popped, settle_and_drain(&ring))
    });
}

/// The same where the first was killed and another put back what it held.
#[test]
fn e1_recovered_message_can_be_read() {
    let expected = [
        "(0, Err(Empty), [1])",
        "(0, Err(Pending), [1])",
        "(0, Ok(1), [])",
        "(1, Err(Empty), [1])",
        "(1, Err(Pending), [1])",
        "(1, Ok(1), [])",
    ];
    explore(expected, || {
        let ring = Shape::cells(2).ring();
        let (mut dead, mut second) = (Consumer::doomed(&ring).looked(), Consumer::join(&ring).looked());
        let mut producer = Producer::join(&ring);
        let recovering = ring.clone();
        let (_, put_back, popped) = three(
            move || producer.push(&[1]),
            // The recoverer acts on the kernel's word, which orders all that the dead one did: it is the same thread.
            move || {
                let _ = dead.try_claim(1);
                recover_the_dead(&recovering).put_back
            },
            move || second.try_pop(),
        );
        (put_back, popped, settle_and_drain(&ring))
    });
}
