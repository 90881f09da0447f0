//! `ringfile rate`: how fast a group may consume.

use crate::failure::{Failure, Kind, attach, observe, print};
use crate::{groups, size};
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// Show or set how many messages a second a group may consume, over all processes; 0: any number
///
/// Set, it counts at once, also for those who wait for their turn, and stays until it is set again. Exit code 3 if there is no such group.
#[derive(ClapArgs)]
#[command(after_long_help = "\
Examples:
  ringfile rate mail.ring                         what it is
  ringfile rate mail.ring 50
  ringfile rate mail.ring --group newsletter 0.5  one every two seconds")]
pub struct Args {
    /// The ring
    file: PathBuf,

    /// What to set it to; without this, it is printed
    #[arg(value_parser = size::parse_rate)]
    per_second: Option<f64>,

    /// The group
    #[arg(long, value_name = "GROUP", default_value = groups::DEFAULT)]
    group: String,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        match self.per_second {
            None => self.show(),
            Some(rate) => self.set(rate),
        }
    }

    fn show(&self) -> Result<(), Failure> {
        let stats = observe(&self.file)?.stats();
        let group = groups::find(&self.file, &stats, &self.group)?;
        print(&format!("{}\n", group.rate))
    }

    fn set(&self, rate: f64) -> Result<(), Failure> {
        let queue = attach(&self.file)?;
        let group = groups::existing(&self.file, &queue, &self.group)?;
        group.set_rate(rate).map_err(|error| Failure::of(Kind::Failed, &self.file, error))
    }
}
