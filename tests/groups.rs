//! Groups: each gets everything, and they come and go beside each other and beside deaths.

mod common;

use common::{
    CLAIMS, Child, Dir, Doing, Random, Watchdog, below_wrap, message, number, number_from, run_child, say,
    spawn, until_killed, wait_for_parent, watch,
};
use ringfile::{
    AttachError, Claim, Consumer, Group, GroupStats, PopError, PopTimeoutError, Position, PushTimeoutError,
    Queue, RateError, RewindError, Start, TryPopError, TryPushError,
};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const KIB: usize = 1024;
/// A long time for something that is to happen at once.
const PROMPTLY: Duration = Duration::from_secs(5);
/// Long enough for a thread to fall asleep in a call.
const ASLEEP: Duration = Duration::from_millis(30);

fn push(queue: &Queue, numbers: std::ops::Range<u64>, len: usize) {
    let mut producer = queue.producer().unwrap();
    for i in numbers {
        producer.try_push(&message(i, len)).unwrap_or_else(|error| panic!("message {i}: {error:?}"));
    }
}

fn drain(consumer: &mut Consumer) -> Vec<u64> {
    std::iter::from_fn(|| consumer.try_pop().ok()).map(|message| number(&message)).collect()
}

fn stats_of(queue: &Queue, name: &str) -> Option<GroupStats> {
    let groups = queue.stats().groups;
    let found: Vec<_> = groups.into_iter().filter(|group| group.name == name && !group.is_draining).collect();
    assert!(found.len() < 2, "{found:?}");
    found.into_iter().next()
}

// ---- each gets everything ---------------------------------------------------------------------------------------------

#[test]
fn every_group_gets_every_message_and_its_members_share_them() {
    for claim in CLAIMS {
        for len in [20, 500] {
            let queue = below_wrap(64, 100).capacity(16 * KIB).claim(claim).in_memory().unwrap();
            let names = ["default", "billing", "shipping"];
            let mut members: Vec<(usize, Consumer)> = (0..6)
                .map(|m| {
                    let group = queue.group_with(names[m / 2], Start::Oldest, claim).unwrap();
                    assert_eq!(group.name(), names[m / 2]);
                    (m / 2, group.consumer().unwrap())
                })
                .collect();
            let mut got = vec![Vec::new(); 3];
            let mut random = Random(len as u64);
            let mut producer = queue.producer().unwrap();
            for i in 0..300 {
                while producer.try_push(&message(i, len)) == Err(TryPushError::Full) {
                    let (group, member) = &mut members[random.below(6) as usize];
                    got[*group].extend(member.try_pop().map(|message| number(&message)));
                }
            }
            for (group, member) in &mut members {
                got[*group].extend(drain(member));
            }
            for mut got in got {
                if claim == Claim::Ticketed {
                    // A place that was drawn too early comes late.
                    got.sort_unstable();
                }
                assert_eq!(got, (0..300).collect::<Vec<_>>());
            }
            assert!(queue.stats().groups.iter().all(|group| group.len == 0));
            assert!(queue.verify().is_sound());
        }
    }
}

#[test]
fn each_group_counts_deliveries_and_sets_aside_for_itself() {
    for claim in CLAIMS {
        let queue = below_wrap(64, 9).capacity(8 * KIB).claim(claim).max_deliveries(2).in_memory().unwrap();
        let mut consumer = queue.consumer().unwrap();
        let picky = queue.group_with("picky", Start::Oldest, claim).unwrap();
        let mut refuses = picky.consumer().unwrap();
        push(&queue, 0..2, 100);
        for deliveries in 1..=2 {
            let delivery = refuses.try_claim().unwrap();
            assert_eq!((number(&delivery), delivery.deliveries()), (0, deliveries));
        }
        assert_eq!(drain(&mut refuses), [1]);
        let number_of_picky = picky.stats().unwrap().number;
        assert_ne!(number_of_picky, 0);
        // The other group has not seen it yet.
        let delivery = consumer.try_claim().unwrap();
        assert_eq!((number(&delivery), delivery.deliveries()), (0, 1));
        delivery.ack().unwrap();
        assert_eq!(drain(&mut consumer), [1]);
        let mut dead = queue.dead_letters().unwrap().consumer().unwrap();
        let letter = dead.try_claim().unwrap();
        assert_eq!((number(&letter), letter.origin().unwrap().group), (0, number_of_picky));
        letter.ack().unwrap();
        assert!(dead.try_claim().is_err());
    }
}

#[test]
fn each_group_has_a_rate_of_its_own_and_a_new_one_inherits_none() {
    let dir = Dir::new();
    let queue = Queue::options().messages(64).capacity(8 * KIB).groups(2).open(dir.file("q")).unwrap();
    let slow = queue.group("slow").unwrap();
    slow.set_rate(0.001).unwrap();
    assert_eq!((slow.rate(), queue.rate()), (0.001, 0.0));
    push(&queue, 0..10, 50);
    let mut consumer = slow.consumer().unwrap();
    assert_eq!(consumer.try_pop().map(|message| number(&message)), Ok(0));
    assert!(matches!(consumer.try_pop(), Err(TryPopError::Paced { .. })));
    assert_eq!(drain(&mut queue.consumer().unwrap()).len(), 10);
    // In the file, for all who have it open.
    let again = Queue::open(dir.file("q")).unwrap();
    assert_eq!(again.group("slow").unwrap().rate(), 0.001);
    assert_eq!(stats_of(&again, "slow").unwrap().rate, 0.001);
    for rate in [-1.0, f64::NAN, f64::INFINITY, 1.1e9, -f64::MIN_POSITIVE] {
        assert_eq!(slow.set_rate(rate), Err(RateError::OutOfRange), "{rate}");
    }
    assert_eq!(slow.rate(), 0.001);
    assert!(queue.remove_group("slow"));
    assert_eq!((slow.rate(), slow.set_rate(5.0)), (0.0, Err(RateError::Removed)));
    for name in ["other", "slow"] {
        let group = queue.group_with(name, Start::Next, Claim::Ordered).unwrap();
        assert_eq!(group.rate(), 0.0, "what another had");
        push(&queue, 10..20, 50);
        assert_eq!(drain(&mut group.consumer().unwrap()).len(), 10);
        drain(&mut queue.consumer().unwrap());
        assert!(queue.remove_group(name));
    }
}

