//! Participants, composed of the protocol's parts as `src/producer.rs` and `src/consumer.rs` compose them.

use crate::shape::LEASE;
use crate::{DEAD, LIVING};
use ringfile::park::{Parker, Side};
use ringfile::ring::claim::{Claimed, Nothing, Popper};
use ringfile::ring::groups::{self, NoService, Wanted};
use ringfile::ring::letters::{Letters, Origin};
use ringfile::ring::pace::Pace;
use ringfile::ring::push::{NoRoom, Pusher, Reserved};
use ringfile::ring::recover::{self, Settled};
use ringfile::ring::replay::{NoMessage, Reader};
use ringfile::ring::words::{Binding, Kind, Owner};
use ringfile::ring::{Ring, Span, participant};
use std::sync::Arc;
use std::time::Duration;

/// A producer that wakes nobody.
pub struct Producer {
    ring: Arc<Ring>,
    pusher: Pusher,
}

impl Producer {
    /// Takes a slot of the living.
    pub fn join(ring: &Arc<Ring>) -> Producer {
        Producer::of(ring, LIVING)
    }

    /// Takes a slot of the dead: whatever it does, it did before it was killed.
    pub fn doomed(ring: &Arc<Ring>) -> Producer {
        Producer::of(ring, DEAD)
    }

    /// Takes a slot of this attachment.
    pub fn of(ring: &Arc<Ring>, attachment: u64) -> Producer {
        Producer::attach(ring, attachment).expect("a free slot")
    }

    /// Takes a slot, if one is free.
    pub fn attach(ring: &Arc<Ring>, attachment: u64) -> Option<Producer> {
        let owner = participant::attach(ring, attachment, Binding::Producer)?;
        Some(Producer { ring: ring.clone(), pusher: Pusher::new(ring, owner) })
    }

    pub fn owner(&self) -> Owner {
        self.pusher.owner()
    }

    /// Reserves places for these messages and writes them; they are not published.
    pub fn reserve(&mut self, messages: &[&[u8]]) -> Result<Reserved, NoRoom> {
        let reserved = self.pusher.try_reserve(&self.ring, messages.len(), |i| messages[i].len())?;
        let mut stage = reserved.stage();
        for message in messages {
            let span = stage
                .message(&self.ring, &reserved, message.len())
                .expect("the length is the one that was reserved");
            self.ring.region().write(span.offset, message);
        }
        Ok(reserved)
    }

    pub fn publish(&self, reserved: &Reserved, kind: Kind) {
        self.pusher.publish(&self.ring, reserved, kind);
    }

    pub fn try_push_batch(&mut self, messages: &[&[u8]]) -> Result<u64, NoRoom> {
        let reserved = self.reserve(messages)?;
        self.publish(&reserved, Kind::Ready);
        Ok(reserved.first)
    }

    pub fn try_push(&mut self, message: &[u8]) -> Result<u64, NoRoom> {
        self.try_push_batch(&[message])
    }

    /// Pushes a message that finds room in any case.
    pub fn push(&mut self, message: &[u8]) -> u64 {
        self.try_push(message).expect("room for the message")
    }

    /// Leaves.
    pub fn detach(self) {
        participant::detach(&self.ring, self.owner());
    }
}

/// In a ring of letters.
impl Letters for Producer {
    fn has(&self, origin: Origin, _: &Ring, _: Span) -> bool {
        // In a model the power never goes, and no two messages have one position.
        self.ring.has_letter(origin, |_| true)
    }

    fn push(&mut self, origin: Origin, ring: &Ring, message: Span) -> bool {
        let mut bytes = Vec::new();
        ring.region().read(message.offset, message.len, &mut bytes);
        let Ok(reserved) = self.reserve(&[&bytes]) else {
            return false;
        };
        self.ring.set_origin(&reserved, origin);
        self.publish(&reserved, Kind::Ready);
        true
    }

    fn has_room(&mut self, len: usize) -> bool {
        self.pusher.has_room(&self.ring, len)
    }
}

/// A consumer that wakes nobody.
pub struct Consumer {
    ring: Arc<Ring>,
    popper: Popper,
    clock: Clock,
}

/// Credit without end at some time, from which on leases count.
#[derive(Clone, Copy)]
struct Clock(u64);

