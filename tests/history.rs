//! Recorded histories of real threads and processes on real files, checked against what a FIFO may have answered.
//!
//! Every call is recorded with the time at which it began and returned (CLOCK_MONOTONIC is one clock for all processes) and the position that
//! it pushed or popped. Positions are a total order, so linearizability needs no search: it is enough that no two calls contradict that order in
//! real time, that nothing is lost or doubled, and that each `Empty`, `Pending` and `Full` has an instant at which it was true.
//! `RINGFILE_HISTORY_OPS=n` records n operations instead of 100,000.

mod common;

use common::{Dir, Random, below_wrap, now_ns, number_from, run_child, say, spawn, wait_for_parent, watch};
use ringfile::{Claim, Consumer, PopTimeoutError, Producer, Queue, TryPopError, TryPushError};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// In nanoseconds. A push publishes, and a pop finishes, with a plain store: the call may return, and read the clock, before the store has left its processor. Whoever
/// learns of the return in any other way than by the clock sees the store as well.
const ON_ITS_WAY: u64 = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Push,
    /// A reservation that was given up.
    Abort,
    Pop,
    Empty,
    Pending,
    Full,
}

const KINDS: [Kind; 6] = [Kind::Push, Kind::Abort, Kind::Pop, Kind::Empty, Kind::Pending, Kind::Full];

/// One call. `position`, `producer` and `number` are of the message, where there is one.
#[derive(Clone, Copy, Debug)]
struct Op {
    kind: Kind,
    start: u64,
    end: u64,
    /// When the place was surely given back: of a pop, when it was acknowledged.
    done: u64,
    position: u64,
    producer: u64,
    number: u64,
}

impl Op {
    fn to_words(self) -> [u64; 7] {
        let kind = KINDS.iter().position(|&kind| kind == self.kind).expect("all are there");
        let Op { start, end, done, position, producer, number, .. } = self;
        [kind as u64, start, end, done, position, producer, number]
    }

    fn from_words([kind, start, end, done, position, producer, number]: [u64; 7]) -> Op {
        Op { kind: KINDS[kind as usize], start, end, done, position, producer, number }
    }
}

fn write_ops(path: &Path, ops: &[Op]) {
    let bytes: Vec<u8> = ops.iter().flat_map(|op| op.to_words()).flat_map(u64::to_le_bytes).collect();
    fs::write(path, bytes).unwrap();
}

fn read_ops(path: &Path) -> Vec<Op> {
    let words: Vec<u64> = fs::read(path)
        .unwrap()
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect();
    words.chunks_exact(7).map(|words| Op::from_words(words.try_into().unwrap())).collect()
}

/// A message says who pushed it and as his how-manieth, twice: the second time at its end.
fn message(producer: u64, number: u64, longest: u64) -> Vec<u8> {
    let len = 32 + (producer * 31 + number * 7) % (longest - 31);
    let mut message = vec![0; len as usize];
    let words = [producer.to_le_bytes(), number.to_le_bytes()].concat();
    message[..16].copy_from_slice(&words);
    let end = message.len() - 16;
    message[end..].copy_from_slice(&words);
    message
}

fn parse(message: &[u8], longest: u64) -> (u64, u64) {
    let word = |at: usize| u64::from_le_bytes(message[at..at + 8].try_into().unwrap());
    let (producer, number) = (word(0), word(8));
    assert_eq!(message, self::message(producer, number, longest), "a message is mixed up");
    (producer, number)
}