// ---- names, numbers, beginnings ---------------------------------------------------------------------------------------

#[test]
fn a_name_has_1_to_120_bytes() {
    let queue = Queue::options().messages(64).capacity(8 * KIB).groups(60).in_memory().unwrap();
    let long = "n".repeat(120);
    let names = [
        "a",
        &long,
        &long[..119],
        "gruppe größer",
        &"ä".repeat(60),
        "\0",
        "a\0",
        " a",
        "DEFAULT",
        "\u{1f980}",
    ];
    for name in names {
        let group = queue.group(name).unwrap();
        assert_eq!(group.stats().unwrap().name, name);
        group.set_rate(names.iter().position(|n| *n == name).unwrap() as f64).unwrap();
    }
    // Each is another.
    for (i, name) in names.iter().enumerate() {
        assert_eq!(queue.group(name).unwrap().rate(), i as f64);
    }
    assert_eq!(queue.stats().groups.len(), names.len() + 1);
    for (name, len) in [(String::new(), 0), ("n".repeat(121), 121), ("ä".repeat(61), 122)] {
        assert_eq!(queue.group(&name).err(), Some(AttachError::GroupName { len }));
        assert!(!queue.remove_group(&name));
    }
    assert!(!queue.remove_group("ä"));
    for name in names {
        assert!(queue.remove_group(name) && !queue.remove_group(name));
    }
    assert_eq!(queue.stats().groups.len(), 1);
}

#[test]
fn there_are_as_many_groups_as_the_file_has_room_for() {
    for max in [1, 2, 4, 62] {
        let queue = Queue::options().messages(16).capacity(KIB).groups(max).in_memory().unwrap();
        for round in 0..3 {
            let names: Vec<String> = (1..max).map(|i| format!("{round}:{i}")).collect();
            for name in &names {
                queue.group(name).unwrap();
            }
            let max = max as usize;
            for _ in 0..2 {
                assert_eq!(queue.group("more").err(), Some(AttachError::TooManyGroups { max }));
            }
            assert!(!queue.remove_group("more"));
            let mut numbers: Vec<usize> = queue.stats().groups.iter().map(|group| group.number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), max);
            // One that exists can be had all the same, and all work.
            push(&queue, 0..5, 50);
            for name in &names {
                assert_eq!(drain(&mut queue.group(name).unwrap().consumer().unwrap()).len(), 5);
                assert!(queue.remove_group(name));
            }
            assert_eq!(drain(&mut queue.consumer().unwrap()).len(), 5);
            if max > 1 {
                queue.group("more").unwrap();
                assert!(queue.remove_group("more"));
            }
        }
        assert!(queue.verify().is_sound());
    }
}

/// Claims that are held in every entry are in the way of a new group, until they are let go of.
#[test]
fn a_group_that_was_refused_was_not_made() {
    for claim in CLAIMS {
        let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).groups(2).in_memory().unwrap();
        push(&queue, 0..3, 50);
        let mut holders = Vec::new();
        let refused = loop {
            match queue.group_with("new", Start::Oldest, claim) {
                Ok(group) => {
                    assert!(holders.len() < 100, "never busy");
                    let mut holder = group.consumer().unwrap();
                    std::mem::forget(holder.try_claim().unwrap());
                    holders.push(holder);
                    assert!(queue.remove_group("new"));
                }
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused, AttachError::GroupsBusy);
        assert!(holders.len() > 1, "it is busy although there is room for two groups and one is there");
        // Neither does it take the place of another, nor is it there for the next who asks.
        assert_eq!(queue.group_with("new", Start::Oldest, claim).err(), Some(AttachError::GroupsBusy));
        assert_eq!(queue.group_with("other", Start::Oldest, claim).err(), Some(AttachError::GroupsBusy));
        assert!(!queue.remove_group("new"), "it was refused, and was made");
        holders.pop();
        let other = queue.group_with("other", Start::Oldest, claim).unwrap();
        assert_eq!(drain(&mut other.consumer().unwrap()).len(), 3);
    }
}

#[test]
fn a_group_begins_where_it_is_told() {
    for claim in CLAIMS {
        let queue = below_wrap(64, 10).capacity(8 * KIB).groups(10).retain(5).in_memory().unwrap();
        push(&queue, 0..20, 50);
        let mut consumer = queue.consumer().unwrap();
        for _ in 0..10 {
            consumer.try_pop().unwrap();
        }
        let first = queue.stats().tail - 20;
        let begin = |name: &str, start: Start| {
            let group = queue.group_with(name, start, claim)?;
            assert_eq!(group.stats().unwrap().claim, claim);
            Ok(drain(&mut group.consumer()?).first().copied())
        };
        let at = |number: u64| Start::At(Position::from(first + number));
        assert_eq!(begin("oldest", Start::Oldest), Ok(Some(5)));
        assert_eq!(begin("next", Start::Next), Ok(None));
        assert_eq!(begin("at 5", at(5)), Ok(Some(5)));
        assert_eq!(begin("at 13", at(13)), Ok(Some(13)));
        assert_eq!(begin("at the tail", at(20)), Ok(None));
        for number in [4, 0, 21, 1000] {
            let (asked, oldest, tail) = (first + number, first + 5, first + 20);
            let refused = Err(AttachError::Start { asked, oldest, tail });
            assert_eq!(begin("nowhere", at(number)), refused);
            assert!(!queue.remove_group("nowhere"), "a group that was refused was made");
        }
        // One that exists stays as it is.
        assert_eq!(begin("oldest", Start::Oldest), Ok(None));
        assert_eq!(begin("oldest", at(0)), Ok(None));
        let other = if claim == Claim::Ordered { Claim::Ticketed } else { Claim::Ordered };
        assert_eq!(queue.group_with("oldest", at(7), other).unwrap().stats().unwrap().claim, claim);
    }
}

