//! The queues, each used as its documentation has it: a push appends a message, a pop takes the oldest one and makes it gone.
//!
//! Only one thread works on a queue: some allow no more, and it is the best case of the others.

mod append;
mod lmdb;
mod redb;
pub mod ring;
mod sqlite;
pub mod walrus;
mod yaque;

use harness::message::{Tally, fill};
use ringfile::Durability;
use std::hint::black_box;
use std::ops::Range;
use std::path::Path;

pub type Opened = Result<Box<dyn Queue>, Box<dyn std::error::Error>>;

pub trait Queue {
    fn push(&mut self, message: &[u8]);

    /// False: there is none.
    fn pop(&mut self, message: &mut Vec<u8>) -> bool;

    /// How many messages must have passed before every page of the file has been written: more than nothing where the file is used round and round.
    fn laps_after(&self) -> u64 {
        0
    }

    /// Pushes the messages of these numbers.
    fn push_all(&mut self, size: usize, numbers: Range<u64>) {
        let mut message = zeroed(size);
        for number in numbers {
            stamp(&mut message, number);
            self.push(black_box(&message));
        }
    }

    /// Pops so many messages; panics if they are not there.
    fn pop_all(&mut self, count: u64, tally: &mut Tally) {
        one_by_one(self, count, tally);
    }
}

/// Pops so many messages, one to a call.
fn one_by_one(queue: &mut (impl Queue + ?Sized), count: u64, tally: &mut Tally) {
    let mut message = Vec::new();
    for _ in 0..count {
        assert!(queue.pop(&mut message), "a message that was pushed is not there");
        tally.see(&message);
    }
}

/// Message 0, for [`stamp`].
pub fn zeroed(size: usize) -> Vec<u8> {
    let mut message = vec![0; size];
    fill(&mut message, 0);
    message
}

/// Makes one message into that of another number, which is all that differs between them: writing the rest would be a part of each figure.
#[inline(always)]
pub fn stamp(message: &mut [u8], number: u64) {
    for line in message.chunks_exact_mut(64) {
        line[..8].copy_from_slice(&number.to_le_bytes());
    }
}

/// A way to keep messages.
pub struct Kind {
    pub name: &'static str,
    /// Whether a push has reached the disk when it returns.
    pub is_synced: bool,
    pub place: Place,
    open: fn(&Path, Shape) -> Opened,
}

/// Where its file lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Ext4,
    Tmpfs,
}

/// What a ring has room for.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub size: usize,
    pub messages: u64,
}

impl Kind {
    /// Opens the queue in this directory, or creates it there.
    pub fn open(&self, dir: &Path, shape: Shape) -> Opened {
        (self.open)(dir, shape)
    }

    pub fn by_name(name: &str) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// Whether it is ringfile itself.
    pub fn is_ours(&self) -> bool {
        self.name.starts_with("ringfile")
    }
}

pub const RING: &str = "ringfile ext4";
pub const RING_TMPFS: &str = "ringfile tmpfs";
pub const RING_SYNCED: &str = "ringfile synced";

const fn kind(name: &'static str, open: fn(&Path, Shape) -> Opened) -> Kind {
    Kind { name, is_synced: false, place: Place::Ext4, open }
}

const fn tmpfs(kind: Kind) -> Kind {
    Kind { place: Place::Tmpfs, ..kind }
}

const fn synced(kind: Kind) -> Kind {
    Kind { is_synced: true, ..kind }
}

pub const KINDS: &[Kind] = &[
    kind(RING, |dir, shape| ring::open::<1>(dir, shape, Durability::Process)),
    tmpfs(kind(RING_TMPFS, |dir, shape| ring::open::<1>(dir, shape, Durability::Process))),
    kind("ringfile ext4 by 64", |dir, shape| ring::open::<64>(dir, shape, Durability::Process)),
    tmpfs(kind("ringfile tmpfs by 64", |dir, shape| ring::open::<64>(dir, shape, Durability::Process))),
    kind("append file", |dir, _| append::open(dir, append::Sync::Never)),
    kind("LMDB map nosync", |dir, _| lmdb::open(dir, lmdb::Sync::Never)),
    kind("yaque", |dir, _| yaque::open(dir)),
    kind("walrus nosync", |_, shape| walrus::open::<1>(walrus::Sync::Never, shape)),
    kind("walrus nosync read by 64", |_, shape| walrus::open::<64>(walrus::Sync::Never, shape)),
    kind("redb none", |dir, _| redb::open(dir, ::redb::Durability::None)),
    kind("SQLite WAL off", |dir, _| sqlite::open(dir, "OFF")),
    kind("SQLite WAL normal", |dir, _| sqlite::open(dir, "NORMAL")),
    synced(kind(RING_SYNCED, |dir, shape| ring::open::<1>(dir, shape, Durability::Always))),
    synced(kind("append file fdatasync", |dir, _| append::open(dir, append::Sync::EachCall))),
    synced(kind("LMDB", |dir, _| lmdb::open(dir, lmdb::Sync::EachCall))),
    synced(kind("walrus", |_, shape| walrus::open::<1>(walrus::Sync::EachPush, shape))),
    synced(kind("redb immediate", |dir, _| redb::open(dir, ::redb::Durability::Immediate))),
    synced(kind("SQLite WAL full", |dir, _| sqlite::open(dir, "FULL"))),
];
