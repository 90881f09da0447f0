//! The queues, each behind the same two calls.
//!
//! | | with whom | what it carries | empty, full |
//! |---|---|---|---|
//! | crossbeam-channel, flume, kanal | any | values | as they do themselves: they look for some microseconds, then sleep |
//! | ArrayQueue, concurrent-queue | any | values | they have no waiting: `Backoff` |
//! | thingbuf `ThingBuf` | any | written by a move into the slot, read where it lies | it has no waiting: `Backoff` |
//! | thingbuf `mpsc` (blocking) | one consumer | the same | as it does itself: it parks |
//! | std `sync_channel`, tokio `mpsc` (blocking calls, outside a runtime) | one consumer | values | as they do themselves |
//! | rtrb, one by one or in chunks of 64 | one of each | values | it has no waiting: `Backoff` |
//! | disruptor, one producer and one event poller | one of each | written and read where it lies, all that is there at once | its `BusySpin`; the poller: `Backoff` |
//! | floors, one by one or cursors by 64 | one of each | bytes, copied in, and copied out or read where they lie | PAUSE between looks |
//! | ringfile `try` | any | bytes, copied in and out | `Backoff` |
//! | ringfile, single | any | bytes, copied in and out | `Wait::Adaptive`: looks for some microseconds, then sleeps |
//! | ringfile `by 16`, `by 64` | any | bytes, copied in, read where they lie | the same |
//! | ringfile `in place` (reserve and commit, claim and ack) | any | bytes, written and read where they lie | the same |
//!
//! `Backoff` is that of crossbeam-utils, with `snooze` between looks: PAUSEs, then `sched_yield`, for ever; it never sleeps. `[u8]` is an array that is
//! moved into and out of the queue, as ringfile copies; `Vec` is allocated by the producer and freed by the consumer, and only the pointer
//! travels. The disruptor's consumers each get every event; with more than one they do not compete for them, so only one takes part.
//! `Claim::Ticketed` is ringfile's other way to claim. Its cells have 128 bytes, or 64 where it says so.

mod channels;
mod floor;
mod polled;
mod ring;
mod single;

use crate::measure::{Case, Shape, measure};
use harness::message::message;
pub use ring::Place;
use ringfile::Claim;

/// With how many of them a queue works.
#[derive(Clone, Copy)]
enum Seats {
    Any,
    OneConsumer,
    OneOfEach,
}

/// A queue by name and how it is measured.
pub struct Entrant {
    pub name: String,
    seats: Seats,
    pub measure: fn(&Case) -> f64,
}

impl Entrant {
    pub fn can(&self, shape: Shape) -> bool {
        match self.seats {
            Seats::Any => true,
            Seats::OneConsumer => shape.consumers <= 1,
            Seats::OneOfEach => shape.producers <= 1 && shape.consumers <= 1,
        }
    }
}

/// What a queue of values carries.
pub trait Carried: Send + 'static {
    fn make(number: u64) -> Self;
    fn bytes(&self) -> &[u8];
}

