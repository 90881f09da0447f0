//! The processes of a demo: what a producer and a consumer do.
//!
//! A message is the number of its producer, its number among that producer's messages, and a line of the text. All workers have the same text, so that a
//! consumer knows what every message must be.

use super::findings::{Findings, Sent};
use super::text::Text;
use super::workshop::Workshop;
use crate::failure::{Failure, Kind, attach, print};
use crate::feed::Feeder;
use crate::size;
use clap::Args as ClapArgs;
use ringfile::{PopError, Queue};
use serde_json::Value;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A worker of `ringfile demo`, which starts it
#[derive(ClapArgs)]
pub struct Args {
    #[arg(long)]
    workshop: PathBuf,
    #[arg(long)]
    ring: PathBuf,
    #[arg(long)]
    number: u32,
    #[arg(long)]
    producers: u32,
    #[arg(long)]
    messages: u64,
    #[arg(long, value_parser = size::parse_seconds)]
    seconds: Option<Duration>,
}

/// Bytes before the line: the producer, and the number among its messages.
pub const HEADER: usize = 4 + 8;

/// Messages made ready together, and the most popped together.
pub const BATCH: usize = 64;

impl Args {
    /// Pushes every line whose turn it is: those of the numbers `number`, `number + producers`, `number + 2 * producers`, ...
    pub fn produce(self) -> Result<(), Failure> {
        let (text, queue) = self.prepare()?;
        let producer = queue.producer().map_err(|error| self.failure(error))?;
        let mut feeder = Feeder::new(producer);
        wait_for_go(self.workshop.clone())?;

        let mut sent = Sent::default();
        let mut batch: Vec<Vec<u8>> = vec![Vec::new(); BATCH];
        let mut more = self.quota();
        loop {
            let mut count = 0;
            while count < BATCH && more(sent.messages) {
                let message = &mut batch[count];
                message.clear();
                message.extend(self.number.to_le_bytes());
                message.extend(sent.messages.to_le_bytes());
                message.extend(text.line(line_of(self.number, sent.messages, self.producers)));
                sent.messages += 1;
                sent.bytes += message.len() as u64;
                count += 1;
            }
            if count == 0 {
                break;
            }
            feeder.push_all(&batch[..count]).map_err(|refused| self.failure(refused.error))?;
        }
        answer(sent.to_json())
    }

    /// Whether there is another message after so many.
    fn quota(&self) -> impl FnMut(u64) -> bool {
        let (number, producers) = (u64::from(self.number), u64::from(self.producers));
        let (messages, seconds) = (self.messages, self.seconds);
        let begin = Instant::now();
        move |sent| match seconds {
            None => sent * producers + number < messages,
            // The clock is asked only now and then.
            Some(seconds) => !sent.is_multiple_of(BATCH as u64) || begin.elapsed() < seconds,
        }
    }

    /// Pops until the demo has closed the ring, and looks at every message.
    pub fn consume(self) -> Result<(), Failure> {
        let (text, queue) = self.prepare()?;
        let mut consumer = queue.consumer().map_err(|error| self.failure(error))?;
        wait_for_go(self.workshop.clone())?;

        let mut findings = Findings::new(self.producers);
        loop {
            match consumer.drain(BATCH, |message| findings.see(message, &text)) {
                Ok(_) => findings.rest(),
                Err(PopError::Closed) => break,
                Err(error) => return Err(self.failure(error)),
            }
        }
        answer(findings.to_json())
    }

    fn prepare(&self) -> Result<(Text, Queue), Failure> {
        let path = Workshop::of_the_demo(self.workshop.clone()).text();
        let text = Text::load(&path).map_err(|error| Failure::of(Kind::Failed, &path, error))?;
        let queue = attach(&self.ring)?;
        Ok((text, queue))
    }

    fn failure(&self, error: impl std::error::Error) -> Failure {
        Failure::of(Kind::Failed, &self.ring, error)
    }
}

/// Which line of the text a message has.
pub fn line_of(producer: u32, number: u64, producers: u32) -> u64 {
    number * u64::from(producers) + u64::from(producer)
}

/// Returns when the demo says so: by a byte on standard input. The end of standard input is the end of the demo, and of this process.
fn wait_for_go(workshop: PathBuf) -> Result<(), Failure> {
    let workshop = Workshop::of_the_demo(workshop);
    if !demo_speaks() {
        leave(&workshop);
    }
    std::thread::Builder::new()
        .spawn(move || {
            while demo_speaks() {}
            leave(&workshop);
        })
        .map(drop)
        .map_err(|error| Failure::new(Kind::Failed, "thread", error))
}

/// Waits for a byte; false at the end.
fn demo_speaks() -> bool {
    let mut byte = [0];
    loop {
        match io::stdin().read(&mut byte) {
            Ok(count) => return count > 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// The demo is gone without having waited for us: it was killed, and we are the only ones left to clean up.
fn leave(workshop: &Workshop) -> ! {
    workshop.remove();
    std::process::exit(1);
}

/// Standard output is the report that the demo reads.
fn answer(report: Value) -> Result<(), Failure> {
    print(&report.to_string())
}
