//! A table of redb whose keys count up.

use super::{Opened, Queue};
use redb::{Database, Durability, ReadableTable, TableDefinition, WriteTransaction};
use std::path::Path;

const TABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("queue");

struct Redb {
    database: Database,
    durability: Durability,
    next: u64,
}

pub fn open(dir: &Path, durability: Durability) -> Opened {
    let database = Database::create(dir.join("queue.redb"))?;
    let transaction = database.begin_write()?;
    let last = transaction.open_table(TABLE)?.last()?.map(|(key, _)| key.value());
    transaction.commit()?;
    Ok(Box::new(Redb { database, durability, next: last.map_or(0, |last| last + 1) }))
}

impl Redb {
    fn begin(&self) -> WriteTransaction {
        let mut transaction = self.database.begin_write().unwrap();
        transaction.set_durability(self.durability).unwrap();
        transaction
    }
}

impl Queue for Redb {
    fn push(&mut self, message: &[u8]) {
        let transaction = self.begin();
        transaction.open_table(TABLE).unwrap().insert(self.next, message).unwrap();
        transaction.commit().unwrap();
        self.next += 1;
    }

    fn pop(&mut self, message: &mut Vec<u8>) -> bool {
        let transaction = self.begin();
        let mut table = transaction.open_table(TABLE).unwrap();
        let Some((_, oldest)) = table.pop_first().unwrap() else {
            return false;
        };
        message.clear();
        message.extend_from_slice(oldest.value());
        drop(oldest);
        drop(table);
        transaction.commit().unwrap();
        true
    }
}
