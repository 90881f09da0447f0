//! Messages on standard output, many with one write.

use crate::failure::Failure;
use clap::Args as ClapArgs;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

// What ends a message. No help of its own: clap would take it for that of the command.
#[derive(ClapArgs)]
pub struct Ends {
    /// Messages end with a zero byte instead of a newline
    #[arg(long, conflicts_with = "raw")]
    null: bool,

    /// Messages are printed as they are, with nothing between them
    #[arg(long)]
    raw: bool,
}

/// Messages are copied together up to this size, for one write.
const WRITE: usize = 64 << 10;

/// Standard output, and the messages that go there with the next write.
pub struct Output {
    file: File,
    separator: Option<u8>,
    buffer: Vec<u8>,
    /// Where in the buffer each message ends.
    ends: Vec<usize>,
}

impl Output {
    pub fn new(ends: &Ends) -> Result<Output, Failure> {
        // Not `io::stdout()`: it flushes at every line end.
        let file = io::stdout().as_fd().try_clone_to_owned().map_err(Failure::output)?;
        let separator = match (ends.raw, ends.null) {
            (true, _) => None,
            (_, true) => Some(0),
            _ => Some(b'\n'),
        };
        Ok(Output { file: File::from(file), separator, buffer: Vec::new(), ends: Vec::new() })
    }

    /// Copies the next message behind the others, after what is to stand before it.
    pub fn add(&mut self, before: &[u8], message: &[u8]) {
        self.buffer.extend_from_slice(before);
        self.buffer.extend_from_slice(message);
        self.buffer.extend(self.separator);
        self.ends.push(self.buffer.len());
    }

    /// Whether there is enough for a write.
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= WRITE
    }

    /// Writes the messages; also says how many went out whole. None of them is kept.
    pub fn write(&mut self) -> (usize, io::Result<()>) {
        let (written, result) = self.write_bytes();
        let whole = self.ends.partition_point(|&end| end <= written);
        self.buffer.clear();
        self.ends.clear();
        (whole, result)
    }

    fn write_bytes(&mut self) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < self.buffer.len() {
            match self.file.write(&self.buffer[written..]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }
}
