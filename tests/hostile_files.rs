//! Whatever is in a file: opening it gives an error or a queue, and each call of that queue returns. No panic, no signal, no hang; and what is not ours stays as it is.
//!
//! `RINGFILE_MUTANTS=n` tries n mutants instead of 10,000; `RINGFILE_MUTANT=seed` replays one.

mod common;

use common::{CLAIMS, Dir, Random, Watchdog, number_from, pattern, run_child, say, spawn, watch};
use ringfile::file::header::UncheckedHeader;
use ringfile::file::layout::{Layout, PAGE, header};
use ringfile::{Claim, OpenError, Queue, TryPopError};
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

/// How long one mutant may take: it takes less than a millisecond.
const MUTANT_HANGS: Duration = Duration::from_secs(20);
const CHUNK: u64 = 500;

// ---- each refusal has its own name ------------------------------------------------------------------------------------

fn small(path: &Path) -> Queue {
    Queue::options().capacity(512).messages(4).groups(1).participants(4).open(path).unwrap()
}

/// A sound file with two messages in it.
fn sound_file(path: &Path) -> Vec<u8> {
    let queue = small(path);
    let mut producer = queue.producer().unwrap();
    producer.push(b"inline").unwrap();
    producer.push(&[1; 200]).unwrap();
    drop((producer, queue));
    fs::read(path).unwrap()
}

