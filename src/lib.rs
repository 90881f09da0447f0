//! A message queue in one memory-mapped file, for threads and processes of one Linux machine that must not lose a message.
//!
//! Lock-free, many producers and many consumers. A [`Queue`] is opened from a file that any number of processes may have open at the same time, or
//! made [in memory](Options::in_memory) for the threads of one. Each thread takes its own [`Producer`] or [`Consumer`] from it. An [`Observer`] only looks.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("ringfile-doc-{}.ring", std::process::id()));
//! use ringfile::Queue;
//!
//! let queue = Queue::open(&path)?; // created if absent, else resumed
//! queue.producer()?.push(b"two coffees")?;
//!
//! let mut consumer = queue.consumer()?;
//! let order = consumer.claim()?; // waits for one
//! assert_eq!(&*order, b"two coffees");
//! order.ack()?; // dropped without this, it would come again
//! # std::fs::remove_file(path)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - A message is in the memory of the queue, not of a handle, when its push returns. With a file it outlives every process, whatever is killed.
//! - [`Consumer::pop`] finishes the message before it returns it: a crash of the caller afterwards loses nothing that the queue still owed.
//!   [`Consumer::claim`] and [`Delivery::ack`] deliver at least once. Without a death or a release, every message is delivered exactly once.
//! - Nothing is ever dropped because a queue is full: [`Producer::push`] waits, [`Producer::try_push`] says [`Full`](TryPushError::Full).
//! - With [`Claim::Ordered`] the queue is a linearizable FIFO, messages that come back aside. [`TryPopError::Empty`] means that everything pushed is
//!   claimed; where the next message is still being written, the answer is [`TryPopError::Pending`].
//! - Every [`Group`] gets every message from its start on, and the consumers of one share them. What all groups have finished is freed when somebody needs the room or
//!   [reaps](Queue::reap), but for the last [`retain`](Options::retain) messages, which can be [replayed](Queue::replay) and [consumed again](Group::rewind).
//! - What a killed process had reserved or claimed is settled by whoever waits for it, and only the kernel says that a process is dead: a paused
//!   one keeps what it holds for as long as it likes, unless the queue was made with a [lease](Options::lease).
//!
//! - With [`Durability::Always`], [`Producer::push_durable`] or [`Queue::sync`], a message also outlives a failure of the power, and carries a checksum: damage is
//!   reported, not delivered. [`Queue::salvage`] says what was found afterwards.
//!
//! # Not guaranteed
//!
//! - At [`Durability::Process`], the default, anything about power loss: what the kernel had not written to the disk is gone.
//! - That peers behave: whoever may write the file can spoil messages in it. What is copied out ([`Consumer::pop_into`]) is then wrong but
//!   safe; what is lent ([`Delivery`], [`Batch`], [`Reservation`]) must not be written by anybody else, and a process that breaks the protocol could.
//! - That a truncated mapping survives: who shortens the file under a running program ends it with SIGBUS.
//! - Anything across a `fork`: in a child, handles that its parent made are those of an empty, closed queue of its own, and answer with errors. Open the queue
//!   again. What a [`Delivery`] or [`Reservation`] lent is gone there. A child made by `clone` or `vfork` alone, past the C library, must not touch them at all.
//! - At [`Durability::Process`], that bytes are what they were: nobody looks at checksums.
//!
//! # What blocks
//!
//! Calls named `try_..` never wait. Others look for some microseconds, then sleep without using the processor until there is something to do; see [`Wait`].
//!
//! What survives what is in the repository, in `docs/guarantees.md`; the protocol and the format of the file in `docs/protocol.md` and `docs/format.md`.

#[cfg(not(ringfile_loom))]
pub mod error;

#[cfg(target_endian = "big")]
compile_error!("the words of a ring are little-endian, and so must the machine be");

#[cfg(not(ringfile_loom))]
mod consumer;
#[cfg(not(ringfile_loom))]
mod delivery;
#[cfg(not(ringfile_loom))]
mod durable;
#[cfg(not(ringfile_loom))]
mod group;
#[cfg(not(ringfile_loom))]
mod observer;
#[cfg(not(ringfile_loom))]
mod options;
#[cfg(not(ringfile_loom))]
mod position;
#[cfg(not(ringfile_loom))]
mod producer;
#[cfg(not(ringfile_loom))]
mod queue;
#[cfg(not(ringfile_loom))]
mod reaper;
#[cfg(not(ringfile_loom))]
mod replay;
#[cfg(not(ringfile_loom))]
mod shared;
#[cfg(not(ringfile_loom))]
mod spin;
#[cfg(not(ringfile_loom))]
mod stats;

/// The inside, for the models in `loom-tests` and for this crate's own tests: no part of the interface.
macro_rules! inside {
    ($($module:ident),+) => {$(
        #[doc(hidden)]
        #[allow(missing_docs)]
        pub mod $module;
    )+};
}
inside!(fault, file, park, ring, sync, sys, watch);

#[cfg(not(ringfile_loom))]
pub use consumer::{Consumer, Iter};
#[cfg(not(ringfile_loom))]
pub use delivery::{Batch, Delivery, Origin};
#[cfg(not(ringfile_loom))]
pub use durable::Durability;
#[cfg(not(ringfile_loom))]
pub use error::*;
#[cfg(not(ringfile_loom))]
pub use group::{Group, Start};
#[cfg(not(ringfile_loom))]
pub use observer::Observer;
#[cfg(not(ringfile_loom))]
pub use options::{Claim, Options};
#[cfg(not(ringfile_loom))]
pub use position::{Position, Positions};
#[cfg(not(ringfile_loom))]
pub use producer::{Producer, Reservation};
#[cfg(not(ringfile_loom))]
pub use queue::Queue;
#[cfg(not(ringfile_loom))]
pub use reaper::{Reaped, Reaper};
#[cfg(not(ringfile_loom))]
pub use replay::{Kept, Replay};
#[cfg(not(ringfile_loom))]
pub use shared::Wait;
#[cfg(not(ringfile_loom))]
pub use stats::{GroupStats, Participant, Problem, Recovery, Role, Salvage, Stats, Verification};
