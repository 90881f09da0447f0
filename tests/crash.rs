//! Killed and stopped at every step: real processes that do it to themselves, at the points of `ringfile::fault`, over the public interface.
//!
//! A child is this binary once more. It plays a scene in which the step is reached, and fails if it is not; its parent is a peer that lives
//! and gets over the death by what it does anyway. `RINGFILE_CRASHES=n` kills at each step n times at least, `RINGFILE_PAUSES=n` stops;
//! `RINGFILE_PAUSE_MS=100..5000` for so long. `RINGFILE_DEATHS=n` measures n deaths of each kind.

mod common;
#[path = "crash/delays.rs"]
mod delays;
#[path = "crash/oracle.rs"]
mod oracle;
#[path = "crash/scene.rs"]
mod scene;

use common::{Child, Dir, Doing, HANGS, Random, Watchdog, number_from, run_child, spawn};
use oracle::{Id, Interrupted, Oracle};
use ringfile::fault::{self, Action, Step};
use ringfile::{
    AttachError, Claim, Consumer, PopError, PopTimeoutError, Position, Producer, PushError, Queue,
    TryPopError, TryPushError,
};
use scene::{Ids, OTHER_GROUP, PARENT, PARTICIPANTS, Peer, Play, REACHED, Scene, scenes};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn child() {
    run_child(|role, args| match (role, args) {
        ("perform", [scene, path, journal]) => {
            Scene::from_words(scene).perform(Path::new(path), Path::new(journal));
        }
        ("run into debt", [scene, path, journal]) => {
            scene::run_into_debt(&Scene::from_words(scene), Path::new(path), Path::new(journal));
        }
        ("reap", [step, path]) => {
            let queue = Queue::options().attach(path).expect("the queue opens");
            fault::arm(step_named(step), 1, Action::Kill);
            queue.reap();
        }
        (role, args) => delays::play(role, args),
    });
}

fn step_named(name: &str) -> Step {
    *Step::ALL.iter().find(|step| format!("{step:?}") == name).expect("it is one of them")
}

/// What is retained is what it was, at whatever step a reaper is killed, and whoever goes on.
#[test]
fn the_last_ten_of_a_hundred_stay_at_every_step_of_the_reaper() {
    for step in [Step::FrontierMoved, Step::KeptMoved, Step::ReapMoved] {
        let dir = Dir::new();
        let path = dir.file("q");
        let queue = Queue::options().messages(128).capacity(1024).retain(10).open(&path).expect("it opens");
        let mut producer = queue.producer().expect("there is a slot");
        for i in 0..100u8 {
            producer.push(&[i]).expect("there is room");
        }
        let consumed = queue.consumer().expect("there is a slot").drain(100, |_| {});
        assert_eq!(consumed, Ok(100));
        let last = || {
            let kept: Vec<_> =
                queue.replay().map(|kept| kept.expect("nobody is faster").message[0]).collect();
            assert_eq!(kept, (90..100).collect::<Vec<_>>(), "{step:?}");
        };
        let mut child = spawn("reap", &[&format!("{step:?}"), &path]);
        assert_eq!(child.end().signal(), Some(libc::SIGKILL), "{step:?} was not reached");
        last();
        queue.reap();
        assert_eq!((queue.stats().retained, queue.stats().reaped), (10, 90), "{step:?}");
        last();
        assert_eq!(queue.rewind(), Ok(10));
    }
}

/// So long may the living be held up by a death, on a machine that is busy with something else.
const LIVELY: Duration = Duration::from_secs(5);

/// The parent of one scene.
struct Stage<'a> {
    scene: &'a Scene,
    dir: Dir,
    queue: Queue,
    /// Who dozes has none.
    producer: Option<Producer>,
    consumer: Option<Consumer>,
    peer: Peer,
    oracle: Oracle,
    /// Where the dead letters came from that it has taken.
    letters: BTreeSet<Position>,
    ids: Ids,
    random: Random,
}

