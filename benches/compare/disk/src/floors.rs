//! The least that a message on the disk costs: one sync, and nothing around it.

use crate::places::Places;
use crate::queues::{Place, stamp, zeroed};
use memmap2::MmapMut;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

const PAGE: usize = 4096;
const SYNCS: u64 = 20;

/// A file of one page, on the disk already. It has no name.
fn page(places: &Places) -> Result<File, String> {
    let dir = places.new_dir(Place::Ext4)?;
    let file = tempfile::tempfile_in(dir.path()).map_err(|error| error.to_string())?;
    file.write_all_at(&[0; PAGE], 0).unwrap();
    file.sync_all().unwrap();
    Ok(file)
}

/// Nanoseconds of one of several.
fn each(size: usize, mut sync: impl FnMut(&[u8])) -> f64 {
    let mut message = zeroed(size);
    let begun = Instant::now();
    for number in 0..SYNCS {
        stamp(&mut message, number);
        sync(&message);
    }
    begun.elapsed().as_nanos() as f64 / SYNCS as f64
}

/// A message written through a map, and its page synced.
pub fn msync(places: &Places, size: usize) -> Result<f64, String> {
    let file = page(places)?;
    // SAFETY: nobody else knows this file.
    let mut map = unsafe { MmapMut::map_mut(&file) }.map_err(|error| error.to_string())?;
    Ok(each(size, |message| {
        map[..size].copy_from_slice(message);
        map.flush_range(0, size).unwrap();
    }))
}

/// A message written over the one before, and the file synced.
pub fn fdatasync(places: &Places, size: usize) -> Result<f64, String> {
    let file = page(places)?;
    Ok(each(size, |message| {
        file.write_all_at(message, 0).unwrap();
        file.sync_data().unwrap();
    }))
}
