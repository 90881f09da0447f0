//! Making room: `reclaim::advance` and `reclaim::pass`, for one group.

use super::World;
use crate::mutation::Mutation;
use crate::truth::Flaw;
use crate::words::{Fate, Kind, Position, swap};

/// Where a pass is. `from` is the frontier that it read, `to` how far it has looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    Reap,
    Frontier {
        reap: Position,
    },
    Claim {
        reap: Position,
        from: Position,
        to: Position,
    },
    Publish {
        reap: Position,
        from: Position,
        to: Position,
    },
    MoveFrontier {
        reap: Position,
        from: Position,
        to: Position,
    },
    Tail {
        reap: Position,
        to: Position,
    },
    /// What was read contradicts itself: damage, if `reap` has not moved.
    Contradiction {
        reap: Position,
    },
    MoveReap {
        reap: Position,
        to: Position,
    },
}

impl Pass {
    /// The next step, or whether there was progress.
    pub fn step(self, world: &mut World<'_>) -> Result<Pass, bool> {
        let words = &mut *world.words;
        Ok(match self {
            Pass::Reap => Pass::Frontier { reap: words.reap },
            Pass::Frontier { reap } => Pass::Claim { reap, from: words.frontier, to: words.frontier },
            Pass::Claim { reap, from, to } => {
                let claim = *words.claim(to);
                let over_claims = world.mutation == Mutation::FrontierOverClaims;
                if !claim.is_at(words.lap(to)) {
                    Pass::Publish { reap, from, to }
                } else if matches!(claim.fate, Fate::Done { .. }) || over_claims {
                    Pass::Claim { reap, from, to: to + claim.cells() }
                } else {
                    Pass::end_of_sweep(reap, from, to)?
                }
            }
            Pass::Publish { reap, from, to } => match words.published(to).map(|word| word.kind) {
                Some(Kind::Skip | Kind::Void) => Pass::Claim { reap, from, to: to + 1 },
                _ => Pass::end_of_sweep(reap, from, to)?,
            },
            Pass::MoveFrontier { reap, from, to } => {
                if swap(&mut words.frontier, from, to) {
                    world.truth.passed(from, to);
                }
                Pass::reap_to(reap, world.words.frontier)?
            }
            Pass::Tail { reap, to } => {
                if words.tail.position < to {
                    Pass::Contradiction { reap }
                } else {
                    Pass::MoveReap { reap, to }
                }
            }
            Pass::Contradiction { reap } => {
                if words.reap == reap {
                    world.truth.found(Flaw::Damage);
                }
                return Err(true);
            }
            Pass::MoveReap { reap, to } => {
                swap(&mut words.reap, reap, to);
                return Err(true);
            }
        })
    }

    fn end_of_sweep(reap: Position, from: Position, to: Position) -> Result<Pass, bool> {
        if to == from { Pass::reap_to(reap, from) } else { Ok(Pass::MoveFrontier { reap, from, to }) }
    }

    fn reap_to(reap: Position, frontier: Position) -> Result<Pass, bool> {
        match frontier.cmp(&reap) {
            std::cmp::Ordering::Less => Ok(Pass::Contradiction { reap }),
            // Without data there is nothing else that the pass could move.
            std::cmp::Ordering::Equal => Err(false),
            std::cmp::Ordering::Greater => Ok(Pass::Tail { reap, to: frontier }),
        }
    }
}
