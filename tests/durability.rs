//! What outlives the power, without a simulator: flipped bits, disks that fail, who waits for the disk and for whom, and what a restart of the machine leaves.
//!
//! Where the power goes is in `power.rs`. The disk of this process fails for all tests at once where one of them wants that; so those that need it take turns.

mod common;
#[path = "power/place.rs"]
mod place;

use common::{
    Child, Random, number, pattern, run_child, say, spawn, until, until_killed, wait_for_parent, watch,
};
use place::Disk;
use ringfile::fault::{self, Event};
use ringfile::file::layout::{Layout, UNIT, cell, cursor};
use ringfile::{
    Durability, Geometry, OpenError, PopError, PushError, Queue, SyncError, TryPopError, TryPushError,
};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

/// So long that a thread which syncs every so often never does.
const NEVER: Duration = Duration::from_secs(24 * 3600);
/// So long may the living be held up by somebody who is stopped, on a machine that is busy with something else.
const LIVELY: Duration = Duration::from_secs(2);
const SUMMING: [Durability; 2] = [Durability::Interval(NEVER), Durability::Always];

/// Whether the disk works.
static DISK: RwLock<()> = RwLock::new(());

/// It works as long as one holds this.
fn works() -> RwLockReadGuard<'static, ()> {
    DISK.read().unwrap_or_else(|failed| failed.into_inner())
}

/// It fails as long as one holds this.
struct Fails {
    _alone: RwLockWriteGuard<'static, ()>,
}

impl Fails {
    /// From when it is told to.
    fn later() -> Fails {
        Fails { _alone: DISK.write().unwrap_or_else(|failed| failed.into_inner()) }
    }

    fn begin(&self) {
        fault::fail_syncs(Some(libc::EIO));
    }

    fn end(&self) {
        fault::fail_syncs(None);
    }
}

impl Drop for Fails {
    fn drop(&mut self) {
        self.end();
    }
}

const FAILED: SyncError = SyncError::Failed { code: libc::EIO };
const PUSH_FAILED: PushError = PushError::Failed { code: libc::EIO };

fn open(path: &Path, durability: Durability) -> Queue {
    Queue::options().durability(durability).attach(path).expect("it opens")
}

/// Everything that a consumer gets, until there is nothing.
fn drain(queue: &Queue) -> Vec<Vec<u8>> {
    let mut consumer = queue.consumer().expect("there is a slot");
    std::iter::from_fn(|| consumer.try_pop().ok()).collect()
}

/// Lets a file be one of another boot of the machine.
fn restart(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).expect("it is there");
    file.write_all_at(b"of another boot!", cursor::BOOT as u64).expect("it can be written");
}

fn message(i: u64) -> Vec<u8> {
    common::message(i, 8 + i as usize % 150)
}

/// The numbers of such messages, which must be whole.
fn numbers(messages: &[Vec<u8>]) -> Vec<u64> {
    messages.iter().map(|message| number(message)).collect()
}

fn range(numbers: std::ops::Range<u64>) -> Vec<u64> {
    numbers.collect()
}

// ---- children ---------------------------------------------------------------------------------------------------------

/// Syncs that this process does before it stops or kills itself, and the signal.
static LEFT: AtomicU64 = AtomicU64::new(0);
static SIGNAL: AtomicU64 = AtomicU64::new(0);

/// Sends this process a signal when it has synced or written so many times; each is in the middle of something.
fn signal_after(count: u64, signal: libc::c_int) {
    LEFT.store(count, Ordering::SeqCst);
    SIGNAL.store(signal as u64, Ordering::SeqCst);
    fault::watch(Some(|event| {
        let counts = matches!(event, Event::Synced { .. } | Event::Written { .. });
        if counts
            && LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1)
        {
            // SAFETY: it changes nothing in this process but that it stops or ends.
            let sent = unsafe { libc::raise(SIGNAL.load(Ordering::SeqCst) as libc::c_int) };
            assert_eq!(sent, 0, "cannot signal oneself");
        }
    }));
}

