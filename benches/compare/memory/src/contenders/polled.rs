//! Queues that answer at once. Whoever wants to wait looks again.

use super::{Carried, Slot};
use crate::measure::{Case, Ends, Receiver, Sender};
use concurrent_queue::{ConcurrentQueue, PushError};
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::Backoff;
use harness::message::Tally;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use thingbuf::ThingBuf;

trait Queue<T>: Send + Sync {
    /// Gives the message back if the queue is full.
    fn offer(&self, message: T) -> Result<(), T>;
    /// False: empty.
    fn take(&self, tally: &mut Tally) -> bool;
}

impl<T: Carried> Queue<T> for ArrayQueue<T> {
    #[inline(always)]
    fn offer(&self, message: T) -> Result<(), T> {
        self.push(message)
    }

    #[inline(always)]
    fn take(&self, tally: &mut Tally) -> bool {
        self.pop().map(|message| tally.see(message.bytes())).is_some()
    }
}

impl<T: Carried> Queue<T> for ConcurrentQueue<T> {
    #[inline(always)]
    fn offer(&self, message: T) -> Result<(), T> {
        self.push(message).map_err(PushError::into_inner)
    }

    #[inline(always)]
    fn take(&self, tally: &mut Tally) -> bool {
        self.pop().map(|message| tally.see(message.bytes())).is_ok()
    }
}

impl<const N: usize> Queue<Slot<N>> for ThingBuf<Slot<N>> {
    #[inline(always)]
    fn offer(&self, message: Slot<N>) -> Result<(), Slot<N>> {
        match self.push_ref() {
            Ok(mut slot) => {
                *slot = message;
                Ok(())
            }
            Err(_) => Err(message),
        }
    }

    #[inline(always)]
    fn take(&self, tally: &mut Tally) -> bool {
        self.pop_ref().map(|message| tally.see(message.bytes())).is_some()
    }
}

/// A queue, which has no end of its own, and how many will still send.
struct Shared<Q> {
    queue: Q,
    sending: AtomicUsize,
}

/// Either end of it.
struct End<T, Q> {
    shared: Arc<Shared<Q>>,
    carries: PhantomData<fn(T)>,
}

impl<T: Carried, Q: Queue<T>> Sender for End<T, Q> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            let backoff = Backoff::new();
            let mut message = T::make(number);
            while let Err(back) = self.shared.queue.offer(message) {
                message = back;
                backoff.snooze();
            }
        }
    }

    fn finish(self) {
        self.shared.sending.fetch_sub(1, Ordering::Release);
    }
}

impl<T: Carried, Q: Queue<T>> Receiver for End<T, Q> {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        let Shared { queue, sending } = &*self.shared;
        let backoff = Backoff::new();
        while !queue.take(tally) {
            if sending.load(Ordering::Acquire) == 0 {
                // What was sent before it was zero can be seen now.
                return queue.take(tally);
            }
            backoff.snooze();
        }
        true
    }
}

fn ends<T: Carried, Q: Queue<T>>(case: &Case, queue: Q) -> Ends<impl Sender, impl Receiver> {
    let sending = AtomicUsize::new(case.shape.producers.max(1));
    let shared = Arc::new(Shared { queue, sending });
    let end = || End { shared: shared.clone(), carries: PhantomData::<fn(T)> };
    Ends::new(case, end, end)
}

pub fn array_queue<T: Carried>(case: &Case) -> Ends<impl Sender, impl Receiver> {
    ends::<T, _>(case, ArrayQueue::new(case.ring))
}

pub fn concurrent_queue<T: Carried>(case: &Case) -> Ends<impl Sender, impl Receiver> {
    ends::<T, _>(case, ConcurrentQueue::bounded(case.ring))
}

pub fn thingbuf<const N: usize>(case: &Case) -> Ends<impl Sender, impl Receiver> {
    ends::<Slot<N>, _>(case, ThingBuf::new(case.ring))
}