impl<'a> Stage<'a> {
    fn open(scene: &'a Scene, dir: Dir) -> Stage<'a> {
        let queue = scene.options().open(dir.file("q")).expect("the queue opens");
        let producer = (scene.peer != Peer::Dozes).then(|| queue.producer().expect("there is a slot"));
        let consumer = queue.consumer().expect("there is a slot");
        let (ids, random) = (Ids::of(PARENT, scene.cells), Random(!scene.seed));
        let oracle = Oracle::default();
        let (peer, consumer) = (scene.peer, Some(consumer));
        Stage { scene, dir, queue, producer, consumer, peer, oracle, letters: BTreeSet::new(), ids, random }
    }

    fn journal(&self, whose: &str) -> PathBuf {
        self.dir.file(whose)
    }

    /// Pushes something, if there is room. Says whether there was.
    fn try_push(&mut self) -> bool {
        let producer = self.producer.get_or_insert_with(|| self.queue.producer().expect("there is a slot"));
        let pushed = self.ids.try_push(producer, &mut self.random);
        self.oracle.pushed(pushed.as_deref().unwrap_or_default());
        pushed.is_some()
    }

    /// Takes a message, waiting so long for one, and finishes it.
    fn try_claim(&mut self, timeout: Duration) -> Result<(), TryPopError> {
        let consumer = self.consumer.as_mut().expect("it has one");
        let delivery = match timeout {
            Duration::ZERO => consumer.try_claim()?,
            _ => consumer.claim_timeout(timeout).map_err(|error| match error {
                PopTimeoutError::Timeout => TryPopError::Empty,
                PopTimeoutError::Closed => TryPopError::Closed,
                error => panic!("{error}"),
            })?,
        };
        self.oracle.delivered(Id::of_message(&delivery), delivery.deliveries());
        delivery.ack().unwrap();
        Ok(())
    }

    /// Takes the dead letters that are there, if there are to be any.
    fn take_letters(&mut self) {
        let Ok(letters) = self.queue.dead_letters() else {
            return;
        };
        let mut consumer = letters.consumer().expect("there is a slot");
        while let Ok(delivery) = consumer.try_claim() {
            let origin = delivery.origin().expect("it was set aside");
            if self.letters.insert(origin.position) {
                // It was handed out once, and then to whoever set it aside.
                self.oracle.delivered(Id::of_message(&delivery), 2);
            } else {
                // The first copy was finished, and its cell used again, before anybody looked for it.
                assert_eq!((self.scene.step, self.scene.action), (Step::LetterCopied, Action::Kill));
            }
            delivery.ack().unwrap();
        }
    }

    /// Four messages, and a child that is killed with claims of them.
    fn run_into_debt(&mut self) {
        let producer = self.producer.as_mut().expect("it has one");
        let ids: Vec<_> = (0..4).map(|i| self.ids.one(i % 2 == 0)).collect();
        for id in &ids {
            producer.try_push(&id.message()).expect("there is room");
        }
        self.oracle.pushed(&ids);
        let journal = self.journal("debts");
        let words = self.scene.words();
        let mut debtor = spawn("run into debt", &[&words, &self.dir.file("q"), &journal]);
        assert_eq!(debtor.end().signal(), Some(libc::SIGKILL), "who was to die in debt");
        self.oracle.read(&journal);
    }

    /// What the parent does while the child plays.
    fn turn(&mut self) {
        const MOMENT: Duration = Duration::from_millis(2);
        let now = Duration::ZERO;
        let (mut did, mut idle) = (false, Duration::from_micros(50));
        match self.peer {
            Peer::Drains => {
                did |= self.random.below(4) == 0 && self.try_push();
                did |= self.try_claim(now).is_ok();
            }
            Peer::Feeds => {
                did |= self.try_push();
                // Seldom, so that there is no room for some.
                if self.random.below(16) == 0 {
                    self.take_letters();
                }
                did |= self.random.below(4) == 0 && self.try_claim(now).is_ok();
            }
            Peer::DrainsSlowly => {
                idle = MOMENT;
                let _ = self.try_claim(now);
            }
            Peer::FeedsSlowly => {
                idle = MOMENT;
                self.try_push();
            }
            Peer::AwaitsMessages => did = self.try_claim(MOMENT).is_ok(),
            Peer::AwaitsRoom => {
                for _ in 0..self.scene.cells {
                    self.try_push();
                }
                let producer = self.producer.as_mut().expect("it has one");
                let id = [self.ids.one(false)];
                did = producer.push_timeout(&id[0].message(), MOMENT).is_ok();
                self.oracle.pushed(if did { &id } else { &[] });
            }
            Peer::Dozes => did = self.try_claim(Duration::from_millis(400)).is_ok(),
            Peer::Looks => {}
            Peer::Hurries => {
                did = true;
                let _ = self.producer.is_some() && self.try_push();
                let _ = self.try_claim(now);
                self.take_letters();
            }
        }
        if !did {
            thread::sleep(idle);
        }
    }

    /// Plays until the child has got so far. One that gets nowhere may be blocked for ever.
    fn play_until(&mut self, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            self.turn();
            assert!(start.elapsed() < 2 * REACHED, "the child neither gets there nor gives up");
        }
    }

