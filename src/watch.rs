//! Who looks after those who sleep: one of them does, a few milliseconds at a time, and nobody while nothing can happen that a wake
//! does not tell. `docs/protocol.md`, section 9.

use crate::ring::Ring;
use crate::ring::words::{Binding, Owner};
use crate::sync::Ordering;
use crate::sys::wait;
use std::time::Duration;

/// The nap of the sleeper that watches: whoever should wake one may have been killed.
pub const NAP: Duration = Duration::from_millis(5);
/// A sleeper that finds that nobody has watched for so long does it itself.
const LATE: Duration = Duration::from_millis(15);
/// The others look less often, all together as often as one that sleeps that long.
const OTHERS_NAP: Duration = Duration::from_millis(20);
/// The longest nap of those whose watcher may be killed with whoever should have woken them, and the nap of a watcher that dozes.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// So many naps must have ended by themselves before the watcher asks whether it may doze.
pub const QUIET: u32 = 20;

/// What the watcher said last: `flags:2 | milliseconds:62` of the clock that does not step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said(u64);

impl Said {
    const NOTHING: Said = Said(0);
    /// It dozes, since all other participants are asleep: whoever gets up ends it.
    const ALL_ASLEEP: u64 = 1 << 63;
    /// It dozes, since all others are of its own attachment and are killed only together with it: whoever joins ends it.
    const ALONE: u64 = 1 << 62;
    const DOZING: u64 = Said::ALL_ASLEEP | Said::ALONE;

    fn last(ring: &Ring) -> Said {
        Said(ring.looked().load(Ordering::Relaxed))
    }

    /// Says something else, unless somebody did so meanwhile. What was said last is by somebody who means it.
    fn replace(self, ring: &Ring, new: Said) -> bool {
        ring.looked()
            .compare_exchange(self.0, new.0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    fn is_late(self, now: Duration) -> bool {
        let said = Duration::from_millis(self.0 & !Said::DOZING);
        now.abs_diff(said) > if self.has(Said::DOZING) { LONGEST_NAP + LATE } else { LATE }
    }
}

/// A sleeper, as far as watching goes. The watch is a role, not a lock: nobody waits for it, two may have it for a nap, and who finds it
/// neglected takes it.
pub struct Watch {
    owner: Owner,
    /// What this sleeper said as the watcher.
    said: Option<Said>,
    /// How many naps it has watched.
    naps: u32,
}

impl Watch {
    pub fn new(owner: Owner) -> Watch {
        Watch { owner, said: None, naps: 0 }
    }

    /// How long to sleep now. The caller says so in `asleep`, with a light fence behind it.
    pub fn nap(&mut self, ring: &Ring) -> Duration {
        let (last, now) = (Said::last(ring), wait::clock());
        let watched = self.said == Some(last);
        // Who dozes looks after no producer, and a wake may go to one whose message is too long for the room (section 9).
        let unattended = last.has(Said::DOZING) && ring.is_producer(self.owner);
        let mut mine = Said(now.as_millis() as u64);
        if !(watched || unattended || last.is_late(now)) || !last.replace(ring, mine) {
            self.said = None;
            let nap = OTHERS_NAP * ring.sleepers();
            return if last.has(Said::DOZING) { nap.max(LONGEST_NAP) } else { nap.min(LONGEST_NAP) };
        }
        self.naps = if watched { self.naps + 1 } else { 0 };
        let dozes = self.naps >= QUIET && self.doze(ring, &mut mine);
        self.said = Some(mine);
        if dozes { LONGEST_NAP } else { NAP }
    }

    /// Dozes off if it may. Whoever gets up or joins either is seen to be up here, or sees that somebody dozes (E9).
    fn doze(&self, ring: &Ring, said: &mut Said) -> bool {
        let Some(flag) = self.may_doze(ring) else {
            return false;
        };
        let dozing = Said(said.0 | flag);
        if !said.replace(ring, dozing) {
            return false;
        }
        // Of those who had left or lain down before the fence, all that they did is seen after it.
        if wait::heavy_fence() && self.may_doze(ring) == Some(flag) {
            *said = dozing;
            return true;
        }
        dozing.replace(ring, *said);
        false
    }

    /// Whether nothing can happen that a wake does not tell: whoever could be killed before it wakes anybody would have to get up first.
    fn may_doze(&self, ring: &Ring) -> Option<u64> {
        let attachment = |owner: Owner| ring.slot(owner).attachment().load(Ordering::Relaxed);
        let mine = attachment(self.owner);
        let (mut alone, mut all_asleep) = (true, true);
        for owner in (0..ring.participants()).map(|i| Owner(i as u16)) {
            let theirs = attachment(owner);
            if theirs == 0 {
                continue;
            }
            let asleep = owner == self.owner || ring.is_asleep(owner);
            if asleep && ring.is_producer(owner) {
                return None;
            }
            alone &= theirs == mine;
            all_asleep &= asleep;
        }
        if alone {
            Some(Said::ALONE)
        } else {
            // A sleeper may have been killed after it was woken for a message that is still there.
            (all_asleep && ring.is_drained()).then_some(Said::ALL_ASLEEP)
        }
    }

    /// Whether a sleeper whose nap ended by itself may sleep on without a look, since another dozes.
    pub fn sleeps_on(&self, ring: &Ring) -> bool {
        let last = Said::last(ring);
        last.has(Said::DOZING) && self.said != Some(last) && !last.is_late(wait::clock())
    }

    /// Whether a sleeper that got up has ended the doze of somebody, who is to be woken.
    pub fn ends_doze(&self, ring: &Ring) -> bool {
        let last = Said::last(ring);
        last.has(Said::ALL_ASLEEP) && self.said != Some(last) && last.replace(ring, Said::NOTHING)
    }

    /// Gives the role up, if it was this sleeper's. Says whether somebody else should be woken to take it.
    pub fn resign(self, ring: &Ring) -> bool {
        let watched = self.said.is_some_and(|said| said.replace(ring, Said::NOTHING));
        watched && ring.sleepers() > 0
    }
}

/// The same for a participant that has just joined.
pub fn newcomer_ends_doze(ring: &Ring) -> bool {
    let last = Said::last(ring);
    last.has(Said::DOZING) && last.replace(ring, Said::NOTHING)
}

impl Ring {
    /// How many sleep, the dead included that nobody has settled yet.
    fn sleepers(&self) -> u32 {
        self.asleep_words().map(|bits| bits.load(Ordering::Relaxed).count_ones()).sum()
    }

    fn is_asleep(&self, owner: Owner) -> bool {
        let (word, bit) = self.asleep(owner);
        word.load(Ordering::Relaxed) & bit != 0
    }

    fn is_producer(&self, owner: Owner) -> bool {
        self.slot(owner).binding() == Binding::Producer
    }

    /// Whether every group is done with every message.
    fn is_drained(&self) -> bool {
        let tail = self.tail().position;
        (0..self.entries()).all(|entry| !self.is_group(entry) || self.group(entry).frontier().position == tail)
    }
}
