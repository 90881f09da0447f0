//! What was aimed at, beside what was measured.

use crate::cells;
use crate::contenders::{
    FLOORS, FUTEX, ICEORYX2, RINGFILE, RINGFILE_ADAPTIVE, RINGFILE_IN_PLACE, RINGFILE_PARK, SHAQ_MPMC,
    SHAQ_SPSC,
};
use harness::report::Distribution;
use harness::{Cell, Distance, Report};
use std::fmt::Write;

/// Rounds below which a figure is not to be relied on.
const ENOUGH: usize = 30;

enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// To be known.
    Open,
}

impl Target {
    fn judge(&self, ratio: f64) -> String {
        let verdict = |is_met| if is_met { "met" } else { "MISSED" };
        match *self {
            Target::AtLeast(least) => format!("at least {least}: {}", verdict(ratio >= least)),
            Target::AtMost(most) => format!("at most {most}: {}", verdict(ratio <= most)),
            Target::Open => String::new(),
        }
    }
}

/// The ratios that have targets, for each distance.
pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    for distance in report.distances() {
        let _ = writeln!(out, "\nratios, {} cores", distance.name());
        let lines = throughput(report, distance).into_iter().chain(latency(report, distance));
        for (what, target, (ratio, rounds)) in lines {
            let few =
                if rounds < ENOUGH { format!("only {rounds} rounds") } else { format!("{rounds} rounds") };
            let _ = writeln!(out, "{what:<58}{ratio:>8.2}  {:<24}{few}", target.judge(ratio));
        }
    }
    out
}

/// What is compared, its target, the ratio and of how many rounds.
type Line = (String, Target, (f64, usize));

fn throughput(report: &Report, distance: Distance) -> Vec<Line> {
    let compared = |size, one: &str, other: &str, target| {
        let cell = cells::throughput(size);
        let ratio = report.ratio(distance, (&cell, one), (&cell, other))?;
        Some((format!("{}: {one} / {other}", cell.column), target, ratio))
    };
    let floor = |size| {
        let cell = cells::throughput(size);
        let value =
            |floor: &&str| report.figure(distance, &cell, floor).map_or(f64::MAX, |figure| figure.value);
        FLOORS.into_iter().min_by(|a, b| value(a).total_cmp(&value(b))).expect("there are floors")
    };
    let mut lines = Vec::new();
    for (mpmc, spsc) in SHAQ_MPMC.into_iter().zip(SHAQ_SPSC) {
        lines.push(compared(8, mpmc, RINGFILE, Target::AtLeast(4.0)));
        lines.push(compared(1024, mpmc, RINGFILE, Target::Open));
        lines.push(compared(1024, mpmc, RINGFILE_IN_PLACE, Target::Open));
        lines.push(compared(1024, spsc, RINGFILE, Target::Open));
    }
    lines.push(compared(1024, RINGFILE, floor(1024), Target::Open));
    lines.push(compared(8, ICEORYX2, RINGFILE, Target::AtLeast(20.0)));
    lines.into_iter().flatten().collect()
}

fn latency(report: &Report, distance: Distance) -> Vec<Line> {
    let compared = |cell: &Cell, (label, fraction), one: &str, other: &str, target| {
        let (one_is, other_is) = (find(report, distance, cell, one)?, find(report, distance, cell, other)?);
        let ratio = one_is.quantile(fraction) as f64 / other_is.quantile(fraction) as f64;
        let what = format!("{} {label}: {one} / {other}", cell.table);
        Some((what, target, (ratio, one_is.rounds.min(other_is.rounds))))
    };
    let (p50, p999) = (("p50", 0.5), ("p99.9", 0.999));
    let (trip, wake) = (cells::round_trip(), cells::wake_up());
    [
        compared(&trip, p50, RINGFILE, FLOORS[0], Target::AtMost(1.2)),
        compared(&trip, p999, RINGFILE, FLOORS[0], Target::AtMost(1.5)),
        compared(&wake, p50, RINGFILE_PARK, FUTEX, Target::AtMost(1.1)),
        compared(&wake, p50, RINGFILE_ADAPTIVE, FUTEX, Target::AtMost(1.1)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn find<'a>(
    report: &'a Report,
    distance: Distance,
    cell: &Cell,
    contender: &str,
) -> Option<&'a Distribution> {
    let mut all = report.distributions().iter();
    all.find(|d| d.cell == *cell && d.contender == contender && d.distance == distance)
}
