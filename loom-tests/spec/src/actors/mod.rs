//! Who takes part. One step of an actor is one access to one shared word and what follows from it alone.

pub mod consumer;
pub mod producer;
pub mod recoverer;
pub mod room;

use crate::mutation::Mutation;
use crate::truth::Truth;
use crate::words::{Announced, Words};
use consumer::Consumer;
use producer::Producer;
use recoverer::Recoverer;

/// An actor, with where it is and what it remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    Producer(Producer),
    Consumer(Consumer),
    Recoverer(Recoverer),
    /// It has left, in order.
    Gone,
    /// It was killed; what it remembered is no more.
    Dead,
}

/// What a step may touch.
pub struct World<'a> {
    pub words: &'a mut Words,
    pub truth: &'a mut Truth,
    pub mutation: Mutation,
    /// The actor whose step it is. Its attachment has the next number: each attaches once, so none is used again.
    pub me: u8,
}

impl World<'_> {
    pub fn attachment(&self) -> u8 {
        self.me + 1
    }

    pub fn breaks(&self, mutation: Mutation) -> bool {
        self.mutation == mutation
    }
}

/// The kernel's word on an attachment.
pub fn is_dead(truth: &Truth, attachment: u8) -> bool {
    truth.is_dead(attachment - 1)
}

/// `participant::attach`: the slots that one can take.
pub fn free_slots(words: &Words) -> impl Iterator<Item = u8> + '_ {
    (0..words.slots).filter(|&slot| words.slot[usize::from(slot)].attachment == 0)
}

/// Coming and going, the same for producers and consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    Take,
    SilenceIntent,
    SilenceClaim,
}

impl Door {
    /// `participant::attach`. True once it is inside; the choice is the slot, since the scan is not one step and may find any free one.
    pub fn enter(&mut self, slot: &mut u8, choice: u8, world: &mut World<'_>) -> bool {
        match self {
            Door::Take => {
                *slot = choice;
                world.words.slot(choice).attachment = world.attachment();
                *self = Door::SilenceIntent;
            }
            Door::SilenceIntent => {
                world.words.slot(*slot).intent.word = Announced::SILENT;
                *self = Door::SilenceClaim;
            }
            Door::SilenceClaim => {
                world.words.slot(*slot).claim.word = Announced::SILENT;
                return true;
            }
        }
        false
    }

    /// `participant::detach`. True once it is outside.
    pub fn leave(&mut self, slot: u8, world: &mut World<'_>) -> bool {
        match self {
            Door::SilenceIntent => {
                world.words.slot(slot).intent.word = Announced::SILENT;
                *self = Door::SilenceClaim;
            }
            Door::SilenceClaim => {
                world.words.slot(slot).claim.word = Announced::SILENT;
                *self = Door::Take;
            }
            Door::Take => {
                world.words.slot(slot).attachment = 0;
                return true;
            }
        }
        false
    }
}
