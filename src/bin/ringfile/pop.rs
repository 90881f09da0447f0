//! `ringfile pop`: messages to standard output.

use crate::failure::{Failure, Kind, attach};
use crate::size;
use clap::Args as ClapArgs;
use ringfile::{Batch, PopTimeoutError, Queue};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Pop messages and print them, one a line
///
/// Without -n and --follow: what is in the ring now; exit code 3 if that is nothing. Several may pop at the same time: each message goes to one of them.
///
/// A message is finished when it has been written, and goes back into the ring if it could not be: should the reader of a pipe leave early, no more
/// is gone than went into the pipe. For one message, ask for one: `pop -n 1`, not `pop | head -1`.
#[derive(ClapArgs)]
#[command(after_long_help = "\
Examples:
  ringfile pop jobs.ring                     what is there now
  ringfile pop jobs.ring -n 1 --timeout 5    wait up to 5 seconds for one
  ringfile pop jobs.ring --follow --ack | worker
  ringfile pop blobs.ring -n 1 --raw > picture.jpg")]
pub struct Args {
    /// The ring
    file: PathBuf,

    /// Wait for N messages, then end
    #[arg(short = 'n', long = "count", value_name = "N", conflicts_with = "follow")]
    count: Option<u64>,

    /// Give up after so many seconds, with exit code 3; what came by then is printed
    #[arg(long, value_name = "SECONDS", requires = "count", value_parser = size::parse_seconds)]
    timeout: Option<Duration>,

    /// Go on until the ring is closed and drained
    #[arg(long)]
    follow: bool,

    /// Deliver at least once: finish messages only when all that were taken together are written
    ///
    /// If the output breaks in their midst, all of them come again. Without this, those that went into the output whole are finished, though nobody may
    /// have read them. In both cases messages come again if this is killed before it finished them.
    #[arg(long)]
    ack: bool,

    /// Messages end with a zero byte instead of a newline
    #[arg(long, conflicts_with = "raw")]
    null: bool,

    /// Messages are printed as they are, with nothing between them
    #[arg(long)]
    raw: bool,
}

/// For messages that are being pushed, or that another consumer holds and may put back, when only what is there now was asked for.
const PATIENCE: Duration = Duration::from_millis(20);

/// The most messages of a claim: others shall have some too.
const LARGEST_CLAIM: u64 = 256;

/// Messages are copied together up to this size, for one write.
const WRITE: usize = 64 << 10;

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let queue = attach(&self.file)?;
        let mut consumer = queue.consumer().map_err(|error| Failure::of(Kind::Failed, &self.file, error))?;
        let mut output = self.output()?;

        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // The messages to take, at most.
        let wanted = match self.count {
            Some(count) => count,
            None if self.follow => u64::MAX,
            None => unfinished(&queue),
        };
        // To wait for the next of them, at most.
        let patience = || match deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None if self.follow || self.count.is_some() => Duration::MAX,
            None => patience_with(&queue),
        };
        let mut popped = 0;
        let end = loop {
            if popped == wanted {
                break None;
            }
            let max = (wanted - popped).min(LARGEST_CLAIM) as usize;
            match consumer.claim_batch_timeout(max, patience()) {
                Ok(batch) => popped += self.print(&mut output, batch)?,
                Err(end) => break Some(end),
            }
        };
        self.verdict(popped, end)
    }

    fn output(&self) -> Result<Output, Failure> {
        // Not `io::stdout()`: it flushes at every line end.
        let file = io::stdout().as_fd().try_clone_to_owned().map_err(Failure::output)?;
        Ok(Output {
            file: File::from(file),
            separator: match (self.raw, self.null) {
                (true, _) => None,
                (_, true) => Some(0),
                _ => Some(b'\n'),
            },
            buffer: Vec::new(),
            ends: Vec::new(),
        })
    }

    /// Prints the messages and finishes them; returns how many they were. Those that could not be printed go back into the ring.
    fn print(&self, output: &mut Output, mut batch: Batch<'_>) -> Result<u64, Failure> {
        let total = batch.len();
        let mut printed = 0;
        while printed < total {
            let finished = total - batch.len();
            output.fill(batch.iter().skip(printed - finished));
            let (written, result) = output.write();
            printed += written;
            if !self.ack {
                // What was printed too late for its lease comes again, as after a death.
                let _ = batch.ack_first(printed - finished);
            }
            result.map_err(Failure::output)?;
        }
        let _ = batch.ack(); // too late: as above
        Ok(total as u64)
    }

    fn verdict(&self, popped: u64, end: Option<PopTimeoutError>) -> Result<(), Failure> {
        let failure = |kind, message: String| Err(Failure::of(kind, &self.file, message));
        match (end, self.count) {
            (Some(damage @ PopTimeoutError::Corrupt { .. }), _) => failure(Kind::Damaged, damage.to_string()),
            (_, Some(count)) if popped == count => Ok(()),
            (Some(end), Some(count)) => failure(Kind::Empty, format!("{popped} of {count} messages: {end}")),
            (_, None) if popped == 0 && !self.follow => failure(Kind::Empty, "nothing to pop".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Of a ring with a rate, every message may take as long as the rate says. Without one that is no time at all: 1 / 0.
fn patience_with(queue: &Queue) -> Duration {
    let each = Duration::try_from_secs_f64(queue.rate().recip()).unwrap_or_default();
    PATIENCE.saturating_add(each)
}

/// How many positions consumers have not finished: at least as many as there are messages, those that are being pushed included.
fn unfinished(queue: &Queue) -> u64 {
    let stats = queue.stats();
    let group = stats.groups.iter().find(|group| group.name == "default");
    group.map_or(0, |group| stats.tail.saturating_sub(group.frontier))
}

/// Standard output, and the messages that go there with the next write.
struct Output {
    file: File,
    separator: Option<u8>,
    buffer: Vec<u8>,
    /// Where in the buffer each message ends.
    ends: Vec<usize>,
}

impl Output {
    /// Copies the next messages together: one at least, more while they are small.
    fn fill<'a>(&mut self, messages: impl Iterator<Item = &'a [u8]>) {
        self.buffer.clear();
        self.ends.clear();
        for message in messages {
            self.buffer.extend_from_slice(message);
            self.buffer.extend(self.separator);
            self.ends.push(self.buffer.len());
            if self.buffer.len() >= WRITE {
                break;
            }
        }
    }

    /// Writes them; also says how many went out whole.
    fn write(&mut self) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < self.buffer.len() {
            match self.file.write(&self.buffer[written..]) {
                Ok(0) => return (self.whole(written), Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (self.whole(written), Err(error)),
            }
        }
        (self.ends.len(), Ok(()))
    }

    fn whole(&self, written: usize) -> usize {
        self.ends.partition_point(|&end| end <= written)
    }
}
