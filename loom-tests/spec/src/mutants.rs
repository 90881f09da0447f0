//! The proof that the model says something: each way to break the protocol violates a property.

use crate::configurations::CONFIGURATIONS;
use crate::model::Protocol;
use crate::mutation::Mutation;
use crate::progress;
use crate::properties::{PROGRESS, violated_by};
use crate::truth::Flaw;
use stateright::{Checker, HasDiscoveries, Model};
use std::time::Instant;

/// What a mutant must violate.
#[derive(Clone, Copy, Debug)]
enum Violates {
    Safety(Flaw),
    Progress,
}

use Violates::{Progress, Safety};

/// Each with the configuration in which it shows.
const MUTANTS: &[(Mutation, &str, Violates)] = &[
    (Mutation::PublishFirstToLast, "batches claimed, released and split", Safety(Flaw::HalfBatch)),
    (Mutation::AnnounceAfterReserving, "killed producers", Progress),
    (Mutation::IntentWithoutEvidence, "killed batches", Progress),
    (Mutation::ClaimUnpublished, "two producers, a consumer", Safety(Flaw::HalfBatch)),
    (Mutation::AnnounceAfterClaiming, "killed with an interval", Progress),
    (Mutation::ReleaseWithoutRedo, "two consumers, a release", Progress),
    (Mutation::RedoBeforeWords, "two consumers, a release", Progress),
    (Mutation::ReleaseFirstToLast, "batches claimed, released and split", Safety(Flaw::Twice)),
    (Mutation::AckFirstWordFirst, "batches claimed, released and split", Safety(Flaw::Twice)),
    (Mutation::CountStands, "a killed recoverer of a claim", Safety(Flaw::ClaimOfTheLiving)),
    (Mutation::FrontierOverClaims, "two producers, a consumer", Safety(Flaw::Lost)),
    (Mutation::SuspectTheLiving, "killed producers", Safety(Flaw::VoidOfTheLiving)),
    (Mutation::VoidByAnnouncement, "killed producers", Safety(Flaw::VoidOfTheLiving)),
    (Mutation::EvidenceIgnoresTail, "killed batches", Progress),
    (Mutation::EvidenceIgnoresIntents, "killed producers", Progress),
    (Mutation::EvidenceIgnoresCells, "killed producers", Progress),
    (Mutation::VoidOfThePublished, "killed producers", Safety(Flaw::Lost)),
    (Mutation::VoidFirstToLast, "killed batches", Safety(Flaw::HalfBatch)),
    (Mutation::VoidWithoutReap, "killed producers", Safety(Flaw::Lost)),
    (Mutation::VoidLeavesTheReady, "killed batches", Safety(Flaw::HalfBatch)),
    (Mutation::VoidWithoutAttachment, "a killed recoverer of a batch", Safety(Flaw::VoidOfTheLiving)),
    (Mutation::PutBackWithoutAttachment, "a killed recoverer of a claim", Safety(Flaw::ClaimOfTheLiving)),
    (Mutation::PutBackWithoutHolder, "killed with an interval", Safety(Flaw::ClaimOfTheLiving)),
    (Mutation::PutBackFirstToLast, "killed with an interval", Safety(Flaw::Twice)),
    (Mutation::RedoIfFound, "killed with an interval", Progress),
    (Mutation::FreeFirst, "killed producers", Progress),
    (Mutation::FreeInexactly, "a killed recoverer of a claim", Safety(Flaw::SlotOfTheLiving)),
    (Mutation::PauseInside, "a paused producer", Progress),
];

/// Runs each until it violates something.
pub fn run_all() -> bool {
    let began = Instant::now();
    let survivors = MUTANTS.iter().filter(|&&mutant| !is_caught(mutant)).count();
    let seconds = began.elapsed().as_secs_f64();
    println!("{} mutants in {seconds:.0} s, {survivors} not caught", MUTANTS.len());
    survivors == 0
}

fn is_caught((mutation, name, violates): (Mutation, &str, Violates)) -> bool {
    let configuration = CONFIGURATIONS
        .iter()
        .find(|configuration| configuration.name == name)
        .expect("a configuration of that name");
    let protocol = Protocol { configuration, mutation };
    let (says, found) = match violates {
        Safety(flaw) => {
            let says = violated_by(flaw);
            let checker =
                protocol.checker().finish_when(HasDiscoveries::AnyOf([says].into())).spawn_bfs().join();
            (says, checker.discovery(says).map(|path| path.into_actions()))
        }
        Progress => (PROGRESS, progress::check(&protocol).stuck),
    };
    match &found {
        Some(way) => println!("caught    {mutation:?} in `{name}` after {} actions: not “{says}”", way.len()),
        None => println!("SURVIVED  {mutation:?} in `{name}`: “{says}”"),
    }
    found.is_some()
}
