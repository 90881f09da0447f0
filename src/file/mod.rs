//! The file: what it looks like, how it comes into being, and how an existing one is taken up.

#[cfg(not(ringfile_loom))]
mod attachment;
#[cfg(not(ringfile_loom))]
mod create;
#[cfg(not(ringfile_loom))]
pub mod header;
pub mod layout;
pub mod region;

#[cfg(not(ringfile_loom))]
pub use attachment::Attachment;
#[cfg(not(ringfile_loom))]
pub use create::create;

#[cfg(not(ringfile_loom))]
use crate::error::OpenError;
#[cfg(not(ringfile_loom))]
use crate::ring::Ring;

/// Positions end here, after 292 years at one a nanosecond: beyond it a file is damaged.
#[cfg(not(ringfile_loom))]
pub const LAST_POSITION: u64 = 1 << 63;

/// Whether the cursors of a ring that is taken up can be those of a ring at all.
#[cfg(not(ringfile_loom))]
pub fn check_cursors(ring: &Ring) -> Result<(), OpenError> {
    // `reap` first and `tail` last: others may be moving them, and they only rise.
    let reap = ring.reaped();
    let groups: Vec<_> =
        (0..ring.entries()).filter(|&entry| ring.is_group(entry)).map(|entry| ring.group(entry)).collect();
    if groups.is_empty() || !ring.is_group(0) {
        return Err(OpenError::Corrupt("the default group is missing"));
    }
    let frontiers: Vec<u64> = groups.iter().map(|group| group.frontier().position).collect();
    // Consumers that draw places may be ahead of the tail, but not by more than they all can draw at once.
    let drawn = (ring.participants() * ring.max_batch()) as u64;
    let hints = groups.iter().flat_map(|group| group.hints()).max().unwrap_or(0).saturating_sub(drawn);
    let committed = ring.committed();
    let tail = ring.tail();
    let again = ring.reaped();
    let in_order = frontiers.iter().all(|&f| reap.position <= f && f <= tail.position)
        && hints.max(committed).max(reap.position) <= tail.position
        && tail.position < LAST_POSITION;
    let fits = tail.position.saturating_sub(again.position) <= ring.cells()
        && tail.unit.since(again.unit) <= ring.layout().geometry.data_bytes / layout::UNIT as u64;
    if in_order && (fits || again.position > tail.position) {
        Ok(())
    } else {
        Err(OpenError::Corrupt("the cursors contradict each other"))
    }
}
