//! Crash points: the steps after which a participant may be killed, one for each row of the crash table in `docs/protocol.md`.
//!
//! A step is nothing at all unless this is built for the model checker, where a thread ends at one, or with the feature `fault`, where
//! a process kills or stops itself at one.

/// Names each step, and says it as the crash table does.
macro_rules! steps {
    ($($step:ident = $says:literal,)+) => {
        /// What a participant has just done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Step {
            $($step,)+
        }

        impl Step {
            pub const ALL: &[Step] = &[$(Step::$step,)+];

            /// As the crash table says it.
            pub const fn says(self) -> &'static str {
                match self {
                    $(Step::$step => $says,)+
                }
            }
        }
    };
}

steps! {
    FileAllocated = "create: file allocated",
    FileFormatted = "create: words written",
    FileNamed = "create: file named",
    NumberDrawn = "attach: number drawn",
    ByteLocked = "attach: byte locked",
    SlotTaken = "attach: slot taken",
    SlotBound = "attach: slot bound",
    IntentPacked = "reserve: half announced",
    IntentAnnounced = "reserve: announced",
    TailSwapped = "reserve: tail swapped",
    CellStaged = "write: cell staged, its payload in part",
    LaterPublished = "publish: a later cell of a batch",
    FirstPublished = "publish: first cell",
    WakeCleared = "wake: bit cleared",
    WakeCounted = "wake: futex counted",
    PlaceDrawn = "claim: place drawn",
    LeaseBegun = "claim: time of the lease written",
    ClaimPacked = "claim: half announced",
    ClaimAnnounced = "claim: announced",
    Claimed = "claim: swapped",
    ClaimUndone = "claim: undone, since the entry serves nobody any more",
    HintStored = "claim: hint stored",
    Acked = "ack: DONE stored",
    LetGo = "let go: announcement cleared, where claims have a lease",
    RestKept = "ack_first: rest written",
    FirstAcked = "ack_first: first written",
    WordReleased = "release: a word written",
    Released = "release: all words written",
    RedoRaised = "release: `redo` raised",
    LetterCopied = "set aside: copied to the dead letters",
    SetAside = "set aside: marked",
    LetterKept = "set aside: put back, since there was no room",
    FrontierMoved = "advance: frontier swapped",
    ReapMoved = "reclaim: reap swapped",
    KeptMoved = "retain: `kept` swapped",
    GaveWay = "retain: what gave way is counted",
    ScrubBegun = "scrub: how far is said",
    Scrubbed = "scrub: bytes overwritten",
    RecordTaken = "group: record taken",
    NameWritten = "group: name written",
    NamePublished = "group: name published",
    EntryPinned = "group: entry pinned",
    NameRedirected = "group: name redirected to the entry",
    ReapRenewed = "group: version of `reap` raised",
    EntryReady = "group: entry made ready",
    NameRemoved = "group: name removed",
    DrainBegun = "group: entry drains",
    EntryFreed = "group: entry freed",
    Parked = "sleep: `parked` set",
    LainDown = "sleep: `asleep` set",
    GotUp = "sleep: `asleep` cleared",
    DozeEnded = "sleep: doze ended",
    CellVoided = "recover: cell voided",
    ClaimSettled = "recover: claim settled",
    DebtsSettled = "recover: debts settled",
    SlotFreed = "recover: slot freed",
    Silenced = "detach: slot silenced",
    Detached = "detach: slot freed",
    TailClosed = "close: bit set",
}

#[cfg(not(any(feature = "fault", ringfile_loom)))]
mod action {
    /// Nothing.
    #[inline(always)]
    pub fn point(_step: super::Step) {}

    #[inline(always)]
    pub fn synced(_region: *const u8, _offset: usize, _len: usize) {}

    #[inline(always)]
    pub fn written(_offset: u64, _len: usize) {}

    /// No error.
    #[inline(always)]
    pub fn sync_error() -> Option<i32> {
        None
    }
}

/// In a process of its own: it kills or stops itself.
#[cfg(all(feature = "fault", not(ringfile_loom)))]
mod action {
    use super::Step;
    use std::sync::RwLock;
    use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

