//! Small pieces of text: one line of many, times, numbers with their noun.

use jiff::Timestamp;

/// A message without line breaks and other control characters.
pub(crate) fn one_line(message: &str) -> String {
    let printable = message.replace(|c: char| c.is_control(), " ");
    printable.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Nanoseconds since the epoch as RFC 3339 with nine places.
pub(crate) fn rfc3339(nanos: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(nanos)) {
        Ok(moment) => moment.strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string(),
        Err(_) => nanos.to_string(),
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// A number of bytes in the largest binary unit that leaves at least one.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = number as f64;
    let mut unit = None;
    for name in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = Some(name);
    }
    match unit {
        None => format!("{number} B"),
        Some(unit) => format!("{value:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fit_one_line() {
        assert_eq!(one_line("a\nb\t\u{1b}[1mc  d "), "a b [1mc d");
    }

    #[test]
    fn times_have_nine_places() {
        assert_eq!(rfc3339(1_723_161_600_000_000_001), "2024-08-09T00:00:00.000000001Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(rfc3339(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    }

    #[test]
    fn units_of_bytes() {
        let shown = [0, 1023, 1024, 5 << 20, u64::MAX].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "5.0 MiB", "16384.0 PiB"]);
    }
}
