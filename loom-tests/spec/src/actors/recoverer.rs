//! Recovery: `recover::recover`, slot by slot, as often as there is somebody dead.
//!
//! It needs no slot of its own: whoever recovers does so beside what else it is.

use super::{Actor, World, is_dead};
use crate::mutation::Mutation;
use crate::truth::{Flaw, Truth};
use crate::words::{Announced, Announcement, Claim, Fate, Kind, Link, Position, Publish, Words, swap};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recoverer {
    at: At,
}

/// A slot, and the attachment that was read there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Case {
    slot: u8,
    attachment: u8,
}

/// A reservation as it was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Reservation {
    first: Position,
    cells: u8,
    prev: u8,
}

/// A place in an announced claim: `first + distance` is where an interval may begin, `behind` is within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Spot {
    first: Position,
    distance: u8,
    behind: u8,
    /// The word of the interval.
    held: Claim,
    /// Whether anything was put back: remembered only where it is asked for.
    found: bool,
}

impl Spot {
    fn position(&self) -> Position {
        self.first + self.distance + self.behind
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Idle,
    Kernel(Case),
    IntentPosition(Case),
    IntentWord(Case, Position),
    OwnerTail(Case, Reservation),
    OwnerIntentPosition(Case, Reservation, u8),
    OwnerIntentWord(Case, Reservation, u8, Position),
    OwnerCell(Case, Reservation),
    VoidAttachment(Case, Reservation),
    FirstCell(Case, Reservation),
    FirstReap(Case, Reservation),
    /// So many cells left to void, the last first.
    Cell(Case, Reservation, u8),
    CellReap(Case, Reservation, u8, Publish),
    CellSwap(Case, Reservation, u8, Publish),
    ClaimPosition(Case),
    ClaimWord(Case, Position),
    ClaimAttachment(Case, Position, u8),
    Interval(Case, Spot),
    Interior(Case, Spot),
    PutBack(Case, Spot, Claim),
    SpotFrontier(Case, Spot, Claim, Claim),
    SpotAttachment(Case, Spot, Claim, Claim),
    SpotSwap(Case, Spot, Claim, Claim),
    RaiseRedo(Case),
    Free(Case),
}

impl Recoverer {
    pub fn new() -> Recoverer {
        Recoverer { at: At::Idle }
    }

    pub fn is_idle(&self) -> bool {
        self.at == At::Idle
    }

    /// The slots that it may look at: who is not dead and will not be killed would make it go round for nothing.
    pub fn slots(&self, words: &Words, truth: &Truth, may_die: bool) -> impl Iterator<Item = u8> {
        let (words, truth) = (*words, *truth);
        (0..words.slots).filter(move |&slot| {
            let attachment = words.slot[usize::from(slot)].attachment;
            attachment != 0 && (may_die || is_dead(&truth, attachment))
        })
    }

