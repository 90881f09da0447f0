//! The interface against a model that is a list: random sequences of calls, with everything the contract says about each answer.
//!
//! One thread makes all calls, so every answer can be foretold, `Full` included: the model does the arithmetic of cells and data units that
//! `docs/protocol.md` describes (sections 3 and 6). `PROPTEST_CASES=n` runs n sequences of each kind.

mod common;

use common::{Dir, UNIT_WRAP, WRAPS, number_from, pattern};
use proptest::prelude::*;
use ringfile::{Claim, Consumer, Options, PopTimeoutError, Producer, Queue, TryPopError, TryPushError};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

/// A length as a share of the longest, or one near a limit: 64 bytes, what fits a cell, the longest.
#[derive(Clone, Copy, Debug)]
enum Len {
    Share(u8),
    Near(u8, i8),
}

#[derive(Clone, Debug)]
enum End {
    Commit,
    CommitLen(u8),
    Abort,
    Forget,
}

#[derive(Clone, Debug)]
enum Op {
    Push(usize, Len),
    TooLarge(usize, u8),
    PushBatch(usize, Vec<Len>),
    /// Reserves, pops so often meanwhile, lets the other producer push meanwhile, and ends it.
    Reserve(usize, Len, u8, Option<Len>, End),
    Pop,
    PopTimeout,
    Claim(bool),
    ForgetClaim,
    ClaimBatch(u16, Option<u8>),
    ForgetBatch(u16, u8),
    Drain(u16),
    Close,
    Reopen,
    NewProducer(usize),
    NewConsumer,
    OpenAgain,
    Check,
    /// Consumes everything; then any message fits.
    Empty(Len),
}

