//! Processes that are killed, and processes that fork: what they held goes to others, and nobody who lives is taken for dead.

mod common;

use common::{
    CLAIMS, Child, Dir, Doing, below_wrap, handles, run_child, say, spawn, spawn_under, until, until_killed,
    watch, with_batch,
};
use ringfile::file::layout::cursor;
use ringfile::sys::process::{self, Identity};
use ringfile::{AttachError, Claim, Consumer, PopTimeoutError, Queue, Recovery, TryPopError, TryPushError};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const KIB: usize = 1024;

#[test]
fn child() {
    run_child(|role, args| {
        if role == "nothing" {
            until_killed();
        }
        let queue = Queue::options().attach(Path::new(args[0])).unwrap();
        match role {
            "hold a claim" => {
                let mut consumer = queue.consumer().unwrap();
                let delivery = consumer.claim().unwrap();
                say(format!("{} {}", delivery.position(), delivery.deliveries()));
                until_killed();
            }
            "hold a batch" => {
                let (mut producer, mut consumer) = handles(&queue);
                let messages = ["a", "b", "c", "d", "e"];
                with_batch(&mut producer, &mut consumer, &messages, |mut batch| {
                    batch.ack_first(2).unwrap();
                    say(batch.len().to_string());
                    until_killed();
                });
            }
            "hold a reservation" => {
                let mut producer = queue.producer().unwrap();
                let mut place = producer.reserve(200).unwrap();
                place.fill(0xdd);
                say(place.position().to_string());
                until_killed();
            }
            "hold handles" => {
                let mut all = Vec::new();
                while let Ok(consumer) = queue.consumer() {
                    all.push(consumer);
                }
                say(all.len().to_string());
                until_killed();
            }
            "hold a claim and have a child" => {
                let mut consumer = queue.consumer().unwrap();
                let delivery = consumer.claim().unwrap();
                say(format!("{} {}", fork(|| until_killed()), delivery.deliveries()));
                until_killed();
            }
            "hold a claim and have a child past the C library" => {
                let mut consumer = queue.consumer().unwrap();
                let delivery = consumer.claim().unwrap();
                say(format!("{} {}", clone_past_the_c_library(), delivery.deliveries()));
                until_killed();
            }
            "hold a claim and execute another program" => {
                let mut consumer = queue.consumer().unwrap();
                let delivery = consumer.claim().unwrap();
                let mut sleep = Command::new("sleep");
                sleep.arg("120").stdin(Stdio::null()).stdout(Stdio::null());
                let mut sleeping = sleep.spawn().unwrap();
                say(format!("{} {}", sleeping.id(), delivery.deliveries()));
                sleeping.wait().unwrap();
            }
            "hold a claim in a thread that outlives its leader" => {
                let mut consumer = queue.consumer().unwrap();
                let delivery = consumer.claim().unwrap();
                end_the_leader();
                say(delivery.deliveries().to_string());
                until_killed();
            }
            other => panic!("no role {other}"),
        }
    });
}

/// Lets a child made by `fork` do this and end; returns its number. It must not allocate: another thread may have been in the midst of that.
fn fork(body: impl FnOnce() -> bool) -> libc::pid_t {
    // SAFETY: the child goes on in this thread alone, runs `body` and ends.
    match unsafe { libc::fork() } {
        0 => {
            let code = i32::from(!body());
            // SAFETY: takes no pointers; nothing is run that would be run at an exit.
            unsafe { libc::_exit(code) }
        }
        child => {
            assert!(child > 0, "a child can be made");
            child
        }
    }
}

/// Makes a child of which no handler is told. It closes all files, keeps its parent's memory, and sleeps. Returns its number.
fn clone_past_the_c_library() -> libc::c_long {
    // SAFETY: without a stack of its own or flags it is a fork; the child makes system calls only, and never returns.
    match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } {
        0 => {
            // SAFETY: the child uses no files any more.
            unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
            loop {
                // SAFETY: takes nothing.
                unsafe { libc::pause() };
            }
        }
        child => {
            assert!(child > 0, "a child can be made");
            child
        }
    }
}

