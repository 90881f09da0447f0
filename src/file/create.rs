//! Making a file so that nobody ever opens half of one.

use super::checkpoint::{self, Checkpoint, Place};
use super::header::Header;
use super::layout::{PAGE, cursor};
use super::region::Region;
use crate::error::OpenError;
use crate::fault::{self, Step};
use crate::ring::salvage::Then;
use crate::sys::{file, process};
use memmap2::MmapRaw;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A whole ring that has no name yet, and goes when this is dropped.
pub struct Unnamed {
    file: File,
    /// Where the file system has no unnamed files.
    temporary: Option<Temporary>,
}

impl Unnamed {
    /// Makes a ring that can be linked to `path`, its words written by `format`, which says what it is like. `durable`: it is going to be synced again and again.
    pub fn create(
        path: &Path,
        header: &Header,
        mode: u32,
        durable: bool,
        format: impl FnOnce(Region) -> Then,
    ) -> Result<Unnamed, OpenError> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let unnamed = match file::create_unnamed(directory, mode) {
            Ok(file) => Unnamed { file, temporary: None },
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Temporary::create(path, mode)?,
            Err(error) => return Err(error.into()),
        };
        fill(&unnamed.file, header, durable, format)?;
        Ok(unnamed)
    }

    /// Gives it its name. `AlreadyExists` leaves what is there untouched.
    pub fn link(self, path: &Path) -> Result<(), OpenError> {
        match &self.temporary {
            None => file::link_unnamed(&self.file, path).map_err(without_proc)?,
            Some(temporary) => fs::hard_link(&temporary.0, path)?,
        }
        fault::point(Step::FileNamed);
        Ok(())
    }
}

fn fill(
    file: &File,
    header: &Header,
    durable: bool,
    format: impl FnOnce(Region) -> Then,
) -> Result<(), OpenError> {
    refuse_unsafe(file)?;
    file::allocate(file, header.layout.file_len)?;
    fault::point(Step::FileAllocated);
    if durable {
        // A sync of space that was never written has to write down as well that it is in use. Page by page: what is written in one go is kept, and synced, in one go.
        for page in (0..header.layout.file_len).step_by(PAGE) {
            file.write_all_at(&[0; PAGE], page as u64)?;
        }
    }
    file.write_all_at(&header.to_bytes(), 0)?;
    file.write_all_at(&process::boot_id(), cursor::BOOT as u64)?;
    let then = format(Region::mapping(MmapRaw::map_raw(file)?));
    let layout = &header.layout;
    checkpoint::write(file, layout, Place::new(layout, 0), &Checkpoint { sequence: 1, then })?;
    file.write_all_at(&1u64.to_le_bytes(), cursor::CHECKPOINT as u64)?;
    fault::point(Step::FileFormatted);
    Ok(())
}

/// What a missing name below /proc means; the files themselves are there.
pub fn without_proc(error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::NotFound => OpenError::Unsupported("/proc must be mounted to open a ring"),
        _ => error.into(),
    }
}

/// Refuses file systems on which a mapping is not one memory for all who have it.
pub fn refuse_unsafe(file: &File) -> Result<(), OpenError> {
    if file::is_on_unsafe_file_system(file)? {
        return Err(OpenError::Unsupported("a ring needs a local file system: put it on a disk of this machine or on tmpfs"));
    }
    Ok(())
}

/// Another name in the same directory, which goes when this is dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn create(path: &Path, mode: u32) -> Result<Unnamed, OpenError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().ok_or(OpenError::Options("the path has no file name"))?);
        name.push(format!(".{:032x}.new", u128::from_le_bytes(process::random_id()?)));
        let path = path.with_file_name(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)?;
        Ok(Unnamed { file, temporary: Some(Temporary(path)) })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It has been linked or is of no use; either way nobody looks for this name.
        let _ = fs::remove_file(&self.0);
    }
}
