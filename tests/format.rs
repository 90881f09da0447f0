//! The format as it is written down, as the code has it, and as it comes out: the three are the same.

mod common;

use common::Dir;
use ringfile::file::layout::{self, FIELDS, Layout};
use ringfile::{Claim, Geometry, Queue};

const DOCUMENT: &str = include_str!("../docs/format.md");
const SECTIONS: [&str; 8] =
    ["header", "cursors", "checkpoint", "checkpoint group", "name", "group", "slot", "cell"];

/// A row of the document: section, name, offset, bytes.
type Row = (String, String, usize, usize);

fn number(text: &str) -> Option<usize> {
    match text.strip_prefix("0x") {
        Some(hex) => usize::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The rows of all tables of fields, in the order of the document, reserved ones included.
fn documented() -> Vec<Row> {
    let mut section = "";
    let mut rows = Vec::new();
    for line in DOCUMENT.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.trim();
        }
        let Some(cells) = line.trim().strip_prefix('|') else {
            continue;
        };
        let cells: Vec<&str> = cells.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [offset, bytes, name, ..] = cells[..] else {
            continue;
        };
        let (Some(offset), Some(bytes)) = (number(offset), number(bytes)) else {
            // The heading of the table and the line under it; anything else would be a field that nobody compares.
            assert!(
                offset == "offset" || offset.starts_with("---") || !SECTIONS.contains(&section),
                "a row of the section {section} cannot be read: {line}"
            );
            continue;
        };
        rows.push((section.to_owned(), name.to_owned(), offset, bytes));
    }
    rows
}

#[test]
fn the_document_has_the_fields_of_the_code_and_no_others() {
    let rows = documented();
    let document: Vec<Row> = rows.into_iter().filter(|row| row.1 != "reserved").collect();
    let code: Vec<Row> = FIELDS
        .iter()
        .map(|&(section, name, offset, bytes)| (section.to_owned(), name.to_owned(), offset, bytes))
        .collect();
    for row in &code {
        let found = document.iter().filter(|other| *other == row).count();
        assert_eq!(found, 1, "rows in docs/format.md for {row:?}");
    }
    for row in &document {
        assert!(code.contains(row), "docs/format.md has {row:?}, and layout.rs does not");
    }
    assert_eq!(document, code, "the order is not the same");
}

#[test]
fn the_document_has_the_sections_in_order() {
    let headings: Vec<&str> = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(str::trim)
        .filter(|heading| SECTIONS.contains(heading))
        .collect();
    assert_eq!(headings, SECTIONS);
}

#[test]
fn no_two_fields_overlap() {
    for section in SECTIONS {
        let mut rows: Vec<Row> = documented().into_iter().filter(|row| row.0 == section).collect();
        assert!(!rows.is_empty(), "the section {section} has no table");
        rows.sort_by_key(|row| row.2);
        for pair in rows.windows(2) {
            assert!(pair[0].2 + pair[0].3 <= pair[1].2, "{:?} reaches into {:?}", pair[0], pair[1]);
        }
    }
}

/// What is changed by one instruction must lie as that instruction needs it.
#[test]
fn every_word_is_aligned() {
    for &(section, name, offset, bytes) in FIELDS {
        if matches!(bytes, 4 | 8) || bytes == 16 {
            assert_eq!(offset % bytes, 0, "{section}, {name}");
        }
    }
}

struct Image(Vec<u8>);

impl Image {
    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().unwrap())
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap())
    }

    /// A field that the document names.
    fn field(&self, section: &str, name: &str, base: usize) -> u64 {
        let (_, _, offset, bytes) = documented()
            .into_iter()
            .find(|row| row.0 == section && row.1 == name)
            .unwrap_or_else(|| panic!("no field {name} in {section}"));
        match bytes {
            4 => self.u32(base + offset).into(),
            _ => self.u64(base + offset),
        }
    }
}

