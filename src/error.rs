//! What can go wrong, by call.
//!
//! Each message says what was asked, what was found, and what to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

pub use crate::file::layout::Geometry;

/// Why a queue could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is something else; it was left as it is.
    NotARing,
    /// A ring of another version of the format.
    Version {
        /// The version of the file.
        found: u32,
        /// The version that this build reads.
        supported: u32,
    },
    /// The file has another shape than was asked for explicitly.
    Geometry {
        /// What was asked for; what was left open is as found.
        asked: Geometry,
        /// What the file has.
        found: Geometry,
    },
    /// The file is shorter or longer than its header says.
    Length {
        /// Bytes that the header tells of.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// A ring whose header or cursors contradict themselves.
    Corrupt(&'static str),
    /// There is no room for the file.
    DiskFull,
    /// There is not enough memory or address space for the whole file.
    OutOfMemory,
    /// Every slot for participants is taken. Opening takes none today; reserved.
    TooManyParticipants,
    /// The disk has failed while the queue was open, and it still is: close it everywhere first. What is in it then is looked through, and reported, by the next open.
    Failed,
    /// The machine has been down since the queue was last open, and somebody has been putting it in order for half a minute, or is paused at it.
    Busy,
    /// This file system or processor cannot keep the promises.
    Unsupported(&'static str),
    /// This file beside the queue's keeps the dead letters of another queue, or is something else; it was left as it is.
    ForeignDeadLetters(PathBuf),
    /// The options contradict each other or exceed a limit.
    Options(&'static str),
    /// The operating system refused.
    Io(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotARing => {
                write!(f, "not a ring: the file was made by something else; choose another path")
            }
            OpenError::Version { found, supported } => write!(
                f,
                "the file has format version {found}, and this build reads version {supported}: use the version of ringfile that made it"
            ),
            OpenError::Geometry { asked, found } => write!(
                f,
                "asked for {asked}, but the file has {found}: leave the shape out to take the file as it is"
            ),
            OpenError::Length { expected, found } => write!(
                f,
                "the file should have {expected} bytes and has {found}: it was truncated or extended; restore it"
            ),
            OpenError::Corrupt(what) => write!(f, "damaged: {what}; see `ringfile verify`"),
            OpenError::DiskFull => {
                write!(f, "no space left for the whole file: free some, or ask for a smaller capacity")
            }
            OpenError::OutOfMemory => write!(
                f,
                "not enough memory or address space for the whole file: raise the limit (`ulimit -v`), or use a smaller capacity"
            ),
            OpenError::TooManyParticipants => {
                write!(f, "every participant slot is taken: close some producers or consumers")
            }
            OpenError::Failed => write!(
                f,
                "the disk has failed under this queue, and somebody has it open still: close it everywhere, and open it again"
            ),
            OpenError::Busy => {
                write!(
                    f,
                    "another process is putting the queue in order after a start of the machine, or is paused at it: try again"
                )
            }
            OpenError::Unsupported(what) => write!(f, "not supported: {what}"),
            OpenError::ForeignDeadLetters(path) => write!(
                f,
                "{} does not keep the dead letters of this queue, but perhaps those of an earlier one: empty it or move it away",
                path.display()
            ),
            OpenError::Options(what) => write!(f, "{what}"),
            OpenError::Io(error) => write!(f, "{error}"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            OpenError::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => OpenError::DiskFull,
            Some(libc::ENOMEM) => OpenError::OutOfMemory,
            _ => OpenError::Io(error),
        }
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes of messages in {} cells of {} bytes, {} groups, {} participants",
            self.data_bytes, self.cells, self.cell_size, self.groups, self.participants
        )
    }
}

/// Why an acknowledgement came too late: the [lease](crate::Options::lease) of the claim had expired, and its messages were put back. Others finished them, or will.
///
/// Without a lease there is no such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired;

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lease had expired before the acknowledgement: the message is delivered again")
    }
}

impl Error for Expired {}

