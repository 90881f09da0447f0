//! Dead letters: messages that were handed out too often without being finished are moved to a ring of their own, so that they pin nothing.
//!
//! Whoever finds one claims it like any other, copies it, and marks it. Killed in between, its claim is put back with a greater count, and the next one
//! looks first whether there is a copy. Where the other ring is full the message stays, is said to have no copy, and is stepped over.

use super::claim::{Claimed, Popper};
use super::push::Reserved;
use super::words::{Claim, Extent, Owner, State};
use super::{Ring, Span};
use crate::fault::{self, Step};
use crate::sync::{Ordering, fence};

/// The largest limit of deliveries: counts above it are at least so much and never repeat, but may go back to half of what fits.
pub const MAX_DELIVERIES: u64 = 500;

/// Where a dead letter comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its position there.
    pub position: u64,
    /// The name of the group that set it aside.
    pub name: u8,
}

impl Ring {
    /// Whether a message that was put back has been handed out for the last time.
    #[inline]
    pub(super) fn is_letter(&self, word: Claim) -> bool {
        self.policy.max_deliveries != 0
            && word.state() == State::Redo
            && word.deliveries() >= self.policy.max_deliveries
    }

    /// Whether somebody may have made a copy of it: it was put back by recovery after more than its last delivery.
    pub(super) fn may_be_copied(&self, word: Claim) -> bool {
        self.is_stuck_letter(word) && word.owner() == Owner::NOBODY
    }

    /// Whether somebody has already tried to set it aside, and was killed or found no room.
    pub fn is_stuck_letter(&self, word: Claim) -> bool {
        self.is_letter(word) && word.deliveries() > self.policy.max_deliveries
    }

    /// Writes where the letter comes from that was staged for `reserved`, the only message of it.
    pub fn set_origin(&self, reserved: &Reserved, origin: Origin) {
        let cell = self.cell(reserved.first);
        let extent = Extent::unpack(cell.extent().load(Ordering::Relaxed));
        let extent = Extent { letter_of: Some(origin.name), ..extent };
        cell.origin().store(origin.position, Ordering::Relaxed);
        cell.extent().store(extent.pack(), Ordering::Relaxed);
    }

    /// Where the message at a claimed position comes from, if it is a letter: anybody may push what is none.
    pub fn origin(&self, position: u64) -> Option<Origin> {
        let cell = self.cell(position);
        let name = Extent::unpack(cell.extent().load(Ordering::Relaxed)).letter_of?;
        Some(Origin { position: cell.origin().load(Ordering::Relaxed), name })
    }

    /// Whether a letter from there that `is_it` recognises by its bytes is still in this ring of letters. Positions are given again to others after the power went.
    pub fn has_letter(&self, origin: Origin, is_it: impl Fn(Span) -> bool) -> bool {
        let reap = self.reaped().position;
        // A ring that is damaged may say that there are any number.
        let end = self.tail().position.min(reap.saturating_add(self.cells()));
        (reap..end).any(|at| {
            let found = self.has_message(at)
                && self.origin(at) == Some(origin)
                && self.message(at).is_ok_and(&is_it);
            // Read afterwards: a cell that was not given back is not that of another letter.
            fence(Ordering::Acquire);
            found && self.reaped().position <= at
        })
    }
}

/// A ring of letters and a producer in it.
pub trait Letters {
    /// Whether it has a letter from there that is this message.
    fn has(&self, origin: Origin, ring: &Ring, message: Span) -> bool;

    /// Publishes a letter. False: there is no room.
    fn push(&mut self, origin: Origin, ring: &Ring, message: Span) -> bool;

    /// Whether there would be room for so many bytes.
    fn has_room(&mut self, len: usize) -> bool;
}

/// Without a ring there is no room.
impl<L: Letters> Letters for Option<L> {
    fn has(&self, origin: Origin, ring: &Ring, message: Span) -> bool {
        self.as_ref().is_some_and(|letters| letters.has(origin, ring, message))
    }

    fn push(&mut self, origin: Origin, ring: &Ring, message: Span) -> bool {
        self.as_mut().is_some_and(|letters| letters.push(origin, ring, message))
    }

    fn has_room(&mut self, len: usize) -> bool {
        self.as_mut().is_some_and(|letters| letters.has_room(len))
    }
}

impl Popper {
    /// Whether what it has claimed is a letter.
    #[inline]
    pub fn has_letter(&self, ring: &Ring, claimed: &Claimed) -> bool {
        ring.policy.max_deliveries != 0 && claimed.came_back() && claimed.deliveries() > ring.policy.max_deliveries
    }

    /// Moves a letter that it has claimed, or puts it back where there is no room. Says whether it was moved.
    pub fn set_aside(
        &mut self,
        ring: &Ring,
        claimed: &Claimed,
        message: Span,
        letters: &mut impl Letters,
    ) -> bool {
        let origin = Origin { position: claimed.first, name: self.name() };
        // Who tried before may have been killed between the copy and the mark.
        let copied = self.may_be_copied && letters.has(origin, ring, message) || letters.push(origin, ring, message);
        if copied {
            fault::point(Step::LetterCopied);
            self.conclude(ring, claimed, claimed.word.set_aside(), Step::SetAside);
        } else {
            // Nobody is told: there is nothing to be had until there is room.
            let word = Claim::uncopied(claimed.word.tag(), self.owner(), claimed.deliveries());
            self.conclude(ring, claimed, word, Step::LetterKept);
            self.pass_letters(true);
        }
        copied
    }

    /// The first message that nobody could set aside, if it is what holds the frontier.
    pub fn stuck_letter(&self, ring: &Ring) -> Option<Span> {
        let group = ring.group(self.entry().into());
        let frontier = group.frontier();
        let first = group.claim_at(frontier.position, frontier.tenancy());
        first.filter(|word| ring.is_stuck_letter(*word)).and_then(|_| ring.message(frontier.position).ok())
    }
}
