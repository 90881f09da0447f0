//! What stays readable when it is consumed: retained messages, replays, observers, and groups that consume again.

mod common;

use common::{
    CLAIMS, Dir, Random, below_wrap, handles, message, now_ns, number, number_from, pattern, run_child, say,
    spawn, until, until_killed, watch,
};
use ringfile::{
    Claim, Consumer, Options, Producer, PushTimeoutError, Queue, Replay, ReplayError, RewindError, Start,
    TryPopError, TryPushError,
};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const KIB: usize = 1024;
/// A long time for something that is to happen at once.
const PROMPTLY: Duration = Duration::from_secs(5);
/// Long enough for a thread to fall asleep in a call.
const ASLEEP: Duration = Duration::from_millis(30);

fn numbers(replay: Replay) -> Vec<u64> {
    replay.map(|kept| number(&kept.unwrap().message)).collect()
}

fn drain(consumer: &mut Consumer) -> Vec<u64> {
    std::iter::from_fn(|| consumer.try_pop().ok()).map(|message| number(&message)).collect()
}

fn push(producer: &mut Producer, numbers: std::ops::Range<u64>, len: usize) {
    for i in numbers {
        producer.try_push(&message(i, len)).unwrap_or_else(|error| panic!("message {i}: {error:?}"));
    }
}

fn files_in(dir: &Dir) -> Vec<(String, Vec<u8>, i64, i64)> {
    let mut files: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let about = path.metadata().unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(&path).unwrap(), about.mtime(), about.mtime_nsec())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn child() {
    run_child(|role, args| {
        let path = Path::new(args[0]);
        match role {
            "consume 100 and die" => {
                let queue = Queue::options().attach(path).unwrap();
                let (mut producer, mut consumer) = handles(&queue);
                for i in 0..100 {
                    producer.push(&message(i, 300)).unwrap();
                    assert_eq!(number(&consumer.pop().unwrap()), i);
                }
                say("consumed");
                until_killed();
            }
            "rewind and die" => {
                let queue = Queue::options().attach(path).unwrap();
                let mut consumer = queue.consumer().unwrap();
                assert_eq!(queue.rewind(), Ok(60));
                for i in 0..10 {
                    assert_eq!(number(&consumer.pop().unwrap()), i);
                }
                let held = consumer.claim().unwrap();
                assert_eq!(number(&held), 10);
                say("rewound");
                until_killed();
            }
            "observe as nobody" => {
                // SAFETY: this process has one purpose, and keeps nothing that only root may have.
                if unsafe { libc::geteuid() } == 0 {
                    // SAFETY: as above.
                    assert_eq!(unsafe { libc::setgid(65534) }, 0);
                    // SAFETY: as above.
                    assert_eq!(unsafe { libc::setuid(65534) }, 0);
                }
                let refused = std::fs::OpenOptions::new().write(true).open(path);
                assert!(refused.is_err(), "this process may write the file");
                let observer = Queue::options().observe(path).unwrap();
                assert!(observer.verify().is_sound());
                say(format!("{:?}", numbers(observer.replay())));
                say(observer.stats().groups[0].len.to_string());
                let letters = observer.dead_letters().expect("they are there");
                say(format!("{:?}", numbers(letters.replay())));
            }
            other => panic!("no role {other}"),
        }
    });
}

// ---- how many stay ----------------------------------------------------------------------------------------------------

#[test]
fn ten_of_a_hundred_stay_replayable_across_a_restart() {
    for claim in CLAIMS {
        for len in [8, 90, 300, 3000] {
            let dir = Dir::new();
            let open = || below_wrap(128, 50).capacity(64 * KIB).claim(claim).retain(10).open(dir.file("q"));
            let queue = open().unwrap();
            let (mut producer, mut consumer) = handles(&queue);
            for i in 0..100 {
                push(&mut producer, i..i + 1, len);
                assert_eq!(number(&consumer.try_pop().unwrap()), i);
                let kept: Vec<u64> = ((i + 1).saturating_sub(10)..i + 1).collect();
                assert_eq!(numbers(queue.replay()), kept);
            }
            assert_eq!((queue.stats().retain, queue.stats().gave_way), (10, 0));
            drop((producer, consumer, queue));
            let queue = open().unwrap();
            assert!(!queue.is_new());
            let last: Vec<u64> = (90..100).collect();
            assert_eq!(numbers(queue.replay()), last);
            assert_eq!(queue.retain(), 10);
            // Reaping drops what is not retained, and nothing else.
            queue.reap();
            assert_eq!(numbers(queue.replay()), last);
            assert_eq!((queue.stats().reaped + 10, queue.stats().retained), (queue.stats().tail, 10));
            assert_eq!(drain(&mut queue.consumer().unwrap()), [] as [u64; 0]);
            assert!(queue.verify().is_sound());
        }
    }
}

#[test]
fn ten_of_a_hundred_consumed_in_one_go_stay_replayable() {
    for claim in CLAIMS {
        for len in [8, 300] {
            let queue = below_wrap(128, 50).capacity(64 * KIB).claim(claim).retain(10).in_memory().unwrap();
            let (mut producer, mut consumer) = handles(&queue);
            push(&mut producer, 0..100, len);
            assert_eq!(numbers(queue.replay()).len(), 100, "all are kept that are not consumed");
            let mut seen = 0;
            while consumer.try_drain(7, |_| seen += 1).is_ok() {}
            assert_eq!(seen, 100);
            assert_eq!(numbers(queue.replay()), (90..100).collect::<Vec<_>>());
            // Until somebody needs the room or reaps, the others are there as well and counted.
            queue.reap();
            assert_eq!(queue.stats().retained, 10);
        }
    }
}

#[test]
fn ten_of_a_hundred_stay_replayable_after_a_kill() {
    let _watchdog = watch("retained after a kill");
    let dir = Dir::new();
    let path = dir.file("q");
    drop(below_wrap(128, 50).capacity(64 * KIB).retain(10).create_new(&path).unwrap());
    let mut child = spawn("consume 100 and die", &[&path]);
    child.expect("consumed");
    child.kill();
    let queue = Queue::open(&path).unwrap();
    assert_eq!(numbers(queue.replay()), (90..100).collect::<Vec<_>>());
    assert_eq!(queue.rewind(), Ok(10));
    assert_eq!(drain(&mut queue.consumer().unwrap()), (90..100).collect::<Vec<_>>());
}

