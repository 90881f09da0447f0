//! How long a message takes when there are many: one push and one pop, by one thread that does both or by two.

use super::clock::now;
use super::link::{Job, Link, Rx, Tx};
use std::hint::black_box;

/// Messages between two looks at the clock.
const LEG: usize = 256;

/// Messages to a call, where it is not one.
pub const LARGE: usize = 64;

/// What a sender has done.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub begun: u64,
    pub count: u64,
}

/// What has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    sum: u64,
}

impl Tally {
    #[inline(always)]
    fn see<const N: usize>(&mut self, message: &[u8; N]) {
        self.count += 1;
        // Otherwise a message that was copied out need not be copied whole.
        for line in black_box(message).chunks(64) {
            self.sum = self.sum.wrapping_add(number(line));
        }
    }

    /// What the messages `0..count` of `size` bytes come to.
    pub fn expected(count: u64, size: usize) -> Tally {
        let once = (0..count).fold(0u64, u64::wrapping_add);
        Tally { count, sum: once.wrapping_mul(size.div_ceil(64) as u64) }
    }
}

/// What stands at the beginning of a message or a line of it.
#[inline(always)]
pub fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

/// Messages with their numbers at the start of each cache line, so that all of them are written and read.
///
/// They are numbered some time before they are sent: to copy what was just written in smaller pieces, a processor waits until all that it wrote before is in
/// its cache, and so for the line of the last message that the other core still has.
struct Numbered<const N: usize, const BATCH: usize> {
    pool: Vec<[[u8; N]; BATCH]>,
    /// How many were sent.
    next: u64,
}

impl<const N: usize, const BATCH: usize> Numbered<N, BATCH> {
    /// Batches in the pool: what a processor may have written without having it in its cache yet, but no more than fits there.
    const POOL: usize = if BATCH > 1 {
        1
    } else if N > 64 {
        8
    } else {
        64
    };

    fn new() -> Self {
        let mut numbered = Numbered { pool: vec![[[0; N]; BATCH]; Self::POOL], next: 0 };
        (0..Self::POOL).for_each(|turn| numbered.number(turn));
        numbered
    }

    /// Makes the batch ready whose turn this is.
    #[inline(always)]
    fn number(&mut self, turn: usize) {
        for (number, message) in (turn as u64 * BATCH as u64..).zip(&mut self.pool[turn % Self::POOL]) {
            for line in message.chunks_mut(64) {
                line[..8].copy_from_slice(&number.to_le_bytes());
            }
        }
    }

    #[inline(always)]
    fn next(&mut self) -> &[[u8; N]; BATCH] {
        let turn = self.next as usize / BATCH;
        self.number(turn + Self::POOL - 1);
        self.next += BATCH as u64;
        black_box(&self.pool[turn % Self::POOL])
    }
}

/// Calls a method with the size of batches as a constant, as programs have it.
macro_rules! by_batch {
    ($job:ident.$run:ident::<$link:ident, $size:ident>($links:ident)) => {
        match $job.batch {
            1 => $job.$run::<$link, $size, 1>($links),
            LARGE => $job.$run::<$link, $size, LARGE>($links),
            other => unreachable!("no batches of {other} are measured"),
        }
    };
}

/// Sends for so long, then closes the link.
pub struct Push {
    pub batch: usize,
    pub lasts: u64,
}

impl Job for Push {
    type Out = Sent;

    fn run<L: Link, const N: usize>(self, links: &[L]) -> Sent {
        by_batch!(self.push::<L, N>(links))
    }
}

impl Push {
    fn push<L: Link, const N: usize, const BATCH: usize>(self, links: &[L]) -> Sent {
        let mut tx = links[0].tx();
        let mut messages = Numbered::<N, BATCH>::new();
        let begun = now();
        while now() - begun < self.lasts {
            for _ in 0..LEG / BATCH {
                tx.send(messages.next());
            }
        }
        links[0].close();
        Sent { begun, count: messages.next }
    }
}

/// Receives until the link is closed; says when that was.
pub struct Pop {
    pub batch: usize,
}

impl Job for Pop {
    type Out = (u64, Tally);

    fn run<L: Link, const N: usize>(self, links: &[L]) -> Self::Out {
        by_batch!(self.pop::<L, N>(links))
    }
}

impl Pop {
    fn pop<L: Link, const N: usize, const BATCH: usize>(self, links: &[L]) -> (u64, Tally) {
        let mut rx = links[0].rx::<N>();
        let mut tally = Tally::default();
        while rx.receive(BATCH, |message| tally.see(message)) > 0 {}
        (now(), tally)
    }
}

/// Sends and receives by turns, for so long.
pub struct Alternate {
    pub batch: usize,
    pub lasts: u64,
}

impl Job for Alternate {
    type Out = (Sent, (u64, Tally));

    fn run<L: Link, const N: usize>(self, links: &[L]) -> Self::Out {
        by_batch!(self.alternate::<L, N>(links))
    }
}

impl Alternate {
    fn alternate<L: Link, const N: usize, const BATCH: usize>(self, links: &[L]) -> (Sent, (u64, Tally)) {
        let (mut tx, mut rx) = (links[0].tx(), links[0].rx::<N>());
        let mut messages = Numbered::<N, BATCH>::new();
        let mut tally = Tally::default();
        let begun = now();
        let mut last = begun;
        while last - begun < self.lasts {
            for _ in 0..LEG / BATCH {
                tx.send(messages.next());
                while tally.count < messages.next {
                    rx.receive(BATCH, |message| tally.see(message));
                }
            }
            last = now();
        }
        (Sent { begun, count: messages.next }, (last, tally))
    }
}
