//! What a caller holds: deliveries, batches, reservations and handles, let go of in every way there is, leaking and panics included.

mod common;

use common::{CLAIMS, Dir, below_wrap, handles, pattern, texts, watch, with_batch};
use ringfile::{
    AttachError, Claim, Consumer, Delivery, Options, Producer, Queue, Reservation, Role, TryPopError,
    TryPushError,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const KIB: usize = 1024;

/// A ring of 8 KiB and 16 cells in memory, a few positions below the wraps.
fn small(claim: Claim) -> Queue {
    below_wrap(16, 5).capacity(8 * KIB).claim(claim).in_memory().unwrap()
}

fn push_all(producer: &mut Producer, messages: &[&str]) {
    for message in messages {
        producer.try_push(message.as_bytes()).unwrap();
    }
}

fn pop(consumer: &mut Consumer) -> String {
    String::from_utf8(consumer.try_pop().unwrap()).unwrap()
}

// ---- what the types promise -------------------------------------------------------------------------------------------

/// Whether a type is `Sync`: of two ways to name the constant, an inherent one that exists for `Sync` types alone wins.
macro_rules! is_sync {
    ($type:ty) => {{
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: ?Sized + Sync> Probe<T> {
            const SYNC: bool = true;
        }
        // Where the other one wins, this is never used.
        #[allow(dead_code)]
        trait Otherwise {
            const SYNC: bool = false;
        }
        impl<T: ?Sized> Otherwise for Probe<T> {}
        <Probe<$type>>::SYNC
    }};
}

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}
const fn is_error<T: std::error::Error + Send + Sync + 'static>() {}

const _: () = {
    is_send::<Queue>();
    is_sync::<Queue>();
    is_send::<Options>();
    is_sync::<Options>();
    is_send::<Producer>();
    is_send::<Consumer>();
    is_error::<ringfile::OpenError>();
    is_error::<AttachError>();
    is_error::<TryPushError>();
    is_error::<ringfile::PushError>();
    is_error::<ringfile::PushTimeoutError>();
    is_error::<TryPopError>();
    is_error::<ringfile::PopError>();
    is_error::<ringfile::PopTimeoutError>();
    assert!(!is_sync!(Producer));
    assert!(!is_sync!(Consumer));
    assert!(!is_sync!(Cell<u8>) && is_sync!(u8), "the probe can tell");
};

#[test]
fn a_clone_of_a_queue_is_the_same_open() {
    let queue = small(Claim::Ordered);
    let clone = queue.clone();
    queue.producer().unwrap().push(b"x").unwrap();
    drop(queue);
    assert_eq!(clone.consumer().unwrap().pop().unwrap(), b"x");
}

/// Handles keep the mapping alive: what they need does not go with the queue.
#[test]
fn handles_outlive_the_queue_in_every_order() {
    let dir = Dir::new();
    for order in 0..6 {
        let path = dir.file(&format!("q{order}"));
        let queue = Queue::options().capacity(4096).open(&path).unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        producer.push(b"x").unwrap();
        match order {
            0 => drop((queue, producer, consumer)),
            1 => drop((queue, consumer, producer)),
            2 => drop((producer, queue, consumer)),
            3 => drop((producer, consumer, queue)),
            4 => drop((consumer, producer, queue)),
            _ => {
                drop(queue);
                std::fs::remove_file(&path).unwrap();
                producer.push(b"y").unwrap();
                assert_eq!(consumer.pop().unwrap(), b"x");
                assert_eq!(consumer.pop().unwrap(), b"y");
                continue;
            }
        }
        let queue = Queue::open(&path).unwrap();
        assert_eq!(queue.stats().participants.len(), 0);
        assert_eq!(queue.consumer().unwrap().pop().unwrap(), b"x");
    }
}

// ---- leaked guards ----------------------------------------------------------------------------------------------------

#[test]
fn a_leaked_reservation_is_aborted_by_the_next_call() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        let leaked = producer.try_reserve(500).unwrap().position();
        std::mem::forget(producer.try_reserve(500).unwrap());
        // `leaked` itself was dropped, so it is stepped over; behind it is the one that is not finished.
        assert_eq!(consumer.try_pop(), Err(TryPopError::Pending));
        assert_eq!(queue.verify().unpublished, 1);
        let next = producer.try_push(b"next").unwrap();
        assert_eq!(next.get(), leaked.get() + 2);
        assert_eq!(pop(&mut consumer), "next");
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        assert!(queue.is_empty() && queue.verify().is_sound());
    }
}

