//! Checkpoints: what of a ring cannot be told from its cells, in blocks that are believed whole or not at all.
//!
//! The last one that was synced is never written over, so one is whole whenever the power goes. There are some places more: whoever writes in one has it to
//! himself, and if he is paused the others use the rest.

use super::layout::{CHECKPOINTS, Layout, checkpoint, checkpoint::group, cursor, name};
use super::region::Region;
use crate::fault;
use crate::ring::salvage::{GroupThen, Then};
use crate::ring::words::{Life, SyncedCheckpoint, Unit};
use crate::sync::{AtomicU64, Ordering};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A block and its number, which rises.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub sequence: u64,
    pub then: Then,
}

/// Where a block is put.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    index: usize,
    pub offset: usize,
    pub len: usize,
}

impl Place {
    pub fn new(layout: &Layout, index: usize) -> Place {
        let len = layout.checkpoint_len;
        Place { index, offset: CHECKPOINTS + index * len, len }
    }

    /// Another one.
    pub fn another(self, layout: &Layout) -> Place {
        Place::new(layout, (self.index + 1) % checkpoint::PLACES)
    }

    /// Has it to himself who gives this attachment's number; `None` if every place is somebody's, dead ones aside.
    pub fn take(region: &Region, layout: &Layout, me: u64, is_dead: impl Fn(u64) -> bool) -> Option<Place> {
        // From behind the last one that anybody has written, synced or not: as long as the others are free, that stays until the next one is whole.
        let drawn = region.word(cursor::CHECKPOINT).load(Ordering::Relaxed) as usize % checkpoint::PLACES;
        let places = (drawn..drawn + checkpoint::PLACES).map(|index| index % checkpoint::PLACES);
        places.map(|index| Place::new(layout, index)).find(|place| {
            let writer = place.writer(region);
            let theirs = writer.load(Ordering::Acquire);
            let is_free = theirs == 0 || theirs != me && is_dead(theirs);
            if !is_free || writer.compare_exchange(theirs, me, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                return false;
            }
            // Looked at when it is taken: the last one that was synced can only come to lie in a place that somebody has.
            let holds_the_last = synced(region).is_some_and(|last| last.place == place.index);
            if holds_the_last {
                place.release(region);
            }
            !holds_the_last
        })
    }

    pub fn release(self, region: &Region) {
        self.writer(region).store(0, Ordering::Release);
    }

    fn writer(self, region: &Region) -> &AtomicU64 {
        region.word(cursor::CHECKPOINT_WRITERS + 8 * self.index)
    }

    /// Says that what was written here, under this number, is on the disk.
    pub fn was_synced(self, region: &Region, sequence: u64) {
        let word = SyncedCheckpoint { sequence, place: self.index }.pack();
        region.word(cursor::CHECKPOINT_SYNCED).fetch_max(word, Ordering::AcqRel);
    }
}

/// The last block that was synced.
fn synced(region: &Region) -> Option<SyncedCheckpoint> {
    SyncedCheckpoint::unpack(region.word(cursor::CHECKPOINT_SYNCED).load(Ordering::Acquire))
}

/// The last block that is whole, and where it is.
pub fn read(file: &File, layout: &Layout) -> io::Result<Option<(Checkpoint, Place)>> {
    let mut last: Option<(Checkpoint, Place)> = None;
    for place in (0..checkpoint::PLACES).map(|index| Place::new(layout, index)) {
        let mut bytes = vec![0; place.len];
        file.read_exact_at(&mut bytes, place.offset as u64)?;
        if let Some(block) = Checkpoint::parse(&bytes, layout)
            && last.as_ref().is_none_or(|(last, _)| last.sequence < block.sequence)
        {
            last = Some((block, place));
        }
    }
    Ok(last)
}

/// Writes a block where the caller has a place to himself, in one call. It is not on the disk then.
pub fn write(file: &File, layout: &Layout, place: Place, block: &Checkpoint) -> io::Result<()> {
    file.write_all_at(&block.to_bytes(layout), place.offset as u64)?;
    fault::written(place.offset as u64, place.len);
    Ok(())
}

