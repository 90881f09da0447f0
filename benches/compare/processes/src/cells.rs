//! The names of what is measured, and how large the queues are.

use crate::session::Task;
use harness::Cell;

/// Messages of a queue: fewer long ones, so that caches hold them.
pub fn ring(size: usize) -> usize {
    if size <= 1024 { 1024 } else { 64 }
}

pub fn throughput(size: usize) -> Cell {
    let column = if size < 4096 { format!("{size} B") } else { format!("{} KiB", size >> 10) };
    Cell::new(format!("throughput, ring {}", ring(size)), column)
}

pub fn round_trip() -> Cell {
    Cell::new("round trip", "64 B")
}

pub fn wake_up() -> Cell {
    Cell::new("wake-up", "8 B")
}

pub fn recovery(task: Task) -> Cell {
    Cell::new("recovery", if task == Task::ConsumerKilled { "consumer killed" } else { "producer killed" })
}
