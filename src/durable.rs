//! Durability: who has messages on the disk, and when; and what happens when the disk fails.
//!
//! Whoever waits for the disk waits for a *round* that began after its message was published. One of those who wait leads it and syncs for all; who finds a leader that is
//! paused or dead leads the next. So nobody waits for long for anybody but the disk. `docs/protocol.md`, section 14.

use crate::error::SyncError;
use crate::file::Attachment;
use crate::file::layout::{PAGE, UNIT, cursor};
use crate::ring::Ring;
use crate::ring::words::Unit;
use crate::shared::Shared;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::sys::{file, wait};
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What a message outlives, by the time that its push returns. Chosen at each open, for what is pushed and popped through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Every process, but not a failure of the power or of the kernel: what was neither synced by [`Queue::sync`](crate::Queue::sync) nor written back by the kernel is gone then, and
    /// messages may come that were only written in part. Costs nothing.
    #[default]
    Process,
    /// A failure of the power too, once this time has passed: a thread syncs that often if there is anything to sync. Each message carries a checksum, which is looked at before the message is handed out.
    Interval(Duration),
    /// A failure of the power too: every push waits for the disk. Each message carries a checksum, which is looked at before the message is handed out.
    Always,
}

/// A paused leader is waited for so long at first.
const PATIENCE: Duration = Duration::from_millis(10);

/// A checkpoint is written by the way if the last one is so old, where every push is synced.
const STALE: Duration = Duration::from_secs(1);

/// What an open knows of its own syncs.
#[derive(Debug, Default)]
pub struct Syncs {
    /// Whether it has led a round.
    has_led: AtomicBool,
    /// When a checkpoint was last written by the way, in nanoseconds of the monotonic clock.
    checkpointed: AtomicU64,
    /// Where what is pushed is synced every so often.
    pub syncer: OnceLock<Syncer>,
}

/// The words of the ring that say who syncs.
struct Rounds<'a>(&'a Ring);

