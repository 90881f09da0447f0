//! What was measured, and the figures that come of it.

use super::cores::Distance;
use super::latency::Nanos;
use super::measure::{Cell, Contender, Delay};
use std::collections::BTreeMap;

/// The percentiles of a distribution, and how they are called.
pub const PERCENTILES: [(&str, f64); 4] = [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99)];

/// For a percentile to mean anything, so many messages must be beyond it.
const BEYOND: f64 = 1.0;

#[derive(Default)]
pub struct Report {
    throughputs: BTreeMap<(Distance, Cell, Contender), Vec<(usize, f64)>>,
    delays: BTreeMap<(Distance, Delay, Contender), Nanos>,
    pages: Vec<f64>,
    ways: BTreeMap<Distance, Vec<f64>>,
    pub dropped: usize,
    pub rounds: usize,
}

/// A median, how many times the floor that is, and of how many rounds.
#[derive(Clone, Copy)]
pub struct Figure {
    pub nanos: f64,
    pub times_floor: Option<f64>,
    pub rounds: usize,
}

impl Report {
    pub fn add_throughput(&mut self, distance: Distance, cell: Cell, contender: Contender, nanos: f64) {
        let samples = self.throughputs.entry((distance, cell, contender)).or_default();
        samples.push((self.rounds, nanos));
    }

    pub fn add_delay(&mut self, distance: Distance, delay: Delay, contender: Contender, found: &Nanos) {
        let kept = self.delays.entry((distance, delay, contender)).or_insert_with(super::latency::nanos);
        kept.add(found).expect("all have the same bounds");
    }

    pub fn add_page(&mut self, nanos: f64) {
        self.pages.push(nanos);
    }

    /// A measurement that two probes, one before and one after it, let stand.
    pub fn add_way(&mut self, distance: Distance, one_way: f64) {
        self.ways.entry(distance).or_default().push(one_way);
    }

    /// How far apart the cores were, when anything was measured between two.
    pub fn distances(&self) -> Vec<Distance> {
        let throughputs = self.throughputs.keys().map(|&(distance, ..)| distance);
        let delays = self.delays.keys().map(|&(distance, ..)| distance);
        let mut distances: Vec<_> = throughputs.chain(delays).filter(|&d| d != Distance::OneThread).collect();
        distances.sort_unstable();
        distances.dedup();
        distances
    }

    /// How long a cache line takes, and how many measurements were made at that distance.
    pub fn way(&self, distance: Distance) -> Option<(f64, usize)> {
        let ways = self.ways.get(&distance)?;
        Some((median(ways.clone())?, ways.len()))
    }

    pub fn page(&self) -> Option<f64> {
        median(self.pages.clone())
    }

    pub fn throughput(&self, distance: Distance, cell: Cell, contender: Contender) -> Option<Figure> {
        let samples = self.throughputs.get(&(distance, cell, contender))?;
        let floor = self.throughputs.get(&(distance, cell, Contender::Floor));
        let floor: BTreeMap<usize, f64> = floor.into_iter().flatten().copied().collect();
        // Within a round: what happened to the machine happened to both.
        let ratios = samples.iter().filter_map(|(round, nanos)| Some(nanos / floor.get(round)?));
        Some(Figure {
            nanos: median(samples.iter().map(|&(_, nanos)| nanos).collect())?,
            times_floor: median(ratios.collect()).filter(|_| contender != Contender::Floor),
            rounds: samples.len(),
        })
    }

    pub fn count(&self, distance: Distance, delay: Delay, contender: Contender) -> u64 {
        self.delays.get(&(distance, delay, contender)).map_or(0, |kept| kept.len())
    }

    /// A percentile over all rounds, if there were messages enough.
    pub fn delay(
        &self,
        distance: Distance,
        delay: Delay,
        contender: Contender,
        percent: f64,
    ) -> Option<Figure> {
        let nanos = |contender| {
            let kept = self.delays.get(&(distance, delay, contender))?;
            let enough = kept.len() as f64 * (1.0 - percent / 100.0) >= BEYOND;
            enough.then(|| kept.value_at_percentile(percent) as f64)
        };
        let floor = nanos(Contender::Floor).filter(|_| contender != Contender::Floor);
        let nanos = nanos(contender)?;
        Some(Figure { nanos, times_floor: floor.map(|floor| nanos / floor.max(1.0)), rounds: self.rounds })
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::latency;
    use super::super::measure::Shape;
    use super::super::rings::Home;
    use super::*;

    const NEAR: Distance = Distance::Near;
    const RING: Contender = Contender::Ring(Home::Memory);

    #[test]
    fn ratios_are_of_the_same_round() {
        let cell = Cell { shape: Shape::TwoThreads, batch: 1, size: 8 };
        let mut report = Report::default();
        // The machine is ten times slower in the second round; the floor of the last was dropped.
        for (floor, ring) in [(Some(1.0), 3.0), (Some(10.0), 40.0), (Some(2.0), 10.0), (None, 1000.0)] {
            if let Some(floor) = floor {
                report.add_throughput(NEAR, cell, Contender::Floor, floor);
            }
            report.add_throughput(NEAR, cell, RING, ring);
            report.rounds += 1;
        }
        let figure = report.throughput(NEAR, cell, RING).unwrap();
        assert_eq!((figure.nanos, figure.times_floor, figure.rounds), (40.0, Some(4.0), 4));
        let floor = report.throughput(NEAR, cell, Contender::Floor).unwrap();
        assert_eq!((floor.nanos, floor.times_floor), (2.0, None));
        assert!(report.throughput(Distance::Far, cell, RING).is_none());
        assert_eq!(report.distances(), [NEAR]);
    }

    #[test]
    fn percentiles_of_few_messages_are_none() {
        let mut found = latency::nanos();
        found.record_n(100, 200).unwrap();
        let mut report = Report::default();
        report.add_delay(NEAR, Delay::WakeUp, RING, &found);
        report.add_delay(NEAR, Delay::WakeUp, RING, &found);
        let figure = |percent| report.delay(NEAR, Delay::WakeUp, RING, percent);
        assert_eq!(figure(99.0).unwrap().nanos, 100.0);
        assert!(figure(99.0).unwrap().times_floor.is_none());
        assert!(figure(99.9).is_none());
        assert_eq!(report.count(NEAR, Delay::WakeUp, RING), 400);
    }
}