fn seal(bytes: &mut [u8]) {
    let checksum = crc32c::crc32c(&bytes[..header::CHECKSUM]);
    bytes[header::CHECKSUM..PAGE].copy_from_slice(&checksum.to_le_bytes());
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Opens these bytes as a file, and requires that they are still the same afterwards if that failed.
fn refusal(bytes: &[u8]) -> OpenError {
    let dir = Dir::new();
    let path = dir.file("q");
    fs::write(&path, bytes).unwrap();
    let error = Queue::open(&path).expect_err("it is refused");
    assert!(fs::read(&path).unwrap() == bytes, "the file was changed: {error}");
    assert!(!error.to_string().is_empty());
    error
}

fn with_header(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let dir = Dir::new();
    let mut bytes = sound_file(&dir.file("q"));
    change(&mut bytes);
    seal(&mut bytes);
    bytes
}

#[test]
fn what_is_no_ring_is_not_a_ring() {
    let foreign: [&[u8]; 6] =
        [b"", b"r", b"ringfil", b"Ringfile and more", b"\0\0\0\0\0\0\0\0", &[0xff; 3 * PAGE]];
    for bytes in foreign {
        let error = refusal(bytes);
        assert!(matches!(error, OpenError::NotARing), "{error:?}");
    }
}

#[test]
fn a_newer_version_is_a_version() {
    for version in [0, 2, 3, u32::MAX] {
        let bytes = with_header(|bytes| put(bytes, header::VERSION, &version.to_le_bytes()));
        let error = refusal(&bytes);
        assert!(matches!(error, OpenError::Version { found, supported: 1 } if found == version), "{error:?}");
        // Another version may have another checksum, another length and other bytes everywhere.
        let mut other = bytes[..PAGE].to_vec();
        other[16..].fill(0x5a);
        let error = refusal(&other);
        assert!(matches!(error, OpenError::Version { .. }), "{error:?}");
    }
}

#[test]
fn a_file_of_another_length_is_a_length() {
    let dir = Dir::new();
    let bytes = sound_file(&dir.file("q"));
    let whole = bytes.len();
    for len in [8, 100, PAGE - 1, PAGE, PAGE + 1, whole / 2, whole - PAGE, whole - 1] {
        let error = refusal(&bytes[..len]);
        assert!(matches!(error, OpenError::Length { found, .. } if found == len as u64), "{len}: {error:?}");
    }
    for more in [1, PAGE, 1 << 20] {
        let mut longer = bytes.clone();
        longer.resize(whole + more, 0);
        let error = refusal(&longer);
        assert!(
            matches!(error, OpenError::Length { expected, found } if expected == whole as u64 && found == (whole + more) as u64),
            "{error:?}"
        );
    }
}

#[test]
fn a_header_that_was_hit_is_corrupt() {
    let dir = Dir::new();
    let bytes = sound_file(&dir.file("q"));
    for bit in (16 * 8..PAGE * 8).step_by(61) {
        let mut hit = bytes.clone();
        hit[bit / 8] ^= 1 << (bit % 8);
        let error = refusal(&hit);
        assert!(matches!(error, OpenError::Corrupt(_)), "bit {bit}: {error:?}");
    }
}

#[test]
fn an_impossible_geometry_is_corrupt_checksum_or_not() {
    let fields: [(usize, usize); 6] = [
        (header::FILE_LEN, 8),
        (header::DATA_BYTES, 8),
        (header::CELLS, 8),
        (header::CELL_SIZE, 4),
        (header::GROUPS, 4),
        (header::PARTICIPANTS, 4),
    ];
    let mut values = vec![0, 1, 3, u64::MAX, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX << 12];
    values.extend((20..64).map(|shift| 1 << shift));
    for (at, len) in fields {
        for &value in &values {
            let field = &value.to_le_bytes()[..len];
            // Fewer participants may take as many pages: nothing is wrong with that.
            let mut same = at == header::PARTICIPANTS && (1..=4).contains(&value);
            let bytes = with_header(|bytes| {
                same |= bytes[at..at + len] == *field;
                put(bytes, at, field);
            });
            if !same {
                let error = refusal(&bytes);
                assert!(
                    matches!(error, OpenError::Corrupt(_) | OpenError::Length { .. }),
                    "{value:#x} at {at}: {error:?}"
                );
            }
        }
    }
}

#[test]
fn an_unknown_feature_or_the_other_byte_order_is_unsupported() {
    for bytes in [
        with_header(|bytes| bytes[header::FEATURES] |= 0x10),
        with_header(|bytes| bytes[header::FEATURES + 3] |= 0x80),
        with_header(|bytes| bytes[header::BYTE_ORDER..header::BYTE_ORDER + 4].reverse()),
    ] {
        let error = refusal(&bytes);
        assert!(matches!(error, OpenError::Unsupported(_)), "{error:?}");
    }
}

#[test]
fn cursors_that_contradict_each_other_are_corrupt() {
    let dir = Dir::new();
    let bytes = sound_file(&dir.file("q"));
    let layout = layout_of(&bytes);
    let frontier = layout.groups + ringfile::file::layout::group::FRONTIER;
    let life = layout.groups + ringfile::file::layout::group::LIFE;
    // tail, reap and frontier with positions far from each other, and a group that is something later than it can be.
    for (at, value) in [
        (0x1008, 1000),
        (0x1008, u64::MAX),
        (0x1088, 3),
        (0x1088, u64::MAX),
        (frontier, 1000),
        (frontier, u64::MAX),
        (life, u64::MAX),
    ] {
        let mut hit = bytes.clone();
        put(&mut hit, at, &u64::to_le_bytes(value));
        let path = dir.file("hit");
        fs::write(&path, &hit).unwrap();
        let error = Queue::open(&path).expect_err("it is refused");
        assert!(matches!(error, OpenError::Corrupt(_)), "{value:#x} at {at:#x}: {error:?}");
    }
}

/// A message that cannot be read is an error once, and is stepped over; whoever goes on popping comes to the end, in each way to pop.
/// A hint that was damaged costs no message; or else somebody says that the file is damaged.
#[test]
fn a_damaged_hint_loses_nothing_silently_and_no_error_comes_for_ever() {
    use ringfile::file::layout::{cursor, group};
    let mut bad = Vec::new();
    for claim in CLAIMS {
        for popped in [0, 2] {
            let dir = Dir::new();
            let path = dir.file("q");
            let queue = Queue::options().capacity(512).messages(8).claim(claim).open(&path).unwrap();
            let mut producer = queue.producer().unwrap();
            let mut consumer = queue.consumer().unwrap();
            for i in 0..6u8 {
                producer.push(&[i; 20]).unwrap();
            }
            for _ in 0..popped {
                consumer.pop().unwrap();
            }
            drop((producer, consumer, queue));
            let bytes = fs::read(&path).unwrap();
            let groups = layout_of(&bytes).groups;
            let hints = [
                ("head", groups + group::HEAD),
                ("ticket", groups + group::TICKET),
                ("redo", groups + group::REDO),
                ("commit", cursor::COMMIT),
                ("parked", cursor::PARKED),
                ("looked", cursor::LOOKED),
                ("asleep", cursor::ASLEEP),
            ];
            for (name, at) in hints {
                for value in [0, 1, 4, 5, 6, 7, 100, 1 << 40, u64::MAX / 2, u64::MAX] {
                    let mut hit = bytes.clone();
                    put(&mut hit, at, &u64::to_le_bytes(value));
                    fs::write(&path, &hit).unwrap();
                    let case = format!("{claim:?}, {popped} popped, {name} = {value:#x}");
                    let Ok(queue) = Queue::open(&path) else {
                        continue;
                    };
                    let sound = queue.verify().is_sound();
                    let mut consumer = queue.consumer().unwrap();
                    let (mut seen, mut errors) = (Vec::new(), 0);
                    loop {
                        match consumer.try_pop() {
                            Ok(message) => seen.push(message[0]),
                            Err(TryPopError::Corrupt { .. }) => errors += 1,
                            Err(_) => break,
                        }
                        if errors > 20 {
                            bad.push(format!("{case}: Corrupt for ever (verify says sound: {sound})"));
                            break;
                        }
                    }
                    // A Ticketed group may deliver late.
                    seen.sort_unstable();
                    if sound && errors == 0 && !seen.iter().copied().eq(popped..6) {
                        bad.push(format!("{case}: {seen:?}, and nobody says that it is damaged"));
                    }
                }
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

/// A length between the longest message and the end of the ring: no push writes it, and callers have buffers of `max_message_len`.
#[test]
fn a_message_longer_than_the_longest_is_corrupt() {
    use ringfile::file::layout::cell;
    let dir = Dir::new();
    let path = dir.file("q");
    let mut bytes = sound_file(&path);
    let layout = layout_of(&bytes);
    let second = layout.cells + layout.geometry.cell_size as usize;
    put(&mut bytes, second + cell::SIZE + 4, &400u32.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let queue = Queue::open(&path).unwrap();
    assert_eq!(queue.max_message_len(), 256);
    assert!(!queue.verify().is_sound());
    let mut consumer = queue.consumer().unwrap();
    assert_eq!(consumer.try_pop().unwrap(), b"inline");
    assert_eq!(consumer.try_pop(), Err(TryPopError::Corrupt { position: 1 }));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

/// A claim word that reaches beyond the tail: `Corrupt` says that a message was stepped over, so it does not come for ever, and what is
/// pushed afterwards comes out; or the file is not opened; or `verify` says what is wrong.
#[test]
fn a_claim_beyond_the_tail_is_not_an_endless_error_in_a_sound_file() {
    let mut bad = Vec::new();
    for claim in CLAIMS {
        // Every state, with counts of cells that end inside the ring and beyond it, at each of the positions and at the tail.
        for (state, count, cell) in (0..8u64)
            .flat_map(|state| [0, 1, 2, 3, 8, 1023].map(|count| (state, count)))
            .flat_map(|(state, count)| [0, 1, 2, 3].map(|cell| (state, count, cell)))
        {
            let dir = Dir::new();
            let path = dir.file("q");
            let queue = Queue::options().capacity(512).messages(4).claim(claim).open(&path).unwrap();
            queue.producer().unwrap().push_batch(&["0", "1", "2"]).unwrap();
            drop(queue);
            let mut bytes = fs::read(&path).unwrap();
            let layout = layout_of(&bytes);
            let entry = layout.groups + ringfile::file::layout::group::LIFE;
            let tenancy = u64::from_le_bytes(bytes[entry..entry + 8].try_into().unwrap()) >> 32;
            let word = state | count << 3 | 2047 << 13 | tenancy << 24;
            put(&mut bytes, layout.claims + cell * 8, &word.to_le_bytes());
            fs::write(&path, &bytes).unwrap();
            let Ok(queue) = Queue::open(&path) else {
                continue;
            };
            let case = format!("{claim:?}, state {state}, count {count}, cell {cell}");
            let sound = queue.verify().is_sound();
            let mut consumer = queue.consumer().unwrap();
            let mut errors = 0;
            while errors < 20 {
                match consumer.try_pop() {
                    Ok(_) => {}
                    Err(TryPopError::Corrupt { .. }) => errors += 1,
                    Err(_) => break,
                }
            }
            if errors == 20 && sound {
                bad.push(format!("{case}: Corrupt for ever, and verify finds nothing"));
            }
        }
    }
    bad.truncate(8);
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn another_shape_than_asked_for_is_a_geometry() {
    let dir = Dir::new();
    let path = dir.file("q");
    let bytes = sound_file(&path);
    let asks: [fn(&mut ringfile::Options); 5] = [
        |options| _ = options.capacity(1024),
        |options| _ = options.messages(8),
        |options| _ = options.cell_size(64),
        |options| _ = options.groups(2),
        |options| _ = options.participants(5),
    ];
    for ask in asks {
        let mut options = Queue::options();
        ask(&mut options);
        for open in [options.open(&path), options.attach(&path)] {
            let error = open.expect_err("it is refused");
            assert!(
                matches!(error, OpenError::Geometry { asked, found } if asked != found && found.cells == 4),
                "{error:?}"
            );
        }
    }
    // What rounds to the same is the same.
    Queue::options().capacity(500).messages(3).attach(&path).unwrap();
    let after = fs::read(&path).unwrap();
    assert_eq!(after.len(), bytes.len());
    assert!(after[..PAGE] == bytes[..PAGE]);
    assert_eq!(Queue::open(&path).unwrap().len(), 2);
}

#[test]
fn options_out_of_range_are_options() {
    let dir = Dir::new();
    let asks: [fn(&mut ringfile::Options); 9] = [
        |options| _ = options.capacity(usize::MAX),
        |options| _ = options.capacity(1 << 60),
        |options| _ = options.messages(u64::MAX),
        |options| _ = options.messages(1 << 40),
        |options| _ = options.cell_size(65),
        |options| _ = options.groups(0),
        |options| _ = options.groups(63),
        |options| _ = options.participants(0),
        |options| _ = options.participants(2048),
    ];
    for ask in asks {
        let mut options = Queue::options();
        ask(&mut options);
        for result in [options.open(dir.file("q")), options.in_memory()] {
            let error = result.expect_err("it is out of range");
            assert!(matches!(error, OpenError::Options(_)), "{error:?}");
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

// ---- what is no file --------------------------------------------------------------------------------------------------

/// A thing that is no regular file is an error, comes back at once, and is still there.
#[test]
fn what_is_no_file_is_refused() {
    let _watchdog = watch("opening what is no file");
    let dir = Dir::new();
    let path = |name: &str| dir.file(name);
    fs::create_dir(path("directory")).unwrap();
    let fifo = CString::new(path("fifo").to_str().unwrap()).unwrap();
    // SAFETY: the string ends with a zero and lives until the call returns.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    let _listener = UnixListener::bind(path("socket")).unwrap();
    std::os::unix::fs::symlink(path("directory"), path("link to directory")).unwrap();
    std::os::unix::fs::symlink(path("loop"), path("loop")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path("device")).unwrap();
    let names = ["directory", "fifo", "socket", "link to directory", "loop", "device"];
    for name in names {
        let kind = fs::symlink_metadata(path(name)).unwrap().file_type();
        for result in [
            Queue::open(path(name)),
            Queue::options().attach(path(name)),
            Queue::options().create_new(path(name)),
        ] {
            let error = result.expect_err(name);
            assert!(
                matches!(error, OpenError::Io(_) | OpenError::NotARing | OpenError::Unsupported(_)),
                "{name}: {error:?}"
            );
        }
        assert_eq!(fs::symlink_metadata(path(name)).unwrap().file_type(), kind);
    }
    assert!(Queue::open(path("no/such/directory")).is_err());
    assert_eq!(fs::read_dir(path("directory")).unwrap().count(), 0);
}

/// A link to nothing: an error, or the file is created where it leads; in any case an answer.
#[test]
fn a_link_to_nothing_gets_an_answer() {
    let _watchdog = Watchdog::new(MUTANT_HANGS, "opening a link to nothing");
    let dir = Dir::new();
    let link = dir.file("link");
    std::os::unix::fs::symlink(dir.file("nothing"), &link).unwrap();
    match Queue::open(&link) {
        Ok(queue) => queue.producer().unwrap().push(b"x").map(|_| ()).unwrap(),
        Err(error) => assert!(matches!(error, OpenError::Io(_)), "{error:?}"),
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn a_link_to_a_ring_is_that_ring() {
    let dir = Dir::new();
    let (path, link) = (dir.file("q"), dir.file("link"));
    let queue = small(&path);
    std::os::unix::fs::symlink(&path, &link).unwrap();
    Queue::open(&link).unwrap().producer().unwrap().push(b"x").unwrap();
    assert_eq!(queue.consumer().unwrap().try_pop().unwrap(), b"x");
}

/// Who may not write the file cannot take part, unless he is root.
#[test]
fn a_read_only_file_is_refused_or_works() {
    let dir = Dir::new();
    let path = dir.file("q");
    sound_file(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let writable = OpenOptions::new().write(true).open(&path).is_ok();
    match Queue::open(&path) {
        Ok(queue) => {
            assert!(writable);
            assert_eq!(queue.consumer().unwrap().pop().unwrap(), b"inline");
        }
        Err(error) => {
            assert!(!writable);
            assert!(
                matches!(&error, OpenError::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied),
                "{error:?}"
            );
        }
    }
}

#[test]
fn the_mode_is_the_one_asked_for() {
    let dir = Dir::new();
    let mode = |name: &str| fs::metadata(dir.file(name)).unwrap().permissions().mode() & 0o777;
    small(&dir.file("default"));
    assert_eq!(mode("default") & !0o600, 0);
    Queue::options().capacity(512).mode(0o640).open(dir.file("other")).unwrap();
    // Less the umask, as a file made by others shows it.
    File::options().write(true).create_new(true).mode(0o640).open(dir.file("reference")).unwrap();
    assert_eq!(mode("other"), mode("reference"));
}

// ---- mutants ----------------------------------------------------------------------------------------------------------

fn layout_of(bytes: &[u8]) -> Layout {
    UncheckedHeader(&bytes[..PAGE]).check(bytes.len() as u64).expect("a sound header").layout
}

/// Files in which something is going on, to be mutated: each with messages in all states that a file at rest can show.
fn originals() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for claim in CLAIMS {
        for (cells, capacity, cell_size) in [(2, 128, 64), (8, 512, 128), (16, 2048, 64)] {
            for busy in [false, true] {
                files.push(original(claim, cells, capacity, cell_size, busy));
            }
        }
    }
    files
}

fn original(claim: Claim, cells: u64, capacity: usize, cell_size: u32, busy: bool) -> Vec<u8> {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = common::below_wrap(cells, 3)
        .capacity(capacity)
        .cell_size(cell_size)
        .claim(claim)
        .groups(1)
        .participants(4)
        .open(&path)
        .unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap();
    for i in 0..cells * 3 {
        let len = (i as usize * 29) % (queue.max_message_len() + 1);
        if producer.try_push(&pattern(i, len)).is_err() {
            let _ = consumer.try_pop();
        }
        if i % 5 == 0 {
            let _ = producer.try_reserve(1).map(drop);
        }
    }
    let mut other = queue.producer().unwrap();
    let mut fourth = queue.consumer().unwrap();
    let image = |_| fs::read(&path).unwrap();
    if busy {
        // As a machine that lost power leaves it: a claim, what was put back, and a reservation.
        let _ = fourth.try_claim_batch(3).map(drop);
        let _ = consumer.try_claim().map(drop);
        let held = consumer.try_claim_batch(2);
        let place = other.try_reserve(40);
        return image((held.is_ok(), place.is_ok()));
    }
    drop((producer, consumer, other, fourth));
    image((true, true))
}

/// Words that are more interesting than random ones.
fn interesting(random: &mut Random, word: u64) -> u64 {
    match random.below(9) {
        0 => 0,
        1 => u64::MAX,
        2 => word.wrapping_add(1),
        3 => word.wrapping_sub(1),
        4 => 1 << random.below(64),
        5 => !word,
        6 => word ^ (u64::MAX << random.below(64)),
        7 => word.wrapping_add(random.below(64) << random.below(40)),
        _ => random.next(),
    }
}

/// A file made from a sound one by the damage that this seed stands for.
fn mutant(originals: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = originals[random.below(originals.len() as u64) as usize].clone();
    let layout = layout_of(&bytes);
    let slots_end = layout.slots + 4 * 256;
    let cells_end = layout.cells + layout.geometry.cells as usize * layout.geometry.cell_size as usize;
    let claims_end = layout.claims + layout.geometry.cells as usize * 8;
    let regions = [
        0..layout.file_len,
        16..96,
        PAGE..PAGE + 2048,
        PAGE..PAGE + 0x110,
        layout.names..layout.names + 512,
        layout.groups..layout.groups + 1024,
        layout.slots..slots_end,
        layout.cells..cells_end,
        layout.claims..claims_end,
        layout.data..layout.file_len,
    ];
    for _ in 0..=random.below(6) {
        let region = regions[random.below(regions.len() as u64) as usize].clone();
        let len = (region.end - region.start) as u64;
        let at = region.start + random.below(len) as usize;
        match random.below(6) {
            // Bits.
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            // Words.
            2 | 3 => {
                let at = at / 8 * 8;
                let word = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
                put(&mut bytes, at, &interesting(&mut random, word).to_le_bytes());
            }
            // A word of one place in another: plausible, but wrong.
            4 => {
                let from = region.start / 8 * 8 + random.below(len / 8) as usize * 8;
                let word: [u8; 8] = bytes[from..from + 8].try_into().unwrap();
                put(&mut bytes, at / 8 * 8, &word);
            }
            // A sector that was never written, or is of another file.
            _ => {
                let sector = at / 512 * 512;
                let other = &originals[random.below(originals.len() as u64) as usize];
                if random.below(2) == 0 || other.len() < sector + 512 {
                    bytes[sector..sector + 512].fill(0);
                } else {
                    bytes[sector..sector + 512].copy_from_slice(&other[sector..sector + 512]);
                }
            }
        }
    }
    // A wrong checksum is found; what lies behind a right one is what has to be looked at.
    if random.below(8) > 0 {
        seal(&mut bytes);
    }
    match random.below(40) {
        0 => bytes.truncate(random.below(layout.file_len as u64) as usize),
        1 => bytes.resize(layout.file_len + random.below(10_000) as usize, 0xee),
        _ => {}
    }
    bytes
}

/// Opens a mutant, and, if that works, makes each call. All of them return.
fn exercise(path: &Path, bytes: &[u8], seed: u64) -> bool {
    let file = File::create(path).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    drop(file);
    let queue = match Queue::options().attach(path) {
        Ok(queue) => queue,
        Err(error) => {
            let _ = error.to_string();
            let foreign = !matches!(error, OpenError::Corrupt(_) | OpenError::TooManyParticipants);
            if foreign {
                assert!(fs::read(path).unwrap() == bytes, "a foreign file was changed: {error}");
            }
            return false;
        }
    };
    let mut random = Random(seed);
    let looks = |queue: &Queue| {
        let _ = queue.len();
        let _ = queue.is_empty();
        let _ = format!("{:?}", queue.stats());
        let _ = queue.verify().is_sound();
    };
    looks(&queue);
    let max = queue.max_message_len();
    let room = max.max(queue.capacity());
    let mut message = Vec::new();
    for _ in 0..2 {
        let (producer, consumer) = (queue.producer(), queue.consumer());
        if let Ok(mut producer) = producer {
            for _ in 0..4 {
                let len = random.below(max as u64 + 2) as usize;
                let _ = producer.try_push(&vec![3; len]);
                let _ = producer.try_push_batch(&[vec![4; len / 3], vec![5; len / 5], vec![]]);
                if let Ok(mut place) = producer.try_reserve(len) {
                    place.fill(6);
                    match random.below(4) {
                        0 => drop(place),
                        1 => std::mem::forget(place),
                        _ => _ = place.commit_len(len / 2),
                    }
                }
                let _ = producer.push_timeout(&[7; 10], Duration::from_micros(1));
            }
        }
        if let Ok(mut consumer) = consumer {
            // Each turn finishes a message at least.
            let limit = 16 * 8 + 64;
            let mut damaged = None;
            for turn in 0..limit {
                match consumer.try_pop_into(&mut message) {
                    Ok(_) => assert!(message.len() <= room),
                    // Cursors that were damaged stay so; a message is stepped over.
                    Err(TryPopError::Corrupt { position }) if damaged == Some(position) => break,
                    Err(TryPopError::Corrupt { position }) => damaged = Some(position),
                    Err(_) => break,
                }
                assert!(turn + 1 < limit, "it never ends");
                if let Ok(delivery) = consumer.try_claim() {
                    assert!(delivery.len() <= room);
                    let _ = (delivery.position(), delivery.deliveries());
                    let _ = delivery.iter().map(|&byte| u64::from(byte)).sum::<u64>();
                    if random.below(2) == 0 {
                        delivery.ack().unwrap();
                    }
                }
                if let Ok(mut batch) = consumer.try_claim_batch(random.below(20) as usize + 1) {
                    let _ = batch.iter().flatten().map(|&byte| u64::from(byte)).sum::<u64>();
                    let count = batch.len() as u64;
                    batch.ack_first(random.below(count + 1) as usize).unwrap();
                }
                let _ = consumer.try_drain(2, |message| assert!(message.len() <= room));
            }
            let _ = consumer.pop_timeout(Duration::from_micros(1));
        }
        queue.close();
        looks(&queue);
        if let Ok(mut consumer) = queue.consumer() {
            let _ = consumer.try_pop();
        }
        queue.reopen();
    }
    looks(&queue);
    true
}

#[test]
fn child() {
    run_child(|role, args| match role {
        "mutants" => {
            let dir = Dir::new();
            let path = dir.file("mutant");
            let originals = originals();
            let (first, count): (u64, u64) = (args[0].parse().unwrap(), args[1].parse().unwrap());
            let mut opened = 0;
            for seed in first..first + count {
                let bytes = mutant(&originals, seed);
                let _watchdog = Watchdog::new(MUTANT_HANGS, format!("mutant {seed}"));
                let done = std::panic::catch_unwind(|| exercise(&path, &bytes, seed));
                match done {
                    Ok(as_queue) => opened += u64::from(as_queue),
                    Err(_) => {
                        let _ = writeln!(std::io::stderr(), "PANIC with mutant {seed}");
                        std::process::exit(1);
                    }
                }
            }
            say(opened.to_string());
        }
        "one" => {
            let originals = originals();
            let dir = Dir::new();
            let seed = args[0].parse().unwrap();
            let bytes = mutant(&originals, seed);
            let opened = exercise(&dir.file("mutant"), &bytes, seed);
            say(opened.to_string());
        }
        other => panic!("no role {other}"),
    });
}

/// In children, so that a signal is a failure like any other, and says of which mutant.
#[test]
fn ten_thousand_mutants_give_an_error_or_a_working_queue() {
    let _watchdog = Watchdog::new(6 * common::HANGS, "mutants");
    if let Ok(seed) = std::env::var("RINGFILE_MUTANT") {
        let mut child = spawn("one", &[&seed.as_str()]);
        println!("opened: {}", child.hear());
        return child.finish();
    }
    let count = number_from("RINGFILE_MUTANTS", 10_000);
    // Another stretch of seeds each time; the message of a failure names the one.
    let first = common::now_ns() << 16;
    let chunks: Vec<(u64, u64)> =
        (0..count).step_by(CHUNK as usize).map(|at| (first + at, CHUNK.min(count - at))).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let opened: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut opened = 0;
                    while let Some(&(first, count)) =
                        chunks.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                    {
                        let (from, many) = (first.to_string(), count.to_string());
                        let mut child = spawn("mutants", &[&from.as_str(), &many.as_str()]);
                        let answer = child.try_hear();
                        let status = child.end();
                        match answer {
                            Some(answer) if status.success() => {
                                opened += answer.parse::<u64>().unwrap();
                            }
                            _ => panic!(
                                "of the mutants {first}..{} one ends the process: {status}; seed {}",
                                first + count,
                                guilty(first, count).map_or("not found again".to_owned(), |s| s.to_string()),
                            ),
                        }
                    }
                    opened
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    println!("{opened} of {count} mutants were opened");
    // Neither half may be vacuous.
    assert!(count < 1000 || (opened > count / 10 && opened < count), "{opened} of {count}");
}

/// The one of a stretch of mutants that ends its process.
fn guilty(first: u64, count: u64) -> Option<u64> {
    (first..first + count).find(|seed| {
        let mut child = spawn("one", &[&seed.to_string().as_str()]);
        let _ = child.try_hear();
        !child.end().success()
    })
}
