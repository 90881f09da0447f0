//! A round: one queue of some shape, and the end that it must come to.

use crate::common::Random;
use crate::ledger::{Call, Ledger, Taker};
use ringfile::{AttachError, Claim, Options, Position, Queue, TryPopError, TryPushError};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// So long may the living be held up, on a machine that is busy with something else.
pub const LIVELY: Duration = Duration::from_secs(5);

/// All of it follows from the seed.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub seed: u64,
    pub workers: u64,
    claim: Claim,
    cells: u64,
    /// Then a message is set aside; 0: never.
    max_deliveries: u32,
}

impl Round {
    pub fn new(seed: u64, workers: u64) -> Round {
        let mut random = Random(seed);
        // One after the other, and a lap of few cells often.
        let claim = if seed & 1 == 0 { Claim::Ordered } else { Claim::Ticketed };
        let cells = 4 << (2 * random.below(4));
        Round { seed, workers, claim, cells, max_deliveries: random.below(4) as u32 }
    }

    pub fn in_order(&self) -> bool {
        self.claim == Claim::Ordered
    }

    /// The most messages of a batch that is pushed: it must fit, and were they all of the longest.
    pub fn batch(&self) -> u64 {
        (self.cells / 2).min(self.capacity() / 256 - 2)
    }

    fn capacity(&self) -> u64 {
        (self.cells * 64).max(4096)
    }

    /// More places than workers, so that those of the dead are needed before long, and not at once.
    fn participants(&self) -> u32 {
        self.workers as u32 + 1
    }

    pub fn options(&self) -> Options {
        let mut options = Queue::options();
        options
            .messages(self.cells)
            .capacity(self.capacity() as usize)
            .cell_size(64)
            .claim(self.claim)
            .max_deliveries(self.max_deliveries)
            .participants(self.participants());
        options
    }

    /// Takes the dead letters that are there, each once: one that was killed while it set a message aside may have been the first of two. `seen` says
    /// where those came from that have been taken.
    pub fn take_letters(&self, queue: &Queue, ledger: &Ledger, worker: u64, seen: &mut HashSet<Position>) {
        let Some(mut consumer) = queue.dead_letters().ok().and_then(|letters| letters.consumer().ok()) else {
            return;
        };
        let mut taker = Taker::new(ledger, worker, false);
        while let Ok(letter) = consumer.try_claim() {
            let origin = letter.origin().expect("it was set aside");
            if seen.insert(origin.position) {
                taker.enter(Call::Taking(1));
                taker.took(&letter, Some(origin.position.get()), None);
                taker.finishing(1);
                letter.ack().unwrap();
                taker.finished(1);
            } else {
                letter.ack().unwrap();
            }
        }
    }

    /// Takes what is left, by a consumer that has not been there before.
    pub fn drain(&self, queue: &Queue, ledger: &Ledger, worker: u64, seen: &mut HashSet<Position>) {
        let start = Instant::now();
        let mut consumer = queue.consumer().expect("a place comes free");
        let mut taker = Taker::new(ledger, worker, self.in_order());
        loop {
            assert!(start.elapsed() < LIVELY, "not drained: {}", says(queue));
            self.take_letters(queue, ledger, worker, seen);
            taker.enter(Call::Taking(1));
            match consumer.try_claim() {
                Ok(delivery) => {
                    let position = Some(delivery.position().get());
                    taker.took(&delivery, position, Some(delivery.deliveries().into()));
                    taker.finishing(1);
                    delivery.ack().unwrap();
                    taker.finished(1);
                }
                Err(TryPopError::Closed) => break,
                Err(TryPopError::Empty) if queue.is_empty() => break,
                Err(TryPopError::Empty | TryPopError::Pending) => {}
                Err(error) => panic!("{error}: {}", says(queue)),
            }
        }
        // What was set aside on the way.
        self.take_letters(queue, ledger, worker, seen);
    }

    /// Nothing of the dead is left: all places, all room, and no contradiction.
    pub fn is_as_new(&self, queue: &Queue) {
        queue.recover();
        assert!(queue.unrecovered().is_nothing(), "{}", says(queue));
        assert!(queue.stats().participants.is_empty(), "{}", says(queue));
        let all: Vec<_> =
            (0..self.participants()).map(|_| queue.consumer().expect("a place came back")).collect();
        let full = AttachError::TooManyParticipants { max: self.participants() as usize };
        assert_eq!(queue.producer().err(), Some(full));
        drop(all);
        self.go_round(queue);
        let verified = queue.verify();
        assert!(verified.is_sound(), "{verified:?}");
        assert_eq!(verified.unpublished, 0, "{verified:?}");
    }

    /// The same of the dead letters.
    pub fn letters_are_as_new(&self, queue: &Queue) {
        let Ok(letters) = queue.dead_letters() else {
            return assert_eq!(self.max_deliveries, 0);
        };
        letters.recover();
        assert!(letters.unrecovered().is_nothing() && letters.is_empty(), "{}", says(&letters));
        assert!(letters.stats().participants.is_empty() && letters.verify().is_sound(), "{}", says(&letters));
    }

    /// Laps through all of the cells.
    fn go_round(&self, queue: &Queue) {
        let mut producer = queue.producer().expect("there is a place");
        let mut consumer = queue.consumer().expect("there is a place");
        for lap in 0..2u64 {
            let messages: Vec<_> = (0..self.cells).map(|i| (lap << 32 | i).to_le_bytes().to_vec()).collect();
            for message in &messages {
                producer.try_push(message).expect("there is room for a lap");
            }
            assert_eq!(producer.try_push(b"one more"), Err(TryPushError::Full));
            let mut came: Vec<_> =
                messages.iter().map(|_| consumer.pop_timeout(LIVELY).expect("it is there")).collect();
            if !self.in_order() {
                came.sort_by_key(|message| u64::from_le_bytes(message[..].try_into().expect("eight bytes")));
            }
            assert_eq!(came, messages);
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
    }
}

/// All that a queue says about itself.
pub fn says(queue: &Queue) -> String {
    format!("{:#?}\n{:?}\nowed: {:?}", queue.stats(), queue.verify(), queue.unrecovered())
}
