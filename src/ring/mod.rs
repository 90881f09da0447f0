//! The protocol: what producers, consumers and those who make room do to the shared words.
//!
//! Everything here is a function over words. It owns nothing, knows no file, no clock and no process, drops nothing and allocates
//! nothing but what a caller asks to be copied; the handles in `producer.rs` and `consumer.rs` add ownership, waiting and time. That is what lets the same code run
//! over a mapping, over a heap block, and over the atomics of a model checker. `docs/protocol.md` is its specification; the labels
//! T1, C2, E3 in comments are those of its tables.

mod check;
pub mod claim;
pub mod groups;
pub mod letters;
pub mod pace;
pub mod participant;
pub mod push;
pub mod reclaim;
pub mod recover;
pub mod replay;
pub mod retain;
#[cfg(not(ringfile_loom))]
pub mod salvage;
pub mod scrub;
#[cfg(not(ringfile_loom))]
pub mod sums;
pub mod words;

use crate::fault::{self, Step};
use crate::file::layout::{Layout, UNIT, cell, cursor, group, slot};
use crate::file::region::Region;
use crate::sync::{AtomicPair, AtomicU32, AtomicU64, Ordering, Pair};
use words::{ClaimIntent, Extent, Frontier, Intent, Kept, Lap, Owner, Publish, Reap, Size, Stage, Tail, Unit};

/// The file says something that no run of the protocol writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The position at which it was found.
    pub position: u64,
}

/// Where the bytes of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub offset: usize,
    pub len: usize,
}

/// What a ring is made with besides its shape. It does not change, but for what is retained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How often a message is handed out before it is set aside; 0: without end.
    pub max_deliveries: u64,
    /// How many nanoseconds a claim is its owner's alone; 0: for ever.
    pub lease: u64,
    /// How many messages stay readable that every group is done with.
    pub retain: u64,
    /// For how many nanoseconds at most; 0: for ever.
    pub retain_for: u64,
    /// Whether bytes are overwritten before they are free.
    pub scrub: bool,
}

/// Which messages go the short ways: those shorter than this, in their cells and in the data ring. All that fit, or none.
#[derive(Clone, Copy, Debug)]
struct Plain {
    inline: usize,
    long: usize,
}

impl Plain {
    #[cfg(not(ringfile_loom))]
    const NOTHING: Plain = Plain { inline: 0, long: 0 };

    fn of(layout: &Layout) -> Plain {
        Plain { inline: layout.inline_len() + 1, long: layout.max_len() + 1 }
    }
}

/// A region and the numbers that it takes to find one's way in it.
pub struct Ring {
    region: Region,
    layout: Layout,
    policy: Policy,
    /// Whether it keeps the dead letters of another.
    keeps_letters: bool,
    /// What turns a position into the index of its cell: one less than their number, a power of two.
    mask: u64,
    lap_shift: u32,
    cell_size: usize,
    max_batch: usize,
    inline_len: usize,
    plain: Plain,
    #[cfg(not(ringfile_loom))]
    sums: sums::Sums,
    /// Units of the data ring.
    units: u64,
    data_end: usize,
    max_len: usize,
}

impl Ring {
    /// A ring over a region of at least the layout's length.
    pub fn new(region: Region, layout: Layout, keeps_letters: bool) -> Ring {
        let word = |offset| region.word(offset).load(Ordering::Relaxed);
        let policy = Policy {
            max_deliveries: word(cursor::MAX_DELIVERIES),
            lease: word(cursor::LEASE),
            retain: word(cursor::RETAIN),
            retain_for: word(cursor::RETAIN_FOR),
            // It takes a group of its own.
            scrub: word(cursor::SCRUB) != 0 && layout.geometry.groups > 1,
        };
        Ring {
            policy,
            keeps_letters,
            mask: layout.geometry.cells - 1,
            lap_shift: layout.geometry.cells.trailing_zeros(),
            cell_size: layout.geometry.cell_size as usize,
            max_batch: words::MAX_BATCH.min(layout.geometry.cells as usize),
            inline_len: layout.inline_len(),
            plain: Plain::of(&layout),
            #[cfg(not(ringfile_loom))]
            sums: sums::Sums::default(),
            units: layout.geometry.data_bytes / UNIT as u64,
            data_end: layout.data + layout.geometry.data_bytes as usize,
            max_len: layout.max_len(),
            region,
            layout,
        }
    }

