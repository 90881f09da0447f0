//! The command line, as those who type it see it: real text through real processes, exit codes, and what is said when something is wrong.
#![cfg(feature = "cli")]

#[path = "cli/support.rs"]
mod support;

use ringfile::file::layout::{Geometry, Layout, cell, cursor};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::{ChildStdout, Stdio};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};
use support::{Bench, Running, joined, lines, sorted, text, wait_until};

// ---- many processes -------------------------------------------------------------------------------

/// Three push all the text while three pop it; what comes out must be what went in.
fn all_arrives(test: &str, capacity: &str, pop: &[&str]) {
    let bench = Bench::new(test);
    let text = text();
    assert!(text.len() >= 200_000);
    bench.ok("create", "ring", &["--capacity", capacity], b"");

    let pops: Vec<Running> = (0..3).map(|_| bench.start("pop", "ring", pop, b"")).collect();
    let pushes: Vec<Running> = text
        .chunks(text.len().div_ceil(3))
        .map(|share| bench.start("push", "ring", &[], &joined(share)))
        .collect();
    assert_eq!(pushes.len(), 3);
    for push in pushes {
        push.finish().expect(0);
    }
    bench.ok("close", "ring", &[], b"");
    let outputs: Vec<Vec<u8>> = pops.into_iter().map(|pop| pop.finish().expect(0).out).collect();

    let arrived = sorted(outputs.iter().flat_map(|output| lines(output)));
    assert_eq!(arrived.len(), text.len());
    assert!(arrived == sorted(text.iter().copied()), "the same lines");
    bench.ok("verify", "ring", &[], b"");
    assert_eq!(bench.stat("ring")["len"], 0);
}

#[test]
fn three_push_and_three_pop() {
    all_arrives("three", "64M", &["--follow"]);
}

#[test]
fn a_small_ring_is_full_most_of_the_time() {
    all_arrives("small", "8K", &["--follow"]);
}

#[test]
fn a_small_ring_with_acknowledgements() {
    all_arrives("small-ack", "8K", &["--follow", "--ack"]);
}

#[test]
fn one_consumer_sees_each_producer_in_order() {
    let bench = Bench::new("order");
    bench.ok("create", "ring", &["--capacity", "64K"], b"");
    let pop = bench.start("pop", "ring", &["--follow"], b"");
    let inputs: Vec<Vec<Vec<u8>>> = (0..3)
        .map(|producer| {
            let share = text().iter().skip(producer).step_by(9);
            share
                .map(|line| [format!("{producer} ").as_bytes(), line].concat())
                .filter(|line| line.len() <= 4096)
                .collect()
        })
        .collect();
    let pushes: Vec<Running> = inputs
        .iter()
        .map(|input| {
            let input: Vec<&[u8]> = input.iter().map(Vec::as_slice).collect();
            bench.start("push", "ring", &[], &joined(&input))
        })
        .collect();
    for push in pushes {
        push.finish().expect(0);
    }
    bench.ok("close", "ring", &[], b"");
    let out = pop.finish().expect(0).out;
    for (producer, input) in inputs.iter().enumerate() {
        let tag = format!("{producer} ");
        let arrived: Vec<&[u8]> =
            lines(&out).into_iter().filter(|line| line.starts_with(tag.as_bytes())).collect();
        assert!(arrived == *input, "producer {producer}");
    }
}

#[test]
fn a_line_is_pushed_as_soon_as_it_has_arrived() {
    let bench = Bench::new("at-once");
    bench.ok("create", "ring", &[], b"");
    let mut push = bench.start_fed("push", "ring", &[]);
    let mut feed = push.child.stdin.take().expect("a pipe");
    for line in ["one\n", "two\n", "\n"] {
        feed.write_all(line.as_bytes()).expect("it reads");
        let out = bench.ok("pop", "ring", &["-n", "1", "--timeout", "60"], b"");
        assert_eq!(out, line.as_bytes());
    }
    feed.write_all(b"half").expect("it reads");
    bench.run("pop", "ring", &["-n", "1", "--timeout", "0.1"], b"").expect(3);
    feed.write_all(b" and half\n").expect("it reads");
    let out = bench.ok("pop", "ring", &["-n", "1", "--timeout", "60"], b"");
    assert_eq!(out, b"half and half\n");
    drop(feed);
    push.finish().expect(0);
}

#[test]
fn a_follower_prints_before_it_waits() {
    let bench = Bench::new("follow");
    bench.ok("create", "ring", &[], b"");
    for arguments in [&["--follow"][..], &["--follow", "--ack"]] {
        let mut pop = bench.start_into("pop", "ring", arguments, Stdio::piped());
        let mut output = pop.child.stdout.take().expect("a pipe");
        for _ in 0..3 {
            bench.ok("push", "ring", &[], b"hello\n");
            let mut line = [0; 6];
            output.read_exact(&mut line).expect("it prints");
            assert_eq!(&line, b"hello\n");
        }
        wait_until("it is finished", || bench.stat("ring")["len"] == 0);
    }
}

// ---- what a message is ----------------------------------------------------------------------------

#[test]
fn lines_are_any_bytes() {
    let bench = Bench::new("bytes");
    let input = b"first\n\n\n\xff\xfe\0zero\r\nlast without end";
    bench.ok("push", "ring", &[], input);
    assert_eq!(bench.stat("ring")["len"], 5);
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"first\n\n\n\xff\xfe\0zero\r\nlast without end\n");
}

#[test]
fn nothing_is_no_message_but_an_empty_line_is() {
    let bench = Bench::new("nothing");
    bench.ok("push", "ring", &[], b"");
    bench.run("pop", "ring", &[], b"").expect(3);
    bench.ok("push", "ring", &[], b"\n");
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"\n");
}

#[test]
fn messages_may_end_with_a_zero_byte() {
    let bench = Bench::new("null");
    bench.ok("push", "ring", &["--null"], b"two\nlines\0\0end");
    assert_eq!(bench.ok("pop", "ring", &["-n", "2", "--null"], b""), b"two\nlines\0\0");
    assert_eq!(bench.ok("pop", "ring", &["--null"], b""), b"end\0");
}

#[test]
fn the_whole_input_may_be_one_message() {
    let bench = Bench::new("raw");
    let picture: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    bench.ok("push", "ring", &["--raw"], &picture);
    bench.ok("push", "ring", &["--raw"], b"");
    bench.ok("push", "ring", &["--raw"], b"tail");
    assert_eq!(bench.stat("ring")["len"], 3);
    let out = bench.ok("pop", "ring", &["-n", "1", "--raw"], b"");
    assert!(out == picture, "the same bytes");
    assert_eq!(bench.ok("pop", "ring", &["--raw"], b""), b"tail");
}