fn len() -> impl Strategy<Value = Len> {
    prop_oneof![
        any::<u8>().prop_map(Len::Share),
        (0u8..4, -1i8..=1).prop_map(|(limit, by)| Len::Near(limit, by)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let end = prop_oneof![
        3 => Just(End::Commit),
        2 => any::<u8>().prop_map(End::CommitLen),
        2 => Just(End::Abort),
        1 => Just(End::Forget),
    ];
    prop_oneof![
        12 => (0usize..2, len()).prop_map(|(p, len)| Op::Push(p, len)),
        1 => (0usize..2, any::<u8>()).prop_map(|(p, more)| Op::TooLarge(p, more)),
        4 => (0usize..2, prop::collection::vec(len(), 0..6)).prop_map(|(p, lens)| Op::PushBatch(p, lens)),
        4 => (0usize..2, len(), 0u8..3, prop::option::of(len()), end)
            .prop_map(|(p, len, pops, other, end)| Op::Reserve(p, len, pops, other, end)),
        10 => Just(Op::Pop),
        1 => Just(Op::PopTimeout),
        4 => any::<bool>().prop_map(Op::Claim),
        1 => Just(Op::ForgetClaim),
        4 => (1u16..12, prop::option::of(0u8..12)).prop_map(|(max, first)| Op::ClaimBatch(max, first)),
        1 => (1u16..12, 0u8..12).prop_map(|(max, first)| Op::ForgetBatch(max, first)),
        2 => (1u16..12).prop_map(Op::Drain),
        1 => Just(Op::Close),
        2 => Just(Op::Reopen),
        1 => (0usize..2).prop_map(Op::NewProducer),
        1 => Just(Op::NewConsumer),
        1 => Just(Op::OpenAgain),
        2 => Just(Op::Check),
        1 => len().prop_map(Op::Empty),
    ]
}

/// The shape of a queue and where it is born.
#[derive(Clone, Debug)]
struct Shape {
    cells: u64,
    data: usize,
    cell_size: u32,
    ticketed: bool,
    /// Which wrap of the position it starts below, by how much, and the unit likewise; none is a queue born at 0.
    wrap: Option<(usize, u64, u64)>,
}

impl Shape {
    fn options(&self) -> Options {
        let mut options = Queue::options();
        options
            .capacity(self.data)
            .messages(self.cells)
            .cell_size(self.cell_size)
            .groups(1)
            .participants(4)
            .claim(if self.ticketed { Claim::Ticketed } else { Claim::Ordered })
            .born_at(self.first_position(), self.first_unit());
        options
    }

    /// How long a message may be that lies in its cell.
    fn inline_len(&self) -> usize {
        if self.cell_size == 64 { 32 } else { 88 }
    }

    fn first_position(&self) -> u64 {
        self.wrap.map_or(0, |(wrap, below, _)| (self.cells << WRAPS[wrap]) - below)
    }

    fn first_unit(&self) -> u64 {
        self.wrap.map_or(0, |(_, _, below)| UNIT_WRAP - below)
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    let sizes = prop_oneof![
        Just((2, 128)),
        Just((2, 8192)),
        Just((4, 256)),
        Just((8, 1024)),
        Just((64, 128)),
        Just((64, 8192)),
    ];
    let wrap = prop::option::weighted(0.8, (0usize..2, 0u64..30, 0u64..60));
    (sizes, prop_oneof![Just(64u32), Just(128)], any::<bool>(), wrap).prop_map(
        |((cells, data), cell_size, ticketed, wrap)| Shape { cells, data, cell_size, ticketed, wrap },
    )
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Message {
        bytes: Vec<u8>,
        deliveries: u32,
    },
    /// Reserved by this producer and leaked: nobody gets past it before the producer's next call.
    Open(usize),
    Skipped,
}

#[derive(Clone, Debug)]
struct Entry {
    position: u64,
    /// Where its data begins, in units since birth.
    unit: u64,
    what: What,
}

/// What a queue is: everything from the first position that is not finished.
struct Model {
    shape: Shape,
    entries: VecDeque<Entry>,
    tail: u64,
    unit: u64,
    closed: bool,
    max_len: usize,
    next_seed: u64,
    /// A Ticketed group of which a consumer has gone: places that it drew too early are passed by, so messages may come out of turn.
    out_of_turn: bool,
}

enum Room {
    Fits(Vec<u64>),
    Full,
    /// What is at the front is not published, so how much of the padding before it is free is not defined.
    Unsure(Vec<u64>),
    Never,
}

impl Model {
    fn units_of(&self, len: usize) -> u64 {
        if len <= self.shape.inline_len() { 0 } else { len.div_ceil(64) as u64 }
    }

    fn ring_units(&self) -> u64 {
        self.shape.data as u64 / 64
    }

    fn len_of(&self, len: Len) -> usize {
        match len {
            Len::Share(share) => share as usize * self.max_len / 255,
            Len::Near(limit, by) => {
                let limit = [0, 64, self.shape.inline_len(), self.max_len][limit as usize];
                limit.saturating_add_signed(by.into()).min(self.max_len)
            }
        }
    }

    /// Where each message of a reservation would begin, and where the tail would be then.
    fn place(&self, lens: &[usize]) -> (Vec<u64>, u64) {
        let ring = self.ring_units();
        let base = self.shape.first_unit();
        let mut unit = self.unit;
        let mut starts = Vec::new();
        for &len in lens {
            let units = self.units_of(len);
            let offset = (base.wrapping_add(unit)) % ring;
            if units > 0 && offset + units > ring {
                unit += ring - offset;
            }
            starts.push(unit);
            unit += units;
        }
        starts.push(unit);
        (starts, unit)
    }

    fn room(&self, lens: &[usize]) -> Room {
        let units: Vec<u64> = lens.iter().map(|&len| self.units_of(len)).collect();
        let longest = units.iter().max().copied().unwrap_or(0);
        let never = lens.len() as u64 > self.shape.cells
            || lens.len() > 1 && units.iter().sum::<u64>() + longest > self.ring_units();
        if never {
            return Room::Never;
        }
        let (starts, end) = self.place(lens);
        let first = self.entries.front();
        let cells = self.entries.len() + lens.len();
        let begin = first.map_or(self.unit, |entry| entry.unit);
        if cells as u64 > self.shape.cells || end - begin > self.ring_units() {
            Room::Full
        } else if first.is_some_and(|entry| matches!(entry.what, What::Open(_))) {
            Room::Unsure(starts)
        } else {
            Room::Fits(starts)
        }
    }

    fn append(&mut self, starts: &[u64], what: Vec<What>) -> u64 {
        let first = self.tail;
        for (what, &unit) in what.into_iter().zip(starts) {
            self.entries.push_back(Entry { position: self.tail, unit, what });
            self.tail += 1;
        }
        self.unit = *starts.last().expect("the end is there");
        self.trim();
        first
    }

    /// What is skipped or finished at the front holds nothing.
    fn trim(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.what == What::Skipped) {
            self.entries.pop_front();
        }
    }

    /// Each call of a producer ends what it leaked.
    fn producer_called(&mut self, producer: usize) {
        for entry in &mut self.entries {
            if entry.what == What::Open(producer) {
                entry.what = What::Skipped;
            }
        }
        self.trim();
    }

    fn messages(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.what, What::Message { .. })).count()
    }

    /// What a consumer that is alone finds: a message, or why there is none.
    fn next(&mut self) -> Result<usize, TryPopError> {
        for (i, entry) in self.entries.iter().enumerate() {
            match entry.what {
                What::Message { .. } => return Ok(i),
                What::Open(_) => return Err(TryPopError::Pending),
                What::Skipped => {}
            }
        }
        Err(if self.closed { TryPopError::Closed } else { TryPopError::Empty })
    }

    /// Whether a claim may answer with this position.
    fn may_deliver(&mut self, position: u64) -> bool {
        match self.next() {
            Ok(i) if !self.out_of_turn => self.entries[i].position == position,
            Err(TryPopError::Pending) if !self.out_of_turn => false,
            _ => self
                .entries
                .iter()
                .any(|entry| entry.position == position && matches!(entry.what, What::Message { .. })),
        }
    }

    /// Claims a message: its position, bytes, and how often it has now been delivered.
    fn claim(&mut self, position: u64) -> (u64, Vec<u8>, u32) {
        let entry = self.entries.iter_mut().find(|entry| entry.position == position);
        let entry = entry.expect("it may be delivered");
        let What::Message { bytes, deliveries } = &mut entry.what else {
            panic!("only messages are claimed");
        };
        *deliveries += 1;
        (entry.position, bytes.clone(), *deliveries)
    }

    fn finish(&mut self, position: u64) {
        let entry = self.entries.iter_mut().find(|entry| entry.position == position);
        entry.expect("it is not finished yet").what = What::Skipped;
        self.trim();
    }
}

