//! Where everything lies in the file, and nothing else.
//!
//! `docs/format.md` shows the same offsets for people; `tests/format.rs` compares the two.

/// The first bytes of every ring.
pub const MAGIC: [u8; 8] = *b"ringfile";
/// The format this crate writes, and the only one that it reads.
pub const VERSION: u32 = 1;
/// Reads as another number on a machine of the other byte order.
pub const BYTE_ORDER: u32 = 0x0a0b_0c0d;

/// Everything with its own page begins on a multiple of this.
pub const PAGE: usize = 4096;
/// Two cache lines: neighbouring lines are fetched in pairs.
pub const LINE: usize = 128;
/// Payloads in the data ring begin on a multiple of this, so that no two share a cache line.
pub const UNIT: usize = 64;

/// Offsets of the static header, which is written once and covered by a checksum.
pub mod header {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 8;
    pub const BYTE_ORDER: usize = 12;
    pub const FILE_LEN: usize = 16;
    pub const DATA_BYTES: usize = 24;
    pub const CELLS: usize = 32;
    pub const CELL_SIZE: usize = 40;
    pub const GROUPS: usize = 44;
    pub const PARTICIPANTS: usize = 48;
    pub const FEATURES: usize = 52;
    /// A bit of `FEATURES`: the ring keeps the dead letters of the queue whose uuid it has.
    pub const DEAD_LETTERS: u32 = 1;
    pub const CREATED: usize = 56;
    pub const UUID: usize = 64;
    pub const FIRST_POSITION: usize = 80;
    pub const FIRST_UNIT: usize = 88;
    pub const CHECKSUM: usize = 4092;
}

/// Offsets of the shared cursors: one line each, on a page apart from the data.
pub mod cursor {
    use super::{LINE, PAGE};
    pub const TAIL: usize = PAGE;
    pub const REAP: usize = PAGE + LINE;
    pub const COMMIT: usize = PAGE + 2 * LINE;
    pub const PARKED: usize = PAGE + 3 * LINE;
    pub const PRODUCERS_FUTEX: usize = PAGE + 4 * LINE;
    pub const NEXT_ATTACHMENT: usize = PAGE + 5 * LINE;
    /// Which names of groups there are.
    pub const DIRECTORY: usize = PAGE + 6 * LINE;
    pub const MAX_DELIVERIES: usize = PAGE + 7 * LINE;
    pub const LEASE: usize = PAGE + 7 * LINE + 8;
    pub const RETAIN: usize = PAGE + 7 * LINE + 16;
    pub const RETAIN_FOR: usize = PAGE + 7 * LINE + 24;
    pub const SCRUB: usize = PAGE + 7 * LINE + 32;
    /// The boot in which the file was last found, or made, in order: sixteen bytes.
    pub const BOOT: usize = PAGE + 8 * LINE;
    /// How often it was put in order after a boot or a failure.
    pub const INCARNATION: usize = BOOT + 16;
    /// What the disk answered when it failed, or 0.
    pub const FAILED: usize = BOOT + 24;
    pub const LOOKED: usize = PAGE + 9 * LINE;
    pub const ASLEEP: usize = PAGE + 10 * LINE;
    /// What is retained, and how much of it had to give way.
    pub const KEPT: usize = PAGE + 12 * LINE;
    pub const GAVE_WAY: usize = PAGE + 12 * LINE + 16;
    pub const SCRUBBING: usize = PAGE + 12 * LINE + 24;
    /// Who syncs: odd while somebody does.
    pub const SYNC_ROUND: usize = PAGE + 13 * LINE;
    /// The last round that was finished.
    pub const SYNC_DONE: usize = PAGE + 13 * LINE + 8;
    /// Everything below is on the disk.
    pub const DURABLE: usize = PAGE + 13 * LINE + 16;
    /// Whether the file as a whole, and its name, ever were.
    pub const ROOTED: usize = PAGE + 13 * LINE + 24;
    /// What else than messages and frontiers is on the disk.
    pub const STANDING: usize = PAGE + 13 * LINE + 32;
    pub const SYNC_FUTEX: usize = PAGE + 13 * LINE + 40;
    /// The number of the last checkpoint that anybody set out to write.
    pub const CHECKPOINT: usize = PAGE + 14 * LINE;
    /// The last one that was synced, and where it is.
    pub const CHECKPOINT_SYNCED: usize = PAGE + 14 * LINE + 8;
    /// Who writes in each place for one.
    pub const CHECKPOINT_WRITERS: usize = PAGE + 15 * LINE;
    /// A bit for each of the most participants that a file can have.
    pub const ASLEEP_LEN: usize = super::MAX_PARTICIPANTS / 8 + 1;
}

