//! Calls to a queue, as a script says, none of which waits; and all of them once.

use crate::Bytes;
use ringfile::{AttachError, Claim, Consumer, Group, Producer, Queue, Replay, Start, TryPopError};
use std::path::Path;
use std::time::Duration;

/// The most calls of a script.
const CALLS: usize = 48;
/// What a damaged file may make us read, at most, one message after the other.
const MANY: usize = 64;
const INSTANT: Duration = Duration::from_micros(1);
const NAMES: [&str; 4] = ["default", "audit", "new", "gone"];

/// Who has a queue open.
pub struct Calls {
    queue: Queue,
    path: &'static Path,
    producers: [Option<Producer>; 2],
    consumers: [Option<Consumer>; 2],
    /// Whether messages may be looked at where they are, which nobody may be writing then.
    lends: bool,
    /// Whether a record of a name seems to be somebody's who makes a group: whoever needs one waits a second for him, so that is done once.
    is_busy: bool,
    message: Vec<u8>,
    room: usize,
}

impl Calls {
    pub fn new(queue: Queue, path: &'static Path, lends: bool) -> Calls {
        let room = queue.capacity().max(queue.max_message_len());
        Calls {
            queue,
            path,
            producers: [None, None],
            consumers: [None, None],
            lends,
            is_busy: false,
            message: Vec::new(),
            room,
        }
    }

    /// Follows a script, with something to do before each call.
    pub fn follow(&mut self, script: &mut Bytes, mut before: impl FnMut()) {
        for _ in 0..CALLS {
            let Some(call) = script.next() else { break };
            let how = script.byte();
            before();
            self.call(call, how);
        }
    }

    /// Makes each call once.
    pub fn all(&mut self) {
        for call in 0..KINDS {
            self.call(call, 0x15);
        }
    }

    fn call(&mut self, call: u8, how: u8) {
        let count = usize::from(how % 20);
        let which = usize::from(how & 1);
        match call % KINDS {
            0 => self.push(which, how),
            1 => self.push_batch(which, how),
            2 => self.reserve(which, how),
            3 => self.pop(which),
            4 => self.claim(which, how),
            5 => self.claim_batch(which, count, how),
            6 => self.drain(which, count),
            7 => self.replay(self.queue.replay()),
            8 => _ = format!("{:?}", self.queue.stats()),
            9 => _ = self.queue.verify().is_sound(),
            10 => _ = (self.queue.unrecovered(), self.queue.recover()),
            11 => _ = self.queue.reap(),
            12 => _ = self.queue.rewind(),
            13 => _ = (self.queue.len(), self.queue.is_empty(), self.queue.rate(), self.queue.retain()),
            14 => self.dead_letters(how),
            15 => self.group(how),
            16 => _ = self.queue.remove_group(NAMES[usize::from(how) % NAMES.len()]),
            17 => self.queue.close(),
            18 => self.queue.reopen(),
            19 => _ = self.queue.set_rate([0.0, 1.0, 1e9, 30.0][usize::from(how) % 4]),
            20 => self.queue.set_retain([0, 2, u64::MAX, 5][usize::from(how) % 4]),
            21 => self.observe(),
            22 => self.attach_again(how),
            23 => {
                self.producers[which] = None;
                self.consumers[which] = None;
            }
            24 => {
                let group = self.group_of(how);
                self.consumers[which] = group.and_then(|group| self.consumer_of(&group));
            }
            25 => {
                if let Some(consumer) = self.consumer(which) {
                    let _ = consumer.pop_timeout(INSTANT);
                }
            }
            26 => _ = (self.queue.sync(), self.queue.salvage()),
            _ => {
                if let Some(producer) = self.producer(which) {
                    let _ = producer.push_timeout(&[7; 100], INSTANT);
                }
            }
        }
    }

    fn producer(&mut self, which: usize) -> Option<&mut Producer> {
        let place = &mut self.producers[which];
        if place.is_none() {
            *place = self.queue.producer().ok();
        }
        place.as_mut()
    }

    fn consumer(&mut self, which: usize) -> Option<&mut Consumer> {
        if self.consumers[which].is_none() && !self.is_busy {
            let consumer = self.queue.consumer();
            self.is_busy = matches!(consumer, Err(AttachError::GroupsBusy));
            self.consumers[which] = consumer.ok();
        }
        self.consumers[which].as_mut()
    }

    /// A length from none to one byte too many.
    fn len(&self, how: u8) -> usize {
        (self.queue.max_message_len() + 1) * usize::from(how) / 255
    }

    fn push(&mut self, which: usize, how: u8) {
        let len = self.len(how);
        if let Some(producer) = self.producer(which) {
            let _ = producer.try_push(&vec![how; len]);
        }
    }

    fn push_batch(&mut self, which: usize, how: u8) {
        let len = self.len(how);
        if let Some(producer) = self.producer(which) {
            let _ = producer.try_push_batch(&[vec![how; len / 3], vec![], vec![how; len / 7]]);
        }
    }

    fn reserve(&mut self, which: usize, how: u8) {
        if !self.lends {
            return;
        }
        let len = self.len(how);
        if let Some(producer) = self.producer(which)
            && let Ok(mut place) = producer.try_reserve(len)
        {
            place.fill(how);
            match how >> 6 {
                0 => drop(place),
                1 => std::mem::forget(place),
                2 => _ = place.commit(),
                _ => _ = place.commit_len(len / 2),
            }
        }
    }

