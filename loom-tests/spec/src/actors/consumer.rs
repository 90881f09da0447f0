//! Consumers of the one Ordered group: `Popper::walk` and what follows a claim. They leave after so many claims, if there is a limit.

use super::{Actor, Door, World};
use crate::mutation::Mutation;
use crate::truth::{Flaw, Place};
use crate::words::{Announced, Claim, Fate, Kind, NOBODY, Position, swap};

/// What a consumer is for.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The most messages of one claim.
    pub max: u8,
    /// After how many claims it leaves.
    pub claims: Option<u8>,
    /// How many of its claims it may put back.
    pub releases: u8,
    /// Whether it may acknowledge the first message of a longer claim alone.
    pub splits: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Consumer {
    slot: u8,
    /// Everything below has been seen claimed.
    place: Position,
    /// The count of redeliveries at which a walk from the frontier found nothing.
    redo_seen: u8,
    /// An unfinished walk: the count it is for, and how far it is.
    sweep: (u8, Position),
    claims: u8,
    releases: u8,
    at: At,
}

/// A walk along the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Walk {
    at: Position,
    redo: u8,
    sweeping: bool,
}

/// What it has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Held {
    first: Position,
    cells: u8,
    deliveries: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Enter(Door),
    FirstFrontier,
    /// Between two calls; the next step reads `redo`.
    Start,
    SweepFrontier {
        redo: u8,
    },
    Head {
        redo: u8,
    },
    Claim(Walk),
    Publish(Walk, Claim),
    /// `ready_from`: so many cells, with so many messages in them.
    Count(Walk, Claim, u8, u8),
    HalfAnnounce(Walk, Claim, Claim),
    Announce(Walk, Claim, Claim),
    Swap(Walk, Claim, Claim),
    /// Broken: the announcement comes only now.
    LateHalf(Held),
    LateWhole(Held),
    StopFrontier(Walk),
    NothingTail(Walk),
    NothingRedo(Walk, Position),
    NothingPublish(Walk),
    NothingFrontier(Walk),
    Hint(Held),
    Holding(Held),
    /// `ack_first(1)`: the second of its two stores.
    Split(Held),
    Release(Held, u8),
    RaiseRedo(Held),
    Leave(Door),
}

impl Consumer {
    /// One that has a slot, or has to take one.
    pub fn new(slot: Option<u8>) -> Consumer {
        Consumer {
            slot: slot.unwrap_or_default(),
            place: 0,
            redo_seen: NOBODY,
            sweep: (NOBODY, 0),
            claims: 0,
            releases: 0,
            at: if slot.is_some() { At::Start } else { At::Enter(Door::Take) },
        }
    }

    pub fn wants_slot(&self) -> bool {
        self.at == At::Enter(Door::Take)
    }

    /// Whether it is between two calls, and would make another.
    pub fn is_idle(&self) -> bool {
        self.at == At::Start
    }

    /// How many ways there are to go on.
    pub fn choices(&self, task: &Task) -> u8 {
        match self.at {
            At::Holding(held) => {
                let may_release = self.releases < task.releases;
                let may_split = task.splits && held.cells > 1;
                1 + u8::from(may_release) + u8::from(may_split)
            }
            _ => 1,
        }
    }

    fn word(held: Held) -> Announced {
        Announced { check: held.first, cells: held.cells, prev: 0 }
    }