/// The checkpoints, each on pages of its own.
pub const CHECKPOINTS: usize = 2 * PAGE;

/// A checkpoint: what a ring was like, to be believed after the power went.
pub mod checkpoint {
    /// How many there is room for: one that is on the disk, and some that others may be writing, paused perhaps.
    pub const PLACES: usize = 8;
    pub const LEN: usize = 112;
    pub const SEQUENCE: usize = 0;
    pub const CHECKSUM: usize = 8;
    pub const CLOSED: usize = 12;
    pub const INCARNATION: usize = 16;
    pub const TAIL: usize = 24;
    pub const TAIL_UNIT: usize = 32;
    pub const REAP: usize = 40;
    pub const MAX_DELIVERIES: usize = 48;
    pub const LEASE: usize = 56;
    pub const RETAIN: usize = 64;
    pub const RETAIN_FOR: usize = 72;
    pub const SCRUB: usize = 80;
    /// A bit for each name that there is.
    pub const NAMES: usize = 88;

    /// A group in it, one for each name that there is room for.
    pub mod group {
        pub const LEN: usize = 192;
        pub const LIFE: usize = 0;
        pub const FRONTIER: usize = 8;
        pub const ENTRY: usize = 16;
        pub const RATE: usize = 24;
        pub const BURST: usize = 32;
        pub const NAME_LEN: usize = 40;
        pub const NAME: usize = 48;
    }
}

/// A name of a group: which entry serves it now, how fast it may consume.
pub mod name {
    use super::LINE;
    pub const LEN: usize = 4 * LINE;
    pub const NAME_LEN: usize = 0;
    pub const NAME: usize = 8;
    pub const MAX_NAME: usize = LINE - NAME;
    pub const SERVING: usize = LINE;
    /// Who is giving the record to a group.
    pub const CREATOR: usize = LINE + 8;
    pub const START: usize = LINE + 16;
    pub const TICKETED: usize = LINE + 24;
    pub const PACER: usize = 2 * LINE;
    pub const RATE: usize = 3 * LINE;
    pub const BURST: usize = 3 * LINE + 8;
    /// Consumers sleep here until it is their turn by the rate.
    pub const FUTEX: usize = 3 * LINE + 16;
}

/// An entry of a group: its cursors. There is one more than there are names, so that a rewind has a place to go.
pub mod group {
    use super::LINE;
    pub const LEN: usize = 8 * LINE;
    /// A copy of the half of the frontier that says what the entry is: a line that is seldom written.
    pub const LIFE: usize = 0;
    pub const REDO: usize = 8;
    pub const HEAD: usize = LINE;
    pub const TICKET: usize = 2 * LINE;
    pub const FRONTIER: usize = 3 * LINE;
    pub const FUTEX: usize = 4 * LINE;
    /// Where producers found the ring full because of it, and since when.
    /// How far the tickets of a tenancy are from its positions.
    pub const PLACES: usize = 5 * LINE;
    pub const BLOCKING: usize = 6 * LINE;
    pub const BLOCKING_SINCE: usize = 6 * LINE + 8;
}

/// A participant's slot: the first line has one writer, the second says whom to ask.
pub mod slot {
    use super::LINE;
    pub const LEN: usize = 2 * LINE;
    pub const ATTACHMENT: usize = 0;
    pub const INTENT_POSITION: usize = 8;
    pub const INTENT: usize = 16;
    pub const CLAIM_POSITION: usize = 24;
    pub const CLAIM: usize = 32;
    pub const BINDING: usize = 40;
    pub const CLAIMED: usize = 48;
    pub const PID: usize = LINE;
    pub const STARTED: usize = LINE + 8;
    pub const PID_NAMESPACE: usize = LINE + 16;
    pub const SINCE: usize = LINE + 24;
    pub const DESCRIBED: usize = LINE + 32;
    pub const EXPIRED: usize = LINE + 40;
}