fn golden(messages: bool) -> (Image, Layout) {
    let dir = Dir::new();
    let path = dir.file("golden");
    let queue = Queue::options()
        .capacity(1024)
        .messages(8)
        .cell_size(64)
        .groups(2)
        .participants(3)
        .claim(Claim::Ordered)
        .born_at(8 * 5 + 7, 100)
        .open(&path)
        .unwrap();
    if messages {
        let mut producer = queue.producer().unwrap();
        producer.push(b"inline").unwrap();
        producer.push(&[0xab; 100]).unwrap();
        queue.consumer().unwrap().pop().unwrap();
    }
    drop(queue);
    let geometry = Geometry { data_bytes: 1024, cells: 8, cell_size: 64, groups: 2, participants: 3 };
    (Image(std::fs::read(path).unwrap()), Layout::new(geometry).unwrap())
}

/// Figures in this test are the document's, not the code's.
#[test]
fn a_new_file_has_the_documented_header() {
    let (file, _) = golden(false);
    assert_eq!(file.0[0..8], *b"ringfile");
    assert_eq!(file.0[8..12], [1, 0, 0, 0]);
    assert_eq!(file.0[12..16], [0x0d, 0x0c, 0x0b, 0x0a]);
    assert_eq!(file.u64(0x10), file.0.len() as u64);
    assert_eq!(file.u64(0x18), 1024);
    assert_eq!(file.u64(0x20), 8);
    assert_eq!(file.u32(0x28), 64);
    assert_eq!(file.u32(0x2c), 2);
    assert_eq!(file.u32(0x30), 3);
    assert_eq!(file.u32(0x34), 0);
    let made = std::time::Duration::from_nanos(file.u64(0x38));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(made <= now && now - made < std::time::Duration::from_secs(600));
    assert_ne!(file.0[0x40..0x50], [0; 16]);
    assert_eq!(file.u64(0x50), 47);
    assert_eq!(file.u64(0x58), 100);
    assert!(file.0[0x60..0xffc].iter().all(|&byte| byte == 0));
    assert_eq!(file.u32(0xffc), crc32c::crc32c(&file.0[..0xffc]));
    // No two files have the same number.
    assert_ne!(file.0[0x40..0x50], golden(false).0.0[0x40..0x50]);
}

/// Each part begins on the page after the one before it: header, cursors, checkpoints, names, groups, slots, cells, claim words, sums, data.
#[test]
fn the_parts_lie_where_the_document_says() {
    let (file, layout) = golden(false);
    assert_eq!(layout.checkpoint_len, 0x1000);
    assert_eq!(layout.names, 0xa000);
    assert_eq!(layout.groups, 0xb000);
    assert_eq!(layout.slots, 0xc000);
    assert_eq!(layout.cells, 0xd000);
    assert_eq!(layout.claims, 0xe000);
    assert_eq!(layout.claims_stride, 0x1000);
    assert_eq!(layout.sums, 0xe000 + 3 * 0x1000);
    assert_eq!(layout.data, layout.sums + 0x1000);
    assert_eq!(layout.file_len, 0x13000);
    assert_eq!(file.0.len(), 0x13000);
    assert_eq!(layout::PAGE, 4096);
}

#[test]
fn a_new_file_has_the_documented_cursors() {
    let (file, layout) = golden(false);
    // tail: owner 5-20 (2,047 is nobody), closed 21, unit 22-63; position.
    assert_eq!(file.u64(0x1000) >> 22, 100);
    assert_eq!(file.u64(0x1000) >> 21 & 1, 0);
    assert_eq!(file.u64(0x1000) >> 5 & 0xffff, 2047);
    assert_eq!(file.u64(0x1008), 47);
    // reap: version 0-21, unit 22-63; position.
    assert_eq!(file.u64(0x1080) >> 22, 100);
    assert_eq!(file.u64(0x1088), 47);
    // directory: the first name is there, by the first version; its record names it, and the first entry in its second turn.
    assert_eq!(file.field("cursors", "directory", 0), 1);
    assert_eq!(file.u64(0x1308), 1);
    assert_eq!(file.field("name", "name length", layout.names), 7);
    assert_eq!(file.u64(layout.names + 8).to_le_bytes(), *b"default\0");
    assert_eq!(file.field("name", "serving", layout.names), 2 << 8 | 1);
    // life of the default entry: tenancy 1, ready, not ticketed, the first name, the second turn; and the copy of it.
    let life = 1 << 32 | 2 << 24 | 2;
    assert_eq!(file.field("group", "life", layout.groups), life);
    assert_eq!(file.u64(layout.groups + 0x188), life);
    assert_eq!(file.field("group", "frontier", layout.groups), 47);
    assert_eq!(file.u64(layout.groups + 1024 + 0x188), 0);
    // kept: nothing yet.
    assert_eq!(file.field("cursors", "kept", 0), 0);
    assert_eq!(file.u64(0x1608), 47);
    for slot in 0..3 {
        assert_eq!(file.field("slot", "attachment", layout.slots + 256 * slot), 0);
    }
}

