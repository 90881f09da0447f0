//! Settling what the dead owe: their reservations become VOID, their claims are put back, their slots come free. Of the living, claims whose
//! lease has expired are put back, and nothing else.
//!
//! Many may do it at once and any of them may be killed in it: every step is an exact swap, and the slot is freed last. The same walk
//! without the swaps says what there is to settle.

use super::words::{Claim, ClaimIntent, Intent, Kind, Link, Owner, Publish, State};
use super::{Ring, Slot};
use crate::fault::{self, Step};
use crate::file::layout::slot;
use crate::sync::Ordering;

/// What one recovery settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Slots that were freed.
    pub participants: u64,
    /// Reserved cells that will never be published.
    pub voided: u64,
    /// Messages of the dead that will be delivered again.
    pub put_back: u64,
    /// Messages of the living that will be delivered again, since their lease has expired.
    pub expired: u64,
}

impl std::ops::Add for Settled {
    type Output = Settled;

    fn add(self, other: Settled) -> Settled {
        Settled {
            participants: self.participants + other.participants,
            voided: self.voided + other.voided,
            put_back: self.put_back + other.put_back,
            expired: self.expired + other.expired,
        }
    }
}

impl Settled {
    /// Whether there was nothing to do.
    pub fn is_nothing(&self) -> bool {
        *self == Settled::default()
    }
}

