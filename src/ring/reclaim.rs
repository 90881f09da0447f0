//! Making room: moving each group's frontier over what is done, and `reap` behind the slowest.
//!
//! Anybody may do it at any time; each step is bounded, owns nothing, and is one exact swap.

use super::words::{Claim, Extent, Frontier, Kind, Life, Owner, Publish, Reap, Size, Stage, State, Unit};
use super::{Damaged, Group, Ring, groups, retain};
use crate::fault::{self, Step};
use crate::file::layout::UNIT;
use crate::sync::{Ordering, Pair, fence};

/// How many positions one step looks at: a longer sweep would show in the latency of the push that makes it.
pub(super) const STEP: u64 = 1024;

/// Moves the frontier of a group entry over at most `STEP` positions. Returns where it is.
pub fn advance(group: &Group<'_>) -> u64 {
    // The swap acquires it, or who makes something of it reads it again (F3).
    let pair = group.frontier_pair().load(Ordering::Relaxed);
    let frontier = Frontier::unpack(pair);
    let (to, end) = match frontier.life.stage {
        Stage::Free | Stage::Pinned => return frontier.position,
        Stage::Ready => (group.done_from(&frontier, STEP), None),
        Stage::Draining => group.let_go_from(&frontier, STEP),
    };
    let next = match end {
        // Nobody holds anything in it, and nobody will.
        Some(end) if to >= end => Frontier { life: frontier.life.freed(), position: to },
        _ if to == frontier.position => return to,
        _ => Frontier { position: to, ..frontier },
    };
    swap(group, pair, next)
}

/// The same by a consumer, with its life of the entry, that has itself finished all positions of an interval: it need not look at their words, if the frontier is there.
pub fn advance_over(group: &Group<'_>, life: Life, finished: Interval) -> u64 {
    // The swap acquires it.
    let pair = group.frontier_pair().load(Ordering::Relaxed);
    let frontier = Frontier::unpack(pair);
    if frontier.life == life && finished.contains(frontier.position) {
        swap(group, pair, Frontier { position: finished.end, ..frontier })
    } else {
        advance(group)
    }
}

/// Puts a frontier in the place of exactly the one that was seen. Returns where it is.
fn swap(group: &Group<'_>, seen: Pair, next: Frontier) -> u64 {
    // F2: success proves that the frontier never moved, so no word at or above it was used again while it was read.
    match group.frontier_pair().compare_exchange(
        seen,
        next.pack(),
        Ordering::AcqRel,
        Ordering::Relaxed,
    ) {
        Ok(_) => {
            let freed = next.life != Frontier::unpack(seen).life;
            fault::point(if freed { Step::EntryFreed } else { Step::FrontierMoved });
            next.position
        }
        Err(now) => Frontier::unpack(now).position,
    }
}

/// Positions side by side.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    pub start: u64,
    pub end: u64,
}

impl Interval {
    /// Goes on with these positions, or begins with them if they lie elsewhere.
    #[inline]
    pub fn add(&mut self, first: u64, end: u64) {
        if self.end != first {
            self.start = first;
        }
        self.end = end;
    }

    fn contains(&self, position: u64) -> bool {
        position.wrapping_sub(self.start) < self.end.wrapping_sub(self.start)
    }
}

