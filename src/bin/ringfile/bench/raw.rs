//! The floor: a ring of one producer and one consumer that does nothing but copy, publish, and wake who sleeps.
//!
//! Each message is published as ringfile's are, at once or with its batch. It survives nobody's death, knows one consumer, and gives no guarantee: what a queue takes
//! beyond that is what its guarantees cost.

use super::clock::Relax;
use super::link::{Link, Rx, Tx};
use super::rings::MESSAGES;
use memmap2::{MmapMut, MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const TAIL: usize = 0;
/// On the tail's line, which whoever finds the ring empty has just read.
const CLOSED: usize = 8;
const HEAD: usize = 128;
const ALARM: usize = 256;
const SLOTS: usize = 384;

/// How an end waits.
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    Spin(Relax),
    Sleep,
}

pub struct Raw {
    map: MmapRaw,
    size: usize,
    wait: Wait,
}

impl Raw {
    pub fn file_len(size: usize) -> usize {
        SLOTS + MESSAGES as usize * size
    }

    /// Between the threads of this process.
    pub fn in_memory(size: usize, wait: Wait) -> io::Result<Raw> {
        Ok(Raw { map: MmapMut::map_anon(Raw::file_len(size))?.into(), size, wait })
    }

    /// Between processes: a file of zeroes of [`Raw::file_len`].
    pub fn map(file: &File, size: usize, wait: Wait) -> io::Result<Raw> {
        let map = MmapOptions::new().len(Raw::file_len(size)).map_raw(file)?;
        Ok(Raw { map, size, wait })
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: inside the mapping, and aligned, since that begins at a page.
        let at = unsafe { self.map.as_mut_ptr().add(offset) };
        // SAFETY: it lives as long as `self`, and nobody touches it otherwise.
        unsafe { AtomicU64::from_ptr(at.cast()) }
    }

    /// Changes whenever somebody is to be woken.
    fn alarm(&self) -> &AtomicU32 {
        // SAFETY: as for `word`.
        let at = unsafe { self.map.as_mut_ptr().add(ALARM) };
        // SAFETY: as for `word`.
        unsafe { AtomicU32::from_ptr(at.cast()) }
    }

    /// The slots, once it is known that they are of this size.
    fn slots<const N: usize>(&self) -> Slots<N> {
        assert_eq!(N, self.size);
        // SAFETY: the mapping is longer than that.
        Slots(unsafe { self.map.as_mut_ptr().add(SLOTS) }.cast())
    }

    fn ring(&self) {
        if matches!(self.wait, Wait::Sleep) {
            self.alarm().fetch_add(1, Ordering::Release);
            // SAFETY: the word outlives the call, and waking touches nothing.
            unsafe { libc::syscall(libc::SYS_futex, self.alarm().as_ptr(), libc::FUTEX_WAKE, 1) };
        }
    }

    /// Waits until `is_so`, for a moment at least.
    fn wait_until(&self, is_so: impl Fn() -> bool) {
        match self.wait {
            Wait::Spin(relax) => relax.once(),
            Wait::Sleep => {
                let seen = self.alarm().load(Ordering::Acquire);
                if !is_so() {
                    let forever = std::ptr::null::<libc::timespec>();
                    let alarm = self.alarm().as_ptr();
                    // SAFETY: the word outlives the call; that it may return early means a look more.
                    unsafe { libc::syscall(libc::SYS_futex, alarm, libc::FUTEX_WAIT, seen, forever) };
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Slots<const N: usize>(*mut [u8; N]);

impl<const N: usize> Slots<N> {
    #[inline(always)]
    fn at(self, position: u64) -> *mut [u8; N] {
        // SAFETY: there are `MESSAGES` of them.
        unsafe { self.0.add((position % MESSAGES) as usize) }
    }
}

impl Link for Raw {
    fn tx<const N: usize>(&self) -> impl Tx<N> {
        let load = |offset| self.word(offset).load(Ordering::Acquire);
        RawTx { raw: self, slots: self.slots::<N>(), tail: load(TAIL), head: load(HEAD) }
    }

    fn rx<const N: usize>(&self) -> impl Rx<N> {
        let head = self.word(HEAD).load(Ordering::Acquire);
        RawRx { raw: self, slots: self.slots::<N>(), head, tail: head }
    }

    fn close(&self) {
        self.word(CLOSED).store(1, Ordering::Release);
        self.ring();
    }

    fn reopen(&self) {
        self.word(CLOSED).store(0, Ordering::Release);
    }
}

struct RawTx<'a, const N: usize> {
    raw: &'a Raw,
    slots: Slots<N>,
    tail: u64,
    /// As it was last seen.
    head: u64,
}

impl<const N: usize> Tx<N> for RawTx<'_, N> {
    #[inline(always)]
    fn send(&mut self, messages: &[[u8; N]]) {
        let end = self.tail + messages.len() as u64;
        while end - self.head > MESSAGES {
            self.head = self.raw.word(HEAD).load(Ordering::Acquire);
            // Where consumers sleep, producers never get that far ahead.
            if let Wait::Spin(relax) = self.raw.wait {
                relax.once();
            }
        }
        for (position, message) in (self.tail..end).zip(messages) {
            let slot = self.slots.at(position);
            // SAFETY: the consumer has left this slot, and comes back when the tail is beyond it.
            unsafe { slot.copy_from_nonoverlapping(message, 1) };
        }
        self.tail = end;
        self.raw.word(TAIL).store(end, Ordering::Release);
        self.raw.ring();
    }
}

struct RawRx<'a, const N: usize> {
    raw: &'a Raw,
    slots: Slots<N>,
    head: u64,
    /// As it was last seen.
    tail: u64,
}

impl<const N: usize> Rx<N> for RawRx<'_, N> {
    #[inline(always)]
    fn receive(&mut self, max: usize, mut see: impl FnMut(&[u8; N])) -> usize {
        let tail = || self.raw.word(TAIL).load(Ordering::Acquire);
        while self.head == self.tail {
            self.tail = tail();
            if self.head == self.tail {
                let is_closed = || self.raw.word(CLOSED).load(Ordering::Acquire) == 1;
                if is_closed() && tail() == self.head {
                    return 0;
                }
                self.raw.wait_until(|| tail() != self.head || is_closed());
            }
        }
        let count = (self.tail - self.head).min(max as u64);
        for position in self.head..self.head + count {
            let slot = self.slots.at(position);
            if max == 1 {
                // SAFETY: the tail is beyond this slot, and the producer comes back when the head is.
                let message = unsafe { slot.read() };
                see(&message);
            } else {
                // SAFETY: as above.
                see(unsafe { &*slot });
            }
        }
        self.head += count;
        self.raw.word(HEAD).store(self.head, Ordering::Release);
        count as usize
    }
}