#[test]
fn retained_are_only_those_that_every_group_has_consumed() {
    let queue = Queue::options().messages(64).capacity(8 * KIB).retain(5).in_memory().unwrap();
    let (mut producer, mut consumer) = handles(&queue);
    let mut slow = queue.group("slow").unwrap().consumer().unwrap();
    push(&mut producer, 0..20, 50);
    assert_eq!(drain(&mut consumer).len(), 20);
    assert_eq!(queue.stats().retained, 0);
    for _ in 0..8 {
        slow.try_pop().unwrap();
    }
    assert_eq!(numbers(queue.replay()), (3..20).collect::<Vec<_>>());
    queue.reap();
    assert_eq!(queue.stats().retained, 5);
    assert_eq!(numbers(queue.replay()), (3..20).collect::<Vec<_>>());
    // A claim in the middle holds what is behind it, however much of that is finished.
    let held = slow.try_claim().unwrap();
    assert_eq!(number(&held), 8);
    let mut other = queue.group("slow").unwrap().consumer().unwrap();
    assert_eq!(drain(&mut other).len(), 11);
    assert_eq!(numbers(queue.replay()), (3..20).collect::<Vec<_>>());
    held.ack().unwrap();
    assert_eq!(numbers(queue.replay()), (15..20).collect::<Vec<_>>());
}

#[test]
fn who_begins_among_the_retained_leaves_those_before_it_retained() {
    let queue = Queue::options().messages(16).capacity(8 * KIB).retain(10).in_memory().unwrap();
    push(&mut queue.producer().unwrap(), 0..10, 50);
    drain(&mut queue.consumer().unwrap());
    queue.reap();
    queue.group_with("from 4", Start::At(4.into()), Claim::Ordered).unwrap();
    assert_eq!(numbers(queue.replay()), (0..10).collect::<Vec<_>>());
    // Of the four that every group has finished, the last two.
    queue.set_retain(2);
    assert_eq!(numbers(queue.replay()), (2..10).collect::<Vec<_>>());
    queue.reap();
    assert_eq!(numbers(queue.replay()), (2..10).collect::<Vec<_>>());
}

// ---- what gives way ---------------------------------------------------------------------------------------------------

/// The same with messages in cells, of which 16 fit, and with long ones, of which 16 fit as well.
#[test]
fn half_may_be_retained_and_beyond_that_just_as_many_give_way_as_needed() {
    for claim in CLAIMS {
        for (cells, len) in [(16, 50), (64, 512)] {
            let mut options = Queue::options();
            let queue =
                options.messages(cells).capacity(8 * KIB).claim(claim).retain(100).in_memory().unwrap();
            let (mut producer, mut consumer) = handles(&queue);
            let kept = || numbers(queue.replay());
            let gave_way = || queue.stats().gave_way;
            push(&mut producer, 0..16, len);
            assert_eq!(drain(&mut consumer).len(), 16);
            // As far as they fit.
            assert_eq!((kept(), gave_way()), ((0..16).collect(), 0));
            assert_eq!(queue.stats().retained, 16);
            push(&mut producer, 16..17, len);
            assert_eq!((kept(), gave_way()), ((1..17).collect(), 1));
            // Now the group is not drained: down to half, and no further.
            push(&mut producer, 17..24, len);
            assert_eq!((kept(), gave_way()), ((8..24).collect(), 8));
            assert_eq!(producer.try_push(&message(24, len)), Err(TryPushError::Full));
            assert_eq!((kept(), gave_way()), ((8..24).collect(), 8));
            assert_eq!(queue.stats().retained, 8);
            // A place for each that is consumed.
            assert_eq!(number(&consumer.try_pop().unwrap()), 16);
            push(&mut producer, 24..25, len);
            assert_eq!(producer.try_push(&message(25, len)), Err(TryPushError::Full));
            assert_eq!((kept(), gave_way()), ((9..25).collect(), 9));
            // Drained: anything gives way.
            assert_eq!(drain(&mut consumer).len(), 8);
            let batch: Vec<Vec<u8>> = (25..37).map(|i| message(i, len)).collect();
            producer.try_push_batch(&batch).unwrap();
            assert_eq!((kept(), gave_way()), ((21..37).collect(), 21));
            assert!(queue.verify().is_sound());
        }
    }
}

#[test]
fn a_long_push_takes_the_place_of_as_many_as_it_needs() {
    let queue = Queue::options().messages(64).capacity(8 * KIB).retain(100).in_memory().unwrap();
    let (mut producer, mut consumer) = handles(&queue);
    push(&mut producer, 0..8, KIB);
    assert_eq!(drain(&mut consumer).len(), 8);
    let longest = queue.max_message_len();
    assert_eq!(longest, 4 * KIB);
    push(&mut producer, 8..9, longest);
    assert_eq!(numbers(queue.replay()), [4, 5, 6, 7, 8]);
    assert_eq!((queue.stats().gave_way, queue.stats().retained), (4, 4));
    drain(&mut consumer);
    // A short one needs no bytes, and there are cells.
    push(&mut producer, 9..10, 20);
    assert_eq!((queue.stats().gave_way, numbers(queue.replay())), (4, (4..10).collect()));
}

/// When a claim is held the group is not drained, and who holds it keeps its bytes.
#[test]
fn what_is_claimed_never_gives_way() {
    for claim in CLAIMS {
        let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).retain(100).in_memory().unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        push(&mut producer, 0..16, 80);
        for _ in 0..4 {
            consumer.try_pop().unwrap();
        }
        let held = consumer.try_claim().unwrap();
        let mut other = queue.consumer().unwrap();
        assert_eq!(drain(&mut other).len(), 11);
        // Four are retained: less than half.
        assert_eq!(producer.try_push(&message(16, 80)), Err(TryPushError::Full));
        assert_eq!(number(&held), 4);
        held.ack().unwrap();
        push(&mut producer, 16..17, 80);
        assert_eq!(numbers(queue.replay()), (1..17).collect::<Vec<_>>());
    }
}

