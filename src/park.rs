//! Waiting: look a while, then sleep until somebody has something.
//!
//! A sleeper sets its bit, fences heavily, looks once more and sleeps; a waker fences lightly and loads one word. `docs/protocol.md`, section 9.

use crate::fault::{self, Step};
use crate::file::layout::UNIT;
use crate::ring::Ring;
use crate::ring::words::{Binding, Owner};
use crate::sync::Ordering;
use crate::sys::wait::{self, LightFence};
use crate::watch::{self, Watch};
use std::time::Duration;

/// What somebody waits for, and so the futex word that is slept on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Producers wait for room.
    Producers,
    /// Consumers of a group entry wait for messages.
    Consumers(u16),
}

impl Side {
    /// Where a participant sleeps, if it does.
    fn of(ring: &Ring, owner: Owner) -> Option<Side> {
        match ring.slot(owner).binding() {
            Binding::Producer => Some(Side::Producers),
            Binding::Consumer { entry, .. } => (usize::from(entry) < ring.entries()).then_some(Side::Consumers(entry)),
            Binding::None => None,
        }
    }

    const fn bit(self) -> u64 {
        match self {
            Side::Producers => 1 << 63,
            Side::Consumers(entry) => 1 << entry,
        }
    }
}

/// The nap of a sleeper that cannot make the others fence.
const UNFENCED_NAP: Duration = Duration::from_millis(1);

/// Who waits for its turn looks so often, since who changes the rate may be killed before it says so.
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// How one attachment sleeps and wakes.
#[derive(Clone, Copy, Debug)]
pub struct Parker {
    shared: bool,
    light: LightFence,
}

impl Parker {
    /// `shared`: sleepers may be in other processes.
    pub fn new(shared: bool) -> Parker {
        Parker {
            shared,
            light: LightFence::register(),
        }
    }

    /// After something was published: wakes a sleeper of each group. Without sleepers one load.
    #[inline]
    pub fn wake_consumers(&self, ring: &Ring) {
        self.light.fence(); // E5
        let parked = ring.parked().load(Ordering::Relaxed);
        if parked != 0 {
            self.wake_groups(ring, parked);
        }
    }

    #[cold]
    fn wake_groups(&self, ring: &Ring, parked: u64) {
        for entry in 0..ring.entries() as u16 {
            if parked & Side::Consumers(entry).bit() != 0 {
                self.wake(ring, Side::Consumers(entry), 1);
            }
        }
    }

    /// After room appeared otherwise than by an acknowledgement: wakes a producer.
    pub fn wake_producers(&self, ring: &Ring) {
        self.light.fence(); // E5
        if ring.parked().load(Ordering::Relaxed) & Side::Producers.bit() != 0 {
            self.wake(ring, Side::Producers, 1);
        }
    }

    /// After something was finished, or so many cells put back: wakes a producer, and the group if somebody of it may be waiting for its end or for what came back.
    #[inline]
    pub fn wake_after_ack(&self, ring: &Ring, entry: u16, put_back: u64) {
        self.light.fence(); // E5
        let parked = ring.parked().load(Ordering::Relaxed);
        if parked != 0 {
            self.wake_parked(ring, parked, entry, put_back);
        }
    }

    #[cold]
    fn wake_parked(&self, ring: &Ring, parked: u64, entry: u16, put_back: u64) {
        if parked & Side::Producers.bit() != 0 {
            self.wake(ring, Side::Producers, 1);
        }
        if parked & Side::Consumers(entry).bit() != 0 {
            if ring.tail().closed {
                self.wake(ring, Side::Consumers(entry), u32::MAX);
            } else if put_back > 0 {
                self.wake(ring, Side::Consumers(entry), put_back.min(u32::MAX.into()) as u32);
            }
        }
    }

