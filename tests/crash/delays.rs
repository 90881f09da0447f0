//! How long the living wait for a death: from the kill to what they waited for.

use crate::LIVELY;
use crate::common::{
    Dir, Doing, HANGS, Watchdog, now_ns, number_from, pattern, say, spawn, spawn_under, until_killed,
    wait_for_parent,
};
use ringfile::fault::{self, Action, Step};
use ringfile::{Options, Producer, Queue};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Long enough for a call to fall asleep.
const ASLEEP: Duration = Duration::from_millis(15);

fn attach(path: &Path) -> Queue {
    Queue::options().attach(path).expect("the queue opens")
}

/// A ring of eight cells, or of as many as the environment says.
fn small() -> Options {
    let mut options = Queue::options();
    let cells = number_from("RINGFILE_CELLS", 8);
    options.capacity(4096).messages(cells).cell_size(64).groups(1).participants(8);
    options
}

/// What the children here do.
pub fn play(role: &str, args: &[&str]) {
    let queue = attach(Path::new(args[0]));
    match role {
        "stop in a push" => stop_in_a_push(queue.producer().expect("there is a slot")),
        "stop before a reservation" => {
            let mut producer = queue.producer().expect("there is a slot");
            fault::arm(Step::IntentAnnounced, 1, Action::Stop);
            producer.push(b"last").expect("there is room");
        }
        "stop in a push beside a sleeper" => {
            let mut consumer = queue.consumer().expect("there is a slot");
            let producer = queue.producer().expect("there is a slot");
            thread::spawn(move || consumer.pop());
            thread::sleep(ASLEEP);
            say("asleep");
            wait_for_parent();
            stop_in_a_push(producer);
        }
        "die waking" => {
            let mut producer = queue.producer().expect("there is a slot");
            say("ready");
            wait_for_parent();
            fault::arm(Step::WakeCleared, 1, Action::Kill);
            say(now_ns().to_string());
            let _ = producer.push(b"next");
        }
        "stop in a claim" => {
            let mut consumer = queue.consumer().expect("there is a slot");
            fault::arm(Step::Claimed, 1, Action::Stop);
            let _ = consumer.claim();
        }
        "hold a claim with much memory" => {
            let megabytes: usize = args[1].parse().expect("a number");
            let memory = vec![1u8; megabytes << 20];
            let mut consumer = queue.consumer().expect("there is a slot");
            let delivery = consumer.claim().expect("there is a message");
            say(format!("{} {}", memory.len(), delivery.deliveries()));
            until_killed();
        }
        "sleep" => {
            let mut consumer = queue.consumer().expect("there is a slot");
            say("ready");
            let _ = consumer.pop();
        }
        "publish" => publish(&queue),
        other => panic!("no role {other}"),
    }
}

fn stop_in_a_push(mut producer: Producer) {
    fault::arm(Step::TailSwapped, 1, Action::Stop);
    let _ = producer.push(b"never");
    until_killed();
}

// ---- from a death to the next message -----------------------------------------------------------------------------------

/// One death: the time until what was waited for came, from just before the kill.
type Death = fn() -> Duration;

fn since(start: u64, end: u64) -> Duration {
    Duration::from_nanos(end.saturating_sub(start))
}

/// A message lies behind a dead reservation, and `wait` waits for it in another open of the file.
fn behind_a_reservation(wait: fn(&Queue)) -> Duration {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = small().open(&path).expect("the queue opens");
    behind_a_reservation_in(&queue, &path, wait)
}

/// The same where another wanted that very cell, has said so, and has been stopped since (P2, C4): it hides nothing.
fn beside_a_paused_loser() -> Duration {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = small().open(&path).expect("the queue opens");
    let loser = spawn("stop before a reservation", &[&path]);
    loser.until_stopped();
    let took = behind_a_reservation_in(&queue, &path, await_next);
    assert_eq!(loser.doing(), Doing::Stopped);
    loser.signal(libc::SIGCONT);
    let message = queue.consumer().expect("there is a slot").pop_timeout(LIVELY);
    assert_eq!(message.expect("it goes on"), b"last");
    loser.finish();
    took
}

fn behind_a_reservation_in(queue: &Queue, path: &Path, wait: fn(&Queue)) -> Duration {
    let mut producer = queue.producer().expect("there is a slot");
    let child = spawn("stop in a push", &[&path]);
    child.until_stopped();
    producer.push(b"next").expect("there is room");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            wait(&attach(path));
            now_ns()
        });
        thread::sleep(ASLEEP);
        assert!(!waiting.is_finished(), "it overtook the paused one");
        let start = now_ns();
        child.kill();
        since(start, waiting.join().expect("it came"))
    })
}

fn to_a_blocked_consumer() -> Duration {
    behind_a_reservation(await_next)
}

/// A call without a deadline sleeps as this one does; this one fails if nobody wakes it.
fn await_next(queue: &Queue) {
    let message = queue.consumer().expect("there is a slot").pop_timeout(LIVELY);
    assert_eq!(message.expect("it comes soon"), b"next");
}