    /// One step.
    pub fn step(mut self, task: &Task, choice: u8, world: &mut World<'_>) -> Actor {
        self.at = match self.at {
            At::Enter(mut door) => {
                if door.enter(&mut self.slot, choice, world) {
                    At::FirstFrontier
                } else {
                    At::Enter(door)
                }
            }
            At::FirstFrontier => {
                self.place = world.words.frontier;
                self.sweep.1 = self.place;
                At::Start
            }
            At::Start => {
                let redo = world.words.redo; // E7
                if redo == self.redo_seen { At::Head { redo } } else { At::SweepFrontier { redo } }
            }
            At::SweepFrontier { redo } => {
                let frontier = world.words.frontier;
                if self.sweep.0 != redo {
                    self.sweep = (redo, frontier);
                }
                At::Claim(Walk { at: self.sweep.1.max(frontier), redo, sweeping: true })
            }
            At::Head { redo } => {
                At::Claim(Walk { at: self.place.max(world.words.head), redo, sweeping: false }) // H1
            }
            At::Claim(walk) => self.look(walk, world),
            At::Publish(walk, seen) => self.found(walk, seen, task, world),
            At::Count(walk, seen, cells, messages) => {
                match world.words.published(walk.at + cells).map(|word| word.kind) {
                    Some(Kind::Ready) => self.count(walk, seen, [cells + 1, messages + 1], task, world),
                    Some(_) => self.count(walk, seen, [cells + 1, messages], task, world),
                    None => self.take(walk, seen, cells, world),
                }
            }
            At::HalfAnnounce(walk, seen, word) => {
                let announced = Announced { check: walk.at, cells: word.cells(), prev: 0 };
                world.words.slot(self.slot).claim.word = announced;
                At::Announce(walk, seen, word)
            }
            At::Announce(walk, seen, word) => {
                world.words.slot(self.slot).claim.position = walk.at; // I2
                At::Swap(walk, seen, word)
            }
            At::Swap(walk, seen, word) => {
                if swap(world.words.claim(walk.at), seen, word) {
                    self.won(walk, word, world) // C2
                } else {
                    At::Claim(walk)
                }
            }
            At::LateHalf(held) => {
                world.words.slot(self.slot).claim.word = Consumer::word(held);
                At::LateWhole(held)
            }
            At::LateWhole(held) => {
                world.words.slot(self.slot).claim.position = held.first;
                At::Holding(held)
            }
            At::StopFrontier(walk) => {
                let frontier = world.words.frontier;
                if frontier > walk.at {
                    At::Claim(Walk { at: frontier, ..walk }) // lapped
                } else {
                    if walk.sweeping {
                        self.redo_seen = walk.redo;
                    }
                    self.place = self.place.max(walk.at);
                    At::NothingTail(walk)
                }
            }
            At::NothingTail(walk) => {
                let tail = world.words.tail.position;
                let below = &world.truth.places[..usize::from(walk.at)];
                if tail == walk.at && below.contains(&Place::Waiting) {
                    world.truth.found(Flaw::Empty);
                }
                At::NothingRedo(walk, tail)
            }
            At::NothingRedo(walk, tail) => {
                if world.words.redo != walk.redo {
                    At::Start // h
                } else if tail > walk.at {
                    At::NothingPublish(walk)
                } else {
                    if tail < walk.at {
                        world.truth.found(Flaw::Damage);
                    }
                    At::Start // Empty
                }
            }
            At::NothingPublish(walk) => {
                if world.words.published(walk.at).is_some() {
                    At::Start
                } else {
                    At::NothingFrontier(walk)
                }
            }
            // i, or Pending: the next call begins as this one would again.
            At::NothingFrontier(_) => At::Start,
            At::Hint(held) => {
                world.words.head = held.first + held.cells; // H1
                At::Holding(held)
            }
            At::Holding(held) => match choice {
                0 => self.ack(held, world),
                1 if self.releases < task.releases => {
                    self.releases += 1;
                    if world.breaks(Mutation::RedoBeforeWords) {
                        At::RaiseRedo(held)
                    } else {
                        self.release(held, held.cells, world)
                    }
                }
                _ => self.split(held, true, world),
            },
            At::Split(held) => self.split(held, false, world),
            At::Release(held, left) => self.release(held, left, world),
            At::RaiseRedo(held) => {
                world.words.redo += 1;
                if world.breaks(Mutation::RedoBeforeWords) {
                    At::Release(held, held.cells)
                } else {
                    At::Start
                }
            }
            At::Leave(mut door) => {
                if door.leave(self.slot, world) {
                    return Actor::Gone;
                }
                At::Leave(door)
            }
        };
        if self.at == At::Start && task.claims.is_some_and(|claims| self.claims >= claims) {
            self.at = At::Leave(Door::SilenceIntent);
        }
        Actor::Consumer(self)
    }

    /// C1: the claim word says that the cell is taken, or is to be taken again, or is of an earlier lap.
    fn look(&self, walk: Walk, world: &mut World<'_>) -> At {
        let seen = *world.words.claim(walk.at);
        if !seen.is_at(world.words.lap(walk.at)) {
            return At::Publish(walk, seen);
        }
        let Fate::Redo { deliveries } = seen.fate else {
            return At::Claim(Walk { at: walk.at + seen.cells(), ..walk });
        };
        let more = u8::from(!world.breaks(Mutation::CountStands));
        let fate = Fate::Reclaim { owner: self.slot, deliveries: deliveries + more };
        self.announce(walk, seen, Claim { fate, ..seen }, world)
    }