/// The first of the places has the first checkpoint, of a ring without a message and with one group.
#[test]
fn a_new_file_has_the_documented_checkpoint() {
    let (file, _) = golden(false);
    let mut block = file.0[0x2000..0x3000].to_vec();
    let sum = file.field("checkpoint", "checksum", 0x2000);
    block[8..12].fill(0);
    assert_eq!(sum, u64::from(crc32c::crc32c(&block)));
    assert_eq!(file.field("checkpoint", "sequence", 0x2000), 1);
    assert_eq!(file.field("checkpoint", "tail", 0x2000), 47);
    assert_eq!(file.field("checkpoint", "tail unit", 0x2000), 100);
    assert_eq!(file.field("checkpoint", "reap", 0x2000), 47);
    assert_eq!(file.field("checkpoint", "names", 0x2000), 1);
    let group = 0x2000 + 0x70;
    assert_eq!(file.field("checkpoint group", "life", group), 1 << 32 | 2 << 24 | 2);
    assert_eq!(file.field("checkpoint group", "frontier", group), 47);
    assert_eq!(file.field("checkpoint group", "name length", group), 7);
    assert_eq!(file.0[group + 0x30..group + 0x37], *b"default");
    assert!(file.0[0x3000..0xa000].iter().all(|&byte| byte == 0));
    assert_eq!(file.field("cursors", "checkpoint drawn", 0), 1);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let digits: String = file.0[0x1400..0x1410].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digits, boot.trim().replace('-', ""));
}

#[test]
fn messages_lie_where_the_document_says() {
    let (file, layout) = golden(true);
    // Position 47 is in cell 47 mod 8 = 7 at lap 5, position 48 in cell 0 at lap 6.
    let (first, second) = (layout.cells + 7 * 64, layout.cells);
    let kind = |cell: usize| file.field("cell", "publish", cell) & 3;
    let lap = |cell: usize| file.field("cell", "publish", cell) >> 18;
    assert_eq!((kind(first), lap(first)), (1, 5));
    assert_eq!((kind(second), lap(second)), (1, 6));
    assert_eq!(file.field("cell", "size", first) >> 32, 6);
    assert_eq!(file.field("cell", "size", second) >> 32, 100);
    assert_eq!(file.field("cell", "extent", first) >> 20 & 3, 2);
    assert_eq!(file.field("cell", "extent", second) >> 20, 100 << 2);
    // The low bits of the lap.
    assert_eq!(file.field("cell", "extent", first) >> 9 & 0x7ff, 5);
    assert_eq!(file.field("cell", "extent", second) >> 9 & 0x7ff, 6);
    assert_eq!(file.0[first + 0x20..first + 0x26], *b"inline");
    // Unit 100 mod 16 units is byte 256 of the data ring.
    assert_eq!(file.0[layout.data + 256..layout.data + 356], [0xab; 100]);
    assert_eq!(file.u64(0x1008), 49);
    // The tail is behind both: 100 bytes take two units.
    assert_eq!(file.u64(0x1000) >> 22, 102);
    // The claim word of what was popped: DONE of one cell, tag 5 (lap) + the tenancy.
    let claim = file.u64(layout.claims + 7 * 8);
    let tenancy = file.field("group", "life", layout.groups) >> 32;
    assert_eq!(claim & 7, 2);
    assert_eq!(claim >> 3 & 0x3ff, 0);
    assert_eq!(claim >> 24, 5 + tenancy);
    assert_eq!(file.u64(layout.claims), 0);
}
