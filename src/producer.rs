//! Producers and the places they reserve.

use crate::durable::{Durability, is_rooted};
use crate::error::{AttachError, PushError, PushTimeoutError, SyncError, TryPushError};
use crate::park::Side;
use crate::position::{Position, Positions};
use crate::ring::groups;
use crate::ring::letters::{Letters, Origin};
use crate::ring::push::{NoRoom, Pusher, Refused, Reserved};
use crate::ring::words::{Binding, Kind};
use crate::ring::{Ring, Span, participant};
use crate::shared::{Shared, Stall, unless_waiting};
use crate::spin::{Look, Patience};
use crate::sys::process;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Puts messages into a queue. One for each thread; dropping it closes nothing.
///
/// A message is in the queue's memory when its push returns: it survives the death of the process from then on.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = ringfile::Queue::options().capacity(4096).in_memory()?;
/// let mut producer = queue.producer()?;
/// let first = producer.push(b"one")?;
/// let second = producer.push(b"two")?;
/// assert!(first < second);
/// # Ok(())
/// # }
/// ```
pub struct Producer {
    shared: Arc<Shared>,
    pusher: Pusher,
    /// A reservation that nobody has ended yet, and what its cells say. Found by the next call if its guard was leaked.
    outstanding: Option<(Reserved, Staged)>,
    stall: Stall,
    patience: Patience,
    /// One thread at a time.
    not_sync: PhantomData<Cell<()>>,
}

/// How far the cells of a reservation are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Staged {
    /// They say nothing yet.
    No,
    /// They say where their data is.
    Plain,
    /// The same; it gets a checksum before it is published.
    ToBeSealed,
}

impl Producer {
    pub(crate) fn new(shared: Arc<Shared>) -> Result<Producer, AttachError> {
        let owner = shared.join(Binding::Producer)?;
        let pusher = Pusher::new(&shared.ring, owner);
        Ok(Producer {
            shared,
            pusher,
            outstanding: None,
            stall: Stall::default(),
            patience: Patience::default(),
            not_sync: PhantomData,
        })
    }

    /// Pushes a message; waits while the queue is full.
    #[inline]
    pub fn push(&mut self, message: &[u8]) -> Result<Position, PushError> {
        self.wait(|p| p.try_push(message))
    }