    /// What this process has just done to a file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Event {
        /// A step: stores to the mapping.
        Step(Step),
        /// These bytes of the mapping that begins at `region` are on the disk.
        Synced { region: *const u8, offset: usize, len: usize },
        /// These bytes of a file were written by a call.
        Written { offset: u64, len: usize },
    }

    static WATCH: RwLock<Option<fn(Event)>> = RwLock::new(None);
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    static SYNC_ERROR: AtomicI32 = AtomicI32::new(0);

    /// Has every event of this process told.
    pub fn watch(watch: Option<fn(Event)>) {
        IS_WATCHED.store(watch.is_some(), Ordering::SeqCst);
        *WATCH.write().expect("nobody panics with it") = watch;
    }

    fn tell(event: Event) {
        if IS_WATCHED.load(Ordering::Relaxed) {
            // Not held while it is called.
            let watch = *WATCH.read().expect("nobody panics with it");
            if let Some(watch) = watch {
                watch(event);
            }
        }
    }

    #[inline(always)]
    pub fn synced(region: *const u8, offset: usize, len: usize) {
        tell(Event::Synced { region, offset, len });
    }

    #[inline(always)]
    pub fn written(offset: u64, len: usize) {
        tell(Event::Written { offset, len });
    }

    /// Lets the disk answer every sync of this process with an error.
    pub fn fail_syncs(error: Option<i32>) {
        SYNC_ERROR.store(error.unwrap_or(0), Ordering::SeqCst);
    }

    /// What the disk is to answer, if it fails.
    pub fn sync_error() -> Option<i32> {
        Some(SYNC_ERROR.load(Ordering::SeqCst)).filter(|&error| error != 0)
    }

    /// What the process does to itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Action {
        /// SIGKILL.
        Kill,
        /// SIGSTOP; goes on when it is continued.
        Stop,
    }

    /// `action:1 | step + 1:31 | hits that are left:32`; 0 when nothing is to happen.
    static ARMED: AtomicU64 = AtomicU64::new(0);

    /// Lets this process do something to itself the `hit`th time that a thread of it has done a step, counted from 1.
    pub fn arm(step: Step, hit: u32, action: Action) {
        let stops = u64::from(action == Action::Stop);
        ARMED.store(stops << 63 | (step as u64 + 1) << 32 | u64::from(hit), Ordering::SeqCst);
    }

    /// Lets nothing happen.
    pub fn disarm() {
        ARMED.store(0, Ordering::SeqCst);
    }

    /// Whether what was armed has not happened yet.
    pub fn is_armed() -> bool {
        ARMED.load(Ordering::SeqCst) as u32 != 0
    }

    #[inline(always)]
    pub fn point(step: Step) {
        tell(Event::Step(step));
        if ARMED.load(Ordering::Relaxed) << 1 >> 33 == step as u64 + 1 {
            hit();
        }
    }

    #[cold]
    fn hit() {
        let counted = ARMED.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |armed| {
            (armed as u32 != 0).then(|| armed - 1)
        });
        if let Ok(armed) = counted
            && armed as u32 == 1
        {
            let signal = if armed >> 63 == 1 { libc::SIGSTOP } else { libc::SIGKILL };
            crate::sys::process::raise(signal);
        }
    }
}

/// In a model: the thread ends.
#[cfg(ringfile_loom)]
mod action {
    use super::Step;
    use std::cell::{Cell, RefCell};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    loom::thread_local! {
        static ARMED: Cell<Option<(Step, u32)>> = Cell::new(None);
        static DONE: RefCell<Vec<Step>> = RefCell::new(Vec::new());
    }

    struct Killed;

    /// Runs a participant that ends the `hit`th time that it has done a step, counted from 1. Returns the steps that it did. What it is
    /// made of must do nothing when it is dropped.
    pub fn doomed(at: Option<(Step, u32)>, body: impl FnOnce()) -> Vec<Step> {
        ARMED.with(|armed| armed.set(at));
        if let Err(payload) = catch_unwind(AssertUnwindSafe(body))
            && !payload.is::<Killed>()
        {
            resume_unwind(payload);
        }
        ARMED.with(|armed| armed.set(None));
        DONE.with(RefCell::take)
    }

    pub fn point(step: Step) {
        DONE.with(|done| done.borrow_mut().push(step));
        if let Some((at, hit)) = ARMED.with(Cell::get)
            && at == step
        {
            ARMED.with(|armed| armed.set((hit > 1).then_some((at, hit - 1))));
            if hit == 1 {
                resume_unwind(Box::new(Killed));
            }
        }
    }
}

pub use action::*;
