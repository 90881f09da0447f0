//! Distributions over all rounds, as counts that can be added up.

use crate::probe::Distance;
use crate::report::Cell;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that a contender recorded in a cell at a distance, over all rounds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Distribution {
    #[serde(flatten)]
    pub cell: Cell,
    pub contender: String,
    pub distance: Distance,
    pub rounds: usize,
    /// How often which value was recorded.
    counts: BTreeMap<u64, u64>,
}

impl Distribution {
    pub(crate) fn new(
        cell: &Cell,
        contender: &str,
        distance: Distance,
        recorded: &Histogram<u64>,
    ) -> Distribution {
        let counts =
            recorded.iter_recorded().map(|at| (at.value_iterated_to(), at.count_at_value())).collect();
        Distribution { cell: cell.clone(), contender: contender.into(), distance, rounds: 1, counts }
    }

    pub(crate) fn is_of_same(&self, other: &Distribution) -> bool {
        self.cell == other.cell && self.contender == other.contender && self.distance == other.distance
    }

    /// Adds what other rounds recorded.
    pub(crate) fn pool(&mut self, other: Distribution) {
        self.rounds += other.rounds;
        for (value, count) in other.counts {
            *self.counts.entry(value).or_default() += count;
        }
    }

    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The value that this fraction does not exceed.
    pub fn quantile(&self, fraction: f64) -> u64 {
        let wanted = (fraction * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let reaches = |&(_, &count): &(&u64, &u64)| {
            seen += count;
            seen >= wanted
        };
        self.counts.iter().find(reaches).or(self.counts.last_key_value()).map_or(0, |(&value, _)| value)
    }

    pub fn max(&self) -> u64 {
        self.counts.last_key_value().map_or(0, |(&value, _)| value)
    }
}