    /// After a death or not: everything that is there comes soon, to one that polls or one that sleeps. Returns when all was quiet.
    fn drain(&mut self) -> Duration {
        let start = Instant::now();
        let wait = Duration::from_millis(20 * self.random.below(2));
        loop {
            self.take_letters();
            match self.try_claim(wait) {
                Ok(()) => {}
                Err(TryPopError::Closed) => break,
                Err(TryPopError::Empty) if self.queue.is_empty() => break,
                Err(TryPopError::Empty | TryPopError::Pending) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(start.elapsed() < LIVELY, "not drained: {:?}", self.queue.stats());
        }
        start.elapsed().saturating_sub(wait)
    }

    /// Two laps, by a producer and a consumer that wait for each other.
    fn go_round(&mut self) {
        let in_order = self.in_order();
        let queue = &self.queue;
        let producer = self.producer.get_or_insert_with(|| queue.producer().expect("there is a slot"));
        let consumer = self.consumer.as_mut().expect("it has one");
        let ids: Vec<_> = (0..2 * self.scene.cells + 3).map(|i| self.ids.one(i % 3 == 0)).collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                for id in &ids {
                    producer.push_timeout(&id.message(), LIVELY).expect("there is room soon");
                }
            });
            let mut came: Vec<_> = ids
                .iter()
                .map(|_| Id::of_message(&consumer.pop_timeout(LIVELY).expect("the next message comes soon")))
                .collect();
            if !in_order {
                came.sort();
            }
            assert_eq!(came, ids);
        });
        assert!(queue.is_empty());
        for queue in [Some(queue.clone()), queue.dead_letters().ok()].into_iter().flatten() {
            let verified = queue.verify();
            assert!(verified.is_sound() && queue.is_empty(), "{verified:?}");
        }
    }

    /// As many handles as ever, and no more.
    fn fill_slots(&mut self) {
        (self.producer, self.consumer) = (None, None);
        let all: Vec<_> =
            (0..PARTICIPANTS).map(|_| self.queue.consumer().expect("a slot came back")).collect();
        let full = AttachError::TooManyParticipants { max: PARTICIPANTS as usize };
        assert_eq!(self.queue.producer().err(), Some(full));
        drop(all);
        assert!(self.queue.stats().participants.is_empty());
    }

    /// As many groups as ever, and no more; and as many rewinds.
    fn fill_groups(&self) {
        let names = ["a", "b", "c"];
        for name in names {
            let group = self.queue.group(name).expect("a record and an entry came back");
            group.rewind().expect("an entry came back");
        }
        assert_eq!(self.queue.group("d").err(), Some(AttachError::TooManyGroups { max: 4 }));
        for name in names {
            assert!(self.queue.remove_group(name));
        }
        assert_eq!(self.queue.stats().groups.len(), 1);
    }

    fn close(&self) {
        let mut producer = self.queue.producer().expect("there is a slot");
        let mut consumer = self.queue.consumer().expect("there is a slot");
        self.queue.close();
        assert_eq!(consumer.pop(), Err(PopError::Closed));
        assert_eq!(producer.push(b"late"), Err(PushError::Closed));
        assert_eq!(producer.try_push(b"late"), Err(TryPushError::Closed));
    }

    /// What must be so when the child is gone, however it went. Returns how long the queue took to be empty and quiet.
    fn end(mut self) -> Duration {
        let killed = self.scene.action == Action::Kill;
        // The child closed the queue or opened it again; else it is open.
        if killed && self.scene.step == Step::TailClosed {
            assert_eq!(self.queue.is_closed(), self.scene.hit == 1);
        }
        if self.random.below(2) == 0 {
            // Who opens the file settles what the dead owe, before anybody misses anything.
            drop(Queue::open(self.dir.file("q")).expect("the queue opens"));
        }
        // Whoever made it is gone; while it is there it holds what it has not finished, as it should.
        self.queue.remove_group(OTHER_GROUP);
        let took = self.drain();
        self.take_letters();
        self.queue.reopen();
        self.oracle.read(&self.journal("journal"));
        self.judge(killed);
        self.go_round();
        self.fill_slots();
        self.fill_groups();
        self.close();
        took
    }

    /// A message of a Ticketed group may come late whose place another consumer has drawn, and be it a dead one.
    fn in_order(&self) -> bool {
        self.scene.claim == Claim::Ordered || !self.scene.play.takes()
    }

    fn judge(&self, killed: bool) {
        let dead = match self.scene.play {
            // One has died in a batch that was half published, in any case; the other does nothing of the kind.
            Play::Recover => Some(Interrupted::at(Step::LaterPublished)),
            _ => killed.then(|| Interrupted::at(self.scene.step)),
        };
        self.oracle.judge(dead, self.in_order());
    }
}