/// Settles every slot whose attachment `is_dead` says is gone: the kernel's word alone may make it say so. `now` is the time by which leases expire.
pub fn recover(ring: &Ring, now: u64, is_dead: impl FnMut(Slot<'_>, u64) -> bool) -> Settled {
    visit(ring, now, is_dead, true)
}

/// What [`recover`] would settle. Changes nothing.
pub fn owed(ring: &Ring, now: u64, is_dead: impl FnMut(Slot<'_>, u64) -> bool) -> Settled {
    visit(ring, now, is_dead, false)
}

fn visit(ring: &Ring, now: u64, mut is_dead: impl FnMut(Slot<'_>, u64) -> bool, settles: bool) -> Settled {
    let mut settled = Settled::default();
    for i in 0..ring.participants() {
        let owner = Owner(i as u16);
        let slot = ring.slot(owner);
        let attachment = slot.attachment().load(Ordering::Acquire);
        if attachment == 0 {
            continue;
        }
        if !is_dead(slot, attachment) {
            if ring.is_leased() {
                settled.expired += put_back_expired(ring, owner, now, settles);
            }
            continue;
        }
        let dead = Debtor { ring, slot, owner, since: Since::Attachment(attachment), settles };
        settled.voided += dead.void_reservation();
        settled.put_back += dead.put_back_dead_claim();
        if !settles {
            settled.participants += 1;
            continue;
        }
        // With the announcement, which stays until the next owner clears it, it would be a pin.
        let mark = Mark::of(slot);
        if mark != Mark(0) && dead.is_the_same() {
            mark.replace(slot, Mark(0));
        }
        let (word, bit) = ring.asleep(owner);
        word.fetch_and(!bit, Ordering::Relaxed);
        fault::point(Step::DebtsSettled);
        // Last, and exactly: a number is never used again, so this frees the dead one's tenancy or nothing (E8).
        let freed = slot.attachment().compare_exchange(
            attachment,
            0,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        fault::point(Step::SlotFreed);
        settled.participants += u64::from(freed.is_ok());
    }
    settled
}

/// Puts back what a slot has claimed for longer than a lease. Returns how many messages that were.
fn put_back_expired(ring: &Ring, owner: Owner, now: u64, settles: bool) -> u64 {
    let slot = ring.slot(owner);
    let Some((first, intent)) = slot.announced_claim() else {
        return 0;
    };
    // Read after the announcement: the time of that claim or of a later one, and a later one is no older (L1).
    let claimed = slot.claimed().load(Ordering::Relaxed);
    if now.saturating_sub(claimed) < ring.policy.lease {
        return 0;
    }
    let mark = Mark::of(slot);
    if mark.is_told_of(claimed) {
        return 0;
    }
    let late = Debtor { ring, slot, owner, since: Since::Claim(claimed), settles };
    let Some((put_back, held)) = late.put_back(first, intent) else {
        return 0;
    };
    // Also for what an earlier recoverer had put back and died before telling: until a pass finds nothing that is still held.
    if settles && (put_back > 0 || mark.is_of(claimed)) {
        ring.group(intent.entry.into()).announce_redo();
        if !held {
            mark.replace(slot, Mark(claimed | Mark::TOLD));
        }
    }
    put_back
}

/// What a slot says of its claim that has expired.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark(u64);

impl Mark {
    /// All of it was put back, and everybody told.
    const TOLD: u64 = 1 << 63;

    fn of(slot: Slot<'_>) -> Mark {
        Mark(slot.expired().load(Ordering::Acquire))
    }

    /// Whether the claim of that time has been marked.
    fn is_of(self, claimed: u64) -> bool {
        self.0 & !Mark::TOLD == claimed & !Mark::TOLD && self.0 != 0
    }

    fn is_told_of(self, claimed: u64) -> bool {
        self.is_of(claimed) && self.0 & Mark::TOLD != 0
    }

    /// Exactly: a mark that was set meanwhile is of a later claim.
    fn replace(self, slot: Slot<'_>, new: Mark) -> bool {
        slot.expired().compare_exchange(self.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Slot<'_> {
    /// Where something begins that its owner holds although it was put back.
    pub(super) fn pin(&self) -> Option<u64> {
        let (first, _) = self.announced_claim()?;
        // Read after the announcement: while that claim is held, neither of the two changes any more.
        Mark::of(*self).is_of(self.claimed().load(Ordering::Relaxed)).then_some(first)
    }
}

/// What must not have changed in a slot, so that the words that name it are those of a debt.
#[derive(Clone, Copy)]
enum Since {
    /// The number of an attachment that is gone.
    Attachment(u64),
    /// The time of a claim that has expired: the words of every later one are written after another time.
    Claim(u64),
}

/// A slot whose owner is gone, or has held something for too long.
struct Debtor<'a> {
    ring: &'a Ring,
    slot: Slot<'a>,
    owner: Owner,
    since: Since,
    /// Or only looks.
    settles: bool,
}

impl Debtor<'_> {
    /// Whether what was read of the slot, and of words that name it, is of this debt or of an earlier time.
    fn is_the_same(&self) -> bool {
        match self.since {
            Since::Attachment(number) => self.slot.attachment().load(Ordering::Acquire) == number,
            Since::Claim(time) => self.slot.claimed().load(Ordering::Relaxed) == time,
        }
    }

    /// Turns a reservation that it won and did not publish into VOID. Returns how many cells that were.
    fn void_reservation(&self) -> u64 {
        let (first, word) = self.slot.announcement(slot::INTENT_POSITION, slot::INTENT);
        let Some(Intent { cells, prev }) = Intent::unpack(first, word) else {
            return 0;
        };
        let end = first.wrapping_add(cells);
        if owner_at(self.ring, end) != Some(self.owner) || !self.is_the_same() {
            return 0;
        }
        // Published is what has a published first cell; a lap later, only what was published before.
        if self.ring.published(first).is_some() || self.ring.reaped().position > first {
            return 0;
        }
        let mut voided = 0;
        for distance in (0..cells).rev() {
            let at = first.wrapping_add(distance);
            let link = match distance {
                0 => Link::First(prev),
                _ => Link::Behind(distance),
            };
            voided += u64::from(self.void(at, link));
        }
        voided
    }

    /// One cell, exactly from the word that is there.
    fn void(&self, at: u64, link: Link) -> bool {
        let lap = self.ring.lap(at);
        let cell = self.ring.cell(at);
        let seen = cell.load();
        let kind = match (seen.is_at(lap), seen.kind()) {
            (true, Kind::Skip | Kind::Void) => return false,
            // The part of a batch that was published already: its extent is known.
            (true, _) => Kind::Skip,
            (false, _) => Kind::Void,
        };
        // Read after the word: if the cell was not given back to producers, the word is not from a later lap.
        if self.ring.reaped().position > at {
            return false;
        }
        if !self.settles {
            return true;
        }
        let word = Publish::new(lap, link, kind);
        let voided = cell.publish().compare_exchange(seen.0, word.0, Ordering::AcqRel, Ordering::Relaxed);
        fault::point(Step::CellVoided);
        voided.is_ok()
    }

    /// Puts back what a dead one had claimed. Returns how many messages that were.
    fn put_back_dead_claim(&self) -> u64 {
        let Some((first, intent)) = self.slot.announced_claim() else {
            return 0;
        };
        let Some((put_back, _)) = self.put_back(first, intent) else {
            return 0;
        };
        // Whether or not anything was found: an earlier recoverer, or the dead one itself, may have died before its own.
        if self.settles {
            self.ring.group(intent.entry.into()).announce_redo();
        }
        put_back
    }

    /// Puts back what is still claimed of what was announced. Returns how many messages that were, and whether anything was held at all; `None` if the
    /// announcement is not one of this debt.
    fn put_back(&self, first: u64, ClaimIntent { cells, entry }: ClaimIntent) -> Option<(u64, bool)> {
        if usize::from(entry) >= self.ring.entries() || !self.is_the_same() {
            return None;
        }
        let group = self.ring.group(entry.into());
        let tenancy = group.frontier().tenancy();
        let (mut put_back, mut held) = (0, false);
        // From the last: an interval that was being split has a later word that names the owner as well.
        for distance in (0..cells).rev() {
            let at = first.wrapping_add(distance);
            let seen = Claim(group.claim(at).load(Ordering::Acquire));
            if !seen.is_at(group.tag(at, tenancy)) || !seen.held_by(self.owner) {
                continue;
            }
            held = true;
            if !self.mark() {
                return None;
            }
            for behind in (1..seen.cells()).rev() {
                let at = at.wrapping_add(behind);
                let interior = Claim(group.claim(at).load(Ordering::Acquire));
                let tag = group.tag(at, tenancy);
                // A word of this lap was written when the interval was being split: it says already what became of it.
                if !interior.is_at(tag) {
                    let word = group.put_back(at, tag, 1);
                    put_back += self.settle(&group, at, interior, word);
                }
            }
            let tag = group.tag(at, tenancy);
            let word = group.put_back(at, tag, seen.deliveries());
            put_back += self.settle(&group, at, seen, word);
        }
        Some((put_back, held))
    }

    /// Says of a claim that has expired, before any word of it is put back, that it has. False: it is not this claim any more.
    fn mark(&self) -> bool {
        let Since::Claim(claimed) = self.since else {
            return true;
        };
        loop {
            let mark = Mark::of(self.slot);
            // Read after the mark: a later claim has not been marked before this one.
            if !self.is_the_same() {
                return false;
            }
            if !self.settles || mark.is_of(claimed) || mark.replace(self.slot, Mark(claimed)) {
                return true;
            }
        }
    }

    /// Exactly from the word that was seen, which was there while the dead one had the slot. Returns 1 for a message.
    fn settle(&self, group: &super::Group<'_>, at: u64, seen: Claim, word: Claim) -> u64 {
        // Read after the word: if the group is not done with the position, the word is not from a later lap.
        if group.frontier().position > at || !self.is_the_same() {
            return 0;
        }
        let is_message = u64::from(word.state() == State::Redo);
        if !self.settles {
            return is_message;
        }
        let settled =
            group.claim(at).compare_exchange(seen.0, word.0, Ordering::AcqRel, Ordering::Relaxed);
        fault::point(Step::ClaimSettled);
        if settled.is_ok() { is_message } else { 0 }
    }
}

/// Who made the reservation that ends at `boundary`. In this order: whoever moved the tail on from there announced it first, and
/// published it before announcing anything else (E3).
fn owner_at(ring: &Ring, boundary: u64) -> Option<Owner> {
    let tail = ring.tail();
    if tail.position == boundary {
        return Some(tail.owner);
    }
    if tail.position < boundary {
        return None;
    }
    let announced = (0..ring.participants()).find_map(|i| {
        let slot = ring.slot(Owner(i as u16));
        let (position, word) = slot.announcement(slot::INTENT_POSITION, slot::INTENT);
        let intent = Intent::unpack(position, word)?;
        (position == boundary).then_some(intent.prev)
    });
    announced.or_else(|| match ring.published(boundary)?.link() {
        Link::First(owner) => Some(owner),
        Link::Behind(_) => None,
    })
}
