//! Slots: who takes part, on behalf of which attachment.

use super::words::{Binding, Owner, SILENT};
use super::{Ring, Slot};
use crate::fault::{self, Step};
use crate::file::layout::slot;
use crate::sync::Ordering;
#[cfg(not(ringfile_loom))]
use crate::{sync::fence, sys::process::Identity};

/// Takes a free slot for an attachment; `None` if all are taken.
pub fn attach(ring: &Ring, attachment: u64, binding: Binding) -> Option<Owner> {
    (0..ring.participants()).find_map(|i| {
        let owner = Owner(i as u16);
        let slot = ring.slot(owner);
        // Acquire, pairs with the release that freed the slot (E8): what was owed by it is settled.
        slot.attachment()
            .compare_exchange(0, attachment, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        fault::point(Step::SlotTaken);
        // What an earlier owner announced is true and settled; until it is cleared, nobody can make anything of it.
        slot.word(slot::INTENT).store(SILENT, Ordering::Release);
        slot.word(slot::CLAIM).store(SILENT, Ordering::Release);
        slot.bind(binding);
        fault::point(Step::SlotBound);
        Some(owner)
    })
}

/// Frees a slot whose owner holds nothing any more.
pub fn detach(ring: &Ring, owner: Owner) {
    let slot = ring.slot(owner);
    slot.word(slot::INTENT).store(SILENT, Ordering::Release);
    slot.word(slot::CLAIM).store(SILENT, Ordering::Release);
    slot.bind(Binding::None);
    fault::point(Step::Silenced);
    slot.attachment().store(0, Ordering::Release); // E8
    fault::point(Step::Detached);
}

impl Slot<'_> {
    /// Says that it is for something else from now on.
    pub fn bind(&self, binding: Binding) {
        self.word(slot::BINDING).store(binding.pack(), Ordering::Release);
    }

    /// Says who it is and since when (nanoseconds since 1970), for people and for the second question about the dead.
    #[cfg(not(ringfile_loom))]
    pub fn describe(&self, attachment: u64, who: Identity, since: u64) {
        // Each a release: whoever sees one of them sees that the slot is not an earlier owner's any more.
        self.word(slot::PID).store(who.pid, Ordering::Release);
        self.word(slot::STARTED).store(who.started, Ordering::Release);
        self.word(slot::PID_NAMESPACE).store(who.namespace, Ordering::Release);
        self.word(slot::SINCE).store(since, Ordering::Release);
        self.word(slot::DESCRIBED).store(attachment, Ordering::Release);
    }

    /// The process of this attachment, if it has the slot and has said so.
    #[cfg(not(ringfile_loom))]
    pub fn identity_of(&self, attachment: u64) -> Option<Identity> {
        if self.word(slot::DESCRIBED).load(Ordering::Acquire) != attachment {
            return None;
        }
        let word = |offset| self.word(offset).load(Ordering::Relaxed);
        let who = Identity {
            pid: word(slot::PID),
            started: word(slot::STARTED),
            namespace: word(slot::PID_NAMESPACE),
        };
        // Read afterwards: if the attachment still has the slot, no word above is another's.
        fence(Ordering::Acquire);
        (self.attachment().load(Ordering::Relaxed) == attachment).then_some(who)
    }

    /// The process, and since when, as it described itself.
    #[cfg(not(ringfile_loom))]
    pub fn description(&self) -> (u64, u64) {
        (
            self.word(slot::PID).load(Ordering::Relaxed),
            self.word(slot::SINCE).load(Ordering::Relaxed),
        )
    }

    /// What the participant is for.
    pub fn binding(&self) -> Binding {
        Binding::unpack(self.word(slot::BINDING).load(Ordering::Acquire))
    }
}
