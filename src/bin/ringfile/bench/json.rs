//! The figures, for programs. What was not measured, or too seldom, is null.

use super::cores::Distance;
use super::measure::{Contender, Shape};
use super::report::{PERCENTILES, Report};
use super::{DELAYS, Machine, cells, contenders, contenders_of, text};
use serde_json::{Map, Value, json};

pub fn of(machine: &Machine, report: &Report) -> String {
    let distances = report.distances();
    let ways: Vec<Value> = distances.iter().map(|&distance| way(report, distance)).collect();
    let mut throughput = throughputs(machine, report, Distance::OneThread);
    throughput.extend(distances.iter().flat_map(|&distance| throughputs(machine, report, distance)));
    let latency: Vec<Value> =
        distances.iter().flat_map(|&distance| delays(machine, report, distance)).collect();
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "cores": if machine.cores.is_one() { vec![machine.cores.here] } else { vec![machine.cores.here, machine.cores.there] },
        "dir": machine.directory.to_string_lossy(),
        "tmpfs": machine.homes.tmpfs.is_some(),
        "load_before": machine.load,
        "rounds": report.rounds,
        "measurements_dropped": report.dropped,
        "distances": ways,
        "msync_page_ns": report.page(),
        "throughput": throughput,
        "latency": latency,
    });
    format!("{answer:#}\n")
}

fn way(report: &Report, distance: Distance) -> Value {
    let way = report.way(distance);
    json!({
        "distance": distance.name(),
        "cache_line_one_way_ns": way.map(|(nanos, _)| nanos),
        "measurements": way.map(|(_, count)| count),
    })
}

fn throughputs(machine: &Machine, report: &Report, distance: Distance) -> Vec<Value> {
    let mut figures = Vec::new();
    let is_about = |shape| (shape == Shape::OneThread) == (distance == Distance::OneThread);
    for cell in cells().filter(|cell| is_about(cell.shape)) {
        for contender in contenders(&machine.homes) {
            // Nobody else sees what is in memory.
            if cell.shape == Shape::TwoProcesses && contender == Contender::Ring(super::Home::Memory) {
                continue;
            }
            let figure = report.throughput(distance, cell, contender);
            figures.push(json!({
                "distance": distance.name(),
                "shape": text::shape(cell.shape),
                "batch": cell.batch,
                "bytes": cell.size,
                "of": text::contender(contender),
                "ns": figure.map(|figure| figure.nanos),
                "times_floor": figure.and_then(|figure| figure.times_floor),
                "rounds": figure.map_or(0, |figure| figure.rounds),
            }));
        }
    }
    figures
}

fn delays(machine: &Machine, report: &Report, distance: Distance) -> Vec<Value> {
    let mut figures = Vec::new();
    for delay in DELAYS {
        for contender in contenders_of(delay, &machine.homes) {
            let (mut nanos, mut times) = (Map::new(), Map::new());
            for (name, percent) in PERCENTILES {
                let figure = report.delay(distance, delay, contender, percent);
                nanos.insert(name.to_owned(), json!(figure.map(|figure| figure.nanos)));
                times.insert(name.to_owned(), json!(figure.and_then(|figure| figure.times_floor)));
            }
            figures.push(json!({
                "distance": distance.name(),
                "what": text::delay(delay),
                "of": text::contender(contender),
                "ns": nanos,
                "times_floor": times,
                "messages": report.count(distance, delay, contender),
            }));
        }
    }
    figures
}
