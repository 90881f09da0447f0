//! ringfile beside other queues that keep their messages in a file.
//!
//! ```text
//! cargo run --release -p ringfile-compare-disk -- --quick         # a minute or two
//! cargo run --release -p ringfile-compare-disk -- 64B append      # what matches all of the words
//! cargo run --release -p ringfile-compare-disk -- killed          # only who keeps what when its process is killed
//! ```
//!
//! One thread pushes a backlog of up to 256 messages and pops it again, on a new file that has been warmed up; in a process of its own for each measurement. Pushes and pops
//! have a clock each. All are opened as their documentation says for a queue, first without syncing: what has been pushed is left to the page cache, and survives the process where the table of kills says
//! so. Then with a sync in each call, beside what one sync costs. Rings hold 1,024 messages; those of 64 MiB are
//! lapped as a whole. At last one thread pushes at an even rate while the kernel writes the file to the disk (`writeback.rs`).
//!
//! Files lie in the temporary directory (or --dir), which must be on ext4, and go with the program.

mod child;
mod floors;
mod laps;
mod paced;
mod places;
mod queues;
mod shared;
mod summary;
mod writeback;

use clap::Parser;
use harness::rounds::{self, Contender, Contest, Outcome};
use harness::{Cell, Report};
use paced::{Beside, Pace, Since};
use places::Places;
use queues::{KINDS, Kind, Place, RING, RING_SYNCED, RING_TMPFS, Shape};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use summary::Survival;
use writeback::Target;

#[derive(Parser)]
#[command(about = "ringfile beside other queues that keep their messages in a file")]
struct Arguments {
    #[command(flatten)]
    common: harness::Options,
    /// Where files lie, on ext4; default: the temporary directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where they lie on tmpfs
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    tmpfs: PathBuf,
}

const SIZES: [usize; 2] = [64, 1024];
const CALLS: [&str; 2] = ["push", "pop"];
const RING_MESSAGES: u64 = 1024;
const LARGE_RING: usize = 64 << 20;
/// Bytes that a ring takes of its file for the shortest messages.
const CELL: usize = 128;

const CALL: &str = "1 KiB pushed at 100000/s";
const DUE: &str = "1 KiB pushed at 100000/s, since due";
const BESIDE: [(&str, Beside); 3] = [
    ("nothing beside", Beside::Nothing),
    ("fdatasync every 100 ms", Beside::Sync),
    ("fdatasync and a busy disk", Beside::SyncAndWriter),
];
const REAPED: &str = "ringfile ext4 and reaper";
const NAIVE: &str = "naive map";
const PRODUCERS: [usize; 3] = [1, 4, 16];

fn size_table(size: usize) -> String {
    format!("{size} B")
}

fn in_ring_of_64_mib(size: usize) -> String {
    format!("{size} B in 64 MiB")
}

/// How long one measurement takes.
struct Times {
    laps: Duration,
    synced: Duration,
    paced: Duration,
}

impl Times {
    fn new(is_quick: bool) -> Times {
        let of_millis = |laps, synced, paced| Times {
            laps: Duration::from_millis(laps),
            synced: Duration::from_millis(synced),
            paced: Duration::from_millis(paced),
        };
        if is_quick { of_millis(10, 3, 500) } else { of_millis(30, 5, 1000) }
    }
}

fn contest<'a>(
    places: &'a Places,
    table: String,
    shape: Shape,
    lasts: Duration,
    kinds: impl Iterator<Item = &'static Kind>,
) -> Contest<'a> {
    let contender = |kind: &'static Kind| {
        Contender::fallible(kind.name, move || {
            let costs = child::laps(kind, shape, lasts, places)?;
            Ok(Outcome::Columns(vec![(CALLS[0], costs.push), (CALLS[1], costs.pop)]))
        })
    };
    Contest { cell: Cell::new(table, ""), contenders: kinds.map(contender).collect() }
}

