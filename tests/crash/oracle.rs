//! What is known of every message from outside of the queue, and what that says about those that came out.
//!
//! A child that is going to die writes down what it is about to do and what it has done, each with one `write` to a file: that the kernel
//! keeps, whatever becomes of the child.

use crate::common::pattern;
use ringfile::fault::Step;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Who pushed a message, which of that producer's it is, and of which batch: `producer:8 | number:40 | place:8 | of:7 | long:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(u64);

impl Id {
    pub fn new(producer: u64, number: u64, place: u64, of: u64, long: bool) -> Id {
        Id(producer << 56 | number << 16 | place << 8 | of << 1 | u64::from(long))
    }

    fn producer(self) -> u64 {
        self.0 >> 56
    }

    fn number(self) -> u64 {
        self.0 >> 16 & ((1 << 40) - 1)
    }

    fn place(self) -> u64 {
        self.0 >> 8 & 0xff
    }

    fn of(self) -> u64 {
        self.0 >> 1 & 0x7f
    }

    /// The message: its id, and bytes that no other has. A short one fits the smallest cell.
    pub fn message(self) -> Vec<u8> {
        let len = if self.0 & 1 == 1 { 70 + self.number() * 37 % 170 } else { self.number() % 17 };
        let mut message = self.0.to_le_bytes().to_vec();
        message.extend(pattern(self.0, len as usize));
        message
    }

    /// Of a message that came out: it must be whole.
    pub fn of_message(message: &[u8]) -> Id {
        let id = message.first_chunk().map(|&bytes| Id(u64::from_le_bytes(bytes)));
        let id = id.unwrap_or_else(|| panic!("no message is so short: {message:?}"));
        assert_eq!(message, id.message(), "a message is torn: {id:?}");
        id
    }

    /// The others of its batch, itself included.
    fn batch(self) -> impl Iterator<Item = Id> {
        let first = self.number() - self.place();
        let (producer, of, long) = (self.producer(), self.of(), self.0 & 1 == 1);
        (0..of).map(move |place| Id::new(producer, first + place, place, of, long))
    }
}

/// What a child does to a message. The first word of each pair is written before, the other behind the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Pushing,
    Pushed,
    /// Asks for a message to finish it, or for one or more to hold.
    Popping,
    Claiming,
    /// Has it, and how often it has been handed out.
    Took(u32),
    Finishing,
    Finished,
    Releasing,
    Released,
}

impl Deed {
    fn words(self) -> [u64; 2] {
        match self {
            Deed::Pushing => [0, 0],
            Deed::Pushed => [1, 0],
            Deed::Popping => [2, 0],
            Deed::Claiming => [3, 0],
            Deed::Took(deliveries) => [4, deliveries.into()],
            Deed::Finishing => [5, 0],
            Deed::Finished => [6, 0],
            Deed::Releasing => [7, 0],
            Deed::Released => [8, 0],
        }
    }

    fn from_words(words: [u64; 2]) -> Deed {
        match words {
            [0, _] => Deed::Pushing,
            [1, _] => Deed::Pushed,
            [2, _] => Deed::Popping,
            [3, _] => Deed::Claiming,
            [4, deliveries] => Deed::Took(deliveries as u32),
            [5, _] => Deed::Finishing,
            [6, _] => Deed::Finished,
            [7, _] => Deed::Releasing,
            [8, _] => Deed::Released,
            other => panic!("no deed is {other:?}"),
        }
    }
}

/// A child's side of the story.
pub struct Journal(File);

/// For deeds that are not about a message that is known.
const NOBODY: Id = Id(u64::MAX);

impl Journal {
    pub fn create(path: &Path) -> Journal {
        Journal(File::create_new(path).expect("a new journal"))
    }

    pub fn note(&mut self, deed: Deed, ids: &[Id]) {
        let words = ids.iter().flat_map(|id| {
            let [deed, more] = deed.words();
            [deed, more, id.0]
        });
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        self.0.write_all(&bytes).expect("the journal is written");
    }

    pub fn begin(&mut self, deed: Deed) {
        self.note(deed, &[NOBODY]);
    }
}

/// What became of a message, as far as anybody says.
#[derive(Clone, Debug, Default)]
struct Fate {
    pushing: bool,
    pushed: bool,
    /// How often children took it and said so.
    taken: u32,
    /// A child was finishing it when it died.
    finishing: bool,
    finished: bool,
    /// How often it had been handed out each time that the parent finished it.
    delivered: Vec<u32>,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub struct Oracle {
    fates: BTreeMap<Id, Fate>,
    /// Calls that were to take something, in which a child died.
    popping: u32,
    claiming: u32,
    /// Messages that had not been handed out before, in the order in which the parent got them, and each child.
    own_order: Vec<Id>,
    orders: Vec<Vec<Id>>,
}

/// What a death in a step says about the call that it interrupted: done, not done, or either.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interrupted {
    push: Option<bool>,
    finish: Option<bool>,
    /// Whether a pop may have finished its message.
    pop: bool,
    take: bool,
}

