//! `ringfile stat`: where everything stands.

use crate::failure::{Failure, attach, print};
use crate::size::{bytes, counted, grouped};
use clap::Args as ClapArgs;
use ringfile::{Role, Stats};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Show how much is in the ring, where its cursors stand, and who works on it
///
/// The figures are exact while nobody works on the ring, and a moment old otherwise. Nothing is popped.
#[derive(ClapArgs)]
pub struct Args {
    /// The ring
    file: PathBuf,

    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<(), Failure> {
        let stats = attach(&self.file)?.stats();
        print(&if self.json { as_json(&self.file, &stats) } else { as_text(&self.file, &stats) })
    }
}

/// The messages that the slowest group has not finished.
fn depth(stats: &Stats) -> u64 {
    let lens = stats.groups.iter().map(|group| group.len as u64);
    lens.max().unwrap_or(0)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Producer => "producer",
        Role::Consumer => "consumer",
        // Taking its slot or leaving it; or something that this program does not know yet.
        _ => "unknown",
    }
}

fn as_json(path: &Path, stats: &Stats) -> String {
    let groups: Vec<_> = stats
        .groups
        .iter()
        .map(|group| {
            json!({ "name": group.name, "len": group.len, "frontier": group.frontier, "stuck": group.stuck })
        })
        .collect();
    let participants: Vec<_> = stats
        .participants
        .iter()
        .map(|peer| {
            let since = peer.since.duration_since(UNIX_EPOCH).unwrap_or_default();
            json!({
                "slot": peer.slot,
                "pid": peer.pid,
                "role": role(peer.role),
                "since_unix_ms": since.as_millis() as u64,
            })
        })
        .collect();
    let answer = json!({
        "file": path.to_string_lossy(),
        "closed": stats.closed,
        "max_deliveries": stats.max_deliveries,
        "dead_letters": stats.dead_letters,
        "lease_ms": stats.lease.as_millis() as u64,
        "capacity": stats.capacity,
        "cells": stats.cells,
        "max_message_len": stats.max_message_len,
        "len": depth(stats),
        "data_bytes": stats.data_bytes,
        "tail": stats.tail,
        "committed": stats.committed,
        "reaped": stats.reaped,
        "groups": groups,
        "participants": participants,
    });
    format!("{answer:#}\n")
}

fn as_text(path: &Path, stats: &Stats) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<11}{value}");
    };
    row("ring", path.display().to_string());
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
    if stats.max_deliveries > 0 {
        let letters = counted(stats.dead_letters as u64, "dead letter");
        row("deliveries", format!("at most {} of a message; {letters}", stats.max_deliveries));
    }
    if !stats.lease.is_zero() {
        row("lease", format!("{:?}", stats.lease));
    }
    let stuck: usize = stats.groups.iter().map(|group| group.stuck).sum();
    if stuck > 0 {
        row("stuck", format!("{}, for which there is no room", counted(stuck as u64, "dead letter")));
    }

    let groups = stats
        .groups
        .iter()
        .map(|group| [group.name.clone(), grouped(group.len as u64), grouped(group.frontier)]);
    text.push_str(&table(["group", "messages", "finished up to"], groups));

    let now = SystemTime::now();
    let peers = stats.participants.iter().map(|peer| {
        [
            role(peer.role).to_owned(),
            peer.pid.to_string(),
            age(now.duration_since(peer.since).unwrap_or_default()),
        ]
    });
    if peers.len() == 0 {
        text.push_str("\nno producers or consumers\n");
    } else {
        text.push_str(&table(["peer", "pid", "for"], peers));
    }
    text
}

/// A table after an empty line: the first column to the left, the others to the right.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]> + Clone) -> String {
    let mut widths = head.map(str::len);
    for row in rows.clone() {
        for (width, cell) in widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.len());
        }
    }
    let mut text = String::from("\n");
    for row in std::iter::once(head.map(str::to_owned)).chain(rows) {
        let _ = write!(text, "{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

/// `75 s` as `1 min 15 s`: the two largest units.
fn age(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}
