//! One measurement: so many messages through one new queue.

use crossbeam_utils::Backoff;
use harness::message::Tally;
use harness::probe;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Who works on a queue. No producers and consumers means one thread that is both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub name: &'static str,
    pub producers: usize,
    pub consumers: usize,
}

impl Shape {
    fn is_one_thread(self) -> bool {
        self.producers == 0
    }
}

/// A measurement to be made.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub shape: Shape,
    /// Messages that the queue holds.
    pub ring: usize,
    pub size: usize,
    pub messages: u64,
}

pub trait Sender: Send {
    /// Sends these messages, at most a batch, waiting while there is no room.
    fn send(&mut self, numbers: Range<u64>);

    /// This one will send no more. Where the queue does not know by its being dropped, the last must say so.
    fn finish(self)
    where
        Self: Sized,
    {
    }
}

pub trait Receiver: Send {
    /// Receives a message or up to a batch, waiting while there is none. False: all senders have finished, and it is empty.
    fn receive(&mut self, tally: &mut Tally) -> bool;
}

/// The ends of a queue, one for each thread.
pub struct Ends<S, R> {
    pub senders: Vec<S>,
    pub receivers: Vec<R>,
    /// Messages to a call.
    pub batch: u64,
}

impl<S: Sender, R: Receiver> Ends<S, R> {
    /// As many as the case needs.
    pub fn new(case: &Case, mut sender: impl FnMut() -> S, mut receiver: impl FnMut() -> R) -> Self {
        Ends {
            senders: (0..case.shape.producers.max(1)).map(|_| sender()).collect(),
            receivers: (0..case.shape.consumers.max(1)).map(|_| receiver()).collect(),
            batch: 1,
        }
    }

    pub fn by(self, batch: usize) -> Self {
        Ends { batch: batch as u64, ..self }
    }
}

/// Nanoseconds for each message; panics if any is lost, doubled or spoilt.
pub fn measure<S: Sender, R: Receiver>(case: &Case, mut ends: Ends<S, R>) -> f64 {
    // Once round the ring, so that every page has been touched.
    alternate(&mut ends, case.ring as u64);
    let (took, tally) = match case.shape.is_one_thread() {
        true => alternate(&mut ends, case.messages),
        false => concurrently(ends, case),
    };
    assert_eq!(tally, Tally::expected(case.messages, case.size), "{case:?}");
    took.as_nanos() as f64 / case.messages as f64
}

fn alternate<S: Sender, R: Receiver>(ends: &mut Ends<S, R>, messages: u64) -> (Duration, Tally) {
    let (sender, receiver) = (&mut ends.senders[0], &mut ends.receivers[0]);
    let mut tally = Tally::default();
    let begun = Instant::now();
    let mut next = 0;
    while next < messages {
        let end = messages.min(next + ends.batch);
        sender.send(next..end);
        next = end;
        while tally.count < end {
            assert!(receiver.receive(&mut tally));
        }
    }
    (begun.elapsed(), tally)
}

fn concurrently<S: Sender, R: Receiver>(ends: Ends<S, R>, case: &Case) -> (Duration, Tally) {
    let Ends { senders, receivers, batch } = ends;
    let share = case.messages / senders.len() as u64;
    assert_eq!(share * senders.len() as u64, case.messages);
    let gate = Gate(AtomicUsize::new(senders.len() + receivers.len()));
    // As the probe's threads; more threads than cores are the kernel's to place.
    let pinned = senders.len() + receivers.len() == 2;
    thread::scope(|scope| {
        let gate = &gate;
        let senders: Vec<_> = senders
            .into_iter()
            .zip(0..)
            .map(|(mut sender, i)| {
                scope.spawn(move || {
                    if pinned {
                        probe::pin(0);
                    }
                    gate.pass();
                    let begun = Instant::now();
                    let (mut next, end) = (i * share, (i + 1) * share);
                    while next < end {
                        let until = end.min(next + batch);
                        sender.send(next..until);
                        next = until;
                    }
                    sender.finish();
                    begun
                })
            })
            .collect();
        let receivers: Vec<_> = receivers
            .into_iter()
            .map(|mut receiver| {
                scope.spawn(move || {
                    if pinned {
                        probe::pin(1);
                    }
                    let mut tally = Tally::default();
                    gate.pass();
                    while receiver.receive(&mut tally) {}
                    (Instant::now(), tally)
                })
            })
            .collect();
        let begun = senders.into_iter().map(|s| s.join().unwrap()).min();
        let mut ended = None;
        let mut total = Tally::default();
        for receiver in receivers {
            let (at, tally) = receiver.join().unwrap();
            ended = ended.max(Some(at));
            total.add(tally);
        }
        let (begun, ended) = begun.zip(ended).expect("there are threads");
        (ended - begun, total)
    })
}

/// Lets all threads go at once. Unlike a barrier it puts nobody to sleep: waking takes as long as thousands of messages.
struct Gate(AtomicUsize);

impl Gate {
    fn pass(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
        let backoff = Backoff::new();
        while self.0.load(Ordering::Acquire) > 0 {
            backoff.snooze();
        }
    }
}

/// How many messages make a measurement last long enough, going by the one before.
pub struct Effort {
    messages: Option<u64>,
    lasts: Duration,
}

impl Effort {
    const FIRST: u64 = 4_000;
    const MOST: u64 = 16_000_000;

    pub fn new(quick: bool) -> Effort {
        Effort { messages: None, lasts: Duration::from_millis(if quick { 5 } else { 15 }) }
    }

    /// Measures, with a first attempt that does not count if nothing is known yet.
    pub fn spend(&mut self, mut measure: impl FnMut(u64) -> f64) -> f64 {
        let messages = match self.messages {
            Some(messages) => messages,
            None => self.learn(measure(Self::FIRST)),
        };
        let nanos = measure(messages);
        self.learn(nanos);
        nanos
    }

    /// A multiple of every shape's number of producers.
    fn learn(&mut self, nanos: f64) -> u64 {
        let messages = (self.lasts.as_nanos() as f64 / nanos) as u64;
        let messages = messages.clamp(Self::FIRST / 4, Self::MOST).next_multiple_of(8);
        self.messages = Some(messages);
        messages
    }
}
