//! What the workers report, and whether it adds up.

use super::text::Text;
use super::worker::{HEADER, line_of};
use super::workshop::Workshop;
use super::{CONSUMER, PRODUCER};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a producer has pushed.
#[derive(Clone, Copy, Default)]
pub struct Sent {
    pub messages: u64,
    pub bytes: u64,
}

impl Sent {
    pub fn to_json(self) -> Value {
        json!({ "messages": self.messages, "bytes": self.bytes })
    }
}

/// What a consumer has popped.
pub struct Findings {
    messages: u64,
    bytes: u64,
    /// Messages that are not what their producer has pushed under that number.
    changed: u64,
    /// Messages that came after a later one of the same producer.
    disordered: u64,
    doubled: u64,
    seen: Vec<Seen>,
    /// When the last message had been seen.
    end: SystemTime,
}

/// The messages of one producer that one consumer has seen.
#[derive(Default)]
struct Seen {
    /// A bit for each of its messages.
    bits: Vec<u64>,
    /// The number that the next message has at least.
    next: u64,
}

impl Findings {
    pub fn new(producers: u32) -> Findings {
        Findings {
            messages: 0,
            bytes: 0,
            changed: 0,
            disordered: 0,
            doubled: 0,
            seen: (0..producers).map(|_| Seen::default()).collect(),
            end: UNIX_EPOCH,
        }
    }

    /// Remembers when the last message was seen.
    pub fn rest(&mut self) {
        self.end = SystemTime::now();
    }

    /// Looks at a message.
    pub fn see(&mut self, message: &[u8], text: &Text) {
        self.messages += 1;
        self.bytes += message.len() as u64;
        let producers = self.seen.len() as u32;
        let intact = parse(message).filter(|&(producer, number, line)| {
            producer < producers && line == text.line(line_of(producer, number, producers))
        });
        let Some((producer, number, _)) = intact else {
            self.changed += 1;
            return;
        };
        let seen = &mut self.seen[producer as usize];
        self.disordered += u64::from(number < seen.next);
        seen.next = number + 1;
        self.doubled += u64::from(!seen.mark(number));
    }

    pub fn to_json(&self) -> Value {
        let seen: Vec<_> = self.seen.iter().map(|seen| &seen.bits).collect();
        json!({
            "messages": self.messages,
            "bytes": self.bytes,
            "changed": self.changed,
            "disordered": self.disordered,
            "doubled": self.doubled,
            "seen": seen,
            "end_unix_ns": self.end.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64,
        })
    }
}

impl Seen {
    /// Whether it is the first time.
    fn mark(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let first = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        first
    }
}

/// Producer, number, line.
fn parse(message: &[u8]) -> Option<(u32, u64, &[u8])> {
    let (header, line) = message.split_first_chunk::<HEADER>()?;
    let (producer, number) = header.split_first_chunk::<4>()?;
    let number = number.first_chunk::<8>()?;
    Some((u32::from_le_bytes(*producer), u64::from_le_bytes(*number), line))
}

/// Everything that was sent beside everything that arrived.
pub struct Verdict {
    /// Messages and bytes.
    pub sent: (u64, u64),
    pub arrived: (u64, u64),
    /// Messages of each consumer.
    pub shares: Vec<u64>,
    pub missing: u64,
    pub doubled: u64,
    pub changed: u64,
    pub disordered: u64,
    /// When the last message had arrived.
    pub end: SystemTime,
}

impl Verdict {
    /// Nothing lost, doubled, changed or out of order.
    pub fn is_good(&self) -> bool {
        self.sent == self.arrived && [self.missing, self.doubled, self.changed, self.disordered] == [0; 4]
    }