impl Rounds<'_> {
    fn word(&self, offset: usize) -> &AtomicU64 {
        self.0.region().word(offset)
    }

    /// Odd while somebody leads one.
    fn now(&self) -> &AtomicU64 {
        self.word(cursor::SYNC_ROUND)
    }

    /// The last one that was finished: everything is on the disk that was published when it began.
    fn done(&self) -> &AtomicU64 {
        self.word(cursor::SYNC_DONE)
    }

    /// Everything below is on the disk.
    fn durable(&self) -> &AtomicU64 {
        self.word(cursor::DURABLE)
    }

    fn futex(&self) -> &AtomicU32 {
        self.0.region().half(cursor::SYNC_FUTEX)
    }

    fn swap(&self, from: u64, to: u64) -> bool {
        self.now().compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Shared {
    /// The attachment, if there is a file behind it, and this is the process that opened it.
    fn file(&self) -> Option<&Attachment> {
        self.attachment.as_ref().filter(|attachment| attachment.is_ours())
    }

    /// The same, if the file is on a disk.
    fn disk(&self) -> Result<&Attachment, SyncError> {
        self.file().filter(|attachment| !attachment.is_volatile()).ok_or(SyncError::Unsupported)
    }

    /// An error if the disk has failed.
    pub fn check_disk(&self) -> Result<(), SyncError> {
        match self.ring.failed().load(Ordering::Acquire) {
            0 => Ok(()),
            code => Err(SyncError::Failed { code: code as i32 }),
        }
    }

    /// Waits until everything is on the disk that was published before the call.
    pub fn await_disk(&self) -> Result<(), SyncError> {
        let disk = self.disk()?;
        let rounds = Rounds(&self.ring);
        // A swap, so that who begins a later round sees what was published before it.
        let seen = rounds.now().fetch_add(0, Ordering::AcqRel);
        // Of one that is under way nobody knows whether it began in time.
        let wanted = (seen | 1).wrapping_add(2 * (seen % 2));
        let (mut patience, mut since) = (PATIENCE, None);
        loop {
            self.check_disk()?;
            if rounds.done().load(Ordering::Acquire) >= wanted {
                return Ok(());
            }
            let event = rounds.futex().load(Ordering::Acquire);
            let now = rounds.now().load(Ordering::Acquire);
            if now % 2 == 0 {
                if rounds.swap(now, now.wrapping_add(1)) {
                    self.lead(disk, now.wrapping_add(1), false)?;
                }
                continue;
            }
            let (round, begun) = *since.get_or_insert((now, Instant::now()));
            if round != now {
                since = None;
            } else if begun.elapsed() < patience {
                wait::sleep(rounds.futex(), event, patience, self.ring.region().is_shared());
            } else if rounds.swap(now, now.wrapping_add(2)) {
                // Its leader may be paused or dead. Should it only be slow, both sync, and the next one waits for longer.
                (patience, since) = (2 * patience, None);
                self.lead(disk, now.wrapping_add(2), true)?;
            }
        }
    }

    /// Syncs for all who wait. Nobody else's business is harmed if another one leads the next round meanwhile. `overdue`: the leader before has not come to an end.
    fn lead(&self, disk: &Attachment, round: u64, overdue: bool) -> Result<(), SyncError> {
        let rounds = Rounds(&self.ring);
        // The kernel tells of each failure once, and takes the page for clean then: whoever was told may be paused, or was somebody else before this open.
        let doubts = overdue || !self.syncs.has_led.swap(true, Ordering::AcqRel);
        let synced = self.sync_published(disk, doubts);
        match &synced {
            Ok(whole) => {
                rounds.durable().fetch_max(*whole, Ordering::AcqRel);
                rounds.done().fetch_max(round, Ordering::AcqRel);
            }
            Err(error) => self.fail(error),
        }
        rounds.swap(round, round.wrapping_add(1));
        rounds.futex().fetch_add(1, Ordering::AcqRel);
        wait::wake(rounds.futex(), u32::MAX, self.ring.region().is_shared());
        synced.map_err(|error| failed(&error))?;
        self.checkpoint_now_and_then();
        Ok(())
    }

    /// Has everything on the disk that is published, and what is not told by messages. Returns the position below which that is everything.
    ///
    /// What it syncs is decided by what is there, not by what it has done itself: others may have come half-way.
    fn sync_published(&self, disk: &Attachment, doubts: bool) -> io::Result<u64> {
        let ring = &self.ring;
        let rounds = Rounds(ring);
        let durable = rounds.durable().load(Ordering::Acquire);
        let reaped = ring.readable_from();
        let tail = ring.tail();
        // Beyond the tail it is damaged, and worth nothing.
        let from = if durable <= tail.position { durable.max(reaped) } else { reaped };
        let end = tail.position.min(from.saturating_add(ring.cells()));
        let count = end.saturating_sub(from);
        let mut whole = end;
        let mut start = None;
        let mut late = false;
        let mut buffer = Vec::new();
        for at in from..end {
            if ring.published(at).is_none() {
                whole = whole.min(at);
                continue;
            }
            start = start.or_else(|| ring.extent_of(at).map(|extent| extent.unit));
            late |= ring.sum_late(at, &mut buffer);
        }
        let region = ring.region();
        let rooted = region.word(cursor::ROOTED);
        if rooted.load(Ordering::Acquire) == 0 {
            if doubts {
                region.touch(0, ring.layout().file_len);
            }
            disk.root(region)?;
            rooted.store(1, Ordering::Release);
        } else {
            let sums = late.then(|| ring.sums_of(from, count));
            let data = start.map(|start| ring.data_of(start, tail.unit));
            // What was given back unsynced and without a sum must not be taken for what was pushed there: so that it was given back is to be known.
            let cursors = (durable < reaped).then_some([(cursor::TAIL, PAGE), (0, 0)]);
            let ranges =
                sums.into_iter().chain(data).chain(cursors).chain([ring.cells_of(from, count)]).flatten();
            for (offset, len) in ranges.filter(|&(_, len)| len > 0) {
                if doubts {
                    region.touch(offset, len);
                }
                file::sync_mapped(region.all(), offset, len)?;
            }
        }
        let standing = ring.standing();
        let synced = region.word(cursor::STANDING);
        if synced.load(Ordering::Acquire) != standing {
            self.write_checkpoint(disk, true)?;
            synced.store(standing, Ordering::Release);
        }
        Ok(whole)
    }

    /// Whether anything could be said to be on the disk.
    pub fn can_sync(&self) -> Result<(), SyncError> {
        self.disk()?;
        self.check_disk()
    }

    /// Sees to it that the file as a whole, and its name, are on the disk.
    pub fn root(&self) -> Result<(), SyncError> {
        if is_rooted(&self.ring) { Ok(()) } else { self.await_disk() }
    }

    /// Ends the queue for producers, in every process: nobody knows any more what is on the disk.
    fn fail(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::TimedOut {
            // Nothing is wrong with the disk: others are in the way.
            return;
        }
        let code = error.raw_os_error().unwrap_or(libc::EIO);
        let failed = self.ring.failed();
        let _ = failed.compare_exchange(0, code as u64, Ordering::AcqRel, Ordering::Relaxed);
        self.parker.join(&self.ring);
        self.ring.set_closed(true);
        self.parker.wake_all(&self.ring);
    }

    /// Has everything on the disk that was published before the call, and where every group stands. Returns the position below which everything is.
    pub fn sync(&self) -> Result<u64, SyncError> {
        if let Some(letters) = &self.letters {
            // What was set aside is in nobody else's hands once it is finished here.
            letters.sync()?;
        }
        let disk = self.disk()?;
        self.await_disk()?;
        self.write_checkpoint(disk, true).map_err(|error| {
            self.fail(&error);
            failed(&error)
        })?;
        Ok(Rounds(&self.ring).durable().load(Ordering::Acquire))
    }

    /// Writes down what has changed apart from messages, so that it outlives the machine's next start; on the disk at once where messages are.
    pub fn note_change(&self) {
        // A failure is told by whatever comes next, which is closed.
        if self.durability != Durability::Process {
            let _ = self.await_disk();
        } else if let Some(file) = self.file() {
            let _ = self.write_checkpoint(file, false);
        }
    }

    fn write_checkpoint(&self, file: &Attachment, synced: bool) -> io::Result<()> {
        let ring = &self.ring;
        file.write_checkpoint(ring.region(), synced, || ring.then(ring.incarnation()))
    }

    /// Where every push is synced, nobody calls `sync`: whoever leads a round writes a checkpoint now and then, which the kernel takes to the disk in its own time.
    fn checkpoint_now_and_then(&self) {
        let now = wait::nanos();
        let last = self.syncs.checkpointed.load(Ordering::Relaxed);
        if now.saturating_sub(last) > STALE.as_nanos() as u64 && self.durability == Durability::Always {
            self.syncs.checkpointed.store(now, Ordering::Relaxed);
            if let Ok(disk) = self.disk() {
                // It only saves work: without it more is delivered again.
                let _ = self.write_checkpoint(disk, false);
            }
        }
    }
}

/// Whether a file as a whole, and its name, ever were on the disk: then anything in it may be.
pub fn is_rooted(ring: &Ring) -> bool {
    ring.region().word(cursor::ROOTED).load(Ordering::Acquire) != 0
}

/// What an error of the disk is to the caller.
fn failed(error: &io::Error) -> SyncError {
    SyncError::Failed { code: error.raw_os_error().unwrap_or(libc::EIO) }
}

impl Ring {
    /// Where the data from one unit to another lies, in one piece or two.
    fn data_of(&self, start: Unit, end: Unit) -> [(usize, usize); 2] {
        let bytes = self.layout().geometry.data_bytes as usize;
        let units = end.since(start).min((bytes / UNIT) as u64) as usize;
        let from = start.get() as usize % (bytes / UNIT);
        let before_end = units.min(bytes / UNIT - from);
        let data = self.layout().data;
        [(data + from * UNIT, before_end * UNIT), (data, (units - before_end) * UNIT)]
    }
}

/// A thread that syncs every so often, for as long as the open is there.
#[derive(Debug)]
pub struct Syncer {
    /// Closed to stop the thread.
    _stop: Sender<()>,
    _thread: JoinHandle<()>,
}

/// The shortest time between two syncs.
const LEAST: Duration = Duration::from_millis(1);

impl Syncer {
    /// `None`: there is no thread to be had.
    pub fn start(shared: &Arc<Shared>, every: Duration) -> io::Result<Syncer> {
        let (stop, stopped) = mpsc::channel::<()>();
        let shared: Weak<Shared> = Arc::downgrade(shared);
        let work = move || {
            let mut last = None;
            while stopped.recv_timeout(every.max(LEAST)) == Err(RecvTimeoutError::Timeout) {
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                let state = shared.state();
                if (last.as_ref() != Some(&state) || !shared.is_synced()) && shared.sync().is_ok() {
                    last = Some(state);
                }
            }
        };
        let thread = thread::Builder::new().name("ringfile-sync".to_owned()).spawn(work)?;
        Ok(Syncer { _stop: stop, _thread: thread })
    }
}

impl Shared {
    /// What changes when anything is reserved or finished.
    fn state(&self) -> (u64, Vec<u64>) {
        let ring = &self.ring;
        let frontiers = (0..ring.entries()).map(|entry| ring.group(entry).frontier().position).collect();
        (ring.tail().position, frontiers)
    }

    /// Whether everything that was reserved is on the disk.
    fn is_synced(&self) -> bool {
        Rounds(&self.ring).durable().load(Ordering::Acquire) >= self.ring.tail().position
    }

    /// What is due when the last handle of an open goes.
    pub fn sync_at_the_end(&self) {
        if matches!(self.durability, Durability::Interval(_)) && self.disk().is_ok() {
            // Nobody is left to be told.
            let _ = self.sync();
        }
    }
}
