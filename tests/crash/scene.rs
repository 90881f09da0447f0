//! What a child plays that is to be killed or stopped at a step, and who plays with it.

use super::oracle::{Deed, Id, Journal};
use crate::common::{CLAIMS, Random, below_wrap};
use ringfile::fault::{self, Action, Step};
use ringfile::{Claim, Consumer, Options, Producer, Queue, TryPushError, Wait};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// What the child does, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Play {
    Push,
    PushLong,
    PushBatch,
    Commit,
    Abort,
    Pop,
    Claim,
    /// Gives back each message once before it finishes it.
    Release,
    /// Finishes the first of several, and gives the others back once.
    Split,
    /// Opens the file, takes handles, uses them and drops everything.
    ComeAndGo,
    /// Closes the queue and opens it again.
    Close,
    /// Makes the file.
    Create,
    /// Opens a file in which another was killed with debts.
    Recover,
    /// Waits for what never comes.
    Await,
    /// Makes a group, consumes in it, rewinds it and removes it.
    Regroup,
}

use Play::*;

impl Play {
    fn is_push(self) -> bool {
        matches!(self, Push | PushLong | PushBatch | Commit | Abort)
    }

    /// Whether the child is a consumer, too.
    pub fn takes(self) -> bool {
        !self.is_push() && !matches!(self, Close | Regroup)
    }
}

/// What the parent does meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Drains,
    Feeds,
    /// So seldom that the child falls asleep in between.
    DrainsSlowly,
    FeedsSlowly,
    /// Falls asleep itself.
    AwaitsMessages,
    AwaitsRoom,
    /// Sleeps so long that it dozes, and has no producer, who would be up.
    Dozes,
    /// Nothing, before the child is killed or stopped.
    Looks,
    /// While the child is stopped: everything, as fast as it can, so that all slow paths ask about the dead.
    Hurries,
}

impl Peer {
    /// Whether somebody is to fall asleep, itself or the child.
    fn sleeps(self) -> bool {
        use Peer::*;
        matches!(self, AwaitsMessages | AwaitsRoom | DrainsSlowly | FeedsSlowly)
    }
}

/// Every play in which a step is reached.
pub fn plays(step: Step) -> Vec<(Play, Peer)> {
    let with = |peer: Peer, plays: &[Play]| plays.iter().map(|&play| (play, peer)).collect::<Vec<_>>();
    let reserving = with(Peer::Drains, &[Push, PushLong, PushBatch, Commit, Abort]);
    let taking = with(Peer::Feeds, &[Pop, Claim, Release, Split]);
    match step {
        Step::FileAllocated | Step::FileFormatted | Step::FileNamed => with(Peer::Looks, &[Create]),
        Step::NumberDrawn
        | Step::ByteLocked
        | Step::SlotTaken
        | Step::SlotBound
        | Step::Silenced
        | Step::Detached => with(Peer::Drains, &[ComeAndGo]),
        Step::IntentPacked
        | Step::IntentAnnounced
        | Step::TailSwapped
        | Step::CellStaged
        | Step::FirstPublished => reserving,
        Step::LaterPublished => with(Peer::Drains, &[PushBatch]),
        Step::WakeCleared | Step::WakeCounted => [
            with(Peer::AwaitsMessages, &[Push, PushBatch, Commit, Close]),
            with(Peer::AwaitsRoom, &[Pop, Claim, Split]),
        ]
        .concat(),
        Step::PlaceDrawn
        | Step::LeaseBegun
        | Step::ClaimPacked
        | Step::ClaimAnnounced
        | Step::Claimed
        | Step::HintStored
        | Step::LetGo => taking,
        Step::Acked => with(Peer::Feeds, &[Pop, Claim, Split]),
        Step::RestKept | Step::FirstAcked => with(Peer::Feeds, &[Split]),
        Step::WordReleased | Step::Released => with(Peer::Feeds, &[Release, Split]),
        Step::RedoRaised => [with(Peer::Feeds, &[Release, Split]), with(Peer::Looks, &[Recover])].concat(),
        Step::LetterCopied | Step::SetAside | Step::LetterKept => with(Peer::Feeds, &[Release]),
        Step::FrontierMoved | Step::ReapMoved => with(Peer::Drains, &[Push, PushLong, PushBatch]),
        Step::KeptMoved | Step::GaveWay | Step::ScrubBegun | Step::Scrubbed => {
            with(Peer::Drains, &[Push, PushLong, PushBatch])
        }
        Step::RecordTaken
        | Step::NameWritten
        | Step::NamePublished
        | Step::EntryPinned
        | Step::NameRedirected
        | Step::ReapRenewed
        | Step::EntryReady
        | Step::NameRemoved
        | Step::DrainBegun
        | Step::EntryFreed => with(Peer::Drains, &[Regroup]),
        // Between two instructions of two participants: only the models get there.
        Step::ClaimUndone => Vec::new(),
        Step::Parked | Step::LainDown | Step::GotUp => {
            [with(Peer::FeedsSlowly, &[Pop, Claim]), with(Peer::DrainsSlowly, &[Push, PushBatch])].concat()
        }
        Step::DozeEnded => with(Peer::Dozes, &[Await]),
        Step::CellVoided | Step::ClaimSettled | Step::DebtsSettled | Step::SlotFreed => {
            with(Peer::Looks, &[Recover])
        }
        Step::TailClosed => [with(Peer::Feeds, &[Close]), with(Peer::AwaitsMessages, &[Close])].concat(),
    }
}

