//! Time zones: from local time to UTC and back.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::calendar;

const SECOND_NANOS: i64 = 1_000_000_000;
/// Nothing that a zone does reaches further than this from the moment of the change.
const AROUND_A_CHANGE_NANOS: i64 = 2 * 86_400 * SECOND_NANOS;

/// A time zone: a name of the IANA database such as `Asia/Shanghai`, or a fixed offset such as `UTC-05` (five
/// hours *behind* UTC), `+08:00` or `UTC`.
///
/// Where clocks go forward, a local time that does not exist is moved forward by the gap; where they go back, a
/// time that exists twice is the first of the two (the rule of RFC 5545).
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Fixed(i64),
    Named { zone: TimeZone, known: Known },
}

/// Local times from `from` to `until` that are at this offset and at no other.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    from: i64,
    until: i64,
    offset: i64,
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), rule: Rule::Fixed(0) }
    }

    /// UTC in nanoseconds since the epoch of a local time given the same way; `None` outside 1677 to 2262.
    #[inline]
    pub(crate) fn utc_of_local(&mut self, local: i128) -> Option<i64> {
        let local = i64::try_from(local).ok()?;
        match &mut self.rule {
            Rule::Fixed(offset) => local.checked_sub(*offset),
            Rule::Named { known, .. } if known.from <= local && local < known.until => {
                local.checked_sub(known.offset)
            }
            Rule::Named { zone, known } => slow_utc_of_local(zone, known, local),
        }
    }

    /// Local time of a moment, both in nanoseconds since the epoch.
    pub(crate) fn local_of_utc(&self, utc: i64) -> i128 {
        let offset = match &self.rule {
            Rule::Fixed(offset) => *offset,
            Rule::Named { zone, .. } => Timestamp::from_nanosecond(i128::from(utc))
                .map_or(0, |moment| i64::from(zone.to_offset(moment).seconds()) * SECOND_NANOS),
        };
        i128::from(utc) + i128::from(offset)
    }
}

#[cold]
fn slow_utc_of_local(zone: &TimeZone, known: &mut Known, local: i64) -> Option<i64> {
    let civil = Offset::UTC.to_datetime(Timestamp::from_nanosecond(i128::from(local)).ok()?);
    let moment = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
    let offset = i64::from(zone.to_offset(moment).seconds()) * SECOND_NANOS;
    let nanos = |moment: Timestamp| i64::try_from(moment.as_nanosecond()).ok();
    // A change at this very moment counts as one before it.
    let just_after = Timestamp::from_nanosecond(moment.as_nanosecond() + 1).unwrap_or(moment);
    let before =
        zone.preceding(just_after).next().and_then(|change| nanos(change.timestamp())).unwrap_or(i64::MIN);
    let after =
        zone.following(moment).next().and_then(|change| nanos(change.timestamp())).unwrap_or(i64::MAX);
    *known = Known {
        from: before.saturating_add(AROUND_A_CHANGE_NANOS),
        until: after.saturating_sub(AROUND_A_CHANGE_NANOS),
        offset,
    };
    nanos(moment)
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim().to_owned();
        let offset = name.strip_prefix("UTC").or_else(|| name.strip_prefix("GMT")).unwrap_or(&name);
        let rule = if name == "Z" || (offset.is_empty() && !name.is_empty()) {
            Rule::Fixed(0)
        } else if let Some(nanos) = fixed_offset(offset.as_bytes()) {
            Rule::Fixed(nanos)
        } else {
            let zone = TimeZone::get(&name).map_err(|_| {
                format!(
                    "{text:?} is no time zone; known are names such as Asia/Shanghai or America/New_York, and \
                     offsets such as UTC-05 or +08:00"
                )
            })?;
            Rule::Named { zone, known: Known::default() }
        };
        Ok(Self { name, rule })
    }
}

