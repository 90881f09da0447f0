//! Replay: what is kept, read without taking part.

use crate::error::ReplayError;
use crate::position::Position;
use crate::ring::Ring;
use crate::ring::replay::{NoMessage, Reader};
use crate::shared::Shared;
use std::fmt;
use std::sync::Arc;

/// A message that is kept, copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// Where it stands in the order of all messages.
    pub position: Position,
    /// Its bytes.
    pub message: Vec<u8>,
}

/// Everything that is kept, in order, as far as it is published: an iterator that changes nothing in the queue and never waits.
///
/// It ends where nothing is published yet, and may be asked again later for what has come since. A message is copied and given only if its place was not given back to producers
/// until then. Who is slower than the others learns [how much](ReplayError::Lapped) was given back before it was read, and goes on behind that.
pub struct Replay {
    source: Source,
    reader: Reader,
}

/// What a replay keeps open.
#[derive(Clone)]
enum Source {
    Queue(Arc<Shared>),
    Observer(Arc<Ring>),
}

impl Source {
    fn ring(&self) -> &Ring {
        match self {
            Source::Queue(shared) => &shared.ring,
            Source::Observer(ring) => ring,
        }
    }
}

impl Replay {
    pub(crate) fn new(shared: Arc<Shared>) -> Replay {
        let reader = Reader::new(&shared.ring);
        Replay { source: Source::Queue(shared), reader }
    }

    pub(crate) fn observing(ring: Arc<Ring>) -> Replay {
        let reader = Reader::new(&ring);
        Replay { source: Source::Observer(ring), reader }
    }

    /// The position at which it goes on.
    pub fn position(&self) -> Position {
        Position(self.reader.position())
    }

    /// Goes on at `position`; earlier ones stay behind.
    pub fn skip_to(mut self, position: Position) -> Replay {
        self.reader.skip_to(position.get());
        self
    }

    /// As [`next`](Iterator::next), into a buffer that is used again: what was in it is gone.
    pub fn next_into(&mut self, message: &mut Vec<u8>) -> Option<Result<Position, ReplayError>> {
        message.clear();
        match self.reader.read(self.source.ring(), message) {
            Ok(position) => Some(Ok(Position(position))),
            Err(NoMessage::End) => None,
            Err(NoMessage::Lapped(lost)) => Some(Err(ReplayError::Lapped { lost })),
            Err(NoMessage::Damaged(position)) => Some(Err(ReplayError::Corrupt { position })),
        }
    }
}

impl Iterator for Replay {
    type Item = Result<Kept, ReplayError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut message = Vec::new();
        let next = self.next_into(&mut message)?;
        Some(next.map(|position| Kept { position, message }))
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("position", &self.position()).finish_non_exhaustive()
    }
}
