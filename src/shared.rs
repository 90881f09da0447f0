//! What all handles of one attachment have in common: the ring, how to wait, and whom to ask about the dead.

use crate::durable::{Durability, Syncer, Syncs};
use crate::error::AttachError;
use crate::file::Attachment;
use crate::file::layout::cursor;
use crate::park::{Parker, Side};
use crate::ring::groups::{self, NoService, Service, Wanted};
use crate::ring::recover::{self, Settled};
use crate::ring::words::{Binding, Owner, Tail, Unit};
use crate::ring::{Ring, Slot, participant, reclaim};
use crate::spin::{Look, Patience, Spin};
use crate::sys::fork::Registration;
use crate::sys::{process, wait};
use std::io;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

/// How a call that waits does so before it sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Looks for some microseconds, then sleeps. For most.
    #[default]
    Adaptive,
    /// Looks until there is something, and burns a core meanwhile. For cores set aside.
    Spin,
    /// Sleeps at once. For many more threads than cores.
    Park,
}

/// Whoever makes a group has done so after some microseconds, unless he is paused: for so long others wait for his record, who find no free one.
const BUSY: Duration = Duration::from_secs(1);

/// How long something must stand still before anybody asks whether its owner is dead.
const STALLED: Duration = Duration::from_millis(1);

/// One attachment. Apart from the count of its owners, which changes whenever one of them waits.
#[repr(align(128))]
pub struct Shared {
    /// Goes before what it is about.
    _kept_from_children: Option<Registration>,
    pub ring: Ring,
    pub parker: Parker,
    pub wait: Wait,
    pub durability: Durability,
    pub attachment: Option<Attachment>,
    /// What changes about syncs. Elsewhere, so that nothing here changes, which the compiler makes use of.
    pub syncs: Box<Syncs>,
    /// How many bytes ahead of the tail the reaper asks the kernel for.
    pub populate_ahead: usize,
    /// Where dead letters go, if any are set aside.
    pub letters: Option<Arc<Shared>>,
}

impl Shared {
    /// `attachment`: none for a queue that lives in this process alone.
    pub fn new(
        ring: Ring,
        attachment: Option<Attachment>,
        wait: Wait,
        durability: Durability,
        letters: Option<Arc<Shared>>,
        populate_ahead: usize,
    ) -> Shared {
        let parker = Parker::new(ring.region().is_shared());
        let closed = Tail { position: 0, unit: Unit::new(0), closed: true, owner: Owner::NOBODY }.pack().lo;
        let keep =
            |attachment: &Attachment| attachment.keep_from_children(ring.region(), (cursor::TAIL, closed));
        let kept = attachment.as_ref().map(keep);
        Shared {
            _kept_from_children: kept,
            ring,
            parker,
            wait,
            durability,
            attachment,
            syncs: Box::default(),
            populate_ahead,
            letters,
        }
    }

    /// Begins what goes on for as long as the open is there.
    pub fn begin(self) -> io::Result<Arc<Shared>> {
        let shared = Arc::new(self);
        if let Durability::Interval(every) = shared.durability {
            let syncer = Syncer::start(&shared, every)?;
            let _ = shared.syncs.syncer.set(syncer);
        }
        Ok(shared)
    }

    /// Takes a slot, those of the dead included.
    pub fn join(&self, binding: Binding) -> Result<Owner, AttachError> {
        let number = self.number();
        let attach = || participant::attach(&self.ring, number, binding);
        let mut taken = attach();
        // Others may die, and take what came free, between a recovery and the next look.
        while taken.is_none() && self.recover().participants > 0 {
            taken = attach();
        }
        // Or come free by somebody else's recovery.
        let owner = taken
            .or_else(attach)
            .ok_or(AttachError::TooManyParticipants { max: self.ring.participants() })?;
        let slot = self.ring.slot(owner);
        slot.describe(number, process::identity(), process::unix_nanos());
        self.parker.join(&self.ring);
        Ok(owner)
    }

    /// The number of this attachment; 1 of a queue that lives in this process alone.
    fn number(&self) -> u64 {
        self.attachment.as_ref().map_or(1, Attachment::number)
    }

