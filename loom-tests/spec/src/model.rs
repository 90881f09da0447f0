//! The state of everything, and what may happen next: a step of somebody, a crash, a pause for ever.

use crate::actors::consumer::{Consumer, Task};
use crate::actors::producer::Producer;
use crate::actors::recoverer::Recoverer;
use crate::actors::{Actor, World, free_slots, is_dead};
use crate::configurations::Configuration;
use crate::mutation::Mutation;
use crate::properties;
use crate::truth::Truth;
use crate::words::Words;
use stateright::{Model, Property};

pub const MAX_ACTORS: usize = 5;

/// What an actor is for.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// So many batches of so many messages.
    Producer(&'static [u8]),
    Consumer(Task),
    Recoverer,
}

/// An actor of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub role: Role,
    /// Its slot; a newcomer has to take one.
    pub slot: Option<u8>,
    pub may_crash: bool,
    pub may_pause: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub words: Words,
    pub actors: [Actor; MAX_ACTORS],
    pub truth: Truth,
    /// How many more there may be.
    pub crashes: u8,
    pub pauses: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The next step of an actor, and which of its choices.
    Step(u8, u8),
    /// It is killed after its last step.
    Crash(u8),
    /// It is never scheduled again, and lives.
    Pause(u8),
}

/// A configuration, kept or broken.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub configuration: &'static Configuration,
    pub mutation: Mutation,
}

impl Protocol {
    pub fn parts(&self) -> impl Iterator<Item = (u8, &'static Part)> {
        (0..).zip(self.configuration.parts)
    }

    /// Whether nothing will be pushed any more and everything is done.
    fn is_over(&self, state: &State) -> bool {
        let pushes = |(actor, part): (u8, &Part)| {
            let ended = matches!(state.actors[usize::from(actor)], Actor::Gone | Actor::Dead);
            matches!(part.role, Role::Producer(_)) && !ended && !state.truth.is_paused(actor)
        };
        state.truth.is_drained() && !self.parts().any(pushes)
    }

    /// Whether everybody who is neither dead nor paused has finished, all messages are done and the slots of the dead are free.
    pub fn is_settled(&self, state: &State) -> bool {
        let finished = |(actor, _): (u8, &Part)| match &state.actors[usize::from(actor)] {
            Actor::Gone | Actor::Dead => true,
            _ if state.truth.is_paused(actor) => true,
            Actor::Producer(_) => false,
            Actor::Consumer(consumer) => consumer.is_idle(),
            Actor::Recoverer(recoverer) => recoverer.is_idle(),
        };
        let slots = &state.words.slot[..usize::from(state.words.slots)];
        let is_owed = |attachment: u8| attachment != 0 && is_dead(&state.truth, attachment);
        self.is_over(state)
            && self.parts().all(finished)
            && !slots.iter().any(|slot| is_owed(slot.attachment))
    }

    fn steps(&self, state: &State, actor: u8, part: &Part, actions: &mut Vec<Action>) {
        let step = |choice| Action::Step(actor, choice);
        match (&state.actors[usize::from(actor)], part.role) {
            (Actor::Producer(producer), _) if producer.wants_slot() => {
                actions.extend(free_slots(&state.words).map(step));
            }
            (Actor::Producer(_), _) => actions.push(step(0)),
            (Actor::Consumer(consumer), Role::Consumer(_)) if consumer.wants_slot() => {
                actions.extend(free_slots(&state.words).map(step));
            }
            // It would go on looking for ever.
            (Actor::Consumer(consumer), _) if consumer.is_idle() && self.is_over(state) => {}
            (Actor::Consumer(consumer), Role::Consumer(task)) => {
                actions.extend((0..consumer.choices(&task)).map(step));
            }
            (Actor::Recoverer(recoverer), _) if recoverer.is_idle() => {
                let may_die = state.crashes > 0 || self.mutation == Mutation::SuspectTheLiving;
                actions.extend(recoverer.slots(&state.words, &state.truth, may_die).map(step));
            }
            (Actor::Recoverer(_), _) => actions.push(step(0)),
            _ => {}
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut words = Words::new(self.configuration.cells, self.configuration.slots);
        let mut actors = [Actor::Gone; MAX_ACTORS];
        for (actor, part) in self.parts() {
            actors[usize::from(actor)] = match part.role {
                Role::Producer(_) => Actor::Producer(Producer::new(part.slot)),
                Role::Consumer(_) => Actor::Consumer(Consumer::new(part.slot)),
                Role::Recoverer => Actor::Recoverer(Recoverer::new()),
            };
            if let Some(slot) = part.slot {
                words.slot(slot).attachment = actor + 1;
            }
        }
        let Configuration { crashes, pauses, .. } = *self.configuration;
        vec![State { words, actors, truth: Truth::new(), crashes, pauses }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.truth.flaw.is_some() {
            // What follows from a flaw is not of interest.
            return;
        }
        for (actor, part) in self.parts() {
            let ended = matches!(state.actors[usize::from(actor)], Actor::Gone | Actor::Dead);
            if ended || state.truth.is_paused(actor) {
                continue;
            }
            self.steps(state, actor, part, actions);
            if part.may_crash && state.crashes > 0 {
                actions.push(Action::Crash(actor));
            }
            let inside = state.truth.owes(actor) && self.mutation != Mutation::PauseInside;
            if part.may_pause && state.pauses > 0 && !inside {
                actions.push(Action::Pause(actor));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = *last;
        match action {
            Action::Crash(actor) => {
                next.crashes -= 1;
                next.truth.dead |= 1 << actor;
                next.actors[usize::from(actor)] = Actor::Dead;
            }
            Action::Pause(actor) => {
                next.pauses -= 1;
                next.truth.paused |= 1 << actor;
            }
            Action::Step(me, choice) => {
                let State { words, truth, actors, .. } = &mut next;
                let mut world = World { words, truth, mutation: self.mutation, me };
                let at = &mut actors[usize::from(me)];
                *at = match (*at, self.configuration.parts[usize::from(me)].role) {
                    (Actor::Producer(producer), Role::Producer(batches)) => {
                        producer.step(batches, choice, &mut world)
                    }
                    (Actor::Consumer(consumer), Role::Consumer(task)) => {
                        consumer.step(&task, choice, &mut world)
                    }
                    (Actor::Recoverer(recoverer), _) => recoverer.step(choice, &mut world),
                    (other, _) => other,
                };
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Protocol>> {
        properties::all(self)
    }
}
