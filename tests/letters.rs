//! Dead letters: messages that nobody finishes, set aside in a file of their own.

mod common;

use common::{CLAIMS, Dir, HANGS, below_wrap, pattern, run_child, say, spawn, until, until_killed, watch};
use ringfile::{
    Claim, DeadLettersError, OpenError, Origin, PopError, Position, Producer, Queue, TryPopError,
    TryPushError,
};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A queue of eight cells in memory, a few positions below the wraps.
fn setting_aside(claim: Claim, after: u32) -> Queue {
    below_wrap(8, 5).capacity(4096).claim(claim).max_deliveries(after).in_memory().unwrap()
}

/// The dead letters that are there, each with its position in the queue that it comes from.
fn take_letters(queue: &Queue) -> Vec<(Position, Vec<u8>)> {
    let mut consumer = queue.dead_letters().unwrap().consumer().unwrap();
    let mut letters = Vec::new();
    while let Ok(letter) = consumer.try_claim() {
        let Some(Origin { position, group: 0, .. }) = letter.origin() else {
            panic!("of no group: {:?}", letter.origin());
        };
        letters.push((position, letter.to_vec()));
        letter.ack().unwrap();
    }
    letters
}

fn push_poison(producer: &mut Producer) -> Position {
    producer.push(b"poison").unwrap()
}

#[test]
fn child() {
    run_child(|role, args| match role {
        "die of it" => {
            let queue = Queue::options().attach(Path::new(args[0])).unwrap();
            let mut consumer = queue.consumer().unwrap();
            let _held = consumer.claim().unwrap();
            say("held");
            until_killed();
        }
        other => panic!("no role is called {other}"),
    });
}

#[test]
fn a_message_is_set_aside_after_so_many_deliveries() {
    for claim in CLAIMS {
        for after in [1, 2, 5, 500] {
            let queue = setting_aside(claim, after);
            let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
            let poison = push_poison(&mut producer);
            for delivery in 1..=after {
                let held = consumer.try_claim().unwrap();
                assert_eq!((&*held, held.deliveries()), (&b"poison"[..], delivery));
            }
            producer.push(b"good").unwrap();
            assert_eq!(consumer.try_pop().unwrap(), b"good");
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
            assert!(queue.is_empty());
            assert_eq!(take_letters(&queue), [(poison, b"poison".to_vec())]);
        }
    }
}

#[test]
fn a_batch_is_set_aside_message_by_message() {
    let queue = setting_aside(Claim::Ordered, 2);
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let long = pattern(3, 1000);
    let positions: Vec<_> = producer.push_batch(&[b"a", &b""[..], &long]).unwrap().into_iter().collect();
    drop(consumer.try_claim_batch(3).unwrap());
    // Messages that came back are handed out one by one.
    for _ in 0..3 {
        assert_eq!(consumer.try_claim_batch(3).unwrap().deliveries(), 2);
    }
    assert_eq!(consumer.try_claim_batch(3).err(), Some(TryPopError::Empty));
    let expected = [b"a".to_vec(), Vec::new(), long];
    assert_eq!(take_letters(&queue), positions.into_iter().zip(expected).collect::<Vec<_>>());
}

/// The message that kills whoever reads it, and so is never given back by anybody.
#[test]
fn what_kills_its_readers_is_set_aside() {
    let _watchdog = watch("a message that kills its readers");
    for claim in CLAIMS {
        let dir = Dir::new();
        let path = dir.file("q");
        let queue = Queue::options().capacity(4096).claim(claim).max_deliveries(2).open(&path).unwrap();
        let poison = push_poison(&mut queue.producer().unwrap());
        for _ in 0..2 {
            let mut victim = spawn("die of it", &[&path]);
            victim.expect("held");
            victim.kill();
        }
        queue.producer().unwrap().push(b"good").unwrap();
        let mut consumer = queue.consumer().unwrap();
        assert_eq!(consumer.pop().unwrap(), b"good");
        until("it is set aside", || {
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
            queue.is_empty()
        });
        // They are in a file of their own, which outlives everybody, and is a queue like any other.
        drop((consumer, queue));
        let letters = Queue::options().attach(dir.file("q.dead")).unwrap();
        let mut consumer = letters.consumer().unwrap();
        let letter = consumer.claim().unwrap();
        assert_eq!((&*letter, letter.origin().unwrap().position), (&b"poison"[..], poison));
        drop(letter);
        assert_eq!(Queue::open(&path).unwrap().dead_letters().unwrap().len(), 1);
        assert_eq!(letters.dead_letters().err(), Some(DeadLettersError::NoneAreKept));
    }
}