/// Ends the first thread of this process, which is another; the others go on.
fn end_the_leader() {
    extern "C" fn end_this_thread(_: libc::c_int) {
        // SAFETY: the thread ends, whatever it still has.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    let handler: extern "C" fn(libc::c_int) = end_this_thread;
    // SAFETY: the handler makes one system call.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    let process = std::process::id();
    // SAFETY: takes no pointers.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, process, libc::SIGUSR1) };
    assert_eq!(sent, 0, "the leader is signalled");
}

/// Drops a child's copy of what its parent has as well.
fn drop_copy<T>(value: &T) {
    // SAFETY: the child ends without dropping it again.
    drop(unsafe { std::ptr::read(value) });
}

/// The message that a dead one held comes to another.
fn assert_comes_again(consumer: &mut Consumer) {
    assert_eq!(consumer.claim_timeout(Duration::from_secs(60)).unwrap().deliveries(), 2);
}

/// What /proc says of a child, from its state on.
fn stat(child: &Child) -> Vec<String> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').map(str::to_owned).collect()
}

/// A queue for a child to die in, with one message.
fn with_a_job(dir: &Dir, claim: Claim) -> (Queue, Consumer) {
    let queue = shared(dir, claim);
    queue.producer().unwrap().push(b"job").unwrap();
    let consumer = queue.consumer().unwrap();
    (queue, consumer)
}

/// A queue for a child to die in.
fn shared(dir: &Dir, claim: Claim) -> Queue {
    below_wrap(16, 2).capacity(8 * KIB).participants(8).claim(claim).open(dir.file("q")).unwrap()
}

#[test]
fn the_message_of_a_killed_consumer_is_delivered_to_another() {
    let _watchdog = watch("a killed consumer");
    for claim in CLAIMS {
        let dir = Dir::new();
        let queue = shared(&dir, claim);
        let (mut producer, mut consumer) = handles(&queue);
        let position = producer.try_push(b"job").unwrap();
        let mut child = spawn("hold a claim", &[&dir.file("q")]);
        child.expect(&format!("{position} 1"));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        assert_eq!(queue.len(), 1);
        child.kill();
        // To one that waits...
        let job = consumer.claim().unwrap();
        assert_eq!((&*job, job.position(), job.deliveries()), (&b"job"[..], position, 2));
        drop(job);

        let mut child = spawn("hold a claim", &[&dir.file("q")]);
        child.expect(&format!("{position} 3"));
        child.kill();
        // ... and to one that polls.
        until("a message of the dead comes to a poller", || match consumer.try_claim() {
            Ok(job) => {
                assert_eq!(job.deliveries(), 4);
                job.ack().unwrap();
                true
            }
            Err(error) => {
                assert_eq!(error, TryPopError::Empty);
                false
            }
        });
        assert!(queue.is_empty() && queue.verify().is_sound());
        assert_eq!(queue.stats().participants.len(), 2);
    }
}

#[test]
fn a_batch_of_a_killed_consumer_comes_back_without_what_was_acknowledged() {
    let _watchdog = watch("a consumer killed with a batch");
    for claim in CLAIMS {
        let dir = Dir::new();
        let queue = shared(&dir, claim);
        let mut consumer = queue.consumer().unwrap();
        let mut child = spawn("hold a batch", &[&dir.file("q")]);
        child.expect("3");
        child.kill();
        queue.close();
        let mut left: Vec<Vec<u8>> = consumer.iter().collect();
        left.sort();
        assert_eq!(left, [b"c", b"d", b"e"]);
        assert_eq!(consumer.try_pop(), Err(TryPopError::Closed));
    }
}

/// Whoever asks through the description that holds the lock is told that it is free (L2): other opens of this process, and one's own
/// handles, are not taken for dead, and a dropped open is.
#[test]
fn l2_no_open_of_this_process_is_taken_for_dead() {
    let _watchdog = watch("several opens of one process");
    for claim in CLAIMS {
        let dir = Dir::new();
        let queues = [shared(&dir, claim), shared(&dir, claim), shared(&dir, claim)];
        let mut producer = queues[0].producer().unwrap();
        let mut consumer = queues[1].consumer().unwrap();
        producer.push(b"held").unwrap();
        let held = consumer.claim().unwrap();
        let place = producer.reserve(10).unwrap();
        for queue in &queues {
            assert!(queue.unrecovered().is_nothing() && queue.recover().is_nothing());
        }
        drop(Queue::options().attach(dir.file("q")).unwrap());
        assert!(queues[2].recover().is_nothing());
        assert_eq!(place.position().get(), held.position().get() + 1);
        place.commit();
        held.ack().unwrap();
        assert_eq!(consumer.pop().unwrap(), [0; 10]);
    }
}