#[test]
fn a_line_that_is_too_long_stops_there() {
    let bench = Bench::new("too-long");
    bench.ok("create", "ring", &["--capacity", "8K"], b"");
    let long = vec![b'x'; 4097];
    let input = [b"one\ntwo\n", &long[..], b"\nafter\n"].concat();
    let done = bench.run("push", "ring", &[], &input).expect(1);
    assert!(done.err.contains("line 3: "), "{}", done.err);
    assert!(done.err.contains("4097"), "{}", done.err);
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"one\ntwo\n");

    // One that never ends is not waited for.
    let zeros = File::open("/dev/zero").expect("there are zeros");
    let mut push = bench.start_fed("push", "ring", &[]);
    let mut feed = push.child.stdin.take().expect("a pipe");
    // It stops reading some time, and that is what is wanted.
    let _ = std::io::copy(&mut zeros.take(64 << 20), &mut feed);
    let done = push.finish().expect(1);
    assert!(done.err.contains("line 1: "), "{}", done.err);

    bench.run("push", "ring", &["--raw"], &long).expect(1);
    bench.ok("push", "ring", &["--raw"], &long[1..]);
    assert_eq!(bench.ok("pop", "ring", &["--raw"], b""), &long[1..]);
}

// ---- how much, and for how long -------------------------------------------------------------------

#[test]
fn pop_takes_what_is_there_now() {
    let bench = Bench::new("now");
    bench.ok("push", "ring", &[], b"a\nb\nc\n");
    assert_eq!(bench.ok("pop", "ring", &["-n", "0"], b""), b"");
    assert_eq!(bench.ok("pop", "ring", &["-n", "2"], b""), b"a\nb\n");
    assert_eq!(bench.ok("pop", "ring", &["--ack"], b""), b"c\n");
    let done = bench.run("pop", "ring", &[], b"").expect(3);
    assert_eq!(done.out, b"");
}

#[test]
fn pop_waits_for_as_many_as_were_asked_for() {
    let bench = Bench::new("count");
    bench.ok("push", "ring", &[], b"a\n");
    let pop = bench.start("pop", "ring", &["-n", "3"], b"");
    bench.ok("push", "ring", &[], b"b\n");
    bench.ok("push", "ring", &[], b"c\nd\n");
    assert_eq!(pop.finish().expect(0).out, b"a\nb\nc\n");
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"d\n");
}

#[test]
fn pop_gives_up_in_time() {
    let bench = Bench::new("timeout");
    bench.ok("push", "ring", &[], b"a\n");
    let begin = Instant::now();
    let done = bench.run("pop", "ring", &["-n", "2", "--timeout", "0.3"], b"").expect(3);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert_eq!(done.out, b"a\n");
    assert!(done.err.contains("1 of 2"), "{}", done.err);
}

#[test]
fn a_closed_queue_drains_and_ends() {
    let bench = Bench::new("closed");
    bench.ok("push", "ring", &[], b"a\nb\n");
    bench.ok("close", "ring", &[], b"");
    bench.ok("close", "ring", &[], b"");
    assert_eq!(bench.stat("ring")["closed"], true);
    let done = bench.run("push", "ring", &[], b"c\n").expect(1);
    assert!(done.err.contains("closed"), "{}", done.err);
    assert_eq!(bench.ok("pop", "ring", &["--follow"], b""), b"a\nb\n");
    assert_eq!(bench.ok("pop", "ring", &["--follow"], b""), b"");
    bench.run("pop", "ring", &[], b"").expect(3);
    bench.run("pop", "ring", &["-n", "1"], b"").expect(3);
}

// ---- making and finding the file ------------------------------------------------------------------

#[test]
fn create_makes_what_was_asked_for_and_replaces_nothing() {
    let bench = Bench::new("create");
    let shape = [
        "--capacity",
        "100K",
        "--messages",
        "1000",
        "--cell-size",
        "64",
        "--claim",
        "ticketed",
        "--participants",
        "3",
    ];
    bench.ok("create", "ring", &shape, b"");
    let stat = bench.stat("ring");
    assert_eq!(stat["capacity"], 128 << 10);
    assert_eq!(stat["cells"], 1024);
    bench.ok("push", "ring", &[], b"kept\n");
    bench.run("create", "ring", &[], b"").expect(1);
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"kept\n");

    bench.file("other", b"something else");
    bench.run("create", "other", &[], b"").expect(1);
    assert_eq!(fs::read(bench.path("other")).ok().as_deref(), Some(&b"something else"[..]));
    bench.run("create", "wrong", &["--cell-size", "100"], b"").expect(2);
    assert_eq!(bench.names(), ["other", "ring"]);
}

#[test]
fn what_nobody_finishes_is_set_aside_and_can_be_pushed_again() {
    let bench = Bench::new("letters");
    let asked = ["--capacity", "8K", "--max-deliveries", "1", "--lease", "60", "--rate", "100000"];
    bench.ok("create", "ring", &asked, b"");
    let stat = bench.stat("ring");
    assert_eq!((&stat["max_deliveries"], &stat["lease_ms"]), (&Value::from(1), &Value::from(60_000)));
    bench.ok("push", "ring", &[], b"poison\ngood\n");
    // A program that gives up on the first.
    let queue = ringfile::Queue::open(bench.path("ring")).unwrap();
    assert_eq!(queue.rate(), 100_000.0);
    drop(queue.consumer().unwrap().claim().unwrap());
    drop(queue);

    assert_eq!(bench.ok("pop", "ring", &[], b""), b"good\n");
    assert_eq!(bench.stat("ring")["dead_letters"], 1);
    let letters = bench.ok("pop", "ring.dead", &[], b"");
    assert_eq!(letters, b"poison\n");
    bench.ok("push", "ring", &[], &letters);
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"poison\n");
    bench.ok("verify", "ring.dead", &[], b"");
}

#[test]
fn push_makes_a_ring_of_its_capacity() {
    let bench = Bench::new("push-creates");
    bench.ok("push", "ring", &["--capacity", "16K"], b"a\n");
    assert_eq!(bench.stat("ring")["capacity"], 16 << 10);
    bench.ok("push", "ring", &["--capacity", "16K"], b"b\n");
    bench.ok("push", "ring", &[], b"c\n");
    bench.run("push", "ring", &["--capacity", "32K"], b"d\n").expect(1);
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"a\nb\nc\n");
}

/// The commands that take a ring as it is, and need nothing more.
const EXISTING: [&str; 9] = ["pop", "replay", "rewind", "rate", "stat", "verify", "recover", "reap", "close"];