/// Calls that fail are calls too.
#[test]
fn a_leaked_reservation_is_aborted_by_a_call_that_fails() {
    let queue = small(Claim::Ordered);
    let (mut producer, mut consumer) = handles(&queue);
    std::mem::forget(producer.try_reserve(1).unwrap());
    let len = queue.max_message_len() + 1;
    assert!(matches!(producer.try_push(&vec![0; len]), Err(TryPushError::TooLarge { .. })));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));

    std::mem::forget(producer.try_reserve(1).unwrap());
    queue.close();
    assert_eq!(consumer.try_pop(), Err(TryPopError::Pending));
    assert_eq!(producer.try_push(b"x"), Err(TryPushError::Closed));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Closed));
}

#[test]
fn a_leaked_reservation_is_aborted_when_its_producer_is_dropped() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        let mut other = queue.producer().unwrap();
        push_all(&mut other, &["before"]);
        std::mem::forget(producer.try_reserve(4000).unwrap());
        assert_eq!(pop(&mut consumer), "before");
        assert_eq!(consumer.try_pop(), Err(TryPopError::Pending));
        push_all(&mut other, &["behind"]);
        drop(producer);
        assert_eq!(pop(&mut consumer), "behind");
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
}

/// Leaked again and again, reservations take no space for good.
#[test]
fn leaked_reservations_give_their_space_back() {
    let queue = small(Claim::Ordered);
    let (mut producer, mut consumer) = handles(&queue);
    for round in 0..1000 {
        let len = queue.max_message_len() - round % 100;
        std::mem::forget(producer.try_reserve(len).unwrap());
        producer.try_push(&pattern(7, 1000)).unwrap();
        assert_eq!(consumer.try_pop().unwrap(), pattern(7, 1000));
    }
}

#[test]
fn a_leaked_delivery_comes_back_by_the_next_call_of_its_consumer() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        let mut other = queue.consumer().unwrap();
        push_all(&mut producer, &["a", "b"]);
        std::mem::forget(consumer.try_claim().unwrap());
        // It is held, leaked or not.
        assert_eq!(pop(&mut other), "b");
        assert_eq!(other.try_pop(), Err(TryPopError::Empty));
        assert_eq!(queue.len(), 1);
        let again = consumer.try_claim().unwrap();
        assert_eq!((&*again, again.deliveries()), (&b"a"[..], 2));
        again.ack().unwrap();
        assert!(queue.is_empty());
    }
}

#[test]
fn a_leaked_delivery_comes_back_when_its_consumer_is_dropped() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        let mut other = queue.consumer().unwrap();
        push_all(&mut producer, &["a"]);
        std::mem::forget(consumer.try_claim().unwrap());
        assert_eq!(other.try_pop(), Err(TryPopError::Empty));
        drop(consumer);
        let again = other.try_claim().unwrap();
        assert_eq!((&*again, again.deliveries()), (&b"a"[..], 2));
    }
}

#[test]
fn a_leaked_batch_comes_back_without_what_was_acknowledged() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        let messages = ["a", "b", "c", "d"];
        with_batch(&mut producer, &mut consumer, &messages, |mut batch| {
            batch.ack_first(1).unwrap();
            std::mem::forget(batch);
        });
        assert_eq!(queue.len(), 3);
        for expected in ["b", "c", "d"] {
            let again = consumer.try_claim().unwrap();
            assert_eq!((&*again, again.deliveries()), (expected.as_bytes(), 2));
            again.ack().unwrap();
        }
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
}

// ---- panics -----------------------------------------------------------------------------------------------------------

/// Runs what panics on purpose, without the noise of its message.
fn panics(run: impl FnOnce()) {
    let result = catch_unwind(AssertUnwindSafe(run));
    let payload = result.expect_err("it panics");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
}

