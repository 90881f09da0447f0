//! The power goes, at any time, and the disk holds any state that it may then hold: real files, recovered by the code that ships.
//!
//! A thread plays with a queue at random and records each store into the file and each sync (`power/disk.rs`). From that, images are made: a moment, and for each sector some prefix of its
//! stores since it was last synced. Each is opened as after another boot, and what is found is compared with what was promised (`power/truth.rs`). The recovery of many of
//! them is recorded as well, goes on as a queue in use, and loses its power again.
//!
//! `RINGFILE_POWER_IMAGES=n` makes n images, `RINGFILE_SEED=n` others than usual; `RINGFILE_POWER_ONLY=n` makes one of them, and what follows from it;
//! `RINGFILE_POWER_STATES=n` goes through n of the states of a scene's cursors and cells, evenly; all, if there are no more.
//! `RINGFILE_POWER_ENOUGH=n` goes on until n are wrong. What is drawn is the same for the same seed, but clocks change a little of what is done; so
//! `RINGFILE_POWER_KEEP=directory` keeps images that are wrong, with everything that was stored and what is true.

#[path = "power/check.rs"]
mod check;
mod common;
#[path = "power/disk.rs"]
mod disk;
#[path = "power/place.rs"]
mod place;
#[path = "power/truth.rs"]
mod truth;
#[path = "power/workload.rs"]
mod workload;

use check::{Checked, Seen};
use common::{HANGS, Random, Watchdog, number_from};
use disk::{Log, Time};
use place::Disk;
use ringfile::file::layout::{Layout, PAGE, cursor};
use ringfile::{Durability, Queue};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;
use truth::{DEFAULT, History, How, Truth, begin};
use workload::{Policy, Shape, Stage};

/// Images of one run of a queue.
const OF_ONE: u64 = 40;
/// How often the power goes in a row.
const LOSSES: usize = 3;

/// Says where one is should a test fail by a panic, and watches that it goes on.
struct Place {
    at: String,
    _watchdog: Watchdog,
}

impl Place {
    fn new(at: String) -> Place {
        Place { _watchdog: Watchdog::new(HANGS, &*at), at }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in {}", self.at);
        }
    }
}

/// A stretch of a queue's life that ends when the power goes.
struct Run {
    log: Log,
    history: History,
    shape: Shape,
}

impl Run {
    /// Of a new queue.
    fn of_new(disk: &Disk, shape: Shape, random: &mut Random) -> Run {
        let path = disk.file("q0");
        let mut stage = Stage::create(&path, shape.clone(), random);
        stage.play(20 + random.below(150) as usize);
        let run = Run::end(stage, shape);
        std::fs::remove_file(&path).expect("it is there");
        run
    }

    /// Of one that is recovered after the power went: none if it was no queue.
    fn after(
        disk: &Disk,
        losses: usize,
        shape: &Shape,
        image: &[u8],
        truth: Truth,
        random: &mut Random,
    ) -> Checked<Option<Run>> {
        let path = disk.file(&format!("q{losses}"));
        disk::record(&path, shape.geometry, put(&path, image));
        let opened = check::open(&path, &truth, random);
        let Ok(Some(opened)) = opened else {
            disk::stop();
            return opened.map(|_| None);
        };
        let inspected = check::inspect(&opened.0, &truth, shape.policy);
        let found = match inspected {
            Ok(found) => found,
            Err(wrong) => {
                disk::stop();
                return Err(wrong);
            }
        };
        let history = History::of_recovered(truth, disk::look(), found);
        // If somebody was about to open it again.
        opened.0.reopen();
        let mut stage = Stage::resume(&path, shape.clone(), opened, history, random);
        stage.play(random.below(40) as usize);
        Ok(Some(Run::end(stage, shape.clone())))
    }

    fn end(stage: Stage, shape: Shape) -> Run {
        // The handles go afterwards: what they do then is no part of it.
        let log = disk::stop();
        Run { log, history: stage.history, shape }
    }
}

/// Makes a file of an image, as one of another boot of the machine. Returns what it holds.
fn put(path: &Path, image: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    let boot = &mut image[cursor::BOOT..cursor::BOOT + 16];
    // If there is any: a sector that was never written is empty.
    if boot.iter().any(|&byte| byte != 0) {
        boot.copy_from_slice(b"of another boot!");
    }
    std::fs::write(path, &image).expect("there is room");
    image
}