#[test]
fn only_push_and_create_make_a_file() {
    let bench = Bench::new("absent");
    for command in EXISTING {
        let done = bench.run(command, "ring", &[], b"").expect(1);
        assert!(done.err.contains("no such file"), "{}", done.err);
    }
    bench.run("rate", "ring", &["5"], b"").expect(1);
    bench.run("remove", "ring", &["--group", "default"], b"").expect(1);
    for command in ["create", "push"] {
        let done = bench.run(command, "no/such/ring", &[], b"").expect(1);
        assert!(done.err.contains("directory does not exist"), "{}", done.err);
    }
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn wrong_usage_is_told_apart() {
    let bench = Bench::new("usage");
    for (command, arguments) in [
        ("pop", &["--follow", "-n", "1"][..]),
        ("pop", &["--timeout", "1"]),
        ("pop", &["--raw", "--null"]),
        ("push", &["--raw", "--null"]),
        ("create", &["--capacity", "many"]),
        ("create", &["--retain-for", "5"]),
        ("create", &["--rate", "1e10"]),
        ("pop", &["--rate", "fast"]),
        ("rate", &["inf"]),
        ("replay", &["--raw", "--positions"]),
        ("remove", &[]),
        ("stat", &["--watch", "0"]),
        ("repeat", &[]),
    ] {
        bench.run(command, "ring", arguments, b"").expect(2);
    }
    assert_eq!(bench.names(), [""; 0]);
    for command in EXISTING.into_iter().chain(["create", "push", "remove", "demo"]) {
        let help = bench.ok(command, "", &["--help"], b"");
        let help = String::from_utf8(help).expect("text");
        assert!(help.contains("Usage: ringfile"), "{command}: {help}");
    }
}

#[test]
fn foreign_files_stay_as_they_are() {
    let bench = Bench::new("foreign");
    let long: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    for (name, content) in [("text", &b"dear diary\n"[..]), ("empty", b""), ("long", &long)] {
        let path = bench.file(name, content);
        for command in EXISTING.into_iter().chain(["push"]) {
            bench.run(command, name, &[], b"mine\n").expect(4);
            assert!(fs::read(&path).expect("still there") == content, "{command} {name}");
        }
    }
}

// ---- damage ---------------------------------------------------------------------------------------

/// Flips bits of a file.
fn flip(path: &std::path::Path, at: usize, mask: u8) {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[at] ^= mask;
    fs::write(path, bytes).expect("it can be written");
}

#[test]
fn verify_finds_damage_and_says_where() {
    let bench = Bench::new("damage");
    bench.ok("create", "sound", &["--capacity", "8K"], b"");
    let long = joined(&[&[b'x'; 300], &[b'y'; 300], &[b'z'; 300]]);
    bench.ok("push", "sound", &[], &long);
    bench.ok("verify", "sound", &[], b"");

    let layout = Layout::new(Geometry {
        data_bytes: 8 << 10,
        cells: 64,
        cell_size: 128,
        groups: 4,
        participants: 256,
    })
    .expect("the geometry of the file");
    let copy = |name: &str| {
        fs::copy(bench.path("sound"), bench.path(name)).expect("a copy");
        bench.path(name)
    };

    // The length of the second message, in the upper half of its word, becomes more than the ring has.
    flip(&copy("message"), layout.cells + 128 + cell::SIZE + 7, 0x40);
    let done = bench.run("verify", "message", &["--json"], b"").expect(4);
    let found: Value = serde_json::from_slice(&done.out).expect("JSON");
    assert_eq!(found["sound"], false);
    assert_eq!(found["problems"][0]["position"], 1);
    let done = bench.run("verify", "message", &[], b"").expect(4);
    assert!(done.out.starts_with(b"position 1: "), "{done:?}");
    // It is not printed as if it were good.
    let done = bench.run("pop", "message", &[], b"").expect(4);
    assert_eq!(done.out, &long[..301]);
    // Who only looks gets what lies behind it, too.
    flip(&copy("message"), layout.cells + 128 + cell::SIZE + 7, 0x40);
    let done = bench.run("replay", "message", &[], b"").expect(4);
    assert!(done.err.contains("damaged at position 1:"), "{}", done.err);
    assert!(done.out == [&long[..301], &long[602..]].concat());

    flip(&copy("cursor"), cursor::TAIL + 5, 0xff);
    bench.run("verify", "cursor", &[], b"").expect(4);
    flip(&copy("header"), 100, 0x01);
    bench.run("verify", "header", &[], b"").expect(4);
    let short = OpenOptions::new().write(true).open(copy("short"));
    short.and_then(|file| file.set_len(5000)).expect("it can be cut");
    for command in ["verify", "stat", "push", "pop"] {
        bench.run(command, "short", &[], b"").expect(4);
    }
}

// ---- what stat says -------------------------------------------------------------------------------

#[test]
fn stat_shows_depth_and_peers() {
    let bench = Bench::new("stat");
    bench.ok("push", "ring", &["--capacity", "1M"], b"a\nb\nc\n");
    bench.ok("pop", "ring", &["-n", "1"], b"");
    let stat = bench.stat("ring");
    assert_eq!((&stat["len"], &stat["tail"]), (&2.into(), &3.into()));
    assert_eq!(stat["closed"], false);
    assert_eq!(stat["groups"][0]["name"], "default");
    assert_eq!(stat["groups"][0]["len"], 2);
    assert_eq!(stat["participants"].as_array().map(Vec::len), Some(0));

    let push = bench.start_fed("push", "ring", &[]);
    let pop = bench.start("pop", "ring", &["-n", "9"], b"");
    let peers = || {
        let stat = bench.stat("ring");
        let peers = stat["participants"].as_array().expect("a list");
        let mut peers: Vec<(String, u64)> = peers
            .iter()
            .map(|peer| {
                let role = peer["role"].as_str().expect("a role").to_owned();
                (role, peer["pid"].as_u64().expect("a number"))
            })
            .collect();
        peers.sort();
        peers
    };
    let expected = [
        ("consumer".to_owned(), u64::from(pop.child.id())),
        ("producer".to_owned(), u64::from(push.child.id())),
    ];
    wait_until("both are shown", || peers() == expected);
    let text = String::from_utf8(bench.ok("stat", "ring", &[], b"")).expect("text");
    for what in ["consumer", "producer", "default", "1 MiB"] {
        assert!(text.contains(what), "{what}: {text}");
    }
    assert!(text.contains("consumer of default"), "{text}");
    // The dead are shown until somebody settles what they owe: who only looks does not. The one that waits would, so it goes first.
    drop((pop, push));
    assert_eq!(peers(), expected);
    wait_until("both are gone", || {
        bench.ok("recover", "ring", &[], b"");
        peers().is_empty()
    });
}

#[test]
fn stat_tells_groups_apart() {
    let bench = Bench::new("stat-groups");
    let asked = ["--capacity", "8K", "--claim", "ticketed", "--retain", "20", "--retain-for", "3600"];
    bench.ok("create", "ring", &asked, b"");
    let text = || String::from_utf8(bench.ok("stat", "ring", &[], b"")).expect("text");
    assert!(!text().contains("rate"), "nobody has one: {}", text());
    bench.ok("push", "ring", &[], b"a\nb\nc\n");
    bench.ok("pop", "ring", &["--group", "billing", "--rate", "5000"], b"");

    // Somebody works on the first.
    let queue = ringfile::Queue::open(bench.path("ring")).expect("it is there");
    let mut worker = queue.consumer().expect("a slot is free");
    let held = worker.claim().expect("there is one");
    let stat = bench.stat("ring");
    assert_eq!((&stat["retain"], &stat["retain_for_ms"]), (&20.into(), &3_600_000.into()));
    let of = |group: usize| {
        let group = &stat["groups"][group];
        let [name, claim] = ["name", "claim"].map(|key| group[key].as_str().expect("text"));
        let figures = ["len", "claimed", "frontier"].map(|key| group[key].as_u64().expect("a number"));
        (name, claim, figures, group["rate"].as_f64(), &group["draining"])
    };
    assert_eq!(of(0), ("default", "ticketed", [3, 1, 0], Some(0.0), &Value::Bool(false)));
    assert_eq!(of(1), ("billing", "ordered", [0, 0, 3], Some(5000.0), &Value::Bool(false)));
    assert_eq!(stat["participants"][0]["group"], "default");
    for what in ["5000/s", "ticketed", "the last 20 messages for 3600s"] {
        assert!(text().contains(what), "{what}: {}", text());
    }

    // A claim from before the rewind is shown until it is let go of.
    bench.ok("rewind", "ring", &[], b"");
    let stat = bench.stat("ring");
    let groups = stat["groups"].as_array().expect("a list");
    let draining: Vec<_> = groups.iter().filter(|group| group["draining"] == true).collect();
    assert_eq!(draining.len(), 1, "{stat}");
    assert_eq!((&draining[0]["name"], &draining[0]["claimed"]), (&"default".into(), &1.into()));
    assert!(text().contains("default (draining)"), "{}", text());
    held.ack().expect("there is no lease");
}

#[test]
fn stat_names_who_holds_the_ring_full() {
    let bench = Bench::new("blocking");
    bench.ok("create", "ring", &["--capacity", "8K"], b"");
    let push = bench.start("push", "ring", &[], &b"line\n".repeat(65));
    let blocking = || bench.stat("ring")["groups"][0]["blocking_since_unix_ms"].as_u64();
    wait_until("the ring is full", || blocking().is_some());
    let text = String::from_utf8(bench.ok("stat", "ring", &[], b"")).expect("text");
    assert!(text.contains("default has held the ring full for "), "{text}");
    assert!(text.contains(" with 64 messages\n"), "{text}");
    bench.ok("pop", "ring", &[], b"");
    push.finish().expect(0);
    assert_eq!(blocking(), None);
}

#[test]
fn stat_tells_what_gave_way() {
    let bench = Bench::new("gave-way");
    bench.ok("create", "ring", &["--capacity", "8K", "--retain", "1000"], b"");
    for _ in 0..2 {
        bench.ok("push", "ring", &[], &b"line\n".repeat(64));
        bench.ok("pop", "ring", &[], b"");
    }
    let stat = bench.stat("ring");
    assert_eq!((&stat["retained"], &stat["gave_way"]), (&64.into(), &64.into()));
    let text = String::from_utf8(bench.ok("stat", "ring", &[], b"")).expect("text");
    assert!(text.contains("the last 1,000 messages; 64 retained, 64 gave way\n"), "{text}");
}

#[test]
fn who_looks_on_changes_nothing() {
    let bench = Bench::new("read-only");
    bench.ok("push", "ring", &["--capacity", "8K"], b"a\nb\n");
    bench.ok("rate", "ring", &["7"], b"");
    // One is killed: every command that takes part would settle that.
    let pop = bench.start("pop", "ring", &["-n", "3", "--group", "audit"], b"");
    wait_until("it waits for a third", || bench.stat("ring")["groups"][1]["len"] == 0);
    drop(pop);

    let path = bench.path("ring");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("it is ours");
    let before = fs::read(&path).expect("it can be read");
    assert_eq!(bench.stat("ring")["participants"][0]["group"], "audit");
    bench.ok("stat", "ring", &[], b"");
    bench.ok("verify", "ring", &[], b"");
    assert_eq!(bench.ok("replay", "ring", &[], b""), b"a\nb\n");
    assert_eq!(bench.ok("rate", "ring", &[], b""), b"7\n");
    assert!(fs::read(&path).expect("it can be read") == before, "the same bytes");
}

// ---- stat again and again -------------------------------------------------------------------------

#[test]
fn a_watch_tells_how_fast_it_goes() {
    let bench = Bench::new("watch");
    bench.ok("create", "ring", &["--capacity", "8K"], b"");
    let mut watch = bench.start_into("stat", "ring", &["--watch", "0.05", "--json"], Stdio::piped());
    let mut lines = BufReader::new(watch.child.stdout.take().expect("a pipe")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("it goes on").expect("text");
        serde_json::from_str(&line).expect("each line is JSON")
    };
    let first = next();
    assert_eq!((&first["tail"], &first["pushed_per_second"]), (&0.into(), &Value::Null));
    assert_eq!(first["groups"][0]["finished_per_second"], Value::Null);
    assert_eq!(next()["pushed_per_second"], 0.0);
    let push = bench.start("push", "ring", &[], &b"line\n".repeat(1000));
    let pop = bench.start("pop", "ring", &["-n", "1000"], b"");
    // However long it takes, some interval must tell of it.
    let (mut pushed, mut finished) = (false, false);
    loop {
        let stat = next();
        pushed |= stat["pushed_per_second"].as_f64() > Some(0.0);
        finished |= stat["groups"][0]["finished_per_second"].as_f64() > Some(0.0);
        if stat["groups"][0]["frontier"] == 1000 {
            break;
        }
    }
    assert!(pushed && finished);
    push.finish().expect(0);
    pop.finish().expect(0);
    // Its reader leaves.
    drop(lines);
    watch.finish().expect(0);
}

#[test]
fn a_watch_prints_one_block_after_the_other() {
    let bench = Bench::new("watch-text");
    bench.ok("push", "ring", &["--capacity", "8K"], b"a\n");
    let path = bench.file("blocks.out", b"");
    let out = OpenOptions::new().write(true).open(&path).expect("it is there");
    let watch = bench.start_into("stat", "ring", &["--watch", "0.01"], out.into());
    let blocks = || fs::read_to_string(&path).expect("text");
    wait_until("it has come three times", || blocks().matches("no producers or consumers\n").count() > 2);
    drop(watch);
    let blocks = blocks();
    assert!(blocks.starts_with("ring "), "{blocks}");
    assert!(blocks.matches("no producers or consumers\n\nring ").count() >= 2, "{blocks}");
    assert!(blocks.contains("pushed     0.0 a second\n"), "{blocks}");
    assert!(!blocks.contains('\x1b'), "this is no terminal: {blocks:?}");
}

#[test]
fn a_watch_clears_a_terminal() {
    let (mut ours, mut theirs) = (-1, -1);
    // SAFETY: two places for descriptors, and neither name nor settings.
    let made = unsafe { libc::openpty(&raw mut ours, &raw mut theirs, null_mut(), null(), null()) };
    if made != 0 {
        return;
    }
    // SAFETY: just made, and nobody else's.
    let mut ours = unsafe { File::from_raw_fd(ours) };
    // SAFETY: as above.
    let theirs = unsafe { OwnedFd::from_raw_fd(theirs) };
    let bench = Bench::new("watch-terminal");
    bench.ok("create", "ring", &["--capacity", "8K"], b"");
    let watch = bench.start_into("stat", "ring", &["--watch", "0.01"], theirs.into());
    let mut shown = Vec::new();
    let clears = |shown: &[u8]| String::from_utf8_lossy(shown).matches("\x1b[H\x1b[2Jring ").count();
    while clears(&shown) < 2 {
        let mut some = [0; 4096];
        let count = ours.read(&mut some).expect("it goes on");
        shown.extend_from_slice(&some[..count]);
        assert!(shown.len() < 100_000, "it was never cleared");
    }
    drop(watch);
}

// ---- groups ---------------------------------------------------------------------------------------

#[test]
fn every_group_gets_every_message() {
    let bench = Bench::new("groups");
    bench.ok("create", "ring", &["--groups", "2"], b"");
    bench.run("pop", "ring", &["--group", "audit"], b"").expect(3);
    bench.ok("push", "ring", &[], b"a\nb\nc\n");
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"a\nb\nc\n");
    assert_eq!(bench.ok("pop", "ring", &["--group", "audit", "-n", "2"], b""), b"a\nb\n");
    assert_eq!(bench.ok("pop", "ring", &["--group", "audit"], b""), b"c\n");
    bench.run("pop", "ring", &["--group", "audit"], b"").expect(3);

    let done = bench.run("pop", "ring", &["--group", "more"], b"").expect(1);
    assert!(done.err.contains("room for no more"), "{}", done.err);
    bench.run("pop", "ring", &["--group", ""], b"").expect(2);
    bench.run("pop", "ring", &["--group", &"x".repeat(121)], b"").expect(2);
}