/// A sync in each call.
fn synced_contest(places: &Places, size: usize, lasts: Duration) -> Contest<'_> {
    let shape = Shape { size, messages: RING_MESSAGES };
    let kinds = KINDS.iter().filter(|kind| kind.is_synced);
    let mut contest = contest(places, format!("{size} B, synced"), shape, lasts, kinds);
    let floor = |name, sync: fn(&Places, usize) -> Result<f64, String>| {
        Contender::fallible(name, move || Ok(Outcome::Columns(vec![(CALLS[0], sync(places, size)?)])))
    };
    contest.contenders.insert(0, floor("floor: msync of a page", floors::msync));
    contest.contenders.insert(1, floor("floor: pwrite fdatasync", floors::fdatasync));
    contest
}

/// Producers that each wait for the disk, and share what they wait for: the cost of a push by all of them together.
fn shared_contest(places: &Places, size: usize) -> Contest<'_> {
    let shape = Shape { size, messages: RING_MESSAGES };
    let contender = |producers: usize| {
        let name = format!("{RING_SYNCED}, {producers} producers");
        let run = move || Ok(Outcome::Columns(vec![(CALLS[0], shared::run(places, shape, producers)?)]));
        Contender::fallible(name, run)
    };
    Contest {
        cell: Cell::new(format!("{size} B, synced together"), ""),
        contenders: PRODUCERS.into_iter().map(contender).collect(),
    }
}

fn paced_contest<'a>(places: &'a Places, table: &str, column: &str, pace: Pace) -> Contest<'a> {
    let contender = |(name, target)| {
        Contender::fallible(name, move || writeback::run(places, target, pace).map(Outcome::from))
    };
    let targets = [
        (RING, Target::Ring(Place::Ext4)),
        (REAPED, Target::RingReaped(Place::Ext4)),
        (NAIVE, Target::Map),
        (RING_TMPFS, Target::Ring(Place::Tmpfs)),
    ];
    Contest { cell: Cell::new(table, column), contenders: targets.into_iter().map(contender).collect() }
}

fn contests(places: &Places, times: Times) -> Vec<Contest<'_>> {
    let mut contests = Vec::new();
    for size in SIZES {
        let shape = Shape { size, messages: RING_MESSAGES };
        let kinds = KINDS.iter().filter(|kind| !kind.is_synced);
        contests.push(contest(places, size_table(size), shape, times.laps, kinds));
    }
    for size in SIZES {
        let shape = Shape { size, messages: (LARGE_RING / size.max(CELL)) as u64 };
        let kinds = KINDS.iter().filter(|kind| [RING, RING_TMPFS].contains(&kind.name));
        contests.push(contest(places, in_ring_of_64_mib(size), shape, times.laps, kinds));
    }
    for size in SIZES {
        contests.push(synced_contest(places, size, times.synced));
        contests.push(shared_contest(places, size));
    }
    for (column, beside) in BESIDE {
        for (table, since) in [(CALL, Since::Call), (DUE, Since::Due)] {
            let pace = Pace { beside, since, lasts: times.paced };
            contests.push(paced_contest(places, table, column, pace));
        }
    }
    contests
}

fn survival(places: &Places) -> Result<Survival, String> {
    KINDS.iter().map(|kind| Ok((kind, child::killed(kind, places)?))).collect()
}

fn run(Arguments { common, dir, tmpfs }: &Arguments) -> Result<(), String> {
    let places = Places::new(dir.clone().unwrap_or_else(std::env::temp_dir), tmpfs.clone())?;
    let survival = survival(&places)?;
    let mut report = Report::new("ns per call", RING);
    rounds::run(common, &mut report, contests(&places, Times::new(common.quick)))?;
    print!("{}", report.tables());
    print!("{}{}", summary::survival_table(&survival), summary::summary(&report, &survival));
    Ok(())
}

fn main() -> ExitCode {
    child::turn_into();
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
