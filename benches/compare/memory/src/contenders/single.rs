//! Queues of one producer and one consumer.

use super::{Carried, Slot};
use crate::measure::{Case, Ends, Receiver, Sender};
use crossbeam_utils::Backoff;
use disruptor::{BusySpin, Polling, Producer};
use harness::message::{Tally, message};
use rtrb::RingBuffer;
use rtrb::chunks::ChunkError;
use std::ops::Range;

struct Rtrb<End> {
    end: End,
    /// Messages to a chunk.
    batch: usize,
}

impl<const N: usize> Sender for Rtrb<rtrb::Producer<[u8; N]>> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        let backoff = Backoff::new();
        if self.batch == 1 {
            for number in numbers {
                let mut message = message(number);
                while let Err(rtrb::PushError::Full(back)) = self.end.push(message) {
                    message = back;
                    backoff.snooze();
                }
            }
            return;
        }
        let count = (numbers.end - numbers.start) as usize;
        loop {
            match self.end.write_chunk_uninit(count) {
                Ok(chunk) => {
                    assert_eq!(chunk.fill_from_iter(numbers.map(message)), count);
                    return;
                }
                Err(ChunkError::TooFewSlots(_)) => backoff.snooze(),
            }
        }
    }
}

impl<const N: usize> Rtrb<rtrb::Consumer<[u8; N]>> {
    #[inline(always)]
    fn take(&mut self, tally: &mut Tally) -> bool {
        if self.batch == 1 {
            return self.end.pop().map(|message| tally.see(&message)).is_ok();
        }
        let count = self.end.slots().min(self.batch);
        if count > 0 {
            let chunk = self.end.read_chunk(count).expect("there are as many");
            chunk.into_iter().for_each(|message| tally.see(&message));
        }
        count > 0
    }
}

impl<const N: usize> Receiver for Rtrb<rtrb::Consumer<[u8; N]>> {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        let backoff = Backoff::new();
        while !self.take(tally) {
            if self.end.is_abandoned() {
                // What was pushed before the producer went can be seen now.
                return self.take(tally);
            }
            backoff.snooze();
        }
        true
    }
}

pub fn rtrb<const N: usize>(case: &Case) -> Ends<impl Sender, impl Receiver> {
    rtrb_chunks::<N>(case, 1)
}

pub fn rtrb_chunks<const N: usize>(case: &Case, batch: usize) -> Ends<impl Sender, impl Receiver> {
    let (producer, consumer) = RingBuffer::<[u8; N]>::new(case.ring);
    Ends {
        senders: vec![Rtrb { end: producer, batch }],
        receivers: vec![Rtrb { end: consumer, batch }],
        batch: batch as u64,
    }
}

struct Publishing<const N: usize, P>(P);

impl<const N: usize, P: Producer<Slot<N>> + Send> Sender for Publishing<N, P> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            let message = Slot::make(number);
            self.0.publish(|slot| *slot = message);
        }
    }
}

/// The poller's type has parts without a public name.
struct Polled<F>(F);

impl<F: FnMut(&mut Tally) -> Result<(), Polling> + Send> Receiver for Polled<F> {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        let backoff = Backoff::new();
        loop {
            match (self.0)(tally) {
                Ok(()) => return true,
                Err(Polling::NoEvents) => backoff.snooze(),
                Err(Polling::Shutdown) => return false,
            }
        }
    }
}

pub fn disruptor<const N: usize>(case: &Case) -> Ends<impl Sender, impl Receiver> {
    let builder = disruptor::build_single_producer(case.ring, Slot::<N>::default, BusySpin);
    let (mut poller, builder) = builder.new_event_poller();
    let poll = move |tally: &mut Tally| {
        let mut events = poller.poll()?;
        for event in &mut events {
            tally.see(event.bytes());
        }
        Ok(())
    };
    Ends { senders: vec![Publishing(builder.build())], receivers: vec![Polled(poll)], batch: 1 }
}
