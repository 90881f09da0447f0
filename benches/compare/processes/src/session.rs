//! Two processes at work on queues, each this program once more, each on a core of its own.
//!
//! The one that starts them opens no queue and sleeps meanwhile. Whichever of the two fails first says why; a wrong count is a panic.

use crate::contenders::{Contender, find};
use crate::control::{Control, now};
use crate::mapping::anonymous;
use crate::place::Place;
use crate::queues::{Link, Refusal, Shape};
use harness::message::Tally;
use harness::probe;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    Throughput,
    RoundTrip,
    WakeUp,
    /// The sender is killed while it holds a claim.
    ConsumerKilled,
    /// The same, holding a reservation.
    ProducerKilled,
}

impl Task {
    /// A queue there, and perhaps one back.
    fn queues(self) -> usize {
        if self == Task::RoundTrip { 2 } else { 1 }
    }
}

/// Which of the two, and so on which core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    Sender,
    Receiver,
}

/// The argument before a [`Job`].
pub const FLAG: &str = "--job";
/// How long a process may live, in seconds.
const PATIENCE: u32 = 30;

/// What a process is started for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    task: Task,
    side: Side,
    contender: String,
    size: usize,
    ring: usize,
    messages: u64,
    control: RawFd,
    queues: Vec<(PathBuf, Vec<RawFd>)>,
}

/// A process's part in a measurement.
pub struct Part {
    pub task: Task,
    pub side: Side,
    pub messages: u64,
    pub control: Control,
    pub links: Vec<Link>,
}

/// The two at work.
pub struct Session {
    pub control: Control,
    /// Those that have not ended, the sender first.
    children: Vec<Running>,
    _place: Place,
}

impl Session {
    pub fn start(task: Task, contender: &Contender, shape: Shape, messages: u64) -> Result<Session, Refusal> {
        let place = Place::new()?;
        let file = anonymous(Control::LEN)?;
        let mut links = Vec::new();
        for queue in 0..task.queues() {
            let mut link = Link { shape, dir: place.dir(&queue.to_string())?, files: Vec::new() };
            link.files = (contender.prepare)(&link)?;
            links.push(link);
        }
        links.iter().flat_map(|link| &link.files).chain([&file]).try_for_each(inherit)?;
        let numbers = |link: &Link| (link.dir.clone(), link.files.iter().map(AsRawFd::as_raw_fd).collect());
        let job = Job {
            task,
            side: Side::Sender,
            contender: contender.name.into(),
            size: shape.size,
            ring: shape.ring,
            messages,
            control: file.as_raw_fd(),
            queues: links.iter().map(numbers).collect(),
        };
        let mut children = Vec::new();
        for side in [Side::Sender, Side::Receiver] {
            children.push(job.clone().start(side)?);
        }
        Ok(Session { control: Control::new(&file)?, children, _place: place })
    }

    /// Sleeps until all of them have ended.
    pub fn finish(&mut self) -> Result<(), Refusal> {
        while !self.children.is_empty() {
            let pid = next_to_end()?;
            let ended = self.children.iter().position(|child| child.0.id() == pid);
            self.children.swap_remove(ended.expect("there are no other children")).finish()?;
        }
        Ok(())
    }

    /// An error if one of them has ended already.
    pub fn check(&mut self) -> Result<(), Refusal> {
        for index in 0..self.children.len() {
            if self.children[index].0.try_wait()?.is_some() {
                self.children.swap_remove(index).finish()?;
                return Err("a process ended too early".into());
            }
        }
        Ok(())
    }

    /// Kills the sender. Returns when that was begun.
    pub fn kill_sender(&mut self) -> io::Result<u64> {
        let mut sender = self.children.remove(0);
        let begun = now();
        sender.0.kill()?;
        sender.0.wait()?;
        Ok(begun)
    }
}

/// Sends so many messages from process to process.
pub fn run(task: Task, contender: &Contender, shape: Shape, messages: u64) -> Result<Control, String> {
    let outcome = Session::start(task, contender, shape, messages).and_then(|mut session| {
        session.finish()?;
        Ok(session.control)
    });
    let control = outcome.map_err(|refusal| explain(&refusal, shape))?;
    let Tally { count, sum } = Tally::expected(messages, shape.size);
    let queues = task.queues() as u64;
    let expected = Tally { count: count * queues, sum: sum.wrapping_mul(queues) };
    assert_eq!(control.tally(), expected, "{} {task:?} {shape:?}", contender.name);
    Ok(control)
}

/// Why a contender takes no part with messages of this size.
pub fn explain(refusal: &Refusal, shape: Shape) -> String {
    format!("{} B, ring {}: {}", shape.size, shape.ring, refusal.to_string().trim())
}

/// Lets processes that are started from now on have the file.
fn inherit(file: &OwnedFd) -> io::Result<()> {
    // SAFETY: takes no pointers.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sleeps until one of the children has ended, and leaves it to be waited for.
fn next_to_end() -> io::Result<u32> {
    // SAFETY: all zeroes are a value of the struct.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the struct outlives the call.
    if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOWAIT) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: this is what a child's end fills in.
    Ok(unsafe { info.si_pid() } as u32)
}

/// A child that does not outlive this.
struct Running(Child);

impl Running {
    fn finish(mut self) -> Result<(), Refusal> {
        let status = self.0.wait()?;
        if status.success() {
            return Ok(());
        }
        let mut reason = String::new();
        self.0.stderr.take().expect("piped").read_to_string(&mut reason)?;
        Err(if reason.is_empty() { status.to_string() } else { reason }.into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended and was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Job {
    fn start(mut self, side: Side) -> Result<Running, Refusal> {
        self.side = side;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(FLAG).arg(serde_json::to_string(&self)?);
        Ok(Running(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?))
    }
}

/// What a process does that was started for a job.
pub fn work(job: &str) -> Result<(), Refusal> {
    // SAFETY: neither takes pointers. A process that hangs ends, and one whose starter is gone.
    unsafe {
        libc::alarm(PATIENCE);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    let job: Job = serde_json::from_str(job)?;
    probe::pin(match job.side {
        Side::Sender => 0,
        Side::Receiver => 1,
    });
    // SAFETY: the starter made these for this process, where nobody else owns them.
    let own = |fd: RawFd| unsafe { OwnedFd::from_raw_fd(fd) };
    let shape = Shape { ring: job.ring, size: job.size };
    let link = |(dir, files): (PathBuf, Vec<RawFd>)| Link {
        shape,
        dir,
        files: files.into_iter().map(own).collect(),
    };
    let contender = find(job.task, job.size, &job.contender).ok_or("no such contender")?;
    (contender.play)(Part {
        task: job.task,
        side: job.side,
        messages: job.messages,
        control: Control::new(&own(job.control))?,
        links: job.queues.into_iter().map(link).collect(),
    })
}
