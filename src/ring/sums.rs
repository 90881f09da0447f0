//! Checksums of messages: what tells one that is whole from one that is not, on a disk or after a bit has flipped.
//!
//! A producer that asks for it writes the sum into the cell, before it publishes. What comes without gets its sum from whoever syncs, in an
//! array beside: he has no right to write into a cell that may be somebody else's by then. Such a sum says which lap it is of, so one that comes too late is
//! nobody's.

use super::push::Reserved;
use super::words::{Extent, Kind, Lap, LateSum, Publish, Size};
use super::{Cell, Damaged, Ring, Span};
use crate::sync::{AtomicU64, Ordering, fence};

/// What a ring knows of sums.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    /// The sum of what tells this queue from others.
    seed: u32,
    /// Whether they are asked for here: written with each message, and looked at before one is handed out.
    asked_for: bool,
}

/// What the sum of a message says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was pushed.
    Whole,
    /// There is no sum.
    Unsummed,
    /// It is not.
    Broken,
}

impl Ring {
    /// The ring of the queue with this uuid; says whether each message is to have a sum that is looked at.
    pub fn with_sums(mut self, uuid: &[u8; 16], asked_for: bool) -> Ring {
        self.sums = Sums { seed: crc32c::crc32c(uuid), asked_for };
        if asked_for {
            // The short ways end at these bounds, and cost nothing where they are what they are anyway.
            self.plain = super::Plain::NOTHING;
        }
        self
    }

    /// Whether each message is to have a sum.
    pub fn asks_for_sums(&self) -> bool {
        self.sums.asked_for
    }

    /// Writes the sums of the messages of a reservation, whose bytes are all there.
    pub fn seal(&self, reserved: &Reserved) {
        for distance in 0..reserved.cells {
            let position = reserved.first.wrapping_add(distance);
            let cell = self.cell(position);
            let extent = Extent::unpack(cell.extent().load(Ordering::Relaxed));
            let size = Size::unpack(cell.size().load(Ordering::Relaxed));
            // Its own words, of a message that fits.
            let span = Span { offset: self.offset(&cell, extent), len: size.len as usize };
            let publish = reserved.published(self, distance, reserved.link(distance), Kind::Ready);
            let checksum =
                self.region.sum(self.sum_of_words(position, publish, extent, size.len), span.offset, span.len);
            cell.extent().store(Extent { summed: true, ..extent }.pack(), Ordering::Relaxed);
            cell.size().store(Size { checksum, ..size }.pack(), Ordering::Relaxed);
        }
    }

    /// The sum of everything about a message but its bytes.
    fn sum_of_words(&self, position: u64, publish: Publish, extent: Extent, len: u32) -> u32 {
        let origin = match self.reads_origins() {
            true => self.cell(position).origin().load(Ordering::Relaxed),
            false => 0,
        };
        // Alike, however it comes by its sum.
        let extent = Extent { summed: false, ..extent }.pack();
        let words = [position, publish.0, extent, len.into(), origin];
        words.into_iter().fold(self.sums.seed, |sum, word| crc32c::crc32c_append(sum, &word.to_le_bytes()))
    }

    fn late_sum(&self, position: u64) -> &AtomicU64 {
        self.region.word(self.layout.sums + 8 * self.index(position))
    }

    /// The sum that there is of a message; an error if what says so contradicts itself.
    fn stored_sum(&self, position: u64, extent: Extent, size: Size) -> Result<Option<u32>, Damaged> {
        if extent.summed {
            return Ok(Some(size.checksum));
        }
        if size.checksum != 0 {
            return Err(Damaged { position });
        }
        let late = LateSum(self.late_sum(position).load(Ordering::Acquire));
        // Of a later lap there is none before this one's message is done with; nor is its cell staged.
        if late.is_after(self.lap(position)) || extent.lap != Lap::of(self.lap(position)) {
            return Err(Damaged { position });
        }
        Ok(late.of(self.lap(position)))
    }

    /// Whether what is left of a cell shows that it was about to be used again after this position: everybody was done with that then.
    pub(super) fn was_used_again(&self, position: u64) -> bool {
        let extent = Extent::unpack(self.cell(position).extent().load(Ordering::Relaxed));
        let late = LateSum(self.late_sum(position).load(Ordering::Acquire));
        let lap = self.lap(position);
        extent.lap == Lap::of(lap.wrapping_add(1)) || late.is_after(lap)
    }

