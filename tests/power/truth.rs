//! What has really happened, and what of it must be found again when the power goes at some time.

use super::check::Found;
use super::disk::{self, Time};
use ringfile::Durability;
use ringfile::file::layout::cursor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The group that every queue is made with.
pub const DEFAULT: &str = "default";

/// What is promised of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing: not even its bytes, if it is there. Nobody has computed a sum of them that is sure to be on the disk.
    Unsure,
    /// If it is there, its bytes are.
    Summed,
    /// It is there.
    Durable,
}

/// A message that may be found.
#[derive(Clone, Debug)]
pub struct Message {
    pub bytes: Arc<[u8]>,
    pub standing: Standing,
}

/// A group that may be found.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub may_be_there: bool,
    pub may_be_gone: bool,
    /// From where on it gets every durable message, but those that it may have finished; none: it was being removed.
    pub owed_from: Option<u64>,
    /// Nothing below comes again: that it was finished is on the disk.
    pub done_below: u64,
    pub finished: BTreeSet<u64>,
}

/// What may and what must be found.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Whether anything at all was said to be on the disk: if not, it need not even be a queue.
    pub rooted: bool,
    pub may_be_closed: bool,
    pub messages: BTreeMap<u64, Message>,
    pub groups: BTreeMap<String, Group>,
}

impl Truth {
    /// The messages that a group must get.
    pub fn owed(&self, group: &str) -> BTreeSet<u64> {
        let Some(Group { owed_from: Some(from), finished, .. }) = self.groups.get(group) else {
            return BTreeSet::new();
        };
        let durable = self.messages.range(from..).filter(|(_, m)| m.standing == Standing::Durable);
        durable.map(|(&position, _)| position).filter(|position| !finished.contains(position)).collect()
    }

    /// The last position that must not be given to another message.
    pub fn last_durable(&self) -> Option<u64> {
        let durable = |m: &Message| m.standing == Standing::Durable;
        self.messages.iter().rev().find(|(_, m)| durable(m)).map(|(&position, _)| position)
    }

    /// Whether `bytes` may be delivered as the message at `position`.
    pub fn admits(&self, position: u64, bytes: &[u8]) -> Result<(), String> {
        let Some(Message { bytes: pushed, standing }) = self.messages.get(&position) else {
            return Err(format!(
                "{position} is delivered with {} bytes, where nothing was pushed",
                bytes.len()
            ));
        };
        if *standing > Standing::Unsure && **pushed != *bytes {
            return Err(format!(
                "{position} ({standing:?}) was pushed with {} bytes {:02x?} and is delivered with {} bytes {:02x?}",
                pushed.len(),
                &pushed[..pushed.len().min(24)],
                bytes.len(),
                &bytes[..bytes.len().min(24)],
            ));
        }
        Ok(())
    }
}

/// A call that is over.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    begun: Time,
    done: Time,
    /// Everything below had been given back to producers when it was over.
    reaped: u64,
}

/// A call that is not over.
pub struct Begun {
    at: Time,
}

/// A call begins.
pub fn begin() -> Begun {
    Begun { at: disk::look() }
}

impl Begun {
    /// When it was.
    pub fn at(&self) -> Time {
        self.at
    }

    /// It is over.
    pub fn end(&self) -> Call {
        Call { begun: self.at, done: disk::look(), reaped: disk::word(cursor::REAP + 8) }
    }
}

/// How a message is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// Without a sum.
    Plain,
    /// With one.
    Summed,
    /// So that it is on the disk when the call is over.
    Durable,
}

impl How {
    /// By a queue that was opened so.
    pub fn of(durability: Durability) -> How {
        match durability {
            Durability::Process => How::Plain,
            Durability::Interval(_) => How::Summed,
            Durability::Always => How::Durable,
        }
    }
}

struct Pushed {
    bytes: Arc<[u8]>,
    summed: bool,
    begun: Time,
    done: Time,
    durable: Option<Time>,
}

/// A stretch of the life of a group's name: a group, until it is rewound or removed, or none.
struct Stretch {
    begun: Time,
    done: Time,
    /// Since when this is sure to be found, or something later.
    sure: Option<Time>,
    /// Where it begins, if there is a group.
    from: Option<u64>,
    /// When it set out to finish what.
    finished: BTreeMap<u64, Time>,
    /// Where it stood, when that was synced.
    stood: Vec<(Time, u64)>,
}