/// Pushes `count` messages in all ways there are.
fn produce(producer: &mut Producer, id: u64, count: u64, longest: u64) -> Vec<Op> {
    let mut random = Random(id + 1);
    let mut ops = Vec::new();
    let mut number = 0;
    let pushed = |kind, start, position, number| {
        let end = now_ns();
        Op { kind, start, end, done: end, position, producer: id, number }
    };
    while number < count {
        let bytes = message(id, number, longest);
        let start = now_ns();
        match random.below(16) {
            0..9 => match producer.try_push(&bytes) {
                Ok(position) => ops.push(pushed(Kind::Push, start, position.get(), number)),
                Err(error) => {
                    assert_eq!(error, TryPushError::Full);
                    ops.push(pushed(Kind::Full, start, 0, 0));
                    if random.below(4) == 0 {
                        thread::yield_now();
                    }
                    continue;
                }
            },
            9..12 => {
                let position = producer.push(&bytes).unwrap();
                ops.push(pushed(Kind::Push, start, position.get(), number));
            }
            12 | 13 => {
                let many = (2 + random.below(3)).min(count - number);
                let batch: Vec<_> = (0..many).map(|i| message(id, number + i, longest)).collect();
                let positions = producer.push_batch(&batch).unwrap();
                assert_eq!(positions.len() as u64, many);
                for (i, position) in (0..).zip(positions) {
                    ops.push(pushed(Kind::Push, start, position.get(), number + i));
                }
                number += many - 1;
            }
            14 => {
                let mut place = producer.reserve(bytes.len()).unwrap();
                place.copy_from_slice(&bytes);
                if random.below(8) == 0 {
                    thread::yield_now();
                }
                let position = place.commit();
                ops.push(pushed(Kind::Push, start, position.get(), number));
            }
            _ => {
                let place = producer.reserve(bytes.len()).unwrap();
                let position = place.position().get();
                drop(place);
                ops.push(pushed(Kind::Abort, start, position, 0));
                continue;
            }
        }
        number += 1;
    }
    ops
}

/// Pops in all ways there are until the queue is closed and drained.
fn consume(consumer: &mut Consumer, id: u64, longest: u64) -> Vec<Op> {
    let mut random = Random(id + 1000);
    let mut ops = Vec::new();
    let mut bytes = Vec::new();
    let popped = |start, end, position, message: &[u8]| {
        let (producer, number) = parse(message, longest);
        Op { kind: Kind::Pop, start, end, done: end, position, producer, number }
    };
    let nothing = |kind, start| {
        let end = now_ns();
        Op { kind, start, end, done: end, position: 0, producer: 0, number: 0 }
    };
    loop {
        let start = now_ns();
        match random.below(16) {
            0..9 => match consumer.try_pop_into(&mut bytes) {
                Ok(position) => ops.push(popped(start, now_ns(), position.get(), &bytes)),
                Err(TryPopError::Empty) => {
                    ops.push(nothing(Kind::Empty, start));
                    if random.below(4) == 0 {
                        thread::yield_now();
                    }
                }
                Err(TryPopError::Pending) => {
                    ops.push(nothing(Kind::Pending, start));
                    thread::yield_now();
                }
                Err(error) => {
                    assert_eq!(error, TryPopError::Closed);
                    return ops;
                }
            },
            9..11 => match consumer.pop_into(&mut bytes) {
                Ok(position) => ops.push(popped(start, now_ns(), position.get(), &bytes)),
                Err(_) => return ops,
            },
            11..14 => match consumer.claim_timeout(Duration::from_millis(1)) {
                Ok(delivery) => {
                    let mut op = popped(start, now_ns(), delivery.position().get(), &delivery);
                    assert_eq!(delivery.deliveries(), 1);
                    delivery.ack().unwrap();
                    op.done = now_ns();
                    ops.push(op);
                }
                Err(PopTimeoutError::Timeout) => {}
                Err(_) => return ops,
            },
            _ => match consumer.try_claim_batch(1 + random.below(6) as usize) {
                Ok(mut batch) => {
                    let end = now_ns();
                    let first = ops.len();
                    for (position, message) in batch.messages() {
                        ops.push(popped(start, end, position.get(), message));
                    }
                    batch.ack_first(random.below(3) as usize).unwrap();
                    batch.ack().unwrap();
                    let done = now_ns();
                    ops[first..].iter_mut().for_each(|op| op.done = done);
                }
                Err(TryPopError::Closed) => return ops,
                Err(_) => {}
            },
        }
    }
}

#[test]
fn child() {
    run_child(|role, args| {
        let queue = Queue::options().attach(args[0]).unwrap();
        let number = |i: usize| args[i].parse::<u64>().unwrap();
        let (id, longest) = (number(2), number(3));
        let ops = match role {
            "produce" => {
                let mut producer = queue.producer().unwrap();
                say("ready");
                wait_for_parent();
                produce(&mut producer, id, number(4), longest)
            }
            "consume" => {
                let mut consumer = queue.consumer().unwrap();
                say("ready");
                wait_for_parent();
                consume(&mut consumer, id, longest)
            }
            other => panic!("no role {other}"),
        };
        write_ops(Path::new(args[1]), &ops);
        say("done");
    });
}