/// Opens an image and looks at everything.
fn judge(
    disk: &Disk,
    losses: usize,
    image: &[u8],
    truth: &Truth,
    policy: Policy,
    random: &mut Random,
) -> Checked<Seen> {
    let path = disk.file(&format!("q{losses}"));
    put(&path, image);
    if random.below(4) == 0 {
        check::observe(&path, truth)?;
    }
    match check::open(&path, truth, random)? {
        Some(opened) => check::consume(&path, opened, truth, policy, random),
        None => Ok(Seen { unborn: 1, ..Seen::default() }),
    }
}

/// How many images were opened, and what was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    images: u64,
    after_another: u64,
    seen: Seen,
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Sum) {
        self.images += other.images;
        self.after_another += other.after_another;
        self.seen += other.seen;
    }
}

/// Of all threads.
#[derive(Default)]
struct All {
    sum: Sum,
    wrong: Vec<String>,
    /// After so much that is wrong nobody goes on.
    enough: usize,
}

/// Keeps what shows that something is wrong, if it is asked for.
fn keep(run: &Run, at: Time, image: &[u8], truth: &Truth, wrong: &str) {
    static KEPT: AtomicU64 = AtomicU64::new(0);
    let Some(directory) = std::env::var_os("RINGFILE_POWER_KEEP") else {
        return;
    };
    let name = |kind| {
        Path::new(&directory).join(format!("{}-{}.{kind}", std::process::id(), KEPT.load(Ordering::Relaxed)))
    };
    let text = format!("{wrong}\n\n{:?}\n\n{truth:#?}\n\n{}", run.shape, run.log.tell(at, image));
    std::fs::write(name("ring"), image).expect("it can be kept");
    std::fs::write(name("txt"), text).expect("it can be kept");
    KEPT.fetch_add(1, Ordering::Relaxed);
}

/// The power goes once, or several times in a row.
fn lose_power(disk: &Disk, run: &Run, losses: usize, random: &mut Random, sum: &mut Sum) -> Checked<()> {
    let at = run.log.moment(1, random);
    let (image, truth) = (run.log.cut(at, random), run.history.at(at));
    let says = |wrong: String| {
        keep(run, at, &image, &truth, &wrong);
        format!("loss {losses} at {at} of {}, {:?}: {wrong}", run.log.end(), run.shape)
    };
    sum.images += 1;
    sum.after_another += u64::from(losses > 1);
    if losses == LOSSES || random.below(3) > 0 {
        sum.seen += judge(disk, losses, &image, &truth, run.shape.policy, random).map_err(says)?;
        return Ok(());
    }
    let next = Run::after(disk, losses, &run.shape, &image, truth.clone(), random).map_err(says)?;
    if let Some(next) = next {
        for _ in 0..2 {
            lose_power(disk, &next, losses + 1, random, sum).map_err(says)?;
        }
    }
    Ok(())
}

/// All images with these numbers, of one run.
fn play(
    seed: u64,
    numbers: std::ops::Range<u64>,
    only: Option<u64>,
    all: &Mutex<All>,
    is_enough: impl Fn(&All) -> bool,
) {
    let disk = Disk::new();
    let mut random = Random(seed ^ Random(numbers.start).next());
    let shape = Shape::any(&mut random);
    let run = {
        let _place = Place::new(format!("RINGFILE_SEED={seed}, before image {}, {shape:?}", numbers.start));
        Run::of_new(&disk, shape, &mut random)
    };
    for number in numbers.filter(|&number| only.is_none_or(|only| only == number)) {
        let place = format!("RINGFILE_SEED={seed} RINGFILE_POWER_ONLY={number}");
        let _place = Place::new(place.clone());
        let mut random = Random(!seed ^ Random(!number).next());
        let mut mine = Sum::default();
        let lost = lose_power(&disk, &run, 1, &mut random, &mut mine);
        let mut all = all.lock().expect("nobody panics with it");
        all.sum += mine;
        if let Err(wrong) = lost {
            all.wrong.push(format!("{place}: {wrong}"));
        }
        if is_enough(&all) {
            return;
        }
    }
}

