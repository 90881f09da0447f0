//! `ringfile replay`: what is kept, to standard output.

use crate::failure::{Failure, Kind, observe, say};
use crate::output::{Ends, Output};
use clap::Args as ClapArgs;
use ringfile::{Position, ReplayError};
use std::path::PathBuf;

/// Print what is kept, one message a line, and consume nothing
///
/// All that is retained, and all that some group has not finished, whoever holds it, in the order in which it was pushed; not what is pushed while this
/// prints. A message that is still being pushed ends it. Changes nothing: the right to read the file is enough. Exit code 3 if nothing is kept.
///
/// Should others free what was not printed yet, this says how much that was, goes on behind it, and ends with exit code 1. Messages that are damaged
/// are left out, with exit code 4.
#[derive(ClapArgs)]
#[command(after_long_help = "\
Examples:
  ringfile replay orders.ring | grep coffee
  ringfile replay orders.ring --positions
  ringfile replay orders.ring --from 1200")]
pub struct Args {
    /// The ring
    file: PathBuf,

    /// Begin with this position, or with the oldest message that is kept if that is later
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,

    /// Before each message, print its position and a tab
    #[arg(long, conflicts_with = "raw")]
    positions: bool,

    #[command(flatten)]
    ends: Ends,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let observer = observe(&self.file)?;
        // Otherwise this might run behind the producers for ever.
        let end = Position::from(observer.stats().tail);
        let mut replay = observer.replay().skip_to(self.from.unwrap_or(0).into());
        let mut output = Output::new(&self.ends)?;
        let mut message = Vec::new();
        let (mut printed, mut trouble) = (0u64, None);
        while replay.position() < end {
            match replay.next_into(&mut message) {
                None => break,
                Some(Ok(position)) => {
                    output.add(self.before(position).as_bytes(), &message);
                    printed += 1;
                    if output.is_full() {
                        flush(&mut output)?;
                    }
                }
                Some(Err(error)) => {
                    // It is said where it belongs, between the messages.
                    flush(&mut output)?;
                    say(self.file.display(), error);
                    trouble = trouble.max(Some(kind(error)));
                }
            }
        }
        flush(&mut output)?;
        match trouble {
            Some(kind) => Err(Failure::Said(kind)),
            None if printed == 0 => Err(Failure::of(Kind::Empty, &self.file, "nothing is kept")),
            None => Ok(()),
        }
    }

    fn before(&self, position: Position) -> String {
        if self.positions { format!("{position}\t") } else { String::new() }
    }
}

fn flush(output: &mut Output) -> Result<(), Failure> {
    output.write().1.map_err(Failure::output)
}

fn kind(error: ReplayError) -> Kind {
    match error {
        ReplayError::Corrupt { .. } => Kind::Damaged,
        _ => Kind::Failed,
    }
}
