//! Consumers: find, announce, claim, read, acknowledge.

use super::check::LAST_POSITION;
use super::groups::Service;
use super::pace::{Pace, Unpaced};
use super::words::{Claim, ClaimIntent, Kind, Life, Link, Owner, Publish, State};
use super::reclaim::{self, Interval};
use super::{Damaged, Group, GroupPlace, Ring, SlotPlace};
use crate::fault::{self, Step};
use crate::sync::{Ordering, fence_after_swap};
use crossbeam_utils::Backoff;

/// A ticketed consumer walks in order once in so many claims, so that a place whose drawer is gone is not left behind for long.
const DRAWS_PER_WALK: u32 = 64;

/// A consumer as the protocol sees it.
#[derive(Debug)]
pub struct Popper {
    owner: Owner,
    entry: u16,
    group_place: GroupPlace,
    slot_place: SlotPlace,
    life: Life,
    /// What `life` says as long as the entry serves the group.
    said: u64,
    tenancy: u64,
    ticketed: bool,
    /// Everything below has been seen claimed.
    place: u64,
    /// The count of redeliveries at which a walk from the frontier found nothing to redeliver.
    redo_seen: u64,
    /// An unfinished walk: the count it is for, and how far it is.
    sweep: (u64, u64),
    /// Ticketed: how far tickets are from positions.
    places: u64,
    /// Ticketed: what is left of the last draw.
    draw: (u64, u64),
    draws: u32,
    /// Ticketed: the frontier at the last regular walk, and whether it stood still since the one before.
    frontier: u64,
    stalled: bool,
    /// Ticketed: a tail seen.
    tail: u64,
    /// Whether it steps over messages that nobody could set aside: there was no room for the last.
    passes_letters: bool,
    /// What it has finished last, side by side.
    finished: Interval,
    /// Whether there may be a copy of the last letter that it has claimed.
    pub(super) may_be_copied: bool,
}

/// Cells that one consumer has claimed: an interval, or a single message that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub first: u64,
    pub cells: u64,
    pub(super) word: Claim,
}

/// Why nothing was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// Every reserved position is claimed.
    Empty,
    /// The next position is reserved and not published yet.
    Pending,
    /// Closed, and the group is done with everything.
    Closed,
    /// There is something, but no credit for it before this time in nanoseconds.
    Paced(u64),
    /// The entry does not serve the group any more.
    Moved,
    Damaged(Damaged),
}

/// What became of the swap of a claim.
enum Swapped {
    /// The cells are this consumer's.
    Ours(Claimed),
    /// Somebody else was first, at this position.
    Others(u64),
    /// The entry does not serve the group any more; nothing is claimed.
    Moved,
}

/// A walk along the claim chain.
struct Walk {
    /// The count of redeliveries when it set out.
    redo: u64,
    /// Whether it goes from the frontier on, to find what was put back.
    sweeping: bool,
    at: u64,
}

/// How far a claim came that was not to be had where the walk begins.
pub struct Elsewhere(Begun);

enum Begun {
    /// Not at all.
    Not,
    /// Something was put back since the last walk.
    Sweep { redo: u64 },
    /// This was found at its first position.
    Walk { redo: u64, at: u64, look: Look },
}

/// What a look at one position says.
enum Look {
    /// Claimed by this consumer.
    Taken(Claimed),
    /// The claim word speaks of this lap.
    Spoken(Claim),
    /// Claimed by others, or nothing to claim: go on there.
    Next(u64),
    /// Not published at this lap, or not to be claimed before what is below it.
    Stop,
    /// No credit before this time.
    Paced(u64),
    /// The entry does not serve the group any more.
    Moved,
}

impl From<Swapped> for Look {
    #[inline(always)]
    fn from(swapped: Swapped) -> Look {
        match swapped {
            Swapped::Ours(claimed) => Look::Taken(claimed),
            // What did they do there?
            Swapped::Others(at) => Look::Next(at),
            Swapped::Moved => Look::Moved,
        }
    }
}

/// Credit for one call: what is taken for a claim that others win serves the next attempt.
struct Credit<'a, P> {
    pace: &'a mut P,
    held: u64,
}

