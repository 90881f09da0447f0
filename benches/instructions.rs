//! How many instructions each operation takes, so that none grows unnoticed: `benches/instructions.txt` is what they took last.
//!
//! ```text
//! cargo bench --bench instructions                   # counts, and compares with the table
//! cargo bench --bench instructions -- batch          # what matches
//! RINGFILE_PIN=1 cargo bench --bench instructions    # counts, and writes the table
//! ```
//!
//! This program runs itself under callgrind twice for each operation, with so many repetitions and with twice as many: the difference is what the
//! repetitions took, and nothing else. One thread, in memory, a warm ring, operations that succeed at once. More than [`TOLERATED`] fails; so much less
//! asks to be recorded. Where there is no valgrind nothing is counted, which is said, and fails only with `RINGFILE_REQUIRE=1`.
//!
//! Counts repeat to the last instruction, or nearly: there is no other thread, and the clock stands still, since consumers look at it now and then and do more when time has passed, of which
//! an emulated processor takes fifty times as much. Another compiler changes them. `memcpy` is chosen by the C library when a program starts, by the
//! processor that valgrind emulates, which depends on the one underneath; so it is told to choose the one that every x86-64 has. On another
//! architecture, or with another C library, pin a table of your own before a change and compare after it.

use ringfile::{Claim, Consumer, Producer, Queue};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs, io};

/// Of what an operation took when it was pinned.
const TOLERATED: f64 = 0.05;
/// Messages of a ring, and the least that are counted: once round, so that each repetition costs what it does in the long run.
const RING: u64 = 1024;
const REPETITIONS: u64 = 4 * RING;
const BATCH: usize = 64;

const PIN: &str = "RINGFILE_PIN";
const REQUIRE: &str = "RINGFILE_REQUIRE";
/// The C library's, without what only some processors have.
const TUNABLES: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX_Fast_Unaligned_Load,-SSSE3,-ERMS,-FSRM",
);

/// A name, what of it is counted, and what is done so many times.
struct Operation {
    name: &'static str,
    counted: Counted,
    repeat: fn(u64),
}

enum Counted {
    All,
    /// What this function and those below it do, by a part of its name.
    Within(&'static str),
}

const fn operation(name: &'static str, repeat: fn(u64)) -> Operation {
    Operation { name, counted: Counted::All, repeat }
}

const OPERATIONS: [Operation; 10] = [
    operation("push+pop_into/8", push_pop::<8>),
    operation("push+pop_into/64", push_pop::<64>),
    operation("push+pop_into/1024", push_pop::<1024>),
    operation("try_push+try_pop_into/8", try_push_try_pop),
    operation("push_batch+drain/64_of_8", batches::<8>),
    operation("push_batch+drain/64_of_64", batches::<64>),
    operation("reserve_commit+claim_ack/64", in_place),
    operation("ticketed_push+pop_into/8", ticketed),
    Operation { name: "push/8", counted: Counted::Within("fill_half"), repeat: half_by_half },
    Operation { name: "pop_into/8", counted: Counted::Within("empty_half"), repeat: half_by_half },
];

fn ring(size: usize, claim: Claim) -> (Producer, Consumer) {
    let mut options = Queue::options();
    let queue = options.messages(RING).capacity(RING as usize * size).claim(claim).in_memory().unwrap();
    (queue.producer().unwrap(), queue.consumer().unwrap())
}

fn through<const N: usize>(claim: Claim, repetitions: u64) {
    let (mut producer, mut consumer) = ring(N, claim);
    let mut popped = Vec::with_capacity(N);
    for _ in 0..RING + repetitions {
        producer.push(black_box(&[7; N])).unwrap();
        consumer.pop_into(&mut popped).unwrap();
        black_box(&popped);
    }
}

fn push_pop<const N: usize>(repetitions: u64) {
    through::<N>(Claim::Ordered, repetitions);
}

fn ticketed(repetitions: u64) {
    through::<8>(Claim::Ticketed, repetitions);
}

fn try_push_try_pop(repetitions: u64) {
    let (mut producer, mut consumer) = ring(8, Claim::Ordered);
    let mut popped = Vec::with_capacity(8);
    for _ in 0..RING + repetitions {
        producer.try_push(black_box(&[7; 8])).unwrap();
        consumer.try_pop_into(&mut popped).unwrap();
        black_box(&popped);
    }
}

/// A repetition is a message.
fn batches<const N: usize>(repetitions: u64) {
    let (mut producer, mut consumer) = ring(N, Claim::Ordered);
    let batch = [[7; N]; BATCH];
    for _ in 0..(RING + repetitions) / BATCH as u64 {
        producer.push_batch(black_box(&batch)).unwrap();
        let drained = consumer.drain(BATCH, |message| {
            black_box(message);
        });
        assert_eq!(drained, Ok(BATCH));
    }
}

fn in_place(repetitions: u64) {
    let (mut producer, mut consumer) = ring(64, Claim::Ordered);
    for _ in 0..RING + repetitions {
        let mut place = producer.reserve(64).unwrap();
        place.copy_from_slice(black_box(&[7; 64]));
        place.commit();
        let delivery = consumer.claim().unwrap();
        black_box(&*delivery);
        delivery.ack().unwrap();
    }
}

fn half_by_half(repetitions: u64) {
    let (mut producer, mut consumer) = ring(8, Claim::Ordered);
    for _ in 0..(RING + repetitions) / (RING / 2) {
        fill_half(&mut producer);
        empty_half(&mut consumer);
    }
}

#[inline(never)]
fn fill_half(producer: &mut Producer) {
    for _ in 0..RING / 2 {
        producer.push(black_box(&[7; 8])).unwrap();
    }
}

#[inline(never)]
fn empty_half(consumer: &mut Consumer) {
    let mut popped = Vec::with_capacity(8);
    for _ in 0..RING / 2 {
        consumer.pop_into(&mut popped).unwrap();
        black_box(&popped);
    }
}

/// Takes the place of the C library's: see the beginning of this file.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(_: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // SAFETY: whoever asks for the time has room for it.
    unsafe { time.write(libc::timespec { tv_sec: 1, tv_nsec: 0 }) };
    0
}

