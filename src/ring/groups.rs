//! Consumer groups: their names, the entries that serve them, and how these come and go while others work.
//!
//! A name says which entry serves it; a rewind gives it another one, and the old one drains. Everything about an entry is one pair, so
//! each step of its life is one exact swap, which anybody who finds it half-way can make. Nobody waits for a creator, and none can
//! leave behind what holds space. `docs/protocol.md`, section 8.

use super::words::{Binding, Directory, Frontier, Life, Reap, Serving, Stage};
use super::{Group, Ring, reclaim};
use crate::fault::{self, Step};
use crate::file::layout::{cursor, group, name};
use crate::sync::{AtomicPair, AtomicU32, AtomicU64, Ordering, Pair, fence};

/// The name of the group that every ring begins with, and the longest that one can have.
pub const DEFAULT: &str = "default";
/// The number of the group of those who overwrite bytes, and its entry.
pub(super) const SCRUBBER: usize = 1;
pub const MAX_NAME: usize = name::MAX_NAME;

/// A step that others overtook so often is one in a file that says nonsense.
const TRIES: usize = 10_000;

/// An entry that serves a name, and its life as long as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    pub entry: u16,
    pub life: Life,
}

impl Service {
    /// What a consumer of it is for.
    pub fn binding(&self) -> Binding {
        Binding::Consumer { entry: self.entry, tenancy: self.life.tenancy }
    }
}

/// Why no entry serves a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoService {
    /// There is no such group any more.
    Removed,
    /// As many groups as the file has room for.
    TooMany,
    /// Every entry is taken: old ones wait for claims that are not let go of.
    Busy,
}

/// How a group that does not exist yet is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it begins, if that is kept.
    pub start: u64,
    pub ticketed: bool,
}

/// The number of the group with this name, if there is one.
pub fn find(ring: &Ring, text: &[u8]) -> Option<usize> {
    look_up(ring, text).1
}

/// The same, and the directory in which it was looked up.
fn look_up(ring: &Ring, text: &[u8]) -> (Directory, Option<usize>) {
    loop {
        let directory = ring.directory();
        // Without a text it is that of who overwrites bytes, and nobody's business.
        let is_it = |&index: &usize| {
            directory.has(index) && !text.is_empty() && ring.name(index).is(text)
        };
        let found = (0..ring.names()).find(is_it);
        // Read afterwards: a name that is given to another group is written under another version.
        fence(Ordering::Acquire);
        if ring.directory() == directory {
            return (directory, found);
        }
    }
}

/// The number of the group with this name, which is made if there is none. `me` is an attachment; of others `is_dead` says whether they are gone.
pub fn find_or_create(
    ring: &Ring,
    text: &[u8],
    wanted: Wanted,
    me: u64,
    is_dead: impl Fn(u64) -> bool,
) -> Result<usize, NoService> {
    let (_, found) = look_up(ring, text);
    if let Some(index) = found {
        return Ok(index);
    }
    let Some(index) = take_record(ring, me, is_dead) else {
        let (directory, found) = look_up(ring, text);
        // A record without a name is somebody's who makes a group, this one perhaps.
        let is_taken = |index| directory.has(index);
        let none = if (0..ring.names()).all(is_taken) { NoService::TooMany } else { NoService::Busy };
        return found.ok_or(none);
    };
    let record = ring.name(index);
    fault::point(Step::RecordTaken);
    // Pairs with the fence of who reads a name under an earlier version.
    fence(Ordering::Release);
    record.write(text, wanted);
    fault::point(Step::NameWritten);
    let result = loop {
        let (directory, found) = look_up(ring, text);
        if let Some(index) = found {
            break index;
        }
        if ring.toggle(directory, index) {
            fault::point(Step::NamePublished);
            break index;
        }
    };
    record.creator().store(0, Ordering::Release);
    Ok(result)
}

