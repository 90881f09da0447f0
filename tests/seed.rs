//! What the queue that this one replaces promised, kept: its own tests, and the table of what it promised and did not do.
//!
//! Two of its eight tests are about its rate limit and stand in `rate.rs`, with that row of the table. Bits that flip in
//! the bytes of a message are found where messages have checksums, which comes with durability; those in its description are found here.
//! Where it had to be told to delete what was consumed, there is nothing to call here: the space comes back by itself.

mod common;

use common::{Child, Dir, run_child, say, spawn, until_killed, wait_for_parent, watch};
use ringfile::{OpenError, PopError, PushError, Queue, TryPopError, TryPushError};
use std::collections::HashSet;
use std::ffi::CString;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// The predecessor's test file: 1 MiB.
fn one_mib(path: &Path) -> Queue {
    Queue::options().capacity(1 << 20).open(path).unwrap()
}

fn number(message: &[u8]) -> u64 {
    u64::from_le_bytes(message.try_into().expect("eight bytes"))
}

/// Takes what is there now.
fn drain_all(queue: &Queue) -> Vec<u64> {
    let mut consumer = queue.consumer().unwrap();
    let mut numbers = Vec::new();
    while let Ok(message) = consumer.try_pop() {
        numbers.push(number(&message));
    }
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    numbers
}

#[test]
fn child() {
    run_child(|role, args| {
        let path = Path::new(args[0]);
        match role {
            "push" => {
                let mut producer = one_mib(path).producer().unwrap();
                let (first, count) = (args[1].parse::<u64>().unwrap(), args[2].parse().unwrap());
                say("ready");
                wait_for_parent();
                for i in 0..count {
                    producer.push(&(first + i).to_le_bytes()).unwrap();
                }
                say("done");
                until_killed();
            }
            "pop" => {
                let mut consumer = one_mib(path).consumer().unwrap();
                for expected in 0..args[1].parse().unwrap() {
                    assert_eq!(number(&consumer.pop().unwrap()), expected);
                }
                say("done");
                until_killed();
            }
            "pop until closed" => {
                let mut consumer = one_mib(path).consumer().unwrap();
                say("ready");
                for message in consumer.iter() {
                    say(number(&message).to_string());
                }
                say("closed");
            }
            "reap" => {
                let queue = one_mib(path);
                say("ready");
                loop {
                    queue.reap();
                }
            }
            other => panic!("no role {other}"),
        }
    });
}

fn push_in_child(path: &Path, first: u64, count: u64) -> Child {
    let mut child = spawn("push", &[&path, &first.to_string().as_str(), &count.to_string().as_str()]);
    child.expect("ready");
    child.go_on();
    child
}

// ---- its own tests ----------------------------------------------------------------------------------------------------

#[test]
fn fifty_are_drained_in_order_and_then_there_are_none() {
    let dir = Dir::new();
    let queue = one_mib(&dir.file("q"));
    let mut producer = queue.producer().unwrap();
    for i in 0..50u64 {
        producer.push(&i.to_le_bytes()).unwrap();
    }
    let mut consumer = queue.consumer().unwrap();
    let mut seen = Vec::new();
    assert_eq!(consumer.drain(1000, |message| seen.push(number(message))), Ok(50));
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    assert_eq!(consumer.try_drain(1000, |_| panic!("nothing is left")), Err(TryPopError::Empty));
    assert!(queue.is_empty());
}

