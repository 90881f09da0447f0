//! Damage to a file, word by word, at the places that mean something.

use crate::Bytes;
use ringfile::file::header::UncheckedHeader;
use ringfile::file::layout::{
    CHECKPOINTS, FIELDS, Layout, PAGE, checkpoint, cursor, group, header, name, slot,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// A change of one word of a file.
#[derive(Clone, Copy, Debug)]
pub struct Patch {
    /// Of the main file, or of that of its dead letters.
    pub in_letters: bool,
    place: Place,
    how: u8,
    value: u8,
    word: u64,
    from: Place,
}

/// A word of the file: which field of a section, and of which of its instances.
#[derive(Clone, Copy, Debug)]
struct Place {
    what: u8,
    which: u8,
}

/// What `what` counts besides the fields: claim words, payloads in the data ring, anything.
const CLAIM: usize = FIELDS.len();
const DATA: usize = CLAIM + 1;
const ANYTHING: usize = DATA + 1;
const PLACES: usize = ANYTHING + 1;

/// Ways to change a word.
const WAYS: u8 = 16;

impl Patch {
    pub fn take(bytes: &mut Bytes) -> Patch {
        let place = Place::take(bytes);
        let (how, value) = (bytes.byte(), bytes.byte());
        let word = if matches!(how % WAYS, 9 | 12) { bytes.word() } else { 0 };
        let from = if how % WAYS == 10 { Place::take(bytes) } else { place };
        Patch { in_letters: how & 0x80 != 0, place, how: how % WAYS, value, word, from }
    }

    /// Changes an image. Where it may not touch the header, it changes a cursor in its stead.
    pub fn apply(&self, bytes: &mut [u8], layout: &Layout, with_header: bool) {
        let at = self.place.of(layout, self.value, with_header);
        let from = self.from.of(layout, 0, with_header);
        let read = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let changed = self.changed(read(at), read(from));
        bytes[at..at + 8].copy_from_slice(&changed.to_le_bytes());
        if self.how == 15 {
            // A sector that was never written.
            bytes[at / 512 * 512..][..512].fill(0);
        }
    }

    /// The same in memory that others use.
    pub fn scribble(&self, words: &[AtomicU64], layout: &Layout) {
        let at = |place: Place, value| &words[place.of(layout, value, false) / 8];
        let (word, from) = (at(self.place, self.value), at(self.from, 0));
        word.store(
            self.changed(word.load(Ordering::Relaxed), from.load(Ordering::Relaxed)),
            Ordering::Relaxed,
        );
    }

    fn changed(&self, word: u64, from: u64) -> u64 {
        let shift = u32::from(self.value) % 64;
        match self.how {
            0 => 0,
            1 => u64::MAX,
            2 => word.wrapping_add(1),
            3 => word.wrapping_sub(1),
            4 => 1 << shift,
            5 => !word,
            6 => word ^ (u64::MAX << shift),
            7 => word.wrapping_add(1 << shift),
            8 => self.value.into(),
            9 => self.word,
            10 => from,
            11 => word.wrapping_sub(1 << shift),
            12 => word.wrapping_add(self.word),
            13 => word ^ u64::from(self.value),
            14 => word ^ 1 << shift,
            _ => 0,
        }
    }
}

impl Place {
    fn take(bytes: &mut Bytes) -> Place {
        Place { what: bytes.byte(), which: bytes.byte() }
    }

    /// The offset of a whole word, in the file.
    fn of(&self, layout: &Layout, value: u8, with_header: bool) -> usize {
        let g = layout.geometry;
        let (what, which) = (usize::from(self.what) % PLACES, usize::from(self.which));
        let (entries, cells) = (g.groups as usize + 1, g.cells as usize);
        let behind = if with_header { 0 } else { PAGE };
        let at = match what {
            CLAIM => layout.claims + which / cells % entries * layout.claims_stride + which % cells * 8,
            DATA => layout.data + which * 8 % g.data_bytes as usize,
            ANYTHING => (which << 8 | usize::from(value)) * 8,
            _ => {
                let (section, _, offset, len) = FIELDS[what];
                // Of a pair either half, of a name any part.
                let offset = offset + (which / 64) % (len / 8).max(1) * 8;
                let of = |from: usize, count: usize, len: usize| from + which % 64 % count * len + offset;
                match section {
                    "name" => of(layout.names, g.groups as usize, name::LEN),
                    "group" => of(layout.groups, entries, group::LEN),
                    "slot" => of(layout.slots, g.participants as usize, slot::LEN),
                    "checkpoint" => of(CHECKPOINTS, checkpoint::PLACES, layout.checkpoint_len),
                    "checkpoint group" => {
                        let block = CHECKPOINTS + which % 64 % checkpoint::PLACES * layout.checkpoint_len;
                        let index = which % 64 / checkpoint::PLACES % g.groups as usize;
                        block + checkpoint::LEN + index * checkpoint::group::LEN + offset
                    }
                    "cell" => of(layout.cells, cells, g.cell_size as usize),
                    _ => offset,
                }
            }
        };
        let at = at % layout.file_len;
        (if at < behind { at + behind } else { at }) / 8 * 8
    }
}

/// The layout of a sound image.
pub fn layout_of(bytes: &[u8]) -> Layout {
    UncheckedHeader(&bytes[..PAGE]).check(bytes.len() as u64).expect("a sound header").layout
}

/// Makes the checksum of a header right.
pub fn seal(bytes: &mut [u8]) {
    if let Some(head) = bytes.get_mut(..PAGE) {
        let checksum = crc32c::crc32c(&head[..header::CHECKSUM]);
        head[header::CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Makes the checksums of all checkpoints right.
pub fn seal_checkpoints(bytes: &mut [u8], layout: &Layout) {
    for place in 0..checkpoint::PLACES {
        let block = &mut bytes[CHECKPOINTS + place * layout.checkpoint_len..][..layout.checkpoint_len];
        let at = checkpoint::CHECKSUM;
        block[at..at + 4].fill(0);
        let checksum = crc32c::crc32c(block);
        block[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// As if the machine had been started anew since.
pub fn forget_boot(bytes: &mut [u8]) {
    bytes[cursor::BOOT] ^= 1;
}
