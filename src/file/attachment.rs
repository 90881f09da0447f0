//! One open of a file: its mapping, its number, and the lock that says that it lives.

use super::create::{refuse_unsafe, without_proc};
use super::header::{Header, UncheckedHeader};
use super::layout::PAGE;
use super::region::Region;
use crate::error::OpenError;
use crate::fault::{self, Step};
use crate::sync::{AtomicU64, Ordering};
use crate::sys::file;
use crate::sys::fork::Registration;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

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
}

impl Opened {
    /// Maps an existing file.
    pub fn open(path: &Path) -> Result<(Opened, Region), OpenError> {
        let mapped = file::open(path)?;
        let (header, region) = map(&mapped, |file| MmapRaw::map_raw(file))?;
        let locks = Locks { held: reopen(&mapped)?, probe: reopen(&mapped)? };
        Ok((Opened { header, locks }, region))
    }

    /// Takes the next number that is ours alone.
    pub fn attach(self, next: &AtomicU64) -> Result<Attachment, OpenError> {
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
                return Ok(Attachment { number, locks: self.locks });
            }
        }
    }
}

/// An open that the others know.
#[derive(Debug)]
pub struct Attachment {
    number: u64,
    locks: Locks,
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
