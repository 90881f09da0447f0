//! The processes that are killed: producers and consumers that do whatever the public interface offers, each by its own numbers.

use crate::common::{Random, now_ns};
use crate::ledger::{Call, Ledger, MOST, Origin, Push, Side, Taker};
use crate::round::Round;
use ringfile::{
    AttachError, Consumer, PopError, PopTimeoutError, Producer, PushError, PushTimeoutError, Queue,
    TryPopError, TryPushError, Wait,
};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    NotNow,
    Closed,
}

/// What each error says; the others are failures.
macro_rules! refusals {
    ($($error:ident: $($closed:ident)? / $($not_now:ident),*;)+) => {$(
        impl From<$error> for Refused {
            fn from(error: $error) -> Refused {
                match error {
                    $($error::$closed => Refused::Closed,)?
                    $($error::$not_now => Refused::NotNow,)*
                    error => panic!("{error}"),
                }
            }
        }
    )+};
}

refusals! {
    PushError: Closed /;
    PushTimeoutError: Closed / Timeout;
    TryPushError: Closed / Full;
    PopError: Closed /;
    PopTimeoutError: Closed / Timeout;
    TryPopError: Closed / Empty, Pending;
}

/// How long a call may wait.
#[derive(Clone, Copy, Debug)]
enum Patience {
    Endless,
    For(Duration),
    None,
}

/// The same call for each patience.
macro_rules! patiently {
    ($patience:expr, $time:ident, $endless:expr, $timeout:expr, $now:expr) => {
        match $patience {
            Patience::Endless => $endless.map_err(Refused::from),
            Patience::For($time) => $timeout.map_err(Refused::from),
            Patience::None => $now.map_err(Refused::from),
        }
    };
}

/// A worker until it is killed, or the queue is closed.
pub fn work(round: &Round, worker: u64, pushes: bool, path: &Path, ledger: &Path) {
    // SAFETY: a plain call, which takes no pointers.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    assert_eq!(result, 0, "a worker outlives no parent");
    let ledger = Ledger::open(ledger, round.seed);
    let mut random = Random(round.seed ^ (worker + 1) << 32);
    let patience = random.below(4);
    let taker = Taker::new(&ledger, worker, round.in_order());
    let mut worker = Worker { round, worker, random, patience, taker };
    loop {
        let queue = Queue::options()
            .recover(worker.random.below(2) == 0)
            .wait([Wait::Adaptive, Wait::Park][worker.random.below(2) as usize])
            .attach(path)
            .expect("the queue is there");
        for _ in 0..1 + worker.random.below(4) {
            // Some come and go all the time.
            let stint = 1 << worker.random.below(10);
            let end = if pushes { worker.push_for(&queue, stint) } else { worker.pop_for(&queue, stint) };
            if end == Err(Refused::Closed) {
                return;
            }
        }
    }
}

/// A handle. There are more places than living workers, but one may be looking while others die and come.
fn join<T>(ledger: &Ledger, mut attach: impl FnMut() -> Result<T, AttachError>) -> T {
    let start = now_ns();
    loop {
        match attach() {
            Ok(handle) => return handle,
            Err(error) => assert!(now_ns() - start < 2_000_000_000, "for two seconds: {error}"),
        }
        ledger.is_crowded();
    }
}

struct Worker<'a> {
    round: &'a Round,
    worker: u64,
    random: Random,
    patience: u64,
    taker: Taker<'a>,
}

