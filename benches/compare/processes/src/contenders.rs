//! Who takes part in what.

#[cfg(feature = "shaq5")]
use crate::queues::v5;
use crate::queues::{
    Adaptive, Copied, Eventfd, Events, Forward, Futex, InPlace, Link, MessageQueue, Moves, NonTemporal, Park,
    Pipe, Queue, Raw, Refusal, Samples, Socket, Spin, v4,
};
use crate::recovery::{self, Blocked, Pidfd, Survivor};
use crate::session::{Part, Task};
use crate::tasks;
use std::os::fd::OwnedFd;

pub struct Contender {
    pub name: &'static str,
    pub prepare: fn(&Link) -> Result<Vec<OwnedFd>, Refusal>,
    pub play: fn(Part) -> Result<(), Refusal>,
}

fn contender<Q: Queue>(name: &'static str) -> Contender {
    Contender { name, prepare: Q::prepare, play: tasks::play::<Q> }
}

pub const RINGFILE: &str = "ringfile Spin";
pub const RINGFILE_PARK: &str = "ringfile Park";
pub const RINGFILE_ADAPTIVE: &str = "ringfile Adaptive";
pub const RINGFILE_IN_PLACE: &str = "ringfile Spin zero-copy";
pub const FLOORS: [&str; 4] =
    ["floor: copy loop", "floor: copy, pausing", "floor: rep movsb, pausing", "floor: non-temporal, pausing"];
pub const SHAQ_MPMC: [&str; 2] = ["shaq 5.1 mpmc", "shaq 4.3 mpmc"];
pub const SHAQ_SPSC: [&str; 2] = ["shaq 5.1 spsc", "shaq 4.3 spsc"];
pub const ICEORYX2: &str = "iceoryx2";
pub const FUTEX: &str = "floor: futex";
/// How soon the kernel says that a process is dead.
pub const PIDFD: &str = "floor: pidfd";

/// One message to a call.
fn singles<const N: usize>() -> Vec<Contender> {
    vec![
        contender::<Raw<N, 0, Forward>>(FLOORS[0]),
        contender::<Copied<N, 1, Spin>>(RINGFILE),
        contender::<Copied<N, 1, Adaptive>>(RINGFILE_ADAPTIVE),
        contender::<InPlace<N>>(RINGFILE_IN_PLACE),
        #[cfg(feature = "shaq5")]
        contender::<v5::Mpmc<N, 1, false>>(SHAQ_MPMC[0]),
        #[cfg(feature = "shaq5")]
        contender::<v5::Spsc<N>>(SHAQ_SPSC[0]),
        contender::<v4::Mpmc<N, 1, false>>(SHAQ_MPMC[1]),
        contender::<v4::Spsc<N>>(SHAQ_SPSC[1]),
        contender::<Samples<N>>(ICEORYX2),
        contender::<Pipe<N>>("pipe"),
        contender::<Socket<N>>("socketpair"),
        contender::<MessageQueue<N>>("POSIX mq"),
    ]
}

fn streams<const N: usize>() -> Vec<Contender> {
    let mut contenders = singles::<N>();
    contenders.extend([
        contender::<Raw<N, 32, Forward>>(FLOORS[1]),
        contender::<Raw<N, 32, Moves>>(FLOORS[2]),
        contender::<Raw<N, 32, NonTemporal>>(FLOORS[3]),
    ]);
    if N <= 1024 {
        contenders.extend([
            contender::<Copied<N, 64, Spin>>("ringfile Spin by 64"),
            #[cfg(feature = "shaq5")]
            contender::<v5::Mpmc<N, 64, false>>("shaq 5.1 mpmc by 64"),
            contender::<v4::Mpmc<N, 64, false>>("shaq 4.3 mpmc by 64"),
        ]);
    }
    contenders
}

fn sleepers() -> Vec<Contender> {
    vec![
        contender::<Futex>(FUTEX),
        contender::<Eventfd>("eventfd"),
        contender::<Copied<8, 1, Park>>(RINGFILE_PARK),
        contender::<Copied<8, 1, Adaptive>>(RINGFILE_ADAPTIVE),
        #[cfg(feature = "shaq5")]
        contender::<v5::Mpmc<8, 1, true>>("shaq 5.1 mpmc futex"),
        contender::<v4::Mpmc<8, 1, true>>("shaq 4.3 mpmc futex"),
        contender::<Events>("iceoryx2 event"),
        contender::<Pipe<8>>("pipe"),
        contender::<Socket<8>>("socketpair"),
        contender::<MessageQueue<8>>("POSIX mq"),
    ]
}

/// Those who wait for what a killed process held.
fn survivors() -> Vec<Contender> {
    fn survivor<S: Survivor>(name: &'static str) -> Contender {
        Contender { name, prepare: recovery::prepare, play: recovery::play::<S> }
    }
    vec![
        survivor::<Pidfd>(PIDFD),
        survivor::<Blocked<Spin>>(RINGFILE),
        survivor::<Blocked<Adaptive>>(RINGFILE_ADAPTIVE),
        survivor::<Blocked<Park>>(RINGFILE_PARK),
    ]
}

pub const SIZES: [usize; 5] = [8, 64, 256, 1024, 64 << 10];

/// All that take part in a task with messages of this size.
pub fn all(task: Task, size: usize) -> Vec<Contender> {
    match (task, size) {
        (Task::Throughput, 8) => streams::<8>(),
        (Task::Throughput, 64) => streams::<64>(),
        (Task::Throughput, 256) => streams::<256>(),
        (Task::Throughput, 1024) => streams::<1024>(),
        (Task::Throughput, 65536) => streams::<65536>(),
        (Task::RoundTrip, 64) => singles::<64>(),
        (Task::WakeUp, 8) => sleepers(),
        (Task::ConsumerKilled | Task::ProducerKilled, 8) => survivors(),
        _ => unreachable!("not measured: {task:?} of {size} B"),
    }
}

pub fn find(task: Task, size: usize, name: &str) -> Option<Contender> {
    all(task, size).into_iter().find(|contender| contender.name == name)
}