    fn pop(&mut self, which: usize) {
        let room = self.room;
        let mut message = std::mem::take(&mut self.message);
        if let Some(consumer) = self.consumer(which) {
            // A message that is damaged is stepped over; cursors that are stay so.
            let mut damaged = None;
            for _ in 0..4 {
                match consumer.try_pop_into(&mut message) {
                    Ok(_) => assert!(message.len() <= room),
                    Err(TryPopError::Corrupt { position }) if damaged == Some(position) => break,
                    Err(TryPopError::Corrupt { position }) => damaged = Some(position),
                    Err(_) => break,
                }
            }
        }
        self.message = message;
    }

    fn claim(&mut self, which: usize, how: u8) {
        let (lends, room) = (self.lends, self.room);
        if let Some(consumer) = self.consumer(which)
            && let Ok(delivery) = consumer.try_claim()
        {
            let _ = (delivery.position(), delivery.deliveries(), delivery.origin());
            if lends {
                assert!(delivery.len() <= room);
                let _ = delivery.iter().map(|&byte| u64::from(byte)).sum::<u64>();
            }
            match how >> 6 {
                0 => drop(delivery),
                1 => std::mem::forget(delivery),
                _ => _ = delivery.ack(),
            }
        }
    }

    fn claim_batch(&mut self, which: usize, count: usize, how: u8) {
        let lends = self.lends;
        if let Some(consumer) = self.consumer(which)
            && let Ok(mut batch) = consumer.try_claim_batch(count)
        {
            if lends {
                let _ = batch.iter().flatten().map(|&byte| u64::from(byte)).sum::<u64>();
            }
            let _ = (batch.len(), batch.is_empty(), batch.deliveries());
            match how >> 6 {
                0 => drop(batch),
                1 => _ = batch.ack_first(usize::from(how) % 3),
                2 => std::mem::forget(batch),
                _ => _ = batch.ack(),
            }
        }
    }

    fn drain(&mut self, which: usize, count: usize) {
        let (lends, room) = (self.lends, self.room);
        if let Some(consumer) = self.consumer(which).filter(|_| lends) {
            let _ = consumer.try_drain(count, |message| assert!(message.len() <= room));
        }
    }

    fn replay(&mut self, mut replay: Replay) {
        for _ in 0..MANY {
            if replay.next_into(&mut self.message).is_none() {
                break;
            }
            assert!(self.message.len() <= self.room);
        }
    }

    fn observe(&mut self) {
        if let Ok(observer) = Queue::options().observe(self.path) {
            let _ = format!("{:?}", observer.stats());
            let _ = observer.verify().is_sound();
            self.replay(observer.replay());
            if let Some(letters) = observer.dead_letters() {
                let _ = (letters.stats(), letters.verify());
            }
        }
    }

    fn group_of(&mut self, how: u8) -> Option<Group> {
        let start = [Start::Oldest, Start::Next][usize::from(how >> 6 & 1)];
        let claim = [Claim::Ordered, Claim::Ticketed][usize::from(how >> 7)];
        let name = NAMES[usize::from(how >> 1) % NAMES.len()];
        if how & 0x20 == 0 || self.is_busy {
            return self.queue.find_group(name);
        }
        let group = self.queue.group_with(name, start, claim);
        self.is_busy = matches!(group, Err(AttachError::GroupsBusy));
        group.ok()
    }

    fn consumer_of(&mut self, group: &Group) -> Option<Consumer> {
        let consumer = group.consumer();
        self.is_busy |= matches!(consumer, Err(AttachError::GroupsBusy));
        consumer.ok()
    }

    fn group(&mut self, how: u8) {
        let Some(group) = self.group_of(how) else { return };
        let _ = (group.stats(), group.rate(), group.set_burst(how.into()), group.set_rate(how.into()));
        if how & 0x10 != 0 {
            let _ = group.rewind();
        }
        if let Some(mut consumer) = self.consumer_of(&group) {
            let _ = consumer.try_pop_into(&mut self.message);
        }
    }

    fn dead_letters(&mut self, how: u8) {
        let Ok(letters) = self.queue.dead_letters() else { return };
        let _ = (letters.len(), letters.stats(), letters.verify());
        let consumer = (!self.is_busy).then(|| letters.consumer());
        self.is_busy |= matches!(consumer, Some(Err(AttachError::GroupsBusy)));
        if let Some(Ok(mut consumer)) = consumer {
            let _ = consumer.try_pop_into(&mut self.message);
            if let Ok(letter) = consumer.try_claim() {
                let _ = letter.origin();
                if how & 2 == 0 {
                    let _ = letter.ack();
                }
            }
        }
        if how & 1 == 0 {
            let _ = letters.producer().map(|mut producer| producer.try_push(b"no letter"));
        }
    }

    /// Another attachment, of the same process.
    fn attach_again(&mut self, how: u8) {
        if let Ok(queue) = Queue::options().recover(how & 1 == 0).attach(self.path) {
            if !self.is_busy {
                let _ = queue.consumer().map(|mut consumer| consumer.try_pop());
            }
            if how & 2 == 0 {
                self.queue = queue;
            }
        }
    }
}

const KINDS: u8 = 28;
