//! One open of a file: its mapping, its number, and the lock that says that it lives.

use super::checkpoint::{self, Checkpoint, Place};
use super::create::{refuse_unsafe, without_proc};
use super::header::{Header, UncheckedHeader};
use super::layout::{Layout, PAGE, cursor};
use super::region::Region;
use crate::error::OpenError;
use crate::fault::{self, Step};
use crate::ring::Ring;
use crate::ring::salvage::{Found, Then};
use crate::sync::{AtomicU64, Ordering};
use crate::sys::fork::Registration;
use crate::sys::{file, process};
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How the others know us, and how we ask about them. Neither description is the one that is mapped: a mapping would keep a lock alive that a close should end.
#[derive(Debug)]
struct Locks {
    /// Holds the lock on the byte of our number until it is closed.
    held: File,
    /// Holds no lock: through the other one every byte looks free.
    probe: File,
}

/// A file that proved to be a ring, mapped, before it is known to the others.
pub struct Opened {
    pub header: Header,
    locks: Locks,
    directory: PathBuf,
    is_volatile: bool,
}

impl Opened {
    /// Maps an existing file.
    pub fn open(path: &Path) -> Result<(Opened, Region), OpenError> {
        let mapped = file::open(path)?;
        let (header, region) = map(&mapped, |file| MmapRaw::map_raw(file))?;
        let locks = Locks { held: reopen(&mapped)?, probe: reopen(&mapped)? };
        let mut directory = path.canonicalize()?;
        directory.pop();
        let is_volatile = file::is_volatile(&mapped)?;
        Ok((Opened { header, locks, directory, is_volatile }, region))
    }

    /// Whether what is on the disk of it goes with the power.
    pub fn is_volatile(&self) -> bool {
        self.is_volatile
    }

    /// Makes a sound ring of one that was last open in another boot of the machine, or whose disk has failed. Waits while somebody else does.
    pub fn put_in_order(&self, ring: &mut Ring) -> Result<Option<Found>, OpenError> {
        let boot = process::boot_id();
        if !is_out_of_order(ring, &boot) {
            return Ok(None);
        }
        let alone = Alone::wait(reopen(&self.locks.probe)?)?;
        let file = &alone.0;
        if !is_out_of_order(ring, &boot) {
            return Ok(None);
        }
        let begun = Instant::now();
        while file::is_any_locked(&self.locks.probe)? {
            // Whoever is in it was in it when the disk failed; unless he is on his way out, or it is a child of his that has not begun its own program yet.
            if begun.elapsed() > ON_THE_WAY_OUT {
                return Err(OpenError::Failed);
            }
            thread::sleep(Duration::from_millis(1));
        }
        let layout = self.header.layout;
        let (Checkpoint { sequence, then }, old) =
            checkpoint::read(file, &layout)?.ok_or(OpenError::Corrupt("no checkpoint is whole"))?;
        let found = ring.salvage(&then, self.header.first_position);
        let region = ring.region();
        region.touch(0, layout.file_len);
        file::sync_all(file, region.all())?;
        let is_named = file::sync_directory(&self.directory).is_ok();
        region.word(cursor::ROOTED).store(is_named.into(), Ordering::Relaxed);
        let incarnation = then.incarnation.wrapping_add(1);
        let block = Checkpoint { sequence: sequence.wrapping_add(1), then: ring.then(incarnation) };
        // What it was made of stays until this is on the disk.
        let place = old.another(&layout);
        checkpoint::write(file, &layout, place, &block)?;
        file::sync_mapped(region.all(), place.offset, place.len)?;
        region.word(cursor::CHECKPOINT).store(block.sequence, Ordering::Relaxed);
        region.word(cursor::CHECKPOINT_SYNCED).store(0, Ordering::Relaxed);
        place.was_synced(region, block.sequence);
        region.word(cursor::STANDING).store(ring.standing(), Ordering::Relaxed);
        region.word(cursor::INCARNATION).store(incarnation, Ordering::Relaxed);
        ring.failed().store(0, Ordering::Relaxed);
        // Last: from here on others take it for what it is. Release, pairs with their look.
        for (at, half) in (cursor::BOOT..).step_by(8).zip(halves(&boot)) {
            ring.region().word(at).store(half, Ordering::Release);
        }
        Ok(Some(found))
    }

    /// Takes the next number that is ours alone. `None`: the ring must be put in order first.
    pub fn attach(self, ring: &Ring) -> Result<Option<Attachment>, OpenError> {
        let attachment = self.take_number(ring.next_attachment())?;
        // Whoever puts it in order either sees the lock that is taken by now, or is not done before this look.
        Ok(Some(attachment).filter(|_| !is_out_of_order(ring, &process::boot_id())))
    }

    fn take_number(self, next: &AtomicU64) -> Result<Attachment, OpenError> {
        loop {
            let number = next.fetch_add(1, Ordering::AcqRel);
            fault::point(Step::NumberDrawn);
            let locked = file::lock(&self.locks.held, number)
                .map_err(|error| match error.raw_os_error() {
                    Some(libc::EINVAL | libc::EOPNOTSUPP) => {
                        OpenError::Unsupported("this file system has no open-file-description locks")
                    }
                    _ => error.into(),
                })?;
            // 0 means a free slot; a byte that is taken belongs to another copy of the counter: neither is ours.
            if number != 0 && locked {
                fault::point(Step::ByteLocked);
                let Opened { locks, directory, is_volatile, header } = self;
                let process = std::process::id();
                return Ok(Attachment { number, locks, directory, is_volatile, layout: header.layout, process });
            }
        }
    }
}