#[test]
fn a_panic_in_a_drain_finishes_what_was_seen_and_puts_back_the_rest() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        producer.try_push_batch(&["a", "b", "c", "d"]).unwrap();
        let mut seen = 0;
        let panicking = |seen: &mut i32| {
            assert!(*seen < 2, "on purpose");
            *seen += 1;
        };
        // However many are claimed at a time, it is the third that panics.
        panics(|| while consumer.try_drain(10, |_| panicking(&mut seen)).is_ok() {});
        assert_eq!(queue.len(), 2);
        for expected in ["c", "d"] {
            let again = consumer.try_claim().unwrap();
            assert_eq!(&*again, expected.as_bytes());
            assert!(again.deliveries() == 2 || claim == Claim::Ticketed);
            again.ack().unwrap();
        }
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        assert!(queue.verify().is_sound());
    }
}

/// A message that panics, or changes its length, when it is asked for its bytes the `at`-th time.
struct Treacherous {
    asked: Cell<u32>,
    panics_at: u32,
    grows: bool,
}

impl Treacherous {
    fn new(panics_at: u32, grows: bool) -> Treacherous {
        Treacherous { asked: Cell::new(0), panics_at, grows }
    }
}

impl AsRef<[u8]> for Treacherous {
    fn as_ref(&self) -> &[u8] {
        let asked = self.asked.get();
        self.asked.set(asked + 1);
        assert!(asked != self.panics_at, "on purpose");
        let len = if self.grows { 100 + asked as usize * 500 } else { 100 };
        &[0x77; 4000][..len.min(4000)]
    }
}

#[test]
fn a_panic_in_as_ref_pushes_nothing() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        for round in 0..50u32 {
            let batch = [
                Treacherous::new(u32::MAX, false),
                Treacherous::new(round % 4, false),
                Treacherous::new(u32::MAX, false),
            ];
            let result = catch_unwind(AssertUnwindSafe(|| producer.try_push_batch(&batch)));
            // How often the bytes are asked for is the queue's affair; either the whole batch is there, or nothing.
            match result {
                Ok(pushed) => {
                    assert_eq!(pushed.unwrap().len(), 3);
                    for _ in 0..3 {
                        assert_eq!(consumer.try_pop().unwrap(), [0x77; 100]);
                    }
                }
                Err(_) => {
                    producer.try_push(b"next").unwrap();
                    assert_eq!(pop(&mut consumer), "next");
                }
            }
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
            assert!(queue.is_empty() && queue.verify().is_sound());
        }
    }
}

/// A message that grows between two questions gets no space that is not its own, panic or not.
#[test]
fn a_batch_whose_messages_grow_overwrites_nothing() {
    let queue = small(Claim::Ordered);
    let (mut producer, mut consumer) = handles(&queue);
    let mut other = queue.consumer().unwrap();
    for _ in 0..50 {
        let positions = producer.try_push_batch(&[pattern(1, 900), pattern(2, 900)]).unwrap();
        let held = other.try_claim().unwrap();
        let batch = [Treacherous::new(u32::MAX, true), Treacherous::new(u32::MAX, true)];
        let _ = catch_unwind(AssertUnwindSafe(|| producer.try_push_batch(&batch).map(|_| ())));
        producer.try_push(b"next").unwrap();
        assert_eq!(&*held, pattern(1, 900));
        assert_eq!(Some(held.position()), positions.first());
        held.ack().unwrap();
        assert_eq!(consumer.try_pop().unwrap(), pattern(2, 900));
        loop {
            let message = consumer.try_pop().unwrap();
            if message == b"next" {
                break;
            }
            assert!(message.iter().all(|&byte| byte == 0x77));
        }
        assert!(queue.is_empty() && queue.verify().is_sound());
    }
}

#[test]
fn a_panic_with_a_reservation_in_hand_aborts_it() {
    let queue = small(Claim::Ordered);
    let (mut producer, mut consumer) = handles(&queue);
    panics(|| {
        let mut place = producer.try_reserve(10).unwrap();
        place.fill(1);
        panic!("on purpose");
    });
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    push_all(&mut producer, &["next"]);
    assert_eq!(pop(&mut consumer), "next");
}