struct Run {
    model: Model,
    queue: Option<Queue>,
    producers: [Option<Producer>; 2],
    consumer: Option<Consumer>,
    path: PathBuf,
    _dir: Dir,
}

impl Run {
    fn new(shape: &Shape) -> Run {
        let dir = Dir::new();
        let path = dir.file("q");
        let queue = shape.options().open(&path).unwrap();
        let max_len = queue.max_message_len();
        assert_eq!(max_len, (shape.data / 2).max(shape.inline_len()));
        let mut run = Run {
            model: Model {
                shape: shape.clone(),
                entries: VecDeque::new(),
                tail: shape.first_position(),
                unit: 0,
                closed: false,
                max_len,
                next_seed: 0,
                out_of_turn: false,
            },
            queue: Some(queue),
            producers: [None, None],
            consumer: None,
            path,
            _dir: dir,
        };
        run.attach();
        run
    }

    fn queue(&self) -> &Queue {
        self.queue.as_ref().expect("open")
    }

    fn attach(&mut self) {
        self.producers = [0, 1].map(|_| Some(self.queue().producer().unwrap()));
        self.consumer = Some(self.queue().consumer().unwrap());
    }

    fn message(&mut self, len: usize) -> Vec<u8> {
        self.model.next_seed += 1;
        pattern(self.model.next_seed, len)
    }

    /// What a push of these messages must answer; `Ok` has the first position.
    fn pushed(
        &mut self,
        lens: &[usize],
        what: Vec<What>,
        answer: Result<u64, TryPushError>,
    ) -> Result<(), TestCaseError> {
        let model = &mut self.model;
        let room = model.room(lens);
        match (room, answer) {
            (Room::Never, Err(TryPushError::BatchTooLarge { messages, .. })) => {
                prop_assert_eq!(messages, lens.len());
            }
            (_, Err(TryPushError::Closed)) if model.closed => {}
            (Room::Full | Room::Unsure(_), Err(TryPushError::Full)) => {
                prop_assert!(!model.closed);
            }
            (Room::Fits(starts) | Room::Unsure(starts), Ok(first)) => {
                prop_assert!(!model.closed);
                let expected = model.append(&starts, what);
                prop_assert_eq!(first, expected, "positions are dense");
            }
            (room, answer) => {
                let room = match room {
                    Room::Fits(_) => "fits",
                    Room::Full => "does not fit",
                    Room::Unsure(_) => "may fit",
                    Room::Never => "never fits",
                };
                prop_assert!(
                    false,
                    "{:?} for {:?}, which {}; closed: {}, {} entries, unit {} of {}, first {:?}",
                    answer,
                    lens,
                    room,
                    model.closed,
                    model.entries.len(),
                    model.unit,
                    model.ring_units(),
                    model.entries.front().map(|entry| entry.unit)
                );
            }
        }
        Ok(())
    }

