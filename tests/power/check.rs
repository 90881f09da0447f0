//! What a queue is found to be after the power went, against what is true.

use super::common::{Random, pattern};
use super::truth::{DEFAULT, Standing, Truth};
use super::workload::{NAMES, Policy, durability};
use ringfile::{Consumer, Durability, OpenError, Queue, TryPopError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is wrong, if something is.
pub type Checked<T> = Result<T, String>;

/// Says what is wrong unless it is right.
macro_rules! right {
    ($holds:expr, $($says:tt)+) => {
        if !$holds {
            return Err(format!($($says)+));
        }
    };
}

/// What there is, before anybody touches it.
pub struct Found {
    pub messages: BTreeMap<u64, Vec<u8>>,
    /// Where each group goes on.
    pub groups: BTreeMap<String, u64>,
    /// Everything below has been given back to producers.
    pub reaped: u64,
    /// The position of the next message.
    pub tail: u64,
}

/// How much was seen in all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Files that were no queue yet.
    pub unborn: u64,
    pub delivered: u64,
    pub owed: u64,
    /// Messages that came again although they had been finished.
    pub again: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Seen) {
        self.unborn += other.unborn;
        self.delivered += other.delivered;
        self.owed += other.owed;
        self.again += other.again;
    }
}

/// Opens it; `None` if it is no queue, and need not be.
pub fn open(path: &Path, truth: &Truth, random: &mut Random) -> Checked<Option<(Queue, Durability)>> {
    let durability = durability(random);
    match Queue::options().durability(durability).attach(path) {
        Ok(queue) => {
            let Some(salvage) = queue.salvage() else {
                return Err("nobody notices that the machine was down".to_owned());
            };
            let (told, there) = (salvage.confirmed + salvage.unconfirmed, queue.verify().messages);
            right!(told == there, "{salvage:?} is told, and {there} messages are there");
            Ok(Some((queue, durability)))
        }
        Err(
            error @ (OpenError::NotARing
            | OpenError::Corrupt(_)
            | OpenError::Length { .. }
            | OpenError::Version { .. }),
        ) => {
            right!(!truth.rooted, "it does not open: {error}");
            Ok(None)
        }
        Err(error) => Err(format!("it does not open: {error}")),
    }
}

/// Looks at a file that nobody has put in order, as it is.
pub fn observe(path: &Path, truth: &Truth) -> Checked<()> {
    // What it says of itself may contradict itself.
    let Ok(observer) = Queue::options().observe(path) else {
        return Ok(());
    };
    for kept in observer.replay().flatten() {
        let admitted = truth.admits(kept.position.get(), &kept.message);
        admitted.map_err(|wrong| format!("an observer: {wrong}"))?;
    }
    Ok(())
}