#[test]
fn a_group_that_is_removed_holds_nothing() {
    let bench = Bench::new("remove");
    bench.ok("push", "ring", &["--capacity", "8K"], b"a\nb\n");
    let follow = bench.start("pop", "ring", &["--follow", "--group", "gone"], b"");
    wait_until("it waits for more", || bench.stat("ring")["groups"][1]["len"] == 0);
    bench.ok("remove", "ring", &["--group", "gone"], b"");
    let done = follow.finish().expect(1);
    assert_eq!(done.out, b"a\nb\n");
    assert!(done.err.contains("the group gone was removed"), "{}", done.err);
    for (command, arguments) in [("remove", &[][..]), ("rewind", &[]), ("rate", &[]), ("rate", &["5"])] {
        let done = bench.run(command, "ring", &[arguments, &["--group", "gone"]].concat(), b"").expect(3);
        assert!(done.err.contains("no group gone"), "{}", done.err);
    }
    let groups = bench.stat("ring")["groups"].as_array().map(Vec::len);
    assert_eq!(groups, Some(1), "none was made again");

    // One that finishes nothing holds what the others have finished.
    bench.ok("pop", "ring", &["--group", "idle", "-n", "0"], b"");
    bench.ok("push", "ring", &[], b"c\n");
    assert_eq!(bench.ok("pop", "ring", &["-n", "2"], b""), b"a\nb\n");
    bench.ok("reap", "ring", &[], b"");
    assert_eq!(bench.stat("ring")["reaped"], 0);
    bench.ok("remove", "ring", &["--group", "idle"], b"");
    bench.ok("reap", "ring", &[], b"");
    assert_eq!(bench.stat("ring")["reaped"], 2);
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"c\n");

    // What somebody still holds of it is shown, but is no group any more.
    bench.ok("push", "ring", &[], b"d\n");
    let queue = ringfile::Queue::open(bench.path("ring")).expect("it is there");
    let mut consumer = queue.consumer().expect("a slot is free");
    let held = consumer.claim().expect("there is one");
    bench.ok("remove", "ring", &["--group", "default"], b"");
    let stat = bench.stat("ring");
    assert_eq!((&stat["groups"][0]["draining"], &stat["len"]), (&Value::Bool(true), &0.into()), "{stat}");
    for command in ["rate", "rewind"] {
        bench.run(command, "ring", &[], b"").expect(3);
    }
    held.ack().expect("there is no lease");
    bench.ok("reap", "ring", &[], b"");
    let text = String::from_utf8(bench.ok("stat", "ring", &[], b"")).expect("text");
    assert!(text.contains("no groups"), "{text}");
}

