//! Real text, from wherever this machine has some.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Where text mostly lies. What is not there, or cannot be read, is left out; a pattern ends with `*`.
const PLACES: [&str; 10] = [
    "/var/log",
    "/usr/share/doc",
    "/usr/share/man",
    "/usr/share/common-licenses",
    "/usr/share/licenses",
    "/usr/share/dict",
    "/usr/share/perl",
    "/usr/lib/python3*",
    "/usr/local/lib/python3*",
    "/usr/include",
];

/// On a machine with nothing else, the kernel still describes itself.
const KERNEL: [&str; 6] =
    ["/proc/cpuinfo", "/proc/meminfo", "/proc/vmstat", "/proc/mounts", "/proc/self/smaps", "/proc/kallsyms"];

/// And without that, there is this.
const OWN: &str = include_str!("text.rs");

/// Of a single file: no log shall be all of it.
const FROM_ONE_FILE: u64 = 256 << 10;

/// Altogether, whatever was asked for: every worker keeps it in its memory.
const MOST_LINES: u64 = 200_000;
const MOST_BYTES: usize = 64 << 20;

/// Lines of bytes, with their ends.
#[derive(Default)]
pub struct Text {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Text {
    /// How many lines.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// A line, of as many as anybody asks for: the text is repeated.
    pub fn line(&self, number: u64) -> &[u8] {
        let index = (number % self.ends.len() as u64) as usize;
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[index]]
    }

    pub fn save(&self, path: &Path) -> io::Result<()> {
        fs::write(path, &self.bytes)
    }

    pub fn load(path: &Path) -> io::Result<Text> {
        let bytes = fs::read(path)?;
        let newlines = bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'\n');
        let ends = newlines.map(|(at, _)| at + 1).collect();
        Ok(Text { bytes, ends })
    }

    fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
    }
}

/// Text, and where it is from.
pub struct Collected {
    pub text: Text,
    pub sources: Vec<Source>,
}

/// What one place gave.
pub struct Source {
    pub name: String,
    pub files: u64,
    pub lines: u64,
}

/// At most so many lines that have at most `longest` bytes, their end included; one at least.
pub fn collect(lines: u64, longest: usize) -> Collected {
    collect_from(&PLACES, lines, longest)
}

fn collect_from(places: &[&str], lines: u64, longest: usize) -> Collected {
    let mut collection =
        Collection { text: Text::default(), lines: lines.clamp(1, MOST_LINES) as usize, longest };
    let mut walks: Vec<(Walk, Source)> = places
        .iter()
        .flat_map(|place| roots(place))
        .map(|root| (Walk::new(&root), Source::named(&root)))
        .collect();
    // A file of each place in turn, so that every kind of text is in it.
    let mut more = true;
    while more && !collection.is_full() {
        more = false;
        for (walk, source) in &mut walks {
            if let Some(file) = walk.next() {
                collection.add_file(&file, source);
                more = true;
            }
        }
    }
    let mut sources: Vec<Source> = walks.into_iter().map(|(_, source)| source).collect();
    if collection.text.len() == 0 {
        let mut source = Source::named(Path::new("/proc"));
        for path in KERNEL {
            collection.add_file(Path::new(path), &mut source);
        }
        sources.push(source);
    }
    if collection.text.len() == 0 {
        let mut source = Source::named(Path::new("this program"));
        collection.add(OWN.as_bytes(), &mut source);
        sources.push(source);
    }
    if collection.text.len() == 0 {
        // Not even a line of our own is short enough.
        collection.text.push(b"");
    }
    sources.retain(|source| source.lines > 0);
    Collected { text: collection.text, sources }
}

impl Source {
    fn named(path: &Path) -> Source {
        Source { name: path.display().to_string(), files: 0, lines: 0 }
    }
}

/// What is being collected.
struct Collection {
    text: Text,
    lines: usize,
    longest: usize,
}

impl Collection {
    fn is_full(&self) -> bool {
        self.text.len() >= self.lines || self.text.bytes() >= MOST_BYTES
    }

    fn add_file(&mut self, path: &Path, source: &mut Source) {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(FROM_ONE_FILE).read_to_end(&mut bytes));
        // Text has no zero bytes; archives, pictures and programs have.
        if read.is_ok() && !bytes.contains(&0) {
            self.add(&bytes, source);
        }
    }

    fn add(&mut self, bytes: &[u8], source: &mut Source) {
        let before = self.text.len();
        for line in bytes.split(|&byte| byte == b'\n') {
            if self.is_full() {
                break;
            }
            if !line.is_empty() && line.len() < self.longest {
                self.text.push(line);
            }
        }
        let added = (self.text.len() - before) as u64;
        source.lines += added;
        source.files += u64::from(added > 0);
    }
}

/// The directories of a place: more than one where it is a pattern.
fn roots(place: &str) -> Vec<PathBuf> {
    let Some(prefix) = place.strip_suffix('*') else {
        return vec![PathBuf::from(place)];
    };
    let parent = Path::new(prefix).parent().unwrap_or(Path::new("/"));
    let mut roots = children(parent);
    roots.retain(|path| path.to_string_lossy().starts_with(prefix));
    roots
}

/// The files below a directory, without following links: they may lead anywhere, and round.
struct Walk {
    /// Still to be looked at, the next last.
    paths: Vec<PathBuf>,
}

impl Walk {
    fn new(root: &Path) -> Walk {
        Walk { paths: children(root) }
    }
}

impl Iterator for Walk {
    type Item = PathBuf;

    fn next(&mut self) -> Option<PathBuf> {
        loop {
            let path = self.paths.pop()?;
            match path.symlink_metadata() {
                Ok(meta) if meta.is_file() => return Some(path),
                Ok(meta) if meta.is_dir() => self.paths.extend(children(&path)),
                _ => {}
            }
        }
    }
}

/// What is in a directory, so that the same machine gives the same text.
fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable_by(|a, b| b.cmp(a));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_text() {
        for places in [&PLACES[..], &["/not/there", "/not/there*"]] {
            for (lines, longest) in [(0, 1), (1, 20), (1000, 4096)] {
                let text = collect_from(places, lines, longest).text;
                assert!((1..=lines.max(1) as usize).contains(&text.len()));
                for number in 0..2 * text.len() {
                    let line = text.line(number as u64);
                    assert!(line.len() <= longest && line.ends_with(b"\n"));
                    assert!(!line[..line.len() - 1].contains(&b'\n'));
                }
            }
        }
    }
}
