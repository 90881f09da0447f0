//! What every process of a round has done, in a file of atomics beside the queue: it survives those that are killed.
//!
//! A worker writes down what it is about to do before each call and what it has done behind it. What is certain from both is checked on the
//! spot, the rest by `judge` when everybody is gone.

use crate::common::{Random, now_ns, pattern};
use memmap2::MmapRaw;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages of a round. The file is sparse.
pub const MESSAGES: u64 = 1 << 21;
/// Workers of a round, those that replace others included.
pub const WORKERS: u64 = 512;
/// The most messages that one call takes.
pub const MOST: u64 = 32;
/// Delays that are kept of each side.
const DELAYS: u64 = 1 << 12;

/// Which side of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Push,
    Pop,
}

// The file: counters, delays, workers, messages; all words of eight bytes.
const NEXT: u64 = 0;
const SUCCESSES: u64 = 1;
const AWAITED: u64 = 3;
const DELAY_COUNTS: u64 = 5;
const REDELIVERED: u64 = 7;
const CROWDED: u64 = 8;
const DELAY_WORDS: u64 = 16;
const WORKER_WORDS: u64 = DELAY_WORDS + 2 * DELAYS;
const WORKER: u64 = 4 + MOST;
const MESSAGE_WORDS: u64 = WORKER_WORDS + WORKERS * WORKER;
// Origin, position, fate, holder, deliveries that nobody wrote down.
const MESSAGE: u64 = 5;
const WORDS: u64 = MESSAGE_WORDS + MESSAGES * MESSAGE;

/// How far the push of a message got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// The number was drawn, and no more.
    Drawn,
    Started,
    Returned,
    /// The call said that it pushed nothing.
    Refused,
    /// A reservation that is given up, or never was one.
    Aborted,
}

/// Who pushed a message, as which of a batch, and how far that got: `push:8 | place:8 | of:8 | worker:40`.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub push: Push,
    pub place: u64,
    pub of: u64,
    pub worker: u64,
}

impl Origin {
    fn word(self) -> u64 {
        (self.push as u64) << 56 | self.place << 48 | self.of << 40 | self.worker
    }

    fn from_word(word: u64) -> Origin {
        let push = match word >> 56 {
            0 => Push::Drawn,
            1 => Push::Started,
            2 => Push::Returned,
            3 => Push::Refused,
            _ => Push::Aborted,
        };
        Origin { push, place: word >> 48 & 0xff, of: word >> 40 & 0xff, worker: word & 0xff_ffff_ffff }
    }
}

/// What a worker is in the middle of: what its death there may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Nothing that takes or finishes.
    None,
    /// One message may be gone that nobody has seen.
    Popping,
    /// So many may be taken, and come again.
    Taking(u64),
    /// As many, one after another written down as held; then all of them are finished.
    Draining(u64),
    /// The first so many of those that are held.
    Finishing(u64),
}

impl Call {
    fn word(self) -> u64 {
        match self {
            Call::None => 0,
            Call::Popping => 1 << 32,
            Call::Taking(most) => 2 << 32 | most,
            Call::Draining(most) => 3 << 32 | most,
            Call::Finishing(count) => 4 << 32 | count,
        }
    }

    fn from_word(word: u64) -> Call {
        let count = word & 0xffff_ffff;
        match word >> 32 {
            0 => Call::None,
            1 => Call::Popping,
            2 => Call::Taking(count),
            3 => Call::Draining(count),
            _ => Call::Finishing(count),
        }
    }
}

/// A message that a worker has, and how often it had been taken then, that time included.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub id: u64,
    pub takes: u64,
}

/// What became of a message.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    pub takes: u64,
    pub finished: u64,
}

/// The file, mapped.
pub struct Ledger {
    map: MmapRaw,
    /// Of this round: no other's messages are taken for its own.
    salt: u64,
}

impl Ledger {
    /// A new ledger at `path`.
    pub fn create(path: &Path, salt: u64) -> Ledger {
        let file = File::create_new(path).expect("a new ledger");
        file.set_len(WORDS * 8).expect("a sparse file");
        Ledger::open(path, salt)
    }

    pub fn open(path: &Path, salt: u64) -> Ledger {
        let file = File::options().read(true).write(true).open(path).expect("the ledger is there");
        Ledger { map: MmapRaw::map_raw(&file).expect("the ledger is mapped"), salt }
    }

    fn word(&self, at: u64) -> &AtomicU64 {
        assert!(at < WORDS, "no word of the ledger: {at}");
        // SAFETY: it lies inside the mapping, whose start is aligned to a page.
        let word = unsafe { self.map.as_mut_ptr().cast::<u64>().add(at as usize) };
        // SAFETY: mapped as long as `self` lives, and nobody uses the file but through atomics.
        unsafe { AtomicU64::from_ptr(word) }
    }

    fn get(&self, at: u64) -> u64 {
        self.word(at).load(Ordering::SeqCst)
    }

