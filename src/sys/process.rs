//! This process and this machine, as the kernel describes them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// What tells this process from another that gets the same number later, or has it elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity {
    pub pid: u64,
    /// In clock ticks since boot.
    pub started: u64,
    /// The inode of its PID namespace.
    pub namespace: u64,
}

/// This process; what /proc does not tell is 0.
pub fn identity() -> Identity {
    static KNOWN: OnceLock<Identity> = OnceLock::new();
    let pid = u64::from(std::process::id());
    let known = *KNOWN.get_or_init(|| Identity {
        pid,
        started: started().unwrap_or(0),
        namespace: fs::metadata("/proc/self/ns/pid").map_or(0, |m| m.ino()),
    });
    // A child made by fork has inherited what its parent found.
    Identity { pid, ..known }
}

fn started() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may hold anything; field 22 is the 20th after it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Nanoseconds since 1970.
pub fn unix_nanos() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos() as u64)
}

/// Sixteen random bytes.
pub fn random_id() -> std::io::Result<[u8; 16]> {
    let mut id = [0u8; 16];
    // SAFETY: the buffer has the length that is passed. So few bytes come whole or not at all.
    let got = unsafe { libc::getrandom(id.as_mut_ptr().cast(), id.len(), 0) };
    if got == id.len() as isize {
        Ok(id)
    } else {
        Err(std::io::Error::last_os_error())
    }
}