#[test]
fn nothing_durable_is_lost_and_nothing_else_is_found_when_the_power_goes() {
    let seed = number_from("RINGFILE_SEED", 1);
    let images: u64 = number_from("RINGFILE_POWER_IMAGES", 2000);
    let only =
        std::env::var("RINGFILE_POWER_ONLY").ok().map(|number| number.parse().expect("it is a number"));
    let end = only.map_or(u64::MAX, |only: u64| only + 1);
    let is_enough = |all: &All| all.wrong.len() >= all.enough || all.sum.images >= images;
    let next = AtomicU64::new(only.map_or(0, |only| only / OF_ONE));
    let all = Mutex::new(All { enough: number_from("RINGFILE_POWER_ENOUGH", 5), ..All::default() });
    let begun = Instant::now();
    thread::scope(|scope| {
        let work = || {
            loop {
                let first = next.fetch_add(1, Ordering::Relaxed) * OF_ONE;
                if first >= end || is_enough(&all.lock().expect("nobody panics with it")) {
                    return;
                }
                play(seed, first..end.min(first + OF_ONE), only, &all, is_enough);
            }
        };
        // Most of it is waiting for the disk.
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it says above where"));
    });
    let All { sum, wrong, .. } = all.into_inner().expect("nobody panics with it");
    println!("{sum:?} in {:?}", begun.elapsed());
    assert!(wrong.is_empty(), "{} of {} images:\n{}", wrong.len(), sum.images, wrong.join("\n"));
    if only.is_none() && images >= 1000 {
        // Else nothing is shown by it.
        assert!(sum.seen.owed > sum.images && sum.seen.delivered > sum.seen.owed, "{sum:?}");
        assert!(sum.after_another > sum.images / 10 && sum.seen.unborn < sum.images / 4, "{sum:?}");
    }
}

/// What is looked for is found: a disk that says that it has written what it was told to, and has not, does not get away with it.
#[test]
fn a_disk_that_lies_is_found_out() {
    let disk = Disk::new();
    let mut found = 0;
    for seed in 0..8 {
        let mut random = Random(seed);
        let shape = Shape::any(&mut random);
        let _place = Place::new(format!("seed {seed} of a disk that lies, {shape:?}"));
        let run = Run::of_new(&disk, shape, &mut random);
        for _ in 0..10 {
            let at = run.log.moment(run.log.end() / 2, &mut random);
            let image = run.log.cut_of_a_liar(at, &mut random);
            found += u32::from(
                judge(&disk, 1, &image, &run.history.at(at), run.shape.policy, &mut random).is_err(),
            );
        }
    }
    assert!(found > 20, "{found} of 80 lies were found out");
}