    fn push(&mut self, p: usize, len: Len) -> Result<(), TestCaseError> {
        self.model.producer_called(p);
        let len = self.model.len_of(len);
        let bytes = self.message(len);
        let answer = self.producers[p].as_mut().unwrap().try_push(&bytes);
        let what = What::Message { bytes, deliveries: 0 };
        self.pushed(&[len], vec![what], answer.map(|position| position.get()))
    }

    fn pop(&mut self) -> Result<bool, TestCaseError> {
        let expected = self.model.next();
        let mut bytes = b"left over".to_vec();
        let answer = self.consumer.as_mut().unwrap().try_pop_into(&mut bytes);
        match (expected, answer) {
            (_, Ok(position)) if self.model.may_deliver(position.get()) => {
                let (at, expected, _) = self.model.claim(position.get());
                prop_assert_eq!(bytes, expected);
                self.model.finish(at);
                Ok(true)
            }
            (Err(expected), Err(error)) => {
                prop_assert_eq!(error, expected);
                Ok(false)
            }
            (expected, answer) => {
                prop_assert!(false, "{:?} instead of {:?}", answer, expected);
                Ok(false)
            }
        }
    }

    fn batch(&mut self, max: usize, ack_first: Option<usize>, forgets: bool) -> Result<(), TestCaseError> {
        let expected = self.model.next();
        let consumer = self.consumer.as_mut().unwrap();
        let mut batch = match (expected, consumer.try_claim_batch(max)) {
            (_, Ok(batch)) => batch,
            (Err(expected), Err(error)) => {
                prop_assert_eq!(error, expected);
                return Ok(());
            }
            (expected, answer) => {
                prop_assert!(false, "{:?} instead of {:?}", answer, expected);
                return Ok(());
            }
        };
        let held: Vec<(u64, Vec<u8>)> =
            batch.messages().map(|(at, message)| (at.get(), message.to_vec())).collect();
        prop_assert!((1..=max).contains(&held.len()), "{} of {}", held.len(), max);
        prop_assert_eq!(batch.len(), held.len());
        let first = batch.deliveries();
        let acked = match ack_first {
            Some(count) => {
                let count = count.min(held.len());
                batch.ack_first(count).unwrap();
                let rest: Vec<Vec<u8>> = batch.iter().map(<[u8]>::to_vec).collect();
                let expected: Vec<Vec<u8>> = held[count..].iter().map(|(_, m)| m.clone()).collect();
                prop_assert_eq!(rest, expected);
                prop_assert_eq!(batch.is_empty(), count == held.len());
                if forgets {
                    std::mem::forget(batch);
                } else {
                    drop(batch);
                }
                count
            }
            None => {
                batch.ack().unwrap();
                held.len()
            }
        };
        // The first is the next, the others follow it with nothing but skipped places between.
        prop_assert!(self.model.may_deliver(held[0].0), "not the next: {:?}", held[0].0);
        let entries = &self.model.entries;
        let from = entries.iter().position(|entry| entry.position == held[0].0).expect("it may be delivered");
        let following: Vec<u64> = entries
            .range(from..)
            .take_while(|entry| !matches!(entry.what, What::Open(_)))
            .filter(|entry| matches!(entry.what, What::Message { .. }))
            .map(|entry| entry.position)
            .take(held.len())
            .collect();
        let positions: Vec<u64> = held.iter().map(|(position, _)| *position).collect();
        prop_assert_eq!(&positions, &following);
        let mut finished = Vec::new();
        for (k, (position, bytes)) in held.iter().enumerate() {
            let (at, expected, deliveries) = self.model.claim(*position);
            prop_assert_eq!(bytes, &expected);
            if k == 0 {
                prop_assert_eq!(first, deliveries);
            }
            if k < acked {
                finished.push(at);
            }
        }
        for at in finished {
            self.model.finish(at);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let queue = self.queue();
        prop_assert_eq!(queue.len(), self.model.messages());
        prop_assert_eq!(queue.is_empty(), self.model.messages() == 0);
        prop_assert_eq!(queue.is_closed(), self.model.closed);
        let found = queue.verify();
        prop_assert!(found.is_sound(), "{:?}", found);
        let stats = queue.stats();
        prop_assert_eq!(stats.tail, self.model.tail);
        prop_assert_eq!(stats.groups[0].len, self.model.messages());
        let frontier = self.model.entries.front().map_or(self.model.tail, |entry| entry.position);
        prop_assert_eq!(stats.groups[0].frontier, frontier);
        prop_assert_eq!(stats.participants.len(), 3);
        Ok(())
    }

    fn step(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Push(p, len) => self.push(*p, *len)?,
            Op::TooLarge(p, more) => {
                self.model.producer_called(*p);
                let (len, max) = (self.model.max_len + 1 + *more as usize, self.model.max_len);
                let answer = self.producers[*p].as_mut().unwrap().try_push(&vec![0; len]);
                prop_assert_eq!(answer, Err(TryPushError::TooLarge { len, max }));
                let answer = self.producers[*p].as_mut().unwrap().try_push_batch(&[vec![], vec![0; len]]);
                prop_assert_eq!(answer.err(), Some(TryPushError::TooLarge { len, max }));
            }
            Op::PushBatch(p, lens) => {
                let lens: Vec<usize> = lens.iter().map(|&len| self.model.len_of(len)).collect();
                let messages: Vec<Vec<u8>> = lens.iter().map(|&len| self.message(len)).collect();
                if !matches!(self.model.room(&lens), Room::Never) && !lens.is_empty() {
                    self.model.producer_called(*p);
                }
                let producer = self.producers[*p].as_mut().unwrap();
                let answer = producer.try_push_batch(&messages);
                if lens.is_empty() {
                    prop_assert_eq!(answer.map(|positions| positions.len()), Ok(0));
                    return Ok(());
                }
                if let Ok(positions) = &answer {
                    prop_assert_eq!(positions.len(), lens.len());
                }
                let what = messages.into_iter().map(|bytes| What::Message { bytes, deliveries: 0 }).collect();
                let answer = answer.map(|positions| positions.first().expect("not empty").get());
                self.pushed(&lens, what, answer)?;
            }
            Op::Reserve(p, len, pops, other, end) => {
                self.model.producer_called(*p);
                let len = self.model.len_of(*len);
                let bytes = self.message(len);
                let mut producer = self.producers[*p].take().unwrap();
                let reserved = producer.try_reserve(len);
                if let Err(error) = reserved {
                    drop(reserved);
                    self.producers[*p] = Some(producer);
                    return self.pushed(&[len], vec![], Err(error));
                }
                let mut place = reserved.unwrap();
                let position = place.position().get();
                self.pushed(&[len], vec![What::Open(*p)], Ok(position))?;
                prop_assert_eq!(place.len(), len);
                for _ in 0..*pops {
                    self.pop()?;
                }
                if let Some(len) = other {
                    self.push(1 - p, *len)?;
                }
                place.copy_from_slice(&bytes);
                let becomes = match end {
                    End::Commit => {
                        prop_assert_eq!(place.commit().get(), position);
                        Some(bytes)
                    }
                    End::CommitLen(share) => {
                        let len = *share as usize * len / 255;
                        prop_assert_eq!(place.commit_len(len).get(), position);
                        Some(bytes[..len].to_vec())
                    }
                    End::Abort => {
                        drop(place);
                        None
                    }
                    End::Forget => {
                        std::mem::forget(place);
                        self.producers[*p] = Some(producer);
                        return Ok(());
                    }
                };
                self.producers[*p] = Some(producer);
                let entry = self.model.entries.iter_mut().find(|entry| entry.position == position);
                entry.expect("it was open").what = match becomes {
                    Some(bytes) => What::Message { bytes, deliveries: 0 },
                    None => What::Skipped,
                };
                self.model.trim();
            }
            Op::Pop => _ = self.pop()?,
            Op::PopTimeout => {
                let expected = self.model.next();
                let consumer = self.consumer.as_mut().unwrap();
                match (expected, consumer.claim_timeout(Duration::from_micros(10))) {
                    (_, Ok(delivery)) if self.model.may_deliver(delivery.position().get()) => {
                        let (at, expected, _) = self.model.claim(delivery.position().get());
                        prop_assert_eq!(&*delivery, expected);
                        delivery.ack().unwrap();
                        self.model.finish(at);
                    }
                    (Err(TryPopError::Closed), Err(PopTimeoutError::Closed)) => {}
                    (Err(TryPopError::Empty | TryPopError::Pending), Err(PopTimeoutError::Timeout)) => {}
                    (expected, answer) => {
                        prop_assert!(false, "{:?} instead of {:?}", answer, expected);
                    }
                }
            }
            Op::Claim(_) | Op::ForgetClaim => {
                let expected = self.model.next();
                match (expected, self.consumer.as_mut().unwrap().try_claim()) {
                    (_, Ok(delivery)) if self.model.may_deliver(delivery.position().get()) => {
                        let (at, bytes, deliveries) = self.model.claim(delivery.position().get());
                        prop_assert_eq!(delivery.deliveries(), deliveries);
                        prop_assert_eq!(&*delivery, &*bytes);
                        match op {
                            Op::Claim(true) => {
                                delivery.ack().unwrap();
                                self.model.finish(at);
                            }
                            Op::Claim(false) => delivery.release(),
                            _ => std::mem::forget(delivery),
                        }
                    }
                    (Err(expected), Err(error)) => prop_assert_eq!(error, expected),
                    (expected, answer) => {
                        prop_assert!(false, "{:?} instead of {:?}", answer, expected);
                    }
                }
            }
            Op::ClaimBatch(max, first) => {
                self.batch((*max).into(), first.map(usize::from), false)?;
            }
            Op::ForgetBatch(max, first) => {
                self.batch((*max).into(), Some((*first).into()), true)?;
            }
            // The closure is shown no positions, so out of turn the model could not tell equal messages from each other.
            Op::Drain(max) if self.model.out_of_turn => self.batch((*max).into(), None, false)?,
            Op::Drain(max) => {
                let expected = self.model.next();
                let mut seen = Vec::new();
                let consumer = self.consumer.as_mut().unwrap();
                let answer = consumer.try_drain((*max).into(), |message| seen.push(message.to_vec()));
                match expected {
                    Err(expected) => prop_assert_eq!(answer, Err(expected)),
                    Ok(_) => {
                        prop_assert_eq!(answer, Ok(seen.len()));
                        prop_assert!((1..=usize::from(*max)).contains(&seen.len()));
                    }
                }
                for bytes in seen {
                    let next = self.model.next();
                    prop_assert!(next.is_ok(), "more messages than there are");
                    let next = self.model.entries[next.unwrap()].position;
                    let (at, expected, _) = self.model.claim(next);
                    prop_assert_eq!(bytes, expected);
                    self.model.finish(at);
                }
            }
            Op::Close => {
                self.queue().close();
                self.model.closed = true;
            }
            Op::Reopen => {
                self.queue().reopen();
                self.model.closed = false;
            }
            Op::NewProducer(p) => {
                self.producers[*p] = None;
                self.model.producer_called(*p);
                self.producers[*p] = Some(self.queue().producer().unwrap());
            }
            Op::NewConsumer => {
                self.consumer = None;
                self.model.out_of_turn |= self.model.shape.ticketed;
                self.consumer = Some(self.queue().consumer().unwrap());
            }
            Op::OpenAgain => {
                self.queue = None;
                self.consumer = None;
                self.model.out_of_turn |= self.model.shape.ticketed;
                self.producers = [None, None];
                self.model.producer_called(0);
                self.model.producer_called(1);
                let again = Queue::options().open(&self.path).unwrap();
                prop_assert!(!again.is_new());
                self.queue = Some(again);
                self.attach();
            }
            Op::Check => self.check()?,
            Op::Empty(len) => {
                // What a producer leaked would be in the way.
                self.step(&Op::NewProducer(0))?;
                self.step(&Op::NewProducer(1))?;
                while self.pop()? {}
                self.step(&Op::Reopen)?;
                prop_assert_eq!(self.queue().len(), 0);
                let len = self.model.len_of(*len);
                let fits = matches!(self.model.room(&[len]), Room::Fits(_));
                prop_assert!(fits, "an empty ring has room for every message");
                self.push(0, Len::Near(3, 0))?;
                prop_assert_eq!(self.queue().len(), 1);
            }
        }
        Ok(())
    }
}

fn cases() -> u32 {
    number_from("PROPTEST_CASES", 1000)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        // What fails is printed whole; the tree is not the place for it.
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_answer_is_the_models(shape in shape(), ops in prop::collection::vec(op(), 1..80)) {
        let mut run = Run::new(&shape);
        for op in &ops {
            run.step(op)?;
        }
        run.check()?;
    }
}
