//! Who looks after those who sleep: two of them do, a few milliseconds at a time, and nobody while nothing can happen that a wake does
//! not tell. `docs/protocol.md`, section 9.

use crate::ring::Ring;
use crate::ring::words::{Binding, Owner};
use crate::sync::Ordering;
use crate::sys::wait;
use std::time::Duration;

/// The nap of the sleeper that watches: whoever should wake one may have been killed.
pub const NAP: Duration = Duration::from_millis(5);
/// The nap of its deputy, which is of another attachment: the watcher may have been killed as well.
pub const DEPUTYS_NAP: Duration = Duration::from_millis(7);
/// A sleeper that finds that nobody has had a role for so long takes it.
const LATE: Duration = Duration::from_millis(15);
/// The others look less often, all together as often as one that sleeps that long.
const OTHERS_NAP: Duration = Duration::from_millis(20);
/// The longest nap while somebody watches, and the nap of a watcher that dozes.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// So many naps must have ended by themselves before the watcher asks whether it may doze.
pub const QUIET: u32 = 20;

/// Who has which word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Watcher,
    Deputy,
}

/// What the one who has a role said last: `flags:2 | slot:16 | milliseconds:46` of the clock that does not step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said(u64);

impl Said {
    const NOTHING: Said = Said(0);
    /// It dozes, since all other participants are asleep: whoever gets up ends it.
    const ALL_ASLEEP: u64 = 1 << 63;
    /// It dozes, since all others are of its own attachment and are killed only together with it: whoever joins ends it.
    const ALONE: u64 = 1 << 62;
    const DOZING: u64 = Said::ALL_ASLEEP | Said::ALONE;
    const MILLIS: u64 = (1 << 46) - 1;

    fn new(owner: Owner, now: Duration) -> Said {
        Said(u64::from(owner.0) << 46 | now.as_millis() as u64 & Said::MILLIS)
    }

    fn last(ring: &Ring, role: Role) -> Said {
        Said(ring.looked()[role as usize].load(Ordering::Relaxed))
    }

