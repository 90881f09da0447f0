//! What the 64 bits of each shared word mean.
//!
//! Every packed word is built and taken apart here, and nowhere else is a mask or a shift. `docs/protocol.md`, section 2, says why the fields are as wide as they are.

use crate::sync::Pair;

/// The bits `width` from `shift` of a word.
const fn field(word: u64, shift: u32, width: u32) -> u64 {
    (word >> shift) & ((1 << width) - 1)
}

/// `value` as such a field; what does not fit is cut off.
const fn at(value: u64, shift: u32, width: u32) -> u64 {
    (value & ((1 << width) - 1)) << shift
}

/// The most cells that one reservation or claim may take.
pub const MAX_BATCH: usize = 1024;

/// A participant's slot, as words name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub u16);

impl Owner {
    /// No slot: the owner of what was never reserved.
    pub const NOBODY: Owner = Owner(OWNER_NOBODY as u16);
}

const OWNER_NOBODY: u64 = (1 << OWNER_BITS) - 1;
const OWNER_BITS: u32 = 11;

/// An offset into the data ring in units since the queue's birth, modulo 2^42.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit(u64);

impl Unit {
    const BITS: u32 = 42;

    pub const fn new(units: u64) -> Unit {
        Unit(at(units, 0, Self::BITS))
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    pub const fn plus(self, units: u64) -> Unit {
        Unit::new(self.0.wrapping_add(units))
    }

    /// How many units lie between `earlier` and this.
    pub const fn since(self, earlier: Unit) -> u64 {
        at(self.0.wrapping_sub(earlier.0), 0, Self::BITS)
    }
}

/// Where the next reservation begins. hi: `position:64`, lo: `unit:42 | closed:1 | owner:16 | 0:5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    pub position: u64,
    pub unit: Unit,
    pub closed: bool,
    /// Who made the reservation that ends here: the evidence for recovery.
    pub owner: Owner,
}

impl Tail {
    pub fn pack(self) -> Pair {
        Pair {
            hi: self.position,
            lo: at(self.unit.0, 22, 42) | at(self.closed as u64, 21, 1) | at(self.owner.0 as u64, 5, 16),
        }
    }

    pub fn unpack(pair: Pair) -> Tail {
        Tail {
            position: pair.hi,
            unit: Unit(field(pair.lo, 22, 42)),
            closed: field(pair.lo, 21, 1) != 0,
            owner: Owner(field(pair.lo, 5, 16) as u16),
        }
    }
}

/// Below this all cells and bytes may be written again. hi: `position:64`, lo: `unit:42 | version:22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reap {
    pub position: u64,
    pub unit: Unit,
    /// Rises when a group is created: a reclaimer that did not know the group fails.
    pub version: u32,
}

impl Reap {
    pub fn pack(self) -> Pair {
        Pair {
            hi: self.position,
            lo: at(self.unit.0, 22, 42) | at(self.version as u64, 0, 22),
        }
    }

    pub fn unpack(pair: Pair) -> Reap {
        Reap {
            position: pair.hi,
            unit: Unit(field(pair.lo, 22, 42)),
            version: field(pair.lo, 0, 22) as u32,
        }
    }
}

/// How far an entry of a group has come. In this order, and then it is free again, one tenancy later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nobody's.
    Free,
    /// Holds space for a name that it is to serve.
    Pinned,
    /// Serves its name.
    Ready,
    /// Serves nobody any more; holds space until what is claimed in it is let go of.
    Draining,
}

/// What a group entry is: `tenancy:32 | stage:8 | name:7 | ticketed:1 | turn:16`. It only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// How often the entry was given out: it never returns, where a position may after a rewind.
    pub tenancy: u32,
    pub stage: Stage,
    /// The name that it serves.
    pub name: u8,
    /// Whether its consumers draw places.
    pub ticketed: bool,
    /// The low bits of the turn of the name in which it serves it.
    pub turn: u16,
}

impl Life {
    pub const fn pack(self) -> u64 {
        at(self.tenancy as u64, 32, 32)
            | at(self.stage as u64, 24, 8)
            | at(self.name as u64, 17, 7)
            | at(self.ticketed as u64, 16, 1)
            | self.turn as u64
    }

