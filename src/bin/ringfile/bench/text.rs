//! The figures, for people.

use super::cores::Distance;
use super::measure::{Cell, Contender, Delay, Shape};
use super::report::{Figure, PERCENTILES, Report};
use super::rings::{MESSAGES, SIZES, TIMED};
use super::{BATCHES, DELAYS, Machine, SHAPES, contenders, contenders_of};
use crate::size::{bytes, counted, grouped};
use std::fmt::Write;

pub fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::OneThread => "one thread",
        Shape::TwoThreads => "two threads",
        Shape::TwoProcesses => "two processes",
    }
}

pub fn delay(delay: Delay) -> &'static str {
    match delay {
        Delay::RoundTrip => "round trip",
        Delay::OneWay => "one way",
        Delay::WakeUp => "wake-up",
    }
}

pub fn contender(contender: Contender) -> &'static str {
    match contender {
        Contender::Floor => "floor",
        Contender::Ring(home) => home.name(),
    }
}

pub fn of(machine: &Machine, report: &Report) -> String {
    let mut text = head(machine, report);
    text.push_str("\nns for a message, pushed and popped; x: times the floor, a loop that copies as often\n");
    throughputs(&mut text, machine, report, Distance::OneThread);
    let distances = report.distances();
    for &distance in &distances {
        throughputs(&mut text, machine, report, distance);
    }
    let _ = writeln!(
        text,
        "\nns on the way of a message of {TIMED} B, reading the clock included; x: times the floor, a loop that copies or a bare futex"
    );
    for &distance in &distances {
        delays(&mut text, machine, report, distance);
    }
    text
}

fn head(machine: &Machine, report: &Report) -> String {
    let Machine { cores, homes, directory, load } = machine;
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<11}{value}");
    };
    let tmpfs = if homes.tmpfs.is_some() { "tmpfs in /dev/shm" } else { "no tmpfs in /dev/shm" };
    row("rings", format!("{} messages each; {tmpfs}, file in {}", grouped(MESSAGES), directory.display()));
    if cores.is_one() {
        row("cores", "only one: two threads or processes take turns on it".to_owned());
    } else {
        row("cores", format!("{} and {}", cores.here, cores.there));
    }
    if let Some(load) = load {
        row("load", format!("{load} in the minute before; what others do on these cores is in the figures"));
    }
    for distance in report.distances() {
        if let Some((nanos, count)) = report.way(distance) {
            let way = format!("a cache line takes {nanos:.0} ns one way");
            row(distance.name(), format!("{way}, in {}", counted(count as u64, "measurement")));
        }
    }
    let dropped = counted(report.dropped as u64, "measurement");
    let rounds = counted(report.rounds as u64, "round");
    row(
        "figures",
        format!("of {rounds}; {dropped} dropped, in which the cores' distance changed or was unclear"),
    );
    if let Some(nanos) = report.page() {
        row("disk", format!("a dirty page is on it after {:.0} us (msync)", nanos / 1000.0));
    }
    text
}

const LABEL: usize = 16;
const COLUMN: usize = 17;

fn throughputs(text: &mut String, machine: &Machine, report: &Report, distance: Distance) {
    let contenders = contenders(&machine.homes);
    let shapes = SHAPES.iter().filter(|&&s| (s == Shape::OneThread) == (distance == Distance::OneThread));
    for &shape in shapes {
        head_of_table(text, &title(self::shape(shape), distance), contenders.iter().map(|&c| contender(c)));
        for batch in BATCHES {
            for size in SIZES {
                let by = if batch == 1 { String::new() } else { format!(", by {batch}") };
                let _ = write!(text, "{:<LABEL$}", format!("{}{by}", length(size)));
                let cell = Cell { shape, batch, size };
                figures(text, contenders.iter().map(|&c| report.throughput(distance, cell, c)));
            }
        }
    }
}

fn delays(text: &mut String, machine: &Machine, report: &Report, distance: Distance) {
    for delay in DELAYS {
        let between = match delay {
            Delay::RoundTrip => "round trip between two processes",
            Delay::OneWay => {
                "one way: in memory to a thread, else to a process; the file is written to the disk meanwhile"
            }
            Delay::WakeUp => "to a process that sleeps",
        };
        head_of_table(text, &title(between, distance), PERCENTILES.iter().map(|&(name, _)| name));
        for contender in contenders_of(delay, &machine.homes) {
            let _ = write!(text, "{:<LABEL$}", self::contender(contender));
            let figure = |percent| report.delay(distance, delay, contender, percent);
            figures(text, PERCENTILES.iter().map(|&(_, percent)| figure(percent)));
        }
    }
}

/// What a table is about; distances are named where there is a distance.
fn title(what: &str, distance: Distance) -> String {
    match distance {
        Distance::OneThread => what.to_owned(),
        Distance::OneCore => format!("{what}, on one core"),
        Distance::Near | Distance::Far => format!("{what}, {} cores", distance.name()),
    }
}

fn head_of_table<'a>(text: &mut String, title: &str, columns: impl Iterator<Item = &'a str>) {
    let _ = write!(text, "\n{title}\n{:<LABEL$}", "");
    for column in columns {
        let _ = write!(text, "{column:>COLUMN$}");
    }
    text.push('\n');
}

fn figures(text: &mut String, figures: impl Iterator<Item = Option<Figure>>) {
    for figure in figures {
        let _ = write!(text, "{:>COLUMN$}", figure.map_or_else(|| "-".to_owned(), written));
    }
    text.push('\n');
}

fn written(figure: Figure) -> String {
    let short = |value: f64| {
        if value < 99.95 { format!("{value:.1}") } else { grouped(value.round() as u64) }
    };
    let nanos = short(figure.nanos);
    figure.times_floor.map_or_else(|| nanos.clone(), |times| format!("{nanos} x{}", short(times)))
}

fn length(size: usize) -> String {
    if size < 1024 { format!("{size} B") } else { bytes(size as u64) }
}
