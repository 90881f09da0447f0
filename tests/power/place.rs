//! Places for files on a disk.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of one test's own, gone when it ends. The system's place for temporary files may be in memory, where nothing can be synced.
pub struct Disk(PathBuf);

impl Disk {
    /// A new, empty one.
    pub fn new() -> Disk {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("disk-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // Of a process that had this number before.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("there is a place for files");
        Disk(path)
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
