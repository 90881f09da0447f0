//! How far apart the two cores are at the moment.
//!
//! On virtual machines the host moves the cores: a cache line crosses in 25 ns or in 200, for seconds to minutes at a
//! time, and that changes every figure between two threads many times over. So each measurement is made between two probes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How far a cache line has to go from core to core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    Near,
    Far,
    /// The machine was busy with something else.
    Unclear,
}

impl Distance {
    pub fn name(self) -> &'static str {
        match self {
            Distance::Near => "near",
            Distance::Far => "far",
            Distance::Unclear => "unclear",
        }
    }
}

const LASTS: Duration = Duration::from_millis(1);
const NEAR: f64 = 45.0;
/// Between the two somebody else had one of the cores for a part of the time.
const FAR: f64 = 100.0;
/// More than any two cores are apart: they did not run at the same time.
const BUSY: f64 = 400.0;
/// Round trips between two looks at the clock. Without PAUSE: it costs as much as the way itself.
const LEG: u64 = 32;
const STOP: u64 = u64::MAX;

#[repr(align(128))]
struct Line(AtomicU64);

/// Hands a cache line to and fro between two cores for a millisecond. Returns the nanoseconds of one way.
pub fn one_way() -> f64 {
    let line = Line(AtomicU64::new(0));
    // Both wait by trying to swap: a line that is only read is fetched once to be read and once more to be written.
    let swap = |from, to| line.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            let mut next = 1;
            loop {
                match swap(next, next + 1) {
                    Ok(_) => next += 2,
                    Err(STOP) => break,
                    Err(_) => {}
                }
            }
        });
        let caller = scope.spawn(|| {
            pin(0);
            let mut ways = Vec::new();
            let mut next = 0;
            let begun = Instant::now();
            while begun.elapsed() < LASTS {
                let leg = Instant::now();
                for _ in 0..LEG {
                    while swap(next, next + 1).is_err() {}
                    next += 2;
                }
                ways.push(leg.elapsed().as_nanos() as f64 / (2 * LEG) as f64);
            }
            while swap(next, STOP).is_err() {}
            // The first leg waited for the other thread to start, and others for whoever interrupted.
            ways.sort_by(f64::total_cmp);
            ways[ways.len() / 2]
        });
        caller.join().unwrap()
    })
}

/// Which of the distances that is.
pub fn distance(one_way: f64) -> Distance {
    match one_way {
        near if near < NEAR => Distance::Near,
        far if (FAR..BUSY).contains(&far) => Distance::Far,
        _ => Distance::Unclear,
    }
}

/// Keeps this thread on a core, if there is one of this number; else the probe shows zero distance, which is true.
pub fn pin(core: usize) {
    // SAFETY: the set is a plain value, all zeroes is the empty one, and it outlives the call, whose failure changes nothing.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}
