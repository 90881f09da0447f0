//! Making room: moving each group's frontier over what is done, and `reap` behind the slowest.
//!
//! Anybody may do it at any time; each step is bounded, owns nothing, and is one exact swap.

use super::words::{Claim, Extent, Frontier, Kind, Owner, Reap, Size, State, Unit};
use super::{Damaged, Group, Ring};
use crate::fault::{self, Step};
use crate::file::layout::UNIT;
use crate::sync::{Ordering, Pair};

/// How many positions one step looks at: a longer sweep would show in the latency of the push that makes it.
const STEP: u64 = 1024;

/// Moves a group's frontier over at most `STEP` positions. Returns where it is.
pub fn advance(group: &Group<'_>) -> u64 {
    let ring = group.ring;
    let pair = group.frontier_pair().load(Ordering::Acquire); // F3
    let frontier = Frontier::unpack(pair);
    let from = frontier.position;
    let mut to = from;
    while to.wrapping_sub(from) < STEP {
        let claim = Claim(group.claim(to).load(Ordering::Acquire)); // F1, pairs with D1 (E2)
        if claim.is_at(group.tag(to, frontier.tenancy)) {
            match claim.state() {
                State::Done | State::Dead => to = to.wrapping_add(claim.cells()),
                _ => break,
            }
        } else {
            match ring.published(to).map(|p| p.kind()) {
                Some(Kind::Skip | Kind::Void) => to = to.wrapping_add(1),
                _ => break,
            }
        }
    }
    if to == from {
        return from;
    }
    let next = Frontier {
        position: to,
        ..frontier
    };
    // F2: success proves that the frontier never moved, so no word at or above it was used again while it was read.
    match group.frontier_pair().compare_exchange(
        pair,
        next.pack(),
        Ordering::AcqRel,
        Ordering::Acquire,
    ) {
        Ok(_) => {
            fault::point(Step::FrontierMoved);
            to
        }
        Err(now) => Frontier::unpack(now).position,
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

/// One step of making room. False if there was nothing to free.
pub fn pass(ring: &Ring) -> Result<bool, Damaged> {
    let pair = ring.reap_pair().load(Ordering::Acquire); // R1
    let reap = Reap::unpack(pair);
    let slowest = (0..ring.entries())
        .filter(|&entry| ring.is_group(entry))
        .map(|entry| advance(&ring.group(entry)))
        .min();
    let Some(slowest) = slowest else {
        return Ok(false);
    };
    let mut position = slowest.min(reap.position.saturating_add(STEP));
    if position > reap.position {
        // Read after the frontiers (L2): what somebody still holds below them was marked before somebody else could finish it.
        position = position.min(pinned(ring).max(reap.position));
    }
    if position < reap.position {
        // Others went on since the pair was read, or the frontier was never below it.
        return if is_unmoved(ring, pair) {
            Err(Damaged { position })
        } else {
            Ok(true)
        };
    }
    let unit = boundary(ring, reap, position);
    let tail = ring.tail();
    if tail.position < position || unit.since(reap.unit) > tail.unit.since(reap.unit) {
        // A stale reader may see a reused cell; only an unmoved reap makes it damage (part C, l).
        return if is_unmoved(ring, pair) {
            Err(Damaged { position })
        } else {
            Ok(true)
        };
    }
    let next = Reap {
        position,
        unit,
        ..reap
    };
    if next == reap {
        return Ok(false);
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

/// The first position that somebody may still be reading whose lease has expired.
fn pinned(ring: &Ring) -> u64 {
    if !ring.is_leased() {
        return u64::MAX;
    }
    let slots = (0..ring.participants()).map(|i| ring.slot(Owner(i as u16)));
    let taken = slots.filter(|slot| slot.attachment().load(Ordering::Acquire) != 0);
    taken.filter_map(|slot| slot.pin()).min().unwrap_or(u64::MAX)
}

/// Whether `reap` is still this pair. A swap for itself, since a load may see an old value: what was read of a reused cell was read relaxed.
fn is_unmoved(ring: &Ring, pair: Pair) -> bool {
    ring.reap_pair().compare_exchange(pair, pair, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

/// Where the data of `position` begins, or a lower bound if its cell does not say so yet.
fn boundary(ring: &Ring, reap: Reap, position: u64) -> Unit {
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
    (reap.position..position)
        .rev()
        .find_map(known)
        .map_or(reap.unit, |(extent, size)| {
            let units = if extent.inline { 0 } else { (size.len as usize).div_ceil(UNIT) };
            extent.unit.plus(units as u64)
        })
}
