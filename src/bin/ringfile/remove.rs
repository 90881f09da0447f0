//! `ringfile remove`: the end of a group.

use crate::failure::{Failure, attach};
use crate::groups;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// End a group: it holds no space any more, and whoever pops for it ends
///
/// What only this group still had to consume is then gone for it: a group that is made later under the same name begins with what is kept then. Other
/// groups keep what they have to consume. What somebody has claimed can still be finished, and holds its space until then. Without any group, what is
/// pushed waits for one.
///
/// Exit code 3 if there is no group of this name.
#[derive(ClapArgs)]
pub struct Args {
    /// The ring
    file: PathBuf,

    /// The group
    #[arg(long, value_name = "GROUP")]
    group: String,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        if attach(&self.file)?.remove_group(&self.group) {
            Ok(())
        } else {
            Err(groups::absent(&self.file, &self.group))
        }
    }
}