    fn set(&self, at: u64, value: u64) {
        self.word(at).store(value, Ordering::SeqCst);
    }

    fn add(&self, at: u64, value: u64) -> u64 {
        self.word(at).fetch_add(value, Ordering::SeqCst)
    }

    /// Draws numbers for a batch. `None`: the round is to end.
    pub fn draw(&self, count: u64) -> Option<u64> {
        let first = self.add(NEXT, count);
        (first + count <= MESSAGES).then_some(first)
    }

    /// How many messages there may be.
    pub fn drawn(&self) -> u64 {
        self.get(NEXT).min(MESSAGES)
    }

    /// A call has succeeded: says how long that took after a kill, if it is the first.
    pub fn succeeded(&self, side: Side, count: u64) {
        self.add(SUCCESSES + side as u64, count);
        let awaited = AWAITED + side as u64;
        let since = self.get(awaited);
        let exactly = |word: &AtomicU64| word.compare_exchange(since, 0, Ordering::SeqCst, Ordering::SeqCst);
        if since != 0 && exactly(self.word(awaited)).is_ok() {
            let at = self.add(DELAY_COUNTS + side as u64, 1);
            if at < DELAYS {
                self.set(DELAY_WORDS + side as u64 * DELAYS + at, now_ns().saturating_sub(since));
            }
        }
    }

    /// Asks for the first success after `since` of each side, if it is not asked for already.
    pub fn await_success(&self, since: u64) {
        for side in [Side::Push, Side::Pop] {
            let word = self.word(AWAITED + side as u64);
            let _ = word.compare_exchange(0, since, Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    pub fn successes(&self, side: Side) -> u64 {
        self.get(SUCCESSES + side as u64)
    }

    /// The delays of a side in nanoseconds.
    pub fn delays(&self, side: Side) -> Vec<u64> {
        let count = self.get(DELAY_COUNTS + side as u64).min(DELAYS);
        let first = DELAY_WORDS + side as u64 * DELAYS;
        // Who was killed between drawing a place and filling it in left a zero.
        (first..first + count).map(|at| self.get(at)).filter(|&delay| delay > 0).collect()
    }

    /// How often a message came that had been handed out before.
    pub fn redelivered(&self) -> u64 {
        self.get(REDELIVERED)
    }

    /// How many deliveries of a message there were that nobody wrote down.
    pub fn unexplained(&self, id: u64) -> u64 {
        self.get(self.message(id) + 4)
    }

    /// Each delivery shows those that are missing before it once more, and so do late ones.
    fn explain_less(&self, id: u64, unexplained: u64) {
        self.word(self.message(id) + 4).fetch_max(unexplained, Ordering::SeqCst);
    }

    /// A worker found no place, though there are more than living workers.
    pub fn is_crowded(&self) {
        self.add(CROWDED, 1);
    }

    pub fn crowded(&self) -> u64 {
        self.get(CROWDED)
    }

    fn worker(&self, worker: u64) -> u64 {
        assert!(worker < WORKERS, "too many workers in a round");
        WORKER_WORDS + worker * WORKER
    }

    /// A worker is going to be killed: from now on others may get what it holds.
    pub fn doom(&self, worker: u64) {
        self.set(self.worker(worker), 1);
    }

    fn is_doomed(&self, worker: u64) -> bool {
        self.get(self.worker(worker)) != 0
    }

    pub fn enter(&self, worker: u64, call: Call) {
        self.set(self.worker(worker) + 1, call.word());
    }

    pub fn call(&self, worker: u64) -> Call {
        Call::from_word(self.get(self.worker(worker) + 1))
    }

    /// Forgets what a worker holds, which it has let go of, or goes to take anew.
    pub fn holds_nothing(&self, worker: u64) {
        self.set(self.worker(worker) + 2, 0);
    }

    pub fn held(&self, worker: u64) -> Vec<Held> {
        let at = self.worker(worker);
        (0..self.get(at + 2))
            .map(|i| self.get(at + 4 + i))
            .map(|word| Held { id: word >> 24, takes: word & 0xff_ffff })
            .collect()
    }

    fn hold(&self, worker: u64, held: Held) {
        let (at, count) = (self.worker(worker), self.get(self.worker(worker) + 2));
        assert!(count < MOST, "more came than were asked for");
        self.set(at + 4 + count, held.id << 24 | held.takes);
        self.set(at + 2, count + 1);
    }

    fn message(&self, id: u64) -> u64 {
        MESSAGE_WORDS + id * MESSAGE
    }

    pub fn set_origin(&self, id: u64, origin: Origin) {
        self.set(self.message(id), origin.word());
    }

    pub fn origin(&self, id: u64) -> Origin {
        Origin::from_word(self.get(self.message(id)))
    }

    /// Whoever learns where a message stands says so, and all must say the same.
    pub fn stands_at(&self, id: u64, position: u64) {
        let word = self.word(self.message(id) + 1);
        let before = word.compare_exchange(0, position + 1, Ordering::SeqCst, Ordering::SeqCst);
        let before = before.unwrap_or_else(|before| before);
        assert!(
            before == 0 || before == position + 1,
            "message {id} stands at {} and at {position}",
            before.wrapping_sub(1)
        );
    }

    /// Where it stands, if anybody knows.
    pub fn position(&self, id: u64) -> Option<u64> {
        self.get(self.message(id) + 1).checked_sub(1)
    }

    pub fn fate(&self, id: u64) -> Fate {
        let word = self.get(self.message(id) + 2);
        Fate { takes: word & 0xffff_ffff, finished: word >> 32 }
    }

    /// The bytes of a message: its number, and others that no other message has. A short one fits the smallest cell.
    pub fn bytes(&self, id: u64) -> Vec<u8> {
        let mut random = Random(id ^ self.salt);
        let len = if random.below(2) == 0 { random.below(25) } else { 70 + random.below(170) };
        let mut bytes = id.to_le_bytes().to_vec();
        bytes.extend(pattern(random.next(), len as usize));
        bytes
    }

    /// Whose bytes these are: they must be whole.
    fn id_of(&self, message: &[u8]) -> u64 {
        let id = message.first_chunk().map(|&bytes| u64::from_le_bytes(bytes));
        let id = id.unwrap_or_else(|| panic!("no message is so short: {message:?}"));
        assert!(id < self.drawn() && message == self.bytes(id), "torn: message {id}? {message:?}");
        id
    }
}

/// A consumer's side of the story.
pub struct Taker<'a> {
    pub ledger: &'a Ledger,
    pub worker: u64,
    /// Messages that are handed out for the first time come one behind the other.
    pub in_order: bool,
    /// Positions below have come, to this worker.
    next: u64,
}

impl Taker<'_> {
    pub fn new(ledger: &Ledger, worker: u64, in_order: bool) -> Taker<'_> {
        Taker { ledger, worker, in_order, next: 0 }
    }

