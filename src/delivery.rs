//! What a consumer holds while it works on it: one message, or several side by side.

use crate::consumer::Consumer;
use crate::error::Expired;
use crate::position::Position;
use crate::ring::claim::Claimed;
use crate::ring::{Ring, Span, letters};
use std::fmt;
use std::ops::Deref;

/// The bytes of a message that the caller holds.
///
/// # Safety
///
/// Nobody may be allowed to write them while the slice lives: the message is claimed and not let go of.
pub(crate) unsafe fn lend(ring: &Ring, span: Span) -> &[u8] {
    let at = ring.region().bytes(span.offset, span.len);
    // SAFETY: the span lies inside the region; that nobody writes it is the caller's promise.
    unsafe { std::slice::from_raw_parts(at.as_ptr(), span.len) }
}

/// A message that one consumer holds. Dropped without [`ack`](Self::ack) it is put back, and its next delivery is counted as such.
///
/// The bytes are those of the queue, not a copy. A peer process that breaks the protocol could write them meanwhile; programs that
/// cannot trust their peers copy with [`Consumer::pop_into`].
pub struct Delivery<'a> {
    consumer: &'a mut Consumer,
    span: Span,
}

impl<'a> Delivery<'a> {
    #[inline]
    pub(crate) fn new(consumer: &'a mut Consumer, span: Span) -> Delivery<'a> {
        Delivery { consumer, span }
    }

    fn claimed(&self) -> &Claimed {
        self.consumer.claimed().expect("a delivery holds a claim")
    }

    /// Where the message stands in the order of all messages.
    pub fn position(&self) -> Position {
        Position(self.claimed().first)
    }

    /// How often the message has been handed out, this time included. Counted when it is claimed; above 511 at least that often.
    pub fn deliveries(&self) -> u32 {
        self.claimed().deliveries() as u32
    }

    /// Where it comes from, if it is a [dead letter](crate::Queue::dead_letters).
    pub fn origin(&self) -> Option<Origin> {
        let letters::Origin { position, name } = self.consumer.ring().origin(self.claimed().first)?;
        Some(Origin { position: Position(position), group: name.into() })
    }

    /// Finishes the message: it will not be delivered again. Fails only where the queue has a [lease](crate::Options::lease), if that had expired and the message was put back.
    #[inline]
    pub fn ack(self) -> Result<(), Expired> {
        self.consumer.ack()
    }

    /// Puts the message back at once, as dropping it does.
    pub fn release(self) {}
}

impl Deref for Delivery<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: it is claimed until this is dropped or acknowledged.
        unsafe { lend(self.consumer.ring(), self.span) }
    }
}

impl Drop for Delivery<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.consumer.claimed().is_some() {
            self.consumer.release();
        }
    }
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("position", &self.position())
            .field("deliveries", &self.deliveries())
            .field("len", &self.len())
            .finish()
    }
}

/// Where a dead letter comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Origin {
    /// Its position in the queue that it was pushed to.
    pub position: Position,
    /// The number there of the group that set it aside; 0 is "default".
    pub group: usize,
}

/// Messages that one consumer holds, side by side. What is not acknowledged when it is dropped is put back.
pub struct Batch<'a> {
    consumer: &'a mut Consumer,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(consumer: &'a mut Consumer) -> Batch<'a> {
        Batch { consumer }
    }

    fn claimed(&self) -> Option<&Claimed> {
        self.consumer.claimed()
    }

    /// The messages that are still held, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.messages().map(|(_, message)| message)
    }

    /// The messages that are still held, each with its position.
    pub fn messages(&self) -> impl Iterator<Item = (Position, &[u8])> {
        let ring = self.consumer.ring();
        self.claimed().into_iter().flat_map(|claimed| claimed.positions()).filter_map(|at| {
            let span = ring.message_if_any(at)?.ok()?;
            // SAFETY: it is claimed, and `self` is borrowed as long as the slice lives.
            Some((Position(at), unsafe { lend(ring, span) }))
        })
    }

    /// How many messages are still held.
    pub fn len(&self) -> usize {
        self.messages().count()
    }

    /// Whether everything is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.claimed().is_none()
    }

    /// How often the first message has been handed out, this time included.
    pub fn deliveries(&self) -> u32 {
        self.claimed().map_or(0, |claimed| claimed.deliveries() as u32)
    }

    /// Finishes every message. Fails only where the queue has a [lease](crate::Options::lease), if that had expired and they were put back.
    pub fn ack(self) -> Result<(), Expired> {
        self.consumer.ack()
    }

    /// Finishes the first `count` messages and keeps holding the rest. Fails as [`ack`](Self::ack) does; then none of these is finished.
    pub fn ack_first(&mut self, count: usize) -> Result<(), Expired> {
        let rest = self.messages().nth(count).map(|(position, _)| position.0);
        match rest {
            None => self.consumer.ack(),
            Some(_) if count == 0 => Ok(()),
            Some(rest) => self.consumer.ack_below(rest),
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.consumer.release();
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("claimed", &self.claimed()).finish_non_exhaustive()
    }
}
