//! What the two processes of a measurement, and the one that started them, tell each other besides messages.

use crate::mapping::{Mapping, Shared};
use crossbeam_utils::{Backoff, CachePadded};
use harness::message::Tally;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// Samples that one measurement has room for.
pub const SAMPLES: usize = 1 << 16;

/// The words, each in a line of its own so that who polls one does not slow down who writes another.
#[repr(C)]
pub struct Words {
    arrived: CachePadded<AtomicU64>,
    /// When the first message was about to be sent, and when the last had been received.
    pub begun: CachePadded<AtomicU64>,
    pub ended: CachePadded<AtomicU64>,
    /// When the latest message was about to be sent.
    pub sent: CachePadded<AtomicU64>,
    /// Messages so far, and the sum of their contents.
    pub received: CachePadded<AtomicU64>,
    pub sum: CachePadded<AtomicU64>,
    /// The process that is to be killed, once it holds something.
    pub victim: CachePadded<AtomicU64>,
    /// Not zero: somebody is about to wait for what it holds.
    pub blocked: CachePadded<AtomicU64>,
    samples: [AtomicU64; SAMPLES],
}

// SAFETY: atomic integers all through.
unsafe impl Shared for Words {}

/// One process's view of the words.
pub struct Control(Mapping<Words>);

impl Control {
    pub const LEN: usize = size_of::<Words>();

    pub fn new(file: &impl AsRawFd) -> io::Result<Control> {
        Mapping::new(file, 1).map(Control)
    }

    /// Waits until both processes have come here for the `nth` time, from 1.
    pub fn meet(&self, nth: u64) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        wait_for(&self.arrived, |arrived| arrived >= 2 * nth);
    }

    /// Adds what one side has received.
    pub fn report(&self, tally: Tally) {
        self.received.fetch_add(tally.count, Ordering::Relaxed);
        self.sum.fetch_add(tally.sum, Ordering::Relaxed);
    }

    pub fn tally(&self) -> Tally {
        Tally { count: self.received.load(Ordering::Relaxed), sum: self.sum.load(Ordering::Relaxed) }
    }

    pub fn sample(&self, index: usize, nanos: u64) {
        self.samples[index].store(nanos, Ordering::Relaxed);
    }

    pub fn samples(&self, count: usize) -> impl Iterator<Item = u64> {
        self.samples[..count].iter().map(|sample| sample.load(Ordering::Relaxed))
    }
}

impl Deref for Control {
    type Target = Words;

    fn deref(&self) -> &Words {
        &self.0[0]
    }
}

/// Looks at a word until it is as wanted.
pub fn wait_for(word: &AtomicU64, is_wanted: impl Fn(u64) -> bool) -> u64 {
    let backoff = Backoff::new();
    loop {
        let value = word.load(Ordering::Acquire);
        if is_wanted(value) {
            return value;
        }
        backoff.snooze();
    }
}

/// Nanoseconds of the clock that all processes share.
#[inline(always)]
pub fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct outlives the call, which cannot fail for a clock that exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
