//! What was measured, and its medians.

pub use crate::distribution::Distribution;
use crate::probe::Distance;
use crate::statistics::{OneWay, median};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// Where in which table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    pub table: String,
    pub column: String,
}

impl Cell {
    pub fn new(table: impl Into<String>, column: impl Into<String>) -> Cell {
        Cell { table: table.into(), column: column.into() }
    }
}

/// One measurement.
#[derive(Clone, Debug)]
pub struct Sample {
    pub cell: Cell,
    pub contender: String,
    pub round: usize,
    pub distance: Distance,
    /// Nanoseconds that a cache line took to the other core meanwhile.
    pub one_way: f64,
    pub value: f64,
}

/// The samples of a contender in a cell at a distance.
#[derive(Debug, Serialize, Deserialize)]
struct Series {
    #[serde(flatten)]
    cell: Cell,
    contender: String,
    distance: Distance,
    points: Vec<Point>,
}

/// Round, one way, value.
type Point = (usize, f64, f64);

/// The median value, the median ratio to the baseline's value of the same round, and of how many rounds.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub value: f64,
    pub ratio: Option<f64>,
    pub rounds: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    unit: String,
    baseline: String,
    /// In the order of the report.
    tables: Vec<String>,
    columns: Vec<String>,
    contenders: Vec<String>,
    series: Vec<Series>,
    distributions: Vec<Distribution>,
    one_ways: BTreeMap<Distance, Vec<f64>>,
    not_run: BTreeMap<String, String>,
    dropped: usize,
    /// All rounds that were begun.
    rounds: usize,
}

impl Report {
    /// `unit`: of the values, as in "ns per message". `baseline`: the contender to whom the ratios are.
    pub fn new(unit: impl Into<String>, baseline: impl Into<String>) -> Report {
        Report {
            unit: unit.into(),
            baseline: baseline.into(),
            tables: Vec::new(),
            columns: Vec::new(),
            contenders: Vec::new(),
            series: Vec::new(),
            distributions: Vec::new(),
            one_ways: BTreeMap::new(),
            not_run: BTreeMap::new(),
            dropped: 0,
            rounds: 0,
        }
    }

    pub fn unit(&self) -> &str {
        &self.unit
    }

    pub fn baseline(&self) -> &str {
        &self.baseline
    }

    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Who could not be measured, and why.
    pub fn not_run(&self) -> impl Iterator<Item = (&str, &str)> {
        self.not_run.iter().map(|(contender, reason)| (&**contender, &**reason))
    }

    /// The number of the round that comes after all of the report's.
    pub fn next_round(&self) -> usize {
        self.rounds
    }

    /// Gives this cell and contender their place behind those that have one.
    pub fn announce(&mut self, cell: &Cell, contender: &str) {
        let lists = [&mut self.tables, &mut self.columns, &mut self.contenders];
        for (list, name) in lists.into_iter().zip([&*cell.table, &*cell.column, contender]) {
            if !list.iter().any(|known| known == name) {
                list.push(name.into());
            }
        }
    }

    pub fn add(&mut self, sample: Sample) {
        self.announce(&sample.cell, &sample.contender);
        let Sample { cell, contender, round, distance, one_way, value } = sample;
        self.rounds = self.rounds.max(round + 1);
        let point = (round, thousandths(one_way), thousandths(value));
        let is_its = |s: &&mut Series| s.cell == cell && s.contender == contender && s.distance == distance;
        match self.series.iter_mut().find(is_its) {
            Some(series) => series.points.push(point),
            None => self.series.push(Series { cell, contender, distance, points: vec![point] }),
        }
    }

    /// Adds what a round recorded to what others did.
    pub fn add_distribution(
        &mut self,
        cell: &Cell,
        contender: &str,
        distance: Distance,
        recorded: &Histogram<u64>,
    ) {
        self.pool(Distribution::new(cell, contender, distance, recorded));
    }

    fn pool(&mut self, other: Distribution) {
        match self.distributions.iter_mut().find(|known| known.is_of_same(&other)) {
            Some(known) => known.pool(other),
            None => self.distributions.push(other),
        }
    }

    /// Notes how long a cache line took while a distribution was recorded.
    pub fn add_one_way(&mut self, distance: Distance, one_way: f64) {
        self.one_ways.entry(distance).or_default().push(thousandths(one_way));
    }

    /// Drops what is not wanted.
    pub fn retain(&mut self, wants: impl Fn(&Cell, &str) -> bool) {
        self.series.retain(|series| wants(&series.cell, &series.contender));
        self.distributions.retain(|distribution| wants(&distribution.cell, &distribution.contender));
    }

    /// Counts a measurement during which the machine changed.
    pub fn drop_one(&mut self) {
        self.dropped += 1;
    }

    pub fn add_not_run(&mut self, contender: &str, reason: &str) {
        self.not_run.insert(contender.into(), reason.into());
    }

    pub fn distances(&self) -> BTreeSet<Distance> {
        let distributions = self.distributions.iter().map(|distribution| distribution.distance);
        self.series.iter().map(|series| series.distance).chain(distributions).collect()
    }

    /// The tables of this distance.
    pub fn tables_at(&self, distance: Distance) -> Vec<&str> {
        in_order(&self.tables, self.at(distance).map(|series| &*series.cell.table))
    }

    pub fn columns(&self, distance: Distance, table: &str) -> Vec<&str> {
        in_order(&self.columns, self.of(distance, table).map(|series| &*series.cell.column))
    }

