//! The disk: what is stored into a file and what is synced, and every state in which a loss of power may leave it.
//!
//! A disk writes sectors of 512 bytes, when it likes and in any order, unless it was made to; and a sector that it writes holds what the
//! memory held at some instant. So after a loss of power each sector holds some prefix of the stores into it, and at least those that
//! were there when it was last synced. Words of eight bytes are never torn.
//!
//! What is known are the moments at which somebody looked: in between, the order of stores is made up, but for the words of a cell that lie in one line: first
//! its extent, then its size, and then they are published.

use super::common::Random;
use ringfile::fault::{self, Event};
use ringfile::file::layout::{Geometry, Layout, PAGE, cell};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Once;

/// What a disk writes at once.
pub const SECTOR: usize = 512;
const WORD: usize = 8;
const WORDS: usize = SECTOR / WORD;

/// How many times something was seen to have changed: stores and syncs count one each.
pub type Time = usize;

/// A word that was found changed.
#[derive(Clone, Copy)]
struct Store {
    /// Between the look that had this number and the one before it.
    time: Time,
    word: usize,
    value: [u8; WORD],
}

/// What became of a sector.
#[derive(Default)]
struct Sector {
    stores: Vec<Store>,
    syncs: Vec<Time>,
}

/// Everything that was stored into a file, and when it was synced.
pub struct Log {
    /// What the disk held before.
    disk: Vec<u8>,
    sectors: Vec<Sector>,
    cells: Range<usize>,
    cell_size: usize,
    /// When something was synced.
    syncs: Vec<Time>,
    time: Time,
}

/// Looks at a file while it is used.
struct Recorder {
    file: File,
    seen: Vec<u8>,
    now: Vec<u8>,
    log: Log,
}