#[test]
fn the_default_group_is_removed_and_comes_again_on_use() {
    for claim in CLAIMS {
        let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).in_memory().unwrap();
        let mut old = queue.consumer().unwrap();
        push(&queue, 0..4, 50);
        old.try_pop().unwrap();
        assert!(queue.remove_group("default"));
        assert!(!queue.remove_group("default"));
        assert_eq!(old.try_pop(), Err(TryPopError::Removed));
        assert_eq!(old.pop(), Err(PopError::Removed));
        assert_eq!(old.pop_timeout(Duration::from_millis(1)), Err(PopTimeoutError::Removed));
        assert!(matches!(old.try_claim(), Err(TryPopError::Removed)));
        assert!(matches!(old.try_claim_batch(3), Err(TryPopError::Removed)));
        assert_eq!((queue.len(), queue.rate(), queue.stats().groups.len()), (0, 0.0, 0));
        assert_eq!(queue.rewind(), Err(RewindError::Removed));
        assert_eq!(queue.set_rate(1.0), Err(RateError::Removed));
        // Nothing is consumed without a group: what is pushed waits for one.
        push(&queue, 4..10, 50);
        assert!(queue.verify().is_sound());
        let mut consumer = queue.consumer().unwrap();
        assert_eq!(drain(&mut consumer), (1..10).collect::<Vec<_>>());
        push(&queue, 10..12, 50);
        assert_eq!(drain(&mut consumer), [10, 11]);
        assert_eq!(queue.stats().groups.len(), 1);
    }
}

#[test]
fn without_any_group_a_ring_fills_up_and_waits_for_one() {
    let dir = Dir::new();
    let queue = Queue::options().messages(16).capacity(8 * KIB).retain(4).open(dir.file("q")).unwrap();
    push(&queue, 0..6, 50);
    assert_eq!(drain(&mut queue.consumer().unwrap()).len(), 6);
    assert!(queue.remove_group("default"));
    let mut producer = queue.producer().unwrap();
    let mut pushed = 6;
    while producer.try_push(&message(pushed, 50)).is_ok() {
        pushed += 1;
        assert!(pushed < 30, "what nobody consumed was given away");
    }
    assert!(pushed >= 16);
    drop((producer, queue));
    let queue = Queue::open(dir.file("q")).unwrap();
    let late = queue.group("late").unwrap();
    let got = drain(&mut late.consumer().unwrap());
    assert_eq!((got.len() <= 16, got.last()), (true, Some(&(pushed - 1))));
    assert!(got[0] <= 6, "message 6 waited for a group, and it begins with {}", got[0]);
    assert!(got.windows(2).all(|pair| pair[0] + 1 == pair[1]));
}

