//! One open of a file: its mapping, its number, and the lock that says that it lives.

use super::create::{refuse_unsafe, without_proc};
use super::header::{Header, UncheckedHeader};
use super::layout::PAGE;
use super::region::Region;
use crate::error::OpenError;
use crate::ring::Ring;
use crate::sync::Ordering;
use crate::sys::file;
use memmap2::MmapRaw;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Who we are to the others, and how we ask about them. Never the descriptions that are mapped: a mapping would keep a lock alive that a close should end.
#[derive(Debug)]
pub struct Attachment {
    number: u64,
    /// Holds the lock on the byte of our number until it is closed.
    _lock: File,
    /// Holds no lock: through the other one every byte looks free.
    probe: File,
}

impl Attachment {
    /// Maps an existing file that proves to be a ring, and takes a number in it.
    pub fn open(path: &Path) -> Result<(Attachment, Header, Ring), OpenError> {
        let mapped = file::open(path)?;
        let meta = mapped.metadata()?;
        if !meta.is_file() {
            return Err(OpenError::NotARing);
        }
        let header = UncheckedHeader(&head_of(&mapped, meta.len())?).check(meta.len())?;
        refuse_unsafe(&mapped)?;
        let map = MmapRaw::map_raw(&mapped)?;
        if map.len() != header.layout.file_len {
            return Err(OpenError::Length {
                expected: header.layout.file_len as u64,
                found: map.len() as u64,
            });
        }
        let ring = Ring::new(Region::mapping(map), header.layout);
        super::check_cursors(&ring)?;
        let attachment = Attachment {
            number: 0,
            _lock: reopen(&mapped)?,
            probe: reopen(&mapped)?,
        };
        Ok((attachment.with_number(&ring)?, header, ring))
    }

    fn with_number(self, ring: &Ring) -> Result<Attachment, OpenError> {
        loop {
            let number = ring.next_attachment().fetch_add(1, Ordering::AcqRel);
            let locked = file::lock(&self._lock, number)
                .map_err(|_| OpenError::Unsupported("this file system has no open-file-description locks"))?;
            // 0 means a free slot; a byte that is taken belongs to another copy of the counter: neither is ours.
            if number != 0 && locked {
                return Ok(Attachment { number, ..self });
            }
        }
    }

    /// The number that no other attachment of this file ever has.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the kernel says that an attachment is gone. What it does not say is not so.
    pub fn is_dead(&self, number: u64) -> bool {
        number != self.number && matches!(file::is_locked(&self.probe, number), Ok(false))
    }
}

/// The first page, or as much as there is.
fn head_of(file: &File, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; PAGE.min(len as usize)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Another description of the very file that is mapped, whatever its name leads to by now.
fn reopen(mapped: &File) -> Result<File, OpenError> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", mapped.as_raw_fd());
    file::open(Path::new(&path)).map_err(without_proc)
}