#[test]
fn a_panic_with_a_delivery_in_hand_puts_it_back() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        push_all(&mut producer, &["job"]);
        panics(|| {
            let _job = consumer.try_claim().unwrap();
            panic!("on purpose");
        });
        let job = consumer.try_claim().unwrap();
        assert_eq!((&*job, job.deliveries()), (&b"job"[..], 2));
    }
}

#[test]
fn committing_more_than_was_reserved_panics_and_pushes_nothing() {
    let queue = small(Claim::Ordered);
    let (mut producer, mut consumer) = handles(&queue);
    let result = catch_unwind(AssertUnwindSafe(|| producer.try_reserve(10).unwrap().commit_len(11)));
    assert!(result.is_err());
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    push_all(&mut producer, &["next"]);
    assert_eq!(pop(&mut consumer), "next");
}

// ---- contents ---------------------------------------------------------------------------------------------------------

/// Places are written and read in the ring's own memory, around its end many times, in sizes that never divide it.
#[test]
fn guards_show_the_right_bytes_all_around_the_ring() {
    let dir = Dir::new();
    for (claim, cell_size) in [(Claim::Ordered, 64), (Claim::Ticketed, 128)] {
        let queue = below_wrap(8, 3)
            .capacity(2 * KIB)
            .cell_size(cell_size)
            .claim(claim)
            .open(dir.file(&format!("q{cell_size}")))
            .unwrap();
        let (mut producer, mut consumer) = handles(&queue);
        let max = queue.max_message_len();
        for round in 0..2000u64 {
            let lens = [round as usize * 37 % (max + 1), round as usize * 101 % 300];
            let mut positions = Vec::new();
            for (i, len) in (0..).zip(lens) {
                let spare = (round as usize % 3).min(max - len);
                let mut place = producer.reserve(len + spare).unwrap();
                assert_eq!(place.len(), len + spare);
                place.fill(0xff);
                place[..len].copy_from_slice(&pattern(round * 2 + i, len));
                positions.push(place.commit_len(len));
                // What does not fit behind it goes out first.
                if i == 0 && round % 4 == 0 {
                    continue;
                }
                let mut k = 0;
                while k < positions.len() {
                    let mut batch = consumer.try_claim_batch(8).unwrap();
                    for (position, message) in batch.messages() {
                        assert_eq!(position, positions[k]);
                        let nth = i - (positions.len() - 1 - k) as u64;
                        assert_eq!(message, pattern(round * 2 + nth, lens[nth as usize]));
                        k += 1;
                    }
                    batch.ack_first(8).unwrap();
                    assert!(batch.is_empty());
                }
                positions.clear();
            }
        }
        assert!(queue.verify().is_sound());
    }
}

#[test]
fn an_empty_message_is_a_message() {
    let queue = small(Claim::Ordered);
    let (mut producer, mut consumer) = handles(&queue);
    producer.push(b"").unwrap();
    producer.push_batch(&[b"", b""]).unwrap();
    producer.reserve(0).unwrap().commit();
    producer.reserve(300).unwrap().commit_len(0);
    assert_eq!(queue.len(), 5);
    for _ in 0..5 {
        assert_eq!(consumer.try_pop().unwrap(), b"");
    }
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    assert!(producer.push_batch::<&[u8]>(&[]).unwrap().is_empty());
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

/// What was in a buffer before is gone, also where nothing came.
#[test]
fn pop_into_uses_its_buffer_again() {
    let queue = small(Claim::Ordered);
    let (mut producer, mut consumer) = handles(&queue);
    push_all(&mut producer, &["a long message", "short"]);
    let mut buffer = b"left over".to_vec();
    let first = consumer.pop_into(&mut buffer).unwrap();
    assert_eq!(buffer, b"a long message");
    let second = consumer.try_pop_into(&mut buffer).unwrap();
    assert_eq!(buffer, b"short");
    assert!(first < second);
    assert_eq!(consumer.try_pop_into(&mut buffer), Err(TryPopError::Empty));
    assert_eq!(buffer, b"");
}

// ---- acknowledging, putting back --------------------------------------------------------------------------------------

#[test]
fn ack_first_in_every_sequence() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        let messages = ["0", "1", "2", "3", "4", "5"];
        // Each number is a composition of 6: bit i says whether there is a cut after message i.
        for cuts in 0..32u32 {
            with_batch(&mut producer, &mut consumer, &messages, |mut batch| {
                assert_eq!(batch.deliveries(), 1);
                let (mut done, mut run) = (0, 0);
                for i in 0..6 {
                    run += 1;
                    if i == 5 || cuts >> i & 1 == 1 {
                        batch.ack_first(0).unwrap();
                        assert_eq!(texts(&batch), messages[done..]);
                        batch.ack_first(run).unwrap();
                        done += run;
                        run = 0;
                        assert_eq!(batch.len(), 6 - done);
                    }
                }
                assert!(batch.is_empty());
                batch.ack_first(1).unwrap();
                batch.ack().unwrap();
            });
            assert!(queue.is_empty());
        }
        // Let go of after k: exactly the others come again.
        for k in 0..=6 {
            with_batch(&mut producer, &mut consumer, &messages, |mut batch| batch.ack_first(k)).unwrap();
            assert_eq!(queue.len(), 6 - k);
            for i in k..6 {
                let again = consumer.try_claim().unwrap();
                assert_eq!((&*again, again.deliveries()), (i.to_string().as_bytes(), 2));
                again.ack().unwrap();
            }
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
        assert!(queue.verify().is_sound());
    }
}