impl Interrupted {
    /// Of a child that was killed there.
    pub fn at(step: Step) -> Interrupted {
        let undone = Interrupted { push: Some(false), finish: Some(false), pop: false, take: false };
        match step {
            Step::FirstPublished => Interrupted { push: Some(true), ..undone },
            Step::Claimed | Step::HintStored | Step::RestKept => Interrupted { take: true, ..undone },
            Step::Acked | Step::FirstAcked => {
                Interrupted { finish: Some(true), pop: true, take: true, ..undone }
            }
            // After an acknowledgement or a release.
            Step::LetGo => Interrupted { finish: Some(true), pop: true, take: true, ..undone },
            // Who wakes somebody has done what it wakes for, or only looks after the others.
            Step::WakeCleared | Step::WakeCounted => {
                Interrupted { push: None, finish: Some(true), pop: true, take: true }
            }
            _ => undone,
        }
    }
}

impl Oracle {
    fn fate(&mut self, id: Id) -> &mut Fate {
        self.fates.entry(id).or_default()
    }

    /// The parent has pushed these.
    pub fn pushed(&mut self, ids: &[Id]) {
        for &id in ids {
            let fate = self.fate(id);
            (fate.pushing, fate.pushed) = (true, true);
        }
    }

    /// The parent has got this, and finished it.
    pub fn delivered(&mut self, id: Id, deliveries: u32) {
        self.fate(id).delivered.push(deliveries);
        if deliveries == 1 {
            self.own_order.push(id);
        }
    }

    /// Reads what a child wrote down. Those that died say nothing about the call that they died in but that they made it.
    pub fn read(&mut self, journal: &Path) {
        let bytes = fs::read(journal).expect("the journal is there");
        let (words, rest) = bytes.as_chunks::<8>();
        assert!(rest.is_empty() && words.len().is_multiple_of(3), "one write is one write");
        let mut taking = None;
        let mut order = Vec::new();
        for record in words.chunks(3) {
            let [deed, more, id] = [0, 1, 2].map(|i| u64::from_le_bytes(record[i]));
            let (deed, id) = (Deed::from_words([deed, more]), Id(id));
            if let Deed::Popping | Deed::Claiming = deed {
                taking = Some(deed);
                continue;
            }
            taking = None;
            if id == NOBODY {
                // It took nothing.
                continue;
            }
            let fate = self.fate(id);
            match deed {
                Deed::Pushing => fate.pushing = true,
                Deed::Pushed => fate.pushed = true,
                Deed::Took(deliveries) => {
                    fate.taken += 1;
                    assert!(deliveries >= fate.taken, "{id:?} was handed out {deliveries} times: {fate:?}");
                    if deliveries == 1 {
                        order.push(id);
                    }
                }
                Deed::Finishing => fate.finishing = true,
                Deed::Finished => fate.finished = true,
                Deed::Releasing | Deed::Released => {}
                Deed::Popping | Deed::Claiming => unreachable!("handled above"),
            }
        }
        match taking {
            Some(Deed::Popping) => self.popping += 1,
            Some(_) => self.claiming += 1,
            None => {}
        }
        self.orders.push(order);
    }

    /// Checks everything, when the queue is empty again. `killed`: what the death says; none if nobody died.
    pub fn judge(&self, killed: Option<Interrupted>, in_order: bool) {
        let dead = killed.unwrap_or_default();
        if killed.is_none() {
            assert_eq!((self.popping, self.claiming), (0, 0), "a call has not ended");
        }
        // How many calls may have taken something that nobody wrote down.
        let unseen = if dead.take { self.popping + self.claiming } else { 0 };
        let mut lost = Vec::new();
        for (&id, fate) in &self.fates {
            let say = |what: &str| panic!("{id:?} {what}: {fate:?}, {dead:?}");
            assert!(fate.pushing, "{id:?} was never pushed: {fate:?}");
            if killed.is_none() && !fate.pushed {
                say("was not pushed by one that lived");
            }
            if fate.delivered.len() + usize::from(fate.finished) > 1 {
                say("was finished twice");
            }
            match (fate.delivered.first(), fate.pushed) {
                (Some(_), false) if dead.push == Some(false) => say("was not pushed, and came"),
                (Some(_), _) if fate.finishing && !fate.finished && dead.finish == Some(true) => {
                    say("was finished, and came again");
                }
                (Some(&deliveries), _) => {
                    let least = 1 + fate.taken;
                    if !(least..=least + unseen).contains(&deliveries) {
                        say("was counted wrongly");
                    }
                }
                (None, false) if dead.push == Some(true) => say("was pushed, and did not come"),
                (None, false) => {}
                (None, true) if fate.finished => {}
                (None, true) if fate.finishing && dead.finish != Some(false) => {}
                (None, true) => lost.push(id),
            }
            if !fate.pushed {
                let seen = |id: &Id| self.fates.get(id).is_some_and(|fate| !fate.delivered.is_empty());
                let all = id.batch().filter(seen).count() as u64;
                assert!(all == 0 || all == id.of(), "{all} of a batch came: {id:?}");
            }
        }
        let popped = if dead.pop { self.popping as usize } else { 0 };
        assert!(lost.len() <= popped, "lost, with {popped} pops in flight: {lost:?}");
        if in_order {
            self.orders.iter().chain([&self.own_order]).for_each(|order| one_after_another(order));
        }
    }
}

/// Whether each producer's messages are in the order in which it pushed them.
fn one_after_another(order: &[Id]) {
    let mut last = BTreeMap::new();
    for &id in order {
        let before = last.insert(id.producer(), id);
        assert!(before.is_none_or(|before| before.number() < id.number()), "{before:?} came before {id:?}");
    }
}
