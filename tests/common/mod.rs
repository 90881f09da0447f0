//! What the tests share: places for files, processes to kill, and a clock that notices when something hangs.

// Every test binary has a copy of this module, and none needs all of it.
#![allow(dead_code)]

use ringfile::{Batch, Claim, Consumer, Options, Producer, Queue};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a machine that is busy with something else; shorter than a patience.
pub const HANGS: Duration = Duration::from_secs(120);

/// Both ways to claim.
pub const CLAIMS: [Claim; 2] = [Claim::Ordered, Claim::Ticketed];

/// Positions from which the tag in a claim word, and the lap in a publish word, wrap: see `born_at`.
pub const WRAPS: [u32; 2] = [40, 46];

/// One less than this is the last data unit before its number wraps.
pub const UNIT_WRAP: u64 = 1 << 42;

/// Options for a queue that is born `before` positions and data units below the wrap of its claim tags and of its units.
pub fn below_wrap(cells: u64, before: u64) -> Options {
    let mut options = Queue::options();
    options.messages(cells).born_at((cells << WRAPS[0]) - before, UNIT_WRAP - before);
    options
}

/// How much to do, if the environment says so.
pub fn number_from<N: FromStr>(name: &str, default: N) -> N {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A directory of one test's own, gone when it ends. What killed runs left behind never gets in the way: no two have the same name.
pub struct Dir(PathBuf);

impl Dir {
    /// A new, empty directory.
    pub fn new() -> Dir {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let path = std::env::temp_dir().join(format!(
                "ringfile-test-{}-{}-{}",
                std::process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed),
                now_ns(),
            ));
            match std::fs::create_dir(&path) {
                Ok(()) => return Dir(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("cannot create {}: {error}", path.display()),
            }
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ends the process with a message if it is not dropped in time, so that a hang is a failure that says what hung.
pub struct Watchdog(Option<Sender<()>>);

impl Watchdog {
    /// Watches `what` for at most `limit`.
    pub fn new(limit: Duration, what: impl Into<String>) -> Watchdog {
        let what = what.into();
        let (alive, watch) = channel::<()>();
        thread::spawn(move || {
            if watch.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                // The macros would write into the captured output of a test that never ends.
                let _ = writeln!(io::stderr(), "HANGS for {limit:?}: {what}");
                std::process::abort();
            }
        });
        Watchdog(Some(alive))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// Watches the test that calls this.
pub fn watch(what: &str) -> Watchdog {
    Watchdog::new(HANGS, what)
}

/// Waits until `done` says so.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < HANGS, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Nanoseconds of the clock that all processes of the machine share and that never goes back.
pub fn now_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// What the calling thread has used of a processor.
pub fn thread_cpu() -> Duration {
    Duration::from_nanos(clock_ns(libc::CLOCK_THREAD_CPUTIME_ID))
}

/// What this process has used of a processor, in all its threads.
pub fn process_cpu() -> Duration {
    Duration::from_nanos(clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID))
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec for the call to fill.
    let result = unsafe { libc::clock_gettime(clock, &mut time) };
    assert_eq!(result, 0, "no clock {clock}");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

const ROLE: &str = "RINGFILE_TEST_ROLE";
/// Between the arguments of a role: a byte that no path of ours contains.
const SEPARATOR: &str = "\u{1f}";

/// A child process: this test binary once more, in the role that [`run_child`] gives it. Killed when dropped.
pub struct Child {
    role: String,
    process: std::process::Child,
    said: BufReader<std::process::ChildStdout>,
}

/// What a child process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It runs, or sleeps.
    Going,
    /// A signal has stopped it.
    Stopped,
    /// It is gone, and has not been waited for.
    Ended,
}

/// Starts this test binary again as `role`. Its file needs `#[test] fn child() { run_child(..) }`.
pub fn spawn(role: &str, args: &[&dyn AsRef<OsStr>]) -> Child {
    let binary = std::env::current_exe().expect("this test has a binary");
    spawn_by(Command::new(binary), role, args)
}

/// The same below another program, which is given the path of the binary and its arguments after its own.
pub fn spawn_under(mut program: Command, role: &str, args: &[&dyn AsRef<OsStr>]) -> Child {
    program.arg(std::env::current_exe().expect("this test has a binary"));
    spawn_by(program, role, args)
}

fn spawn_by(mut program: Command, role: &str, args: &[&dyn AsRef<OsStr>]) -> Child {
    let mut line = role.to_owned();
    for arg in args {
        line.push_str(SEPARATOR);
        line.push_str(arg.as_ref().to_str().expect("test paths are UTF-8"));
    }
    let mut process = program
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts again");
    let said = BufReader::new(process.stdout.take().expect("it is piped"));
    Child { role: role.to_owned(), process, said }
}

/// Plays the role that this process was started for; returns at once in a process that has none.
pub fn run_child(play: impl FnOnce(&str, &[&str])) {
    let Ok(line) = std::env::var(ROLE) else {
        return;
    };
    let mut words = line.split(SEPARATOR);
    let role = words.next().expect("split gives at least one");
    let args: Vec<&str> = words.collect();
    let _watchdog = Watchdog::new(HANGS, format!("child process in the role {role} {args:?}"));
    // A parent that is gone leaves no orphans: its end of the pipe is closed.
    play(role, &args);
}

/// In a child: says a line to the parent.
pub fn say(line: impl AsRef<str>) {
    let mut out = io::stdout().lock();
    // The harness may have begun a line of its own.
    writeln!(out, "\n@{}", line.as_ref()).expect("the parent listens");
    out.flush().expect("the parent listens");
}

/// In a child: waits until the parent lets it go on, or is gone.
pub fn wait_for_parent() {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line).unwrap_or(0) == 0 {
        std::process::exit(0);
    }
}

/// In a child that is going to be killed: does nothing for ever, but outlives no parent.
pub fn until_killed() -> ! {
    loop {
        wait_for_parent();
    }
}

impl Child {
    /// Its process number.
    pub fn pid(&self) -> libc::pid_t {
        self.process.id() as libc::pid_t
    }

    /// The next line that it says, or `None` when it has ended.
    pub fn try_hear(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.said.read_line(&mut line).expect("the pipe is read") == 0 {
                return None;
            }
            if let Some(said) = line.strip_prefix('@') {
                return Some(said.trim_end().to_owned());
            }
        }
    }

    /// The next line that it says.
    pub fn hear(&mut self) -> String {
        self.try_hear().unwrap_or_else(|| panic!("the child as {} ended without a word", self.role))
    }

    /// Waits for exactly this line.
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.hear(), line, "from the child as {}", self.role);
    }

    /// Lets it go on after `wait_for_parent`.
    pub fn go_on(&mut self) {
        let stdin = self.process.stdin.as_mut().expect("it is piped");
        writeln!(stdin).expect("the child listens");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: the process is our child and has not been waited for.
        let result = unsafe { libc::kill(self.pid(), signal) };
        assert_eq!(result, 0, "cannot signal the child as {}", self.role);
    }

    /// What it is doing now. It can be waited for afterwards all the same.
    pub fn doing(&self) -> Doing {
        // SAFETY: all-zero is a valid value of this plain struct.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let ask = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: the struct is there for the call to fill; the process is our child and has not been waited for.
        let result = unsafe { libc::waitid(libc::P_PID, self.pid() as libc::id_t, &raw mut info, ask) };
        assert_eq!(result, 0, "cannot ask after the child as {}", self.role);
        // SAFETY: the call has filled it, or left it zero.
        match (unsafe { info.si_pid() }, info.si_code) {
            (0, _) => Doing::Going,
            (_, libc::CLD_STOPPED) => Doing::Stopped,
            _ => Doing::Ended,
        }
    }

    /// Waits until a signal has stopped it.
    pub fn until_stopped(&self) {
        until("the child is stopped", || {
            assert_ne!(self.doing(), Doing::Ended, "the child as {} ended, and was to stop", self.role);
            self.doing() == Doing::Stopped
        });
    }

    /// Kills it and waits until it is gone.
    pub fn kill(mut self) {
        self.process.kill().expect("the child can be killed");
        let status = self.process.wait().expect("the child can be waited for");
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{}", self.role);
    }

    /// Waits for its end, and says how it ended.
    pub fn end(&mut self) -> ExitStatus {
        // A child that says more than a pipe holds would not end while nobody listens.
        io::copy(&mut self.said, &mut io::sink()).expect("the pipe is read");
        self.process.wait().expect("the child can be waited for")
    }

    /// Waits for its end, which must be a good one.
    pub fn finish(mut self) {
        let status = self.end();
        assert!(status.success(), "the child as {} failed: {status}", self.role);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A generator of numbers that are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A message of `len` bytes that shows every displacement, cut and mixture with another seed's.
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut message = Vec::with_capacity(len + 8);
    while message.len() < len {
        message.extend_from_slice(&random.next().to_le_bytes());
    }
    message.truncate(len);
    message
}