/// Lets the consumers go when a producer has failed: the failure is what should be seen, not that they wait.
struct CloseAtEnd<'a>(&'a Queue);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What three producers and three consumers did, one of each in a process of its own; by handle.
struct History {
    claim: Claim,
    cells: u64,
    /// Whether all messages fit their cells, so that `Full` is a matter of cells alone.
    short: bool,
    /// How much later than its call a store may be seen, in nanoseconds.
    on_its_way: u64,
    producers: Vec<Vec<Op>>,
    consumers: Vec<Vec<Op>>,
}

fn record(claim: Claim, cells: u64, longest: u64, messages: u64) -> History {
    let _watchdog = watch("recording a history");
    let dir = Dir::new();
    let path = dir.file("q");
    // The wraps come in the middle of the recording.
    let queue = below_wrap(cells, messages / 2).capacity(4096).claim(claim).open(&path).unwrap();
    let each = messages / 3;
    let (each_text, longest_text) = (each.to_string(), longest.to_string());
    let (pushes, pops) = (dir.file("pushes"), dir.file("pops"));
    let mut child_producer =
        spawn("produce", &[&path, &pushes, &"2", &longest_text.as_str(), &each_text.as_str()]);
    let mut child_consumer = spawn("consume", &[&path, &pops, &"2", &longest_text.as_str()]);
    child_producer.expect("ready");
    child_consumer.expect("ready");
    let (mut producers, mut consumers) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let close = CloseAtEnd(&queue);
        let consuming: Vec<_> = (0..2)
            .map(|id| {
                let mut consumer = queue.consumer().unwrap();
                scope.spawn(move || consume(&mut consumer, id, longest))
            })
            .collect();
        child_consumer.go_on();
        child_producer.go_on();
        let producing: Vec<_> = (0..2)
            .map(|id| {
                let mut producer = queue.producer().unwrap();
                scope.spawn(move || produce(&mut producer, id, each, longest))
            })
            .collect();
        producers.extend(producing.into_iter().map(|p| p.join().unwrap()));
        child_producer.expect("done");
        drop(close);
        consumers.extend(consuming.into_iter().map(|c| c.join().unwrap()));
        child_consumer.expect("done");
    });
    child_producer.finish();
    child_consumer.finish();
    assert!(queue.is_empty() && queue.verify().is_sound());
    producers.push(read_ops(&pushes));
    consumers.push(read_ops(&pops));
    for (id, ops) in producers.iter().enumerate() {
        let numbers = ops.iter().filter(|op| op.kind == Kind::Push).map(|op| op.number);
        assert!(numbers.eq(0..each), "producer {id} has not pushed what it should");
    }
    History { claim, cells, short: longest <= 88, on_its_way: ON_ITS_WAY, producers, consumers }
}

fn of_kind<'a>(ops: &'a [Vec<Op>], kinds: &'a [Kind]) -> Vec<Op> {
    let mut found: Vec<Op> = ops.iter().flatten().filter(|op| kinds.contains(&op.kind)).copied().collect();
    found.sort_by_key(|op| op.position);
    found
}

/// Whether calls that did not overlap have their effect in the order of their positions: none began after one with a greater position had returned.
fn contradiction(by_position: &[Op]) -> Option<(Op, Op)> {
    let mut latest: Option<Op> = None;
    for &op in by_position {
        if let Some(before) = latest.filter(|before| op.end < before.start) {
            return Some((before, op));
        }
        if latest.is_none_or(|before| before.start < op.start) {
            latest = Some(op);
        }
    }
    None
}

impl History {
    fn check(&self) {
        self.nothing_is_lost_or_doubled();
        self.orders_are_kept();
        self.empty_was_empty();
        self.pending_was_pending();
        if self.short {
            self.full_was_full();
        }
    }