#[test]
fn child() {
    run_child(|role, args| {
        let path = Path::new(args[0]);
        match role {
            "push when told" => {
                let queue = open(path, Durability::Process);
                let mut producer = queue.producer().expect("there is a slot");
                say(format!("{:?}", producer.push(b"before").is_ok()));
                wait_for_parent();
                say(format!("{:?}", producer.push(b"after")));
                say(format!("{:?}", producer.push_durable(b"after")));
                say(format!("{:?}", queue.sync()));
                wait_for_parent();
            }
            "push many" => {
                let queue = open(path, Durability::Process);
                let first: u64 = args[1].parse().expect("a number");
                thread::scope(|scope| {
                    for t in 0..3 {
                        let mut producer = queue.producer().expect("there is a slot");
                        scope.spawn(move || {
                            for i in 0..20 {
                                producer.push_durable(&message(first + t * 20 + i)).expect("the disk works");
                            }
                        });
                    }
                });
                say("pushed");
            }
            "stop in the middle" => {
                let queue = open(path, Durability::Process);
                let mut producer = queue.producer().expect("there is a slot");
                producer.push_durable(b"from the child").expect("the disk works");
                signal_after(1, libc::SIGSTOP);
                say(format!("{:?}", producer.push_durable(b"from the child").is_ok()));
                say(format!("{:?}", queue.sync().is_ok()));
                until_killed();
            }
            "die in the middle" => {
                let queue = open(path, Durability::Process);
                let mut producer = queue.producer().expect("there is a slot");
                producer.push_durable(b"from the child").expect("the disk works");
                signal_after(args[1].parse().expect("a number"), libc::SIGKILL);
                producer.push_durable(b"from the child").expect("the disk works");
                queue.sync().expect("the disk works");
            }
            "put in order" => {
                signal_after(args[1].parse().expect("a number"), libc::SIGKILL);
                let queue = open(path, Durability::Process);
                say(format!("{:?}", queue.salvage().is_some()));
            }
            other => panic!("no role {other}"),
        }
    });
}

// ---- flipped bits -----------------------------------------------------------------------------------------------------

/// How a message comes into the queue.
#[derive(Clone, Copy, Debug)]
enum Pushed {
    Alone,
    InABatch,
    Reserved,
    Shortened,
    Durably,
    /// Without a sum, which it got later.
    AndSynced,
}

impl Pushed {
    const ALL: [Pushed; 6] = [
        Pushed::Alone,
        Pushed::InABatch,
        Pushed::Reserved,
        Pushed::Shortened,
        Pushed::Durably,
        Pushed::AndSynced,
    ];

    fn push(self, queue: &Queue, messages: &[Vec<u8>; 3]) {
        let mut producer = queue.producer().expect("there is a slot");
        match self {
            Pushed::Alone => {
                messages.iter().for_each(|message| _ = producer.push(message).expect("there is room"))
            }
            Pushed::InABatch => _ = producer.push_batch(messages).expect("there is room"),
            Pushed::Reserved | Pushed::Shortened => {
                for message in messages {
                    let more = if matches!(self, Pushed::Shortened) { 7 } else { 0 };
                    let mut place = producer.reserve(message.len() + more).expect("there is room");
                    place[..message.len()].copy_from_slice(message);
                    place.commit_len(message.len());
                }
            }
            Pushed::Durably => {
                messages
                    .iter()
                    .for_each(|message| _ = producer.push_durable(message).expect("there is room"));
            }
            Pushed::AndSynced => {
                messages.iter().for_each(|message| _ = producer.push(message).expect("there is room"));
                queue.sync().expect("the disk works");
            }
        }
    }

    /// With what the queue is opened.
    fn durability(self, summing: Durability) -> Durability {
        match self {
            Pushed::Durably | Pushed::AndSynced => Durability::Process,
            _ => summing,
        }
    }
}

/// All ways to get messages.
const WAYS: u64 = 5;

/// A message and, where that is told, its position.
type Got = (Option<u64>, Vec<u8>);