#[test]
fn a_polling_consumer_gets_a_thousand() {
    let _watchdog = watch("a polling consumer");
    let dir = Dir::new();
    let queue = one_mib(&dir.file("q"));
    let mut producer = queue.producer().unwrap();
    let pushing = thread::spawn(move || {
        for i in 0..1000u64 {
            producer.push(&i.to_le_bytes()).unwrap();
        }
    });
    let mut consumer = queue.consumer().unwrap();
    let mut next = 0;
    while next < 1000 {
        match consumer.try_pop() {
            Ok(message) => {
                assert_eq!(number(&message), next);
                next += 1;
            }
            Err(TryPopError::Empty | TryPopError::Pending) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    pushing.join().unwrap();
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

#[test]
fn hello_world() {
    let dir = Dir::new();
    let queue = one_mib(&dir.file("q"));
    let mut producer = queue.producer().unwrap();
    producer.push(b"Hello").unwrap();
    producer.push(b"World").unwrap();
    let mut consumer = queue.consumer().unwrap();
    assert_eq!(consumer.pop().unwrap(), b"Hello");
    assert_eq!(consumer.pop().unwrap(), b"World");
}

#[test]
fn three_in_order() {
    let dir = Dir::new();
    let queue = one_mib(&dir.file("q"));
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap();
    let messages = ["first", "second", "third"];
    for message in messages {
        producer.push(message.as_bytes()).unwrap();
    }
    for message in messages {
        assert_eq!(consumer.pop().unwrap(), message.as_bytes());
    }
}

#[test]
fn two_producers_and_two_consumers_exchange_exactly_a_hundred() {
    let _watchdog = watch("two producers, two consumers");
    let dir = Dir::new();
    let queue = one_mib(&dir.file("q"));
    let producers: Vec<_> = (0..2u64)
        .map(|p| {
            let mut producer = queue.producer().unwrap();
            thread::spawn(move || {
                for i in 0..50 {
                    producer.push(&(p * 50 + i).to_le_bytes()).unwrap();
                }
            })
        })
        .collect();
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let mut consumer = queue.consumer().unwrap();
            thread::spawn(move || consumer.iter().map(|m| number(&m)).collect::<Vec<_>>())
        })
        .collect();
    for producer in producers {
        producer.join().unwrap();
    }
    queue.close();
    let mut all: Vec<u64> = consumers.into_iter().flat_map(|c| c.join().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
}

#[test]
fn after_thirty_of_fifty_the_next_are_thirty_to_forty_nine() {
    let dir = Dir::new();
    let queue = one_mib(&dir.file("q"));
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap();
    for i in 0..50u64 {
        producer.push(&i.to_le_bytes()).unwrap();
    }
    for i in 0..30 {
        assert_eq!(number(&consumer.pop().unwrap()), i);
    }
    assert_eq!(queue.len(), 20);
    for i in 30..50 {
        assert_eq!(number(&consumer.pop().unwrap()), i);
    }
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

/// Its suite failed for ever after 75 repetitions, since space never came back and files stayed.
#[test]
fn a_left_over_file_serves_a_thousand_times() {
    let dir = Dir::new();
    let path = dir.file("q");
    for round in 0..1000u64 {
        let queue = Queue::options().capacity(4096).open(&path).unwrap();
        assert_eq!(queue.is_new(), round == 0);
        let mut producer = queue.producer().unwrap();
        let mut consumer = queue.consumer().unwrap();
        for i in 0..5u64 {
            producer.push(&(round + i).to_le_bytes()).unwrap();
        }
        producer.push(&[7; 1000]).unwrap();
        for i in 0..5 {
            assert_eq!(number(&consumer.pop().unwrap()), round + i);
        }
        assert_eq!(consumer.pop().unwrap(), [7; 1000]);
        assert!(queue.is_empty());
    }
}

// ---- the table, row by row --------------------------------------------------------------------------------------------

/// "messages survive a restart": push 100, `kill -9`: 0 of 100 were left.
#[test]
fn messages_survive_a_restart() {
    let _watchdog = watch("restart after pushes");
    let dir = Dir::new();
    let path = dir.file("q");
    let mut child = push_in_child(&path, 0, 100);
    child.expect("done");
    child.kill();

    let queue = Queue::options().attach(&path).unwrap();
    assert!(!queue.is_new());
    assert_eq!(queue.len(), 100);
    assert!(queue.verify().is_sound());
    assert_eq!(drain_all(&queue), (0..100).collect::<Vec<_>>());
}

/// "resumes at the last unconsumed message": pop 60 of 100, `kill -9`: all 100 came again.
#[test]
fn resumes_at_the_first_unconsumed_message() {
    let _watchdog = watch("restart after pops");
    let dir = Dir::new();
    let path = dir.file("q");
    let mut child = push_in_child(&path, 0, 100);
    child.expect("done");
    child.kill();
    let mut child = spawn("pop", &[&path, &"60"]);
    child.expect("done");
    child.kill();

    let queue = one_mib(&path);
    assert_eq!(queue.len(), 40);
    assert_eq!(drain_all(&queue), (60..100).collect::<Vec<_>>());
    assert!(queue.verify().is_sound());
}

/// Killed in the middle of pushing, and again and again: what was pushed is a prefix, and the next goes on.
#[test]
fn killed_at_any_time_it_keeps_a_prefix() {
    let _watchdog = watch("restart in the middle");
    let dir = Dir::new();
    for round in 0..10u32 {
        let path = dir.file(&format!("q{round}"));
        let child = push_in_child(&path, 0, 5000);
        thread::sleep(Duration::from_micros(u64::from(round) * 100));
        child.kill();
        let queue = one_mib(&path);
        let before = queue.len();
        queue.producer().unwrap().push(&u64::MAX.to_le_bytes()).unwrap();
        let mut left = drain_all(&queue);
        assert_eq!(left.len(), before + 1);
        assert_eq!(left.pop(), Some(u64::MAX));
        assert!(left.iter().copied().eq(0..left.len() as u64), "{left:?}");
    }
}

/// "re-consume from the beginning": there was no such call.
#[test]
fn consumes_again_from_the_beginning() {
    let dir = Dir::new();
    let queue = Queue::options().capacity(1 << 20).retain(100).open(dir.file("q")).unwrap();
    let mut producer = queue.producer().unwrap();
    for i in 0..100u64 {
        producer.push(&i.to_le_bytes()).unwrap();
    }
    let mut consumer = queue.consumer().unwrap();
    for i in 0..60 {
        assert_eq!(number(&consumer.pop().unwrap()), i);
    }
    assert_eq!(queue.rewind().unwrap(), 60);
    assert_eq!(drain_all(&queue), (0..100).collect::<Vec<_>>());
}

/// "retain the last N consumed": the parameter was dropped. Here they are there, and no more than they, also for who comes later.
#[test]
fn retains_the_last_ten() {
    let dir = Dir::new();
    let path = dir.file("q");
    let last = |queue: &Queue| {
        let kept: Vec<_> = queue.replay().map(|kept| number(&kept.unwrap().message)).collect();
        assert_eq!(kept, (90..100).collect::<Vec<_>>());
    };
    let queue = Queue::options().capacity(1 << 20).retain(10).open(&path).unwrap();
    push_in_child(&path, 0, 100).expect("done");
    assert_eq!(drain_all(&queue).len(), 100);
    last(&queue);
    queue.reap();
    assert_eq!((queue.stats().retained, queue.stats().reaped), (10, 90));
    drop(queue);
    let queue = Queue::open(&path).unwrap();
    last(&queue);
    assert_eq!(queue.rewind().unwrap(), 10);
    assert_eq!(drain_all(&queue), (90..100).collect::<Vec<_>>());
}

/// "periodic deletion of older ones": it moved memory under two locks, and killed there, messages were lost and doubled.
#[test]
fn older_ones_are_deleted_periodically() {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = Queue::options().capacity(1 << 20).retain(10).open(&path).unwrap();
    // Several, which are killed whatever they are doing.
    let reapers: Vec<_> = (0..3)
        .map(|_| {
            let mut reaper = spawn("reap", &[&path]);
            reaper.expect("ready");
            reaper
        })
        .collect();
    push_in_child(&path, 0, 5_000).expect("done");
    for reaper in reapers {
        reaper.kill();
    }
    assert_eq!(drain_all(&queue), (0..5_000).collect::<Vec<_>>());
    let _reaper = queue.reaper(Duration::from_millis(1));
    common::until("the older ones are deleted", || queue.stats().reaped == 4_990);
    let kept: Vec<_> = queue.replay().map(|kept| number(&kept.unwrap().message)).collect();
    assert_eq!(kept, (4_990..5_000).collect::<Vec<_>>());
}

/// "new file detection": any file was adopted, its head zeroed.
#[test]
fn a_foreign_file_is_refused_and_stays_as_it_was() {
    let dir = Dir::new();
    let path = dir.file("letter.txt");
    let letters = [Vec::new(), b"Dear Sir,".to_vec(), b"x".repeat(4096), vec![0; 3 << 20]];
    for letter in letters {
        std::fs::write(&path, &letter).unwrap();
        for open in [Queue::open, |path| Queue::options().attach(path)] {
            let error = open(&path).unwrap_err();
            assert!(matches!(error, OpenError::NotARing), "{error:?}");
        }
        assert!(Queue::options().create_new(&path).is_err());
        assert!(std::fs::read(&path).unwrap() == letter, "the file was changed");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "something was left beside it");
}

#[test]
fn a_new_file_is_known_as_new() {
    let dir = Dir::new();
    let path = dir.file("q");
    let missing = Queue::options().attach(&path).unwrap_err();
    assert!(
        matches!(&missing, OpenError::Io(error) if error.kind() == std::io::ErrorKind::NotFound),
        "{missing:?}"
    );
    let first = one_mib(&path);
    let second = one_mib(&path);
    assert!(first.is_new() && !second.is_new());
    let taken = Queue::options().create_new(&path).unwrap_err();
    assert!(
        matches!(&taken, OpenError::Io(error) if error.kind() == std::io::ErrorKind::AlreadyExists),
        "{taken:?}"
    );
    // Of many that open it at once, exactly one has created it, and all have the same queue.
    let path = dir.file("raced");
    let queues: Vec<Queue> = thread::scope(|scope| {
        let opens: Vec<_> = (0..8).map(|_| scope.spawn(|| one_mib(&path))).collect();
        opens.into_iter().map(|open| open.join().unwrap()).collect()
    });
    assert_eq!(queues.iter().filter(|queue| queue.is_new()).count(), 1);
    for queue in &queues {
        queue.producer().unwrap().push(b"x").unwrap();
    }
    assert_eq!(queues[0].len(), 8);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// "many producers and consumers": two processes of 5,000 each left 83 or 5,000 of 10,000, and two readers got every message twice.
#[test]
fn two_processes_push_five_thousand_each_and_two_pop() {
    let _watchdog = watch("processes");
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = one_mib(&path);
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let mut child = spawn("pop until closed", &[&path]);
            thread::spawn(move || {
                child.expect("ready");
                let mut seen = Vec::new();
                loop {
                    let line = child.hear();
                    if line == "closed" {
                        child.finish();
                        return seen;
                    }
                    seen.push(line.parse::<u64>().unwrap());
                }
            })
        })
        .collect();
    let mut producers = [push_in_child(&path, 0, 5000), push_in_child(&path, 5000, 5000)];
    for producer in &mut producers {
        producer.expect("done");
    }
    queue.close();
    let mut all = HashSet::new();
    for consumer in consumers {
        let seen = consumer.join().unwrap();
        for side in [0..5000, 5000..10_000] {
            let own: Vec<u64> = seen.iter().copied().filter(|n| side.contains(n)).collect();
            assert!(own.is_sorted(), "the order of a producer was not kept");
        }
        for n in seen {
            assert!(all.insert(n), "{n} came twice");
        }
    }
    assert_eq!(all.len(), 10_000);
}

/// "full": it was the same error as too large, and popping everything freed nothing.
#[test]
fn full_and_too_large_are_different_and_space_comes_back() {
    let dir = Dir::new();
    let queue = Queue::options().capacity(8192).open(dir.file("q")).unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap();
    let max = queue.max_message_len();
    for round in 0..100 {
        assert_eq!(producer.try_push(&vec![0; max + 1]), Err(TryPushError::TooLarge { len: max + 1, max }));
        assert_eq!(producer.push(&vec![0; max + 1]), Err(PushError::TooLarge { len: max + 1, max }));
        let len = [0, 10, 100, 1000, max][round % 5];
        let mut pushed = 0;
        loop {
            match producer.try_push(&common::pattern(pushed, len)) {
                Ok(_) => pushed += 1,
                Err(error) => {
                    assert_eq!(error, TryPushError::Full);
                    break;
                }
            }
        }
        assert!(pushed >= 1, "{pushed} of {len} bytes");
        let mut popped = 0;
        let mut pop = || {
            assert_eq!(consumer.pop().unwrap(), common::pattern(popped, len));
            popped += 1;
        };
        for _ in 0..10 {
            // One out, one in; but one that would cross the end of the ring needs room at its start.
            pop();
            if producer.try_push(&common::pattern(pushed, len)).is_err() {
                pop();
                producer.try_push(&common::pattern(pushed, len)).unwrap();
            }
            pushed += 1;
        }
        while !queue.is_empty() {
            pop();
        }
        assert_eq!(popped, pushed);
    }
}

/// "close": a Pop blocked in another thread hung for ever, and a call after it crashed.
#[test]
fn close_wakes_a_blocked_pop_and_calls_after_it_are_errors() {
    let _watchdog = watch("a pop blocked at close");
    let dir = Dir::new();
    let queue = one_mib(&dir.file("q"));
    let mut consumer = queue.consumer().unwrap();
    let blocked = thread::spawn(move || consumer.pop());
    thread::sleep(Duration::from_millis(50));
    assert!(!blocked.is_finished());
    queue.close();
    assert_eq!(blocked.join().unwrap(), Err(PopError::Closed));

    assert!(queue.is_closed());
    queue.close();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap();
    assert_eq!(producer.push(b"x"), Err(PushError::Closed));
    assert_eq!(producer.try_push(b"x"), Err(TryPushError::Closed));
    assert_eq!(consumer.pop(), Err(PopError::Closed));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Closed));
    assert!(queue.is_empty() && queue.stats().closed);

    queue.reopen();
    producer.push(b"x").unwrap();
    assert_eq!(consumer.pop().unwrap(), b"x");
}

