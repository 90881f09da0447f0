//! `ringfile recover`: settling what killed processes owe.

use crate::failure::{Failure, look_at, print};
use crate::size::counted;
use clap::Args as ClapArgs;
use ringfile::Recovery;
use serde_json::json;
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
        let queue = look_at(&self.file)?;
        let found = if self.dry_run { queue.unrecovered() } else { queue.recover() };
        print(&if self.json { as_json(&self.file, &found) } else { self.as_text(&found) })
    }

    fn as_text(&self, found: &Recovery) -> String {
        if found.is_nothing() {
            return "nothing to recover\n".to_owned();
        }
        let would = if self.dry_run { "to be " } else { "" };
        let mut text = format!(
            "{} killed: {} {would}delivered again, {} {would}stepped over\n",
            counted(found.participants, "participant"),
            counted(found.put_back, "message"),
            counted(found.voided, "position"),
        );
        if found.expired > 0 {
            let _ = writeln!(
                text,
                "leases expired: {} {would}delivered again",
                counted(found.expired, "message")
            );
        }
        text
    }
}

fn as_json(path: &Path, found: &Recovery) -> String {
    let answer = json!({
        "file": path.to_string_lossy(),
        "participants": found.participants,
        "put_back": found.put_back,
        "expired": found.expired,
        "voided": found.voided,
    });
    format!("{answer:#}\n")
}