/// What one way brings of the three messages, and what is said to be damaged.
fn get(queue: &Queue, way: u64) -> (Vec<Got>, Vec<u64>) {
    let (mut got, mut damaged) = (Vec::new(), Vec::new());
    if way == 0 {
        for kept in queue.replay() {
            match kept {
                Ok(kept) => got.push((Some(kept.position.get()), kept.message)),
                Err(ringfile::ReplayError::Corrupt { position }) => damaged.push(position),
                Err(error) => panic!("{error}"),
            }
        }
        return (got, damaged);
    }
    let mut consumer = queue.consumer().expect("there is a slot");
    // More than there are.
    for _ in 0..10 {
        let answer = match way {
            1 => {
                let mut bytes = Vec::new();
                consumer.try_pop_into(&mut bytes).map(|position| got.push((Some(position.get()), bytes)))
            }
            2 => consumer.try_claim().map(|delivery| {
                got.push((Some(delivery.position().get()), delivery.to_vec()));
                delivery.ack().expect("there is no lease");
            }),
            3 => consumer.try_claim_batch(3).map(|batch| {
                got.extend(batch.messages().map(|(position, bytes)| (Some(position.get()), bytes.to_vec())));
                batch.ack().expect("there is no lease");
            }),
            _ => consumer.try_drain(3, |bytes| got.push((None, bytes.to_vec()))).map(drop),
        };
        match answer {
            Ok(()) => {}
            Err(TryPopError::Corrupt { position }) => damaged.push(position),
            // What a flipped bit makes of a position that was published may look like one that is not.
            Err(TryPopError::Empty | TryPopError::Pending) => return (got, damaged),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("there is no end to it: {got:?}, {damaged:?}");
}

/// A file of which bits can be flipped while it is open.
struct Bits(File);

impl Bits {
    fn flip(&self, bit: u64) {
        let mut byte = [0];
        self.0.read_exact_at(&mut byte, bit / 8).expect("it is there");
        byte[0] ^= 1 << (bit % 8);
        self.0.write_all_at(&byte, bit / 8).expect("it can be written");
    }
}

#[test]
fn a_flipped_bit_is_never_delivered_as_good() {
    let _watchdog = watch("flipped bits");
    let _works = works();
    let disk = Disk::new();
    let mut random = Random(1);
    let mut told = 0;
    for (n, pushed) in Pushed::ALL.into_iter().enumerate() {
        for cell_size in [64, 128] {
            for len in [0, 1, 8, 32, 33, 88, 89, 200] {
                let path = disk.file(&format!("q-{n}-{cell_size}-{len}"));
                let (summing, checking) =
                    (SUMMING[random.below(2) as usize], SUMMING[random.below(2) as usize]);
                let case = format!("{len} bytes pushed {pushed:?}, in cells of {cell_size}");
                let mut options = Queue::options();
                options.messages(8).capacity(2048).cell_size(cell_size).groups(1).participants(4).retain(8);
                let queue =
                    options.durability(pushed.durability(summing)).create_new(&path).expect("it is made");
                let messages = [1, 2, 3].map(|i| pattern(i, if i == 2 { len } else { 40 }));
                pushed.push(&queue, &messages);
                drop(queue);

                let geometry = Geometry { data_bytes: 2048, cells: 8, cell_size, groups: 1, participants: 4 };
                let layout = Layout::new(geometry).expect("there is such a file");
                let at = layout.cells + cell_size as usize;
                let bits = Bits(OpenOptions::new().read(true).write(true).open(&path).expect("it is there"));
                let payload = match len <= layout.inline_len() {
                    true => at + cell::INLINE,
                    false => {
                        let mut extent = [0; 8];
                        bits.0.read_exact_at(&mut extent, (at + cell::EXTENT) as u64).expect("it is there");
                        let units = geometry.data_bytes / UNIT as u64;
                        layout.data + (u64::from_le_bytes(extent) >> 22) as usize % units as usize * UNIT
                    }
                };
                let words = [cell::PUBLISH, cell::SIZE, cell::EXTENT].map(|word| (at + word, 8));
                let late = (layout.sums + 8, 8);
                let places = words.into_iter().chain([late, (payload, len)]);
                let all: Vec<u64> =
                    places.flat_map(|(at, len)| at as u64 * 8..(at + len) as u64 * 8).collect();

                let queue = open(&path, checking);
                // By somebody who does not wait for the disk.
                let plain = open(&path, Durability::Process);
                let again = || plain.rewind().expect("nobody holds anything");
                for way in 0..WAYS {
                    let (got, damaged) = get(&queue, way);
                    let bytes: Vec<_> = got.iter().map(|(_, bytes)| bytes).collect();
                    assert!(
                        bytes == messages.iter().collect::<Vec<_>>() && damaged.is_empty(),
                        "{case}, way {way}"
                    );
                    again();
                }
                for bit in all {
                    let way = random.below(WAYS);
                    bits.flip(bit);
                    let (got, damaged) = get(&queue, way);
                    bits.flip(bit);
                    again();
                    let offset = bit / 8 - at as u64;
                    let case = || format!("{case}, bit {} at {offset} of the cell, way {way}", bit % 8);
                    for (position, bytes) in &got {
                        let is = match position {
                            Some(position) => messages.get(*position as usize) == Some(bytes),
                            None => messages.contains(bytes),
                        };
                        assert!(is, "{}: {position:?} with {bytes:02x?}", case());
                    }
                    assert!(damaged.iter().all(|&position| position == 1), "{}: {damaged:?}", case());
                    assert!(got.first().is_some_and(|(_, bytes)| *bytes == messages[0]), "{}", case());
                    told += damaged.len();
                }
                let (got, damaged) = get(&queue, 1);
                assert!(got.len() == 3 && damaged.is_empty(), "{case}, and its bits are what they were");
            }
        }
    }
    assert!(told > 10_000, "only {told} were found damaged");
}

// ---- disks that fail --------------------------------------------------------------------------------------------------

#[test]
fn when_the_disk_fails_everybody_learns_of_it_until_all_have_left() {
    let _watchdog = watch("a disk that fails");
    let fails = Fails::later();
    let disk = Disk::new();
    let path = disk.file("q");
    let queue = Queue::options()
        .messages(64)
        .capacity(8192)
        .durability(Durability::Always)
        .create_new(&path)
        .expect("it is made");
    let other = open(&path, Durability::Process);
    let mut child = spawn("push when told", &[&path]);
    child.expect("true");
    let mut producer = queue.producer().expect("there is a slot");
    let mut others = other.producer().expect("there is a slot");
    producer.push(b"durable").expect("the disk works");
    others.push(b"not yet").expect("there is room");

    fails.begin();
    assert_eq!(producer.push(b"perhaps"), Err(PUSH_FAILED));
    fails.end();

    // Whoever fails next, nobody says that it is well again.
    assert_eq!(producer.push(b"no"), Err(PUSH_FAILED));
    assert_eq!(producer.try_push(b"no"), Err(TryPushError::Failed { code: libc::EIO }));
    assert_eq!(producer.push_batch(&["no", "no"]), Err(PUSH_FAILED));
    assert_eq!(producer.push_durable(b"no"), Err(PUSH_FAILED));
    assert_eq!(producer.reserve(2).map(drop), Err(PUSH_FAILED));
    assert_eq!(queue.sync(), Err(FAILED));
    assert_eq!(others.push(b"no"), Err(PUSH_FAILED));
    assert_eq!(others.push_durable(b"no"), Err(PUSH_FAILED));
    assert_eq!(other.sync(), Err(FAILED));
    child.go_on();
    child.expect(&format!("{:?}", Err::<(), _>(PUSH_FAILED)));
    child.expect(&format!("{:?}", Err::<(), _>(PUSH_FAILED)));
    child.expect(&format!("{:?}", Err::<(), _>(FAILED)));
    for durability in [Durability::Process, Durability::Always] {
        let opened = Queue::options().durability(durability).attach(&path);
        assert!(matches!(opened, Err(OpenError::Failed)), "{opened:?}");
    }

    // What is there can be had, and then it says why there is no more.
    let mut consumer = other.consumer().expect("there is a slot");
    let mut got = Vec::new();
    let end = loop {
        match consumer.pop() {
            Ok(message) => got.push(message),
            Err(error) => break error,
        }
    };
    assert_eq!(end, PopError::Failed { code: libc::EIO });
    let certain: [&[u8]; 3] = [b"before", b"durable", b"not yet"];
    assert!(certain.iter().all(|certain| got.iter().any(|message| message == certain)), "{got:?}");
    assert!(!got.iter().any(|message| message == b"no"), "{got:?}");

    drop((producer, consumer, queue));
    assert!(matches!(Queue::open(&path), Err(OpenError::Failed)), "two others have it open");
    drop((others, other));
    assert!(matches!(Queue::open(&path), Err(OpenError::Failed)), "another process has it open");
    child.go_on();
    child.finish();

    // While it fails, it cannot be put in order.
    fails.begin();
    assert!(Queue::open(&path).is_err());
    fails.end();
    let queue = Queue::open(&path).expect("nobody has it open");
    assert!(queue.salvage().is_some(), "the disk had failed, and nobody says so");
    assert!(!queue.is_closed(), "nobody closed it");
    assert!(queue.verify().is_sound());
    let mut producer = queue.producer().expect("there is a slot");
    producer.push_durable(b"again").expect("the disk works");
    queue.sync().expect("the disk works");
    let got = drain(&queue);
    assert_eq!(got.last().map(Vec::as_slice), Some(&b"again"[..]), "{got:?}");
    drop((producer, queue));
    let queue = Queue::open(&path).expect("it opens");
    assert!(queue.salvage().is_none(), "it was put in order before");
}

#[test]
fn what_was_durable_before_the_disk_failed_is_there_afterwards() {
    let _watchdog = watch("what was durable before");
    let fails = Fails::later();
    let disk = Disk::new();
    for durability in SUMMING {
        let path = disk.file(&format!("{durability:?}"));
        let mut options = Queue::options();
        let queue =
            options.messages(64).capacity(8192).durability(durability).create_new(&path).expect("it is made");
        let mut producer = queue.producer().expect("there is a slot");
        for i in 0..10 {
            producer.push(&message(i)).expect("there is room");
        }
        let mut consumer = queue.consumer().expect("there is a slot");
        for i in 0..4 {
            assert_eq!(consumer.pop(), Ok(message(i)));
        }
        queue.sync().expect("the disk works");
        let mut place = producer.reserve(5).expect("there is room");
        place.copy_from_slice(b"maybe");
        fails.begin();
        assert_eq!(place.commit_durable(), Err(FAILED));
        fails.end();
        drop((producer, consumer, queue));

        let queue = Queue::open(&path).expect("nobody has it open");
        let salvage = queue.salvage().expect("the disk had failed");
        let mut got = drain(&queue);
        // It was pushed while the disk failed.
        got.pop_if(|last| last == b"maybe");
        // What was synced is where it was, the group too.
        assert_eq!(numbers(&got), range(4..10), "{salvage:?}");
    }
}

#[test]
fn who_syncs_now_and_then_fails_for_all() {
    let _watchdog = watch("a thread that syncs and fails");
    let fails = Fails::later();
    let disk = Disk::new();
    let path = disk.file("q");
    let now_and_then = Durability::Interval(Duration::from_millis(5));
    let queue = Queue::options()
        .messages(1024)
        .capacity(8192)
        .durability(now_and_then)
        .create_new(&path)
        .expect("it is made");
    let mut producer = queue.producer().expect("there is a slot");
    producer.push(b"well").expect("there is room");
    queue.sync().expect("the disk works");
    fails.begin();
    until("a push says that the disk has failed", || match producer.try_push(b"perhaps") {
        Ok(_) | Err(TryPushError::Full) => false,
        Err(error) => {
            assert_eq!(error, TryPushError::Failed { code: libc::EIO });
            true
        }
    });
    drop((producer, queue));
    fails.end();
    let queue = Queue::open(&path).expect("nobody has it open");
    assert!(queue.salvage().is_some());
    assert_eq!(drain(&queue).first().map(Vec::as_slice), Some(&b"well"[..]));
}

#[test]
fn a_queue_that_could_never_be_synced_is_not_lost() {
    let _watchdog = watch("a disk that fails from the beginning");
    let fails = Fails::later();
    let disk = Disk::new();
    let path = disk.file("q");
    let queue = Queue::options().messages(16).capacity(8192).create_new(&path).expect("it is made");
    let mut producer = queue.producer().expect("there is a slot");
    for i in 0..10 {
        producer.push(&message(i)).expect("there is room");
    }
    fails.begin();
    assert_eq!(queue.sync(), Err(FAILED));
    drop((producer, queue));
    fails.end();
    let queue = Queue::open(&path).expect("nobody has it open");
    assert!(queue.salvage().is_some());
    // The machine has not been down: it is all in memory still.
    assert_eq!(numbers(&drain(&queue)), range(0..10));
}

// ---- memory -----------------------------------------------------------------------------------------------------------

#[test]
fn what_is_in_memory_cannot_be_synced() {
    let queue = Queue::options().capacity(4096).in_memory().expect("there is memory");
    refuses(&queue);
    for durability in SUMMING {
        let opened = Queue::options().capacity(4096).durability(durability).in_memory();
        assert!(matches!(opened, Err(OpenError::Unsupported(_))), "{opened:?}");
    }
}

/// Nothing is pushed by who is told that it cannot be durable.
fn refuses(queue: &Queue) {
    let mut producer = queue.producer().expect("there is a slot");
    assert_eq!(queue.sync(), Err(SyncError::Unsupported));
    assert_eq!(producer.push_durable(b"durable"), Err(PushError::Unsupported));
    let place = producer.reserve(3).expect("there is room");
    assert_eq!(place.commit_durable(), Err(SyncError::Unsupported));
    producer.push(b"plain").expect("there is room");
    assert_eq!(drain(queue), [b"plain"]);
}

#[test]
fn a_file_system_in_memory_cannot_be_synced() {
    let shm = Path::new("/dev/shm");
    let path = shm.join(format!("ringfile-durability-{}", std::process::id()));
    let Ok(queue) = Queue::options().capacity(4096).create_new(&path) else {
        eprintln!("NOT RUN: there is no /dev/shm to write to");
        return;
    };
    struct Gone<'a>(&'a Path);
    impl Drop for Gone<'_> {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(self.0);
        }
    }
    let _gone = Gone(&path);
    refuses(&queue);
    for durability in SUMMING {
        let opened = Queue::options().durability(durability).attach(&path);
        assert!(matches!(opened, Err(OpenError::Unsupported(_))), "{opened:?}");
    }
}