fn to_a_poller() -> Duration {
    behind_a_reservation(|queue| {
        let mut consumer = queue.consumer().expect("there is a slot");
        let start = now_ns();
        loop {
            if let Ok(message) = consumer.try_pop() {
                return assert_eq!(message, b"next");
            }
            assert!(since(start, now_ns()) < LIVELY, "it does not come");
            thread::yield_now();
        }
    })
}

/// A consumer that finds a message whenever it looks gets the one that the dead had claimed as well.
fn to_a_busy_consumer() -> Duration {
    const MESSAGES: usize = 100_000;
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = small().messages(1 << 17).open(&path).expect("the queue opens");
    let mut producer = queue.producer().expect("there is a slot");
    for _ in 0..MESSAGES {
        producer.push(b"job").expect("there is room");
    }
    let child = spawn("stop in a claim", &[&path]);
    child.until_stopped();
    let mut consumer = queue.consumer().expect("there is a slot");
    let mut next =
        || consumer.try_claim().map(|job| (job.deliveries(), job.ack()).0).expect("there are more");
    for _ in 0..100 {
        assert_eq!(next(), 1);
    }
    let start = now_ns();
    child.kill();
    loop {
        if next() > 1 {
            return since(start, now_ns());
        }
        thread::sleep(Duration::from_micros(50));
    }
}

/// The ring is full, its first message claimed by the dead. A consumer gets that again and finishes it; then the producer has room.
fn to_a_producer_without_room() -> Duration {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = small().open(&path).expect("the queue opens");
    let mut producer = queue.producer().expect("there is a slot");
    producer.push(b"claimed").expect("there is room");
    let child = spawn("stop in a claim", &[&path]);
    child.until_stopped();
    let mut consumer = attach(&path).consumer().expect("there is a slot");
    while producer.try_push(b"other").is_ok() {
        assert_eq!(consumer.pop().expect("it is there"), b"other");
    }
    thread::scope(|scope| {
        scope.spawn(move || {
            let delivery = consumer.claim_timeout(LIVELY).expect("it comes soon");
            assert_eq!((&*delivery, delivery.deliveries()), (&b"claimed"[..], 2));
            delivery.ack().unwrap();
        });
        let waiting = scope.spawn(|| {
            producer.push_timeout(b"next", LIVELY).expect("there is room soon");
            now_ns()
        });
        thread::sleep(ASLEEP);
        assert!(!waiting.is_finished(), "there was room");
        let start = now_ns();
        child.kill();
        since(start, waiting.join().expect("it was pushed"))
    })
}

/// The dead had a consumer asleep, which watched, and may have got the wake for the message behind its reservation.
fn to_another_than_the_watcher() -> Duration {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = small().open(&path).expect("the queue opens");
    let mut producer = queue.producer().expect("there is a slot");
    let mut child = spawn("stop in a push beside a sleeper", &[&path]);
    child.expect("asleep");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            await_next(&attach(&path));
            now_ns()
        });
        thread::sleep(ASLEEP);
        child.go_on();
        // At once, before anybody finds that the watcher does not watch.
        while child.doing() != Doing::Stopped {
            thread::yield_now();
        }
        producer.push(b"next").expect("there is room");
        let start = now_ns();
        child.kill();
        since(start, waiting.join().expect("it came"))
    })
}

/// The message is there, and who published it dies before it wakes anybody.
fn to_one_that_nobody_wakes() -> Duration {
    // On a busy machine it may not have been asleep yet.
    (0..20).find_map(|_| if_nobody_wakes_it()).expect("it is asleep some time")
}

fn if_nobody_wakes_it() -> Option<Duration> {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = small().open(&path).expect("the queue opens");
    let mut child = spawn("die waking", &[&path]);
    child.expect("ready");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            await_next(&queue);
            now_ns()
        });
        thread::sleep(ASLEEP);
        child.go_on();
        let start = child.hear().parse().expect("a time");
        let died = child.end().signal() == Some(libc::SIGKILL);
        let end = waiting.join().expect("it came");
        died.then(|| since(start, end))
    })
}

#[test]
fn next_message_after_a_death() {
    let deaths = number_from("RINGFILE_DEATHS", 20);
    let kinds: [(&str, Death); 7] = [
        ("a consumer blocked in pop", to_a_blocked_consumer),
        ("a consumer that polls", to_a_poller),
        ("a blocked consumer, a loser of the race being stopped", beside_a_paused_loser),
        ("a consumer that is never idle", to_a_busy_consumer),
        ("a producer that waits for claimed space", to_a_producer_without_room),
        ("a blocked consumer that the dead was about to wake", to_one_that_nobody_wakes),
        ("a blocked consumer, the watcher killed as well", to_another_than_the_watcher),
    ];
    for (name, death) in kinds {
        let mut delays: Vec<_> = (0..deaths)
            .map(|_| {
                let _watchdog = Watchdog::new(HANGS, name);
                death()
            })
            .collect();
        delays.sort();
        let part = |percent: usize| delays[(deaths * percent).div_ceil(100).max(1) - 1];
        let (p50, p99, max) = (part(50), part(99), part(100));
        println!("from {deaths} deaths to {name}: p50 {p50:.2?}, p99 {p99:.2?}, max {max:.2?}");
        assert!(p50 < Duration::from_millis(100), "{name}: {p50:?}");
    }
}

