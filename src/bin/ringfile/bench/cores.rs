//! The two cores between which is measured, and how far apart they are at the moment.
//!
//! On virtual machines the host moves the cores: a cache line crosses in 25 ns or in 200, for seconds to minutes at a time, and that
//! changes every figure between two threads many times over. So each measurement is made between two probes.

use super::clock::now;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Whom a figure is about. Those of one thread are about no distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distance {
    OneThread,
    Near,
    Far,
    /// Two threads that share the only core there is.
    OneCore,
}

impl Distance {
    pub fn name(self) -> &'static str {
        match self {
            Distance::OneThread => "one thread",
            Distance::Near => "near",
            Distance::Far => "far",
            Distance::OneCore => "one core",
        }
    }
}

/// In nanoseconds, for a cache line.
const FAR: f64 = 90.0;
/// No two cores are as far apart: they did not run at the same time.
const BUSY: f64 = 500.0;
/// Two probes that differ by more are of different distances, or of a machine that is busy.
const SAME: f64 = 1.5;

const LASTS: u64 = 1_000_000;
/// Where others have the cores for most of the time, it takes longer to see them both at work.
const LASTS_BUSY: u64 = 30_000_000;
const ENOUGH_LEGS: usize = 16;
/// Round trips between two looks at the clock. Without PAUSE: it costs as much as the way itself.
const LEG: u64 = 32;
const STOP: u64 = u64::MAX;

#[derive(Clone, Copy)]
pub struct Cores {
    pub here: usize,
    pub there: usize,
    allowed: libc::cpu_set_t,
}

#[repr(align(128))]
struct Line(AtomicU64);

impl Cores {
    /// The first that this process may use, and the next that shares no core with it, if there are such.
    pub fn choose() -> Cores {
        let allowed = affinity();
        // SAFETY: a plain value and a number within it.
        let is_allowed = |&cpu: &usize| unsafe { libc::CPU_ISSET(cpu, &allowed) };
        let cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(is_allowed).collect();
        let here = cpus.first().copied().unwrap_or(0);
        let apart = cpus.iter().skip(1).find(|&&cpu| siblings(cpu) != siblings(here));
        let there = apart.or(cpus.get(1)).copied().unwrap_or(here);
        Cores { here, there, allowed }
    }

    pub fn is_one(&self) -> bool {
        self.here == self.there
    }

    /// Lets this thread run where the process may.
    pub fn roam(&self) {
        set_affinity(&self.allowed);
    }

    /// The nanoseconds in which a cache line crosses, if there is a way to cross.
    pub fn probe(&self) -> Option<f64> {
        (!self.is_one()).then(|| one_way(self))
    }

    /// How far apart the cores were between two probes; none if that changed or the machine was busy with something else.
    pub fn distance(&self, before: Option<f64>, after: Option<f64>) -> Option<Distance> {
        let Some((before, after)) = before.zip(after) else {
            return Some(Distance::OneCore);
        };
        let (least, most) = (before.min(after), before.max(after));
        if most > SAME * least || most >= BUSY {
            None
        } else if most < FAR {
            Some(Distance::Near)
        } else {
            (least >= FAR).then_some(Distance::Far)
        }
    }
}

/// Hands a cache line to and fro. A quarter of the time at least it was undisturbed.
fn one_way(cores: &Cores) -> f64 {
    let line = Line(AtomicU64::new(0));
    // Both wait by trying to swap: a line that is only read is fetched once to be read and once more to be written.
    let swap = |from, to| line.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(cores.there);
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
            pin(cores.here);
            let mut ways = Vec::new();
            let mut next = 0;
            let (begun, mut last) = (now(), now());
            while last - begun < LASTS || ways.len() < ENOUGH_LEGS && last - begun < LASTS_BUSY {
                for _ in 0..LEG {
                    while swap(next, next + 1).is_err() {}
                    next += 2;
                }
                let leg = now() - last;
                last += leg;
                ways.push(leg as f64 / (2 * LEG) as f64);
            }
            while swap(next, STOP).is_err() {}
            ways.sort_by(f64::total_cmp);
            ways[ways.len() / 4]
        });
        caller.join().expect("the probe does not panic")
    })
}

/// The processors that are threads of the same core, as the kernel lists them; nothing where it does not.
fn siblings(cpu: usize) -> String {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    fs::read_to_string(path).unwrap_or_default()
}

/// Keeps this thread, and those that it starts, on a core.
pub fn pin(core: usize) {
    let mut set = empty();
    // SAFETY: a plain value and a number within it.
    unsafe { libc::CPU_SET(core, &mut set) };
    set_affinity(&set);
}

fn empty() -> libc::cpu_set_t {
    // SAFETY: a plain value, for which all zeroes is the empty set.
    unsafe { std::mem::zeroed() }
}

fn affinity() -> libc::cpu_set_t {
    let mut set = empty();
    // SAFETY: the set outlives the call. Where it fails, the set stays empty.
    unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    set
}

fn set_affinity(set: &libc::cpu_set_t) {
    // SAFETY: the set outlives the call. If it fails, the thread runs where it may, and the probes tell how far apart that is.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_probes_that_differ_is_of_no_distance() {
        let cores = Cores { here: 0, there: 1, allowed: empty() };
        let distance = |before, after| cores.distance(Some(before), Some(after));
        assert_eq!(distance(24.0, 27.0), Some(Distance::Near));
        assert_eq!(distance(210.0, 195.0), Some(Distance::Far));
        for (before, after) in
            [(25.0, 200.0), (200.0, 25.0), (24.0, 40.0), (85.0, 95.0), (20_000.0, 20_000.0)]
        {
            assert_eq!(distance(before, after), None);
        }
        assert_eq!(cores.distance(None, None), Some(Distance::OneCore));
    }
}
