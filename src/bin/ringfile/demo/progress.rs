//! How far a demo has come: a line that is written again and again, or many where the output is no terminal.

use crate::size::grouped;
use ringfile::Queue;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// What was shown last, and when the next is due.
pub struct Progress {
    terminal: bool,
    begin: Instant,
    next: Instant,
    /// When, and how many messages had been popped by then.
    last: (Instant, u64),
}

impl Progress {
    pub fn new() -> Progress {
        let now = Instant::now();
        let mut progress =
            Progress { terminal: io::stderr().is_terminal(), begin: now, next: now, last: (now, 0) };
        progress.next += progress.every();
        progress
    }

    fn every(&self) -> Duration {
        Duration::from_millis(if self.terminal { 100 } else { 1000 })
    }

    /// Shows it if it is time.
    pub fn show(&mut self, queue: &Queue) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + self.every();
        let stats = queue.stats();
        let popped = stats.groups.first().map_or(0, |group| group.frontier);
        let rate = (popped - self.last.1) as f64 / (now - self.last.0).as_secs_f64();
        self.last = (now, popped);
        let line = format!(
            "{:>6.1} s  pushed {:>13}  popped {:>13}  depth {:>9}  {:>11}/s",
            (now - self.begin).as_secs_f64(),
            grouped(stats.tail),
            grouped(popped),
            grouped(stats.tail.saturating_sub(popped)),
            grouped(rate as u64),
        );
        let (before, after) = if self.terminal { ("\r", "\x1b[K") } else { ("", "\n") };
        // That nobody looks is no reason to stop.
        let _ = write!(io::stderr(), "{before}{line}{after}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            // What comes next begins on an empty line.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
