//! `ringfile create`: a new ring.

use crate::failure::Failure;
use crate::size;
use clap::{Args as ClapArgs, ValueEnum};
use ringfile::{Claim, Queue};
use std::path::PathBuf;
use std::time::Duration;

/// Make a new ring; its size never changes afterwards
///
/// The whole file is allocated now, so that a push never meets a full disk later. What is at the path already is never touched: then this fails.
#[derive(ClapArgs)]
#[command(after_long_help = "\
Examples:
  ringfile create jobs.ring
  ringfile create small.ring --capacity 8K
  ringfile create names.ring --capacity 1M --messages 100000 --cell-size 64
  ringfile create mail.ring --rate 50 --max-deliveries 5 --lease 30
  ringfile create orders.ring --groups 8 --retain 10000 --retain-for 3600")]
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
    /// Each message has a cell; one of up to 32 or 88 bytes lies in it and takes nothing of the capacity.
    #[arg(long, value_name = "BYTES")]
    cell_size: Option<u32>,

    /// How consumers take messages
    #[arg(long, value_enum, default_value_t = How::Ordered)]
    claim: How,

    /// How many messages a second all consumers together may take [default: any number]
    ///
    /// Those of the group "default"; other groups have rates of their own. See `ringfile rate`.
    #[arg(long, value_name = "PER_SECOND", value_parser = size::parse_rate)]
    rate: Option<f64>,

    /// How many messages of the rate may be saved up while none are taken [default: a hundredth of the rate, at least 1]
    #[arg(long, value_name = "N")]
    burst: Option<u32>,

    /// Keep the last N messages that every group has finished, as long as their room is not needed [default: 0]
    ///
    /// For `replay`, `rewind`, and groups that are made later. When a push finds no room, those beyond half of the ring give way to it, or all when
    /// everything was consumed.
    #[arg(long, value_name = "N")]
    retain: Option<u64>,

    /// Keep them for so many seconds at most [default: until others take their place]
    ///
    /// What is older is dropped by `ringfile reap`, or by a program that has a reaper.
    #[arg(long, value_name = "SECONDS", requires = "retain", value_parser = size::parse_seconds)]
    retain_for: Option<Duration>,

    /// Overwrite messages with zeros when every group has finished them and they are not kept, before their room is used again
    ///
    /// Takes one of the places for groups.
    #[arg(long)]
    scrub: bool,

    /// How many groups there may be at a time, 1 to 62 [default: 4]
    #[arg(long, value_name = "N")]
    groups: Option<u32>,

    /// Set a message aside that was handed out so often, 1 to 500, without being finished [default: never]
    ///
    /// It goes to a ring of its own, FILE.dead, which is made now and as large. To give all of them another chance: ringfile pop FILE.dead | ringfile push FILE
    #[arg(long, value_name = "N")]
    max_deliveries: Option<u32>,

    /// Deliver a message to another consumer when one has held it for so many seconds [default: only when that one is dead]
    #[arg(long, value_name = "SECONDS", value_parser = size::parse_seconds)]
    lease: Option<Duration>,

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
        if let Some(rate) = self.rate {
            options.rate(rate);
        }
        if let Some(burst) = self.burst {
            options.burst(burst);
        }
        if let Some(retain) = self.retain {
            options.retain(retain);
        }
        if let Some(age) = self.retain_for {
            options.retain_for(age);
        }
        if let Some(groups) = self.groups {
            options.groups(groups);
        }
        if let Some(count) = self.max_deliveries {
            options.max_deliveries(count);
        }
        if let Some(lease) = self.lease {
            options.lease(lease);
        }
        options.scrub(self.scrub);
        options.create_new(&self.file).map_err(|error| Failure::open(&self.file, error))?;
        Ok(())
    }
}
