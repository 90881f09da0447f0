//! What a child made by `fork` must not share with its parent: a ring, in which it would act as its parent, and a lock, which would say
//! that the parent lives.
//!
//! In the child, memory of its own takes the place of the mapping: an empty queue that is closed. Handles made before the fork answer
//! with errors there, and dropping them does nothing to the parent's.

use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// One mapping, as the handler in the child needs it, which may call nothing that takes a lock. Never freed, but used again.
#[derive(Default)]
struct Entry {
    taken: AtomicBool,
    /// Zero where there is nothing to take away.
    base: AtomicUsize,
    len: AtomicUsize,
    closed_at: AtomicUsize,
    closed: AtomicU64,
    held: AtomicI32,
    other: AtomicI32,
    next: AtomicPtr<Entry>,
}

static ENTRIES: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());

fn entries() -> impl Iterator<Item = &'static Entry> {
    let follow = |entry: &AtomicPtr<Entry>| {
        // SAFETY: entries are leaked, and published whole.
        unsafe { entry.load(Ordering::Acquire).as_ref() }
    };
    std::iter::successors(follow(&ENTRIES), move |entry| follow(&entry.next))
}

/// What forks take away from children, until this is dropped.
#[derive(Debug)]
pub struct Registration(&'static Entry);

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Registration {
    /// A mapping of whole pages, in which the word `closed` at an offset says that it is closed; and the file that holds a lock,
    /// with another that may take its place.
    pub fn new(
        mapping: ptr::NonNull<[u8]>,
        (closed_at, closed): (usize, u64),
        held: &impl AsRawFd,
        other: &impl AsRawFd,
    ) -> Registration {
        static HANDLER: OnceLock<()> = OnceLock::new();
        HANDLER.get_or_init(|| {
            // SAFETY: the handler calls only what may be called in a child of a process with threads. Without memory for it, nothing is
            // taken away, as documented for `clone`.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
        let entry = entries().find(|entry| !entry.taken.swap(true, Ordering::AcqRel)).unwrap_or_else(add);
        entry.len.store(mapping.len(), Ordering::Relaxed);
        entry.closed_at.store(closed_at, Ordering::Relaxed);
        entry.closed.store(closed, Ordering::Relaxed);
        entry.held.store(held.as_raw_fd(), Ordering::Relaxed);
        entry.other.store(other.as_raw_fd(), Ordering::Relaxed);
        // The rest is there when this is: in the child, the thread that forked is alone.
        entry.base.store(mapping.cast::<u8>().as_ptr().expose_provenance(), Ordering::Release);
        Registration(entry)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.0.base.store(0, Ordering::Relaxed);
        self.0.taken.store(false, Ordering::Release);
    }
}

fn add() -> &'static Entry {
    let entry: &'static Entry = Box::leak(Box::new(Entry { taken: AtomicBool::new(true), ..Entry::default() }));
    let at = ptr::from_ref(entry).cast_mut();
    let mut first = ENTRIES.load(Ordering::Relaxed);
    loop {
        entry.next.store(first, Ordering::Relaxed);
        match ENTRIES.compare_exchange_weak(first, at, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return entry,
            Err(now) => first = now,
        }
    }
}

extern "C" fn in_child() {
    for entry in entries() {
        let base = entry.base.load(Ordering::Acquire);
        if base != 0 {
            replace(ptr::with_exposed_provenance_mut(base), entry);
            let (held, other): (RawFd, RawFd) =
                (entry.held.load(Ordering::Relaxed), entry.other.load(Ordering::Relaxed));
            // SAFETY: takes no pointers; both are open for as long as the entry is in use. What held the lock is open no more here.
            unsafe { libc::dup3(other, held, libc::O_CLOEXEC) };
        }
    }
}

fn replace(base: *mut u8, entry: &Entry) {
    let len = entry.len.load(Ordering::Relaxed);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the pages are those of the mapping, which is registered for as long as it is there.
    let replaced = unsafe { libc::mmap(base.cast(), len, protection, flags, -1, 0) };
    if replaced == libc::MAP_FAILED {
        // Better no memory at all than the parent's.
        // SAFETY: as above.
        unsafe { libc::munmap(base.cast(), len) };
        return;
    }
    // SAFETY: the offset lies in the mapping.
    let word = unsafe { base.add(entry.closed_at.load(Ordering::Relaxed)) };
    // SAFETY: the offset is a word's, and nobody else has this memory.
    unsafe { word.cast::<u64>().write(entry.closed.load(Ordering::Relaxed)) };
}