/// Makes a record that names no group this attachment's.
fn take_record(ring: &Ring, me: u64, is_dead: impl Fn(u64) -> bool) -> Option<usize> {
    (0..ring.names()).find(|&index| {
        if ring.directory().has(index) {
            return false;
        }
        let creator = ring.name(index).creator();
        let theirs = creator.load(Ordering::Acquire);
        if theirs == me || theirs != 0 && !is_dead(theirs) {
            return false;
        }
        // Exactly: from nobody, or from one that was killed as it made a group.
        if creator.compare_exchange(theirs, me, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        // Looked at again: only who has the record may publish its name, but somebody may have had it before.
        let is_free = !ring.directory().has(index);
        if !is_free {
            creator.store(0, Ordering::Release);
        }
        is_free
    })
}

/// The entry that serves a name, which is made if there is none.
pub fn serve(ring: &Ring, index: usize) -> Result<Service, NoService> {
    for _ in 0..TRIES {
        let record = ring.name(index);
        let serving = record.serving();
        if let Some(entry) = serving.entry.filter(|&entry| usize::from(entry) < ring.entries()) {
            let life = tend(ring, entry.into()).life;
            if life.stage == Stage::Ready
                && usize::from(life.name) == index
                && serving.is_turn_of(life)
                && ring.group(entry.into()).say(life)
            {
                return Ok(Service { entry: entry.into(), life });
            }
        } else if ring.directory().has(index) {
            let start = record.start();
            let ticketed = record.word(name::TICKETED).load(Ordering::Relaxed) != 0;
            pin(ring, index, serving, ticketed, start).ok_or(NoService::Busy)?;
        }
        if !ring.directory().has(index) {
            return Err(NoService::Removed);
        }
    }
    Err(NoService::Busy)
}

/// Lets a free entry hold space for a name, which it is to serve after the turn that was seen. `None`: there is no free one.
fn pin(ring: &Ring, index: usize, serving: Serving, ticketed: bool, start: u64) -> Option<usize> {
    let take = |entry: &usize| {
        let pair = ring.group(*entry).frontier_pair();
        let seen = Frontier::unpack(pair.load(Ordering::Acquire));
        if seen.life.stage != Stage::Free {
            return false;
        }
        let turn = serving.next(None).turn as u16;
        let life =
            Life { tenancy: seen.life.tenancy, stage: Stage::Pinned, name: index as u8, ticketed, turn };
        // What was reaped by now is seen by who makes it ready (G1). A record that is damaged may say any start.
        let position = start.min(ring.tail().position).max(ring.reaped().position);
        let next = Frontier { life, position };
        let taken =
            pair.compare_exchange(seen.pack(), next.pack(), Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if taken {
            fault::point(Step::EntryPinned);
        }
        taken
    };
    let mut entries = 0..ring.entries();
    let pinned = entries.find(take).or_else(|| {
        for entry in 0..ring.entries() {
            drain(ring, entry);
        }
        (0..ring.entries()).find(take)
    })?;
    tend(ring, pinned);
    Some(pinned)
}

/// Makes the group consume again from the oldest message that is kept: another entry takes over, and the old one drains.
pub fn rewind(ring: &Ring, index: usize) -> Result<(), NoService> {
    for _ in 0..TRIES {
        let serving = ring.name(index).serving();
        let service = serve(ring, index)?;
        if serving.entry.map(u16::from) != Some(service.entry) || !serving.is_turn_of(service.life) {
            continue;
        }
        pin(ring, index, serving, service.life.ticketed, 0).ok_or(NoService::Busy)?;
        // By this one or by another one meanwhile.
        if ring.name(index).serving().turn != serving.turn {
            drain(ring, service.entry.into());
            return Ok(());
        }
    }
    Err(NoService::Busy)
}

/// Takes the name of a group back that no entry serves.
pub fn withdraw(ring: &Ring, index: usize) {
    let directory = ring.directory();
    if directory.has(index) && ring.name(index).serving().entry.is_none() {
        // Unless the directory has changed meanwhile: then somebody else has found the group, and may be using it.
        ring.toggle(directory, index);
    }
}

/// Ends a group: nobody claims in it any more, and it holds no space when the last claim is let go of. False: there is none of this name.
pub fn remove(ring: &Ring, text: &[u8]) -> bool {
    loop {
        let (directory, found) = look_up(ring, text);
        let Some(index) = found else {
            return false;
        };
        if ring.toggle(directory, index) {
            fault::point(Step::NameRemoved);
            for entry in 0..ring.entries() {
                drain(ring, entry);
            }
            return true;
        }
    }
}

/// Takes an entry that does not serve its name any more as far as it goes.
fn drain(ring: &Ring, entry: usize) {
    let life = tend(ring, entry).life;
    if life.stage == Stage::Draining {
        reclaim::advance_to_end(&ring.group(entry));
    }
}

/// What an entry is to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It serves the name.
    Serves,
    /// It can take over from the one that serves it in this turn.
    Next(Serving),
    /// The turn that it was made for is over, or there is no such group any more. For ever.
    Over,
}

fn standing(ring: &Ring, entry: usize, life: Life) -> Standing {
    let index = usize::from(life.name);
    if index >= ring.names() || !ring.directory().has(index) {
        return Standing::Over;
    }
    let serving = ring.name(index).serving();
    if serving.is_turn_of(life) && serving.entry.map(usize::from) == Some(entry) {
        Standing::Serves
    } else if serving.next(None).is_turn_of(life) {
        Standing::Next(serving)
    } else {
        Standing::Over
    }
}

/// Takes an entry through the steps that somebody has left undone. Says what it is then.
pub fn tend(ring: &Ring, entry: usize) -> Frontier {
    let group = ring.group(entry);
    let pair = group.frontier_pair();
    loop {
        let seen = Frontier::unpack(pair.load(Ordering::Acquire));
        let life = seen.life;
        let (next, step) = match life.stage {
            Stage::Free | Stage::Draining => return seen,
            Stage::Pinned => match standing(ring, entry, life) {
                Standing::Serves => {
                    // Those who make room and did not see this entry fail from here on; how far they came before is where it may begin (G1).
                    let reaped = ring.renew_reap();
                    // Who overwrites bytes has either seen this entry, or has said how far he goes (S1).
                    fence(Ordering::SeqCst);
                    // Not beyond the tail, whatever a damaged ring says.
                    let position = seen.position.max(reaped).max(ring.readable_from()).min(ring.tail().position);
                    group.place_tickets(life, position);
                    let life = Life { stage: Stage::Ready, ..life };
                    (Frontier { life, position }, Step::EntryReady)
                }
                Standing::Next(serving) => {
                    let next = serving.next(Some(entry as u8));
                    // N2: who sees it in the name sees it pinned.
                    let word = ring.name(life.name.into()).word(name::SERVING);
                    let _ = word.compare_exchange(
                        serving.pack(),
                        next.pack(),
                        Ordering::AcqRel,
                        Ordering::Relaxed,
                    );
                    fault::point(Step::NameRedirected);
                    continue;
                }
                // It never served, so nobody has claimed anything in it.
                Standing::Over => (Frontier { life: life.freed(), ..seen }, Step::EntryFreed),
            },
            Stage::Ready => match standing(ring, entry, life) {
                Standing::Over | Standing::Next(_) => {
                    (Frontier { life: Life { stage: Stage::Draining, ..life }, ..seen }, Step::DrainBegun)
                }
                Standing::Serves => return seen,
            },
        };
        let swapped =
            pair.compare_exchange(seen.pack(), next.pack(), Ordering::AcqRel, Ordering::Relaxed);
        if swapped.is_ok() {
            fault::point(step);
        }
    }
}

/// The record of a name.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    ring: &'a Ring,
    pub(super) at: usize,
}