/// Looks at everything without changing anything.
pub fn inspect(queue: &Queue, truth: &Truth, policy: Policy) -> Checked<Found> {
    let verification = queue.verify();
    right!(verification.is_sound(), "contradictions: {:?}", verification.problems);
    right!(verification.unpublished == 0, "{} positions are never published", verification.unpublished);
    right!(!queue.is_closed() || truth.may_be_closed, "it is closed, and nobody closed it");
    let stats = queue.stats();
    let kept = stats.lease == policy.lease && stats.retain_for == policy.retain_for;
    right!(
        kept || !truth.rooted,
        "made with {policy:?}, it has {:?} and {:?}",
        stats.lease,
        stats.retain_for
    );

    let mut messages = BTreeMap::new();
    for kept in queue.replay() {
        let kept = kept.map_err(|error| format!("a replay says: {error}"))?;
        let position = kept.position.get();
        truth.admits(position, &kept.message).map_err(|wrong| format!("a replay: {wrong}"))?;
        let last = messages.last_key_value().map(|(&last, _)| last);
        right!(last < Some(position), "a replay shows {position} after {last:?}");
        messages.insert(position, kept.message);
    }

    let mut groups = BTreeMap::new();
    for name in NAMES {
        let stats = queue.find_group(name).and_then(|group| group.stats());
        let known = truth.groups.get(name);
        match &stats {
            Some(_) => right!(known.is_some_and(|known| known.may_be_there), "group {name:?} is there"),
            None => {
                right!(known.is_none_or(|known| known.may_be_gone) || !truth.rooted, "group {name:?} is gone")
            }
        }
        let Some(stats) = stats else {
            continue;
        };
        groups.insert(name.to_owned(), stats.frontier);
        let done = known.map_or(0, |known| known.done_below);
        right!(stats.frontier >= done, "group {name:?} goes on at {}, and had synced {done}", stats.frontier);
        for position in truth.owed(name) {
            right!(
                position >= stats.frontier,
                "group {name:?} goes on at {}, beyond {position}",
                stats.frontier
            );
            right!(messages.contains_key(&position), "{position} is lost, which group {name:?} is owed");
        }
    }
    let others: Vec<_> = queue.stats().groups.into_iter().map(|group| group.name).collect();
    // Who overwrites bytes has none.
    let others: Vec<_> = others.into_iter().filter(|name| !policy.scrub || !name.is_empty()).collect();
    right!(others.iter().all(|name| groups.contains_key(name)), "groups {others:?} are there");
    let stats = queue.stats();
    Ok(Found { messages, groups, reaped: stats.reaped, tail: stats.tail })
}

/// Uses it until nothing is left of what was there, and then perhaps as any other queue.
pub fn consume(
    path: &Path,
    (mut queue, mut opened): (Queue, Durability),
    truth: &Truth,
    policy: Policy,
    random: &mut Random,
) -> Checked<Seen> {
    let found = inspect(&queue, truth, policy)?;
    if random.below(4) == 0 {
        // What was put in order stays as it is.
        drop(queue);
        opened = durability(random);
        queue = Queue::options()
            .durability(opened)
            .attach(path)
            .map_err(|error| format!("once more: {error}"))?;
        right!(queue.salvage().is_none(), "it is put in order twice");
        let again = inspect(&queue, truth, policy)?;
        right!(
            again.messages == found.messages && again.groups == found.groups,
            "it changes without anybody doing anything"
        );
    }
    queue.reopen();
    let mut seen = Seen::default();
    let mut last = truth.last_durable();
    let mut consumers = Vec::new();
    for name in found.groups.keys() {
        let consumer = queue.group(name).and_then(|group| group.consumer());
        let mut consumer = consumer.map_err(|error| format!("no consumer of {name:?}: {error}"))?;
        let got = drain(&mut consumer, truth, random).map_err(|wrong| format!("group {name:?}: {wrong}"))?;
        let owed = truth.owed(name);
        let missing: Vec<_> = owed.difference(&got).collect();
        right!(missing.is_empty(), "group {name:?} is owed and does not get {missing:?}");
        last = last.max(got.last().copied());
        seen.delivered += got.len() as u64;
        seen.owed += owed.len() as u64;
        let finished = truth.groups.get(name).map_or(0, |known| known.finished.intersection(&got).count());
        seen.again += finished as u64;
        consumers.push(consumer);
    }
    if random.below(3) == 0 {
        go_on(&queue, opened, consumers, last, random)?;
    }
    Ok(seen)
}

