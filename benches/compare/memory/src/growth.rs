//! How the cost of a push and a pop grows: with the message, the ring, who is attached, the groups, what is kept, and with each guarantee.
//!
//! One thread pushes a message and pops it in each group, on a queue in memory unless the name says otherwise, of 1,024 messages of 64 bytes unless the
//! table is about that. Nanoseconds for each delivery; the ratios are to the bare queue in the same round. A queue is made once, and worked on in
//! every round. The message's bytes are written once: what grows with its length is the copy in, the copy out, and the sum that shows it whole.

use crate::contenders::Place;
use crate::measure::Effort;
use harness::message::{Tally, fill};
use harness::rounds::{Contender, Contest};
use harness::{Cell, Options, Report};
use ringfile::{Claim, Consumer, Producer, Queue};
use std::time::{Duration, Instant};

const BARE: &str = "bare";
/// What the tables have for a column.
const COLUMN: &str = "1T";
const MESSAGES: u64 = 1024;
const SIZE: usize = 64;

pub fn report() -> Report {
    Report::new("ns per delivery", BARE)
}

/// `large`: also files of up to 16 GiB, which take that much room and minutes to be written once.
pub fn contests(options: &Options, large: bool) -> Vec<Contest<'static>> {
    let mut contests =
        vec![sizes(), rings(), attached(), groups(), retained(), guarantees(), ways_to_take(), places()];
    if large {
        contests.push(files());
    }
    contests.into_iter().map(|(table, variants)| contest(table, variants, options.quick)).collect()
}

type Table = (&'static str, Vec<Variant>);

fn contest(table: &str, variants: Vec<Variant>, quick: bool) -> Contest<'static> {
    let variants = std::iter::once(Variant::new(BARE)).chain(variants);
    let contenders = variants.map(|variant| contender(variant, quick)).collect();
    Contest { cell: Cell::new(table, COLUMN), contenders }
}

fn contender(variant: Variant, quick: bool) -> Contender<'static> {
    let mut effort = Effort::new(quick);
    let mut subject = None;
    Contender::fallible(variant.name.clone(), move || {
        let subject = match &mut subject {
            Some(subject) => subject,
            none => none.insert(Subject::new(&variant)?),
        };
        Ok(effort.spend(|deliveries| subject.measure(deliveries)))
    })
}

/// A queue unlike the bare one, and how it is used.
struct Variant {
    name: String,
    options: ringfile::Options,
    place: Place,
    size: usize,
    messages: u64,
    groups: usize,
    idle: usize,
    takes: Takes,
}

#[derive(Clone, Copy)]
enum Takes {
    Pops,
    ClaimsAndAcks,
    /// A reservation, too.
    InPlace,
    Batches(usize),
}

impl Variant {
    fn new(name: impl Into<String>) -> Variant {
        Variant {
            name: name.into(),
            options: Queue::options(),
            place: Place::Memory,
            size: SIZE,
            messages: MESSAGES,
            groups: 1,
            idle: 0,
            takes: Takes::Pops,
        }
    }

    /// One whose queue has these options.
    fn of(name: &str, set: impl FnOnce(&mut ringfile::Options) -> &mut ringfile::Options) -> Variant {
        let mut variant = Variant::new(name);
        set(&mut variant.options);
        variant
    }
}

fn sizes() -> Table {
    let sizes = [8, 32, 64, 96, 128, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10];
    let of = |size| Variant { size, ..Variant::new(format!("{size} B")) };
    ("message size", sizes.map(of).into())
}

fn rings() -> Table {
    let of = |bits: u32| Variant { messages: 1 << bits, ..Variant::new(format!("2^{bits} messages")) };
    ("ring size", [8, 10, 12, 14, 16, 18, 20, 22].map(of).into())
}

/// Half of them producers, half consumers; none works.
fn attached() -> Table {
    let of = |idle| {
        let mut variant = Variant::of(&format!("{idle} idle"), |options| options.participants(1024));
        variant.idle = idle;
        variant
    };
    ("idle participants", [0, 1, 8, 64, 512].map(of).into())
}

fn groups() -> Table {
    let of = |groups: usize| Variant {
        groups,
        ..Variant::of(&format!("{groups} groups"), |options| options.groups(9))
    };
    ("groups", [1, 2, 4, 8].map(of).into())
}

fn retained() -> Table {
    let of = |messages: u64| Variant {
        messages: 1 << 15,
        ..Variant::of(&format!("retain {messages}, ring 32768"), |options| options.retain(messages))
    };
    ("retained messages", [0, 100, 10_000].map(of).into())
}

fn guarantees() -> Table {
    let second = Duration::from_secs(1);
    let variants = vec![
        Variant::of("max_deliveries", |o| o.max_deliveries(5)),
        Variant::of("lease", |o| o.lease(second)),
        Variant::of("max_deliveries and lease", |o| o.max_deliveries(5).lease(second)),
        Variant::of("rate, never reached", |o| o.rate(1e9).burst(1_000_000)),
        Variant::of("retain 100", |o| o.retain(100)),
        Variant::of("retain_for", |o| o.retain(100).retain_for(second)),
        Variant::of("scrub", |o| o.scrub(true)),
        Variant::of("ticketed", |o| o.claim(Claim::Ticketed)),
    ];
    ("guarantees", variants)
}