/// A batch steps over what was aborted, and counts messages, not places.
#[test]
fn a_batch_over_aborted_places() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        for round in 0..20 {
            let skips = |producer: &mut Producer, count| {
                for _ in 0..count {
                    drop(producer.try_reserve(100).unwrap());
                }
            };
            skips(&mut producer, round % 3);
            push_all(&mut producer, &["a"]);
            skips(&mut producer, 1);
            push_all(&mut producer, &["b", "c"]);
            skips(&mut producer, round % 2);
            push_all(&mut producer, &["d"]);
            skips(&mut producer, 1);
            let mut all = Vec::new();
            let mut batches = 0;
            while let Ok(mut batch) = consumer.try_claim_batch(3) {
                batches += 1;
                assert!((1..=3).contains(&batch.len()), "{}", batch.len());
                all.extend(texts(&batch));
                batch.ack_first(1).unwrap();
                let rest = texts(&batch);
                assert_eq!(rest, all[all.len() - rest.len()..]);
                batch.ack().unwrap();
            }
            assert_eq!(all, ["a", "b", "c", "d"]);
            assert!(batches <= 4);
            assert!(queue.is_empty() && queue.verify().is_sound());
        }
    }
}

#[test]
fn deliveries_are_counted_when_they_are_claimed() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        let mut other = queue.consumer().unwrap();
        let position = producer.try_push(b"job").unwrap();
        for count in 1..=300 {
            let by = if count % 3 == 0 { &mut other } else { &mut consumer };
            let job = by.try_claim().unwrap();
            assert_eq!((job.position(), job.deliveries()), (position, count));
            match count % 2 {
                0 => job.release(),
                _ => drop(job),
            }
        }
        // "Above 511 at least that often": it never goes down below that.
        for count in 301..3000 {
            let job = consumer.try_claim().unwrap();
            assert!(job.deliveries() >= count.min(512), "{count}: {}", job.deliveries());
            assert!(job.deliveries() <= count);
        }
        consumer.try_claim().unwrap().ack().unwrap();
        assert!(queue.is_empty());
        // The next in the same cell, laps later, starts anew.
        for _ in 0..40 {
            push_all(&mut producer, &["next"]);
            let next = consumer.try_claim().unwrap();
            assert_eq!(next.deliveries(), 1);
            next.ack().unwrap();
        }
    }
}

/// A message that is put back wakes who waits for one.
#[test]
fn a_released_message_wakes_a_blocked_consumer() {
    let _watchdog = watch("a release that wakes");
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        let mut other = queue.consumer().unwrap();
        for _ in 0..20 {
            push_all(&mut producer, &["job"]);
            let job = consumer.try_claim().unwrap();
            std::thread::scope(|scope| {
                let blocked = scope.spawn(|| {
                    let job = other.claim().unwrap();
                    let count = job.deliveries();
                    job.ack().unwrap();
                    count
                });
                std::thread::sleep(Duration::from_millis(2));
                drop(job);
                assert_eq!(blocked.join().unwrap(), 2);
            });
        }
    }
}

