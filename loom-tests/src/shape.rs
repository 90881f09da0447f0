//! Rings that are small enough to be explored.

use ringfile::file::layout::{Geometry, Layout, UNIT};
use ringfile::file::region::Region;
use ringfile::ring::{Policy, Ring};
use std::sync::Arc;

/// What a ring looks like and where its life begins.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    cells: u64,
    units: u64,
    participants: u32,
    groups: u32,
    replayed: bool,
    ticketed: bool,
    policy: Policy,
    position: u64,
    unit: u64,
}

/// How long a lease is, by the clocks of models: numbers.
pub const LEASE: u64 = 10;

impl Shape {
    /// A ring of so many cells whose first messages cross what wraps: the claim tag (40 bits) before the
    /// second position, the publish lap (46 bits) and the check bits of announcements (38 bits) a lap later,
    /// the data unit (42 bits) with the first unit that is used.
    pub const fn cells(cells: u64) -> Shape {
        Shape {
            cells,
            units: 2,
            participants: 4,
            groups: 1,
            replayed: false,
            ticketed: false,
            policy: Policy { max_deliveries: 0, lease: 0, retain: 0, retain_for: 0, scrub: false },
            position: cells * ((1 << 46) - 1) - 1,
            unit: (1 << 42) - 1,
        }
    }

    /// So many units of data ring, for messages that do not fit a cell.
    pub const fn units(self, units: u64) -> Shape {
        Shape { units, ..self }
    }

    /// Room for so many participants, where slots have to run out.
    pub const fn participants(self, participants: u32) -> Shape {
        Shape { participants, ..self }
    }

    /// Room for so many groups.
    pub const fn groups(self, groups: u32) -> Shape {
        Shape { groups, ..self }
    }

    /// So many messages stay that every group is done with.
    pub const fn retain(mut self, messages: u64) -> Shape {
        self.policy.retain = messages;
        self
    }

    /// Bytes are overwritten before they are free.
    pub const fn scrubbed(mut self) -> Shape {
        self.policy.scrub = true;
        self
    }

    /// Somebody reads what others may be writing, which is no race then.
    pub const fn replayed(self) -> Shape {
        Shape { replayed: true, ..self }
    }

    /// The group's consumers draw places.
    pub const fn ticketed(self) -> Shape {
        Shape { ticketed: true, ..self }
    }

    /// Claims have a lease.
    pub const fn leased(mut self) -> Shape {
        self.policy.lease = LEASE;
        self
    }

    /// Messages are set aside after so many deliveries.
    pub const fn max_deliveries(mut self, count: u64) -> Shape {
        self.policy.max_deliveries = count;
        self
    }

    /// The first message gets this position.
    pub const fn from_position(self, position: u64) -> Shape {
        Shape { position, ..self }
    }

    /// The first position.
    pub const fn first(&self) -> u64 {
        self.position
    }

    /// An empty ring of this shape.
    pub fn ring(&self) -> Arc<Ring> {
        let layout = Layout::new(Geometry {
            data_bytes: self.units * UNIT as u64,
            cells: self.cells,
            cell_size: 64,
            groups: self.groups,
            participants: self.participants,
        })
        .expect("the geometry of a model is valid");
        let region = if self.replayed { Region::replayed(&layout) } else { Region::new(&layout) };
        let mut ring = Ring::new(region, layout, false);
        ring.format(self.position, self.unit, self.ticketed, self.policy);
        Arc::new(ring)
    }
}

/// A message that takes a unit of the data ring.
pub const fn long(value: u8) -> [u8; UNIT] {
    [value; UNIT]
}

/// A message that takes two units of the data ring.
pub const fn very_long(value: u8) -> [u8; 2 * UNIT] {
    [value; 2 * UNIT]
}