#[test]
fn a_rate_is_the_groups_own_and_stays() {
    let bench = Bench::new("rate");
    bench.ok("push", "ring", &[], b"a\nb\nc\nd\n");
    assert_eq!(bench.ok("rate", "ring", &[], b""), b"0\n");
    let slow = ["--group", "slow", "--rate", "5"];
    let begin = Instant::now();
    // All of them, though each of the last three takes longer than pop waits where there is no rate.
    assert_eq!(bench.ok("pop", "ring", &slow, b""), b"a\nb\nc\nd\n");
    assert!(begin.elapsed() >= Duration::from_millis(600));
    assert_eq!(bench.ok("rate", "ring", &slow[..2], b""), b"5\n");
    assert_eq!(bench.ok("rate", "ring", &[], b""), b"0\n");

    // Set while somebody waits for his turn, it counts at once.
    bench.ok("rate", "ring", &["0.0001"], b"");
    assert_eq!(bench.ok("rate", "ring", &[], b""), b"0.0001\n");
    let pop = bench.start("pop", "ring", &["-n", "4"], b"");
    wait_until("one was let through", || bench.stat("ring")["groups"][0]["len"] == 3);
    bench.ok("rate", "ring", &["0"], b"");
    assert_eq!(pop.finish().expect(0).out, b"a\nb\nc\nd\n");
}

#[test]
fn a_burst_is_what_may_be_saved_up() {
    let bench = Bench::new("burst");
    bench.ok("create", "ring", &["--rate", "0.0001", "--burst", "3"], b"");
    bench.ok("push", "ring", &[], b"a\nb\nc\nd\n");
    assert_eq!(bench.ok("pop", "ring", &["-n", "3", "--timeout", "100"], b""), b"a\nb\nc\n");
    bench.run("pop", "ring", &["-n", "1", "--timeout", "0.1"], b"").expect(3);
}

