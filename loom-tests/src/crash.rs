//! Participants that are killed: at every step that they do, the first time and the second, while others go on and recover.
//!
//! A scenario is played once without a death, which shows what steps there are, and then once for each of them. Whatever is killed
//! wherever: a message whose push returned is delivered, once unless its holder was killed, nothing else is, batches are whole, and the ring
//! goes round afterwards.

use crate::explore::{bounded, name_of, pin};
use crate::{Consumer, DEAD, Producer, Sleeper};
use loom::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use ringfile::fault::{Step, doomed};
use ringfile::ring::Ring;
use ringfile::ring::claim::{Claimed, Nothing};
use ringfile::ring::recover::{Settled, recover};
use ringfile::ring::words::Owner;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// The attachment of those who are gone from the beginning.
pub const LONG_DEAD: u64 = 3;

/// The second time that a step is done is often another branch; a third never was.
const HITS: usize = 2;

/// What happened in one execution, as somebody knows who cannot be killed.
#[derive(Default)]
struct Ledger {
    /// Pushes that began, and those that returned.
    pushing: Vec<u8>,
    pushed: Vec<u8>,
    /// What the victim got, what it began to acknowledge, and what it had acknowledged.
    claimed: Vec<u8>,
    acking: Vec<u8>,
    acked: Vec<u8>,
    /// What the living took, with its number of deliveries.
    taken: Vec<(u8, u64)>,
}

/// One execution: a ring, a victim, and those who go on.
#[derive(Clone)]
pub struct Scene {
    /// What they work on.
    pub ring: Arc<Ring>,
    at: Option<(Step, u32)>,
    gone: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
    steps: Arc<[AtomicUsize]>,
    deaths: Arc<AtomicUsize>,
}

impl Scene {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Runs the victim to its death, or its end, of which the kernel then knows.
    pub fn victim(&self, body: impl FnOnce(&Scene)) {
        let steps = doomed(self.at, || body(self));
        for (i, step) in Step::ALL.iter().enumerate() {
            let hits = steps.iter().filter(|done| *done == step).count();
            self.steps[i].fetch_max(hits, Ordering::Relaxed);
        }
        if let Some((step, hit)) = self.at {
            let died = steps.iter().filter(|done| **done == step).count() == hit as usize;
            self.deaths.fetch_add(usize::from(died), Ordering::Relaxed);
        }
        self.gone.store(true, Release);
    }

    /// Settles what the dead owe of whose death the kernel knows.
    pub fn recover(&self) -> Settled {
        self.recover_in(&self.ring)
    }

    /// The same in another ring.
    pub fn recover_in(&self, ring: &Ring) -> Settled {
        recover(ring, 0, |_, number| number == LONG_DEAD || number == DEAD && self.gone.load(Acquire))
    }

    /// Notes what was pushed before.
    pub fn there(&self, messages: &[u8]) {
        self.ledger().pushing.extend(messages);
        self.ledger().pushed.extend(messages);
    }

    /// Pushes, and notes that it returned.
    pub fn push(&self, producer: &mut Producer, messages: &[&[u8]]) {
        let values: Vec<u8> = messages.iter().map(|message| message[0]).collect();
        self.ledger().pushing.extend(&values);
        if producer.try_push_batch(messages).is_ok() {
            self.ledger().pushed.extend(&values);
        }
    }

    /// The same for one who wakes and sleeps.
    pub fn push_sleeping(&self, producer: &mut Sleeper<Producer>, message: &[u8]) {
        self.ledger().pushing.push(message[0]);
        if producer.push(message).is_ok() {
            self.ledger().pushed.push(message[0]);
        }
    }

    /// The victim claims, and notes what.
    pub fn claim(&self, consumer: &mut Consumer, max: usize) -> Option<Claimed> {
        let claimed = consumer.try_claim(max).ok()?;
        self.ledger().claimed.extend(consumer.read(&claimed));
        Some(claimed)
    }

    /// The victim acknowledges all that it has claimed, and notes that it did.
    pub fn ack(&self, consumer: &mut Consumer, claimed: &Claimed) {
        let messages = consumer.read(claimed);
        self.ledger().acking.extend(&messages);
        consumer.ack(claimed);
        self.ledger().acked.extend(&messages);
    }

    /// The same for the first.
    pub fn ack_first(&self, consumer: &Consumer, claimed: &mut Claimed) {
        let first = consumer.read(claimed)[0];
        self.ledger().acking.push(first);
        consumer.ack_first(claimed, 1);
        self.ledger().acked.push(first);
    }

    /// One of the living takes what there is, at most so often.
    pub fn take(&self, consumer: &mut Consumer, tries: usize) {
        for _ in 0..tries {
            if let Ok(claimed) = consumer.try_claim(1) {
                let message = consumer.read(&claimed)[0];
                // Else it was taken back, and is somebody else's.
                if consumer.ack(&claimed) {
                    self.ledger().taken.push((message, claimed.deliveries()));
                }
            }
        }
    }

    /// The same for one who sets letters aside on the way.
    pub fn take_but_letters(&self, consumer: &mut Consumer, letters: &mut Producer, tries: usize) {
        for _ in 0..tries {
            if let Ok(message) = consumer.try_pop_but_letters(letters) {
                self.ledger().taken.push((message, 1));
            }
        }
    }

