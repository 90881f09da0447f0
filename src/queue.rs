//! The front door: what belongs to all of a queue.

use crate::consumer::Consumer;
use crate::error::{AttachError, DeadLettersError, OpenError, RateError, RewindError, SyncError};
use crate::group::{Group, Start};
use crate::options::{Claim, Options};
use crate::position::Position;
use crate::producer::Producer;
use crate::reaper::{Reaped, Reaper};
use crate::replay::Replay;
use crate::ring::groups;
use crate::ring::salvage::Found;
use crate::shared::Shared;
use crate::stats::{Recovery, Salvage, Stats, Verification};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
    pub(crate) shared: Arc<Shared>,
    pub(crate) is_new: bool,
    /// What this open found, if the machine had been down.
    pub(crate) salvaged: Option<Found>,
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
        self.group(groups::DEFAULT)?.consumer()
    }

    /// The consumer group of this name (1 to 120 bytes), which is made if there is none: [`Start::Oldest`], [`Claim::Ordered`].
    pub fn group(&self, name: &str) -> Result<Group, AttachError> {
        self.group_with(name, Start::Oldest, Claim::Ordered)
    }

    /// The same; says where a group begins that is made, and how it claims. One that exists stays as it is.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use ringfile::{Claim, Queue, Start};
    ///
    /// let queue = Queue::options().capacity(4096).in_memory()?;
    /// queue.producer()?.push(b"old news")?;
    /// let live = queue.group_with("live", Start::Next, Claim::Ordered)?;
    /// assert!(live.consumer()?.try_pop().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn group_with(&self, name: &str, start: Start, claim: Claim) -> Result<Group, AttachError> {
        Group::open(&self.shared, name, start, claim)
    }

    /// The consumer group of this name, if there is one.
    pub fn find_group(&self, name: &str) -> Option<Group> {
        groups::find(&self.shared.ring, name.as_bytes()).map(|_| Group::named(&self.shared, name))
    }

    /// Ends a group, "default" included: its consumers get `Removed`, and the space that it holds comes free when the last claim in it is let go of. False: there is none
    /// of this name.
    ///
    /// Without any group, nothing is consumed: what was pushed waits for one.
    pub fn remove_group(&self, name: &str) -> bool {
        let Shared { ring, parker, .. } = &*self.shared;
        // What it has finished does not come back, should it have been the last.
        self.shared.reclaim();
        parker.join(ring);
        let removed = groups::remove(ring, name.as_bytes());
        if removed {
            parker.wake_all(ring);
            self.shared.note_change();
        }
        removed
    }

    /// Makes the default group consume again from the oldest message that is kept; see [`Group::rewind`].
    pub fn rewind(&self) -> Result<u64, RewindError> {
        self.default_group().rewind()
    }

    /// Everything that is still kept, from the oldest message on, consumed or not. Changes nothing and takes no part: while others push and consume it may
    /// be overtaken, which it says.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::options().capacity(4096).retain(2).in_memory()?;
    /// queue.producer()?.push_batch(&["a", "b", "c", "d"])?;
    /// queue.consumer()?.drain(3, |_| {})?;
    /// let kept: Result<Vec<_>, _> = queue.replay().map(|kept| kept.map(|kept| kept.message)).collect();
    /// assert_eq!(kept?, [b"b", b"c", b"d"]); // two retained, one not consumed yet
    /// # Ok(())
    /// # }
    /// ```
    pub fn replay(&self) -> Replay {
        Replay::new(self.shared.clone())
    }

    fn default_group(&self) -> Group {
        Group::named(&self.shared, groups::DEFAULT)
    }

    /// How many messages the default group has not finished yet, those that somebody has claimed included. Exact when nobody works on the queue.
    ///
    /// It counts: the time it takes grows with the number.
    pub fn len(&self) -> usize {
        self.default_group().stats().map_or(0, |stats| stats.len)
    }

    /// Whether the default group has finished every message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages a second the default group may consume; 0.0: any number.
    pub fn rate(&self) -> f64 {
        self.default_group().rate()
    }

    /// Sets how many messages a second the default group may consume, over all processes together; 0.0: any number. At once, also for those who wait for their turn.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::options().capacity(4096).in_memory()?;
    /// queue.set_rate(30.0)?;
    /// assert_eq!(queue.rate(), 30.0);
    /// assert!(queue.set_rate(-1.0).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_rate(&self, per_second: f64) -> Result<(), RateError> {
        self.default_group().set_rate(per_second)
    }

    /// How many messages stay readable that every group has finished; see [`Options::retain`].
    pub fn retain(&self) -> u64 {
        self.shared.ring.retain()
    }

    /// Sets that, for all who have the queue open. Less takes effect when somebody needs the room or [reaps](Self::reap).
    pub fn set_retain(&self, messages: u64) {
        self.shared.ring.set_retain(messages);
        self.shared.parker.wake_producers(&self.shared.ring);
        self.shared.note_change();
    }

    /// Frees the space of what every group has finished, but for what is [retained](Options::retain), and does what else is left to be done: settles what the dead owe,
    /// takes groups that were rewound or removed to their end, drops what is older than [`Options::retain_for`].
    ///
    /// Producers free what they need themselves; this keeps it off their path, and what is gone is gone at once. Waits for nobody.
    pub fn reap(&self) -> Reaped {
        self.shared.reap()
    }

    /// A thread that [reaps](Self::reap) every so often until the value is dropped.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::options().capacity(4096).retain(10).in_memory()?;
    /// let reaper = queue.reaper(std::time::Duration::from_millis(100));
    /// // ...
    /// drop(reaper); // stops and joins it
    /// # Ok(())
    /// # }
    /// ```
    pub fn reaper(&self, every: Duration) -> Reaper {
        Reaper::start(self.shared.clone(), every)
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
        Stats::of(&self.shared.ring, self.shared.letters.as_ref().map(|letters| &letters.ring))
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
        Recovery::of(self.shared.recover() + self.shared.with_letters(Shared::recover))
    }

    /// What [`recover`](Self::recover) would settle now. Changes nothing.
    pub fn unrecovered(&self) -> Recovery {
        Recovery::of(self.shared.owed() + self.shared.with_letters(Shared::owed))
    }

    /// The messages that were handed out [`max_deliveries`](Options::max_deliveries) times without being finished, of all groups: a queue of its own, in
    /// the file beside this one whose name ends in `.dead`.
    ///
    /// They are the messages as they were pushed; [`Delivery::origin`](crate::Delivery::origin) says where each comes from.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::options().capacity(4096).max_deliveries(2).in_memory()?;
    /// let poison = queue.producer()?.push(b"poison")?;
    /// let mut consumer = queue.consumer()?;
    /// drop(consumer.claim()?); // once,
    /// drop(consumer.claim()?); // twice not acknowledged
    /// assert!(consumer.try_claim().is_err());
    ///
    /// let mut dead = queue.dead_letters()?.consumer()?;
    /// let letter = dead.claim()?;
    /// assert_eq!(&*letter, b"poison");
    /// assert_eq!(letter.origin().map(|origin| origin.position), Some(poison));
    /// letter.ack()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn dead_letters(&self) -> Result<Queue, DeadLettersError> {
        let shared = self.shared.letters.clone().ok_or(DeadLettersError::NoneAreKept)?;
        Ok(Queue { shared, is_new: false, salvaged: None })
    }

    /// Waits until everything is on the disk that was pushed before the call, by whomever, and where every group stands. Returns a position below which everything is: behind it is what somebody
    /// else had reserved and not finished.
    ///
    /// Without it, at [`Durability::Process`](crate::Durability::Process), the kernel writes to the disk in its own time, half a minute later perhaps.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::open("orders.ring")?;
    /// queue.producer()?.push_batch(&["one", "two"])?;
    /// let durable = queue.sync()?;
    /// assert!(durable.get() >= 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sync(&self) -> Result<Position, SyncError> {
        self.shared.sync().map(Position)
    }

    /// What was found by this open, if it was the first one since the machine was started, or since the disk had failed. See [`Salvage`].
    pub fn salvage(&self) -> Option<Salvage> {
        self.salvaged.map(Salvage::of)
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

    /// Lets producers push again; but not where the disk has failed.
    pub fn reopen(&self) {
        self.set_closed(false);
    }

    fn set_closed(&self, closed: bool) {
        if self.shared.check_disk().is_err() {
            // It is closed, and stays so.
            return;
        }
        self.shared.parker.join(&self.shared.ring);
        self.shared.ring.set_closed(closed);
        self.shared.parker.wake_all(&self.shared.ring);
        self.shared.note_change();
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
