//! `ringfile stat`: where everything stands.

mod json;
mod pace;
mod text;

use crate::failure::{Failure, observe, print};
use crate::size;
use clap::Args as ClapArgs;
use pace::Pace;
use ringfile::{Observer, Role, Stats};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Show how much is in the ring, where its groups stand, who works on it, and what holds it up
///
/// The figures are exact while nobody works on the ring, and a moment old otherwise. Nothing is popped, and nothing changed: the right to read the file
/// is enough. So who was killed is shown as well, until somebody opens or recovers the ring.
#[derive(ClapArgs)]
#[command(
    override_usage = "ringfile stat <FILE> [OPTIONS]",
    after_long_help = "\
Examples:
  ringfile stat jobs.ring
  ringfile stat jobs.ring --json | jq .groups[].len
  ringfile stat jobs.ring --watch 5"
)]
pub struct Args {
    /// The ring
    file: PathBuf,

    /// Answer in JSON
    #[arg(long)]
    json: bool,

    /// Show it again every so many seconds [default: 1], with how much was pushed and finished a second
    ///
    /// Until this is interrupted, or nobody reads it any more. With --json, each answer is one line.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = interval)]
    watch: Option<Duration>,
}

/// What is shown.
struct View<'a> {
    file: &'a Path,
    stats: &'a Stats,
    /// How fast it goes, for those who watch.
    pace: Option<Pace>,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let observer = observe(&self.file)?;
        match self.watch {
            Some(every) => self.watch(&observer, every),
            None => {
                let view = View { file: &self.file, stats: &observer.stats(), pace: None };
                print(&if self.json { format!("{:#}\n", json::of(&view)) } else { text::of(&view) })
            }
        }
    }

    /// Shows it again and again, and ends only with a failure.
    fn watch(&self, observer: &Observer, every: Duration) -> Result<(), Failure> {
        let mut last: Option<(Stats, Instant)> = None;
        loop {
            let (stats, now) = (observer.stats(), Instant::now());
            let before = last.as_ref().map(|(stats, then)| (stats, now - *then));
            let pace = Some(Pace::since(before, &stats));
            let view = View { file: &self.file, stats: &stats, pace };
            print(&if self.json {
                format!("{}\n", json::of(&view))
            } else {
                format!("{}{}", between(last.is_none()), text::of(&view))
            })?;
            last = Some((stats, now));
            sleep(every);
        }
    }
}

/// What stands between two views: a terminal shows one at a time.
fn between(is_first: bool) -> &'static str {
    match (io::stdout().is_terminal(), is_first) {
        (true, _) => "\x1b[H\x1b[2J",
        (false, true) => "",
        (false, false) => "\n",
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = size::parse_seconds(text).ok().filter(|interval| !interval.is_zero());
    interval
        .ok_or_else(|| "expected a number of seconds such as 5 or 0.25; the ring comes before it".to_owned())
}

/// The messages that the slowest group has not finished. What drains will never consume its own.
fn depth(stats: &Stats) -> u64 {
    let groups = stats.groups.iter().filter(|group| !group.is_draining);
    groups.map(|group| group.len as u64).max().unwrap_or(0)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Producer => "producer",
        Role::Consumer => "consumer",
        // Taking its slot or leaving it; or something that this program does not know yet.
        _ => "unknown",
    }
}

/// The name of the group with this number.
fn group_name(stats: &Stats, number: Option<usize>) -> Option<&str> {
    stats.groups.iter().find(|group| Some(group.number) == number).map(|group| group.name.as_str())
}