// ---- who waits for whom -----------------------------------------------------------------------------------------------

#[test]
fn many_push_durably_at_once() {
    let _watchdog = watch("many durable pushes");
    let _works = works();
    let disk = Disk::new();
    let path = disk.file("q");
    let queue = Queue::options().messages(64).capacity(16384).create_new(&path).expect("it is made");
    let mut children: Vec<Child> =
        (0..3).map(|c| spawn("push many", &[&path, &(1000 * (c + 1)).to_string()])).collect();
    let always = open(&path, Durability::Always);
    let interval = open(&path, Durability::Interval(Duration::from_millis(2)));
    let expected: BTreeSet<Vec<u8>> = (0..8)
        .flat_map(|t| (0..25).map(move |i| message(25 * t + i)))
        .chain((1..4).flat_map(|c| (0..60).map(move |i| message(1000 * c + i))))
        .collect();
    assert_eq!(expected.len(), 8 * 25 + 3 * 60);
    let got = thread::scope(|scope| {
        for t in 0..8 {
            let queue = [&queue, &always, &interval][t as usize % 3];
            let mut producer = queue.producer().expect("there is a slot");
            scope.spawn(move || {
                for i in 0..25 {
                    let message = message(25 * t + i);
                    match i % 3 {
                        0 => _ = producer.push_durable(&message).expect("the disk works"),
                        1 => {
                            let mut place = producer.reserve(message.len()).expect("there is room");
                            place.copy_from_slice(&message);
                            place.commit_durable().expect("the disk works");
                        }
                        _ => {
                            producer.push(&message).expect("there is room");
                            queue.sync().expect("the disk works");
                        }
                    }
                }
            });
        }
        let mut consumer = always.consumer().expect("there is a slot");
        (0..expected.len()).map(|_| consumer.pop().expect("nothing is damaged")).collect::<Vec<_>>()
    });
    for child in &mut children {
        child.expect("pushed");
    }
    assert!(got.iter().cloned().collect::<BTreeSet<_>>() == expected, "lost, doubled or torn");
    assert_eq!(queue.sync().map(|position| position.get()), Ok(queue.stats().tail));
}