#[test]
fn what_waits_for_a_group_waits_also_beside_claims_in_one_that_is_gone() {
    for claim in CLAIMS {
        let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).in_memory().unwrap();
        let mut other = queue.group_with("other", Start::Oldest, claim).unwrap().consumer().unwrap();
        push(&queue, 0..10, 50);
        for _ in 0..5 {
            other.try_pop().unwrap();
        }
        let held = other.try_claim().unwrap();
        assert!(queue.remove_group("other"));
        // This one has consumed nothing.
        assert!(queue.remove_group("default"));
        queue.reap();
        assert_eq!(number(&held), 5);
        drop(held);
        queue.reap();
        assert_eq!(drain(&mut queue.consumer().unwrap()), (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn groups_come_and_go_across_restarts() {
    for claim in CLAIMS {
        let dir = Dir::new();
        let open = || below_wrap(64, 20).capacity(16 * KIB).claim(claim).open(dir.file("q")).unwrap();
        let queue = open();
        for name in ["a", "b", "c"] {
            queue.group_with(name, Start::Oldest, claim).unwrap();
        }
        queue.group("b").unwrap().set_rate(1e6).unwrap();
        assert!(queue.remove_group("a"));
        push(&queue, 0..30, 200);
        let mut b = queue.group("b").unwrap().consumer().unwrap();
        for _ in 0..7 {
            b.try_pop().unwrap();
        }
        drop((b, queue));
        let queue = open();
        let mut names: Vec<String> = queue.stats().groups.into_iter().map(|group| group.name).collect();
        names.sort();
        assert_eq!(names, ["b", "c", "default"]);
        assert_eq!(queue.group("b").unwrap().rate(), 1e6);
        let group = |name: &str| queue.group(name).unwrap();
        assert_eq!(group("b").stats().unwrap().claim, claim);
        assert_eq!(drain(&mut group("b").consumer().unwrap()), (7..30).collect::<Vec<_>>());
        assert_eq!(drain(&mut group("c").consumer().unwrap()).len(), 30);
        assert_eq!(group("a").stats().unwrap().len, 30, "it begins with what the default group still needs");
        assert_eq!(queue.len(), 30);
    }
}

// ---- space ------------------------------------------------------------------------------------------------------------

/// In one file with a forgotten group: a producer asleep goes on at once when that is removed.
/// A place that a consumer draws though its group was rewound meanwhile leaves no file that contradicts itself.
#[test]
fn a_ticketed_group_is_rewound_and_its_file_opened_again() {
    let dir = Dir::new();
    let path = dir.file("q");
    let options = || below_wrap(16, 0).capacity(8 * KIB).claim(Claim::Ticketed).groups(3).clone();
    let mut queue = options().open(&path).unwrap();
    for _ in 0..4 {
        queue.rewind().unwrap();
        drop(queue);
        queue = options().open(&path).unwrap();
        let mut consumers = [(); 3].map(|()| queue.consumer().unwrap());
        for consumer in &mut consumers {
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
        queue.rewind().unwrap();
        queue.rewind().unwrap();
        for consumer in &mut consumers {
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
        drop((consumers, queue));
        queue = options().open(&path).unwrap();
        push(&queue, 0..5, 20);
        assert_eq!(drain(&mut queue.consumer().unwrap()), [0, 1, 2, 3, 4]);
    }
}

#[test]
fn a_forgotten_group_is_seen_in_the_stats_and_its_removal_lets_a_producer_go_on() {
    let _watchdog = watch("a forgotten group");
    for claim in CLAIMS {
        let dir = Dir::new();
        let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).open(dir.file("q")).unwrap();
        let mut consumer = queue.consumer().unwrap();
        queue.group_with("forgotten", Start::Oldest, claim).unwrap();
        let mut gone = queue.group_with("forgotten", Start::Oldest, claim).unwrap().consumer().unwrap();
        push(&queue, 0..16, 50);
        gone.try_pop().unwrap();
        drop(gone);
        assert_eq!(drain(&mut consumer).len(), 16);
        push(&queue, 16..17, 50);
        assert_eq!(drain(&mut consumer).len(), 1);
        assert!(queue.stats().groups.iter().all(|group| group.blocking_since.is_none()));
        let before = SystemTime::now() - Duration::from_secs(1);
        let mut producer = queue.producer().unwrap();
        // It is looked for when somebody has waited for some milliseconds.
        let timeout = Duration::from_millis(30);
        assert_eq!(producer.push_timeout(&message(17, 50), timeout), Err(PushTimeoutError::Timeout));
        let forgotten = stats_of(&queue, "forgotten").unwrap();
        assert_eq!((forgotten.len, forgotten.claimed), (16, 0));
        let since = forgotten.blocking_since.expect("it holds the ring full");
        assert!(before <= since && since <= SystemTime::now() + Duration::from_secs(1));
        assert_eq!(stats_of(&queue, "default").unwrap().blocking_since, None);
        assert_eq!(stats_of(&queue, "default").unwrap().len, 0);
        thread::sleep(ASLEEP);
        assert_eq!(producer.push_timeout(&message(17, 50), timeout), Err(PushTimeoutError::Timeout));
        assert_eq!(
            stats_of(&queue, "forgotten").unwrap().blocking_since,
            Some(since),
            "since the first time"
        );
        thread::scope(|scope| {
            let asleep = scope.spawn(move || producer.push(&message(17, 50)).map(|_| Instant::now()));
            thread::sleep(ASLEEP);
            assert!(!asleep.is_finished());
            let start = Instant::now();
            assert!(Queue::open(dir.file("q")).unwrap().remove_group("forgotten"));
            assert!(asleep.join().unwrap().unwrap() - start < PROMPTLY);
        });
        assert_eq!(drain(&mut consumer), [17]);
        assert!(stats_of(&queue, "forgotten").is_none());
        assert!(queue.stats().groups.iter().all(|group| group.blocking_since.is_none()));
    }
}

#[test]
fn a_group_that_goes_on_blocks_no_longer() {
    let queue = Queue::options().messages(16).capacity(8 * KIB).in_memory().unwrap();
    let mut consumer = queue.consumer().unwrap();
    let mut slow = queue.group("slow").unwrap().consumer().unwrap();
    push(&queue, 0..16, 50);
    drain(&mut consumer);
    let mut producer = queue.producer().unwrap();
    let timeout = Duration::from_millis(30);
    assert_eq!(producer.push_timeout(&message(16, 50), timeout), Err(PushTimeoutError::Timeout));
    assert!(stats_of(&queue, "slow").unwrap().blocking_since.is_some());
    slow.try_pop().unwrap();
    assert_eq!(stats_of(&queue, "slow").unwrap().blocking_since, None);
    producer.try_push(&message(16, 50)).unwrap();
    assert_eq!(stats_of(&queue, "slow").unwrap().blocking_since, None);
}

#[test]
fn space_is_freed_when_the_slowest_group_is_done() {
    for claim in CLAIMS {
        let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).in_memory().unwrap();
        let mut members: Vec<Consumer> = ["default", "a", "b"]
            .map(|name| queue.group_with(name, Start::Oldest, claim).unwrap().consumer().unwrap())
            .into();
        push(&queue, 0..16, 500);
        let mut producer = queue.producer().unwrap();
        for i in 0..100 {
            for k in 0..3 {
                assert_eq!(producer.try_push(&message(16 + i, 500)), Err(TryPushError::Full));
                // Each is the slowest once.
                let member = &mut members[(k + i as usize) % 3];
                assert_eq!(number(&member.try_pop().unwrap()), i);
            }
            producer.try_push(&message(16 + i, 500)).unwrap();
        }
    }
}

/// What was claimed in a group that is gone keeps its bytes until it is let go of, and then the space comes free.
#[test]
fn claims_in_a_removed_group_hold_their_space_until_they_are_let_go_of() {
    let _watchdog = watch("claims in a removed group");
    for claim in CLAIMS {
        for how in 0..4 {
            let dir = Dir::new();
            let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).open(dir.file("q")).unwrap();
            let mut consumer = queue.consumer().unwrap();
            let mut other = queue.group_with("other", Start::Oldest, claim).unwrap().consumer().unwrap();
            push(&queue, 0..16, 500);
            drain(&mut consumer);
            let held = other.try_claim().unwrap();
            assert!(queue.remove_group("other"));
            let mut producer = queue.producer().unwrap();
            assert_eq!(producer.try_push(&message(16, 500)), Err(TryPushError::Full));
            assert_eq!(number(&held), 0);
            let groups = queue.stats().groups;
            let left = groups.iter().find(|group| group.is_draining).expect("somebody holds something in it");
            assert_eq!((left.name.as_str(), left.claimed), ("other", 1));
            let asleep = thread::spawn(move || producer.push(&message(16, 500)).map(|_| Instant::now()));
            thread::sleep(ASLEEP);
            assert!(!asleep.is_finished());
            let start = Instant::now();
            match how {
                0 => held.ack().unwrap(),
                1 => drop(held),
                2 => {
                    std::mem::forget(held);
                    assert_eq!(other.try_pop(), Err(TryPopError::Removed));
                }
                _ => {
                    std::mem::forget(held);
                    drop(other);
                }
            }
            assert!(asleep.join().unwrap().unwrap() - start < PROMPTLY, "{claim:?}, {how}");
            assert_eq!(drain(&mut consumer), [16]);
            assert_eq!(queue.stats().groups.len(), 1);
            assert!(queue.verify().is_sound());
        }
    }
}

#[test]
fn consumers_asleep_in_a_removed_group_are_told() {
    let _watchdog = watch("sleepers in a removed group");
    for claim in CLAIMS {
        let dir = Dir::new();
        let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).open(dir.file("q")).unwrap();
        let path = dir.file("q");
        let mut child = spawn("pop", &[&path, &"gone"]);
        child.expect("ready");
        let gone = queue.group_with("gone", Start::Oldest, claim).unwrap();
        let paced = queue.group_with("paced", Start::Oldest, claim).unwrap();
        paced.set_rate(0.001).unwrap();
        push(&queue, 0..2, 50);
        drain(&mut gone.consumer().unwrap());
        // The child may have got one of them.
        child.go_on();
        child.expect("asleep");
        paced.consumer().unwrap().try_pop().unwrap();
        thread::scope(|scope| {
            let asleep: Vec<_> = [&gone, &gone, &gone, &paced, &paced]
                .map(|group| {
                    let mut consumer = group.consumer().unwrap();
                    scope.spawn(move || (consumer.pop(), Instant::now()))
                })
                .into();
            let mut batch = gone.consumer().unwrap();
            let in_batch = scope.spawn(move || batch.claim_batch(3).err());
            thread::sleep(ASLEEP);
            assert!(asleep.iter().all(|a| !a.is_finished()));
            let start = Instant::now();
            let other = Queue::open(&path).unwrap();
            assert!(other.remove_group("gone") && other.remove_group("paced"));
            for asleep in asleep {
                let (answer, at) = asleep.join().unwrap();
                assert_eq!(answer, Err(PopError::Removed));
                assert!(at - start < PROMPTLY);
            }
            assert_eq!(in_batch.join().unwrap(), Some(PopError::Removed));
            child.expect("Err(Removed)");
            assert!(start.elapsed() < PROMPTLY);
        });
        child.finish();
        assert_eq!(queue.stats().groups.len(), 1);
    }
}

#[test]
fn messages_wake_sleepers_of_every_group() {
    let _watchdog = watch("sleepers of every group");
    for claim in CLAIMS {
        let queue = below_wrap(16, 5).capacity(8 * KIB).claim(claim).in_memory().unwrap();
        thread::scope(|scope| {
            let asleep: Vec<_> = ["default", "a", "b", "c"]
                .map(|name| {
                    let group = queue.group_with(name, Start::Oldest, claim).unwrap();
                    let mut consumer = group.consumer().unwrap();
                    scope.spawn(move || (consumer.pop().map(|message| number(&message)), Instant::now()))
                })
                .into();
            thread::sleep(ASLEEP);
            let start = Instant::now();
            push(&queue, 0..1, 50);
            for asleep in asleep {
                let (answer, at) = asleep.join().unwrap();
                assert!(answer == Ok(0) && at - start < PROMPTLY);
            }
        });
    }
}

// ---- who begins at the same time --------------------------------------------------------------------------------------

#[test]
fn all_who_make_a_group_at_once_get_the_same() {
    const THREADS: usize = 8;
    let _watchdog = watch("making the same group");
    for claim in CLAIMS {
        let dir = Dir::new();
        let queue = below_wrap(64, 20).capacity(8 * KIB).groups(3).claim(claim).open(dir.file("q")).unwrap();
        drain(&mut queue.consumer().unwrap());
        for round in 0..50 {
            let name = if round % 5 == 0 { "default" } else { "same" };
            queue.remove_group(name);
            push(&queue, 0..20, 50);
            let barrier = Barrier::new(THREADS);
            let got = thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS)
                    .map(|t| {
                        let own =
                            if t % 2 == 0 { Queue::open(dir.file("q")).unwrap() } else { queue.clone() };
                        let barrier = &barrier;
                        scope.spawn(move || {
                            barrier.wait();
                            let group = own.group_with(name, Start::Oldest, claim).unwrap();
                            let mut consumer = group.consumer().unwrap();
                            let first = drain(&mut consumer);
                            barrier.wait();
                            (group.stats().unwrap().number, first, drain(&mut consumer))
                        })
                    })
                    .collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
            });
            assert!(got.iter().all(|(number, ..)| *number == got[0].0), "several groups");
            let mut all: Vec<u64> = got.into_iter().flat_map(|(_, a, b)| [a, b].concat()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..20).collect::<Vec<_>>(), "{claim:?}, {name}, round {round}");
            drain(&mut queue.consumer().unwrap());
            queue.remove_group("same");
            assert_eq!(queue.stats().groups.len(), 1);
            assert!(queue.verify().is_sound());
        }
    }
}

