//! The front door: what belongs to all of a queue.

use crate::consumer::Consumer;
use crate::error::{AttachError, DeadLettersError, OpenError};
use crate::options::Options;
use crate::producer::Producer;
use crate::shared::Shared;
use crate::stats::{Backlog, Recovery, Stats, Verification};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

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
        Backlog::of(&self.shared.ring, 0).open
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
        Ok(Queue { shared, is_new: false })
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
