//! How long a push takes while the kernel writes the file to the disk: a page that has been written out must be made writable again by whoever writes
//! to it next, which may have to wait for the disk.
//!
//! The pushing thread has a core to itself; what empties the ring and all that goes on beside it have the other. The consumer looks once a millisecond and never sleeps in the
//! queue, so that no push has to wake it.

use crate::paced::{Files, Pace, SIZE};
use crate::places::Places;
use crate::queues::Place;
use harness::Histogram;
use harness::message::Tally;
use harness::probe::pin;
use memmap2::MmapMut;
use ringfile::TryPopError;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

/// Of the ring, and of the map beside it.
const BYTES: usize = 64 << 20;

const LOOK_EVERY: Duration = Duration::from_millis(1);
const BATCH: usize = 64;

/// What the reaper keeps ready: a fifth of what is pushed between two syncs, and ten times what is pushed between two of its passes.
const AHEAD: usize = 2 << 20;
const REAP_EVERY: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Ring(Place),
    /// With its reaper, which has the pages ahead made writable.
    RingReaped(Place),
    /// A mapped file of the same size that is written round and round by memcpy and one store: no consumer, no end, no crash that it would notice.
    Map,
}

/// The nanoseconds of each push.
pub fn run(places: &Places, target: Target, pace: Pace) -> Result<Histogram<u64>, String> {
    let place = match target {
        Target::Ring(place) | Target::RingReaped(place) => place,
        Target::Map => Place::Ext4,
    };
    let dir = places.new_dir(place)?;
    let path = dir.path().join("ring");
    let through = || {
        let written = tempfile::tempfile_in(places.new_dir(Place::Ext4)?.path())?;
        match target {
            Target::Ring(_) => through_ring(&path, &written, pace, 0),
            Target::RingReaped(_) => through_ring(&path, &written, pace, AHEAD),
            Target::Map => through_map(&path, &written, pace),
        }
    };
    through().map_err(|error| error.to_string())
}

/// `ahead`: what a reaper populates; without it there is none.
fn through_ring(
    path: &Path,
    written: &File,
    pace: Pace,
    ahead: usize,
) -> Result<Histogram<u64>, Box<dyn Error>> {
    let lap = (BYTES / SIZE) as u64;
    let mut options = ringfile::Queue::options();
    let queue = options.capacity(BYTES).messages(lap).populate_ahead(ahead).create_new(path)?;
    let synced = File::open(path)?;
    let mut producer = queue.producer()?;
    let (nanos, tally) = thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            pin(1);
            let _reaper = (ahead > 0).then(|| queue.reaper(REAP_EVERY));
            consume(&queue)
        });
        let nanos = pace.run(&Files { synced: &synced, written }, lap, move |message| {
            producer.push(message).unwrap();
        });
        queue.close();
        (nanos, consumer.join().unwrap())
    });
    assert_eq!(tally, Tally::expected(lap + pace.count(), SIZE), "every message arrives once and whole");
    Ok(nanos)
}

fn consume(queue: &ringfile::Queue) -> Tally {
    let mut consumer = queue.consumer().unwrap();
    let mut tally = Tally::default();
    loop {
        match consumer.try_drain(BATCH, |message| tally.see(message)) {
            Ok(_) => {}
            Err(TryPopError::Empty | TryPopError::Pending) => sleep(LOOK_EVERY),
            Err(TryPopError::Closed) => return tally,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A line for the number, counted from one; then the message.
const SLOT: usize = LINE + SIZE;
const LINE: usize = 64;

fn through_map(path: &Path, written: &File, pace: Pace) -> Result<Histogram<u64>, Box<dyn Error>> {
    let synced = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    synced.write_all_at(&vec![0; BYTES], 0)?;
    // SAFETY: nobody else knows this file.
    let mut map = unsafe { MmapMut::map_mut(&synced)? };
    let slots = (BYTES / SLOT) as u64;
    let mut pushed = 0;
    let nanos = pace.run(&Files { synced: &synced, written }, slots, |message| {
        let at = (pushed % slots) as usize * SLOT;
        let slot = &mut map[at..at + SLOT];
        slot[LINE..].copy_from_slice(message);
        // SAFETY: eight bytes at the start of a line, which nobody else accesses.
        let word = unsafe { AtomicU64::from_ptr(slot.as_mut_ptr().cast()) };
        pushed += 1;
        word.store(pushed, Ordering::Release);
    });
    assert_eq!(pushed, slots + pace.count());
    check_last_lap(&map, pushed);
    Ok(nanos)
}

/// Panics unless each slot has its message of the last lap, whole.
fn check_last_lap(map: &[u8], pushed: u64) {
    let slots = (BYTES / SLOT) as u64;
    for (at, slot) in map.chunks_exact(SLOT).enumerate() {
        let (word, message) = slot.split_at(LINE);
        let number = u64::from_le_bytes(word[..8].try_into().expect("eight bytes")) - 1;
        assert!(number >= pushed - slots && number % slots == at as u64, "the last lap is there");
        let mut tally = Tally::default();
        tally.see(message);
        assert_eq!(tally.sum, number * SIZE.div_ceil(LINE) as u64, "each message is whole");
    }
}
