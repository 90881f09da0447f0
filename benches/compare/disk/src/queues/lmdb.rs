//! A tree of LMDB whose keys count up.

use super::{Opened, Queue};
use heed::byteorder::BigEndian;
use heed::types::{Bytes, U64};
use heed::{Database, Env, EnvFlags, EnvOpenOptions, PutFlags};
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Written through the map, and left to the system.
    Never,
    EachCall,
}

struct Lmdb {
    env: Env,
    tree: Database<U64<BigEndian>, Bytes>,
    next: u64,
}

const MAP_BYTES: usize = 1 << 30;

pub fn open(dir: &Path, sync: Sync) -> Opened {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES);
    if sync == Sync::Never {
        // SAFETY: what these give up is only lost together with the machine.
        unsafe { options.flags(EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP | EnvFlags::MAP_ASYNC) };
    }
    // SAFETY: nobody else has files in this directory.
    let env = unsafe { options.open(dir)? };
    let mut transaction = env.write_txn()?;
    let tree = env.create_database(&mut transaction, None)?;
    transaction.commit()?;
    let mut lmdb = Lmdb { env, tree, next: 0 };
    let transaction = lmdb.env.read_txn()?;
    let last = lmdb.tree.last(&transaction)?;
    lmdb.next = last.map_or(0, |(key, _)| key + 1);
    drop(transaction);
    Ok(Box::new(lmdb))
}

impl Queue for Lmdb {
    fn push(&mut self, message: &[u8]) {
        let mut transaction = self.env.write_txn().unwrap();
        self.tree.put_with_flags(&mut transaction, PutFlags::APPEND, &self.next, message).unwrap();
        transaction.commit().unwrap();
        self.next += 1;
    }

    fn pop(&mut self, message: &mut Vec<u8>) -> bool {
        let mut transaction = self.env.write_txn().unwrap();
        let Some((key, oldest)) = self.tree.first(&transaction).unwrap() else {
            return false;
        };
        message.clear();
        message.extend_from_slice(oldest);
        self.tree.delete(&mut transaction, &key).unwrap();
        transaction.commit().unwrap();
        true
    }
}
