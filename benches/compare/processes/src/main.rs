//! ringfile beside other queues between two processes.
//!
//! ```text
//! cd benches/compare/processes
//! cargo run --release -- --quick                        # all tables, roughly
//! cargo run --release -- throughput 8B,64B              # what matches all of the words
//! cargo run --release -- recovery --rounds 20           # 200 deaths of each kind
//! cargo +nightly run --release --features shaq5         # shaq 5.1 too, which Rust 1.95 does not build
//! ```
//!
//! | table | what |
//! |---|---|
//! | throughput | one producer, one consumer, warmed up; nanoseconds from the first push to the last pop, by message |
//! | round trip | a message there and one back over two queues |
//! | wake-up | from before the push to after the pop of a receiver that has slept for 200 us |
//! | recovery | from the SIGKILL of a process that holds a message to its delivery to another, which is blocked |
//!
//! Each measurement starts two processes, the sender on core 0 and the receiver on core 1; how they wait is said in [`queues`]. Times are of CLOCK_MONOTONIC, which
//! they share. Rounds, probes and what is dropped: as `harness` does it.

mod cells;
mod contenders;
mod control;
mod mapping;
mod place;
mod queues;
mod recovery;
mod session;
mod targets;
mod tasks;

use cells::ring;
use clap::Parser;
use contenders::Contender;
use control::SAMPLES;
use harness::rounds::{self, Contest};
use harness::{Cell, Histogram, Options, Report};
use queues::Shape;
use session::Task;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// ringfile beside other queues between two processes
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// Nanoseconds that a measurement takes.
const LASTS: f64 = 15e6;
/// Messages by which a contender shows how fast it is, so that the rest can be chosen.
const FIRST: u64 = 2000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = if arguments.next().as_deref() == Some(session::FLAG) {
        let job = arguments.next().expect("comes from the process that started this");
        session::work(&job).map_err(|refusal| refusal.to_string())
    } else {
        compare(&Arguments::parse().options)
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<(), String> {
    place::sweep();
    let mut report = Report::new("ns per message", contenders::RINGFILE);
    let mut contests = throughput(options);
    contests.push(contest(Task::RoundTrip, cells::round_trip(), 64, round_trips));
    let sleeps = if options.quick { 50 } else { 200 };
    contests.push(contest(Task::WakeUp, cells::wake_up(), 8, |contender| wake_ups(contender, sleeps)));
    let deaths = if options.quick { 2 } else { 10 };
    for task in [Task::ConsumerKilled, Task::ProducerKilled] {
        contests.push(contest(task, cells::recovery(task), 8, |contender| {
            rounds::Contender::fallible(contender.name, move || recovery::measure(task, &contender, deaths))
        }));
    }
    rounds::run(options, &mut report, contests)?;
    print!("{}{}", report.tables(), targets::summary(&report));
    Ok(())
}

fn contest(
    task: Task,
    cell: Cell,
    size: usize,
    enter: impl Fn(Contender) -> rounds::Contender<'static>,
) -> Contest<'static> {
    Contest { cell, contenders: contenders::all(task, size).into_iter().map(enter).collect() }
}

fn throughput(options: &Options) -> Vec<Contest<'static>> {
    let sizes = contenders::SIZES.into_iter().filter(|size| !options.quick || [8, 64, 1024].contains(size));
    sizes
        .map(|size| {
            let shape = Shape { ring: ring(size), size };
            contest(Task::Throughput, cells::throughput(size), size, move |contender| {
                let name = contender.name;
                let stream = move |messages| {
                    let control = session::run(Task::Throughput, &contender, shape, messages)?;
                    let took = control.ended.load(Ordering::Relaxed) - control.begun.load(Ordering::Relaxed);
                    Ok::<_, String>(took as f64 / messages as f64)
                };
                let mut messages = None;
                rounds::Contender::fallible(name, move || {
                    let count = messages.map_or_else(|| stream(FIRST).map(worth), Ok)?;
                    let nanos = stream(count)?;
                    messages = Some(worth(nanos));
                    Ok(nanos)
                })
            })
        })
        .collect()
}

/// How many messages of so many nanoseconds a measurement has time for.
fn worth(nanos: f64) -> u64 {
    ((LASTS / nanos) as u64).max(FIRST / 10)
}

fn round_trips(contender: Contender) -> rounds::Contender<'static> {
    let name = contender.name;
    let shape = Shape { ring: ring(64), size: 64 };
    let go = move |trips: u64| {
        let control = session::run(Task::RoundTrip, &contender, shape, tasks::WARM_UP + trips)?;
        Ok::<_, String>(histogram(control.samples(trips as usize)))
    };
    let mut trips = None;
    rounds::Contender::fallible(name, move || {
        let many = |recorded: &Histogram<u64>| worth(recorded.mean()).min(SAMPLES as u64);
        let count = trips.map_or_else(|| go(FIRST).map(|recorded| many(&recorded)), Ok)?;
        let recorded = go(count)?;
        trips = Some(many(&recorded));
        Ok(recorded)
    })
}

fn wake_ups(contender: Contender, sleeps: u64) -> rounds::Contender<'static> {
    let shape = Shape { ring: ring(8), size: 8 };
    rounds::Contender::fallible(contender.name, move || {
        let control = session::run(Task::WakeUp, &contender, shape, sleeps)?;
        Ok(histogram(control.samples(sleeps as usize)))
    })
}

fn histogram(samples: impl Iterator<Item = u64>) -> Histogram<u64> {
    let mut recorded = Histogram::new(3).expect("three digits are possible");
    samples.for_each(|nanos| recorded.record(nanos).expect("without a limit"));
    recorded
}
