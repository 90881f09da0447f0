//! The static header: written once, parsed as untrusted bytes, believed only when checked.

use super::layout::{BYTE_ORDER, Geometry, Layout, MAGIC, PAGE, VERSION, header};
use crate::error::OpenError;

/// Bytes that claim to be a header.
pub struct UncheckedHeader<'a>(pub &'a [u8]);

/// A header whose checksum and geometry hold, of a file that is as long as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub layout: Layout,
    pub uuid: [u8; 16],
    /// Nanoseconds since 1970.
    pub created: u64,
    pub first_position: u64,
    pub first_unit: u64,
    /// Whether it keeps the dead letters of another queue, whose uuid it has.
    pub keeps_letters: bool,
}

impl Header {
    /// The header of a ring that keeps the dead letters of this one's queue: as many, and as long.
    pub fn of_letters(&self) -> Header {
        let geometry = Geometry { groups: 1, ..self.layout.geometry };
        let layout = Layout::new(geometry).expect("fewer groups fit where more did");
        Header { layout, keeps_letters: true, first_position: 0, first_unit: 0, ..*self }
    }

    /// Whether this is such a header.
    pub fn keeps_letters_of(&self, queue: &Header) -> bool {
        self.keeps_letters && self.uuid == queue.uuid && self.layout.max_len() >= queue.layout.max_len()
    }

    pub fn to_bytes(self) -> [u8; PAGE] {
        let mut bytes = [0; PAGE];
        let g = self.layout.geometry;
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(header::MAGIC, &MAGIC);
        put(header::VERSION, &VERSION.to_le_bytes());
        put(header::BYTE_ORDER, &BYTE_ORDER.to_le_bytes());
        put(header::FILE_LEN, &(self.layout.file_len as u64).to_le_bytes());
        put(header::DATA_BYTES, &g.data_bytes.to_le_bytes());
        put(header::CELLS, &g.cells.to_le_bytes());
        put(header::CELL_SIZE, &g.cell_size.to_le_bytes());
        put(header::GROUPS, &g.groups.to_le_bytes());
        put(header::PARTICIPANTS, &g.participants.to_le_bytes());
        let features = if self.keeps_letters { header::DEAD_LETTERS } else { 0 };
        put(header::FEATURES, &features.to_le_bytes());
        put(header::CREATED, &self.created.to_le_bytes());
        put(header::UUID, &self.uuid);
        put(header::FIRST_POSITION, &self.first_position.to_le_bytes());
        put(header::FIRST_UNIT, &self.first_unit.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..header::CHECKSUM]);
        bytes[header::CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }
}

impl UncheckedHeader<'_> {
    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().expect("four bytes"))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().expect("eight bytes"))
    }

    /// The header, if it can be believed of a file of `len` bytes.
    pub fn check(&self, len: u64) -> Result<Header, OpenError> {
        if self.0.get(..MAGIC.len()) != Some(&MAGIC[..]) {
            return Err(OpenError::NotARing);
        }
        if self.0.len() < PAGE {
            return Err(OpenError::Length {
                expected: PAGE as u64,
                found: len,
            });
        }
        // Before the checksum: another version may have another header.
        let (version, byte_order) = (self.u32(header::VERSION), self.u32(header::BYTE_ORDER));
        if version != VERSION {
            return Err(OpenError::Version {
                found: version,
                supported: VERSION,
            });
        }
        if byte_order == BYTE_ORDER.swap_bytes() {
            return Err(OpenError::Unsupported("the file was made on a machine of the other byte order"));
        }
        if crc32c::crc32c(&self.0[..header::CHECKSUM]) != self.u32(header::CHECKSUM) {
            return Err(OpenError::Corrupt("the checksum of the header is wrong"));
        }
        let features = self.u32(header::FEATURES);
        if features & !header::DEAD_LETTERS != 0 {
            return Err(OpenError::Unsupported("the file uses a feature that this build does not know"));
        }
        let geometry = Geometry {
            data_bytes: self.u64(header::DATA_BYTES),
            cells: self.u64(header::CELLS),
            cell_size: self.u32(header::CELL_SIZE),
            groups: self.u32(header::GROUPS),
            participants: self.u32(header::PARTICIPANTS),
        };
        let layout = Layout::new(geometry).ok_or(OpenError::Corrupt("the header has an impossible geometry"))?;
        if byte_order != BYTE_ORDER || self.u64(header::FILE_LEN) != layout.file_len as u64 {
            return Err(OpenError::Corrupt("the header contradicts itself"));
        }
        if len != layout.file_len as u64 {
            return Err(OpenError::Length {
                expected: layout.file_len as u64,
                found: len,
            });
        }
        Ok(Header {
            layout,
            uuid: self.0[header::UUID..header::UUID + 16].try_into().expect("sixteen bytes"),
            created: self.u64(header::CREATED),
            first_position: self.u64(header::FIRST_POSITION),
            first_unit: self.u64(header::FIRST_UNIT),
            keeps_letters: features & header::DEAD_LETTERS != 0,
        })
    }
}