// ---- what is kept ---------------------------------------------------------------------------------

#[test]
fn what_is_retained_can_be_read_and_comes_again() {
    let bench = Bench::new("retain");
    bench.ok("create", "ring", &["--retain", "3"], b"");
    bench.run("replay", "ring", &[], b"").expect(3);
    bench.ok("push", "ring", &[], b"a\nb\nc\nd\ne\n");
    assert_eq!(bench.ok("pop", "ring", &["-n", "4"], b""), b"a\nb\nc\nd\n");
    // Three that were finished and one that was not, as often as one likes.
    for _ in 0..2 {
        assert_eq!(bench.ok("replay", "ring", &[], b""), b"b\nc\nd\ne\n");
    }
    assert_eq!(bench.ok("replay", "ring", &["--positions"], b""), b"1\tb\n2\tc\n3\td\n4\te\n");
    assert_eq!(bench.ok("replay", "ring", &["--from", "3", "--null"], b""), b"d\0e\0");
    assert_eq!(bench.ok("replay", "ring", &["--from", "0", "--raw"], b""), b"bcde");
    for beyond in ["5", "18446744073709551615"] {
        let done = bench.run("replay", "ring", &["--from", beyond], b"").expect(3);
        assert!(done.err.contains("nothing is kept"), "{}", done.err);
    }
    assert_eq!(bench.stat("ring")["len"], 1);

    assert_eq!(bench.ok("rewind", "ring", &[], b""), b"3 messages come again\n");
    assert_eq!(bench.stat("ring")["len"], 4);
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"b\nc\nd\ne\n");
    // A group that is made now begins with what is retained.
    let late = ["--group", "late"];
    assert_eq!(bench.ok("pop", "ring", &[&late[..], &["-n", "1"]].concat(), b""), b"c\n");
    assert_eq!(bench.ok("rewind", "ring", &late, b""), b"1 message comes again\n");
    assert_eq!(bench.ok("pop", "ring", &late, b""), b"c\nd\ne\n");
    bench.run("pop", "ring", &[], b"").expect(3);
}

#[test]
fn what_is_too_old_is_reaped() {
    let bench = Bench::new("retain-for");
    for (name, age) in [("old", "0.001"), ("young", "100000")] {
        bench.ok("create", name, &["--retain", "10", "--retain-for", age], b"");
        bench.ok("push", name, &[], b"a\nb\n");
        bench.ok("pop", name, &[], b"");
    }
    std::thread::sleep(Duration::from_millis(10));
    bench.ok("reap", "young", &[], b"");
    assert_eq!(bench.ok("replay", "young", &[], b""), b"a\nb\n");
    bench.ok("reap", "old", &[], b"");
    bench.run("replay", "old", &[], b"").expect(3);
}

#[test]
fn reap_tells_what_it_freed_and_settled() {
    let bench = Bench::new("reap");
    let killed = || {
        let pop = bench.start("pop", "ring", &["-n", "1"], b"");
        wait_until("it waits", || bench.stat("ring")["participants"].as_array().map(Vec::len) == Some(1));
        drop(pop);
    };
    let message = [&[b'x'; 1000][..], b"\n"].concat();
    bench.ok("push", "ring", &["--capacity", "8K"], &message.repeat(5));
    bench.ok("pop", "ring", &[], b"");
    killed();
    let reaped: Value = serde_json::from_slice(&bench.ok("reap", "ring", &["--json"], b"")).expect("JSON");
    let stat = bench.stat("ring");
    assert_eq!((&stat["reaped"], &stat["participants"]), (&5.into(), &Value::Array(vec![])));
    assert_eq!(reaped["participants"], 1);
    assert_eq!((&reaped["positions"], &reaped["bytes"]), (&5.into(), &(5 << 10).into()));
    assert_eq!(bench.ok("reap", "ring", &[], b""), b"nothing to free\n");

    bench.ok("push", "ring", &[], b"short\n");
    bench.ok("pop", "ring", &[], b"");
    killed();
    let text = String::from_utf8(bench.ok("reap", "ring", &[], b"")).expect("text");
    assert!(text.starts_with("freed 1 position with 0 bytes of data\n1 participant killed: "), "{text}");
}

/// Lets replay run into a pipe that nobody reads until it stands still.
fn stalled(bench: &Bench) -> (Running, ChildStdout) {
    let mut replay = bench.start_into("replay", "ring", &[], Stdio::piped());
    let pipe = replay.child.stdout.take().expect("a pipe");
    let in_pipe = || {
        let mut count = 0;
        // SAFETY: one number, which outlives the call.
        let result = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) };
        assert_eq!(result, 0, "a pipe tells how much is in it");
        count
    };
    wait_until("the pipe is full", || {
        let before = in_pipe();
        std::thread::sleep(Duration::from_millis(20));
        before > 0 && in_pipe() == before && replay.is_in_state("S")
    });
    (replay, pipe)
}

#[test]
fn a_replay_that_is_overtaken_says_so_and_goes_on() {
    let bench = Bench::new("overtaken");
    let input = fill(&bench);
    let (replay, mut pipe) = stalled(&bench);
    let last = TOO_MANY - 10;
    bench.ok("pop", "ring", &["-n", &last.to_string()], b"");
    bench.ok("reap", "ring", &[], b"");
    // It prints what was there when it began, and no more.
    bench.ok("push", "ring", &[], b"later\n");
    let mut out = Vec::new();
    pipe.read_to_end(&mut out).expect("it prints");
    let done = replay.finish().expect(1);

    let (all, out) = (lines(&input), lines(&out));
    let printed = out.len() - 10;
    assert!(printed > 0 && out[..printed] == all[..printed] && out[printed..] == all[last as usize..]);
    let lost = last as usize - printed;
    assert!(done.err.contains(&format!("overtaken: {lost} positions")), "{}", done.err);
}

#[test]
fn a_replay_whose_reader_leaves_ends_quietly() {
    let bench = Bench::new("replay-reader");
    fill(&bench);
    let (replay, pipe) = stalled(&bench);
    drop(pipe);
    replay.finish().expect(0);
    assert_eq!(bench.stat("ring")["len"], TOO_MANY);
}

// ---- when the reader leaves -----------------------------------------------------------------------

