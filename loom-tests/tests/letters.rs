//! Dead letters: messages that are set aside in a ring of their own (part C, r).
#![cfg(ringfile_loom)]

use loom_tests::{Consumer, Producer, Shape, explore, recover_the_dead, two};
use ringfile::ring::Ring;
use ringfile::ring::claim::Nothing;
use ringfile::ring::letters::Origin;
use ringfile::ring::words::Kind;
use std::sync::Arc;

/// A ring with a message that was handed out for the last time and a good one, and a ring for letters.
fn with_a_letter() -> (Arc<Ring>, Arc<Ring>) {
    let (ring, letters) = (Shape::cells(2).max_deliveries(1).ring(), Shape::cells(2).participants(6).ring());
    let mut producer = Producer::join(&ring);
    producer.push(&[1]);
    producer.push(&[2]);
    producer.detach();
    let mut consumer = Consumer::join(&ring);
    let claimed = consumer.claim(1);
    consumer.release(claimed);
    consumer.detach();
    (ring, letters)
}

/// What is in a ring of letters, with where it comes from.
fn letters_in(letters: &Arc<Ring>) -> Vec<(u8, u64)> {
    let mut consumer = Consumer::join(letters);
    let mut all = Vec::new();
    while let Ok(claimed) = consumer.try_claim(1) {
        let value = consumer.read(&claimed)[0];
        match letters.origin(claimed.first) {
            Some(Origin { position, name: 0 }) => {
                all.push((value, position.wrapping_sub(Shape::cells(2).first())))
            }
            origin => panic!("{value} is of {origin:?}"),
        }
        consumer.ack(&claimed);
    }
    all
}

/// Tries so often to pop what is no letter.
fn pops(ring: &Arc<Ring>, letters: &Arc<Ring>, tries: usize) -> impl FnOnce() -> Vec<u8> + use<> {
    let (mut consumer, mut producer) = (Consumer::join(ring), Producer::join(letters));
    move || (0..tries).filter_map(|_| consumer.try_pop_but_letters(&mut producer).ok()).collect()
}

/// Two find it: it is set aside once, and holds nobody up.
#[test]
fn r_set_aside_once() {
    explore(["([2], [], [(1, 0)])", "([], [2], [(1, 0)])"], || {
        let (ring, letters) = with_a_letter();
        let (one, other) = (pops(&ring, &letters, 1), pops(&ring, &letters, 1));
        let (one, other) = two(one, other);
        let taken = (one, other, letters_in(&letters));
        assert_eq!(Consumer::join(&ring).try_pop(), Err(Nothing::Empty));
        let mut producer = Producer::join(&ring);
        assert!(producer.try_push(&[3]).is_ok() && producer.try_push(&[4]).is_ok(), "it pins nothing");
        taken
    });
}

/// Without room for it, it stays, is stepped over, and is set aside when there is room.
#[test]
fn r_without_room_it_is_stepped_over() {
    explore(["([2], [], [8, 9], [(1, 0)])", "([], [2], [8, 9], [(1, 0)])"], || {
        let (ring, letters) = with_a_letter();
        let mut filler = Producer::join(&letters);
        filler.push(&[8]);
        filler.push(&[9]);
        filler.detach();
        let (one, other) = (pops(&ring, &letters, 1), pops(&ring, &letters, 1));
        let (one, other) = two(one, other);
        let mut reader = Consumer::join(&letters);
        let read = reader.pops(2);
        reader.detach();
        let (mut consumer, mut producer) = (Consumer::join(&ring), Producer::join(&letters));
        consumer.retry_letters(&mut producer);
        assert_eq!(consumer.try_pop_but_letters(&mut producer), Err(Nothing::Empty));
        (one, other, read, letters_in(&letters))
    });
}

/// Two with a place among the letters, one without: who has seen that there was no room looks again when there is.
#[test]
fn r_room_is_seen_later() {
    explore(["([], [(1, 0)])"], || {
        let (ring, letters) = with_a_letter();
        let mut filler = Producer::join(&letters);
        filler.push(&[8]);
        filler.push(&[9]);
        let (mut consumer, mut producer) = (Consumer::join(&ring), Producer::join(&letters));
        assert_eq!(consumer.try_pop_but_letters(&mut producer), Ok(2));
        let mut reader = Consumer::join(&letters);
        let reads = move || {
            reader.pops(2);
            reader.detach();
        };
        let looks = move || {
            consumer.retry_letters(&mut producer);
            let _ = consumer.try_pop_but_letters(&mut producer);
            (consumer, producer)
        };
        let ((), (mut consumer, mut producer)) = two(reads, looks);
        consumer.retry_letters(&mut producer);
        let left = consumer.try_pop_but_letters(&mut producer).ok();
        (left.into_iter().collect::<Vec<_>>(), letters_in(&letters))
    });
}

/// Who found no room does not try again at every turn: each try is counted, and counts must not come round.
#[test]
fn r_one_try_until_there_is_room() {
    explore(["[(8, 2), (9, 2)]"], || {
        let shape = Shape::cells(4).max_deliveries(1);
        let (ring, letters) = (shape.ring(), Shape::cells(2).ring());
        let (mut producer, mut filler) = (Producer::join(&ring), Producer::join(&letters));
        filler.push(&[0]);
        filler.push(&[0]);
        producer.push(&[8]);
        producer.push(&[9]);
        let holders = [(); 2].map(|()| {
            let mut holder = Consumer::join(&ring);
            let claimed = holder.claim(1);
            (holder, claimed)
        });
        let mut consumer = Consumer::join(&ring);
        let mut tries = Vec::new();
        for (holder, claimed) in holders {
            holder.release(claimed);
            assert_eq!(consumer.try_pop_but_letters(&mut filler), Err(Nothing::Empty));
        }
        let tenancy = ring.group(0).frontier().tenancy();
        for (value, at) in [8, 9].into_iter().zip(shape.first()..) {
            let word = ring.group(0).claim_at(at, tenancy).expect("it was put back");
            tries.push((value, word.deliveries()));
        }
        tries
    });
}

/// What others pushed there is no letter, whatever the cell held before: nobody takes it for a copy.
#[test]
fn r_what_is_no_letter_is_no_copy() {
    explore(["([(1, 0)], None)"], || {
        let (ring, letters) = with_a_letter();
        let mut other = Producer::join(&letters);
        // A letter from there, and a lap later something else in its cell.
        let origin = Origin { position: Shape::cells(2).first(), name: 0 };
        let reserved = other.reserve(&[&[7]]).expect("room");
        letters.set_origin(&reserved, origin);
        other.publish(&reserved, Kind::Void);
        other.push(&[8]);
        Consumer::join(&letters).pops(2);
        other.push(&[9]);
        assert!(!letters.has_letter(origin, |_| true));
        let origin = letters.origin(reserved.first + letters.cells());

        // Its mover was killed after it had claimed the letter: there may be a copy.
        let mut dying = Consumer::doomed(&ring);
        dying.claim(1);
        recover_the_dead(&ring);
        let (mut consumer, mut producer) = (Consumer::join(&ring), Producer::join(&letters));
        assert_eq!(consumer.try_pop_but_letters(&mut producer), Ok(2));
        assert_eq!(Consumer::join(&letters).pop(), 9);
        (letters_in(&letters), origin)
    });
}
