//! This process and this machine, as the kernel describes them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
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
    let ask = || Identity {
        pid: u64::from(std::process::id()),
        started: started().unwrap_or(0),
        namespace: fs::metadata("/proc/self/ns/pid").map_or(0, |m| m.ino()),
    };
    let known = *KNOWN.get_or_init(ask);
    // A child made by fork has inherited what its parent found.
    if known.pid == u64::from(std::process::id()) { known } else { ask() }
}

fn started() -> Option<u64> {
    Some(Task::read("/proc/self/stat")?.started)
}

/// Whether the kernel says that a process has executed its last instruction: each of its tasks is exiting. Its locks are freed only after its
/// memory, which can take a second. False where /proc does not tell: another PID namespace, or one that is hidden.
pub fn is_exiting(who: Identity) -> bool {
    let me = identity();
    let can_be_asked = who.namespace != 0 && who.namespace == me.namespace && who.pid != me.pid;
    // Twice: a task that was still running when the list was made may have made another.
    can_be_asked && (0..2).all(|_| all_tasks_exit(who) == Some(true))
}

fn all_tasks_exit(who: Identity) -> Option<bool> {
    let process = format!("/proc/{}", who.pid);
    let first = Task::read(format!("{process}/stat"))?;
    // The number may be another process's by now; then this one's locks are free, or a child has them.
    if first.started != who.started || !first.is_exiting() {
        return Some(false);
    }
    for task in fs::read_dir(format!("{process}/task")).ok()? {
        let stat = task.ok()?.path().join("stat");
        match Task::read(&stat) {
            Some(task) if !task.is_exiting() => return Some(false),
            Some(_) => {}
            // It has gone since the list was made, or nothing can be said.
            None if stat.exists() => return None,
            None => {}
        }
    }
    Some(true)
}

/// A line of /proc/*/stat.
struct Task {
    flags: u64,
    started: u64,
}

impl Task {
    fn read(path: impl AsRef<Path>) -> Option<Task> {
        let stat = fs::read_to_string(path).ok()?;
        // The name in brackets may hold anything; field 9 is the 7th after it, field 22 the 20th.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(6);
        let flags = fields.next()?.parse().ok()?;
        let started = fields.nth(12)?.parse().ok()?;
        Some(Task { flags, started })
    }

    /// PF_EXITING: set before anything is torn down; no instruction of the program's follows.
    fn is_exiting(&self) -> bool {
        self.flags & 0x4 != 0
    }
}

/// What the kernel calls this boot of the machine; all zero where /proc does not tell.
pub fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits = text.trim().replace('-', "");
    u128::from_str_radix(&digits, 16).unwrap_or(0).to_be_bytes()
}

/// Sends this process a signal for which there can be no handler.
#[cfg(feature = "fault")]
pub fn raise(signal: i32) {
    // SAFETY: takes no pointers, and runs nothing of the program's.
    unsafe { libc::raise(signal) };
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
