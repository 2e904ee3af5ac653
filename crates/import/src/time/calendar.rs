//! Dates and times of day in text, without zones.

/// Days from 1970-01-01 to a date of the Gregorian calendar, `None` where there is no such date.
///
/// The arithmetic of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (`days_from_civil`).
pub(crate) fn days(year: i32, month: u32, day: u32) -> Option<i32> {
    const MONTH_DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = *MONTH_DAYS.get(month.checked_sub(1)? as usize)? + u32::from(leap && month == 2);
    if day == 0 || day > last {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month as i32 + 9) % 12) + 2) / 5 + day as i32 - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |value: u32, byte| {
        byte.is_ascii_digit().then(|| value.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')))
    })
}

/// The date at the start of `bytes` (`2021-01-04`, `2021.01.04`, `2021/01/04` or `20210104`) and what follows it.
pub(crate) fn date(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (year, month, day, rest) = match bytes {
        [y0, y1, y2, y3, s, m0, m1, t, d0, d1, rest @ ..] if s == t && matches!(s, b'-' | b'.' | b'/') => {
            ([*y0, *y1, *y2, *y3], [*m0, *m1], [*d0, *d1], rest)
        }
        [y0, y1, y2, y3, m0, m1, d0, d1, rest @ ..] => ([*y0, *y1, *y2, *y3], [*m0, *m1], [*d0, *d1], rest),
        _ => return None,
    };
    let year = digits(&year)?;
    Some((days(year as i32, digits(&month)?, digits(&day)?)?, rest))
}

/// A date and nothing else.
pub(crate) fn whole_date(bytes: &[u8]) -> Option<i32> {
    date(bytes).filter(|(_, rest)| rest.is_empty()).map(|(day, _)| day)
}

/// The time of day at the start of `bytes` (`9:30`, `09:30:00`, `09:30:00.123456789`) in nanoseconds, and what
/// follows it. More than nine places must be zeros.
pub(crate) fn time_of_day(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let colon = bytes.iter().take(3).position(|byte| *byte == b':')?;
    let hours = digits(&bytes[..colon]).filter(|hours| colon > 0 && *hours < 24)?;
    let (minutes, mut rest) = bytes[colon + 1..].split_at_checked(2)?;
    let minutes = digits(minutes).filter(|minutes| *minutes < 60)?;
    let mut nanos = i64::from(hours * 3600 + minutes * 60) * 1_000_000_000;
    if let [b':', s0, s1, after @ ..] = rest {
        nanos += i64::from(digits(&[*s0, *s1]).filter(|seconds| *seconds < 60)?) * 1_000_000_000;
        rest = after;
        if let [b'.' | b',', after @ ..] = rest {
            let places = after.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(after.len());
            nanos += fraction_nanos(&after[..places])?;
            rest = &after[places..];
        }
    }
    Some((nanos, rest))
}

/// The digits behind a second's point in nanoseconds.
pub(super) fn fraction_nanos(places: &[u8]) -> Option<i64> {
    let (kept, lost) = places.split_at(places.len().min(9));
    if places.is_empty() || lost.iter().any(|byte| *byte != b'0') {
        return None;
    }
    Some(i64::from(digits(kept)?) * 10_i64.pow(9 - kept.len() as u32))
}

/// A time of day as a whole number: `93000` or `093000` is 09:30:00, `93000123` is 09:30:00.123.
pub(crate) fn packed_time_of_day(value: i64) -> Option<i64> {
    let (seconds, millis) = if value >= 1_000_000 { (value / 1000, value % 1000) } else { (value, 0) };
    let (hours, minutes, seconds) = (seconds / 10_000, seconds / 100 % 100, seconds % 100);
    (value >= 0 && hours < 24 && minutes < 60 && seconds < 60)
        .then(|| ((hours * 3600 + minutes * 60 + seconds) * 1000 + millis) * 1_000_000)
}

/// Date and time of day as one run of 14 digits, or of 17 with milliseconds: days and nanoseconds.
pub(crate) fn packed_date_time(bytes: &[u8]) -> Option<(i32, i64)> {
    if !matches!(bytes.len(), 14 | 17) {
        return None;
    }
    let (day, time) = date(bytes).filter(|_| bytes[4].is_ascii_digit())?;
    let seconds = packed_time_of_day(i64::from(digits(&time[..6])?))?;
    let millis = i64::from(digits(&time[6..])?);
    Some((day, seconds + millis * 1_000_000))
}

/// The last date (eight digits on their own, or `YYYY-MM-DD`) in a file's name.
pub(crate) fn date_in_name(name: &str) -> Option<i32> {
    let bytes = name.as_bytes();
    let digit_at = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    (0..bytes.len()).rev().filter(|at| *at == 0 || !digit_at(at - 1)).find_map(|at| {
        let (day, rest) = date(&bytes[at..])?;
        (!rest.first().is_some_and(u8::is_ascii_digit)).then_some(day)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn dates() {
        for text in ["2021-01-04", "2021.01.04", "2021/01/04", "20210104"] {
            assert_eq!(whole_date(text.as_bytes()), Some(18_631), "{text}");
        }
        assert_eq!(whole_date(b"1970-01-01"), Some(0));
        assert_eq!(whole_date(b"1969-12-31"), Some(-1));
        assert_eq!(whole_date(b"2000-02-29"), Some(11_016));
        for bad in [
            "2021-02-29",
            "1900-02-29",
            "2021-13-01",
            "2021-00-01",
            "2021-01-00",
            "2021-1-4",
            "2021-01.04",
            "",
        ] {
            assert_eq!(whole_date(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn times_of_day() {
        let nanos =
            |text: &str| time_of_day(text.as_bytes()).filter(|(_, rest)| rest.is_empty()).map(|(n, _)| n);
        assert_eq!(nanos("9:30"), Some(9 * HOUR + HOUR / 2));
        assert_eq!(nanos("09:29:00.400"), Some(9 * HOUR + 1740 * 1_000_000_000 + 400_000_000));
        assert_eq!(nanos("00:00:00.123456789"), Some(123_456_789));
        assert_eq!(nanos("00:00:00.1234567890000"), Some(123_456_789));
        for bad in
            ["24:00", "12:60", "12:00:60", "12:00:00.", "12:00:00.1234567891", ":30", "123:00", "12", "12:3"]
        {
            assert_eq!(nanos(bad), None, "{bad}");
        }
        assert_eq!(packed_time_of_day(93_000_123), Some(9 * HOUR + HOUR / 2 + 123_000_000));
        assert_eq!(packed_time_of_day(93_000), Some(9 * HOUR + HOUR / 2));
        assert_eq!(packed_time_of_day(250_000), None);
        assert_eq!(packed_date_time(b"20210104093000"), Some((18_631, 9 * HOUR + HOUR / 2)));
        assert_eq!(packed_date_time(b"20210104000000123"), Some((18_631, 123_000_000)));
        assert_eq!(packed_date_time(b"20210104093000123"), Some((18_631, 9 * HOUR + HOUR / 2 + 123_000_000)));
        assert_eq!(packed_date_time(b"20211304093000"), None);
    }

    #[test]
    fn names() {
        assert_eq!(date_in_name("20140501_eurusd_tick_quote.csv"), Some(16_191));
        assert_eq!(date_in_name("BTCUSDT-trades-2014-05-01.zip"), Some(16_191));
        assert_eq!(date_in_name("20130101/x_20140501.csv"), Some(16_191));
        assert_eq!(date_in_name("x120140501.csv"), None);
        assert_eq!(date_in_name("201405011.csv"), None);
        assert_eq!(date_in_name("x.csv"), None);
    }
}
