//! The only place that knows which atomics the protocol runs on: the processor's, or those of the model checker.

mod pair;

pub use pair::{AtomicPair, Pair};

#[cfg(not(ringfile_loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(ringfile_loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
