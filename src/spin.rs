//! Looking before sleeping: how soon, how often, for how long, and what a handle learns from it.
//!
//! How a consumer waits for a message matters as much as how it claims one. `docs/protocol.md`, section 9.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

/// How a waiting call looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Whether it seems worth while: reads only what is written when it is.
    Glance,
    /// At everything, the words included that others work with.
    Whole,
}

/// What a handle has learned about how to wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// For how many PAUSEs it lets the others go ahead before its first look: as long as that brings more than it waited for. Who looks at once, and again and
    /// again, fetches the very lines that the others are writing, and slows them down to one message at a time.
    pauses: u32,
    /// Whether it goes on looking for as long as a sleep and a wake-up take: its last sleep was no longer than that. Otherwise two that answer each other
    /// would find each other asleep for ever.
    stays_up: bool,
}

impl Patience {
    const MOST: u32 = 16;
    /// A sleep and a wake-up, and the other's.
    const SHORT: Duration = Duration::from_micros(100);

    /// After a wait: whether there was more to have than one.
    pub fn learn(&mut self, more: bool) {
        self.pauses = if more { (2 * self.pauses + 1).min(Patience::MOST) } else { self.pauses / 2 };
    }

    /// After a wait that was a sleep in the end.
    pub fn learn_from_sleep(&mut self, begun: Option<Instant>) {
        self.stays_up = begun.is_some_and(|begun| begun.elapsed() < 2 * Patience::SHORT);
    }
}

/// The looks before a sleep.
pub struct Spin {
    patience: Patience,
    step: u32,
    /// When it began to let others run.
    pub begun: Option<Instant>,
}

impl Spin {
    /// Glances without a PAUSE: what comes within a hundred nanoseconds is met at once.
    const EAGER: u32 = 32;
    /// Then each is followed by twice the PAUSEs,
    const PAUSED: u32 = Spin::EAGER + 7;
    /// and then others may run.
    const OVER: u32 = Spin::PAUSED + 4;

    pub fn new(patience: Patience) -> Spin {
        Spin { patience, step: 0, begun: None }
    }

    pub fn is_over(&self) -> bool {
        self.step >= Spin::OVER
            && !(self.patience.stays_up && self.begun.is_some_and(|begun| begun.elapsed() < Patience::SHORT))
    }

    /// Waits, and says how to look then.
    pub fn next(&mut self) -> Look {
        let step = self.step;
        self.step = (step + 1).min(Spin::OVER);
        match step {
            0 => (0..self.patience.pauses).for_each(|_| spin_loop()),
            1..Spin::EAGER => {}
            Spin::EAGER..Spin::PAUSED => (0..1 << (step - Spin::EAGER)).for_each(|_| spin_loop()),
            _ => {
                self.begun.get_or_insert_with(Instant::now);
                std::thread::yield_now();
            }
        }
        if step < Spin::EAGER { Look::Glance } else { Look::Whole }
    }
}