    pub const fn unpack(word: u64) -> Life {
        Life {
            tenancy: field(word, 32, 32) as u32,
            stage: match field(word, 24, 8) {
                1 => Stage::Pinned,
                2 => Stage::Ready,
                3 => Stage::Draining,
                _ => Stage::Free,
            },
            name: field(word, 17, 7) as u8,
            ticketed: field(word, 16, 1) != 0,
            turn: field(word, 0, 16) as u16,
        }
    }

    /// The next life of the entry.
    pub const fn freed(self) -> Life {
        Life { tenancy: self.tenancy.wrapping_add(1), stage: Stage::Free, ..self }
    }

    /// Whether its frontier holds space.
    pub const fn holds_space(self) -> bool {
        matches!(self.stage, Stage::Ready | Stage::Draining)
    }
}

/// Below `position` a group entry is done with everything. hi: its life, lo: `position:64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frontier {
    pub life: Life,
    pub position: u64,
}

impl Frontier {
    pub fn pack(self) -> Pair {
        Pair { hi: self.life.pack(), lo: self.position }
    }

    pub fn unpack(pair: Pair) -> Frontier {
        Frontier { life: Life::unpack(pair.hi), position: pair.lo }
    }

    #[inline]
    pub fn tenancy(&self) -> u64 {
        self.life.tenancy.into()
    }
}

/// Which names there are. hi: `version:64`, lo: a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    version: u64,
    names: u64,
}

impl Directory {
    pub fn pack(self) -> Pair {
        Pair { hi: self.version, lo: self.names }
    }

    pub fn unpack(pair: Pair) -> Directory {
        Directory { version: pair.hi, names: pair.lo }
    }

    pub const fn has(self, name: usize) -> bool {
        name < 64 && self.names & (1 << name) != 0
    }

    /// With one name more, or one less.
    pub const fn toggled(self, name: usize) -> Directory {
        Directory { version: self.version.wrapping_add(1), names: self.names ^ (1 << name) }
    }
}

/// Which entry serves a name: `turn:56 | entry + 1:8`. A turn ends when another entry takes over, or when the name is given to another group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    pub turn: u64,
    pub entry: Option<u8>,
}

impl Serving {
    pub const fn pack(self) -> u64 {
        let entry = match self.entry {
            None => 0,
            Some(entry) => entry as u64 + 1,
        };
        at(self.turn, 8, 56) | at(entry, 0, 8)
    }

    pub const fn unpack(word: u64) -> Serving {
        Serving {
            turn: field(word, 8, 56),
            entry: match field(word, 0, 8) {
                0 => None,
                entry => Some(entry as u8 - 1),
            },
        }
    }

    /// The turn after this one, of this entry or of none yet.
    pub const fn next(self, entry: Option<u8>) -> Serving {
        Serving { turn: self.turn.wrapping_add(1), entry }
    }

    /// Whether an entry with this life serves in this turn.
    pub const fn is_turn_of(self, life: Life) -> bool {
        self.turn as u16 == life.turn
    }
}

/// What is retained though every group is done with it. hi: everything below is counted; lo: `cells:32 | messages:32` before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub end: u64,
    pub cells: u32,
    pub messages: u32,
}

impl Kept {
    pub fn pack(self) -> Pair {
        Pair { hi: self.end, lo: at(self.cells as u64, 32, 32) | self.messages as u64 }
    }

    pub fn unpack(pair: Pair) -> Kept {
        Kept {
            end: pair.hi,
            cells: field(pair.lo, 32, 32) as u32,
            messages: field(pair.lo, 0, 32) as u32,
        }
    }

    /// The first position that is retained.
    pub fn first(&self) -> u64 {
        self.end.wrapping_sub(self.cells.into())
    }
}

/// What a published cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Never published.
    None,
    /// A message.
    Ready,
    /// A reservation without a message; its extent is known.
    Skip,
    /// A reservation of the dead; its extent is not known.
    Void,
}

/// How a cell belongs to its reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Its first cell; the reservation before it was this slot's.
    First(Owner),
    /// So many cells behind the first.
    Behind(u64),
}

impl Link {
    const BEHIND: u64 = 1 << 15;

    const fn pack(self) -> u64 {
        match self {
            Link::First(owner) => owner.0 as u64,
            Link::Behind(distance) => Self::BEHIND | distance,
        }
    }