impl<'a> Name<'a> {
    pub(super) fn word(self, offset: usize) -> &'a AtomicU64 {
        self.ring.region.word(self.at + offset)
    }

    /// Which entry serves it. N2: acquire.
    pub fn serving(self) -> Serving {
        Serving::unpack(self.word(name::SERVING).load(Ordering::Acquire))
    }

    /// Where its group was to begin when it was made.
    pub(super) fn start(self) -> u64 {
        self.word(name::START).load(Ordering::Relaxed)
    }

    fn creator(self) -> &'a AtomicU64 {
        self.word(name::CREATOR)
    }

    pub(crate) fn futex(self) -> &'a AtomicU32 {
        self.ring.region.half(self.at + name::FUTEX)
    }

    /// Whether it is this text, as far as it is not being written.
    fn is(self, text: &[u8]) -> bool {
        self.word(name::NAME_LEN).load(Ordering::Relaxed) == text.len() as u64
            && text.chunks(8).enumerate().all(|(i, chunk)| {
                self.word(name::NAME + 8 * i).load(Ordering::Relaxed) == word_of(chunk)
            })
    }

    /// The text, as far as it is not being written.
    pub fn text(self) -> Vec<u8> {
        let len = (self.word(name::NAME_LEN).load(Ordering::Relaxed) as usize).min(MAX_NAME);
        let words = (0..len.div_ceil(8)).map(|i| self.word(name::NAME + 8 * i).load(Ordering::Relaxed));
        let mut text: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        text.truncate(len);
        text
    }

    /// Writes everything that a group is made of. Nobody reads the record under the version of the directory that there is now.
    fn write(self, text: &[u8], wanted: Wanted) {
        let set = |offset, value| self.word(offset).store(value, Ordering::Relaxed);
        set(name::NAME_LEN, text.len() as u64);
        for (i, chunk) in text.chunks(8).enumerate() {
            set(name::NAME + 8 * i, word_of(chunk));
        }
        set(name::START, wanted.start);
        set(name::TICKETED, wanted.ticketed.into());
        for offset in [name::PACER, name::RATE, name::BURST] {
            set(offset, 0);
        }
        // A turn of nobody's: what served an earlier group, or was to, is over.
        let word = self.word(name::SERVING);
        let mut seen = word.load(Ordering::Relaxed);
        while let Err(now) = word.compare_exchange(
            seen,
            Serving::unpack(seen).next(None).pack(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        ) {
            seen = now;
        }
    }
}