#[test]
fn messages_of_100_kib_find_room_among_a_thousand_retained() {
    const COUNT: u64 = 1500;
    let _watchdog = watch("64 MiB that retain 1,000 messages of 100 KiB");
    for claim in CLAIMS {
        let queue = Queue::options().capacity(64 << 20).retain(1000).claim(claim).in_memory().unwrap();
        let mut bytes = vec![7; 100 * KIB];
        thread::scope(|scope| {
            let mut consumer = queue.consumer().unwrap();
            scope.spawn(move || {
                let mut message = Vec::new();
                for i in 0..COUNT {
                    consumer.pop_into(&mut message).unwrap();
                    assert_eq!(message[..8], i.to_le_bytes());
                    assert_eq!(message.len(), 100 * KIB);
                }
            });
            let mut producer = queue.producer().unwrap();
            for i in 0..COUNT {
                bytes[..8].copy_from_slice(&i.to_le_bytes());
                let pushed = producer.push_timeout(&bytes, Duration::from_secs(60));
                assert_ne!(pushed.err(), Some(PushTimeoutError::Timeout), "push {i} waits for ever");
            }
        });
        let stats = queue.stats();
        assert_eq!(stats.retained as u64 + stats.gave_way, COUNT, "{stats:?}");
        // Half of the bytes are theirs whatever comes, and no more than fit.
        assert!((327..=655).contains(&stats.retained), "{}", stats.retained);
        let kept: Vec<u64> = queue
            .replay()
            .map(|kept| u64::from_le_bytes(kept.unwrap().message[..8].try_into().unwrap()))
            .collect();
        assert_eq!(kept, (COUNT - stats.retained as u64..COUNT).collect::<Vec<_>>());
    }
}

#[test]
fn retain_is_set_while_running_for_all_who_have_the_file_open() {
    let dir = Dir::new();
    let queue = Queue::options().messages(64).capacity(8 * KIB).open(dir.file("q")).unwrap();
    let other = Queue::open(dir.file("q")).unwrap();
    let (mut producer, mut consumer) = handles(&queue);
    other.set_retain(12);
    assert_eq!((queue.retain(), queue.stats().retain), (12, 12));
    push(&mut producer, 0..40, 50);
    drain(&mut consumer);
    assert_eq!(numbers(queue.replay()), (28..40).collect::<Vec<_>>());
    other.set_retain(3);
    queue.reap();
    assert_eq!(numbers(queue.replay()), [37, 38, 39]);
    other.set_retain(0);
    queue.reap();
    assert_eq!((numbers(queue.replay()), queue.stats().retained), (vec![], 0));
    assert_eq!(queue.stats().gave_way, 0, "nothing had to give way to another");
    other.set_retain(u64::MAX);
    push(&mut producer, 40..90, 50);
    drain(&mut consumer);
    assert_eq!(numbers(queue.replay()), (40..90).collect::<Vec<_>>());
    push(&mut producer, 90..110, 50);
    assert_eq!(numbers(queue.replay()), (46..110).collect::<Vec<_>>());
    drop((producer, consumer, queue, other));
    assert_eq!(Queue::open(dir.file("q")).unwrap().retain(), u64::MAX);
}

/// What is retained keeps a producer waiting only while half of the ring is more than it holds, and lets go at once when it is told to.
#[test]
fn a_producer_asleep_goes_on_when_less_is_retained() {
    let _watchdog = watch("a producer behind what is retained");
    let dir = Dir::new();
    let queue = Queue::options().messages(16).capacity(8 * KIB).retain(8).open(dir.file("q")).unwrap();
    let (mut producer, mut consumer) = handles(&queue);
    push(&mut producer, 0..16, 50);
    for _ in 0..8 {
        consumer.try_pop().unwrap();
    }
    thread::scope(|scope| {
        let asleep = scope.spawn(move || producer.push(&message(16, 50)).map(|_| Instant::now()));
        thread::sleep(ASLEEP);
        assert!(!asleep.is_finished());
        let start = Instant::now();
        Queue::open(dir.file("q")).unwrap().set_retain(0);
        assert!(asleep.join().unwrap().unwrap() - start < PROMPTLY);
    });
}

#[test]
fn what_is_older_than_its_age_is_dropped_by_reap_and_nothing_that_is_not_consumed() {
    const AGE: Duration = Duration::from_millis(800);
    for _ in 0..10 {
        let queue =
            Queue::options().messages(64).capacity(8 * KIB).retain(100).retain_for(AGE).in_memory().unwrap();
        assert_eq!(queue.stats().retain_for, AGE);
        let (mut producer, mut consumer) = handles(&queue);
        push(&mut producer, 0..5, 50);
        drain(&mut consumer);
        thread::sleep(AGE + Duration::from_millis(200));
        let start = Instant::now();
        push(&mut producer, 5..10, 300);
        drain(&mut consumer);
        push(&mut producer, 10..13, 50);
        let reaped = queue.reap();
        let kept = numbers(queue.replay());
        if start.elapsed() > AGE / 2 {
            // A machine that slept meanwhile proves nothing.
            continue;
        }
        assert_eq!((kept, reaped.positions), ((5..13).collect(), 5));
        thread::sleep(AGE + Duration::from_millis(200));
        assert_eq!(queue.reap().positions, 5);
        assert_eq!(numbers(queue.replay()), [10, 11, 12], "they are not consumed");
        assert_eq!(drain(&mut consumer), [10, 11, 12]);
        queue.reap();
        assert_eq!(numbers(queue.replay()), [] as [u64; 0]);
        assert_eq!(queue.stats().gave_way, 0);
        return;
    }
    panic!("a machine on which nothing takes less than {AGE:?}");
}

/// A producer that fetches the lines of cells ahead may find messages of others there by now.
#[test]
fn lines_fetched_ahead_do_not_make_messages_old() {
    const AGE: Duration = Duration::from_secs(3600);
    let queue =
        Queue::options().messages(64).capacity(8 * KIB).retain(100).retain_for(AGE).in_memory().unwrap();
    let (mut producer, mut consumer) = handles(&queue);
    push(&mut producer, 0..8, 50);
    let ninth = producer.reserve(0).unwrap();
    push(&mut queue.producer().unwrap(), 9..40, 50);
    ninth.commit();
    while consumer.try_pop().is_ok() {}
    assert_eq!((queue.reap().positions, queue.stats().retained), (0, 40));
}

