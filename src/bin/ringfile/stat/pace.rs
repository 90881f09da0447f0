//! How fast a ring goes: what two looks at it differ in.

use ringfile::{GroupStats, Stats};
use std::time::Duration;

/// Messages a second since the look before; `None` where there is nothing to compare with.
pub struct Pace {
    pub pushed: Option<f64>,
    /// Of each group, in the order of its [`Stats`].
    pub finished: Vec<Option<f64>>,
}

impl Pace {
    /// `before` is the look before, and how long ago that was.
    pub fn since(before: Option<(&Stats, Duration)>, now: &Stats) -> Pace {
        let pushed = before.and_then(|(stats, passed)| rate(stats.tail, now.tail, passed));
        let finished = now.groups.iter().map(|group| {
            let (stats, passed) = before?;
            rate(same(stats, group)?.frontier, group.frontier, passed)
        });
        Pace { pushed, finished: finished.collect() }
    }
}

/// The same group at the look before. What drains has a name with another.
fn same<'a>(before: &'a Stats, group: &GroupStats) -> Option<&'a GroupStats> {
    let is_it = |other: &&GroupStats| other.name == group.name && !other.is_draining && !group.is_draining;
    before.groups.iter().find(is_it)
}

/// A group that was rewound goes backwards: there is no rate to that.
fn rate(before: u64, now: u64, passed: Duration) -> Option<f64> {
    let count = now.checked_sub(before)?;
    (!passed.is_zero()).then(|| count as f64 / passed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_what_passed_in_a_second() {
        assert_eq!(rate(10, 30, Duration::from_secs(2)), Some(10.0));
        assert_eq!(rate(30, 10, Duration::from_secs(2)), None);
        assert_eq!(rate(10, 30, Duration::ZERO), None);
    }
}
