//! What a participant leaves that is killed between two of its stores: the words, written as it would have
//! written them.
//!
//! Whole steps (reserved and not published, claimed and not acknowledged) need none of this: the actor just
//! stops.

use ringfile::file::layout::cell;
use ringfile::ring::Ring;
use ringfile::ring::push::Reserved;
use ringfile::ring::words::{Claim, ClaimIntent, Intent, Kind, Link, Owner, Publish};
use ringfile::sync::{AtomicU64, Ordering};

/// The tenancy of the default group of a new ring.
const TENANCY: u64 = 1;

/// Announced a reservation, and was killed, or only paused, before the tail was swapped.
pub fn announced(ring: &Ring, owner: Owner, position: u64, cells: u64, prev: Owner) {
    let intent = Intent { cells, prev };
    ring.slot(owner).announce_reservation(position, intent);
}

/// Announced a claim in the default group, and was killed before the claim word was swapped.
pub fn announced_claim(ring: &Ring, owner: Owner, position: u64, cells: u64) {
    let intent = ClaimIntent { cells, entry: 0 };
    ring.slot(owner).announce_claim(position, intent);
}

/// Published the last `count` of the cells that it had reserved.
pub fn published_last(ring: &Ring, reserved: &Reserved, count: u64) {
    for distance in (reserved.cells - count..reserved.cells).rev() {
        publish(ring, reserved.first + distance, Link::Behind(distance), Kind::Ready);
    }
}

/// One cell of a reservation, as its owner or a recoverer publishes it.
pub fn publish(ring: &Ring, position: u64, link: Link, kind: Kind) {
    let lap = position / ring.cells();
    publish_word(ring, position).store(Publish::new(lap, link, kind).0, Ordering::Release);
}

fn publish_word(ring: &Ring, position: u64) -> &AtomicU64 {
    let layout = ring.layout();
    let index = (position % ring.cells()) as usize;
    let at = layout.cells + index * layout.geometry.cell_size as usize;
    ring.region().word(at + cell::PUBLISH)
}

/// Wrote one claim word of the default group.
pub fn claimed(ring: &Ring, position: u64, word: impl FnOnce(u64) -> Claim) {
    let tag = position / ring.cells() + TENANCY;
    let index = (position % ring.cells()) as usize;
    let at = ring.layout().claims + 8 * index;
    ring.region().word(at).store(word(tag).0, Ordering::Release);
}
