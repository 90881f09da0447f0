//! Consumer groups by their names, for commands that make none.

use crate::failure::{Failure, Kind};
use ringfile::{Group, GroupStats, Queue, Stats};
use std::path::Path;

/// The group that every ring begins with.
pub const DEFAULT: &str = "default";

/// What is said of the group with this name; a failure if there is none. What is left of one that was removed or rewound is not it.
pub fn find<'a>(path: &Path, stats: &'a Stats, name: &str) -> Result<&'a GroupStats, Failure> {
    let found = stats.groups.iter().find(|group| group.name == name && !group.is_draining);
    found.ok_or_else(|| absent(path, name))
}

/// The group with this name; a failure if there is none.
pub fn existing(path: &Path, queue: &Queue, name: &str) -> Result<Group, Failure> {
    queue.find_group(name).ok_or_else(|| absent(path, name))
}

/// There is no group of this name.
pub fn absent(path: &Path, name: &str) -> Failure {
    Failure::of(Kind::Empty, path, format_args!("there is no group {}", printable(name)))
}

/// A name as a terminal may show it: whoever made the group may have chosen any bytes.
pub fn printable(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        match c.is_control() {
            true => text.extend(c.escape_default()),
            false => text.push(c),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_nothing_to_a_terminal() {
        assert_eq!(printable("Käse \"1\""), "Käse \"1\"");
        assert_eq!(printable("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
    }
}