    /// Pushes a message if there is room now. Never waits.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use ringfile::{Queue, TryPushError};
    ///
    /// let queue = Queue::options().capacity(128).messages(2).in_memory()?;
    /// let mut producer = queue.producer()?;
    /// producer.try_push(b"one")?;
    /// producer.try_push(b"two")?;
    /// assert_eq!(producer.try_push(b"three"), Err(TryPushError::Full));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_push(&mut self, message: &[u8]) -> Result<Position, TryPushError> {
        if !self.prepare(message.len()) {
            return self.push_sealed(message, self.shared.durability == Durability::Always);
        }
        match push_here(&self.shared, &mut self.pusher, message) {
            Ok(position) => Ok(position),
            Err(refused) => self.push_later(refused, message),
        }
    }

    /// The same, after an attempt that has failed.
    #[cold]
    fn push_later(&mut self, refused: Refused, message: &[u8]) -> Result<Position, TryPushError> {
        let reserved = self.reserve_later(refused, message.len())?;
        Ok(put(&self.shared, &self.pusher, &reserved, message))
    }

    /// A push whose message has a checksum, and perhaps is on the disk when it returns.
    #[cold]
    fn push_sealed(&mut self, message: &[u8], synced: bool) -> Result<Position, TryPushError> {
        self.check_len(message.len())?;
        let reserved = self.reserve_cells(1, |_| message.len())?;
        let ring = &self.shared.ring;
        reserved.stamp(ring, process::unix_nanos);
        let span = reserved.only(ring, message.len());
        ring.region().write(span.offset, message);
        ring.seal(&reserved);
        self.publish(&reserved, Kind::Ready);
        if synced {
            self.shared.await_disk()?;
        }
        Ok(Position(reserved.first))
    }

    /// Pushes a message that is on the disk when this returns, whatever [`Durability`] the queue was opened with; waits while the queue is full, and for the disk. Those who wait for
    /// the disk at the same time share what it takes.
    ///
    /// An error of the disk comes after the message was pushed: it may be consumed, and nobody knows whether it is on the disk.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::open("orders.ring")?;
    /// let mut producer = queue.producer()?;
    /// producer.push(b"a note")?;
    /// producer.push_durable(b"a payment")?; // and with it everything before
    /// # Ok(())
    /// # }
    /// ```
    pub fn push_durable(&mut self, message: &[u8]) -> Result<Position, PushError> {
        // Before it is pushed, where that can be told.
        self.shared.can_sync()?;
        self.wait(|p| p.push_sealed(message, true))
    }

    /// Pushes a message; waits at most `timeout` while the queue is full.
    pub fn push_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<Position, PushTimeoutError> {
        self.wait_until(timeout, |p| p.try_push(message))
    }

    /// Pushes all messages side by side with one reservation, all of them or none; waits while there is no room for all.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::options().capacity(4096).in_memory()?;
    /// let positions = queue.producer()?.push_batch(&["one", "two", "three"])?;
    /// assert_eq!(positions.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn push_batch<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> Result<Positions, PushError> {
        self.wait(|p| p.try_push_batch(messages))
    }

    /// As [`push_batch`](Self::push_batch), if there is room now.
    pub fn try_push_batch<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> Result<Positions, TryPushError> {
        if messages.is_empty() {
            return Ok(Positions::new(0, 0));
        }
        let len = |i: usize| messages[i].as_ref().len();
        let max = self.shared.ring.max_batch();
        (0..messages.len()).try_for_each(|i| self.check_len(len(i)))?;
        if messages.len() > max || !self.shared.ring.batch_fits((0..messages.len()).map(len)) {
            return Err(TryPushError::BatchTooLarge { messages: messages.len(), max });
        }
        let reserved = self.reserve_cells(messages.len(), len)?;
        // `as_ref` is foreign code: should it panic, the reservation is found and aborted.
        self.outstanding = Some((reserved, Staged::No));
        let ring = &self.shared.ring;
        reserved.stamp(ring, process::unix_nanos);
        let mut stage = reserved.stage();
        for message in messages {
            let message = message.as_ref();
            let span = stage
                .message(ring, &reserved, message.len())
                .expect("a message must not change its length between two calls of as_ref");
            ring.region().write(span.offset, message);
        }
        self.outstanding = None;
        let is_sealed = ring.asks_for_sums();
        if is_sealed {
            ring.seal(&reserved);
        }
        self.publish(&reserved, Kind::Ready);
        if is_sealed && self.shared.durability == Durability::Always {
            self.shared.await_disk()?;
        }
        Ok(Positions::new(reserved.first, reserved.cells))
    }

    /// As [`push_batch`](Self::push_batch), waiting at most `timeout`.
    pub fn push_batch_timeout<M: AsRef<[u8]>>(
        &mut self,
        messages: &[M],
        timeout: Duration,
    ) -> Result<Positions, PushTimeoutError> {
        self.wait_until(timeout, |p| p.try_push_batch(messages))
    }

    /// Reserves a place of `len` bytes to be written in the queue's own memory; waits while the queue is full.
    ///
    /// Until the reservation is committed or dropped, consumers wait at its place: those that poll see `Pending`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::options().capacity(4096).in_memory()?;
    /// let mut producer = queue.producer()?;
    /// let mut place = producer.reserve(5)?;
    /// place.copy_from_slice(b"hello");
    /// place.commit();
    /// assert_eq!(queue.consumer()?.pop()?, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Result<Reservation<'_>, PushError> {
        let span = self.wait(|p| p.reserve_span(len))?;
        Ok(Reservation { producer: self, span })
    }

    /// As [`reserve`](Self::reserve), if there is room now.
    pub fn try_reserve(&mut self, len: usize) -> Result<Reservation<'_>, TryPushError> {
        let span = self.reserve_span(len)?;
        Ok(Reservation { producer: self, span })
    }

    /// As [`reserve`](Self::reserve), waiting at most `timeout`.
    pub fn reserve_timeout(
        &mut self,
        len: usize,
        timeout: Duration,
    ) -> Result<Reservation<'_>, PushTimeoutError> {
        let span = self.wait_until(timeout, |p| p.reserve_span(len))?;
        Ok(Reservation { producer: self, span })
    }

    #[inline]
    fn check_len(&self, len: usize) -> Result<(), TryPushError> {
        let max = self.shared.ring.max_len();
        if len > max { Err(TryPushError::TooLarge { len, max }) } else { Ok(()) }
    }

    /// What comes before the reservation of a single message. False: it does not go the short way; it is too long, or has to get a checksum.
    #[inline(always)]
    fn prepare(&mut self, len: usize) -> bool {
        if self.outstanding.is_some() {
            self.abort();
        }
        self.shared.ring.is_plain(len)
    }

    /// Reserves a place for a single message and remembers it.
    #[inline(always)]
    fn reserve_span(&mut self, len: usize) -> Result<Span, TryPushError> {
        if !self.prepare(len) {
            return self.reserve_sealed(len);
        }
        match self.pusher.attempt(&self.shared.ring, 1, |_| len) {
            Ok(reserved) => Ok(self.hold(reserved, len, Staged::Plain)),
            Err(refused) => self.reserve_span_later(refused, len),
        }
    }

    /// The same of a message that is to get a checksum.
    #[cold]
    fn reserve_sealed(&mut self, len: usize) -> Result<Span, TryPushError> {
        self.check_len(len)?;
        let reserved = self.reserve_cells(1, |_| len)?;
        Ok(self.hold(reserved, len, Staged::ToBeSealed))
    }

    /// The same, after an attempt that has failed. What it reserves is not brought together with the above: what comes from two sides comes through memory, and
    /// waits there for the stores before it.
    #[cold]
    fn reserve_span_later(&mut self, refused: Refused, len: usize) -> Result<Span, TryPushError> {
        let reserved = self.reserve_later(refused, len)?;
        Ok(self.hold(reserved, len, Staged::Plain))
    }

    /// Remembers a reservation whose cell says where its data is.
    #[inline(always)]
    fn hold(&mut self, reserved: Reserved, len: usize, staged: Staged) -> Span {
        let ring = &self.shared.ring;
        reserved.stamp(ring, process::unix_nanos);
        let span = reserved.only(ring, len);
        self.outstanding = Some((reserved, staged));
        span
    }

    /// The same, after an attempt that has failed.
    #[cold]
    fn reserve_later(&mut self, refused: Refused, len: usize) -> Result<Reserved, TryPushError> {
        let reserved = self.pusher.try_again(&self.shared.ring, refused, 1, |_| len);
        reserved.map_err(|nothing| self.explain(nothing))
    }

    /// The reservation of a batch, whose lengths were checked.
    fn reserve_cells(
        &mut self,
        count: usize,
        len: impl Fn(usize) -> usize,
    ) -> Result<Reserved, TryPushError> {
        self.abort();
        self.pusher.try_reserve(&self.shared.ring, count, len).map_err(|nothing| self.explain(nothing))
    }

    #[cold]
    fn explain(&mut self, nothing: NoRoom) -> TryPushError {
        match nothing {
            NoRoom::Full => {
                // The space may be held by the dead: a poller that never sleeps must find out too.
                if self.stall.is_due() {
                    self.shared.recover();
                    groups::note_blocking(&self.shared.ring, process::unix_nanos());
                }
                TryPushError::Full
            }
            NoRoom::Closed => match self.shared.check_disk() {
                Ok(()) => TryPushError::Closed,
                Err(failed) => failed.into(),
            },
            NoRoom::Damaged(damaged) => TryPushError::Corrupt { position: damaged.position },
        }
    }

    #[inline]
    fn publish(&self, reserved: &Reserved, kind: Kind) {
        self.pusher.publish(&self.shared.ring, reserved, kind);
        self.shared.parker.wake_consumers(&self.shared.ring);
    }

    /// Gives up an outstanding reservation: readers step over it.
    #[cold]
    fn abort(&mut self) {
        if let Some((reserved, staged)) = self.outstanding.take() {
            self.publish(&reserved, if staged == Staged::No { Kind::Void } else { Kind::Skip });
            // What it took is free once it is stepped over.
            self.shared.parker.wake_producers(&self.shared.ring);
        }
    }

    #[inline(always)]
    fn wait<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<T, TryPushError>,
    ) -> Result<T, PushError> {
        match attempt(self) {
            Ok(done) => Ok(done),
            Err(refused) => self.wait_on(refused, attempt),
        }
    }

    #[cold]
    fn wait_on<T>(
        &mut self,
        refused: TryPushError,
        attempt: impl FnMut(&mut Self) -> Result<T, TryPushError>,
    ) -> Result<T, PushError> {
        unless_waiting(Err(refused), PushError::unless_waiting)
            .or_else(|| self.wait_long(None, attempt, PushError::unless_waiting))
            .expect("without a deadline there is an answer")
    }

    fn wait_until<T>(
        &mut self,
        timeout: Duration,
        mut attempt: impl FnMut(&mut Self) -> Result<T, TryPushError>,
    ) -> Result<T, PushTimeoutError> {
        let deadline = Instant::now().checked_add(timeout);
        let answer = PushTimeoutError::unless_waiting;
        unless_waiting(attempt(self), answer)
            .or_else(|| self.wait_long(deadline, attempt, answer))
            .unwrap_or(Err(PushTimeoutError::Timeout))
    }

    #[cold]
    fn wait_long<T, E>(
        &mut self,
        deadline: Option<Instant>,
        mut attempt: impl FnMut(&mut Self) -> Result<T, TryPushError>,
        answer: impl Fn(TryPushError) -> Option<E>,
    ) -> Option<Result<T, E>> {
        let shared = self.shared.clone();
        let owner = self.pusher.owner();
        let mut patience = self.patience;
        let look = |look| match look {
            // Room is made by looking for it.
            Look::Glance => None,
            Look::Whole => unless_waiting(attempt(self), &answer),
        };
        let more = || shared.ring.has_free_cell();
        let answer = shared.wait_for(Side::Producers, owner, deadline, &mut patience, look, more);
        patience.learn(!shared.ring.has_free_cells());
        self.patience = patience;
        answer
    }
}

