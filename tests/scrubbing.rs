//! Scrubbing: what is given up is overwritten before its space is free, whoever frees it, and nothing else is.

mod common;

use common::{Child, Dir, message, number, run_child, say, spawn, watch};
use ringfile::{Claim, Options, Queue, Start, TryPushError};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const SECRET: &[u8] = b"nobody is to find this";

/// Short ones in their cells, long ones in the data ring.
fn secret(long: bool) -> Vec<u8> {
    SECRET.repeat(if long { 20 } else { 1 })
}

fn options() -> Options {
    let mut options = Queue::options();
    options.messages(32).capacity(16 << 10).cell_size(64).scrub(true);
    options
}

/// How often the secret is in the file.
fn found(path: &Path) -> usize {
    fs::read(path).unwrap().windows(SECRET.len()).filter(|window| *window == SECRET).count()
}

#[test]
fn child() {
    run_child(|role, args| {
        let queue = Queue::open(args[0]).unwrap();
        match role {
            "reap" => {
                say("ready");
                loop {
                    queue.reap();
                }
            }
            other => panic!("no role {other}"),
        }
    });
}

/// Finished, aborted, and left by a batch: all of it is gone after a pass, but for what is retained and what is not finished.
#[test]
fn a_pass_leaves_nothing_of_what_is_given_up() {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = options().retain(2).open(&path).unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for i in 0..8 {
        producer.push(&secret(i % 2 == 0)).unwrap();
    }
    let mut place = producer.reserve(100).unwrap();
    place[..SECRET.len()].copy_from_slice(SECRET);
    drop(place);
    assert!(found(&path) > 8);
    for _ in 0..8 {
        consumer.pop().unwrap();
    }
    producer.push(b"open").unwrap();
    queue.reap();
    // The last two, one of them long; the aborted place lies behind them.
    assert_eq!(found(&path), 20 + 1 + 1);
    let kept: Vec<_> = queue.replay().map(|kept| kept.unwrap().message).collect();
    assert_eq!(kept, [secret(true), secret(false), b"open".to_vec()]);
    queue.set_retain(0);
    assert_eq!(consumer.pop().unwrap(), b"open");
    queue.reap();
    assert_eq!(found(&path), 0);
    assert_eq!(queue.stats().reaped, queue.stats().tail);
    assert!(queue.verify().is_sound());
}

/// Producers free what they need, and overwrite it: whatever lies beyond what is kept is theirs.
#[test]
fn a_producer_overwrites_what_it_frees() {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = options().open(&path).unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for i in 0..32 {
        producer.push(&secret(i % 2 == 0)).unwrap();
        consumer.pop().unwrap();
    }
    assert!(found(&path) > 32);
    // Shorter ones, so that what they do not cover would stay.
    for _ in 0..32 {
        producer.push(b"x").unwrap();
        consumer.pop().unwrap();
    }
    assert_eq!(found(&path), 0);
}

/// Without it nothing is overwritten, and it takes a place for groups where it is.
#[test]
fn it_is_off_by_default_and_takes_a_place() {
    let dir = Dir::new();
    let queue = Queue::options().capacity(4096).open(dir.file("plain")).unwrap();
    queue.producer().unwrap().push(SECRET).unwrap();
    queue.consumer().unwrap().pop().unwrap();
    queue.reap();
    assert_eq!(found(&dir.file("plain")), 1);

    assert!(options().groups(1).in_memory().is_err());
    let queue = options().groups(2).in_memory().unwrap();
    assert!(queue.group("second").is_err());
    assert_eq!(queue.stats().groups.len(), 1);
    assert!(!queue.remove_group(""));
}

/// A message that somebody holds, or a group that begins further back, is not overwritten.
#[test]
fn what_is_held_or_comes_again_stays() {
    for claim in [Claim::Ordered, Claim::Ticketed] {
        let queue = options().claim(claim).retain(4).in_memory().unwrap();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for i in 0..10 {
            producer.push(&message(i, 200)).unwrap();
        }
        let mut holder = queue.consumer().unwrap();
        let held = holder.claim().unwrap();
        while consumer.try_pop().is_ok() {}
        queue.reap();
        assert_eq!(number(&held), 0);
        held.ack().unwrap();
        queue.reap();
        let again = queue.group_with("again", Start::Oldest, claim).unwrap();
        let mut again = again.consumer().unwrap();
        queue.set_retain(0);
        queue.reap();
        for i in 6..10 {
            assert_eq!(number(&again.pop().unwrap()), i);
        }
        assert!(again.try_pop().is_err());
    }
}

/// Producers, consumers, groups that come and go, rewinds, replays and killed reapers: what anybody reads is whole.
#[test]
fn nobody_reads_what_is_overwritten() {
    let _watchdog = watch("scrubbing beside everything");
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = options().retain(8).groups(4).open(&path).unwrap();
    let over = AtomicBool::new(false);
    let going = || !over.load(Ordering::Relaxed);
    thread::scope(|scope| {
        for p in 0..2 {
            let mut producer = queue.producer().unwrap();
            let going = &going;
            scope.spawn(move || {
                let mut i = 0;
                while going() {
                    match producer.try_push(&message(p << 40 | i, 8 + i as usize * 37 % 400)) {
                        Ok(_) => i += 1,
                        Err(TryPushError::Full) => thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
                assert!(i > 100);
            });
            let mut consumer = queue.consumer().unwrap();
            scope.spawn(move || {
                while going() {
                    let _ = consumer.try_drain(5, |message| _ = number(message));
                }
            });
        }
        scope.spawn(|| {
            while going() {
                let group = queue.group("comes and goes").unwrap();
                let mut consumer = group.consumer().unwrap();
                for _ in 0..20 {
                    if let Ok(message) = consumer.try_pop() {
                        number(&message);
                    }
                }
                // What somebody else holds in the old entries may be in the way.
                let _ = group.rewind();
                while let Ok(message) = consumer.try_pop() {
                    number(&message);
                }
                queue.remove_group("comes and goes");
            }
        });
        scope.spawn(|| {
            while going() {
                for kept in queue.replay().filter_map(Result::ok) {
                    number(&kept.message);
                }
            }
        });
        scope.spawn(|| {
            let _reaper = queue.reaper(Duration::from_millis(1));
            for _ in 0..20 {
                let mut reaper: Child = spawn("reap", &[&path]);
                reaper.expect("ready");
                thread::sleep(Duration::from_millis(15));
                reaper.kill();
            }
            over.store(true, Ordering::Relaxed);
        });
    });
    queue.recover();
    let mut consumer = queue.consumer().unwrap();
    while consumer.try_pop().is_ok() {}
    queue.set_retain(0);
    queue.reap();
    assert_eq!(queue.stats().reaped, queue.stats().tail);
    assert!(queue.verify().is_sound());
}