    const fn unpack(bits: u64) -> Link {
        if bits & Self::BEHIND == 0 {
            Link::First(Owner(bits as u16))
        } else {
            Link::Behind(bits & !Self::BEHIND)
        }
    }
}

/// The publish word of a cell: `lap:46 | link:16 | kind:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish(pub u64);

impl Publish {
    pub const fn new(lap: u64, link: Link, kind: Kind) -> Publish {
        let kind = match kind {
            Kind::None => 0,
            Kind::Ready => 1,
            Kind::Skip => 2,
            Kind::Void => 3,
        };
        Publish(at(lap, 18, 46) | at(link.pack(), 2, 16) | kind)
    }

    /// Whether the cell is published for the position of this lap.
    #[inline]
    pub const fn is_at(self, lap: u64) -> bool {
        field(self.0, 18, 46) == at(lap, 0, 46) && field(self.0, 0, 2) != 0
    }

    /// Whether it is published as a message for the position of this lap.
    #[inline]
    pub const fn is_ready_at(self, lap: u64) -> bool {
        self.0 & !at(u64::MAX, 2, 16) == at(lap, 18, 46) | 1
    }

    #[inline]
    pub const fn kind(self) -> Kind {
        match field(self.0, 0, 2) {
            0 => Kind::None,
            1 => Kind::Ready,
            2 => Kind::Skip,
            _ => Kind::Void,
        }
    }

    pub const fn link(self) -> Link {
        Link::unpack(field(self.0, 2, 16))
    }

    /// The lap nearest to `about` of which it speaks.
    pub const fn lap_near(self, about: u64) -> u64 {
        let ahead = field(field(self.0, 18, 46).wrapping_sub(about), 0, 46);
        // The upper half are those behind it.
        if ahead >> 45 == 0 { about.wrapping_add(ahead) } else { about.wrapping_sub(field(ahead.wrapping_neg(), 0, 46)) }
    }
}

/// Length and checksum of a message: `length:32 | checksum:32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub len: u32,
    pub checksum: u32,
}

impl Size {
    pub const fn pack(self) -> u64 {
        at(self.len as u64, 32, 32) | self.checksum as u64
    }

    pub const fn unpack(word: u64) -> Size {
        Size {
            len: field(word, 32, 32) as u32,
            checksum: field(word, 0, 32) as u32,
        }
    }
}

/// Which checkpoint was synced last, and where it is: `sequence:56 | place + 1:8`; 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncedCheckpoint {
    pub sequence: u64,
    pub place: usize,
}

impl SyncedCheckpoint {
    pub const fn pack(self) -> u64 {
        at(self.sequence, 8, 56) | at(self.place as u64 + 1, 0, 8)
    }

    pub const fn unpack(word: u64) -> Option<SyncedCheckpoint> {
        match field(word, 0, 8) {
            0 => None,
            place => Some(SyncedCheckpoint { sequence: field(word, 8, 56), place: place as usize - 1 }),
        }
    }
}

/// The low bits of a lap, where an extent has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lap(u64);

impl Lap {
    const MASK: u64 = at(u64::MAX, 9, 11);

    pub const fn of(lap: u64) -> Lap {
        Lap(at(lap, 9, 11))
    }
}

/// The sum of a message that came without: `lap + 1:32 | sum:32`; 0 of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateSum(pub u64);

impl LateSum {
    pub const fn new(lap: u64, sum: u32) -> LateSum {
        LateSum(at(lap.wrapping_add(1), 32, 32) | sum as u64)
    }

    /// Whether it is of a later lap: then everybody was done with what was there in this one.
    pub const fn is_after(self, lap: u64) -> bool {
        let ahead = field(self.0, 32, 32).wrapping_sub(lap.wrapping_add(1)) as u32;
        self.0 != 0 && ahead != 0 && ahead >> 31 == 0
    }

    /// The sum, if it is of this lap.
    pub const fn of(self, lap: u64) -> Option<u32> {
        if self.0 != 0 && field(self.0, 32, 32) == at(lap.wrapping_add(1), 0, 32) { Some(self.0 as u32) } else { None }
    }
}