    /// The number of a group that is made if there is none of this name.
    pub fn create_group(&self, name: &str, wanted: Wanted) -> Result<usize, NoService> {
        let is_dead = |number| self.attachment.as_ref().is_some_and(|attachment| attachment.is_dead(number));
        let begun = Instant::now();
        loop {
            let made = groups::find_or_create(&self.ring, name.as_bytes(), wanted, self.number(), is_dead);
            if made != Err(NoService::Busy) || begun.elapsed() >= BUSY {
                return made;
            }
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// The entry that serves the group of this name.
    pub fn serve(&self, name: &str) -> Result<Service, NoService> {
        let index = groups::find(&self.ring, name.as_bytes()).ok_or(NoService::Removed)?;
        groups::serve(&self.ring, index)
    }

    /// Frees what every group is done with, but for what is retained. What is damaged is left to who stumbles over it.
    pub fn reclaim(&self) {
        while reclaim::pass(&self.ring) == Ok(true) {}
    }

    /// Settles what the dead owe, and wakes everybody if there was anything.
    pub fn recover(&self) -> Settled {
        let settled = recover::recover(&self.ring, wait::nanos(), self.is_dead());
        if !settled.is_nothing() {
            self.parker.wake_all(&self.ring);
        }
        settled
    }

    /// What the dead owe that nobody has settled yet.
    pub fn owed(&self) -> Settled {
        recover::owed(&self.ring, wait::nanos(), self.is_dead())
    }

    /// What that is for the ring of dead letters, if there is one.
    pub fn with_letters(&self, settle: fn(&Shared) -> Settled) -> Settled {
        self.letters.as_deref().map(settle).unwrap_or_default()
    }

    /// What the kernel says of the attachments that slots name: their locks are free, or the process that took them is on its way out of the
    /// kernel, which frees its locks only after its memory. In memory nobody dies alone.
    fn is_dead(&self) -> impl FnMut(Slot<'_>, u64) -> bool {
        let mut last = (0, false);
        move |slot, number| {
            let Some(attachment) = &self.attachment else {
                return false;
            };
            if last.0 != number {
                let dead = attachment.is_dead(number)
                    || number != attachment.number()
                        && slot.identity_of(number).is_some_and(process::is_exiting);
                last = (number, dead);
            }
            last.1
        }
    }

    /// Waits until `look` finds something, or the deadline. It is told whether a glance is enough that costs the others nothing. `more` says whether there is
    /// something left for another sleeper.
    pub fn wait_for<T>(
        &self,
        side: Side,
        owner: Owner,
        deadline: Option<Instant>,
        patience: &mut Patience,
        mut look: impl FnMut(Look) -> Option<T>,
        more: impl FnOnce() -> bool,
    ) -> Option<T> {
        let remaining = || match deadline {
            None => Some(Duration::MAX),
            Some(deadline) => deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()),
        };
        let spins = match self.wait {
            Wait::Adaptive => *CORES > 1,
            Wait::Spin => true,
            Wait::Park => false,
        };
        let mut spin = Spin::new(*patience);
        while spins && (self.wait == Wait::Spin || !spin.is_over()) {
            if let Some(found) = look(spin.next()) {
                return Some(found);
            }
            if self.wait == Wait::Spin {
                remaining()?;
            }
        }
        let found = self.parker.wait(&self.ring, side, owner, remaining, || look(Look::Whole), more);
        patience.learn_from_sleep(spin.begun);
        found
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.sync_at_the_end();
    }
}

/// What a call that waits says of an attempt: nothing where `answer` has none for its error, which is then waited for.
#[inline]
pub fn unless_waiting<T, E, F>(
    attempted: Result<T, E>,
    answer: impl Fn(E) -> Option<F>,
) -> Option<Result<T, F>> {
    match attempted {
        Ok(done) => Some(Ok(done)),
        Err(error) => answer(error).map(Err),
    }
}

/// On one core nothing happens while we look. What this process may run on does not matter: the others may run elsewhere.
static CORES: LazyLock<usize> = LazyLock::new(wait::processors);

/// When a handle that makes no progress last asked whether the dead are the cause.
#[derive(Debug, Default)]
pub struct Stall {
    asked: Option<Instant>,
}

impl Stall {
    /// Whether to ask: once in each `STALLED`, and not at the first look.
    pub fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.asked.is_some_and(|asked| now - asked >= STALLED);
        if due || self.asked.is_none() {
            self.asked = Some(now);
        }
        due
    }
}

/// When a consumer that always finds messages last asked whether some below are stuck. A clock costs as much as a claim: it is read with
/// every 16th, with every one where claims are slow.
#[derive(Debug)]
pub struct Patrol {
    /// Claims until the clock is read.
    left: u32,
    every: u32,
    asked: Duration,
    frontier: u64,
}

impl Default for Patrol {
    fn default() -> Patrol {
        Patrol { left: 0, every: 1, asked: Duration::ZERO, frontier: u64::MAX }
    }
}

impl Patrol {
    const EVERY: Duration = Duration::from_millis(4);

    /// Whether to read the clock.
    #[inline]
    pub fn is_due(&mut self) -> bool {
        let due = self.left == 0;
        self.left = if due { self.every } else { self.left - 1 };
        due
    }

    /// Whether the frontier is where it was some milliseconds ago, and below a position that was claimed since.
    pub fn finds_stalled(&mut self, claimed: u64, frontier: impl FnOnce() -> u64) -> bool {
        let now = wait::clock();
        let passed = now.saturating_sub(self.asked);
        if passed < Patrol::EVERY {
            self.every = (2 * self.every).min(15);
            return false;
        }
        (self.every, self.left, self.asked) = (1, 0, now);
        let frontier = frontier();
        let stalled = frontier == self.frontier && frontier < claimed;
        self.frontier = frontier;
        stalled
    }
}