/// A cell: four words, then the payload if it fits.
pub mod cell {
    pub const PUBLISH: usize = 0;
    pub const SIZE: usize = 8;
    pub const EXTENT: usize = 16;
    /// Of a dead letter: its position in the queue that it comes from. Otherwise kept for the time of its publish.
    pub const ORIGIN: usize = 24;
    pub const INLINE: usize = 32;
    /// In the second line of a cell of 128 bytes, behind the payload: says nothing. Who wants to have the line stores here.
    pub const BLANK: usize = 120;
}

/// The most participants: their slot numbers have 11 bits, the last of which means nobody.
pub const MAX_PARTICIPANTS: usize = 2047;
/// The most names of groups: each has a bit in the `parked` word, and so have the spare entry and the producers.
pub const MAX_GROUPS: usize = 62;
/// The most cells.
pub const MAX_CELLS: u64 = 1 << 32;
/// The longest data ring, in bytes.
pub const MAX_DATA: u64 = 1 << 46;

/// What decides the shape of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of the data ring: a power of two, at least two units.
    pub data_bytes: u64,
    /// Number of cells: a power of two, at least 2.
    pub cells: u64,
    /// Bytes of a cell: 64 or 128.
    pub cell_size: u32,
    /// Names of groups that the file has room for: 1 to [`MAX_GROUPS`].
    pub groups: u32,
    /// Participants at a time: 1 to [`MAX_PARTICIPANTS`].
    pub participants: u32,
}

impl Geometry {
    /// Whether these numbers describe a file at all.
    pub fn is_valid(&self) -> bool {
        self.data_bytes.is_power_of_two()
            && (2 * UNIT as u64..=MAX_DATA).contains(&self.data_bytes)
            && self.cells.is_power_of_two()
            && (2..=MAX_CELLS).contains(&self.cells)
            && matches!(self.cell_size, 64 | 128)
            && (1..=MAX_GROUPS as u32).contains(&self.groups)
            && (1..=MAX_PARTICIPANTS as u32).contains(&self.participants)
    }
}

/// Where the parts of a file of a given geometry begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub geometry: Geometry,
    /// The length of each checkpoint, with the pages to itself.
    pub checkpoint_len: usize,
    pub names: usize,
    pub groups: usize,
    pub slots: usize,
    pub cells: usize,
    pub claims: usize,
    /// From one group entry's claim words to the next one's.
    pub claims_stride: usize,
    /// Checksums of messages that came without.
    pub sums: usize,
    pub data: usize,
    pub file_len: usize,
}

impl Layout {
    /// The layout of a valid geometry, or `None` if the file would not fit an address space.
    pub fn new(geometry: Geometry) -> Option<Layout> {
        if !geometry.is_valid() {
            return None;
        }
        let after = |at: usize, count: usize, len: usize| -> Option<usize> {
            at.checked_add(count.checked_mul(len)?)?
                .checked_next_multiple_of(PAGE)
        };
        let cell_count = usize::try_from(geometry.cells).ok()?;
        let entries = geometry.groups as usize + 1;

        let checkpoint_len = after(checkpoint::LEN, geometry.groups as usize, checkpoint::group::LEN)?;
        let names = CHECKPOINTS + checkpoint::PLACES * checkpoint_len;
        let groups = after(names, geometry.groups as usize, name::LEN)?;
        let slots = after(groups, entries, group::LEN)?;
        let cells = after(slots, geometry.participants as usize, slot::LEN)?;
        let claims = after(cells, cell_count, geometry.cell_size as usize)?;
        let claims_stride = after(0, cell_count, 8)?;
        let sums = after(claims, entries, claims_stride)?;
        let data = after(sums, cell_count, 8)?;
        let file_len = after(data, 1, usize::try_from(geometry.data_bytes).ok()?)?;
        if file_len > isize::MAX as usize {
            return None;
        }
        Some(Layout {
            geometry,
            checkpoint_len,
            names,
            groups,
            slots,
            cells,
            claims,
            claims_stride,
            sums,
            data,
            file_len,
        })
    }

    /// How many bytes a cell holds of its own message.
    pub fn inline_len(&self) -> usize {
        let end = self.geometry.cell_size as usize;
        end.min(cell::BLANK) - cell::INLINE
    }

