//! The handles over a heap block: small enough for an interpreter that checks every access, and run natively as well.

use ringfile::{Claim, Queue, Start, TryPopError, TryPushError, Wait};
use std::thread;

const MESSAGES: u8 = if cfg!(miri) { 12 } else { 200 };

fn queue(claim: Claim) -> Queue {
    Queue::options()
        .capacity(512)
        .messages(4)
        .cell_size(64)
        .participants(8)
        .claim(claim)
        .wait(Wait::Park)
        .born_at((1 << 42) - 3, (1 << 42) - 3)
        .in_memory()
        .unwrap()
}

/// Long and short ones, so that both cells and the data ring are gone round.
fn message(i: u8) -> Vec<u8> {
    vec![i; 1 + (usize::from(i) * 37) % 250]
}

#[test]
fn two_producers_two_consumers() {
    for claim in [Claim::Ordered, Claim::Ticketed] {
        let queue = queue(claim);
        let producers = [0, 1].map(|_| {
            let mut producer = queue.producer().unwrap();
            thread::spawn(move || {
                for i in 0..MESSAGES {
                    producer.push(&message(i)).unwrap();
                }
            })
        });
        let consumers = [0, 1].map(|_| {
            let mut consumer = queue.consumer().unwrap();
            thread::spawn(move || consumer.iter().collect::<Vec<_>>())
        });
        for producer in producers {
            producer.join().unwrap();
        }
        queue.close();
        let mut got: Vec<Vec<u8>> = consumers.into_iter().flat_map(|c| c.join().unwrap()).collect();
        got.sort();
        let mut sent: Vec<Vec<u8>> = (0..MESSAGES).flat_map(|i| [message(i), message(i)]).collect();
        sent.sort();
        assert_eq!(got, sent);
    }
}

#[test]
fn lent_bytes_and_batches() {
    for claim in [Claim::Ordered, Claim::Ticketed] {
        let queue = queue(claim);
        let mut producer = queue.producer().unwrap();
        let mut consumer = queue.consumer().unwrap();
        for i in 0..MESSAGES {
            let mut place = producer.reserve(200).unwrap();
            place.fill(i);
            place.commit_len(150);
            drop(producer.try_reserve(10).unwrap());
            producer.push_batch(&[[i], [i + 1]]).unwrap();
            assert_eq!(producer.try_push(b"x"), Err(TryPushError::Full));

            let delivery = consumer.claim().unwrap();
            assert_eq!(&delivery[..], [i; 150]);
            delivery.ack().unwrap();
            let mut batch = consumer.claim_batch(2).unwrap();
            if claim == Claim::Ordered {
                batch.ack_first(1).unwrap();
                assert_eq!(batch.iter().collect::<Vec<_>>(), [[i + 1]]);
            }
            batch.ack().unwrap();
            while consumer.try_pop().is_ok() {}
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
    }
}

#[test]
fn leaked_guards_are_found() {
    let queue = queue(Claim::Ordered);
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap();
    std::mem::forget(producer.reserve(100).unwrap());
    producer.push(b"after").unwrap();
    std::mem::forget(consumer.claim().unwrap());
    let again = consumer.claim().unwrap();
    assert_eq!((&again[..], again.deliveries()), (&b"after"[..], 2));
}

/// A group that comes, is rewound while its consumer goes on, and goes; what is kept is read by one who takes no part, and then overwritten.
#[test]
fn groups_rewinds_and_replays() {
    for claim in [Claim::Ordered, Claim::Ticketed] {
        let queue = Queue::options()
            .capacity(512)
            .messages(4)
            .cell_size(64)
            .participants(8)
            .groups(3)
            .retain(2)
            .scrub(true)
            .wait(Wait::Park)
            .in_memory()
            .unwrap();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let group = queue.group_with("other", Start::Oldest, claim).unwrap();
        let rewinding = thread::spawn({
            let mut member = group.consumer().unwrap();
            move || while member.pop().is_ok() {}
        });
        for i in 0..MESSAGES {
            producer.push(&message(i)).unwrap();
            assert_eq!(consumer.pop().unwrap(), message(i));
            if i % 5 == 4 {
                group.rewind().unwrap();
            }
        }
        let removed = thread::spawn({
            let queue = queue.clone();
            move || queue.remove_group("other")
        });
        assert!(removed.join().unwrap());
        rewinding.join().unwrap();
        let kept: Vec<_> = queue.replay().map(|kept| kept.unwrap().message).collect();
        assert_eq!(kept.last(), Some(&message(MESSAGES - 1)));
        queue.set_retain(0);
        queue.reap();
        assert_eq!(queue.stats().reaped, queue.stats().tail);
    }
}