/// Plays a scene; `then` is told when the child has stopped or is gone.
fn perform(scene: &Scene, then: impl FnOnce(&mut Stage<'_>, &mut Child)) -> Duration {
    let _watchdog = Watchdog::new(HANGS, format!("{scene:?}"));
    let dir = Dir::new();
    let (path, journal) = (dir.file("q"), dir.file("journal"));
    let start = || spawn("perform", &[&scene.words(), &path, &journal]);
    if scene.play == Play::Create {
        let mut child = start();
        while child.doing() == Doing::Going {
            thread::sleep(Duration::from_micros(200));
        }
        // Nothing of half a file is ever seen.
        let left = path.exists();
        assert_eq!(left, scene.step == Step::FileNamed);
        let mut stage = Stage::open(scene, dir);
        assert_eq!(stage.queue.is_new(), !left);
        then(&mut stage, &mut child);
        return stage.end();
    }
    let mut stage = Stage::open(scene, dir);
    if scene.play == Play::Recover {
        stage.run_into_debt();
    }
    let mut child = start();
    stage.play_until(|| child.doing() != Doing::Going);
    then(&mut stage, &mut child);
    stage.end()
}

/// Plays all scenes, several at a time, since they sleep most of the time.
fn play_all(scenes: &[Scene], play: impl Fn(&Scene) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..number_from("RINGFILE_SIDE_BY_SIDE", 4) {
            scope.spawn(|| {
                while let Some(scene) = scenes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(cause) = catch_unwind(AssertUnwindSafe(|| play(scene))) {
                        eprintln!("that was {scene:?}");
                        next.store(scenes.len(), Ordering::Relaxed);
                        resume_unwind(cause);
                    }
                }
            });
        }
    });
}

