//! How fast a group may consume: credit for deliveries, in one word, for all processes together.
//!
//! The word holds a time: up to when credit has been taken. A delivery moves it on by one interval; it may not run ahead of the clock by more than the burst.
//! So any stretch of T seconds starts at most `rate * T + burst` deliveries, whoever makes them.

use super::Ring;
use crate::file::layout::name;
use crate::sync::{AtomicU64, Ordering};

/// Where a claim gets its credit.
pub trait Pace {
    /// Takes credit for one to `messages` deliveries and says for how many, or when there will be some, in nanoseconds.
    fn take(&mut self, messages: u64) -> Result<u64, u64>;

    /// Whether there is always credit.
    fn is_unlimited(&self) -> bool;

    /// The time in nanoseconds, from which on a lease counts.
    fn now(&self) -> u64;
}

/// Always credit, and no lease.
pub(super) struct Unpaced;

impl Pace for Unpaced {
    #[inline(always)]
    fn take(&mut self, messages: u64) -> Result<u64, u64> {
        Ok(messages)
    }

    #[inline(always)]
    fn is_unlimited(&self) -> bool {
        true
    }

    fn now(&self) -> u64 {
        u64::MAX
    }
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
    #[cold]
    fn take(&mut self, messages: u64) -> Result<u64, u64> {
        match self.words.rate() {
            UNLIMITED => Ok(messages),
            rate => self.words.take(f64::from_bits(rate), self.now(), messages),
        }
    }

    #[inline]
    fn is_unlimited(&self) -> bool {
        self.words.rate() == UNLIMITED
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

    #[inline]
    fn rate(&self) -> u64 {
        self.at(name::RATE).load(Ordering::Relaxed)
    }

    fn take(&self, rate: f64, now: u64, messages: u64) -> Result<u64, u64> {
        let interval = interval(rate);
        let burst = match self.at(name::BURST).load(Ordering::Relaxed) {
            0 => (rate / 100.0).floor().max(1.0),
            burst => burst as f64,
        };
        // Rounded up, so that there is room for a whole delivery; each delivery is rounded up as well, so that none is too early.
        let window = (interval * burst).min(FOREVER).ceil() as u64;
        loop {
            let word = self.at(name::PACER);
            let taken = word.load(Ordering::Relaxed);
            let ahead = now.saturating_add(window);
            if taken > ahead {
                // Only a clock of another boot can have left it there, or a larger burst: as if the burst had just been used up.
                let _ = word.compare_exchange(taken, ahead, Ordering::Relaxed, Ordering::Relaxed);
                continue;
            }
            let from = taken.max(now);
            let free = ahead - from;
            let granted = ((free as f64 / interval) as u64).min(messages);
            if granted == 0 {
                let short = (interval - free as f64).ceil() as u64;
                return Err(now.saturating_add(short));
            }
            let next = from.saturating_add((granted as f64 * interval).ceil() as u64);
            // The word orders nothing but itself.
            let taken = word.compare_exchange(taken, next, Ordering::Relaxed, Ordering::Relaxed);
            if taken.is_ok() {
                return Ok(granted);
            }
        }
    }
}

/// Whether a group may have this rate.
pub fn is_rate(per_second: f64) -> bool {
    (0.0..=1e9).contains(&per_second)
}

/// Nanoseconds from one delivery to the next. A file may hold any rate: what is no positive number gives one delivery in a very long time.
fn interval(rate: f64) -> f64 {
    if rate > 0.0 { (1e9 / rate).clamp(1.0, FOREVER) } else { FOREVER }
}

impl Ring {
    /// The pacer of a name.
    pub fn pacer(&self, index: usize) -> Pacer {
        Pacer(self.name(index).at)
    }

    /// Sets how many messages a second the name `index` may consume; 0: any number.
    ///
    /// What was delivered in advance stays so many messages, which take longer or less long from now on: so changing the rate to and fro brings no credit.
    pub fn set_rate(&self, index: usize, rate: f64, now: u64) {
        let (pacer, word) = (self.name(index).word(name::PACER), self.name(index).word(name::RATE));
        let taken = pacer.load(Ordering::Relaxed);
        let before = f64::from_bits(word.load(Ordering::Relaxed));
        if before != 0.0 && rate != 0.0 && taken > now {
            let debt = (taken - now) as f64 * (interval(rate) / interval(before));
            let rescaled = now.saturating_add(debt.min(FOREVER).ceil() as u64);
            // If somebody takes credit just now, that counts by the old rate.
            let _ = pacer.compare_exchange(taken, rescaled, Ordering::Relaxed, Ordering::Relaxed);
        }
        // -0.0 would not read as no rate.
        word.store(rate.abs().to_bits(), Ordering::Relaxed);
    }

    /// Sets how much credit the name `index` may save up; 0: that of a hundredth of a second, at least 1.
    pub fn set_burst(&self, index: usize, burst: u64) {
        self.name(index).word(name::BURST).store(burst, Ordering::Relaxed);
    }

    /// How many messages a second the name `index` may consume; 0: any number.
    pub fn rate(&self, index: usize) -> f64 {
        f64::from_bits(self.name(index).word(name::RATE).load(Ordering::Relaxed))
    }
}
