//! From the death of a process to the message that another one has waited for.
//!
//! The victim holds the first message of a ring: claimed, or reserved with one published behind it. The survivor blocks for it, and the victim is killed.

use crate::contenders::{Contender, PIDFD};
use crate::control::{now, wait_for};
use crate::queues::{Link, Refusal, Shape, Spin, Waits, open};
use crate::session::{Part, Session, Side, Task, explain};
use harness::Histogram;
use harness::message::Tally;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// What the survivor is to find.
const NUMBER: u64 = 0x5eed;
const SHAPE: Shape = Shape { ring: 1024, size: 8 };
/// How long the survivor has been waiting when the victim is killed, at least: it certainly sleeps, unless it spins.
const BLOCKED: Duration = Duration::from_millis(2);
/// Deaths come at any time between two looks of a sleeper.
const JITTER: Duration = Duration::from_micros(523);

/// Nanoseconds from kill to delivery, so many times.
pub fn measure(task: Task, contender: &Contender, deaths: u32) -> Result<Histogram<u64>, String> {
    let mut recorded = Histogram::new(3).expect("three digits are possible");
    for death in 0..deaths {
        let nanos = die(task, contender, death).map_err(|refusal| explain(&refusal, SHAPE))?;
        recorded.record(nanos).expect("without a limit");
    }
    Ok(recorded)
}

fn die(task: Task, contender: &Contender, death: u32) -> Result<u64, Refusal> {
    let mut session = Session::start(task, contender, SHAPE, 1)?;
    while session.control.blocked.load(Ordering::Acquire) == 0 {
        session.check()?;
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(BLOCKED + JITTER * (death % 10));
    let killed = session.kill_sender()?;
    session.finish()?;
    let control = &session.control;
    let expected = if contender.name == PIDFD { Tally::default() } else { Tally { count: 1, sum: NUMBER } };
    assert_eq!(control.tally(), expected, "{} {task:?}", contender.name);
    Ok(control.ended.load(Ordering::Relaxed).checked_sub(killed).expect("delivered while its holder lived"))
}

pub fn prepare(link: &Link) -> Result<Vec<OwnedFd>, Refusal> {
    open::<Spin>(link)?;
    Ok(Vec::new())
}

pub fn play<S: Survivor>(mut part: Part) -> Result<(), Refusal> {
    let link = part.links.remove(0);
    match part.side {
        Side::Sender => hold(part, &link),
        Side::Receiver => S::survive(part, &link),
    }
}

fn hold(Part { task, control, .. }: Part, link: &Link) -> Result<(), Refusal> {
    let queue = open::<Spin>(link)?;
    let (mut producer, mut other) = (queue.producer()?, queue.producer()?);
    let mut consumer = queue.consumer()?;
    let message = NUMBER.to_le_bytes();
    // Held until the end.
    let (_claim, _reservation);
    if task == Task::ConsumerKilled {
        producer.push(&message)?;
        _claim = consumer.claim()?;
    } else {
        _reservation = producer.reserve(message.len())?;
        other.push(&message)?;
    }
    control.victim.store(std::process::id().into(), Ordering::Release);
    loop {
        thread::park();
    }
}

/// Who waits.
pub trait Survivor {
    fn survive(part: Part, link: &Link) -> Result<(), Refusal>;
}

/// A consumer in a call that waits.
pub struct Blocked<W>(PhantomData<W>);

impl<W: Waits> Survivor for Blocked<W> {
    fn survive(Part { control, .. }: Part, link: &Link) -> Result<(), Refusal> {
        let queue = open::<W>(link)?;
        let mut consumer = queue.consumer()?;
        wait_for(&control.victim, |pid| pid != 0);
        control.blocked.store(1, Ordering::Release);
        let message = consumer.claim()?;
        control.ended.store(now(), Ordering::Relaxed);
        let mut tally = Tally::default();
        tally.see(&message);
        message.ack()?;
        control.report(tally);
        Ok(())
    }
}

/// Nobody in the ring: when the kernel says that the process is gone.
pub struct Pidfd;

impl Survivor for Pidfd {
    fn survive(Part { control, .. }: Part, _: &Link) -> Result<(), Refusal> {
        let pid = wait_for(&control.victim, |pid| pid != 0);
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error().into());
        }
        // SAFETY: it was just made and is nobody else's.
        let process = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
        let mut poll = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        control.blocked.store(1, Ordering::Release);
        // SAFETY: one struct, which outlives the call.
        if unsafe { libc::poll(&raw mut poll, 1, -1) } != 1 {
            return Err(io::Error::last_os_error().into());
        }
        control.ended.store(now(), Ordering::Relaxed);
        Ok(())
    }
}