impl<const N: usize> Carried for [u8; N] {
    #[inline(always)]
    fn make(number: u64) -> Self {
        message(number)
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// A message of `N` bytes on the heap.
pub struct Boxed<const N: usize>(Vec<u8>);

impl<const N: usize> Carried for Boxed<N> {
    #[inline(always)]
    fn make(number: u64) -> Self {
        Boxed(message::<N>(number).to_vec())
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A message in a slot that is there from the beginning.
#[derive(Clone)]
pub struct Slot<const N: usize>([u8; N]);

impl<const N: usize> Default for Slot<N> {
    fn default() -> Self {
        Slot([0; N])
    }
}

impl<const N: usize> Carried for Slot<N> {
    #[inline(always)]
    fn make(number: u64) -> Self {
        Slot(message(number))
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// To whose time the ratios are.
pub const BASELINE: &str = "ArrayQueue [u8]";
pub const RINGFILE: &str = "ringfile memory";
pub const RINGFILE_BY_64: &str = "ringfile memory by 64";
pub const FLOOR: &str = "floor: copy loop";
pub const FLOOR_BY_64: &str = "floor: read in place by 64";
pub const RTRB: &str = "rtrb [u8]";
/// The peers that work with any number of producers and consumers, carrying the message itself.
pub const GENERAL: [&str; 5] =
    ["crossbeam-channel [u8]", BASELINE, "concurrent-queue [u8]", "flume [u8]", "kanal [u8]"];

/// All who can carry messages of `N` bytes.
pub fn entrants<const N: usize>() -> Vec<Entrant> {
    let mut entrants = Vec::new();
    let mut add = |seats, name: &str, measure| entrants.push(Entrant { name: name.into(), seats, measure });

    add(Seats::OneOfEach, FLOOR, |c| measure(c, floor::copies::<N>(c)));
    add(Seats::OneOfEach, "floor: read in place", |c| measure(c, floor::reads::<N>(c, 1)));
    add(Seats::OneOfEach, FLOOR_BY_64, |c| measure(c, floor::reads::<N>(c, 64)));

    add(Seats::Any, BASELINE, |c| measure(c, polled::array_queue::<[u8; N]>(c)));
    add(Seats::Any, "ArrayQueue Vec", |c| measure(c, polled::array_queue::<Boxed<N>>(c)));
    add(Seats::Any, "concurrent-queue [u8]", |c| measure(c, polled::concurrent_queue::<[u8; N]>(c)));
    add(Seats::Any, "concurrent-queue Vec", |c| measure(c, polled::concurrent_queue::<Boxed<N>>(c)));
    add(Seats::Any, "thingbuf ThingBuf [u8]", |c| measure(c, polled::thingbuf::<N>(c)));

    add(Seats::Any, "crossbeam-channel [u8]", |c| measure(c, channels::crossbeam::<[u8; N]>(c)));
    add(Seats::Any, "crossbeam-channel Vec", |c| measure(c, channels::crossbeam::<Boxed<N>>(c)));
    add(Seats::Any, "flume [u8]", |c| measure(c, channels::flume::<[u8; N]>(c)));
    add(Seats::Any, "flume Vec", |c| measure(c, channels::flume::<Boxed<N>>(c)));
    add(Seats::Any, "kanal [u8]", |c| measure(c, channels::kanal::<[u8; N]>(c)));
    add(Seats::Any, "kanal Vec", |c| measure(c, channels::kanal::<Boxed<N>>(c)));
    add(Seats::OneConsumer, "std sync_channel [u8]", |c| measure(c, channels::std::<[u8; N]>(c)));
    add(Seats::OneConsumer, "std sync_channel Vec", |c| measure(c, channels::std::<Boxed<N>>(c)));
    add(Seats::OneConsumer, "tokio mpsc [u8]", |c| measure(c, channels::tokio::<[u8; N]>(c)));
    add(Seats::OneConsumer, "tokio mpsc Vec", |c| measure(c, channels::tokio::<Boxed<N>>(c)));
    add(Seats::OneConsumer, "thingbuf mpsc [u8]", |c| measure(c, channels::thingbuf::<N>(c)));

    add(Seats::OneOfEach, RTRB, |c| measure(c, single::rtrb::<N>(c)));
    add(Seats::OneOfEach, "rtrb [u8] by 64", |c| measure(c, single::rtrb_chunks::<N>(c, 64)));
    add(Seats::OneOfEach, "disruptor [u8]", |c| measure(c, single::disruptor::<N>(c)));

    add(Seats::Any, RINGFILE, |c| measure(c, ring::single::<N>(c, Place::Memory, Claim::Ordered)));
    if N <= ring::SMALL {
        add(Seats::Any, "ringfile memory, cells of 64", |c| measure(c, ring::single_in_small_cells::<N>(c)));
    }
    add(Seats::Any, "ringfile memory try", |c| measure(c, ring::trying::<N>(c, Place::Memory)));
    add(Seats::Any, "ringfile memory in place", |c| measure(c, ring::in_place::<N>(c, Place::Memory)));
    add(Seats::Any, "ringfile memory by 16", |c| {
        measure(c, ring::batches::<N>(c, Place::Memory, Claim::Ordered, 16))
    });
    add(Seats::Any, RINGFILE_BY_64, |c| measure(c, ring::batches::<N>(c, Place::Memory, Claim::Ordered, 64)));
    add(Seats::Any, "ringfile memory ticketed", |c| {
        measure(c, ring::single::<N>(c, Place::Memory, Claim::Ticketed))
    });
    add(Seats::Any, "ringfile memory ticketed by 64", |c| {
        measure(c, ring::batches::<N>(c, Place::Memory, Claim::Ticketed, 64))
    });
    add(Seats::Any, "ringfile tmpfs", |c| measure(c, ring::single::<N>(c, Place::Tmpfs, Claim::Ordered)));
    add(Seats::Any, "ringfile tmpfs in place", |c| measure(c, ring::in_place::<N>(c, Place::Tmpfs)));
    add(Seats::Any, "ringfile tmpfs by 64", |c| {
        measure(c, ring::batches::<N>(c, Place::Tmpfs, Claim::Ordered, 64))
    });
    add(Seats::Any, "ringfile disk", |c| measure(c, ring::single::<N>(c, Place::Disk, Claim::Ordered)));
    add(Seats::Any, "ringfile disk by 64", |c| {
        measure(c, ring::batches::<N>(c, Place::Disk, Claim::Ordered, 64))
    });
    entrants
}
