//! Memory that processes share: an anonymous file that lives as long as somebody has it open.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

/// A new anonymous file of so many zero bytes.
pub fn anonymous(len: usize) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string that outlives the call.
    let fd = unsafe { libc::memfd_create(c"ringfile-compare".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and is nobody else's.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(len as u64)?;
    Ok(file.into())
}

/// What may lie in shared memory.
///
/// # Safety
///
/// Any bytes are a value, and others may write them: atomic integers, or cells whose users say whose turn it is.
pub unsafe trait Shared {}

/// A mapping of a file as so many `T`s, every page of it present.
pub struct Mapping<T: Shared> {
    at: NonNull<T>,
    count: usize,
}

// SAFETY: like a `&[T]`, and unmapped by whoever drops it.
unsafe impl<T: Shared + Sync> Send for Mapping<T> {}

impl<T: Shared> Mapping<T> {
    pub fn new(file: &impl AsRawFd, count: usize) -> io::Result<Mapping<T>> {
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
        // SAFETY: a new mapping replaces nothing.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), count * size_of::<T>(), prot, flags, file.as_raw_fd(), 0)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).expect("the kernel maps nothing at zero");
        Ok(Mapping { at, count })
    }
}

impl<T: Shared> Deref for Mapping<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: so many are mapped, aligned to a page, for as long as `self`, and any bytes are a `T`.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.count) }
    }
}

impl<T: Shared> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing borrows it any more.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.count * size_of::<T>()) };
    }
}