/// The instructions of a repetition, as exactly as the table has them.
fn count(operation: &Operation) -> io::Result<f64> {
    let once = collect(operation, REPETITIONS)?;
    let twice = collect(operation, 2 * REPETITIONS)?;
    let exact = (twice - once) as f64 / REPETITIONS as f64;
    Ok((10.0 * exact).round() / 10.0)
}

/// The instructions of so many, and of what a process does besides.
fn collect(operation: &Operation, repetitions: u64) -> io::Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    if let Counted::Within(function) = operation.counted {
        valgrind.arg(format!("--toggle-collect=*{function}*"));
    }
    valgrind.arg(env::current_exe()?).args(["--repeat", operation.name, &repetitions.to_string()]);
    let output = valgrind.env(TUNABLES.0, TUNABLES.1).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected
        .filter(|_| output.status.success())
        .ok_or_else(|| io::Error::other(format!("{}: {}\n{said}", operation.name, output.status)))
}

/// What a run under callgrind does.
fn repeat(name: &str, repetitions: &str) {
    let operation = OPERATIONS.iter().find(|operation| operation.name == name).expect("a name of the list");
    (operation.repeat)(repetitions.parse().expect("a number"));
}

type Table = BTreeMap<String, f64>;

fn read(path: &Path) -> Table {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(name, count)| (name.to_owned(), count.parse().expect("a name and a number in each line")))
        .collect()
}

fn write(path: &Path, table: &Table) -> io::Result<()> {
    let lines: String = table.iter().map(|(name, count)| format!("{name} {count:.1}\n")).collect();
    fs::write(path, lines)
}

/// What is to be said of a count, and whether it may stay so.
fn judge(count: f64, pinned: Option<f64>) -> (String, bool) {
    let Some(pinned) = pinned else {
        return (format!("NOT PINNED: run again with {PIN}=1"), false);
    };
    let change = count / pinned - 1.0;
    let percent = format!("{:+.1} % of {pinned:.1}", 100.0 * change);
    if change > TOLERATED {
        (format!("GREW: {percent}; if it must, run again with {PIN}=1"), false)
    } else if change < -TOLERATED {
        (format!("shrank: {percent}; record it with {PIN}=1"), true)
    } else {
        (percent, true)
    }
}

fn run(words: &[String]) -> io::Result<bool> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt");
    let pins = env::var_os(PIN).is_some_and(|value| value == "1");
    let mut table = read(&path);
    let mut good = true;
    for operation in &OPERATIONS {
        if !words.iter().all(|word| operation.name.contains(word.as_str())) {
            continue;
        }
        let count = count(operation)?;
        let (verdict, may_stay) = judge(count, table.get(operation.name).copied());
        println!("{:<28}{count:>8.1}  {verdict}", operation.name);
        table.insert(operation.name.to_owned(), count);
        good &= may_stay || pins;
    }
    if pins {
        table.retain(|name, _| OPERATIONS.iter().any(|operation| operation.name == name));
        write(&path, &table)?;
    }
    Ok(good)
}

/// Why there is nothing to count with, or nothing worth counting.
fn obstacle() -> Option<&'static str> {
    let mut valgrind = Command::new("valgrind");
    let version = valgrind.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if cfg!(debug_assertions) {
        Some("this build is not optimised, or has assertions; use `cargo bench --bench instructions`")
    } else if !version.is_ok_and(|status| status.success()) {
        Some("there is no valgrind here")
    } else {
        None
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [flag, name, repetitions] = &args[..]
        && flag == "--repeat"
    {
        repeat(name, repetitions);
        return ExitCode::SUCCESS;
    }
    if let Some(obstacle) = obstacle() {
        println!("NOT RUN: instruction counts; {obstacle}");
        let required = env::var_os(REQUIRE).is_some_and(|value| value == "1");
        return ExitCode::from(u8::from(required));
    }
    // Cargo adds `--bench`, and gives what is meant for other benchmarks to all of them.
    let words: Vec<String> = args.into_iter().filter(|arg| !arg.starts_with('-')).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
