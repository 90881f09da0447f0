//! Waiting, and what it leaves behind: nothing. Who sleeps is woken, who gives up is forgotten, and nobody burns a core meanwhile.

mod common;

use common::{CLAIMS, Child, Dir, below_wrap, process_cpu, run_child, say, spawn, thread_cpu, watch};
use common::{number_from, until, wait_for_parent};
use ringfile::{
    Claim, Consumer, PopError, PopTimeoutError, Producer, PushError, PushTimeoutError, Queue, TryPopError,
    TryPushError, Wait,
};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a thread to fall asleep in a call.
const ASLEEP: Duration = Duration::from_millis(30);

fn in_memory(claim: Claim) -> Queue {
    below_wrap(64, 10).capacity(8192).claim(claim).in_memory().unwrap()
}

fn claim_named(name: &str) -> Claim {
    match name {
        "Ordered" => Claim::Ordered,
        "Ticketed" => Claim::Ticketed,
        other => panic!("no claim {other}"),
    }
}

fn open(path: &Path, claim: Claim) -> Queue {
    below_wrap(64, 10).capacity(8192).claim(claim).open(path).unwrap()
}

#[test]
fn child() {
    run_child(|role, args| match role {
        // What so many consumers, blocked on an empty queue for so long, take of a processor.
        "sleep" => {
            let queue = Queue::options().attach(Path::new(args[0])).unwrap();
            let count: usize = args[1].parse().unwrap();
            let time = Duration::from_millis(args[2].parse().unwrap());
            let consumers: Vec<Consumer> = (0..count).map(|_| queue.consumer().unwrap()).collect();
            let used = thread::scope(|scope| {
                for mut consumer in consumers {
                    scope.spawn(move || assert_eq!(consumer.pop(), Err(PopError::Closed)));
                }
                say("asleep");
                wait_for_parent();
                let before = process_cpu();
                thread::sleep(time);
                let used = process_cpu() - before;
                say("measured");
                wait_for_parent();
                queue.close();
                used
            });
            say(used.as_micros().to_string());
        }
        // The same while a reservation at the head is not committed, and producers wait for room as well.
        "sleep behind a pause" => sleep_behind_a_pause(claim_named(args[0])),
        "pong" => {
            let mut options = Queue::options();
            options.wait(Wait::Park);
            let mut consumer = options.attach(args[0]).unwrap().consumer().unwrap();
            let mut producer = options.attach(args[1]).unwrap().producer().unwrap();
            say("ready");
            for message in consumer.iter() {
                producer.push(&message).unwrap();
            }
        }
        "block" => {
            let queue = Queue::options().attach(Path::new(args[0])).unwrap();
            let mut consumer = queue.consumer().unwrap();
            say("ready");
            say(format!("{:?}", consumer.pop()));
        }
        other => panic!("no role {other}"),
    });
}

// ---- nothing is left behind -------------------------------------------------------------------------------------------

/// Each way not to get a message, after which somebody else must get the next one at once.
type Miss = fn(&Queue, Consumer) -> Option<Consumer>;

fn leaves_nothing_behind(miss: Miss) {
    for claim in CLAIMS {
        let queue = in_memory(claim);
        let mut producer = queue.producer().unwrap();
        let mut other = queue.consumer().unwrap();
        let mut first = Some(queue.consumer().unwrap());
        for round in 0..200u64 {
            let consumer = first.take().unwrap_or_else(|| queue.consumer().unwrap());
            first = miss(&queue, consumer);
            producer.try_push(&round.to_le_bytes()).unwrap();
            // The one that missed does nothing.
            assert_eq!(other.try_pop(), Ok(round.to_le_bytes().to_vec()), "{claim:?}, round {round}");
            // In turn, so that both have a past.
            if let Some(first) = &mut first {
                std::mem::swap(first, &mut other);
            }
        }
        assert!(queue.is_empty() && queue.verify().is_sound());
    }
}