#[test]
fn of_more_who_make_groups_than_there_is_room_just_as_many_get_one() {
    let _watchdog = watch("making too many groups");
    let queue = Queue::options().messages(64).capacity(8 * KIB).groups(5).in_memory().unwrap();
    for _ in 0..100 {
        let barrier = Barrier::new(8);
        let made = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|t| {
                    let (queue, barrier) = (&queue, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        queue.group(&format!("group {t}")).map(drop)
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
        });
        let refused: Vec<AttachError> = made.iter().filter_map(|made| made.err()).collect();
        assert_eq!(refused, [AttachError::TooManyGroups { max: 5 }; 4], "{made:?}");
        for (t, made) in made.iter().enumerate() {
            assert_eq!(queue.remove_group(&format!("group {t}")), made.is_ok());
        }
    }
}

#[test]
fn processes_that_make_a_group_at_once_share_its_messages() {
    let _watchdog = watch("processes that make a group");
    for claim in CLAIMS {
        let dir = Dir::new();
        let path = dir.file("q");
        let queue = below_wrap(256, 100).capacity(64 * KIB).claim(claim).open(&path).unwrap();
        push(&queue, 0..200, 50);
        let mut children: Vec<Child> =
            (0..4).map(|_| spawn("share", &[&path, &format!("{claim:?}")])).collect();
        children.iter_mut().for_each(|child| child.expect("ready"));
        children.iter_mut().for_each(Child::go_on);
        children.iter_mut().for_each(|child| child.expect("made"));
        assert_eq!(queue.stats().groups.len(), 2);
        queue.close();
        let mut got: Vec<u64> = children
            .iter_mut()
            .flat_map(|child| {
                let line = child.hear();
                line.split_whitespace().map(|word| word.parse::<u64>().unwrap()).collect::<Vec<_>>()
            })
            .collect();
        got.sort_unstable();
        assert_eq!(got, (0..200).collect::<Vec<_>>());
        children.into_iter().for_each(Child::finish);
        assert_eq!(queue.len(), 200);
    }
}