    /// The longest message in bytes: half the data ring, or what fits a cell if that is more; a length has 32 bits.
    pub fn max_len(&self) -> usize {
        let half = (self.geometry.data_bytes / 2).min(u32::MAX.into()) as usize;
        half.max(self.inline_len())
    }
}

const _: () = {
    assert!(cursor::ASLEEP + cursor::ASLEEP_LEN <= CHECKPOINTS);
    assert!(cursor::TAIL.is_multiple_of(16) && cursor::REAP.is_multiple_of(16));
    assert!(group::FRONTIER.is_multiple_of(16) && group::LEN.is_multiple_of(LINE));
    assert!(cursor::DIRECTORY.is_multiple_of(16) && cursor::KEPT.is_multiple_of(16));
    assert!(group::PLACES.is_multiple_of(16) && group::BLOCKING_SINCE + 8 <= group::LEN);
    assert!(slot::CLAIMED + 8 <= LINE && slot::EXPIRED + 8 <= slot::LEN);
    assert!(name::FUTEX + 4 <= name::LEN && name::NAME + name::MAX_NAME <= name::SERVING);
    assert!(header::FIRST_UNIT + 8 <= header::CHECKSUM && header::CHECKSUM + 4 == PAGE);
    assert!(cursor::CHECKPOINT_WRITERS + 8 * checkpoint::PLACES <= CHECKPOINTS && cursor::FAILED + 8 <= cursor::LOOKED);
    assert!(checkpoint::NAMES + 8 <= checkpoint::LEN);
    assert!(checkpoint::group::NAME + name::MAX_NAME <= checkpoint::group::LEN);
    // What was true of both at one time, in whatever order sectors reach the disk.
    assert!(cursor::TAIL / 512 == cursor::REAP / 512);
};

/// A named part of the file, as `docs/format.md` lists it: section, name, offset in the section, bytes.
pub type Field = (&'static str, &'static str, usize, usize);