#[test]
fn the_reaper_drops_what_is_older_and_ends_when_it_is_dropped() {
    let _watchdog = watch("the reaper");
    let dir = Dir::new();
    let mut options = Queue::options();
    options.messages(64).capacity(8 * KIB).retain(100).retain_for(Duration::from_millis(50));
    let queue = options.open(dir.file("q")).unwrap();
    let (mut producer, mut consumer) = handles(&queue);
    let reaper = queue.reaper(Duration::from_millis(5));
    push(&mut producer, 0..30, 50);
    drain(&mut consumer);
    until("the reaper drops them", || queue.stats().retained == 0 && queue.replay().next().is_none());
    drop(reaper);
    push(&mut producer, 30..40, 50);
    drain(&mut consumer);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(queue.stats().retained, 10, "nobody reaps any more");
    // The value does not keep the queue's file from being closed, nor does the queue end the thread of the value.
    let reaper = queue.reaper(Duration::from_secs(3600));
    drop((producer, consumer, queue));
    let start = Instant::now();
    drop(reaper);
    assert!(start.elapsed() < PROMPTLY, "dropping does not wait for the next pass");
}

// ---- replay -----------------------------------------------------------------------------------------------------------

#[test]
fn a_replay_shows_what_is_consumed_claimed_and_new_and_goes_on_later() {
    for claim in CLAIMS {
        let queue = below_wrap(64, 10).capacity(8 * KIB).claim(claim).retain(4).in_memory().unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        push(&mut producer, 0..10, 100);
        for _ in 0..6 {
            consumer.try_pop().unwrap();
        }
        let held = consumer.try_claim_batch(2).unwrap();
        let mut replay = queue.replay();
        let mut last = None;
        for i in 2..10 {
            let kept = replay.next().unwrap().unwrap();
            assert_eq!(number(&kept.message), i);
            assert!(last < Some(kept.position));
            last = Some(kept.position);
        }
        assert!(replay.next().is_none());
        drop(held);
        assert!(replay.next().is_none(), "what comes back is no new message");
        // Nothing behind a message that is being written, and nothing of one that is aborted.
        let mut other = queue.producer().unwrap();
        let place = other.try_reserve(100).unwrap();
        push(&mut producer, 10..11, 100);
        assert!(replay.next().is_none());
        drop(place);
        assert_eq!(number(&replay.next().unwrap().unwrap().message), 10);
        assert!(replay.next().is_none());
        // To a position, and never back.
        let here = replay.position();
        let replay = queue.replay().skip_to(last.unwrap()).skip_to(0.into());
        assert_eq!(numbers(replay), [9, 10]);
        assert_eq!(numbers(queue.replay().skip_to(here)), [] as [u64; 0]);
        assert_eq!(drain(&mut consumer).len(), 5, "a replay takes nothing away");
    }
}

#[test]
fn a_replay_that_was_overtaken_says_how_much_it_lost() {
    for len in [50, 500] {
        let queue = below_wrap(16, 5).capacity(8 * KIB).in_memory().unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        push(&mut producer, 0..10, len);
        let mut replay = queue.replay();
        for i in 0..3 {
            assert_eq!(number(&replay.next().unwrap().unwrap().message), i);
        }
        drain(&mut consumer);
        for i in 10..100 {
            push(&mut producer, i..i + 1, len);
            consumer.try_pop().unwrap();
        }
        push(&mut producer, 100..105, len);
        queue.reap();
        let Some(Err(ReplayError::Lapped { lost })) = replay.next() else {
            panic!("it was overtaken");
        };
        assert_eq!(lost, 97);
        assert_eq!(numbers(replay), (100..105).collect::<Vec<_>>());
        // Also where nothing is left at all.
        let mut replay = queue.replay();
        drain(&mut consumer);
        queue.reap();
        assert_eq!(replay.next(), Some(Err(ReplayError::Lapped { lost: 5 })));
        assert_eq!(replay.next(), None);
    }
}

