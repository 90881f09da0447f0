//! Reports as tables: aligned text for a terminal, Markdown for a page.

use crate::probe::Distance;
use crate::report::{Cell, Distribution, Figure, Report};
use std::fmt::Write;

/// How the quantiles of distributions are headed, and which they are.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// What is printed for one table.
struct Grid {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    foot: String,
}

impl Report {
    /// For each distance and table: rows of contenders.
    pub fn tables(&self) -> String {
        let mut out = format!("{}\n", self.legend());
        for grid in self.grids() {
            grid.write_text(&mut out);
        }
        for (contender, reason) in self.not_run() {
            let _ = writeln!(out, "\nNOT RUN: {contender}: {reason}");
        }
        out
    }

    /// The same for a page, each table under a heading.
    pub fn markdown(&self) -> String {
        let mut out = format!("{}\n", self.legend());
        for grid in self.grids() {
            grid.write_markdown(&mut out);
        }
        for (contender, reason) in self.not_run() {
            let _ = writeln!(out, "\nNot run: {contender}, {reason}.");
        }
        out
    }

    fn legend(&self) -> String {
        format!(
            "{}, medians; x: the median of the rounds' ratios to {}. {} measurements dropped because the cores moved.",
            self.unit(),
            self.baseline(),
            self.dropped()
        )
    }

    fn grids(&self) -> Vec<Grid> {
        let mut grids = Vec::new();
        for distance in self.distances() {
            grids.extend(self.tables_at(distance).into_iter().map(|table| self.grid(distance, table)));
            grids.extend(self.quantile_grids(distance));
        }
        grids
    }

    fn grid(&self, distance: Distance, table: &str) -> Grid {
        let columns = self.columns(distance, table);
        let cells: Vec<_> = columns.iter().map(|&column| Cell::new(table, column)).collect();
        let mut rounds = Vec::new();
        let mut rows = Vec::new();
        for contender in self.contenders(distance, table) {
            let mut row = vec![contender.to_owned()];
            for cell in &cells {
                let figure = self.figure(distance, cell, contender);
                rounds.extend(figure.map(|figure| figure.rounds));
                row.push(figure.map_or("-".into(), in_cell));
            }
            rows.push(row);
        }
        let (least, most) = (rounds.iter().min().unwrap_or(&0), rounds.iter().max().unwrap_or(&0));
        let one_way = self.one_way(distance, table).expect("a table has measurements");
        Grid {
            title: format!("{table}, {} cores", distance.name()),
            head: columns.iter().map(ToString::to_string).collect(),
            rows,
            foot: format!("Of {least} to {most} rounds; {one_way}."),
        }
    }

    /// One for each cell that has distributions.
    fn quantile_grids(&self, distance: Distance) -> Vec<Grid> {
        let one_way =
            self.distributions_one_way(distance).map_or("in ns".into(), |one_way| one_way.to_string());
        let mut grids = Vec::new();
        for cell in self.distribution_cells() {
            let there = self.distributions_in(cell);
            let rows: Vec<_> = there.into_iter().filter(|d| d.distance == distance).map(quantiles).collect();
            if rows.is_empty() {
                continue;
            }
            grids.push(Grid {
                title: format!("{}, {}, {} cores", cell.table, cell.column, distance.name()),
                head: QUANTILES.iter().map(|(name, _)| *name).chain(["max", "of"]).map(Into::into).collect(),
                rows,
                foot: format!("All rounds together; {one_way}."),
            });
        }
        grids
    }
}

fn in_cell(figure: Figure) -> String {
    let value = match figure.value {
        small if small < 100.0 => format!("{small:.1}"),
        large => format!("{large:.0}"),
    };
    figure.ratio.map_or(value.clone(), |ratio| format!("{value} x{ratio:.2}"))
}

fn quantiles(distribution: &Distribution) -> Vec<String> {
    let count = distribution.count();
    // Fewer than these many and the quantile is just the largest.
    let is_known = |fraction: f64| (count as f64) * (1.0 - fraction) >= 1.0;
    let at = |&(_, fraction): &(&str, f64)| match is_known(fraction) {
        true => distribution.quantile(fraction).to_string(),
        false => "-".into(),
    };
    let mut row = vec![distribution.contender.clone()];
    row.extend(QUANTILES.iter().map(at));
    row.extend([distribution.max().to_string(), count.to_string()]);
    row
}

impl Grid {
    fn write_text(&self, out: &mut String) {
        let mut head = vec![self.title.clone()];
        head.extend(self.head.iter().cloned());
        let lines: Vec<_> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..head.len()).map(width).collect();
        out.push('\n');
        for line in lines {
            let _ = write!(out, "{:<width$}", line[0], width = widths[0]);
            for (text, width) in line.iter().zip(&widths).skip(1) {
                let _ = write!(out, "  {text:>width$}");
            }
            out.push('\n');
        }
        let _ = writeln!(out, "({})", self.foot);
    }

    fn write_markdown(&self, out: &mut String) {
        let _ = writeln!(out, "\n### {}\n", self.title);
        let _ = writeln!(out, "| | {} |", self.head.join(" | "));
        let _ = writeln!(out, "|---|{}", "--:|".repeat(self.head.len()));
        for row in &self.rows {
            let _ = writeln!(out, "| {} |", row.join(" | "));
        }
        let _ = writeln!(out, "\n{}", self.foot);
    }
}