/// A push, where the first attempt to reserve succeeds. Apart from the handle, so that what is read of the ring once stays in registers.
#[inline(never)]
fn push_here(shared: &Shared, pusher: &mut Pusher, message: &[u8]) -> Result<Position, Refused> {
    if shared.ring.is_inline(message.len()) {
        reserve_and_put(shared, pusher, message)
    } else {
        push_long(shared, pusher, message)
    }
}

/// The same of a message that does not fit its cell: a function of its own, since it takes more than is good for the others.
#[inline(never)]
fn push_long(shared: &Shared, pusher: &mut Pusher, message: &[u8]) -> Result<Position, Refused> {
    reserve_and_put(shared, pusher, message)
}

#[inline(always)]
fn reserve_and_put(shared: &Shared, pusher: &mut Pusher, message: &[u8]) -> Result<Position, Refused> {
    let reserved = pusher.attempt(&shared.ring, 1, |_| message.len())?;
    Ok(put(shared, pusher, &reserved, message))
}

/// Publishes the only message of a reservation.
#[inline(always)]
fn put(shared: &Shared, pusher: &Pusher, reserved: &Reserved, message: &[u8]) -> Position {
    let ring = &shared.ring;
    reserved.stamp(ring, process::unix_nanos);
    let span = reserved.only(ring, message.len());
    ring.region().write(span.offset, message);
    pusher.publish(ring, reserved, Kind::Ready);
    shared.parker.wake_consumers(ring);
    pusher.fetch_ahead(ring, reserved, message.len());
    Position(reserved.first)
}