    /// Says something else, unless somebody did so meanwhile. What was said last is by somebody who means it.
    fn replace(self, ring: &Ring, role: Role, new: Said) -> bool {
        ring.looked()[role as usize]
            .compare_exchange(self.0, new.0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    fn owner(self) -> Owner {
        Owner((self.0 >> 46) as u16)
    }

    fn is_late(self, now: Duration) -> bool {
        let said = Duration::from_millis(self.0 & Said::MILLIS);
        now.abs_diff(said) > if self.has(Said::DOZING) { LONGEST_NAP + LATE } else { LATE }
    }
}

/// A sleeper, as far as watching goes. The roles are no locks: nobody waits for them, two may have one for a nap, and who finds one
/// neglected takes it.
pub struct Watch {
    owner: Owner,
    /// The role that this sleeper has, and what it said in it.
    said: Option<(Role, Said)>,
    /// How many naps it has watched.
    naps: u32,
}

impl Watch {
    pub fn new(owner: Owner) -> Watch {
        Watch { owner, said: None, naps: 0 }
    }

    /// How long to sleep now. The caller says so in `asleep`, with a light fence behind it.
    pub fn nap(&mut self, ring: &Ring) -> Duration {
        let now = wait::clock();
        let watcher = Said::last(ring, Role::Watcher);
        // Who dozes looks after no producer, and a wake may go to one whose message is too long for the room (section 9).
        let unattended = watcher.has(Said::DOZING) && ring.is_producer(self.owner);
        if let Some(again) = self.takes(ring, Role::Watcher, watcher, unattended, now) {
            self.naps = if again { self.naps + 1 } else { 0 };
            return if self.naps >= QUIET && self.doze(ring) { LONGEST_NAP } else { NAP };
        }
        let deputy = Said::last(ring, Role::Deputy);
        if !watcher.has(Said::DOZING)
            && ring.attachment(watcher.owner()) != ring.attachment(self.owner)
            && self.takes(ring, Role::Deputy, deputy, false, now).is_some()
        {
            return DEPUTYS_NAP;
        }
        self.said = None;
        nap_beside(watcher, ring)
    }

    /// Takes a role in which `last` was said if it is late or `neglected`, or keeps it. `Some`: whether it had it before.
    fn takes(&mut self, ring: &Ring, role: Role, last: Said, neglected: bool, now: Duration) -> Option<bool> {
        let again = self.said == Some((role, last));
        let new = Said::new(self.owner, now);
        let taken = (again || neglected || last.is_late(now)) && last.replace(ring, role, new);
        taken.then(|| {
            self.said = Some((role, new));
            again
        })
    }

    /// Dozes off if it may. Whoever gets up or joins either is seen to be up here, or sees that somebody dozes (E9).
    fn doze(&mut self, ring: &Ring) -> bool {
        let Some(((_, said), flag)) = self.said.zip(self.may_doze(ring)) else {
            return false;
        };
        let dozing = Said(said.0 | flag);
        if !said.replace(ring, Role::Watcher, dozing) {
            return false;
        }
        // Of those who had left or lain down before the fence, all that they did is seen after it.
        let dozes = wait::heavy_fence() && self.may_doze(ring) == Some(flag);
        if dozes {
            self.said = Some((Role::Watcher, dozing));
        } else {
            dozing.replace(ring, Role::Watcher, said);
        }
        dozes
    }

    /// Whether nothing can happen that a wake does not tell: whoever could be killed before it wakes anybody would have to get up first.
    fn may_doze(&self, ring: &Ring) -> Option<u64> {
        let mine = ring.attachment(self.owner);
        let (mut alone, mut all_asleep) = (true, true);
        for (owner, theirs) in ring.attached() {
            let asleep = owner == self.owner || ring.is_asleep(owner);
            if asleep && ring.is_producer(owner) {
                return None;
            }
            alone &= theirs == mine;
            all_asleep &= asleep;
        }
        if alone && !ring.is_leased() {
            return Some(Said::ALONE);
        }
        // A sleeper may have been killed after it was woken for a message that is still there; and a lease may expire.
        let flag = if alone { Said::ALONE } else { Said::ALL_ASLEEP };
        ((alone || all_asleep) && ring.is_drained()).then_some(flag)
    }

    /// A sleeper that could be the deputy that this watcher has not got.
    pub fn lacks_deputy(&self, ring: &Ring) -> Option<Owner> {
        let (role, _) = self.said?;
        if role != Role::Watcher || !Said::last(ring, Role::Deputy).is_late(wait::clock()) {
            return None;
        }
        let mine = ring.attachment(self.owner);
        ring.attached().find(|&(owner, theirs)| theirs != mine && ring.is_asleep(owner)).map(|(owner, _)| owner)
    }

    /// How long a sleeper whose nap ended by itself may sleep on without a look, since another dozes.
    pub fn sleeps_on(&self, ring: &Ring) -> Option<Duration> {
        let last = Said::last(ring, Role::Watcher);
        let dozes =
            last.has(Said::DOZING) && self.said != Some((Role::Watcher, last)) && !last.is_late(wait::clock());
        dozes.then(|| nap_beside(last, ring))
    }

    /// Whether a sleeper that got up has ended the doze of somebody, who is to be woken.
    pub fn ends_doze(&self, ring: &Ring) -> bool {
        let last = Said::last(ring, Role::Watcher);
        // Who gets up may claim something, and a lease may expire though all are of one attachment.
        last.has(if ring.is_leased() { Said::DOZING } else { Said::ALL_ASLEEP })
            && self.said != Some((Role::Watcher, last))
            && last.replace(ring, Role::Watcher, Said::NOTHING)
    }

    /// Gives a role up. Says whether somebody else should be woken to watch.
    pub fn resign(self, ring: &Ring) -> bool {
        let Some((role, said)) = self.said else {
            return false;
        };
        said.replace(ring, role, Said::NOTHING) && role == Role::Watcher && ring.sleepers() > 0
    }
}

/// The nap of those who have no role.
fn nap_beside(watcher: Said, ring: &Ring) -> Duration {
    let nap = OTHERS_NAP * ring.sleepers();
    if watcher.has(Said::DOZING) { nap.max(LONGEST_NAP) } else { nap.min(LONGEST_NAP) }
}

/// The same as [`Watch::ends_doze`], for a participant that has just joined.
pub fn newcomer_ends_doze(ring: &Ring) -> bool {
    let last = Said::last(ring, Role::Watcher);
    last.has(Said::DOZING) && last.replace(ring, Role::Watcher, Said::NOTHING)
}

impl Ring {
    /// The attachment that has a slot; 0 if nobody.
    fn attachment(&self, owner: Owner) -> u64 {
        match usize::from(owner.0) < self.participants() {
            true => self.slot(owner).attachment().load(Ordering::Relaxed),
            false => 0,
        }
    }

    /// All participants, with their attachments.
    fn attached(&self) -> impl Iterator<Item = (Owner, u64)> {
        let owners = (0..self.participants()).map(|i| Owner(i as u16));
        owners.map(|owner| (owner, self.attachment(owner))).filter(|&(_, attachment)| attachment != 0)
    }

    /// How many sleep, the dead included that nobody has settled yet.
    fn sleepers(&self) -> u32 {
        self.asleep_words().map(|bits| bits.load(Ordering::Relaxed).count_ones()).sum()
    }

    fn is_asleep(&self, owner: Owner) -> bool {
        let (word, bit) = self.asleep(owner);
        word.load(Ordering::Relaxed) & bit != 0
    }

    fn is_producer(&self, owner: Owner) -> bool {
        self.slot(owner).binding() == Binding::Producer
    }

    /// Whether every group is done with every message.
    fn is_drained(&self) -> bool {
        let tail = self.tail().position;
        self.holders().all(|entry| self.group(entry).frontier().position == tail)
    }
}
