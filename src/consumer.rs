//! Consumers: how they find their messages, and wait for them.

use crate::delivery::{Batch, Delivery, lend};
use crate::error::{AttachError, Expired, PopError, PopTimeoutError, SyncError, TryPopError};
use crate::park::Side;
use crate::position::Position;
use crate::producer::Producer;
use crate::ring::claim::{Claimed, Elsewhere, Nothing, Popper};
use crate::ring::groups::{NoService, Service};
use crate::ring::letters::Letters as _;
use crate::ring::pace::{Paced, Pacer};
use crate::ring::{Damaged, Ring, Span, participant, reclaim};
use crate::shared::{Patrol, Shared, Stall, unless_waiting};
use crate::spin::{Look, Patience};
use crate::sys::wait;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Takes messages out of a queue. One for each thread; consumers of a group share its messages.
///
/// [`pop`](Self::pop) finishes a message before it returns it. [`claim`](Self::claim) holds it until it is acknowledged; if this
/// process dies before that, or the delivery is dropped, somebody else gets it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = ringfile::Queue::options().capacity(4096).in_memory()?;
/// queue.producer()?.push(b"job")?;
/// let mut consumer = queue.consumer()?;
///
/// let job = consumer.claim()?;
/// assert_eq!((&*job, job.deliveries()), (&b"job"[..], 1));
/// drop(job); // not acknowledged: it comes again
///
/// let job = consumer.claim()?;
/// assert_eq!(job.deliveries(), 2);
/// job.ack()?;
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    shared: Arc<Shared>,
    /// The name of its group, which other entries may come to serve.
    group: Arc<str>,
    popper: Popper,
    pacer: Pacer,
    /// What is claimed and not let go of. Found by the next call if its guard was leaked.
    claimed: Option<Claimed>,
    stall: Stall,
    patience: Patience,
    patrol: Patrol,
    /// One thread at a time.
    not_sync: PhantomData<Cell<()>>,
}

