//! ringfile beside other queues of one process.
//!
//! ```text
//! cd benches/compare
//! cargo run --release -p ringfile-compare-memory -- --quick                 # a minute or two
//! cargo run --release -p ringfile-compare-memory -- 1P1C 64B               # what matches all of the words
//! cargo run --release -p ringfile-compare-memory -- --json memory.json --rounds 40 8B
//! cargo run --release -p ringfile-compare-memory -- --json memory.json --rounds 0    # what is known by now
//! cargo run --release -p ringfile-compare-memory -- growth                  # with what the cost grows
//! cargo run --release -p ringfile-compare-memory -- wake                    # how long sleepers take
//! ```
//!
//! A figure is the median over the rounds of the nanoseconds per message (one message is one push and one pop), and of the ratio to the baseline's time
//! *in the same round*. Each measurement is on a fresh queue that has been gone round once, and as long as its contender needs for about 15
//! ms. Every message is counted and its contents are summed. Who takes part, and how each of them waits, is in `contenders`.

mod contenders;
mod grid;
mod growth;
mod measure;
mod summary;
mod wake;

use clap::{Parser, Subcommand};
use harness::{Options, Report, rounds};

/// ringfile beside other queues of one process
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// How the cost of a message grows with sizes, participants, groups and guarantees
    Growth {
        #[command(flatten)]
        options: Options,
        /// Files of up to 16 GiB, too
        #[arg(long)]
        large: bool,
    },
    /// How long a sleeping consumer takes to have a message
    Wake {
        #[command(flatten)]
        options: Options,
    },
}

fn main() {
    let Cli { command, options } = Cli::parse();
    let result = match command {
        None => {
            let report = Report::new("ns per message", contenders::BASELINE);
            compare(&options, report, grid::contests(&options), summary::summary)
        }
        Some(Command::Growth { options, large }) => {
            let contests = growth::contests(&options, large);
            compare(&options, growth::report(), contests, |_| String::new())
        }
        Some(Command::Wake { options }) => {
            compare(&options, wake::report(), wake::contests(&options), wake::summary)
        }
    };
    if let Err(error) = result {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn compare(
    options: &Options,
    mut report: Report,
    contests: Vec<rounds::Contest<'_>>,
    summary: impl Fn(&Report) -> String,
) -> Result<(), String> {
    rounds::run(options, &mut report, contests)?;
    print!("{}{}", report.tables(), summary(&report));
    Ok(())
}