/// In each message its position, or where it was pushed without one, only its producer, its number and its pattern.
fn lapped_all_the_time(claim: Claim, retain: u64, longest: u64, time: Duration) {
    const PRODUCERS: u64 = 4;
    let dir = Dir::new();
    let queue =
        below_wrap(16, 200).capacity(4 * KIB).claim(claim).retain(retain).open(dir.file("q")).unwrap();
    let observer = Queue::options().observe(dir.file("q")).unwrap();
    let stop = AtomicBool::new(false);
    let (pushed, popped, read, lapped) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let payload = |producer: u64, i: u64, position: u64, len: usize| {
        let mut message = Vec::new();
        for word in [producer, i, position] {
            message.extend_from_slice(&word.to_le_bytes());
        }
        message.extend(pattern(producer << 48 | i, len));
        message
    };
    let check = |bytes: &[u8], at: u64| {
        let word = |n: usize| u64::from_le_bytes(bytes[8 * n..8 * n + 8].try_into().unwrap());
        let (producer, i, position) = (word(0), word(1), word(2));
        assert!(position == u64::MAX || position == at, "at {at} stands the message of {position}");
        assert!(bytes == payload(producer, i, position, bytes.len() - 24), "torn at {at}");
        (producer, i)
    };
    thread::scope(|scope| {
        let (stop, check) = (&stop, &check);
        for (r, replay) in [queue.replay(), observer.replay(), queue.replay()].into_iter().enumerate() {
            let (read, lapped) = (&read, &lapped);
            scope.spawn(move || {
                let (mut replay, mut random) = (replay, Random(r as u64));
                let mut next = replay.position().get();
                let mut seen = BTreeMap::new();
                let mut bytes = Vec::new();
                loop {
                    // Before the last look, so that what is there at the end is read.
                    let is_over = stop.load(Ordering::Acquire);
                    match replay.next_into(&mut bytes) {
                        Some(Ok(position)) => {
                            // Every place has a message, so none is left out but what is said to be lost.
                            assert_eq!(position.get(), next, "repeated or left out");
                            next += 1;
                            let (producer, i) = check(&bytes, position.get());
                            let before = seen.insert(producer, i);
                            assert!(before < Some(i), "of producer {producer} {i} after {before:?}");
                            read.fetch_add(1, Ordering::Relaxed);
                        }
                        Some(Err(ReplayError::Lapped { lost })) => {
                            assert!(lost > 0);
                            next += lost;
                            lapped.fetch_add(1, Ordering::Relaxed);
                        }
                        Some(Err(error)) => panic!("{error}"),
                        None if is_over => break,
                        None => thread::yield_now(),
                    }
                    assert_eq!(replay.position().get(), next);
                    if random.below(200) == 0 {
                        thread::sleep(Duration::from_micros(random.below(2000)));
                    }
                }
            });
        }
        for _ in 0..4 {
            let mut consumer = queue.consumer().unwrap();
            let popped = &popped;
            scope.spawn(move || {
                while let Ok(delivery) = consumer.claim() {
                    check(&delivery, delivery.position().get());
                    delivery.ack().unwrap();
                    popped.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|p| {
                let mut producer = queue.producer().unwrap();
                let (pushed, payload) = (&pushed, &payload);
                scope.spawn(move || {
                    let (mut random, mut i) = (Random(p + 100), 0);
                    while !stop.load(Ordering::Acquire) {
                        let len = random.below(longest) as usize;
                        if random.below(2) == 0 {
                            producer.push(&payload(p, i, u64::MAX, len)).unwrap();
                        } else {
                            let mut place = producer.reserve(24 + len).unwrap();
                            let message = payload(p, i, place.position().get(), len);
                            place.copy_from_slice(&message);
                            place.commit();
                        }
                        pushed.fetch_add(1, Ordering::Relaxed);
                        i += 1;
                    }
                })
            })
            .collect();
        thread::sleep(time);
        stop.store(true, Ordering::Release);
        producers.into_iter().for_each(|p| p.join().unwrap());
        queue.close();
    });
    let [pushed, popped, read, lapped] = [pushed, popped, read, lapped].map(AtomicU64::into_inner);
    println!("{claim:?}, retain {retain}: {pushed} pushed, {read} read, {lapped} times lapped");
    assert_eq!(pushed, popped);
    assert!(read > 0 && lapped > 0, "what did not happen was not checked");
    assert!(queue.verify().is_sound());
}

/// `RINGFILE_LAPPED_SECONDS=60` for long.
#[test]
fn a_replay_that_is_lapped_all_the_time_is_never_torn_repeated_or_reordered() {
    let _watchdog = common::Watchdog::new(Duration::from_secs(600), "lapped all the time");
    let millis = 1000 * number_from("RINGFILE_LAPPED_SECONDS", 2) / 4;
    for claim in CLAIMS {
        for (retain, longest) in [(0, 60), (8, 600)] {
            lapped_all_the_time(claim, retain, longest, Duration::from_millis(millis));
        }
    }
}

// ---- observers --------------------------------------------------------------------------------------------------------

#[test]
fn an_observer_changes_nothing_and_needs_no_right_to_write() {
    let _watchdog = watch("an observer");
    for claim in CLAIMS {
        let dir = Dir::new();
        let path = dir.file("q");
        let queue = below_wrap(64, 10)
            .capacity(8 * KIB)
            .claim(claim)
            .retain(5)
            .max_deliveries(1)
            .mode(0o644)
            .open(&path)
            .unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        push(&mut producer, 0..20, 200);
        for _ in 0..9 {
            consumer.try_pop().unwrap();
        }
        drop(consumer.try_claim().unwrap());
        drop(consumer.try_claim().unwrap());
        consumer.try_pop().unwrap();
        // One of those who have it open has died, and one is in the midst of something.
        let _held = consumer.try_claim().unwrap();
        let _place = producer.try_reserve(3).unwrap();
        let letters = dir.file("q.dead");
        for path in [&path, &letters] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o444)).unwrap();
        }
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let before = files_in(&dir);
        assert_eq!(before.len(), 2);

        let observer = Queue::options().observe(&path).unwrap();
        let stats = observer.stats();
        assert_eq!((stats.retain, stats.max_deliveries, stats.participants.len()), (5, 1, 2));
        assert_eq!(stats.groups[0].len, queue.len());
        assert_eq!(stats.groups[0].claimed, 1);
        let kept = numbers(observer.replay());
        assert_eq!(kept, numbers(queue.replay()));
        assert_eq!(kept.last(), Some(&19));
        assert!(observer.verify().is_sound());
        let dead = observer.dead_letters().expect("it sets messages aside");
        assert_eq!(numbers(dead.replay()), numbers(queue.dead_letters().unwrap().replay()));
        assert!(dead.verify().is_sound() && dead.dead_letters().is_none());

        let mut child = spawn("observe as nobody", &[&path]);
        child.expect(&format!("{kept:?}"));
        child.expect(&queue.len().to_string());
        child.expect(&format!("{:?}", numbers(dead.replay())));
        child.finish();
        drop((observer, dead));
        // The queue's own replay, stats and verification change nothing either.
        let _ = (queue.stats(), queue.verify(), queue.unrecovered(), numbers(queue.replay()));
        assert!(files_in(&dir) == before, "an observer left a trace");
    }
}

/// Opened before anything is there, it sees what comes.
#[test]
fn an_observer_sees_what_comes_later() {
    let dir = Dir::new();
    let queue = below_wrap(16, 5).capacity(8 * KIB).retain(3).open(dir.file("q")).unwrap();
    let observer = Queue::options().observe(dir.file("q")).unwrap();
    let mut replay = observer.replay();
    assert!(replay.next().is_none());
    let (mut producer, mut consumer) = handles(&queue);
    for i in 0..50 {
        push(&mut producer, i..i + 1, 300);
        consumer.try_pop().unwrap();
        assert_eq!(number(&replay.next().unwrap().unwrap().message), i);
    }
    assert_eq!(numbers(observer.replay()), [47, 48, 49]);
    assert_eq!(observer.stats().tail, queue.stats().tail);
    // Removed from its directory it is still the same.
    std::fs::remove_file(dir.file("q")).unwrap();
    push(&mut producer, 50..51, 3);
    assert_eq!(number(&replay.next().unwrap().unwrap().message), 50);
}

#[test]
fn an_observer_of_nothing_is_told_so_and_makes_nothing() {
    let dir = Dir::new();
    assert!(Queue::options().observe(dir.file("q")).is_err());
    std::fs::write(dir.file("text"), "not a ring".repeat(1000)).unwrap();
    assert!(Queue::options().observe(dir.file("text")).is_err());
    assert_eq!(files_in(&dir).len(), 1);
}

// ---- rewinding --------------------------------------------------------------------------------------------------------