// ---- a process whose memory takes long to tear down ------------------------------------------------------------------------

/// From the kill to the next delivery of what it had claimed, and to its end as its parent sees it.
fn after_a_large_process(megabytes: usize) -> (Duration, Duration) {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = small().open(&path).expect("the queue opens");
    queue.producer().expect("there is a slot").push(b"job").expect("there is room");
    let mut child = spawn("hold a claim with much memory", &[&path, &megabytes.to_string()]);
    child.expect(&format!("{} 1", megabytes << 20));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut consumer = queue.consumer().expect("there is a slot");
            let delivery = consumer.claim_timeout(LIVELY).expect("it comes soon");
            assert_eq!(delivery.deliveries(), 2);
            delivery.ack().unwrap();
            now_ns()
        });
        thread::sleep(ASLEEP);
        let start = now_ns();
        child.kill();
        let end = now_ns();
        (since(start, waiting.join().expect("it came")), since(start, end))
    })
}

/// The kernel frees the locks of a process after its memory. That its tasks are exiting is known before.
#[test]
fn nobody_waits_until_memory_is_torn_down() {
    let megabytes = number_from("RINGFILE_RESIDENT_MB", 512);
    let mut times: Vec<_> = (0..number_from("RINGFILE_LARGE_DEATHS", 5))
        .map(|_| {
            let _watchdog = Watchdog::new(HANGS, "a large process");
            after_a_large_process(megabytes)
        })
        .collect();
    times.sort();
    let ((delivered, ended), (slowest, _)) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "killed with {megabytes} MiB: delivered again after {delivered:.2?}, at most {slowest:.2?}, ended after {ended:.2?} (median)"
    );
    let early = times.iter().filter(|(delivered, ended)| *delivered < *ended / 2).count();
    assert!(early > 0, "each time only when all was torn down: {times:?}");
}

// ---- what a dead sleeper costs ------------------------------------------------------------------------------------------

const PUBLISHES: usize = 1000;

/// Pushes, between two system calls that nobody else makes here.
fn publish(queue: &Queue) {
    let mut producer = queue.producer().expect("there is a slot");
    say("ready");
    wait_for_parent();
    mark();
    for i in 0..PUBLISHES {
        producer.push(&pattern(i as u64, 20)).expect("there is room");
    }
    mark();
}

fn mark() {
    // SAFETY: takes no pointers and always succeeds.
    unsafe { libc::getppid() };
}

/// The system calls of the thread that made marks, between them.
fn between_marks(trace: &str) -> Vec<&str> {
    let is_mark = |line: &&str| line.contains("getppid(");
    let mut marks = trace.lines().filter(is_mark);
    let thread = marks.next().and_then(|line| line.split_whitespace().next()).expect("there are marks");
    let of_thread = trace.lines().filter(|line| line.split_whitespace().next() == Some(thread));
    of_thread.skip_while(|line| !is_mark(line)).skip(1).take_while(|line| !is_mark(line)).collect()
}

/// The publisher has the file open from before the death, so that nothing settles the dead one first.
#[test]
fn a_dead_sleeper_costs_nothing() {
    let _watchdog = Watchdog::new(HANGS, "a dead sleeper");
    let dir = Dir::new();
    let (path, trace) = (dir.file("q"), dir.file("trace"));
    let mut strace = Command::new("strace");
    strace.arg("-f").arg("-o").arg(&trace);
    if !Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success())
    {
        return println!("not run: strace is missing here, or may not trace");
    }
    let _queue = Queue::options().capacity(4096).messages(2048).open(&path).expect("the queue opens");
    let mut publisher = spawn_under(strace, "publish", &[&path]);
    publisher.expect("ready");
    let mut sleeper = spawn("sleep", &[&path]);
    sleeper.expect("ready");
    thread::sleep(4 * ASLEEP);
    sleeper.kill();
    publisher.go_on();
    publisher.finish();
    let trace = std::fs::read_to_string(&trace).expect("strace has written it");
    let calls = between_marks(&trace);
    // The sleeper was asleep: the first publish wakes nobody, and nobody is woken in vain after that.
    assert_eq!(calls.len(), 1, "of {PUBLISHES} publishes: {calls:?}");
    assert!(calls[0].contains("FUTEX_WAKE") && calls[0].ends_with("= 0"), "{calls:?}");
    println!("{PUBLISHES} publishes after the death of a sleeper: {} system call", calls.len());
}
