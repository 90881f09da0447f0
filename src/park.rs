//! Waiting: look a while, then sleep until somebody has something.
//!
//! A sleeper sets its bit, fences heavily, looks once more and sleeps; a waker fences lightly and loads one word. `docs/protocol.md`, section 9.

use crate::file::layout::UNIT;
use crate::ring::Ring;
use crate::ring::words::Owner;
use crate::sync::Ordering;
use crate::sys::wait::{self, LightFence};
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
    const fn bit(self) -> u64 {
        match self {
            Side::Producers => 1 << 63,
            Side::Consumers(entry) => 1 << entry,
        }
    }
}

/// The nap of those who watch: nobody may wake them, if whoever should was killed.
const NAP: Duration = Duration::from_millis(5);
/// So many of the sleepers on a file watch; the others may sleep longer.
const WATCHERS: u32 = 3;
/// The nap of the others, unless the watchers are late.
const LONG_NAP: Duration = Duration::from_millis(100);
/// Watchers are late if nobody has looked for so long.
const LATE: Duration = Duration::from_millis(15);
/// The nap of a sleeper that cannot make the others fence.
const UNFENCED_NAP: Duration = Duration::from_millis(1);

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
        let parked = ring.parked().load(Ordering::Relaxed) & !Side::Producers.bit();
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

    /// After something was finished or put back: wakes a producer, and the group if somebody of it may be waiting for its end or for what came back.
    #[inline]
    pub fn wake_after_ack(&self, ring: &Ring, entry: u16, put_back: bool) {
        self.light.fence(); // E5
        let parked = ring.parked().load(Ordering::Relaxed);
        if parked & (Side::Producers.bit() | Side::Consumers(entry).bit()) != 0 {
            self.wake_parked(ring, parked, entry, put_back);
        }
    }

    #[cold]
    fn wake_parked(&self, ring: &Ring, parked: u64, entry: u16, put_back: bool) {
        if parked & Side::Producers.bit() != 0 {
            self.wake(ring, Side::Producers, 1);
        }
        if parked & Side::Consumers(entry).bit() != 0 {
            if ring.tail().closed {
                self.wake(ring, Side::Consumers(entry), u32::MAX);
            } else if put_back {
                self.wake(ring, Side::Consumers(entry), 1);
            }
        }
    }

    /// Wakes `count` sleepers of a side, whether or not its bit says that there are any.
    pub fn wake(&self, ring: &Ring, side: Side, count: u32) {
        ring.parked().fetch_and(!side.bit(), Ordering::Relaxed);
        let futex = ring.futex(side);
        futex.fetch_add(1, Ordering::Release); // E6
        wait::wake(futex, count, self.shared);
    }

    /// Wakes everybody: after `close`, `reopen` and recovery.
    pub fn wake_all(&self, ring: &Ring) {
        self.light.fence();
        self.wake(ring, Side::Producers, u32::MAX);
        for entry in 0..ring.entries() as u16 {
            self.wake(ring, Side::Consumers(entry), u32::MAX);
        }
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
        let (asleep, me) = ring.asleep(owner);
        loop {
            let count = futex.load(Ordering::Acquire); // E6
            // Set before looking, after every sleep too: a wake that another sleeper got must not leave this one forgotten (W1).
            let before = ring.parked().fetch_or(side.bit(), Ordering::SeqCst);
            // Whoever turned the bit on fences and looks; while it stays on, wakers see it.
            let fenced = before & side.bit() != 0 || wait::heavy_fence(); // E5
            if let Some(found) = look() {
                // The wake that came for this sleeper may have been meant for two messages; and who found the bit set already has not fenced.
                if more() {
                    self.wake(ring, side, 1);
                }
                return Some(found);
            }
            let left = remaining()?;
            asleep.fetch_or(me, Ordering::Relaxed);
            let nap = if fenced { ring.nap(owner) } else { UNFENCED_NAP };
            wait::sleep(futex, count, nap.min(left), self.shared);
            asleep.fetch_and(!me, Ordering::Relaxed);
            if futex.load(Ordering::Relaxed) == count {
                self.look_after_all(ring);
            }
        }
    }

    /// What a sleeper does that woke by itself: a waker may have been killed between its store and its call.
    fn look_after_all(&self, ring: &Ring) {
        ring.looked().store(wait::clock().as_millis() as u64, Ordering::Relaxed);
        if ring.is_crowded() {
            self.wake(ring, Side::Producers, 1);
        }
        for entry in 0..ring.entries() {
            if ring.has_backlog(entry) {
                self.wake(ring, Side::Consumers(entry as u16), 1);
            }
        }
    }
}

impl Ring {
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

    /// How long a sleeper sleeps that nobody wakes: those with the lowest slots watch for all, and so does whoever finds them late.
    fn nap(&self, owner: Owner) -> Duration {
        let word = owner.0 as usize / 64;
        let below: u32 = self
            .asleep_words()
            .take(word + 1)
            .enumerate()
            .map(|(i, bits)| {
                let bits = bits.load(Ordering::Relaxed);
                let mask = if i < word { u64::MAX } else { (1 << (owner.0 % 64)) - 1 };
                (bits & mask).count_ones()
            })
            .sum();
        let looked = Duration::from_millis(self.looked().load(Ordering::Relaxed));
        let late = wait::clock().abs_diff(looked) > LATE;
        if below < WATCHERS || late { NAP } else { LONG_NAP }
    }
}