/// An offset in nanoseconds: `+8`, `-05`, `+08:00`, `-0530`. Nothing else may follow.
pub(super) fn fixed_offset(bytes: &[u8]) -> Option<i64> {
    let (sign, digits) = match bytes {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let padded = match digits {
        [h] => [b'0', *h, b':', b'0', b'0'],
        [h0, h1] => [*h0, *h1, b':', b'0', b'0'],
        [h, b':', m0, m1] => [b'0', *h, b':', *m0, *m1],
        [h0, h1, m0, m1] | [h0, h1, b':', m0, m1] => [*h0, *h1, b':', *m0, *m1],
        _ => return None,
    };
    let (nanos, _) = calendar::time_of_day(&padded)?;
    Some(sign * nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * SECOND_NANOS;

    fn utc_hours(zone: &str, day: &str, hours: f64) -> f64 {
        let mut zone: Zone = zone.parse().unwrap();
        let midnight = i128::from(calendar::whole_date(day.as_bytes()).unwrap()) * 24 * i128::from(HOUR);
        let utc = zone.utc_of_local(midnight + (hours * HOUR as f64) as i128).unwrap();
        (i128::from(utc) - midnight) as f64 / HOUR as f64
    }

    #[test]
    fn offsets_and_names() {
        for (name, hours) in [
            ("UTC", 12.0),
            ("Z", 12.0),
            ("GMT", 12.0),
            ("UTC-05", 17.0),
            ("UTC+8", 4.0),
            ("+08:00", 4.0),
            ("-0530", 17.5),
            ("Asia/Shanghai", 4.0),
            ("America/New_York", 17.0),
            ("Etc/GMT+5", 17.0),
        ] {
            assert_eq!(utc_hours(name, "2021-01-04", 12.0), hours, "{name}");
        }
        for bad in ["", "Asia/Nowhere", "+25", "UTC+", "UTC+8h", "5", "+1:2"] {
            assert!(bad.parse::<Zone>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_gap_moves_forward_and_an_overlap_is_the_first() {
        // New York, 2024-03-10: 02:00 to 03:00 does not exist; 02:30 becomes 03:30 EDT.
        assert_eq!(utc_hours("America/New_York", "2024-03-10", 2.5), 7.5);
        assert_eq!(utc_hours("America/New_York", "2024-03-10", 1.5), 6.5);
        assert_eq!(utc_hours("America/New_York", "2024-03-10", 3.5), 7.5);
        // 2024-11-03: 01:00 to 02:00 exists twice; 01:30 is the one still in EDT.
        assert_eq!(utc_hours("America/New_York", "2024-11-03", 1.5), 5.5);
        assert_eq!(utc_hours("America/New_York", "2024-11-03", 2.5), 7.5);
    }

    #[test]
    fn the_shortcut_gives_what_the_long_way_gives() {
        let start = i128::from(calendar::whole_date(b"2023-01-01").unwrap()) * 24 * i128::from(HOUR);
        for name in ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Shanghai"] {
            let mut kept: Zone = name.parse().unwrap();
            let fresh = kept.clone();
            for step in 0..2 * 366 * 96 {
                let local = start + i128::from(step) * i128::from(HOUR / 4);
                assert_eq!(kept.utc_of_local(local), fresh.clone().utc_of_local(local), "{name} {local}");
            }
        }
    }

    #[test]
    fn there_and_back() {
        for name in ["UTC-05", "Asia/Shanghai", "America/New_York"] {
            let mut zone: Zone = name.parse().unwrap();
            assert_eq!(
                zone.utc_of_local(zone.local_of_utc(1_700_000_000 * SECOND_NANOS)),
                Some(1_700_000_000 * SECOND_NANOS)
            );
        }
        assert_eq!(Zone::utc().utc_of_local(i128::from(i64::MAX) + 1), None);
        assert_eq!("UTC-05".parse::<Zone>().unwrap().utc_of_local(i128::from(i64::MAX)), None);
    }
}
