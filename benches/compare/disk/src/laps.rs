//! Pushes and pops in laps: a backlog is pushed, then popped, again and again, and each half has its own clock.

use crate::queues::Queue;
use harness::message::Tally;
use std::time::{Duration, Instant};

/// The longest backlog, which the caches of a core still hold, and the shortest, of queues that are slow.
pub const MOST: u64 = 256;
const LEAST: u64 = 20;

/// Nanoseconds.
pub struct Costs {
    pub push: f64,
    pub pop: f64,
}

struct Laps<'a> {
    queue: &'a mut dyn Queue,
    size: usize,
    pushed: u64,
    tally: Tally,
}

impl Laps<'_> {
    fn lap(&mut self, count: u64) -> (Duration, Duration) {
        let begun = Instant::now();
        self.queue.push_all(self.size, self.pushed..self.pushed + count);
        let pushed = Instant::now();
        self.queue.pop_all(count, &mut self.tally);
        self.pushed += count;
        (pushed - begun, pushed.elapsed())
    }

    /// Laps until nothing is new to the queue and a third of that time is over. Returns how many messages a lap shall have.
    fn warm_up(&mut self, lasts: Duration) -> u64 {
        let begun = Instant::now();
        let mut count = LEAST;
        while begun.elapsed() < lasts / 3 || self.pushed < 2 * self.queue.laps_after() {
            let (push, pop) = self.lap(count);
            if push + pop < lasts / 4 {
                count = MOST.min(2 * count);
            }
        }
        count
    }
}

/// What a push and a pop cost on average, over about that time.
pub fn run(queue: &mut dyn Queue, size: usize, lasts: Duration) -> Costs {
    let mut laps = Laps { queue, size, pushed: 0, tally: Tally::default() };
    let count = laps.warm_up(lasts);
    let (mut pushing, mut popping, mut messages) = (Duration::ZERO, Duration::ZERO, 0.0);
    while pushing + popping < lasts {
        let (push, pop) = laps.lap(count);
        pushing += push;
        popping += pop;
        messages += count as f64;
    }
    assert_eq!(laps.tally, Tally::expected(laps.pushed, size), "every message arrives once and whole");
    Costs { push: pushing.as_nanos() as f64 / messages, pop: popping.as_nanos() as f64 / messages }
}
