//! Each queue works in a process of its own, on a new directory: walrus has one way to sync for all logs of a process, others leave threads behind, and
//! one that is to be killed cannot be this one.
//!
//! A child is this program again, told by its arguments what to do; it answers in words on its standard output.

use crate::laps::{self, Costs};
use crate::places::Places;
use crate::queues::walrus::{DIRECTORY, QUIET};
use crate::queues::{Kind, Queue, Shape};
use harness::message::Tally;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio, exit};
use std::time::Duration;

/// The first argument of a child.
const CHILD: &str = "child";
const LAPS: &str = "laps";
const FILL: &str = "fill";
const DRAIN: &str = "drain";

/// How a child ends that could not open its queue.
const NOT_OPENED: i32 = 3;

/// What the process that will be killed does before.
pub const FILLED: u64 = 1000;
pub const POPPED: u64 = 100;
const FILLED_WITH: Shape = Shape { size: 64, messages: 1024 };

/// What a queue gives out when it is opened after the death of the process that used it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// Every message from this one to this one, each whole.
    Messages {
        first: u64,
        last: u64,
    },
    Nothing,
    /// It cannot be opened, or gives out something else.
    Broken(String),
}

/// Becomes a child if the arguments say so.
pub fn turn_into() {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let &[_, CHILD, task, kind, size, messages, nanos, dir] = &*words else {
        return;
    };
    let number = |word: &str| word.parse::<u64>().expect("a number from the parent");
    let kind = Kind::by_name(kind).expect("a kind from the parent");
    let shape = Shape { size: number(size) as usize, messages: number(messages) };
    let mut queue = kind.open(Path::new(dir), shape).unwrap_or_else(|error| {
        eprintln!("{error}");
        exit(NOT_OPENED)
    });
    match task {
        LAPS => {
            let Costs { push, pop } = laps::run(&mut *queue, shape.size, Duration::from_nanos(number(nanos)));
            println!("{push} {pop}");
        }
        FILL => {
            queue.push_all(shape.size, 0..FILLED);
            queue.pop_all(POPPED, &mut Tally::default());
            println!("filled");
            wait_for_death();
        }
        DRAIN => println!("{}", drain(&mut *queue)),
        _ => unreachable!("a task from the parent"),
    }
    exit(0)
}

fn wait_for_death() -> ! {
    // It ends when the parent dies first.
    let _ = std::io::stdin().read(&mut [0]);
    exit(0)
}

/// The numbers of all messages in words: `first last`, or what is wrong with them.
fn drain(queue: &mut dyn Queue) -> String {
    let mut message = Vec::new();
    let mut range = None;
    while queue.pop(&mut message) {
        let number = u64::from_le_bytes(message[..8].try_into().expect("eight bytes"));
        let mut tally = Tally::default();
        tally.see(&message);
        let (first, expected) = range.unwrap_or((number, number));
        let whole = tally.sum == number * FILLED_WITH.size.div_ceil(64) as u64;
        if number != expected || message.len() != FILLED_WITH.size || !whole {
            return format!("message {number} of {} bytes where {expected} should be", message.len());
        }
        range = Some((first, number + 1));
    }
    range.map_or("nothing".into(), |(first, end)| format!("{first} {}", end - 1))
}

fn command(task: &str, kind: &Kind, shape: Shape, lasts: Duration, dir: &Path) -> Command {
    let this = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(this);
    command.args([CHILD, task, kind.name, &shape.size.to_string(), &shape.messages.to_string()]);
    command.arg(lasts.as_nanos().to_string()).arg(dir);
    command.env(DIRECTORY, dir).env(QUIET, "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it said. A queue that cannot be opened is an error; everything else that can go wrong is one of this program, and a panic.
fn answer(kind: &Kind, output: Output) -> Result<String, String> {
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Some(NOT_OPENED) => Err(complaint),
        _ => panic!("{}: {}: {complaint}", kind.name, output.status),
    }
}

/// What a push and a pop cost this kind of queue.
pub fn laps(kind: &Kind, shape: Shape, lasts: Duration, places: &Places) -> Result<Costs, String> {
    let dir = places.new_dir(kind.place)?;
    let output = command(LAPS, kind, shape, lasts, dir.path()).output().map_err(|e| e.to_string())?;
    let answer = answer(kind, output)?;
    let costs: Vec<f64> = answer.split(' ').filter_map(|word| word.parse().ok()).collect();
    match costs[..] {
        [push, pop] => Ok(Costs { push, pop }),
        _ => panic!("{}: {answer}", kind.name),
    }
}

/// Kills a process that has pushed and popped, and looks what is there afterwards.
pub fn killed(kind: &Kind, places: &Places) -> Result<Left, String> {
    let dir = places.new_dir(kind.place)?;
    let start = |task| command(task, kind, FILLED_WITH, Duration::ZERO, dir.path()).spawn();
    let child = start(FILL).map_err(|error| error.to_string())?;
    kill_when_filled(kind, child)?;
    let drained = start(DRAIN).and_then(Child::wait_with_output).map_err(|error| error.to_string())?;
    if !drained.status.success() {
        return Ok(Left::Broken(String::from_utf8_lossy(&drained.stderr).trim().to_owned()));
    }
    let answer = answer(kind, drained)?;
    let numbers: Vec<u64> = answer.split(' ').filter_map(|word| word.parse().ok()).collect();
    Ok(match numbers[..] {
        [first, last] => Left::Messages { first, last },
        _ if answer == "nothing" => Left::Nothing,
        _ => Left::Broken(answer),
    })
}

fn kill_when_filled(kind: &Kind, mut child: Child) -> Result<(), String> {
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
    if line.trim() == "filled" {
        child.kill().map_err(|error| error.to_string())?;
        child.wait().map_err(|error| error.to_string())?;
        return Ok(());
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    answer(kind, output).map(|_| ())
}
