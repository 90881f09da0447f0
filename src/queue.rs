//! The front door: how a queue is opened, and what belongs to all of it.

use crate::consumer::Consumer;
use crate::error::{AttachError, OpenError};
use crate::file::header::Header;
use crate::file::layout::{Geometry, Layout};
use crate::file::region::Region;
use crate::file::{self, Opened};
use crate::producer::Producer;
use crate::ring::Ring;
use crate::shared::{Shared, Wait};
use crate::stats::{Recovery, Stats, Verification};
use crate::sync::AtomicPair;
use crate::sys::process;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How the consumers of a group take messages. Fixed when the group is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Claim {
    /// One compare-and-swap of the message's claim word. The group is a linearizable FIFO.
    #[default]
    Ordered,
    /// A place drawn with fetch_add, then claimed there: for work queues on many cores. Nothing is lost or doubled, but a message
    /// whose drawer was paused, killed or too early comes late, after later ones.
    Ticketed,
}

/// How to open a queue, like [`std::fs::OpenOptions`].
///
/// What decides the shape of the file (`capacity`, `messages`, `cell_size`, `groups`, `participants`) is set when it is created; given explicitly
/// to an open of an existing file, it must agree with it. `claim`, `rate`, `burst` and `mode` count at creation alone, `wait` and `recover` at each open.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempdir();
/// # let path = dir.join("orders.ring");
/// use ringfile::Queue;
///
/// let queue = Queue::options().capacity(1 << 20).open(&path)?;
/// assert!(queue.is_new());
/// # std::fs::remove_dir_all(dir)?;
/// # Ok(())
/// # }
/// # fn tempdir() -> std::path::PathBuf {
/// #     let dir = std::env::temp_dir().join(format!("ringfile-doc-options-{}", std::process::id()));
/// #     std::fs::create_dir_all(&dir).unwrap();
/// #     dir
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    capacity: Option<usize>,
    messages: Option<u64>,
    cell_size: Option<u32>,
    groups: Option<u32>,
    participants: Option<u32>,
    claim: Claim,
    rate: f64,
    burst: Option<u32>,
    wait: Wait,
    recovers: bool,
    mode: u32,
    first_position: u64,
    first_unit: u64,
}

const DEFAULT_CAPACITY: usize = 64 << 20;
const BYTES_PER_MESSAGE: u64 = 128;
const DEFAULT_CELL_SIZE: u32 = 128;
const DEFAULT_GROUPS: u32 = 4;
const DEFAULT_PARTICIPANTS: u32 = 256;

impl Default for Options {
    fn default() -> Options {
        Options {
            capacity: None,
            messages: None,
            cell_size: None,
            groups: None,
            participants: None,
            claim: Claim::Ordered,
            rate: 0.0,
            burst: None,
            wait: Wait::Adaptive,
            recovers: true,
            mode: 0o600,
            first_position: 0,
            first_unit: 0,
        }
    }
}

impl Options {
    /// How many bytes of messages fit, rounded up to a power of two, at least 128. Default: 64 MiB.
    ///
    /// Messages that fit their cell take none of it; others are rounded up to 64 bytes. No message may be longer than half of it.
    pub fn capacity(&mut self, bytes: usize) -> &mut Self {
        self.capacity = Some(bytes);
        self
    }

    /// How many messages fit, rounded up to a power of two, at least 2. Default: `capacity / 128`.
    pub fn messages(&mut self, count: u64) -> &mut Self {
        self.messages = Some(count);
        self
    }

    /// Bytes of a cell, 64 or 128: messages of up to 32 or 96 bytes are kept in their cell. Default: 128.
    pub fn cell_size(&mut self, bytes: u32) -> &mut Self {
        self.cell_size = Some(bytes);
        self
    }

    /// How many consumer groups the file has room for, 1 to 62. Default: 4.
    pub fn groups(&mut self, max: u32) -> &mut Self {
        self.groups = Some(max);
        self
    }