#[test]
fn who_is_stopped_while_it_syncs_holds_up_nobody() {
    let _watchdog = watch("a leader that is stopped");
    let _works = works();
    let disk = Disk::new();
    let path = disk.file("q");
    let queue = Queue::options().messages(1024).capacity(8192).create_new(&path).expect("it is made");
    let mut child = spawn("stop in the middle", &[&path]);
    child.until_stopped();
    thread::scope(|scope| {
        for t in 0..4 {
            let mut producer = queue.producer().expect("there is a slot");
            scope.spawn(move || {
                for i in 0..20 {
                    let begun = Instant::now();
                    producer.push_durable(&message(20 * t + i)).expect("the disk works");
                    assert!(begun.elapsed() < LIVELY, "a push took {:?}", begun.elapsed());
                }
            });
        }
        let begun = Instant::now();
        queue.sync().expect("the disk works");
        assert!(begun.elapsed() < LIVELY, "a sync took {:?}", begun.elapsed());
    });
    child.signal(libc::SIGCONT);
    child.expect("true");
    child.expect("true");
    child.kill();
    assert_eq!(drain(&queue).len(), 2 + 4 * 20);
    queue.sync().expect("the disk works");
}

#[test]
fn who_dies_while_it_syncs_leaves_nothing_to_wait_for() {
    use std::os::unix::process::ExitStatusExt;
    let _watchdog = watch("a leader that dies");
    let _works = works();
    let disk = Disk::new();
    let mut deaths = 0;
    loop {
        let count = deaths + 1;
        let path = disk.file(&format!("q{count}"));
        let queue = Queue::options().messages(16).capacity(4096).create_new(&path).expect("it is made");
        let mut child = spawn("die in the middle", &[&path, &count.to_string()]);
        let status = child.end();
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(libc::SIGKILL), "after {count}: {status}");
        deaths = count;
        let begun = Instant::now();
        let mut producer = queue.producer().expect("there is a slot");
        producer.push_durable(b"from here").expect("the disk works");
        queue.sync().expect("the disk works");
        assert!(begun.elapsed() < LIVELY, "after {count} it took {:?}", begun.elapsed());
        let got = drain(&queue);
        assert_eq!(got, [&b"from the child"[..], b"from the child", b"from here"], "after {count}");
    }
    assert!(deaths >= 2, "only {deaths} steps");
}