/// Close is kept in the file, and what was pushed before it is still delivered.
#[test]
fn a_closed_file_is_closed_when_it_is_opened_again() {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = one_mib(&path);
    queue.producer().unwrap().push(b"last").unwrap();
    queue.close();
    drop(queue);
    let queue = one_mib(&path);
    assert!(queue.is_closed());
    assert_eq!(queue.producer().unwrap().push(b"x"), Err(PushError::Closed));
    let mut consumer = queue.consumer().unwrap();
    assert_eq!(consumer.pop().unwrap(), b"last");
    assert_eq!(consumer.pop(), Err(PopError::Closed));
}

/// "corrupt length": it was an endless error.
#[test]
fn a_corrupt_length_is_an_error_once_and_the_rest_is_delivered() {
    use ringfile::file::header::UncheckedHeader;
    use ringfile::file::layout::cell;
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = Queue::options().capacity(4096).born_at(0, 0).open(&path).unwrap();
    let mut producer = queue.producer().unwrap();
    for i in 0..3u8 {
        producer.push(&[i; 200]).unwrap();
    }
    drop((producer, queue));

    let mut bytes = std::fs::read(&path).unwrap();
    let header = UncheckedHeader(&bytes[..4096]).check(bytes.len() as u64).unwrap();
    let layout = header.layout;
    // The upper half of the word of the second cell.
    let length = layout.cells + layout.geometry.cell_size as usize + cell::SIZE + 4;
    bytes[length..length + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();

    let queue = Queue::open(&path).unwrap();
    assert!(!queue.verify().is_sound());
    let mut consumer = queue.consumer().unwrap();
    assert_eq!(consumer.pop().unwrap(), [0; 200]);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Corrupt { position: 1 }));
    assert_eq!(consumer.pop().unwrap(), [2; 200]);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

