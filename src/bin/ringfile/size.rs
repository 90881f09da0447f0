//! Numbers as people write and read them.

use std::time::Duration;

const UNITS: [char; 4] = ['K', 'M', 'G', 'T'];

/// Bytes with an optional suffix: `4096`, `64K`, `1M`, `2g`.
pub fn parse(text: &str) -> Result<usize, String> {
    let suffix = text.chars().last().map(|c| c.to_ascii_uppercase());
    let exponent = suffix.and_then(|c| UNITS.iter().position(|&unit| unit == c));
    let (digits, shift) = match exponent {
        Some(exponent) => (&text[..text.len() - 1], 10 * (exponent as u32 + 1)),
        None => (text, 0),
    };
    digits
        .parse::<usize>()
        .map_err(|_| "expected a number of bytes such as 4096, 64K, 16M or 1G".to_owned())?
        .checked_mul(1 << shift)
        .ok_or_else(|| "more bytes than this machine can address".to_owned())
}

/// Seconds, with or without a fraction.
pub fn parse_seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a number of seconds such as 5 or 0.25".to_owned())
}

/// Messages a second, 0 for any number.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate| (0.0..=1e9).contains(rate)).ok_or_else(|| {
        "expected messages a second such as 50 or 0.25, at most 1e9, or 0 for any number".to_owned()
    })
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `65536` as `64 KiB`, `1500` as `1.5 KiB`.
pub fn bytes(number: u64) -> String {
    let mut scaled = number as f64;
    let mut unit = None;
    for next in UNITS {
        if scaled < 1024.0 {
            break;
        }
        scaled /= 1024.0;
        unit = Some(next);
    }
    match unit {
        None => format!("{number} bytes"),
        Some(unit) if scaled.fract() == 0.0 => format!("{scaled} {unit}iB"),
        Some(unit) => format!("{scaled:.1} {unit}iB"),
    }
}

/// How much of something a second: `0.3`, `12`, `1,500`.
pub fn per_second(rate: f64) -> String {
    if rate >= 10.0 { grouped(rate.round() as u64) } else { format!("{rate:.1}") }
}

/// `75 s` as `1 min 15 s`: the two largest units.
pub fn age(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

/// `1 message`, `2,000 messages`.
pub fn counted(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("64K"), Ok(64 << 10));
        assert_eq!(parse("2g"), Ok(2 << 30));
        for wrong in ["", "K", "1.5M", "-1", "64KB", "1é", "99999999999T"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(parse_seconds("0.25"), Ok(Duration::from_millis(250)));
        for wrong in ["", "-1", "NaN", "inf", "1s"] {
            assert!(parse_seconds(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rates_are_read() {
        assert_eq!(parse_rate("0.5"), Ok(0.5));
        assert_eq!(parse_rate("1e9"), Ok(1e9));
        for wrong in ["", "-1", "NaN", "inf", "1e10", "50/s"] {
            assert!(parse_rate(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_are_written() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(1000), "1000 bytes");
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(per_second(0.25), "0.2");
        assert_eq!(per_second(1499.6), "1,500");
        assert_eq!(age(Duration::from_secs(75)), "1 min 15 s");
        assert_eq!(age(Duration::from_secs(90_000)), "1 d 1 h");
        assert_eq!(counted(1, "message"), "1 message");
        assert_eq!(counted(1000, "message"), "1,000 messages");
    }
}
