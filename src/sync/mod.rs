//! The only place that knows which atomics the protocol runs on: the processor's, or those of the model checker.

mod pair;

pub use pair::{AtomicPair, Pair};

#[cfg(not(ringfile_loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(ringfile_loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A full fence directly behind a swap of this thread's. On x86 the swap is one already, and only the compiler must be told.
#[inline(always)]
pub fn fence_after_swap() {
    #[cfg(all(target_arch = "x86_64", not(any(miri, ringfile_loom))))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(all(target_arch = "x86_64", not(any(miri, ringfile_loom)))))]
    fence(Ordering::SeqCst);
}