fn word_of(chunk: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..chunk.len()].copy_from_slice(chunk);
    u64::from_le_bytes(bytes)
}

/// Remembers, for people, that a producer found no room because of the slowest groups. `now`: nanoseconds since 1970.
pub fn note_blocking(ring: &Ring, now: u64) {
    let reaped = ring.reaped().position;
    for entry in ring.holders() {
        let group = ring.group(entry);
        let at = group.frontier().position;
        // What is retained lies below the slowest; a full ring has none that may go.
        let is_slowest = ring.holders().all(|other| ring.group(other).frontier().position >= at);
        let [position, since] = group.blocking();
        if is_slowest && at >= reaped && position.load(Ordering::Relaxed) != at.wrapping_add(1) {
            since.store(now, Ordering::Relaxed);
            position.store(at.wrapping_add(1), Ordering::Relaxed);
        }
    }
}

impl<'a> Group<'a> {
    /// One more than the frontier at which producers found the ring full because of it, and since when.
    fn blocking(&self) -> [&'a AtomicU64; 2] {
        [group::BLOCKING, group::BLOCKING_SINCE].map(|offset| self.ring.region.word(self.at + offset))
    }

    /// Since when producers have found no room because of it, if that was when it was done with everything below `done`, as it is now.
    pub fn blocking_since(&self, done: u64) -> Option<u64> {
        let [position, since] = self.blocking();
        let is_there = position.load(Ordering::Relaxed) == done.wrapping_add(1);
        is_there.then(|| since.load(Ordering::Relaxed))
    }
}

