//! The queues, each behind the same calls.
//!
//! What each side does when there is nothing for it to do:
//!
//! | | empty, full |
//! |---|---|
//! | floor | looks again at once, without PAUSE, which costs as much as a cache line's way |
//! | floor, pausing | 32 PAUSEs after each look in vain, so that a line is left to its writer for a while: slower to notice, faster by the million |
//! | ringfile Spin, batches and zero-copy included; shaq, iceoryx2 | `crossbeam_utils::Backoff::snooze` between looks: PAUSEs, then `sched_yield`, for ever; ringfile does it itself |
//! | ringfile Adaptive, shaq futex | as they do themselves: they look for some microseconds, then sleep |
//! | ringfile Park, pipe, socketpair, POSIX mq, futex, eventfd, iceoryx2 event | sleeps at once |
//!
//! iceoryx2's publisher waits as it does itself where a subscriber's buffer is full (`RetryUntilDelivered`, without overflow).
//!
//! | | how a message gets in and out |
//! |---|---|
//! | ringfile | `push` copies it in, `pop_into` into a `Vec` that is kept; batches are read where they lie |
//! | ringfile zero-copy | written where it will lie, read where it lies |
//! | shaq, iceoryx2 | the same; batches of shaq are copied in |
//! | floor | copied in and out |
//! | kernel | copied in and out by the kernel, one system call for each message |

mod floor;
mod iceoryx;
mod kernel;
mod mailbox;
mod ring;
mod shaq;

use crate::mapping::Mapping;
use harness::message::Tally;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub use floor::{Forward, Moves, NonTemporal, Raw};
pub use iceoryx::{Events, Samples};
pub use kernel::{MessageQueue, Pipe, Socket};
pub use mailbox::{Eventfd, Futex};
pub use ring::{Adaptive, Copied, InPlace, Park, Spin, Waits, open};
pub use shaq::v4;
#[cfg(feature = "shaq5")]
pub use shaq::v5;

/// Why a queue takes no part here.
pub type Refusal = Box<dyn std::error::Error>;

/// How large a queue is to be.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Messages that it holds.
    pub ring: usize,
    pub size: usize,
}

/// One queue, as a process finds it that was started to work on it.
pub struct Link {
    pub shape: Shape,
    /// A directory of the queue's own, in memory.
    pub dir: PathBuf,
    /// What [`Queue::prepare`] made.
    pub files: Vec<OwnedFd>,
}

pub trait Queue {
    /// Messages to a call.
    const BATCH: u64 = 1;

    /// Makes what both processes inherit.
    fn prepare(_: &Link) -> Result<Vec<OwnedFd>, Refusal> {
        Ok(Vec::new())
    }

    fn sender(link: Link) -> Result<impl Sender, Refusal>;
    fn receiver(link: Link) -> Result<impl Receiver, Refusal>;
}

pub trait Sender {
    /// Sends these messages, at most a batch, waiting while there is no room.
    fn send(&mut self, numbers: Range<u64>);
}

pub trait Receiver {
    /// Receives a message or up to a batch, waiting while there is none.
    fn receive(&mut self, tally: &mut Tally);
}