impl Stretch {
    fn new(begun: Time, done: Time, from: Option<u64>) -> Stretch {
        Stretch { begun, done, sure: None, from, finished: BTreeMap::new(), stood: Vec::new() }
    }

    fn sure_from_the_beginning(from: Option<u64>) -> Stretch {
        Stretch { sure: Some(0), ..Stretch::new(0, 0, from) }
    }
}

/// What happened since a queue was opened.
pub struct History {
    /// What is true until it is open.
    before: Truth,
    opened: Time,
    rooted: Option<Time>,
    /// Since when it may be closed.
    closing: Option<Time>,
    messages: BTreeMap<u64, Pushed>,
    groups: BTreeMap<String, Vec<Stretch>>,
}

impl History {
    /// Of a queue that was just made, with this first position.
    pub fn of_new(opened: Time, first: u64) -> History {
        let born = Stretch::new(0, opened, Some(first));
        let default = vec![Stretch::sure_from_the_beginning(None), born];
        History {
            before: Truth::default(),
            opened,
            rooted: None,
            closing: None,
            messages: BTreeMap::new(),
            groups: BTreeMap::from([(DEFAULT.to_owned(), default)]),
        }
    }

    /// Of a queue of which all this was true, and which was open and in order at a time: with what was found then.
    pub fn of_recovered(before: Truth, opened: Time, found: Found) -> History {
        let Found { messages, groups, reaped, tail } = found;
        // What is retained no more is not shown, but there until somebody needs the room: more may be retained again.
        let shown = messages.first_key_value().map_or(tail, |(&first, _)| first).max(reaped);
        let hidden = before.messages.range(reaped..shown).map(|(&position, message)| {
            let summed = message.standing > Standing::Unsure;
            (position, Pushed { bytes: message.bytes.clone(), summed, begun: 0, done: opened, durable: None })
        });
        let hidden: Vec<_> = hidden.collect();
        let messages = messages.into_iter().map(|(position, bytes)| {
            let standing = before.messages.get(&position).map(|message| message.standing);
            // Everything was synced, but nobody has computed sums of what came without.
            let summed = standing > Some(Standing::Unsure);
            let durable = summed.then_some(opened);
            (position, Pushed { bytes: bytes.into(), summed, begun: 0, done: opened, durable })
        });
        let names = before.groups.keys().chain(groups.keys());
        let stretch = |name: &String| {
            let from = groups.get(name).copied();
            let stood = from.map(|from| (opened, from)).into_iter().collect();
            // What comes again is owed to nobody.
            let finished =
                before.groups.get(name).map(|group| group.finished.iter().map(|&position| (position, 0)));
            let finished = finished.into_iter().flatten().collect();
            vec![Stretch { done: opened, stood, finished, ..Stretch::sure_from_the_beginning(from) }]
        };
        History {
            messages: messages.chain(hidden).collect(),
            groups: names.map(|name| (name.clone(), stretch(name))).collect(),
            opened,
            rooted: Some(opened),
            closing: before.may_be_closed.then_some(0),
            before,
        }
    }

    /// A message was pushed in a call.
    pub fn pushed(&mut self, position: u64, bytes: &[u8], call: &Call, how: How) {
        let &Call { begun, done, .. } = call;
        let durable = (how == How::Durable).then_some(done);
        if durable.is_some() {
            self.root(done);
            // And with it everything before.
            self.messages_synced(call);
        }
        let pushed = Pushed { bytes: bytes.into(), summed: how >= How::Summed, begun, done, durable };
        let taken = self.messages.insert(position, pushed);
        assert!(taken.is_none(), "{position} was given out twice");
    }

    /// Everything that was there at its beginning was synced; these groups were done then with everything below.
    pub fn synced(&mut self, call: &Call, groups: &[(String, u64)]) {
        let &Call { begun, done, .. } = call;
        self.root(done);
        self.messages_synced(call);
        for stretch in self.groups.values_mut().flatten().filter(|stretch| stretch.done <= begun) {
            stretch.sure.get_or_insert(done);
        }
        for (group, frontier) in groups {
            if let Some(stretch) = self.groups.get_mut(group).and_then(|stretches| stretches.last_mut()) {
                stretch.stood.push((done, *frontier));
            }
        }
    }

    /// Not those that had been given back meanwhile: nobody looks at them any more.
    fn messages_synced(&mut self, &Call { begun, done, reaped }: &Call) {
        for (_, message) in self.messages.range_mut(reaped..) {
            if message.done <= begun {
                message.durable.get_or_insert(done);
            }
        }
    }

