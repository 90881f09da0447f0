//! The reaper: what nobody needs any more is freed before a producer needs the room.

use crate::ring::words::Binding;
use crate::ring::{participant, retain, scrub};
use crate::shared::Shared;
use crate::stats::Recovery;
use crate::sys::process;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What one pass of the reaper did. Others may have freed something at the same time; that is counted too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaped {
    /// Positions that were given back to producers.
    pub positions: u64,
    /// Bytes of the data ring that were given back.
    pub bytes: u64,
    /// What killed processes owed.
    pub recovery: Recovery,
}

/// A thread that [reaps](crate::Queue::reap) every so often. Dropping it stops and joins it, after the pass that it is in.
pub struct Reaper {
    /// Closed to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The shortest time between two passes.
const LEAST: Duration = Duration::from_millis(1);

impl Reaper {
    pub(crate) fn start(shared: Arc<Shared>, every: Duration) -> Reaper {
        let (stop, stopped) = mpsc::channel::<()>();
        let work = move || {
            while stopped.recv_timeout(every.max(LEAST)) == Err(RecvTimeoutError::Timeout) {
                shared.reap();
            }
        };
        let thread = thread::Builder::new().name("ringfile-reaper".to_owned()).spawn(work);
        // Without a thread nothing is freed early, and nothing else is missing: producers free what they need.
        Reaper { stop: Some(stop), thread: thread.ok() }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Reaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reaper").finish_non_exhaustive()
    }
}

impl Shared {
    /// Overwrites what is given up, if that is to be. Without a free slot nothing is: a producer that needs the space has one.
    fn scrub(&self) {
        if self.ring.scrubber().is_none() {
            return;
        }
        if let Ok(owner) = self.join(Binding::None) {
            while scrub::step(&self.ring, owner) {}
            self.reclaim();
            participant::detach(&self.ring, owner);
        }
    }

    /// One pass: see [`crate::Queue::reap`].
    pub fn reap(&self) -> Reaped {
        let settled = self.recover() + self.with_letters(Shared::recover);
        let ring = &self.ring;
        let before = ring.reaped();
        let retain_for = ring.policy().retain_for;
        if retain_for != 0 {
            let since = process::unix_nanos().saturating_sub(retain_for);
            while retain::expire(ring, since) {}
        }
        self.reclaim();
        self.scrub();
        if let Some(letters) = &self.letters {
            letters.reclaim();
        }
        let after = ring.reaped();
        if after != before {
            self.parker.wake_producers(ring);
        }
        ring.populate(self.populate_ahead);
        Reaped {
            positions: after.position.saturating_sub(before.position),
            bytes: after.unit.since(before.unit) * crate::file::layout::UNIT as u64,
            recovery: Recovery::of(settled),
        }
    }
}