impl Pace for Clock {
    fn take(&mut self, messages: u64) -> Result<u64, u64> {
        Ok(messages)
    }

    fn is_unlimited(&self) -> bool {
        true
    }

    fn now(&self) -> u64 {
        self.0
    }
}

/// When most claims are made.
const BEGINNING: u64 = 1;
/// When these have expired, and others are made.
const LATER: u64 = BEGINNING + LEASE;

impl Consumer {
    /// Takes a slot of the living.
    pub fn join(ring: &Arc<Ring>) -> Consumer {
        Consumer::of(ring, LIVING)
    }

    /// Takes a slot of the dead: whatever it does, it did before it was killed.
    pub fn doomed(ring: &Arc<Ring>) -> Consumer {
        Consumer::of(ring, DEAD)
    }

    /// Takes a slot of this attachment.
    pub fn of(ring: &Arc<Ring>, attachment: u64) -> Consumer {
        Consumer::of_group(ring, attachment, 0).expect("the default group is served")
    }

    /// The first of a group that the living make.
    pub fn of_new_group(ring: &Arc<Ring>, name: &str) -> Consumer {
        let group = make_group(ring, name, LIVING).expect("there is room for a group");
        Consumer::of_group(ring, LIVING, group).expect("it is served")
    }

    /// Takes a slot of this attachment, for a consumer of the group with this number.
    pub fn of_group(ring: &Arc<Ring>, attachment: u64, group: usize) -> Result<Consumer, NoService> {
        let service = groups::serve(ring, group)?;
        let owner = participant::attach(ring, attachment, service.binding()).expect("a free slot");
        let popper = Popper::new(ring, owner, service);
        Ok(Consumer { ring: ring.clone(), popper, clock: Clock(BEGINNING) })
    }

    /// A consumer of the group with this name, one of the living.
    pub fn join_group(ring: &Arc<Ring>, name: &str) -> Consumer {
        let group = groups::find(ring, name.as_bytes()).expect("there is such a group");
        Consumer::of_group(ring, LIVING, group).expect("it is served")
    }

    /// Has looked once and found nothing: from then on it follows hints and draws places, where a newcomer walks
    /// from the frontier.
    pub fn looked(mut self) -> Consumer {
        assert_eq!(self.try_pop(), Err(Nothing::Empty));
        self
    }

    pub fn owner(&self) -> Owner {
        self.popper.owner()
    }

    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    pub fn try_claim(&mut self, max: usize) -> Result<Claimed, Nothing> {
        loop {
            match self.popper.try_claim(&self.ring, max, &mut self.clock) {
                // As the handle does it, which goes by the name's text.
                Err(Nothing::Moved) => match groups::serve(&self.ring, self.popper.name().into()) {
                    Ok(service) => {
                        self.popper = Popper::new(&self.ring, self.popper.owner(), service).following();
                    }
                    Err(_) => return Err(Nothing::Moved),
                },
                claimed => return claimed,
            }
        }
    }

    /// The same in the entry that it began with.
    pub fn try_claim_here(&mut self) -> Option<Claimed> {
        self.popper.try_claim(&self.ring, 1, &mut self.clock).ok()
    }

    /// The entry in which it claims.
    pub fn entry(&self) -> u16 {
        self.popper.entry()
    }

    /// The same with this credit.
    pub fn try_claim_by(&mut self, pace: &mut impl Pace) -> Result<Claimed, Nothing> {
        self.popper.try_claim(&self.ring, 1, pace)
    }

    /// Claims when what others have claimed has expired.
    pub fn later(mut self) -> Consumer {
        self.clock = Clock(LATER);
        self
    }

    /// Claims what is there in any case.
    pub fn claim(&mut self, max: usize) -> Claimed {
        self.try_claim(max).expect("something to claim")
    }

    /// The first bytes of the messages among claimed cells. Every byte of a message must be the same.
    pub fn read(&self, claimed: &Claimed) -> Vec<u8> {
        // As in the handles: who claimed one message does not look at its publish word again, so the claim alone
        // must make it visible.
        let is_message = |&at: &u64| claimed.cells == 1 || self.ring.has_message(at);
        claimed.positions().filter(is_message).map(|at| self.message(at)).collect()
    }

