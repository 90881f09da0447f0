//! What surrounds a ring: disks that are full, files that are cut, replaced, forbidden or no files at all, limits of a process. Each has an answer.
//!
//! What takes a mount is done in namespaces of a child's own; where that is not allowed, a line says what was not run.

mod common;

use common::{Dir, say, spawn, spawn_under, wait_for_parent, watch};
use ringfile::{OpenError, Queue};
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A user who owns nothing here.
const SOMEBODY: libc::uid_t = 65_534;
const PAGE: u64 = 4096;

fn small(path: &Path) -> Queue {
    Queue::options().capacity(4096).messages(16).open(path).unwrap()
}

/// What a call to open a ring says, in a word that a child can pass on.
fn answer<T>(opened: &Result<T, OpenError>) -> String {
    match opened {
        Ok(_) => "ok".to_owned(),
        Err(OpenError::Io(error)) => match error.raw_os_error() {
            Some(number) => os(number),
            None => format!("{:?}", error.kind()),
        },
        Err(error) => {
            let name = format!("{error:?}");
            name.split(['(', ' ']).next().expect("it has a name").to_owned()
        }
    }
}

/// The same of an error of the operating system's.
fn os(number: i32) -> String {
    std::io::Error::from_raw_os_error(number).to_string()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// A program that runs another with mounts of its own; `None`, and a line, if that is not allowed.
fn with_own_mounts(what: &str) -> Option<Command> {
    let flags: &[&str] = if is_root() { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] };
    let works = |program: &mut Command| program.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let tried = works(Command::new("unshare").args(flags).args(["mount", "-t", "tmpfs", "none", "/mnt"]));
    if !tried.is_ok_and(|status| status.success()) {
        println!("NOT RUN: {what}: mounts of one's own are not allowed here");
        return None;
    }
    let mut program = Command::new("unshare");
    program.args(flags);
    Some(program)
}

/// Mounts something in this process's own namespace.
fn mount(kind: &str, from: &str, at: &Path, flags: libc::c_ulong, options: &str) {
    let [kind, from, options] = [kind, from, options].map(|text| CString::new(text).unwrap());
    let at = CString::new(at.to_str().unwrap()).unwrap();
    // SAFETY: all strings end with a zero and live until the call returns.
    let result =
        unsafe { libc::mount(from.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast()) };
    assert_eq!(result, 0, "cannot mount at {at:?}: {}", std::io::Error::last_os_error());
}

/// Sets a limit of this process.
fn limit(what: libc::__rlimit_resource_t, most: u64) {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is there for the call to fill.
    assert_eq!(unsafe { libc::getrlimit(what, &raw mut limits) }, 0);
    limits.rlim_cur = most;
    // SAFETY: the struct lives until the call returns.
    assert_eq!(unsafe { libc::setrlimit(what, &raw const limits) }, 0);
}

/// Becomes somebody else, for ever, as a daemon does that root has started. Its /proc stays root's, but for what is about itself.
fn become_somebody() {
    // SAFETY: takes a number.
    let group = unsafe { libc::setgid(SOMEBODY) };
    // SAFETY: as above.
    let user = unsafe { libc::setuid(SOMEBODY) };
    assert_eq!([group, user], [0, 0]);
}

#[test]
fn child() {
    common::run_child(|role, args| {
        let path = Path::new(args[0]);
        match role {
            "full disk" => full_disk(path),
            "read-only disk" => read_only_disk(path),
            "layers" => layers(path),
            "no proc" => no_proc(path),
            "file limit" => {
                if args[1] == "ignored" {
                    // SAFETY: sets a disposition, and no handler.
                    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
                }
                limit(libc::RLIMIT_FSIZE, 64 << 10);
                say(answer(&Queue::options().capacity(1 << 20).open(path)));
            }
            "memory limit" => memory_limit(path),
            "descriptor limit" => descriptor_limit(path),
            "cut" => {
                let queue = Queue::open(path).unwrap();
                let mut producer = queue.producer().unwrap();
                say("open");
                wait_for_parent();
                let _ = producer.try_push(b"where");
                say("alive");
            }
            "watch" => {
                let observer = Queue::options().observe(path).unwrap();
                say("open");
                wait_for_parent();
                let _ = observer.stats();
                say("alive");
            }
            "somebody" => {
                become_somebody();
                say(answer(&Queue::open(path)));
                say(answer(&Queue::options().observe(path)));
            }
            other => panic!("no role {other}"),
        }
    });
}