/// An open that the others know.
#[derive(Debug)]
pub struct Attachment {
    number: u64,
    locks: Locks,
    directory: PathBuf,
    is_volatile: bool,
    layout: Layout,
    /// The process that opened the file.
    process: u32,
}

impl Attachment {
    /// The number that no other attachment of this file ever has.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Keeps the lock, and the mapping of `region`, from children made by `fork`, for which `closed` at an offset says that a ring is closed.
    pub fn keep_from_children(&self, region: &Region, closed: (usize, u64)) -> Registration {
        Registration::new(region.all(), closed, &self.locks.held, &self.locks.probe)
    }

    /// Whether the kernel says that an attachment is gone. What it does not say is not so.
    pub fn is_dead(&self, number: u64) -> bool {
        number != self.number && matches!(file::is_locked(&self.locks.probe, number), Ok(false))
    }
}

impl Attachment {
    /// Whether this is the process that opened the file: its children have what looks like it and is something else.
    pub fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    /// Whether what is on its disk goes with the power.
    pub fn is_volatile(&self) -> bool {
        self.is_volatile
    }

    /// Has the whole file on the disk, and its name.
    pub fn root(&self, region: &Region) -> io::Result<()> {
        file::sync_all(&self.locks.probe, region.all())?;
        file::sync_directory(&self.directory)
    }

    /// Writes down what the ring is like apart from its messages, and has that on the disk if it is to be.
    pub fn write_checkpoint(&self, region: &Region, synced: bool, then: impl FnOnce() -> Then) -> io::Result<()> {
        let begun = Instant::now();
        let place = loop {
            match Place::take(region, &self.layout, self.number, |number| self.is_dead(number)) {
                Some(place) => break place,
                None if begun.elapsed() > LONGEST => return Err(io::ErrorKind::TimedOut.into()),
                // As many as there are places are being written just now, or are paused in it.
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        // Drawn before anything is looked at: so a greater number knows what a smaller one knew.
        let sequence = region.word(cursor::CHECKPOINT).fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        let block = Checkpoint { sequence, then: then() };
        let written = checkpoint::write(&self.locks.probe, &self.layout, place, &block).and_then(|()| {
            if synced {
                file::sync_mapped(region.all(), place.offset, place.len)?;
                place.was_synced(region, sequence);
            }
            Ok(())
        });
        place.release(region);
        written
    }
}

/// Has the file to itself to put it in order.
struct Alone(File);

impl Alone {
    /// Waits for those who do the same, but not for ever.
    fn wait(file: File) -> Result<Alone, OpenError> {
        let begun = Instant::now();
        while !file::lock_for_order(&file)? {
            if begun.elapsed() > LONGEST {
                return Err(OpenError::Busy);
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(Alone(file))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // A child that was forked meanwhile has it open too.
        file::unlock_for_order(&self.0);
    }
}

/// What has been closed, by a process that starts another just then or that is ending, is closed for all so soon.
const ON_THE_WAY_OUT: Duration = Duration::from_millis(500);

/// Whoever puts a file in order takes a second for each gigabyte, perhaps; but he may be paused.
const LONGEST: Duration = Duration::from_secs(30);

/// The words of a boot id.
fn halves(boot: &[u8; 16]) -> [u64; 2] {
    [0, 8].map(|at| u64::from_le_bytes(boot[at..at + 8].try_into().expect("eight bytes")))
}

/// Whether nothing may be believed of a ring but what proves itself: the machine has been down since it was last open, or its disk has failed.
fn is_out_of_order(ring: &Ring, boot: &[u8; 16]) -> bool {
    let words = [0, 8].map(|at| ring.region().word(cursor::BOOT + at).load(Ordering::Acquire));
    // Without a /proc that tells, nothing can be said.
    let is_other = *boot != [0; 16] && words != halves(boot);
    is_other || ring.failed().load(Ordering::Acquire) != 0
}

/// The same, of a ring that is only looked at.
pub fn is_unsettled(ring: &Ring) -> bool {
    is_out_of_order(ring, &process::boot_id())
}

/// Maps an existing file for reading only: whoever writes to the region is ended by the kernel.
pub fn map_read_only(path: &Path) -> Result<(Header, Region), OpenError> {
    map(&file::open_read_only(path)?, |file| MmapOptions::new().map_raw_read_only(file))
}

/// Maps a file that proves to be a ring.
fn map(file: &File, map: impl FnOnce(&File) -> io::Result<MmapRaw>) -> Result<(Header, Region), OpenError> {
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(OpenError::NotARing);
    }
    let header = UncheckedHeader(&head_of(file, meta.len())?).check(meta.len())?;
    refuse_unsafe(file)?;
    let map = map(file)?;
    if map.len() != header.layout.file_len {
        return Err(OpenError::Length { expected: header.layout.file_len as u64, found: map.len() as u64 });
    }
    Ok((header, Region::mapping(map)))
}

/// The first page, or as much as there is.
fn head_of(file: &File, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; PAGE.min(len as usize)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Another description of the very file that is mapped, whatever its name leads to by now.
fn reopen(mapped: &File) -> Result<File, OpenError> {
    let path = format!("/proc/self/fd/{}", mapped.as_raw_fd());
    file::open(Path::new(&path)).map_err(without_proc)
}
