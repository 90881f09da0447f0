//! The rings and their floors, made before anything is measured; where they lie, and that nothing of them stays.

use super::clock::Relax;
use super::link::Channel;
use super::raw::{self, Raw};
use crate::failure::{Failure, Kind};
use ringfile::{Queue, Wait};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Of a ring.
pub const MESSAGES: u64 = 1024;
pub const SIZES: [usize; 3] = [8, 64, 1024];
/// Bytes of a message whose way is timed.
pub const TIMED: usize = 64;

/// What a floor's end waits for before it looks again, where only throughput counts.
const PAUSES: u32 = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Home {
    Memory,
    Tmpfs,
    File,
}

impl Home {
    pub fn name(self) -> &'static str {
        match self {
            Home::Memory => "memory",
            Home::Tmpfs => "tmpfs",
            Home::File => "file",
        }
    }
}

/// What a channel is for, which decides how those wait who find it empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// With messages of so many bytes.
    Throughput(usize),
    Latency,
    WakeUp,
}

/// One of the channels; `raw` ones are floors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub raw: bool,
    pub home: Home,
    pub purpose: Purpose,
}

impl Name {
    fn size(self) -> usize {
        match self.purpose {
            Purpose::Throughput(size) => size,
            Purpose::Latency | Purpose::WakeUp => TIMED,
        }
    }

    /// There, and for round trips back.
    fn links(self) -> std::ops::Range<usize> {
        0..if self.purpose == Purpose::Latency { 2 } else { 1 }
    }

    fn file(self, link: usize) -> String {
        let kind = if self.raw { "floor" } else { "ring" };
        match self.purpose {
            Purpose::Throughput(size) => format!("{kind}-{size}"),
            Purpose::Latency => format!("{kind}-latency-{link}"),
            Purpose::WakeUp => format!("{kind}-wake-up"),
        }
    }

    fn queue_wait(self, relax: Relax) -> Wait {
        match self.purpose {
            Purpose::Latency if !relax.yields => Wait::Spin,
            Purpose::WakeUp => Wait::Park,
            _ => Wait::Adaptive,
        }
    }

    fn raw_wait(self, relax: Relax) -> raw::Wait {
        match self.purpose {
            Purpose::WakeUp => raw::Wait::Sleep,
            Purpose::Latency => raw::Wait::Spin(relax),
            Purpose::Throughput(_) => raw::Wait::Spin(Relax { pauses: PAUSES, ..relax }),
        }
    }
}

/// The directories of a run.
#[derive(Clone)]
pub struct Homes {
    pub tmpfs: Option<PathBuf>,
    pub file: PathBuf,
}

impl Homes {
    fn directory(&self, home: Home) -> Option<&Path> {
        match home {
            Home::Memory => None,
            Home::Tmpfs => self.tmpfs.as_deref(),
            Home::File => Some(&self.file),
        }
    }

    /// Where processes meet that care for nothing else.
    pub fn shared(&self) -> Home {
        if self.tmpfs.is_some() { Home::Tmpfs } else { Home::File }
    }

    pub fn all(&self) -> impl Iterator<Item = Home> {
        let has_tmpfs = self.tmpfs.is_some();
        [Home::Memory, Home::Tmpfs, Home::File].into_iter().filter(move |&h| has_tmpfs || h != Home::Tmpfs)
    }

    /// Every channel, in the order in which both processes count them.
    pub fn names(&self) -> Vec<Name> {
        let sizes = SIZES.map(Purpose::Throughput);
        let mut names = Vec::new();
        for home in self.all() {
            for purpose in sizes.into_iter().chain([Purpose::Latency, Purpose::WakeUp]) {
                // A floor between processes is the same in any memory that they share.
                let raws = home == Home::Memory || home == self.shared();
                names.extend([true, false].into_iter().filter(|&raw| raws || !raw).map(|raw| Name {
                    raw,
                    home,
                    purpose,
                }));
            }
        }
        names
    }

    /// The file of a channel's first link.
    pub fn open_file(&self, name: Name) -> Result<File, Failure> {
        let path = self.directory(name.home).unwrap_or(&self.file).join(name.file(0));
        File::options().read(true).write(true).open(&path).map_err(|e| Failure::of(Kind::Failed, &path, e))
    }
}

pub type Channels = BTreeMap<Name, Channel>;

/// Makes every channel.
pub fn create(homes: &Homes, relax: Relax) -> Result<Channels, Failure> {
    open(homes, relax, homes.names(), true)
}

/// Opens those of another process.
pub fn attach(homes: &Homes, relax: Relax) -> Result<Channels, Failure> {
    let names = homes.names().into_iter().filter(|name| name.home != Home::Memory);
    open(homes, relax, names, false)
}

fn open(
    homes: &Homes,
    relax: Relax,
    names: impl IntoIterator<Item = Name>,
    creates: bool,
) -> Result<Channels, Failure> {
    let open = |name: Name| {
        let links = name.links().map(|link| homes.directory(name.home).map(|dir| dir.join(name.file(link))));
        let channel = if name.raw {
            let raws = links.map(|path| open_raw(name, path, relax, creates));
            Channel::Raws(raws.collect::<Result<_, _>>()?, name.size())
        } else {
            let queues = links.map(|path| open_queue(name, path, relax, creates));
            Channel::Rings(queues.collect::<Result<_, _>>()?, name.size())
        };
        Ok((name, channel))
    };
    names.into_iter().map(open).collect()
}

fn open_queue(name: Name, path: Option<PathBuf>, relax: Relax, creates: bool) -> Result<Queue, Failure> {
    let mut options = Queue::options();
    options.wait(name.queue_wait(relax));
    if creates {
        let capacity = MESSAGES as usize * name.size();
        options.messages(MESSAGES).capacity(capacity).participants(8).groups(1);
    }
    match path {
        None => options.in_memory().map_err(|error| Failure::new(Kind::Failed, "memory", error)),
        Some(path) => {
            let opened = if creates { options.create_new(&path) } else { options.attach(&path) };
            opened.map_err(|error| Failure::open(&path, error))
        }
    }
}

fn open_raw(name: Name, path: Option<PathBuf>, relax: Relax, creates: bool) -> Result<Raw, Failure> {
    let (size, wait) = (name.size(), name.raw_wait(relax));
    let opened = match &path {
        None => Raw::in_memory(size, wait),
        Some(path) if creates => zeroes(path, Raw::file_len(size)).and_then(|f| Raw::map(&f, size, wait)),
        Some(path) => {
            File::options().read(true).write(true).open(path).and_then(|f| Raw::map(&f, size, wait))
        }
    };
    opened.map_err(|error| match path {
        Some(path) => Failure::of(Kind::Failed, &path, error),
        None => Failure::new(Kind::Failed, "memory", error),
    })
}

/// A new file of so many bytes that are there: a hole that finds no room on the disk would end the process.
pub fn zeroes(path: &Path, len: usize) -> io::Result<File> {
    let mut file = File::options().read(true).write(true).create_new(true).open(path)?;
    file.write_all(&vec![0; len])?;
    Ok(file)
}

/// A directory that is removed with all that is in it when this is dropped, or before.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn create(parent: &Path) -> io::Result<Scratch> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("ringfile-bench-{}-{}", std::process::id(), now.as_nanos());
        let path = parent.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