/// A child has nothing of its parent's queue: its handles fail, and dropping them leaves the parent's alone.
#[test]
fn a_forked_child_has_no_part_in_the_queue() {
    let _watchdog = watch("a forked child");
    for claim in CLAIMS {
        let dir = Dir::new();
        let queue = shared(&dir, claim);
        let (mut producer, mut consumer) = handles(&queue);
        producer.push(b"one").unwrap();
        producer.push(&[2; 500]).unwrap();
        let (mut holder, mut writer) = (queue.consumer().unwrap(), queue.producer().unwrap());
        let held = holder.claim().unwrap();
        let mut place = writer.reserve(300).unwrap();
        let child = fork(|| {
            place.fill(0xee);
            let pushed = producer.try_push(b"never");
            let popped = consumer.try_pop();
            drop_copy(&place);
            drop_copy(&held);
            drop_copy(&producer);
            drop_copy(&consumer);
            drop_copy(&queue);
            pushed == Err(TryPushError::Closed) && popped.is_err()
        });
        let mut status = 0;
        // SAFETY: the status outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "its handles fail, and it ends by itself");
        assert_eq!(queue.stats().participants.len(), 4);
        assert_eq!(&*held, b"one");
        held.ack().unwrap();
        place.fill(3);
        place.commit();
        assert_eq!(consumer.try_pop().unwrap(), [2; 500]);
        assert_eq!(consumer.try_pop().unwrap(), [3; 300]);
        producer.push(b"four").unwrap();
        assert_eq!(consumer.try_pop().unwrap(), b"four");
        assert!(queue.verify().is_sound());
    }
}

/// A child lives on that never called `exec`: its killed parent is dead all the same.
#[test]
fn a_forked_child_does_not_keep_its_parent_alive() {
    outlived_by_its_child("hold a claim and have a child");
}

/// A process that has memory of the dead one's, but not its lock, keeps it from nobody: what is mapped and what holds the lock are two
/// descriptions (L3).
#[test]
fn l3_a_mapping_does_not_keep_its_owner_alive() {
    outlived_by_its_child("hold a claim and have a child past the C library");
}

#[test]
fn a_program_that_the_dead_one_started_does_not_keep_it_alive() {
    outlived_by_its_child("hold a claim and execute another program");
}

fn outlived_by_its_child(role: &str) {
    let _watchdog = watch(role);
    let dir = Dir::new();
    let (_queue, mut consumer) = with_a_job(&dir, Claim::Ordered);
    let mut parent = spawn(role, &[&dir.file("q")]);
    let said = parent.hear();
    let (child, deliveries) = said.split_once(' ').unwrap();
    assert_eq!(deliveries, "1");
    parent.kill();
    let job = consumer.claim_timeout(Duration::from_secs(60)).map(|job| job.deliveries());
    // SAFETY: takes no pointers.
    assert_eq!(unsafe { libc::kill(child.parse().unwrap(), libc::SIGKILL) }, 0, "it lived until now");
    assert_eq!(job.unwrap(), 2);
}

/// Nobody has asked how it ended, so that its number is still there.
#[test]
fn a_zombie_is_dead() {
    let _watchdog = watch("a zombie");
    for claim in CLAIMS {
        let dir = Dir::new();
        let (_queue, mut consumer) = with_a_job(&dir, claim);
        let mut child = spawn("hold a claim", &[&dir.file("q")]);
        child.hear();
        child.signal(libc::SIGKILL);
        assert_comes_again(&mut consumer);
        assert_eq!(child.doing(), Doing::Ended);
    }
}

/// The process looks like a zombie, and one of its threads still works.
#[test]
fn a_process_whose_leader_is_gone_lives() {
    let _watchdog = watch("a process without its leader");
    let dir = Dir::new();
    let (queue, mut consumer) = with_a_job(&dir, Claim::Ordered);
    let mut child = spawn("hold a claim in a thread that outlives its leader", &[&dir.file("q")]);
    child.expect("1");
    until("its leader is gone", || stat(&child)[0] == "Z");
    assert_eq!(consumer.pop_timeout(Duration::from_millis(50)), Err(PopTimeoutError::Timeout));
    assert!(queue.recover().is_nothing());
    child.kill();
    assert_comes_again(&mut consumer);
}

