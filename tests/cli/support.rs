//! A directory, the program, and text for the tests of the command line.

use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// No single command of these tests takes nearly as long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory of a test's own, gone with it.
pub struct Bench {
    pub dir: PathBuf,
    commands: AtomicU32,
}

impl Bench {
    /// What an earlier run has left there is removed.
    pub fn new(test: &str) -> Bench {
        let name = format!("ringfile-cli-{test}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a temporary directory");
        Bench { dir, commands: AtomicU32::new(0) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file can be written");
        path
    }

    /// Starts `ringfile COMMAND FILE ARGUMENTS` with these bytes on standard input.
    pub fn start(&self, command: &str, file: &str, arguments: &[&str], input: &[u8]) -> Running {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let input = self.file(&format!("{number}.in"), input);
        self.start_with(number, command, file, arguments, open(&input), None)
    }

    /// The same with a pipe on standard input.
    pub fn start_fed(&self, command: &str, file: &str, arguments: &[&str]) -> Running {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        self.start_with(number, command, file, arguments, Stdio::piped(), None)
    }

    /// The same with a given standard output.
    pub fn start_into(&self, command: &str, file: &str, arguments: &[&str], out: Stdio) -> Running {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        self.start_with(number, command, file, arguments, Stdio::null(), Some(out))
    }

    fn start_with(
        &self,
        number: u32,
        command: &str,
        file: &str,
        arguments: &[&str],
        input: Stdio,
        output: Option<Stdio>,
    ) -> Running {
        // Files, not pipes: nobody has to read them while the program runs.
        let (out, err) = (self.path(&format!("{number}.out")), self.path(&format!("{number}.err")));
        let create = |path: &Path| File::create(path).expect("a file can be made");
        let mut program = Command::new(env!("CARGO_BIN_EXE_ringfile"));
        program.arg(command).env("TMPDIR", &self.dir);
        if !file.is_empty() {
            program.arg(self.path(file));
        }
        program.args(arguments).stdin(input);
        program.stdout(output.unwrap_or_else(|| create(&out).into())).stderr(create(&err));
        let child = program.spawn().expect("the program starts");
        Running { what: format!("ringfile {command} {file} {arguments:?}"), child, out, err }
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &str, file: &str, arguments: &[&str], input: &[u8]) -> Done {
        self.start(command, file, arguments, input).finish()
    }

    /// Runs a command that must succeed, and returns its output.
    pub fn ok(&self, command: &str, file: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        self.run(command, file, arguments, input).expect(0).out
    }

    pub fn stat(&self, file: &str) -> Value {
        let json = self.ok("stat", file, &["--json"], b"");
        serde_json::from_slice(&json).expect("stat --json prints JSON")
    }

    /// The names of what is in the directory, the files of the commands aside.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.dir).expect("the directory can be read");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| {
                let extension = Path::new(name).extension().and_then(OsStr::to_str);
                !matches!(extension, Some("in" | "out" | "err"))
            })
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A command that runs. It is killed should the test fail.
pub struct Running {
    what: String,
    pub child: Child,
    out: PathBuf,
    err: PathBuf,
}

/// What a command has left.
pub struct Done {
    what: String,
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl Running {
    pub fn finish(mut self) -> Done {
        drop(self.child.stdin.take());
        let mut status = None;
        wait_until(&self.what, || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        Done {
            what: self.what.clone(),
            code: status.and_then(|status| status.code()),
            out: fs::read(&self.out).unwrap_or_default(),
            err: fs::read_to_string(&self.err).expect("messages are text"),
        }
    }

    /// Sends it a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").arg(format!("-{name}")).arg(pid).status();
        assert!(sent.expect("kill can be run").success());
    }

    /// Whether the kernel says that it is in this state, as /proc spells it.
    pub fn is_in_state(&self, state: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .expect("it has not been waited for");
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        fields.split_whitespace().next() == Some(state)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let begin = &self.out[..self.out.len().min(2000)];
        f.debug_struct(&self.what)
            .field("code", &self.code)
            .field("out", &String::from_utf8_lossy(begin))
            .field("err", &self.err)
            .finish()
    }
}

impl Done {
    /// The exit code must be this one, and errors come as one line.
    #[track_caller]
    pub fn expect(self, code: i32) -> Done {
        assert_eq!(self.code, Some(code), "{self:?}");
        if code == 0 {
            assert_eq!(self.err, "", "{}", self.what);
        } else if code != 2 {
            assert!(self.err.starts_with("ringfile: "), "{self:?}");
            assert_eq!(self.err.lines().count(), 1, "{self:?}");
        }
        self
    }
}

pub fn open(path: &Path) -> Stdio {
    File::open(path).expect("it was just written").into()
}

/// Looks again and again, until it is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The lines of a file, in their order.
pub fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() { Vec::new() } else { body.split(|&byte| byte == b'\n').collect() }
}

/// Lines with their ends, one after the other.
pub fn joined(lines: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    bytes
}

pub fn sorted<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let mut lines: Vec<&[u8]> = lines.into_iter().collect();
    lines.sort_unstable();
    lines
}

/// How many lines the large tests have, at least.
const LINES: usize = 200_000;

/// The longest line: no message of a ring of 8 KiB may be longer.
const LONGEST: usize = 4096;

/// Real text, as much as this machine has of it and more than [`LINES`] lines at all events. Empty lines and odd bytes are part of it.
pub fn text() -> &'static [&'static [u8]] {
    static TEXT: OnceLock<Vec<&'static [u8]>> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut bytes = Vec::new();
        for place in [
            "/var/log",
            "/usr/share/doc",
            "/usr/share/common-licenses",
            "/usr/share/perl",
            "/usr/lib/python3",
            "/usr/include",
        ] {
            collect(Path::new(place), &mut bytes);
        }
        generate(&mut bytes);
        let all = lines(Vec::leak(bytes)).into_iter();
        all.filter(|line| line.len() <= LONGEST).collect()
    })
}

/// Appends the text files below a directory, but not too much of one place.
fn collect(directory: &Path, bytes: &mut Vec<u8>) {
    const ENOUGH: u64 = 4 << 20;
    let mut left = ENOUGH;
    let mut paths = vec![directory.to_owned()];
    while let Some(path) = paths.pop() {
        let Ok(meta) = path.symlink_metadata() else {
            continue;
        };
        if meta.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            paths.extend(entries.map(|entry| entry.path()));
        } else if meta.is_file() && left > 0 {
            let mut file = Vec::new();
            let read = File::open(&path).and_then(|f| f.take(left).read_to_end(&mut file));
            if read.is_ok() && !file.contains(&0) {
                left -= file.len() as u64;
                bytes.extend_from_slice(&file);
                bytes.push(b'\n');
            }
        }
    }
}

/// Appends lines of all kinds until there are enough: the same ones each time.
fn generate(bytes: &mut Vec<u8>) {
    let found = bytes.iter().filter(|&&byte| byte == b'\n').count();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..(LINES + LINES / 10).saturating_sub(found) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(format!("{number} {state:x} ").as_bytes());
        bytes.resize(bytes.len() + (state % 200) as usize, b'a' + (state % 26) as u8);
        bytes.push(b'\n');
    }
}