    /// How many producers and consumers there may be at a time, over all processes, 1 to 2,047. Default: 256.
    pub fn participants(&mut self, max: u32) -> &mut Self {
        self.participants = Some(max);
        self
    }

    /// How the default group claims. Default: [`Claim::Ordered`].
    pub fn claim(&mut self, claim: Claim) -> &mut Self {
        self.claim = claim;
        self
    }

    /// How many messages a second the default group may consume, over all processes together; 0.0, the default: any number.
    ///
    /// In any stretch of T seconds at most `rate * T + burst` deliveries start. A consumer that waits sleeps until its turn; one that does not is told
    /// [`Paced`](crate::TryPopError::Paced).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use ringfile::{Queue, TryPopError};
    ///
    /// let queue = Queue::options().capacity(4096).rate(1.0).in_memory()?;
    /// queue.producer()?.push_batch(&["now", "in a second"])?;
    /// let mut consumer = queue.consumer()?;
    /// assert_eq!(consumer.try_pop()?, b"now");
    /// assert!(matches!(consumer.try_pop(), Err(TryPopError::Paced { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn rate(&mut self, per_second: f64) -> &mut Self {
        self.rate = per_second;
        self
    }

    /// How many messages of its [`rate`](Self::rate) a group may save up while it does not consume. Default: a hundredth of the rate, at least 1.
    pub fn burst(&mut self, messages: u32) -> &mut Self {
        self.burst = Some(messages);
        self
    }

    /// How calls of this open wait. Default: [`Wait::Adaptive`].
    pub fn wait(&mut self, wait: Wait) -> &mut Self {
        self.wait = wait;
        self
    }

    /// The file's mode at creation, less the umask. Default: 0o600.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// Where the positions and data offsets of a new queue begin: so that tests can start just below each wrap.
    #[doc(hidden)]
    pub fn born_at(&mut self, first_position: u64, first_unit: u64) -> &mut Self {
        (self.first_position, self.first_unit) = (first_position, first_unit);
        self
    }

    /// Opens the queue at `path`, or creates it.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Queue, OpenError> {
        let path = path.as_ref();
        loop {
            match self.attach(path) {
                Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
            match self.create_new(path) {
                // Made by another meanwhile; but a link that leads nowhere would be there for ever.
                Err(OpenError::Io(error))
                    if error.kind() == io::ErrorKind::AlreadyExists && path.exists() => {}
                other => return other,
            }
        }
    }

    /// Creates the queue at `path`; an error if there is anything.
    pub fn create_new(&self, path: impl AsRef<Path>) -> Result<Queue, OpenError> {
        let path = path.as_ref();
        // Before a whole file is made in vain; the link at the end is what decides.
        if path.symlink_metadata().is_ok() {
            return Err(OpenError::Io(io::ErrorKind::AlreadyExists.into()));
        }
        let header = self.header()?;
        let policy = self.policy()?;
        file::create(path, &header, self.mode, |region| {
            policy.format(&Ring::new(region, header.layout), &header);
        })?;
        self.attach_as(path, true)
    }

    /// Whether an open settles what killed processes owe, as [`Queue::recover`] does. Default: true. Without it whoever waits for the dead does.
    pub fn recover(&mut self, recovers: bool) -> &mut Self {
        self.recovers = recovers;
        self
    }

    /// Opens the queue at `path`, which must exist.
    pub fn attach(&self, path: impl AsRef<Path>) -> Result<Queue, OpenError> {
        self.attach_as(path.as_ref(), false)
    }

    fn attach_as(&self, path: &Path, is_new: bool) -> Result<Queue, OpenError> {
        require_pair_swap()?;
        let (opened, region) = Opened::open(path)?;
        let found = opened.header.layout.geometry;
        let asked = self.geometry_over(found)?;
        if asked != found {
            return Err(OpenError::Geometry { asked, found });
        }
        let ring = Ring::new(region, opened.header.layout);
        if let Some(what) = ring.contradiction() {
            return Err(OpenError::Corrupt(what));
        }
        let attachment = opened.attach(ring.next_attachment())?;
        let shared = Shared::new(ring, Some(attachment), self.wait);
        if self.recovers {
            shared.recover();
        }
        Ok(Queue { shared: Arc::new(shared), is_new })
    }

    /// A queue in the memory of this process, by the same code, without a file.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::options().capacity(4096).in_memory()?;
    /// queue.producer()?.push(b"hello")?;
    /// assert_eq!(queue.consumer()?.pop()?, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn in_memory(&self) -> Result<Queue, OpenError> {
        require_pair_swap()?;
        let header = self.header()?;
        let region = Region::heap(header.layout.file_len).ok_or(OpenError::DiskFull)?;
        let ring = Ring::new(region, header.layout);
        self.policy()?.format(&ring, &header);
        Ok(Queue { shared: Arc::new(Shared::new(ring, None, self.wait)), is_new: true })
    }

    /// What a new queue has beyond its header.
    fn policy(&self) -> Result<Policy, OpenError> {
        if !(0.0..=1e9).contains(&self.rate) {
            return Err(OpenError::Options("a rate is between 0 (any) and 1e9 messages a second"));
        }
        let burst = self.burst.map_or((self.rate / 100.0) as u64, u64::from).max(1);
        Ok(Policy { ticketed: self.claim == Claim::Ticketed, rate: self.rate, burst })
    }

    /// The header of a new queue.
    fn header(&self) -> Result<Header, OpenError> {
        let capacity = self.capacity.unwrap_or(DEFAULT_CAPACITY) as u64;
        let default = Geometry {
            data_bytes: power_of_two(capacity.max(128))?,
            cells: power_of_two((capacity / BYTES_PER_MESSAGE).max(2))?,
            cell_size: DEFAULT_CELL_SIZE,
            groups: DEFAULT_GROUPS,
            participants: DEFAULT_PARTICIPANTS,
        };
        let layout = Layout::new(self.geometry_over(default)?).ok_or(OpenError::Options(
            "these sizes are out of range: cells have 64 or 128 bytes; at most 2^32 messages, 2^46 bytes, 62 groups and 2,047 participants",
        ))?;
        Ok(Header {
            layout,
            uuid: process::random_id()?,
            created: process::unix_nanos(),
            first_position: self.first_position,
            first_unit: self.first_unit,
        })
    }

    /// A geometry with what was given explicitly in place of what it has.
    fn geometry_over(&self, under: Geometry) -> Result<Geometry, OpenError> {
        Ok(Geometry {
            data_bytes: match self.capacity {
                Some(bytes) => power_of_two(bytes.max(128) as u64)?,
                None => under.data_bytes,
            },
            cells: match self.messages {
                Some(count) => power_of_two(count.max(2))?,
                None => under.cells,
            },
            cell_size: self.cell_size.unwrap_or(under.cell_size),
            groups: self.groups.unwrap_or(under.groups),
            participants: self.participants.unwrap_or(under.participants),
        })
    }
}

