//! Producers: `Pusher::try_reserve`, `make_room` and `publish`, once for each of their batches; then they leave.

use super::room::Pass;
use super::{Actor, Door, World};
use crate::mutation::Mutation;
use crate::words::{Announced, Kind, Link, Position, Publish, Tail, swap};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Producer {
    slot: u8,
    /// `reap` as last seen.
    reap: Position,
    /// How many batches it has pushed.
    pushed: u8,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Enter(Door),
    FirstReap,
    ReadTail,
    LookAtReap(Tail),
    MakeRoom(Tail, Pass),
    LookAtReapAgain(Tail),
    HalfAnnounce(Tail),
    Announce(Tail),
    SwapTail(Tail),
    /// The next cell to publish, as its distance from the first. Publishing from the first cell on, how many are left.
    Publish {
        first: Position,
        prev: u8,
        left: u8,
    },
    /// Broken: the announcement comes only now.
    LateHalf(Tail),
    LateWhole(Tail),
    Leave(Door),
}

impl Producer {
    /// One that has a slot, or has to take one.
    pub fn new(slot: Option<u8>) -> Producer {
        let at = if slot.is_some() { At::ReadTail } else { At::Enter(Door::Take) };
        Producer { slot: slot.unwrap_or_default(), reap: 0, pushed: 0, at }
    }

    pub fn wants_slot(&self) -> bool {
        self.at == At::Enter(Door::Take)
    }

    /// Whether there is room behind a tail, as far as is known.
    fn has_room(&self, tail: Tail, cells: u8, ring: u8) -> bool {
        tail.position.wrapping_sub(self.reap).saturating_add(cells) <= ring
    }

    fn word(tail: Tail, cells: u8, world: &World<'_>) -> Announced {
        let silent = world.breaks(Mutation::IntentWithoutEvidence);
        let prev = if silent { crate::words::NOBODY } else { tail.owner };
        Announced { check: tail.position, cells, prev }
    }

    /// One step. `batches` says how many cells each of its pushes takes.
    pub fn step(mut self, batches: &[u8], choice: u8, world: &mut World<'_>) -> Actor {
        let cells = batches.get(usize::from(self.pushed)).copied().unwrap_or_default();
        let ring = world.words.cells();
        self.at = match self.at {
            At::Enter(mut door) => {
                if door.enter(&mut self.slot, choice, world) {
                    At::FirstReap
                } else {
                    At::Enter(door)
                }
            }
            At::FirstReap => {
                self.reap = world.words.reap;
                At::ReadTail
            }
            At::ReadTail => {
                let tail = world.words.tail; // T1
                if self.has_room(tail, cells, ring) {
                    self.announce(tail, world)
                } else {
                    At::LookAtReap(tail)
                }
            }
            At::LookAtReap(tail) => {
                self.reap = world.words.reap; // R1
                if self.reap > tail.position {
                    At::ReadTail // P1
                } else if self.has_room(tail, cells, ring) {
                    self.announce(tail, world)
                } else {
                    At::MakeRoom(tail, Pass::Reap)
                }
            }
            At::MakeRoom(tail, pass) => match pass.step(world) {
                Ok(pass) => At::MakeRoom(tail, pass),
                Err(true) => At::LookAtReap(tail),
                Err(false) => At::LookAtReapAgain(tail),
            },
            At::LookAtReapAgain(tail) => {
                // Else the tail says whether to say Full or to try again; either way this actor tries again.
                if world.words.reap == self.reap { At::ReadTail } else { At::LookAtReap(tail) }
            }
            At::HalfAnnounce(tail) => {
                let word = Producer::word(tail, cells, world);
                world.words.slot(self.slot).intent.word = word;
                At::Announce(tail)
            }
            At::Announce(tail) => {
                world.words.slot(self.slot).intent.position = tail.position; // I1
                At::SwapTail(tail)
            }
            At::SwapTail(tail) => {
                let next = Tail { position: tail.position + cells, owner: self.slot };
                if swap(&mut world.words.tail, tail, next) {
                    world.truth.reserved(world.me, tail.position, cells, ring); // T2
                    if world.breaks(Mutation::AnnounceAfterReserving) {
                        At::LateHalf(tail)
                    } else {
                        At::Publish { first: tail.position, prev: tail.owner, left: cells }
                    }
                } else {
                    At::ReadTail
                }
            }
            At::LateHalf(tail) => {
                world.words.slot(self.slot).intent.word = Producer::word(tail, cells, world);
                At::LateWhole(tail)
            }
            At::LateWhole(tail) => {
                world.words.slot(self.slot).intent.position = tail.position;
                At::Publish { first: tail.position, prev: tail.owner, left: cells }
            }
            At::Publish { first, prev, left } => {
                let forwards = world.breaks(Mutation::PublishFirstToLast);
                let distance = if forwards { cells - left } else { left - 1 };
                let link = if distance == 0 { Link::First(prev) } else { Link::Behind(distance) };
                let at = first + distance;
                world.truth.publishes(world.me, at);
                let lap = world.words.lap(at);
                *world.words.publish(at) = Publish { lap, link, kind: Kind::Ready }; // P1
                if left > 1 {
                    At::Publish { first, prev, left: left - 1 }
                } else {
                    world.truth.pushed(first, cells);
                    self.pushed += 1;
                    let finished = usize::from(self.pushed) == batches.len();
                    if finished { At::Leave(Door::SilenceIntent) } else { At::ReadTail }
                }
            }
            At::Leave(mut door) => {
                if door.leave(self.slot, world) {
                    return Actor::Gone;
                }
                At::Leave(door)
            }
        };
        Actor::Producer(self)
    }

    fn announce(&self, tail: Tail, world: &World<'_>) -> At {
        if world.breaks(Mutation::AnnounceAfterReserving) {
            At::SwapTail(tail)
        } else {
            At::HalfAnnounce(tail)
        }
    }
}