// ---- processes, and their deaths --------------------------------------------------------------------------------------

fn claim_named(name: &str) -> Claim {
    CLAIMS.into_iter().find(|claim| format!("{claim:?}") == name).unwrap()
}

/// Real text, by line.
fn text() -> Vec<&'static str> {
    include_str!("../docs/protocol.md").lines().collect()
}

/// Appends a line at once, so that who is killed leaves it whole or not at all.
fn log(file: &mut std::fs::File, line: String) {
    assert_eq!(file.write(line.as_bytes()).unwrap(), line.len());
}

fn append_to(path: &str) -> std::fs::File {
    std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// Whole lines of a file, by what they say.
fn lines_of(path: &Path) -> HashMap<String, u32> {
    let mut lines = HashMap::new();
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        *lines.entry(line.to_owned()).or_insert(0) += 1;
    }
    lines
}

const STORMS: [&str; 4] = ["storm 0", "storm 1", "storm 2", "storm 3"];

/// Makes groups, removes them, rewinds them and consumes from them, until `over`.
fn storm(queue: &Queue, seed: u64, over: &AtomicBool) {
    let mut random = Random(seed);
    let mut consumers: Vec<Consumer> = Vec::new();
    while !over.load(Ordering::Acquire) {
        let name = STORMS[random.below(4) as usize];
        let claim = CLAIMS[random.below(2) as usize];
        let start = if random.below(2) == 0 { Start::Oldest } else { Start::Next };
        let group: Result<Group, AttachError> = queue.group_with(name, start, claim);
        let group = match group {
            Ok(group) => group,
            Err(AttachError::Removed | AttachError::GroupsBusy | AttachError::TooManyGroups { .. }) => {
                consumers.clear();
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        match random.below(8) {
            0 | 1 => _ = queue.remove_group(name),
            2 => match group.rewind() {
                Ok(_) => {}
                Err(RewindError::Removed) => {}
                Err(_) => consumers.clear(),
            },
            3 => match group.consumer() {
                Ok(consumer) => consumers.push(consumer),
                Err(AttachError::Removed | AttachError::GroupsBusy) => {}
                Err(error) => panic!("{error}"),
            },
            4 => _ = group.set_rate(random.below(2) as f64 * 1e6),
            5 => _ = (queue.stats(), queue.reap(), queue.replay().take(5).count()),
            _ => {
                let mut held = Vec::new();
                for consumer in &mut consumers {
                    for _ in 0..random.below(4) {
                        _ = consumer.try_pop();
                    }
                    held.extend(consumer.try_claim());
                }
                match random.below(3) {
                    0 => _ = queue.remove_group(name),
                    1 => _ = group.rewind(),
                    _ => {}
                }
                for delivery in held {
                    number(&delivery);
                    if random.below(2) == 0 {
                        delivery.ack().unwrap();
                    }
                }
            }
        }
        consumers.truncate(3);
    }
}

#[test]
fn child() {
    run_child(|role, args| {
        let queue = Queue::options().attach(Path::new(args[0])).unwrap();
        match role {
            "pop" => {
                let mut consumer = queue.group(args[1]).unwrap().consumer().unwrap();
                say("ready");
                wait_for_parent();
                drain(&mut consumer);
                say("asleep");
                say(format!("{:?}", consumer.pop()));
            }
            "share" => {
                say("ready");
                wait_for_parent();
                let group = queue.group_with("shared", Start::Oldest, claim_named(args[1])).unwrap();
                let mut consumer = group.consumer().unwrap();
                say("made");
                let mut got = String::new();
                while let Ok(message) = consumer.pop() {
                    got += &format!("{} ", number(&message));
                }
                say(got);
            }
            "hold" => {
                let mut consumers: Vec<Consumer> = args[1..]
                    .iter()
                    .flat_map(|name| {
                        let group = queue.group(name).unwrap();
                        [group.consumer().unwrap(), group.consumer().unwrap()]
                    })
                    .collect();
                // The groups come to different places, and one of each two holds the first that is not finished.
                let mut held = Vec::new();
                for (k, pair) in consumers.chunks_mut(2).enumerate() {
                    let [one, two] = pair else { unreachable!() };
                    for _ in 0..5 * k {
                        one.pop().unwrap();
                    }
                    held.push(one.claim().unwrap());
                    two.claim().unwrap().ack().unwrap();
                    held.push(two.claim().unwrap());
                }
                say("held");
                until_killed();
            }
            "storm" => {
                let over = AtomicBool::new(false);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        wait_for_parent();
                        over.store(true, Ordering::Release);
                    });
                    say("storming");
                    storm(&queue, args[1].parse().unwrap(), &over);
                });
            }
            // Text, after what it had pushed before it was killed.
            "write" => {
                let (id, rounds): (&str, usize) = (args[2], args[3].parse().unwrap());
                let text = text();
                let from = std::fs::read_to_string(args[1]).map_or(0, |log| log.lines().count());
                let mut file = append_to(args[1]);
                let mut producer = queue.producer().unwrap();
                for n in from..rounds {
                    let line = format!("{id}:{n}:{}", text[n % text.len()]);
                    producer.push(line.as_bytes()).unwrap();
                    log(&mut file, format!("{n}\n"));
                    if n % 8 == 0 {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            }
            "read" => {
                let text = text();
                let mut file = append_to(args[1]);
                let mut consumer = queue.group(args[2]).unwrap().consumer().unwrap();
                loop {
                    match consumer.claim() {
                        Ok(delivery) => {
                            let message = std::str::from_utf8(&delivery).unwrap();
                            let [id, n, line] = message.splitn(3, ':').collect::<Vec<_>>()[..] else {
                                panic!("cut: {message}");
                            };
                            assert_eq!(line, text[n.parse::<usize>().unwrap() % text.len()]);
                            log(&mut file, format!("{id}:{n}\n"));
                            delivery.ack().unwrap();
                        }
                        Err(error) => {
                            assert_eq!(error, PopError::Closed);
                            break;
                        }
                    }
                }
            }
            other => panic!("no role {other}"),
        }
    });
}

