//! Numbered messages, and the count that shows that each arrived once and whole.
//!
//! A message is any multiple of eight bytes. Its number stands at the start of each cache line of it, so that all of them must be written and read.

use std::hint::black_box;

const LINE: usize = 64;

/// Message `number` as a value.
#[inline(always)]
pub fn message<const N: usize>(number: u64) -> [u8; N] {
    let mut message = [0; N];
    for line in message.chunks_mut(LINE) {
        line[..8].copy_from_slice(&number.to_le_bytes());
    }
    // By reference: by value it might be copied once more.
    black_box(&mut message);
    message
}

/// Writes message `number`, every byte of it, where it shall lie.
#[inline(always)]
pub fn fill(message: &mut [u8], number: u64) {
    for line in message.chunks_mut(LINE) {
        line.fill(0);
        line[..8].copy_from_slice(&number.to_le_bytes());
    }
}

/// What has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub sum: u64,
}

impl Tally {
    #[inline(always)]
    pub fn see(&mut self, message: &[u8]) {
        self.count += 1;
        // Otherwise a message that is returned by value need not be copied whole.
        for line in black_box(message).chunks(LINE) {
            let number = u64::from_le_bytes(line[..8].try_into().expect("eight bytes"));
            self.sum = self.sum.wrapping_add(number);
        }
    }

    pub fn add(&mut self, other: Tally) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// What the messages `0..count` of `size` bytes come to.
    pub fn expected(count: u64, size: usize) -> Tally {
        let once = (0..count).fold(0u64, u64::wrapping_add);
        Tally { count, sum: once.wrapping_mul(size.div_ceil(LINE) as u64) }
    }
}
