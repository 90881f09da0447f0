//! What carries messages in one direction, and its two ends: ringfile, or what it is compared with.

use super::raw::Raw;
use ringfile::{Consumer, PopError, Producer, Queue};

/// What a link is made of, by what is done with it.
pub trait Job {
    type Out;
    fn run<L: Link, const N: usize>(self, links: &[L]) -> Self::Out;
}

pub trait Link: Sync {
    fn tx<const N: usize>(&self) -> impl Tx<N>;
    fn rx<const N: usize>(&self) -> impl Rx<N>;
    /// Nothing more will be sent, until it is reopened.
    fn close(&self);
    fn reopen(&self);
}

pub trait Tx<const N: usize> {
    /// Sends these messages, waiting while there is no room.
    fn send(&mut self, messages: &[[u8; N]]);
}

pub trait Rx<const N: usize> {
    /// Shows up to `max` messages to `see`, waiting while there is none; a single one is copied out before. Returns how many: none when the link is
    /// closed and empty.
    fn receive(&mut self, max: usize, see: impl FnMut(&[u8; N])) -> usize;
}

/// Links of a kind: one, or one there and one back.
pub enum Channel {
    Rings(Vec<Queue>, usize),
    Raws(Vec<Raw>, usize),
}

impl Channel {
    pub fn give<J: Job>(&self, job: J) -> J::Out {
        fn sized<J: Job, L: Link>(job: J, links: &[L], size: usize) -> J::Out {
            match size {
                8 => job.run::<L, 8>(links),
                64 => job.run::<L, 64>(links),
                1024 => job.run::<L, 1024>(links),
                _ => unreachable!("no messages of {size} bytes are measured"),
            }
        }
        match self {
            Channel::Rings(queues, size) => sized(job, queues, *size),
            Channel::Raws(raws, size) => sized(job, raws, *size),
        }
    }

    /// Makes it fit to be measured again.
    pub fn reopen(&self) {
        match self {
            Channel::Rings(queues, _) => queues.iter().for_each(Link::reopen),
            Channel::Raws(raws, _) => raws.iter().for_each(Link::reopen),
        }
    }
}

impl Link for Queue {
    fn tx<const N: usize>(&self) -> impl Tx<N> {
        self.producer().expect("there is a slot for each end")
    }

    fn rx<const N: usize>(&self) -> impl Rx<N> {
        RingRx { consumer: self.consumer().expect("there is a slot for each end"), message: Vec::new() }
    }

    fn close(&self) {
        Queue::close(self);
    }

    fn reopen(&self) {
        Queue::reopen(self);
    }
}

impl<const N: usize> Tx<N> for Producer {
    #[inline(always)]
    fn send(&mut self, messages: &[[u8; N]]) {
        let pushed = match messages {
            [message] => self.push(message).map(drop),
            messages => self.push_batch(messages).map(drop),
        };
        pushed.expect("the ring is open, and has room for a batch when it is empty");
    }
}

struct RingRx {
    consumer: Consumer,
    message: Vec<u8>,
}

impl<const N: usize> Rx<N> for RingRx {
    #[inline(always)]
    fn receive(&mut self, max: usize, mut see: impl FnMut(&[u8; N])) -> usize {
        let mut sized =
            |message: &[u8]| see(message.try_into().expect("a ring carries messages of one size"));
        let received = if max == 1 {
            self.consumer.pop_into(&mut self.message).map(|_| {
                sized(&self.message);
                1
            })
        } else {
            self.consumer.drain(max, sized)
        };
        match received {
            Ok(count) => count,
            Err(PopError::Closed) => 0,
            Err(error) => panic!("a ring of our own: {error}"),
        }
    }
}
