//! How fast a ring is: one thread and several, short messages and long, in memory and on a file, one by one and in batches.
//!
//! ```text
//! cargo bench                       # everything, a few minutes
//! cargo bench -- --quick            # everything, roughly
//! cargo bench -- memory/1P1C/64     # what matches
//! ```
//!
//! An element is one message: pushed, popped, and its bytes copied both ways (batches are read in place). Names are
//! `place/shape/size in bytes`, in `groups` the number of groups that get every message; `2P2C` is two producers and two consumers, each a thread with its own handle. Calls block, so what is
//! measured includes how the handles wait. Files lie in the temporary directory (`TMPDIR` moves them) and are unlinked as soon as
//! they are open, so that nothing stays behind however this ends.
//!
//! Between two threads the figures depend on how far apart the machine puts their cores; on virtual machines that changes by
//! the minute. To compare versions or other queues, use `benches/compare`, which measures it too.

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use ringfile::{Claim, Consumer, Producer, Queue};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SIZES: [usize; 5] = [8, 64, 256, 1024, 64 << 10];
const MESSAGES: u64 = 1024;
/// Long messages share a data ring of this size, which caches hold, rather than have room for all [`MESSAGES`] of them.
const MOST_BYTES: usize = 4 << 20;

/// Where a ring lives.
#[derive(Clone, Copy)]
enum Place {
    Memory,
    File,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Memory => "memory",
            Place::File => "file",
        }
    }

    fn open(self, size: usize, claim: Claim) -> Queue {
        let mut options = Queue::options();
        options.messages(MESSAGES).capacity((MESSAGES as usize * size).clamp(4096, MOST_BYTES)).claim(claim);
        match self {
            Place::Memory => options.in_memory().unwrap(),
            Place::File => {
                static NEXT: AtomicU64 = AtomicU64::new(0);
                let name =
                    format!("ringfile-bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
                let path = std::env::temp_dir().join(name);
                let queue = options.create_new(&path).unwrap();
                std::fs::remove_file(path).unwrap();
                queue
            }
        }
    }
}

/// Pushes `count` messages.
fn push(producer: &mut Producer, message: &[u8], count: u64, batch: usize) {
    if batch == 1 {
        for _ in 0..count {
            producer.push(black_box(message)).unwrap();
        }
        return;
    }
    let messages = vec![message; batch];
    let mut left = count as usize;
    while left > 0 {
        let now = left.min(batch);
        producer.push_batch(black_box(&messages[..now])).unwrap();
        left -= now;
    }
}

/// Pops until the queue is closed, or until `count` messages came, whichever is first. Returns how many came.
fn pop(consumer: &mut Consumer, count: u64, batch: usize) -> u64 {
    let mut popped = 0;
    if batch == 1 {
        let mut message = Vec::new();
        while popped < count && consumer.pop_into(&mut message).is_ok() {
            black_box(&message);
            popped += 1;
        }
        return popped;
    }
    while popped < count {
        match consumer.drain(batch, |message| {
            black_box(message);
        }) {
            Ok(seen) => popped += seen as u64,
            Err(_) => break,
        }
    }
    popped
}

/// How long `count` messages take through a warm ring in one thread.
fn one_thread(queue: &Queue, size: usize, count: u64, batch: usize) -> Duration {
    let message = vec![7; size];
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let mut round = |count: u64| {
        let mut left = count;
        while left > 0 {
            let now = left.min(batch as u64);
            push(&mut producer, &message, now, batch);
            assert_eq!(pop(&mut consumer, now, batch), now);
            left -= now;
        }
    };
    round(MESSAGES); // every page has been touched
    let start = Instant::now();
    round(count);
    start.elapsed()
}

/// How long `count` messages take from `producers` threads to `consumers` threads.
fn threads(
    queue: &Queue,
    size: usize,
    count: u64,
    (producers, consumers): (u64, u64),
    batch: usize,
) -> Duration {
    one_thread(queue, size, 1, 1);
    let running = AtomicU64::new(producers);
    let start = Barrier::new((producers + consumers) as usize + 1);
    let (popped, elapsed) = thread::scope(|scope| {
        for i in 0..producers {
            let share = count / producers + u64::from(i < count % producers);
            let (running, start) = (&running, &start);
            scope.spawn(move || {
                let mut producer = queue.producer().unwrap();
                let message = vec![7; size];
                start.wait();
                push(&mut producer, &message, share, batch);
                if running.fetch_sub(1, Ordering::AcqRel) == 1 {
                    queue.close();
                }
            });
        }
        let poppers: Vec<_> = (0..consumers)
            .map(|_| {
                let start = &start;
                scope.spawn(move || {
                    let mut consumer = queue.consumer().unwrap();
                    start.wait();
                    pop(&mut consumer, u64::MAX, batch)
                })
            })
            .collect();
        start.wait();
        let begun = Instant::now();
        let popped: u64 = poppers.into_iter().map(|p| p.join().unwrap()).sum();
        (popped, begun.elapsed())
    });
    assert_eq!(popped, count, "every message arrives once");
    queue.reopen();
    elapsed
}