/// Three groups of two consumers and two producers, each a process.
fn eight_processes(claim: Claim, kills: u64, rounds: u64) {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = below_wrap(64, 1000).capacity(8 * KIB).claim(claim).open(&path).unwrap();
    let groups = ["default", "second", "third"];
    for name in groups {
        queue.group_with(name, Start::Oldest, claim).unwrap();
    }
    let logs: Vec<PathBuf> = (0..8).map(|i| dir.file(&format!("log {i}"))).collect();
    let start = |i: usize| match i {
        0..2 => spawn("write", &[&path, &logs[i], &i.to_string().as_str(), &rounds.to_string().as_str()]),
        _ => spawn("read", &[&path, &logs[i], &groups[(i - 2) / 2]]),
    };
    let mut children: Vec<Child> = (0..8).map(start).collect();
    let mut random = Random(kills);
    let mut killed = 0;
    while children[..2].iter().any(|child| child.doing() != Doing::Ended) {
        thread::sleep(Duration::from_millis(10 + random.below(30)));
        let i = random.below(8) as usize;
        if killed < kills && children[i].doing() != Doing::Ended {
            // It may have come to its end meanwhile.
            drop(std::mem::replace(&mut children[i], start(i)));
            killed += 1;
        }
    }
    queue.close();
    children.into_iter().for_each(Child::finish);
    println!("{claim:?}: {killed} were killed");
    for (g, name) in groups.iter().enumerate() {
        let mut got: HashMap<String, u32> = HashMap::new();
        for log in &logs[2 + 2 * g..4 + 2 * g] {
            for (line, count) in lines_of(log) {
                *got.entry(line).or_insert(0) += count;
            }
        }
        for id in 0..2 {
            for n in 0..rounds {
                let count = got.get(&format!("{id}:{n}")).copied().unwrap_or(0);
                assert!(count > 0, "{claim:?}: {name} did not get {n} of {id}");
                assert!(kills > 0 || count == 1, "{claim:?}: {name} got {n} of {id} {count} times");
            }
        }
        assert_eq!(stats_of(&queue, name).unwrap().len, 0);
    }
    assert!(queue.verify().is_sound());
}

#[test]
fn three_groups_in_eight_processes_get_everything_once() {
    let _watchdog = watch("eight processes");
    CLAIMS.into_iter().for_each(|claim| eight_processes(claim, 0, 1500));
}

#[test]
fn three_groups_in_eight_processes_get_everything_whoever_is_killed() {
    let _watchdog = Watchdog::new(Duration::from_secs(600), "eight processes that are killed");
    let kills = number_from("RINGFILE_GROUP_KILLS", 20);
    CLAIMS.into_iter().for_each(|claim| eight_processes(claim, kills, 100 * kills));
}

#[test]
fn each_group_resumes_at_its_first_unconsumed_message_when_all_were_killed() {
    let _watchdog = watch("groups whose consumers were killed");
    for claim in CLAIMS {
        for closed in [false, true] {
            let dir = Dir::new();
            let path = dir.file("q");
            let queue = below_wrap(64, 20).capacity(16 * KIB).claim(claim).retain(3).open(&path).unwrap();
            let names = ["default", "a", "b"];
            for name in names {
                queue.group_with(name, Start::Oldest, claim).unwrap();
            }
            push(&queue, 0..40, 100);
            if closed {
                queue.close();
            }
            drop(queue);
            let mut child = spawn("hold", &[&path, &names[0], &names[1], &names[2]]);
            child.expect("held");
            child.kill();
            let queue = Queue::open(&path).unwrap();
            for (k, name) in names.iter().enumerate() {
                let group = queue.group(name).unwrap();
                let first = 5 * k as u64;
                // What was acknowledged out of turn is not delivered again.
                let rest: Vec<u64> = (first..40).filter(|&i| i != first + 1).collect();
                assert_eq!(group.stats().unwrap().len, rest.len());
                let mut consumer = group.consumer().unwrap();
                let mut got = drain(&mut consumer);
                assert!(claim == Claim::Ticketed || got[0] == first, "{name} begins with {}", got[0]);
                got.sort_unstable();
                assert_eq!(got, rest, "{claim:?}: {name}");
                let end = if closed { TryPopError::Closed } else { TryPopError::Empty };
                assert_eq!(consumer.try_pop(), Err(end));
            }
            assert!(queue.verify().is_sound());
        }
    }
}

