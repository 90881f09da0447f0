//! The bare means to wake another process, with room for one message of 8 bytes: what a wake-up costs at least.
//!
//! Their users take turns: nothing is sent before the last message was received.

use super::{Link, Mapping, Queue, Receiver, Refusal, Sender};
use crate::mapping::{Shared, anonymous};
use harness::message::Tally;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A word in shared memory on which the receiver sleeps.
pub struct Futex;

#[repr(C)]
struct Mailbox {
    count: AtomicU32,
    number: AtomicU64,
}

// SAFETY: atomic integers.
unsafe impl Shared for Mailbox {}

impl Queue for Futex {
    fn prepare(_: &Link) -> Result<Vec<OwnedFd>, Refusal> {
        Ok(vec![anonymous(size_of::<Mailbox>())?])
    }

    fn sender(link: Link) -> Result<impl Sender, Refusal> {
        Ok(FutexSender(Mapping::new(&link.files[0], 1)?))
    }

    fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
        Ok(FutexReceiver(Mapping::new(&link.files[0], 1)?, 0))
    }
}

struct FutexSender(Mapping<Mailbox>);

impl Sender for FutexSender {
    fn send(&mut self, numbers: Range<u64>) {
        let mailbox = &self.0[0];
        for number in numbers {
            mailbox.number.store(number, Ordering::Relaxed);
            mailbox.count.fetch_add(1, Ordering::Release);
            // SAFETY: the word outlives the call, which touches nothing.
            unsafe { libc::syscall(libc::SYS_futex, mailbox.count.as_ptr(), libc::FUTEX_WAKE, 1) };
        }
    }
}

struct FutexReceiver(Mapping<Mailbox>, u32);

impl Receiver for FutexReceiver {
    fn receive(&mut self, tally: &mut Tally) {
        let FutexReceiver(mailbox, seen) = self;
        let mailbox = &mailbox[0];
        while mailbox.count.load(Ordering::Acquire) == *seen {
            let forever = ptr::null::<libc::timespec>();
            // SAFETY: the word outlives the call. Woken or not, the loop looks again.
            unsafe {
                libc::syscall(libc::SYS_futex, mailbox.count.as_ptr(), libc::FUTEX_WAIT, *seen, forever)
            };
        }
        *seen += 1;
        tally.see(&mailbox.number.load(Ordering::Relaxed).to_le_bytes());
    }
}

/// An eventfd, whose count is the message: one more than its number, for zero is nothing.
pub struct Eventfd;

impl Queue for Eventfd {
    fn prepare(_: &Link) -> Result<Vec<OwnedFd>, Refusal> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error().into());
        }
        // SAFETY: it was just made and is nobody else's.
        Ok(vec![unsafe { OwnedFd::from_raw_fd(fd) }])
    }

    fn sender(mut link: Link) -> Result<impl Sender, Refusal> {
        Ok(EventfdEnd(link.files.remove(0).into()))
    }

    fn receiver(mut link: Link) -> Result<impl Receiver, Refusal> {
        Ok(EventfdEnd(link.files.remove(0).into()))
    }
}

struct EventfdEnd(File);

impl Sender for EventfdEnd {
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            self.0.write_all(&(number + 1).to_ne_bytes()).unwrap();
        }
    }
}

impl Receiver for EventfdEnd {
    fn receive(&mut self, tally: &mut Tally) {
        let mut count = [0; 8];
        self.0.read_exact(&mut count).unwrap();
        tally.see(&(u64::from_ne_bytes(count) - 1).to_le_bytes());
    }
}