/// What is set in the file when it is made.
struct Policy {
    ticketed: bool,
    rate: f64,
    burst: u64,
}

impl Policy {
    fn format(&self, ring: &Ring, header: &Header) {
        ring.format(header.first_position, header.first_unit, self.ticketed);
        // -0.0 would not read as no rate.
        ring.set_rate(0, self.rate.abs(), self.burst);
    }
}

fn power_of_two(count: u64) -> Result<u64, OpenError> {
    count
        .checked_next_power_of_two()
        .ok_or(OpenError::Options("the capacity or number of messages is too large"))
}

fn require_pair_swap() -> Result<(), OpenError> {
    if AtomicPair::is_supported() {
        Ok(())
    } else {
        Err(OpenError::Unsupported("this processor cannot swap 128 bits at once"))
    }
}

/// A queue: one open of a file, or a ring in this process's memory. Clones are the same open.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use ringfile::Queue;
///
/// let queue = Queue::options().capacity(1 << 16).in_memory()?;
/// let (mut producer, mut consumer) = (queue.producer()?, queue.consumer()?);
/// let worker = std::thread::spawn(move || consumer.iter().count());
/// for i in 0..1000u32 {
///     producer.push(&i.to_le_bytes())?;
/// }
/// queue.close();
/// assert_eq!(worker.join().unwrap(), 1000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
    is_new: bool,
}

