//! A ringfile, by each of its kinds of calls.

use crate::measure::{Case, Ends, Receiver, Sender};
use crossbeam_utils::Backoff;
use harness::message::{Tally, fill, message};
use ringfile::{Claim, Consumer, Options, Producer, Queue, TryPopError};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Where a ring lies.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Memory,
    Tmpfs,
    /// The temporary directory, which `TMPDIR` moves.
    Disk,
}

impl Place {
    pub fn create(self, options: &Options) -> Result<Queue, String> {
        let dir: PathBuf = match self {
            Place::Memory => return options.in_memory().map_err(|error| error.to_string()),
            Place::Tmpfs => Path::new("/dev/shm").into(),
            Place::Disk => std::env::temp_dir(),
        };
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("ringfile-compare-{}-{next}", std::process::id()));
        let of_path = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let queue = options.create_new(&path).map_err(|error| of_path(&error))?;
        // At once, so that nothing stays behind however this ends.
        fs::remove_file(&path).map_err(|error| of_path(&error))?;
        Ok(queue)
    }
}

/// Messages up to this length fit cells of 64 bytes.
pub const SMALL: usize = 32;

fn options<const N: usize>(case: &Case, claim: Claim) -> Options {
    let mut options = Queue::options();
    options.messages(case.ring as u64).capacity((case.ring * N).max(4096)).claim(claim);
    options
}

/// A queue, and how many will still push.
#[derive(Clone)]
struct Closing(Queue, Arc<AtomicUsize>);

impl Closing {
    fn one_finished(&self) {
        // Whoever is last: another thread would have to be woken first.
        if self.1.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.close();
        }
    }
}

struct Pushing<const N: usize>(Producer, Closing);
struct Popping(Consumer, Vec<u8>);

struct TryPushing<const N: usize>(Producer, Closing);
struct TryPopping(Consumer, Vec<u8>);

struct Reserving<const N: usize>(Producer, Closing);
struct Claiming(Consumer);

struct PushingBatches<const N: usize>(Producer, Closing, Vec<[u8; N]>);
struct Draining(Consumer, usize);

impl<const N: usize> Sender for Pushing<N> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            self.0.push(&message::<N>(number)).unwrap();
        }
    }

    fn finish(self) {
        self.1.one_finished();
    }
}

impl Receiver for Popping {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        let popped = self.0.pop_into(&mut self.1).is_ok();
        if popped {
            tally.see(&self.1);
        }
        popped
    }
}

impl<const N: usize> Sender for TryPushing<N> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            let message = message::<N>(number);
            let backoff = Backoff::new();
            while self.0.try_push(&message).is_err() {
                backoff.snooze();
            }
        }
    }

    fn finish(self) {
        self.1.one_finished();
    }
}

impl Receiver for TryPopping {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        let backoff = Backoff::new();
        loop {
            match self.0.try_pop_into(&mut self.1) {
                Ok(_) => {
                    tally.see(&self.1);
                    return true;
                }
                Err(TryPopError::Empty | TryPopError::Pending) => backoff.snooze(),
                Err(_) => return false,
            }
        }
    }
}

impl<const N: usize> Sender for Reserving<N> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            let mut place = self.0.reserve(N).unwrap();
            fill(&mut place, number);
            place.commit();
        }
    }

    fn finish(self) {
        self.1.one_finished();
    }
}

impl Receiver for Claiming {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        let Ok(delivery) = self.0.claim() else { return false };
        tally.see(&delivery);
        delivery.ack().expect("without a lease nothing expires");
        true
    }
}

impl<const N: usize> Sender for PushingBatches<N> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        let count = (numbers.end - numbers.start) as usize;
        for (message, number) in self.2.iter_mut().zip(numbers) {
            fill(message, number);
        }
        self.0.push_batch(&self.2[..count]).unwrap();
    }

    fn finish(self) {
        self.1.one_finished();
    }
}

impl Receiver for Draining {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        self.0.drain(self.1, |message| tally.see(message)).is_ok()
    }
}

fn ends<S: Sender, R: Receiver>(
    case: &Case,
    queue: Result<Queue, String>,
    mut sender: impl FnMut(Producer, Closing) -> S,
    mut receiver: impl FnMut(Consumer) -> R,
) -> Ends<S, R> {
    let queue = queue.expect("room for a ring");
    let closing = Closing(queue.clone(), Arc::new(AtomicUsize::new(case.shape.producers.max(1))));
    Ends::new(
        case,
        || sender(queue.producer().unwrap(), closing.clone()),
        || receiver(queue.consumer().unwrap()),
    )
}

pub fn single<const N: usize>(case: &Case, place: Place, claim: Claim) -> Ends<impl Sender, impl Receiver> {
    let queue = place.create(&options::<N>(case, claim));
    ends(case, queue, Pushing::<N>, |consumer| Popping(consumer, Vec::new()))
}

pub fn single_in_small_cells<const N: usize>(case: &Case) -> Ends<impl Sender, impl Receiver> {
    let queue = Place::Memory.create(options::<N>(case, Claim::Ordered).cell_size(64));
    ends(case, queue, Pushing::<N>, |consumer| Popping(consumer, Vec::new()))
}

pub fn trying<const N: usize>(case: &Case, place: Place) -> Ends<impl Sender, impl Receiver> {
    let queue = place.create(&options::<N>(case, Claim::Ordered));
    ends(case, queue, TryPushing::<N>, |consumer| TryPopping(consumer, Vec::new()))
}

pub fn in_place<const N: usize>(case: &Case, place: Place) -> Ends<impl Sender, impl Receiver> {
    let queue = place.create(&options::<N>(case, Claim::Ordered));
    ends(case, queue, Reserving::<N>, Claiming)
}

pub fn batches<const N: usize>(
    case: &Case,
    place: Place,
    claim: Claim,
    batch: usize,
) -> Ends<impl Sender, impl Receiver> {
    let queue = place.create(&options::<N>(case, claim));
    let pushing = |producer, closing| PushingBatches(producer, closing, vec![[0; N]; batch]);
    ends(case, queue, pushing, |consumer| Draining(consumer, batch)).by(batch)
}
