//! The worker processes of a demo, from their start to their end.

use super::progress::Progress;
use super::workshop::Workshop;
use super::{Args, CONSUMER, PRODUCER};
use crate::failure::{Failure, Kind};
use ringfile::Queue;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// All workers. Those that still run when it is dropped are killed.
pub struct Crew {
    producers: Vec<Worker>,
    consumers: Vec<Worker>,
}

struct Worker {
    process: Child,
    /// Open as long as the demo lives: its end tells the worker to go.
    line: ChildStdin,
    name: String,
}

/// How often to look after the workers. The time that they take is measured by themselves.
const LOOK: Duration = Duration::from_millis(2);

impl Crew {
    /// Starts this program again, once for each worker.
    pub fn start(demo: &Args, workshop: &Workshop, ring: &Path) -> Result<Crew, Failure> {
        let start = |command, count| {
            let workers = (0..count).map(|number| Worker::start(demo, workshop, ring, command, number));
            workers
                .collect::<io::Result<Vec<Worker>>>()
                .map_err(|error| Failure::new(Kind::Failed, "starting a worker", error))
        };
        let mut crew = Crew { producers: Vec::new(), consumers: Vec::new() };
        crew.consumers = start(CONSUMER, demo.consumers)?;
        crew.producers = start(PRODUCER, demo.producers)?;
        Ok(crew)
    }

    /// Waits until all of them are ready.
    pub fn gather(&mut self, queue: &Queue) -> Result<(), Failure> {
        while queue.stats().participants.len() < self.producers.len() + self.consumers.len() {
            for worker in self.producers.iter_mut().chain(&mut self.consumers) {
                if worker.has_finished()? {
                    return Err(worker.failure("it ended before its work began"));
                }
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Lets them begin.
    pub fn go(&mut self) -> Result<(), Failure> {
        for worker in self.consumers.iter_mut().chain(&mut self.producers) {
            let told = worker.line.write_all(b"!");
            told.map_err(|error| worker.failure(error))?;
        }
        Ok(())
    }

    /// Looks on until everything is pushed, then closes the queue and waits until everything is popped.
    pub fn finish(&mut self, queue: &Queue, mut progress: Progress) -> Result<(), Failure> {
        loop {
            // Both, so that a consumer's end is noticed while producers wait for it.
            let popped = all_finished(&mut self.consumers)?;
            let pushed = all_finished(&mut self.producers)?;
            if popped && pushed {
                return Ok(());
            }
            if pushed {
                queue.close();
            }
            progress.show(queue);
            std::thread::sleep(LOOK);
        }
    }
}

fn all_finished(workers: &mut [Worker]) -> Result<bool, Failure> {
    workers.iter_mut().try_fold(true, |all, worker| Ok(worker.has_finished()? && all))
}

impl Worker {
    fn start(
        demo: &Args,
        workshop: &Workshop,
        ring: &Path,
        command: &str,
        number: u32,
    ) -> io::Result<Worker> {
        let report = File::create(workshop.report(command, number))?;
        let mut start = Command::new(std::env::current_exe()?);
        start
            .arg(command)
            .arg("--workshop")
            .arg(workshop.path())
            .arg("--ring")
            .arg(ring)
            .arg(format!("--number={number}"))
            .arg(format!("--producers={}", demo.producers))
            .arg(format!("--messages={}", demo.messages));
        if let Some(seconds) = demo.seconds {
            start.arg(format!("--seconds={}", seconds.as_secs_f64()));
        }
        let mut process = start
            .stdin(Stdio::piped())
            .stdout(report)
            // A ctrl-C is for the demo alone: its workers outlive it by the moment that cleaning up takes.
            .process_group(0)
            .spawn()?;
        let line = process.stdin.take().expect("standard input is a pipe");
        Ok(Worker { process, line, name: format!("{command} {}", number + 1) })
    }

    /// Whether it has done its work; an error if it ended otherwise.
    fn has_finished(&mut self) -> Result<bool, Failure> {
        match self.process.try_wait() {
            Ok(None) => Ok(false),
            Ok(Some(status)) if status.success() => Ok(true),
            Ok(Some(status)) => Err(self.failure(status)),
            Err(error) => Err(self.failure(error)),
        }
    }

    fn failure(&self, message: impl std::fmt::Display) -> Failure {
        Failure::new(Kind::Failed, &self.name, message)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Neither does anything to one that has ended and was waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
