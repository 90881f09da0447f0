//! A single measurement, of ringfile or of its floor.

use super::clock::{Relax, now};
use super::cores::{Cores, pin};
use super::latency::{Nanos, Ping, Record};
use super::link::Channel;
use super::partner::{Process, Task};
use super::rings::{self, Channels, Home, Homes, Name, Purpose, Scratch};
use super::throughput::{Alternate, Pop, Sent, Tally};
use crate::failure::{Failure, Kind};
use memmap2::MmapRaw;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    OneThread,
    TwoThreads,
    TwoProcesses,
}

/// A cell of the table of throughputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub shape: Shape,
    /// Messages to a call.
    pub batch: usize,
    pub size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delay {
    /// Between two processes that spin.
    RoundTrip,
    /// From a thread to another, between processes where there is a file; that one is being written to the disk meanwhile.
    OneWay,
    /// Between two processes.
    WakeUp,
}

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    Floor,
    Ring(Home),
}

/// How long measurements last, in nanoseconds.
#[derive(Clone, Copy)]
pub struct Lengths {
    pub throughput: u64,
    pub one_way: u64,
    pub round_trip: u64,
    pub wake_up: u64,
    pub page: u64,
}

/// A message is due so often. Queues are empty in between.
const GAP: u64 = 2_000;
/// Time enough to fall asleep.
const GAP_ASLEEP: u64 = 200_000;
const WRITE_BACK_EVERY: Duration = Duration::from_millis(100);

pub struct Bench {
    pub cores: Cores,
    pub homes: Homes,
    relax: Relax,
    channels: Channels,
    process: Process,
    /// The file of the ring whose messages are timed.
    written: File,
    page: MmapRaw,
}

impl Bench {
    /// Makes everything that is needed; this thread stays on its core from now on.
    pub fn prepare(directory: &Path) -> Result<Bench, Failure> {
        let cores = Cores::choose();
        let relax = Relax { yields: cores.is_one(), pauses: 0 };
        let unusable = |error| {
            Failure::of(
                Kind::Failed,
                directory,
                format_args!("no file can be made here ({error}): choose another directory with --dir"),
            )
        };
        let file = Scratch::create(directory).map_err(unusable)?;
        let tmpfs = Scratch::create(Path::new("/dev/shm")).ok();
        let homes = Homes {
            tmpfs: tmpfs.as_ref().map(|tmpfs| tmpfs.path().to_owned()),
            file: file.path().to_owned(),
        };
        let page = rings::zeroes(&file.path().join("page"), 4096)
            .and_then(|file| {
                file.sync_all()?;
                MmapRaw::map_raw(&file)
            })
            .map_err(unusable)?;
        let channels = rings::create(&homes, relax)?;
        let written = homes.open_file(Name { raw: false, home: Home::File, purpose: Purpose::Latency })?;
        let process = Process::start(&homes, [Some(file), tmpfs].into_iter().flatten().collect())?;
        pin(cores.here);
        Ok(Bench { cores, homes, relax, channels, process, written, page })
    }

    /// Nanoseconds for a message, if it is measured at all.
    pub fn throughput(
        &mut self,
        cell: Cell,
        contender: Contender,
        lasts: u64,
    ) -> Result<Option<f64>, Failure> {
        let Cell { shape, batch, size } = cell;
        let Some(name) = self.name(contender, shape == Shape::TwoProcesses, Purpose::Throughput(size)) else {
            return Ok(None);
        };
        let (sent, (ended, tally)) = match shape {
            Shape::OneThread => self.channels[&name].give(Alternate { batch, lasts }),
            _ => self.together(shape, name, Task::Push { batch, lasts }, |c| c.give(Pop { batch }))?,
        };
        check(tally == Tally::expected(sent.count, size), name)?;
        Ok(Some((ended - sent.begun) as f64 / sent.count as f64))
    }

