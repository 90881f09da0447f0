//! Rounds: whatever happens to the machine happens to all contenders.
//!
//! A round goes through all cells, and in each through all contenders, one after the other: A B C, A B C. Between any two measurements stands a probe of
//! the distance between the cores; what lies between two probes that differ, or that are unclear, is dropped.

use crate::options::Options;
use crate::probe::{self, Distance};
use crate::report::{Cell, Report, Sample};
use hdrhistogram::Histogram;
use std::time::Instant;

/// What a measurement comes to, in the unit of the report.
pub enum Outcome {
    Value(f64),
    /// Several at once, such as a push and a pop: each in the column of this name behind the cell's own.
    Columns(Vec<(&'static str, f64)>),
    Distribution(Histogram<u64>),
}

impl From<f64> for Outcome {
    fn from(value: f64) -> Outcome {
        Outcome::Value(value)
    }
}

impl From<Histogram<u64>> for Outcome {
    fn from(distribution: Histogram<u64>) -> Outcome {
        Outcome::Distribution(distribution)
    }
}

/// Somebody who takes part.
pub struct Contender<'a> {
    pub name: String,
    measure: Box<dyn FnMut() -> Result<Outcome, String> + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new<O: Into<Outcome>>(name: impl Into<String>, mut measure: impl FnMut() -> O + 'a) -> Self {
        Contender::fallible(name, move || Ok(measure()))
    }

    /// One that may not work here: the report says why, and the others go on without it.
    pub fn fallible<O: Into<Outcome>>(
        name: impl Into<String>,
        mut measure: impl FnMut() -> Result<O, String> + 'a,
    ) -> Self {
        Contender { name: name.into(), measure: Box::new(move || measure().map(Into::into)) }
    }
}

/// Those who are compared with each other, in one cell.
pub struct Contest<'a> {
    pub cell: Cell,
    pub contenders: Vec<Contender<'a>>,
}

/// Measures what the options want, and wherever anything is measured the report's baseline too. Saves the report after each round.
pub fn run(options: &Options, report: &mut Report, mut contests: Vec<Contest<'_>>) -> Result<(), String> {
    if let Some(path) = &options.json {
        report.load(path)?;
    }
    for contest in &mut contests {
        let cell = &contest.cell;
        if !contest.contenders.iter().any(|contender| options.want(cell, &contender.name)) {
            contest.contenders.clear();
        }
        contest.contenders.retain(|c| c.name == report.baseline() || options.want(cell, &c.name));
        // In their order, though the first of them may be dropped in the first round.
        contest.contenders.iter().for_each(|contender| report.announce(cell, &contender.name));
    }
    let first = report.next_round();
    let begun = Instant::now();
    for round in 0..options.rounds {
        if begun.elapsed() > options.time() {
            break;
        }
        eprint!("\rround {} of {}  ", round + 1, options.rounds);
        for contest in &mut contests {
            hold(contest, first + round, report);
        }
        if let Some(path) = &options.json {
            report.save(path)?;
        }
    }
    eprintln!();
    Ok(())
}

fn hold(contest: &mut Contest<'_>, round: usize, report: &mut Report) {
    let Contest { cell, contenders } = contest;
    if contenders.is_empty() {
        return;
    }
    let mut before = probe::one_way();
    contenders.retain_mut(|contender| match (contender.measure)() {
        Ok(outcome) => {
            let after = probe::one_way();
            let distance = probe::distance(after);
            if distance == probe::distance(before) && distance != Distance::Unclear {
                keep(report, cell, &contender.name, round, distance, (before + after) / 2.0, outcome);
            } else {
                report.drop_one();
            }
            before = after;
            true
        }
        Err(reason) => {
            report.add_not_run(&contender.name, &reason);
            before = probe::one_way();
            false
        }
    });
}

fn keep(
    report: &mut Report,
    cell: &Cell,
    contender: &str,
    round: usize,
    distance: Distance,
    one_way: f64,
    outcome: Outcome,
) {
    let mut add = |cell: Cell, value| {
        report.add(Sample { cell, contender: contender.into(), round, distance, one_way, value });
    };
    match outcome {
        Outcome::Value(value) => add(cell.clone(), value),
        Outcome::Columns(columns) => {
            for (column, value) in columns {
                let column = format!("{} {column}", cell.column).trim().to_owned();
                add(Cell { table: cell.table.clone(), column }, value);
            }
        }
        Outcome::Distribution(distribution) => {
            report.add_distribution(cell, contender, distance, &distribution);
            report.add_one_way(distance, one_way);
        }
    }
}
