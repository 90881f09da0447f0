//! Everything that the interface offers, in one thread, on one file: what is called when is drawn, and what came of it is written down.

use super::common::{Random, UNIT_WRAP, WRAPS, pattern};
use super::disk;
use super::truth::{Begun, DEFAULT, History, How, begin};
use ringfile::{
    Claim, Consumer, Durability, Geometry, Options, Position, Producer, Queue, Start, TryPopError,
    TryPushError,
};
use std::path::Path;
use std::time::Duration;

/// So long that a thread which syncs every so often never does.
pub const NEVER: Duration = Duration::from_secs(24 * 3600);
/// How many calls may lie between the two ends of another.
const DEPTH: usize = 3;
const PRODUCERS: usize = 3;
const CONSUMERS: usize = 4;
const LONGEST: usize = 200;
/// The groups that come and go.
pub const NAMES: [&str; 3] = [DEFAULT, "a", "b"];

/// One of each kind.
pub fn durability(random: &mut Random) -> Durability {
    [Durability::Process, Durability::Interval(NEVER), Durability::Always][random.below(3) as usize]
}

/// What a queue is made with.
#[derive(Clone, Debug)]
pub struct Shape {
    pub geometry: Geometry,
    claim: Claim,
    retain: u64,
    pub policy: Policy,
    first: (u64, u64),
}

/// What else it is made with, and stays so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    pub lease: Duration,
    pub retain_for: Duration,
    pub scrub: bool,
}

impl Policy {
    fn any(groups: u32, random: &mut Random) -> Policy {
        let mut long = || if random.below(5) == 0 { NEVER } else { Duration::ZERO };
        // Who overwrites bytes takes the place of a group.
        Policy { lease: long(), retain_for: long(), scrub: groups > 1 && random.below(5) == 0 }
    }
}

impl Shape {
    /// A small one.
    pub fn any(random: &mut Random) -> Shape {
        let cells = [8, 8, 16, 32, 64][random.below(5) as usize];
        let capacity = [512, 1024, 2048, 4096][random.below(4) as usize];
        let cell_size = [64, 128][random.below(2) as usize];
        let groups = [1, 2, 3, 4][random.below(4) as usize];
        let before = random.below(3 * cells);
        // Below the wrap of the tags in claim words, of the laps in publish words, of the data units; or at the beginning.
        let first = match random.below(4) {
            0 => (0, 0),
            1 => (before, random.below(100)),
            2 => ((cells << WRAPS[0]) - before, UNIT_WRAP - random.below(3 * cells)),
            _ => ((cells << (WRAPS[1] - 1)) - before, UNIT_WRAP - random.below(3 * cells)),
        };
        Shape {
            geometry: Geometry { data_bytes: capacity, cells, cell_size, groups, participants: 16 },
            claim: [Claim::Ordered, Claim::Ticketed][usize::from(random.below(4) == 0)],
            retain: [0, 0, 3, 1000][random.below(4) as usize],
            policy: Policy::any(groups, random),
            first,
        }
    }

    /// So small that all its states can be gone through: messages lie in few cells, of one page.
    pub fn tiny() -> Shape {
        let geometry = Geometry { data_bytes: 128, cells: 4, cell_size: 64, groups: 1, participants: 4 };
        Shape { geometry, claim: Claim::Ordered, retain: 0, policy: Policy::default(), first: (4, 0) }
    }

    /// The first position.
    pub fn first(&self) -> u64 {
        self.first.0
    }

    /// To make one.
    pub fn options(&self) -> Options {
        let Geometry { data_bytes, cells, cell_size, groups, participants } = self.geometry;
        let mut options = Queue::options();
        options.capacity(data_bytes as usize).messages(cells).cell_size(cell_size).groups(groups);
        options.participants(participants).claim(self.claim).retain(self.retain);
        let Policy { lease, retain_for, scrub } = self.policy;
        options.lease(lease).retain_for(retain_for).scrub(scrub).born_at(self.first.0, self.first.1);
        options
    }
}

struct Writer {
    producer: Producer,
    durability: Durability,
}

impl Writer {
    fn new(queue: &(Queue, Durability)) -> Writer {
        Writer { producer: queue.0.producer().expect("there is a slot"), durability: queue.1 }
    }
}

struct Reader {
    consumer: Consumer,
    group: String,
}

/// The same file opened several times, with handles of each.
pub struct Stage {
    shape: Shape,
    queues: Vec<(Queue, Durability)>,
    producers: Vec<Option<Writer>>,
    consumers: Vec<Option<Reader>>,
    /// The reservations that nobody has ended, and their positions.
    open: Vec<u64>,
    /// Claims that are held.
    held: usize,
    /// Pushes that found no room, since somebody consumed everything.
    full: usize,
    pushed: u64,
    random: Random,
    pub history: History,
}