impl Checkpoint {
    fn to_bytes(&self, layout: &Layout) -> Vec<u8> {
        let mut bytes = vec![0; layout.checkpoint_len];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        let then = &self.then;
        let words = [
            (checkpoint::SEQUENCE, self.sequence),
            (checkpoint::INCARNATION, then.incarnation),
            (checkpoint::TAIL, then.tail),
            (checkpoint::TAIL_UNIT, then.tail_unit.get()),
            (checkpoint::REAP, then.reap),
            (checkpoint::MAX_DELIVERIES, then.policy.max_deliveries),
            (checkpoint::LEASE, then.policy.lease),
            (checkpoint::RETAIN, then.policy.retain),
            (checkpoint::RETAIN_FOR, then.policy.retain_for),
            (checkpoint::SCRUB, then.policy.scrub.into()),
        ];
        for (at, word) in words {
            put(at, &word.to_le_bytes());
        }
        put(checkpoint::CLOSED, &u32::from(then.closed).to_le_bytes());
        let mut names = 0u64;
        for then in &then.groups {
            names |= 1 << then.index;
            let base = checkpoint::LEN + then.index * group::LEN;
            let words = [
                (group::LIFE, then.life.pack()),
                (group::FRONTIER, then.frontier),
                (group::ENTRY, then.entry as u64),
                (group::RATE, then.rate.to_bits()),
                (group::BURST, then.burst),
                (group::NAME_LEN, then.name.len() as u64),
            ];
            for (at, word) in words {
                put(base + at, &word.to_le_bytes());
            }
            put(base + group::NAME, &then.name);
        }
        put(checkpoint::NAMES, &names.to_le_bytes());
        let sum = crc32c::crc32c(&bytes);
        bytes[checkpoint::CHECKSUM..checkpoint::CHECKSUM + 4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What the bytes say, if all of them are of one block.
    fn parse(bytes: &[u8], layout: &Layout) -> Option<Checkpoint> {
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let sum = crc32c::crc32c(&bytes[..checkpoint::CHECKSUM]);
        let sum = crc32c::crc32c_append(sum, &[0; 4]);
        let sum = crc32c::crc32c_append(sum, &bytes[checkpoint::CHECKSUM + 4..]);
        if sum != u32_at(checkpoint::CHECKSUM) || u64_at(checkpoint::SEQUENCE) == 0 {
            return None;
        }
        let (names, entries) = (layout.geometry.groups as usize, layout.geometry.groups as usize + 1);
        let group_at = |index: usize| -> Option<GroupThen> {
            let base = checkpoint::LEN + index * group::LEN;
            let len = usize::try_from(u64_at(base + group::NAME_LEN)).ok()?;
            let entry = usize::try_from(u64_at(base + group::ENTRY)).ok()?;
            (len <= name::MAX_NAME && entry < entries).then(|| GroupThen {
                index,
                entry,
                life: Life::unpack(u64_at(base + group::LIFE)),
                frontier: u64_at(base + group::FRONTIER),
                rate: f64::from_bits(u64_at(base + group::RATE)),
                burst: u64_at(base + group::BURST),
                name: bytes[base + group::NAME..][..len].to_vec(),
            })
        };
        let there = u64_at(checkpoint::NAMES);
        let groups = (0..names).filter(|&index| there >> index & 1 != 0).map(group_at);
        let then = Then {
            incarnation: u64_at(checkpoint::INCARNATION),
            closed: u32_at(checkpoint::CLOSED) != 0,
            tail: u64_at(checkpoint::TAIL),
            tail_unit: Unit::new(u64_at(checkpoint::TAIL_UNIT)),
            reap: u64_at(checkpoint::REAP),
            policy: crate::ring::Policy {
                max_deliveries: u64_at(checkpoint::MAX_DELIVERIES),
                lease: u64_at(checkpoint::LEASE),
                retain: u64_at(checkpoint::RETAIN),
                retain_for: u64_at(checkpoint::RETAIN_FOR),
                scrub: u64_at(checkpoint::SCRUB) != 0,
            },
            groups: groups.collect::<Option<_>>()?,
        };
        then.is_possible().then_some(Checkpoint { sequence: u64_at(checkpoint::SEQUENCE), then })
    }
}
