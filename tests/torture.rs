//! Killed and stopped at random: processes that do everything that the public interface offers, and a parent that kills, stops and replaces
//! them while they do.
//!
//! `RINGFILE_KILLS=n` kills so many, and stops a fourth as many; `RINGFILE_WORKERS=n` at a time. `RINGFILE_SEED=n` repeats the decisions of
//! a run: those of its processes, not the scheduler's.

mod common;
#[path = "torture/judge.rs"]
mod judge;
#[path = "torture/ledger.rs"]
mod ledger;
#[path = "torture/round.rs"]
mod round;
#[path = "torture/worker.rs"]
mod worker;

use common::{Child, Dir, Doing, HANGS, Random, Watchdog, now_ns, number_from, run_child, spawn};
use judge::Deaths;
use ledger::{Ledger, MESSAGES, Side};
use ringfile::{Position, Queue};
use round::{LIVELY, Round, says};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn child() {
    run_child(|role, args| {
        let ("work", [seed, workers, worker, pushes, path, ledger]) = (role, args) else {
            panic!("no role is {role} {args:?}");
        };
        let number = |text: &str| text.parse().expect("it is a number");
        let round = Round::new(number(seed), number(workers));
        worker::work(&round, number(worker), *pushes == "true", Path::new(path), Path::new(ledger));
    });
}

/// Kills of a round: so many deaths a queue goes through.
const KILLS: u64 = 25;

/// A worker, as its parent sees it.
struct Worker {
    number: u64,
    pushes: bool,
    child: Child,
    /// When it goes on, if it is stopped.
    stopped: Option<Instant>,
}

/// What a run amounts to.
#[derive(Default)]
struct Report {
    rounds: u64,
    kills: u64,
    pauses: u64,
    pushed: u64,
    finished: u64,
    redelivered: u64,
    excused: u64,
    letters: u64,
    crowded: u64,
    delays: [Vec<u64>; 2],
}

impl Report {
    fn add(&mut self, ledger: &Ledger, excused: u64) {
        self.rounds += 1;
        self.pushed += ledger.successes(Side::Push);
        self.finished += ledger.successes(Side::Pop);
        self.redelivered += ledger.redelivered();
        self.crowded += ledger.crowded();
        self.excused += excused;
        for side in [Side::Push, Side::Pop] {
            self.delays[side as usize].extend(ledger.delays(side));
        }
    }

    fn print(&mut self, seed: u64, took: Duration) {
        println!(
            "RINGFILE_SEED={seed}: {} kills and {} pauses in {} rounds, {took:.1?}; {} messages pushed, {} finished, {} handed out again, \
             {} set aside, {} finished by the dead; {} looks for a place that found none",
            self.kills,
            self.pauses,
            self.rounds,
            self.pushed,
            self.finished,
            self.redelivered,
            self.letters,
            self.excused,
            self.crowded
        );
        for (delays, what) in self.delays.iter_mut().zip(["push", "pop"]) {
            delays.sort();
            let at = |part: f64| {
                let place = (delays.len().saturating_sub(1) as f64 * part) as usize;
                Duration::from_nanos(delays.get(place).copied().unwrap_or(0))
            };
            println!(
                "from a kill to the next {what} of a living peer: p50 {:.1?}, p99 {:.1?}, max {:.1?}",
                at(0.5),
                at(0.99),
                at(1.0)
            );
        }
    }
}

/// Who kills.
struct Tormentor<'a> {
    /// First: where this fails, they are killed before their files go.
    workers: Vec<Worker>,
    round: Round,
    random: Random,
    dir: Dir,
    queue: Queue,
    ledger: Ledger,
    /// Workers so far.
    born: u64,
    deaths: Deaths,
    /// Where the dead letters came from that it has taken.
    letters: HashSet<Position>,
    report: &'a mut Report,
}

