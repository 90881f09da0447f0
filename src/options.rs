//! How a queue is made and opened.

use crate::durable::Durability;
use crate::error::OpenError;
use crate::file::header::Header;
use crate::file::layout::{Geometry, Layout};
use crate::file::region::Region;
use crate::file::{self, Attachment, Opened, Unnamed};
use crate::observer::Observer;
use crate::queue::Queue;
use crate::ring::pace::is_rate;
use crate::ring::salvage::{Found, Then};
use crate::ring::{Policy, Ring, letters};
use crate::shared::{Shared, Wait};
use crate::sync::AtomicPair;
use crate::sys::process;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
/// to an open of an existing file, it must agree with it. `claim`, `rate`, `burst`, `retain`, `retain_for`, `scrub`, `max_deliveries`, `lease` and `mode` count at
/// creation alone, `wait`, `durability`, `recover` and `populate_ahead` at each open.
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
    max_deliveries: u32,
    lease: Duration,
    retain: u64,
    retain_for: Duration,
    scrub: bool,
    populate_ahead: usize,
    wait: Wait,
    durability: Durability,
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
            max_deliveries: 0,
            lease: Duration::ZERO,
            retain: 0,
            retain_for: Duration::ZERO,
            scrub: false,
            populate_ahead: 0,
            wait: Wait::Adaptive,
            durability: Durability::Process,
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

    /// Bytes of a cell, 64 or 128: messages of up to 32 or 88 bytes are kept in their cell. Default: 128.
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

    /// How often a message is handed out, to each group, before it is set aside among the [dead letters](Queue::dead_letters) instead: 1 to 500; 0, the default:
    /// without end.
    ///
    /// Every delivery counts that did not end in an acknowledgement: releases, deaths, expired leases. The dead letters are kept in a second file, as large as the
    /// queue's and made together with it: its name with `.dead` behind it. When that is full, such a message stays where it is, is stepped over, and is counted
    /// in [`GroupStats::stuck`](crate::GroupStats::stuck); it is set aside when there is room, and until then a closed queue is not drained.
    ///
    /// Nothing is lost on the way, whoever is killed. A message may be set aside twice if the one who moved it was killed in between and the first copy was
    /// finished and gone before anybody looked, or if its [lease](Self::lease) expired meanwhile: [`Delivery::origin`](crate::Delivery::origin) tells.
    pub fn max_deliveries(&mut self, count: u32) -> &mut Self {
        self.max_deliveries = count;
        self
    }

    /// How long a claim is its consumer's alone, even if that is stuck: after that time, its messages may be delivered to others. Zero, the default: for ever.
    ///
    /// The only way for a living consumer to lose a message, and a paused one loses it too: without a lease only death does that. A late acknowledgement
    /// says [`Expired`](crate::Expired), and the bytes stay valid until the guard is dropped, so a stuck consumer still keeps the room of what it holds and of all that lies
    /// behind. The time counts from the claim, for a batch as a whole, by a clock that stands still while the machine is suspended; it is up when somebody who waits or
    /// opens the queue looks, which those who sleep do every few milliseconds (but not while they wait for their [rate](Self::rate)).
    /// A [`pop`](crate::Consumer::pop) whose lease expires while it copies takes the next message.
    ///
    /// Costs a clock and two stores in each claim, a compare-and-swap in place of a store and another store in each acknowledgement, and for those who make room a look at the slot of
    /// each participant.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let queue = ringfile::Queue::options().capacity(4096).lease(Duration::from_millis(20)).in_memory()?;
    /// queue.producer()?.push(b"job")?;
    /// let (mut slow, mut quick) = (queue.consumer()?, queue.consumer()?);
    /// let held = slow.claim()?;
    /// assert_eq!(quick.pop()?, b"job"); // when the lease has expired
    /// assert_eq!(&*held, b"job");
    /// assert!(held.ack().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn lease(&mut self, lease: Duration) -> &mut Self {
        self.lease = lease;
        self
    }

    /// How many messages stay readable that every group has finished, the last ones: for [`replay`](Queue::replay), [`rewind`](crate::Group::rewind) and new
    /// groups. Default: 0. Can be changed: [`Queue::set_retain`].
    ///
    /// As far as they fit. When a push finds no room, what exceeds half of the cells or half of the capacity gives way to it, and when every group has finished
    /// everything, anything does; the oldest first, and as many as that push needs. [`Stats::gave_way`](crate::Stats::gave_way) counts them.
    pub fn retain(&mut self, messages: u64) -> &mut Self {
        self.retain = messages;
        self
    }

    /// For how long at most the messages that are [retained](Self::retain) stay, from their push on. Zero, the default: until others take their place.
    ///
    /// [`Queue::reap`] and the [reaper](Queue::reaper) drop what is older, by the clock of the calendar: if that is set, ages change with it. Costs a clock in each push.
    pub fn retain_for(&mut self, age: Duration) -> &mut Self {
        self.retain_for = age;
        self
    }

    /// Whether the bytes of a message are overwritten with zeros when it is finished by every group and not retained, before their space is free. Default: false.
    ///
    /// Done by the [reaper](Queue::reaper), by [`Queue::reap`], or by the producer that needs the space; until then the bytes are there. One that is paused in it delays the reuse of
    /// what it overwrites. Takes one of the places for [`groups`](Self::groups). What the file system or the disk has kept elsewhere is not overwritten.
    pub fn scrub(&mut self, scrubs: bool) -> &mut Self {
        self.scrub = scrubs;
        self
    }

    /// How many bytes ahead of the next message the [reaper](Queue::reaper) asks the kernel to make ready for writing at each pass, so that producers find no page missing. Default: 0.
    /// It changes nothing in the file.
    pub fn populate_ahead(&mut self, bytes: usize) -> &mut Self {
        self.populate_ahead = bytes;
        self
    }

    /// How calls of this open wait. Default: [`Wait::Adaptive`].
    pub fn wait(&mut self, wait: Wait) -> &mut Self {
        self.wait = wait;
        self
    }

    /// What is pushed by this open outlives, and whether it looks at the checksum of what it hands out. Default: [`Durability::Process`].
    ///
    /// For anything else the queue must be on a disk: [`Unsupported`](OpenError::Unsupported) where the file system is in memory. A file that is made for it has all of its
    /// space written once, and is on the disk when this returns.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use ringfile::{Durability, Queue};
    ///
    /// let queue = Queue::options().durability(Durability::Always).open("orders.ring")?;
    /// queue.producer()?.push(b"paid")?; // on the disk when this returns
    /// # Ok(())
    /// # }
    /// ```
    pub fn durability(&mut self, durability: Durability) -> &mut Self {
        self.durability = durability;
        self
    }

    /// The file's mode at creation, less the umask. Default: 0o600.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// Whether an open settles what killed processes owe, as [`Queue::recover`] does. Default: true. Without it whoever waits for the dead does.
    pub fn recover(&mut self, recovers: bool) -> &mut Self {
        self.recovers = recovers;
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
        attach_or_create(path, || self.attach(path), || self.create_new(path))
    }

    /// Creates the queue at `path`; an error if there is anything.
    pub fn create_new(&self, path: impl AsRef<Path>) -> Result<Queue, OpenError> {
        let path = path.as_ref();
        let birth = self.birth()?;
        // Before whole files are made in vain; the links at the end are what decides. A queue is linked before its dead letters: so these belong to
        // another, or to one that is there by now.
        let is_taken = |path: &Path| path.symlink_metadata().is_ok();
        let letters = birth.letters().map(|letters| (letters, letters_path(path)));
        let foreign = letters.as_ref().filter(|(_, path)| is_taken(path));
        if is_taken(path) {
            return Err(OpenError::Io(io::ErrorKind::AlreadyExists.into()));
        }
        if let Some((_, path)) = foreign {
            return Err(not_its_letters(path));
        }
        let ring = birth.unnamed(path, self.mode, self.is_durable())?;
        // Before the queue can be seen: a disk that is too small for both is an error now.
        let letters = letters.map(|(letters, path)| {
            Ok::<_, OpenError>((letters.unnamed(&path, self.mode, self.is_durable())?, path))
        });
        let letters = letters.transpose()?;
        ring.link(path)?;
        if let Some((letters, path)) = letters {
            match letters.link(&path) {
                // By an open that came before this.
                Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => linked?,
            }
        }
        self.attach_as(path, true)
    }

    /// Opens the queue at `path`, which must exist.
    pub fn attach(&self, path: impl AsRef<Path>) -> Result<Queue, OpenError> {
        self.attach_as(path.as_ref(), false)
    }

    fn attach_as(&self, path: &Path, is_new: bool) -> Result<Queue, OpenError> {
        require_pair_swap()?;
        loop {
            let (opened, region) = Opened::open(path)?;
            let header = opened.header;
            let found = header.layout.geometry;
            let asked = self.geometry_over(found)?;
            if asked != found {
                return Err(OpenError::Geometry { asked, found });
            }
            let (ring, salvaged) = self.take_up(&opened, region)?;
            let sets_aside = !header.keeps_letters && ring.policy().max_deliveries > 0;
            // Beside the file itself, whatever link leads to it.
            let letters =
                sets_aside.then(|| self.attach_letters(&path.canonicalize()?, &header)).transpose()?;
            // Or else the disk has failed meanwhile.
            if let Some(shared) = self.join(opened, ring, letters)? {
                return Ok(Queue { shared: shared.begin()?, is_new, salvaged });
            }
        }
    }

    fn is_durable(&self) -> bool {
        self.durability != Durability::Process
    }

    /// A ring that was there, made sound where the machine has been down since.
    fn take_up(&self, opened: &Opened, region: Region) -> Result<(Ring, Option<Found>), OpenError> {
        let header = &opened.header;
        if self.is_durable() && opened.is_volatile() {
            return Err(NOTHING_IS_KEPT);
        }
        let ring = Ring::new(region, header.layout, header.keeps_letters);
        let mut ring = ring.with_sums(&header.uuid, self.is_durable());
        let salvaged = opened.put_in_order(&mut ring)?;
        Ok((sound(ring)?, salvaged))
    }

    /// Opens the queue at `path` to look at, for reading only: it takes no part and changes nothing. The shape and policy that were asked for are ignored.
    pub fn observe(&self, path: impl AsRef<Path>) -> Result<Observer, OpenError> {
        if !AtomicPair::LOADS_ONLY_READ {
            return Err(OpenError::Unsupported(
                "this processor cannot read 128 bits of memory that it may not write",
            ));
        }
        let path = path.as_ref();
        let (header, region) = file::map_read_only(path)?;
        let ring = Arc::new(self.observed(region, &header)?);
        let sets_aside = !header.keeps_letters && ring.policy().max_deliveries > 0;
        let letters = sets_aside.then(|| file::map_read_only(&letters_path(&path.canonicalize()?)));
        let letters = match letters {
            Some(Ok((theirs, region))) if theirs.keeps_letters_of(&header) => {
                Some(Arc::new(self.observed(region, &theirs)?))
            }
            // Not there, or not theirs: nothing to see.
            _ => None,
        };
        Ok(Observer { ring, letters })
    }

    /// A ring to look at. What nobody has put in order yet is read with care.
    fn observed(&self, region: Region, header: &Header) -> Result<Ring, OpenError> {
        let ring = Ring::new(region, header.layout, header.keeps_letters);
        let asks_for_sums = self.is_durable() || file::is_unsettled(&ring);
        sound(ring.with_sums(&header.uuid, asks_for_sums))
    }

    /// Opens the ring of dead letters of the queue with this header. Makes it if it is gone, or was not made before its creator was killed.
    fn attach_letters(&self, queue: &Path, of: &Header) -> Result<Shared, OpenError> {
        let path = &letters_path(queue);
        let attach = || {
            loop {
                let (opened, region) = Opened::open(path)?;
                if !opened.header.keeps_letters_of(of) {
                    return Err(not_its_letters(path));
                }
                let (ring, _) = self.take_up(&opened, region)?;
                if let Some(shared) = self.join(opened, ring, None)? {
                    return Ok(shared);
                }
            }
        };
        let create = || {
            // For the same people.
            let mode = queue.metadata()?.mode() & 0o777;
            Birth::of_letters(of).unnamed(path, mode, self.is_durable())?.link(path)?;
            attach()
        };
        attach_or_create(path, attach, create)
    }

    /// Becomes one of those who have a file open. `None`: it must be put in order first.
    fn join(&self, opened: Opened, ring: Ring, letters: Option<Shared>) -> Result<Option<Shared>, OpenError> {
        let Some(attachment) = opened.attach(&ring)? else {
            return Ok(None);
        };
        let shared = self.share(ring, Some(attachment), letters.map(Arc::new));
        if self.is_durable() {
            // What is made of it outlives the power, and so the file must.
            shared.root().map_err(|_| OpenError::Failed)?;
        }
        if self.recovers {
            shared.recover();
        }
        Ok(Some(shared))
    }

    fn share(&self, ring: Ring, attachment: Option<Attachment>, letters: Option<Arc<Shared>>) -> Shared {
        Shared::new(ring, attachment, self.wait, self.durability, letters, self.populate_ahead)
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
        if self.is_durable() {
            return Err(NOTHING_IS_KEPT);
        }
        let birth = self.birth()?;
        let share = |birth: &Birth, letters| {
            let region = Region::heap(birth.header.layout.file_len).ok_or(OpenError::OutOfMemory)?;
            Ok::<_, OpenError>(Arc::new(self.share(birth.ring(region), None, letters)))
        };
        let letters = birth.letters().map(|letters| share(&letters, None)).transpose()?;
        Ok(Queue { shared: share(&birth, letters)?, is_new: true, salvaged: None })
    }

    /// What a new queue is made of.
    fn birth(&self) -> Result<Birth, OpenError> {
        if !is_rate(self.rate) {
            return Err(OpenError::Options("a rate is between 0 (any) and 1e9 messages a second"));
        }
        let max_deliveries = u64::from(self.max_deliveries);
        if max_deliveries > letters::MAX_DELIVERIES {
            return Err(OpenError::Options("a message is set aside after 1 to 500 deliveries, or never (0)"));
        }
        let burst = self.burst.map_or(0, |burst| u64::from(burst).max(1));
        // What does not fit is 584 years.
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let policy = Policy {
            max_deliveries,
            lease: nanos(self.lease),
            retain: self.retain,
            retain_for: nanos(self.retain_for),
            scrub: self.scrub,
        };
        if self.scrub && self.groups == Some(1) {
            return Err(OpenError::Options(
                "scrubbing takes one of the places for groups: ask for two at least",
            ));
        }
        let ticketed = self.claim == Claim::Ticketed;
        Ok(Birth { header: self.header()?, policy, ticketed, rate: self.rate, burst })
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
            keeps_letters: false,
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

/// What a new queue is made of.
struct Birth {
    header: Header,
    policy: Policy,
    ticketed: bool,
    rate: f64,
    burst: u64,
}

impl Birth {
    /// The queue in fresh memory.
    fn ring(&self, region: Region) -> Ring {
        let mut ring = Ring::new(region, self.header.layout, self.header.keeps_letters);
        ring.format(self.header.first_position, self.header.first_unit, self.ticketed, self.policy);
        ring.set_rate(0, self.rate, 0);
        ring.set_burst(0, self.burst);
        ring
    }

    /// The queue in a file that can be linked to `path`.
    fn unnamed(&self, path: &Path, mode: u32, durable: bool) -> Result<Unnamed, OpenError> {
        let format = |region| -> Then { self.ring(region).then(0) };
        Unnamed::create(path, &self.header, mode, durable, format)
    }

    /// What the ring of its dead letters is made of, if it sets any aside.
    fn letters(&self) -> Option<Birth> {
        (self.policy.max_deliveries > 0).then(|| Birth::of_letters(&self.header))
    }

    /// The same for the queue with this header.
    fn of_letters(queue: &Header) -> Birth {
        Birth { header: queue.of_letters(), policy: Policy::default(), ticketed: false, rate: 0.0, burst: 0 }
    }
}

const NOTHING_IS_KEPT: OpenError = OpenError::Unsupported(
    "what is kept in memory does not outlive the power: put the queue on a disk, or ask for no more than Durability::Process",
);

/// A ring that was there, if it can be one.
fn sound(ring: Ring) -> Result<Ring, OpenError> {
    match ring.contradiction() {
        None => Ok(ring),
        Some(what) => Err(OpenError::Corrupt(what)),
    }
}

/// Where the dead letters of the queue at `path` are kept.
fn letters_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".dead");
    name.into()
}

fn not_its_letters(path: &Path) -> OpenError {
    OpenError::ForeignDeadLetters(path.to_owned())
}

/// Takes up what is at `path`, or makes it, until one of the two works.
fn attach_or_create<T>(
    path: &Path,
    attach: impl Fn() -> Result<T, OpenError>,
    create: impl Fn() -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    loop {
        match attach() {
            Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match create() {
            // Made by another meanwhile; but a link that leads nowhere would be there for ever.
            Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists && path.exists() => {}
            other => return other,
        }
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
