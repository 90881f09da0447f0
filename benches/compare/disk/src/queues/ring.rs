//! ringfile, a message to a call or more.

use super::{Opened, Queue, Shape, one_by_one, stamp, zeroed};
use harness::message::Tally;
use ringfile::{Durability, TryPopError};
use std::hint::black_box;
use std::ops::Range;
use std::path::Path;

/// The queue itself.
pub fn queue(
    dir: &Path,
    shape: Shape,
    durability: Durability,
) -> Result<ringfile::Queue, ringfile::OpenError> {
    let mut options = ringfile::Queue::options();
    options.messages(shape.messages).capacity(shape.messages as usize * shape.size).durability(durability);
    options.open(dir.join("ring"))
}

struct Ring<const BATCH: usize> {
    producer: ringfile::Producer,
    consumer: ringfile::Consumer,
    messages: u64,
}

pub fn open<const BATCH: usize>(dir: &Path, shape: Shape, durability: Durability) -> Opened {
    let queue = queue(dir, shape, durability)?;
    let messages = shape.messages;
    Ok(Box::new(Ring::<BATCH> { producer: queue.producer()?, consumer: queue.consumer()?, messages }))
}

impl<const BATCH: usize> Queue for Ring<BATCH> {
    fn push(&mut self, message: &[u8]) {
        self.producer.push(message).unwrap();
    }

    fn pop(&mut self, message: &mut Vec<u8>) -> bool {
        match self.consumer.try_pop_into(message) {
            Ok(_) => true,
            Err(TryPopError::Empty) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn laps_after(&self) -> u64 {
        self.messages
    }

    fn push_all(&mut self, size: usize, numbers: Range<u64>) {
        let mut batch = vec![zeroed(size); BATCH];
        for first in numbers.clone().step_by(BATCH) {
            let count = BATCH.min((numbers.end - first) as usize);
            for (message, number) in batch.iter_mut().zip(first..) {
                stamp(message, number);
            }
            match BATCH {
                1 => self.push(black_box(&batch[0])),
                _ => drop(self.producer.push_batch(black_box(&batch[..count])).unwrap()),
            }
        }
    }

    fn pop_all(&mut self, count: u64, tally: &mut Tally) {
        if BATCH == 1 {
            return one_by_one(self, count, tally);
        }
        let mut left = count as usize;
        while left > 0 {
            let popped = self.consumer.try_drain(BATCH.min(left), |message| tally.see(message));
            left -= popped.expect("messages that were pushed are there");
        }
    }
}
