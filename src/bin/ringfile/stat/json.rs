//! Where everything stands, for programs.

use super::{View, depth, group_name, role};
use ringfile::{Claim, GroupStats, Participant, Stats};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub fn of(view: &View<'_>) -> Value {
    let stats = view.stats;
    let mut answer = json!({
        "file": view.file.to_string_lossy(),
        "closed": stats.closed,
        "max_deliveries": stats.max_deliveries,
        "dead_letters": stats.dead_letters,
        "lease_ms": millis(stats.lease),
        "retain": stats.retain,
        "retain_for_ms": millis(stats.retain_for),
        "retained": stats.retained,
        "gave_way": stats.gave_way,
        "capacity": stats.capacity,
        "cells": stats.cells,
        "max_message_len": stats.max_message_len,
        "len": depth(stats),
        "data_bytes": stats.data_bytes,
        "tail": stats.tail,
        "committed": stats.committed,
        "reaped": stats.reaped,
        "groups": stats.groups.iter().map(group).collect::<Vec<_>>(),
        "participants": stats.participants.iter().map(|peer| participant(stats, peer)).collect::<Vec<_>>(),
    });
    if let Some(pace) = &view.pace {
        answer["pushed_per_second"] = json!(pace.pushed);
        for (i, finished) in pace.finished.iter().enumerate() {
            answer["groups"][i]["finished_per_second"] = json!(finished);
        }
    }
    answer
}

fn group(group: &GroupStats) -> Value {
    json!({
        "name": group.name,
        "claim": match group.claim {
            Claim::Ordered => "ordered",
            Claim::Ticketed => "ticketed",
        },
        "rate": group.rate,
        "draining": group.is_draining,
        "len": group.len,
        "claimed": group.claimed,
        "frontier": group.frontier,
        "stuck": group.stuck,
        "blocking_since_unix_ms": group.blocking_since.map(unix_millis),
    })
}

fn participant(stats: &Stats, peer: &Participant) -> Value {
    json!({
        "slot": peer.slot,
        "pid": peer.pid,
        "role": role(peer.role),
        "group": group_name(stats, peer.group),
        "since_unix_ms": unix_millis(peer.since),
    })
}

fn unix_millis(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
