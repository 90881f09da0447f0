//! After the power went, or the disk failed: what of a ring can be believed, and a ring made of it again.
//!
//! Pages reach the disk in any order and in parts. So a message is believed for its sum, and what stands beside the messages for that of a checkpoint; a
//! cursor only where all that can be wrong with it is that it is late. What is believed stays where it is, and everything else is written anew: whoever is
//! interrupted leaves the same to be believed. Nobody else may have the ring meanwhile. `docs/protocol.md`, section 14.

use super::sums::Verdict;
use super::words::{Extent, Frontier, Kept, Kind, Lap, Life, Link, Owner, Publish, Reap, Size, Stage, Tail, Unit};
use super::groups::{self, NoService};
use super::{Policy, Ring, reclaim};
use crate::file::layout::{UNIT, checkpoint, cursor, group, name, slot};
use crate::sync::{Ordering, fence};

/// Positions end here; see `check.rs`.
const LAST_POSITION: u64 = 1 << 63;

/// How a cell that was emptied here belongs to a reservation: no other one says so.
const GIVEN_UP: Link = Link::Behind(0);

/// A group that is always rewound so often is one in a file that says nonsense.
const TRIES: usize = 1000;

/// What a ring was like at some time, apart from its messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Then {
    /// How often it had been put in order.
    pub incarnation: u64,
    pub closed: bool,
    pub tail: u64,
    pub tail_unit: Unit,
    pub reap: u64,
    pub policy: Policy,
    pub groups: Vec<GroupThen>,
}

/// What a group was like.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupThen {
    /// The number of its name.
    pub index: usize,
    pub name: Vec<u8>,
    /// What served it, and the life of that.
    pub entry: usize,
    pub life: Life,
    /// It was done with everything below.
    pub frontier: u64,
    pub rate: f64,
    pub burst: u64,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Messages whose sums are right.
    pub confirmed: u64,
    /// Messages without a sum that look like what was pushed.
    pub unconfirmed: u64,
    /// Positions at which there was a message that is not whole.
    pub lost: u64,
    /// Positions without a message.
    pub skipped: u64,
}

impl Then {
    /// Whether no number is one that no ring has.
    pub fn is_possible(&self) -> bool {
        let frontiers = self.groups.iter().map(|group| group.frontier);
        self.reap <= self.tail && frontiers.chain([self.tail]).all(|position| position < LAST_POSITION)
    }
}

/// A cell, as far as it can be believed for its own sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belief {
    Nothing,
    /// It is about to be used again: everybody was done with what was there.
    Finished,
    Unconfirmed,
    Confirmed,
}

impl Ring {
    /// What the ring is like apart from its messages, while others work: each number was true at some time during the call, and the frontiers later than the rest.
    pub fn then(&self, incarnation: u64) -> Then {
        loop {
            let directory = self.directory();
            let reap = self.reaped().position;
            let tail = self.tail();
            let groups = (0..self.names()).filter(|&index| directory.has(index)).filter_map(|index| self.group_then(index));
            let then = Then {
                incarnation,
                closed: tail.closed,
                tail: tail.position,
                tail_unit: tail.unit,
                reap,
                policy: Policy { retain: self.retain(), ..self.policy },
                groups: groups.collect(),
            };
            // Read afterwards: a record that was given to another group is there under another version.
            fence(Ordering::Acquire);
            if self.directory() == directory {
                return then;
            }
        }
    }

    /// A group that is in the directory; `None` if it is not by now.
    fn group_then(&self, index: usize) -> Option<GroupThen> {
        let record = self.name(index);
        let served = || match groups::serve(self, index) {
            Ok(service) => {
                let group = self.group(service.entry.into());
                reclaim::advance_to_end(&group);
                let frontier = group.frontier();
                // It may have been rewound in between.
                (frontier.life == service.life).then_some(Some((usize::from(service.entry), frontier)))
            }
            Err(NoService::Removed) => Some(None),
            // It has no entry yet: it begins where its record says.
            Err(NoService::Busy | NoService::TooMany) => {
                let ticketed = record.word(name::TICKETED).load(Ordering::Relaxed) != 0;
                let life = Life { tenancy: 0, stage: Stage::Free, name: index as u8, ticketed, turn: 0 };
                let position = record.start().max(self.reaped().position);
                Some(Some((0, Frontier { life, position })))
            }
        };
        let (entry, frontier) = (0..TRIES).find_map(|_| served()).flatten()?;
        Some(GroupThen {
            index,
            name: record.text(),
            entry,
            life: frontier.life,
            frontier: frontier.position,
            rate: self.rate(index),
            burst: record.word(name::BURST).load(Ordering::Relaxed),
        })
    }