/// The ways in which a claim keeps its state.
fn policies() -> Vec<Options> {
    let mut all = Vec::new();
    for claim in CLAIMS {
        for (lease, max_deliveries) in [(0, 0), (600, 0), (0, 3), (600, 3)] {
            let mut options = below_wrap(256, 50);
            options.capacity(128 * KIB).claim(claim).lease(Duration::from_secs(lease));
            options.max_deliveries(max_deliveries);
            all.push(options);
        }
    }
    all
}

#[test]
fn a_rewound_group_gets_all_hundred_again_once_each_in_order() {
    for options in policies() {
        for len in [20, 400] {
            let queue = options.clone().retain(100).in_memory().unwrap();
            let (mut producer, mut consumer) = handles(&queue);
            let mut other = queue.consumer().unwrap();
            push(&mut producer, 0..100, len);
            for i in 0..60 {
                let taker = if i % 2 == 0 { &mut consumer } else { &mut other };
                assert_eq!(number(&taker.try_pop().unwrap()), i);
            }
            assert_eq!(queue.rewind(), Ok(60), "{options:?}");
            assert_eq!(queue.len(), 100);
            for i in 0..100 {
                let taker = if i % 3 == 0 { &mut consumer } else { &mut other };
                let delivery = taker.try_claim().unwrap();
                assert_eq!((number(&delivery), delivery.deliveries()), (i, 1), "{options:?}");
                delivery.ack().unwrap();
            }
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
            assert_eq!(queue.stats().groups.len(), 1);
            assert!(queue.is_empty() && queue.verify().is_sound());
        }
    }
}

/// So that entries for groups are used again.
#[test]
fn a_group_that_is_rewound_again_and_again_gets_all_in_order() {
    for options in policies() {
        let queue = options.clone().retain(200).in_memory().unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        for round in 1..10 {
            push(&mut producer, 20 * (round - 1)..20 * round, 50);
            queue.rewind().unwrap();
            assert_eq!(
                drain(&mut consumer),
                (0..20 * round).collect::<Vec<_>>(),
                "{options:?}, round {round}"
            );
        }
    }
}

#[test]
fn what_was_held_at_a_rewind_is_acked_or_dropped_and_changes_nothing() {
    for options in policies() {
        // Each way to let go, before the others consume again and after.
        for letting_go in 0..6 {
            let queue = options.clone().retain(100).in_memory().unwrap();
            let (mut producer, mut consumer) = handles(&queue);
            push(&mut producer, 0..100, 200);
            for _ in 0..60 {
                consumer.try_pop().unwrap();
            }
            let mut holders: Vec<Consumer> = (0..3).map(|_| queue.consumer().unwrap()).collect();
            let [one, many, leaks] = &mut holders[..] else { unreachable!() };
            let single = one.try_claim().unwrap();
            let mut batch = many.try_claim_batch(5).unwrap();
            batch.ack_first(1).unwrap();
            let left = batch.len();
            std::mem::forget(leaks.try_claim_batch(3).unwrap());
            queue.rewind().unwrap();
            let held: Vec<u64> = batch.iter().map(number).collect();
            assert_eq!((number(&single), held.len()), (60, left));
            let mut again = Vec::new();
            let mut consume = |count: usize| {
                for _ in 0..count {
                    let delivery = consumer.try_claim().unwrap();
                    assert_eq!(delivery.deliveries(), 1, "counted from the beginning");
                    again.push(number(&delivery));
                    delivery.ack().unwrap();
                }
            };
            consume(if letting_go < 3 { 0 } else { 80 });
            match letting_go % 3 {
                0 => {
                    assert_eq!(single.ack(), Ok(()), "{options:?}");
                    assert_eq!(batch.ack(), Ok(()), "{options:?}");
                }
                1 => drop((single, batch)),
                _ => {
                    assert_eq!(batch.ack_first(1), Ok(()));
                    drop(batch);
                    single.release();
                }
            }
            let rest = 100 - if letting_go < 3 { 0 } else { 80 };
            consume(rest);
            assert_eq!(again, (0..100).collect::<Vec<_>>(), "{options:?}, {letting_go}");
            // The handles work on, and what one of them leaked is not there for it to give up.
            for holder in &mut holders {
                assert_eq!(holder.try_pop(), Err(TryPopError::Empty));
            }
            drop(holders);
            queue.reap();
            assert_eq!(queue.stats().groups.len(), 1, "{:?}", queue.stats().groups);
            assert!(queue.is_empty() && queue.verify().is_sound());
            assert_eq!(numbers(queue.replay()), (0..100).collect::<Vec<_>>());
        }
    }
}

/// The bytes of a claim stay, also where the group that held it is done with them twice and producers want the room.
#[test]
fn what_was_held_at_a_rewind_keeps_its_bytes() {
    for claim in CLAIMS {
        let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).in_memory().unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        let mut other = queue.consumer().unwrap();
        push(&mut producer, 0..8, 500);
        let held = consumer.try_claim_batch(3).unwrap();
        let count = held.len() as u64;
        assert_eq!(queue.rewind(), Ok(0));
        assert_eq!(drain(&mut other), (0..8).collect::<Vec<_>>());
        let mut pushed = 8;
        while producer.try_push(&message(pushed, 500)).is_ok() {
            other.try_pop().unwrap();
            pushed += 1;
            assert!(pushed < 100, "the bytes of a claim were given away");
        }
        assert_eq!(held.iter().map(number).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        held.ack().unwrap();
        push(&mut producer, pushed..pushed + 10, 500);
        assert_eq!(drain(&mut other), (pushed..pushed + 10).collect::<Vec<_>>());
    }
}

#[test]
fn a_dead_letter_comes_again_after_a_rewind() {
    for claim in CLAIMS {
        let queue = below_wrap(64, 9)
            .capacity(8 * KIB)
            .claim(claim)
            .retain(30)
            .max_deliveries(2)
            .in_memory()
            .unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        push(&mut producer, 0..3, 100);
        for deliveries in [1, 2] {
            let delivery = consumer.try_claim().unwrap();
            assert_eq!((number(&delivery), delivery.deliveries()), (0, deliveries));
        }
        assert_eq!(drain(&mut consumer), [1, 2]);
        assert_eq!(queue.stats().dead_letters, 1);
        assert_eq!(queue.rewind(), Ok(3));
        let delivery = consumer.try_claim().unwrap();
        assert_eq!((number(&delivery), delivery.deliveries()), (0, 1));
        delivery.ack().unwrap();
        assert_eq!(drain(&mut consumer), [1, 2]);
        assert_eq!(queue.stats().dead_letters, 1, "the first time it was set aside, the second not");
    }
}