impl Consumer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        group: Arc<str>,
        service: Service,
    ) -> Result<Consumer, AttachError> {
        let owner = shared.join(service.binding())?;
        let popper = Popper::new(&shared.ring, owner, service);
        let pacer = shared.ring.pacer(popper.name().into());
        Ok(Consumer {
            shared,
            group,
            popper,
            pacer,
            claimed: None,
            stall: Stall::default(),
            patience: Patience::default(),
            patrol: Patrol::default(),
            not_sync: PhantomData,
        })
    }

    /// Takes the next message; waits until there is one. `Closed` when the queue is closed and the group has finished everything.
    ///
    /// The message is finished when this returns. A caller that is killed in that instant never saw it.
    #[inline]
    pub fn pop(&mut self) -> Result<Vec<u8>, PopError> {
        let mut message = Vec::new();
        self.pop_into(&mut message)?;
        Ok(message)
    }

    /// Takes the next message if there is one. Never waits.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use ringfile::{Queue, TryPopError};
    ///
    /// let queue = Queue::options().capacity(4096).in_memory()?;
    /// let mut producer = queue.producer()?;
    /// let mut consumer = queue.consumer()?;
    /// assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    ///
    /// let place = producer.reserve(1)?;
    /// assert_eq!(consumer.try_pop(), Err(TryPopError::Pending));
    /// place.commit();
    /// assert!(consumer.try_pop().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_pop(&mut self) -> Result<Vec<u8>, TryPopError> {
        let mut message = Vec::new();
        self.try_pop_into(&mut message)?;
        Ok(message)
    }

    /// Takes the next message; waits at most `timeout` for one.
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, PopTimeoutError> {
        let mut message = Vec::new();
        self.wait_until(timeout, |c| c.try_pop_into(&mut message))?;
        Ok(message)
    }

    /// As [`pop`](Self::pop), into a buffer that is used again: what was in it is gone, also where this fails.
    #[inline]
    pub fn pop_into(&mut self, message: &mut Vec<u8>) -> Result<Position, PopError> {
        self.wait(|c| c.try_pop_into(message))
    }

    /// As [`pop_into`](Self::pop_into), if there is a message.
    #[inline]
    pub fn try_pop_into(&mut self, message: &mut Vec<u8>) -> Result<Position, TryPopError> {
        if self.claimed.is_some() {
            self.release();
        }
        match pop_here(&self.shared, &mut self.popper, self.pacer, message) {
            Ok(position) => {
                self.look_after(position.0, position.0.wrapping_add(1));
                Ok(position)
            }
            Err(missed) => self.pop_later(missed, message),
        }
    }

    /// The same, after a first look that has failed.
    #[inline(never)]
    fn pop_later(&mut self, mut missed: Missed, message: &mut Vec<u8>) -> Result<Position, TryPopError> {
        message.clear();
        loop {
            let claimed = match missed {
                Missed::Elsewhere(elsewhere) => self.claim_elsewhere(1, elsewhere)?,
                Missed::Expired => self.claim_cells(1)?,
                Missed::Damaged(damaged) => return Err(TryPopError::Corrupt { position: damaged.position }),
            };
            match take(&self.shared, &mut self.popper, &claimed, message) {
                Ok(position) => return Ok(position),
                Err(again) => missed = again,
            }
        }
    }

    /// Takes the next message and holds it until it is acknowledged; waits until there is one.
    #[inline]
    pub fn claim(&mut self) -> Result<Delivery<'_>, PopError> {
        let span = self.wait(Self::claim_one)?;
        Ok(Delivery::new(self, span))
    }

    /// As [`claim`](Self::claim), if there is a message.
    #[inline]
    pub fn try_claim(&mut self) -> Result<Delivery<'_>, TryPopError> {
        let span = self.claim_one()?;
        Ok(Delivery::new(self, span))
    }

    /// As [`claim`](Self::claim), waiting at most `timeout`.
    pub fn claim_timeout(&mut self, timeout: Duration) -> Result<Delivery<'_>, PopTimeoutError> {
        let span = self.wait_until(timeout, Self::claim_one)?;
        Ok(Delivery::new(self, span))
    }

    /// Takes up to `max` messages (at most 1,024) with one claim and holds them; waits until there is one.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::options().capacity(4096).in_memory()?;
    /// queue.producer()?.push_batch(&["a", "b", "c"])?;
    /// let mut consumer = queue.consumer()?;
    ///
    /// let mut batch = consumer.claim_batch(10)?;
    /// assert_eq!(batch.iter().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    /// batch.ack_first(2)?; // "a" and "b" are finished
    /// drop(batch); // "c" comes again
    /// assert_eq!(consumer.pop()?, b"c");
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim_batch(&mut self, max: usize) -> Result<Batch<'_>, PopError> {
        self.wait(|c| c.claim_many(max))?;
        Ok(Batch::new(self))
    }

    /// As [`claim_batch`](Self::claim_batch), if there is a message.
    pub fn try_claim_batch(&mut self, max: usize) -> Result<Batch<'_>, TryPopError> {
        self.claim_many(max)?;
        Ok(Batch::new(self))
    }

    /// As [`claim_batch`](Self::claim_batch), waiting at most `timeout`.
    pub fn claim_batch_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<Batch<'_>, PopTimeoutError> {
        self.wait_until(timeout, |c| c.claim_many(max))?;
        Ok(Batch::new(self))
    }

    /// Shows up to `max` messages (at most 1,024) to `see`, without copying them, and finishes them; waits until there is one. Returns how many were finished.
    ///
    /// If `see` panics, what it returned from is finished and the rest comes again. If a [lease](crate::Options::lease) expired meanwhile and they were put back, all
    /// come again, and none was finished.
    pub fn drain(&mut self, max: usize, mut see: impl FnMut(&[u8])) -> Result<usize, PopError> {
        self.wait(|c| c.try_drain(max, &mut see))
    }

    /// As [`drain`](Self::drain), if there is a message.
    pub fn try_drain(&mut self, max: usize, mut see: impl FnMut(&[u8])) -> Result<usize, TryPopError> {
        /// Acknowledges what was seen and puts back the rest, however `see` ends.
        struct Seen<'a> {
            consumer: &'a mut Consumer,
            count: usize,
            /// The position behind the last.
            end: u64,
        }
        impl Seen<'_> {
            /// How many were finished.
            fn ack(&mut self) -> usize {
                let count = std::mem::take(&mut self.count);
                if count == 0 {
                    return 0;
                }
                self.consumer.ack_below(self.end).map_or(0, |()| count)
            }
        }
        impl Drop for Seen<'_> {
            fn drop(&mut self) {
                self.ack();
                self.consumer.release();
            }
        }
        let claimed = self.claim_cells(max)?;
        self.claimed = Some(claimed);
        let mut seen = Seen { consumer: self, count: 0, end: claimed.first };
        for at in claimed.positions() {
            let ring = &seen.consumer.shared.ring;
            let Some(message) = ring.message_if_any(at) else {
                continue;
            };
            match message {
                // SAFETY: it is claimed, and not let go of before `see` returns.
                Ok(span) => see(unsafe { lend(ring, span) }),
                Err(_) if seen.count == 0 => {
                    seen.consumer.claimed = None;
                    return Err(seen.consumer.step_over(claimed, at));
                }
                // It comes again, and is the first then.
                Err(_) => return Ok(seen.ack()),
            }
            seen.count += 1;
            seen.end = at + 1;
        }
        // What is behind the last has no message.
        seen.end = claimed.end();
        Ok(seen.ack())
    }

    /// As [`drain`](Self::drain), waiting at most `timeout`.
    pub fn drain_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
        mut see: impl FnMut(&[u8]),
    ) -> Result<usize, PopTimeoutError> {
        self.wait_until(timeout, |c| c.try_drain(max, &mut see))
    }

    /// Pops until the queue is closed and drained, or a message is damaged; [`pop`](Self::pop) says which.
    pub fn iter(&mut self) -> Iter<'_> {
        Iter(self)
    }

    /// The claim behind every pop.
    fn claim_cells(&mut self, max: usize) -> Result<Claimed, TryPopError> {
        self.claim_here(max).or_else(|elsewhere| self.claim_elsewhere(max, elsewhere))
    }

    /// What is nearly always all there is to it.
    #[inline(always)]
    fn claim_here(&mut self, max: usize) -> Result<Claimed, Elsewhere> {
        if self.claimed.is_some() {
            self.release();
        }
        let ring = &self.shared.ring;
        let claimed = self.popper.claim_here(ring, max, &Paced::new(ring, self.pacer, wait::nanos))?;
        self.look_after(claimed.first, claimed.end());
        Ok(claimed)
    }

    /// What is due now and then with a claim.
    #[inline(always)]
    fn look_after(&mut self, first: u64, end: u64) {
        if (first ^ end) >= ADVANCED_AFTER {
            self.advance(first ^ end);
        }
        if self.patrol.is_due() {
            self.look_below(first);
        }
    }

    /// Moves the frontier on, past claim words that this processor has written, and four times in a lap makes room. A producer that needs some would have to fetch
    /// all these lines first.
    #[inline(never)]
    fn advance(&self, passed: u64) {
        let ring = &self.shared.ring;
        self.popper.advance(ring);
        if passed >= ring.cells() / 4 {
            // What is damaged is left to who stumbles over it.
            let _ = reclaim::pass(ring);
        }
    }

    #[inline(never)]
    fn claim_elsewhere(&mut self, max: usize, elsewhere: Elsewhere) -> Result<Claimed, TryPopError> {
        let mut letters = None;
        let mut elsewhere = Some(elsewhere);
        loop {
            let ring = &self.shared.ring;
            let mut pace = Paced::new(ring, self.pacer, wait::nanos);
            let claimed = match elsewhere.take() {
                Some(elsewhere) => self.popper.claim_elsewhere(ring, max, &mut pace, elsewhere),
                None => self.popper.try_claim(ring, max, &mut pace),
            };
            let claimed = match claimed {
                Ok(claimed) => claimed,
                Err(Nothing::Moved) => {
                    self.follow()?;
                    continue;
                }
                Err(nothing) => return Err(self.explain(nothing)),
            };
            self.look_after(claimed.first, claimed.end());
            if !self.popper.has_letter(&self.shared.ring, &claimed) || !self.set_aside(&claimed, &mut letters)
            {
                return Ok(claimed);
            }
        }
    }

    /// Takes its place in the entry that serves its group now.
    #[cold]
    fn follow(&mut self) -> Result<(), TryPopError> {
        let shared = &self.shared;
        let service = shared.serve(&self.group).map_err(|none| match none {
            // Also in a child that was forked, for which the queue is empty and closed.
            NoService::Removed if shared.ring.tail().closed => TryPopError::Closed,
            NoService::Removed => TryPopError::Removed,
            // It is being made.
            NoService::Busy | NoService::TooMany => TryPopError::Pending,
        })?;
        let owner = self.popper.owner();
        shared.ring.slot(owner).bind(service.binding());
        self.popper = Popper::new(&shared.ring, owner, service).following();
        self.pacer = shared.ring.pacer(self.popper.name().into());
        Ok(())
    }

    /// Moves a message that was handed out too often to the dead letters, or leaves it where it is if there is no room. False: it cannot be read, which is to be
    /// said of it as of any other.
    #[cold]
    fn set_aside(&mut self, claimed: &Claimed, moving: &mut Option<Moving>) -> bool {
        let Ok(message) = self.shared.ring.message(claimed.first) else {
            return false;
        };
        let moving =
            moving.get_or_insert_with(|| Moving { letters: self.join_letters(), left: MOVED_AT_ONCE });
        self.popper.set_aside(&self.shared.ring, claimed, message, &mut moving.letters);
        self.shared.parker.wake_after_ack(&self.shared.ring, self.popper.entry(), 0);
        moving.left -= 1;
        if moving.left == 0 {
            // The others are for later calls.
            self.popper.pass_letters(true);
            moving.left = MOVED_AT_ONCE;
        }
        true
    }

    /// A producer of the ring of dead letters, if there is a slot for one. It is not kept, since others read them.
    fn join_letters(&self) -> Option<Producer> {
        Producer::new(self.shared.letters.clone()?).ok()
    }

    /// Settles what the dead owe, and looks again at what could not be set aside if there is room for the first by now.
    fn look_after_stuck(&mut self) {
        self.shared.recover();
        if let Some(message) = self.popper.stuck_letter(&self.shared.ring)
            && self.join_letters().has_room(message.len)
        {
            self.popper.pass_letters(false);
        }
    }

    /// Who always finds a message would never ask what became of those that others hold.
    #[cold]
    fn look_below(&mut self, claimed: u64) {
        let group = self.shared.ring.group(self.popper.entry().into());
        if self.patrol.finds_stalled(claimed, || reclaim::advance(&group)) {
            self.look_after_stuck();
        }
    }

    #[cold]
    fn explain(&mut self, nothing: Nothing) -> TryPopError {
        // A message may be held by the dead: a poller that never sleeps must find out too.
        if self.stall.is_due() && self.is_suspicious(nothing) {
            self.look_after_stuck();
        }
        match nothing {
            Nothing::Empty => TryPopError::Empty,
            Nothing::Pending | Nothing::Moved => TryPopError::Pending,
            Nothing::Closed => match self.shared.check_disk() {
                Err(SyncError::Failed { code }) => TryPopError::Failed { code },
                _ => TryPopError::Closed,
            },
            Nothing::Paced(until) => TryPopError::Paced {
                until: Instant::now() + Duration::from_nanos(until.saturating_sub(wait::nanos())),
            },
            Nothing::Damaged(damaged) => TryPopError::Corrupt { position: damaged.position },
        }
    }

    /// Whether something is there that this consumer does not get.
    fn is_suspicious(&self, nothing: Nothing) -> bool {
        match nothing {
            Nothing::Empty => {
                let tail = self.shared.ring.tail().position;
                let group = self.shared.ring.group(self.popper.entry().into());
                group.frontier().position != tail && reclaim::advance_to_end(&group) < tail
            }
            Nothing::Pending => true,
            Nothing::Moved | Nothing::Closed | Nothing::Paced(_) | Nothing::Damaged(_) => false,
        }
    }

    /// Claims one message and remembers it.
    #[inline]
    fn claim_one(&mut self) -> Result<Span, TryPopError> {
        let claimed = match self.claim_here(1) {
            Ok(claimed) => claimed,
            Err(elsewhere) => self.claim_elsewhere(1, elsewhere)?,
        };
        match self.shared.ring.message(claimed.first) {
            Ok(span) => {
                self.claimed = Some(claimed);
                Ok(span)
            }
            Err(damaged) => {
                self.finish(&claimed);
                Err(TryPopError::Corrupt { position: damaged.position })
            }
        }
    }

    /// Claims what can be read of the next messages and remembers it.
    fn claim_many(&mut self, max: usize) -> Result<(), TryPopError> {
        let mut claimed = self.claim_cells(max)?;
        let ring = &self.shared.ring;
        let damaged = claimed.positions().find(|&at| matches!(ring.message_if_any(at), Some(Err(_))));
        match damaged {
            Some(position) if position == claimed.first => return Err(self.step_over(claimed, position)),
            Some(position) => {
                let sound = position - claimed.first;
                self.put_back(&mut claimed, sound);
            }
            None => {}
        }
        self.claimed = Some(claimed);
        Ok(())
    }

    /// Finishes a message that cannot be read, the first that is claimed; what was claimed behind it comes again.
    #[cold]
    fn step_over(&mut self, mut claimed: Claimed, position: u64) -> TryPopError {
        let cells = position + 1 - claimed.first;
        if claimed.cells > cells {
            self.put_back(&mut claimed, cells);
        }
        self.finish(&claimed);
        TryPopError::Corrupt { position }
    }

    /// Says whether it was still this consumer's to finish.
    #[inline]
    fn finish(&mut self, claimed: &Claimed) -> bool {
        finish(&self.shared, &mut self.popper, claimed)
    }

    /// What is held.
    #[inline]
    pub(crate) fn claimed(&self) -> Option<&Claimed> {
        self.claimed.as_ref()
    }

    #[inline]
    pub(crate) fn ring(&self) -> &Ring {
        &self.shared.ring
    }

    /// Finishes what is held.
    #[inline]
    pub(crate) fn ack(&mut self) -> Result<(), Expired> {
        match self.claimed.take() {
            Some(claimed) if !self.finish(&claimed) => Err(Expired),
            _ => Ok(()),
        }
    }

    /// Finishes what is held below `rest`, and keeps the rest if there is any.
    pub(crate) fn ack_below(&mut self, rest: u64) -> Result<(), Expired> {
        let ring = &self.shared.ring;
        match &mut self.claimed {
            None => Ok(()),
            Some(claimed) if rest == claimed.end() => self.ack(),
            Some(claimed) => {
                let cells = rest - claimed.first;
                let finished = self.popper.ack_first(ring, claimed, cells);
                self.shared.parker.wake_after_ack(ring, self.popper.entry(), 0);
                if finished { Ok(()) } else { Err(Expired) }
            }
        }
    }

    /// Puts back what is held.
    #[cold]
    pub(crate) fn release(&mut self) {
        if let Some(mut claimed) = self.claimed.take() {
            self.put_back(&mut claimed, 0);
        }
    }

    /// Puts back what is claimed from the cell `kept` on, and wakes those who may want it.
    fn put_back(&self, claimed: &mut Claimed, kept: u64) {
        let released = claimed.cells - kept;
        self.popper.release_from(&self.shared.ring, claimed, kept);
        self.shared.parker.wake_after_ack(&self.shared.ring, self.popper.entry(), released);
    }

    #[inline(always)]
    fn wait<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<T, TryPopError>,
    ) -> Result<T, PopError> {
        match attempt(self) {
            Ok(done) => Ok(done),
            Err(refused) => self.wait_on(refused, attempt),
        }
    }

    #[cold]
    fn wait_on<T>(
        &mut self,
        refused: TryPopError,
        attempt: impl FnMut(&mut Self) -> Result<T, TryPopError>,
    ) -> Result<T, PopError> {
        unless_waiting(Err(refused), PopError::unless_waiting)
            .or_else(|| self.wait_long(None, attempt, PopError::unless_waiting))
            .expect("without a deadline there is an answer")
    }

    fn wait_until<T>(
        &mut self,
        timeout: Duration,
        mut attempt: impl FnMut(&mut Self) -> Result<T, TryPopError>,
    ) -> Result<T, PopTimeoutError> {
        let deadline = Instant::now().checked_add(timeout);
        let answer = PopTimeoutError::unless_waiting;
        unless_waiting(attempt(self), answer)
            .or_else(|| self.wait_long(deadline, attempt, answer))
            .unwrap_or(Err(PopTimeoutError::Timeout))
    }

    #[cold]
    fn wait_long<T, E>(
        &mut self,
        deadline: Option<Instant>,
        mut attempt: impl FnMut(&mut Self) -> Result<T, TryPopError>,
        answer: impl Fn(TryPopError) -> Option<E>,
    ) -> Option<Result<T, E>> {
        let shared = self.shared.clone();
        let owner = self.popper.owner();
        loop {
            let (entry, name) = (self.popper.entry(), self.popper.name().into());
            let (from, mut patience) = (self.popper.place(), self.patience);
            let look = |look| {
                if look == Look::Glance && !self.popper.sees_something(&shared.ring) {
                    return None;
                }
                let turns = shared.parker.turns(&shared.ring, name);
                let attempted = attempt(self);
                if let Err(TryPopError::Paced { until }) = attempted {
                    // Nothing is held meanwhile, and nobody else of the group may go first.
                    let until = deadline.map_or(until, |deadline| deadline.min(until));
                    let left = until.saturating_duration_since(Instant::now());
                    shared.parker.wait_turn(&shared.ring, name, turns, left);
                }
                let answer = unless_waiting(attempted, &answer);
                // Another entry serves the group now: that is where to wait.
                (answer.is_some() || self.popper.entry() != entry).then_some(answer)
            };
            // Whoever learns that the queue is closed passes it on.
            let more = || shared.ring.group(entry.into()).next_is_unclaimed() || shared.ring.tail().closed;
            let answer = shared.wait_for(Side::Consumers(entry), owner, deadline, &mut patience, look, more);
            patience.learn(self.popper.sees_more(&shared.ring, from));
            self.patience = patience;
            if let Some(answer) = answer? {
                return Some(answer);
            }
        }
    }
}

