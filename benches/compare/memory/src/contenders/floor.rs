//! The least that a queue can cost: a ring of cells with one producer and one consumer, who remember each other's cursor as they last saw it. It counts on
//! being used correctly.

use crate::measure::{Case, Ends, Receiver, Sender};
use crossbeam_utils::CachePadded;
use harness::message::{Tally, message};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Memory that begins where a cache line does.
type Lines = Box<[UnsafeCell<CachePadded<[u8; LINE]>>]>;

const LINE: usize = 128;

struct Ring<const N: usize> {
    /// Cells of `N` bytes, one after the other.
    lines: Lines,
    /// A power of two.
    cells: usize,
    pushed: CachePadded<AtomicUsize>,
    popped: CachePadded<AtomicUsize>,
    is_finished: CachePadded<AtomicBool>,
}

// SAFETY: a cell is the producer's alone until it has stored a higher `pushed`, then the consumer's alone until that has stored a higher `popped`.
unsafe impl<const N: usize> Sync for Ring<N> {}

impl<const N: usize> Ring<N> {
    fn cell(&self, position: usize) -> *mut [u8; N] {
        let offset = (position & (self.cells - 1)) * N;
        self.lines.as_ptr().cast::<u8>().cast_mut().wrapping_add(offset).cast()
    }
}

struct Producer<const N: usize> {
    ring: Arc<Ring<N>>,
    pushed: usize,
    popped: usize,
}

struct Consumer<const N: usize, const IN_PLACE: bool> {
    ring: Arc<Ring<N>>,
    pushed: usize,
    popped: usize,
    batch: usize,
    message: Box<[u8; N]>,
}

impl<const N: usize> Sender for Producer<N> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        let room = |popped| popped + self.ring.cells - self.pushed;
        while room(self.popped) < (numbers.end - numbers.start) as usize {
            spin_loop();
            self.popped = self.ring.popped.load(Ordering::Acquire);
        }
        for number in numbers {
            let message = message(number);
            // SAFETY: the cell lies inside the lines, and the consumer has finished it.
            unsafe { ptr::copy_nonoverlapping(&raw const message, self.ring.cell(self.pushed), 1) };
            self.pushed += 1;
        }
        self.ring.pushed.store(self.pushed, Ordering::Release);
    }

    fn finish(self) {
        self.ring.is_finished.store(true, Ordering::Release);
    }
}

impl<const N: usize, const IN_PLACE: bool> Receiver for Consumer<N, IN_PLACE> {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        while self.pushed == self.popped {
            let is_last_look = self.ring.is_finished.load(Ordering::Acquire);
            self.pushed = self.ring.pushed.load(Ordering::Acquire);
            if self.pushed == self.popped {
                if is_last_look {
                    return false;
                }
                spin_loop();
            }
        }
        let end = self.pushed.min(self.popped + self.batch);
        while self.popped < end {
            let cell = self.ring.cell(self.popped);
            if IN_PLACE {
                // SAFETY: the cell lies inside the lines, and the producer has written it and will not before `popped` is stored.
                tally.see(unsafe { &*cell });
            } else {
                // SAFETY: the same.
                unsafe { ptr::copy_nonoverlapping(cell, &raw mut *self.message, 1) };
                tally.see(&*self.message);
            }
            self.popped += 1;
        }
        self.ring.popped.store(self.popped, Ordering::Release);
        true
    }
}

/// Copied in and copied out.
pub fn copies<const N: usize>(case: &Case) -> Ends<impl Sender, impl Receiver> {
    ends::<N, false>(case, 1)
}

/// Copied in, and read in place by so many.
pub fn reads<const N: usize>(case: &Case, batch: usize) -> Ends<impl Sender, impl Receiver> {
    ends::<N, true>(case, batch)
}

fn ends<const N: usize, const IN_PLACE: bool>(
    case: &Case,
    batch: usize,
) -> Ends<Producer<N>, Consumer<N, IN_PLACE>> {
    assert!(case.ring.is_power_of_two() && (case.ring * N).is_multiple_of(LINE));
    let ring = Arc::new(Ring {
        lines: (0..case.ring * N / LINE).map(|_| UnsafeCell::new(CachePadded::new([0; LINE]))).collect(),
        cells: case.ring,
        pushed: CachePadded::default(),
        popped: CachePadded::default(),
        is_finished: CachePadded::default(),
    });
    let (pushed, popped) = (0, 0);
    Ends {
        senders: vec![Producer { ring: ring.clone(), pushed, popped }],
        receivers: vec![Consumer { ring, pushed, popped, batch, message: Box::new([0; N]) }],
        batch: batch as u64,
    }
}