impl Group<'_> {
    /// Lets the tickets of a tenancy begin at a position. They go on counting: who was paused with one of an earlier tenancy takes nobody's.
    fn place_tickets(&self, life: Life, position: u64) {
        // The first has number 0, and nothing is said before it.
        let tenancy = u64::from(life.tenancy) + 1;
        let mut seen = self.places();
        while seen.hi < tenancy {
            let lo = position.wrapping_sub(self.ticket().load(Ordering::Relaxed));
            let next = Pair { hi: tenancy, lo };
            // If others of this tenancy were first, theirs is as good.
            match self.places_pair().compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Says of the entry what it is where its consumers look. A maximum: who was paused does not take it back. False: it is something later already.
    pub(super) fn say(&self, life: Life) -> bool {
        // Acquire, so that who learns that it is something later sees what became of it.
        self.life().fetch_max(life.pack(), Ordering::AcqRel) <= life.pack()
    }
}

impl Ring {
    /// Writes a group that a new ring begins with, in its first tenancy or a later one.
    pub(super) fn format_group(&self, index: usize, text: &[u8], first_position: u64, ticketed: bool, tenancy: u32) {
        let record = self.name(index);
        record.write(text, Wanted { start: first_position, ticketed });
        let serving = record.serving().next(Some(index as u8));
        record.word(name::SERVING).store(serving.pack(), Ordering::Relaxed);
        let turn = serving.turn as u16;
        let life = Life { tenancy, stage: Stage::Ready, name: index as u8, ticketed, turn };
        let group = self.group(index);
        group.frontier_pair().init(Frontier { life, position: first_position }.pack());
        group.life().store(life.pack(), Ordering::Relaxed);
        for hint in [group.head(), group.ticket()] {
            hint.store(first_position, Ordering::Relaxed);
        }
        group.places_pair().init(Pair { hi: u64::from(life.tenancy) + 1, lo: 0 });
        let directory = Directory::unpack(self.directory_pair().load(Ordering::Relaxed));
        self.directory_pair().init(directory.toggled(index).pack());
    }

    /// How many names there is room for.
    pub fn names(&self) -> usize {
        self.layout.geometry.groups as usize
    }

    /// The record of a name, which a file may hold any number for.
    pub fn name(&self, index: usize) -> Name<'_> {
        Name { ring: self, at: self.layout.names + index.min(self.names() - 1) * name::LEN }
    }

    fn directory_pair(&self) -> &AtomicPair {
        self.region.pair(cursor::DIRECTORY)
    }

    /// Which names there are. N1: acquire.
    pub fn directory(&self) -> Directory {
        Directory::unpack(self.directory_pair().load(Ordering::Acquire))
    }

    /// Adds a name, or takes it out, if the directory is exactly what was seen.
    fn toggle(&self, seen: Directory, name: usize) -> bool {
        let next = seen.toggled(name).pack();
        // N1: release, so that whoever sees the name sees what it says of the group.
        let swapped =
            self.directory_pair().compare_exchange(seen.pack(), next, Ordering::AcqRel, Ordering::Relaxed);
        swapped.is_ok()
    }

    /// Gives `reap` another version, so that who read it before fails to move it. Returns where it is.
    fn renew_reap(&self) -> u64 {
        let mut pair = self.reap_pair().load(Ordering::Acquire);
        loop {
            let reap = Reap::unpack(pair);
            let next = Reap { version: reap.version.wrapping_add(1), ..reap };
            let swapped =
                self.reap_pair().compare_exchange(pair, next.pack(), Ordering::AcqRel, Ordering::Acquire);
            match swapped {
                Ok(_) => {
                    fault::point(Step::ReapRenewed);
                    return reap.position;
                }
                Err(now) => pair = now,
            }
        }
    }
}