/// Why a message was not taken at the first look.
enum Missed {
    Elsewhere(Elsewhere),
    /// It cannot be read, and is finished.
    Damaged(Damaged),
    /// Its lease expired meanwhile, and it is somebody else's.
    Expired,
}

/// A pop, where there is a message at the first look. Apart from the handle, so that what is read of the ring once stays in registers.
#[inline(never)]
fn pop_here(
    shared: &Shared,
    popper: &mut Popper,
    pacer: Pacer,
    message: &mut Vec<u8>,
) -> Result<Position, Missed> {
    if popper.is_ticketed() {
        pop_drawn(shared, popper, pacer, message)
    } else {
        claim_and_take(shared, popper, pacer, message)
    }
}

/// The same where places are drawn: a function of its own, so that nothing of this is in the way of the others.
#[inline(never)]
fn pop_drawn(
    shared: &Shared,
    popper: &mut Popper,
    pacer: Pacer,
    message: &mut Vec<u8>,
) -> Result<Position, Missed> {
    claim_and_take(shared, popper, pacer, message)
}

#[inline(always)]
fn claim_and_take(
    shared: &Shared,
    popper: &mut Popper,
    pacer: Pacer,
    message: &mut Vec<u8>,
) -> Result<Position, Missed> {
    let pace = Paced::new(&shared.ring, pacer, wait::nanos);
    let claimed = popper.claim_here(&shared.ring, 1, &pace).map_err(Missed::Elsewhere)?;
    take(shared, popper, &claimed, message)
}

