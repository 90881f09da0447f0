//! Cuts a stream into records, holding back none that has arrived whole.

use std::io::{self, Read};

/// Larger reads cost no fewer system calls: a pipe gives 64 KiB at a time.
const BLOCK: usize = 256 << 10;

/// A stream of records that end with a separator; the last one may do without.
pub struct Records<R> {
    input: R,
    separator: u8,
    /// A longer record is not collected.
    limit: usize,
    buffer: Vec<u8>,
    /// The bytes of the buffer that were given out by the last call.
    given: usize,
    /// The bytes of the buffer that were read.
    filled: usize,
}

/// What has arrived.
pub enum Block<'a> {
    /// One whole record or more.
    Records(Vec<&'a [u8]>),
    /// The next record is longer than the limit.
    TooLong,
    /// The stream is over.
    End,
}

impl<R: Read> Records<R> {
    pub fn new(input: R, separator: u8, limit: usize) -> Records<R> {
        Records { input, separator, limit, buffer: vec![0; BLOCK], given: 0, filled: 0 }
    }

    /// The whole records of the next read; reads again only if there were none.
    pub fn next_block(&mut self) -> io::Result<Block<'_>> {
        self.buffer.copy_within(self.given..self.filled, 0);
        self.filled -= self.given;
        self.given = 0;
        loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(2 * self.filled, 0);
            }
            let fresh = self.filled;
            let count = self.read()?;
            self.filled += count;
            let last = self.buffer[fresh..self.filled].iter().rposition(|&byte| byte == self.separator);
            if let Some(last) = last {
                self.given = fresh + last + 1;
                return Ok(Block::Records(self.split(self.given - 1)));
            }
            if self.filled > self.limit {
                return Ok(Block::TooLong);
            }
            if count == 0 {
                self.given = self.filled;
                return Ok(match self.filled {
                    0 => Block::End,
                    filled => Block::Records(self.split(filled)),
                });
            }
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// The records of the first bytes, without the last separator.
    fn split(&self, end: usize) -> Vec<&[u8]> {
        self.buffer[..end].split(|&byte| byte == self.separator).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let step = self.1.min(into.len());
            (&mut self.0).take(step as u64).read(into)
        }
    }

    fn cut(text: &[u8], step: usize, limit: usize) -> (Vec<Vec<u8>>, bool) {
        let mut records = Records::new(Trickle(text, step), b'\n', limit);
        let mut all = Vec::new();
        loop {
            match records.next_block().expect("a slice can be read") {
                Block::Records(some) => all.extend(some.into_iter().map(<[u8]>::to_vec)),
                Block::TooLong => return (all, true),
                Block::End => return (all, false),
            }
        }
    }

    #[test]
    fn records_do_not_depend_on_how_they_arrive() {
        let text = b"one\n\ntwo \xff\nlast";
        let expected: Vec<&[u8]> = vec![b"one", b"", b"two \xff", b"last"];
        for step in 1..=text.len() {
            let (found, too_long) = cut(text, step, 100);
            assert_eq!(found, expected, "{step} bytes at a time");
            assert!(!too_long);
        }
    }

    #[test]
    fn an_end_after_a_separator_is_no_record() {
        assert_eq!(cut(b"", 8, 100).0, Vec::<Vec<u8>>::new());
        assert_eq!(cut(b"\n", 8, 100).0, [b""]);
        assert_eq!(cut(b"a\n", 8, 100).0, [b"a"]);
    }

    #[test]
    fn a_record_without_end_is_not_collected() {
        let mut records = Records::new(io::repeat(b'x'), b'\n', 1 << 20);
        assert!(matches!(records.next_block(), Ok(Block::TooLong)));
        assert!(records.buffer.len() <= 4 << 20);
    }

    #[test]
    fn long_records_make_the_buffer_grow() {
        let text = [vec![b'x'; 3 * BLOCK], vec![b'\n'], vec![b'y'; BLOCK]].concat();
        let (found, _) = cut(&text, usize::MAX, usize::MAX);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [3 * BLOCK, BLOCK]);
    }
}