// ---- restarts of the machine ------------------------------------------------------------------------------------------

#[test]
fn a_whole_file_is_what_it_was_after_a_restart_of_the_machine() {
    let _watchdog = watch("a restart");
    let _works = works();
    let disk = Disk::new();
    for (n, durability) in [Durability::Process, SUMMING[0], SUMMING[1]].into_iter().enumerate() {
        let path = disk.file(&format!("q{n}"));
        let mut options = Queue::options();
        options.messages(32).capacity(8192).groups(3).retain(2).durability(durability);
        let queue = options.create_new(&path).expect("it is made");
        let mut producer = queue.producer().expect("there is a slot");
        let audit = queue.group("audit").expect("there is room");
        audit.set_rate(1e6).expect("it is one");
        // Some laps, so that there is something of an earlier one in each cell.
        for i in 0..100 {
            producer.push(&message(i)).expect("there is room");
            assert_eq!(queue.consumer().expect("there is a slot").pop(), Ok(message(i)));
            assert_eq!(audit.consumer().expect("there is a slot").pop(), Ok(message(i)));
        }
        for i in 100..120 {
            producer.push(&message(i)).expect("there is room");
        }
        let mut consumer = queue.consumer().expect("there is a slot");
        for i in 100..107 {
            assert_eq!(consumer.pop(), Ok(message(i)));
        }
        let (tail, retained) = (queue.stats().tail, queue.stats().retain);
        drop((producer, consumer, audit, queue));
        for _ in 0..2 {
            restart(&path);
            let queue = open(&path, durability);
            let salvage = queue.salvage().expect("the machine was down");
            assert_eq!((salvage.lost, salvage.skipped), (0, 0), "{durability:?}");
            assert_eq!((queue.stats().tail, queue.retain()), (tail, retained), "{durability:?}");
            assert_eq!(queue.find_group("audit").map(|group| group.rate()), Some(1e6), "{durability:?}");
            assert!(queue.verify().is_sound());
            drop(queue);
            assert!(open(&path, durability).salvage().is_none(), "it is put in order once");
        }
        let queue = open(&path, durability);
        assert_eq!(numbers(&drain(&queue)), range(107..120), "{durability:?}");
        let mut audit = queue.group("audit").expect("it is there").consumer().expect("there is a slot");
        let audited: Vec<_> = std::iter::from_fn(|| audit.try_pop().ok()).collect();
        assert_eq!(numbers(&audited), range(100..120), "{durability:?}");
        // And it can be used.
        queue.producer().expect("there is a slot").push_durable(b"next").expect("the disk works");
        assert_eq!(drain(&queue), [b"next"]);
    }
}