#[test]
fn any_number_of_rewinds_beside_idle_consumers() {
    for options in policies() {
        for groups in [1, 4] {
            let queue = options.clone().groups(groups).retain(100).in_memory().unwrap();
            let (mut producer, mut consumer) = handles(&queue);
            let mut idle: Vec<Consumer> = (0..5).map(|_| queue.consumer().unwrap()).collect();
            push(&mut producer, 0..10, 50);
            for idle in &mut idle[..3] {
                idle.try_pop().unwrap();
            }
            // One gave up with nothing, one has put something back.
            drain(&mut consumer);
            assert!(idle[3].try_pop().is_err());
            queue.rewind().unwrap();
            drop(idle[4].try_claim().unwrap());
            for round in 0..300 {
                assert!(queue.rewind().is_ok(), "{options:?}, {groups} groups, round {round}");
                if round % 7 == 0 {
                    assert_eq!(drain(&mut consumer), (0..10).collect::<Vec<_>>());
                }
            }
            for idle in &mut idle {
                queue.rewind().unwrap();
                assert_eq!(drain(idle), (0..10).collect::<Vec<_>>());
            }
            assert_eq!(queue.stats().groups.len(), 1);
        }
    }
}

/// A consumer for each rewind holds a claim through it, until there is nowhere to go.
#[test]
fn claims_held_in_every_entry_are_in_the_way_until_they_are_let_go_of() {
    for options in policies() {
        for groups in [1, 2, 4] {
            let queue = options.clone().groups(groups).retain(100).in_memory().unwrap();
            let (mut producer, mut consumer) = handles(&queue);
            push(&mut producer, 0..10, 50);
            for round in 0..3 {
                let mut holders = Vec::new();
                queue.rewind().unwrap();
                loop {
                    let mut holder = queue.consumer().unwrap();
                    std::mem::forget(holder.try_claim().unwrap());
                    holders.push(holder);
                    match queue.rewind() {
                        Ok(_) => assert!(holders.len() < 200, "never busy"),
                        Err(error) => {
                            assert_eq!(error, RewindError::Busy);
                            break;
                        }
                    }
                }
                assert!(holders.len() > 1, "{options:?}: busy although nothing is in the way");
                // The group goes on all the same; one place is held by the last of them.
                assert_eq!(drain(&mut consumer).len(), 9);
                assert!(queue.verify().is_sound());
                // One that is let go of is enough for one rewind, in whatever way; but the last holds in the entry that still serves.
                match round {
                    0 => drop(holders.remove(0)),
                    1 => assert_eq!(holders[0].try_pop(), Err(TryPopError::Empty)),
                    _ => drop(holders.remove((holders.len() - 1) / 2)),
                }
                assert!(queue.rewind().is_ok(), "{options:?}, {groups} groups, round {round}");
                drop(holders);
                for _ in 0..50 {
                    queue.rewind().unwrap();
                }
                assert_eq!(drain(&mut consumer), (0..10).collect::<Vec<_>>());
                assert_eq!(queue.stats().groups.len(), 1);
            }
        }
    }
}

#[test]
fn a_rewind_survives_a_restart_and_a_kill() {
    let _watchdog = watch("a rewind before a kill");
    for claim in CLAIMS {
        let dir = Dir::new();
        let path = dir.file("q");
        let queue = below_wrap(256, 50).capacity(128 * KIB).claim(claim).retain(100).open(&path).unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        push(&mut producer, 0..100, 400);
        for _ in 0..60 {
            consumer.try_pop().unwrap();
        }
        drop((producer, consumer, queue));
        let mut child = spawn("rewind and die", &[&path]);
        child.expect("rewound");
        child.kill();
        let queue = Queue::open(&path).unwrap();
        let mut consumer = queue.consumer().unwrap();
        assert_eq!(queue.len(), 90);
        let mut rest = drain(&mut consumer);
        if claim == Claim::Ticketed {
            // What comes back may come late.
            rest.sort_unstable();
        }
        assert_eq!(rest, (10..100).collect::<Vec<_>>());
    }
}

#[test]
fn a_rewind_counts_what_comes_again_and_goes_back_to_what_others_need() {
    for claim in CLAIMS {
        let queue = below_wrap(64, 20).capacity(16 * KIB).claim(claim).in_memory().unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        let slow = queue.group_with("slow", Start::Oldest, claim).unwrap();
        let mut behind = slow.consumer().unwrap();
        push(&mut producer, 0..20, 50);
        drain(&mut consumer);
        for _ in 0..5 {
            behind.try_pop().unwrap();
        }
        // Nothing is retained, but the other group still needs fifteen.
        assert_eq!(queue.rewind(), Ok(15));
        assert_eq!(drain(&mut consumer), (5..20).collect::<Vec<_>>());
        assert_eq!(slow.rewind(), Ok(0));
        assert_eq!(drain(&mut behind), (5..20).collect::<Vec<_>>());
        assert_eq!((queue.rewind(), slow.rewind()), (Ok(0), Ok(0)));
        assert!(drain(&mut consumer).is_empty() && drain(&mut behind).is_empty());
        assert!(queue.remove_group("slow"));
        assert_eq!(slow.rewind(), Err(RewindError::Removed));
    }
}