    fn nothing_is_lost_or_doubled(&self) {
        let places = of_kind(&self.producers, &[Kind::Push, Kind::Abort]);
        for pair in places.windows(2) {
            assert_eq!(pair[0].position + 1, pair[1].position, "{pair:?}");
        }
        let pushes = of_kind(&self.producers, &[Kind::Push]);
        let pops = of_kind(&self.consumers, &[Kind::Pop]);
        for (push, pop) in pushes.iter().zip(&pops) {
            assert_eq!(push.position, pop.position, "lost or doubled: {push:?}, {pop:?}");
            assert_eq!((push.producer, push.number), (pop.producer, pop.number), "{push:?}, {pop:?}");
            assert!(push.start <= pop.end, "popped before it was pushed: {push:?}, {pop:?}");
        }
        assert_eq!(pushes.len(), pops.len(), "lost or doubled at the end");
    }

    fn orders_are_kept(&self) {
        let places = of_kind(&self.producers, &[Kind::Push, Kind::Abort]);
        assert_eq!(contradiction(&places).map(|c| format!("{c:?}")), None, "pushes");
        for ops in &self.producers {
            let positions = ops.iter().filter(|op| op.kind == Kind::Push).map(|op| op.position);
            assert!(positions.is_sorted(), "a producer's messages changed places");
        }
        if self.claim == Claim::Ordered {
            let pops = of_kind(&self.consumers, &[Kind::Pop]);
            assert_eq!(contradiction(&pops).map(|c| format!("{c:?}")), None, "pops");
            for ops in &self.consumers {
                let positions = ops.iter().filter(|op| op.kind == Kind::Pop).map(|op| op.position);
                assert!(positions.is_sorted(), "a consumer saw positions fall");
            }
        }
    }

    /// A message is surely there from the return of its push until its pop begins. `Empty` is a lie if at each of its instants some message was.
    fn empty_was_empty(&self) {
        let pushes = of_kind(&self.producers, &[Kind::Push]);
        let pops = of_kind(&self.consumers, &[Kind::Pop]);
        let mut there: Vec<(u64, u64)> = pushes
            .iter()
            .zip(&pops)
            .map(|(push, pop)| (push.end, pop.start))
            .filter(|(from, to)| from < to)
            .collect();
        there.sort_unstable();
        let mut covered: Vec<(u64, u64)> = Vec::new();
        for (from, to) in there {
            match covered.last_mut() {
                Some(last) if from < last.1 => last.1 = last.1.max(to),
                _ => covered.push((from, to)),
            }
        }
        for op in of_kind(&self.consumers, &[Kind::Empty]) {
            let after = covered.partition_point(|&(from, _)| from < op.start);
            if after > 0 {
                let (from, to) = covered[after - 1];
                assert!(op.end >= to, "Empty, but never empty from {from} to {to}: {op:?}");
            }
        }
    }

    /// `Pending` needs a push that has begun and not returned.
    fn pending_was_pending(&self) {
        let mut places = of_kind(&self.producers, &[Kind::Push, Kind::Abort]);
        places.sort_by_key(|op| op.start);
        let mut last_end = 0;
        let ends: Vec<u64> = places
            .iter()
            .map(|op| {
                last_end = last_end.max(op.end);
                last_end
            })
            .collect();
        for op in of_kind(&self.consumers, &[Kind::Pending]) {
            let begun = places.partition_point(|place| place.start <= op.end);
            let overlaps = begun > 0 && ends[begun - 1] + self.on_its_way >= op.start;
            assert!(overlaps, "Pending, but nobody was pushing: {op:?}");
        }
    }

    /// `Full` needs as many places as there are cells between the first that was perhaps not given back and the last that was perhaps taken.
    fn full_was_full(&self) {
        let places = of_kind(&self.producers, &[Kind::Push, Kind::Abort]);
        let mut starts: Vec<(u64, u64)> = places.iter().map(|op| (op.start, op.position + 1)).collect();
        starts.sort_unstable();
        let mut tail = 0;
        for (_, position) in &mut starts {
            tail = tail.max(*position);
            *position = tail;
        }
        let mut done = of_kind(&self.consumers, &[Kind::Pop]);
        done.extend(of_kind(&self.producers, &[Kind::Abort]));
        // From the last to the first: the lowest position of those that were done so late or later.
        done.sort_by_key(|op| op.done);
        let mut lowest = tail;
        let mut open: Vec<(u64, u64)> = done
            .iter()
            .rev()
            .map(|op| {
                lowest = lowest.min(op.position);
                (op.done, lowest)
            })
            .collect();
        open.reverse();
        for op in of_kind(&self.producers, &[Kind::Full]) {
            let begun = starts.partition_point(|&(start, _)| start <= op.end);
            let taken = if begun == 0 { places[0].position } else { starts[begun - 1].1 };
            let ended = open.partition_point(|&(done, _)| done + self.on_its_way < op.start);
            let first = open.get(ended).map_or(tail, |&(_, position)| position);
            assert!(
                taken >= first + self.cells,
                "Full, but of {} cells at most {} were taken: {op:?}",
                self.cells,
                taken.saturating_sub(first)
            );
        }
    }