impl<'a> Tormentor<'a> {
    fn new(round: Round, report: &'a mut Report) -> Tormentor<'a> {
        let dir = Dir::new();
        let queue = round.options().open(dir.file("q")).expect("the queue opens");
        let ledger = Ledger::create(&dir.file("ledger"), round.seed);
        let random = Random(!round.seed);
        let (workers, deaths, letters) = (Vec::new(), Deaths::default(), HashSet::new());
        Tormentor { round, random, dir, queue, ledger, workers, born: 0, deaths, letters, report }
    }

    /// Else there would be no room for more, and the queue would fill up with them.
    fn take_letters(&mut self) {
        self.round.take_letters(&self.queue, &self.ledger, self.born, &mut self.letters);
    }

    /// As many workers as there are to be, at least one of each side.
    fn fill_up(&mut self) {
        while (self.workers.len() as u64) < self.round.workers {
            let pushing = self.workers.iter().filter(|worker| worker.pushes).count();
            let pushes = match (pushing, self.workers.len() - pushing) {
                (0, _) => true,
                (_, 0) => false,
                _ => self.random.below(2) == 0,
            };
            let number = self.born;
            self.born += 1;
            let (seed, workers) = (self.round.seed.to_string(), self.round.workers.to_string());
            let words = [seed, workers, number.to_string(), pushes.to_string()];
            let [seed, workers, name, side] = &words;
            let (path, ledger) = (self.dir.file("q"), self.dir.file("ledger"));
            let child = spawn("work", &[seed, workers, name, side, &path, &ledger]);
            self.workers.push(Worker { number, pushes, child, stopped: None });
        }
    }

    /// Kills one, stopped or not.
    fn kill(&mut self) {
        let victim = self.random.below(self.workers.len() as u64) as usize;
        let worker = self.workers.swap_remove(victim);
        self.must_be_there(&worker);
        self.ledger.doom(worker.number);
        let since = now_ns();
        worker.child.signal(libc::SIGKILL);
        self.ledger.await_success(since);
        worker.child.kill();
        self.deaths.add(&self.ledger, worker.number);
        self.report.kills += 1;
    }

    /// Nobody ends by himself.
    fn must_be_there(&self, worker: &Worker) {
        let (doing, number) = (worker.child.doing(), worker.number);
        assert_ne!(doing, Doing::Ended, "worker {number} failed: {}", says(&self.queue));
    }

    /// Stops one for a while that is much shorter than what counts as a hang.
    fn stop(&mut self) {
        let time = Duration::from_micros(100 << self.random.below(12));
        let victim = self.random.below(self.workers.len() as u64) as usize;
        let worker = &mut self.workers[victim];
        if worker.stopped.is_none() {
            worker.child.signal(libc::SIGSTOP);
            worker.stopped = Some(Instant::now() + time);
            self.report.pauses += 1;
        }
    }

    fn continue_those(&mut self, due: impl Fn(Instant) -> bool) {
        for worker in &mut self.workers {
            if worker.stopped.is_some_and(&due) {
                worker.child.signal(libc::SIGCONT);
                worker.stopped = None;
            }
        }
    }

    /// Whether somebody who is not stopped is there on each side.
    fn should_go_on(&self) -> bool {
        [true, false].iter().all(|&pushes| {
            self.workers.iter().any(|worker| worker.pushes == pushes && worker.stopped.is_none())
        })
    }

    /// Kills so many, unless the round's messages run out before.
    fn torment(&mut self, kills: u64) {
        let end = self.report.kills + kills;
        let (mut seen, mut moved) = (0, Instant::now());
        let mut next = Instant::now();
        self.fill_up();
        while self.report.kills < end && self.ledger.drawn() < MESSAGES / 2 {
            thread::sleep(Duration::from_micros(500));
            let now = Instant::now();
            self.continue_those(|until| until <= now);
            if now >= next {
                next = now + Duration::from_micros(self.random.below(70_000));
                self.take_letters();
                self.act(end - self.report.kills);
            }
            self.workers.iter().for_each(|worker| self.must_be_there(worker));
            let finished = self.ledger.successes(Side::Pop);
            if finished != seen || !self.should_go_on() {
                (seen, moved) = (finished, now);
            }
            assert!(moved.elapsed() < LIVELY, "nothing moves: {}", says(&self.queue));
        }
    }

    /// Mostly one dies, sometimes two or all.
    fn act(&mut self, most: u64) {
        if self.random.below(4) == 0 {
            return self.stop();
        }
        let count = match self.random.below(32) {
            0 => self.workers.len() as u64,
            1..5 => 2,
            _ => 1,
        };
        (0..count.min(most)).for_each(|_| self.kill());
        self.fill_up();
    }

    /// All end in peace, having finished what there is.
    fn close(&mut self) {
        self.queue.close();
        let consumes = self.workers.iter().any(|worker| !worker.pushes);
        let start = Instant::now();
        for mut worker in std::mem::take(&mut self.workers) {
            while worker.child.doing() != Doing::Ended {
                assert!(
                    start.elapsed() < LIVELY,
                    "worker {} goes on after the close: {}",
                    worker.number,
                    says(&self.queue)
                );
                self.take_letters();
                thread::sleep(Duration::from_micros(500));
            }
            let status = worker.child.end();
            assert!(status.success(), "worker {} failed: {status}", worker.number);
        }
        assert!(!consumes || self.queue.is_empty(), "closed, and not drained: {}", says(&self.queue));
        self.queue.reopen();
    }

    /// Everybody goes, one way or the other, and everything is accounted for.
    fn end(mut self) {
        self.continue_those(|_| true);
        if self.random.below(2) == 0 {
            self.close();
        } else {
            while !self.workers.is_empty() {
                self.kill();
            }
        }
        self.round.drain(&self.queue, &self.ledger, self.born, &mut self.letters);
        self.report.letters += self.letters.len() as u64;
        self.round.is_as_new(&self.queue);
        self.round.letters_are_as_new(&self.queue);
        let excused = self.deaths.judge(&self.ledger);
        self.report.add(&self.ledger, excused);
    }
}

#[test]
fn killed_and_stopped_at_random() {
    let (kills, workers) = (number_from("RINGFILE_KILLS", 200), number_from("RINGFILE_WORKERS", 6).max(2));
    let seed = number_from("RINGFILE_SEED", now_ns());
    println!("RINGFILE_SEED={seed}");
    let (start, mut report, mut random) = (Instant::now(), Report::default(), Random(seed));
    while report.kills < kills {
        // Both ways to claim, one after the other.
        let round = Round::new(random.next() & !1 | report.rounds & 1, workers);
        let _watchdog = Watchdog::new(HANGS, format!("RINGFILE_SEED={seed}, {round:?}"));
        let number = report.rounds;
        let play = AssertUnwindSafe(|| {
            let todo = KILLS.min(kills - report.kills);
            let mut tormentor = Tormentor::new(round, &mut report);
            tormentor.torment(todo);
            tormentor.end();
        });
        if let Err(cause) = catch_unwind(play) {
            eprintln!("that was RINGFILE_SEED={seed}, in round {number}: {round:?}");
            resume_unwind(cause);
        }
    }
    report.print(seed, start.elapsed());
}
