//! How long a thread that sleeps takes to have the next message, and what the possibility of sleepers costs those who push.
//!
//! The sender is on one core and works through a pause of 200 us, in which the receiver, on the other, falls asleep. Then it looks at the clock and sends what it
//! says; the receiver looks when it has it. The distributions are of the time between. The raw futex is a counter with `FUTEX_WAIT` on the one side and an
//! addition and `FUTEX_WAKE` on the other: nobody who sleeps can be faster.
//!
//! A push with nobody asleep is measured alone, in one thread, on a ring that is emptied in between.

use crate::measure::Effort;
use harness::message::{Tally, message};
use harness::rounds::{Contender, Contest};
use harness::{Cell, Histogram, Options, Report, probe};
use ringfile::{Queue, Wait};
use std::fmt::Write;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_micros(200);
const RAW: &str = "raw futex";
const SPIN: &str = "ringfile Wait::Spin";
const ADAPTIVE: &str = "ringfile Wait::Adaptive";
const PARK: &str = "ringfile Wait::Park";
const WAKE: &str = "wake-up of a thread";
const PUSH: &str = "push, nobody asleep";

pub fn report() -> Report {
    Report::new("ns", SPIN)
}

pub fn contests(options: &Options) -> Vec<Contest<'static>> {
    let count = if options.quick { 20 } else { 100 };
    let sleeper = |name: &str, wake: fn(u64) -> Histogram<u64>| Contender::new(name, move || wake(count));
    let wakes = vec![
        sleeper(RAW, raw),
        sleeper(PARK, |count| ringfile(count, Wait::Park)),
        sleeper(ADAPTIVE, |count| ringfile(count, Wait::Adaptive)),
        sleeper("crossbeam-channel", crossbeam),
        sleeper("std sync_channel", std),
    ];
    let pushes = [(SPIN, Wait::Spin), (ADAPTIVE, Wait::Adaptive), (PARK, Wait::Park)];
    vec![
        Contest { cell: Cell::new(WAKE, "8 B"), contenders: wakes },
        Contest {
            cell: Cell::new(PUSH, "8 B"),
            contenders: pushes.map(|(name, wait)| pusher(name, wait, options.quick)).into(),
        },
    ]
}

/// What is said about the targets.
pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    for distance in report.distances() {
        let _ = writeln!(out, "\nSummary, {} cores", distance.name());
        let wake = Cell::new(WAKE, "8 B");
        let of = |name| report.distribution(distance, &wake, name);
        for name in [PARK, ADAPTIVE] {
            let Some((own, raw)) = of(name).zip(of(RAW)) else { continue };
            let ratio = |fraction| own.quantile(fraction) as f64 / raw.quantile(fraction) as f64;
            let (middle, late) = (ratio(0.5), ratio(0.99));
            let _ = writeln!(out, "  wake-up, {name} to {RAW}: p50 x{middle:.2}, p99 x{late:.2}");
        }
        let cell = Cell::new(PUSH, "8 B");
        let value = |name| report.figure(distance, &cell, name).map(|figure| figure.value);
        for name in [ADAPTIVE, PARK] {
            let Some((own, spin)) = value(name).zip(value(SPIN)) else { continue };
            let _ = writeln!(out, "  push with nobody asleep, {name}: {:+.2} ns to {SPIN}", own - spin);
        }
    }
    out
}

/// Wakes a receiver so often. Both sides are given nanoseconds since the same instant.
fn wake(
    count: u64,
    mut send: impl FnMut(u64) + Send,
    mut receive: impl FnMut() -> u64 + Send,
) -> Histogram<u64> {
    let epoch = Instant::now();
    let now = move || epoch.elapsed().as_nanos() as u64;
    thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            probe::pin(1);
            let mut took = Histogram::new(3).expect("three digits are possible");
            for _ in 0..count {
                let sent = receive();
                took.record(now() - sent).expect("it resizes itself");
            }
            took
        });
        scope.spawn(move || {
            probe::pin(0);
            for _ in 0..count {
                let pause = Instant::now();
                while pause.elapsed() < PAUSE {
                    spin_loop();
                }
                send(now());
            }
        });
        receiver.join().unwrap()
    })
}

fn ringfile(count: u64, wait: Wait) -> Histogram<u64> {
    let queue = Queue::options().messages(1024).capacity(4096).wait(wait).in_memory().unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let mut message = Vec::new();
    wake(
        count,
        move |sent| {
            producer.push(&sent.to_le_bytes()).unwrap();
        },
        move || {
            consumer.pop_into(&mut message).unwrap();
            u64::from_le_bytes(message[..].try_into().expect("eight bytes"))
        },
    )
}

fn crossbeam(count: u64) -> Histogram<u64> {
    let (sender, receiver) = crossbeam_channel::bounded(1024);
    wake(count, move |sent| sender.send(sent).unwrap(), move || receiver.recv().unwrap())
}

fn std(count: u64) -> Histogram<u64> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1024);
    wake(count, move |sent| sender.send(sent).unwrap(), move || receiver.recv().unwrap())
}

fn raw(count: u64) -> Histogram<u64> {
    let (sent, counter) = (AtomicU64::new(0), AtomicU32::new(0));
    let mut seen = 0;
    wake(
        count,
        |nanos| {
            sent.store(nanos, Ordering::Relaxed);
            counter.fetch_add(1, Ordering::Release);
            futex(&counter, libc::FUTEX_WAKE, 1);
        },
        || {
            while counter.load(Ordering::Acquire) == seen {
                futex(&counter, libc::FUTEX_WAIT, seen);
            }
            seen += 1;
            sent.load(Ordering::Relaxed)
        },
    )
}

fn futex(word: &AtomicU32, operation: libc::c_int, value: u32) {
    let operation = operation | libc::FUTEX_PRIVATE_FLAG;
    let forever = std::ptr::null::<libc::timespec>();
    // SAFETY: the word outlives the call, which takes no other memory; whatever it returns, the caller looks at the word again.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, forever) };
}

fn pusher(name: &'static str, wait: Wait, quick: bool) -> Contender<'static> {
    const RING: u64 = 1024;
    let queue = Queue::options().messages(RING).capacity(4096).wait(wait).in_memory().unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let mut effort = Effort::new(quick);
    let mut fill_and_empty = move |messages: u64| {
        let laps = messages.div_ceil(RING / 2);
        let mut took = Duration::ZERO;
        for _ in 0..laps {
            let begun = Instant::now();
            for number in 0..RING / 2 {
                producer.push(&message::<8>(number)).unwrap();
            }
            took += begun.elapsed();
            let mut tally = Tally::default();
            while tally.count < RING / 2 {
                consumer.drain(64, |message| tally.see(message)).unwrap();
            }
            assert_eq!(tally, Tally::expected(RING / 2, 8));
        }
        took.as_nanos() as f64 / (laps * (RING / 2)) as f64
    };
    Contender::new(name, move || effort.spend(&mut fill_and_empty))
}
