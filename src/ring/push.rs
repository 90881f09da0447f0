//! Producers: announce, reserve, write, publish.

use super::words::{Extent, Intent, Kind, Lap, Link, Owner, Publish, Reap, Size, Tail, Unit};
use super::{Damaged, Ring, SlotPlace, Span, reclaim, retain, scrub};
use crate::fault::{self, Step};
use crate::file::layout::UNIT;
use crate::sync::{Ordering, Pair, fence};
use crossbeam_utils::Backoff;

/// So many cells are fetched at a time, a power of two.
const FETCHED: u64 = 8;

/// A producer as the protocol sees it.
#[derive(Debug)]
pub struct Pusher {
    owner: Owner,
    slot: SlotPlace,
    /// `reap` as last seen. It may be behind, never ahead of any tail read later.
    reap: Reap,
}

/// Cells that belong to one producer and are not published yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    pub first: u64,
    pub cells: u64,
    /// Where its data begins, and where the next reservation's will.
    unit: Unit,
    end: Unit,
    prev: Owner,
}

/// The next message of a reservation to be staged.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    position: u64,
    unit: Unit,
}

/// Why nothing was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    Full,
    Closed,
    Damaged(Damaged),
}

/// Why an attempt to reserve has failed.
#[derive(Debug)]
pub enum Refused {
    /// The tail has moved since it was read.
    Late,
    NoRoom(NoRoom),
}

impl Pusher {
    pub fn new(ring: &Ring, owner: Owner) -> Pusher {
        Pusher {
            owner,
            slot: ring.slot(owner).place(),
            reap: ring.reaped(),
        }
    }

    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Reserves cells and data for `count` messages of the given lengths, which the caller has checked against
    /// [`Ring::max_len`], [`Ring::max_batch`] and [`Ring::batch_fits`].
    #[inline]
    pub fn try_reserve(
        &mut self,
        ring: &Ring,
        count: usize,
        len: impl Fn(usize) -> usize,
    ) -> Result<Reserved, NoRoom> {
        self.attempt(ring, count, &len).or_else(|refused| self.try_again(ring, refused, count, len))
    }

    /// Goes on after an [`attempt`](Self::attempt) that has failed.
    #[cold]
    pub fn try_again(
        &mut self,
        ring: &Ring,
        mut refused: Refused,
        count: usize,
        len: impl Fn(usize) -> usize,
    ) -> Result<Reserved, NoRoom> {
        let backoff = Backoff::new();
        loop {
            if let Refused::NoRoom(nothing) = refused {
                return Err(nothing);
            }
            // Others get along faster, and so do all, if the line stays with one of them for a while.
            backoff.spin();
            match self.attempt(ring, count, &len) {
                Ok(reserved) => return Ok(reserved),
                Err(again) => refused = again,
            }
        }
    }