#[test]
fn an_empty_pop_leaves_nothing_behind() {
    leaves_nothing_behind(|_, mut consumer| {
        for _ in 0..70 {
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
        assert!(matches!(consumer.try_claim(), Err(TryPopError::Empty)));
        assert!(matches!(consumer.try_claim_batch(100), Err(TryPopError::Empty)));
        Some(consumer)
    });
}

#[test]
fn a_time_out_leaves_nothing_behind() {
    leaves_nothing_behind(|_, mut consumer| {
        let short = Duration::from_micros(50);
        assert_eq!(consumer.pop_timeout(short), Err(PopTimeoutError::Timeout));
        assert!(consumer.claim_timeout(Duration::ZERO).is_err());
        assert!(consumer.claim_batch_timeout(3, short).is_err());
        Some(consumer)
    });
}

#[test]
fn a_dropped_consumer_leaves_nothing_behind() {
    leaves_nothing_behind(|_, mut consumer| {
        for _ in 0..3 {
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
        None
    });
}

#[test]
fn a_consumer_that_was_blocked_at_close_leaves_nothing_behind() {
    let _watchdog = watch("blocked at close");
    leaves_nothing_behind(|queue, mut consumer| {
        thread::scope(|scope| {
            let blocked = scope.spawn(|| consumer.pop());
            thread::sleep(Duration::from_micros(100));
            queue.close();
            assert_eq!(blocked.join().unwrap(), Err(PopError::Closed));
        });
        queue.reopen();
        Some(consumer)
    });
}

#[test]
fn a_reservation_that_was_seen_pending_leaves_nothing_behind() {
    for claim in CLAIMS {
        let queue = in_memory(claim);
        let mut producer = queue.producer().unwrap();
        let mut consumers: Vec<_> = (0..5).map(|_| queue.consumer().unwrap()).collect();
        for round in 0..200u64 {
            let mut place = producer.try_reserve(8).unwrap();
            for consumer in &mut consumers {
                assert_eq!(consumer.try_pop(), Err(TryPopError::Pending));
            }
            place.copy_from_slice(&round.to_le_bytes());
            if round % 3 == 0 {
                drop(place);
                for consumer in &mut consumers {
                    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
                }
            } else {
                place.commit();
                let taker = round as usize % consumers.len();
                assert_eq!(consumers[taker].try_pop(), Ok(round.to_le_bytes().to_vec()));
            }
        }
        assert!(queue.is_empty());
    }
}

/// A producer that found no room holds none.
#[test]
fn a_full_push_leaves_nothing_behind() {
    for claim in CLAIMS {
        let queue = below_wrap(4, 3).capacity(512).claim(claim).in_memory().unwrap();
        let mut consumer = queue.consumer().unwrap();
        let mut first = Some(queue.producer().unwrap());
        let mut other = queue.producer().unwrap();
        for round in 0..200u64 {
            let mut producer = first.take().unwrap_or_else(|| queue.producer().unwrap());
            while other.try_push(&[1; 100]).is_ok() {}
            assert_eq!(producer.try_push(&[2; 200]), Err(TryPushError::Full));
            let short = Duration::from_micros(50);
            assert_eq!(producer.push_timeout(&[2; 200], short), Err(PushTimeoutError::Timeout));
            assert!(producer.reserve_timeout(100, Duration::ZERO).is_err());
            while consumer.try_pop().is_ok() {}
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
            other.try_push(&[3; 200]).unwrap();
            assert_eq!(consumer.try_pop().unwrap(), [3; 200]);
            if round % 2 == 0 {
                first = Some(producer);
            }
        }
    }
}

// ---- a push that is not finished --------------------------------------------------------------------------------------

/// Three consumers are blocked behind a reservation at the head, and one polls; then it is committed, or aborted.
#[test]
fn a_paused_push_at_the_head_delays_and_then_lets_everything_go_on() {
    let _watchdog = watch("a paused push at the head");
    for claim in CLAIMS {
        for commits in [true, false] {
            let dir = Dir::new();
            let queue = open(&dir.file("q"), claim);
            let mut paused = queue.producer().unwrap();
            let mut producer = queue.producer().unwrap();
            let mut poller = queue.consumer().unwrap();
            let taken = AtomicU64::new(0);
            thread::scope(|scope| {
                let blocked: Vec<_> = (0..3)
                    .map(|_| {
                        let mut consumer = queue.consumer().unwrap();
                        scope.spawn({
                            let taken = &taken;
                            move || {
                                let mut own = Vec::new();
                                while let Ok(message) = consumer.pop() {
                                    taken.fetch_add(1, Ordering::Relaxed);
                                    own.push(message);
                                }
                                own
                            }
                        })
                    })
                    .collect();
                thread::sleep(ASLEEP);
                let mut place = paused.reserve(4).unwrap();
                place.copy_from_slice(b"head");
                assert_eq!(poller.try_pop(), Err(TryPopError::Pending));
                if claim == Claim::Ordered {
                    for i in 0..10u8 {
                        producer.push(&[i]).unwrap();
                    }
                    thread::sleep(ASLEEP);
                    for _ in 0..10 {
                        assert_eq!(poller.try_pop(), Err(TryPopError::Pending));
                    }
                    assert_eq!(taken.load(Ordering::Relaxed), 0, "something overtook it");
                }
                if commits {
                    place.commit();
                } else {
                    drop(place);
                }
                let expected = u64::from(commits) + if claim == Claim::Ordered { 10 } else { 0 };
                until("all go on", || taken.load(Ordering::Relaxed) == expected);
                queue.close();
                let mut all: Vec<_> = blocked.into_iter().flat_map(|b| b.join().unwrap()).collect();
                assert_eq!(all.len() as u64, expected);
                all.sort();
                all.dedup();
                assert_eq!(all.len() as u64, expected);
                assert_eq!(all.contains(&b"head".to_vec()), commits);
            });
            assert_eq!(poller.try_pop(), Err(TryPopError::Closed));
        }
    }
}

/// In the words of the protocol a consumer alone in its group gets FIFO, whichever way it claims.
#[test]
fn a_consumer_alone_never_overtakes_a_paused_push() {
    for claim in CLAIMS {
        let queue = in_memory(claim);
        let mut paused = queue.producer().unwrap();
        let mut producer = queue.producer().unwrap();
        let mut consumer = queue.consumer().unwrap();
        for round in 0..200u32 {
            for _ in 0..round % 5 {
                producer.try_push(b"before").unwrap();
            }
            let place = paused.try_reserve(10).unwrap();
            for _ in 0..5 {
                producer.try_push(b"behind").unwrap();
            }
            for _ in 0..round % 5 {
                assert_eq!(consumer.try_pop().unwrap(), b"before", "{claim:?} {round}");
            }
            for _ in 0..5 {
                assert_eq!(consumer.try_pop(), Err(TryPopError::Pending), "{claim:?} {round}");
            }
            let committed = round % 2 == 0;
            if committed {
                place.commit();
            } else {
                drop(place);
            }
            if committed {
                assert_eq!(consumer.try_pop().unwrap().len(), 10, "{claim:?} {round}");
            }
            for _ in 0..5 {
                assert_eq!(consumer.try_pop().unwrap(), b"behind", "{claim:?} {round}");
            }
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
    }
}

fn sleep_behind_a_pause(claim: Claim) {
    let queue = below_wrap(8, 3).capacity(1024).claim(claim).in_memory().unwrap();
    let mut paused = queue.producer().unwrap();
    let place = paused.reserve(10).unwrap();
    let mut filling = queue.producer().unwrap();
    // A Ticketed group may take these past the reservation; then its consumers wait behind it as well.
    while filling.try_push(b"x").is_ok() {}
    thread::scope(|scope| {
        let consumers: Vec<_> = (0..4)
            .map(|_| {
                let mut consumer = queue.consumer().unwrap();
                scope.spawn(move || {
                    let used = thread_cpu();
                    let count = consumer.iter().count();
                    (count, thread_cpu() - used)
                })
            })
            .collect();
        let producers: Vec<_> = (0..4)
            .map(|_| {
                let mut producer = queue.producer().unwrap();
                scope.spawn(move || {
                    let used = thread_cpu();
                    producer.push(b"y").unwrap();
                    thread_cpu() - used
                })
            })
            .collect();
        let time = Duration::from_secs(2);
        let before = process_cpu();
        thread::sleep(time);
        let used = process_cpu() - before;
        say(used.as_micros().to_string());
        place.commit();
        for producer in producers {
            producer.join().unwrap();
        }
        queue.close();
        let count: usize = consumers.into_iter().map(|c| c.join().unwrap().0).sum();
        assert_eq!(count, 8 + 4);
    });
}

#[test]
fn who_waits_behind_a_pause_burns_no_core() {
    let _watchdog = watch("sleeping behind a pause");
    for claim in ["Ordered", "Ticketed"] {
        let mut child = spawn("sleep behind a pause", &[&claim]);
        let used: u64 = child.hear().parse().unwrap();
        child.finish();
        println!("8 waiters behind a pause ({claim}): {used} us of 2 s");
        // 5 % of a core; a spinning thread takes 100 %.
        assert!(used < 100_000, "{claim}: {used} us in 2 s");
    }
}

// ---- time-outs --------------------------------------------------------------------------------------------------------

#[test]
fn time_outs_last_as_long_as_they_say() {
    let _watchdog = watch("time-outs");
    let slow = Duration::from_secs(5);
    for wait in [Wait::Adaptive, Wait::Park, Wait::Spin] {
        let queue = Queue::options().capacity(256).messages(2).wait(wait).in_memory().unwrap();
        let mut producer = queue.producer().unwrap();
        let mut consumer = queue.consumer().unwrap();
        for millis in [0, 1, 3, 20, 120] {
            let timeout = Duration::from_millis(millis);
            let lasts = |what: &str, call: &mut dyn FnMut()| {
                let start = Instant::now();
                call();
                let took = start.elapsed();
                assert!(took >= timeout, "{what}: {took:?} of {timeout:?}, {wait:?}");
                assert!(took < timeout + slow, "{what}: {took:?} of {timeout:?}, {wait:?}");
            };
            let late = PopTimeoutError::Timeout;
            lasts("pop", &mut || assert_eq!(consumer.pop_timeout(timeout), Err(late)));
            lasts("claim", &mut || {
                assert_eq!(consumer.claim_timeout(timeout).err(), Some(late));
            });
            lasts("claim_batch", &mut || {
                assert_eq!(consumer.claim_batch_timeout(2, timeout).err(), Some(late));
            });
            lasts("drain", &mut || {
                assert_eq!(consumer.drain_timeout(2, timeout, |_| panic!()), Err(late));
            });
            producer.push_batch(&["a", "b"]).unwrap();
            let late = PushTimeoutError::Timeout;
            lasts("push", &mut || {
                assert_eq!(producer.push_timeout(b"c", timeout), Err(late));
            });
            lasts("push_batch", &mut || {
                let result = producer.push_batch_timeout(&["c", "d"], timeout);
                assert_eq!(result.err(), Some(late));
            });
            lasts("reserve", &mut || {
                assert_eq!(producer.reserve_timeout(1, timeout).err(), Some(late));
            });
            assert_eq!(consumer.pop_timeout(timeout).unwrap(), b"a");
            assert_eq!(consumer.pop_timeout(timeout).unwrap(), b"b");
            producer.push_timeout(b"c", timeout).unwrap();
            assert_eq!(consumer.pop_timeout(Duration::MAX).unwrap(), b"c");
            producer.push_timeout(b"d", Duration::MAX).unwrap();
            assert_eq!(consumer.pop_timeout(timeout).unwrap(), b"d");
        }
    }
}

#[test]
fn a_message_that_comes_in_time_ends_the_wait() {
    let _watchdog = watch("a pop with a generous time-out");
    for wait in [Wait::Adaptive, Wait::Park, Wait::Spin] {
        let queue = Queue::options().capacity(256).messages(2).wait(wait).in_memory().unwrap();
        let mut producer = queue.producer().unwrap();
        let mut consumer = queue.consumer().unwrap();
        let generous = Duration::from_secs(600);
        thread::scope(|scope| {
            let popping = scope.spawn(|| consumer.pop_timeout(generous));
            thread::sleep(ASLEEP);
            producer.push(b"x").unwrap();
            assert_eq!(popping.join().unwrap().unwrap(), b"x");
        });
        producer.push_batch(&["a", "b"]).unwrap();
        thread::scope(|scope| {
            let pushing = scope.spawn(|| producer.push_timeout(b"c", generous));
            thread::sleep(ASLEEP);
            consumer.pop().unwrap();
            pushing.join().unwrap().unwrap();
        });
    }
}

// ---- close ------------------------------------------------------------------------------------------------------------

#[test]
fn close_wakes_everybody() {
    let _watchdog = watch("close");
    for claim in CLAIMS {
        for wait in [Wait::Adaptive, Wait::Park, Wait::Spin] {
            let dir = Dir::new();
            let options = || {
                let mut options = below_wrap(2, 1);
                options.capacity(256).claim(claim).wait(wait);
                options
            };
            let queue = options().open(dir.file("q")).unwrap();
            let mut children: Vec<Child> = (0..2)
                .map(|_| {
                    let mut child = spawn("block", &[&dir.file("q")]);
                    child.expect("ready");
                    child
                })
                .collect();
            let full = options().open(dir.file("full")).unwrap();
            full.producer().unwrap().push_batch(&["a", "b"]).unwrap();
            thread::scope(|scope| {
                let consumers: Vec<_> = (0..3)
                    .map(|_| {
                        let mut consumer = queue.consumer().unwrap();
                        scope.spawn(move || consumer.pop())
                    })
                    .collect();
                let producers: Vec<_> = (0..3)
                    .map(|_| {
                        let mut producer = full.producer().unwrap();
                        scope.spawn(move || producer.push(b"c"))
                    })
                    .collect();
                thread::sleep(ASLEEP);
                assert!(consumers.iter().all(|c| !c.is_finished()));
                assert!(producers.iter().all(|p| !p.is_finished()));
                // By another open of the file, as another process would.
                Queue::open(dir.file("q")).unwrap().close();
                Queue::open(dir.file("full")).unwrap().close();
                for consumer in consumers {
                    assert_eq!(consumer.join().unwrap(), Err(PopError::Closed));
                }
                for producer in producers {
                    assert_eq!(producer.join().unwrap(), Err(PushError::Closed));
                }
            });
            for child in &mut children {
                child.expect("Err(Closed)");
            }
            let mut consumer = full.consumer().unwrap();
            assert_eq!(consumer.iter().collect::<Vec<_>>(), [b"a", b"b"]);
        }
    }
}

// ---- many -------------------------------------------------------------------------------------------------------------

#[test]
fn many_more_threads_than_cores_make_progress() {
    const EACH: u64 = 100;
    let _watchdog = watch("64 producers and 64 consumers");
    for claim in CLAIMS {
        for wait in [Wait::Adaptive, Wait::Park] {
            let dir = Dir::new();
            let queue =
                below_wrap(64, 20).capacity(8192).claim(claim).wait(wait).open(dir.file("q")).unwrap();
            let start = Barrier::new(128);
            let (count, sum) = (AtomicU64::new(0), AtomicU64::new(0));
            thread::scope(|scope| {
                let producers: Vec<_> = (0..64u64)
                    .map(|p| {
                        let mut producer = queue.producer().unwrap();
                        let start = &start;
                        scope.spawn(move || {
                            start.wait();
                            for i in 0..EACH {
                                let mut message = vec![0; 8 + (p as usize * 13 + i as usize) % 300];
                                message[..8].copy_from_slice(&(p * EACH + i).to_le_bytes());
                                producer.push(&message).unwrap();
                            }
                        })
                    })
                    .collect();
                for _ in 0..64 {
                    let mut consumer = queue.consumer().unwrap();
                    let (start, count, sum) = (&start, &count, &sum);
                    scope.spawn(move || {
                        start.wait();
                        for message in consumer.iter() {
                            let number = u64::from_le_bytes(message[..8].try_into().unwrap());
                            count.fetch_add(1, Ordering::Relaxed);
                            sum.fetch_add(number, Ordering::Relaxed);
                        }
                    });
                }
                for producer in producers {
                    producer.join().unwrap();
                }
                queue.close();
            });
            let all = 64 * EACH;
            assert_eq!(count.into_inner(), all);
            assert_eq!(sum.into_inner(), all * (all - 1) / 2);
            assert!(queue.is_empty() && queue.verify().is_sound());
        }
    }
}

/// Producers that wait for unequal room: the wake of one that still does not fit must not be the last.
#[test]
fn blocked_producers_of_unequal_sizes_all_finish() {
    let _watchdog = watch("producers of unequal sizes");
    for claim in CLAIMS {
        for wait in [Wait::Adaptive, Wait::Park] {
            let queue = below_wrap(8, 3).capacity(1024).claim(claim).wait(wait).in_memory().unwrap();
            let mut filling = queue.producer().unwrap();
            while filling.try_push(&[0; 100]).is_ok() {}
            let sizes = [512, 0, 512, 64, 300, 10, 450, 128, 512, 200];
            thread::scope(|scope| {
                let producers: Vec<_> = sizes
                    .iter()
                    .map(|&size| {
                        let mut producer: Producer = queue.producer().unwrap();
                        scope.spawn(move || {
                            for _ in 0..20 {
                                producer.push(&vec![1; size]).unwrap();
                            }
                            producer.push_batch(&[vec![1; size / 2], vec![1; size / 2]]).unwrap();
                        })
                    })
                    .collect();
                let mut consumer = queue.consumer().unwrap();
                let popping = scope.spawn(move || {
                    let mut bytes = 0;
                    while let Ok(message) = consumer.pop() {
                        bytes += message.iter().map(|&byte| usize::from(byte)).sum::<usize>();
                        // One place at a time, so that each acknowledgement finds all asleep.
                        if bytes % 7 == 0 {
                            thread::sleep(Duration::from_micros(500));
                        }
                    }
                    bytes
                });
                for producer in producers {
                    producer.join().unwrap();
                }
                queue.close();
                let expected: usize = sizes.iter().map(|&size| 20 * size + 2 * (size / 2)).sum();
                assert_eq!(popping.join().unwrap(), expected);
            });
        }
    }
}

#[test]
fn two_processes_that_sleep_play_ping_pong() {
    const ROUNDS: usize = 1000;
    let _watchdog = watch("ping-pong");
    for claim in CLAIMS {
        let dir = Dir::new();
        let open = |name: &str| {
            below_wrap(4, 3).capacity(512).claim(claim).wait(Wait::Park).open(dir.file(name)).unwrap()
        };
        let (there, back) = (open("there"), open("back"));
        let mut child = spawn("pong", &[&dir.file("there"), &dir.file("back")]);
        child.expect("ready");
        let mut producer = there.producer().unwrap();
        let mut consumer = back.consumer().unwrap();
        let mut rounds: Vec<Duration> = (0..ROUNDS)
            .map(|round| {
                let start = Instant::now();
                let message = common::pattern(round as u64, round % 200);
                producer.push(&message).unwrap();
                assert_eq!(consumer.pop().unwrap(), message);
                start.elapsed()
            })
            .collect();
        there.close();
        child.finish();
        rounds.sort();
        let median = rounds[ROUNDS / 2];
        println!("ping-pong ({claim:?}): median {median:?}, longest {:?}", rounds[ROUNDS - 1]);
        // Two naps of 5 ms a round is what it would take if nobody were ever woken.
        assert!(median < Duration::from_millis(4), "{claim:?}: {median:?}");
    }
}

// ---- sleeping costs next to nothing -----------------------------------------------------------------------------------

/// What `processes` processes with so many blocked consumers each use of a core, in percent.
fn percent_asleep(claim: Claim, processes: usize, threads: usize, time: Duration) -> f64 {
    let dir = Dir::new();
    let path = dir.file("q");
    let _queue = open(&path, claim);
    let (threads, millis) = (threads.to_string(), time.as_millis().to_string());
    let mut children: Vec<Child> =
        (0..processes).map(|_| spawn("sleep", &[&path, &threads.as_str(), &millis.as_str()])).collect();
    for child in &mut children {
        child.expect("asleep");
    }
    // Until the last has fallen asleep.
    thread::sleep(Duration::from_millis(300));
    children.iter_mut().for_each(Child::go_on);
    for child in &mut children {
        child.expect("measured");
    }
    children.iter_mut().for_each(Child::go_on);
    let used: u64 = children.iter_mut().map(|child| child.hear().parse::<u64>().unwrap()).sum();
    children.into_iter().for_each(Child::finish);
    100.0 * used as f64 / time.as_micros() as f64
}

#[test]
fn blocked_consumers_use_next_to_nothing() {
    let _watchdog = watch("sleepers");
    let seconds = number_from("RINGFILE_ASLEEP_SECONDS", 3);
    let time = Duration::from_secs(seconds);
    let cases = [
        ("4 threads", 1, 4, 1.0),
        ("4 processes", 4, 1, 1.0),
        ("200 threads", 1, 200, 3.0),
        ("8 processes of 25", 8, 25, 3.0),
    ];
    let mut over = Vec::new();
    for (i, (name, processes, threads, limit)) in cases.into_iter().enumerate() {
        let claim = CLAIMS[i % 2];
        let percent = percent_asleep(claim, processes, threads, time);
        println!("{name} blocked ({claim:?}): {percent:.2} % of a core");
        if percent >= limit {
            over.push(format!("{name} ({claim:?}): {percent:.2} %, not {limit} %"));
        }
    }
    assert!(over.is_empty(), "{over:?}");
}
