//! Who sends to the one that measures, or answers it: a thread of this process, or another process.

use super::clock::Relax;
use super::cores::{Cores, pin};
use super::latency::{Echo, Stamp};
use super::link::Channel;
use super::rings::{self, Channels, Homes, Name, Scratch};
use super::throughput::{Push, Sent};
use crate::failure::{Failure, Kind};
use clap::Args as ClapArgs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// The name of the hidden command with which the other process is started.
pub const COMMAND: &str = "bench-partner";

/// What to do with a channel. Durations are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    Push { batch: usize, lasts: u64 },
    Stamp { gap: u64, lasts: u64 },
    Echo,
}

impl Task {
    pub fn run(self, channel: &Channel, relax: Relax) -> Sent {
        match self {
            Task::Push { batch, lasts } => channel.give(Push { batch, lasts }),
            Task::Stamp { gap, lasts } => channel.give(Stamp { gap, lasts, relax }),
            Task::Echo => channel.give(Echo),
        }
    }

    fn to_line(self, channel: usize) -> String {
        match self {
            Task::Push { batch, lasts } => format!("{channel} push {batch} {lasts}\n"),
            Task::Stamp { gap, lasts } => format!("{channel} stamp {gap} {lasts}\n"),
            Task::Echo => format!("{channel} echo\n"),
        }
    }

    fn of_line(line: &str) -> Option<(usize, Task)> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        let task = match *words.get(1)? {
            "push" => Task::Push { batch: number(2)? as usize, lasts: number(3)? },
            "stamp" => Task::Stamp { gap: number(2)?, lasts: number(3)? },
            "echo" => Task::Echo,
            _ => return None,
        };
        Some((number(0)? as usize, task))
    }
}

/// The other process, which has every channel open that is not in memory. Killed when this is dropped.
pub struct Process {
    child: Child,
    tasks: ChildStdin,
    answers: Receiver<String>,
    names: Vec<Name>,
    /// Whether all would be over without it.
    needed: Arc<AtomicBool>,
}

const READY: &str = "ready";

impl Process {
    /// Returns when it has opened the channels: their files need no names any more, so that nothing stays behind however this ends.
    pub fn start(homes: &Homes, files: Vec<Scratch>) -> Result<Process, Failure> {
        let failed = |error: io::Error| Failure::new(Kind::Failed, "starting another process", error);
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg(COMMAND).arg("--file").arg(&homes.file);
        if let Some(tmpfs) = &homes.tmpfs {
            command.arg("--tmpfs").arg(tmpfs);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let tasks = child.stdin.take().expect("standard input is a pipe");
        let answers = child.stdout.take().expect("standard output is a pipe");
        let needed = Arc::new(AtomicBool::new(false));
        let at_end = {
            let needed = needed.clone();
            // We may be waiting for a message from it.
            move || {
                if needed.load(Ordering::Acquire) {
                    let _ = gone("it was killed").report();
                    std::process::exit(Kind::Failed as i32);
                }
            }
        };
        let answers = lines(BufReader::new(answers), at_end);
        let process = Process { child, tasks, answers, names: homes.names(), needed };
        match process.answers.recv().as_deref() {
            Ok(READY) => {}
            _ => return Err(gone("it ended before it had begun")),
        }
        drop(files);
        process.needed.store(true, Ordering::Release);
        Ok(process)
    }

    pub fn order(&mut self, name: Name, task: Task) -> Result<(), Failure> {
        let channel = self.names.iter().position(|&known| known == name).expect("every channel has a number");
        self.tasks.write_all(task.to_line(channel).as_bytes()).map_err(gone)
    }

    pub fn answer(&self) -> Result<Sent, Failure> {
        let line = self.answers.recv().map_err(gone)?;
        let numbers = line.split_once(' ').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let (begun, count) = numbers.ok_or_else(|| gone(line))?;
        Ok(Sent { begun, count })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.needed.store(false, Ordering::Release);
        // Neither does anything to one that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gone(why: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Failed, COMMAND, why)
}

/// What is said line by line, by way of a thread that also sees the end of it.
fn lines(input: impl BufRead + Send + 'static, at_end: impl FnOnce() + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in input.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
        at_end();
    });
    receiver
}

/// A part of `ringfile bench`, which starts it
#[derive(ClapArgs)]
pub struct Args {
    #[arg(long)]
    file: PathBuf,
    #[arg(long)]
    tmpfs: Option<PathBuf>,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let homes = Homes { tmpfs: self.tmpfs, file: self.file };
        let cores = Cores::choose();
        let relax = Relax { yields: cores.is_one(), pauses: 0 };
        let channels: Channels = rings::attach(&homes, relax)?;
        // If the other is gone, however, so are we, whatever we wait for.
        let tasks = lines(BufReader::new(io::stdin()), || std::process::exit(0));
        pin(cores.there);
        reply(READY)?;
        let names = homes.names();
        while let Ok(line) = tasks.recv() {
            let task = Task::of_line(&line).and_then(|(number, task)| Some((names.get(number)?, task)));
            let Some((channel, task)) = task.and_then(|(name, task)| Some((channels.get(name)?, task)))
            else {
                return Err(Failure::new(Kind::Usage, COMMAND, format_args!("no task: {line}")));
            };
            let Sent { begun, count } = task.run(channel, relax);
            reply(&format!("{begun} {count}"))?;
        }
        Ok(())
    }
}

fn reply(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Failure::output)
}