    /// The first thing is on the disk, and so is the queue with the group that it was made with.
    fn root(&mut self, done: Time) {
        if self.rooted.is_none() {
            self.rooted = Some(done);
            let default = &mut self.groups.get_mut(DEFAULT).expect("it was made")[1];
            default.sure.get_or_insert(done);
        }
    }

    /// It was closed, and opened again.
    pub fn closed(&mut self, begun: Time) {
        self.closing.get_or_insert(begun);
    }

    /// A group was made or rewound, or removed (`None`). `durable`: that is on the disk.
    pub fn turned(
        &mut self,
        group: &str,
        &Call { begun, done, .. }: &Call,
        from: Option<u64>,
        durable: bool,
    ) {
        let unknown = || vec![Stretch::sure_from_the_beginning(None)];
        let stretches = self.groups.entry(group.to_owned()).or_insert_with(unknown);
        stretches.push(Stretch { sure: durable.then_some(done), ..Stretch::new(begun, done, from) });
        if durable {
            self.root(done);
        }
    }

    /// Whether there is a group of this name now.
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.get(group).and_then(|stretches| stretches.last()).is_some_and(|last| last.from.is_some())
    }

    /// In which stretch of its name's life a group is now.
    pub fn stretch(&self, group: &str) -> usize {
        self.groups.get(group).map_or(0, |stretches| stretches.len() - 1)
    }

    /// A group has set out to finish a message that it got in this stretch.
    pub fn finished(&mut self, group: &str, stretch: usize, position: u64, begun: Time) {
        let stretches = self.groups.get_mut(group).expect("it is there");
        stretches[stretch].finished.entry(position).or_insert(begun);
    }

    /// Whether a message that is delivered while everything goes well is what was pushed.
    pub fn admits(&self, position: u64, bytes: &[u8]) {
        let pushed = self.messages.get(&position);
        let pushed = pushed.unwrap_or_else(|| panic!("{position} is delivered, and was not pushed"));
        assert!(*pushed.bytes == *bytes, "{position} is delivered with other bytes than it was pushed with");
    }

    /// What may and what must be found if the power goes at this time.
    pub fn at(&self, time: Time) -> Truth {
        if time < self.opened {
            return self.before.clone();
        }
        let is_past = |since: Option<Time>| since.is_some_and(|since| since <= time);
        let message = |pushed: &Pushed| Message {
            bytes: pushed.bytes.clone(),
            standing: match pushed {
                _ if is_past(pushed.durable) => Standing::Durable,
                Pushed { summed: true, .. } => Standing::Summed,
                _ => Standing::Unsure,
            },
        };
        // What begins at a time changes nothing before the next look.
        let messages = self.messages.iter().filter(|(_, pushed)| pushed.begun < time);
        let groups = self.groups.iter().map(|(name, stretches)| {
            let begun = stretches.partition_point(|stretch| stretch.begun < time);
            let sure = stretches.iter().rposition(|stretch| is_past(stretch.sure)).unwrap_or(0);
            (name.clone(), Stretch::any_of(&stretches[sure..begun.max(sure + 1)], time))
        });
        Truth {
            rooted: is_past(self.rooted),
            may_be_closed: self.closing.is_some_and(|begun| begun < time),
            messages: messages.map(|(&position, pushed)| (position, message(pushed))).collect(),
            groups: groups.collect(),
        }
    }
}

impl Stretch {
    /// What is true of a name that may be in any of these stretches.
    fn any_of(stretches: &[Stretch], time: Time) -> Group {
        let is_there = |stretch: &Stretch| stretch.from.is_some();
        let first = stretches.iter().position(is_there).unwrap_or(stretches.len());
        let lives = &stretches[first..];
        // A group that was being removed holds nothing any more, even if it is found again.
        let owes = !lives.is_empty() && lives.iter().all(is_there);
        let finished = lives.iter().flat_map(|stretch| &stretch.finished);
        let stood = match stretches {
            [only] => only.stood.iter().filter(|&&(done, _)| done <= time).map(|&(_, stood)| stood).max(),
            _ => None,
        };
        Group {
            may_be_there: stretches.iter().any(is_there),
            may_be_gone: !stretches.iter().all(is_there),
            owed_from: owes.then(|| lives.iter().filter_map(|stretch| stretch.from).max()).flatten(),
            done_below: stood.unwrap_or(0),
            finished: finished.filter(|&(_, &begun)| begun < time).map(|(&position, _)| position).collect(),
        }
    }
}