impl<P: Pace> Credit<'_, P> {
    /// For how many of `messages` there is credit; at least one, or the time to come again.
    #[inline]
    fn up_to(&mut self, messages: u64) -> Result<u64, u64> {
        if self.pace.is_unlimited() {
            return Ok(messages);
        }
        if self.held < messages {
            match self.pace.take(messages - self.held) {
                Ok(more) => self.held += more,
                Err(until) if self.held == 0 => return Err(until),
                Err(_) => {}
            }
        }
        Ok(self.held.min(messages))
    }
}

impl Claimed {
    /// The position behind it.
    #[inline]
    pub fn end(&self) -> u64 {
        self.first.wrapping_add(self.cells)
    }

    /// Its positions, those without a message included.
    pub fn positions(&self) -> std::ops::Range<u64> {
        self.first..self.first + self.cells
    }

    /// How often its first message has been handed out, this time included.
    pub fn deliveries(&self) -> u64 {
        self.word.deliveries()
    }

    /// Whether it is a single message that came back.
    #[inline]
    pub fn came_back(&self) -> bool {
        self.word.state() == State::Reclaim
    }
}

impl Popper {
    /// A consumer of the group that an entry serves.
    pub fn new(ring: &Ring, owner: Owner, service: Service) -> Popper {
        let Service { entry, life } = service;
        let group = ring.group(entry.into());
        let frontier = group.frontier().position;
        Popper {
            owner,
            entry,
            group_place: group.place(),
            slot_place: ring.slot(owner).place(),
            life,
            said: life.pack(),
            tenancy: life.tenancy.into(),
            ticketed: life.ticketed,
            place: frontier,
            // Not the count of now: something may have been put back before.
            redo_seen: u64::MAX,
            sweep: (u64::MAX, frontier),
            places: if life.ticketed { group.places().lo } else { 0 },
            draw: (0, 0),
            draws: 0,
            frontier,
            stalled: false,
            tail: frontier,
            passes_letters: false,
            finished: Interval { start: frontier, end: frontier },
            may_be_copied: false,
        }
    }

    /// The same for one that consumed in an earlier tenancy: places that it drew there, when those of this tenancy were counted already, are nobody's. It walks until none is left.
    pub fn following(self) -> Popper {
        Popper { stalled: self.ticketed, ..self }
    }

    pub fn owner(&self) -> Owner {
        self.owner
    }

    pub fn entry(&self) -> u16 {
        self.entry
    }

    /// The number of the group's name.
    pub fn name(&self) -> u8 {
        self.life.name
    }

    /// Whether it draws places.
    #[inline]
    pub fn is_ticketed(&self) -> bool {
        self.ticketed
    }

    /// Where it looks next, unless others have gone ahead.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// Whether a claim may find something now: a glance at words that are written when it does.
    pub fn sees_something(&self, ring: &Ring) -> bool {
        let group = self.group(ring);
        ring.published(self.hinted(&group)).is_some()
            || group.redo().load(Ordering::Acquire) != self.redo_seen
            || self.has_moved(&group)
    }

    /// Whether there was more to be claimed from `place` on than one message.
    pub fn sees_more(&self, ring: &Ring, place: u64) -> bool {
        self.place > place + 1 || ring.published(self.place).is_some()
    }

    /// Claims up to `max` messages that lie side by side, for as many as `pace` gives credit for.
    #[inline]
    pub fn try_claim(&mut self, ring: &Ring, max: usize, pace: &mut impl Pace) -> Result<Claimed, Nothing> {
        self.claim_here(ring, max, pace).or_else(|elsewhere| self.claim_elsewhere(ring, max, pace, elsewhere))
    }

