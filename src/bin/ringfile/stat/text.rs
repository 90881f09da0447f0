//! Where everything stands, for people.

use super::{View, depth, group_name, role};
use crate::groups::printable;
use crate::size::{age, bytes, counted, grouped, per_second};
use ringfile::{Claim, GroupStats, Participant, Stats};
use std::fmt::Write;
use std::time::SystemTime;

pub fn of(view: &View<'_>) -> String {
    let now = SystemTime::now();
    [head(view), groups(view), holding(view.stats, now), peers(view.stats, now)].concat()
}

/// What belongs to all of the ring.
fn head(view: &View<'_>) -> String {
    let stats = view.stats;
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<11}{value}");
    };
    row("ring", view.file.display().to_string());
    row("state", if stats.closed { "closed" } else { "open" }.to_owned());
    row("depth", counted(depth(stats), "message"));
    row(
        "room",
        format!(
            "{}; {} of data, {} of it in use; longest message {}",
            counted(stats.cells, "message"),
            bytes(stats.capacity as u64),
            bytes(stats.data_bytes),
            bytes(stats.max_message_len as u64)
        ),
    );
    row(
        "positions",
        format!("pushed up to {}, free again up to {}", grouped(stats.tail), grouped(stats.reaped)),
    );
    if let Some(pace) = &view.pace {
        row("pushed", format!("{} a second", speed(pace.pushed)));
    }
    if stats.max_deliveries > 0 {
        let letters = counted(stats.dead_letters as u64, "dead letter");
        row("deliveries", format!("at most {} of a message; {letters}", stats.max_deliveries));
    }
    if !stats.lease.is_zero() {
        row("lease", format!("{:?}", stats.lease));
    }
    if stats.retain > 0 || stats.gave_way > 0 {
        row("retention", retention(stats));
    }
    let stuck: usize = stats.groups.iter().map(|group| group.stuck).sum();
    if stuck > 0 {
        row("stuck", format!("{}, for which there is no room", counted(stuck as u64, "dead letter")));
    }
    text
}

fn retention(stats: &Stats) -> String {
    let mut text = format!("the last {}", counted(stats.retain, "message"));
    if !stats.retain_for.is_zero() {
        let _ = write!(text, " for {:?}", stats.retain_for);
    }
    // More may be there until somebody needs the room; that is not for readers.
    let retained = stats.retained as u64;
    let _ = write!(text, "; {} retained, {} gave way", grouped(retained), grouped(stats.gave_way));
    text
}

/// A table of the groups; what only some of them have gets a column only then.
fn groups(view: &View<'_>) -> String {
    let groups = &view.stats.groups;
    if groups.is_empty() {
        return "\nno groups: what was pushed waits for one\n".to_owned();
    }
    let column = |head, cell: &dyn Fn(&GroupStats) -> String| Column::new(head, groups.iter().map(cell));
    let mut columns = vec![
        column("group", &name),
        column("messages", &|group| grouped(group.len as u64)),
        column("claimed", &|group| grouped(group.claimed as u64)),
        column("finished up to", &|group| grouped(group.frontier)),
    ];
    if let Some(pace) = &view.pace {
        columns.push(Column::new("finished/s", pace.finished.iter().copied().map(speed)));
    }
    if groups.iter().any(|group| group.rate != 0.0) {
        columns.push(column("rate", &rate));
    }
    if groups.iter().any(|group| group.claim == Claim::Ticketed) {
        columns.push(column("claim", &claim));
    }
    table(&columns)
}

fn name(group: &GroupStats) -> String {
    let draining = if group.is_draining { " (draining)" } else { "" };
    printable(&group.name) + draining
}

fn rate(group: &GroupStats) -> String {
    if group.rate == 0.0 { "any".to_owned() } else { format!("{}/s", group.rate) }
}

fn claim(group: &GroupStats) -> String {
    match group.claim {
        Claim::Ordered => "ordered",
        Claim::Ticketed => "ticketed",
    }
    .to_owned()
}

/// A line for each group for which producers wait, as long as it has something to finish.
fn holding(stats: &Stats, now: SystemTime) -> String {
    let holders = stats.groups.iter().filter(|group| group.len > 0);
    let lines = holders.filter_map(|group| {
        let time = now.duration_since(group.blocking_since?).unwrap_or_default();
        let messages = counted(group.len as u64, "message");
        Some(format!("{} has held the ring full for {} with {messages}\n", name(group), age(time)))
    });
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

fn peers(stats: &Stats, now: SystemTime) -> String {
    let peers = &stats.participants;
    if peers.is_empty() {
        return "\nno producers or consumers\n".to_owned();
    }
    let what = |peer: &Participant| match group_name(stats, peer.group) {
        Some(name) => format!("{} of {}", role(peer.role), printable(name)),
        None => role(peer.role).to_owned(),
    };
    let time = |peer: &Participant| age(now.duration_since(peer.since).unwrap_or_default());
    table(&[
        Column::new("peer", peers.iter().map(what)),
        Column::new("pid", peers.iter().map(|peer| peer.pid.to_string())),
        Column::new("for", peers.iter().map(time)),
    ])
}

/// Messages a second, if there was time to find out.
fn speed(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), per_second)
}

/// A column of a table.
struct Column {
    head: &'static str,
    cells: Vec<String>,
    width: usize,
}

impl Column {
    fn new(head: &'static str, cells: impl Iterator<Item = String>) -> Column {
        let cells: Vec<String> = cells.collect();
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0).max(head.len());
        Column { head, cells, width }
    }
}

/// A table after an empty line: the first column to the left, the others to the right.
fn table(columns: &[Column]) -> String {
    let rows = columns[0].cells.len();
    let mut text = String::from("\n");
    for row in std::iter::once(None).chain((0..rows).map(Some)) {
        for (i, Column { head, cells, width }) in columns.iter().enumerate() {
            let cell = row.map_or(*head, |row| &cells[row]);
            let _ = if i == 0 { write!(text, "{cell:<width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.push('\n');
    }
    text
}