thread_local! {
    /// Of what this thread does.
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// Records from now on what this thread does with the file of this shape, of which the disk holds `disk`.
pub fn record(path: &Path, geometry: Geometry, disk: Vec<u8>) {
    static WATCHED: Once = Once::new();
    // For all threads, and for good: who records nothing is not told anything.
    WATCHED.call_once(|| fault::watch(Some(happened)));
    let layout = Layout::new(geometry).expect("there is such a file");
    assert_eq!(disk.len(), layout.file_len, "of {}", path.display());
    let file = File::open(path).expect("the file is there");
    let cells = layout.cells..layout.cells + (geometry.cells * u64::from(geometry.cell_size)) as usize;
    let sectors = std::iter::repeat_with(Sector::default).take(disk.len() / SECTOR).collect();
    let log = Log {
        disk: disk.clone(),
        sectors,
        cells,
        cell_size: geometry.cell_size as usize,
        syncs: Vec::new(),
        time: 0,
    };
    let recorder = Recorder { file, now: vec![0; disk.len()], seen: disk, log };
    RECORDER.with_borrow_mut(|slot| *slot = Some(recorder));
    look();
}

/// Ends that.
pub fn stop() -> Log {
    look();
    RECORDER.with_borrow_mut(Option::take).expect("it was recorded").log
}

/// Looks what has changed, and says what time it is now.
pub fn look() -> Time {
    RECORDER.with_borrow_mut(|recorder| recorder.as_mut().expect("it is recorded").look())
}

/// A word of the file as it was last seen.
pub fn word(offset: usize) -> u64 {
    RECORDER.with_borrow(|recorder| {
        let seen = &recorder.as_ref().expect("it is recorded").seen;
        u64::from_le_bytes(seen[offset..offset + WORD].try_into().expect("a word"))
    })
}

/// After each step of the library, in the thread that did it.
fn happened(event: Event) {
    RECORDER.with_borrow_mut(|recorder| {
        let Some(recorder) = recorder else {
            return;
        };
        recorder.look();
        if let Event::Synced { offset, len, .. } = event {
            recorder.synced(offset..offset + len);
        }
    });
}

impl Recorder {
    fn look(&mut self) -> Time {
        // The mapping of who uses the file is the page cache, and so is this.
        self.file.read_exact_at(&mut self.now, 0).expect("the file is read");
        if self.now == self.seen {
            return self.log.time;
        }
        self.log.time += 1;
        let sectors = self.now.chunks_exact(SECTOR).zip(self.seen.chunks_exact_mut(SECTOR));
        for ((now, seen), sector) in sectors.zip(&mut self.log.sectors) {
            if now == seen {
                continue;
            }
            for word in 0..WORDS {
                let at = word * WORD..(word + 1) * WORD;
                if now[at.clone()] != seen[at.clone()] {
                    let value = now[at].try_into().expect("a word");
                    sector.stores.push(Store { time: self.log.time, word, value });
                }
            }
            seen.copy_from_slice(now);
        }
        self.log.time
    }

    fn synced(&mut self, bytes: Range<usize>) {
        self.log.time += 1;
        let log = &mut self.log;
        log.syncs.push(log.time);
        // The kernel writes whole pages.
        let pages = bytes.start / PAGE * PAGE..bytes.end.next_multiple_of(PAGE).min(log.disk.len());
        for sector in &mut log.sectors[pages.start / SECTOR..pages.end.div_ceil(SECTOR)] {
            sector.syncs.push(log.time);
        }
    }
}

/// How much of what was not synced a sector holds.
#[derive(Clone, Copy, Debug)]
enum Share {
    None,
    All,
    Some,
    /// All but what came last.
    Most,
}

impl Sector {
    /// The stores that the disk has at a time for sure, and how many there are.
    fn sure(&self, at: Time) -> (usize, usize) {
        let until = |time| self.stores.partition_point(|store| store.time <= time);
        let synced = self.syncs[..self.syncs.partition_point(|&sync| sync <= at)].last();
        (synced.map_or(0, |&sync| until(sync)), until(at))
    }

    /// The stores between two looks of which the one with this number is one.
    fn interval(&self, of: usize) -> Range<usize> {
        let time = self.stores[of].time;
        let bound = |bound| self.stores.partition_point(|store| store.time < bound);
        bound(time)..bound(time + 1)
    }
}

impl Log {
    /// When it ends.
    pub fn end(&self) -> Time {
        self.time
    }

    /// A moment, not before `from`; often one at which something has just been synced, or is about to be.
    pub fn moment(&self, from: Time, random: &mut Random) -> Time {
        let any = from + random.below((self.time - from + 1) as u64) as Time;
        if self.syncs.is_empty() || random.below(2) == 0 {
            return any;
        }
        let sync = self.syncs[random.below(self.syncs.len() as u64) as usize];
        (sync + random.below(4) as Time).saturating_sub(1).clamp(from, self.time)
    }

    /// Everything that was seen until a time, in order: what was stored where, a `*` with what this image has, and what was synced.
    pub fn tell(&self, at: Time, image: &[u8]) -> String {
        let mut lines = BTreeMap::<Time, Vec<String>>::new();
        for (i, sector) in self.sectors.iter().enumerate() {
            for (number, store) in sector.stores.iter().enumerate() {
                let here = i * SECTOR + store.word * WORD;
                let later = sector.stores[number + 1..].iter().filter(|later| later.time <= at);
                let is_last = later.filter(|later| later.word == store.word).count() == 0;
                let has = if image[here..here + WORD] == store.value { "*" } else { "" };
                let last = if is_last { " last" } else { "" };
                let value = u64::from_le_bytes(store.value);
                lines.entry(store.time).or_default().push(format!("{here:#x} = {value:#018x}{last} {has}"));
            }
            for sync in &sector.syncs {
                lines.entry(*sync).or_default().push(format!("synced {:#x}", i * SECTOR));
            }
        }
        let lines = lines.into_iter().filter(|&(time, _)| time <= at);
        lines.map(|(time, lines)| format!("{time}: {}\n", lines.join(", "))).collect()
    }

    /// All syncs.
    pub fn syncs(&self) -> &[Time] {
        &self.syncs
    }

    /// A state in which the disk may be if the power goes at this time.
    pub fn cut(&self, at: Time, random: &mut Random) -> Vec<u8> {
        self.cut_after(random, |sector| sector.sure(at))
    }

    /// The same of a disk that says it has written what it was told to, and has not.
    pub fn cut_of_a_liar(&self, at: Time, random: &mut Random) -> Vec<u8> {
        self.cut_after(random, |sector| (0, sector.sure(at).1))
    }

    fn cut_after(&self, random: &mut Random, sure: impl Fn(&Sector) -> (usize, usize)) -> Vec<u8> {
        let mut image = self.disk.clone();
        let pages = (image.len() / PAGE) as u64;
        let style = random.below(12);
        let (page, odd) = (random.below(pages) as usize, random.below(8) as usize);
        let mut of_page = Share::Some;
        for (i, sector) in self.sectors.iter().enumerate() {
            let (sure, end) = sure(sector);
            for store in &sector.stores[..sure] {
                apply(&mut image, i, store);
            }
            let any = |random: &mut Random| {
                [Share::None, Share::All, Share::Some, Share::Most][random.below(4) as usize]
            };
            if i % (PAGE / SECTOR) == 0 {
                of_page = any(random);
            }
            let is_page = i / (PAGE / SECTOR) == page;
            let is_sector = is_page && i % (PAGE / SECTOR) == odd;
            let but = |odd: bool, share, other| if odd { other } else { share };
            let share = match style {
                0 | 1 => Share::Some,
                2 | 3 => any(random),
                4 | 5 => of_page,
                6 => but(is_page, Share::None, Share::All),
                7 => but(is_page, Share::All, Share::None),
                8 => but(is_sector, Share::None, Share::Some),
                9 => but(is_sector, Share::All, Share::Some),
                10 => Share::Most,
                // What was not written is gone, or everything was written.
                _ => [Share::None, Share::All][page % 2],
            };
            if sure == end {
                continue;
            }
            let kept = match share {
                Share::None => sure,
                Share::All => end,
                Share::Some => sure + random.below((end - sure + 1) as u64) as usize,
                Share::Most => end - random.below((end - sure + 1).min(8) as u64) as usize,
            };
            // What was stored between two looks may have been stored in another order.
            let last = if kept < end { sector.interval(kept) } else { end..end };
            for store in &sector.stores[sure..last.start.max(sure)] {
                apply(&mut image, i, store);
            }
            self.shuffle(&mut image, i, last.start.max(sure)..last.end.min(end), random);
        }
        image
    }

    /// Some of the stores between two looks; a publish word only with those that it vouches for.
    fn shuffle(&self, image: &mut [u8], sector: usize, interval: Range<usize>, random: &mut Random) {
        let stores = &self.sectors[sector].stores[interval];
        let kept: Vec<bool> = stores.iter().map(|_| random.below(2) == 0).collect();
        // From the last word to the first: those that come before others in time lie behind them.
        let mut lacking: Vec<usize> = Vec::new();
        for (store, keeps) in stores.iter().zip(kept).rev() {
            let owed = self.vouched_for(sector, store.word);
            if keeps && !lacking.iter().any(|word| owed.contains(word)) {
                apply(image, sector, store);
            } else {
                lacking.push(store.word);
            }
        }
    }

    /// The words of a sector that are stored before this one: in a cell its extent before its size, and both before they are published.
    fn vouched_for(&self, sector: usize, word: usize) -> Range<usize> {
        let at = sector * SECTOR + word * WORD;
        let words = |from: usize, to: usize| word + from / WORD..word + to / WORD;
        match self.cells.contains(&at).then(|| (at - self.cells.start) % self.cell_size) {
            Some(cell::PUBLISH) => words(cell::SIZE, cell::INLINE),
            Some(cell::SIZE) => words(cell::EXTENT - cell::SIZE, cell::ORIGIN - cell::SIZE),
            _ => 0..0,
        }
    }

    /// The sectors that the disk may hold in more than one state at this time.
    pub fn open_sectors(&self, at: Time) -> Vec<usize> {
        (0..self.sectors.len())
            .filter(|&i| {
                let (sure, end) = self.sectors[i].sure(at);
                sure < end
            })
            .collect()
    }

    /// Everything that the disk has for sure at this time.
    pub fn sure(&self, at: Time) -> Vec<u8> {
        let mut image = self.disk.clone();
        for (i, sector) in self.sectors.iter().enumerate() {
            for store in &sector.stores[..sector.sure(at).0] {
                apply(&mut image, i, store);
            }
        }
        image
    }

    /// Each state of a sector that the disk may hold at this time, from nothing to everything that was not synced: all prefixes of what was seen, and
    /// of what was stored between two looks, if that is little, everything that any order can leave.
    pub fn states(&self, sector: usize, at: Time) -> Vec<Vec<u8>> {
        const FEW: usize = 2;
        let about = &self.sectors[sector];
        let (sure, end) = about.sure(at);
        let mut image = self.sure(at);
        let here = sector * SECTOR..(sector + 1) * SECTOR;
        let mut states = vec![image[here.clone()].to_vec()];
        let mut from = sure;
        while from < end {
            let interval = from..about.interval(from).end.min(end);
            let stores = &about.stores[interval.clone()];
            let subsets: Vec<Vec<usize>> = if stores.len() <= FEW {
                let bits = |set: usize| (0..stores.len()).filter(|i| set >> i & 1 == 1).collect();
                (1..1usize << stores.len()).map(bits).collect()
            } else {
                // From the last word to the first: so the publish word comes last.
                (1..=stores.len()).map(|count| (stores.len() - count..stores.len()).collect()).collect()
            };
            for subset in subsets {
                let vouched = |i: &usize| {
                    let owed = self.vouched_for(sector, stores[*i].word);
                    (0..stores.len()).all(|j| !owed.contains(&stores[j].word) || subset.contains(&j))
                };
                if subset.iter().all(vouched) {
                    let mut state = image.clone();
                    subset.iter().for_each(|&i| apply(&mut state, sector, &stores[i]));
                    states.push(state[here.clone()].to_vec());
                }
            }
            stores.iter().for_each(|store| apply(&mut image, sector, store));
            from = interval.end;
        }
        let mut seen = std::collections::HashSet::new();
        states.retain(|state| seen.insert(state.clone()));
        states
    }
}

fn apply(image: &mut [u8], sector: usize, store: &Store) {
    let at = sector * SECTOR + store.word * WORD;
    image[at..at + WORD].copy_from_slice(&store.value);
}