    /// Before a call that takes.
    pub fn enter(&self, call: Call) {
        self.ledger.holds_nothing(self.worker);
        self.ledger.enter(self.worker, call);
    }

    /// A message has come. `deliveries`: if the call says so.
    pub fn took(&mut self, message: &[u8], position: Option<u64>, deliveries: Option<u64>) {
        let ledger = self.ledger;
        let id = ledger.id_of(message);
        let at = ledger.message(id);
        let word = ledger.add(at + 2, 1);
        let (before, finished) = (word & 0xffff_ffff, word >> 32);
        assert_eq!(finished, 0, "message {id} was finished, and came again: {:?}", ledger.origin(id));
        let holder = ledger.word(at + 3).swap(self.worker + 1, Ordering::SeqCst);
        assert!(
            holder == 0 || ledger.is_doomed(holder - 1),
            "message {id} came to worker {} while worker {} holds it",
            self.worker,
            holder.wrapping_sub(1)
        );
        if let Some(position) = position {
            ledger.stands_at(id, position);
        }
        if let Some(deliveries) = deliveries {
            assert!(
                deliveries > before,
                "message {id} was taken {before} times, and is delivered as {deliveries}"
            );
            ledger.explain_less(id, deliveries - 1 - before);
        }
        ledger.add(REDELIVERED, u64::from(before > 0 || deliveries.is_some_and(|n| n > 1)));
        self.follow(id, position, before, deliveries);
        ledger.hold(self.worker, Held { id, takes: before + 1 });
    }

    /// Whether it comes in order. What had been claimed before may come late.
    fn follow(&mut self, id: u64, position: Option<u64>, before: u64, deliveries: Option<u64>) {
        let Some(position) = position.filter(|_| self.in_order) else {
            return;
        };
        let is_late = position < self.next;
        self.next = self.next.max(position + 1);
        match deliveries {
            Some(1) => assert!(!is_late, "message {id} at {position} came behind {}", self.next - 1),
            // Who took it before has died without a word.
            None if is_late && before == 0 => self.ledger.explain_less(id, 1),
            _ => {}
        }
    }

    /// Before the call that finishes the first so many.
    pub fn finishing(&self, count: usize) {
        self.ledger.enter(self.worker, Call::Finishing(count as u64));
    }

    /// Behind it.
    pub fn finished(&self, count: usize) {
        for held in self.ledger.held(self.worker).iter().take(count) {
            let word = self.ledger.add(self.ledger.message(held.id) + 2, 1 << 32);
            assert_eq!(word >> 32, 0, "message {} was finished twice", held.id);
        }
        self.ledger.succeeded(Side::Pop, count as u64);
        self.ledger.enter(self.worker, Call::None);
    }

    /// Before those behind the first so many are put back.
    pub fn releasing(&self, kept: usize) {
        for held in self.ledger.held(self.worker).iter().skip(kept) {
            self.ledger.set(self.ledger.message(held.id) + 3, 0);
        }
    }
}