impl Queue {
    /// How to open a queue.
    pub fn options() -> Options {
        Options::default()
    }

    /// Opens the queue at `path`, or creates it with the default options.
    pub fn open(path: impl AsRef<Path>) -> Result<Queue, OpenError> {
        Options::default().open(path)
    }

    /// Whether this open created the file.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// A new producer. Each thread needs its own; dropping it closes nothing.
    pub fn producer(&self) -> Result<Producer, AttachError> {
        Producer::new(self.shared.clone())
    }

    /// A new consumer of the group "default". Each thread needs its own; consumers of a group share its messages.
    pub fn consumer(&self) -> Result<Consumer, AttachError> {
        Consumer::new(self.shared.clone(), 0)
    }

    /// How many messages are not finished yet, those that somebody has claimed included. Exact when nobody works on the queue.
    ///
    /// It counts: the time it takes grows with the number.
    pub fn len(&self) -> usize {
        crate::stats::backlog(&self.shared.ring, 0)
    }

    /// Whether every message is finished.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages a second the default group may consume; 0.0: any number.
    pub fn rate(&self) -> f64 {
        self.shared.ring.rate(0)
    }

    /// How many bytes of messages fit.
    pub fn capacity(&self) -> usize {
        self.shared.ring.layout().geometry.data_bytes as usize
    }

    /// The longest message in bytes.
    pub fn max_message_len(&self) -> usize {
        self.shared.ring.max_len()
    }

    /// Where everything stands. Hints while others work.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.shared.ring)
    }

    /// Settles what killed processes owe: what they had reserved becomes positions without a message, what they had claimed is delivered again, their places as participants come free.
    ///
    /// Every open does it, and every operation that has waited for a millisecond; this is for those who want to know. Any number of processes may do
    /// it at once, beside everything else. Waits for nobody.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::options().capacity(4096).in_memory()?;
    /// assert!(queue.recover().is_nothing()); // nobody dies alone in memory
    /// # Ok(())
    /// # }
    /// ```
    pub fn recover(&self) -> Recovery {
        Recovery::of(self.shared.recover())
    }

    /// What [`recover`](Self::recover) would settle now. Changes nothing.
    pub fn unrecovered(&self) -> Recovery {
        Recovery::of(self.shared.owed())
    }

    /// Reads the whole file and says what contradicts itself. Changes nothing; while others work it may see what is half done.
    pub fn verify(&self) -> Verification {
        Verification::of(&self.shared.ring)
    }

    /// Ends the queue for producers: pushes fail from now on, pops drain what there is and then say `Closed`. Kept in the file. Wakes every sleeper.
    ///
    /// A message that somebody has claimed may come back, so `Closed` comes only when the last claim is acknowledged.
    pub fn close(&self) {
        self.set_closed(true);
    }

    /// Lets producers push again.
    pub fn reopen(&self) {
        self.set_closed(false);
    }

    fn set_closed(&self, closed: bool) {
        self.shared.ring.set_closed(closed);
        self.shared.parker.wake_all(&self.shared.ring);
    }

    /// Whether the queue was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.ring.tail().closed
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("is_new", &self.is_new)
            .field("geometry", &self.shared.ring.layout().geometry)
            .finish_non_exhaustive()
    }
}