/// Copies a claimed message and finishes it.
#[inline(always)]
fn take(
    shared: &Shared,
    popper: &mut Popper,
    claimed: &Claimed,
    message: &mut Vec<u8>,
) -> Result<Position, Missed> {
    message.clear();
    let ring = &shared.ring;
    let span = ring.message(claimed.first);
    if let Ok(span) = span {
        ring.region().read(span.offset, span.len, message);
    }
    if !finish(shared, popper, claimed) {
        return Err(Missed::Expired);
    }
    span.map(|_| Position(claimed.first)).map_err(Missed::Damaged)
}

/// Says whether it was still this consumer's to finish.
#[inline]
fn finish(shared: &Shared, popper: &mut Popper, claimed: &Claimed) -> bool {
    let finished = popper.ack(&shared.ring, claimed);
    shared.parker.wake_after_ack(&shared.ring, popper.entry(), 0);
    finished
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.release();
        participant::detach(&self.shared.ring, self.popper.owner());
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("popper", &self.popper).finish_non_exhaustive()
    }
}

/// So many positions, a power of two, a consumer goes on before it moves the frontier: few enough that it does not show in the latency of a pop.
const ADVANCED_AFTER: u64 = 16;

/// So many letters are moved by one call that finds them, which is not to wait for all.
const MOVED_AT_ONCE: u32 = 64;

/// What a call has for moving letters.
struct Moving {
    letters: Option<Producer>,
    left: u32,
}

/// Pops until the queue is closed and drained.
#[derive(Debug)]
pub struct Iter<'a>(&'a mut Consumer);

impl Iterator for Iter<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.0.pop().ok()
    }
}
