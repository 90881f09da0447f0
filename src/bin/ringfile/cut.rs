//! A file that somebody cuts off while it is mapped: the kernel sends SIGBUS to whoever touches what is gone.

use crate::failure::Kind;
use libc::{c_int, c_void, siginfo_t};
use std::ptr;

const MESSAGE: &[u8] =
    b"ringfile: the file was cut off while it was in use, or its disk cannot be read: restore it\n";

/// Has that said in a line, and end this process as other damage does. What it had claimed comes again, as after any death.
pub fn say_when_it_happens() {
    // SAFETY: all-zero is a valid value of this plain struct: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction =
        at_bus_error as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as libc::sighandler_t;
    // Once: what is no cut ends the process in the usual way, when it happens again.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
    // SAFETY: the handler calls only what a handler may call; the struct outlives the call.
    unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) };
}

extern "C" fn at_bus_error(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel has filled it.
    if unsafe { (*info).si_code } == libc::BUS_ADRERR {
        // SAFETY: the bytes are there as long as the process is.
        unsafe { libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
        // SAFETY: runs nothing of the program's.
        unsafe { libc::_exit(Kind::Damaged as c_int) }
    }
    // Of memory that is broken, or sent by somebody: delivered again when this returns, and then nobody handles it.
    // SAFETY: takes no pointers.
    unsafe { libc::raise(signal) };
}