impl Group<'_> {
    /// How far, from the frontier on, everything is done, or without a message and unclaimed; at most `step` positions or an interval more.
    pub fn done_from(&self, frontier: &Frontier, step: u64) -> u64 {
        let (mut to, tenancy) = (frontier.position, frontier.tenancy());
        while to.wrapping_sub(frontier.position) < step {
            let claim = Claim(self.claim(to).load(Ordering::Acquire)); // F1, pairs with D1 (E2)
            let tag = self.tag(to, tenancy);
            if claim.is_done_at(tag) {
                to = to.wrapping_add(claim.count() + 1);
            } else if self.is_nothing(to, claim, tag) {
                to = to.wrapping_add(1);
            } else {
                break;
            }
        }
        to
    }

    /// Whether a cell that is not done has no message any more, or never had one.
    #[inline(never)]
    fn is_nothing(&self, at: u64, claim: Claim, tag: u64) -> bool {
        if claim.is_at(tag) {
            return claim.state() == State::Dead;
        }
        matches!(self.ring.published(at).map(Publish::kind), Some(Kind::Skip | Kind::Void))
    }

    /// How far nothing is held in an entry that drains, and how far anything can be: what is put back or unclaimed is nobody's any more.
    fn let_go_from(&self, frontier: &Frontier, step: u64) -> (u64, Option<u64>) {
        // Either a claim is seen here, or its owner sees that the entry drains (G3).
        self.say(frontier.life);
        fence(Ordering::SeqCst);
        // No more than there are cells, whatever a damaged ring says.
        let end = self.ring.tail().position.min(frontier.position.saturating_add(self.ring.cells()));
        let mut to = frontier.position;
        while to < end && to.wrapping_sub(frontier.position) < step {
            let claim = Claim(self.claim(to).load(Ordering::Acquire)); // F1
            let is_here = claim.is_at(self.tag(to, frontier.tenancy()));
            match claim.state() {
                State::Claim | State::Reclaim if is_here => break,
                State::Done if is_here => to = to.wrapping_add(claim.cells()),
                _ => to = to.wrapping_add(1),
            }
        }
        (to, Some(end))
    }
}

/// Moves a group's frontier as far as it goes. Returns where it is.
pub fn advance_to_end(group: &Group<'_>) -> u64 {
    loop {
        let before = group.frontier().position;
        let after = advance(group);
        if after == before {
            return after;
        }
    }
}

/// One step of making room: what every group is done with, but for what is retained. False if there was nothing to free.
pub fn pass(ring: &Ring) -> Result<bool, Damaged> {
    let pair = ring.reap_pair().load(Ordering::Acquire); // R1
    let reap = Reap::unpack(pair);
    // Whoever read `reap` before an entry was pinned fails (G1), so none that counts is missed.
    let Some(slowest) = hold_all(ring) else {
        return Ok(false);
    };
    let Some(kept) = retain::keep(ring, reap, slowest) else {
        // Others went on meanwhile.
        return Ok(true);
    };
    let mut position = kept.until.min(slowest).min(reap.position.saturating_add(STEP));
    if let Some(scrubbed) = ring.scrubber().and_then(|entry| hold(ring, entry)) {
        position = position.min(scrubbed);
    }
    if position > reap.position {
        // Read after the frontiers (L2): what somebody still holds below them was marked before somebody else could finish it.
        position = position.min(pinned(ring).max(reap.position));
    }
    if position < reap.position {
        // Others went on since the pair was read, or the frontier was never below it.
        return damaged_unless_moved(ring, pair, position);
    }
    let unit = boundary(ring, reap, position);
    // Read after the frontiers, which are never beyond it, nor it more than a lap beyond `reap`.
    let tail = ring.tail();
    if tail.position < slowest
        || tail.position.wrapping_sub(reap.position) > ring.cells()
        || unit.since(reap.unit) > tail.unit.since(reap.unit)
    {
        // A stale reader may see a reused cell; only an unmoved reap makes it damage (part C, l).
        return damaged_unless_moved(ring, pair, position);
    }
    let next = Reap {
        position,
        unit,
        ..reap
    };
    if next == reap {
        return Ok(kept.moved);
    }
    // R2: release, so that a producer that acquires it (R1) writes after every reader below has finished (E2). Success proves that no cell in between was reused.
    let _ = ring.reap_pair().compare_exchange(
        pair,
        next.pack(),
        Ordering::AcqRel,
        Ordering::Relaxed,
    );
    fault::point(Step::ReapMoved);
    Ok(true)
}

/// How far everything is given up: every group is done with it, it is not retained, and nobody holds it whose lease has expired. `None`: there is no group, or others
/// went on meanwhile.
pub(super) fn given_up(ring: &Ring, reap: Reap) -> Option<u64> {
    let slowest = hold_all(ring)?;
    let kept = retain::keep(ring, reap, slowest)?;
    let most = reap.position.saturating_add(ring.cells());
    Some(kept.until.min(slowest).min(pinned(ring)).min(most))
}