/// How many may take part in the queues here: a child has two handles at most, one that died before it three, the parent two.
pub const PARTICIPANTS: u32 = 7;

/// One child's life.
#[derive(Clone, Debug)]
pub struct Scene {
    pub step: Step,
    /// The step's which time it is, after so many turns without.
    pub hit: u32,
    pub late: u64,
    pub action: Action,
    pub play: Play,
    pub peer: Peer,
    pub claim: Claim,
    pub cells: u64,
    /// How far the queue's birth lies below the wraps.
    pub before: u64,
    pub parks: bool,
    pub seed: u64,
}

/// Every scene in which a step is to be reached, and so many at least: the same ones again, with other numbers.
pub fn scenes(step: Step, action: Action, at_least: usize) -> Vec<Scene> {
    let once = matches!(step, Step::FileAllocated | Step::FileFormatted | Step::FileNamed);
    let mut kinds = Vec::new();
    for (play, peer) in plays(step) {
        for claim in CLAIMS {
            // Nobody draws a place in an Ordered group.
            if step == Step::PlaceDrawn && claim == Claim::Ordered {
                continue;
            }
            // A process makes a file once.
            kinds.extend((1..=if once { 1 } else { 2 }).map(|hit| (play, peer, claim, hit)));
        }
    }
    let all = kinds.len().max(at_least);
    let rounds = kinds.iter().cycle().take(all).enumerate();
    rounds
        .map(|(i, &(play, peer, claim, hit))| {
            let seed = (step as u64) << 32 | i as u64;
            let mut random = Random(seed);
            let cells = if play == Recover { 8 } else { 2 << random.below(3) };
            let at_once = matches!(play, Create | Recover | Await) || random.below(2) == 0;
            Scene {
                step,
                hit,
                late: if at_once { 0 } else { random.below(3 * cells) },
                action,
                play,
                peer,
                claim,
                cells,
                before: random.below(3 * cells),
                // On a busy machine, one that looks for a while finds something, and never sleeps.
                parks: random.below(2) == 0 || peer.sleeps(),
                seed,
            }
        })
        .collect()
}

impl Scene {
    pub fn options(&self) -> Options {
        let mut options = below_wrap(self.cells, self.before);
        options.capacity(1024).cell_size(64).participants(PARTICIPANTS).claim(self.claim);
        options.wait(if self.parks { Wait::Park } else { Wait::Adaptive });
        if matches!(self.step, Step::LeaseBegun | Step::LetGo) {
            // So long that none expires.
            options.lease(Duration::from_secs(3600));
        }
        options.max_deliveries(u32::from(self.sets_aside()));
        if matches!(self.step, Step::KeptMoved | Step::GaveWay) {
            // More than may stay.
            options.retain(self.cells);
        }
        // One more, for those who do it.
        let scrubs = matches!(self.step, Step::ScrubBegun | Step::Scrubbed);
        options.scrub(scrubs).groups(if scrubs { 5 } else { 4 });
        options
    }

    /// Whether what is given back is a dead letter.
    pub fn sets_aside(&self) -> bool {
        matches!(self.step, Step::LetterCopied | Step::SetAside | Step::LetterKept)
    }

    /// As arguments of the child that plays it.
    pub fn words(&self) -> String {
        let place = |found: Option<usize>| found.expect("it is one of them") as u64;
        let step = place(Step::ALL.iter().position(|&step| step == self.step));
        let play =
            place(plays(self.step).iter().position(|&(play, peer)| (play, peer) == (self.play, self.peer)));
        let claim = place(CLAIMS.iter().position(|&claim| claim == self.claim));
        let stops = u64::from(self.action == Action::Stop);
        let (hit, parks) = (self.hit.into(), self.parks.into());
        let words = [step, play, claim, stops, hit, self.late, self.cells, self.before, parks, self.seed];
        words.map(|word| word.to_string()).join(" ")
    }

