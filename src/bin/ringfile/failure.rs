//! How a command ends when it does not succeed: a line for people, a number for scripts.

use ringfile::{AttachError, Observer, OpenError, Queue, Salvage};
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Why a command could not do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// It ends with a message.
    Told {
        kind: Kind,
        /// What it is about: mostly the file.
        subject: String,
        message: String,
    },
    /// It ends, and has said why already.
    Said(Kind),
    /// Whoever read our output has seen enough. Not an error: it ends quietly.
    ReaderLeft,
}

/// The exit codes, which scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Failed = 1,
    Usage = 2,
    Empty = 3,
    Damaged = 4,
}

impl Failure {
    pub fn new(kind: Kind, subject: impl Display, message: impl Display) -> Failure {
        Failure::Told { kind, subject: subject.to_string(), message: message.to_string() }
    }

    /// About the ring at `path`.
    pub fn of(kind: Kind, path: &Path, message: impl Display) -> Failure {
        Failure::new(kind, path.display(), message)
    }

    /// The ring at `path` could not be opened or made.
    pub fn open(path: &Path, error: OpenError) -> Failure {
        let kind = match &error {
            OpenError::NotARing
            | OpenError::Version { .. }
            | OpenError::Length { .. }
            | OpenError::Corrupt(_) => Kind::Damaged,
            OpenError::Options(_) => Kind::Usage,
            _ => Kind::Failed,
        };
        match is_io(&error) {
            Some(io::ErrorKind::NotFound) => {
                Failure::of(kind, path, "its directory does not exist: make it first")
            }
            Some(io::ErrorKind::AlreadyExists) => Failure::of(
                kind,
                path,
                "there is something at this path already: remove it or choose another",
            ),
            _ => Failure::of(kind, path, error),
        }
    }

    /// No producer or consumer of the ring at `path` could be made.
    pub fn attach(path: &Path, error: AttachError) -> Failure {
        let kind = match error {
            AttachError::GroupName { .. } => Kind::Usage,
            _ => Kind::Failed,
        };
        Failure::of(kind, path, error)
    }

    /// Writing to standard output failed.
    pub fn output(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::ReaderLeft
        } else {
            Failure::new(Kind::Failed, "standard output", error)
        }
    }

    /// Says it on standard error.
    pub fn report(self) -> ExitCode {
        match self {
            Failure::Told { kind, subject, message } => {
                say(subject, message);
                ExitCode::from(kind as u8)
            }
            Failure::Said(kind) => ExitCode::from(kind as u8),
            Failure::ReaderLeft => ExitCode::SUCCESS,
        }
    }
}

/// A line on standard error, for people. If nobody reads it, the exit code still tells.
pub fn say(subject: impl Display, message: impl Display) {
    let _ = writeln!(io::stderr(), "ringfile: {subject}: {message}");
}

fn is_io(error: &OpenError) -> Option<io::ErrorKind> {
    match error {
        OpenError::Io(error) => Some(error.kind()),
        _ => None,
    }
}

/// Opens the ring at `path`, which must exist: most commands never make one.
pub fn attach(path: &Path) -> Result<Queue, Failure> {
    attach_with(path, true)
}

/// The same for commands that tell what the dead owe: opening shall not settle it before.
pub fn attach_unsettled(path: &Path) -> Result<Queue, Failure> {
    attach_with(path, false)
}

fn attach_with(path: &Path, recovers: bool) -> Result<Queue, Failure> {
    let queue = Queue::options().recover(recovers).attach(path).map_err(|error| absent(path, error))?;
    tell_salvage(path, &queue);
    Ok(queue)
}

/// What the first open after a start of the machine found, if this was it.
pub fn tell_salvage(path: &Path, queue: &Queue) {
    if let Some(found) = queue.salvage() {
        let Salvage { confirmed, unconfirmed, lost, skipped, .. } = found;
        say(
            path.display(),
            format_args!(
                "put in order after a start of the machine: {confirmed} messages with a checksum, {unconfirmed} without, {lost} in part and lost, {skipped} places without a message"
            ),
        );
    }
}

/// Opens the ring at `path` for reading only, for commands that change nothing and take no part.
pub fn observe(path: &Path) -> Result<Observer, Failure> {
    Queue::options().observe(path).map_err(|error| absent(path, error))
}

/// The ring at `path`, which should be there, could not be opened.
fn absent(path: &Path, error: OpenError) -> Failure {
    match is_io(&error) {
        Some(io::ErrorKind::NotFound) => Failure::of(
            Kind::Failed,
            path,
            "no such file: make one with `ringfile create` or `ringfile push`",
        ),
        _ => Failure::open(path, error),
    }
}

/// Prints a whole answer.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::output)
}
