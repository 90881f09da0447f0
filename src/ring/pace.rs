//! How fast a group may consume: credit for deliveries, in one word, for all processes together.
//!
//! The word holds a time: up to when credit has been taken. A delivery moves it on by one interval; it may not run ahead of the clock by more than the burst.
//! So any stretch of T seconds starts at most `rate * T + burst` deliveries, whoever makes them.

use super::{Group, Ring};
use crate::file::layout::name;
use crate::sync::{AtomicU64, Ordering};

/// Where a claim gets its credit.
pub trait Pace {
    /// Takes credit for one to `messages` deliveries and says for how many, or when there will be some, in nanoseconds.
    fn take(&mut self, messages: u64) -> Result<u64, u64>;

    /// The time in nanoseconds, from which on a lease counts.
    fn now(&self) -> u64;
}

/// The rate of a group's name, by a clock in nanoseconds that does not step while the machine runs.
pub struct Paced<'a, C> {
    words: Words<'a>,
    clock: C,
}

impl<'a, C: Fn() -> u64> Paced<'a, C> {
    #[inline]
    pub fn new(ring: &'a Ring, pacer: Pacer, clock: C) -> Paced<'a, C> {
        Paced { words: Words { ring, pacer }, clock }
    }
}

impl<C: Fn() -> u64> Pace for Paced<'_, C> {
    #[inline]
    fn take(&mut self, messages: u64) -> Result<u64, u64> {
        match self.words.at(name::RATE).load(Ordering::Relaxed) {
            UNLIMITED => Ok(messages),
            rate => self.words.take(f64::from_bits(rate), self.now(), messages),
        }
    }

    fn now(&self) -> u64 {
        (self.clock)()
    }
}

/// Positive zero, as every file begins.
const UNLIMITED: u64 = 0;

/// In nanoseconds: 31 years.
const FOREVER: f64 = 1e18;

/// Where the words of a name lie. It does not change while a consumer is bound to an entry: found once, not at each claim.
#[derive(Clone, Copy, Debug)]
pub struct Pacer(usize);

/// The words of a name that its consumers share.
struct Words<'a> {
    ring: &'a Ring,
    pacer: Pacer,
}

impl Words<'_> {
    #[inline]
    fn at(&self, offset: usize) -> &AtomicU64 {
        self.ring.region.word(self.pacer.0 + offset)
    }

    #[cold]
    fn take(&self, rate: f64, now: u64, messages: u64) -> Result<u64, u64> {
        // A file may hold any rate: what is no positive number gives one delivery in a very long time.
        let interval = if rate > 0.0 { (1e9 / rate).clamp(1.0, FOREVER) } else { FOREVER };
        let burst = self.at(name::BURST).load(Ordering::Relaxed).max(1) as f64;
        // Rounded up, so that there is room for a whole delivery; each delivery is rounded up as well, so that none is too early.
        let window = (interval * burst).min(FOREVER).ceil() as u64;
        loop {
            let taken = self.at(name::PACER).load(Ordering::Relaxed);
            // Further ahead than the burst only a clock of another boot, or a slower rate before, can have left it.
            let from = taken.clamp(now, now.saturating_add(window));
            let free = now.saturating_add(window) - from;
            let granted = ((free as f64 / interval) as u64).min(messages);
            if granted == 0 {
                let short = (interval - free as f64).ceil() as u64;
                return Err(now.saturating_add(short));
            }
            let next = from.saturating_add((granted as f64 * interval).ceil() as u64);
            // The word orders nothing but itself.
            let taken = self.at(name::PACER).compare_exchange(taken, next, Ordering::Relaxed, Ordering::Relaxed);
            if taken.is_ok() {
                return Ok(granted);
            }
        }
    }
}

impl Group<'_> {
    /// Where the words of the entry's name lie.
    pub fn pacer(&self) -> Pacer {
        self.ring.pacer(self.entry().name)
    }
}

impl Ring {
    fn pacer(&self, index: u16) -> Pacer {
        // An entry of a damaged file may name anything.
        let index = usize::from(index).min(self.layout.geometry.groups as usize - 1);
        Pacer(self.layout.names + index * name::LEN)
    }

    fn name_word(&self, index: u16, offset: usize) -> &AtomicU64 {
        self.region.word(self.pacer(index).0 + offset)
    }

    /// Sets how many messages a second the name `index` may consume (0: any number), and how much credit it may save up.
    pub fn set_rate(&self, index: u16, rate: f64, burst: u64) {
        self.name_word(index, name::BURST).store(burst, Ordering::Relaxed);
        self.name_word(index, name::RATE).store(rate.to_bits(), Ordering::Relaxed);
    }

    /// How many messages a second the name `index` may consume; 0: any number.
    pub fn rate(&self, index: u16) -> f64 {
        f64::from_bits(self.name_word(index, name::RATE).load(Ordering::Relaxed))
    }
}