/// One consumer, while others push and rewind: it goes on with the next message, or it begins again further back, and nothing is left out.
#[test]
fn rewinds_beside_producers_and_a_consumer_leave_nothing_out() {
    const EACH: u64 = 4000;
    let _watchdog = watch("rewinds beside producers and a consumer");
    for (n, options) in policies().into_iter().enumerate() {
        let retain = [0, 30, 100][n % 3];
        let queue = options.clone().messages(64).capacity(16 * KIB).retain(retain).in_memory().unwrap();
        let (over, rewinds) = (AtomicBool::new(false), AtomicU64::new(0));
        let first = queue.stats().tail;
        let seen = thread::scope(|scope| {
            let mut consumer = queue.consumer().unwrap();
            let consuming = scope.spawn(move || {
                let (mut seen, mut message) = (Vec::new(), Vec::new());
                while let Ok(position) = consumer.pop_into(&mut message) {
                    number(&message);
                    seen.push(position.get());
                }
                seen
            });
            let rewind = || {
                scope.spawn(|| {
                    while !over.load(Ordering::Acquire) {
                        match queue.rewind() {
                            Ok(_) => _ = rewinds.fetch_add(1, Ordering::Relaxed),
                            // The consumer may hold something in each entry only one after the other.
                            Err(error) => assert_eq!(error, RewindError::Busy),
                        }
                        thread::sleep(Duration::from_micros(700));
                    }
                })
            };
            let rewinding = [rewind(), rewind()];
            let producing: Vec<_> = (0..2)
                .map(|p| {
                    let mut producer = queue.producer().unwrap();
                    scope.spawn(move || {
                        for i in 0..EACH {
                            producer.push(&message(p << 32 | i, 8 + i as usize % 300)).unwrap();
                        }
                    })
                })
                .collect();
            producing.into_iter().for_each(|p| p.join().unwrap());
            over.store(true, Ordering::Release);
            // A rewind behind the consumer's last look would leave something in the closed queue.
            rewinding.into_iter().for_each(|rewinding| rewinding.join().unwrap());
            queue.close();
            consuming.join().unwrap()
        });
        let mut back = 0;
        for (k, pair) in seen.windows(2).enumerate() {
            let around: Vec<u64> =
                seen[k.saturating_sub(80)..(k + 80).min(seen.len())].iter().map(|at| at - first).collect();
            let options = &options;
            assert!(pair[1] <= pair[0] + 1, "{options:?}: after {} in {around:?}", pair[0] - first);
            back += u64::from(pair[1] != pair[0] + 1);
        }
        assert_eq!((seen[0], seen.last()), (first, Some(&(first + 2 * EACH - 1))), "{options:?}");
        assert!(back <= rewinds.into_inner(), "{options:?}: it went back {back} times");
        assert!(queue.is_empty() && queue.verify().is_sound());
    }
}

/// By the clock: what was taken before the last rewind, what after it, and what perhaps.
#[test]
fn after_the_last_rewind_every_message_comes_once() {
    const COUNT: u64 = 1500;
    let _watchdog = watch("many consumers and a last rewind");
    for (n, options) in policies().into_iter().enumerate() {
        let queue = options.clone().messages(4096).capacity(1 << 20).retain(4096).in_memory().unwrap();
        let (times, seen) = thread::scope(|scope| {
            let consuming: Vec<_> = (0..3)
                .map(|c| {
                    let mut consumer = queue.consumer().unwrap();
                    scope.spawn(move || {
                        let mut seen = Vec::new();
                        loop {
                            let start = now_ns();
                            if (c + n) % 2 == 0 {
                                let Ok(delivery) = consumer.claim() else { break seen };
                                seen.push((number(&delivery), start, now_ns()));
                                delivery.ack().unwrap();
                            } else {
                                let Ok(message) = consumer.pop() else { break seen };
                                seen.push((number(&message), start, now_ns()));
                            }
                        }
                    })
                })
                .collect();
            let mut producer = queue.producer().unwrap();
            let mut last = (0, 0);
            for i in 0..COUNT {
                producer.push(&message(i, 8 + i as usize % 200)).unwrap();
                if i % 100 == 99 {
                    let start = now_ns();
                    match queue.rewind() {
                        Ok(_) => last = (start, now_ns()),
                        Err(error) => assert_eq!(error, RewindError::Busy),
                    }
                }
            }
            queue.close();
            (last, consuming.into_iter().flat_map(|c| c.join().unwrap()).collect::<Vec<_>>())
        });
        let (mut perhaps, mut surely) = (vec![0; COUNT as usize], vec![0; COUNT as usize]);
        for &(i, start, end) in &seen {
            perhaps[i as usize] += u32::from(end >= times.0);
            surely[i as usize] += u32::from(start > times.1);
        }
        let lost = perhaps.iter().position(|&count| count == 0);
        assert_eq!(lost, None, "{options:?}: after the last rewind it did not come again");
        let doubled = surely.iter().position(|&count| count > 1);
        assert_eq!(doubled, None, "{options:?}: after the last rewind it came more than once");
        assert!(queue.is_empty() && queue.verify().is_sound());
    }
}

#[test]
fn consumers_asleep_get_what_a_rewind_brings_again() {
    let _watchdog = watch("sleepers and a rewind");
    for claim in CLAIMS {
        let dir = Dir::new();
        let queue = below_wrap(64, 9).capacity(8 * KIB).claim(claim).retain(30).open(dir.file("q")).unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        push(&mut producer, 0..3, 100);
        drain(&mut consumer);
        thread::scope(|scope| {
            let asleep: Vec<_> = (0..3)
                .map(|_| {
                    let mut consumer = queue.consumer().unwrap();
                    scope.spawn(move || consumer.pop().map(|message| (number(&message), Instant::now())))
                })
                .collect();
            thread::sleep(ASLEEP);
            assert!(asleep.iter().all(|a| !a.is_finished()));
            let start = Instant::now();
            assert_eq!(Queue::open(dir.file("q")).unwrap().rewind(), Ok(3));
            let mut got: Vec<u64> = asleep
                .into_iter()
                .map(|asleep| {
                    let (number, at) = asleep.join().unwrap().unwrap();
                    assert!(at - start < PROMPTLY);
                    number
                })
                .collect();
            got.sort_unstable();
            assert_eq!(got, [0, 1, 2]);
        });
    }
}

/// What is consumed for the second time is as retained as it was after the first.
#[test]
fn what_is_rewound_never_gives_way_and_is_retained_again() {
    for claim in CLAIMS {
        let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).retain(100).in_memory().unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        push(&mut producer, 0..12, 50);
        drain(&mut consumer);
        assert_eq!(queue.rewind(), Ok(12));
        assert_eq!(queue.stats().retained, 0);
        push(&mut producer, 12..16, 50);
        assert_eq!(producer.try_push(&message(16, 50)), Err(TryPushError::Full));
        assert_eq!(queue.stats().gave_way, 0);
        assert_eq!(drain(&mut consumer), (0..16).collect::<Vec<_>>());
        assert_eq!(queue.stats().retained, 16);
        assert_eq!(numbers(queue.replay()), (0..16).collect::<Vec<_>>());
    }
}
