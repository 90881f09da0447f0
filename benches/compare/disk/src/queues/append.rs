//! The least that can be called a queue in a file: what POSIX offers, and nothing on top.
//!
//! A push is one write(2) of length and message to a file that is only appended to. A pop reads ahead through a buffer and notes in a second file, by one write, how
//! far it has come, so that a restart goes on there.

use super::{Opened, Queue};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    Never,
    EachCall,
}

struct Append {
    log: File,
    reader: BufReader<File>,
    /// How many bytes have been popped.
    cursor: File,
    popped: u64,
    record: Vec<u8>,
    sync: Sync,
}

pub fn open(dir: &Path, sync: Sync) -> Opened {
    let path = dir.join("log");
    let log = OpenOptions::new().append(true).create(true).open(&path)?;
    let cursor =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join("cursor"))?;
    let mut at = [0; 8];
    let popped = match cursor.read_exact_at(&mut at, 0) {
        Ok(()) => u64::from_le_bytes(at),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
        Err(error) => return Err(error.into()),
    };
    let mut reader = BufReader::new(File::open(path)?);
    reader.seek(SeekFrom::Start(popped))?;
    Ok(Box::new(Append { log, reader, cursor, popped, record: Vec::new(), sync }))
}

impl Append {
    fn sync(&self, file: &File) {
        if self.sync == Sync::EachCall {
            file.sync_data().unwrap();
        }
    }
}

impl Queue for Append {
    fn push(&mut self, message: &[u8]) {
        self.record.clear();
        self.record.extend_from_slice(&(message.len() as u32).to_le_bytes());
        self.record.extend_from_slice(message);
        self.log.write_all(&self.record).unwrap();
        self.sync(&self.log);
    }

    fn pop(&mut self, message: &mut Vec<u8>) -> bool {
        let mut len = [0; 4];
        match self.reader.read_exact(&mut len) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return false,
            read => read.unwrap(),
        }
        let len = u32::from_le_bytes(len);
        message.resize(len as usize, 0);
        self.reader.read_exact(message).unwrap();
        self.popped += 4 + u64::from(len);
        self.cursor.write_all_at(&self.popped.to_le_bytes(), 0).unwrap();
        self.sync(&self.cursor);
        true
    }
}
