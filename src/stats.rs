//! What a queue says about itself.

use crate::options::Claim as Claiming;
use crate::ring::recover::Settled;
use crate::ring::salvage::Found;
use crate::ring::words::{Binding, Claim, Kind, Life, Owner, Stage, State};
use crate::ring::{Ring, retain};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where everything stands. Hints while others work; exact when nobody does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes of long messages that fit.
    pub capacity: usize,
    /// Messages that fit.
    pub cells: u64,
    /// The longest message in bytes.
    pub max_message_len: usize,
    /// Whether the queue was closed.
    pub closed: bool,
    /// After so many deliveries a message is set aside; 0: never.
    pub max_deliveries: u32,
    /// How many messages were set aside and are still among the [dead letters](crate::Queue::dead_letters).
    pub dead_letters: usize,
    /// How long a claim is its consumer's alone; zero: for ever.
    pub lease: Duration,
    /// How often the file was put in order after the power went, or its disk failed: a position whose message was lost then may be another's in a later incarnation.
    pub incarnation: u64,
    /// The position that the next push will get.
    pub tail: u64,
    /// Everything below is published: a lower bound.
    pub committed: u64,
    /// Everything below has been given back to producers.
    pub reaped: u64,
    /// Bytes of the data ring in use.
    pub data_bytes: u64,
    /// How many messages stay readable that every group has finished.
    pub retain: u64,
    /// For how long at most; zero: until others take their place.
    pub retain_for: Duration,
    /// How many messages there are of those: fewer if not so many were finished, or some had to give way.
    pub retained: usize,
    /// How many retained messages have given way to new ones. Who is killed may leave what it took uncounted.
    pub gave_way: u64,
    /// Its consumer groups.
    pub groups: Vec<GroupStats>,
    /// Its producers and consumers, over all processes.
    pub participants: Vec<Participant>,
}

/// Where a consumer group stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupStats {
    /// Its name. Of one that drains since it was removed: that of the group that has its number now, if there is one.
    pub name: String,
    /// Its number, as [`Origin::group`](crate::Origin::group) has it.
    pub number: usize,
    /// How its consumers take messages.
    pub claim: Claiming,
    /// How many messages a second it may consume; 0.0: any number.
    pub rate: f64,
    /// Whether it was rewound or removed: what is left are claims that somebody still holds.
    pub is_draining: bool,
    /// Messages that it has not finished.
    pub len: usize,
    /// Of these, the ones that somebody has claimed.
    pub claimed: usize,
    /// Everything below is finished.
    pub frontier: u64,
    /// Of its messages, those that should be among the [dead letters](crate::Queue::dead_letters), where there was no room for them.
    pub stuck: usize,
    /// Since when producers have found no room because of what it has not finished: it was the slowest group when the queue was full, and what it held then it still holds.
    pub blocking_since: Option<SystemTime>,
}

impl GroupStats {
    /// Of the group with this number, if there is one.
    pub(crate) fn of_name(ring: &Ring, index: usize) -> Option<GroupStats> {
        let entry = ring.directory().has(index).then(|| ring.name(index).serving().entry)??;
        let entry = usize::from(entry);
        (entry < ring.entries() && ring.is_group(entry)).then(|| GroupStats::of(ring, entry))
    }

    fn of(ring: &Ring, entry: usize) -> GroupStats {
        let Backlog { life, done, open, claimed, stuck } = Backlog::of(ring, entry);
        let number = usize::from(life.name);
        GroupStats {
            name: String::from_utf8_lossy(&ring.name(number).text()).into_owned(),
            number,
            claim: if life.ticketed { Claiming::Ticketed } else { Claiming::Ordered },
            rate: ring.rate(number),
            is_draining: life.stage == Stage::Draining,
            len: open,
            claimed,
            frontier: done,
            stuck,
            blocking_since: ring.group(entry).blocking_since(done).map(time_of),
        }
    }
}

fn time_of(unix_nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(unix_nanos)
}

/// What killed processes owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Producers and consumers that were killed; their places are free.
    pub participants: u64,
    /// Positions that were reserved and not published; readers step over them.
    pub voided: u64,
    /// Messages that were claimed and not acknowledged; they are delivered again.
    pub put_back: u64,
    /// Messages that living consumers had claimed for longer than their [lease](crate::Options::lease); they are delivered again.
    pub expired: u64,
}

