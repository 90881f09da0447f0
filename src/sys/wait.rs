//! Sleeping on a word and being woken, between processes; and a fence whose price the sleeper pays.

use crate::sync::{AtomicU32, Ordering, fence};
use std::sync::LazyLock;
use std::sync::atomic::compiler_fence;
use std::time::Duration;

/// Sleeps until woken, or for `nap`, unless the word is not `expected` any more. May return early.
pub fn sleep(word: &AtomicU32, expected: u32, nap: Duration, shared: bool) {
    let timeout = libc::timespec {
        tv_sec: nap.as_secs() as libc::time_t,
        tv_nsec: nap.subsec_nanos().into(),
    };
    // SAFETY: the word and the time-out outlive the call. Each error (changed, timed out, interrupted) means the same to the caller.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | private(shared),
            expected,
            &raw const timeout,
        );
    }
}

/// Wakes at most `count` of those who sleep on the word. Returns how many.
pub fn wake(word: &AtomicU32, count: u32, shared: bool) -> usize {
    // SAFETY: the word outlives the call; waking touches nothing.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | private(shared),
            count.min(i32::MAX as u32),
        )
    };
    usize::try_from(woken).unwrap_or(0)
}

fn private(shared: bool) -> i32 {
    if shared { 0 } else { libc::FUTEX_PRIVATE_FLAG }
}

const GLOBAL_EXPEDITED: i32 = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: i32 = 1 << 2;

fn membarrier(command: i32) -> bool {
    // SAFETY: takes no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Whether the kernel fences this process when another asks for it.
static REGISTERED: LazyLock<bool> = LazyLock::new(|| membarrier(REGISTER_GLOBAL_EXPEDITED));

/// The waker's half of a store-then-load against a sleeper's: free where the process is registered.
#[derive(Clone, Copy, Debug)]
pub struct LightFence {
    full: bool,
}

impl LightFence {
    pub fn register() -> LightFence {
        LightFence { full: !*REGISTERED }
    }

    /// Orders the stores before it and the loads after it, as seen by whoever calls [`heavy_fence`].
    #[inline(always)]
    pub fn fence(self) {
        compiler_fence(Ordering::SeqCst);
        if self.full {
            fence(Ordering::SeqCst);
        }
    }
}

/// The sleeper's half: a full fence here and on every core where a registered process runs. False: not to be had.
pub fn heavy_fence() -> bool {
    fence(Ordering::SeqCst);
    membarrier(GLOBAL_EXPEDITED)
}

/// How many processors the machine has.
pub fn processors() -> usize {
    // SAFETY: takes no pointers.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1)
}

/// Time since boot that no clock setting changes, to a few milliseconds.
pub fn clock() -> Duration {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// The same, exactly, in nanoseconds: the clock of [`std::time::Instant`].
pub fn nanos() -> u64 {
    read(libc::CLOCK_MONOTONIC).as_nanos() as u64
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the struct outlives the call. It fails for no clock that exists.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
