//! Claims that have a lease: what a stuck but living consumer loses, what it keeps, and how it finds out.

mod common;

use common::{CLAIMS, Dir, HANGS, below_wrap, pattern, run_child, say, spawn, until, wait_for_parent, watch};
use ringfile::{Claim, Consumer, Expired, Producer, Queue, TryPopError, TryPushError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const LEASE: Duration = Duration::from_millis(30);

/// A queue of eight cells in memory, a few positions below the wraps.
fn leased(claim: Claim) -> (Queue, Producer, Consumer, Consumer) {
    let queue = below_wrap(8, 5).capacity(4096).claim(claim).lease(LEASE).in_memory().unwrap();
    let (slow, quick) = (queue.consumer().unwrap(), queue.consumer().unwrap());
    (queue.clone(), queue.producer().unwrap(), slow, quick)
}

#[test]
fn child() {
    run_child(|role, args| match role {
        "hold" => {
            let queue = Queue::options().attach(Path::new(args[0])).unwrap();
            let mut consumer = queue.consumer().unwrap();
            let held = consumer.claim().unwrap();
            say("held");
            wait_for_parent();
            assert_eq!(*held, pattern(1, 500));
            assert_eq!(held.ack(), Err(Expired));
            // What it can still get, it can still finish.
            let next = consumer.claim_timeout(HANGS).unwrap();
            assert_eq!(next.ack(), Ok(()));
            say("late");
        }
        other => panic!("no role is called {other}"),
    });
}

#[test]
fn a_message_that_is_held_too_long_is_delivered_to_another() {
    let _watchdog = watch("a lease that expires");
    for claim in CLAIMS {
        let (queue, mut producer, mut slow, mut quick) = leased(claim);
        producer.push(b"job").unwrap();
        let since = Instant::now();
        let held = slow.claim().unwrap();
        assert_eq!(quick.try_pop(), Err(TryPopError::Empty));

        let again = quick.claim().unwrap();
        assert!(since.elapsed() >= LEASE, "taken back after {:?}", since.elapsed());
        assert_eq!((&*again, again.deliveries()), (&b"job"[..], 2));
        // Both have it; one finishes it.
        assert_eq!(&*held, b"job");
        assert_eq!(held.ack(), Err(Expired));
        assert_eq!(again.ack(), Ok(()));
        assert!(queue.is_empty());
        assert_eq!(slow.try_pop(), Err(TryPopError::Empty));
    }
}

#[test]
fn who_is_in_time_keeps_it() {
    for claim in CLAIMS {
        let (queue, mut producer, mut slow, mut quick) = leased(claim);
        for _ in 0..20 {
            producer.push(b"job").unwrap();
            let held = slow.claim().unwrap();
            assert!(queue.recover().expired <= 1);
            // Unless this machine was busy with something else for so long.
            let late = held.ack().is_err();
            assert_eq!(quick.try_pop().is_ok(), late);
        }
    }
}

#[test]
fn nobody_who_asks_takes_back_what_nobody_else_wants() {
    let (queue, mut producer, mut slow, _) = leased(Claim::Ordered);
    producer.push(b"job").unwrap();
    let held = slow.claim().unwrap();
    thread::sleep(2 * LEASE);
    // Late, but nobody has looked.
    assert_eq!(held.ack(), Ok(()));
    assert!(queue.is_empty());
}

#[test]
fn recovery_says_what_expired() {
    let (queue, mut producer, mut slow, mut quick) = leased(Claim::Ordered);
    producer.push_batch(&["a", "b", "c"]).unwrap();
    let mut batch = slow.claim_batch(3).unwrap();
    assert_eq!(batch.ack_first(1), Ok(()));
    thread::sleep(2 * LEASE);
    assert_eq!(queue.unrecovered().expired, 2);
    let recovery = queue.recover();
    assert_eq!((recovery.expired, recovery.participants, recovery.put_back), (2, 0, 0));
    assert!(queue.recover().is_nothing());

    assert_eq!(batch.iter().collect::<Vec<_>>(), [b"b", b"c"]);
    assert_eq!(batch.ack_first(1), Err(Expired));
    assert_eq!(batch.ack(), Err(Expired));
    assert_eq!(quick.pop().unwrap(), b"b");
    assert_eq!(quick.pop().unwrap(), b"c");
    assert!(queue.is_empty());
}

#[test]
fn what_is_late_can_be_given_back_leaked_and_dropped() {
    for claim in CLAIMS {
        let (queue, mut producer, mut slow, mut quick) = leased(claim);
        for way in 0..3 {
            producer.push(b"job").unwrap();
            let held = slow.claim().unwrap();
            let taken = quick.claim().unwrap();
            match way {
                0 => held.release(),
                1 => std::mem::forget(held),
                _ => drop(held),
            }
            // The next call finds what was leaked; it is the other's all the same.
            assert_eq!(slow.try_pop(), Err(TryPopError::Empty), "after way {way}");
            assert_eq!(taken.ack(), Ok(()));
            assert!(queue.is_empty());
        }
    }
}

#[test]
fn a_drain_that_is_late_has_finished_nothing() {
    let (queue, mut producer, mut slow, mut quick) = leased(Claim::Ordered);
    producer.push_batch(&["a", "b"]).unwrap();
    let mut seen = 0;
    let finished = slow.drain(2, |_| {
        seen += 1;
        if seen == 2 {
            assert_eq!(quick.pop().unwrap(), b"a");
        }
    });
    assert_eq!((finished, seen), (Ok(0), 2));
    assert_eq!(quick.pop().unwrap(), b"b");
    assert!(queue.is_empty());
}

/// The bytes of a late holder stay where they are: a producer finds no room instead, and is woken when there is.
#[test]
fn a_late_holder_keeps_its_bytes() {
    let _watchdog = watch("bytes that are held too long");
    for claim in CLAIMS {
        let (_, mut producer, mut slow, mut quick) = leased(claim);
        let message = |seed| pattern(seed, 1000);
        producer.push(&message(1)).unwrap();
        let held = slow.claim().unwrap();
        assert_eq!(quick.pop().unwrap(), message(1));
        let mut pushed = 1;
        while producer.try_push(&message(pushed + 1)).is_ok() {
            pushed += 1;
            assert_eq!(quick.pop().unwrap(), message(pushed));
        }
        assert!((3..=4).contains(&pushed), "{pushed} of 1,000 bytes in 4 KiB");
        assert_eq!(producer.try_push(&message(9)), Err(TryPushError::Full));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| producer.push(&message(9)).unwrap());
            thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            assert_eq!(*held, message(1));
            assert_eq!(held.ack(), Err(Expired));
        });
        assert_eq!(quick.pop().unwrap(), message(9));
    }
}