    /// What the sum of a published message says.
    fn judge(&self, cell: &Cell<'_>, position: u64, extent: Extent, size: Size, span: Span) -> Verdict {
        let stored = match self.stored_sum(position, extent, size) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Verdict::Unsummed,
            Err(_) => return Verdict::Broken,
        };
        let words = self.sum_of_words(position, cell.load(), extent, size.len);
        match self.region.sum(words, span.offset, span.len) == stored {
            true => Verdict::Whole,
            false => Verdict::Broken,
        }
    }

    /// A message that was not to be had by the short way: it is too long for it, or its sum is to be looked at first.
    #[cold]
    #[inline(never)]
    pub(super) fn summed_message(&self, position: u64) -> Result<Span, Damaged> {
        match self.examine(position)? {
            (span, Verdict::Whole | Verdict::Unsummed) if self.sums.asked_for => Ok(span),
            _ => Err(Damaged { position }),
        }
    }

    /// Where a published message is and what its sum says, whether or not that is asked for.
    pub fn examine(&self, position: u64) -> Result<(Span, Verdict), Damaged> {
        let cell = self.cell(position);
        let extent = Extent::unpack(cell.extent().load(Ordering::Relaxed));
        let size = Size::unpack(cell.size().load(Ordering::Relaxed));
        let span = self.span_within(&cell, extent, size.len as usize, &self.limits()).ok_or(Damaged { position })?;
        Ok((span, self.judge(&cell, position, extent, size, span)))
    }

    /// Sees to it that a message which somebody may be taking meanwhile has a sum, if it is still there. `buffer` is for its bytes. Says whether that is in the array, whoever
    /// wrote it.
    pub fn sum_late(&self, position: u64, buffer: &mut Vec<u8>) -> bool {
        self.sum_unless(position, buffer, || self.readable_from() > position)
    }

    /// The same, unless it has been given back when it was read.
    pub(super) fn sum_unless(&self, position: u64, buffer: &mut Vec<u8>, is_given_back: impl Fn() -> bool) -> bool {
        let lap = self.lap(position);
        let late = self.late_sum(position);
        loop {
            let seen = late.load(Ordering::Acquire);
            if LateSum(seen).of(lap).is_some() {
                return true;
            }
            let cell = self.cell(position);
            let publish = cell.load(); // P2 (E1)
            let extent = Extent::unpack(cell.extent().load(Ordering::Relaxed));
            let size = Size::unpack(cell.size().load(Ordering::Relaxed));
            let span = self.span_within(&cell, extent, size.len as usize, &self.limits());
            let Some(span) = span.filter(|_| publish.is_ready_at(lap) && !extent.summed) else {
                return false;
            };
            buffer.clear();
            self.region.read_shared(span.offset, span.len, buffer);
            let sum = crc32c::crc32c_append(self.sum_of_words(position, publish, extent, size.len), buffer);
            // What was not given back when it had been read was not written meanwhile (G5).
            fence(Ordering::Acquire);
            if is_given_back() {
                return false;
            }
            // Exactly: who comes late, for another lap, says of which. Then this one is still to be written.
            let _ = late.compare_exchange(seen, LateSum::new(lap, sum).0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Takes back the sum that came late to a cell.
    pub(super) fn forget_sum(&self, position: u64) {
        self.late_sum(position).store(0, Ordering::Relaxed);
    }

    /// Where the sums of so many positions from `first` on lie, in one piece or two.
    pub fn sums_of(&self, first: u64, count: u64) -> [(usize, usize); 2] {
        self.pieces(self.layout.sums, 8, first, count)
    }

    /// Where the cells of so many positions from `first` on lie, in one piece or two.
    pub fn cells_of(&self, first: u64, count: u64) -> [(usize, usize); 2] {
        self.pieces(self.layout.cells, self.cell_size, first, count)
    }

    /// The parts of an array that begins at `base`, with an element for each cell.
    fn pieces(&self, base: usize, size: usize, first: u64, count: u64) -> [(usize, usize); 2] {
        let cells = self.cells() as usize;
        let (from, count) = (self.index(first), (count as usize).min(cells));
        let before_end = count.min(cells - from);
        [(base + from * size, before_end * size), (base, (count - before_end) * size)]
    }
}
