//! Pushes at an even rate, and what goes on beside them.

use crate::queues::{stamp, zeroed};
use harness::Histogram;
use harness::probe::pin;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

pub const SIZE: usize = 1024;
const PERIOD: Duration = Duration::from_micros(10);
const LONGEST_NANOS: u64 = 60_000_000_000;

const SYNC_EVERY: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    Nothing,
    /// The file is synced ten times a second.
    Sync,
    /// And another one is written as fast as the disk takes it.
    SyncAndWriter,
}

/// From when on a push takes time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The call alone.
    Call,
    /// The moment at which it was due: those count that a slow one held up, or that came when their thread did not run.
    Due,
}

#[derive(Clone, Copy)]
pub struct Pace {
    pub beside: Beside,
    pub since: Since,
    pub lasts: Duration,
}

/// The files that are written meanwhile.
pub struct Files<'a> {
    pub synced: &'a File,
    pub written: &'a File,
}

impl Pace {
    /// How many pushes are timed.
    pub fn count(self) -> u64 {
        (self.lasts.as_nanos() / PERIOD.as_nanos()) as u64
    }

    /// Pushes a lap as fast as it goes, so that every page has been written; then each message when it is due. Returns the nanoseconds of these.
    pub fn run(self, files: &Files, lap: u64, push: impl FnMut(&[u8]) + Send) -> Histogram<u64> {
        let running = AtomicBool::new(true);
        thread::scope(|scope| {
            if self.beside != Beside::Nothing {
                scope.spawn(|| sync_again_and_again(files.synced, &running));
            }
            if self.beside == Beside::SyncAndWriter {
                scope.spawn(|| write_again_and_again(files.written, &running));
            }
            let pusher = scope.spawn(|| {
                pin(0);
                let nanos = self.push(lap, push);
                running.store(false, Ordering::Relaxed);
                nanos
            });
            pusher.join().unwrap()
        })
    }

    fn push(self, lap: u64, mut push: impl FnMut(&[u8])) -> Histogram<u64> {
        let mut nanos = Histogram::new_with_max(LONGEST_NANOS, 3).expect("these bounds are possible");
        let mut message = zeroed(SIZE);
        for number in 0..lap {
            stamp(&mut message, number);
            push(&message);
        }
        let mut due = Instant::now();
        for number in lap..lap + self.count() {
            due += PERIOD;
            stamp(&mut message, number);
            while Instant::now() < due {
                std::hint::spin_loop();
            }
            let since = match self.since {
                Since::Call => Instant::now(),
                Since::Due => due,
            };
            push(&message);
            nanos.saturating_record(since.elapsed().as_nanos() as u64);
        }
        nanos
    }
}

fn sync_again_and_again(file: &File, running: &AtomicBool) {
    pin(1);
    while running.load(Ordering::Relaxed) {
        sleep(SYNC_EVERY);
        file.sync_data().unwrap();
    }
}

fn write_again_and_again(file: &File, running: &AtomicBool) {
    const CHUNK: usize = 1 << 20;
    const CHUNKS: u64 = 256;
    const TO_A_SYNC: u64 = 16;
    pin(1);
    let chunk = vec![7; CHUNK];
    for number in 0.. {
        if !running.load(Ordering::Relaxed) {
            return;
        }
        file.write_all_at(&chunk, number % CHUNKS * CHUNK as u64).unwrap();
        if number % TO_A_SYNC == TO_A_SYNC - 1 {
            file.sync_data().unwrap();
        }
    }
}
