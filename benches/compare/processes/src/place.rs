//! Where the files of a measurement lie: a directory in memory that goes with its value.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const MEMORY: &str = "/dev/shm";
const NAME: &str = "ringfile-processes-";

pub struct Place {
    name: String,
}

impl Place {
    pub fn new() -> io::Result<Place> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("{NAME}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let place = Place { name };
        fs::create_dir(place.path())?;
        Ok(place)
    }

    fn path(&self) -> PathBuf {
        Path::new(MEMORY).join(&self.name)
    }

    /// A new directory in it.
    pub fn dir(&self, name: &str) -> io::Result<PathBuf> {
        let dir = self.path().join(name);
        fs::create_dir(&dir)?;
        Ok(dir)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // iceoryx2 makes files beside the directory that begin with its name.
        remove(|name| {
            name.strip_prefix(&self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        });
    }
}

/// Removes the places of runs that were killed.
pub fn sweep() {
    remove(|name| {
        let pid = name.strip_prefix(NAME).and_then(|rest| rest.split('-').next());
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    });
}

fn remove(is_wanted: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(MEMORY).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(&is_wanted) {
            let path = entry.path();
            // What somebody else has removed meanwhile is gone too.
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}
