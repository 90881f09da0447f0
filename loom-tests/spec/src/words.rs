//! The shared words, each changed by one atomic step.
//!
//! Fields are as in `src/ring/words.rs`, less what a small model does not need: no tenancy, no data offsets, no closed bit.

/// A position, or a lap: few enough for a byte.
pub type Position = u8;

/// The most of everything, so that a state is one flat value.
pub const MAX_CELLS: usize = 4;
pub const MAX_SLOTS: usize = 4;

/// The slot of nobody.
pub const NOBODY: u8 = u8::MAX;

/// Where the next reservation begins, and whose the one is that ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tail {
    pub position: Position,
    pub owner: u8,
}

/// The second word of an announcement; of no cells, it says nothing. `prev` is for reservations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Announced {
    pub check: Position,
    pub cells: u8,
    pub prev: u8,
}

impl Announced {
    pub const SILENT: Announced = Announced { check: 0, cells: 0, prev: NOBODY };

    /// Whether it says something, and of this position.
    pub fn agrees(self, position: Position) -> bool {
        self.cells > 0 && self.check == position
    }
}

/// Both words of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Announcement {
    pub position: Position,
    pub word: Announced,
}

/// How a cell belongs to its reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    First(u8),
    Behind(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    None,
    Ready,
    Skip,
    Void,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Publish {
    pub lap: u8,
    pub link: Link,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    Free,
    Claim { owner: u8, cells: u8 },
    Done { owner: u8, cells: u8 },
    Redo { deliveries: u8 },
    Reclaim { owner: u8, deliveries: u8 },
}

/// The claim word of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    pub lap: u8,
    pub fate: Fate,
}

impl Claim {
    pub fn is_at(self, lap: u8) -> bool {
        self.lap == lap && self.fate != Fate::Free
    }

    /// How many cells the chain steps over.
    pub fn cells(self) -> u8 {
        match self.fate {
            Fate::Claim { cells, .. } | Fate::Done { cells, .. } => cells,
            _ => 1,
        }
    }

    pub fn held_by(self, slot: u8) -> bool {
        matches!(self.fate, Fate::Claim { owner, .. } | Fate::Reclaim { owner, .. } if owner == slot)
    }

    /// How often what it holds has been handed out.
    pub fn deliveries(self) -> u8 {
        match self.fate {
            Fate::Redo { deliveries } | Fate::Reclaim { deliveries, .. } => deliveries,
            _ => 1,
        }
    }
}

/// What a participant says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The attachment's number; 0 if nobody has it.
    pub attachment: u8,
    pub intent: Announcement,
    pub claim: Announcement,
}

/// All of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Words {
    cells: u8,
    pub slots: u8,
    pub tail: Tail,
    pub reap: Position,
    pub frontier: Position,
    pub head: Position,
    pub redo: u8,
    publish: [Publish; MAX_CELLS],
    claim: [Claim; MAX_CELLS],
    pub slot: [Slot; MAX_SLOTS],
}

impl Words {
    /// An empty ring.
    pub fn new(cells: u8, slots: u8) -> Words {
        let silent = Announcement { position: 0, word: Announced::SILENT };
        Words {
            cells,
            slots,
            tail: Tail { position: 0, owner: NOBODY },
            reap: 0,
            frontier: 0,
            head: 0,
            redo: 0,
            publish: [Publish { lap: 0, link: Link::First(NOBODY), kind: Kind::None }; MAX_CELLS],
            claim: [Claim { lap: 0, fate: Fate::Free }; MAX_CELLS],
            slot: [Slot { attachment: 0, intent: silent, claim: silent }; MAX_SLOTS],
        }
    }

    pub fn cells(&self) -> u8 {
        self.cells
    }

    pub fn lap(&self, at: Position) -> u8 {
        at / self.cells
    }

    fn index(&self, at: Position) -> usize {
        usize::from(at % self.cells)
    }

    /// The word of a position's cell, whatever it speaks of.
    pub fn publish(&mut self, at: Position) -> &mut Publish {
        &mut self.publish[self.index(at)]
    }

    /// The same, if it speaks of this position.
    pub fn published(&self, at: Position) -> Option<Publish> {
        let word = self.publish[self.index(at)];
        (word.lap == self.lap(at) && word.kind != Kind::None).then_some(word)
    }

    pub fn claim(&mut self, at: Position) -> &mut Claim {
        let index = self.index(at);
        &mut self.claim[index]
    }

    /// The claim words, to look at.
    pub fn claims(&self) -> &[Claim] {
        &self.claim[..usize::from(self.cells)]
    }

    pub fn slot(&mut self, slot: u8) -> &mut Slot {
        &mut self.slot[usize::from(slot)]
    }

    /// The word that puts a position back: what has no message is done.
    pub fn put_back(&self, at: Position, deliveries: u8) -> Claim {
        let fate = match self.published(at).map(|word| word.kind) {
            Some(Kind::Skip | Kind::Void) => Fate::Done { owner: NOBODY, cells: 1 },
            _ => Fate::Redo { deliveries },
        };
        Claim { lap: self.lap(at), fate }
    }
}

/// A compare-and-swap.
pub fn swap<T: Copy + PartialEq>(word: &mut T, seen: T, next: T) -> bool {
    let swapped = *word == seen;
    if swapped {
        *word = next;
    }
    swapped
}