    /// The same, without a rate and a lease, if there is one where the walk begins, which is nearly always so; it was not handed out before. Otherwise
    /// [`claim_elsewhere`](Self::claim_elsewhere) goes on.
    #[inline(always)]
    pub fn claim_here(&mut self, ring: &Ring, max: usize, pace: &impl Pace) -> Result<Claimed, Elsewhere> {
        if ring.is_leased() || !pace.is_unlimited() {
            return Err(Elsewhere(Begun::Not));
        }
        if self.ticketed {
            return self.draw_here(ring, max).ok_or(Elsewhere(Begun::Not));
        }
        let group = self.group(ring);
        let redo = group.redo().load(Ordering::Acquire); // E7
        if redo != self.redo_seen {
            return Err(Elsewhere(Begun::Sweep { redo }));
        }
        let at = self.hinted(&group);
        match self.look(ring, at, clamped(ring, max), &mut Credit { pace: &mut Unpaced, held: 0 }) {
            Look::Taken(claimed) => {
                self.place = claimed.end();
                self.hint(&group);
                Ok(claimed)
            }
            look => Err(Elsewhere(Begun::Walk { redo, at, look })),
        }
    }

    /// Goes on where [`claim_here`](Self::claim_here) has stopped.
    #[inline(never)]
    pub fn claim_elsewhere(
        &mut self,
        ring: &Ring,
        max: usize,
        pace: &mut impl Pace,
        elsewhere: Elsewhere,
    ) -> Result<Claimed, Nothing> {
        let max = clamped(ring, max);
        let mut credit = Credit { pace, held: 0 };
        let (walk, look) = match elsewhere.0 {
            Begun::Walk { redo, at, look } => (Walk { redo, sweeping: false, at }, look),
            Begun::Sweep { redo } => {
                let at = self.sweep_from(&self.group(ring), redo);
                let look = self.look(ring, at, max, &mut credit);
                (Walk { redo, sweeping: true, at }, look)
            }
            Begun::Not if !self.ticketed => {
                let walk = self.set_out(ring);
                let look = self.look(ring, walk.at, max, &mut credit);
                (walk, look)
            }
            Begun::Not => {
                if let Some(drawn) = self.draw(ring, max, &mut credit) {
                    return drawn;
                }
                let walk = self.set_out(ring);
                // A walker of a ticketed group takes single cells only, in chain order (u).
                let look = self.look(ring, walk.at, 1, &mut credit);
                return self.walk(ring, 1, credit, walk, look);
            }
        };
        self.walk(ring, max, credit, walk, look)
    }