    /// Something that is another after any change of what a checkpoint says but how far the groups are.
    pub fn standing(&self) -> u64 {
        let records = (0..self.names()).flat_map(|index| {
            let record = self.name(index);
            [name::SERVING, name::RATE, name::BURST].map(|offset| record.word(offset).load(Ordering::Acquire))
        });
        let directory = self.directory().pack();
        let shared = [directory.hi, directory.lo, self.retain(), self.tail().closed.into()];
        let mix = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Never what a new file says.
        records.chain(shared).fold(1, mix) | 1
    }

    /// Makes a sound ring of what can be believed. `born`: the first position that there ever was. Nobody else has the ring.
    pub fn salvage(&mut self, then: &Then, born: u64) -> Found {
        self.policy = Policy { scrub: then.policy.scrub && self.names() > 1, ..then.policy };
        let mut proof = Proof { reaped: then.reap, tail: then.tail };
        let beliefs = self.beliefs(&mut proof);
        let cursors = self.cursors_on_disk();
        if let Some((reap, tail)) = cursors {
            proof.add(reap.position, tail.position);
        }
        let scrubbing = self.scrubbing().load(Ordering::Relaxed);
        if self.policy.scrub && scrubbing <= proof.tail {
            proof.add(scrubbing, 0);
        }
        proof.add(0, self.said_to_be_reserved(proof.tail));
        let frontiers: Vec<u64> = then.groups.iter().map(|group| self.frontier_of(group)).collect();
        let is_scrubber = |group: &GroupThen| self.policy.scrub && group.index == groups::SCRUBBER;
        for (_, &overwritten) in then.groups.iter().zip(&frontiers).filter(|(group, _)| is_scrubber(group)) {
            // Every group was done with it, though it was looked at before.
            proof.add(overwritten, 0);
        }
        let tail = frontiers.iter().copied().fold(proof.tail.max(proof.reaped), u64::max);
        let window = tail.saturating_sub(self.cells()).max(born.min(tail));
        let reaped = proof.reaped.max(window);
        // Nothing is given back before every group is done with it.
        let frontiers: Vec<u64> = frontiers.into_iter().map(|frontier| frontier.max(reaped)).collect();

        let held = then.groups.iter().zip(&frontiers).filter(|(group, _)| !is_scrubber(group));
        let slowest = held.map(|(_, &frontier)| frontier).min();
        let scrubbed = then.groups.iter().zip(&frontiers).find(|(group, _)| is_scrubber(group)).map(|(_, &f)| f);
        let least = match slowest {
            Some(slowest) if self.policy.retain == 0 => slowest,
            _ => reaped,
        };
        let least = scrubbed.map_or(least, |scrubbed| least.min(scrubbed));

        let known = cursors.map_or(then.tail, |(_, disk)| disk.position.max(then.tail));
        let extents = self.settle_cells(&beliefs, Bounds { window, least, owed: slowest.unwrap_or(tail), known, tail });
        let unit = match cursors {
            Some((_, disk)) if disk.position == tail => disk.unit,
            _ => then.tail_unit,
        };
        let Extents { reap, start, end, found } = extents;
        let (reap_unit, tail_unit) = (start.unwrap_or(unit), end.unwrap_or(unit));

        self.clear_for_nobody();
        for (group, &frontier) in then.groups.iter().zip(&frontiers) {
            let tenancy = then.groups.iter().map(|group| group.life.tenancy).max().unwrap_or(0).wrapping_add(1);
            self.format_group(group.index, &group.name, frontier, group.life.ticketed, tenancy);
            self.set_rate(group.index, group.rate, 0);
            self.set_burst(group.index, group.burst);
        }
        self.set_policy(self.policy, scrubbed.unwrap_or(reap).max(reap));
        self.tail_pair().init(
            Tail { position: tail, unit: tail_unit, closed: then.closed, owner: Owner::NOBODY }.pack(),
        );
        self.reap_pair().init(Reap { position: reap, unit: reap_unit, version: 0 }.pack());
        self.commit().store(tail, Ordering::Relaxed);
        let end = slowest.unwrap_or(reap);
        let messages = self.count_messages(reap..end) as u32;
        self.kept_pair().init(Kept { end, cells: end.saturating_sub(reap) as u32, messages }.pack());
        self.region.word(cursor::DURABLE).store(tail, Ordering::Relaxed);
        found
    }

