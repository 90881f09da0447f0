//! What the fuzz targets share: sound files to begin with, damage that knows where the words are, and calls to make.
//!
//! An input is `scene, flags, count, patches.., script..`: see [`Input`]. Nothing in it is a length or a checksum that the fuzzer would have to guess.

pub mod calls;
pub mod damage;
pub mod scenes;

use damage::Patch;

/// Bytes that are used up from the front; behind the end there are zeros.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// The next eight bytes.
    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }
}

impl Iterator for Bytes<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }
}

/// The most patches of an input.
pub const MOST_PATCHES: u8 = 16;

/// An input, taken apart.
pub struct Input<'a> {
    /// Which file to begin with.
    pub scene: usize,
    /// What each target makes of them.
    pub flags: u8,
    pub patches: Vec<Patch>,
    /// What is left.
    pub script: Bytes<'a>,
}

impl<'a> Input<'a> {
    pub fn of(data: &'a [u8]) -> Input<'a> {
        let mut bytes = Bytes(data);
        let (scene, flags) = (bytes.byte().into(), bytes.byte());
        let count = bytes.byte() % (MOST_PATCHES + 1);
        let patches = (0..count).map(|_| Patch::take(&mut bytes)).collect();
        Input { scene, flags, patches, script: bytes }
    }
}
