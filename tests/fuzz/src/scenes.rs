//! Sound files in which something is going on, to be damaged; and a place for them.

use crate::damage::{Patch, forget_boot, layout_of, seal_checkpoints};
use ringfile::file::layout::Layout;
use ringfile::{Claim, Queue, Start};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// A file, and that of its dead letters, if it has one.
#[derive(Clone)]
pub struct Scene {
    pub file: Vec<u8>,
    pub letters: Option<Vec<u8>>,
    pub layout: Layout,
}

impl Scene {
    /// One of the sound ones, by any number.
    pub fn number(number: usize) -> Scene {
        static ALL: OnceLock<Vec<Scene>> = OnceLock::new();
        let all = ALL.get_or_init(|| (0..SCENES).map(make).collect());
        all[number % SCENES].clone()
    }

    /// Damages it, as flags say before a new start of the machine.
    pub fn damage(&mut self, flags: u8, patches: &[Patch], with_header: bool) {
        for patch in patches {
            match &mut self.letters {
                Some(letters) if patch.in_letters => {
                    let layout = layout_of(letters);
                    patch.apply(letters, &layout, false);
                }
                _ => patch.apply(&mut self.file, &self.layout, with_header),
            }
        }
        let letters = self.letters.as_mut().map(|letters| (layout_of(letters), letters));
        for (layout, bytes) in letters.into_iter().chain([(self.layout, &mut self.file)]) {
            if flags & RESTARTED != 0 {
                forget_boot(bytes);
            }
            // Most are to be looked at.
            if flags & UNSEALED == 0 {
                seal_checkpoints(bytes, &layout);
            }
        }
    }

    /// Writes it where it can be opened.
    pub fn write(&self) -> &'static Path {
        let path = file();
        fs::write(path, &self.file).expect("a small file can be written");
        let letters = letters();
        match &self.letters {
            Some(bytes) => fs::write(letters, bytes).expect("a small file can be written"),
            None => _ = fs::remove_file(letters),
        }
        path
    }
}

/// Where the file under test lies.
pub fn file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| directory().join("ring"))
}

/// Where its dead letters do.
pub fn letters() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| directory().join("ring.dead"))
}

/// A directory of this process's own, in memory if there is such a place; it goes when the process exits, or, if that was ended, with the next one.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        const NAME: &str = "ringfile-fuzz-";
        let asked = std::env::var_os("RINGFILE_FUZZ_DIR").map(PathBuf::from);
        let memory = || Some(PathBuf::from("/dev/shm")).filter(|path| path.is_dir());
        let parent = asked.or_else(memory).unwrap_or_else(std::env::temp_dir);
        for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
            let left = entry.file_name().to_string_lossy().strip_prefix(NAME).map(str::to_owned);
            if left.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let path = parent.join(format!("{NAME}{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory can be made");
        extern "C" fn leave() {
            let _ = fs::remove_dir_all(directory());
        }
        // SAFETY: the function is there until the process ends.
        unsafe { libc::atexit(leave) };
        path
    })
}

pub const SCENES: usize = 12;

/// A flag: the machine was started anew since, so only what proves itself is believed.
pub const RESTARTED: u8 = 64;
/// A flag: checkpoints keep the checksums that they have.
pub const UNSEALED: u8 = 128;

/// Each with messages in all states that a file can show: in their cells, in the data ring, in batches, retained, set aside, claimed, reserved, put back.
fn make(number: usize) -> Scene {
    let mut options = Queue::options();
    options.capacity(1024).messages(8).groups(3).participants(6);
    // Just below where the tags of claim words, or the laps of publish words, wrap, and the data units.
    let mut born = |cells: u64, wrap: u32| _ = options.born_at((cells << wrap) - 3, (1 << 42) - 3);
    match number {
        1 => born(8, 40),
        2 | 3 => {
            born(16, 40);
            options.claim(Claim::Ticketed).cell_size(64).messages(16);
        }
        4 => _ = options.max_deliveries(2).retain(2),
        5 => _ = options.lease(Duration::from_micros(500)).retain(3),
        6 => _ = options.scrub(true).retain(2).retain_for(Duration::from_secs(1)),
        7 => _ = options.rate(1000.0).burst(4).claim(Claim::Ticketed),
        8 => {
            born(2, 46);
            options.messages(2).capacity(128).cell_size(64).groups(1).participants(4);
        }
        10 => {
            options
                .max_deliveries(1)
                .lease(Duration::from_micros(500))
                .retain(4)
                .scrub(true)
                .claim(Claim::Ticketed);
        }
        11 => _ = options.max_deliveries(1),
        _ => {}
    }
    let (path, letters) = (file(), letters());
    for left in [path, letters] {
        let _ = fs::remove_file(left);
    }
    let queue = options.open(path).expect("these options are sound");
    let read = || (fs::read(path).expect("it is there"), fs::read(letters).ok());
    let (file, letters) = match number {
        9 => read(),
        // At rest.
        0 | 2 => {
            act(&queue, || ());
            drop(queue);
            read()
        }
        _ => act(&queue, read),
    };
    // The dead letters of a queue are a queue of their own.
    let (file, letters) = match letters {
        Some(letters) if number == 11 => (letters, None),
        letters => (file, letters),
    };
    Scene { layout: layout_of(&file), file, letters }
}

/// Lets something happen in a queue, and `see` it in the midst: what is held then is held by the dead whenever the file is opened again.
fn act<T>(queue: &Queue, see: impl FnOnce() -> T) -> T {
    let (mut producer, mut other) = (queue.producer().unwrap(), queue.producer().unwrap());
    let mut consumer = queue.consumer().unwrap();
    let longest = queue.max_message_len();
    let audit = queue.group_with("audit", Start::Oldest, Claim::Ticketed).ok();
    let mut auditor = audit.and_then(|audit| audit.consumer().ok());
    for i in 0..3 * queue.stats().cells as usize {
        let message = vec![i as u8; i * 29 % (longest + 1)];
        if producer.try_push(&message).is_err() {
            let _ = consumer.try_pop();
            let _ = auditor.as_mut().map(|auditor| auditor.try_drain(2, |_| {}));
            queue.reap();
        }
        match i % 5 {
            0 => drop(producer.try_reserve(1)),
            1 => drop(producer.try_push_batch(&[&b"one"[..], b"", &[2; 70]])),
            // Put back.
            2 => drop(consumer.try_claim()),
            3 => drop(consumer.try_claim_batch(2)),
            _ => {}
        }
    }
    if let Ok(group) = queue.group("gone") {
        let _ = group.consumer().map(|mut consumer| consumer.try_pop());
        queue.remove_group("gone");
    }
    let _ = queue.rewind();
    let _ = consumer.try_pop();
    while producer.try_push(b"more").is_err() && consumer.try_pop().is_ok() {}
    let held = consumer.try_claim_batch(2);
    let place = other.try_reserve(40);
    let claim = auditor.as_mut().map(|auditor| auditor.try_claim());
    let seen = see();
    drop((held, place, claim));
    seen
}