/// As a producer of the ring of dead letters.
impl Letters for Producer {
    fn has(&self, origin: Origin, ring: &Ring, message: Span) -> bool {
        let letters = &self.shared.ring;
        letters.has_letter(origin, |letter| letters.region().equals(letter, ring.region(), message))
    }

    fn push(&mut self, origin: Origin, ring: &Ring, message: Span) -> bool {
        let len = message.len;
        let Ok(reserved) = self.check_len(len).and_then(|()| self.reserve_cells(1, |_| len)) else {
            return false;
        };
        let letters = &self.shared.ring;
        let span = reserved.only(letters, message.len);
        // By way of a copy: a peer that breaks the protocol may be writing what is read.
        let mut bytes = Vec::new();
        ring.region().read(message.offset, message.len, &mut bytes);
        letters.region().write(span.offset, &bytes);
        letters.set_origin(&reserved, origin);
        letters.seal(&reserved);
        self.publish(&reserved, Kind::Ready);
        // On the disk before the message is finished where it was, if anything there ever is.
        !is_rooted(ring) || self.shared.await_disk().is_ok()
    }

    fn has_room(&mut self, len: usize) -> bool {
        // The room may be held by the dead.
        self.pusher.has_room(&self.shared.ring, len)
            || !self.shared.recover().is_nothing() && self.pusher.has_room(&self.shared.ring, len)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.abort();
        participant::detach(&self.shared.ring, self.pusher.owner());
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("pusher", &self.pusher).finish_non_exhaustive()
    }
}