/// Lets pop run into a pipe that nobody reads, ends it as told, and returns what it had printed.
fn interrupted(bench: &Bench, arguments: &[&str], end: impl FnOnce(Running, Box<dyn FnOnce()>)) -> Vec<u8> {
    let mut pop = bench.start_into("pop", "ring", arguments, Stdio::piped());
    let pipe = pop.child.stdout.take().expect("a pipe");
    // The same pipe once more, without waiting where it is empty.
    let again = |options: &mut OpenOptions| {
        options
            .custom_flags(libc::O_NONBLOCK)
            .open(format!("/proc/self/fd/{}", pipe.as_raw_fd()))
            .expect("a pipe can be opened again")
    };
    let mut reader = again(OpenOptions::new().read(true));
    let writer = again(OpenOptions::new().write(true));
    wait_until("the pipe is full", || {
        let before = bench.stat("ring")["len"].as_u64();
        std::thread::sleep(Duration::from_millis(20));
        pop.is_in_state("S") && before < Some(TOO_MANY) && bench.stat("ring")["len"].as_u64() == before
    });
    // It must not print more while we look.
    pop.signal("STOP");
    wait_until("it is stopped", || pop.is_in_state("T"));
    let mut printed = Vec::new();
    // Ends with "would block": what was printed until then counts.
    let _ = reader.read_to_end(&mut printed);
    let leave = move || {
        drop((reader, pipe));
        // A child that another test has just forked has it open too until it executes something else.
        wait_until("nobody can read the pipe", || is_broken(&writer));
    };
    end(pop, Box::new(leave));
    printed
}

/// Whether the other end of a pipe is closed.
fn is_broken(writer: &File) -> bool {
    let mut poll = libc::pollfd { fd: writer.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one struct, which outlives the call.
    unsafe { libc::poll(&raw mut poll, 1, 0) };
    poll.revents & libc::POLLERR != 0
}

/// More messages than go into a pipe.
const TOO_MANY: u64 = 50_000;

fn fill(bench: &Bench) -> Vec<u8> {
    let input: Vec<Vec<u8>> =
        (0..TOO_MANY).map(|number| format!("{number} some line of text").into_bytes()).collect();
    let input = joined(&input.iter().map(Vec::as_slice).collect::<Vec<_>>());
    bench.ok("push", "ring", &[], &input);
    input
}

/// The lines that were printed whole.
fn whole(printed: &[u8]) -> Vec<&[u8]> {
    let end = printed.iter().rposition(|&byte| byte == b'\n');
    lines(&printed[..end.map_or(0, |at| at + 1)])
}

#[test]
fn a_reader_that_leaves_costs_nothing() {
    for (name, arguments) in [("reader", &[][..]), ("reader-ack", &["--ack"])] {
        let bench = Bench::new(name);
        let input = fill(&bench);
        let printed = interrupted(&bench, arguments, |pop, leave| {
            leave();
            pop.signal("CONT");
            pop.finish().expect(0);
        });
        assert!(printed.len() >= 4096, "something was printed");
        let rest = bench.ok("pop", "ring", &[], b"");
        let (printed, rest) = (whole(&printed), lines(&rest));
        let all = lines(&input);
        if arguments.is_empty() {
            // Neither lost nor doubled: the rest begins where the printed lines end.
            assert!([printed, rest].concat() == all);
        } else {
            // Nothing is lost: the rest may begin earlier.
            assert!(printed == all[..printed.len()] && all.ends_with(&rest));
            let (printed, rest, all) = (printed.len(), rest.len(), all.len());
            assert!(rest < all && rest + printed >= all, "{printed} printed, {rest} of {all} left");
        }
    }
}

#[test]
fn a_pop_that_is_killed_loses_nothing() {
    let bench = Bench::new("killed");
    let input = fill(&bench);
    let printed = interrupted(&bench, &["--ack"], |pop, leave| {
        drop(pop);
        leave();
    });
    let recover = |arguments: &[&str]| -> Value {
        let json = bench.ok("recover", "ring", &[&["--json"], arguments].concat(), b"");
        serde_json::from_slice(&json).expect("recover --json prints JSON")
    };
    let owed = recover(&["--dry-run"]);
    assert_eq!((&owed["participants"], &owed["voided"]), (&1.into(), &0.into()), "{owed}");
    assert!(owed["put_back"].as_u64() > Some(0), "it was killed with what it could not print: {owed}");
    assert_eq!(recover(&["--dry-run"]), owed, "nothing was changed");
    assert_eq!(recover(&[]), owed);
    assert_eq!(bench.ok("recover", "ring", &[], b""), b"nothing to recover\n");
    let rest = bench.ok("pop", "ring", &[], b"");
    let (printed, rest, all) = (whole(&printed), lines(&rest), lines(&input));
    assert!(printed == all[..printed.len()] && all.ends_with(&rest));
    assert!(rest.len() + printed.len() >= all.len() && rest.len() < all.len());
}

#[test]
fn an_output_that_is_full_is_an_error_and_costs_nothing() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        return;
    };
    let bench = Bench::new("full");
    bench.ok("push", "ring", &[], b"a\nb\n");
    for command in ["pop", "stat", "replay"] {
        let out = full.try_clone().expect("a descriptor").into();
        let done = bench.start_into(command, "ring", &[], out).finish().expect(1);
        assert!(done.err.contains("standard output"), "{}", done.err);
    }
    assert_eq!(bench.ok("pop", "ring", &[], b""), b"a\nb\n");
}

// ---- demo -----------------------------------------------------------------------------------------

#[test]
fn the_demo_runs_and_cleans_up() {
    let bench = Bench::new("demo");
    for arguments in [
        &["--messages", "50000"][..],
        &["--messages", "20000", "--capacity", "8K", "--producers", "4", "--consumers", "2"],
        &["--seconds", "0.2", "--producers", "1", "--consumers", "1"],
        &["--messages", "1"],
    ] {
        // On standard error it says how far it has come, if it takes that long.
        let done = bench.run("demo", "", arguments, b"");
        assert_eq!(done.code, Some(0), "{done:?}");
        let text = String::from_utf8_lossy(&done.out).into_owned();
        assert!(text.contains("none missing, none twice"), "{text}");
        assert_eq!(bench.names(), [""; 0]);
    }
    let ring = bench.path("kept").display().to_string();
    bench.run("demo", "", &["--messages", "1000", "--path", &ring], b"").expect(0);
    assert_eq!(bench.stat("kept")["tail"], 1000);
    bench.run("demo", "", &["--messages", "1000", "--path", &ring], b"").expect(1);
    assert_eq!(bench.names(), ["kept"]);
}

#[test]
fn a_demo_that_is_killed_leaves_nothing() {
    let bench = Bench::new("demo-killed");
    let demo = bench.start("demo", "", &["--seconds", "300"], b"");
    wait_until("it has begun", || bench.names().iter().any(|name| bench.path(name).join("ring").exists()));
    std::thread::sleep(Duration::from_millis(300));
    drop(demo);
    wait_until("its workers have cleaned up", || bench.names().is_empty());
}

// ---- bench ----------------------------------------------------------------------------------------

/// A command that measures for some seconds; nothing of it may be left in any directory that it used.
fn measured(bench: &Bench, arguments: &[&str]) -> String {
    let running = bench.start("bench", "", arguments, b"");
    let own = format!("ringfile-bench-{}-", running.child.id());
    let done = running.finish().expect(0);
    assert_eq!(bench.names(), [""; 0]);
    for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        assert!(!entry.file_name().to_string_lossy().starts_with(&own), "{entry:?}");
    }
    String::from_utf8(done.out).expect("text")
}

