//! `ringfile verify`: whether a file contradicts itself.

use crate::failure::{Failure, Kind, observe, print};
use crate::size::{bytes, counted, grouped};
use clap::Args as ClapArgs;
use ringfile::Verification;
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Read the whole file and tell what in it cannot be
///
/// Exit code 4 if there is anything, or if the file is no ring at all. While others push and pop, what they have half done may look wrong: ask
/// again when they rest. Changes nothing: the right to read the file is enough.
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
        let observer = observe(&self.file)?;
        let found = observer.verify();
        print(&if self.json { as_json(&self.file, &found) } else { as_text(&found) })?;
        if found.is_sound() {
            return Ok(());
        }
        let problems = counted(found.problems.len() as u64, "problem");
        let message = match observer.stats().participants.len() {
            0 => format!("damaged: {problems}"),
            peers => format!(
                "damaged, or only in use: {problems}, and {} at work; ask again when they rest",
                counted(peers as u64, "peer")
            ),
        };
        Err(Failure::of(Kind::Damaged, &self.file, message))
    }
}

fn as_json(path: &Path, found: &Verification) -> String {
    let problems: Vec<_> = found
        .problems
        .iter()
        .map(|problem| json!({ "position": problem.position, "what": problem.what }))
        .collect();
    let answer = json!({
        "file": path.to_string_lossy(),
        "sound": found.is_sound(),
        "messages": found.messages,
        "bytes": found.bytes,
        "skipped": found.skipped,
        "unpublished": found.unpublished,
        "problems": problems,
    });
    format!("{answer:#}\n")
}

fn as_text(found: &Verification) -> String {
    let mut text = String::new();
    for problem in &found.problems {
        let _ = writeln!(text, "position {}: {}", grouped(problem.position), problem.what);
    }
    if found.is_sound() {
        text.push_str("sound: ");
    }
    let _ = write!(text, "{} kept, {}", counted(found.messages, "message"), bytes(found.bytes));
    for (count, what) in [(found.skipped, "without a message"), (found.unpublished, "not yet published")] {
        if count > 0 {
            let _ = write!(text, "; {} {what}", counted(count, "position"));
        }
    }
    text.push('\n');
    text
}