/// Where the space begins that the groups hold, which is moved on. Without a group everything waits for one, also beside claims in one that is gone.
fn hold_all(ring: &Ring) -> Option<u64> {
    let groups = (0..ring.entries()).filter(|&entry| Some(entry) != ring.scrubber());
    let slowest = groups.filter_map(|entry| hold(ring, entry)).min();
    slowest.filter(|_| ring.has_group()).map(|slowest| published_until(ring, slowest))
}

/// How far everything up to `slowest` is published. A group may begin behind what somebody has reserved and not finished, and say nothing of it; everywhere else, what is done was published.
fn published_until(ring: &Ring, slowest: u64) -> u64 {
    let reap = ring.reaped().position;
    let begun = (0..ring.names()).map(|index| ring.name(index).start()).max().unwrap_or(0);
    // A ring that is damaged may say anything.
    let end = slowest.min(begun).min(reap.saturating_add(ring.cells()));
    (reap..end).find(|&at| ring.published(at).is_none()).unwrap_or(slowest)
}

/// Where the space begins that a group entry holds, which is moved on; `None` if it holds none.
fn hold(ring: &Ring, entry: usize) -> Option<u64> {
    if !groups::tend(ring, entry).life.holds_space() {
        return None;
    }
    advance(&ring.group(entry));
    let frontier = ring.group(entry).frontier();
    frontier.life.holds_space().then_some(frontier.position)
}

/// Where the slowest group is, without moving anything; `None` if there is none.
pub(super) fn slowest(ring: &Ring) -> Option<u64> {
    slowest_by(ring, |group| group.done_from(&group.frontier(), ring.cells()))
}

/// The least position of those that hold space; `None` if there is no group.
pub(super) fn slowest_by(ring: &Ring, position: impl Fn(&Group<'_>) -> u64) -> Option<u64> {
    ring.holders().map(|entry| position(&ring.group(entry))).min().filter(|_| ring.has_group())
}

/// The first position that somebody may still be reading whose lease has expired.
fn pinned(ring: &Ring) -> u64 {
    if !ring.is_leased() {
        return u64::MAX;
    }
    let slots = (0..ring.participants()).map(|i| ring.slot(Owner(i as u16)));
    let taken = slots.filter(|slot| slot.attachment().load(Ordering::Acquire) != 0);
    taken.filter_map(|slot| slot.pin()).min().unwrap_or(u64::MAX)
}

/// What is wrong at `position` is damage if `reap` is still this pair. A swap for itself, since a load may see an old value: what was read of a reused cell was read relaxed.
fn damaged_unless_moved(ring: &Ring, pair: Pair, position: u64) -> Result<bool, Damaged> {
    match ring.reap_pair().compare_exchange(pair, pair, Ordering::AcqRel, Ordering::Relaxed) {
        Ok(_) => Err(Damaged { position }),
        Err(_) => Ok(true),
    }
}

/// Where the data of `position` begins, or a lower bound if its cell does not say so yet.
pub(super) fn boundary(ring: &Ring, reap: Reap, position: u64) -> Unit {
    let tail = ring.tail();
    if tail.position == position {
        return tail.unit;
    }
    let known = |position: u64| match ring.published(position)?.kind() {
        Kind::Ready | Kind::Skip => {
            let cell = ring.cell(position);
            let extent = Extent::unpack(cell.extent().load(Ordering::Relaxed));
            let size = Size::unpack(cell.size().load(Ordering::Relaxed));
            Some((extent, size))
        }
        Kind::Void | Kind::None => None,
    };
    if let Some((extent, _)) = known(position) {
        return extent.unit;
    }
    // No more than there are cells, whatever a damaged ring says.
    (reap.position.max(position.saturating_sub(ring.cells()))..position)
        .rev()
        .find_map(known)
        .map_or(reap.unit, |(extent, size)| {
            let units = if extent.inline { 0 } else { (size.len as usize).div_ceil(UNIT) };
            extent.unit.plus(units as u64)
        })
}