    /// How long messages were on their way, if that is measured.
    pub fn delay(
        &mut self,
        delay: Delay,
        contender: Contender,
        lengths: &Lengths,
    ) -> Result<Option<Nanos>, Failure> {
        let between = match contender {
            Contender::Ring(Home::Memory) => Shape::TwoThreads,
            Contender::Floor if delay == Delay::OneWay => Shape::TwoThreads,
            _ => Shape::TwoProcesses,
        };
        let purpose = if delay == Delay::WakeUp { Purpose::WakeUp } else { Purpose::Latency };
        let Some(name) = self.name(contender, between == Shape::TwoProcesses, purpose) else {
            return Ok(None);
        };
        let one_way = Task::Stamp { gap: GAP, lasts: lengths.one_way };
        let (sent, found) = match delay {
            Delay::RoundTrip => {
                let ping = Ping { lasts: lengths.round_trip };
                self.together(between, name, Task::Echo, |channel| channel.give(ping))?
            }
            Delay::OneWay if name.home == Home::File => {
                let file = self.written.try_clone().map_err(|e| Failure::new(Kind::Failed, "file", e))?;
                let cores = self.cores;
                self.together(between, name, one_way, |channel| {
                    written_back(&file, cores, || channel.give(Record))
                })?
            }
            Delay::OneWay => self.together(between, name, one_way, |channel| channel.give(Record))?,
            Delay::WakeUp => {
                let task = Task::Stamp { gap: GAP_ASLEEP, lasts: lengths.wake_up };
                self.together(between, name, task, |channel| channel.give(Record))?
            }
        };
        // The first round trip is not timed.
        let untimed = u64::from(delay == Delay::RoundTrip);
        check(found.len() + untimed == sent.count, name)?;
        Ok(Some(found))
    }

    /// Nanoseconds in which a page that was written to is on the disk.
    pub fn page(&self, lasts: u64) -> Result<f64, Failure> {
        let mut times = Vec::new();
        let begun = now();
        let mut last = begun;
        while last - begun < lasts || times.is_empty() {
            // SAFETY: inside the mapping, which nobody else has.
            unsafe { self.page.as_mut_ptr().write_volatile(times.len() as u8 + 1) };
            self.page.flush().map_err(|error| Failure::new(Kind::Failed, "msync", error))?;
            let end = now();
            times.push((end - last) as f64);
            last = end;
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }

    /// The channel, if there is such.
    fn name(&self, contender: Contender, between_processes: bool, purpose: Purpose) -> Option<Name> {
        let (raw, home) = match contender {
            Contender::Floor => (true, if between_processes { self.homes.shared() } else { Home::Memory }),
            Contender::Ring(home) => (false, home),
        };
        let name = Name { raw, home, purpose };
        let is_between = !between_processes || home != Home::Memory;
        (is_between && self.channels.contains_key(&name)).then_some(name)
    }

    /// Has the partner do its part while this thread does another.
    fn together<T>(
        &mut self,
        between: Shape,
        name: Name,
        task: Task,
        here: impl FnOnce(&Channel) -> T,
    ) -> Result<(Sent, T), Failure> {
        let channel = &self.channels[&name];
        let done = if between == Shape::TwoProcesses {
            self.process.order(name, task)?;
            let found = here(channel);
            (self.process.answer()?, found)
        } else {
            let (cores, relax) = (self.cores, self.relax);
            thread::scope(|scope| {
                let there = scope.spawn(move || {
                    pin(cores.there);
                    task.run(channel, relax)
                });
                let found = here(channel);
                (there.join().expect("the sender does not panic"), found)
            })
        };
        channel.reopen();
        Ok(done)
    }
}

/// A figure of messages that did not arrive is none.
fn check(arrived: bool, name: Name) -> Result<(), Failure> {
    if arrived {
        return Ok(());
    }
    let what = format!("{} {:?}", name.home.name(), name.purpose);
    Err(Failure::new(Kind::Failed, what, "what arrived is not what was sent"))
}

/// Does something while all that was written to a file is brought to the disk again and again.
fn written_back<T>(file: &File, cores: Cores, doing: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            cores.roam();
            loop {
                // Where that cannot be done, nothing is written back; it will not fail in the middle.
                let _ = file.sync_data();
                if is_done.recv_timeout(WRITE_BACK_EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        let did = doing();
        drop(done);
        did
    })
}
