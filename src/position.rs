//! Where a message stands in the order of all messages.

use std::fmt;

/// The number of a message in the order in which places were reserved, from the queue's birth on. A later push has a greater one; some numbers have no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(crate) u64);

impl Position {
    /// The number itself.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Position {
    fn from(number: u64) -> Position {
        Position(number)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The positions of a batch, which lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Positions {
    first: u64,
    len: u64,
}

impl Positions {
    pub(crate) fn new(first: u64, len: u64) -> Positions {
        Positions { first, len }
    }

    /// The first; `None` of an empty batch.
    pub fn first(&self) -> Option<Position> {
        (self.len > 0).then_some(Position(self.first))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the batch was empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl IntoIterator for Positions {
    type Item = Position;
    type IntoIter = std::iter::Map<std::ops::Range<u64>, fn(u64) -> Position>;

    fn into_iter(self) -> Self::IntoIter {
        (self.first..self.first + self.len).map(Position)
    }
}