/// Process numbers mean nothing across PID namespaces; locks do.
#[test]
fn a_peer_in_another_pid_namespace_lives_until_it_dies() {
    let _watchdog = watch("a peer in another PID namespace");
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child=SIGKILL"]);
    let mut can_it = Command::new("unshare");
    can_it.args(unshare.get_args()).arg("true").stderr(Stdio::null());
    if !can_it.status().is_ok_and(|status| status.success()) {
        return println!("not run: PID namespaces cannot be made here");
    }
    let dir = Dir::new();
    let (queue, mut consumer) = with_a_job(&dir, Claim::Ordered);
    let mut child = spawn_under(unshare, "hold a claim", &[&dir.file("q")]);
    assert!(child.hear().ends_with(" 1"));
    let holder = queue.stats().participants.into_iter().find(|peer| peer.pid < 10);
    assert!(holder.is_some(), "it has a number of its own there: {:?}", queue.stats().participants);
    assert_eq!(consumer.pop_timeout(Duration::from_millis(50)), Err(PopTimeoutError::Timeout));
    child.kill();
    assert_comes_again(&mut consumer);
}

/// A process that has the number of one that is gone is not that one.
#[test]
fn a_number_alone_is_nobody() {
    let child = spawn("nothing", &[&"nowhere"]);
    let started: u64 = stat(&child)[19].parse().unwrap();
    let me = process::identity();
    let who = Identity { pid: child.pid() as u64, started, namespace: me.namespace };
    child.signal(libc::SIGKILL);
    until("it is a zombie", || child.doing() == Doing::Ended);
    assert!(process::is_exiting(who));
    assert!(!process::is_exiting(Identity { started: started + 1, ..who }), "later, by the same number");
    assert!(!process::is_exiting(Identity { namespace: who.namespace + 1, ..who }), "elsewhere");
    assert!(!process::is_exiting(Identity { namespace: 0, ..who }), "who knows where");
    assert!(!process::is_exiting(me));
}

/// The number of an open, and with it the byte that it has locked, is never another's, whoever was killed (L4).
#[test]
fn l4_numbers_are_never_used_again() {
    let _watchdog = watch("many opens of a file");
    let dir = Dir::new();
    let queue = shared(&dir, Claim::Ordered);
    let next = || {
        let file = std::fs::read(dir.file("q")).unwrap();
        u64::from_le_bytes(file[cursor::NEXT_ATTACHMENT..][..8].try_into().unwrap())
    };
    let mut last = next();
    for turn in 0..6 {
        if turn % 2 == 0 {
            let mut child = spawn("hold handles", &[&dir.file("q")]);
            child.hear();
            child.kill();
        } else {
            drop(Queue::open(dir.file("q")).unwrap());
        }
        assert_eq!(next(), last + 1);
        last = next();
    }
    drop(queue);
    drop(Queue::open(dir.file("q")).unwrap());
    assert_eq!(next(), last + 1);
}

/// What is owed can be told before it is settled, and is settled once, however often and by whomever it is asked for.
#[test]
fn recovery_says_what_it_did() {
    let _watchdog = watch("recovery by hand");
    for claim in CLAIMS {
        let dir = Dir::new();
        let queue = shared(&dir, claim);
        queue.producer().unwrap().push_batch(&["job", "job"]).unwrap();
        let mut children = ["hold a claim", "hold a reservation"].map(|role| spawn(role, &[&dir.file("q")]));
        for child in &mut children {
            child.hear();
        }
        assert!(queue.unrecovered().is_nothing() && queue.recover().is_nothing(), "they live");
        children.into_iter().for_each(Child::kill);

        let observer = Queue::options().recover(false).attach(dir.file("q")).unwrap();
        for _ in 0..2 {
            let owed = observer.unrecovered();
            assert_eq!((owed.participants, owed.voided, owed.put_back), (2, 1, 1), "{owed:?}");
        }
        let settled = thread::scope(|scope| {
            let recoveries = [&queue, &observer].map(|queue| scope.spawn(|| queue.recover()));
            recoveries.map(|recovery| recovery.join().unwrap())
        });
        let sum = |count: fn(&Recovery) -> u64| settled.iter().map(count).sum::<u64>();
        assert_eq!(
            (sum(|r| r.participants), sum(|r| r.voided), sum(|r| r.put_back)),
            (2, 1, 1),
            "{settled:?}"
        );
        assert!(observer.unrecovered().is_nothing() && queue.stats().participants.is_empty());
        assert_eq!(queue.len(), 2);
    }
}

