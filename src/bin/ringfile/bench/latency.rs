//! How long a single message takes: one way, there and back, and to somebody who sleeps.
//!
//! One clock is read for each message, which is in the figures and in those of the floor: some 20 ns.

use super::clock::{Relax, now};
use super::link::{Job, Link, Rx, Tx};
use super::throughput::{Sent, number};
use hdrhistogram::Histogram;
use std::slice;

pub type Nanos = Histogram<u64>;

/// What takes longer counts as this.
const LONGEST: u64 = 100_000_000_000;

/// Three digits of each, in memory that is there from the start.
pub fn nanos() -> Nanos {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds and digits are within what there can be")
}

/// A message: when it was due, and its number.
fn stamped<const N: usize>(due: u64, number: u64) -> [u8; N] {
    let mut message = [0; N];
    message[..8].copy_from_slice(&due.to_le_bytes());
    message[8..16].copy_from_slice(&number.to_le_bytes());
    message
}

/// Whether the message is the one with this number: when it was due.
fn stamp<const N: usize>(message: &[u8; N], expected: u64) -> u64 {
    assert_eq!(number(&message[8..]), expected, "messages come in order, each once");
    number(message)
}

/// Sends a message every `gap`, for so long, then closes the link. Each says when it was *due*: what holds up the sender makes it late too.
pub struct Stamp {
    pub gap: u64,
    pub lasts: u64,
    pub relax: Relax,
}

impl Job for Stamp {
    type Out = Sent;

    fn run<L: Link, const N: usize>(self, links: &[L]) -> Sent {
        let mut tx = links[0].tx();
        let begun = now();
        let mut count = 0;
        let mut due = begun + self.gap;
        while due < begun + self.lasts {
            self.relax.until(due);
            tx.send(&[stamped::<N>(due, count)]);
            count += 1;
            due += self.gap;
        }
        links[0].close();
        Sent { begun, count }
    }
}

/// Receives such messages until the link is closed: how old each is when it arrives.
pub struct Record;

impl Job for Record {
    type Out = Nanos;

    fn run<L: Link, const N: usize>(self, links: &[L]) -> Nanos {
        let mut rx = links[0].rx::<N>();
        let mut ages = nanos();
        let mut count = 0;
        let see = |message: &[u8; N]| {
            ages.saturating_record(now().saturating_sub(stamp(message, count)));
            count += 1;
        };
        receive_all(&mut rx, see);
        ages
    }
}

fn receive_all<const N: usize>(rx: &mut impl Rx<N>, mut see: impl FnMut(&[u8; N])) {
    while rx.receive(1, &mut see) > 0 {}
}

/// Sends back what it receives, until the link is closed.
pub struct Echo;

impl Job for Echo {
    type Out = Sent;

    fn run<L: Link, const N: usize>(self, links: &[L]) -> Sent {
        let (mut rx, mut tx) = (links[0].rx::<N>(), links[1].tx::<N>());
        let begun = now();
        let mut count = 0;
        let see = |message: &[u8; N]| {
            tx.send(slice::from_ref(message));
            count += 1;
        };
        receive_all(&mut rx, see);
        Sent { begun, count }
    }
}

/// Sends a message and waits until it is back, for so long, then closes the link.
pub struct Ping {
    pub lasts: u64,
}

impl Job for Ping {
    type Out = Nanos;

    fn run<L: Link, const N: usize>(self, links: &[L]) -> Nanos {
        let (mut tx, mut rx) = (links[0].tx::<N>(), links[1].rx::<N>());
        let mut trips = nanos();
        // The other has to start first.
        tx.send(&[stamped(0, 0)]);
        rx.receive(1, |message| _ = stamp(message, 0));
        let begun = now();
        let mut last = begun;
        let mut count = 1;
        while last - begun < self.lasts {
            tx.send(&[stamped(last, count)]);
            rx.receive(1, |message| _ = stamp(message, count));
            let back = now();
            trips.saturating_record(back - last);
            last = back;
            count += 1;
        }
        links[0].close();
        trips
    }
}