/// A small file system of its own, where root may mount one.
struct SmallDisk(Dir);

impl SmallDisk {
    fn mount(options: &str) -> Option<SmallDisk> {
        let dir = Dir::new();
        let text = |text: &str| CString::new(text).unwrap();
        let target = text(dir.path().to_str().unwrap());
        let (kind, options) = (text("tmpfs"), text(options));
        // SAFETY: all strings end with a zero and live until the call returns.
        let mounted =
            unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
        (mounted == 0).then(|| SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let target = CString::new(self.0.path().to_str().unwrap()).unwrap();
        // SAFETY: the string ends with a zero and lives until the call returns.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

/// "disk full": SIGBUS. Here room is taken when the file is made, or it is not made.
#[test]
fn a_full_disk_is_an_error_at_creation_and_never_later() {
    let Some(disk) = SmallDisk::mount("size=512k") else {
        println!("skipped: mounting is not permitted here, so there is no disk to fill");
        return;
    };
    let big = disk.0.file("big");
    let error = one_mib_of(&big).unwrap_err();
    assert!(matches!(error, OpenError::DiskFull), "{error:?}");
    assert_eq!(std::fs::read_dir(disk.0.path()).unwrap().count(), 0, "a piece of the file was left behind");

    let path = disk.0.file("q");
    let queue = Queue::options().capacity(64 << 10).messages(64).open(&path).unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap();
    // Somebody else takes the rest of the disk.
    let mut size = 512 << 10;
    while size > 0 {
        let _ = std::fs::write(disk.0.file(&format!("filler{size}")), vec![1; size]);
        size /= 2;
    }
    // Every byte of the ring can still be written.
    for round in 0..5 {
        let mut pushed = 0;
        while producer.try_push(&common::pattern(pushed, 3000)).is_ok() {
            pushed += 1;
        }
        assert!(pushed > 10, "round {round}: {pushed}");
        for i in 0..pushed {
            assert_eq!(consumer.pop().unwrap(), common::pattern(i, 3000));
        }
    }
    drop((producer, consumer, queue));
    let queue = Queue::open(&path).unwrap();
    queue.producer().unwrap().push(b"still").unwrap();
    assert_eq!(queue.consumer().unwrap().pop().unwrap(), b"still");
}

fn one_mib_of(path: &Path) -> Result<Queue, OpenError> {
    Queue::options().capacity(1 << 20).open(path)
}
