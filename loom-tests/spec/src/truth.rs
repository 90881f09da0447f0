//! What really happened, beside the words: what no participant can read, and the properties speak of.
//!
//! Every step that changes a word in a way that matters says so here, and the first thing that must not happen is kept as a [`Flaw`].

use crate::words::Position;

/// The most positions that a configuration may reserve.
pub const MAX_POSITIONS: usize = 8;

/// What has become of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Nobody has reserved it.
    Free,
    /// An actor has, and has not published all of the reservation.
    Reserved(u8),
    /// Pushed, and never claimed.
    Waiting,
    /// Handed to an actor.
    Held(u8),
    /// Put back by who held it, or for who died with it.
    Back,
    Acked,
    /// A reservation of the dead: there is no message.
    Void,
}

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A message that was pushed is void, or passed over before it was acknowledged.
    Lost,
    /// A message is claimed that somebody holds or has acknowledged.
    Twice,
    /// A message is claimed whose reservation is not published to its first cell.
    HalfBatch,
    /// The reservation of a living producer is voided.
    VoidOfTheLiving,
    /// The claim of a living consumer is put back.
    ClaimOfTheLiving,
    /// Recovery frees the slot of somebody who lives.
    SlotOfTheLiving,
    /// A fresh claim overtakes a position that is reserved, or pushed and unclaimed.
    Order,
    /// A cell is reserved again before its last position was done.
    Reuse,
    /// A consumer says Empty while a message below has never been claimed.
    Empty,
    /// A participant finds what it takes for damage.
    Damage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Truth {
    pub places: [Place; MAX_POSITIONS],
    /// A bit for each actor: the kernel's word, and whose it is alone.
    pub dead: u8,
    /// A bit for each actor that is never scheduled again. Nobody can see it.
    pub paused: u8,
    pub flaw: Option<Flaw>,
}

impl Truth {
    pub fn new() -> Truth {
        Truth { places: [Place::Free; MAX_POSITIONS], dead: 0, paused: 0, flaw: None }
    }

    pub fn is_dead(&self, actor: u8) -> bool {
        self.dead & 1 << actor != 0
    }

    pub fn is_paused(&self, actor: u8) -> bool {
        self.paused & 1 << actor != 0
    }

    pub fn place(&mut self, at: Position) -> &mut Place {
        &mut self.places[usize::from(at)]
    }

    pub fn found(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
    }

    fn range(first: Position, cells: u8) -> std::ops::Range<usize> {
        usize::from(first)..usize::from(first + cells)
    }

    fn is_done(&self, at: usize) -> bool {
        matches!(self.places[at], Place::Acked | Place::Void)
    }

    /// Whether an actor has reserved or claimed something and not finished it.
    pub fn owes(&self, actor: u8) -> bool {
        self.places.iter().any(|&place| place == Place::Reserved(actor) || place == Place::Held(actor))
    }

    /// Whether everything that was reserved is done.
    pub fn is_drained(&self) -> bool {
        self.places.iter().all(|place| matches!(place, Place::Free | Place::Acked | Place::Void))
    }

    /// T2: the cells that these positions had a lap ago must be done.
    pub fn reserved(&mut self, actor: u8, first: Position, cells: u8, ring: u8) {
        for at in Truth::range(first, cells) {
            if at.checked_sub(usize::from(ring)).is_some_and(|before| !self.is_done(before)) {
                self.found(Flaw::Reuse);
            }
            self.places[at] = Place::Reserved(actor);
        }
    }

    /// P1: before a cell is published by its owner.
    pub fn publishes(&mut self, actor: u8, at: Position) {
        if *self.place(at) != Place::Reserved(actor) {
            self.found(Flaw::VoidOfTheLiving);
        }
    }

    /// The last store of a push.
    pub fn pushed(&mut self, first: Position, cells: u8) {
        self.places[Truth::range(first, cells)].fill(Place::Waiting);
    }

    /// Recovery has voided a cell.
    pub fn voided(&mut self, at: Position) {
        match self.places[usize::from(at)] {
            Place::Reserved(owner) if self.is_dead(owner) => {}
            Place::Reserved(_) | Place::Free => self.found(Flaw::VoidOfTheLiving),
            _ => self.found(Flaw::Lost),
        }
        *self.place(at) = Place::Void;
    }

    /// C2: a claim of what nobody had claimed yet.
    pub fn claimed(&mut self, actor: u8, first: Position, cells: u8) {
        let unclaimed = |place: &Place| matches!(place, Place::Reserved(_) | Place::Waiting);
        if self.places[..usize::from(first)].iter().any(unclaimed) {
            self.found(Flaw::Order);
        }
        for at in Truth::range(first, cells) {
            match self.places[at] {
                Place::Waiting => self.places[at] = Place::Held(actor),
                Place::Void => {}
                Place::Free | Place::Reserved(_) => self.found(Flaw::HalfBatch),
                Place::Held(_) | Place::Back | Place::Acked => self.found(Flaw::Twice),
            }
        }
    }

    /// C2: a claim of what was put back.
    pub fn reclaimed(&mut self, actor: u8, at: Position) {
        if *self.place(at) != Place::Back {
            self.found(Flaw::Twice);
        }
        *self.place(at) = Place::Held(actor);
    }

    /// D1: the owner's own store, as done or to be delivered again.
    pub fn let_go(&mut self, actor: u8, first: Position, cells: u8, as_what: Place) {
        for at in Truth::range(first, cells) {
            match self.places[at] {
                Place::Held(holder) if holder == actor => self.places[at] = as_what,
                Place::Void => {}
                _ => self.found(Flaw::ClaimOfTheLiving),
            }
        }
    }

    /// Recovery has put a position back.
    pub fn settled(&mut self, at: Position) {
        match self.places[usize::from(at)] {
            Place::Held(holder) if self.is_dead(holder) => *self.place(at) = Place::Back,
            Place::Void => {}
            Place::Held(_) => self.found(Flaw::ClaimOfTheLiving),
            _ => self.found(Flaw::Twice),
        }
    }

    /// F2: the frontier has moved over these.
    pub fn passed(&mut self, from: Position, to: Position) {
        if !(usize::from(from)..usize::from(to)).all(|at| self.is_done(at)) {
            self.found(Flaw::Lost);
        }
    }
}