    /// One step. The choice is the slot, when it is idle.
    pub fn step(mut self, choice: u8, world: &mut World<'_>) -> Actor {
        self.at = match self.at {
            At::Idle => At::Kernel(Case { slot: choice, attachment: world.words.slot(choice).attachment }),
            At::Kernel(case) => {
                let dead = is_dead(world.truth, case.attachment);
                if !dead && !world.breaks(Mutation::SuspectTheLiving) {
                    At::Idle
                } else if world.breaks(Mutation::FreeFirst) {
                    At::Free(case)
                } else {
                    At::IntentPosition(case)
                }
            }
            At::Free(case) => free(case, world),
            At::RaiseRedo(case) => {
                world.words.redo += 1;
                settled(case, world)
            }
            at => at.void_reservation(world).unwrap_or_else(|at| at.put_back_claim(world)),
        };
        Actor::Recoverer(self)
    }
}

/// Whether a slot still has the attachment that was read there.
fn is_still_there(case: Case, world: &mut World<'_>) -> bool {
    world.words.slot(case.slot).attachment == case.attachment
}

/// The debts are settled.
fn settled(case: Case, world: &World<'_>) -> At {
    if world.breaks(Mutation::FreeFirst) { At::Idle } else { At::Free(case) }
}

/// Last, and exactly.
fn free(case: Case, world: &mut World<'_>) -> At {
    let now = world.words.slot(case.slot).attachment;
    if now == case.attachment || world.breaks(Mutation::FreeInexactly) {
        if now != 0 && !is_dead(world.truth, now) {
            world.truth.found(Flaw::SlotOfTheLiving);
        }
        world.words.slot(case.slot).attachment = 0;
    }
    if world.breaks(Mutation::FreeFirst) { At::IntentPosition(case) } else { At::Idle }
}

/// What an owner of the boundary that was found leads to.
fn judged(case: Case, of: Reservation, owner: Option<u8>, world: &World<'_>) -> At {
    if owner != Some(case.slot) {
        At::ClaimPosition(case)
    } else if world.breaks(Mutation::VoidWithoutAttachment) {
        At::FirstCell(case, of)
    } else {
        At::VoidAttachment(case, of)
    }
}

impl At {
    /// `Dead::void_reservation`, `Dead::void` and `owner_at`. What is not of them comes back.
    fn void_reservation(self, world: &mut World<'_>) -> Result<At, At> {
        Ok(match self {
            At::IntentPosition(case) => At::IntentWord(case, world.words.slot(case.slot).intent.position),
            At::IntentWord(case, first) => match said(first, world.words.slot(case.slot).intent) {
                None => At::ClaimPosition(case),
                Some(Announced { cells, prev, .. }) => {
                    let of = Reservation { first, cells, prev };
                    let by_word = world.breaks(Mutation::VoidByAnnouncement);
                    if by_word { At::VoidAttachment(case, of) } else { At::OwnerTail(case, of) }
                }
            },
            At::OwnerTail(case, of) => {
                let boundary = of.first + of.cells;
                let tail = world.words.tail;
                if tail.position < boundary {
                    At::ClaimPosition(case)
                } else if tail.position == boundary {
                    let owner = (!world.breaks(Mutation::EvidenceIgnoresTail)).then_some(tail.owner);
                    judged(case, of, owner, world)
                } else if world.breaks(Mutation::EvidenceIgnoresIntents) {
                    At::OwnerCell(case, of)
                } else {
                    At::OwnerIntentPosition(case, of, 0)
                }
            }
            At::OwnerIntentPosition(case, of, slot) => {
                // The second word of an announcement of another position would say nothing.
                let position = world.words.slot(slot).intent.position;
                if position == of.first + of.cells {
                    At::OwnerIntentWord(case, of, slot, position)
                } else {
                    At::next_intent(case, of, slot, world)
                }
            }
            At::OwnerIntentWord(case, of, slot, position) => {
                match said(position, world.words.slot(slot).intent) {
                    Some(word) => judged(case, of, Some(word.prev), world),
                    None => At::next_intent(case, of, slot, world),
                }
            }
            At::OwnerCell(case, of) => {
                let word = world.words.published(of.first + of.cells);
                let owner = word.and_then(|word| match word.link {
                    Link::First(owner) => Some(owner),
                    Link::Behind(_) => None,
                });
                judged(case, of, owner.filter(|_| !world.breaks(Mutation::EvidenceIgnoresCells)), world)
            }
            At::VoidAttachment(case, of) => {
                if is_still_there(case, world) {
                    At::FirstCell(case, of)
                } else {
                    At::ClaimPosition(case)
                }
            }
            At::FirstCell(case, of) => {
                let published = world.words.published(of.first).is_some();
                if world.breaks(Mutation::VoidOfThePublished) {
                    At::Cell(case, of, of.cells)
                } else if published {
                    At::ClaimPosition(case)
                } else {
                    At::FirstReap(case, of)
                }
            }
            At::FirstReap(case, of) => {
                let old = world.words.reap > of.first && !world.breaks(Mutation::VoidWithoutReap);
                if old { At::ClaimPosition(case) } else { At::Cell(case, of, of.cells) }
            }
            At::Cell(case, of, left) => {
                let at = of.cell(left, world);
                let seen = *world.words.publish(at);
                let here = seen.lap == world.words.lap(at);
                match seen.kind {
                    Kind::Skip | Kind::Void if here => At::next_cell(case, of, left),
                    Kind::Ready if here && world.breaks(Mutation::VoidLeavesTheReady) => {
                        At::next_cell(case, of, left)
                    }
                    _ if world.breaks(Mutation::VoidWithoutReap) => At::CellSwap(case, of, left, seen),
                    _ => At::CellReap(case, of, left, seen),
                }
            }
            At::CellReap(case, of, left, seen) => {
                let old = world.words.reap > of.cell(left, world);
                if old { At::next_cell(case, of, left) } else { At::CellSwap(case, of, left, seen) }
            }
            At::CellSwap(case, of, left, seen) => {
                let at = of.cell(left, world);
                let lap = world.words.lap(at);
                let ready = seen.lap == lap && seen.kind == Kind::Ready;
                let kind = if ready { Kind::Skip } else { Kind::Void };
                let distance = at - of.first;
                let link = if distance == 0 { Link::First(of.prev) } else { Link::Behind(distance) };
                if swap(world.words.publish(at), seen, Publish { lap, link, kind }) {
                    world.truth.voided(at);
                }
                At::next_cell(case, of, left)
            }
            other => return Err(other),
        })
    }

    fn next_intent(case: Case, of: Reservation, slot: u8, world: &World<'_>) -> At {
        if slot + 1 < world.words.slots {
            At::OwnerIntentPosition(case, of, slot + 1)
        } else {
            At::OwnerCell(case, of)
        }
    }

