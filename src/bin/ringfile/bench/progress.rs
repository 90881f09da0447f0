//! What is being measured: a line that is written again and again, if standard error is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

pub struct Progress {
    terminal: bool,
    begun: Instant,
    lasts: Duration,
}

impl Progress {
    pub fn new(lasts: Duration) -> Progress {
        Progress { terminal: io::stderr().is_terminal(), begun: Instant::now(), lasts }
    }

    pub fn show(&mut self, rounds: usize, what: &str) {
        if self.terminal {
            let (passed, lasts) = (self.begun.elapsed().as_secs(), self.lasts.as_secs());
            // That nobody looks is no reason to stop.
            let _ = write!(io::stderr(), "\r{passed} of {lasts} s, round {}: {what}\x1b[K", rounds + 1);
        }
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
