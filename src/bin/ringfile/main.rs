//! The command line: `ringfile create`, `push`, `pop`, `replay`, `rewind`, `rate`, `remove`, `stat`, `verify`, `recover`, `reap`, `sync`, `close`, `demo` and `bench`.
//!
//! Each command is a file of its own, with its options, its help and what it does. Here they are only told apart.

mod bench;
mod close;
mod create;
mod cut;
mod demo;
mod failure;
mod feed;
mod groups;
mod output;
mod pop;
mod push;
mod rate;
mod reap;
mod records;
mod recover;
mod remove;
mod replay;
mod rewind;
mod size;
mod stat;
mod sync;
mod verify;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

/// A lock-free message ring in one memory-mapped file.
///
/// Any number of processes push messages into the file and pop them from it at the same time. What was pushed stays in the file until it was
/// popped, whoever exits or is killed meanwhile. Those who pop belong to groups: each group gets every message, and its members share them.
#[derive(Parser)]
#[command(name = "ringfile", version, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ringfile demo                                  see it work, with nothing to set up
  ringfile create jobs.ring --capacity 16M
  ls | ringfile push jobs.ring                   each line is a message
  ringfile pop jobs.ring -n 1                    wait for one message and print it
  ringfile pop jobs.ring --follow | worker       print messages until the queue is closed
  ringfile pop jobs.ring --group audit           every group gets every message
  ringfile replay jobs.ring                      print what is kept, and consume nothing
  ringfile rewind jobs.ring --group audit        let the group have all of that again
  ringfile stat jobs.ring --watch                how much, how fast, and who holds it up
  ringfile sync jobs.ring                        have all of it on the disk
  ringfile close jobs.ring                       no more pushes; whoever follows ends
  ringfile bench --quick                         how fast it is on this machine

Exit codes:
  0 done, 1 failed, 2 wrong usage, 3 nothing there or timed out, 4 not a ring or damaged";

#[derive(Subcommand)]
enum Command {
    Create(create::Args),
    Push(push::Args),
    Pop(pop::Args),
    Replay(replay::Args),
    Rewind(rewind::Args),
    Rate(rate::Args),
    Remove(remove::Args),
    Stat(stat::Args),
    Verify(verify::Args),
    Recover(recover::Args),
    Reap(reap::Args),
    Sync(sync::Args),
    Close(close::Args),
    Demo(demo::Args),
    Bench(bench::Args),
    #[command(name = demo::PRODUCER, hide = true)]
    DemoProducer(demo::worker::Args),
    #[command(name = demo::CONSUMER, hide = true)]
    DemoConsumer(demo::worker::Args),
    #[command(name = bench::partner::COMMAND, hide = true)]
    BenchPartner(bench::partner::Args),
}

fn main() -> ExitCode {
    cut::say_when_it_happens();
    let done = match Cli::parse().command {
        Command::Create(args) => args.run(),
        Command::Push(args) => args.run(),
        Command::Pop(args) => args.run(),
        Command::Replay(args) => args.run(),
        Command::Rewind(args) => args.run(),
        Command::Rate(args) => args.run(),
        Command::Remove(args) => args.run(),
        Command::Stat(args) => args.run(),
        Command::Verify(args) => args.run(),
        Command::Recover(args) => args.run(),
        Command::Reap(args) => args.run(),
        Command::Sync(args) => args.run(),
        Command::Close(args) => args.run(),
        Command::Demo(args) => args.run(),
        Command::Bench(args) => args.run(),
        Command::DemoProducer(args) => args.produce(),
        Command::DemoConsumer(args) => args.consume(),
        Command::BenchPartner(args) => args.run(),
    };
    done.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}
