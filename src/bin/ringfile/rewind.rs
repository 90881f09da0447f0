//! `ringfile rewind`: a group consumes again what is kept.

use crate::failure::{Failure, Kind, attach, print};
use crate::groups;
use crate::size::counted;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// Let a group consume again from the oldest message that is kept, and tell how many messages come again
///
/// Those that are retained (`create --retain`), and those that another group still needs. Whoever pops for the group goes on popping, and gets them.
/// Exit code 3 if there is no such group.
#[derive(ClapArgs)]
pub struct Args {
    /// The ring
    file: PathBuf,

    /// The group
    #[arg(long, value_name = "GROUP", default_value = groups::DEFAULT)]
    group: String,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let queue = attach(&self.file)?;
        let group = groups::existing(&self.file, &queue, &self.group)?;
        let again = group.rewind().map_err(|error| Failure::of(Kind::Failed, &self.file, error))?;
        let come = if again == 1 { "comes" } else { "come" };
        print(&format!("{} {come} again\n", counted(again, "message")))
    }
}