/// Where a message's bytes are, of which lap, and whose dead letter it is: `unit:42 | inline:1 | summed:1 | lap:11 | letter:1 | name:8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where its data begins; for an inline message, where it would.
    pub unit: Unit,
    /// In the cell itself.
    pub inline: bool,
    /// Whether its sum is with its length.
    pub summed: bool,
    /// The lap that it was staged for: the first word of its cell that a producer writes. In what the disk has kept of a cell it tells whether the cell was about to be used again.
    pub lap: Lap,
    /// Of a dead letter: the name of the group that set it aside.
    pub letter_of: Option<u8>,
}

impl Extent {
    pub const fn pack(self) -> u64 {
        let letter = match self.letter_of {
            None => 0,
            Some(name) => at(1, 8, 1) | name as u64,
        };
        at(self.unit.0, 22, 42) | at(self.inline as u64, 21, 1) | at(self.summed as u64, 20, 1) | self.lap.0 | letter
    }

    pub const fn unpack(word: u64) -> Extent {
        Extent {
            unit: Unit(field(word, 22, 42)),
            inline: field(word, 21, 1) != 0,
            summed: field(word, 20, 1) != 0,
            lap: Lap(word & Lap::MASK),
            letter_of: match field(word, 8, 1) {
                0 => None,
                _ => Some(field(word, 0, 8) as u8),
            },
        }
    }
}

/// What became of a position in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody ever claimed in this word.
    Free,
    /// Claimed, with the cells behind it: `count` is their number less one.
    Claim,
    /// Finished: `count` as for a claim.
    Done,
    /// Put back after `count` deliveries.
    Redo,
    /// Claimed again: this is delivery number `count`.
    Reclaim,
    /// Set aside in the ring of dead letters.
    Dead,
}

/// The claim word of a cell in a group: `tag:40 | owner:11 | count:10 | state:3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim(pub u64);

impl Claim {
    const COUNTS: u64 = 1 << 10;

    const fn pack(tag: u64, owner: Owner, count: u64, state: State) -> Claim {
        let state = match state {
            State::Free => 0,
            State::Claim => 1,
            State::Done => 2,
            State::Redo => 3,
            State::Reclaim => 4,
            State::Dead => 5,
        };
        Claim(at(tag, 24, 40) | at(owner.0 as u64, 13, OWNER_BITS) | at(count, 3, 10) | state)
    }

    /// `{ owner, state: Claim, cells }`
    #[inline]
    pub const fn held(tag: u64, owner: Owner, cells: u64) -> Claim {
        Claim::pack(tag, owner, cells - 1, State::Claim)
    }

    /// `{ owner, state: Done, cells }`
    #[inline]
    pub const fn done(tag: u64, owner: Owner, cells: u64) -> Claim {
        Claim::pack(tag, owner, cells - 1, State::Done)
    }

    /// `{ owner, state: Done, cells }` of a word in state Claim or Reclaim.
    #[inline]
    pub const fn finished(self) -> Claim {
        match self.state() {
            // The count stays what it is.
            State::Claim => Claim(self.0 ^ 1 ^ 2),
            _ => Claim::done(self.tag(), self.owner(), 1),
        }
    }

    /// `{ owner, state: Redo, deliveries }`: put back by one who found no room to set it aside, and so knows that there is no copy.
    pub const fn uncopied(tag: u64, owner: Owner, deliveries: u64) -> Claim {
        Claim::pack(tag, owner, deliveries, State::Redo)
    }

    /// `{ nobody, state: Redo, deliveries }`
    pub const fn redo(tag: u64, deliveries: u64) -> Claim {
        Claim::pack(tag, Owner::NOBODY, deliveries, State::Redo)
    }

    /// `{ owner, state: Reclaim, deliveries + 1 }` of a word in state Redo.
    pub const fn reclaimed(self, owner: Owner) -> Claim {
        // From the last count back to the middle: it must change, or a stale swap could succeed.
        let next = match self.count() + 1 {
            Self::COUNTS => Self::COUNTS / 2,
            next => next,
        };
        Claim::pack(self.tag(), owner, next, State::Reclaim)
    }

    /// `{ owner, state: Dead }` of a word in state Reclaim.
    pub const fn set_aside(self) -> Claim {
        Claim::pack(self.tag(), self.owner(), self.count(), State::Dead)
    }