    /// What each cell is worth by itself; and what they prove together.
    fn beliefs(&self, proof: &mut Proof) -> Vec<Belief> {
        let about = proof.tail;
        let mut judge = |index| {
            let position = self.position_near(index, about);
            if !self.has_message(position) {
                return Belief::Nothing;
            }
            if self.was_used_again(position) {
                // It was a position, and is not given again. That those below are finished as well is not said by this cell alone: one bit of it may have flipped.
                proof.add(0, position + 1);
                return Belief::Finished;
            }
            match self.examine(position) {
                Ok((_, Verdict::Whole)) => {
                    proof.add(0, position + 1);
                    Belief::Confirmed
                }
                Ok((_, Verdict::Unsummed)) => Belief::Unconfirmed,
                _ => Belief::Nothing,
            }
        };
        (0..self.cells()).map(&mut judge).collect()
    }

    /// Below what position everything was reserved, by messages of which no more than the words are whole. What was on the disk once has at least these, whatever has become of its bytes.
    ///
    /// Each word has the lap. So a bit that has flipped makes the two disagree, or leads further off than a lap from where the ring stood.
    fn said_to_be_reserved(&self, tail: u64) -> u64 {
        let positions = (0..self.cells()).map(|index| self.position_near(index, tail));
        let is_said = |&position: &u64| {
            let lap = self.extent_of(position).map(|extent| extent.lap);
            lap == Some(Lap::of(self.lap(position))) && position < tail.saturating_add(self.cells())
        };
        positions.filter(is_said).map(|position| position + 1).max().unwrap_or(0)
    }

    /// The position of which a cell speaks, if it is one near `about`.
    fn position_near(&self, index: u64, about: u64) -> u64 {
        let lap = self.cell(index).load().lap_near(self.lap(about));
        (lap << self.lap_shift | index) & (LAST_POSITION - 1)
    }

    /// `reap` and the tail, which lie in one sector: where they agree, they were so at one time, and are late at worst.
    fn cursors_on_disk(&self) -> Option<(Reap, Tail)> {
        let (reap, tail) = (self.reaped(), self.tail());
        let is_one = reap.position <= tail.position
            && tail.position - reap.position <= self.cells()
            && tail.position < LAST_POSITION;
        is_one.then_some((reap, tail))
    }

    /// Where a group was: what the checkpoint says, or later if the same entry, or its claim words, say so in the same tenancy.
    fn frontier_of(&self, then: &GroupThen) -> u64 {
        let group = self.group(then.entry);
        let on_disk = group.frontier();
        // An entry that is left goes on over what nobody is done with, but says before that it is left, in the same sector.
        let is_same = on_disk.life == then.life
            && then.life.stage == Stage::Ready
            && group.life().load(Ordering::Relaxed) <= then.life.pack();
        if !is_same || on_disk.position >= LAST_POSITION {
            return then.frontier;
        }
        // Words of this tenancy that say that something is done were true when they were written.
        let from = Frontier { position: then.frontier.max(on_disk.position), ..on_disk };
        group.done_from(&from, self.cells()).min(LAST_POSITION - 1)
    }

    /// Leaves what is believed in its cells, and makes all others cells without a message.
    fn settle_cells(&self, beliefs: &[Belief], bounds: Bounds) -> Extents {
        let Bounds { window, least, owed, known, tail } = bounds;
        let mut found = Found::default();
        let mut extents = Extents { reap: least, start: None, end: None, found };
        let mut is_over = false;
        let mut buffer = Vec::new();
        for at in (window..tail).rev() {
            let belief = match beliefs[self.index(at)] {
                _ if is_over || at < least || !self.has_message(at) => Belief::Nothing,
                Belief::Finished => Belief::Finished,
                // Nobody says that it was there.
                Belief::Unconfirmed if at >= known => Belief::Nothing,
                _ if !self.has_beginning(at, owed) => Belief::Nothing,
                belief => belief,
            };
            let is_there = matches!(belief, Belief::Unconfirmed | Belief::Confirmed);
            if is_there && extents.add(self, at) {
                if belief == Belief::Confirmed {
                    found.confirmed += 1;
                } else {
                    found.unconfirmed += 1;
                    // From now on it is to be believed. The cursors on the disk say nothing of it.
                    self.sum_unless(at, &mut buffer, || false);
                }
                continue;
            }
            if is_there && at < owed {
                // Its bytes have been written over, and so have those of all before it.
                (is_over, extents.reap) = (true, at + 1);
            }
            if at >= owed && belief != Belief::Finished {
                match self.has_message(at) {
                    true => found.lost += 1,
                    false => found.skipped += 1,
                }
            }
            self.empty(at, Publish::new(self.lap(at), GIVEN_UP, Kind::Void));
        }
        // Cells that were not in use yet, or say that they were.
        for at in tail..window.saturating_add(self.cells()) {
            self.empty(at, Publish(0));
        }
        Extents { found, ..extents }
    }

