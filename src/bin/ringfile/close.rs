//! `ringfile close`: no more pushes.

use crate::failure::{Failure, attach};
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// End the queue: pushes fail from now on, and `pop --follow` ends when it is drained
///
/// What was pushed can still be popped. The file keeps that it was closed; closing it again changes nothing.
#[derive(ClapArgs)]
pub struct Args {
    /// The ring
    file: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        attach(&self.file)?.close();
        Ok(())
    }
}