/// A consumer that looks at each message for longer than a lease goes on for ever, and so does one that pops what it takes back from it.
#[test]
fn two_share_what_one_is_too_slow_for() {
    let _watchdog = watch("a consumer that is always late");
    const MESSAGES: u32 = 12;
    for claim in CLAIMS {
        let (queue, mut producer, mut slow, mut quick) = leased(claim);
        let late = thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..MESSAGES {
                    producer.push(&i.to_le_bytes()).unwrap();
                }
                until("all are finished", || queue.is_empty());
                queue.close();
            });
            let popping = scope.spawn(move || {
                let mut popped = Vec::new();
                while let Ok(message) = quick.pop() {
                    thread::sleep(Duration::from_millis(1));
                    popped.push(message);
                }
                popped
            });
            let mut late = Vec::new();
            while let Ok(held) = slow.claim() {
                thread::sleep(3 * LEASE);
                let message = held.to_vec();
                if held.ack().is_ok() {
                    late.push(message);
                }
            }
            let mut all = popping.join().unwrap();
            all.extend(late.clone());
            all.sort();
            let mut expected: Vec<_> = (0..MESSAGES).map(|i| i.to_le_bytes().to_vec()).collect();
            expected.sort();
            assert_eq!(all, expected, "each is finished once");
            late
        });
        assert!(late.len() < MESSAGES as usize);
    }
}

/// The one thing that a pause can cost, and only who asked for it by name.
#[test]
fn a_stopped_process_loses_its_message_and_finds_out() {
    let _watchdog = watch("a process that is stopped with a lease");
    for claim in CLAIMS {
        let dir = Dir::new();
        let path = dir.file("q");
        let queue = Queue::options().capacity(4096).claim(claim).lease(LEASE).open(&path).unwrap();
        let mut producer = queue.producer().unwrap();
        producer.push(&pattern(1, 500)).unwrap();
        let mut holder = spawn("hold", &[&path]);
        holder.expect("held");
        holder.signal(libc::SIGSTOP);
        holder.until_stopped();
        let mut consumer = queue.consumer().unwrap();
        assert_eq!(consumer.pop().unwrap(), pattern(1, 500));
        // As long as it is stopped, its bytes stay, however much is pushed.
        while producer.try_push(&pattern(2, 500)).is_ok() {}
        holder.go_on();
        holder.signal(libc::SIGCONT);
        holder.expect("late");
        holder.finish();
    }
}

/// Set when the file is made, and kept.
#[test]
fn the_lease_is_the_files() {
    let dir = Dir::new();
    let path = dir.file("q");
    drop(Queue::options().capacity(4096).lease(LEASE).open(&path).unwrap());
    let queue = Queue::options().lease(Duration::from_secs(3600)).open(&path).unwrap();
    queue.producer().unwrap().push(b"job").unwrap();
    let (mut slow, mut quick) = (queue.consumer().unwrap(), queue.consumer().unwrap());
    let held = slow.claim().unwrap();
    assert_eq!(quick.pop_timeout(HANGS / 2).unwrap(), b"job");
    assert_eq!(held.ack(), Err(Expired));
}