    fn count(&self, kind: Kind) -> usize {
        self.producers.iter().chain(&self.consumers).flatten().filter(|op| op.kind == kind).count()
    }
}

fn histories(claim: Claim) {
    let ops = number_from("RINGFILE_HISTORY_OPS", 100_000_u64);
    // A push and a pop each, three rings, two ways to claim.
    let messages = ops / 12;
    for (cells, longest) in [(4, 88), (16, 80), (64, 400)] {
        let history = record(claim, cells, longest, messages);
        history.check();
        let counts: Vec<_> = KINDS.iter().map(|&kind| (kind, history.count(kind))).collect();
        println!("{claim:?}, {cells} cells, messages of up to {longest} bytes: {counts:?}");
        // What did not happen was not checked.
        for kind in [Kind::Push, Kind::Abort, Kind::Pop, Kind::Empty, Kind::Full] {
            assert!(history.count(kind) > 0, "{kind:?} never happened");
        }
    }
}

#[test]
fn ordered_histories_are_those_of_a_fifo() {
    histories(Claim::Ordered);
}

#[test]
fn ticketed_histories_lose_and_double_nothing_and_are_honest() {
    histories(Claim::Ticketed);
}

// ---- the checks themselves --------------------------------------------------------------------------------------------

/// A history of one producer and one consumer in which everything is as it should be, to be spoilt.
fn sound() -> History {
    let op = |kind, start, end, position| Op {
        kind,
        start,
        end,
        done: end,
        position,
        producer: 0,
        number: position,
    };
    History {
        claim: Claim::Ordered,
        cells: 2,
        short: true,
        on_its_way: 0,
        producers: vec![vec![
            op(Kind::Push, 10, 20, 0),
            op(Kind::Push, 30, 40, 1),
            op(Kind::Full, 50, 60, 0),
            op(Kind::Push, 85, 90, 2),
        ]],
        consumers: vec![vec![
            op(Kind::Empty, 1, 5, 0),
            op(Kind::Pending, 12, 15, 0),
            op(Kind::Pop, 65, 70, 0),
            op(Kind::Pop, 100, 110, 1),
            op(Kind::Pop, 120, 130, 2),
            op(Kind::Empty, 140, 150, 0),
        ]],
    }
}

/// Each check finds what it is for: one that finds nothing anywhere would pass as well.
#[test]
fn the_checks_find_what_they_look_for() {
    sound().check();
    type Spoil = fn(&mut History);
    let spoils: [(&str, Spoil); 9] = [
        ("lost", |h| _ = h.consumers[0].remove(4)),
        ("doubled", |h| {
            let pop = h.consumers[0][4];
            h.consumers[0].push(pop);
        }),
        ("another's", |h| h.consumers[0][3].number = 7),
        ("popped before it was pushed", |h| {
            (h.consumers[0][2].start, h.consumers[0][2].end) = (2, 3);
        }),
        ("pushes out of turn", |h| h.producers[0][0].start = 41),
        ("pops out of turn", |h| h.consumers[0][2].start = 111),
        ("not empty", |h| (h.consumers[0][0].start, h.consumers[0][0].end) = (91, 94)),
        ("nobody pushes", |h| (h.consumers[0][1].start, h.consumers[0][1].end) = (21, 29)),
        ("not full", |h| (h.producers[0][2].start, h.producers[0][2].end) = (71, 80)),
    ];
    for (what, spoil) in spoils {
        let mut history = sound();
        spoil(&mut history);
        let found = std::panic::catch_unwind(|| history.check());
        assert!(found.is_err(), "the checks do not find: {what}");
    }
}
