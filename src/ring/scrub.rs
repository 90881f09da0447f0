//! Scrubbing: the bytes of what is given up are overwritten before anybody may write there again.
//!
//! Who does it is a consumer of a group of its own, which comes behind all others: so what it has claimed and not finished is kept from producers, and
//! is done by somebody else if it dies. `scrubbing` says how far it may have come: replays do not look below it, and no group begins there.

use super::claim::{Claimed, Popper};
use super::groups::{self, SCRUBBER};
use super::pace::Unpaced;
use super::words::{Claim, Owner, State};
use super::{Ring, reclaim};
use crate::fault::{self, Step};
use crate::file::layout::{UNIT, cursor};
use crate::sync::{AtomicU64, Ordering, fence};

/// Overwrites some of what is given up, on behalf of a participant that has claimed nothing. False: there is nothing to overwrite.
pub fn step(ring: &Ring, owner: Owner) -> bool {
    let Some(entry) = ring.scrubber() else {
        return false;
    };
    let Some(bound) = bound(ring) else {
        return false;
    };
    let Ok(service) = groups::serve(ring, SCRUBBER) else {
        return false;
    };
    let mut popper = Popper::new(ring, owner, service);
    let Some(claimed) = popper.claim_below(ring, bound) else {
        // What was done before may be free.
        return reclaim::advance(&ring.group(entry)) > ring.reaped().position && reclaim::pass(ring) == Ok(true);
    };
    ring.overwrite(claimed.first, claimed.cells);
    fault::point(Step::Scrubbed);
    popper.ack(ring, &claimed);
    true
}

/// Below this no group, nobody whose lease has expired and no replay will read anything any more; `None`: others go on all the time.
fn bound(ring: &Ring) -> Option<u64> {
    for _ in 0..16 {
        let before = ring.reaped();
        let bound = reclaim::given_up(ring, before)?;
        ring.scrubbing().fetch_max(bound, Ordering::AcqRel);
        // A group that was pinned before is among those that were asked; one that is pinned later begins no earlier (S1).
        fence(Ordering::SeqCst);
        if ring.reaped().version == before.version {
            fault::point(Step::ScrubBegun);
            return Some(bound);
        }
    }
    None
}

impl Popper {
    /// Claims the next cells below `bound`, with or without messages: all of them are published.
    fn claim_below(&mut self, ring: &Ring, bound: u64) -> Option<Claimed> {
        let group = ring.group(self.entry().into());
        let frontier = group.frontier();
        let mut at = frontier.position;
        while at < bound {
            let tag = group.tag(at, frontier.tenancy());
            let seen = Claim(group.claim(at).load(Ordering::Acquire));
            let word = match seen.is_at(tag).then(|| seen.state()) {
                Some(State::Redo) => seen.reclaimed(self.owner()),
                Some(_) => {
                    at = at.wrapping_add(seen.cells());
                    continue;
                }
                None => Claim::held(tag, self.owner(), (bound - at).min(ring.max_batch() as u64)),
            };
            if let Some(claimed) = self.claim_exactly(ring, at, seen, word, &mut Unpaced) {
                return Some(claimed);
            }
            // It serves the same name for ever, unless it is damaged.
            if self.has_moved(&group) {
                return None;
            }
        }
        None
    }
}

impl Ring {
    /// The entry of those who scrub, if anything is to be.
    #[inline]
    pub fn scrubber(&self) -> Option<usize> {
        self.policy.scrub.then_some(SCRUBBER)
    }

    /// Everything below may have been overwritten.
    pub(super) fn scrubbing(&self) -> &AtomicU64 {
        self.region.word(cursor::SCRUBBING)
    }

    /// Where the oldest message that can still be read may be.
    pub fn readable_from(&self) -> u64 {
        let reaped = self.reaped().position;
        match self.policy.scrub {
            true => reaped.max(self.scrubbing().load(Ordering::Acquire)),
            false => reaped,
        }
    }

    /// Overwrites the bytes of so many cells, in them and in the data ring, with those of reservations that nobody finished.
    fn overwrite(&self, first: u64, cells: u64) {
        let reap = self.reaped();
        let (start, end) =
            (reclaim::boundary(self, reap, first), reclaim::boundary(self, reap, first.wrapping_add(cells)));
        // A file at rest may say anything.
        let units = end.since(start).min(self.units);
        let from = start.get() & (self.units - 1);
        let before_end = units.min(self.units - from);
        for at in first..first.wrapping_add(cells) {
            let cell = self.cell(at);
            self.region.clear(cell.at + crate::file::layout::cell::INLINE, self.inline_len);
        }
        for (unit, count) in [(from, before_end), (0, units - before_end)] {
            self.region.clear(self.layout.data + unit as usize * UNIT, count as usize * UNIT);
        }
    }
}