    /// One of the living takes the letters that are there.
    pub fn take_letters(&self, letters: &Arc<Ring>) {
        let messages = Consumer::join(letters).pops(letters.cells() as usize);
        self.ledger().taken.extend(messages.iter().map(|message| (*message, 2)));
    }

    /// One of the living takes one, however long it must sleep for it.
    pub fn take_sleeping(&self, consumer: &mut Sleeper<Consumer>) {
        if let Ok(message) = consumer.pop() {
            self.ledger().taken.push((message, 1));
        }
    }

    /// The victim pops what is no letter, one of these.
    pub fn pop_but_letters(&self, consumer: &mut Consumer, letters: &mut Producer, any: &[u8]) {
        self.ledger().acking.extend(any);
        if let Ok(message) = consumer.try_pop_but_letters(letters) {
            self.ledger().acked.push(message);
        }
    }

    /// The victim pops one of these, however long it must sleep for it. It may be killed in finishing it.
    pub fn pop_sleeping(&self, consumer: &mut Sleeper<Consumer>, any: &[u8]) {
        self.ledger().acking.extend(any);
        if let Ok(message) = consumer.pop() {
            self.ledger().acked.push(message);
        }
    }

    /// When all are done: settles, drains, and compares with what may have happened. `whole` are the messages of one batch.
    pub fn check(&self, whole: &[u8]) {
        self.recover();
        assert!(self.recover().is_nothing(), "a second recovery finds nothing");
        for i in 0..self.ring.participants() {
            let attachment = self.ring.slot(Owner(i as u16)).attachment().load(Ordering::Relaxed);
            assert!(attachment != DEAD && attachment != LONG_DEAD, "slot {i} is still the dead one's");
        }
        self.ring.set_closed(false);
        let mut consumer = Consumer::join(&self.ring).later();
        self.take(&mut consumer, 2 * self.ring.cells() as usize);
        assert_eq!(consumer.try_pop(), Err(Nothing::Empty));
        self.check_ledger(whole);
        let mut producer = Producer::join(&self.ring);
        for lap in 1..=2 * self.ring.cells() as u8 {
            producer.push(&[lap]);
            assert_eq!(consumer.pop(), lap, "the ring goes round");
        }
    }

    fn check_ledger(&self, whole: &[u8]) {
        let Ledger { pushing, pushed, claimed, acking, acked, taken } = &*self.ledger();
        let times = |value: &u8| taken.iter().filter(|(taken, _)| taken == value).count();
        for value in pushing {
            let (is_pushed, ends) = (pushed.contains(value), acking.contains(value));
            let expected = match (is_pushed, ends, acked.contains(value)) {
                (_, _, true) => 0..=0,
                (false, _, _) | (_, true, _) => 0..=1,
                _ => 1..=1,
            };
            assert!(expected.contains(&times(value)), "{value} was delivered {} times", times(value));
        }
        for (value, deliveries) in taken {
            assert!(pushing.contains(value), "{value} was never pushed");
            assert!(!claimed.contains(value) || *deliveries > 1, "{value} was delivered before");
        }
        let there =
            whole.iter().filter(|value| times(value) > 0 || acked.contains(value) || acking.contains(value));
        let there = there.count();
        assert!(there == 0 || there == whole.len(), "{there} of a batch of {}", whole.len());
    }
}

/// Plays a scenario without a death, and then with each. What is pinned is the number of deaths, in the name, and the sum of executions.
pub fn explore_deaths(
    ring: impl Fn() -> Arc<Ring> + Copy + Send + Sync + 'static,
    play: impl Fn(&Scene) + Copy + Send + Sync + 'static,
) {
    let name = name_of(&play);
    let steps: Arc<[AtomicUsize]> = Step::ALL.iter().map(|_| AtomicUsize::new(0)).collect();
    let explore = |at| {
        let (steps, deaths, executions) =
            (steps.clone(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counted = (deaths.clone(), executions.clone());
        bounded().check(move || {
            executions.fetch_add(1, Ordering::Relaxed);
            play(&Scene {
                ring: ring(),
                at,
                gone: Arc::new(AtomicBool::new(false)),
                ledger: Arc::default(),
                steps: steps.clone(),
                deaths: deaths.clone(),
            });
        });
        (counted.0.load(Ordering::Relaxed), counted.1.load(Ordering::Relaxed))
    };
    let (_, mut executions) = explore(None);
    let hits: Vec<usize> = steps.iter().map(|hits| hits.load(Ordering::Relaxed).min(HITS)).collect();
    let mut deaths = 0;
    for (step, hits) in Step::ALL.iter().zip(hits) {
        for hit in 1..=hits {
            let (died, played) = explore(Some((*step, hit as u32)));
            assert!(died > 0, "{name}: nobody died of {step:?}, hit {hit}");
            println!("  killed at {step:?} ({hit}): {played} executions");
            executions += played;
            deaths += 1;
        }
    }
    println!("model {name}: {deaths} deaths, {executions} executions");
    pin(&format!("{name}({deaths}_deaths)"), executions);
}