    /// Writes the words of an empty ring whose first message will have this position and begin at this unit. The region is zeroed and nobody shares it yet.
    pub fn format(&mut self, first_position: u64, first_unit: u64, ticketed: bool, policy: Policy) {
        self.policy = policy;
        self.set_policy(policy, first_position);
        let unit = Unit::new(first_unit);
        self.tail_pair().init(
            Tail {
                position: first_position,
                unit,
                closed: false,
                owner: Owner::NOBODY,
            }
            .pack(),
        );
        self.reap_pair().init(
            Reap {
                position: first_position,
                unit,
                version: 0,
            }
            .pack(),
        );
        self.commit().store(first_position, Ordering::Relaxed);
        self.next_attachment().store(1, Ordering::Relaxed);
        self.kept_pair().init(Kept { end: first_position, cells: 0, messages: 0 }.pack());
        self.format_group(0, groups::DEFAULT.as_bytes(), first_position, ticketed, 1);
        if policy.scrub {
            self.format_group(groups::SCRUBBER, b"", first_position, false, 1);
        }
    }

    /// Writes what a ring is made with, and how far its bytes may have been overwritten.
    fn set_policy(&self, policy: Policy, scrubbing: u64) {
        let set = |offset, value| self.region.word(offset).store(value, Ordering::Relaxed);
        set(cursor::MAX_DELIVERIES, policy.max_deliveries);
        set(cursor::LEASE, policy.lease);
        set(cursor::RETAIN, policy.retain);
        set(cursor::RETAIN_FOR, policy.retain_for);
        set(cursor::SCRUB, policy.scrub.into());
        set(cursor::SCRUBBING, scrubbing);
    }

