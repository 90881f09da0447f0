//! Where files lie: on ext4, and on tmpfs beside it.

use crate::queues::Place;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub struct Places {
    ext4: PathBuf,
    tmpfs: PathBuf,
}

impl Places {
    /// These two directories, if they are what they are taken for: tables call them so.
    pub fn new(ext4: PathBuf, tmpfs: PathBuf) -> Result<Places, String> {
        for (path, magic, name) in
            [(&ext4, libc::EXT4_SUPER_MAGIC, "ext4"), (&tmpfs, libc::TMPFS_MAGIC, "tmpfs")]
        {
            if file_system(path)? != magic {
                return Err(format!("{} is not on {name}", path.display()));
            }
        }
        Ok(Places { ext4, tmpfs })
    }

    /// An empty directory, which goes with the value.
    pub fn new_dir(&self, place: Place) -> Result<TempDir, String> {
        let parent = match place {
            Place::Ext4 => &self.ext4,
            Place::Tmpfs => &self.tmpfs,
        };
        tempfile::Builder::new()
            .prefix("ringfile-compare-")
            .tempdir_in(parent)
            .map_err(|error| format!("{}: {error}", parent.display()))
    }
}

/// The magic number of the file system that this directory is on.
fn file_system(path: &Path) -> Result<libc::c_long, String> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: integers, of which zero is one.
    let mut about: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: a string that ends with a zero, and room for the answer.
    match unsafe { libc::statfs(name.as_ptr(), &raw mut about) } {
        0 => Ok(about.f_type as libc::c_long),
        _ => Err(format!("{}: {}", path.display(), std::io::Error::last_os_error())),
    }
}
