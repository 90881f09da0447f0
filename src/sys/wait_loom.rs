//! As `wait.rs`, for the model checker: a sleep that nobody ends is a deadlock, which it reports. Naps have no end there, so that
//! nothing but a wake can save a sleeper.

use crate::sync::{AtomicU32, Ordering, fence};
use loom::sync::{Condvar, Mutex};
use std::time::Duration;

loom::lazy_static! {
    /// The kernel's queue of sleepers: those of all words, with the word that each sleeps on.
    static ref QUEUE: (Mutex<Vec<(usize, bool)>>, Condvar) = (Mutex::new(Vec::new()), Condvar::new());
    /// Stands still unless a model moves it: no choice of the checker's.
    static ref CLOCK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
}

pub fn sleep(word: &AtomicU32, expected: u32, _nap: Duration, _shared: bool) {
    let (queue, woken) = &*QUEUE;
    let key = std::ptr::from_ref(word) as usize;
    let mut sleepers = queue.lock().unwrap();
    if word.load(Ordering::Relaxed) != expected {
        return;
    }
    let me = sleepers.len();
    sleepers.push((key, false));
    while !sleepers[me].1 {
        sleepers = woken.wait(sleepers).unwrap();
    }
}

pub fn wake(word: &AtomicU32, count: u32, _shared: bool) -> usize {
    let (queue, woken) = &*QUEUE;
    let key = std::ptr::from_ref(word) as usize;
    let mut sleepers = queue.lock().unwrap();
    let mut ended = 0;
    for sleeper in sleepers.iter_mut().filter(|s| **s == (key, false)).take(count as usize) {
        sleeper.1 = true;
        ended += 1;
    }
    woken.notify_all();
    ended
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
    Duration::from_millis(CLOCK.load(Ordering::Relaxed))
}

pub fn set_clock(since_boot: Duration) {
    CLOCK.store(since_boot.as_millis() as u64, Ordering::Relaxed);
}
