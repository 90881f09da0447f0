//! `ringfile reap`: room for producers, before they need it.

use crate::failure::{Failure, attach_unsettled, print};
use crate::recover;
use crate::size::{bytes, counted};
use clap::Args as ClapArgs;
use ringfile::Reaped;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Free what nobody needs any more, settle what killed processes owe, and tell what that was
///
/// Producers free what they need themselves. This does it for them, and drops what is retained and older than `create --retain-for` allows, which nobody
/// else does but a program that has a reaper.
#[derive(ClapArgs)]
pub struct Args {
    /// The ring
    file: PathBuf,

    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let reaped = attach_unsettled(&self.file)?.reap();
        print(&if self.json { as_json(&self.file, &reaped) } else { as_text(&reaped) })
    }
}

fn as_text(reaped: &Reaped) -> String {
    let mut text = match reaped.positions {
        0 => "nothing to free\n".to_owned(),
        positions => {
            format!("freed {} with {} of data\n", counted(positions, "position"), bytes(reaped.bytes))
        }
    };
    if !reaped.recovery.is_nothing() {
        text.push_str(&recover::as_text(&reaped.recovery, ""));
    }
    text
}

fn as_json(path: &Path, reaped: &Reaped) -> String {
    let mut answer = recover::as_json(path, &reaped.recovery);
    answer["positions"] = json!(reaped.positions);
    answer["bytes"] = json!(reaped.bytes);
    format!("{answer:#}\n")
}