    pub fn region(&self) -> &Region {
        &self.region
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Whether anybody asks where a message comes from, or when.
    fn reads_origins(&self) -> bool {
        self.keeps_letters || self.policy.retain_for != 0
    }

    /// Whether claims may be taken back from the living.
    #[inline]
    pub(crate) fn is_leased(&self) -> bool {
        self.policy.lease != 0
    }

    /// The number of cells.
    #[inline]
    pub fn cells(&self) -> u64 {
        self.mask + 1
    }

    /// The longest message.
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// The most cells of one reservation or claim.
    #[inline]
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// How often the ring had been gone round before this position.
    #[inline]
    fn lap(&self, position: u64) -> u64 {
        position >> self.lap_shift
    }

    #[inline]
    fn index(&self, position: u64) -> usize {
        (position & self.mask) as usize
    }

    fn tail_pair(&self) -> &AtomicPair {
        self.region.pair(cursor::TAIL)
    }

    /// The tail. T1: acquire, pairs with T2.
    #[inline]
    pub fn tail(&self) -> Tail {
        Tail::unpack(self.tail_pair().load(Ordering::Acquire))
    }

    fn kept_pair(&self) -> &AtomicPair {
        self.region.pair(cursor::KEPT)
    }

    fn reap_pair(&self) -> &AtomicPair {
        self.region.pair(cursor::REAP)
    }

    /// The reap cursor. R1: acquire, pairs with R2.
    #[inline]
    pub fn reaped(&self) -> Reap {
        Reap::unpack(self.reap_pair().load(Ordering::Acquire))
    }

    fn commit(&self) -> &AtomicU64 {
        self.region.word(cursor::COMMIT)
    }

    /// Everything below this is published: a lower bound.
    pub fn committed(&self) -> u64 {
        self.commit().load(Ordering::Acquire)
    }

    /// Says that everything below `position` is published.
    fn commit_to(&self, position: u64) {
        if self.commit().load(Ordering::Relaxed) < position {
            self.commit().fetch_max(position, Ordering::AcqRel);
        }
    }

    pub(crate) fn parked(&self) -> &AtomicU64 {
        self.region.word(cursor::PARKED)
    }

    /// The word and bit that say that a participant sleeps.
    pub(crate) fn asleep(&self, owner: Owner) -> (&AtomicU64, u64) {
        let word = self.region.word(cursor::ASLEEP + 8 * (owner.0 as usize / 64));
        (word, 1 << (owner.0 % 64))
    }

    /// The words of all such bits.
    pub(crate) fn asleep_words(&self) -> impl Iterator<Item = &AtomicU64> {
        (0..=self.participants() / 64).map(|i| self.region.word(cursor::ASLEEP + 8 * i))
    }

    /// What the sleepers that watch said last, the first and its deputy.
    pub(crate) fn looked(&self) -> [&AtomicU64; 2] {
        [self.region.word(cursor::LOOKED), self.region.word(cursor::LOOKED + 8)]
    }

    pub(crate) fn producers_futex(&self) -> &AtomicU32 {
        self.region.half(cursor::PRODUCERS_FUTEX)
    }

    /// What the disk answered when it failed, or 0.
    pub fn failed(&self) -> &AtomicU64 {
        self.region.word(cursor::FAILED)
    }

    /// How often the file was put in order.
    #[cfg(not(ringfile_loom))]
    pub fn incarnation(&self) -> u64 {
        self.region.word(cursor::INCARNATION).load(Ordering::Acquire)
    }

    /// The number that the next attachment will draw.
    pub fn next_attachment(&self) -> &AtomicU64 {
        self.region.word(cursor::NEXT_ATTACHMENT)
    }

    /// How many group entries there are.
    pub fn entries(&self) -> usize {
        self.layout.geometry.groups as usize + 1
    }

    #[inline]
    pub fn group(&self, entry: usize) -> Group<'_> {
        Group {
            ring: self,
            at: self.layout.groups + entry * group::LEN,
            claims: self.layout.claims + entry * self.layout.claims_stride,
        }
    }

