//! Reading what is kept without taking part: while others write, and from a mapping that cannot be written.

use super::words::Kind;
use super::{Ring, retain};
use crate::sync::{Ordering, fence};

/// A reader of everything that is kept, from the oldest message on.
#[derive(Clone, Debug)]
pub struct Reader {
    next: u64,
}

/// Why there is no message now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMessage {
    /// Nothing is published at the next position.
    End,
    /// The next so many positions were given back and may have been written again; what follows them is next.
    Lapped(u64),
    /// The cell says what cannot be; it is stepped over.
    Damaged(u64),
}

impl Reader {
    /// Begins with the oldest message that is kept.
    pub fn new(ring: &Ring) -> Reader {
        Reader { next: retain::oldest(ring) }
    }

    /// The next position to be read.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Goes on with `position`, or with what is kept then if that is later.
    pub fn skip_to(&mut self, position: u64) {
        self.next = self.next.max(position);
    }

    /// Appends the next message to `into`, and says where it stands.
    pub fn read(&mut self, ring: &Ring, into: &mut Vec<u8>) -> Result<u64, NoMessage> {
        let start = into.len();
        loop {
            let at = self.next;
            let published = ring.published(at); // P2 (E1)
            let mut found = None;
            if published.is_some_and(|publish| publish.kind() == Kind::Ready) {
                found = ring.message(at).ok();
                if let Some(span) = found {
                    ring.region().read_shared(span.offset, span.len, into);
                }
            }
            // What was not given back when it had been read was not written meanwhile: who writes it again has read that it was, and fenced (G5).
            fence(Ordering::Acquire);
            let reaped = ring.readable_from();
            if reaped > at {
                into.truncate(start);
                self.next = reaped;
                return Err(NoMessage::Lapped(reaped - at));
            }
            match published.map(|publish| publish.kind()) {
                None => return Err(NoMessage::End),
                Some(kind) => {
                    self.next = at.wrapping_add(1);
                    match found {
                        Some(_) => return Ok(at),
                        None if kind == Kind::Ready => return Err(NoMessage::Damaged(at)),
                        None => {}
                    }
                }
            }
        }
    }
}
