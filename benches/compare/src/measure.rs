//! One measurement: so many messages through one new queue.

use crate::contenders::{Queue, Receiver, Sender, Tally};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Who works on a queue. No producers and consumers means one thread that is both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    pub name: &'static str,
    pub producers: u64,
    pub consumers: u64,
}

/// A measurement to be made.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub shape: Shape,
    /// Messages that the queue holds.
    pub ring: usize,
    pub size: usize,
    pub messages: u64,
}

/// Nanoseconds for each message; panics if any is lost, doubled or spoilt.
pub fn measure<Q: Queue>(queue: Q, case: &Case) -> f64 {
    // Once round the ring, so that every page has been touched.
    alternate(&queue, case.ring as u64);
    let (took, tally) =
        if case.shape.producers == 0 { alternate(&queue, case.messages) } else { concurrently(&queue, case) };
    assert_eq!(tally, Tally::expected(case.messages, case.size), "{case:?}");
    took.as_nanos() as f64 / case.messages as f64
}

fn alternate<Q: Queue>(queue: &Q, messages: u64) -> (Duration, Tally) {
    let (mut sender, mut receiver) = (queue.sender(), queue.receiver());
    let mut tally = Tally::default();
    let begun = Instant::now();
    let mut next = 0;
    while next < messages {
        let end = messages.min(next + Q::BATCH);
        sender.send(next..end);
        next = end;
        while tally.count < end {
            receiver.receive(&mut tally);
        }
    }
    (begun.elapsed(), tally)
}

fn concurrently<Q: Queue>(queue: &Q, case: &Case) -> (Duration, Tally) {
    let Shape { producers, consumers, .. } = case.shape;
    let share = case.messages / producers;
    assert_eq!(share * producers, case.messages);
    let start = Barrier::new((producers + consumers) as usize);
    let sending = AtomicU64::new(producers);
    thread::scope(|scope| {
        let (start, sending) = (&start, &sending);
        let senders: Vec<_> = (0..producers)
            .map(|i| {
                let mut sender = queue.sender();
                scope.spawn(move || {
                    start.wait();
                    let begun = Instant::now();
                    let (mut next, end) = (i * share, (i + 1) * share);
                    while next < end {
                        let until = end.min(next + Q::BATCH);
                        sender.send(next..until);
                        next = until;
                    }
                    drop(sender);
                    // Whoever is last: the main thread would have to be woken first.
                    if sending.fetch_sub(1, Ordering::AcqRel) == 1 {
                        queue.finish();
                    }
                    begun
                })
            })
            .collect();
        let receivers: Vec<_> = (0..consumers)
            .map(|_| {
                let mut receiver = queue.receiver();
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    start.wait();
                    while receiver.receive(&mut tally) {}
                    (Instant::now(), tally)
                })
            })
            .collect();
        let begun = senders.into_iter().map(|s| s.join().unwrap()).min();
        let mut ended = None;
        let mut total = Tally::default();
        for receiver in receivers {
            let (at, tally) = receiver.join().unwrap();
            ended = ended.max(Some(at));
            total.add(tally);
        }
        let (begun, ended) = begun.zip(ended).expect("there are threads");
        (ended - begun, total)
    })
}