/// Null is what the machine was too busy for.
#[track_caller]
fn is_figure(value: &Value) -> bool {
    match value.as_f64() {
        None => assert!(value.is_null(), "{value}"),
        Some(figure) => assert!(figure.is_finite() && figure > 0.0, "{figure}"),
    }
    value.is_number()
}

#[test]
fn a_bench_measures_everything_beside_its_floor() {
    let bench = Bench::new("bench-json");
    let answer: Value = serde_json::from_str(&measured(&bench, &["--quick", "--json"])).expect("JSON");
    assert!(is_figure(&answer["msync_page_ns"]));
    let array = |name: &str| answer[name].as_array().expect("an array").clone();
    let homes = if answer["tmpfs"] == true { 3 } else { 2 };

    let throughput = array("throughput");
    let of = |shape: &'static str| throughput.iter().filter(move |row| row["shape"] == shape);
    // Three sizes, one by one and in batches.
    assert_eq!(of("one thread").count(), 6 * (1 + homes));
    for row in of("one thread") {
        assert!(is_figure(&row["ns"]), "{row}");
        assert_eq!(is_figure(&row["times_floor"]), row["of"] != "floor", "{row}");
    }
    let distances = array("distances").len();
    assert!(distances > 0, "no round was undisturbed");
    assert_eq!(of("two threads").count(), 6 * (1 + homes) * distances);
    assert_eq!(of("two processes").count(), 6 * homes * distances);
    assert!(throughput.iter().filter(|row| is_figure(&row["ns"])).count() > 0);

    let latency = array("latency");
    for (what, rows) in [("round trip", homes), ("one way", 1 + homes), ("wake-up", 2)] {
        let of = latency.iter().filter(|row| row["what"] == what);
        assert_eq!(of.count(), rows * distances, "{what}");
    }
    for row in &latency {
        let ns = ["p50", "p99", "p99.9", "p99.99"].map(|percentile| row["ns"][percentile].as_f64());
        let known: Vec<f64> = ns.into_iter().flatten().collect();
        assert!(known.is_sorted() && known.first().is_none_or(|&first| first > 0.0), "{row}");
        assert_eq!(known.is_empty(), row["messages"] == 0, "{row}");
    }
}

#[test]
fn a_bench_on_one_core_says_so() {
    let bench = Bench::new("bench-one-core");
    let dir = bench.path("here").display().to_string();
    fs::create_dir(&dir).expect("a directory");
    // What a thread starts may run where it may itself; the harness's own threads stay as they are.
    let text = std::thread::scope(|scope| {
        let on_one_core = scope.spawn(|| {
            // SAFETY: the call returns a number and touches nothing.
            let core = usize::try_from(unsafe { libc::sched_getcpu() }).expect("it runs somewhere");
            // SAFETY: a plain value, for which all zeroes is the empty set.
            let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
            // SAFETY: a plain value and a number within it.
            unsafe { libc::CPU_SET(core, &mut set) };
            // SAFETY: the set outlives the call.
            assert_eq!(0, unsafe {
                libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
            });
            let running = bench.start("bench", "", &["--quick", "--dir", &dir], b"");
            String::from_utf8(running.finish().expect(0).out).expect("text")
        });
        on_one_core.join().expect("it does not panic")
    });
    fs::remove_dir(dir).expect("nothing is left in it");
    for row in
        ["only one", "one thread", "two threads, on one core", "1 KiB, by 64", "to a process that sleeps"]
    {
        assert!(text.contains(row), "{row}: {text}");
    }
}

#[test]
fn a_bench_that_cannot_write_says_where() {
    let bench = Bench::new("bench-nowhere");
    bench.file("file", b"");
    for place in ["missing", "file"] {
        let place = bench.path(place).display().to_string();
        let done = bench.run("bench", "", &["--dir", &place], b"").expect(1);
        assert!(done.err.contains(&place) && done.err.contains("--dir"), "{done:?}");
    }
}

/// A bench that measures for long, and its other process.
fn two_processes(bench: &Bench) -> (Running, String) {
    let running = bench.start("bench", "", &["--seconds", "300"], b"");
    let children = format!("/proc/{0}/task/{0}/children", running.child.id());
    let child = || fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
    wait_until("it has another process", || !child().is_empty());
    wait_until("its files are gone", || bench.names().is_empty());
    std::thread::sleep(Duration::from_millis(300));
    (running, child())
}

#[test]
fn a_bench_that_is_killed_leaves_nothing() {
    let bench = Bench::new("bench-killed");
    let (running, child) = two_processes(&bench);
    drop(running);
    // Of a zombie, which is waited for by whoever adopted it, nothing runs.
    wait_until("the other has ended", || fs::read_link(format!("/proc/{child}/exe")).is_err());
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn a_bench_whose_other_process_is_killed_says_so() {
    let bench = Bench::new("bench-bereft");
    let (running, child) = two_processes(&bench);
    assert!(
        std::process::Command::new("kill").args(["-KILL", &child]).status().expect("kill runs").success()
    );
    running.finish().expect(1);
}

// ---- a file that is cut off under a command ---------------------------------------------------------

/// The kernel ends who touches what is gone; before that, a line says why, and the exit code is that of any damaged file.
#[test]
fn a_command_whose_file_is_cut_off_says_so() {
    let bench = Bench::new("cut");
    for arguments in [&["stat", "--watch", "0.05"][..], &["pop", "--follow"], &["replay"]] {
        let path = bench.path("q");
        let _ = fs::remove_file(&path);
        bench.ok("push", "q", &["--capacity", "4M"], &b"a line of the text\n".repeat(10_000));
        // Nobody reads the pipe: who prints messages is stuck in their midst.
        let mut running = bench.start_into(arguments[0], "q", &arguments[1..], Stdio::piped());
        let mut out = running.child.stdout.take().expect("it is a pipe");
        out.read_exact(&mut [0; 16]).expect("it prints something");
        OpenOptions::new().write(true).open(&path).unwrap().set_len(4096).unwrap();
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        running.finish().expect(4);
    }
}

/// A signal that somebody sends is none of that.
#[test]
fn a_bus_error_that_is_sent_ends_a_command_as_ever() {
    let bench = Bench::new("bus");
    bench.ok("create", "q", &[], b"");
    let mut running = bench.start_into("stat", "q", &["--watch", "0.05"], Stdio::piped());
    let mut out = running.child.stdout.take().expect("it is a pipe");
    out.read_exact(&mut [0; 16]).expect("it prints something");
    running.signal("BUS");
    let done = running.finish();
    assert_eq!((done.code, &*done.err), (None, ""), "{done:?}");
}