/// Takes everything that there is, one way or another. Says what.
fn drain(consumer: &mut Consumer, truth: &Truth, random: &mut Random) -> Checked<BTreeSet<u64>> {
    let mut got = BTreeSet::new();
    let mut released = BTreeSet::new();
    let mut message = Vec::new();
    let damaged = |position: u64| {
        let standing = truth.messages.get(&position).map(|message| message.standing);
        right!(standing == Some(Standing::Unsure), "{position} ({standing:?}) is damaged");
        Ok(())
    };
    let mut receive = |position: u64, bytes: &[u8], was_released: bool| {
        truth.admits(position, bytes)?;
        let last = got.last().copied();
        right!(was_released || last < Some(position), "{position} comes after {last:?}");
        right!(got.insert(position), "{position} comes twice");
        Ok(())
    };
    // Far more than there is room for.
    for _ in 0..10_000 {
        let answer = match random.below(3) {
            0 => match consumer.try_pop_into(&mut message) {
                Ok(position) => {
                    receive(position.get(), &message, released.contains(&position.get()))?;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            1 => match consumer.try_claim() {
                Ok(delivery) => {
                    let position = delivery.position().get();
                    if random.below(4) == 0 && released.insert(position) {
                        truth.admits(position, &delivery)?;
                        delivery.release();
                    } else {
                        receive(position, &delivery, released.contains(&position))?;
                        right!(delivery.deliveries() >= 1, "{position} was never handed out");
                        delivery.ack().map_err(|error| error.to_string())?;
                    }
                    Ok(())
                }
                Err(error) => Err(error),
            },
            _ => match consumer.try_claim_batch(1 + random.below(5) as usize) {
                Ok(batch) => {
                    for (position, bytes) in batch.messages() {
                        receive(position.get(), bytes, released.contains(&position.get()))?;
                    }
                    batch.ack().map_err(|error| error.to_string())?;
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        match answer {
            Ok(()) => {}
            Err(TryPopError::Empty) => return Ok(got),
            Err(TryPopError::Corrupt { position }) => damaged(position)?,
            Err(error) => return Err(format!("nobody else is there, and yet: {error}")),
        }
    }
    Err("there is no end to it".to_owned())
}

/// Pushes more than a lap, some of it so that it stays, and consumes it: behind everything that there was.
fn go_on(
    queue: &Queue,
    opened: Durability,
    mut consumers: Vec<Consumer>,
    mut last: Option<u64>,
    random: &mut Random,
) -> Checked<()> {
    let error = |what: &str, error: &dyn std::fmt::Display| format!("afterwards, {what}: {error}");
    if consumers.is_empty() {
        let mut consumer =
            queue.group(DEFAULT).and_then(|group| group.consumer()).map_err(|e| error("a group", &e))?;
        // It gets what nobody has consumed.
        while consumer.try_pop().is_ok() {}
        consumers.push(consumer);
    }
    let mut producer = queue.producer().map_err(|e| error("a producer", &e))?;
    let stats = queue.stats();
    let longest = stats.max_message_len.min(200) as u64;
    // Each of them waits for the disk.
    let count = if opened == Durability::Always { 3 } else { stats.cells + 3 };
    let durable = random.below(count);
    for i in 0..count {
        let message = pattern(random.next(), random.below(longest + 1) as usize);
        let pushed = match i == durable {
            true => producer.push_durable(&message).map_err(|e| error("a durable push", &e))?,
            false => producer.try_push(&message).map_err(|e| error("a push", &e))?,
        };
        right!(
            last < Some(pushed.get()),
            "afterwards, a new message gets {pushed}, and {last:?} was given out"
        );
        last = Some(pushed.get());
        for consumer in &mut consumers {
            let mut bytes = Vec::new();
            let position = consumer.try_pop_into(&mut bytes).map_err(|e| error("a pop", &e))?;
            right!(
                position == pushed && bytes == message,
                "afterwards, {pushed} was pushed with {} bytes, and {position} comes with {} bytes",
                message.len(),
                bytes.len()
            );
        }
    }
    for consumer in &mut consumers {
        let more = consumer.try_pop();
        right!(more == Err(TryPopError::Empty), "afterwards, there is more: {more:?}");
    }
    let below = queue.sync().map_err(|e| error("a sync", &e))?;
    right!(
        Some(below.get()) > last,
        "afterwards, everything below {below} is synced, and {last:?} was pushed"
    );
    right!(queue.verify().is_sound(), "afterwards, contradictions: {:?}", queue.verify().problems);
    Ok(())
}
