//! From every state that can be reached, a state can be reached in which all is settled.
//!
//! stateright asks `eventually` only where a path ends. Participants that wait go round, so the whole graph is asked instead: it is walked forwards
//! once, and then backwards from the settled states; what is not reached is a state in which those who are left can never finish, however they are scheduled.

use crate::model::{Action, Protocol, State};
use stateright::Model;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

/// What the walk found.
pub struct Progress {
    pub states: usize,
    /// The longest of the shortest ways to a state, in actions.
    pub depth: usize,
    /// The way to the first state from which nothing can be settled.
    pub stuck: Option<Vec<Action>>,
}

/// A hash is its own hash.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed again");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Walks the whole graph.
pub fn check(protocol: &Protocol) -> Progress {
    let mut numbers: HashMap<u64, u32, BuildHasherDefault<Same>> = HashMap::default();
    let mut came_by: Vec<(u32, Action)> = Vec::new();
    let mut edges: Vec<(u32, u32)> = Vec::new();
    let mut settled: Vec<bool> = Vec::new();
    let mut depth = 0;

    let mut layer = protocol.init_states();
    for state in &layer {
        numbers.insert(fingerprint(state), 0);
        came_by.push((0, Action::Step(0, 0)));
    }
    let mut first = 0;
    let mut actions = Vec::new();
    while !layer.is_empty() {
        let mut next = Vec::new();
        let end = first + layer.len() as u32;
        for (from, state) in (first..).zip(&layer) {
            settled.push(protocol.is_settled(state));
            protocol.actions(state, &mut actions);
            for action in actions.drain(..) {
                let Some(to) = protocol.next_state(state, action) else { continue };
                let fresh = came_by.len() as u32;
                let number = *numbers.entry(fingerprint(&to)).or_insert(fresh);
                if number == fresh {
                    came_by.push((from, action));
                    next.push(to);
                }
                edges.push((number, from));
            }
        }
        first = end;
        layer = next;
        depth += 1;
    }
    drop(numbers);

    let stuck = first_unreached(&settled, &edges).map(|state| way_to(state, &came_by));
    Progress { states: settled.len(), depth: depth - 1, stuck }
}

/// The first state from which no settled one can be reached. An edge is here the other way round.
fn first_unreached(settled: &[bool], edges: &[(u32, u32)]) -> Option<u32> {
    let mut starts = vec![0u32; settled.len() + 1];
    for &(to, _) in edges {
        starts[to as usize + 1] += 1;
    }
    for i in 1..starts.len() {
        starts[i] += starts[i - 1];
    }
    let mut places = starts.clone();
    let mut sources = vec![0u32; edges.len()];
    for &(to, from) in edges {
        sources[places[to as usize] as usize] = from;
        places[to as usize] += 1;
    }
    let mut reached = settled.to_vec();
    let mut open: Vec<u32> =
        (0..).zip(settled).filter_map(|(state, &settled)| settled.then_some(state)).collect();
    while let Some(to) = open.pop() {
        let to = to as usize;
        for &from in &sources[starts[to] as usize..starts[to + 1] as usize] {
            if !std::mem::replace(&mut reached[from as usize], true) {
                open.push(from);
            }
        }
    }
    (0..).zip(reached).find_map(|(state, reached)| (!reached).then_some(state))
}

fn way_to(mut state: u32, came_by: &[(u32, Action)]) -> Vec<Action> {
    let mut way = Vec::new();
    while state != 0 {
        let (before, action) = came_by[state as usize];
        way.push(action);
        state = before;
    }
    way.reverse();
    way
}