/// Declares an error enum with one message for each variant.
macro_rules! errors {
    ($(
        $(#[$about:meta])*
        $name:ident { $( $(#[$doc:meta])* $variant:ident $({ $($(#[$fdoc:meta])* $field:ident: $type:ty),+ })? => $message:literal, )+ }
    )+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $( $(#[$doc])* $variant $({ $($(#[$fdoc])* $field: $type),+ })?, )+ }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $( $name::$variant $({ $($field),+ })? => write!(f, $message), )+ }
            }
        }

        impl Error for $name {}
    )+};
}

errors! {
    /// Why no producer or consumer could be made.
    AttachError {
        /// Every slot is taken by a living participant.
        TooManyParticipants { /** How many the file has room for. */ max: usize } =>
            "all {max} participant slots are taken: drop some producers or consumers, or create the file with more",
        /// There are as many groups as the file has room for.
        TooManyGroups { /** How many that is. */ max: usize } =>
            "there are {max} groups already, and the file has room for no more: remove one, or create the file with more",
        /// Every entry for a group is taken: old ones wait for claims that nobody lets go of; or somebody who makes a group has been paused for a second.
        GroupsBusy => "groups that were rewound or removed wait for claims that are still held, or whoever makes one is paused: acknowledge or drop them, and try again",
        /// A name has 1 to 120 bytes.
        GroupName { /** Bytes of the name. */ len: usize } => "a group's name has 1 to 120 bytes, this one has {len}",
        /// A group cannot begin there.
        Start { /** Where it was to begin. */ asked: u64, /** The oldest message that is kept. */ oldest: u64, /** Where the next one goes. */ tail: u64 } =>
            "a group cannot begin at {asked}: what is kept begins at {oldest}, and the next message goes to {tail}",
        /// The group was removed.
        Removed => "the group was removed: make it again with `Queue::group`",
    }

    /// Why a group was not rewound.
    RewindError {
        /// Every entry for a group is taken: old ones wait for claims that nobody lets go of.
        Busy => "groups that were rewound or removed wait for claims that are still held: acknowledge or drop them, and try again",
        /// There is no such group.
        Removed => "the group was removed: make it again with `Queue::group`",
    }

    /// Why a rate was not set.
    RateError {
        /// Not a rate.
        OutOfRange => "a rate is between 0 (any) and 1e9 messages a second",
        /// There is no such group.
        Removed => "the group was removed: make it again with `Queue::group`",
    }

    /// Why nothing can be said to be on the disk.
    SyncError {
        /// The queue is in memory: its own or that of a file system that keeps nothing. Or this process is a child that did not open it.
        Unsupported => "what is kept in memory cannot be synced: put the queue on a disk",
        /// The disk has failed: nobody knows what is on it. Close the queue everywhere and open it again; see [`Durability`](crate::Durability).
        Failed { /** What the disk answered: the number of the operating system's error. */ code: i32 } =>
            "the disk failed under the queue (error {code}): close it everywhere and open it again",
    }

    /// Why a replay has no message at a place.
    ReplayError {
        /// The places were given back to producers before they were read; it goes on behind them.
        Lapped { /** How many positions that were; not all of them had messages. */ lost: u64 } =>
            "overtaken: {lost} positions were given back before they were read",
        /// The message cannot be read; it is stepped over.
        Corrupt { /** Where. */ position: u64 } =>
            "the ring is damaged at position {position}: see `ringfile verify`",
    }

    /// Why there is no queue of dead letters.
    DeadLettersError {
        /// Messages are delivered without end.
        NoneAreKept => "this queue sets no messages aside: create it with max_deliveries",
    }

    /// Why a push that waits gave up.
    PushError {
        /// The queue was closed; nothing was pushed.
        Closed => "the queue is closed: reopen it to push",
        /// It is pushed, but the queue is in memory, and cannot be synced.
        Unsupported => "what is kept in memory cannot be synced: put the queue on a disk",
        /// The disk has failed: nobody knows what is on it. Close the queue everywhere and open it again; see [`Durability`](crate::Durability).
        Failed { /** What the disk answered: the number of the operating system's error. */ code: i32 } =>
            "the disk failed under the queue (error {code}): close it everywhere and open it again",
        /// One message is longer than any that fits.
        TooLarge { /** Its length in bytes. */ len: usize, /** The longest that fits. */ max: usize } =>
            "a message of {len} bytes does not fit, the longest has {max}: create the file with a larger capacity",
        /// The batch can never fit as a whole.
        BatchTooLarge { /** Its number of messages. */ messages: usize, /** The most messages in a batch. */ max: usize } =>
            "a batch of {messages} messages does not fit as a whole (at most {max}, and their bytes with the longest of them once more must fit the capacity): split it",
        /// The file says what cannot be.
        Corrupt { /** Where. */ position: u64 } =>
            "the ring is damaged at position {position}: see `ringfile verify`",
    }

    /// Why a push that does not wait gave up.
    TryPushError {
        /// There is no room now.
        Full => "the queue is full: try again when something was consumed",
        /// The queue was closed; nothing was pushed.
        Closed => "the queue is closed: reopen it to push",
        /// It is pushed, but the queue is in memory, and cannot be synced.
        Unsupported => "what is kept in memory cannot be synced: put the queue on a disk",
        /// The disk has failed: nobody knows what is on it. Close the queue everywhere and open it again; see [`Durability`](crate::Durability).
        Failed { /** What the disk answered: the number of the operating system's error. */ code: i32 } =>
            "the disk failed under the queue (error {code}): close it everywhere and open it again",
        /// One message is longer than any that fits.
        TooLarge { /** Its length in bytes. */ len: usize, /** The longest that fits. */ max: usize } =>
            "a message of {len} bytes does not fit, the longest has {max}: create the file with a larger capacity",
        /// The batch can never fit as a whole.
        BatchTooLarge { /** Its number of messages. */ messages: usize, /** The most messages in a batch. */ max: usize } =>
            "a batch of {messages} messages does not fit as a whole (at most {max}, and their bytes with the longest of them once more must fit the capacity): split it",
        /// The file says what cannot be.
        Corrupt { /** Where. */ position: u64 } =>
            "the ring is damaged at position {position}: see `ringfile verify`",
    }

    /// Why a push that waits for a time gave up.
    PushTimeoutError {
        /// There was no room in time; nothing was pushed.
        Timeout => "the queue stayed full for the whole time-out",
        /// The queue was closed; nothing was pushed.
        Closed => "the queue is closed: reopen it to push",
        /// It is pushed, but the queue is in memory, and cannot be synced.
        Unsupported => "what is kept in memory cannot be synced: put the queue on a disk",
        /// The disk has failed: nobody knows what is on it. Close the queue everywhere and open it again; see [`Durability`](crate::Durability).
        Failed { /** What the disk answered: the number of the operating system's error. */ code: i32 } =>
            "the disk failed under the queue (error {code}): close it everywhere and open it again",
        /// One message is longer than any that fits.
        TooLarge { /** Its length in bytes. */ len: usize, /** The longest that fits. */ max: usize } =>
            "a message of {len} bytes does not fit, the longest has {max}: create the file with a larger capacity",
        /// The batch can never fit as a whole.
        BatchTooLarge { /** Its number of messages. */ messages: usize, /** The most messages in a batch. */ max: usize } =>
            "a batch of {messages} messages does not fit as a whole (at most {max}, and their bytes with the longest of them once more must fit the capacity): split it",
        /// The file says what cannot be.
        Corrupt { /** Where. */ position: u64 } =>
            "the ring is damaged at position {position}: see `ringfile verify`",
    }

    /// Why a pop that waits gave up.
    PopError {
        /// The queue was closed, and the group is done with everything.
        Closed => "the queue is closed and drained",
        /// The disk has failed: nobody knows what is on it. Close the queue everywhere and open it again; see [`Durability`](crate::Durability).
        Failed { /** What the disk answered: the number of the operating system's error. */ code: i32 } =>
            "the disk failed under the queue (error {code}): close it everywhere and open it again",
        /// The group was removed.
        Removed => "the group was removed: make it again with `Queue::group`",
        /// The file is damaged there. A message that cannot be read is stepped over; damaged cursors stay as they are.
        Corrupt { /** Where. */ position: u64 } =>
            "the ring is damaged at position {position}: see `ringfile verify`",
    }

    /// Why a pop that does not wait gave up.
    TryPopError {
        /// Every message pushed so far has been claimed.
        Empty => "nothing to pop",
        /// The next message is being written: its push has not finished.
        Pending => "the next message is still being pushed: try again",
        /// There is a message, but the group has used up its rate.
        Paced { /** When there will be credit for one. */ until: Instant } =>
            "the rate of the group is used up (until {until:?}): try again then",
        /// The queue was closed, and the group is done with everything.
        Closed => "the queue is closed and drained",
        /// The disk has failed: nobody knows what is on it. Close the queue everywhere and open it again; see [`Durability`](crate::Durability).
        Failed { /** What the disk answered: the number of the operating system's error. */ code: i32 } =>
            "the disk failed under the queue (error {code}): close it everywhere and open it again",
        /// The group was removed.
        Removed => "the group was removed: make it again with `Queue::group`",
        /// The file is damaged there. A message that cannot be read is stepped over; damaged cursors stay as they are.
        Corrupt { /** Where. */ position: u64 } =>
            "the ring is damaged at position {position}: see `ringfile verify`",
    }

    /// Why a pop that waits for a time gave up.
    PopTimeoutError {
        /// Nothing came in time.
        Timeout => "nothing to pop for the whole time-out",
        /// The queue was closed, and the group is done with everything.
        Closed => "the queue is closed and drained",
        /// The disk has failed: nobody knows what is on it. Close the queue everywhere and open it again; see [`Durability`](crate::Durability).
        Failed { /** What the disk answered: the number of the operating system's error. */ code: i32 } =>
            "the disk failed under the queue (error {code}): close it everywhere and open it again",
        /// The group was removed.
        Removed => "the group was removed: make it again with `Queue::group`",
        /// The file is damaged there. A message that cannot be read is stepped over; damaged cursors stay as they are.
        Corrupt { /** Where. */ position: u64 } =>
            "the ring is damaged at position {position}: see `ringfile verify`",
    }
}

/// An error of a call that does not wait, as that of one that does: `None` is the answer for which to wait.
macro_rules! waiting {
    ($from:ident, wait: $($wait:ident)|+, $to:ident; $($same:ident $({ $($field:ident),+ })?),+) => {
        impl $to {
            /// `None` is worth waiting for.
            pub(crate) fn unless_waiting(error: $from) -> Option<$to> {
                match error {
                    $( $from::$wait { .. } )|+ => None,
                    $( $from::$same $({ $($field),+ })? => Some($to::$same $({ $($field),+ })?), )+
                }
            }
        }
    };
}

waiting!(TryPushError, wait: Full, PushError; Closed, Unsupported, Failed { code }, TooLarge { len, max }, BatchTooLarge { messages, max }, Corrupt { position });
waiting!(TryPushError, wait: Full, PushTimeoutError; Closed, Unsupported, Failed { code }, TooLarge { len, max }, BatchTooLarge { messages, max }, Corrupt { position });
waiting!(TryPopError, wait: Empty | Pending | Paced, PopError; Closed, Failed { code }, Removed, Corrupt { position });
waiting!(TryPopError, wait: Empty | Pending | Paced, PopTimeoutError; Closed, Failed { code }, Removed, Corrupt { position });

macro_rules! from_sync_error {
    ($($to:ident),+) => {$(
        impl From<SyncError> for $to {
            fn from(error: SyncError) -> $to {
                match error {
                    SyncError::Unsupported => $to::Unsupported,
                    SyncError::Failed { code } => $to::Failed { code },
                }
            }
        }
    )+};
}

from_sync_error!(PushError, TryPushError);