    /// P2, after C1: whether it is published at this lap.
    fn found(&self, walk: Walk, seen: Claim, task: &Task, world: &mut World<'_>) -> At {
        let mut published = world.words.published(walk.at);
        if world.breaks(Mutation::ClaimUnpublished) {
            published = Some(*world.words.publish(walk.at)).filter(|word| word.kind != Kind::None);
        }
        match published.map(|word| word.kind) {
            None => At::StopFrontier(walk),
            Some(Kind::Ready) => self.count(walk, seen, [1, 1], task, world),
            Some(_) => At::Claim(Walk { at: walk.at + 1, ..walk }),
        }
    }

    /// Whether to look at one more cell.
    fn count(
        &self,
        walk: Walk,
        seen: Claim,
        [cells, messages]: [u8; 2],
        task: &Task,
        world: &World<'_>,
    ) -> At {
        if cells < world.words.cells() && messages < task.max {
            At::Count(walk, seen, cells, messages)
        } else {
            self.take(walk, seen, cells, world)
        }
    }

    fn take(&self, walk: Walk, seen: Claim, cells: u8, world: &World<'_>) -> At {
        let lap = world.words.lap(walk.at);
        let word = Claim { lap, fate: Fate::Claim { owner: self.slot, cells } };
        self.announce(walk, seen, word, world)
    }

    fn announce(&self, walk: Walk, seen: Claim, word: Claim, world: &World<'_>) -> At {
        if world.breaks(Mutation::AnnounceAfterClaiming) {
            At::Swap(walk, seen, word)
        } else {
            At::HalfAnnounce(walk, seen, word)
        }
    }

    fn won(&mut self, walk: Walk, word: Claim, world: &mut World<'_>) -> At {
        let held = Held { first: walk.at, cells: word.cells(), deliveries: word.deliveries() };
        let next = walk.at + held.cells;
        self.claims += 1;
        let late = world.breaks(Mutation::AnnounceAfterClaiming);
        if let Fate::Reclaim { .. } = word.fate {
            world.truth.reclaimed(world.me, walk.at);
            self.sweep = (walk.redo, next);
            return if late { At::LateHalf(held) } else { At::Holding(held) };
        }
        world.truth.claimed(world.me, walk.at, held.cells);
        if walk.sweeping {
            self.redo_seen = walk.redo;
        }
        self.place = self.place.max(next);
        if late { At::LateHalf(held) } else { At::Hint(held) }
    }

    fn ack(&mut self, held: Held, world: &mut World<'_>) -> At {
        let lap = world.words.lap(held.first);
        world.truth.let_go(world.me, held.first, held.cells, Place::Acked);
        let fate = Fate::Done { owner: self.slot, cells: held.cells };
        *world.words.claim(held.first) = Claim { lap, fate }; // D1
        At::Start
    }

    /// `ack_first(1)`, later word first.
    fn split(&mut self, held: Held, first_store: bool, world: &mut World<'_>) -> At {
        let rest = Held { first: held.first + 1, cells: held.cells - 1, deliveries: 1 };
        if first_store == world.breaks(Mutation::AckFirstWordFirst) {
            self.ack(Held { cells: 1, ..held }, world);
        } else {
            let fate = Fate::Claim { owner: self.slot, cells: rest.cells };
            *world.words.claim(rest.first) = Claim { lap: world.words.lap(rest.first), fate };
        }
        if first_store { At::Split(held) } else { At::Holding(rest) }
    }

    /// One word, the last first, with `left` to go.
    fn release(&mut self, held: Held, left: u8, world: &mut World<'_>) -> At {
        let forwards = world.breaks(Mutation::ReleaseFirstToLast);
        let at = held.first + if forwards { held.cells - left } else { left - 1 };
        let word = world.words.put_back(at, held.deliveries);
        world.truth.let_go(world.me, at, 1, Place::Back);
        *world.words.claim(at) = word; // D1
        if left > 1 {
            At::Release(held, left - 1)
        } else if world.breaks(Mutation::ReleaseWithoutRedo) || world.breaks(Mutation::RedoBeforeWords) {
            At::Start
        } else {
            At::RaiseRedo(held)
        }
    }
}
