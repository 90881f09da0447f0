//! `ringfile recover`: settling what killed processes owe.

use crate::failure::{Failure, attach_unsettled, print};
use crate::size::counted;
use clap::Args as ClapArgs;
use ringfile::Recovery;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Settle what killed processes owe, and tell what that was
///
/// What they had reserved and not published becomes positions without a message; what they had claimed and not acknowledged is delivered again; their
/// places come free. Whoever opens the ring, or waits for one of the dead, does this as well.
#[derive(ClapArgs)]
pub struct Args {
    /// The ring
    file: PathBuf,

    /// Only tell; change nothing
    #[arg(long)]
    dry_run: bool,

    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let queue = attach_unsettled(&self.file)?;
        let found = if self.dry_run { queue.unrecovered() } else { queue.recover() };
        print(&if self.json {
            format!("{:#}\n", as_json(&self.file, &found))
        } else if found.is_nothing() {
            "nothing to recover\n".to_owned()
        } else {
            as_text(&found, if self.dry_run { "to be " } else { "" })
        })
    }
}

/// `would` stands before what was not done.
pub fn as_text(found: &Recovery, would: &str) -> String {
    let mut text = format!(
        "{} killed: {} {would}delivered again, {} {would}stepped over\n",
        counted(found.participants, "participant"),
        counted(found.put_back, "message"),
        counted(found.voided, "position"),
    );
    if found.expired > 0 {
        let _ =
            writeln!(text, "leases expired: {} {would}delivered again", counted(found.expired, "message"));
    }
    text
}

pub fn as_json(path: &Path, found: &Recovery) -> Value {
    json!({
        "file": path.to_string_lossy(),
        "participants": found.participants,
        "put_back": found.put_back,
        "expired": found.expired,
        "voided": found.voided,
    })
}