    #[inline]
    pub const fn tag(self) -> u64 {
        field(self.0, 24, 40)
    }

    #[inline]
    pub const fn state(self) -> State {
        match field(self.0, 0, 3) {
            0 => State::Free,
            1 => State::Claim,
            2 => State::Done,
            3 => State::Redo,
            4 => State::Reclaim,
            _ => State::Dead,
        }
    }

    /// Whether the word speaks of this lap and tenancy.
    #[inline]
    pub const fn is_at(self, tag: u64) -> bool {
        self.tag() == at(tag, 0, 40) && field(self.0, 0, 3) != 0
    }

    /// Whether the word says of this lap and tenancy that its cells are finished, one more than it counts.
    #[inline]
    pub const fn is_done_at(self, tag: u64) -> bool {
        // All but the owner and the count.
        self.0 & !at(u64::MAX, 3, 21) == at(tag, 24, 40) | 2
    }

    pub const fn owner(self) -> Owner {
        Owner(field(self.0, 13, OWNER_BITS) as u16)
    }

    #[inline]
    pub const fn count(self) -> u64 {
        field(self.0, 3, 10)
    }

    /// How many cells the chain steps over: those of the interval, else one.
    #[inline]
    pub const fn cells(self) -> u64 {
        match self.state() {
            State::Claim | State::Done => self.count() + 1,
            _ => 1,
        }
    }

    /// Whether somebody holds it, and who.
    pub const fn held_by(self, owner: Owner) -> bool {
        matches!(self.state(), State::Claim | State::Reclaim) && self.owner().0 == owner.0
    }

    /// How often what it holds has been handed out.
    pub const fn deliveries(self) -> u64 {
        match self.state() {
            State::Redo | State::Reclaim => self.count(),
            _ => 1,
        }
    }
}

/// The second word of an announced reservation: `check:38 | cells:11 | prev:15`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    pub cells: u64,
    /// Who made the reservation before it.
    pub prev: Owner,
}

/// The second word of an announced claim: `check:38 | cells:11 | entry:15`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimIntent {
    pub cells: u64,
    pub entry: u16,
}

const fn announce(position: u64, cells: u64, name: u16) -> u64 {
    at(!position, 26, 38) | at(cells, 15, 11) | at(name as u64, 0, 15)
}

/// The two low fields, if the check agrees with the position.
const fn announced(position: u64, word: u64) -> Option<(u64, u16)> {
    if field(word, 26, 38) == at(!position, 0, 38) {
        Some((field(word, 15, 11), field(word, 0, 15) as u16))
    } else {
        None
    }
}

/// An announcement's second word of no cells: it says nothing.
pub const SILENT: u64 = 0;

impl Intent {
    pub const fn pack(self, position: u64) -> u64 {
        announce(position, self.cells, self.prev.0)
    }

    pub const fn unpack(position: u64, word: u64) -> Option<Intent> {
        match announced(position, word) {
            Some((cells, prev)) if cells > 0 => Some(Intent {
                cells,
                prev: Owner(prev),
            }),
            _ => None,
        }
    }
}

impl ClaimIntent {
    pub const fn pack(self, position: u64) -> u64 {
        announce(position, self.cells, self.entry)
    }

    pub const fn unpack(position: u64, word: u64) -> Option<ClaimIntent> {
        match announced(position, word) {
            Some((cells, entry)) if cells > 0 => Some(ClaimIntent { cells, entry }),
            _ => None,
        }
    }
}

/// What a participant is for: `role:8 | 0:8 | entry:16 | tenancy:32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    None,
    Producer,
    /// A consumer of this group entry in this tenancy.
    Consumer { entry: u16, tenancy: u32 },
}

impl Binding {
    pub const fn pack(self) -> u64 {
        match self {
            Binding::None => 0,
            Binding::Producer => at(1, 56, 8),
            Binding::Consumer { entry, tenancy } => {
                at(2, 56, 8) | at(entry as u64, 32, 16) | tenancy as u64
            }
        }
    }

    pub const fn unpack(word: u64) -> Binding {
        match field(word, 56, 8) {
            1 => Binding::Producer,
            2 => Binding::Consumer {
                entry: field(word, 32, 16) as u16,
                tenancy: field(word, 0, 32) as u32,
            },
            _ => Binding::None,
        }
    }
}