/// A few calls.
type Scene = (&'static str, fn(&mut Play));

const SCENES: &[Scene] = &[
    ("a push", |play| play.push(b"somebody")),
    ("a push with a sum", |play| play.push_summed(b"somebody")),
    ("a durable push", |play| play.push_durable(b"somebody")),
    ("a push and a pop", |play| {
        play.push_summed(b"somebody");
        play.pop();
    }),
    ("a lap", |play| {
        play.pop();
        play.pop();
        play.push_summed(b"somebody");
        play.push_summed(b"somebody else");
    }),
    ("a sync between two pushes", |play| {
        play.push(b"somebody");
        play.sync();
        play.pop();
        play.push_summed(b"somebody else");
    }),
];

/// Who performs a scene.
struct Play {
    plain: Queue,
    summing: Queue,
    history: History,
}

impl Play {
    fn push(&mut self, message: &[u8]) {
        let begun = begin();
        let pushed =
            self.plain.producer().expect("there is a slot").try_push(message).expect("there is room");
        self.history.pushed(pushed.get(), message, &begun.end(), How::Plain);
    }

    fn push_summed(&mut self, message: &[u8]) {
        let begun = begin();
        let pushed =
            self.summing.producer().expect("there is a slot").try_push(message).expect("there is room");
        self.history.pushed(pushed.get(), message, &begun.end(), How::Summed);
    }

    fn push_durable(&mut self, message: &[u8]) {
        let begun = begin();
        let pushed =
            self.plain.producer().expect("there is a slot").push_durable(message).expect("there is room");
        self.history.pushed(pushed.get(), message, &begun.end(), How::Durable);
    }

    fn pop(&mut self) {
        let begun = begin();
        let mut message = Vec::new();
        let popped =
            self.plain.consumer().expect("there is a slot").try_pop_into(&mut message).expect("there is one");
        self.history.admits(popped.get(), &message);
        self.history.finished(DEFAULT, self.history.stretch(DEFAULT), popped.get(), begun.at());
    }

    fn sync(&mut self) {
        let frontier = self.plain.stats().groups[0].frontier;
        let begun = begin();
        self.plain.sync().expect("the disk works");
        self.history.synced(&begun.end(), &[(DEFAULT.to_owned(), frontier)]);
    }
}

/// A queue of four cells, of which three were used and synced, and then a scene. Says when that begins.
fn perform((_, scene): Scene, path: &Path) -> (Run, Time) {
    let shape = Shape::tiny();
    let plain = shape.options().create_new(path).expect("it can be made");
    disk::record(path, shape.geometry, vec![0; std::fs::metadata(path).expect("it is there").len() as usize]);
    let history = History::of_new(disk::look(), shape.first());
    let summing = Queue::options().durability(Durability::Interval(workload::NEVER)).attach(path);
    let mut play = Play { plain, summing: summing.expect("it opens again"), history };
    play.push(b"first");
    play.push(b"second");
    play.push_durable(b"third");
    play.pop();
    play.sync();
    let begun = disk::look();
    scene(&mut play);
    let log = disk::stop();
    (Run { log, history: play.history, shape }, begun)
}

/// Opens every product of the states of the sectors on the page of the cursors and on that of the cells. How many that is.
fn every_state(disk: &Disk, run: &Run, at: Time, random: &mut Random) -> Checked<u64> {
    let layout = Layout::new(run.shape.geometry).expect("there is such a file");
    let is_ours = |sector: &usize| [PAGE, layout.cells].contains(&(sector * disk::SECTOR / PAGE * PAGE));
    let sectors: Vec<usize> = run.log.open_sectors(at).into_iter().filter(is_ours).collect();
    let states: Vec<Vec<Vec<u8>>> = sectors.iter().map(|&sector| run.log.states(sector, at)).collect();
    let count: u64 = states.iter().map(|states| states.len() as u64).product();
    let truth = run.history.at(at);
    let most = number_from("RINGFILE_POWER_STATES", 300);
    let stride = count.div_ceil(most).max(1);
    let numbers = (random.below(stride)..count).step_by(stride as usize);
    let opened = numbers.clone().count() as u64;
    for number in numbers {
        let mut image = run.log.cut(at, random);
        let mut rest = number;
        for (&sector, states) in sectors.iter().zip(&states) {
            let state = &states[(rest % states.len() as u64) as usize];
            image[sector * disk::SECTOR..][..disk::SECTOR].copy_from_slice(state);
            rest /= states.len() as u64;
        }
        judge(disk, 1, &image, &truth, run.shape.policy, random)
            .map_err(|wrong| format!("state {number} of {count} at {at}: {wrong}"))?;
    }
    Ok(opened)
}

/// Every state of the cursors and cells, whatever the others: a few calls on a queue of four cells, after everything else was synced.
#[test]
fn every_state_of_the_cursors_and_cells_can_be_recovered() {
    let seed = number_from("RINGFILE_SEED", 1);
    let go_through = |scene: Scene| {
        let disk = Disk::new();
        let mut random = Random(seed);
        let place = format!("RINGFILE_SEED={seed}, {}", scene.0);
        let _place = Place::new(place.clone());
        let path = disk.file("q0");
        let (run, begun) = perform(scene, &path);
        std::fs::remove_file(&path).expect("it is there");
        // Between two syncs, what can be found at one time can be found later as well; so just before each sync, and at the end.
        let before = run.log.syncs().iter().map(|sync| sync - 1).filter(|&at| at >= begun);
        let times: Vec<Time> = before.chain([run.log.end()]).collect();
        let images: Checked<u64> = times.iter().map(|&at| every_state(&disk, &run, at, &mut random)).sum();
        let images = images.unwrap_or_else(|wrong| panic!("{place}, {wrong}"));
        println!("{}: {images} images", scene.0);
        assert!(images >= 30, "{}: {images} images", scene.0);
    };
    // Most of it is waiting for the disk.
    thread::scope(|scope| {
        let threads: Vec<_> = SCENES.iter().map(|&scene| scope.spawn(move || go_through(scene))).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it says above where"));
    });
}