    fn next_cell(case: Case, of: Reservation, left: u8) -> At {
        if left > 1 { At::Cell(case, of, left - 1) } else { At::ClaimPosition(case) }
    }

    /// `Dead::put_back_claim` and `Dead::settle`.
    fn put_back_claim(self, world: &mut World<'_>) -> At {
        match self {
            At::ClaimPosition(case) => At::ClaimWord(case, world.words.slot(case.slot).claim.position),
            At::ClaimWord(case, first) => match said(first, world.words.slot(case.slot).claim) {
                None => settled(case, world),
                Some(word) => At::ClaimAttachment(case, first, word.cells),
            },
            At::ClaimAttachment(case, first, cells) => {
                if is_still_there(case, world) || world.breaks(Mutation::PutBackWithoutAttachment) {
                    let held = Claim { lap: 0, fate: Fate::Free };
                    At::Interval(case, Spot { first, distance: cells - 1, behind: 0, held, found: false })
                } else {
                    settled(case, world)
                }
            }
            At::Interval(case, mut spot) => {
                let at = spot.position();
                spot.held = *world.words.claim(at);
                let held = spot.held.held_by(case.slot) || world.breaks(Mutation::PutBackWithoutHolder);
                if !spot.held.is_at(world.words.lap(at)) || !held {
                    return At::next_interval(case, spot, world);
                }
                spot.behind = spot.held.cells() - 1;
                if world.breaks(Mutation::PutBackFirstToLast) {
                    spot.behind = 0;
                }
                At::within(case, spot)
            }
            At::Interior(case, spot) => {
                let at = spot.position();
                let seen = *world.words.claim(at);
                if seen.is_at(world.words.lap(at)) {
                    At::next_spot(case, spot, world)
                } else {
                    At::PutBack(case, spot, seen)
                }
            }
            At::PutBack(case, spot, seen) => {
                let deliveries = if spot.behind == 0 { spot.held.deliveries() } else { 1 };
                let word = world.words.put_back(spot.position(), deliveries);
                At::SpotFrontier(case, spot, seen, word)
            }
            At::SpotFrontier(case, spot, seen, word) => {
                if world.words.frontier > spot.position() {
                    At::next_spot(case, spot, world)
                } else if world.breaks(Mutation::PutBackWithoutAttachment) {
                    At::SpotSwap(case, spot, seen, word)
                } else {
                    At::SpotAttachment(case, spot, seen, word)
                }
            }
            At::SpotAttachment(case, spot, seen, word) => {
                if is_still_there(case, world) {
                    At::SpotSwap(case, spot, seen, word)
                } else {
                    At::next_spot(case, spot, world)
                }
            }
            At::SpotSwap(case, mut spot, seen, word) => {
                let at = spot.position();
                if swap(world.words.claim(at), seen, word) {
                    spot.found = world.breaks(Mutation::RedoIfFound);
                    world.truth.settled(at);
                }
                At::next_spot(case, spot, world)
            }
            other => unreachable!("not a step of putting back: {other:?}"),
        }
    }

    fn within(case: Case, spot: Spot) -> At {
        if spot.behind > 0 { At::Interior(case, spot) } else { At::PutBack(case, spot, spot.held) }
    }

    /// The last word of an interval first.
    fn next_spot(case: Case, mut spot: Spot, world: &World<'_>) -> At {
        if world.breaks(Mutation::PutBackFirstToLast) {
            spot.behind += 1;
            let more = spot.behind < spot.held.cells();
            return if more { At::Interior(case, spot) } else { At::next_interval(case, spot, world) };
        }
        if spot.behind > 0 {
            spot.behind -= 1;
            At::within(case, spot)
        } else {
            At::next_interval(case, spot, world)
        }
    }

    /// The last interval of an announcement first.
    fn next_interval(case: Case, mut spot: Spot, world: &World<'_>) -> At {
        if spot.distance > 0 {
            spot.distance -= 1;
            spot.behind = 0;
            spot.held = Claim { lap: 0, fate: Fate::Free };
            At::Interval(case, spot)
        } else if spot.found || !world.breaks(Mutation::RedoIfFound) {
            At::RaiseRedo(case)
        } else {
            settled(case, world)
        }
    }
}

impl Reservation {
    /// The next cell to void.
    fn cell(&self, left: u8, world: &World<'_>) -> Position {
        let forwards = world.breaks(Mutation::VoidFirstToLast);
        self.first + if forwards { self.cells - left } else { left - 1 }
    }
}

/// What an announcement says whose first word was read before.
fn said(first: Position, now: Announcement) -> Option<Announced> {
    now.word.agrees(first).then_some(now.word)
}
