//! Medians, as tables or as JSON.

use crate::measure::{Case, Shape};
use crate::probe::Distance;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What one table is about: distance, size and ring.
type Table = (Distance, usize, usize);
/// By contender and shape: each round's nanoseconds.
type Cells = BTreeMap<(usize, Shape), Vec<(usize, f64)>>;

pub struct Report {
    against: String,
    kept: BTreeMap<Table, Cells>,
    /// The contenders, in the order of their rows.
    names: Vec<&'static str>,
    dropped: usize,
}

/// The median nanoseconds, the median ratio to the other, and of how many rounds.
struct Figure {
    nanos: f64,
    ratio: Option<f64>,
    rounds: usize,
}

impl Report {
    pub fn new(against: &str, names: Vec<&'static str>) -> Report {
        Report { against: against.into(), kept: BTreeMap::new(), names, dropped: 0 }
    }

    pub fn add(&mut self, round: usize, case: &Case, name: &str, distance: Distance, nanos: f64) {
        let index = self.index(name).expect("a contender that was announced");
        let table = self.kept.entry((distance, case.size, case.ring)).or_default();
        table.entry((index, case.shape)).or_default().push((round, nanos));
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|&known| known == name)
    }

    /// Counts a measurement during which the machine changed.
    pub fn drop_one(&mut self) {
        self.dropped += 1;
    }

    fn figure(&self, table: Table, index: usize, shape: Shape) -> Option<Figure> {
        let cells = &self.kept[&table];
        let own = cells.get(&(index, shape))?;
        let others: BTreeMap<usize, f64> = self
            .index(&self.against)
            .and_then(|other| cells.get(&(other, shape)))
            .map(|rounds| rounds.iter().copied().collect())
            .unwrap_or_default();
        let ratios = own.iter().filter_map(|(round, nanos)| Some(nanos / others.get(round)?));
        Some(Figure {
            nanos: median(own.iter().map(|&(_, nanos)| nanos).collect())?,
            ratio: median(ratios.collect()),
            rounds: own.len(),
        })
    }

    fn shapes(&self, table: Table) -> Vec<Shape> {
        let mut shapes: Vec<_> = self.kept[&table].keys().map(|&(_, shape)| shape).collect();
        shapes.sort_by_key(|shape| shape.producers);
        shapes.dedup();
        shapes
    }

    /// A table for each distance, size and ring.
    pub fn tables(&self) -> String {
        let mut out = format!(
            "ns per message (x: median of the rounds' ratios to {}); {} measurements dropped\n",
            self.against, self.dropped
        );
        for &table in self.kept.keys() {
            let (distance, size, ring) = table;
            let shapes = self.shapes(table);
            let _ = write!(out, "\n{:<24}", format!("{}, {size} B, ring {ring}", distance.name()));
            for shape in &shapes {
                let _ = write!(out, "{:>16}", shape.name);
            }
            out.push('\n');
            for (index, name) in self.names.iter().enumerate() {
                let figures: Vec<_> = shapes.iter().map(|&s| self.figure(table, index, s)).collect();
                if figures.iter().all(Option::is_none) {
                    continue;
                }
                let _ = write!(out, "{name:<24}");
                for figure in figures {
                    let text = figure.map_or("-".into(), |f| match f.ratio {
                        Some(ratio) => format!("{:.1} x{ratio:.2}", f.nanos),
                        None => format!("{:.1}      ", f.nanos),
                    });
                    let _ = write!(out, "{text:>16}");
                }
                out.push('\n');
            }
            let counts = self.kept[&table].values().map(Vec::len);
            let (least, most) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
            let _ = writeln!(out, "(of {least} to {most} rounds)");
        }
        out
    }

    /// A line for each figure.
    pub fn json(&self) -> String {
        let mut out = String::new();
        for &table in self.kept.keys() {
            let (distance, size, ring) = table;
            for (index, name) in self.names.iter().enumerate() {
                for shape in self.shapes(table) {
                    let Some(figure) = self.figure(table, index, shape) else {
                        continue;
                    };
                    let ratio = figure.ratio.map_or("null".into(), |r| format!("{r:.3}"));
                    let _ = writeln!(
                        out,
                        r#"{{"contender":"{name}","shape":"{}","size":{size},"ring":{ring},"cores":"{}","ns":{:.2},"against":{:?},"ratio":{ratio},"rounds":{}}}"#,
                        shape.name,
                        distance.name(),
                        figure.nanos,
                        self.against,
                        figure.rounds,
                    );
                }
            }
        }
        out
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