#[test]
fn a_closed_queue_is_closed_after_a_restart_of_the_machine() {
    let _works = works();
    let disk = Disk::new();
    let path = disk.file("q");
    let queue = Queue::options().messages(8).capacity(1024).create_new(&path).expect("it is made");
    queue.producer().expect("there is a slot").push(b"last").expect("there is room");
    queue.close();
    drop(queue);
    restart(&path);
    let queue = Queue::open(&path).expect("it opens");
    assert!(queue.salvage().is_some() && queue.is_closed());
    let mut consumer = queue.consumer().expect("there is a slot");
    assert_eq!(consumer.pop().as_deref(), Ok(&b"last"[..]));
    assert_eq!(consumer.pop(), Err(PopError::Closed));
}

#[test]
fn one_of_many_puts_it_in_order_and_the_others_wait_for_it() {
    let _watchdog = watch("many that open after a restart");
    let _works = works();
    let disk = Disk::new();
    let path = disk.file("q");
    let queue = Queue::options().messages(256).capacity(16384).create_new(&path).expect("it is made");
    let mut producer = queue.producer().expect("there is a slot");
    for i in 0..50 {
        producer.push(&message(i)).expect("there is room");
    }
    queue.sync().expect("the disk works");
    drop((producer, queue));
    for round in 0..5 {
        restart(&path);
        let begin = Barrier::new(8);
        let queues: Vec<Queue> = thread::scope(|scope| {
            let open = || {
                begin.wait();
                Queue::open(&path).expect("it opens")
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().expect("it opens")).collect()
        });
        let told = queues.iter().filter(|queue| queue.salvage().is_some()).count();
        assert_eq!(told, 1, "in round {round}");
        for queue in &queues {
            assert_eq!(queue.replay().count(), 50, "in round {round}");
        }
    }
    assert_eq!(numbers(&drain(&Queue::open(&path).expect("it opens"))), range(0..50));
}

