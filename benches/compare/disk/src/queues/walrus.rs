//! walrus: a write-ahead log with a cursor. It learns from the environment in which directory, and the first of its logs to be opened decides how all of a process sync.
//!
//! A pop notes the cursor on the disk, which syncs a file of its own, whatever was said about the log. `AtLeastOnce` notes it less often, but not for what is read from
//! the block that is being written, which is all that a short queue has. Several to a call share it.

use super::{Opened, Queue, Shape, one_by_one};
use harness::message::Tally;
use walrus_rust::{FsyncSchedule, ReadConsistency, Walrus};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    Never,
    EachPush,
}

/// The variables by which it is told where its files lie, and to be quiet.
pub const DIRECTORY: &str = "WALRUS_DATA_DIR";
pub const QUIET: &str = "WALRUS_QUIET";

const TOPIC: &str = "queue";

/// Read so many messages to a call.
struct Log<const BATCH: usize> {
    walrus: Walrus,
    size: usize,
}

pub fn open<const BATCH: usize>(sync: Sync, Shape { size, .. }: Shape) -> Opened {
    let schedule = match sync {
        Sync::Never => FsyncSchedule::NoFsync,
        Sync::EachPush => FsyncSchedule::SyncEach,
    };
    let walrus = Walrus::with_consistency_and_schedule(ReadConsistency::StrictlyAtOnce, schedule)?;
    Ok(Box::new(Log::<BATCH> { walrus, size }))
}

impl<const BATCH: usize> Queue for Log<BATCH> {
    fn push(&mut self, message: &[u8]) {
        self.walrus.append_for_topic(TOPIC, message).unwrap();
    }

    fn pop(&mut self, message: &mut Vec<u8>) -> bool {
        match self.walrus.read_next(TOPIC, true).unwrap() {
            Some(entry) => {
                *message = entry.data;
                true
            }
            None => false,
        }
    }

    fn pop_all(&mut self, count: u64, tally: &mut Tally) {
        if BATCH == 1 {
            return one_by_one(self, count, tally);
        }
        let mut left = count as usize;
        while left > 0 {
            let bytes = BATCH.min(left) * self.size;
            let entries = self.walrus.batch_read_for_topic(TOPIC, bytes, true).unwrap();
            assert!((1..=left).contains(&entries.len()), "messages that were pushed are there");
            left -= entries.len();
            entries.iter().for_each(|entry| tally.see(&entry.data));
        }
    }
}
