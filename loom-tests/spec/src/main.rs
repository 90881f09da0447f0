//! The protocol of ringfile on paper: an executable model of `docs/protocol.md`, in which crash, pause and recovery are actions.
//!
//! Participants take one atomic step on one shared word at a time, in every order, under sequential consistency; the checker stateright
//! looks at every state that comes about. What the actions are in the code is in `docs/protocol.md`, section 13; what this finds and cannot see is in
//! `docs/verification.md`.
//!
//! `cargo run --release` checks the protocol in all configurations, `cargo run --release -- mutants` that the model sees when it is broken.

mod actors;
mod configurations;
mod model;
mod mutants;
mod mutation;
mod progress;
mod properties;
mod truth;
mod words;

use configurations::{CONFIGURATIONS, Configuration};
use model::{Action, Protocol};
use mutation::Mutation;
use progress::Progress;
use properties::PROGRESS;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often a long run says that it goes on.
const TICK: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let well = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run_all(|_| true),
        ["mutants"] => mutants::run_all(),
        [name] if CONFIGURATIONS.iter().any(|configuration| configuration.name == name) => {
            run_all(|configuration| configuration.name == name)
        }
        _ => {
            eprintln!("usage: ringfile-spec [mutants | <configuration>]");
            eprintln!("configurations:");
            for configuration in CONFIGURATIONS {
                eprintln!("    {}", configuration.name);
            }
            false
        }
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_all(is_wanted: impl Fn(&Configuration) -> bool) -> bool {
    let began = Instant::now();
    let mut well = true;
    let mut states = 0;
    for configuration in CONFIGURATIONS.iter().filter(|configuration| is_wanted(configuration)) {
        well &= run(configuration);
        states += configuration.states;
    }
    let verdict = if well { "all held" } else { "NOT AS IT SHOULD BE" };
    println!("{states} states in {:.0} s: {verdict}", began.elapsed().as_secs_f64());
    well
}

/// Checks one configuration: the states with stateright, and beside it, on another core, the whole graph.
fn run(configuration: &'static Configuration) -> bool {
    let protocol = Protocol { configuration, mutation: Mutation::None };
    println!("{}", configuration.name);
    let began = Instant::now();
    let checker = protocol.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs();
    let Progress { states, depth, stuck } = std::thread::scope(|scope| {
        let graph = scope.spawn(|| progress::check(&protocol));
        let mut said = Instant::now();
        while !graph.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
            if said.elapsed() >= TICK {
                println!("    ... {} states", checker.unique_state_count());
                said = Instant::now();
            }
        }
        graph.join().expect("the walk does not panic")
    });
    let checker = checker.join();

    let (total, unique) = (checker.state_count(), checker.unique_state_count());
    let seconds = began.elapsed().as_secs_f64();
    println!("    {total} states, {unique} unique, depth {depth}, {seconds:.1} s");
    let mut well = true;
    if unique != configuration.states || states != configuration.states {
        println!(
            "    DIFFERS: {} unique states are pinned, the other walk found {states}",
            configuration.states
        );
        well = false;
    }
    let mut discoveries = checker.discoveries();
    for property in protocol.properties() {
        let path = discoveries.remove(property.name);
        let is_seen = property.expectation == Expectation::Sometimes;
        let good = path.is_some() == is_seen;
        let says = match (is_seen, good) {
            (true, true) => "seen",
            (true, false) => "NOT SEEN",
            (false, true) => "held",
            (false, false) => "VIOLATED",
        };
        println!("    {says:8}  {}", property.name);
        if let Some(path) = path.filter(|_| !good) {
            trace(&protocol, path.into_actions());
        }
        well &= good;
    }
    println!("    {:8}  {PROGRESS}", if stuck.is_none() { "held" } else { "VIOLATED" });
    if let Some(way) = stuck {
        trace(&protocol, way);
        well = false;
    }
    well
}

/// How it came to that.
fn trace(protocol: &Protocol, actions: Vec<Action>) {
    let mut state = protocol.init_states().remove(0);
    for action in actions {
        let (Action::Step(actor, _) | Action::Crash(actor) | Action::Pause(actor)) = action;
        state = protocol.next_state(&state, action).expect("a step that was taken");
        println!("        {action:?} -> {:?}", state.actors[usize::from(actor)]);
    }
    println!("        {:?}\n        {:?}", state.words, state.truth);
}