    #[inline]
    fn group_at(&self, place: GroupPlace) -> Group<'_> {
        Group { ring: self, at: place.at, claims: place.claims }
    }

    #[inline]
    fn slot_at(&self, place: SlotPlace) -> Slot<'_> {
        Slot { ring: self, at: place.0 }
    }

    /// How many participants there is room for.
    pub fn participants(&self) -> usize {
        self.layout.geometry.participants as usize
    }

    #[inline]
    pub fn slot(&self, owner: Owner) -> Slot<'_> {
        Slot {
            ring: self,
            at: self.layout.slots + owner.0 as usize * slot::LEN,
        }
    }

    #[inline]
    fn cell(&self, position: u64) -> Cell<'_> {
        Cell {
            ring: self,
            at: self.layout.cells + (self.index(position) * self.cell_size),
        }
    }

    /// Has the lines of some cells, none of which begins a lap but the first, fetched for writing, those that messages of `len` bytes take there: by stores into words that
    /// nobody reads, in a ring where nobody [reads origins](Self::reads_origins), so it does not matter whose the cells have become since.
    #[inline]
    fn fetch(&self, position: u64, cells: usize, len: usize) {
        debug_assert!(self.index(position) + cells <= self.cells() as usize);
        let first = self.cell(position).at;
        let takes_two = cell::INLINE + len > UNIT;
        for i in 0..cells {
            let at = first + i * self.cell_size;
            self.region.word(at + cell::ORIGIN).store(0, Ordering::Relaxed);
            if takes_two {
                self.region.word(at + cell::BLANK).store(0, Ordering::Relaxed);
            }
        }
    }

    /// The publish word of a position's cell, if it is published at that position. P2: acquire, pairs with P1.
    #[inline]
    pub fn published(&self, position: u64) -> Option<Publish> {
        let word = self.cell(position).load();
        word.is_at(self.lap(position)).then_some(word)
    }

    /// Whether there is a message at a position.
    #[inline]
    pub fn has_message(&self, position: u64) -> bool {
        self.cell(position).load().is_ready_at(self.lap(position))
    }

    /// How many messages there are in a range, which a file at rest may make as long as it likes.
    pub fn count_messages(&self, range: std::ops::Range<u64>) -> usize {
        let end = range.end.min(range.start.saturating_add(self.cells()));
        (range.start..end).filter(|&at| self.has_message(at)).count()
    }

    /// Whether a message of `len` bytes lies in its cell.
    #[inline]
    pub fn is_inline(&self, len: usize) -> bool {
        len <= self.inline_len
    }

    /// Where a message of `len` bytes goes that is reserved with the data ring at `unit`, and where the ring stands afterwards.
    #[inline]
    fn place(&self, unit: Unit, len: usize) -> (Extent, Unit) {
        if self.is_inline(len) {
            return (Extent { unit, inline: true, summed: false, lap: Lap::of(0), letter_of: None }, unit);
        }
        let needed = len.div_ceil(UNIT) as u64;
        let left = self.units - (unit.get() & (self.units - 1));
        let start = if needed > left { unit.plus(left) } else { unit };
        let extent = Extent {
            unit: start,
            inline: false,
            summed: false,
            lap: Lap::of(0),
            letter_of: None,
        };
        (extent, start.plus(needed))
    }

    /// The bytes of a message whose cell says `extent` and `len`, if they lie where a message within `limits` can lie.
    #[inline]
    fn span_within(&self, cell: &Cell<'_>, extent: Extent, len: usize, limits: &Plain) -> Option<Span> {
        let offset = self.offset(cell, extent);
        let fits = match extent.inline {
            true => len < limits.inline,
            false => len < limits.long && len <= self.data_end - offset,
        };
        fits.then_some(Span { offset, len })
    }

    /// Whether a message of so many bytes may be pushed by the short way.
    #[inline]
    pub fn is_plain(&self, len: usize) -> bool {
        len < self.plain.long
    }

    /// Where a message begins whose cell says `extent`.
    #[inline]
    fn offset(&self, cell: &Cell<'_>, extent: Extent) -> usize {
        match extent.inline {
            true => cell.at + cell::INLINE,
            false => self.layout.data + (extent.unit.get() & (self.units - 1)) as usize * UNIT,
        }
    }

    /// Where the message of a claimed position is; `None` if there is none.
    #[inline]
    pub fn message_if_any(&self, position: u64) -> Option<Result<Span, Damaged>> {
        let cell = self.cell(position);
        cell.load().is_ready_at(self.lap(position)).then(|| self.message_in(&cell, position))
    }

    /// Where the message of a claimed position is.
    #[inline]
    pub fn message(&self, position: u64) -> Result<Span, Damaged> {
        self.message_in(&self.cell(position), position)
    }

    /// The claim's acquire of the publish word (E1) is what makes these relaxed loads see it.
    #[inline]
    fn message_in(&self, cell: &Cell<'_>, position: u64) -> Result<Span, Damaged> {
        let extent = Extent::unpack(cell.extent().load(Ordering::Relaxed));
        let size = Size::unpack(cell.size().load(Ordering::Relaxed));
        match self.span_within(cell, extent, size.len as usize, &self.plain) {
            Some(span) => Ok(span),
            #[cfg(not(ringfile_loom))]
            None => self.summed_message(position),
            #[cfg(ringfile_loom)]
            None => Err(Damaged { position }),
        }
    }

    /// What the cell of a position says of where its data is, if it is one with a message or of a reservation that was given up.
    #[cfg(not(ringfile_loom))]
    pub fn extent_of(&self, position: u64) -> Option<Extent> {
        let is_known = matches!(self.published(position)?.kind(), words::Kind::Ready | words::Kind::Skip);
        is_known.then(|| Extent::unpack(self.cell(position).extent().load(Ordering::Relaxed)))
    }

    /// What lengths a file can hold.
    #[cfg(not(ringfile_loom))]
    fn limits(&self) -> Plain {
        Plain::of(&self.layout)
    }

    /// Asks the kernel for so many bytes of the data ring, and as many of the cells, from the tail on.
    #[cfg(not(ringfile_loom))]
    pub fn populate(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let (tail, data) = (self.tail(), self.layout.geometry.data_bytes as usize);
        let cells = self.cells() as usize * self.layout.geometry.cell_size as usize;
        let start = (tail.unit.get() & (self.units - 1)) as usize * UNIT;
        let cell = self.cell(tail.position).at - self.layout.cells;
        for (area, len, from) in [(self.layout.data, data, start), (self.layout.cells, cells, cell)] {
            let ahead = bytes.min(len);
            let before_end = ahead.min(len - from);
            self.region.populate(area + from, before_end);
            self.region.populate(area, ahead - before_end);
        }
    }

    /// Whether a group is served by this entry.
    pub fn is_group(&self, entry: usize) -> bool {
        Some(entry) != self.scrubber() && self.group(entry).frontier().life.stage == Stage::Ready
    }

    /// Whether there is any group that gets messages.
    pub(super) fn has_group(&self) -> bool {
        (0..self.entries()).any(|entry| self.is_group(entry))
    }

    /// The entries of groups whose frontiers hold space.
    pub fn holders(&self) -> impl Iterator<Item = usize> {
        let holds = |&entry: &usize| self.group(entry).frontier().life.holds_space();
        (0..self.entries()).filter(|&entry| Some(entry) != self.scrubber()).filter(holds)
    }
}

