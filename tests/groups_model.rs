//! Groups, rewinds, retention and replay against a plain model, one call after another.
//!
//! Where the library may have done more or less meanwhile (who frees what, and when), the model says between what, and the next call must fit.

mod common;

use common::{CLAIMS, Dir, below_wrap, message, number_from};
use proptest::prelude::*;
use ringfile::{
    AttachError, Claim, Consumer, Delivery, Group, Options, Position, Queue, RewindError, Start, TryPopError,
    TryPushError,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

const NAMES: [&str; 4] = ["default", "a", "b", "c"];
const MAX_GROUPS: usize = 3;
/// The consumers of a group: one pops, the others hold.
const MEMBERS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Push(Vec<u8>),
    Pop(usize, u8),
    PopAll(usize),
    Claim(usize),
    Settle(u8, bool),
    Rewind(usize),
    Create(usize, u8, bool),
    Remove(usize),
    SetRetain(u64),
    Reap,
    Reopen,
    NewMember(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let group = || prop_oneof![3 => Just(0usize), 2 => 1usize..4];
    prop_oneof![
        12 => prop::collection::vec(any::<u8>(), 1..3).prop_map(Op::Push),
        8 => (group(), 1u8..6).prop_map(|(g, n)| Op::Pop(g, n)),
        3 => group().prop_map(Op::PopAll),
        4 => group().prop_map(Op::Claim),
        5 => (any::<u8>(), any::<bool>()).prop_map(|(k, acks)| Op::Settle(k, acks)),
        3 => group().prop_map(Op::Rewind),
        4 => (group(), any::<u8>(), any::<bool>()).prop_map(|(g, start, ticketed)| Op::Create(g, start, ticketed)),
        2 => group().prop_map(Op::Remove),
        1 => prop_oneof![0u64..5, 5u64..100].prop_map(Op::SetRetain),
        2 => Just(Op::Reap),
        1 => Just(Op::Reopen),
        1 => group().prop_map(Op::NewMember),
    ]
}

#[derive(Clone, Debug)]
struct Shape {
    cells: u64,
    data: usize,
    /// The longest message in bytes.
    longest: usize,
    retain: u64,
    ticketed: bool,
    before: u64,
}

fn shape() -> impl Strategy<Value = Shape> {
    let sizes =
        prop_oneof![Just((16, 8192, 88)), Just((4, 1024, 88)), Just((64, 2048, 1024)), Just((8, 2048, 700))];
    let retain = prop_oneof![Just(0u64), 1u64..5, Just(1000u64)];
    (sizes, retain, any::<bool>(), 0u64..40).prop_map(|((cells, data, longest), retain, ticketed, before)| {
        Shape { cells, data, longest, retain, ticketed, before }
    })
}

struct Kept {
    unit: u64,
    bytes: Vec<u8>,
}

/// A group of the model: what it has not finished lies between `from` and the tail and is not `done`.
#[derive(Clone, Debug)]
struct Mine {
    life: u64,
    ticketed: bool,
    from: u64,
    done: BTreeSet<u64>,
    held: BTreeSet<u64>,
    deliveries: BTreeMap<u64, u32>,
}

impl Mine {
    fn frontier(&self, tail: u64) -> u64 {
        (self.from..tail).find(|at| !self.done.contains(at)).unwrap_or(tail)
    }

    fn open(&self, tail: u64) -> u64 {
        (self.from..tail).filter(|at| !self.done.contains(at)).count() as u64
    }

    /// What a consumer may get: the oldest that nobody holds.
    fn unclaimed(&self, tail: u64) -> impl Iterator<Item = u64> {
        (self.from..tail).filter(|at| !self.done.contains(at) && !self.held.contains(at))
    }
}

/// A group that was removed or rewound while claims were held in it.
#[derive(Debug)]
struct Ghost {
    life: u64,
    frontier: u64,
    held: BTreeSet<u64>,
}

/// A delivery with its consumer, across steps.
struct Held {
    delivery: Option<Delivery<'static>>,
    consumer: *mut Consumer,
    group: usize,
    life: u64,
    position: u64,
    bytes: Vec<u8>,
}

impl Held {
    fn claim(consumer: Consumer) -> Result<Held, Box<(Consumer, TryPopError)>> {
        let consumer = Box::into_raw(Box::new(consumer));
        // SAFETY: from a box, and nobody else has it until this is dropped, after the delivery.
        match unsafe { &mut *consumer }.try_claim() {
            Ok(delivery) => {
                let (position, bytes) = (delivery.position().get(), delivery.to_vec());
                Ok(Held { delivery: Some(delivery), consumer, group: 0, life: 0, position, bytes })
            }
            Err(error) => {
                // SAFETY: from a box, and nothing of it is lent.
                let consumer = *unsafe { Box::from_raw(consumer) };
                Err(Box::new((consumer, error)))
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.delivery.take();
        // SAFETY: from a box, and the delivery that borrowed it is gone.
        drop(unsafe { Box::from_raw(self.consumer) });
    }
}

struct Model {
    shape: Shape,
    queue: Option<Queue>,
    path: PathBuf,
    _dir: Dir,
    members: BTreeMap<usize, VecDeque<Consumer>>,
    held: Vec<Held>,
    groups: BTreeMap<usize, Mine>,
    ghosts: Vec<Ghost>,
    /// Where the last group stood that was removed.
    frozen: u64,
    /// From `reaped` to `tail`: positions are dense.
    kept: VecDeque<Kept>,
    reaped: u64,
    tail: u64,
    unit: u64,
    retain: u64,
    gave_way: u64,
    next: u64,
}

impl Model {
    fn new(shape: &Shape) -> Model {
        let dir = Dir::new();
        let path = dir.file("q");
        let queue = Model::options(shape).open(&path).unwrap();
        let first = queue.stats().tail;
        let mut model = Model {
            shape: shape.clone(),
            queue: Some(queue),
            path,
            _dir: dir,
            members: BTreeMap::new(),
            held: Vec::new(),
            groups: BTreeMap::new(),
            ghosts: Vec::new(),
            frozen: first,
            kept: VecDeque::new(),
            reaped: first,
            tail: first,
            unit: 0,
            retain: shape.retain,
            gave_way: 0,
            next: 1,
        };
        model.begin(0, first, shape.ticketed);
        model.attach(0);
        model
    }

    fn options(shape: &Shape) -> Options {
        let mut options = below_wrap(shape.cells, shape.before);
        options.capacity(shape.data).groups(MAX_GROUPS as u32).retain(shape.retain);
        options.claim(if shape.ticketed { Claim::Ticketed } else { Claim::Ordered });
        options
    }

    fn queue(&self) -> &Queue {
        self.queue.as_ref().unwrap()
    }

    fn begin(&mut self, group: usize, from: u64, ticketed: bool) {
        let life = self.next;
        self.next += 1;
        let (done, held, deliveries) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        self.groups.insert(group, Mine { life, ticketed, from, done, held, deliveries });
    }

    fn attach(&mut self, group: usize) {
        let group_handle = self.queue().group(NAMES[group]).unwrap();
        let members = (0..MEMBERS).map(|_| group_handle.consumer().unwrap()).collect();
        self.members.insert(group, members);
    }

    /// Between which positions lies what is not finished by all: the same twice, unless something is left undefined.
    fn frontier(&self) -> (u64, u64) {
        let of_groups = self.groups.values().map(|group| group.frontier(self.tail)).min();
        let (mut low, mut high) = match of_groups {
            Some(frontier) => (frontier, frontier),
            None => (self.reaped, self.frozen),
        };
        for ghost in &self.ghosts {
            // When nothing is held in it any more, it is gone as soon as somebody needs it to be.
            low = low.min(ghost.frontier);
            high = high.min(ghost.held.first().copied().unwrap_or(u64::MAX));
        }
        (low.max(self.reaped), high.max(self.reaped))
    }

    /// Between which positions begins what is kept.
    fn oldest(&self) -> (u64, u64) {
        let (low, high) = self.frontier();
        let of = |frontier: u64| frontier.saturating_sub(self.retain).max(self.reaped);
        (of(low), of(high))
    }

    fn bytes(&self, at: u64) -> &[u8] {
        &self.kept[(at - self.reaped) as usize].bytes
    }

    fn unit_at(&self, at: u64) -> u64 {
        self.kept.get((at - self.reaped) as usize).map_or(self.unit, |kept| kept.unit)
    }

    /// What was given back meanwhile. `most`: not beyond that.
    fn reaped_until(&mut self, most: u64) -> Result<(), TestCaseError> {
        let reaped = self.queue().stats().reaped;
        prop_assert!(
            (self.reaped..=most.max(self.reaped)).contains(&reaped),
            "reaped {} to {}, not beyond {}",
            self.reaped,
            reaped,
            most
        );
        self.kept.drain(..(reaped - self.reaped) as usize);
        self.reaped = reaped;
        Ok(())
    }

    fn push(&mut self, shares: &[u8]) -> Result<(), TestCaseError> {
        let ring = self.shape.data as u64 / 64;
        let messages: Vec<Vec<u8>> = shares
            .iter()
            .map(|&share| {
                self.next += 1;
                let len = 8 + (self.shape.longest - 8) * usize::from(share) / 255;
                message(self.next, len.min(self.shape.data / 2))
            })
            .collect();
        let mut unit = self.unit;
        let mut starts = Vec::new();
        let mut longest = 0;
        let mut sum = 0;
        for message in &messages {
            let units = if message.len() <= 88 { 0 } else { message.len().div_ceil(64) as u64 };
            (longest, sum) = (longest.max(units), sum + units);
            let offset = (common::UNIT_WRAP - self.shape.before + unit) % ring;
            if units > 0 && offset + units > ring {
                unit += ring - offset;
            }
            starts.push(unit);
            unit += units;
        }
        if messages.len() as u64 > self.shape.cells || messages.len() > 1 && sum + longest > ring {
            return Ok(());
        }
        let fits = |model: &Model, oldest: u64| {
            let begin = model.unit_at(oldest);
            model.tail + messages.len() as u64 - oldest <= model.shape.cells && unit - begin <= ring
        };
        // Where what is kept would begin after this, if it fits, for either end of what is not defined.
        let gives = |model: &Model, oldest: u64, frontier: u64| {
            let drained = frontier == model.tail;
            let mut oldest = oldest;
            while !fits(model, oldest) {
                let cells = frontier - oldest;
                let units = model.unit_at(frontier) - model.unit_at(oldest);
                let gives_way =
                    oldest < frontier && (drained || 2 * cells > model.shape.cells || 2 * units > ring);
                if !gives_way {
                    return Err(oldest);
                }
                oldest += 1;
            }
            Ok(oldest)
        };
        // Who needs room brings them to their end; who needs none may leave them.
        let (haunting, laid): (Vec<Ghost>, Vec<Ghost>) =
            std::mem::take(&mut self.ghosts).into_iter().partition(|g| !g.held.is_empty());
        self.ghosts = haunting;
        let (frontiers, oldests) = (self.frontier(), self.oldest());
        let least = gives(self, oldests.0, frontiers.0);
        let most = gives(self, oldests.1, frontiers.1);
        let answer = self.queue().producer().unwrap().try_push_batch(&messages);
        let state = format!(
            "{answer:?} for {:?}: kept from {:?}, not finished from {frontiers:?} to {}, {} cells, half: {} units; could keep from {least:?} or {most:?}",
            messages.iter().map(Vec::len).collect::<Vec<_>>(),
            oldests,
            self.tail,
            self.shape.cells,
            ring / 2,
        );
        let before = self.queue().stats().reaped;
        let gave_way = self.queue().stats().gave_way - self.gave_way;
        self.gave_way += gave_way;
        if oldests.0 == oldests.1 {
            prop_assert_eq!(gave_way, before.saturating_sub(oldests.0), "{}", state);
        }
        match answer {
            Ok(positions) => {
                prop_assert!(most.is_ok(), "{}", state);
                prop_assert_eq!(positions.first().unwrap().get(), self.tail);
                self.reaped_until(most.unwrap().max(oldests.1))?;
                prop_assert!(fits(self, self.reaped.max(oldests.0)) || fits(self, self.reaped), "{}", state);
                for (bytes, unit) in messages.into_iter().zip(starts) {
                    self.kept.push_back(Kept { unit, bytes });
                    self.tail += 1;
                }
                self.unit = unit;
            }
            Err(TryPushError::Full) => {
                // Without a group nobody looks how much of the padding before the first message is free.
                prop_assert!(least.is_err() || self.groups.is_empty(), "{}", state);
                self.reaped_until(most.unwrap_or_else(|oldest| oldest))?;
            }
            Err(error) => prop_assert!(false, "{:?}: {}", error, state),
        }
        self.ghosts.extend(laid);
        Ok(())
    }

    /// Whether this answer to who asks for a message can be.
    fn may_be(&self, group: usize, answer: &Result<u64, TryPopError>) -> Result<(), TestCaseError> {
        let Some(mine) = self.groups.get(&group) else {
            prop_assert_eq!(answer, &Err(TryPopError::Removed));
            return Ok(());
        };
        let unclaimed: Vec<u64> = mine.unclaimed(self.tail).collect();
        match answer {
            Ok(at) => {
                let is_next = unclaimed.first() == Some(at);
                prop_assert!(
                    is_next || mine.ticketed && unclaimed.contains(at),
                    "{} of {:?} in {:?}",
                    at,
                    unclaimed,
                    mine
                );
            }
            Err(error) => {
                prop_assert_eq!(error, &TryPopError::Empty);
                prop_assert!(unclaimed.is_empty(), "{:?} of {:?} in {:?}", error, unclaimed, mine);
            }
        }
        Ok(())
    }

    fn pop(&mut self, group: usize) -> Result<bool, TestCaseError> {
        let Some(consumer) = self.members.get_mut(&group).and_then(|members| members.front_mut()) else {
            return Ok(false);
        };
        let mut bytes = Vec::new();
        let answer = consumer.try_pop_into(&mut bytes).map(Position::get);
        self.may_be(group, &answer)?;
        let Ok(at) = answer else {
            return Ok(false);
        };
        prop_assert_eq!(&bytes[..], self.bytes(at));
        let (tail, mine) = (self.tail, self.groups.get_mut(&group).unwrap());
        *mine.deliveries.entry(at).or_insert(0) += 1;
        mine.done.insert(at);
        prop_assert!(mine.frontier(tail) <= tail);
        Ok(true)
    }

    /// A life ends: what is held in it is left behind.
    fn end(&mut self, group: usize) -> Mine {
        let mine = self.groups.remove(&group).unwrap();
        if !mine.held.is_empty() {
            let (life, frontier) = (mine.life, mine.frontier(self.tail));
            self.ghosts.push(Ghost { life, frontier, held: mine.held.clone() });
        }
        mine
    }

    fn settled(&mut self, held: &Held, acked: bool) {
        if let Some(mine) = self.groups.get_mut(&held.group).filter(|mine| mine.life == held.life) {
            mine.held.remove(&held.position);
            if acked {
                mine.done.insert(held.position);
            }
        }
        for ghost in &mut self.ghosts {
            if ghost.life == held.life {
                ghost.held.remove(&held.position);
            }
        }
    }

    fn is_haunted(&self) -> bool {
        self.ghosts.iter().any(|ghost| !ghost.held.is_empty())
    }

    fn lay_ghosts(&mut self) {
        self.ghosts.retain(|ghost| !ghost.held.is_empty());
    }

    fn step(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Push(shares) => self.push(shares)?,
            Op::Pop(group, times) => {
                for _ in 0..*times {
                    if !self.pop(*group)? {
                        break;
                    }
                }
            }
            Op::PopAll(group) => while self.pop(*group)? {},
            Op::Claim(group) => {
                if self.members.get(group).is_none_or(|members| members.len() < 2) {
                    return Ok(());
                }
                let consumer = self.members.get_mut(group).unwrap().pop_back().unwrap();
                match Held::claim(consumer) {
                    Ok(mut held) => {
                        self.may_be(*group, &Ok(held.position))?;
                        prop_assert_eq!(&held.bytes[..], self.bytes(held.position));
                        let mine = self.groups.get_mut(group).unwrap();
                        let deliveries = mine.deliveries.entry(held.position).or_insert(0);
                        *deliveries += 1;
                        prop_assert_eq!(held.delivery.as_ref().unwrap().deliveries(), *deliveries);
                        mine.held.insert(held.position);
                        (held.group, held.life) = (*group, mine.life);
                        self.held.push(held);
                    }
                    Err(refused) => {
                        let (consumer, error) = *refused;
                        self.may_be(*group, &Err(error))?;
                        self.members.get_mut(group).unwrap().push_back(consumer);
                    }
                }
            }
            Op::Settle(k, acks) => {
                if self.held.is_empty() {
                    return Ok(());
                }
                let mut held = self.held.remove(usize::from(*k) % self.held.len());
                let delivery = held.delivery.take().unwrap();
                prop_assert_eq!(&*delivery, &held.bytes[..], "bytes that are held");
                if *acks {
                    prop_assert_eq!(delivery.ack(), Ok(()));
                } else {
                    drop(delivery);
                }
                self.settled(&held, *acks);
            }
            Op::Rewind(group) => {
                let (low, high) = self.oldest();
                let answer = self.handle(*group)?.rewind();
                self.reaped_until(high)?;
                let Some(mine) = self.groups.get(group) else {
                    prop_assert_eq!(answer, Err(RewindError::Removed));
                    return Ok(());
                };
                match answer {
                    Ok(again) => {
                        let open = mine.open(self.tail);
                        let ticketed = mine.ticketed;
                        let begins = self.queue().group(NAMES[*group]).unwrap().stats().unwrap().frontier;
                        prop_assert!((low..=high).contains(&begins), "{} of {}..={}", begins, low, high);
                        prop_assert_eq!(again, self.tail - begins - open);
                        self.end(*group);
                        self.begin(*group, begins, ticketed);
                    }
                    Err(error) => {
                        prop_assert_eq!(error, RewindError::Busy);
                        prop_assert!(self.is_haunted(), "busy, but nothing is held");
                    }
                }
            }
            Op::Create(group, start, ticketed) => {
                let (low, high) = self.oldest();
                let claim = CLAIMS[usize::from(*ticketed)];
                let at = low.saturating_sub(1) + u64::from(*start) % (self.tail + 3 - low);
                let asked = match start % 3 {
                    0 => Start::Oldest,
                    1 => Start::Next,
                    _ => Start::At(at.into()),
                };
                let made = self.queue().group_with(NAMES[*group], asked, claim);
                self.reaped_until(high)?;
                if self.groups.contains_key(group) {
                    prop_assert!(made.is_ok());
                    return Ok(());
                }
                match made {
                    Ok(made) => {
                        prop_assert!(self.groups.len() < MAX_GROUPS);
                        let begins = made.stats().unwrap().frontier;
                        match asked {
                            Start::Oldest => prop_assert!((low..=high).contains(&begins), "{}", begins),
                            Start::Next => prop_assert_eq!(begins, self.tail),
                            Start::At(_) => prop_assert_eq!(begins, at),
                        }
                        self.begin(*group, begins, *ticketed);
                        self.attach(*group);
                    }
                    Err(AttachError::Start { asked, oldest, tail }) => {
                        prop_assert_eq!((asked, tail), (at, self.tail));
                        prop_assert!((low..=high).contains(&oldest), "{} of {}..={}", oldest, low, high);
                        prop_assert!(!(high..=self.tail).contains(&at));
                    }
                    Err(AttachError::GroupsBusy) => {
                        prop_assert!(self.is_haunted());
                        prop_assert!(self.queue().find_group(NAMES[*group]).is_none());
                    }
                    Err(error) => {
                        prop_assert_eq!(error, AttachError::TooManyGroups { max: MAX_GROUPS });
                        prop_assert_eq!(self.groups.len(), MAX_GROUPS);
                    }
                }
            }
            Op::Remove(group) => {
                prop_assert_eq!(self.queue().remove_group(NAMES[*group]), self.groups.contains_key(group));
                if self.groups.contains_key(group) {
                    let mine = self.end(*group);
                    if self.groups.is_empty() {
                        self.frozen = mine.frontier(self.tail).max(self.reaped);
                    }
                    for mut consumer in self.members.remove(group).unwrap() {
                        prop_assert_eq!(consumer.try_pop(), Err(TryPopError::Removed));
                    }
                }
            }
            Op::SetRetain(count) => {
                self.queue().set_retain(*count);
                let is_less = *count < self.retain;
                self.retain = *count;
                if is_less {
                    return self.step(&Op::Reap);
                }
            }
            Op::Reap => {
                self.lay_ghosts();
                let (low, high) = self.oldest();
                let before = self.reaped;
                let reaped = self.queue().reap();
                self.reaped_until(high)?;
                prop_assert!(self.reaped >= low, "reaped until {}, not {}", self.reaped, low);
                prop_assert_eq!(reaped.positions, self.reaped - before);
                prop_assert!(reaped.recovery.is_nothing());
                let stats = self.queue().stats();
                let (low, high) = self.frontier();
                let retained = stats.retained as u64 + self.reaped;
                prop_assert!((low..=high).contains(&retained), "retained until {}", retained);
            }
            Op::Reopen => {
                for held in std::mem::take(&mut self.held) {
                    self.settled(&held, false);
                }
                self.members.clear();
                self.queue = None;
                self.queue = Some(Model::options(&self.shape).open(&self.path).unwrap());
                for group in self.groups.keys().copied().collect::<Vec<_>>() {
                    self.attach(group);
                }
            }
            Op::NewMember(group) => {
                if self.groups.contains_key(group) {
                    let new = self.queue().group(NAMES[*group]).unwrap().consumer().unwrap();
                    let members = self.members.get_mut(group).unwrap();
                    members.pop_front();
                    members.push_front(new);
                }
            }
        }
        self.check()
    }

    /// The handle of a group, also of one that is not there.
    fn handle(&self, group: usize) -> Result<Group, TestCaseError> {
        thread_local! {
            static GONE: std::cell::RefCell<Option<(Queue, Group)>> = const { std::cell::RefCell::new(None) };
        }
        if self.groups.contains_key(&group) {
            return Ok(self.queue().group(NAMES[group]).unwrap());
        }
        // A group of another queue answers the same if it is removed.
        Ok(GONE.with_borrow_mut(|gone| {
            let (queue, handle) = gone.get_or_insert_with(|| {
                let queue = Queue::options().capacity(1024).in_memory().unwrap();
                let handle = queue.group("gone").unwrap();
                (queue, handle)
            });
            queue.remove_group("gone");
            handle.clone()
        }))
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let (_, high) = self.oldest();
        self.reaped_until(high)?;
        let stats = self.queue().stats();
        prop_assert_eq!((stats.tail, stats.retain, stats.gave_way), (self.tail, self.retain, self.gave_way));
        let verified = self.queue().verify();
        prop_assert!(verified.is_sound(), "{:?}", verified);
        let (serving, draining): (Vec<_>, Vec<_>) = stats.groups.iter().partition(|group| !group.is_draining);
        prop_assert!(draining.len() <= self.ghosts.len(), "{:?} left, and {:?} held", draining, self.ghosts);
        prop_assert_eq!(serving.len(), self.groups.len());
        for (group, mine) in &self.groups {
            let theirs = serving.iter().find(|theirs| theirs.name == NAMES[*group]).unwrap();
            prop_assert_eq!(theirs.len as u64, mine.open(self.tail));
            prop_assert_eq!(theirs.claimed, mine.held.len());
            prop_assert_eq!(theirs.frontier, mine.frontier(self.tail));
            prop_assert_eq!(theirs.claim == Claim::Ticketed, mine.ticketed);
        }
        // What is kept, and the messages themselves.
        let (low, high) = self.oldest();
        let kept: Vec<_> = self.queue().replay().map(|kept| kept.unwrap()).collect();
        let begins = kept.first().map_or(self.tail, |kept| kept.position.get());
        prop_assert!((low..=high).contains(&begins), "kept from {}, not from {}..={}", begins, low, high);
        prop_assert_eq!(kept.len() as u64, self.tail - begins);
        for (k, kept) in kept.iter().enumerate() {
            prop_assert_eq!(kept.position.get(), begins + k as u64);
            prop_assert_eq!(&kept.message[..], self.bytes(begins + k as u64));
        }
        for held in &self.held {
            prop_assert_eq!(&**held.delivery.as_ref().unwrap(), &held.bytes[..], "bytes that are held");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: number_from("PROPTEST_CASES", 1000),
        // What fails is printed whole; the tree is not the place for it.
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn groups_and_what_is_kept_are_the_models(shape in shape(), ops in prop::collection::vec(op(), 1..80)) {
        let mut model = Model::new(&shape);
        for op in &ops {
            model.step(op)?;
        }
    }
}
