//! A table of SQLite with a write-ahead log.

use super::{Opened, Queue};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

struct Sqlite(Connection);

/// `synchronous`: with OFF it leaves writing to the system, with NORMAL only checkpoints sync, with FULL every commit does.
pub fn open(dir: &Path, synchronous: &str) -> Opened {
    let connection = Connection::open(dir.join("queue.sqlite"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS queue (position INTEGER PRIMARY KEY, message BLOB NOT NULL)",
    )?;
    Ok(Box::new(Sqlite(connection)))
}

impl Queue for Sqlite {
    fn push(&mut self, message: &[u8]) {
        let mut insert = self.0.prepare_cached("INSERT INTO queue (message) VALUES (?)").unwrap();
        insert.execute([message]).unwrap();
    }

    fn pop(&mut self, message: &mut Vec<u8>) -> bool {
        let oldest = "DELETE FROM queue WHERE position = (SELECT min(position) FROM queue) RETURNING message";
        let mut delete = self.0.prepare_cached(oldest).unwrap();
        let copied = delete.query_row([], |row| {
            message.clear();
            message.extend_from_slice(row.get_ref(0)?.as_blob()?);
            Ok(())
        });
        copied.optional().unwrap().is_some()
    }
}
