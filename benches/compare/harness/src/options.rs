//! What all the programs can be told.

use crate::report::Cell;
use std::path::PathBuf;
use std::time::Duration;

#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Measure only where all of these match whole words of `contender table column`; `8B,64B` is either, 'ring 1024' a phrase
    pub words: Vec<String>,
    /// How often each measurement is made; 0 prints what the file of --json has
    #[arg(long, default_value_t = 15)]
    pub rounds: usize,
    /// Begin no round after so many minutes
    #[arg(long, value_name = "M")]
    pub minutes: Option<f64>,
    /// Fewer and shorter measurements
    #[arg(long)]
    pub quick: bool,
    /// Keep the report in this file; if it is there, add to it
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl Options {
    /// Whether the words want this measured.
    pub fn want(&self, cell: &Cell, contender: &str) -> bool {
        matches(&self.words, &format!("{contender} {} {}", cell.table, cell.column))
    }

    /// How long rounds may begin.
    pub fn time(&self) -> Duration {
        self.minutes.map_or(Duration::MAX, |minutes| Duration::from_secs_f64(minutes * 60.0))
    }
}

/// Whether each of the words, or one of its alternatives, stands in the text.
pub fn matches(words: &[String], text: &str) -> bool {
    let text = format!(" {} ", tokens(text));
    words
        .iter()
        .all(|word| word.split(',').any(|alternative| text.contains(&format!(" {} ", tokens(alternative)))))
}

/// Without punctuation, and with units joined to their numbers, so that 8B is not 8 of 128 B.
fn tokens(text: &str) -> String {
    let mut tokens = String::new();
    for token in text.split([' ', ',', ':']).filter(|token| !token.is_empty()) {
        if !tokens.is_empty() && !matches!(token, "B" | "KiB" | "MiB" | "GiB") {
            tokens.push(' ');
        }
        tokens.push_str(token);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn words_are_whole() {
        let wants = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(ToString::to_string).collect();
            matches(&words, "ringfile memory by 64 128 B, ring 1024 1P1C")
        };
        assert!(wants(&[]));
        assert!(wants(&["128B", "1P1C"]));
        assert!(wants(&["8B,128B"]));
        assert!(wants(&["ring 1024"]));
        assert!(!wants(&["8B"]));
        assert!(!wants(&["1P1C", "ring 102"]));
    }
}
