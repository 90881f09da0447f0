//! `ringfile push`: messages from standard input.

use crate::failure::{Failure, Kind, tell_salvage};
use crate::feed::{Feeder, Refused};
use crate::records::{Block, Records};
use crate::size;
use clap::Args as ClapArgs;
use ringfile::{Durability, PushError, Queue};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Push messages from standard input: each line is one
///
/// Lines may be any bytes, empty ones included; the line's end is not part of the message. Every line is pushed as soon as it has arrived. While the
/// ring is full this waits, and no message is ever dropped. A ring that does not exist yet is made.
///
/// What was pushed is in the ring even if this is killed. A line that is too long ends it with exit code 1; the lines before are in the ring.
#[derive(ClapArgs)]
#[command(after_long_help = "\
Examples:
  tail -f /var/log/syslog | ringfile push log.ring
  find . -name '*.jpg' -print0 | ringfile push --null jobs.ring
  ringfile push --raw blobs.ring < picture.jpg")]
pub struct Args {
    /// The ring; made if it does not exist
    file: PathBuf,

    /// The whole of standard input is one message
    #[arg(long, conflicts_with = "null")]
    raw: bool,

    /// Messages end with a zero byte instead of a newline
    #[arg(long)]
    null: bool,

    /// Each line is on the disk before the next one is read, and outlives a failure of the power
    ///
    /// Lines that have arrived together are synced together.
    #[arg(long)]
    durable: bool,

    /// How many bytes of messages fit, with a suffix K, M or G [default when made: 64M]
    ///
    /// A ring that exists must have this capacity.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    capacity: Option<usize>,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let mut options = Queue::options();
        if let Some(capacity) = self.capacity {
            options.capacity(capacity);
        }
        if self.durable {
            options.durability(Durability::Always);
        }
        let queue = options.open(&self.file).map_err(|error| Failure::open(&self.file, error))?;
        tell_salvage(&self.file, &queue);
        let producer = queue.producer().map_err(|error| Failure::of(Kind::Failed, &self.file, error))?;
        let feeder = Feeder::new(producer);
        // Not `io::stdin()`: its buffer is small, and fills it before it gives anything.
        let input = io::stdin().as_fd().try_clone_to_owned().map_err(unread)?;
        if self.raw {
            self.push_whole(File::from(input), feeder, queue.max_message_len())
        } else {
            self.push_records(File::from(input), feeder, queue.max_message_len())
        }
    }

    fn push_records(&self, input: File, mut feeder: Feeder, max: usize) -> Result<(), Failure> {
        let separator = if self.null { 0 } else { b'\n' };
        let mut records = Records::new(input, separator, max);
        let mut pushed = 0;
        loop {
            match records.next_block().map_err(unread)? {
                Block::Records(messages) => {
                    feeder
                        .push_all(&messages)
                        .map_err(|refused| self.refused(&refused, Some(pushed + refused.index as u64 + 1)))?;
                    pushed += messages.len() as u64;
                }
                Block::TooLong => return Err(self.too_long(Some(pushed + 1), max)),
                Block::End => return Ok(()),
            }
        }
    }

    fn push_whole(&self, input: File, mut feeder: Feeder, max: usize) -> Result<(), Failure> {
        let mut message = Vec::new();
        input.take(max as u64 + 1).read_to_end(&mut message).map_err(unread)?;
        if message.len() > max {
            return Err(self.too_long(None, max));
        }
        feeder.push_all(&[message]).map_err(|refused| self.refused(&refused, None))
    }

    fn refused(&self, refused: &Refused, number: Option<u64>) -> Failure {
        let kind = match refused.error {
            PushError::Corrupt { .. } => Kind::Damaged,
            _ => Kind::Failed,
        };
        let place = self.place(number);
        Failure::of(kind, &self.file, format_args!("{place}{error}", error = refused.error))
    }

    /// Its length is not known: it was not read to its end.
    fn too_long(&self, number: Option<u64>, max: usize) -> Failure {
        let place = self.place(number);
        Failure::of(
            Kind::Failed,
            &self.file,
            format_args!(
                "{place}a message that long does not fit, the longest has {max}: create the file with a larger capacity"
            ),
        )
    }

    fn place(&self, number: Option<u64>) -> String {
        let what = if self.null { "message" } else { "line" };
        number.map_or_else(String::new, |number| format!("{what} {number}: "))
    }
}

fn unread(error: io::Error) -> Failure {
    Failure::new(Kind::Failed, "standard input", error)
}