    /// The entry that it consumes from.
    #[inline(always)]
    fn group<'a>(&self, ring: &'a Ring) -> Group<'a> {
        ring.group_at(self.group_place)
    }

    /// Everything below has been seen claimed, by this consumer or by others.
    #[inline]
    fn hinted(&self, group: &Group<'_>) -> u64 {
        // H1: acquire, so that the chain below the hint is seen as who stored it saw it (E4).
        self.place.max(group.head().load(Ordering::Acquire))
    }

    /// Where a walk begins.
    fn set_out(&mut self, ring: &Ring) -> Walk {
        let group = self.group(ring);
        let redo = group.redo().load(Ordering::Acquire); // E7
        let sweeping = redo != self.redo_seen;
        let at = if sweeping { self.sweep_from(&group, redo) } else { self.hinted(&group) };
        Walk { redo, sweeping, at }
    }

    /// Goes along the claim chain to the first message that can be claimed.
    fn walk(
        &mut self,
        ring: &Ring,
        max: u64,
        mut credit: Credit<'_, impl Pace>,
        mut walk: Walk,
        mut look: Look,
    ) -> Result<Claimed, Nothing> {
        let backoff = Backoff::new();
        loop {
            match look {
                Look::Taken(claimed) if claimed.came_back() => {
                    self.sweep = (walk.redo, claimed.end());
                    return Ok(claimed);
                }
                Look::Taken(claimed) => {
                    if walk.sweeping {
                        // The end of the chain was reached, and nothing on the way was to be redelivered.
                        self.redo_seen = walk.redo;
                    }
                    self.taken(ring, &claimed);
                    return Ok(claimed);
                }
                Look::Spoken(seen) => {
                    look = self.look_again(ring, walk.at, seen, &mut credit);
                    continue;
                }
                Look::Next(next) => {
                    if next == walk.at {
                        // Others get along faster, and so do all, if the lines stay with one of them for a while.
                        backoff.spin();
                    }
                    walk.at = next;
                }
                Look::Paced(until) => return Err(Nothing::Paced(until)),
                Look::Moved => return Err(Nothing::Moved),
                Look::Stop => {
                    let frontier = self.group(ring).frontier().position;
                    if frontier > walk.at {
                        if ring.tail().position < frontier || frontier >= LAST_POSITION {
                            return Err(Nothing::Damaged(Damaged { position: frontier }));
                        }
                        // Lapped: what was read belongs to a later lap.
                        walk.at = frontier;
                    } else {
                        if walk.sweeping {
                            self.redo_seen = walk.redo;
                        }
                        self.place = self.place.max(walk.at);
                        if let Some(nothing) = self.nothing_at(ring, walk.at, walk.redo) {
                            return Err(nothing);
                        }
                        walk = self.set_out(ring);
                    }
                }
            }
            look = self.look(ring, walk.at, max, &mut credit);
        }
    }

    /// Where the walk for this count of redeliveries goes on.
    fn sweep_from(&mut self, group: &Group<'_>, redo: u64) -> u64 {
        let frontier = group.frontier().position;
        if self.sweep.0 != redo {
            self.sweep = (redo, frontier);
        }
        self.sweep.1.max(frontier)
    }

    /// Remembers a fresh claim made on a walk.
    fn taken(&mut self, ring: &Ring, claimed: &Claimed) {
        let group = self.group(ring);
        self.place = self.place.max(claimed.end());
        self.hint(&group);
        if self.stalled {
            // Walks go on until no place below the head is left behind (x).
            self.stalled = self.place < group.next_place(self.places);
        }
    }

    /// Tells the others where to look first.
    #[inline(always)]
    fn hint(&self, group: &Group<'_>) {
        group.head().store(self.place, Ordering::Release); // H1 (E4)
        fault::point(Step::HintStored);
    }

    /// Looks at one position of the chain and claims what nobody has claimed there.
    #[inline(always)]
    fn look(&mut self, ring: &Ring, at: u64, max: u64, credit: &mut Credit<'_, impl Pace>) -> Look {
        let group = self.group(ring);
        let tag = group.tag(at, self.tenancy);
        let seen = Claim(group.claim(at).load(Ordering::Acquire)); // C1 (E4)
        if seen.is_at(tag) {
            return Look::Spoken(seen);
        }
        // Published at this lap, after the claim word was read: so that word is of an earlier lap or tenancy.
        let publish = ring.cell(at).load(); // P2
        if !publish.is_ready_at(ring.lap(at)) {
            return if publish.is_at(ring.lap(at)) { Look::Next(at.wrapping_add(1)) } else { Look::Stop };
        }
        let cells = match ring.ready_from(at, max, ring.max_batch() as u64, credit) {
            Ok(cells) => cells,
            Err(until) => return Look::Paced(until),
        };
        self.swap(ring, at, seen, Claim::held(tag, self.owner, cells), credit).into()
    }

    /// Looks at a position whose word speaks of this lap: claims what was put back there.
    fn look_again(&mut self, ring: &Ring, at: u64, seen: Claim, credit: &mut Credit<'_, impl Pace>) -> Look {
        if seen.state() != State::Redo {
            return Look::Next(at.wrapping_add(seen.cells()));
        }
        if ring.is_letter(seen) {
            if self.passes_letters && ring.is_stuck_letter(seen) {
                return Look::Next(at.wrapping_add(1));
            }
            self.may_be_copied = ring.may_be_copied(seen);
        } else if let Err(until) = credit.up_to(1) {
            return Look::Paced(until);
        }
        self.swap(ring, at, seen, seen.reclaimed(self.owner), credit).into()
    }

    /// The one read-modify-write of a claim.
    #[inline(always)]
    fn swap(
        &mut self,
        ring: &Ring,
        at: u64,
        seen: Claim,
        word: Claim,
        credit: &Credit<'_, impl Pace>,
    ) -> Swapped {
        let group = self.group(ring);
        // Read after the word that was seen: so that is none of a later tenancy, which the swap would destroy (G2).
        if self.has_moved(&group) {
            return Swapped::Moved;
        }
        let intent = ClaimIntent {
            cells: word.cells(),
            entry: self.entry,
        };
        let slot = ring.slot_at(self.slot_place);
        if ring.is_leased() {
            // L1: whoever sees the announcement, or the claim, sees the time.
            slot.claimed().store(credit.pace.now(), Ordering::Relaxed);
            fault::point(Step::LeaseBegun);
        }
        slot.announce_claim(at, intent); // I2
        // C2: exactly the word that was seen becomes ours (E4).
        let swap = |from: Claim, to: Claim| {
            group.claim(at).compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if !swap(seen, word) {
            return Swapped::Others(at);
        }
        fault::point(Step::Claimed);
        // Either who drains the entry sees the claim, or it is seen here that the entry drains (G3).
        fence_after_swap();
        if self.has_moved(&group) {
            // Nothing was read, and who drained the entry may not have waited for it. If others have claimed it since, it is theirs.
            swap(word, seen);
            fault::point(Step::ClaimUndone);
            return Swapped::Moved;
        }
        Swapped::Ours(Claimed { first: at, cells: word.cells(), word })
    }

    /// Claims what is there in place of exactly the word that was seen.
    pub(super) fn claim_exactly(
        &mut self,
        ring: &Ring,
        at: u64,
        seen: Claim,
        word: Claim,
        pace: &mut impl Pace,
    ) -> Option<Claimed> {
        let credit = Credit { pace, held: 0 };
        match self.swap(ring, at, seen, word, &credit) {
            Swapped::Ours(claimed) => Some(claimed),
            Swapped::Others(_) | Swapped::Moved => None,
        }
    }

    /// Whether the entry does not serve the group any more.
    #[inline]
    pub fn has_moved(&self, group: &Group<'_>) -> bool {
        // Its order comes with the claim word that was read before it, or with a fence.
        group.life().load(Ordering::Relaxed) != self.said
    }

    /// What it means that the chain ends at `at`; `None`: something has changed, look again.
    #[cold]
    fn nothing_at(&self, ring: &Ring, at: u64, redo: u64) -> Option<Nothing> {
        let group = &self.group(ring);
        let tail = ring.tail(); // T1
        if self.has_moved(group) {
            return Some(Nothing::Moved);
        }
        if group.redo().load(Ordering::Acquire) != redo {
            // Something was put back below since the walk began (part C, h).
            return None;
        }
        if tail.position == at {
            ring.commit_to(at);
            // Drained means done, not claimed: what is claimed may come back. Nobody else may be there to move the frontier (part C, f).
            return Some(if tail.closed && reclaim::advance_to_end(group) == at {
                Nothing::Closed
            } else {
                Nothing::Empty
            });
        }
        if tail.position < at {
            return Some(Nothing::Damaged(Damaged { position: at }));
        }
        if ring.published(at).is_some() || group.frontier().position > at {
            return None;
        }
        Some(Nothing::Pending)
    }

    /// Ticketed: claims at the next place to be drawn, if it is time to draw and there is a message that nobody has claimed, which is nearly always so.
    #[inline(never)]
    fn draw_here(&mut self, ring: &Ring, max: usize) -> Option<Claimed> {
        let group = self.group(ring);
        let draws = self.draws.wrapping_add(1);
        let is_due = self.draw.0 >= self.draw.1
            && !draws.is_multiple_of(DRAWS_PER_WALK)
            && !self.stalled
            && group.redo().load(Ordering::Acquire) == self.redo_seen; // E7
        let next = group.next_place(self.places);
        if !is_due || self.has_moved(&group) {
            return None;
        }
        let max = clamped(ring, max);
        if next >= self.tail {
            // The tail lies on a line that producers write.
            self.tail = match ring.published(next) {
                None => return None,
                Some(_) if max == 1 => next.wrapping_add(1),
                Some(_) => ring.tail().position.max(next.wrapping_add(1)),
            };
        }
        self.draws = draws;
        self.draw_places(&group, max.min(self.tail - next));
        match self.claim_drawn(ring, max, &mut Credit { pace: &mut Unpaced, held: 0 }) {
            Some(Ok(claimed)) => Some(claimed),
            // What is left of the draw is kept for who goes on.
            Some(Err(_)) | None => None,
        }
    }

    /// Ticketed: draws so many places.
    #[inline]
    fn draw_places(&mut self, group: &Group<'_>, places: u64) {
        // H2: the ticket only says where to look; the claim word decides.
        let first = group.ticket().fetch_add(places, Ordering::AcqRel).wrapping_add(self.places);
        fault::point(Step::PlaceDrawn);
        self.draw = (first, first.wrapping_add(places));
    }

    /// Ticketed: claims inside a draw of its own, or says that the walk must look.
    #[inline]
    fn draw(
        &mut self,
        ring: &Ring,
        max: u64,
        credit: &mut Credit<'_, impl Pace>,
    ) -> Option<Result<Claimed, Nothing>> {
        let group = &self.group(ring);
        self.draws = self.draws.wrapping_add(1);
        if self.draws.is_multiple_of(DRAWS_PER_WALK) {
            let frontier = reclaim::advance(group);
            self.stalled = frontier == self.frontier;
            self.frontier = frontier;
            return None;
        }
        if self.stalled || group.redo().load(Ordering::Acquire) != self.redo_seen {
            return None;
        }
        // Bounded: the head of a damaged file may be any number of places behind.
        for _ in 0..DRAWS_PER_WALK {
            let drawn = self.claim_drawn(ring, max, credit);
            if drawn.is_some() {
                return drawn;
            }
            if self.draw.0 < self.draw.1 {
                // The place came before its message: it is kept, as a hint, rather than another drawn.
                return None;
            }
            // Everything drawn was claimed by walkers: the next place is behind them, and is drawn forward.
            let next = group.ticket().load(Ordering::Relaxed).wrapping_add(self.places);
            if next >= self.tail {
                self.tail = ring.tail().position;
            }
            if next >= self.tail {
                return None;
            }
            // What a ticket stands for is another place in another tenancy: one that is drawn too late loses that a place, no more.
            if self.has_moved(group) {
                return Some(Err(Nothing::Moved));
            }
            self.draw_places(group, max.min(self.tail - next));
        }
        None
    }

    /// The first claimable interval in what is left of the draw. Draws are disjoint and walkers go in chain order, so while its first
    /// cell is unclaimed nobody else has claimed inside it (u).
    #[inline]
    fn claim_drawn(
        &mut self,
        ring: &Ring,
        max: u64,
        credit: &mut Credit<'_, impl Pace>,
    ) -> Option<Result<Claimed, Nothing>> {
        let group = &self.group(ring);
        while self.draw.0 < self.draw.1 {
            let at = self.draw.0;
            let tag = group.tag(at, self.tenancy);
            let seen = Claim(group.claim(at).load(Ordering::Acquire)); // C1
            if seen.is_at(tag) {
                self.draw.0 = at.wrapping_add(seen.cells());
                continue;
            }
            let Some(publish) = ring.published(at) else {
                let frontier = group.frontier().position;
                if frontier <= at {
                    return None;
                }
                self.draw.0 = frontier;
                continue;
            };
            if publish.kind() != Kind::Ready {
                self.draw.0 = at.wrapping_add(1);
                continue;
            }
            if !ring.is_whole(at, publish) {
                return None;
            }
            let cells = match ring.ready_from(at, max, self.draw.1 - at, credit) {
                Ok(cells) => cells,
                Err(until) => return Some(Err(Nothing::Paced(until))),
            };
            let word = Claim::held(tag, self.owner, cells);
            match self.swap(ring, at, seen, word, credit) {
                Swapped::Ours(claimed) => {
                    self.draw.0 = at.wrapping_add(cells);
                    return Some(Ok(claimed));
                }
                Swapped::Others(_) => {}
                Swapped::Moved => return Some(Err(Nothing::Moved)),
            }
        }
        None
    }

    /// Finishes everything that is claimed. False: the lease has expired, and it was put back meanwhile.
    #[inline]
    pub fn ack(&mut self, ring: &Ring, claimed: &Claimed) -> bool {
        let was_held = self.conclude(ring, claimed, claimed.word.finished(), Step::Acked);
        if was_held {
            self.finished.add(claimed.first, claimed.end());
        }
        was_held
    }

    /// Moves the frontier of its entry on, past what it has finished.
    pub fn advance(&self, ring: &Ring) {
        reclaim::advance_over(&self.group(ring), self.life, self.finished);
    }

    /// Ends a claim by its first word, and lets its bytes go.
    #[inline]
    pub(super) fn conclude(&self, ring: &Ring, claimed: &Claimed, word: Claim, step: Step) -> bool {
        let was_held = self.settle(ring, claimed, word);
        fault::point(step);
        if ring.is_leased() {
            if !was_held {
                // Who put it back may have been killed before it told anybody, and finds out no more when nothing is announced.
                self.group(ring).announce_redo();
            }
            ring.slot(self.owner).let_go();
        }
        was_held
    }

    /// Says in the first word of a claim what becomes of it. False: that has been said already, since the lease had expired.
    #[inline]
    fn settle(&self, ring: &Ring, claimed: &Claimed, word: Claim) -> bool {
        let group = self.group(ring);
        let at = group.claim(claimed.first);
        if !ring.is_leased() {
            // D1: release, pairs with F1 (E2). A plain store: nobody else changes a word that names a live owner.
            at.store(word.0, Ordering::Release);
            return true;
        }
        // D1, exactly: a claim that expired may have been put back, and be somebody else's.
        at.compare_exchange(claimed.word.0, word.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The same of a word behind the first.
    fn settle_behind(&self, ring: &Ring, at: u64, word: Claim) -> bool {
        let group = self.group(ring);
        let behind = group.claim(at);
        if !ring.is_leased() {
            behind.store(word.0, Ordering::Release); // D1
            return true;
        }
        let seen = Claim(behind.load(Ordering::Acquire));
        !seen.is_at(word.tag())
            && behind.compare_exchange(seen.0, word.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Finishes the first `cells` cells, fewer than are claimed, and keeps the rest. False: the lease has expired, and they were put back meanwhile.
    ///
    /// Where claims have a lease, the room of all is kept until the rest is let go of.
    pub fn ack_first(&self, ring: &Ring, claimed: &mut Claimed, cells: u64) -> bool {
        let group = self.group(ring);
        let first = claimed.first.wrapping_add(cells);
        let left = claimed.cells - cells;
        let word = Claim::held(group.tag(first, self.tenancy), self.owner, left);
        let rest = Claimed { first, cells: left, word };
        // Later word first: who steps over the shortened interval finds the rest claimed.
        let kept = self.settle_behind(ring, first, word);
        fault::point(Step::RestKept);
        let done = Claim::done(group.tag(claimed.first, self.tenancy), self.owner, cells);
        let acked = self.settle(ring, claimed, done);
        fault::point(Step::FirstAcked);
        if acked {
            // Also if the rest is lost: its word says so to whoever acknowledges it.
            *claimed = rest;
        } else if kept {
            self.put_back(ring, &rest, 0);
            group.announce_redo();
        }
        acked
    }

    /// Puts back what is claimed from the cell `kept` on, and keeps what is before.
    pub fn release_from(&self, ring: &Ring, claimed: &mut Claimed, kept: u64) {
        let group = self.group(ring);
        self.put_back(ring, claimed, kept);
        if kept > 0 {
            let word = Claim::held(group.tag(claimed.first, self.tenancy), self.owner, kept);
            self.settle(ring, claimed, word);
            (claimed.cells, claimed.word) = (kept, word);
        }
        fault::point(Step::Released);
        group.announce_redo();
        if kept == 0 && ring.is_leased() {
            ring.slot(self.owner).let_go();
        }
    }

    /// First word last: a walker must not step from a shortened interval onto a word that says nothing yet.
    fn put_back(&self, ring: &Ring, claimed: &Claimed, kept: u64) {
        let group = self.group(ring);
        for distance in (kept..claimed.cells).rev() {
            let at = claimed.first.wrapping_add(distance);
            let word = group.put_back(at, group.tag(at, self.tenancy), claimed.word.deliveries());
            match distance {
                0 => self.settle(ring, claimed, word),
                _ => self.settle_behind(ring, at, word),
            };
            fault::point(Step::WordReleased);
        }
    }

    /// Looks again at messages that nobody could set aside, or steps over them from now on.
    pub fn pass_letters(&mut self, passes: bool) {
        self.passes_letters = passes;
        if !passes {
            self.redo_seen = u64::MAX;
            self.sweep.0 = u64::MAX;
        }
    }
}

/// How many messages to claim at most, where `max` are asked for.
#[inline]
fn clamped(ring: &Ring, max: usize) -> u64 {
    max.min(ring.max_batch()).max(1) as u64
}

impl Group<'_> {
    /// The claim word of a position, if it speaks of this position.
    pub fn claim_at(&self, at: u64, tenancy: u64) -> Option<Claim> {
        let claim = Claim(self.claim(at).load(Ordering::Acquire));
        claim.is_at(self.tag(at, tenancy)).then_some(claim)
    }

    /// Whether the message behind the group's hint, or at its frontier, is there to be claimed: a guess, for sleepers.
    pub fn next_is_unclaimed(&self) -> bool {
        let frontier = self.frontier();
        let hint = match frontier.life.ticketed {
            true => self.next_place(self.places().lo),
            false => self.head().load(Ordering::Acquire),
        };
        [hint.max(frontier.position), frontier.position].into_iter().any(|at| {
            let free = |claim: Claim| claim.state() == State::Redo && !self.ring.is_stuck_letter(claim);
            self.ring.published(at).is_some() && self.claim_at(at, frontier.tenancy()).is_none_or(free)
        })
    }

    /// The claim word of a position that is put back after `deliveries`: what has no message is done, but for who overwrites its bytes.
    pub(super) fn put_back(&self, at: u64, tag: u64, deliveries: u64) -> Claim {
        let is_scrubber = self.ring.scrubber().is_some_and(|entry| self.ring.group(entry).at == self.at);
        match self.ring.published(at).map(Publish::kind) {
            Some(Kind::Skip | Kind::Void) if !is_scrubber => Claim::done(tag, Owner::NOBODY, 1),
            _ => Claim::redo(tag, deliveries),
        }
    }

    /// Makes every consumer of the group walk once from the frontier (E7). Never taken back: a count of what is open would leak with whoever is killed keeping it (C3).
    pub(super) fn announce_redo(&self) {
        self.redo().fetch_add(1, Ordering::AcqRel);
        fault::point(Step::RedoRaised);
    }
}

impl Ring {
    /// How many cells from the READY one at `at` on to claim: published ones, at most `most`, with at most `max` messages, all of which there is credit for.
    #[inline(always)]
    fn ready_from(&self, at: u64, max: u64, most: u64, credit: &mut Credit<'_, impl Pace>) -> Result<u64, u64> {
        if max == 1 {
            return credit.up_to(1).map(|_| 1);
        }
        let mut max = max;
        loop {
            let mut messages = 1;
            let mut cells = 1;
            while cells < most && messages < max {
                let next = at.wrapping_add(cells);
                let (publish, lap) = (self.cell(next).load(), self.lap(next));
                if publish.is_ready_at(lap) {
                    messages += 1;
                } else if !publish.is_at(lap) {
                    break;
                }
                cells += 1;
            }
            let granted = credit.up_to(messages)?;
            if granted == messages {
                return Ok(cells);
            }
            max = granted;
        }
    }

    /// Whether the reservation of a READY cell is READY from its first cell on: else it may still become nothing (v).
    #[inline]
    fn is_whole(&self, at: u64, publish: Publish) -> bool {
        match publish.link() {
            Link::First(_) => true,
            Link::Behind(distance) => {
                self.has_message(at.wrapping_sub(distance))
            }
        }
    }
}