    /// From the reports of all workers.
    pub fn read(workshop: &Workshop, producers: u32, consumers: u32) -> io::Result<Verdict> {
        let report = |command, number| -> io::Result<Value> {
            Ok(serde_json::from_slice(&fs::read(workshop.report(command, number))?)?)
        };
        let mut verdict = Verdict {
            sent: (0, 0),
            arrived: (0, 0),
            shares: Vec::new(),
            missing: 0,
            doubled: 0,
            changed: 0,
            disordered: 0,
            end: UNIX_EPOCH,
        };
        let mut sent = Vec::new();
        for number in 0..producers {
            let report = report(PRODUCER, number)?;
            sent.push(count(&report, "messages")?);
            verdict.sent.0 += count(&report, "messages")?;
            verdict.sent.1 += count(&report, "bytes")?;
        }
        let mut union: Vec<Seen> = sent.iter().map(|_| Seen::default()).collect();
        for number in 0..consumers {
            let report = report(CONSUMER, number)?;
            verdict.arrived.0 += count(&report, "messages")?;
            verdict.arrived.1 += count(&report, "bytes")?;
            verdict.shares.push(count(&report, "messages")?);
            verdict.changed += count(&report, "changed")?;
            verdict.disordered += count(&report, "disordered")?;
            verdict.doubled += count(&report, "doubled")?;
            for (producer, union) in union.iter_mut().enumerate() {
                verdict.doubled += union.merge(&report["seen"][producer])?;
            }
            let end = Duration::from_nanos(count(&report, "end_unix_ns")?);
            verdict.end = verdict.end.max(UNIX_EPOCH + end);
        }
        for (seen, sent) in union.iter().zip(sent) {
            let (known, unknown) = seen.split_at(sent);
            verdict.missing += sent - known;
            // Right in content, but under a number that was never given out.
            verdict.changed += unknown;
        }
        Ok(verdict)
    }
}

impl Seen {
    /// Adds what another consumer has seen; returns how much of it had been seen before.
    fn merge(&mut self, words: &Value) -> io::Result<u64> {
        let words = words.as_array().ok_or_else(|| unclear("seen"))?;
        self.bits.resize(self.bits.len().max(words.len()), 0);
        let mut twice = 0;
        for (mine, word) in self.bits.iter_mut().zip(words) {
            let word = word.as_u64().ok_or_else(|| unclear("seen"))?;
            twice += u64::from((*mine & word).count_ones());
            *mine |= word;
        }
        Ok(twice)
    }

    /// How many messages are below a number, and how many are not.
    fn split_at(&self, number: u64) -> (u64, u64) {
        let (mut below, mut above) = (0, 0);
        for (first, word) in (0..).step_by(64).zip(&self.bits) {
            let known = number.saturating_sub(first).min(64);
            // { bit i: first + i < number }
            let mask = u64::MAX.checked_shr(64 - known as u32).unwrap_or(0);
            below += u64::from((word & mask).count_ones());
            above += u64::from((word & !mask).count_ones());
        }
        (below, above)
    }
}

fn count(report: &Value, name: &str) -> io::Result<u64> {
    report[name].as_u64().ok_or_else(|| unclear(name))
}

fn unclear(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a worker's report has no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_numbers_are_told_from_those_never_sent() {
        let mut seen = Seen::default();
        for number in [0, 1, 63, 64, 130] {
            assert!(seen.mark(number));
        }
        assert!(!seen.mark(63));
        assert_eq!(seen.split_at(0), (0, 5));
        assert_eq!(seen.split_at(64), (3, 2));
        assert_eq!(seen.split_at(65), (4, 1));
        assert_eq!(seen.split_at(1000), (5, 0));
    }

    #[test]
    fn what_two_have_seen_is_doubled() {
        let mut seen = Seen::default();
        assert_eq!(seen.merge(&json!([0b0110])).ok(), Some(0));
        assert_eq!(seen.merge(&json!([0b1100, 1])).ok(), Some(1));
        assert_eq!(seen.split_at(64), (3, 1));
        assert!(seen.merge(&json!("nothing")).is_err());
    }
}