    fn message(&self, at: u64) -> u8 {
        let span = self.ring.message(at).expect("the cell of a claimed message is sound");
        let mut bytes = Vec::new();
        self.ring.region().read(span.offset, span.len, &mut bytes);
        assert!(bytes.len() == span.len && bytes.iter().all(|byte| *byte == bytes[0]));
        bytes[0]
    }

    /// Says whether it was still its own.
    pub fn ack(&mut self, claimed: &Claimed) -> bool {
        self.popper.ack(&self.ring, claimed)
    }

    /// Moves the frontier on, past what it has finished.
    pub fn advance(&self) {
        self.popper.advance(&self.ring);
    }

    pub fn ack_first(&self, claimed: &mut Claimed, cells: u64) -> bool {
        self.popper.ack_first(&self.ring, claimed, cells)
    }

    pub fn release(&self, claimed: Claimed) {
        self.release_from(claimed, 0);
    }

    pub fn release_from(&self, mut claimed: Claimed, kept: u64) -> Claimed {
        self.popper.release_from(&self.ring, &mut claimed, kept);
        claimed
    }

    /// Claims up to `max` messages, reads and finishes them. None if they were taken back meanwhile.
    pub fn try_take(&mut self, max: usize) -> Result<Vec<u8>, Nothing> {
        let claimed = self.try_claim(max)?;
        let messages = self.read(&claimed);
        Ok(if self.ack(&claimed) { messages } else { Vec::new() })
    }

    /// Pops what is no letter; sets letters aside on the way.
    pub fn try_pop_but_letters(&mut self, letters: &mut Producer) -> Result<u8, Nothing> {
        loop {
            let claimed = self.try_claim(1)?;
            if !self.popper.has_letter(&self.ring, &claimed) {
                let message = self.read(&claimed)[0];
                self.ack(&claimed);
                return Ok(message);
            }
            let message = self.ring.message(claimed.first).expect("the cell of a claimed message is sound");
            self.popper.set_aside(&self.ring, &claimed, message, letters);
        }
    }

    /// Looks again at letters for which there was no room, if there is by now.
    pub fn retry_letters(&mut self, letters: &mut Producer) {
        if let Some(message) = self.popper.stuck_letter(&self.ring)
            && letters.has_room(message.len)
        {
            self.popper.pass_letters(false);
        }
    }

    pub fn try_pop(&mut self) -> Result<u8, Nothing> {
        self.try_take(1).map(|messages| messages[0])
    }

    /// Pops a message that is there in any case.
    pub fn pop(&mut self) -> u8 {
        self.try_pop().expect("a message")
    }

    /// Tries so often, and says what it got.
    pub fn pops(&mut self, tries: usize) -> Vec<u8> {
        (0..tries).filter_map(|_| self.try_pop().ok()).collect()
    }

    /// Leaves; what was claimed must have been let go of.
    pub fn detach(self) {
        participant::detach(&self.ring, self.owner());
    }
}

/// What makes an actor sleep and wake as the handles do: [`Parker`] without a deadline.
pub struct Sleeper<A> {
    actor: A,
    parker: Parker,
}

impl<A> Sleeper<A> {
    pub fn new(actor: A) -> Sleeper<A> {
        Sleeper { actor, parker: Parker::new(false) }
    }
}

impl Sleeper<Producer> {
    /// Pushes a message; sleeps while there is no room.
    pub fn push(&mut self, message: &[u8]) -> Result<u64, NoRoom> {
        let Sleeper { actor, parker } = self;
        let ring = actor.ring.clone();
        let owner = actor.owner();
        let look = || match actor.try_push(message) {
            Err(NoRoom::Full) => None,
            Err(nothing) => Some(Err(nothing)),
            Ok(position) => {
                parker.wake_consumers(&ring);
                Some(Ok(position))
            }
        };
        let more = || ring.has_free_cell();
        parker
            .wait(&ring, Side::Producers, owner, || Some(Duration::MAX), look, more)
            .expect("without a deadline there is an answer")
    }

    /// Publishes what was reserved, or gives it up.
    pub fn publish(&self, reserved: &Reserved, kind: Kind) {
        self.actor.publish(reserved, kind);
        self.parker.wake_consumers(&self.actor.ring);
        if kind != Kind::Ready {
            self.parker.wake_producers(&self.actor.ring);
        }
    }
}

