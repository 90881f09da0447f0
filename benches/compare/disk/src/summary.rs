//! What the figures say about the targets.

use crate::child::{FILLED, Left, POPPED};
use crate::queues::{Kind, RING, RING_TMPFS};
use crate::{CALL, CALLS, DUE, NAIVE, REAPED, SIZES, in_ring_of_64_mib, size_table};
use harness::report::Distribution;
use harness::{Cell, Distance, Report};
use std::fmt::{self, Write};

const TIMES_AS_FAST: f64 = 60.0;
const TIMES_TMPFS: f64 = 1.1;
const RARE: f64 = 0.9999;

/// What each kind of queue gave out after a kill.
pub type Survival = Vec<(&'static Kind, Left)>;

impl Left {
    /// Whether everything is there that was pushed and not popped.
    fn is_all(&self) -> bool {
        matches!(self, Left::Messages { first: 0..=POPPED, last } if *last == FILLED - 1)
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Left::Messages { first, last } => {
                write!(f, "{:>5}  ", last - first + 1)?;
                match (*first, *last) {
                    (POPPED, last) if last == FILLED - 1 => f.write_str("exactly what was not popped"),
                    (0..POPPED, last) if last == FILLED - 1 => {
                        write!(f, "{} that had been popped come again", POPPED - first)
                    }
                    _ => write!(f, "LOST: from {first} to {last}"),
                }
            }
            Left::Nothing => write!(f, "{:>5}  LOST: everything", 0),
            Left::Broken(what) => write!(f, "    -  BROKEN: {what}"),
        }
    }
}

/// How many messages each has after a kill.
pub fn survival_table(survival: &Survival) -> String {
    let mut out = format!(
        "\nKept when the process is killed (SIGKILL) that pushed {FILLED} and popped {POPPED} of them\n"
    );
    for (kind, left) in survival {
        let _ = writeln!(out, "{:<26}{left}", kind.name);
    }
    out
}

pub fn summary(report: &Report, survival: &Survival) -> String {
    let mut out = String::new();
    for distance in report.distances() {
        let _ = writeln!(out, "\nTargets, {} cores", distance.name());
        for size in SIZES {
            for call in CALLS {
                out += &fastest_peer(report, survival, distance, &Cell::new(size_table(size), call));
            }
        }
        for size in SIZES {
            for table in [size_table(size), in_ring_of_64_mib(size)] {
                for call in CALLS {
                    out += &beside_tmpfs(report, distance, &Cell::new(&*table, call));
                }
            }
        }
        out += &beside_map(report, distance);
    }
    out
}

/// ringfile beside the fastest other that keeps its messages.
fn fastest_peer(report: &Report, survival: &Survival, distance: Distance, cell: &Cell) -> String {
    let (table, call) = (&cell.table, &cell.column);
    let value = |name: &str| report.figure(distance, cell, name).map(|figure| figure.value);
    let fastest = survival
        .iter()
        .filter(|(kind, left)| !kind.is_ours() && left.is_all())
        .filter_map(|(kind, _)| Some((value(kind.name)?, kind.name)))
        .min_by(|one, other| one.0.total_cmp(&other.0));
    let (Some(own), Some((nanos, peer))) = (value(RING), fastest) else {
        return String::new();
    };
    let Some((times, rounds)) = report.ratio(distance, (cell, peer), (cell, RING)) else {
        return String::new();
    };
    let verdict = verdict(times >= TIMES_AS_FAST);
    format!(
        "{table} {call}: {own:.1} ns, {times:.0} times as fast as {peer} ({nanos:.0} ns), the fastest other that survives a kill; \
         target {TIMES_AS_FAST}: {verdict} ({rounds} rounds)\n"
    )
}

fn beside_tmpfs(report: &Report, distance: Distance, cell: &Cell) -> String {
    let Some((times, rounds)) = report.ratio(distance, (cell, RING), (cell, RING_TMPFS)) else {
        return String::new();
    };
    let (table, call, verdict) = (&cell.table, &cell.column, verdict(times <= TIMES_TMPFS));
    format!(
        "{table} {call}: {times:.2} of the time on tmpfs; target at most {TIMES_TMPFS}: {verdict} ({rounds} rounds)\n"
    )
}

/// The rare slow pushes beside those of a file that is only written.
fn beside_map(report: &Report, distance: Distance) -> String {
    let mut out = String::new();
    for table in [CALL, DUE] {
        let of = |name: &'static str| {
            let here = move |d: &&Distribution| d.distance == distance && d.cell.table == table;
            report.distributions().iter().filter(here).filter(move |d| d.contender == name)
        };
        for map in of(NAIVE) {
            for own in [RING, REAPED].into_iter().flat_map(of).filter(|own| own.cell == map.cell) {
                let (own_nanos, map_nanos) = (own.quantile(RARE), map.quantile(RARE));
                let _ = writeln!(
                    out,
                    "p99.99, {table}, {}: {} {own_nanos} ns, {NAIVE} {map_nanos} ns: {:.2} times ({} and {} pushes)",
                    own.cell.column,
                    own.contender,
                    own_nanos as f64 / map_nanos as f64,
                    own.count(),
                    map.count()
                );
            }
        }
    }
    out
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}