/// Every step, or the one that the environment names.
fn steps() -> impl Iterator<Item = Step> {
    let only = std::env::var("RINGFILE_STEP").ok();
    Step::ALL
        .iter()
        .copied()
        .filter(move |step| only.as_ref().is_none_or(|only| *only == format!("{step:?}")))
}

#[test]
fn killed_at_every_step() {
    let at_least = number_from("RINGFILE_CRASHES", 2);
    let all: Vec<_> = steps().flat_map(|step| scenes(step, Action::Kill, at_least)).collect();
    let delays = Mutex::new(Vec::new());
    play_all(&all, |scene| {
        let took = perform(scene, |_, child| {
            let status = child.end();
            assert_eq!(status.signal(), Some(libc::SIGKILL), "the child did not get there: {status}");
        });
        delays.lock().expect("nobody panicked").push(took);
    });
    let mut delays = delays.into_inner().expect("nobody panicked");
    delays.sort();
    println!(
        "{} deaths at {} steps; all that was left had come after {:?} in the median, {:?} at most",
        all.len(),
        Step::ALL.len(),
        delays[delays.len() / 2],
        delays[delays.len() - 1],
    );
}

/// How long a child is left stopped: 5 to 50 ms, or what the environment says, each order of magnitude as often as another.
fn pause(random: &mut Random) -> Duration {
    let range = std::env::var("RINGFILE_PAUSE_MS").unwrap_or_else(|_| "5..50".to_owned());
    let (from, to) = range.split_once("..").expect("RINGFILE_PAUSE_MS is a range");
    let [from, to] = [from, to].map(|end| end.parse::<f64>().expect("RINGFILE_PAUSE_MS is of numbers"));
    let part = random.below(1 << 20) as f64 / (1 << 20) as f64;
    Duration::from_secs_f64(from * (to / from).powf(part) / 1000.0)
}

/// Nothing that a stopped child looks like is taken for a death.
#[test]
fn paused_at_every_step() {
    let at_least = number_from("RINGFILE_PAUSES", 2);
    let all: Vec<_> = steps().flat_map(|step| scenes(step, Action::Stop, at_least)).collect();
    play_all(&all, |scene| {
        perform(scene, |stage, child| {
            assert_eq!(child.doing(), Doing::Stopped, "the child did not get there");
            let (going, path) = (AtomicBool::new(true), stage.dir.file("q"));
            let end = Instant::now() + pause(&mut stage.random);
            stage.peer = Peer::Hurries;
            thread::scope(|scope| {
                scope.spawn(|| {
                    while going.load(Ordering::Relaxed) {
                        drop(Queue::open(&path).expect("the queue opens"));
                    }
                });
                while Instant::now() < end {
                    stage.turn();
                }
                going.store(false, Ordering::Relaxed);
            });
            child.signal(libc::SIGCONT);
            stage.peer = if scene.peer == Peer::Looks { Peer::Drains } else { scene.peer };
            stage.play_until(|| child.doing() == Doing::Ended);
            let status = child.end();
            assert!(status.success(), "the child failed: {status}");
        });
    });
    println!("{} pauses at {} steps", all.len(), Step::ALL.len());
}

/// The table is for people; the steps are what is killed.
#[test]
fn the_crash_table_names_every_step() {
    let document = include_str!("../docs/protocol.md");
    let rows: Vec<&str> = document
        .lines()
        .skip_while(|line| !line.starts_with("## 10."))
        .take_while(|line| !line.starts_with("## 11."))
        .filter_map(|line| line.strip_prefix('|')?.split('|').next())
        .map(str::trim)
        // The heading, and the line under it.
        .skip(2)
        .collect();
    let steps: Vec<&str> = Step::ALL.iter().map(|step| step.says()).collect();
    for step in &steps {
        assert_eq!(
            rows.iter().filter(|row| *row == step).count(),
            1,
            "rows in docs/protocol.md for {step:?}"
        );
    }
    for row in &rows {
        assert!(steps.contains(row), "docs/protocol.md has {row:?}, and fault.rs does not");
    }
    assert_eq!(rows, steps, "the order is not the same");
}
