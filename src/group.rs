//! Consumer groups: each gets every message, and its consumers share them.

use crate::consumer::Consumer;
use crate::error::{AttachError, RateError, RewindError};
use crate::options::Claim;
use crate::position::Position;
use crate::ring::groups::{self, NoService, Wanted};
use crate::ring::pace::is_rate;
use crate::ring::retain;
use crate::shared::Shared;
use crate::stats::{Backlog, GroupStats};
use crate::sys::wait;
use std::fmt;
use std::sync::Arc;

/// Where a group begins that is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message that is kept: retained, or not yet consumed by every other group.
    #[default]
    Oldest,
    /// With the next message that is pushed.
    Next,
    /// At a position that is kept, or at the next one. What is given back while the group is being made is not waited for.
    At(Position),
}

/// A consumer group by its name. Every group gets every message from its start on; its consumers, in any number of processes, share them.
///
/// A group is in the file and stays when its consumers are gone. It holds the space of what it has not finished: one that nobody consumes any more
/// holds all of it in the end. [`Stats`](crate::Stats) says which, and [`Queue::remove_group`](crate::Queue::remove_group) ends it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = ringfile::Queue::options().capacity(4096).in_memory()?;
/// let mut billing = queue.group("billing")?.consumer()?;
/// let mut shipping = queue.group("shipping")?.consumer()?;
/// queue.producer()?.push(b"order 1")?;
/// assert_eq!(billing.pop()?, b"order 1");
/// assert_eq!(shipping.pop()?, b"order 1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Group {
    shared: Arc<Shared>,
    name: Arc<str>,
}

impl Group {
    /// The group of this name, which is made if there is none.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        name: &str,
        start: Start,
        claim: Claim,
    ) -> Result<Group, AttachError> {
        if name.is_empty() || name.len() > groups::MAX_NAME {
            return Err(AttachError::GroupName { len: name.len() });
        }
        let group = Group::named(shared, name);
        if group.index().is_none() {
            let wanted = Wanted { start: group.first(start)?, ticketed: claim == Claim::Ticketed };
            let index = shared.create_group(name, wanted).map_err(|none| group.explain(none))?;
            let served = groups::serve(&shared.ring, index);
            if served == Err(NoService::Busy) {
                groups::withdraw(&shared.ring, index);
            }
            served.map_err(|none| group.explain(none))?;
            shared.note_change();
        }
        Ok(group)
    }

    /// The group of this name, whether or not there is one.
    pub(crate) fn named(shared: &Arc<Shared>, name: &str) -> Group {
        Group { shared: shared.clone(), name: name.into() }
    }

    /// The position with which a new group begins.
    fn first(&self, start: Start) -> Result<u64, AttachError> {
        let ring = &self.shared.ring;
        match start {
            Start::Oldest => {
                // So that what should be gone by now is gone.
                self.shared.reclaim();
                Ok(ring.reaped().position)
            }
            Start::Next => Ok(ring.tail().position),
            Start::At(position) => {
                let (asked, oldest, tail) = (position.get(), retain::oldest(ring), ring.tail().position);
                let is_there = (oldest..=tail).contains(&asked);
                is_there.then_some(asked).ok_or(AttachError::Start { asked, oldest, tail })
            }
        }
    }

    fn explain(&self, none: NoService) -> AttachError {
        match none {
            NoService::Removed => AttachError::Removed,
            NoService::TooMany => AttachError::TooManyGroups {
                max: self.shared.ring.names() - usize::from(self.shared.ring.scrubber().is_some()),
            },
            NoService::Busy => AttachError::GroupsBusy,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new consumer of it. Each thread needs its own; consumers of a group share its messages.
    pub fn consumer(&self) -> Result<Consumer, AttachError> {
        let service = self.shared.serve(&self.name).map_err(|none| self.explain(none))?;
        Consumer::new(self.shared.clone(), self.name.clone(), service)
    }

    /// Makes the group consume again from the oldest message that is kept, also while others push and consume. Returns how many messages come again that it
    /// had finished: as many as are [retained](crate::Options::retain), and those that another group still needs.
    ///
    /// From then on each message comes once, in order, also those that somebody holds at that moment: what a consumer claimed before can still be
    /// acknowledged, and counts for nothing. Deliveries are counted from the beginning. Consumers need not be made again.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = ringfile::Queue::options().capacity(4096).retain(100).in_memory()?;
    /// queue.producer()?.push_batch(&["a", "b", "c"])?;
    /// let mut consumer = queue.consumer()?;
    /// consumer.drain(2, |_| {})?;
    /// assert_eq!(queue.rewind()?, 2);
    /// assert_eq!(consumer.pop()?, b"a");
    /// # Ok(())
    /// # }
    /// ```
    pub fn rewind(&self) -> Result<u64, RewindError> {
        let ring = &self.shared.ring;
        let index = self.index().ok_or(RewindError::Removed)?;
        // So that what should be gone by now is gone.
        self.shared.reclaim();
        // Before those who sleep are woken, and consume.
        let again = self.finished(index);
        self.shared.parker.join(ring);
        let rewound = groups::rewind(ring, index);
        self.shared.parker.wake_all(ring);
        self.shared.note_change();
        match rewound {
            Ok(()) => Ok(again as u64),
            Err(NoService::Removed) => Err(RewindError::Removed),
            Err(NoService::Busy | NoService::TooMany) => Err(RewindError::Busy),
        }
    }

    /// How many messages that it has finished are kept.
    fn finished(&self, index: usize) -> usize {
        let ring = &self.shared.ring;
        let kept = ring.count_messages(retain::oldest(ring)..ring.tail().position);
        let open = groups::serve(ring, index).map(|service| Backlog::of(ring, service.entry.into()).open);
        kept.saturating_sub(open.unwrap_or(0))
    }

    /// The number of its name, if there is one.
    fn index(&self) -> Option<usize> {
        groups::find(&self.shared.ring, self.name.as_bytes())
    }

    /// How many messages a second it may consume, over all processes together; 0.0: any number, also if there is no such group.
    pub fn rate(&self) -> f64 {
        self.index().map_or(0.0, |index| self.shared.ring.rate(index))
    }

    /// Sets how many messages a second it may consume, over all processes together; 0.0: any number. At once, also for those who wait for their turn.
    pub fn set_rate(&self, per_second: f64) -> Result<(), RateError> {
        if !is_rate(per_second) {
            return Err(RateError::OutOfRange);
        }
        let ring = &self.shared.ring;
        let index = self.index().ok_or(RateError::Removed)?;
        ring.set_rate(index, per_second, wait::nanos());
        self.shared.parker.wake_paced(ring, index);
        self.shared.note_change();
        Ok(())
    }

    /// Sets how many messages of its rate it may save up while it does not consume; 0: a hundredth of the rate, at least 1.
    pub fn set_burst(&self, messages: u32) -> Result<(), RateError> {
        let ring = &self.shared.ring;
        let index = self.index().ok_or(RateError::Removed)?;
        ring.set_burst(index, messages.into());
        self.shared.parker.wake_paced(ring, index);
        self.shared.note_change();
        Ok(())
    }

    /// Where it stands; `None` if it was removed.
    pub fn stats(&self) -> Option<GroupStats> {
        GroupStats::of_name(&self.shared.ring, self.index()?)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.name).finish_non_exhaustive()
    }
}