impl<'a> Worker<'a> {
    fn ledger(&self) -> &'a Ledger {
        self.taker.ledger
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.random.below(count) == 0
    }

    /// Most workers have one way to wait, some have all.
    fn patience(&mut self) -> Patience {
        let way = if self.patience == 3 { self.random.below(3) } else { self.patience };
        match way {
            0 => Patience::Endless,
            1 => Patience::For(Duration::from_micros(self.random.below(20_000))),
            _ => Patience::None,
        }
    }

    /// So that some are killed or stopped while they have something.
    fn linger(&mut self, often: u64) {
        if self.one_in(often) {
            thread::sleep(Duration::from_micros(self.random.below(3000)));
        }
    }

    fn push_for(&mut self, queue: &Queue, calls: u64) -> Result<(), Refused> {
        let mut producer = join(self.ledger(), || queue.producer());
        // Positions rise from push to push.
        let mut last = None;
        for _ in 0..calls {
            let kind = self.random.below(8);
            let of = if kind < 2 { 1 + self.random.below(self.round.batch()) } else { 1 };
            let Some(first) = self.ledger().draw(of) else {
                // The parent sees that, and ends the round.
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            match self.push(&mut producer, kind, first, of) {
                Ok(Some(position)) => {
                    assert!(last < Some(position), "pushed at {position} after {last:?}");
                    last = Some(position + of - 1);
                }
                Ok(None) => {}
                Err(Refused::NotNow) => self.pause(),
                Err(Refused::Closed) => return Err(Refused::Closed),
            }
            self.linger(64);
        }
        Ok(())
    }

    /// Between two looks of one that polls.
    fn pause(&mut self) {
        match self.random.below(3) {
            0 => thread::sleep(Duration::from_micros(50)),
            1 => thread::yield_now(),
            _ => {}
        }
    }

    /// What is about to happen to messages, or has.
    fn note(&self, first: u64, of: u64, push: Push) {
        for place in 0..of {
            self.ledger().set_origin(first + place, Origin { push, place, of, worker: self.worker });
        }
    }

    /// Where the first was pushed; `None` if it was given up on purpose.
    fn push(
        &mut self,
        producer: &mut Producer,
        kind: u64,
        first: u64,
        of: u64,
    ) -> Result<Option<u64>, Refused> {
        let aborts = kind == 7;
        self.note(first, of, if aborts { Push::Aborted } else { Push::Started });
        let pushed = match kind {
            0..2 => self.push_batch(producer, first, of),
            2..5 => self.push_one(producer, first),
            _ => self.reserve(producer, first, aborts),
        };
        if aborts {
            return pushed.map(|_| None);
        }
        match pushed {
            Ok(position) => {
                for place in 0..of {
                    self.ledger().stands_at(first + place, position + place);
                }
                self.note(first, of, Push::Returned);
                self.ledger().succeeded(Side::Push, of);
                Ok(Some(position))
            }
            Err(refused) => {
                self.note(first, of, Push::Refused);
                Err(refused)
            }
        }
    }

    fn push_one(&mut self, producer: &mut Producer, id: u64) -> Result<u64, Refused> {
        let message = self.ledger().bytes(id);
        patiently!(
            self.patience(),
            time,
            producer.push(&message),
            producer.push_timeout(&message, time),
            producer.try_push(&message)
        )
        .map(|position| position.get())
    }

    fn push_batch(&mut self, producer: &mut Producer, first: u64, of: u64) -> Result<u64, Refused> {
        let messages: Vec<_> = (first..first + of).map(|id| self.ledger().bytes(id)).collect();
        let positions = patiently!(
            self.patience(),
            time,
            producer.push_batch(&messages),
            producer.push_batch_timeout(&messages, time),
            producer.try_push_batch(&messages)
        )?;
        assert_eq!(positions.len() as u64, of);
        Ok(positions.first().expect("it is not empty").get())
    }

    fn reserve(&mut self, producer: &mut Producer, id: u64, aborts: bool) -> Result<u64, Refused> {
        let message = self.ledger().bytes(id);
        let (len, patience) = (message.len(), self.patience());
        let mut place = patiently!(
            patience,
            time,
            producer.reserve(len),
            producer.reserve_timeout(len, time),
            producer.try_reserve(len)
        )?;
        let position = place.position().get();
        // In parts: half a message lies there for a while.
        place[..len / 2].copy_from_slice(&message[..len / 2]);
        self.linger(32);
        place[len / 2..].copy_from_slice(&message[len / 2..]);
        if !aborts {
            place.commit();
        }
        Ok(position)
    }

    fn pop_for(&mut self, queue: &Queue, calls: u64) -> Result<(), Refused> {
        let mut consumer = join(self.ledger(), || queue.consumer());
        for _ in 0..calls {
            let took = match self.random.below(8) {
                0..2 => self.pop(&mut consumer),
                2..5 => self.claim(&mut consumer),
                5..7 => self.claim_batch(&mut consumer),
                _ => self.drain(&mut consumer),
            };
            match took {
                Ok(()) => {}
                Err(refused) => {
                    self.ledger().enter(self.worker, Call::None);
                    if refused == Refused::Closed {
                        return Err(refused);
                    }
                    self.pause();
                }
            }
            self.linger(64);
        }
        Ok(())
    }

    fn pop(&mut self, consumer: &mut Consumer) -> Result<(), Refused> {
        let patience = self.patience();
        let mut message = Vec::new();
        self.taker.enter(Call::Popping);
        let position = patiently!(
            patience,
            time,
            consumer.pop_into(&mut message).map(Some),
            consumer.pop_timeout(time).map(|came| {
                message = came;
                None
            }),
            consumer.try_pop_into(&mut message).map(Some)
        )?;
        self.taker.took(&message, position.map(|position| position.get()), None);
        // It is finished already, and from here on it is known which.
        self.taker.finishing(1);
        self.taker.finished(1);
        Ok(())
    }

    fn claim(&mut self, consumer: &mut Consumer) -> Result<(), Refused> {
        let patience = self.patience();
        self.taker.enter(Call::Taking(1));
        let delivery =
            patiently!(patience, time, consumer.claim(), consumer.claim_timeout(time), consumer.try_claim())?;
        self.taker.took(&delivery, Some(delivery.position().get()), Some(delivery.deliveries().into()));
        self.ledger().enter(self.worker, Call::None);
        self.linger(32);
        if self.one_in(6) {
            self.taker.releasing(0);
            delivery.release();
        } else {
            self.taker.finishing(1);
            delivery.ack().unwrap();
            self.taker.finished(1);
        }
        Ok(())
    }

    fn claim_batch(&mut self, consumer: &mut Consumer) -> Result<(), Refused> {
        let patience = self.patience();
        let most = 1 + self.random.below(MOST) as usize;
        self.taker.enter(Call::Taking(most as u64));
        let mut batch = patiently!(
            patience,
            time,
            consumer.claim_batch(most),
            consumer.claim_batch_timeout(most, time),
            consumer.try_claim_batch(most)
        )?;
        let deliveries = u64::from(batch.deliveries());
        for (position, message) in batch.messages() {
            self.taker.took(message, Some(position.get()), Some(deliveries));
        }
        self.ledger().enter(self.worker, Call::None);
        self.linger(32);
        let len = batch.len();
        let kept = self.random.below(len as u64 + 1) as usize;
        self.taker.finishing(kept);
        batch.ack_first(kept).unwrap();
        self.taker.finished(kept);
        self.linger(64);
        self.taker.releasing(kept);
        drop(batch);
        Ok(())
    }

    fn drain(&mut self, consumer: &mut Consumer) -> Result<(), Refused> {
        let patience = self.patience();
        let most = 1 + self.random.below(MOST) as usize;
        let lingers = self.one_in(32);
        let taker = &mut self.taker;
        taker.enter(Call::Draining(most as u64));
        let see = |message: &[u8]| {
            taker.took(message, None, None);
            if lingers {
                thread::sleep(Duration::from_micros(500));
            }
        };
        let count = patiently!(
            patience,
            time,
            consumer.drain(most, see),
            consumer.drain_timeout(most, time, see),
            consumer.try_drain(most, see)
        )?;
        self.taker.finished(count);
        Ok(())
    }
}
