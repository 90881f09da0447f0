//! The floor: one producer, one consumer, and nothing but copying and a word to say how far.

use super::{Link, Mapping, Queue, Receiver, Refusal, Sender, io};
use crate::mapping::{Shared, anonymous};
use crossbeam_utils::CachePadded;
use harness::message::{self, Tally};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a message is copied.
pub trait Copies {
    /// # Safety
    ///
    /// As [`std::ptr::copy_nonoverlapping`]; both ends are aligned to 8 bytes, of which `N` is a multiple.
    unsafe fn into_ring<const N: usize>(to: *mut [u8; N], from: &[u8; N]);
}

/// As the compiler likes: `memcpy` for what is long.
pub struct Forward;

impl Copies for Forward {
    #[inline(always)]
    unsafe fn into_ring<const N: usize>(to: *mut [u8; N], from: &[u8; N]) {
        // SAFETY: of the caller.
        unsafe { to.write(*from) };
    }
}

/// `rep movsb`, which need not read the lines that it overwrites.
pub struct Moves;

impl Copies for Moves {
    #[inline(always)]
    unsafe fn into_ring<const N: usize>(to: *mut [u8; N], from: &[u8; N]) {
        // SAFETY: of the caller; the direction flag is clear in Rust code.
        unsafe {
            std::arch::asm!(
                "rep movsb",
                inout("rcx") N => _,
                inout("rdi") to => _,
                inout("rsi") from => _,
                options(nostack, preserves_flags),
            );
        }
    }
}

/// Stores that go past the caches.
pub struct NonTemporal;

impl Copies for NonTemporal {
    #[inline(always)]
    unsafe fn into_ring<const N: usize>(to: *mut [u8; N], from: &[u8; N]) {
        for (i, word) in from.chunks_exact(8).enumerate() {
            let word = i64::from_ne_bytes(word.try_into().expect("eight bytes"));
            // SAFETY: of the caller.
            unsafe { std::arch::x86_64::_mm_stream_si64(to.cast::<i64>().add(i), word) };
        }
        // SAFETY: the processor has it. Such stores are ordered by nothing else.
        unsafe { std::arch::x86_64::_mm_sfence() };
    }
}

#[repr(C)]
struct Cursors {
    tail: CachePadded<AtomicU64>,
    head: CachePadded<AtomicU64>,
}

// SAFETY: atomic integers.
unsafe impl Shared for Cursors {}

#[repr(align(8))]
struct Cell<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: the cursors say whose turn a cell is.
unsafe impl<const N: usize> Sync for Cell<N> {}
// SAFETY: bytes, synchronised by the cursors.
unsafe impl<const N: usize> Shared for Cell<N> {}

/// `PAUSES` after a look in vain.
pub struct Raw<const N: usize, const PAUSES: usize, C>(PhantomData<C>);

impl<const N: usize, const PAUSES: usize, C: Copies> Queue for Raw<N, PAUSES, C> {
    fn prepare(link: &Link) -> Result<Vec<OwnedFd>, Refusal> {
        Ok(vec![anonymous(size_of::<Cursors>())?, anonymous(link.shape.ring * N)?])
    }

    fn sender(link: Link) -> Result<impl Sender, Refusal> {
        Ok(RawSender::<N, PAUSES, C> { end: End::new(&link)?, tail: 0, head: 0, copies: PhantomData })
    }

    fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
        Ok(RawReceiver::<N, PAUSES> { end: End::new(&link)?, tail: 0, head: 0, told: 0 })
    }
}

struct End<const N: usize> {
    cursors: Mapping<Cursors>,
    cells: Mapping<Cell<N>>,
    ring: u64,
}

impl<const N: usize> End<N> {
    fn new(link: &Link) -> io::Result<End<N>> {
        let ring = link.shape.ring;
        assert!(ring.is_power_of_two());
        Ok(End {
            cursors: Mapping::new(&link.files[0], 1)?,
            cells: Mapping::new(&link.files[1], ring)?,
            ring: ring as u64,
        })
    }

    #[inline(always)]
    fn cell(&self, position: u64) -> *mut [u8; N] {
        self.cells[(position & (self.ring - 1)) as usize].0.get()
    }
}

/// Reads a cursor; leaves its line to the writer for a while if it is where it was.
#[inline(always)]
fn look<const PAUSES: usize>(cursor: &AtomicU64, last: u64) -> u64 {
    let found = cursor.load(Ordering::Acquire);
    if found == last {
        (0..PAUSES).for_each(|_| spin_loop());
    }
    found
}

struct RawSender<const N: usize, const PAUSES: usize, C> {
    end: End<N>,
    tail: u64,
    /// As far as the receiver had come at the last look.
    head: u64,
    copies: PhantomData<C>,
}

impl<const N: usize, const PAUSES: usize, C: Copies> Sender for RawSender<N, PAUSES, C> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        let Cursors { tail, head } = &self.end.cursors[0];
        for number in numbers {
            while self.tail - self.head == self.end.ring {
                self.head = look::<PAUSES>(head, self.head);
            }
            let message = message::message(number);
            // SAFETY: the receiver is done with the cell, which is aligned and of this size.
            unsafe { C::into_ring(self.end.cell(self.tail), &message) };
            self.tail += 1;
            tail.store(self.tail, Ordering::Release);
        }
    }
}

struct RawReceiver<const N: usize, const PAUSES: usize> {
    end: End<N>,
    head: u64,
    /// As far as the sender had come at the last look.
    tail: u64,
    /// The head that the sender knows of.
    told: u64,
}

impl<const N: usize, const PAUSES: usize> Receiver for RawReceiver<N, PAUSES> {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) {
        let Cursors { tail, head } = &self.end.cursors[0];
        // The sender hears of free cells by the eighth of a ring: it would fetch the line for each otherwise.
        if self.head - self.told >= self.end.ring / 8 {
            head.store(self.head, Ordering::Release);
            self.told = self.head;
        }
        while self.tail == self.head {
            self.tail = look::<PAUSES>(tail, self.tail);
        }
        // SAFETY: the sender has written the cell and leaves it alone until it is told of a head beyond it.
        let message = unsafe { self.end.cell(self.head).read() };
        self.head += 1;
        tally.see(&message);
    }
}