/// No room for it: it stays, is counted, is stepped over, and goes where it belongs when there is room.
#[test]
fn without_room_a_letter_stays_and_blocks_nobody() {
    let _watchdog = watch("dead letters without room");
    for claim in CLAIMS {
        let queue = below_wrap(4, 5).capacity(1024).claim(claim).max_deliveries(1).in_memory().unwrap();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let mut poison = Vec::new();
        for _ in 0..6 {
            poison.push(push_poison(&mut producer));
            drop(consumer.try_claim().unwrap());
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
        assert_eq!(queue.dead_letters().unwrap().len(), 4);
        let stats = queue.stats();
        assert_eq!((stats.groups[0].len, stats.groups[0].stuck), (2, 2));
        // The two cells that they do not hold are used, and not again.
        for _ in 0..2 {
            producer.try_push(b"good").unwrap();
            assert_eq!(consumer.try_pop().unwrap(), b"good");
        }
        assert_eq!(producer.try_push(b"more"), Err(TryPushError::Full));
        let mut letters = take_letters(&queue);
        // A closed queue is drained when they are out of it.
        queue.close();
        assert_eq!(consumer.pop(), Err(PopError::Closed));
        letters.extend(take_letters(&queue));
        letters.sort();
        assert_eq!(letters.iter().map(|(position, _)| *position).collect::<Vec<_>>(), poison);
        assert_eq!(queue.stats().groups[0].stuck, 0);
    }
}

/// A consumer that sleeps finds out as well, and one that always has something to do.
#[test]
fn room_for_letters_is_found_by_sleepers_and_by_the_busy() {
    let _watchdog = watch("room for dead letters");
    for busy in [false, true] {
        let queue = below_wrap(4, 5).capacity(1024).max_deliveries(1).in_memory().unwrap();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for _ in 0..5 {
            push_poison(&mut producer);
            drop(consumer.try_claim().unwrap());
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
        let stuck = || queue.stats().groups[0].stuck;
        assert_eq!(stuck(), 1);
        std::thread::scope(|scope| {
            scope.spawn(|| while consumer.pop_timeout(HANGS).is_ok_and(|message| message != b"end") {});
            assert_eq!(take_letters(&queue).len(), 4);
            until("it is set aside", || {
                if busy {
                    let _ = producer.push_timeout(b"go on", Duration::from_millis(1));
                }
                stuck() == 0
            });
            producer.push(b"end").unwrap();
        });
        assert_eq!(take_letters(&queue).len(), 1);
    }
}

#[test]
fn several_set_aside_each_once() {
    let _watchdog = watch("several that set aside");
    const MESSAGES: u64 = 2_000;
    for claim in CLAIMS {
        let queue = below_wrap(16, 5).capacity(4096).claim(claim).max_deliveries(2).in_memory().unwrap();
        let mut letters = Vec::new();
        let good = std::thread::scope(|scope| {
            let consumers: Vec<_> = (0..3)
                .map(|_| {
                    let mut consumer = queue.consumer().unwrap();
                    scope.spawn(move || {
                        let mut good = 0;
                        while let Ok(held) = consumer.claim() {
                            // Every third is poison.
                            if held[0] % 3 != 0 {
                                good += 1;
                                held.ack().unwrap();
                            }
                        }
                        good
                    })
                })
                .collect();
            scope.spawn(|| {
                let mut producer = queue.producer().unwrap();
                for i in 0..MESSAGES {
                    producer.push(&[(i % 3) as u8]).unwrap();
                }
                queue.close();
            });
            let reader = scope.spawn(|| {
                while letters.len() < MESSAGES.div_ceil(3) as usize {
                    letters.extend(take_letters(&queue));
                    std::thread::yield_now();
                }
            });
            reader.join().unwrap();
            consumers.into_iter().map(|consumer| consumer.join().unwrap()).sum::<u64>()
        });
        assert_eq!(good, MESSAGES - MESSAGES.div_ceil(3));
        assert!(take_letters(&queue).is_empty());
        let count = letters.len();
        letters.sort();
        letters.dedup();
        assert_eq!(letters.len(), count, "none twice");
    }
}

#[test]
fn the_file_of_letters_comes_and_goes_with_its_queue() {
    let dir = Dir::new();
    let (path, letters) = (dir.file("q"), dir.file("q.dead"));
    let mut options = Queue::options();
    options.capacity(4096);
    drop(options.open(&path).unwrap());
    assert!(!letters.exists(), "none are set aside");
    std::fs::remove_file(&path).unwrap();

    options.max_deliveries(1);
    let queue = options.create_new(&path).unwrap();
    assert!(letters.exists());
    push_poison(&mut queue.producer().unwrap());
    drop(queue.consumer().unwrap().claim().unwrap());
    assert!(queue.consumer().unwrap().try_claim().is_err());
    drop(queue);
    // Through a link they are the same.
    std::os::unix::fs::symlink(&path, dir.file("link")).unwrap();
    assert_eq!(Queue::open(dir.file("link")).unwrap().dead_letters().unwrap().len(), 1);
    assert!(!dir.file("link.dead").exists());

    // The next queue of that name does not get them.
    std::fs::remove_file(&path).unwrap();
    let foreign = |opened: Result<Queue, OpenError>| match opened {
        Err(OpenError::ForeignDeadLetters(of)) => assert_eq!(of, letters),
        other => panic!("{other:?}"),
    };
    foreign(options.open(&path));
    foreign(options.create_new(&path));
    assert!(!path.exists());
    // Nor does one that is there.
    std::fs::rename(&letters, dir.file("kept")).unwrap();
    drop(options.open(&path).unwrap());
    std::fs::copy(dir.file("kept"), &letters).unwrap();
    foreign(Queue::open(&path));
    std::fs::write(&letters, "something else").unwrap();
    assert!(matches!(Queue::open(&path), Err(OpenError::NotARing)));
    assert_eq!(std::fs::read(&letters).unwrap(), b"something else");

    // One that is gone is made again.
    std::fs::remove_file(&letters).unwrap();
    assert_eq!(Queue::open(&path).unwrap().dead_letters().unwrap().len(), 0);
    assert!(letters.exists());
}

#[test]
fn limits_that_cannot_be_are_refused() {
    let open = |after| Queue::options().capacity(4096).max_deliveries(after).in_memory();
    assert!(matches!(open(501), Err(OpenError::Options(_))));
    assert!(open(500).is_ok());
    assert_eq!(open(0).unwrap().dead_letters().err(), Some(DeadLettersError::NoneAreKept));
    let queue = open(1).unwrap();
    queue.producer().unwrap().push(b"an ordinary message").unwrap();
    assert_eq!(queue.consumer().unwrap().claim().unwrap().origin(), None);
}

/// Anybody may push into the queue of dead letters. What comes from nowhere is no letter, and nobody takes it for the copy of one, not even of the first message of all.
#[test]
fn what_others_push_there_is_no_letter() {
    let queue = Queue::options().capacity(1024).messages(4).max_deliveries(1).in_memory().unwrap();
    let letters = queue.dead_letters().unwrap();
    let mut other = letters.producer().unwrap();
    while other.try_push(b"other").is_ok() {}
    let first = push_poison(&mut queue.producer().unwrap());
    assert_eq!(first.get(), 0);
    drop(queue.consumer().unwrap().claim().unwrap());
    // One after another finds that there is no room.
    for _ in 0..3 {
        assert_eq!(queue.consumer().unwrap().try_pop(), Err(TryPopError::Empty));
        assert_eq!((queue.len(), queue.stats().groups[0].stuck), (1, 1));
    }
    let mut reader = letters.consumer().unwrap();
    let message = reader.claim().unwrap();
    assert_eq!((&*message, message.origin()), (&b"other"[..], None));
    drop(message);
    while reader.try_pop().is_ok() {}
    drop(reader);
    assert_eq!(queue.consumer().unwrap().try_pop(), Err(TryPopError::Empty));
    assert!(queue.is_empty());
    assert_eq!(take_letters(&queue), [(first, b"poison".to_vec())]);
}

/// A producer that fetches the lines of cells ahead may find letters of others there by now.
#[test]
fn lines_fetched_ahead_do_not_make_letters_come_from_nowhere() {
    let queue = Queue::options().capacity(1024).messages(64).max_deliveries(1).in_memory().unwrap();
    let letters = queue.dead_letters().unwrap();
    let mut other = letters.producer().unwrap();
    for _ in 0..8 {
        other.push(b"other").unwrap();
    }
    let ninth = other.reserve(5).unwrap();
    let mut producer = queue.producer().unwrap();
    let poison: Vec<_> = (0..32).map(|_| (push_poison(&mut producer), b"poison".to_vec())).collect();
    let mut consumer = queue.consumer().unwrap();
    for _ in 0..32 {
        drop(consumer.claim().unwrap());
    }
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    ninth.commit();
    let mut reader = letters.consumer().unwrap();
    for _ in 0..9 {
        reader.pop().unwrap();
    }
    drop(reader);
    assert_eq!(take_letters(&queue), poison);
}

/// One call does not wait for thousands of letters to be moved, nor does it look through all that are there for each.
#[test]
fn very_many_letters_are_moved_bit_by_bit() {
    let _watchdog = watch("very many letters");
    const STUCK: u64 = 1 << 14;
    let queue = Queue::options().messages(2 * STUCK).max_deliveries(1).in_memory().unwrap();
    let letters = queue.dead_letters().unwrap();
    let mut other = letters.producer().unwrap();
    while other.try_push(b"other").is_ok() {}
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    for _ in 0..STUCK / 1024 {
        producer.push_batch(&[b"poison"; 1024]).unwrap();
        drop(consumer.try_claim_batch(1024).unwrap());
    }
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    assert_eq!(queue.stats().groups[0].stuck as u64, STUCK);
    let mut reader = letters.consumer().unwrap();
    while reader.try_drain(1024, |_| {}).is_ok() {}

    let start = Instant::now();
    until("all are moved", || {
        let before = Instant::now();
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        assert!(before.elapsed() < Duration::from_secs(2), "one call took {:?}", before.elapsed());
        queue.is_empty()
    });
    println!("{STUCK} letters were moved in {:?}", start.elapsed());
    assert_eq!(letters.len() as u64, STUCK);
}

/// Those who move letters take no slot there for longer than that.
#[test]
fn movers_leave_room_for_readers() {
    let mut options = below_wrap(8, 5);
    let queue = options.capacity(4096).participants(3).max_deliveries(1).in_memory().unwrap();
    let mut consumers: Vec<_> = (0..2).map(|_| queue.consumer().unwrap()).collect();
    for consumer in &mut consumers {
        push_poison(&mut queue.producer().unwrap());
        drop(consumer.try_claim().unwrap());
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
    let letters = queue.dead_letters().unwrap();
    let readers: Vec<_> = (0..3).map(|_| letters.consumer().unwrap()).collect();
    // Nobody can put one there meanwhile.
    push_poison(&mut queue.producer().unwrap());
    drop(consumers[0].try_claim().unwrap());
    assert_eq!(consumers[0].try_pop(), Err(TryPopError::Empty));
    assert_eq!((letters.len(), queue.len()), (2, 1));
    drop(readers);
    until("it is moved", || consumers[0].try_pop() == Err(TryPopError::Empty) && queue.is_empty());
    assert_eq!(letters.len(), 3);
}

/// Whoever may open the queue may open its dead letters.
#[test]
fn the_file_of_letters_is_made_for_the_same_people() {
    let dir = Dir::new();
    let mut options = Queue::options();
    drop(options.capacity(4096).max_deliveries(1).mode(0o640).open(dir.file("q")).unwrap());
    let mode = |name: &str| std::fs::metadata(dir.file(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("q"), mode("q.dead"));
    std::fs::remove_file(dir.file("q.dead")).unwrap();
    drop(Queue::open(dir.file("q")).unwrap());
    assert_eq!(mode("q"), mode("q.dead"));
}