impl Sleeper<Consumer> {
    /// Pops a message; sleeps while there is none.
    pub fn pop(&mut self) -> Result<u8, Nothing> {
        let Sleeper { actor, parker } = self;
        let ring = actor.ring.clone();
        let owner = actor.owner();
        let look = || match actor.try_claim(1) {
            Err(Nothing::Empty | Nothing::Pending) => None,
            Err(nothing) => Some(Err(nothing)),
            Ok(claimed) => {
                let message = actor.read(&claimed)[0];
                assert!(actor.ack(&claimed));
                parker.wake_after_ack(&ring, 0, 0);
                Some(Ok(message))
            }
        };
        let more = || ring.group(0).next_is_unclaimed() || ring.tail().closed;
        parker
            .wait(&ring, Side::Consumers(0), owner, || Some(Duration::MAX), look, more)
            .expect("without a deadline there is an answer")
    }

    pub fn ack(&mut self, claimed: &Claimed) {
        self.actor.ack(claimed);
        self.parker.wake_after_ack(&self.actor.ring, 0, 0);
    }

    pub fn release(&self, claimed: Claimed) {
        self.actor.release(claimed);
        self.parker.wake_after_ack(&self.actor.ring, 0, 1);
    }
}

/// Makes a group that begins with the oldest message that is kept, and says its number.
pub fn make_group(ring: &Ring, name: &str, attachment: u64) -> Result<usize, NoService> {
    let wanted = Wanted { start: 0, ticketed: false };
    groups::find_or_create(ring, name.as_bytes(), wanted, attachment, |number| number == DEAD)
}

/// What is kept: positions since the first, and messages; and whether it was overtaken.
pub fn replay(ring: &Ring, reader: &mut Reader, first: u64) -> (Vec<(u64, u8)>, bool) {
    let (mut kept, mut lapped) = (Vec::new(), false);
    loop {
        let mut message = Vec::new();
        match reader.read(ring, &mut message) {
            Ok(position) => kept.push((position - first, message[0])),
            Err(NoMessage::Lapped(_)) => lapped = true,
            Err(NoMessage::End) => return (kept, lapped),
            Err(NoMessage::Damaged(at)) => panic!("a sound ring is damaged at {at}"),
        }
    }
}

/// Settles what the dead owe.
pub fn recover_the_dead(ring: &Ring) -> Settled {
    recover::recover(ring, 0, |_, attachment| attachment == DEAD)
}

/// Takes back what has expired.
pub fn expire(ring: &Ring) -> u64 {
    recover::recover(ring, LATER, |_, _| false).expired
}

/// What is left in the ring when all actors are done, in the order in which a newcomer gets it, once the dead
/// are settled.
pub fn settle_and_drain(ring: &Arc<Ring>) -> Vec<u8> {
    recover_the_dead(ring);
    let mut consumer = Consumer::join(ring);
    let mut left = Vec::new();
    loop {
        match consumer.try_pop() {
            Ok(message) => left.push(message),
            Err(Nothing::Empty | Nothing::Closed) => return left,
            Err(nothing) => panic!("{nothing:?} when everybody is done, after {left:?}"),
        }
    }
}

/// Lets two actors run side by side.
pub fn two<A: 'static, B: 'static>(
    a: impl FnOnce() -> A + 'static,
    b: impl FnOnce() -> B + 'static,
) -> (A, B) {
    let (a, b) = (loom::thread::spawn(a), loom::thread::spawn(b));
    (a.join().unwrap(), b.join().unwrap())
}

/// Lets three actors run side by side.
pub fn three<A: 'static, B: 'static, C: 'static>(
    a: impl FnOnce() -> A + 'static,
    b: impl FnOnce() -> B + 'static,
    c: impl FnOnce() -> C + 'static,
) -> (A, B, C) {
    let c = loom::thread::spawn(c);
    let (a, b) = two(a, b);
    (a, b, c.join().unwrap())
}

/// Lets four actors run side by side, the most that loom has threads for.
pub fn four<A: 'static, B: 'static, C: 'static, D: 'static>(
    a: impl FnOnce() -> A + 'static,
    b: impl FnOnce() -> B + 'static,
    c: impl FnOnce() -> C + 'static,
    d: impl FnOnce() -> D + 'static,
) -> (A, B, C, D) {
    let d = loom::thread::spawn(d);
    let (a, b, c) = three(a, b, c);
    (a, b, c, d.join().unwrap())
}
