//! Whether the cursors of a ring that is taken up can be those of a ring at all.

use super::{Ring, letters};
use crate::file::layout::UNIT;
use crate::sync::Ordering;

/// Positions end here, after 292 years at one a nanosecond: beyond it a file is damaged.
pub(super) const LAST_POSITION: u64 = 1 << 63;

impl Ring {
    /// What contradicts itself in the cursors, if anything; others may be moving them.
    pub fn contradiction(&self) -> Option<&'static str> {
        if self.policy.max_deliveries > letters::MAX_DELIVERIES {
            return Some("no message can be handed out so often before it is set aside");
        }
        // Nobody says of an entry what it is not yet.
        let said: Vec<u64> =
            (0..self.entries()).map(|entry| self.group(entry).life().load(Ordering::Acquire)).collect();
        let is_later = |(entry, said): (usize, u64)| said > self.group(entry).frontier().life.pack();
        if said.into_iter().enumerate().any(is_later) {
            return Some("a group is said to be what it is not");
        }
        // `reap` first and `tail` last: they only rise.
        let reap = self.reaped();
        let groups: Vec<_> = self.holders().map(|entry| self.group(entry)).collect();
        let frontiers: Vec<u64> = groups.iter().map(|group| group.frontier().position).collect();
        // Consumers that draw places may be ahead of the tail, but not by more than they all can draw at once.
        let drawn = (self.participants() * self.max_batch()) as u64;
        let hints = groups.iter().flat_map(|group| group.hints()).max().unwrap_or(0).saturating_sub(drawn);
        let committed = self.committed().max(self.readable_from());
        let tail = self.tail();
        let again = self.reaped();
        let in_order = frontiers.iter().all(|&f| reap.position <= f && f <= tail.position)
            && hints.max(committed).max(reap.position) <= tail.position
            && tail.position < LAST_POSITION;
        let units = self.layout.geometry.data_bytes / UNIT as u64;
        let fits = tail.position.saturating_sub(again.position) <= self.cells()
            && tail.unit.since(again.unit) <= units;
        // Moved meanwhile, the pair says nothing about this tail.
        if in_order && (fits || again != reap) {
            None
        } else {
            Some("the cursors contradict each other")
        }
    }
}
