//! The queues, each behind the same three calls.
//!
//! What each side does when there is nothing for it to do:
//!
//! | | empty, full |
//! |---|---|
//! | ArrayQueue, ringfile `try` | `crossbeam_utils::Backoff::snooze` between looks: PAUSEs, then `sched_yield`, for ever; it never sleeps |
//! | crossbeam-channel, kanal | as they do themselves: they look for some microseconds, then sleep |
//! | ringfile, batches included | `Wait::Adaptive`: as those |
//!
//! `[u8; N]` is copied into and out of the queue, as ringfile copies; `Vec<u8>` is allocated by the producer and freed by the consumer, and
//! only the pointer travels. Batches of ringfile are read where they lie.

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::Backoff;
use std::hint::black_box;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Message `number`: the number at the start of each cache line, so that all of them are written and read.
#[inline(always)]
fn message<const N: usize>(number: u64) -> [u8; N] {
    let mut message = [0; N];
    for line in message.chunks_mut(64) {
        line[..8].copy_from_slice(&number.to_le_bytes());
    }
    black_box(message)
}

/// What has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub sum: u64,
}

impl Tally {
    #[inline(always)]
    fn see(&mut self, message: &[u8]) {
        self.count += 1;
        // Otherwise a message that is returned by value need not be copied whole.
        for line in black_box(message).chunks(64) {
            let number = u64::from_le_bytes(line[..8].try_into().expect("eight bytes"));
            self.sum = self.sum.wrapping_add(number);
        }
    }

    pub fn add(&mut self, other: Tally) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// What the messages `0..count` of `size` bytes come to.
    pub fn expected(count: u64, size: usize) -> Tally {
        let once = (0..count).fold(0u64, u64::wrapping_add);
        Tally { count, sum: once.wrapping_mul(size.div_ceil(64) as u64) }
    }
}

pub trait Queue: Sync {
    /// Messages to a call.
    const BATCH: u64 = 1;
    fn sender(&self) -> impl Sender + Send;
    fn receiver(&self) -> impl Receiver + Send;
    /// Nothing more will be sent.
    fn finish(&self);
}

pub trait Sender {
    /// Sends these messages, at most a batch, waiting while there is no room.
    fn send(&mut self, numbers: Range<u64>);
}

pub trait Receiver {
    /// Receives a message or up to a batch, waiting while there is none. False: finished and empty.
    fn receive(&mut self, tally: &mut Tally) -> bool;
}

/// What a queue of values carries.
pub trait Carried: Send {
    fn make(number: u64) -> Self;
    fn bytes(&self) -> &[u8];
}

impl<const N: usize> Carried for [u8; N] {
    #[inline(always)]
    fn make(number: u64) -> Self {
        message(number)
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// A message of `N` bytes on the heap.
pub struct Boxed<const N: usize>(Vec<u8>);

impl<const N: usize> Carried for Boxed<N> {
    #[inline(always)]
    fn make(number: u64) -> Self {
        Boxed(message::<N>(number).to_vec())
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// crossbeam's ArrayQueue, which has no end of its own.
pub struct Array<T> {
    queue: ArrayQueue<T>,
    finished: AtomicBool,
}

impl<T> Array<T> {
    pub fn new(ring: usize) -> Self {
        Array { queue: ArrayQueue::new(ring), finished: AtomicBool::new(false) }
    }
}

impl<T: Carried> Queue for Array<T> {
    fn sender(&self) -> impl Sender + Send {
        self
    }

    fn receiver(&self) -> impl Receiver + Send {
        self
    }

    fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }
}

impl<T: Carried> Sender for &Array<T> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            let backoff = Backoff::new();
            let mut message = T::make(number);
            while let Err(back) = self.queue.push(message) {
                message = back;
                backoff.snooze();
            }
        }
    }
}

impl<T: Carried> Receiver for &Array<T> {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        let backoff = Backoff::new();
        loop {
            if let Some(message) = self.queue.pop() {
                tally.see(message.bytes());
                return true;
            }
            if self.finished.load(Ordering::Acquire) && self.queue.is_empty() {
                return false;
            }
            backoff.snooze();
        }
    }
}

/// A channel ends when its last sender is dropped; this is the last but for those of the threads.
pub struct Channel<S, R> {
    sender: Mutex<Option<S>>,
    receiver: R,
}

impl<S: Clone, R> Channel<S, R> {
    pub fn new((sender, receiver): (S, R)) -> Self {
        Channel { sender: Mutex::new(Some(sender)), receiver }
    }