/// A cell of the ring.
struct Cell<'a> {
    ring: &'a Ring,
    at: usize,
}

impl<'a> Cell<'a> {
    #[inline]
    fn publish(&self) -> &'a AtomicU64 {
        self.ring.region.word(self.at + cell::PUBLISH)
    }

    #[inline]
    fn load(&self) -> Publish {
        Publish(self.publish().load(Ordering::Acquire))
    }

    #[inline]
    fn size(&self) -> &'a AtomicU64 {
        self.ring.region.word(self.at + cell::SIZE)
    }

    #[inline]
    fn extent(&self) -> &'a AtomicU64 {
        self.ring.region.word(self.at + cell::EXTENT)
    }

    fn origin(&self) -> &'a AtomicU64 {
        self.ring.region.word(self.at + cell::ORIGIN)
    }

}

/// An entry of a consumer group: its cursors and its claim words.
#[derive(Clone, Copy)]
pub struct Group<'a> {
    ring: &'a Ring,
    at: usize,
    claims: usize,
}

/// Where a group's words lie, for who uses them again and again.
#[derive(Clone, Copy, Debug)]
struct GroupPlace {
    at: usize,
    claims: usize,
}

impl<'a> Group<'a> {
    fn place(&self) -> GroupPlace {
        GroupPlace { at: self.at, claims: self.claims }
    }

    /// A copy of what the entry is, on a line of its own: not older than what anybody acts on.
    #[inline]
    fn life(&self) -> &'a AtomicU64 {
        self.ring.region.word(self.at + group::LIFE)
    }

    fn redo(&self) -> &'a AtomicU64 {
        self.ring.region.word(self.at + group::REDO)
    }

    #[inline]
    fn head(&self) -> &'a AtomicU64 {
        self.ring.region.word(self.at + group::HEAD)
    }

    fn ticket(&self) -> &'a AtomicU64 {
        self.ring.region.word(self.at + group::TICKET)
    }

    fn frontier_pair(&self) -> &'a AtomicPair {
        self.ring.region.pair(self.at + group::FRONTIER)
    }

    /// Where its consumers look first.
    pub fn hints(&self) -> [u64; 2] {
        [self.head().load(Ordering::Acquire), self.next_place(self.places().lo)]
    }

    /// The next position to draw, where tickets are so far from positions.
    pub(super) fn next_place(&self, places: u64) -> u64 {
        self.ticket().load(Ordering::Acquire).wrapping_add(places)
    }

    /// How far tickets are from positions (low half), and in which tenancy (high half).
    fn places(&self) -> Pair {
        self.places_pair().load(Ordering::Acquire)
    }

    fn places_pair(&self) -> &'a AtomicPair {
        self.ring.region.pair(self.at + group::PLACES)
    }

    /// Everything below it is done. F3: acquire, pairs with F2.
    #[inline]
    pub fn frontier(&self) -> Frontier {
        Frontier::unpack(self.frontier_pair().load(Ordering::Acquire))
    }

    pub(crate) fn futex(&self) -> &'a AtomicU32 {
        self.ring.region.half(self.at + group::FUTEX)
    }

    #[inline]
    fn claim(&self, position: u64) -> &'a AtomicU64 {
        self.ring
            .region
            .word(self.claims + 8 * self.ring.index(position))
    }

    /// The tag of a position's claim word in this tenancy.
    #[inline]
    fn tag(&self, position: u64, tenancy: u64) -> u64 {
        self.ring.lap(position).wrapping_add(tenancy)
    }
}