/// What is held keeps a closed queue from being drained: it may come back.
#[test]
fn closed_comes_only_when_the_last_claim_is_gone() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        let mut other = queue.consumer().unwrap();
        push_all(&mut producer, &["job"]);
        queue.close();
        let job = consumer.try_claim().unwrap();
        assert_eq!(other.try_pop(), Err(TryPopError::Empty));
        drop(job);
        let job = other.try_claim().unwrap();
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        job.ack().unwrap();
        assert_eq!(consumer.try_pop(), Err(TryPopError::Closed));
        assert_eq!(other.try_pop(), Err(TryPopError::Closed));
    }
}

/// What is held holds its space, and nothing else's.
#[test]
fn a_held_message_is_not_overwritten() {
    for claim in CLAIMS {
        let queue = small(claim);
        let (mut producer, mut consumer) = handles(&queue);
        let mut other = queue.consumer().unwrap();
        producer.try_push(&pattern(1, 700)).unwrap();
        let held = consumer.try_claim().unwrap();
        let mut pushed = 0;
        for round in 0..100 {
            while producer.try_push(&pattern(round, 600)).is_ok() {
                pushed += 1;
            }
            while other.try_pop().is_ok() {}
        }
        assert!((5..=16).contains(&pushed), "{pushed}");
        assert_eq!(&*held, pattern(1, 700));
        held.ack().unwrap();
        for i in 0..100 {
            producer.try_push(&pattern(i, 600)).unwrap();
            assert_eq!(other.try_pop().unwrap(), pattern(i, 600));
        }
    }
}

// ---- participants -----------------------------------------------------------------------------------------------------

#[test]
fn slots_are_used_again() {
    let dir = Dir::new();
    let queue = Queue::options().capacity(4096).participants(3).open(dir.file("q")).unwrap();
    for i in 0..10_000u32 {
        let (mut producer, mut consumer) = handles(&queue);
        if i % 100 == 0 {
            let roles: Vec<Role> = queue.stats().participants.iter().map(|p| p.role).collect();
            assert_eq!(roles, [Role::Producer, Role::Consumer]);
        }
        producer.try_push(&i.to_le_bytes()).unwrap();
        if i % 2 == 0 {
            drop(producer);
        }
        assert_eq!(consumer.try_pop().unwrap(), i.to_le_bytes());
    }
    assert_eq!(queue.stats().participants.len(), 0);
}

#[test]
fn too_many_participants_is_an_error_until_one_goes() {
    for max in [1, 2, 64, 65] {
        let queue = Queue::options().capacity(4096).participants(max).in_memory().unwrap();
        let mut handles: Vec<Consumer> = (0..max).map(|_| queue.consumer().unwrap()).collect();
        let full = AttachError::TooManyParticipants { max: max as usize };
        for _ in 0..3 {
            assert_eq!(queue.producer().err(), Some(full));
            assert_eq!(queue.consumer().err(), Some(full));
        }
        assert_eq!(queue.stats().participants.len(), max as usize);
        handles.swap_remove(handles.len() / 2);
        let mut producer = queue.producer().unwrap();
        producer.try_push(b"x").unwrap();
        assert_eq!(queue.consumer().err(), Some(full));
        drop(producer);
        assert_eq!(queue.consumer().unwrap().try_pop().unwrap(), b"x");
    }
}

/// The guards can be told apart in a log, and say nothing about the bytes.
#[test]
fn guards_can_be_printed() {
    let queue = small(Claim::Ordered);
    let (mut producer, mut consumer) = handles(&queue);
    let place: Reservation<'_> = producer.try_reserve(3).unwrap();
    assert!(format!("{place:?}").starts_with("Reservation"));
    place.commit();
    let job: Delivery<'_> = consumer.try_claim().unwrap();
    assert!(format!("{job:?}").starts_with("Delivery"));
    drop(job);
    let batch = consumer.try_claim_batch(2).unwrap();
    assert!(format!("{batch:?}").starts_with("Batch"));
}