    pub fn contenders(&self, distance: Distance, table: &str) -> Vec<&str> {
        in_order(&self.contenders, self.of(distance, table).map(|series| &*series.contender))
    }

    pub fn distributions(&self) -> &[Distribution] {
        &self.distributions
    }

    /// The cells that have distributions.
    pub fn distribution_cells(&self) -> BTreeSet<&Cell> {
        self.distributions.iter().map(|distribution| &distribution.cell).collect()
    }

    /// The distributions of a cell, in the order of the contenders.
    pub fn distributions_in(&self, cell: &Cell) -> Vec<&Distribution> {
        let mut there: Vec<_> = self.distributions.iter().filter(|d| d.cell == *cell).collect();
        there.sort_by_key(|d| self.contenders.iter().position(|contender| *contender == d.contender));
        there
    }

    pub fn distribution(&self, distance: Distance, cell: &Cell, contender: &str) -> Option<&Distribution> {
        self.distributions_in(cell).into_iter().find(|d| d.distance == distance && d.contender == contender)
    }

    fn at(&self, distance: Distance) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(move |series| series.distance == distance)
    }

    fn of(&self, distance: Distance, table: &str) -> impl Iterator<Item = &Series> {
        self.at(distance).filter(move |series| series.cell.table == table)
    }

    fn points(&self, distance: Distance, cell: &Cell, contender: &str) -> Option<&[Point]> {
        let mut series = self.at(distance);
        series.find(|s| s.cell == *cell && s.contender == contender).map(|series| &*series.points)
    }

    pub fn figure(&self, distance: Distance, cell: &Cell, contender: &str) -> Option<Figure> {
        let points = self.points(distance, cell, contender)?;
        Some(Figure {
            value: median(points.iter().map(|&(.., value)| value))?,
            ratio: self.ratio(distance, (cell, contender), (cell, &self.baseline)).map(|(ratio, _)| ratio),
            rounds: points.len(),
        })
    }

    /// The median over the rounds that both have of the one's value to the other's, and how many rounds these are.
    pub fn ratio(
        &self,
        distance: Distance,
        one: (&Cell, &str),
        other: (&Cell, &str),
    ) -> Option<(f64, usize)> {
        let others: BTreeMap<_, _> = self
            .points(distance, other.0, other.1)?
            .iter()
            .map(|&(round, _, value)| (round, value))
            .collect();
        let ones = self.points(distance, one.0, one.1)?;
        let ratios: Vec<_> =
            ones.iter().filter_map(|(round, _, value)| Some(value / others.get(round)?)).collect();
        let rounds = ratios.len();
        Some((median(ratios)?, rounds))
    }

    /// The nanoseconds of the probe's one way while this table was measured.
    pub fn one_way(&self, distance: Distance, table: &str) -> Option<OneWay> {
        let points = self.of(distance, table).flat_map(|series| &series.points);
        OneWay::over(points.map(|&(_, one_way, _)| one_way).collect())
    }

    /// The same for the distributions.
    pub fn distributions_one_way(&self, distance: Distance) -> Option<OneWay> {
        OneWay::over(self.one_ways.get(&distance)?.clone())
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report consists of strings and finite numbers")
    }

    pub fn from_json(json: &str) -> Result<Report, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// Takes up what the file of an earlier run has, if there is one.
    pub fn load(&mut self, path: &Path) -> Result<(), String> {
        let of_path = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let json = match fs::read_to_string(path) {
            Ok(json) => json,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(of_path(&error)),
        };
        let earlier = Report::from_json(&json).map_err(|error| of_path(&error))?;
        if (&earlier.unit, &earlier.baseline) != (&self.unit, &self.baseline) {
            let Report { unit, baseline, .. } = earlier;
            return Err(of_path(&format!(
                "a report of {unit} against {baseline}, which is another comparison"
            )));
        }
        *self = earlier;
        Ok(())
    }

    pub fn save(&self, path: &Path) -> Result<(), String> {
        // In one step: an interrupted program leaves the report of its last round.
        let new = path.with_extension("new");
        fs::write(&new, self.to_json())
            .and_then(|()| fs::rename(&new, path))
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Those of the list that are there.
fn in_order<'a>(list: &'a [String], there: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let there: BTreeSet<_> = there.collect();
    list.iter().map(|name| &**name).filter(|name| there.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(contender: &str, round: usize, value: f64) -> Sample {
        Sample {
            cell: Cell::new("8 B", "1P1C"),
            contender: contender.into(),
            round,
            distance: Distance::Near,
            one_way: 25.0,
            value,
        }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut report = Report::new("ns", "a");
        for (contender, round, value) in
            [("a", 0, 10.0), ("a", 1, 100.0), ("b", 1, 50.0), ("b", 2, 7.0), ("b", 0, 5.0)]
        {
            report.add(sample(contender, round, value));
        }
        let figure = report.figure(Distance::Near, &Cell::new("8 B", "1P1C"), "b").unwrap();
        assert_eq!((figure.value, figure.ratio, figure.rounds), (7.0, Some(0.5), 3));
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let mut report = Report::new("ns", "a");
        report.add(sample("a", 3, 1.5));
        let mut recorded = Histogram::new(3).unwrap();
        for nanos in 1..=1000u64 {
            recorded.record(nanos).unwrap();
        }
        report.add_distribution(&Cell::new("wake", "64 B"), "a", Distance::Far, &recorded);
        let json = report.to_json();
        let read = Report::from_json(&json).unwrap();
        assert_eq!(read.to_json(), json);
        assert_eq!(read.next_round(), 4);
        assert_eq!(read.distributions[0].quantile(0.99), 990);
    }
}