/// A message that knows its number and shows damage.
pub fn message(number: u64, len: usize) -> Vec<u8> {
    let mut message = number.to_le_bytes().to_vec();
    message.extend(pattern(number, len.saturating_sub(8)));
    message
}

/// The number of such a message, which must be whole.
pub fn number(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert!(bytes == message(number, bytes.len()), "torn: what claims to be message {number}");
    number
}

/// One of each.
pub fn handles(queue: &Queue) -> (Producer, Consumer) {
    (queue.producer().unwrap(), queue.consumer().unwrap())
}

/// The messages of a batch.
pub fn texts(batch: &Batch<'_>) -> Vec<String> {
    batch.iter().map(|m| String::from_utf8(m.to_vec()).unwrap()).collect()
}

/// Runs `see` on a batch of exactly these messages. A `Ticketed` consumer may take fewer with one claim; what it took then, it gives up.
pub fn with_batch<T>(
    producer: &mut Producer,
    consumer: &mut Consumer,
    messages: &[&str],
    see: impl FnOnce(Batch<'_>) -> T,
) -> T {
    for _ in 0..3 {
        producer.try_push_batch(messages).unwrap();
        let batch = consumer.try_claim_batch(messages.len()).unwrap();
        if batch.len() == messages.len() {
            assert_eq!(texts(&batch), messages);
            return see(batch);
        }
        batch.ack().unwrap();
        while consumer.try_pop().is_ok() {}
    }
    panic!("three times a batch was not claimed as a whole");
}