/// A place in the queue that its producer writes itself. Dropped without a commit it is aborted: readers step over it.
pub struct Reservation<'a> {
    producer: &'a mut Producer,
    span: Span,
}

impl Reservation<'_> {
    #[inline]
    fn reserved(&self) -> &Reserved {
        let (reserved, _) = self.producer.outstanding.as_ref().expect("it is outstanding");
        reserved
    }

    /// The position that the message will have.
    #[inline]
    pub fn position(&self) -> Position {
        Position(self.reserved().first)
    }

    /// Publishes the message.
    ///
    /// At [`Durability::Always`] it waits for the disk. If that fails, every later call says so; [`commit_durable`](Self::commit_durable) says it at once.
    #[inline]
    pub fn commit(self) -> Position {
        let (producer, Some((reserved, Staged::Plain))) = (&*self.producer, &self.producer.outstanding)
        else {
            return self.commit_sealed();
        };
        let position = Position(reserved.first);
        producer.publish(reserved, Kind::Ready);
        producer.pusher.fetch_ahead(&producer.shared.ring, reserved, self.span.len);
        self.producer.outstanding = None;
        position
    }

    #[cold]
    fn commit_sealed(self) -> Position {
        let synced = self.producer.shared.durability == Durability::Always;
        let (position, shared) = self.seal_and_publish();
        if synced {
            // The queue is closed by it, and says why.
            let _ = shared.await_disk();
        }
        position
    }

    /// Publishes the message, and waits until it is on the disk. After an error it is published, and nobody knows whether it is on the disk.
    pub fn commit_durable(self) -> Result<Position, SyncError> {
        self.producer.shared.can_sync()?;
        let (position, shared) = self.seal_and_publish();
        shared.await_disk()?;
        Ok(position)
    }

    fn seal_and_publish(self) -> (Position, Arc<Shared>) {
        let shared = self.producer.shared.clone();
        let reserved = self.reserved();
        shared.ring.seal(reserved);
        self.producer.publish(reserved, Kind::Ready);
        let position = self.position();
        self.producer.outstanding = None;
        (position, shared)
    }

    /// Publishes the first `len` bytes as the message.
    ///
    /// # Panics
    ///
    /// If `len` is more than was reserved.
    pub fn commit_len(self, len: usize) -> Position {
        assert!(len <= self.span.len, "{len} bytes were not reserved, only {}", self.span.len);
        self.producer.shared.ring.set_len(self.reserved().first, len);
        self.commit()
    }
}

impl Deref for Reservation<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let at = self.producer.shared.ring.region().bytes(self.span.offset, self.span.len);
        // SAFETY: the span lies inside the region, its bytes are initialised, and until it is published it is this reservation's alone.
        unsafe { std::slice::from_raw_parts(at.as_ptr(), self.span.len) }
    }
}

impl DerefMut for Reservation<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let at = self.producer.shared.ring.region().bytes(self.span.offset, self.span.len);
        // SAFETY: as for `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(at.as_ptr(), self.span.len) }
    }
}

impl Drop for Reservation<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.producer.outstanding.is_some() {
            self.producer.abort();
        }
    }
}

impl fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("reserved", self.reserved()).finish_non_exhaustive()
    }
}
