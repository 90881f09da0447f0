//! What the kernel does for us: the only calls into libc.

#[cfg(not(ringfile_loom))]
pub mod file;
#[cfg(not(ringfile_loom))]
pub mod fork;
#[cfg(not(ringfile_loom))]
pub mod process;

#[cfg(not(any(ringfile_loom, miri)))]
#[path = "wait.rs"]
pub mod wait;
#[cfg(miri)]
#[path = "wait_miri.rs"]
pub mod wait;
#[cfg(ringfile_loom)]
#[path = "wait_loom.rs"]
pub mod wait;
