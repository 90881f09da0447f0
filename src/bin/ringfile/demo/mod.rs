//! `ringfile demo`: several processes on one file, and whether everything arrived.

mod crew;
mod findings;
mod progress;
mod text;
pub mod worker;
mod workshop;

use crate::failure::{Failure, Kind, print};
use crate::size::{self, bytes, counted, grouped};
use clap::Args as ClapArgs;
use crew::Crew;
use findings::Verdict;
use progress::Progress;
use ringfile::Queue;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use text::Collected;
use workshop::Workshop;

/// The names of the hidden commands with which the demo starts itself again.
pub const PRODUCER: &str = "demo-producer";
pub const CONSUMER: &str = "demo-consumer";

/// See it work: several processes push and pop real text through one file
///
/// Collects lines of the text files of this machine (logs, documentation, manuals, licences), lets producer processes push them and consumer
/// processes pop them at the same time, and compares what arrived with what was sent, byte for byte. Nothing has to be set up, and nothing is left behind.
///
/// Exit code 1 if a message was lost, doubled, changed, or out of its producer's order.
#[derive(ClapArgs)]
#[command(after_long_help = "\
Examples:
  ringfile demo
  ringfile demo --messages 20000000 --producers 1 --consumers 1
  ringfile demo --seconds 10 --capacity 8K          a ring that is full most of the time
  ringfile demo --seconds 60 --path /dev/shm/demo.ring    and meanwhile: ringfile stat /dev/shm/demo.ring")]
pub struct Args {
    /// How many messages; the text is repeated if it has fewer lines
    #[arg(long, value_name = "N", default_value_t = 2_000_000, conflicts_with = "seconds")]
    messages: u64,

    /// Push for so long instead of a number of messages
    #[arg(long, value_name = "SECONDS", value_parser = size::parse_seconds)]
    seconds: Option<Duration>,

    /// How many bytes of messages the ring holds at a time
    #[arg(long, value_name = "SIZE", default_value = "1M", value_parser = size::parse)]
    capacity: usize,

    /// Processes that push
    #[arg(long, value_name = "P", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=100))]
    producers: u32,

    /// Processes that pop
    #[arg(long, value_name = "C", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=100))]
    consumers: u32,

    /// Where to make the ring, which then stays [default: in a temporary directory]
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        // No message may be longer than half of the ring; and a demo of short lines shows more.
        let longest = (self.capacity.max(128) / 2 - worker::HEADER).min(4096);
        let collected = text::collect(self.messages, longest);

        let workshop = Workshop::create().map_err(|error| temporary(&std::env::temp_dir(), error))?;
        let ring = self.path.clone().unwrap_or_else(|| workshop.ring());
        let queue = Queue::options()
            .capacity(self.capacity)
            .participants(self.producers + self.consumers)
            .create_new(&ring)
            .map_err(|error| Failure::open(&ring, error))?;
        collected.text.save(&workshop.text()).map_err(|error| temporary(workshop.path(), error))?;
        print(&self.introduction(&ring, &collected))?;

        let mut crew = Crew::start(&self, &workshop, &ring)?;
        crew.gather(&queue)?;
        let begin = SystemTime::now();
        crew.go()?;
        crew.finish(&queue, Progress::new())?;

        let verdict = Verdict::read(&workshop, self.producers, self.consumers)
            .map_err(|error| temporary(workshop.path(), error))?;
        print(&summary(&verdict, begin, queue.stats().cells))?;
        if self.path.is_some() {
            print(&format!("kept       {}\n", ring.display()))?;
        }
        if verdict.is_good() {
            Ok(())
        } else {
            Err(Failure::of(Kind::Failed, &ring, "what arrived is not what was sent"))
        }
    }

    fn introduction(&self, ring: &Path, collected: &Collected) -> String {
        let mut text = format!(
            "ring       {}, {}\n\
             processes  {} push, {} pop, in batches of up to {}\n\
             text       {}, {}\n",
            ring.display(),
            bytes(self.capacity as u64),
            self.producers,
            self.consumers,
            worker::BATCH,
            counted(collected.text.len() as u64, "line"),
            bytes(collected.text.bytes() as u64),
        );
        for source in &collected.sources {
            let _ = writeln!(
                text,
                "           {} of {} in {}",
                counted(source.lines, "line"),
                counted(source.files, "file"),
                source.name
            );
        }
        text.push('\n');
        text
    }
}

fn summary(verdict: &Verdict, begin: SystemTime, cells: u64) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<11}{value}");
    };
    let amount = |(messages, len): (u64, u64)| {
        format!("{:>12} messages  {:>15} bytes", grouped(messages), grouped(len))
    };
    row("sent", amount(verdict.sent));
    row("arrived", amount(verdict.arrived));
    for (number, &share) in verdict.shares.iter().enumerate() {
        let percent = 100.0 * share as f64 / verdict.arrived.0.max(1) as f64;
        row("", format!("{:>12} by consumer {} ({percent:.1} %)", grouped(share), number + 1));
    }
    row(
        "once",
        match (verdict.missing, verdict.doubled) {
            (0, 0) => "none missing, none twice".to_owned(),
            (missing, doubled) => {
                format!("{} MISSING, {} TWICE", grouped(missing), grouped(doubled))
            }
        },
    );
    row(
        "content",
        match verdict.changed {
            0 => "every message as it was sent, byte for byte".to_owned(),
            changed => format!("{} CHANGED", grouped(changed)),
        },
    );
    row(
        "order",
        match verdict.disordered {
            0 => "for every consumer, each producer's messages came in the order they were pushed in"
                .to_owned(),
            disordered => format!("{} OUT OF ORDER", grouped(disordered)),
        },
    );
    let time = verdict.end.duration_since(begin).unwrap_or_default();
    let seconds = time.as_secs_f64().max(1e-9);
    row(
        "speed",
        format!(
            "{} messages/s, {}/s, for {seconds:.3} s; {} times round the ring",
            grouped((verdict.arrived.0 as f64 / seconds) as u64),
            bytes((verdict.arrived.1 as f64 / seconds) as u64),
            grouped(verdict.arrived.0 / cells)
        ),
    );
    text
}

/// Something about our own files went wrong.
fn temporary(path: &Path, error: std::io::Error) -> Failure {
    Failure::of(Kind::Failed, path, error)
}