    fn clone_sender(&self) -> S {
        let sender = self.sender.lock().unwrap();
        sender.clone().expect("not finished")
    }
}

macro_rules! channel {
    ($($channel:ident),+) => {$(
        impl<T: Carried> Queue for Channel<$channel::Sender<T>, $channel::Receiver<T>> {
            fn sender(&self) -> impl Sender + Send {
                self.clone_sender()
            }

            fn receiver(&self) -> impl Receiver + Send {
                self.receiver.clone()
            }

            fn finish(&self) {
                *self.sender.lock().unwrap() = None;
            }
        }

        impl<T: Carried> Sender for $channel::Sender<T> {
            #[inline]
            fn send(&mut self, numbers: Range<u64>) {
                for number in numbers {
                    assert!($channel::Sender::send(self, T::make(number)).is_ok());
                }
            }
        }

        impl<T: Carried> Receiver for $channel::Receiver<T> {
            #[inline]
            fn receive(&mut self, tally: &mut Tally) -> bool {
                match self.recv() {
                    Ok(message) => {
                        tally.see(message.bytes());
                        true
                    }
                    Err(_) => false,
                }
            }
        }
    )+};
}
channel!(kanal, crossbeam_channel);

/// A ringfile, one message to a call or more.
pub struct Ring<const N: usize, const BATCH: usize, const POLLED: bool>(ringfile::Queue);

impl<const N: usize, const BATCH: usize, const POLLED: bool> Ring<N, BATCH, POLLED> {
    /// `dir`: where its file lies; in memory if there is none.
    pub fn new(ring: usize, dir: Option<&Path>) -> Self {
        let mut options = ringfile::Queue::options();
        options.messages(ring as u64).capacity((ring * N).max(4096));
        Ring(match dir {
            None => options.in_memory().unwrap(),
            Some(dir) => {
                static NEXT: AtomicU64 = AtomicU64::new(0);
                let next = NEXT.fetch_add(1, Ordering::Relaxed);
                let path = dir.join(format!("ringfile-compare-{}-{next}", std::process::id()));
                let queue = options.create_new(&path).unwrap();
                // At once, so that nothing stays behind however this ends.
                std::fs::remove_file(path).unwrap();
                queue
            }
        })
    }
}

impl<const N: usize, const BATCH: usize, const POLLED: bool> Queue for Ring<N, BATCH, POLLED> {
    const BATCH: u64 = BATCH as u64;

    fn sender(&self) -> impl Sender + Send {
        RingSender::<N, BATCH, POLLED>(self.0.producer().unwrap())
    }

    fn receiver(&self) -> impl Receiver + Send {
        RingReceiver::<BATCH, POLLED>(self.0.consumer().unwrap(), Vec::new())
    }

    fn finish(&self) {
        self.0.close();
    }
}

struct RingSender<const N: usize, const BATCH: usize, const POLLED: bool>(ringfile::Producer);

impl<const N: usize, const BATCH: usize, const POLLED: bool> Sender for RingSender<N, BATCH, POLLED> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        if BATCH > 1 {
            let mut batch = [[0; N]; BATCH];
            let count = (numbers.end - numbers.start) as usize;
            for (message, number) in batch.iter_mut().zip(numbers) {
                *message = self::message(number);
            }
            self.0.push_batch(&batch[..count]).unwrap();
            return;
        }
        for number in numbers {
            let message = message::<N>(number);
            if POLLED {
                let backoff = Backoff::new();
                while self.0.try_push(&message).is_err() {
                    backoff.snooze();
                }
            } else {
                self.0.push(&message).unwrap();
            }
        }
    }
}

struct RingReceiver<const BATCH: usize, const POLLED: bool>(ringfile::Consumer, Vec<u8>);

impl<const BATCH: usize, const POLLED: bool> Receiver for RingReceiver<BATCH, POLLED> {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        if BATCH > 1 {
            return self.0.drain(BATCH, |message| tally.see(message)).is_ok();
        }
        let popped = if POLLED {
            let backoff = Backoff::new();
            loop {
                match self.0.try_pop_into(&mut self.1) {
                    Ok(_) => break true,
                    Err(ringfile::TryPopError::Empty | ringfile::TryPopError::Pending) => {
                        backoff.snooze();
                    }
                    Err(_) => break false,
                }
            }
        } else {
            self.0.pop_into(&mut self.1).is_ok()
        };
        if popped {
            tally.see(&self.1);
        }
        popped
    }
}