// ---- room ------------------------------------------------------------------------------------------------------------

/// All of a file is allocated when it is made. So a full disk is an error then, which leaves nothing, and none later.
#[test]
fn a_full_disk_is_an_error_at_creation_and_none_later() {
    let _watchdog = watch("a full disk");
    let dir = Dir::new();
    let Some(program) = with_own_mounts("a disk that is full") else { return };
    let mut child = spawn_under(program, "full disk", &[&dir.path()]);
    assert_eq!(child.hear(), "DiskFull []");
    assert_eq!(child.hear(), "both: DiskFull []");
    assert_eq!(child.hear(), "ok [\"filler\", \"q\"]");
    assert_eq!(child.hear(), "pushed and popped 1000");
    child.finish();
}

fn full_disk(dir: &Path) {
    mount("tmpfs", "none", dir, 0, "size=512k");
    let path = dir.join("q");
    let opened = Queue::options().capacity(1 << 20).open(&path);
    say(format!("{} {:?}", answer(&opened), names(dir)));
    // Room for the queue, but not for its dead letters as well.
    let opened = Queue::options().capacity(256 << 10).messages(64).max_deliveries(1).open(&path);
    say(format!("both: {} {:?}", answer(&opened), names(dir)));
    let opened = Queue::options().capacity(64 << 10).messages(64).open(&path);
    let mut filler = File::create(dir.join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    say(format!("{} {:?}", answer(&opened), names(dir)));
    let queue = opened.unwrap();
    let (mut producer, mut consumer) = common::handles(&queue);
    for number in 0..1000 {
        let message = common::message(number, 3000);
        producer.push(&message).unwrap();
        assert_eq!(consumer.pop().unwrap(), message);
    }
    say("pushed and popped 1000");
}

/// A limit on the size of files kills, as it kills every program, unless its signal is ignored: then it is an error. Neither leaves anything.
#[test]
fn a_limit_on_files_is_a_signal_or_an_error() {
    let dir = Dir::new();
    let path = dir.file("q");
    let mut child = spawn("file limit", &[&path, &"ignored"]);
    assert_eq!(child.hear(), os(libc::EFBIG));
    child.finish();
    let mut child = spawn("file limit", &[&path, &"default"]);
    assert_eq!(child.end().signal(), Some(libc::SIGXFSZ));
    assert_eq!(names(dir.path()), [""; 0]);
}

/// Not enough address space for the mapping is an error, which leaves nothing; another open works.
#[test]
fn a_limit_on_memory_is_an_error() {
    let dir = Dir::new();
    let path = dir.file("q");
    let mut child = spawn("memory limit", &[&path]);
    // Of three kinds: made, opened, without a file.
    for _ in 0..3 {
        let said = child.hear();
        assert!(said == "DiskFull" || said == "OutOfMemory", "{said}");
    }
    child.expect("ok");
    child.finish();
    assert_eq!(names(dir.path()), ["here", "q"]);
}

fn memory_limit(path: &Path) {
    let mut options = Queue::options();
    options.capacity(64 << 20).messages(64);
    options.open(path.with_file_name("here")).unwrap();
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let used: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    limit(libc::RLIMIT_AS, used * PAGE + (32 << 20));
    say(answer(&options.open(path)));
    say(answer(&options.open(path.with_file_name("here"))));
    say(answer(&options.in_memory()));
    say(answer(&Queue::options().capacity(1 << 20).open(path)));
}

/// An open takes three descriptors while it maps, and keeps two. Without them it is an error, which leaves no file, and none of them open.
#[test]
fn a_limit_on_descriptors_is_an_error() {
    let dir = Dir::new();
    let mut child = spawn("descriptor limit", &[&dir.file("q")]);
    for left in 0..3 {
        assert_eq!(child.hear(), format!("{left}: {} 0", os(libc::EMFILE)));
    }
    child.expect("3: ok 2");
    child.finish();
}

fn descriptor_limit(path: &Path) {
    drop(small(path));
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    for left in 0..=3 {
        // The first number that is one too many.
        let more: Vec<_> = (0..=left).map(|_| File::open("/dev/null").unwrap()).collect();
        let end = more.last().unwrap().as_raw_fd();
        drop(more);
        limit(libc::RLIMIT_NOFILE, end as u64);
        let opened = Queue::open(path);
        limit(libc::RLIMIT_NOFILE, 1024);
        say(format!("{left}: {} {}", answer(&opened), open() - before));
    }
}

// ---- a file that changes under a mapping -----------------------------------------------------------------------------

/// Whoever cuts a file off ends those who have it mapped, when they touch what is gone. What is left is told by its length.
#[test]
fn a_file_that_is_cut_ends_its_holders_and_is_a_length() {
    let dir = Dir::new();
    for (role, left) in [("cut", PAGE), ("cut", 0), ("watch", PAGE), ("watch", 0)] {
        let path = dir.file("q");
        let _ = fs::remove_file(&path);
        drop(small(&path));
        let mut child = spawn(role, &[&path]);
        child.expect("open");
        OpenOptions::new().write(true).open(&path).unwrap().set_len(left).unwrap();
        child.go_on();
        assert_eq!(child.try_hear(), None, "{role}, {left}");
        assert_eq!(child.end().signal(), Some(libc::SIGBUS), "{role}, {left}");
        let expected = if left == 0 { "NotARing" } else { "Length" };
        assert_eq!(answer(&Queue::open(&path)), expected);
        assert_eq!(answer(&Queue::options().observe(&path)), expected);
        assert_eq!(fs::metadata(&path).unwrap().len(), left);
    }
}

/// A file that became longer is a length as well; its holders go on.
#[test]
fn a_file_that_grew_is_a_length() {
    let dir = Dir::new();
    let path = dir.file("q");
    let queue = small(&path);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    queue.producer().unwrap().push(b"x").unwrap();
    assert_eq!(answer(&Queue::open(&path)), "Length");
    assert_eq!(queue.consumer().unwrap().pop().unwrap(), b"x");
}

/// Who has a file open goes on with it, whatever becomes of its name; who opens the name gets what is there now.
#[test]
fn a_file_that_is_removed_or_replaced_stays_that_of_its_holders() {
    let dir = Dir::new();
    let path = dir.file("q");
    for replace in [false, true] {
        let first = small(&path);
        let second = Queue::open(&path).unwrap();
        if replace {
            small(&dir.file("other"));
            fs::rename(dir.file("other"), &path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let third = Queue::open(&path).unwrap();
        assert_eq!(third.is_new(), !replace);
        first.producer().unwrap().push(b"old").unwrap();
        third.producer().unwrap().push(b"new").unwrap();
        assert_eq!(second.consumer().unwrap().try_pop().unwrap(), b"old");
        assert_eq!(third.consumer().unwrap().try_pop().unwrap(), b"new");
        // Also what is dead is settled there.
        assert!(second.recover().is_nothing());
        fs::remove_file(&path).unwrap();
    }
}

/// The dead letters of a queue that was removed are nobody else's: a new one of its name is not made beside them.
#[test]
fn dead_letters_that_were_left_behind_are_not_mixed_with_others() {
    let dir = Dir::new();
    let path = dir.file("q");
    let mut options = Queue::options();
    options.capacity(4096).max_deliveries(1);
    options.open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(answer(&options.open(&path)), "ForeignDeadLetters");
    assert_eq!(names(dir.path()), ["q.dead"]);
    fs::remove_file(dir.file("q.dead")).unwrap();
    options.open(&path).unwrap();
    // Without its letters a queue makes new ones.
    fs::remove_file(dir.file("q.dead")).unwrap();
    assert_eq!(options.open(&path).unwrap().dead_letters().unwrap().len(), 0);
    assert_eq!(names(dir.path()), ["q", "q.dead"]);
}

// ---- who may -----------------------------------------------------------------------------------------------------------

/// The modes of a file, what an open says to somebody who is not root, and what an observer does.
#[test]
fn the_right_to_write_is_the_right_to_take_part() {
    if !is_root() {
        println!("NOT RUN: files of others: only root can make them");
        return;
    }
    let dir = Dir::new();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.file("q");
    let denied = os(libc::EACCES);
    for (owner, mode, opened, observed) in [
        (SOMEBODY, 0o600, "ok", "ok"),
        (SOMEBODY, 0o400, &*denied, "ok"),
        (SOMEBODY, 0o200, &*denied, &*denied),
        (0, 0o600, &*denied, &*denied),
        (0, 0o644, &*denied, "ok"),
        (0, 0o666, "ok", "ok"),
    ] {
        let _ = fs::remove_file(&path);
        small(&path).producer().unwrap().push(b"mine").unwrap();
        std::os::unix::fs::chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let before = fs::read(&path).unwrap();
        let mut child = spawn("somebody", &[&path]);
        assert_eq!([child.hear(), child.hear()], [opened, observed], "{owner} {mode:o}");
        child.finish();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o777), (owner, mode));
        assert!(opened == "ok" || fs::read(&path).unwrap() == before);
    }
    // Nor can one be made where no file can, but where one can.
    for (owner, made, observed) in [(0, &*denied, &*os(libc::ENOENT)), (SOMEBODY, "ok", "ok")] {
        std::os::unix::fs::chown(dir.path(), Some(owner), None).unwrap();
        let mut child = spawn("somebody", &[&dir.file("new")]);
        assert_eq!([child.hear(), child.hear()], [made, observed]);
        child.finish();
    }
}

#[test]
fn a_disk_that_is_read_only_can_be_looked_at() {
    let dir = Dir::new();
    small(&dir.file("q")).producer().unwrap().push(b"kept").unwrap();
    let Some(program) = with_own_mounts("a disk that is read-only") else { return };
    let mut child = spawn_under(program, "read-only disk", &[&dir.path()]);
    let denied = os(libc::EROFS);
    assert_eq!([child.hear(), child.hear()], [&*denied, &*denied]);
    assert_eq!([child.hear(), child.hear()], ["ok", "[\"kept\"]"]);
    child.finish();
}

fn read_only_disk(dir: &Path) {
    mount("", dir.to_str().unwrap(), dir, libc::MS_BIND, "");
    mount("", "", dir, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, "");
    say(answer(&Queue::open(dir.join("q"))));
    say(answer(&Queue::open(dir.join("new"))));
    let observed = Queue::options().observe(dir.join("q"));
    say(answer(&observed));
    let kept = observed.unwrap().replay().map(|kept| String::from_utf8(kept.unwrap().message).unwrap());
    say(format!("{:?}", kept.collect::<Vec<_>>()));
}

// ---- what is no file ----------------------------------------------------------------------------------------------------

/// Each answer, for those who take part and for those who look, and that it is all that happens.
#[test]
fn what_is_no_ring_is_told_apart_and_left_alone() {
    let _watchdog = watch("what is no ring");
    let dir = Dir::new();
    fs::create_dir(dir.file("directory")).unwrap();
    let fifo = CString::new(dir.file("fifo").to_str().unwrap()).unwrap();
    // SAFETY: the string ends with a zero and lives until the call returns.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    let _listener = UnixListener::bind(dir.file("socket")).unwrap();
    symlink("/dev/null", dir.file("device")).unwrap();
    fs::write(dir.file("empty"), b"").unwrap();
    fs::write(dir.file("short"), b"ringfil").unwrap();
    fs::write(dir.file("text"), [b'x'; 9000]).unwrap();
    fs::write(dir.file("magic"), b"ringfile").unwrap();
    let before = names(dir.path());
    let socket = os(libc::ENXIO);
    for (name, opened, observed) in [
        ("directory", &*os(libc::EISDIR), "NotARing"),
        ("fifo", "NotARing", "NotARing"),
        ("socket", &*socket, &*socket),
        ("device", "NotARing", "NotARing"),
        ("empty", "NotARing", "NotARing"),
        ("short", "NotARing", "NotARing"),
        ("text", "NotARing", "NotARing"),
        ("magic", "Length", "Length"),
    ] {
        let path = dir.file(name);
        let bytes = || path.is_file().then(|| fs::read(&path).unwrap());
        let (meta, contents) = (fs::symlink_metadata(&path).unwrap(), bytes());
        assert_eq!(answer(&Queue::open(&path)), opened, "{name}");
        assert_eq!(answer(&Queue::options().attach(&path)), opened, "{name}");
        assert_eq!(answer(&Queue::options().observe(&path)), observed, "{name}");
        assert_eq!(answer(&Queue::options().create_new(&path)), "AlreadyExists", "{name}");
        let after = fs::symlink_metadata(&path).unwrap();
        assert_eq!((after.ino(), after.mode(), after.len()), (meta.ino(), meta.mode(), meta.len()), "{name}");
        assert_eq!(after.mtime_nsec(), meta.mtime_nsec(), "{name}");
        assert!(bytes() == contents, "{name}");
    }
    assert_eq!(names(dir.path()), before);
}

/// A link to a ring is that ring, whose dead letters are beside the file and not beside the link. One to nothing is an error, and nothing is made through it.
#[test]
fn links_are_followed_to_rings_and_to_nothing_else() {
    let dir = Dir::new();
    fs::create_dir(dir.file("there")).unwrap();
    let (link, file) = (dir.file("link"), dir.file("there").join("q"));
    symlink(&file, &link).unwrap();
    let mut options = Queue::options();
    options.capacity(4096).max_deliveries(1);
    assert_eq!(answer(&options.open(&link)), "AlreadyExists");
    assert_eq!(answer(&options.attach(&link)), os(libc::ENOENT));
    assert_eq!(answer(&options.observe(&link)), os(libc::ENOENT));
    assert_eq!(names(&dir.file("there")), [""; 0]);
    options.open(&file).unwrap().producer().unwrap().push(b"x").unwrap();
    let queue = options.open(&link).unwrap();
    assert!(!queue.is_new());
    let mut consumer = queue.consumer().unwrap();
    drop(consumer.claim().unwrap());
    assert!(consumer.try_claim().is_err());
    assert_eq!(queue.stats().dead_letters, 1);
    assert_eq!(names(dir.path()), ["link", "there"]);
    assert_eq!(names(&dir.file("there")), ["q", "q.dead"]);
    symlink(dir.file("loop"), dir.file("loop")).unwrap();
    assert_eq!(answer(&Queue::open(dir.file("loop"))), os(libc::ELOOP));
}

// ---- file systems -------------------------------------------------------------------------------------------------------

/// What the kernel has here and mounts of one's own can show.
#[test]
fn local_file_systems_are_not_refused() {
    for path in [std::env::temp_dir().as_path(), Path::new("/dev/shm"), Path::new("/")] {
        if let Ok(directory) = File::open(path) {
            assert!(
                !ringfile::sys::file::is_on_unsafe_file_system(&directory).unwrap(),
                "{}",
                path.display()
            );
        }
    }
}

/// In an overlay, who only reads a file of the lower layer has another file than who writes it: an observer that came first sees nothing of what happens
/// afterwards. Those who take part share one file.
#[test]
fn an_overlay_gives_early_observers_a_file_of_their_own() {
    let dir = Dir::new();
    let Some(program) = with_own_mounts("an overlay") else { return };
    let mut child = spawn_under(program, "layers", &[&dir.path()]);
    let said = child.hear();
    if said == "no overlay" {
        println!("NOT RUN: an overlay: this kernel has none, or not here");
        return;
    }
    assert_eq!(said, "those who take part: Ok([120])");
    child.expect("the observer that came first: 0");
    child.expect("the one that came last: 1");
    child.finish();
}

fn layers(dir: &Path) {
    mount("tmpfs", "none", dir, 0, "");
    let place = |name: &str| dir.join(name);
    for name in ["lower", "upper", "work", "all"] {
        fs::create_dir(place(name)).unwrap();
    }
    small(&place("lower").join("q"));
    let options =
        ["lower", "upper", "work"].map(|name| format!("{name}dir={}", place(name).display())).join(",");
    let [kind, options] = ["overlay".to_owned(), options].map(|text| CString::new(text).unwrap());
    let at = CString::new(place("all").to_str().unwrap()).unwrap();
    // SAFETY: all strings end with a zero and live until the call returns.
    let result =
        unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
    if result != 0 {
        return say("no overlay");
    }
    let path = place("all").join("q");
    let early = Queue::options().observe(&path).unwrap();
    let (queue, other) = (Queue::open(&path).unwrap(), Queue::open(&path).unwrap());
    queue.producer().unwrap().push(b"x").unwrap();
    let late = Queue::options().observe(&path).unwrap();
    let seen = [&early, &late].map(|observer| observer.stats().tail);
    say(format!("those who take part: {:?}", other.consumer().unwrap().try_pop()));
    say(format!("the observer that came first: {}", seen[0]));
    say(format!("the one that came last: {}", seen[1]));
}

/// Names are given, and files opened again, by way of /proc.
#[test]
fn without_proc_an_open_says_so() {
    let dir = Dir::new();
    small(&dir.file("q"));
    let Some(program) = with_own_mounts("no /proc") else { return };
    let mut child = spawn_under(program, "no proc", &[&dir.path()]);
    assert_eq!([child.hear(), child.hear(), child.hear()], ["Unsupported", "Unsupported", "ok"]);
    child.finish();
    assert_eq!(names(dir.path()), ["q"]);
}

fn no_proc(dir: &Path) {
    mount("tmpfs", "none", Path::new("/proc"), 0, "");
    say(answer(&Queue::open(dir.join("q"))));
    say(answer(&Queue::open(dir.join("new"))));
    say(answer(&Queue::options().observe(dir.join("q"))));
}