    pub fn from_words(words: &str) -> Scene {
        let words: Vec<u64> = words.split(' ').map(|word| word.parse().expect("a number")).collect();
        let [step, play, claim, stops, hit, late, cells, before, parks, seed] = words[..] else {
            panic!("no scene is {words:?}");
        };
        let step = Step::ALL[step as usize];
        let (play, peer) = plays(step)[play as usize];
        Scene {
            step,
            hit: hit as u32,
            late,
            action: if stops == 1 { Action::Stop } else { Action::Kill },
            play,
            peer,
            claim: CLAIMS[claim as usize],
            cells,
            before,
            parks: parks == 1,
            seed,
        }
    }

    /// In the child: plays until it is killed, or has been stopped and gone on for a while.
    pub fn perform(&self, path: &Path, journal: &Path) {
        let start = Instant::now();
        let arm = || fault::arm(self.step, self.hit, self.action);
        let journal = Journal::create(journal);
        if self.late == 0 {
            arm();
        }
        let mut actor = Actor::enter(self, path, journal);
        let (mut turns, mut after) = (0, 0);
        while after < if self.play == Await { 1 } else { 2 * self.cells } {
            if self.late > 0 && turns == self.late {
                arm();
            }
            actor.turn();
            if matches!(self.peer, Peer::AwaitsMessages | Peer::AwaitsRoom) {
                // Else the peer might have no time to fall asleep, the less the busier the machine is.
                thread::sleep(Duration::from_micros(300) * (1 + turns as u32 / 20));
            }
            if self.peer == Peer::Dozes {
                // Or it would take the watch again that it has just given up, and the peer would never doze.
                thread::sleep(Duration::from_millis(20));
            }
            turns += 1;
            let there = turns > self.late && !fault::is_armed();
            after += u64::from(there);
            assert!(there || start.elapsed() < REACHED, "never got there in {turns} turns: {self:?}");
        }
    }
}

/// In so much time every step is reached.
pub const REACHED: Duration = Duration::from_secs(30);

/// The child.
struct Actor {
    play: Play,
    path: PathBuf,
    options: Options,
    queue: Queue,
    producer: Option<Producer>,
    consumer: Option<Consumer>,
    journal: Journal,
    ids: Ids,
}

impl Actor {
    fn enter(scene: &Scene, path: &Path, journal: Journal) -> Actor {
        let options = scene.options();
        let queue = match scene.play {
            Create => options.open(path),
            _ => options.attach(path),
        };
        let queue = queue.expect("the queue opens");
        let producer = scene.play.is_push();
        let consumer = matches!(scene.play, Pop | Claim | Release | Split | Await);
        Actor {
            play: scene.play,
            path: path.to_owned(),
            options,
            producer: producer.then(|| queue.producer().expect("there is a slot")),
            consumer: consumer.then(|| queue.consumer().expect("there is a slot")),
            queue,
            journal,
            ids: Ids::of(CHILD, scene.cells),
        }
    }

    fn turn(&mut self) {
        match self.play {
            Push | PushLong | PushBatch | Commit | Abort => self.push(),
            Pop => self.pop(),
            Claim | Release | Split => self.claim(),
            ComeAndGo | Create | Recover => self.come_and_go(),
            Close => {
                self.queue.close();
                self.queue.reopen();
            }
            Regroup => self.regroup(),
            Await => {
                let consumer = self.consumer.as_mut().expect("it has one");
                // The watcher does not doze before it has napped 20 times.
                assert!(consumer.pop_timeout(Duration::from_millis(250)).is_err());
            }
        }
    }

    fn push(&mut self) {
        let producer = self.producer.as_mut().expect("it has one");
        if self.play == Abort {
            let mut place = producer.reserve(self.ids.below(100)).expect("there is room some time");
            place.fill(0xdd);
            return;
        }
        let ids = match self.play {
            PushBatch => self.ids.batch(),
            play => vec![self.ids.one(play == PushLong)],
        };
        let messages: Vec<_> = ids.iter().map(|id| id.message()).collect();
        self.journal.note(Deed::Pushing, &ids);
        match self.play {
            PushBatch => drop(producer.push_batch(&messages).expect("it is open")),
            Commit => {
                let mut place = producer.reserve(messages[0].len() + 3).expect("it is open");
                place[..messages[0].len()].copy_from_slice(&messages[0]);
                place.commit_len(messages[0].len());
            }
            _ => drop(producer.push(&messages[0]).expect("it is open")),
        }
        self.journal.note(Deed::Pushed, &ids);
    }

    fn pop(&mut self) {
        self.journal.begin(Deed::Popping);
        let message = self.consumer.as_mut().expect("it has one").pop().expect("it is open");
        let id = [Id::of_message(&message)];
        self.journal.note(Deed::Took(1), &id);
        self.journal.note(Deed::Finished, &id);
    }