    /// One attempt, from the tail as it is to the swap, which nearly always succeeds.
    #[inline(always)]
    pub fn attempt(
        &mut self,
        ring: &Ring,
        count: usize,
        len: impl Fn(usize) -> usize,
    ) -> Result<Reserved, Refused> {
        let cells = count as u64;
        let pair = ring.tail_pair().load(Ordering::Acquire); // T1
        let tail = Tail::unpack(pair);
        if tail.closed {
            return Err(Refused::NoRoom(NoRoom::Closed));
        }
        let end = (0..count).fold(tail.unit, |unit, i| ring.place(unit, len(i)).1);
        if !ring.has_room(tail, self.reap, cells, end) {
            self.make_room(ring, pair, cells, end)?;
        }
        let reserved = Reserved {
            first: tail.position,
            cells,
            unit: tail.unit,
            end,
            prev: tail.owner,
        };
        let next = Tail {
            position: tail.position.wrapping_add(cells),
            unit: end,
            closed: false,
            owner: self.owner,
        };
        let intent = Intent {
            cells,
            prev: tail.owner,
        };
        ring.slot_at(self.slot).announce_reservation(tail.position, intent); // I1
        // T2: release, so that who reads the new tail sees the announcement (E3); acquire, for the next one's evidence.
        let swapped = ring.tail_pair().compare_exchange(
            pair,
            next.pack(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if swapped.is_err() {
            return Err(Refused::Late);
        }
        // G5: between what was read of `reap` and what is written now, for those who replay. No instruction on x86.
        fence(Ordering::Release);
        fault::point(Step::TailSwapped);
        Ok(reserved)
    }

    /// Whether a message of this length would find room.
    pub fn has_room(&mut self, ring: &Ring, len: usize) -> bool {
        let tail = ring.tail();
        let (_, end) = ring.place(tail.unit, len);
        !tail.closed
            && (ring.has_room(tail, self.reap, 1, end)
                || !matches!(self.make_room(ring, tail.pack(), 1, end), Err(Refused::NoRoom(_))))
    }

    /// Looks for room beyond the reap cursor last seen, and makes some.
    #[cold]
    fn make_room(&mut self, ring: &Ring, tail: Pair, cells: u64, end: Unit) -> Result<(), Refused> {
        let tail = Tail::unpack(tail);
        loop {
            self.reap = ring.reaped();
            // A cursor beyond the tail was reached by others since: the tail is old, not the ring full (P1).
            if self.reap.position > tail.position {
                // Who moved it had read a tail that was no lower (R2): one that is lower still is damaged, and stays so.
                let position = ring.tail().position;
                return Err(match position < self.reap.position {
                    true => Refused::NoRoom(NoRoom::Damaged(Damaged { position })),
                    false => Refused::Late,
                });
            }
            if ring.has_room(tail, self.reap, cells, end) {
                return Ok(());
            }
            let kept = ring.kept();
            let progress = reclaim::pass(ring).map_err(|damaged| Refused::NoRoom(NoRoom::Damaged(damaged)))?;
            if !progress {
                // Others may have made room between the look at `reap` and the pass that found nothing left to do.
                if ring.reaped() != self.reap
                    || retain::give_way(ring, kept, |reap| ring.has_room(tail, reap, cells, end))
                    || scrub::step(ring, self.owner)
                {
                    continue;
                }
                let unmoved = ring.tail() == tail;
                return Err(if unmoved { Refused::NoRoom(NoRoom::Full) } else { Refused::Late });
            }
        }
    }

    /// Publishes a reservation, as messages or, with another kind, as what readers step over.
    #[inline]
    pub fn publish(&self, ring: &Ring, reserved: &Reserved, kind: Kind) {
        let publish = |distance: u64, link| {
            let word = reserved.published(ring, distance, link, kind);
            // P1: release, pairs with P2 (E1). Last to first: nobody passes an unpublished first cell, so a batch is whole or nothing.
            ring.cell(reserved.first.wrapping_add(distance)).publish().store(word.0, Ordering::Release);
        };
        for distance in (1..reserved.cells).rev() {
            publish(distance, Link::Behind(distance));
            fault::point(Step::LaterPublished);
        }
        publish(0, Link::First(reserved.prev));
        fault::point(Step::FirstPublished);
    }

    /// After a message of `len` bytes was published by itself: fetches now and then the lines of cells that this producer will write if it goes on as it does, with
    /// messages that lie in their cells and nobody in between.
    ///
    /// The processors of consumers have read these lines a lap ago, and the first store into each waits for them to give it up. The swap of `tail` waits for all
    /// stores before it: so each push would wait for the line of the last. Stores to several lines wait at the same time.
    #[inline(always)]
    pub fn fetch_ahead(&self, ring: &Ring, reserved: &Reserved, len: usize) {
        if reserved.first.is_multiple_of(FETCHED) && reserved.prev == self.owner && ring.is_inline(len) {
            self.fetch(ring, reserved.first, len);
        }
    }

    #[inline(never)]
    fn fetch(&self, ring: &Ring, first: u64, len: usize) {
        let from = first.wrapping_add(FETCHED);
        let to = from.wrapping_add(FETCHED);
        // There are as many cells at least as lie between `reap` and `to`, so a multiple of `FETCHED`.
        if !ring.reads_origins() && to.wrapping_sub(self.reap.position) <= ring.cells() {
            ring.fetch(from, FETCHED as usize, len);
        }
    }
}

impl Reserved {
    /// What publishes the cell so far behind its first one.
    #[inline(always)]
    pub(super) fn published(&self, ring: &Ring, distance: u64, link: Link, kind: Kind) -> Publish {
        Publish::new(ring.lap(self.first.wrapping_add(distance)), link, kind)
    }

    /// How the cell so far behind its first one belongs to it.
    #[cfg(not(ringfile_loom))]
    pub(super) fn link(&self, distance: u64) -> Link {
        if distance == 0 { Link::First(self.prev) } else { Link::Behind(distance) }
    }

    /// Where to begin staging.
    #[inline]
    pub fn stage(&self) -> Stage {
        Stage { position: self.first, unit: self.unit }
    }

    /// Stages its only message, of the length that it was reserved for.
    #[inline]
    pub fn only(&self, ring: &Ring, len: usize) -> Span {
        let (extent, _) = ring.place(self.unit, len);
        ring.stage(self.first, extent, len)
    }

    /// Writes beside its messages when they are written, in nanoseconds since 1970, if their age matters.
    #[inline]
    pub fn stamp(&self, ring: &Ring, now: impl FnOnce() -> u64) {
        if ring.policy.retain_for != 0 {
            let now = now();
            for distance in 0..self.cells {
                ring.cell(self.first.wrapping_add(distance)).origin().store(now, Ordering::Relaxed);
            }
        }
    }
}

impl Stage {
    /// Says in the next cell of `reserved` how long its message is and where it lies; `None` if it does not fit what was reserved.
    #[inline]
    pub fn message(&mut self, ring: &Ring, reserved: &Reserved, len: usize) -> Option<Span> {
        let (extent, next) = ring.place(self.unit, len);
        if next.since(reserved.unit) > reserved.end.since(reserved.unit)
            || self.position.wrapping_sub(reserved.first) >= reserved.cells
        {
            return None;
        }
        let span = ring.stage(self.position, extent, len);
        self.unit = next;
        self.position = self.position.wrapping_add(1);
        Some(span)
    }
}

impl Ring {
    /// Turns the closed bit: in the tail itself, so that no push succeeds after somebody was told `Closed`.
    pub fn set_closed(&self, closed: bool) {
        let mut seen = self.tail_pair().load(Ordering::Acquire);
        loop {
            let tail = Tail::unpack(seen);
            if tail.closed == closed {
                return;
            }
            let next = Tail { closed, ..tail }.pack();
            match self.tail_pair().compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return fault::point(Step::TailClosed),
                Err(now) => seen = now,
            }
        }
    }

    /// Whether `cells` cells and the data up to `end` are free, as far as `reap` says.
    #[inline]
    fn has_room(&self, tail: Tail, reap: Reap, cells: u64, end: Unit) -> bool {
        let needed = end.since(tail.unit);
        // Nothing is in use where reap has reached this tail, whatever its unit: the swap of the tail will prove that it had not moved.
        let used = || if reap.position == tail.position { 0 } else { tail.unit.since(reap.unit) };
        tail.position.wrapping_sub(reap.position) <= self.cells() - cells
            && (needed == 0 || used() + needed <= self.units)
    }

    /// Whether another producer may find room: a guess, for sleepers.
    pub fn has_free_cell(&self) -> bool {
        self.tail().position.wrapping_sub(self.reaped().position) < self.cells()
    }

    /// Whether an eighth of the cells is free: a guess, as before.
    pub fn has_free_cells(&self) -> bool {
        self.tail().position.wrapping_sub(self.reaped().position) <= self.cells() - self.cells() / 8
    }

    /// Whether messages of these lengths fit an empty ring in one piece, wherever it begins: their sum and the longest, for the padding.
    #[inline]
    pub fn batch_fits(&self, lens: impl Iterator<Item = usize>) -> bool {
        let units = |len: usize| if self.is_inline(len) { 0 } else { len.div_ceil(UNIT) as u64 };
        let (sum, longest) = lens.fold((0u64, 0), |(sum, longest), len| {
            (sum.saturating_add(units(len)), units(len).max(longest))
        });
        sum.saturating_add(longest) <= self.units
    }

    #[inline]
    fn stage(&self, position: u64, extent: Extent, len: usize) -> Span {
        let cell = self.cell(position);
        let extent = Extent { lap: Lap::of(self.lap(position)), ..extent };
        cell.extent().store(extent.pack(), Ordering::Relaxed);
        self.set_len(position, len);
        fault::point(Step::CellStaged);
        // Where `place` put it: inside the ring.
        Span { offset: self.offset(&cell, extent), len }
    }

    /// Says how long a staged message is: what was reserved for it, or less.
    #[inline]
    pub fn set_len(&self, position: u64, len: usize) {
        let size = Size {
            len: len as u32,
            checksum: 0,
        };
        self.cell(position).size().store(size.pack(), Ordering::Relaxed);
    }
}
