//! The time, alike in all processes.

use std::hint;
use std::thread;

/// Nanoseconds since some moment before the machine started.
#[inline]
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct outlives the call. It fails for no clock that exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What a thread does that waits for another without sleeping.
#[derive(Clone, Copy, Debug)]
pub struct Relax {
    /// Whether the other needs the same core.
    pub yields: bool,
    /// PAUSEs before it looks again. Each costs as much as a cache line's way; but who looks all the time takes the line away from who writes it.
    pub pauses: u32,
}

impl Relax {
    #[inline]
    pub fn once(self) {
        for _ in 0..self.pauses {
            hint::spin_loop();
        }
        if self.yields {
            thread::yield_now();
        }
    }

    pub fn until(self, time: u64) {
        while now() < time {
            self.once();
        }
    }
}