#[test]
fn others_go_on_past_the_reservation_of_a_killed_producer() {
    let _watchdog = watch("a killed producer");
    for claim in CLAIMS {
        for waits in [true, false] {
            let dir = Dir::new();
            let queue = shared(&dir, claim);
            let (mut producer, mut consumer) = handles(&queue);
            let mut child = spawn("hold a reservation", &[&dir.file("q")]);
            let position: u64 = child.hear().parse().unwrap();
            assert_eq!(consumer.try_pop(), Err(TryPopError::Pending));
            assert_eq!(producer.try_push(b"behind").unwrap().get(), position + 1);
            child.kill();
            if waits {
                assert_eq!(consumer.pop().unwrap(), b"behind");
            } else {
                until("a poller gets past a dead reservation", || match consumer.try_pop() {
                    Ok(message) => {
                        assert_eq!(message, b"behind");
                        true
                    }
                    Err(error) => {
                        assert_eq!(error, TryPopError::Pending);
                        false
                    }
                });
            }
            // Its space comes back as well, to a producer that only polls.
            for _ in 0..100 {
                until("space of the dead comes back", || producer.try_push(&[1; 4000]).is_ok());
                assert_eq!(consumer.pop().unwrap(), [1; 4000]);
            }
            assert!(queue.is_empty() && queue.verify().is_sound());
        }
    }
}

/// Space that the dead hold at the tail of a full ring comes back to a producer that waits, and to one that polls.
#[test]
fn a_full_ring_of_a_killed_producer_has_room_again() {
    let _watchdog = watch("a ring full of a dead reservation");
    for waits in [true, false] {
        let dir = Dir::new();
        let queue = Queue::options().capacity(512).messages(2).open(dir.file("q")).unwrap();
        let mut producer = queue.producer().unwrap();
        let mut children: Vec<_> = (0..2)
            .map(|_| {
                let mut child = spawn("hold a reservation", &[&dir.file("q")]);
                child.hear();
                child
            })
            .collect();
        assert_eq!(producer.try_push(&[1; 200]), Err(TryPushError::Full));
        children.drain(..).for_each(common::Child::kill);
        if waits {
            producer.push(&[1; 200]).unwrap();
        } else {
            until("a poller gets the space of the dead", || producer.try_push(&[1; 200]).is_ok());
        }
        assert_eq!(queue.consumer().unwrap().pop().unwrap(), [1; 200]);
    }
}

#[test]
fn the_slots_of_the_dead_come_back() {
    let _watchdog = watch("slots of the dead");
    let dir = Dir::new();
    let queue = shared(&dir, Claim::Ordered);
    for _ in 0..5 {
        let mut child = spawn("hold handles", &[&dir.file("q")]);
        child.expect("8");
        assert_eq!(queue.producer().err(), Some(AttachError::TooManyParticipants { max: 8 }));
        assert_eq!(queue.stats().participants.len(), 8);
        child.kill();
        let (mut producer, mut consumer) = handles(&queue);
        producer.push(b"x").unwrap();
        assert_eq!(consumer.pop().unwrap(), b"x");
    }
}

/// The live are not taken for dead, however often somebody looks: this process has the same file open many times, and closes it.
#[test]
fn closing_one_open_of_a_file_does_not_give_up_another() {
    let dir = Dir::new();
    let queue = shared(&dir, Claim::Ordered);
    let (mut producer, mut consumer) = handles(&queue);
    producer.try_push(b"held").unwrap();
    let held = consumer.try_claim().unwrap();
    let mut place = producer.try_reserve(4).unwrap();
    for _ in 0..100 {
        let other = Queue::open(dir.file("q")).unwrap();
        let mut poller = other.consumer().unwrap();
        assert_eq!(poller.try_pop(), Err(TryPopError::Pending));
    }
    place.copy_from_slice(b"late");
    place.commit();
    assert_eq!(&*held, b"held");
    assert_eq!(held.deliveries(), 1);
    held.ack().unwrap();
    assert_eq!(consumer.try_pop().unwrap(), b"late");
    assert!(queue.is_empty());
}
