//! As `wait.rs`, for an interpreter that has no membarrier and runs one process: both halves fence, and a sleep is a short one.

use crate::sync::{AtomicU32, Ordering, fence};
use std::time::Duration;

pub fn sleep(word: &AtomicU32, expected: u32, nap: Duration, _shared: bool) {
    if word.load(Ordering::Relaxed) == expected {
        std::thread::sleep(nap.min(Duration::from_micros(50)));
    }
}

pub fn wake(_word: &AtomicU32, _count: u32, _shared: bool) -> usize {
    0
}

#[derive(Clone, Copy, Debug)]
pub struct LightFence;

impl LightFence {
    pub fn register() -> LightFence {
        LightFence
    }

    pub fn fence(self) {
        fence(Ordering::SeqCst);
    }
}

pub fn heavy_fence() -> bool {
    fence(Ordering::SeqCst);
    true
}

pub fn clock() -> Duration {
    Duration::ZERO
}

pub fn nanos() -> u64 {
    0
}

pub fn processors() -> usize {
    2
}
