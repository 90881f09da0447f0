//! What the ledger says when everybody is gone and the queue is empty.

use crate::ledger::{Call, Held, Ledger, Push};
use std::collections::{HashMap, HashSet};

/// What the deaths may have done.
#[derive(Default)]
pub struct Deaths {
    /// Killed in a pop: one message each may be gone that nobody has seen.
    poppers: u64,
    /// So many deliveries may be counted that nobody wrote down.
    unseen: u64,
    /// Finished together or not at all, by one that was killed while it did.
    finishing: Vec<Vec<Held>>,
}

impl Deaths {
    /// A worker is gone; what was it in the middle of?
    pub fn add(&mut self, ledger: &Ledger, worker: u64) {
        let mut held = ledger.held(worker);
        match ledger.call(worker) {
            Call::None => {}
            Call::Popping => {
                self.poppers += 1;
                self.unseen += 1;
            }
            Call::Taking(most) => self.unseen += most,
            Call::Draining(most) => {
                self.unseen += most - held.len() as u64;
                self.finishing.push(held);
            }
            Call::Finishing(count) => {
                held.truncate(count as usize);
                self.finishing.push(held);
            }
        }
    }

    /// Checks every message of the round. Returns how many are missing that the dead may have finished.
    pub fn judge(&self, ledger: &Ledger) -> u64 {
        let mut lost = HashSet::new();
        let excused = self.excused(ledger, &mut lost);
        for id in 0..ledger.drawn() {
            judge_one(ledger, id, &excused, &mut lost);
        }
        in_order(ledger);
        assert!(
            lost.len() as u64 <= self.poppers,
            "{} messages are lost, and {} were killed while they popped: {:?}",
            lost.len(),
            self.poppers,
            lost.iter().map(|&id| (id, ledger.origin(id), ledger.fate(id))).collect::<Vec<_>>(),
        );
        let unexplained: u64 = (0..ledger.drawn()).map(|id| ledger.unexplained(id)).sum();
        assert!(
            unexplained <= self.unseen,
            "{unexplained} deliveries too many, and the dead can explain {}",
            self.unseen
        );
        (excused.len() + lost.len()) as u64
    }

    /// Those that somebody who was killed has finished. Where some of his came again, none was finished.
    fn excused(&self, ledger: &Ledger, lost: &mut HashSet<u64>) -> HashSet<u64> {
        let mut excused = HashSet::new();
        for held in &self.finishing {
            let gone = held.iter().filter(|held| {
                let fate = ledger.fate(held.id);
                fate.finished == 0 && fate.takes == held.takes
            });
            let again = held.iter().any(|held| ledger.fate(held.id).takes > held.takes);
            let into = if again { &mut *lost } else { &mut excused };
            into.extend(gone.map(|held| held.id));
        }
        excused
    }
}

fn judge_one(ledger: &Ledger, id: u64, excused: &HashSet<u64>, lost: &mut HashSet<u64>) {
    let (origin, fate) = (ledger.origin(id), ledger.fate(id));
    let came = fate.takes > 0;
    let is_missing = fate.finished == 0 && !excused.contains(&id);
    match origin.push {
        Push::Drawn | Push::Refused | Push::Aborted => {
            assert!(!came, "message {id} came, and was never pushed: {origin:?}, {fate:?}");
        }
        Push::Started if !came => {}
        Push::Started | Push::Returned => {
            // All or none of a batch.
            let first = id - origin.place;
            lost.extend((first..first + origin.of).filter(|&other| ledger.fate(other).takes == 0));
            if is_missing {
                lost.insert(id);
            }
        }
    }
}

/// Each producer's messages stand in the order in which it pushed them, batches side by side.
fn in_order(ledger: &Ledger) {
    let mut last = HashMap::new();
    for id in 0..ledger.drawn() {
        let (origin, position) = (ledger.origin(id), ledger.position(id));
        let Some(position) = position else {
            continue;
        };
        if let Some(before) = last.insert(origin.worker, position) {
            assert!(before < position, "message {id} stands at {position}, behind one at {before}");
        }
        if let Some(first) = ledger.position(id - origin.place) {
            assert_eq!(position - first, origin.place, "message {id} of a batch stands apart: {origin:?}");
        }
    }
}