#[test]
fn who_is_killed_while_it_puts_things_in_order_changes_nothing() {
    let _watchdog = watch("deaths in the middle of putting in order");
    let _works = works();
    let disk = Disk::new();
    let path = disk.file("q");
    let queue = Queue::options().messages(32).capacity(4096).create_new(&path).expect("it is made");
    let mut producer = queue.producer().expect("there is a slot");
    for i in 0..20 {
        producer.push_durable(&message(i)).expect("there is room");
    }
    let mut consumer = queue.consumer().expect("there is a slot");
    for i in 0..5 {
        assert_eq!(consumer.pop(), Ok(message(i)));
    }
    queue.sync().expect("the disk works");
    drop((producer, consumer, queue));
    let whole = std::fs::read(&path).expect("it is there");
    let mut deaths = 0;
    loop {
        std::fs::write(&path, &whole).expect("there is room");
        restart(&path);
        // Killed twice in the same place: the second begins with what the first has left.
        let words: [&dyn AsRef<std::ffi::OsStr>; 2] = [&path, &(deaths + 1).to_string()];
        let ends = [(); 2].map(|()| spawn("put in order", &words).end().success());
        if ends[0] {
            break;
        }
        deaths += 1;
        assert!(deaths < 100, "there is no end to it");
        let queue = Queue::open(&path).expect("it opens");
        assert!(queue.verify().is_sound());
        let got = numbers(&drain(&queue));
        let first = got.iter().position(|&got| got == 5).expect("it is owed");
        assert_eq!(got[first..], range(5..20), "after {deaths} steps");
    }
    assert!(deaths >= 3, "only {deaths} steps");
}