fn ways_to_take() -> Table {
    let of = |name: &str, takes| Variant { takes, ..Variant::new(name) };
    let variants = vec![
        of("push, claim and ack", Takes::ClaimsAndAcks),
        of("reserve and commit, claim and ack", Takes::InPlace),
        of("batches of 16", Takes::Batches(16)),
        of("batches of 64", Takes::Batches(64)),
    ];
    ("calls", variants)
}

fn places() -> Table {
    let of = |name: &str, place| Variant { place, ..Variant::new(name) };
    ("place", vec![of("file on tmpfs", Place::Tmpfs), of("file on a disk", Place::Disk)])
}

fn files() -> Table {
    const LONG: usize = 1024;
    let of = |name: &str, place, mebibytes: u64| Variant {
        place,
        size: LONG,
        messages: mebibytes << 10,
        ..Variant::new(format!("1 KiB, {mebibytes} MiB {name}"))
    };
    let tmpfs = [1, 64, 1024, 4096].map(|mebibytes| of("on tmpfs", Place::Tmpfs, mebibytes));
    let disk = [1, 64, 1024, 4096, 16384].map(|mebibytes| of("on a disk", Place::Disk, mebibytes));
    ("large files", tmpfs.into_iter().chain(disk).collect())
}

/// A queue at work.
struct Subject {
    producer: Producer,
    /// One for each group.
    consumers: Vec<Consumer>,
    _idle: (Vec<Producer>, Vec<Consumer>),
    takes: Takes,
    message: Vec<u8>,
    batch: Vec<Vec<u8>>,
    taken: Vec<u8>,
}

impl Subject {
    fn new(variant: &Variant) -> Result<Subject, String> {
        let &Variant { size, messages, groups, idle, takes, .. } = variant;
        let mut options = variant.options.clone();
        options.messages(messages).capacity((messages as usize * size).max(4096));
        let queue = variant.place.create(&options)?;
        let other_groups =
            (1..groups).map(|i| queue.group(&format!("group {i}")).unwrap().consumer().unwrap());
        let batch = if let Takes::Batches(count) = takes { count } else { 1 };
        let mut subject = Subject {
            producer: queue.producer().unwrap(),
            consumers: std::iter::once(queue.consumer().unwrap()).chain(other_groups).collect(),
            _idle: (
                (0..idle.div_ceil(2)).map(|_| queue.producer().unwrap()).collect(),
                (0..idle / 2).map(|_| queue.consumer().unwrap()).collect(),
            ),
            takes,
            message: vec![0; size],
            batch: vec![vec![0; size]; batch],
            taken: Vec::new(),
        };
        fill(&mut subject.message, 1);
        subject.batch.iter_mut().for_each(|message| fill(message, 1));
        // Once round the ring, so that every page has been touched.
        subject.measure((messages * groups as u64).next_multiple_of(batch as u64));
        Ok(subject)
    }

    /// Nanoseconds for each of about so many deliveries; panics if any is lost, doubled or spoilt.
    fn measure(&mut self, deliveries: u64) -> f64 {
        let pushes =
            deliveries.div_ceil(self.consumers.len() as u64).next_multiple_of(self.batch.len() as u64);
        let mut tally = Tally::default();
        let begun = Instant::now();
        for _ in 0..pushes / self.batch.len() as u64 {
            self.push();
            for consumer in &mut self.consumers {
                take(consumer, self.takes, &mut self.taken, &mut tally);
            }
        }
        let took = begun.elapsed();
        let count = pushes * self.consumers.len() as u64;
        let lines = self.message.len().div_ceil(64) as u64;
        assert_eq!(tally, Tally { count, sum: count * lines });
        took.as_nanos() as f64 / count as f64
    }

    #[inline(always)]
    fn push(&mut self) {
        match self.takes {
            Takes::Pops | Takes::ClaimsAndAcks => {
                self.producer.push(&self.message).unwrap();
            }
            Takes::Batches(_) => {
                self.producer.push_batch(&self.batch).unwrap();
            }
            Takes::InPlace => {
                let mut place = self.producer.reserve(self.message.len()).unwrap();
                place.copy_from_slice(&self.message);
                place.commit();
            }
        }
    }
}

#[inline(always)]
fn take(consumer: &mut Consumer, takes: Takes, taken: &mut Vec<u8>, tally: &mut Tally) {
    match takes {
        Takes::Pops => {
            consumer.pop_into(taken).unwrap();
            tally.see(taken);
        }
        Takes::ClaimsAndAcks | Takes::InPlace => {
            let delivery = consumer.claim().unwrap();
            tally.see(&delivery);
            delivery.ack().unwrap();
        }
        Takes::Batches(count) => {
            let before = tally.count;
            while tally.count < before + count as u64 {
                consumer.drain(count, |message| tally.see(message)).unwrap();
            }
        }
    }
}