    fn claim(&mut self) {
        let (journal, split) = (&mut self.journal, self.play == Split);
        let consumer = self.consumer.as_mut().expect("it has one");
        journal.begin(Deed::Claiming);
        let mut batch = consumer.claim_batch(if split { 3 } else { 1 }).expect("it is open");
        let mut ids: Vec<_> = batch.iter().map(Id::of_message).collect();
        let deliveries = batch.deliveries();
        journal.note(Deed::Took(deliveries), &ids);
        if split && ids.len() > 1 {
            journal.note(Deed::Finishing, &ids[..1]);
            batch.ack_first(1).unwrap();
            journal.note(Deed::Finished, &ids[..1]);
            ids.remove(0);
        }
        if self.play == Claim || deliveries > 1 {
            journal.note(Deed::Finishing, &ids);
            batch.ack().unwrap();
            journal.note(Deed::Finished, &ids);
        } else {
            journal.note(Deed::Releasing, &ids);
            drop(batch);
            journal.note(Deed::Released, &ids);
        }
    }

    /// What happens in another group is none of the messages' business.
    fn regroup(&mut self) {
        let group = self.queue.group(OTHER_GROUP).expect("there is room for a group");
        let mut consumer = group.consumer().expect("there is a slot");
        let held = consumer.try_claim().ok();
        group.rewind().expect("there is an entry");
        drop(held);
        let _ = consumer.try_pop();
        assert!(self.queue.remove_group(OTHER_GROUP));
    }

    fn come_and_go(&mut self) {
        let queue = self.options.attach(&self.path).expect("the queue opens");
        let mut producer = queue.producer().expect("there is a slot");
        let mut consumer = queue.consumer().expect("there is a slot");
        let id = [self.ids.one(false)];
        self.journal.note(Deed::Pushing, &id);
        producer.push(&id[0].message()).expect("it is open");
        self.journal.note(Deed::Pushed, &id);
        self.journal.begin(Deed::Claiming);
        let Ok(delivery) = consumer.try_claim() else {
            return self.journal.begin(Deed::Released);
        };
        let id = [Id::of_message(&delivery)];
        self.journal.note(Deed::Took(delivery.deliveries()), &id);
        self.journal.note(Deed::Finishing, &id);
        delivery.ack().unwrap();
        self.journal.note(Deed::Finished, &id);
    }
}

/// The group that comes and goes.
pub const OTHER_GROUP: &str = "other";

/// Who pushes.
pub const PARENT: u64 = 1;
pub const CHILD: u64 = 2;
pub const DEBTOR: u64 = 3;

/// The ids that a producer gives to its messages.
pub struct Ids {
    producer: u64,
    next: u64,
    most: u64,
}

impl Ids {
    pub fn of(producer: u64, cells: u64) -> Ids {
        Ids { producer, next: 0, most: cells.min(3) }
    }

    pub fn one(&mut self, long: bool) -> Id {
        self.next += 1;
        Id::new(self.producer, self.next, 0, 1, long)
    }

    /// Of two or three messages, as many as fit.
    pub fn batch(&mut self) -> Vec<Id> {
        let (first, long) = (self.next + 1, self.next.is_multiple_of(2));
        self.next += self.most;
        (0..self.most).map(|place| Id::new(self.producer, first + place, place, self.most, long)).collect()
    }

    /// Some number.
    fn below(&mut self, end: usize) -> usize {
        self.next += 1;
        self.next as usize * 37 % end
    }

    /// One message or a batch, pushed if there is room.
    pub fn try_push(&mut self, producer: &mut Producer, random: &mut Random) -> Option<Vec<Id>> {
        let ids = match random.below(3) {
            0 => self.batch(),
            other => vec![self.one(other == 1)],
        };
        let messages: Vec<_> = ids.iter().map(|id| id.message()).collect();
        match producer.try_push_batch(&messages) {
            Ok(_) => Some(ids),
            Err(TryPushError::Full | TryPushError::Closed) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// In a child that is to be killed first, with debts for others to settle: two claims and half of a batch.
pub fn run_into_debt(scene: &Scene, path: &Path, journal: &Path) {
    let queue = scene.options().attach(path).expect("the queue opens");
    let mut journal = Journal::create(journal);
    let mut consumers = [(); 2].map(|()| queue.consumer().expect("there is a slot"));
    let _held = consumers.each_mut().map(|consumer| {
        let batch = consumer.claim_batch(2).expect("there is something");
        let ids: Vec<_> = batch.iter().map(Id::of_message).collect();
        journal.note(Deed::Took(batch.deliveries()), &ids);
        batch
    });
    let mut producer = queue.producer().expect("there is a slot");
    let ids = Ids::of(DEBTOR, scene.cells).batch();
    let messages: Vec<_> = ids.iter().map(|id| id.message()).collect();
    journal.note(Deed::Pushing, &ids);
    fault::arm(Step::LaterPublished, 1, Action::Kill);
    let _ = producer.push_batch(&messages);
}
