//! `ringfile bench`: how fast this is on the machine at hand, beside what the machine itself can do.
//!
//! A round goes through all measurements, each of some milliseconds and ringfile's next to its floor's, so that whatever happens to
//! the machine happens to all of them. Figures are medians over the rounds, percentiles over all messages of all rounds. Between any two
//! measurements stands a probe of the distance between the cores (`cores.rs`); what lies between two probes that differ is dropped, and near and
//! far cores are reported apart. Every message is counted and its contents are summed.

mod clock;
mod cores;
mod json;
mod latency;
mod link;
mod measure;
pub mod partner;
mod progress;
mod raw;
mod report;
mod rings;
mod text;
mod throughput;

use crate::failure::{Failure, print};
use crate::size;
use clap::Args as ClapArgs;
use cores::Distance;
use measure::{Bench, Cell, Contender, Delay, Lengths, Shape};
use progress::Progress;
use report::Report;
use rings::{Home, Homes, SIZES};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Measure how fast messages go on this machine, beside the floor of what it can do
///
/// Throughput and latency, in memory, on tmpfs and in a file on disk, between threads and between processes. Each figure stands beside its floor and as
/// a multiple of it: a loop that only copies, a cache line that goes from core to core, a thread that only wakes another. Use it on an idle machine: it
/// keeps two cores busy, and what else they do shows. Nothing is left behind.
#[derive(ClapArgs)]
#[command(after_long_help = "\
Examples:
  ringfile bench
  ringfile bench --quick                     roughly, in some seconds
  ringfile bench --dir /var/lib/app          the file on the disk that matters
  ringfile bench --json | jq '.throughput[] | select(.shape == \"two processes\")'")]
pub struct Args {
    /// Where the file on disk lies [default: the temporary directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// For how long to go on with rounds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = size::parse_seconds)]
    seconds: Duration,

    /// A few short rounds
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,

    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

const MILLIS: u64 = 1_000_000;
const LONG: Lengths = Lengths {
    throughput: 5 * MILLIS,
    one_way: 120 * MILLIS,
    round_trip: 20 * MILLIS,
    wake_up: 50 * MILLIS,
    page: 10 * MILLIS,
};
const SHORT: Lengths = Lengths {
    throughput: 2 * MILLIS,
    one_way: 50 * MILLIS,
    round_trip: 10 * MILLIS,
    wake_up: 30 * MILLIS,
    page: 5 * MILLIS,
};
/// Nothing of it is kept: every page has been touched, and every branch been seen.
const WARM_UP: Lengths = Lengths {
    throughput: MILLIS / 2,
    one_way: 5 * MILLIS,
    round_trip: 2 * MILLIS,
    wake_up: 2 * MILLIS,
    page: MILLIS,
};

const QUICK: Duration = Duration::from_secs(3);
/// A median of fewer is none.
const LEAST_ROUNDS: usize = 3;

pub const SHAPES: [Shape; 3] = [Shape::OneThread, Shape::TwoThreads, Shape::TwoProcesses];
pub const BATCHES: [usize; 2] = [1, throughput::LARGE];
pub const DELAYS: [Delay; 3] = [Delay::RoundTrip, Delay::OneWay, Delay::WakeUp];

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let directory = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let (lengths, lasts) = if self.quick { (SHORT, QUICK) } else { (LONG, self.seconds) };
        let load = load();
        let mut progress = Progress::new(lasts);
        let mut bench = Bench::prepare(&directory)?;
        go_round(&mut bench, &WARM_UP, &mut Report::default(), &mut progress)?;
        let mut report = Report::default();
        let begun = Instant::now();
        while report.rounds < LEAST_ROUNDS || begun.elapsed() < lasts {
            go_round(&mut bench, &lengths, &mut report, &mut progress)?;
            report.rounds += 1;
        }
        drop(progress);
        let machine = Machine { cores: bench.cores, homes: bench.homes.clone(), directory, load };
        print(&if self.json { json::of(&machine, &report) } else { text::of(&machine, &report) })
    }
}

/// Where all that was measured.
pub struct Machine {
    cores: cores::Cores,
    homes: Homes,
    directory: PathBuf,
    /// How many wanted a core in the minute before, if the kernel says so.
    load: Option<f64>,
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Those of the table of throughputs, its floor first.
pub fn contenders(homes: &Homes) -> Vec<Contender> {
    std::iter::once(Contender::Floor).chain(homes.all().map(Contender::Ring)).collect()
}

/// Those of a distribution, its floor first.
pub fn contenders_of(delay: Delay, homes: &Homes) -> Vec<Contender> {
    let mut contenders = contenders(homes);
    contenders.retain(|&contender| match (delay, contender) {
        (_, Contender::Floor) | (Delay::OneWay, _) => true,
        (Delay::RoundTrip, Contender::Ring(home)) => home != Home::Memory,
        (Delay::WakeUp, Contender::Ring(home)) => home == homes.shared(),
    });
    contenders
}

/// The cells of the table of throughputs.
pub fn cells() -> impl Iterator<Item = Cell> {
    let cells =
        |shape| BATCHES.into_iter().flat_map(move |batch| SIZES.map(|size| Cell { shape, batch, size }));
    SHAPES.into_iter().flat_map(cells)
}

fn go_round(
    bench: &mut Bench,
    lengths: &Lengths,
    report: &mut Report,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let mut before = bench.cores.probe();
    // Whether the machine stayed as it was during the measurement that was just made: in which state.
    let mut stayed = |bench: &Bench, report: &mut Report| {
        let after = bench.cores.probe();
        let distance = bench.cores.distance(before, after);
        match (distance, before.zip(after)) {
            (None, _) => report.dropped += 1,
            (Some(distance), Some((before, after))) => report.add_way(distance, before.midpoint(after)),
            _ => {}
        }
        before = after;
        distance
    };
    for cell in cells() {
        progress.show(report.rounds, text::shape(cell.shape));
        for contender in contenders(&bench.homes) {
            let Some(nanos) = bench.throughput(cell, contender, lengths.throughput)? else {
                continue;
            };
            let distance = match cell.shape {
                Shape::OneThread => Some(Distance::OneThread),
                _ => stayed(bench, report),
            };
            if let Some(distance) = distance {
                report.add_throughput(distance, cell, contender, nanos);
            }
        }
    }
    for delay in DELAYS {
        progress.show(report.rounds, text::delay(delay));
        for contender in contenders_of(delay, &bench.homes) {
            if let Some(found) = bench.delay(delay, contender, lengths)?
                && let Some(distance) = stayed(bench, report)
            {
                report.add_delay(distance, delay, contender, &found);
            }
        }
    }
    progress.show(report.rounds, "msync");
    report.add_page(bench.page(lengths.page)?);
    Ok(())
}