impl Recovery {
    pub(crate) fn of(settled: Settled) -> Recovery {
        let Settled { participants, voided, put_back, expired } = settled;
        Recovery { participants, voided, put_back, expired }
    }

    /// Whether there was nothing to settle.
    pub fn is_nothing(&self) -> bool {
        *self == Recovery::default()
    }
}

/// What the first open of a file found after the machine was started, or after its disk had failed.
///
/// What was on the disk by then is what there is. A message counts as *confirmed* if its checksum is right: those that were pushed at
/// [`Interval`](crate::Durability::Interval) or [`Always`](crate::Durability::Always), or synced by [`Queue::sync`](crate::Queue::sync). Each group goes on where it was known to be, so some of what it had finished
/// may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvage {
    /// Messages whose checksums are right.
    pub confirmed: u64,
    /// Messages without a checksum that look like what was pushed. After a failure of the power some of their bytes may be others; after an orderly restart of the machine they are not.
    pub unconfirmed: u64,
    /// Messages that were found only in part, and which some group had not finished. They had not been synced.
    pub lost: u64,
    /// Positions at which no message was found that some group had not finished: it was never pushed, or nothing of it had come to the disk.
    pub skipped: u64,
}

impl Salvage {
    pub(crate) fn of(found: Found) -> Salvage {
        let Found { confirmed, unconfirmed, lost, skipped } = found;
        Salvage { confirmed, unconfirmed, lost, skipped }
    }
}

/// A producer or consumer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Participant {
    /// Its slot.
    pub slot: usize,
    /// Its process, as that process sees itself.
    pub pid: u64,
    /// What it is for.
    pub role: Role,
    /// The number of the group of a consumer.
    pub group: Option<usize>,
    /// Since when.
    pub since: SystemTime,
}

/// What a participant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It is just coming or going.
    Unknown,
    /// It pushes.
    Producer,
    /// It pops.
    Consumer,
}

impl Stats {
    pub(crate) fn of(ring: &Ring, letters: Option<&Ring>) -> Stats {
        let geometry = ring.layout().geometry;
        let groups = ring.holders().map(|entry| GroupStats::of(ring, entry)).collect();
        let participants = (0..ring.participants())
            .filter_map(|slot| {
                let words = ring.slot(Owner(slot as u16));
                let taken = words.attachment().load(crate::sync::Ordering::Acquire) != 0;
                let (pid, since) = words.description();
                let binding = words.binding();
                taken.then(|| Participant {
                    slot,
                    pid,
                    role: match binding {
                        Binding::None => Role::Unknown,
                        Binding::Producer => Role::Producer,
                        Binding::Consumer { .. } => Role::Consumer,
                    },
                    group: match binding {
                        Binding::Consumer { entry, .. } if usize::from(entry) < ring.entries() => {
                            Some(ring.group(entry.into()).frontier().life.name.into())
                        }
                        _ => None,
                    },
                    since: time_of(since),
                })
            })
            .collect();
        let (reap, tail) = (ring.reaped(), ring.tail());
        let data_units = if reap.position == tail.position { 0 } else { tail.unit.since(reap.unit) };
        Stats {
            capacity: geometry.data_bytes as usize,
            cells: geometry.cells,
            max_message_len: ring.max_len(),
            closed: tail.closed,
            incarnation: ring.incarnation(),
            max_deliveries: ring.policy().max_deliveries as u32,
            dead_letters: letters.map_or(0, |letters| Backlog::of(letters, 0).open),
            lease: Duration::from_nanos(ring.policy().lease),
            tail: tail.position,
            committed: ring.committed().max(reap.position),
            reaped: reap.position,
            data_bytes: data_units * crate::file::layout::UNIT as u64,
            retain: ring.retain(),
            retain_for: Duration::from_nanos(ring.policy().retain_for),
            retained: retain::retained(ring),
            gave_way: ring.gave_way().load(crate::sync::Ordering::Relaxed),
            groups,
            participants,
        }
    }
}

/// The messages that a group has not finished.
pub(crate) struct Backlog {
    life: Life,
    /// Everything below is finished.
    done: u64,
    pub open: usize,
    /// Of these, those that somebody has claimed.
    claimed: usize,
    /// Of these, dead letters for which there was no room.
    stuck: usize,
}

