//! `ringfile sync`: what was pushed, on the disk.

use crate::failure::{Failure, Kind, attach, print};
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// Wait until everything that was pushed is on the disk, whoever pushed it
///
/// It then outlives a failure of the power. Prints the position below which that is everything: behind it is what somebody has begun to push and not finished. Also says on the
/// disk how far each group is.
#[derive(ClapArgs)]
pub struct Args {
    /// The ring
    file: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let durable = attach(&self.file)?.sync();
        let durable = durable.map_err(|error| Failure::of(Kind::Failed, &self.file, error))?;
        print(&format!("{}\n", durable.get()))
    }
}