    /// Wakes `count` sleepers of a side, whether or not its bit says that there are any. Returns how many there were.
    pub fn wake(&self, ring: &Ring, side: Side, count: u32) -> usize {
        ring.parked().fetch_and(!side.bit(), Ordering::Relaxed);
        fault::point(Step::WakeCleared);
        let futex = ring.futex(side);
        futex.fetch_add(1, Ordering::Release); // E6
        fault::point(Step::WakeCounted);
        wait::wake(futex, count, self.shared)
    }

    /// Wakes everybody: after `close`, `reopen` and recovery.
    pub fn wake_all(&self, ring: &Ring) {
        self.light.fence();
        self.wake(ring, Side::Producers, u32::MAX);
        for entry in 0..ring.entries() as u16 {
            self.wake(ring, Side::Consumers(entry), u32::MAX);
        }
        for name in (0..ring.names()).filter(|&name| ring.rate(name) != 0.0) {
            self.wake_paced(ring, name);
        }
    }

    /// Sleeps until it is a consumer's turn by the rate of its group's name, or the rate changes, or the queue is closed. `count`: what was read of the
    /// name's futex before it was looked whose turn it is.
    pub fn wait_turn(&self, ring: &Ring, name: usize, count: u32, left: Duration) {
        wait::sleep(ring.name(name).futex(), count, left.min(LONGEST_TURN), self.shared);
    }

    /// What to give to [`wait_turn`](Self::wait_turn).
    pub fn turns(&self, ring: &Ring, name: usize) -> u32 {
        ring.name(name).futex().load(Ordering::Acquire)
    }

    /// Looks until `look` finds something or `remaining` says that the time is up (`None`), sleeping in between. `more` says
    /// whether there is something left for another sleeper.
    pub fn wait<T>(
        &self,
        ring: &Ring,
        side: Side,
        owner: Owner,
        mut remaining: impl FnMut() -> Option<Duration>,
        mut look: impl FnMut() -> Option<T>,
        more: impl FnOnce() -> bool,
    ) -> Option<T> {
        let futex = ring.futex(side);
        let mut watch = Watch::new(owner);
        let found = loop {
            let count = futex.load(Ordering::Acquire); // E6
            // Set before looking, after every sleep too: a wake that another sleeper got must not leave this one forgotten (W1).
            let before = ring.parked().fetch_or(side.bit(), Ordering::SeqCst);
            fault::point(Step::Parked);
            // Whoever turned the bit on fences and looks; while it stays on, wakers see it.
            let fenced = before & side.bit() != 0 || wait::heavy_fence(); // E5
            if let Some(found) = look() {
                // The wake that came for this sleeper may have been meant for two messages; and who found the bit set already has not fenced.
                if more() {
                    self.wake(ring, side, 1);
                }
                break Some(found);
            }
            let Some(left) = remaining() else {
                break None;
            };
            self.lie_down(ring, owner);
            let nap = watch.nap(ring);
            let nap = if fenced { nap } else { nap.min(UNFENCED_NAP) };
            wait::sleep(futex, count, nap.min(left), self.shared);
            while futex.load(Ordering::Relaxed) == count
                && let Some(nap) = watch.sleeps_on(ring)
                && let Some(left) = remaining()
            {
                wait::sleep(futex, count, nap.min(left), self.shared);
            }
            self.get_up(ring, owner, &watch);
            if futex.load(Ordering::Relaxed) == count {
                self.look_after_all(ring);
                if let Some(side) = watch.lacks_deputy(ring).and_then(|sleeper| Side::of(ring, sleeper)) {
                    self.wake(ring, side, 1);
                }
            } else if let Some(found) = look() {
                // What it was woken for, without a fence on the way. But whoever woke it has turned the bit off for those who sleep on (W2).
                if ring.sleeps_beside(owner) {
                    self.arm_for_others(ring, side, more);
                }
                break Some(found);
            }
        };
        if watch.resign(ring) {
            self.wake_any(ring);
        }
        found
    }