/// A participant's slot.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    ring: &'a Ring,
    at: usize,
}

/// Where a slot lies.
#[derive(Clone, Copy, Debug)]
struct SlotPlace(usize);

impl<'a> Slot<'a> {
    fn place(&self) -> SlotPlace {
        SlotPlace(self.at)
    }

    #[inline]
    fn word(&self, offset: usize) -> &'a AtomicU64 {
        self.ring.region.word(self.at + offset)
    }

    /// The attachment that has it; 0 if nobody.
    pub fn attachment(&self) -> &'a AtomicU64 {
        self.word(slot::ATTACHMENT)
    }

    /// Says what it is about to reserve (I1).
    #[inline]
    pub fn announce_reservation(&self, position: u64, intent: Intent) {
        let steps = [Step::IntentPacked, Step::IntentAnnounced];
        self.announce(slot::INTENT_POSITION, slot::INTENT, position, intent.pack(position), steps);
    }

    /// Says what it is about to claim (I2).
    #[inline]
    pub fn announce_claim(&self, position: u64, intent: ClaimIntent) {
        let steps = [Step::ClaimPacked, Step::ClaimAnnounced];
        self.announce(slot::CLAIM_POSITION, slot::CLAIM, position, intent.pack(position), steps);
    }

    /// Writes an announcement. Its second word goes first: with the old first word it says nothing.
    #[inline]
    fn announce(&self, position_at: usize, word_at: usize, position: u64, word: u64, steps: [Step; 2]) {
        // Release, so that whoever sees a live slot's announcement sees what its owner did before (E3).
        self.word(word_at).store(word, Ordering::Release);
        fault::point(steps[0]);
        self.word(position_at).store(position, Ordering::Release);
        fault::point(steps[1]);
    }

    /// When its owner last set out to claim something, where claims have a lease.
    fn claimed(&self) -> &'a AtomicU64 {
        self.word(slot::CLAIMED)
    }

    /// The time of its claim that has expired, if one has, and whether everybody has been told.
    fn expired(&self) -> &'a AtomicU64 {
        self.word(slot::EXPIRED)
    }

    /// Says that nothing is claimed any more, and so keeps no room (L3).
    #[cold]
    fn let_go(&self) {
        // Release, pairs with the look at it by who makes room: what was claimed has been read.
        self.word(slot::CLAIM).store(words::SILENT, Ordering::Release);
        fault::point(Step::LetGo);
    }

    /// The claim that was announced last, unless it was let go of.
    fn announced_claim(&self) -> Option<(u64, ClaimIntent)> {
        let (first, word) = self.announcement(slot::CLAIM_POSITION, slot::CLAIM);
        Some((first, ClaimIntent::unpack(first, word)?))
    }

    /// Reads an announcement of a slot that may be writing it. Equal check bits say that both words belong together.
    fn announcement(&self, position_at: usize, word_at: usize) -> (u64, u64) {
        let position = self.word(position_at).load(Ordering::Acquire);
        let word = self.word(word_at).load(Ordering::Acquire);
        (position, word)
    }
}
