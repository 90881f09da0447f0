//! Retention: the last messages that every group is done with stay where they are, as far as others need no room for what is new.
//!
//! `kept` says where they begin and how many they are. `reap` follows it: so it is moved first, by one exact swap, while the cells that
//! it gives up are still there to be counted.

use super::words::{Kept, Reap};
use super::{Ring, reclaim};
use crate::fault::{self, Step};
use crate::file::layout::cursor;
use crate::sync::{AtomicU64, Ordering, fence};

/// How far space may be freed.
pub(super) struct Bound {
    pub until: u64,
    /// Whether anything has changed that another pass may make use of.
    pub moved: bool,
}

/// How far space may be freed of what every group is done with up to `slowest`. `None`: others went on meanwhile.
pub(super) fn keep(ring: &Ring, reap: Reap, slowest: u64) -> Option<Bound> {
    let retain = ring.retain();
    if retain == 0 && ring.scrubber().is_none() {
        return Some(Bound { until: slowest, moved: false });
    }
    move_on(ring, reap, slowest, |_, is_beyond| is_beyond)
}

/// The same, and gives up what was published before `since`, in nanoseconds since 1970.
pub fn expire(ring: &Ring, since: u64) -> bool {
    let reap = ring.reaped();
    let Some(slowest) = reclaim::slowest(ring) else {
        return false;
    };
    let is_old =
        |at, is_beyond| is_beyond || ring.cell(at).origin().load(Ordering::Relaxed) < since;
    move_on(ring, reap, slowest, is_old).is_none_or(|bound| bound.moved)
}

/// Counts what the groups are done with by now, and gives up the first of it, as long as `gives_up` says so of a message and of whether there are enough without it, at
/// most a step of either.
fn move_on(ring: &Ring, reap: Reap, slowest: u64, gives_up: impl Fn(u64, bool) -> bool) -> Option<Bound> {
    // No more than there are cells, whatever a damaged ring says.
    let slowest = slowest.min(reap.position.saturating_add(ring.cells()));
    let seen = ring.kept();
    let mut kept = seen;
    if kept.first() < reap.position || kept.first() > ring.tail().position {
        // Nothing was retained for a while.
        kept = Kept { end: reap.position, cells: 0, messages: 0 };
    }
    for _ in 0..reclaim::STEP {
        if kept.end >= slowest {
            break;
        }
        kept.messages = kept.messages.saturating_add(u32::from(ring.has_message(kept.end)));
        (kept.end, kept.cells) = (kept.end + 1, kept.cells.saturating_add(1));
    }
    // After a rewind some of what was counted is to be consumed again: that is asked only where it matters.
    let retain = ring.retain();
    let again = match u64::from(kept.messages) > retain {
        true => ring.count_messages(slowest..kept.end) as u64,
        false => 0,
    };
    for _ in 0..reclaim::STEP {
        let first = kept.first();
        if first >= slowest || kept.cells == 0 {
            break;
        }
        let is_message = ring.has_message(first);
        let is_beyond = u64::from(kept.messages).saturating_sub(again) > retain;
        if is_message && !gives_up(first, is_beyond) {
            break;
        }
        kept.messages = kept.messages.saturating_sub(u32::from(is_message));
        kept.cells -= 1;
    }
    replace(ring, seen, kept, reap)
}

/// Puts `kept` in place of exactly `seen`, if what was counted was still there.
fn replace(ring: &Ring, seen: Kept, kept: Kept, reap: Reap) -> Option<Bound> {
    // Read after the cells: what was not given back was not written again.
    fence(Ordering::Acquire);
    if ring.reaped().position != reap.position {
        return None;
    }
    let moved = kept != seen;
    if moved {
        // Relaxed: whoever frees by it has asked the frontiers himself.
        let swapped = ring.kept_pair().compare_exchange(
            seen.pack(),
            kept.pack(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        swapped.ok()?;
        fault::point(Step::KeptMoved);
    }
    Some(Bound { until: kept.first(), moved })
}

/// Lets the oldest give way to a push that finds no room, as many as it takes until `has_room`: what exceeds half of the cells or of the bytes, or
/// anything if every group is done with every message. `seen`: what was retained before a pass that freed nothing. Says whether another pass may free something.
pub fn give_way(ring: &Ring, seen: Kept, has_room: impl Fn(Reap) -> bool) -> bool {
    if ring.retain() == 0 {
        return false;
    }
    let reap = ring.reaped();
    let Some(slowest) = reclaim::slowest_by(ring, |group| group.frontier().position) else {
        return false;
    };
    if seen.first() < reap.position || seen.end < slowest {
        // Others went on meanwhile, and a pass has more to do.
        return true;
    }
    let is_drained = slowest == ring.tail().position;
    let unit_of = |at| reclaim::boundary(ring, reap, at);
    let exceeds = |at: u64| {
        slowest - at > ring.cells() / 2
            || unit_of(slowest).since(unit_of(at)) > ring.units / 2
    };
    let mut kept = seen;
    let mut gave_way = 0;
    for _ in 0..reclaim::STEP {
        let first = kept.first();
        if first >= slowest
            || has_room(Reap { position: first, unit: unit_of(first), ..reap })
            || !(is_drained || exceeds(first))
        {
            break;
        }
        let is_message = u32::from(ring.has_message(first));
        kept.messages = kept.messages.saturating_sub(is_message);
        gave_way += u64::from(is_message);
        kept.cells -= 1;
    }
    match replace(ring, seen, kept, reap) {
        // Others went on meanwhile.
        None => true,
        Some(bound) => {
            if bound.moved {
                ring.gave_way().fetch_add(gave_way, Ordering::Relaxed);
                fault::point(Step::GaveWay);
            }
            bound.moved
        }
    }
}

/// Where what is kept begins: the last retained messages that every group is done with, and all that some group is not. Changes nothing.
pub fn oldest(ring: &Ring) -> u64 {
    match reclaim::slowest(ring) {
        Some(slowest) => oldest_below(ring, slowest),
        None => ring.readable_from(),
    }
}

/// The first of the retained messages below `slowest`.
fn oldest_below(ring: &Ring, slowest: u64) -> u64 {
    // No more than there are cells, whatever a damaged ring says.
    let reap = ring.readable_from().max(slowest.saturating_sub(ring.cells()));
    let mut left = ring.retain();
    let mut at = slowest;
    while left > 0 && at > reap {
        at -= 1;
        left -= u64::from(ring.has_message(at));
    }
    at.max(reap)
}

/// How many messages are retained. Changes nothing.
pub fn retained(ring: &Ring) -> usize {
    reclaim::slowest(ring).map_or(0, |slowest| ring.count_messages(oldest_below(ring, slowest)..slowest))
}

impl Ring {
    /// How many messages stay that every group is done with.
    pub fn retain(&self) -> u64 {
        self.region.word(cursor::RETAIN).load(Ordering::Relaxed)
    }

    /// Sets that.
    pub fn set_retain(&self, messages: u64) {
        self.region.word(cursor::RETAIN).store(messages, Ordering::Relaxed);
    }

    /// What is retained.
    pub(super) fn kept(&self) -> Kept {
        Kept::unpack(self.kept_pair().load(Ordering::Relaxed))
    }

    /// How many retained messages have given way to new ones. Who is killed may leave what it took uncounted.
    pub fn gave_way(&self) -> &AtomicU64 {
        self.region.word(cursor::GAVE_WAY)
    }
}