    /// Turns the bit on for sleepers that a wake has passed over, and wakes one if there is something for it.
    #[cold]
    fn arm_for_others(&self, ring: &Ring, side: Side, more: impl FnOnce() -> bool) {
        ring.parked().fetch_or(side.bit(), Ordering::SeqCst);
        fault::point(Step::Parked);
        if !wait::heavy_fence() || more() {
            self.wake(ring, side, 1);
        }
    }

    /// Before a nap is chosen.
    pub fn lie_down(&self, ring: &Ring, owner: Owner) {
        let (asleep, me) = ring.asleep(owner);
        asleep.fetch_or(me, Ordering::Relaxed);
        self.light.fence(); // E9
        fault::point(Step::LainDown);
    }

    /// After a sleep, before anything else is done. Says whether that ended a doze.
    pub fn get_up(&self, ring: &Ring, owner: Owner, watch: &Watch) -> bool {
        let (asleep, me) = ring.asleep(owner);
        asleep.fetch_and(!me, Ordering::Relaxed);
        self.light.fence(); // E9
        fault::point(Step::GotUp);
        let ended = watch.ends_doze(ring);
        if ended {
            fault::point(Step::DozeEnded);
            self.wake_all(ring);
        }
        ended
    }

    /// After joining, before anything else is done. Says whether that ended a doze.
    pub fn join(&self, ring: &Ring) -> bool {
        self.light.fence(); // E9
        let ended = watch::newcomer_ends_doze(ring);
        if ended {
            self.wake_all(ring);
        }
        ended
    }

    /// Wakes one sleeper of any side, so that it watches.
    #[cold]
    fn wake_any(&self, ring: &Ring) {
        let sides = (0..ring.entries() as u16).map(Side::Consumers).chain([Side::Producers]);
        for side in sides {
            if self.wake(ring, side, 1) > 0 {
                return;
            }
        }
    }

    /// What a sleeper does that woke by itself: a waker may have been killed between its store and its call.
    fn look_after_all(&self, ring: &Ring) {
        if ring.is_crowded() {
            self.wake(ring, Side::Producers, 1);
        }
        let parked = ring.parked().load(Ordering::Relaxed);
        for entry in 0..ring.entries() {
            let side = Side::Consumers(entry as u16);
            if ring.has_backlog(entry) {
                self.wake(ring, side, 1);
            } else if parked & side.bit() != 0 && !ring.is_group(entry) {
                // Their group is served elsewhere by now, or was removed, and who did that was killed.
                self.wake(ring, side, u32::MAX);
            }
        }
    }

    /// After the rate of a name has changed: wakes those of its consumers that wait for their turn.
    pub fn wake_paced(&self, ring: &Ring, name: usize) {
        let futex = ring.name(name).futex();
        futex.fetch_add(1, Ordering::Release);
        wait::wake(futex, u32::MAX, self.shared);
    }
}

impl Ring {
    /// Whether anybody sleeps besides a participant that does not.
    fn sleeps_beside(&self, owner: Owner) -> bool {
        let (mine, me) = self.asleep(owner);
        self.asleep_words().any(|word| {
            let asleep = word.load(Ordering::Relaxed);
            let others = if std::ptr::eq(word, mine) { asleep & !me } else { asleep };
            others != 0
        })
    }

    fn futex(&self, side: Side) -> &crate::sync::AtomicU32 {
        match side {
            Side::Producers => self.producers_futex(),
            Side::Consumers(entry) => self.group(entry.into()).futex(),
        }
    }

    /// Whether more than half of the cells or of the data ring is in use, so that producers may be waiting.
    fn is_crowded(&self) -> bool {
        let (tail, reap) = (self.tail(), self.reaped());
        let cells = tail.position.saturating_sub(reap.position);
        cells > self.cells() / 2
            || (cells > 0 && tail.unit.since(reap.unit) > self.layout().geometry.data_bytes / UNIT as u64 / 2)
    }

    /// Whether a group seems to have something to claim.
    fn has_backlog(&self, entry: usize) -> bool {
        self.is_group(entry) && self.group(entry).next_is_unclaimed()
    }
}
