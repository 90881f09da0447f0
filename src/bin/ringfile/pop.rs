//! `ringfile pop`: messages to standard output.

use crate::failure::{Failure, Kind, attach};
use crate::groups;
use crate::output::{Ends, Output};
use crate::size;
use clap::Args as ClapArgs;
use ringfile::{Batch, Group, PopTimeoutError, Queue};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Pop messages and print them, one a line
///
/// Without -n and --follow: what is in the ring now; exit code 3 if that is nothing. Several may pop at the same time: each message goes to one of them,
/// or to one of each group if they pop for several groups.
///
/// A message is finished when it has been written, and goes back into the ring if it could not be: should the reader of a pipe leave early, no more
/// is gone than went into the pipe. For one message, ask for one: `pop -n 1`, not `pop | head -1`.
#[derive(ClapArgs)]
#[command(after_long_help = "\
Examples:
  ringfile pop jobs.ring                     what is there now
  ringfile pop jobs.ring -n 1 --timeout 5    wait up to 5 seconds for one
  ringfile pop jobs.ring --follow --ack | worker
  ringfile pop orders.ring --follow --group billing
  ringfile pop mail.ring --follow --rate 50 | send
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

    /// Pop for this group, which is made if there is none of this name
    ///
    /// Every group gets every message, from the oldest that is kept when the group is made. It stays when nobody pops for it any more, and then holds
    /// the ring full in the end: see `ringfile remove`.
    #[arg(long, value_name = "GROUP", default_value = groups::DEFAULT)]
    group: String,

    /// First set how many messages a second the group may consume, over all processes; 0: any number
    ///
    /// It stays set when this ends, as with `ringfile rate`.
    #[arg(long, value_name = "PER_SECOND", value_parser = size::parse_rate)]
    rate: Option<f64>,

    #[command(flatten)]
    ends: Ends,
}

/// For messages that are being pushed, or that another consumer holds and may put back, when only what is there now was asked for.
const PATIENCE: Duration = Duration::from_millis(20);

/// The most messages of a claim: others shall have some too.
const LARGEST_CLAIM: u64 = 256;

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let queue = attach(&self.file)?;
        let group = queue.group(&self.group).map_err(|error| Failure::attach(&self.file, error))?;
        if let Some(rate) = self.rate {
            group.set_rate(rate).map_err(|error| Failure::of(Kind::Failed, &self.file, error))?;
        }
        let mut consumer = group.consumer().map_err(|error| Failure::attach(&self.file, error))?;
        let mut output = Output::new(&self.ends)?;

        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // The messages to take, at most.
        let wanted = match self.count {
            Some(count) => count,
            None if self.follow => u64::MAX,
            None => unfinished(&queue, &group),
        };
        // To wait for the next of them, at most.
        let patience = || match deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None if self.follow || self.count.is_some() => Duration::MAX,
            None => patience_with(&group),
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

    /// Prints the messages and finishes them; returns how many they were. Those that could not be printed go back into the ring.
    fn print(&self, output: &mut Output, mut batch: Batch<'_>) -> Result<u64, Failure> {
        let total = batch.len();
        let mut printed = 0;
        while printed < total {
            let finished = total - batch.len();
            for message in batch.iter().skip(printed - finished) {
                output.add(&[], message);
                if output.is_full() {
                    break;
                }
            }
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
            (Some(PopTimeoutError::Removed), _) => {
                failure(Kind::Failed, format!("the group {} was removed meanwhile", self.group))
            }
            (_, Some(count)) if popped == count => Ok(()),
            (Some(end), Some(count)) => failure(Kind::Empty, format!("{popped} of {count} messages: {end}")),
            (_, None) if popped == 0 && !self.follow => failure(Kind::Empty, "nothing to pop".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Of a group with a rate, every message may take as long as the rate says. Without one that is no time at all: 1 / 0.
fn patience_with(group: &Group) -> Duration {
    // Not all of its figures: to count them takes a look at each message, and this is asked before each claim.
    let each = Duration::try_from_secs_f64(group.rate().recip()).unwrap_or_default();
    PATIENCE.saturating_add(each)
}

/// How many positions the group has not finished: at least as many as there are messages, those that are being pushed included.
fn unfinished(queue: &Queue, group: &Group) -> u64 {
    group.stats().map_or(0, |group| queue.stats().tail.saturating_sub(group.frontier))
}