    /// Whether the reservation of a message was published at all: its first cell is published last. That one may have been finished since, and its bytes or itself used again.
    fn has_beginning(&self, position: u64, owed: u64) -> bool {
        let Link::Behind(distance) = self.cell(position).load().link() else {
            return true;
        };
        let first = position.wrapping_sub(distance);
        let (word, lap) = (self.cell(first).load(), self.lap(first));
        // What was decided once is not decided otherwise the next time.
        let was_decided = word == Publish::new(lap, GIVEN_UP, Kind::Void);
        first < owed || was_decided || word.is_ready_at(lap) || word.lap_near(lap) > lap
    }

    /// Makes a cell one without a message.
    fn empty(&self, position: u64, publish: Publish) {
        self.cell(position).publish().store(publish.0, Ordering::Relaxed);
        // Somebody else may get the position.
        self.forget_sum(position);
    }

    /// Makes everything what it is in a ring that nobody has open, where no group has claimed anything.
    fn clear_for_nobody(&self) {
        let layout = self.layout;
        let (entries, names) = (self.entries(), self.names());
        self.region.clear(layout.claims, entries * layout.claims_stride);
        self.region.clear(layout.slots, self.participants() * slot::LEN);
        self.region.clear(layout.names, names * name::LEN);
        self.region.clear(layout.groups, entries * group::LEN);
        for (offset, len) in [
            (cursor::PARKED, 8),
            (cursor::DIRECTORY, 16),
            (cursor::LOOKED, 16),
            (cursor::ASLEEP, cursor::ASLEEP_LEN),
            (cursor::SYNC_ROUND, 16),
            (cursor::CHECKPOINT_WRITERS, 8 * checkpoint::PLACES),
        ] {
            self.region.clear(offset, len);
        }
        self.next_attachment().fetch_max(1, Ordering::Relaxed);
    }
}

/// What was true once, and so is now.
#[derive(Clone, Copy, Debug)]
struct Proof {
    /// Everything below was given back.
    reaped: u64,
    /// Everything below was reserved.
    tail: u64,
}

impl Proof {
    fn add(&mut self, reaped: u64, tail: u64) {
        self.reaped = self.reaped.max(reaped);
        self.tail = self.tail.max(tail);
    }
}

/// Positions between which a ring is put in order.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// The first that has a cell.
    window: u64,
    /// The first that may be kept.
    least: u64,
    /// The first that some group is owed.
    owed: u64,
    /// Everything below was reserved once, says the file.
    known: u64,
    tail: u64,
}

/// Where the messages that are believed have their bytes.
#[derive(Clone, Copy, Debug)]
struct Extents {
    /// The first position that is kept.
    reap: u64,
    start: Option<Unit>,
    end: Option<Unit>,
    found: Found,
}

impl Extents {
    /// Takes in a message before all others, if its bytes lie before theirs, and not under them.
    fn add(&mut self, ring: &Ring, position: u64) -> bool {
        let cell = ring.cell(position);
        let extent = Extent::unpack(cell.extent().load(Ordering::Relaxed));
        let size = Size::unpack(cell.size().load(Ordering::Relaxed));
        let units = if extent.inline { 0 } else { (size.len as usize).div_ceil(UNIT) as u64 };
        let behind = extent.unit.plus(units);
        let (start, end) = (self.start.unwrap_or(behind), self.end.unwrap_or(behind));
        let fits = start.since(behind) <= ring.units && end.since(extent.unit) <= ring.units;
        if fits {
            (self.start, self.end) = (Some(extent.unit), Some(end));
        }
        fits
    }
}