impl Stage {
    /// Makes a queue, of which the disk holds nothing yet, and records what becomes of it.
    pub fn create(path: &Path, shape: Shape, random: &mut Random) -> Stage {
        let queue = shape.options().create_new(path).expect("it can be made");
        let len = std::fs::metadata(path).expect("it is there").len();
        disk::record(path, shape.geometry, vec![0; len as usize]);
        let history = History::of_new(disk::look(), shape.first.0);
        Stage::new(path, shape, vec![(queue, Durability::Process)], history, random)
    }

    /// Goes on with one that was put in order.
    pub fn resume(
        path: &Path,
        shape: Shape,
        queue: (Queue, Durability),
        history: History,
        random: &mut Random,
    ) -> Stage {
        Stage::new(path, shape, vec![queue], history, random)
    }

    fn new(
        path: &Path,
        shape: Shape,
        mut queues: Vec<(Queue, Durability)>,
        history: History,
        random: &mut Random,
    ) -> Stage {
        for durability in [Durability::Process, Durability::Interval(NEVER), Durability::Always] {
            let queue = Queue::options().durability(durability).attach(path).expect("it opens again");
            assert!(queue.salvage().is_none(), "it was in order, and was put in order again");
            queues.push((queue, durability));
        }
        let producers = (0..PRODUCERS).map(|_| None).collect();
        let consumers = (0..CONSUMERS).map(|_| None).collect();
        let random = Random(random.next());
        Stage {
            shape,
            queues,
            producers,
            consumers,
            open: Vec::new(),
            held: 0,
            full: 0,
            pushed: 0,
            random,
            history,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.below(end as u64) as usize
    }

    fn queue(&mut self) -> (Queue, Durability) {
        let i = self.below(self.queues.len());
        self.queues[i].clone()
    }

    /// So many calls, and those in between.
    pub fn play(&mut self, calls: usize) {
        for _ in 0..calls {
            self.call(0);
        }
    }

    fn call(&mut self, depth: usize) {
        // Who is slow holds up everybody, and nothing new would happen.
        if self.full > 3 && self.below(3) == 0 {
            return self.catch_up();
        }
        match self.below(100) {
            0..22 => self.push(),
            22..30 => self.push_batch(),
            30..35 => self.push_durable(),
            35..47 => self.reserve(depth),
            47..62 => self.pop(),
            62..80 => self.claim(depth),
            80..84 => self.sync(),
            84..86 => self.make_group(),
            86 => self.remove_group(),
            87 => self.rewind(),
            88 => _ = self.queue().0.reap(),
            89 => {
                let retain = self.random.below(6);
                self.queue().0.set_retain(retain);
            }
            90..92 => {
                let i = self.below(PRODUCERS);
                self.producers[i] = None;
            }
            92..94 => {
                let i = self.below(CONSUMERS);
                self.consumers[i] = None;
            }
            94 => {
                let queue = self.queue().0;
                self.history.closed(disk::look());
                queue.close();
                disk::look();
                queue.reopen();
            }
            95..97 => self.catch_up(),
            _ => self.push_many(),
        };
        disk::look();
    }

    /// Takes one that nobody uses at the moment, if there is one.
    fn take_writer(&mut self) -> Option<(usize, Writer)> {
        let i = self.below(PRODUCERS);
        if self.producers[i].is_none() && self.open.len() + 1 < PRODUCERS {
            let queue = self.queue();
            self.producers[i] = Some(Writer::new(&queue));
        }
        self.producers[i].take().map(|writer| (i, writer))
    }

    fn take_reader(&mut self) -> Option<(usize, Reader)> {
        let i = self.below(CONSUMERS);
        if self.consumers[i].is_none() {
            let group = NAMES[self.below(NAMES.len())];
            let queue = self.queue().0;
            // It would be made.
            if self.history.has_group(group)
                && let Ok(consumer) = queue.group(group).and_then(|group| group.consumer())
            {
                self.consumers[i] = Some(Reader { consumer, group: group.to_owned() });
            }
        }
        self.consumers[i].take().map(|reader| (i, reader))
    }

    /// One that shows where it is from, if it has eight bytes.
    fn message(&mut self) -> Vec<u8> {
        let inline = if self.shape.geometry.cell_size == 64 { 32 } else { 88 };
        let longest = LONGEST.min(self.shape.geometry.data_bytes as usize / 2);
        let len = match self.below(8) {
            0 => self.below(9),
            1..4 => self.below(inline + 1),
            4 => inline + self.below(2),
            _ => self.below(longest + 1),
        };
        self.pushed += 1;
        pattern(self.random.next() ^ self.pushed, len)
    }

    /// Whether a message finds room wherever the data ring has got to: who waits for room here waits for ever.
    fn has_room(&mut self, len: usize) -> bool {
        let queue = self.queue().0;
        let stats = queue.stats();
        // A message that would cross the end begins at the beginning.
        let used = stats.data_bytes as usize + 2 * len.next_multiple_of(64);
        stats.tail - stats.reaped < stats.cells && used <= stats.capacity
    }

    fn push(&mut self) {
        let message = self.message();
        let waits = self.below(4) == 0 && self.has_room(message.len());
        let Some((i, mut writer)) = self.take_writer() else {
            return;
        };
        let begun = begin();
        let pushed = if waits {
            Ok(writer.producer.push(&message).expect("there was room"))
        } else {
            writer.producer.try_push(&message)
        };
        self.was_pushed(&writer, &[message], &begun, pushed.map(Position::get));
        self.producers[i] = Some(writer);
    }

    fn push_many(&mut self) {
        for _ in 0..self.shape.geometry.cells {
            self.push();
        }
    }

    fn push_batch(&mut self) {
        let count = 1 + self.below(4);
        let messages: Vec<_> = (0..count).map(|_| self.message()).collect();
        let Some((i, mut writer)) = self.take_writer() else {
            return;
        };
        let begun = begin();
        let pushed = match writer.producer.try_push_batch(&messages) {
            Err(TryPushError::BatchTooLarge { .. }) => Err(TryPushError::Full),
            pushed => pushed,
        };
        let first = pushed.map(|positions| positions.first().expect("it was not empty").get());
        self.was_pushed(&writer, &messages, &begun, first);
        self.producers[i] = Some(writer);
    }

    fn push_durable(&mut self) {
        let message = self.message();
        if !self.has_room(message.len()) {
            self.full += 1;
            return;
        }
        let Some((i, mut writer)) = self.take_writer() else {
            return;
        };
        let begun = begin();
        let position = writer.producer.push_durable(&message).expect("there was room, and the disk works");
        self.history.pushed(position.get(), &message, &begun.end(), How::Durable);
        self.producers[i] = Some(writer);
    }

    fn was_pushed(
        &mut self,
        writer: &Writer,
        messages: &[Vec<u8>],
        begun: &Begun,
        first: Result<u64, TryPushError>,
    ) {
        let call = begun.end();
        match first {
            Ok(first) => {
                for (position, message) in (first..).zip(messages) {
                    self.history.pushed(position, message, &call, How::of(writer.durability));
                }
            }
            Err(TryPushError::Full) => self.full += 1,
            Err(error) => panic!("{error}"),
        }
    }

    /// Reserves a place and ends that, perhaps after other calls.
    fn reserve(&mut self, depth: usize) {
        let message = self.message();
        let Some((i, mut writer)) = self.take_writer() else {
            return;
        };
        let how = How::of(writer.durability);
        match writer.producer.try_reserve(message.len()) {
            Ok(mut place) => {
                let position = place.position().get();
                self.open.push(position);
                place.copy_from_slice(&message);
                self.others_call(depth);
                let begun = begin();
                match self.below(8) {
                    0..2 => drop(place),
                    // The next call of the handle finds it.
                    2 => std::mem::forget(place),
                    3..5 => {
                        assert_eq!(place.commit_durable().expect("the disk works").get(), position);
                        self.history.pushed(position, &message, &begun.end(), How::Durable);
                    }
                    5 => {
                        let len = self.below(message.len() + 1);
                        place.commit_len(len);
                        self.history.pushed(position, &message[..len], &begun.end(), how);
                    }
                    _ => {
                        place.commit();
                        self.history.pushed(position, &message, &begun.end(), how);
                    }
                }
                self.open.retain(|&other| other != position);
            }
            Err(TryPushError::Full) => self.full += 1,
            Err(error) => panic!("{error}"),
        }
        disk::look();
        self.producers[i] = Some(writer);
    }

    /// Between the beginning and the end of something.
    fn others_call(&mut self, depth: usize) {
        disk::look();
        if depth < DEPTH {
            for _ in 0..self.below(6) {
                self.call(depth + 1);
            }
        }
    }

    fn pop(&mut self) {
        if let Some((i, mut reader)) = self.take_reader()
            && self.pop_with(&mut reader) != Err(TryPopError::Removed)
        {
            self.consumers[i] = Some(reader);
        }
    }

    fn pop_with(&mut self, reader: &mut Reader) -> Result<(), TryPopError> {
        let (begun, stretch) = (disk::look(), self.history.stretch(&reader.group));
        let mut message = Vec::new();
        let popped = reader.consumer.try_pop_into(&mut message);
        disk::look();
        match popped {
            Ok(position) => {
                self.history.admits(position.get(), &message);
                self.history.finished(&reader.group, stretch, position.get(), begun);
                Ok(())
            }
            Err(error @ TryPopError::Corrupt { .. }) => panic!("nothing is damaged, and yet: {error}"),
            Err(error) => Err(error),
        }
    }

    /// Claims messages, and lets go of them, perhaps after other calls: so they are finished out of turn.
    fn claim(&mut self, depth: usize) {
        let max = 1 + self.below(5);
        let Some((i, mut reader)) = self.take_reader() else {
            return;
        };
        let Reader { consumer, group } = &mut reader;
        let stretch = self.history.stretch(group);
        let lives = match consumer.try_claim_batch(max) {
            Ok(mut batch) => {
                let mut positions = Vec::new();
                for (position, message) in batch.messages() {
                    self.history.admits(position.get(), message);
                    positions.push(position.get());
                }
                self.held += 1;
                self.others_call(depth);
                self.held -= 1;
                let begun = disk::look();
                let some = self.below(positions.len() + 1);
                let finished = match self.below(8) {
                    0 => {
                        drop(batch);
                        0
                    }
                    1..3 => {
                        batch.ack_first(some).expect("there is no lease");
                        disk::look();
                        some
                    }
                    _ => {
                        batch.ack().expect("there is no lease");
                        positions.len()
                    }
                };
                for &position in &positions[..finished] {
                    self.history.finished(group, stretch, position, begun);
                }
                true
            }
            Err(TryPopError::Corrupt { position }) => panic!("nothing is damaged, and yet {position} is"),
            Err(error) => error != TryPopError::Removed,
        };
        disk::look();
        if lives {
            self.consumers[i] = Some(reader);
        }
    }

    /// Everybody consumes what there is.
    fn catch_up(&mut self) {
        self.full = 0;
        for group in NAMES {
            let queue = self.queue().0;
            if !self.history.has_group(group) {
                continue;
            }
            let Ok(consumer) = queue.group(group).and_then(|group| group.consumer()) else {
                continue;
            };
            let mut reader = Reader { consumer, group: group.to_owned() };
            let cells = self.shape.geometry.cells as usize;
            let most = if self.below(2) == 0 { self.below(cells + 1) } else { usize::MAX };
            for _ in 0..most {
                if self.pop_with(&mut reader).is_err() {
                    break;
                }
            }
        }
    }

    fn sync(&mut self) {
        let queue = self.queue().0;
        let groups = queue.stats().groups.into_iter().filter(|group| !group.is_draining);
        let groups: Vec<_> = groups.map(|group| (group.name, group.frontier)).collect();
        let begun = begin();
        let below = queue.sync().expect("the disk works");
        let call = begun.end();
        let tail = queue.stats().tail;
        let unpublished = self.open.iter().copied().min().unwrap_or(tail);
        assert!(
            below.get() <= unpublished,
            "everything below {below} is on the disk, but {unpublished} is not"
        );
        self.history.synced(&call, &groups);
    }

    fn make_group(&mut self) {
        let group = NAMES[self.below(NAMES.len())];
        let (queue, durability) = self.queue();
        let durable = durability == Durability::Always;
        if self.history.has_group(group) {
            return;
        }
        let (oldest, tail) = (queue.stats().reaped, queue.stats().tail);
        let start = match self.below(3) {
            0 => Start::Oldest,
            1 => Start::Next,
            _ => Start::At(Position::from(oldest + self.random.below(tail - oldest + 1))),
        };
        let claim = [Claim::Ordered, Claim::Ticketed][self.below(2)];
        let begun = begin();
        let made = queue.group_with(group, start, claim);
        let call = begun.end();
        match made {
            Ok(made) => {
                let from = made.stats().expect("it is there").frontier;
                self.history.turned(group, &call, Some(from), durable);
            }
            // It may have been there for a while.
            Err(_) => {
                self.history.turned(group, &call, Some(u64::MAX), false);
                self.history.turned(group, &call, None, false);
            }
        }
    }

    fn remove_group(&mut self) {
        let group = NAMES[self.below(NAMES.len())];
        if self.history.has_group(group) {
            let (queue, durability) = self.queue();
            let begun = begin();
            assert!(queue.remove_group(group), "{group} was there");
            self.history.turned(group, &begun.end(), None, durability == Durability::Always);
        }
    }

    fn rewind(&mut self) {
        let group = NAMES[self.below(NAMES.len())];
        if !self.history.has_group(group) {
            return;
        }
        let (queue, durability) = self.queue();
        let begun = begin();
        let group = queue.group(group).expect("it is there");
        if group.rewind().is_ok() {
            let from = group.stats().expect("it is there").frontier;
            self.history.turned(group.name(), &begun.end(), Some(from), durability == Durability::Always);
        }
    }
}