/// A group with times short enough for all of them to be worth running.
fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .sampling_mode(SamplingMode::Flat);
    group
}

/// One benchmark; no producers and consumers means one thread that is both.
fn add(
    group: &mut BenchmarkGroup<'_, WallTime>,
    throughput: Throughput,
    id: BenchmarkId,
    queue: &Queue,
    size: usize,
    (shape, batch): ((u64, u64), usize),
) {
    group.throughput(throughput);
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|count| match shape {
            (0, 0) => one_thread(queue, size, count, batch),
            shape => threads(queue, size, count, shape, batch),
        });
    });
}

const SHAPES: [(&str, (u64, u64)); 4] =
    [("1T", (0, 0)), ("1P1C", (1, 1)), ("2P2C", (2, 2)), ("4P4C", (4, 4))];

/// Every size: in messages a second, and long ones in bytes.
fn sizes(c: &mut Criterion) {
    for place in [Place::Memory, Place::File] {
        for (name, shape) in SHAPES {
            let mut group = group(c, &format!("{}/{name}", place.name()));
            for size in SIZES {
                let queue = place.open(size, Claim::Ordered);
                // Bytes say more about long messages, and elements about short ones.
                let throughput =
                    if size < 1024 { Throughput::Elements(1) } else { Throughput::Bytes(size as u64) };
                add(&mut group, throughput, BenchmarkId::from_parameter(size), &queue, size, (shape, 1));
            }
        }
    }
}

/// The two ways to claim, at one size.
fn claims(c: &mut Criterion) {
    for (claim, claim_name) in [(Claim::Ordered, "ordered"), (Claim::Ticketed, "ticketed")] {
        let mut group = group(c, &format!("claim/{claim_name}"));
        for (name, shape) in SHAPES {
            let queue = Place::Memory.open(64, claim);
            add(&mut group, Throughput::Elements(1), BenchmarkId::new(name, 64), &queue, 64, (shape, 1));
        }
    }
}

/// One reservation and one claim for several messages.
fn batches(c: &mut Criterion) {
    for batch in [16, 64] {
        let mut group = group(c, &format!("batch/{batch}"));
        for (name, shape) in SHAPES {
            for size in [8, 64] {
                let queue = Place::Memory.open(size, Claim::Ordered);
                add(
                    &mut group,
                    Throughput::Elements(1),
                    BenchmarkId::new(name, size),
                    &queue,
                    size,
                    (shape, batch),
                );
            }
        }
    }
}

/// How long `count` deliveries take where each message goes to so many groups: one thread pushes a message and pops it in each.
fn broadcast(queue: &Queue, groups: usize, count: u64) -> Duration {
    let mut producer = queue.producer().unwrap();
    let group = |i| queue.group(&format!("group {i}")).unwrap();
    let mut consumers: Vec<_> = (0..groups).map(|i| group(i).consumer().unwrap()).collect();
    let mut round = |count: u64| {
        for _ in 0..count.div_ceil(groups as u64) {
            push(&mut producer, &[7; 64], 1, 1);
            for consumer in &mut consumers {
                assert_eq!(pop(consumer, 1, 1), 1);
            }
        }
    };
    round(MESSAGES * groups as u64);
    let start = Instant::now();
    round(count);
    start.elapsed()
}

/// What a delivery costs where one, two and four groups get every message. An element is a delivery.
fn groups(c: &mut Criterion) {
    let mut group = group(c, "groups");
    for groups in [1, 2, 4] {
        let queue = Queue::options().messages(MESSAGES).capacity(1 << 16).groups(5).in_memory().unwrap();
        assert!(queue.remove_group("default"));
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(groups), |bencher| {
            bencher.iter_custom(|count| broadcast(&queue, groups, count));
        });
    }
}

/// What criterion's macro makes cannot be documented otherwise.
#[allow(missing_docs)]
mod all {
    use super::{batches, claims, groups, sizes};
    super::criterion_group!(benches, sizes, claims, batches, groups);
}
criterion_main!(all::benches);