impl Backlog {
    pub fn of(ring: &Ring, entry: usize) -> Backlog {
        let group = ring.group(entry);
        let frontier = group.frontier();
        let tail = ring.tail().position;
        // A file at rest may hold anything; a ring never holds more than its cells.
        let end = tail.min(frontier.position.saturating_add(ring.cells()));
        let mut at = group.done_from(&frontier, ring.cells()).max(frontier.position);
        let mut backlog = Backlog { life: frontier.life, done: at, open: 0, claimed: 0, stuck: 0 };
        while at < end {
            let claim = group.claim_at(at, frontier.tenancy());
            let cells = claim.map_or(1, Claim::cells);
            let state = claim.map(Claim::state);
            if !matches!(state, Some(State::Done | State::Dead)) {
                let messages =
                    (at..at.saturating_add(cells).min(end)).filter(|&at| ring.has_message(at)).count();
                backlog.open += messages;
                if matches!(state, Some(State::Claim | State::Reclaim)) {
                    backlog.claimed += messages;
                }
                backlog.stuck += usize::from(claim.is_some_and(|claim| ring.is_stuck_letter(claim)));
            }
            at = at.saturating_add(cells);
        }
        backlog
    }
}

/// What a look at the whole file has shown.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verification {
    /// Messages that are kept and can be read.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Positions without a message: aborted, or of the dead.
    pub skipped: u64,
    /// Positions that were reserved and are not published.
    pub unpublished: u64,
    /// What contradicts itself.
    pub problems: Vec<Problem>,
}

/// Something that no run of the protocol writes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Problem {
    /// Where in the queue.
    pub position: u64,
    /// What is wrong there.
    pub what: &'static str,
}

impl Verification {
    /// Whether nothing contradicts itself.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn of(ring: &Ring) -> Verification {
        let mut found = Verification::default();
        let (reap, tail) = (ring.reaped(), ring.tail());
        let mut problem = |position, what| found.problems.push(Problem { position, what });
        if tail.position < reap.position || tail.position - reap.position > ring.cells() {
            problem(tail.position, "the tail and the reap cursor are further apart than there are cells");
            return found;
        }
        for entry in ring.holders() {
            let frontier = ring.group(entry).frontier();
            if frontier.position < reap.position || frontier.position > tail.position {
                problem(frontier.position, "the frontier of a group is outside the ring");
                continue;
            }
            let group = ring.group(entry);
            let mut at = frontier.position;
            while at < tail.position {
                let Some(claim) = group.claim_at(at, frontier.tenancy()) else {
                    at += 1;
                    continue;
                };
                let end = at + claim.cells();
                // Looked at again after each finding: what others have finished meanwhile is no problem.
                let mut problem = |what| {
                    if group.frontier().position <= at {
                        problem(at, what);
                    }
                };
                if end > ring.tail().position {
                    problem("a claim reaches beyond the tail");
                }
                let held = matches!(claim.state(), State::Claim | State::Reclaim);
                if held && usize::from(claim.owner().0) >= ring.participants() {
                    problem("a claim names a participant that cannot exist");
                }
                if (at..end.min(tail.position)).any(|at| ring.published(at).is_none()) {
                    problem("something was claimed that is not published");
                }
                at = end;
            }
        }
        for at in tail.position..reap.position.saturating_add(ring.cells()) {
            let claimed = ring.holders().any(|entry| {
                let group = ring.group(entry);
                group.claim_at(at, group.frontier().tenancy()).is_some()
            });
            // Read afterwards: who publishes or claims it meanwhile has moved the tail before.
            if (claimed || ring.published(at).is_some()) && ring.tail().position <= at {
                problem(at, "something is published or claimed beyond the tail");
            }
        }
        for at in reap.position..tail.position {
            match ring.published(at).map(|p| p.kind()) {
                None => found.unpublished += 1,
                Some(Kind::Ready) => match ring.message(at) {
                    Ok(span) => {
                        found.messages += 1;
                        found.bytes += span.len as u64;
                    }
                    Err(_) => found
                        .problems
                        .push(Problem { position: at, what: "a message lies outside the data ring" }),
                },
                Some(_) => found.skipped += 1,
            }
        }
        found
    }
}