/// `RINGFILE_STORM_SECONDS` for longer.
#[test]
fn storms_of_groups_and_deaths_in_them_do_nothing_to_the_others() {
    let seconds = number_from("RINGFILE_STORM_SECONDS", 3);
    let _watchdog = Watchdog::new(Duration::from_secs(120 + 2 * seconds), "a storm of groups");
    for claim in CLAIMS {
        let dir = Dir::new();
        let path = dir.file("q");
        let queue = below_wrap(64, 1000)
            .capacity(8 * KIB)
            .claim(claim)
            .groups(5)
            .retain(10)
            .participants(64)
            .open(&path)
            .unwrap();
        let over = AtomicBool::new(false);
        let mut random = Random(seconds);
        let (pushed, popped) = thread::scope(|scope| {
            let producing: Vec<_> = (0..2u64)
                .map(|p| {
                    let mut producer = queue.producer().unwrap();
                    let over = &over;
                    scope.spawn(move || {
                        let mut pushed = Vec::new();
                        while !over.load(Ordering::Acquire) {
                            let i = p << 32 | pushed.len() as u64;
                            producer.push(&message(i, 8 + i as usize % 300)).unwrap();
                            pushed.push(i);
                        }
                        pushed
                    })
                })
                .collect();
            let consuming: Vec<_> = (0..2)
                .map(|_| {
                    let mut consumer = queue.consumer().unwrap();
                    scope.spawn(move || consumer.iter().map(|message| number(&message)).collect::<Vec<_>>())
                })
                .collect();
            let start = |seed: u64| {
                let mut child = spawn("storm", &[&path, &seed.to_string().as_str()]);
                child.expect("storming");
                child
            };
            let mut children: Vec<Child> = (0..3).map(start).collect();
            let (begin, mut kills) = (Instant::now(), 0);
            while begin.elapsed() < Duration::from_secs(seconds) {
                thread::sleep(Duration::from_millis(5 + random.below(40)));
                let i = random.below(3) as usize;
                std::mem::replace(&mut children[i], start(random.next())).kill();
                kills += 1;
            }
            children.iter_mut().for_each(Child::go_on);
            children.into_iter().for_each(Child::finish);
            println!("{claim:?}: {kills} were killed in the storm");
            // Producers wait for groups that are left, unless these go: to remove them is enough.
            over.store(true, Ordering::Release);
            STORMS.iter().for_each(|name| _ = queue.remove_group(name));
            let begin = Instant::now();
            let mut pushed: Vec<u64> = producing.into_iter().flat_map(|p| p.join().unwrap()).collect();
            assert!(begin.elapsed() < PROMPTLY, "{claim:?}: producers waited {:?}", begin.elapsed());
            queue.close();
            let mut popped: Vec<u64> = consuming.into_iter().flat_map(|c| c.join().unwrap()).collect();
            pushed.sort_unstable();
            popped.sort_unstable();
            (pushed, popped)
        });
        println!("{claim:?}: {} messages beside it", pushed.len());
        assert!(pushed == popped, "lost or doubled: {} of {}", popped.len(), pushed.len());
        queue.reopen();
        queue.recover();
        queue.reap();
        assert_eq!(queue.stats().groups.len(), 1, "{claim:?}: {:?}", queue.stats().groups);
        assert!(queue.verify().is_sound(), "{claim:?}: {:?}", queue.verify());
        let names = ["a", "b", "c", "d"];
        for name in names {
            queue.group(name).unwrap_or_else(|error| panic!("{claim:?}: {name}: {error}"));
        }
        assert_eq!(queue.group("e").err(), Some(AttachError::TooManyGroups { max: 5 }));
        push(&queue, 0..20, 100);
        for name in names.into_iter().chain(["default"]) {
            let group = queue.group(name).unwrap();
            assert_eq!(group.rate(), 0.0);
            let got = drain(&mut group.consumer().unwrap());
            assert_eq!(got[got.len() - 20..], (0..20).collect::<Vec<_>>(), "{claim:?}: {name}");
            for _ in 0..20 {
                group.rewind().unwrap();
            }
        }
        assert!(queue.verify().is_sound());
    }
}

/// A group that begins behind a reservation says nothing of it: its cell is not given to another message while it is held, also where no other group holds it.
#[test]
fn what_is_reserved_before_a_group_begins_keeps_its_place() {
    let queue = Queue::options().messages(4).capacity(256).in_memory().expect("it opens");
    let mut slow = queue.producer().expect("there is a slot");
    let mut producer = queue.producer().expect("there is a slot");
    let place = slow.reserve(1).expect("there is room");
    assert!(queue.remove_group("default"));
    let mut live = queue
        .group_with("live", Start::Next, Claim::Ordered)
        .and_then(|g| g.consumer())
        .expect("there is room");
    let mut pushed = 0..;
    while producer.try_push(&[pushed.next().expect("numbers do not end")]).is_ok() {
        assert!(live.try_pop().is_ok());
    }
    assert_eq!(pushed.start, 4, "three cells are free, and no more");
    assert_eq!(place.commit().get(), 0);
    for i in 10..20 {
        producer.push(&[i]).expect("there is room again");
        assert_eq!(live.pop(), Ok(vec![i]));
    }
}
