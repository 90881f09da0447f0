//! `ringfile create`: a new ring.

use crate::failure::Failure;
use crate::size;
use clap::{Args as ClapArgs, ValueEnum};
use ringfile::{Claim, Queue};
use std::path::PathBuf;

/// Make a new ring; its size never changes afterwards
///
/// The whole file is allocated now, so that a push never meets a full disk later. What is at the path already is never touched: then this fails.
#[derive(ClapArgs)]
#[command(after_long_help = "\
Examples:
  ringfile create jobs.ring
  ringfile create small.ring --capacity 8K
  ringfile create names.ring --capacity 1M --messages 100000 --cell-size 64")]
pub struct Args {
    /// Where to make it
    file: PathBuf,

    /// How many bytes of messages fit, rounded up to a power of two
    ///
    /// With a suffix K, M or G. The longest message is half of it.
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size::parse)]
    capacity: usize,

    /// How many messages fit, rounded up to a power of two [default: capacity / 128]
    #[arg(long, value_name = "N")]
    messages: Option<u64>,

    /// Bytes of a cell, 64 or 128 [default: 128]
    ///
    /// Each message has a cell; one of up to 32 or 96 bytes lies in it and takes nothing of the capacity.
    #[arg(long, value_name = "BYTES")]
    cell_size: Option<u32>,

    /// How consumers take messages
    #[arg(long, value_enum, default_value_t = How::Ordered)]
    claim: How,

    /// How many producers and consumers there may be at a time, over all processes [default: 256]
    #[arg(long, value_name = "N")]
    participants: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum How {
    /// In the order in which they were pushed
    Ordered,
    /// Faster with many consumers on many cores; one message may come after later ones
    Ticketed,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let mut options = Queue::options();
        options.capacity(self.capacity).claim(match self.claim {
            How::Ordered => Claim::Ordered,
            How::Ticketed => Claim::Ticketed,
        });
        if let Some(messages) = self.messages {
            options.messages(messages);
        }
        if let Some(bytes) = self.cell_size {
            options.cell_size(bytes);
        }
        if let Some(participants) = self.participants {
            options.participants(participants);
        }
        options.create_new(&self.file).map_err(|error| Failure::open(&self.file, error))?;
        Ok(())
    }
}
