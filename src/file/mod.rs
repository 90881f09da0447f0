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

/// Whether the cursors of a ring that is taken up can be those of a ring at all.
#[cfg(not(ringfile_loom))]
pub fn check_cursors(ring: &Ring) -> Result<(), OpenError> {
    // `reap` first and `tail` last: others may be moving them, and they only rise.
    let reap = ring.reaped();
    let frontiers: Vec<u64> = (0..ring.entries())
        .filter(|&entry| ring.is_group(entry))
        .map(|entry| ring.group(entry).frontier().position)
        .collect();
    if frontiers.is_empty() {
        return Err(OpenError::Corrupt("the default group is missing"));
    }
    let tail = ring.tail();
    let again = ring.reaped();
    let in_order = frontiers.iter().all(|&f| reap.position <= f && f <= tail.position);
    let fits = tail.position.saturating_sub(again.position) <= ring.cells()
        && tail.unit.since(again.unit) <= ring.layout().geometry.data_bytes / layout::UNIT as u64;
    if in_order && reap.position <= tail.position && (fits || again.position > tail.position) {
        Ok(())
    } else {
        Err(OpenError::Corrupt("the cursors contradict each other"))
    }
}