/// All named parts, in the order of the document.
pub const FIELDS: &[Field] = &[
    ("header", "magic", header::MAGIC, 8),
    ("header", "version", header::VERSION, 4),
    ("header", "byte order", header::BYTE_ORDER, 4),
    ("header", "file length", header::FILE_LEN, 8),
    ("header", "data bytes", header::DATA_BYTES, 8),
    ("header", "cells", header::CELLS, 8),
    ("header", "cell size", header::CELL_SIZE, 4),
    ("header", "groups", header::GROUPS, 4),
    ("header", "participants", header::PARTICIPANTS, 4),
    ("header", "features", header::FEATURES, 4),
    ("header", "created", header::CREATED, 8),
    ("header", "uuid", header::UUID, 16),
    ("header", "first position", header::FIRST_POSITION, 8),
    ("header", "first unit", header::FIRST_UNIT, 8),
    ("header", "checksum", header::CHECKSUM, 4),
    ("cursors", "tail", cursor::TAIL, 16),
    ("cursors", "reap", cursor::REAP, 16),
    ("cursors", "commit", cursor::COMMIT, 8),
    ("cursors", "parked", cursor::PARKED, 8),
    ("cursors", "producers' futex", cursor::PRODUCERS_FUTEX, 4),
    ("cursors", "next attachment", cursor::NEXT_ATTACHMENT, 8),
    ("cursors", "directory", cursor::DIRECTORY, 16),
    ("cursors", "max deliveries", cursor::MAX_DELIVERIES, 8),
    ("cursors", "lease", cursor::LEASE, 8),
    ("cursors", "retain", cursor::RETAIN, 8),
    ("cursors", "retain for", cursor::RETAIN_FOR, 8),
    ("cursors", "scrub", cursor::SCRUB, 8),
    ("cursors", "boot", cursor::BOOT, 16),
    ("cursors", "incarnation", cursor::INCARNATION, 8),
    ("cursors", "failed", cursor::FAILED, 8),
    ("cursors", "looked", cursor::LOOKED, 16),
    ("cursors", "asleep", cursor::ASLEEP, cursor::ASLEEP_LEN),
    ("cursors", "kept", cursor::KEPT, 16),
    ("cursors", "gave way", cursor::GAVE_WAY, 8),
    ("cursors", "scrubbing", cursor::SCRUBBING, 8),
    ("cursors", "sync round", cursor::SYNC_ROUND, 8),
    ("cursors", "sync done", cursor::SYNC_DONE, 8),
    ("cursors", "durable", cursor::DURABLE, 8),
    ("cursors", "rooted", cursor::ROOTED, 8),
    ("cursors", "standing", cursor::STANDING, 8),
    ("cursors", "sync futex", cursor::SYNC_FUTEX, 4),
    ("cursors", "checkpoint drawn", cursor::CHECKPOINT, 8),
    ("cursors", "checkpoint synced", cursor::CHECKPOINT_SYNCED, 8),
    ("cursors", "checkpoint writers", cursor::CHECKPOINT_WRITERS, 8 * checkpoint::PLACES),
    ("checkpoint", "sequence", checkpoint::SEQUENCE, 8),
    ("checkpoint", "checksum", checkpoint::CHECKSUM, 4),
    ("checkpoint", "closed", checkpoint::CLOSED, 4),
    ("checkpoint", "incarnation", checkpoint::INCARNATION, 8),
    ("checkpoint", "tail", checkpoint::TAIL, 8),
    ("checkpoint", "tail unit", checkpoint::TAIL_UNIT, 8),
    ("checkpoint", "reap", checkpoint::REAP, 8),
    ("checkpoint", "max deliveries", checkpoint::MAX_DELIVERIES, 8),
    ("checkpoint", "lease", checkpoint::LEASE, 8),
    ("checkpoint", "retain", checkpoint::RETAIN, 8),
    ("checkpoint", "retain for", checkpoint::RETAIN_FOR, 8),
    ("checkpoint", "scrub", checkpoint::SCRUB, 8),
    ("checkpoint", "names", checkpoint::NAMES, 8),
    ("checkpoint group", "life", checkpoint::group::LIFE, 8),
    ("checkpoint group", "frontier", checkpoint::group::FRONTIER, 8),
    ("checkpoint group", "entry", checkpoint::group::ENTRY, 8),
    ("checkpoint group", "rate", checkpoint::group::RATE, 8),
    ("checkpoint group", "burst", checkpoint::group::BURST, 8),
    ("checkpoint group", "name length", checkpoint::group::NAME_LEN, 8),
    ("checkpoint group", "name", checkpoint::group::NAME, name::MAX_NAME),
    ("name", "name length", name::NAME_LEN, 8),
    ("name", "name", name::NAME, name::MAX_NAME),
    ("name", "serving", name::SERVING, 8),
    ("name", "creator", name::CREATOR, 8),
    ("name", "start", name::START, 8),
    ("name", "ticketed", name::TICKETED, 8),
    ("name", "pacer", name::PACER, 8),
    ("name", "rate", name::RATE, 8),
    ("name", "burst", name::BURST, 8),
    ("name", "futex", name::FUTEX, 4),
    ("group", "life", group::LIFE, 8),
    ("group", "redo", group::REDO, 8),
    ("group", "head", group::HEAD, 8),
    ("group", "ticket", group::TICKET, 8),
    ("group", "frontier", group::FRONTIER, 16),
    ("group", "futex", group::FUTEX, 4),
    ("group", "places", group::PLACES, 16),
    ("group", "blocking", group::BLOCKING, 8),
    ("group", "blocking since", group::BLOCKING_SINCE, 8),
    ("slot", "attachment", slot::ATTACHMENT, 8),
    ("slot", "intent position", slot::INTENT_POSITION, 8),
    ("slot", "intent", slot::INTENT, 8),
    ("slot", "claim position", slot::CLAIM_POSITION, 8),
    ("slot", "claim", slot::CLAIM, 8),
    ("slot", "binding", slot::BINDING, 8),
    ("slot", "claimed", slot::CLAIMED, 8),
    ("slot", "process", slot::PID, 8),
    ("slot", "started", slot::STARTED, 8),
    ("slot", "pid namespace", slot::PID_NAMESPACE, 8),
    ("slot", "since", slot::SINCE, 8),
    ("slot", "described", slot::DESCRIBED, 8),
    ("slot", "expired", slot::EXPIRED, 8),
    ("cell", "publish", cell::PUBLISH, 8),
    ("cell", "size", cell::SIZE, 8),
    ("cell", "extent", cell::EXTENT, 8),
    ("cell", "origin", cell::ORIGIN, 8),
    ("cell", "blank", cell::BLANK, 8),
];
