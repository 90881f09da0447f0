//! What is asked of every state, and what a configuration must have shown to say anything.

use crate::actors::Actor;
use crate::model::{Protocol, Role, State};
use crate::truth::{Flaw, Place};
use crate::words::Fate;
use stateright::Property;

/// Names the property that each flaw violates.
macro_rules! never {
    ($($flaw:ident = $says:literal,)+) => {
        const SAFETY: &[fn() -> Property<Protocol>] = &[
            $(|| Property::always($says, |_, state: &State| state.truth.flaw != Some(Flaw::$flaw)),)+
        ];

        /// The name of the property that a flaw violates.
        pub fn violated_by(flaw: Flaw) -> &'static str {
            match flaw {
                $(Flaw::$flaw => $says,)+
            }
        }
    };
}

never! {
    Lost = "what was pushed is not lost before it is acknowledged",
    Twice = "nothing is handed out twice but after a release or a death",
    HalfBatch = "a batch is whole or nothing",
    VoidOfTheLiving = "no reservation of the living is voided",
    ClaimOfTheLiving = "no claim of the living is taken",
    SlotOfTheLiving = "no slot of the living is freed by another",
    Order = "fresh claims are in order and overtake nothing",
    Reuse = "a cell is used again only when it is done",
    Empty = "Empty is true",
    Damage = "nothing looks like damage",
}

/// The name of the property that the whole graph is asked for, beside the one of `eventually` that ends of paths are.
pub const PROGRESS: &str = "from every state all can finish";
const ENDS: &str = "what ends, ends settled";

/// What a configuration must have seen happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    SecondLap,
    Voided,
    HeldAgain,
    SlotTakenAgain,
    RecovererDied,
    Interval,
    SettledBesideThePaused,
}

impl Sight {
    fn property(self) -> Property<Protocol> {
        match self {
            Sight::SecondLap => Property::sometimes("a cell is used again", |_: &Protocol, state: &State| {
                state.words.tail.position > state.words.cells()
            }),
            Sight::Voided => Property::sometimes("a reservation is voided", |_: &Protocol, state: &State| {
                state.truth.places.contains(&Place::Void)
            }),
            Sight::HeldAgain => {
                Property::sometimes("a message is handed out again", |_: &Protocol, state: &State| {
                    state.words.claims().iter().any(|claim| matches!(claim.fate, Fate::Reclaim { .. }))
                })
            }
            Sight::SlotTakenAgain => {
                Property::sometimes("a slot is taken again", |protocol: &Protocol, state: &State| {
                    let newcomer = |attachment: u8| {
                        let part = attachment
                            .checked_sub(1)
                            .map(|actor| &protocol.configuration.parts[usize::from(actor)]);
                        part.is_some_and(|part| part.slot.is_none())
                    };
                    state.words.slot.iter().any(|slot| newcomer(slot.attachment))
                })
            }
            Sight::RecovererDied => Property::sometimes(
                "a recoverer dies and all is settled",
                |protocol: &Protocol, state: &State| {
                    let died = |(actor, part): (u8, &crate::model::Part)| {
                        matches!(part.role, Role::Recoverer)
                            && state.actors[usize::from(actor)] == Actor::Dead
                    };
                    protocol.parts().any(died) && protocol.is_settled(state)
                },
            ),
            Sight::Interval => {
                Property::sometimes("several cells are claimed at once", |_: &Protocol, state: &State| {
                    state
                        .words
                        .claims()
                        .iter()
                        .any(|claim| matches!(claim.fate, Fate::Claim { .. }) && claim.cells() > 1)
                })
            }
            Sight::SettledBesideThePaused => Property::sometimes(
                "all is settled beside the paused",
                |protocol: &Protocol, state: &State| state.truth.paused != 0 && protocol.is_settled(state),
            ),
        }
    }
}

/// The properties of a run. Those of `eventually` are looked at by stateright where a path ends, and not where it goes round or joins another:
/// `progress` asks the same of the whole graph.
pub fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let ends = Property::eventually(ENDS, |protocol: &Protocol, state: &State| protocol.is_settled(state));
    let sights = protocol.configuration.sights.iter().map(|sight| sight.property());
    SAFETY.iter().map(|property| property()).chain([ends]).chain(sights).collect()
}
