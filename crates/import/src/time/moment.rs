//! One time in text, with or without date and zone.

use super::zone::fixed_offset;
use super::{DAY_NANOS, TimeUnit, calendar};

/// What a value says about time, before zone and date are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Moment {
    /// Nanoseconds since the epoch.
    Utc(i128),
    /// The same, by the clock on the wall.
    Local(i128),
    /// Nanoseconds since midnight, on a day that it does not say.
    OnSomeDay(i64),
}

pub(super) fn local(days: i32, nanos: i64) -> Moment {
    Moment::Local(i128::from(days) * i128::from(DAY_NANOS) + i128::from(nanos))
}

/// A date, a time of day, or both, with or without a zone.
pub(super) fn written_out(bytes: &[u8]) -> Option<Moment> {
    let Some((days, rest)) = calendar::date(bytes) else {
        return calendar::time_of_day(bytes)
            .filter(|(_, rest)| rest.is_empty())
            .map(|(nanos, _)| Moment::OnSomeDay(nanos));
    };
    let (nanos, zone) = match rest {
        [] => return Some(local(days, 0)),
        [b'T' | b't' | b' ' | b'D', time @ ..] => calendar::time_of_day(time)?,
        _ => return None,
    };
    let Moment::Local(nanos) = local(days, nanos) else { return None };
    match zone.trim_ascii_start() {
        [] => Some(Moment::Local(nanos)),
        b"Z" | b"z" | b"UTC" => Some(Moment::Utc(nanos)),
        offset => fixed_offset(offset).map(|offset| Moment::Utc(nanos - i128::from(offset))),
    }
}

/// A number with places, such as `1680652804.962`, in nanoseconds. Digits below a nanosecond must be 0.
pub(super) fn with_places(bytes: &[u8], unit: impl FnOnce(i128) -> TimeUnit) -> Option<i128> {
    let dot = memchr::memchr(b'.', bytes)?;
    let (whole, places) = (&bytes[..dot], &bytes[dot + 1..]);
    if !whole.first()?.is_ascii_digit() || places.len() > 18 || !places.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let whole = crate::number::integer(whole)?;
    let unit = i128::from(unit(whole).nanos());
    let scale = 10_i128.pow(places.len() as u32);
    let part = if places.is_empty() { 0 } else { crate::number::integer(places)? * unit };
    (part % scale == 0).then(|| whole.checked_mul(unit)?.checked_add(part / scale))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_8601_and_its_relatives() {
        let noon = Moment::Local(18_631 * i128::from(DAY_NANOS) + i128::from(DAY_NANOS / 2));
        for text in [
            "2021-01-04T12:00:00",
            "2021-01-04 12:00",
            "2021.01.04T12:00:00.000",
            "20210104 12:00:00",
            "2021.01.04D12:00:00",
        ] {
            assert_eq!(written_out(text.as_bytes()), Some(noon), "{text}");
        }
        let Moment::Local(nanos) = noon else { unreachable!() };
        for text in [
            "2021-01-04T12:00:00Z",
            "2021-01-04T20:00:00+08:00",
            "2021-01-04 06:30:00 -0530",
            "2021-01-04 12:00:00 UTC",
        ] {
            assert_eq!(written_out(text.as_bytes()), Some(Moment::Utc(nanos)), "{text}");
        }
        assert_eq!(written_out(b"00:00:01"), Some(Moment::OnSomeDay(1_000_000_000)));
        assert_eq!(written_out(b"2021-01-04"), Some(local(18_631, 0)));
        for bad in
            ["2021-01-04T", "2021-01-04T12", "2021-01-04T12:00:00X", "2021-01-04X12:00", "12:00Z", "", "abc"]
        {
            assert_eq!(written_out(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn numbers_with_places() {
        let seconds = |text: &str| with_places(text.as_bytes(), |_| TimeUnit::Second);
        assert_eq!(seconds("1680652804.962"), Some(1_680_652_804_962_000_000));
        assert_eq!(seconds("1.0000000001"), None);
        assert_eq!(seconds("1.0000000010"), Some(1_000_000_001));
        assert_eq!(seconds("12"), None);
        assert_eq!(seconds(".5"), None);
        assert_eq!(with_places(b"1.5", |_| TimeUnit::Nanosecond), None);
    }

    /// The whole part just fits an `i128` in nanoseconds, and its places are one step too many.
    #[test]
    fn places_that_carry_a_number_over_the_edge_are_no_time() {
        let micros = |text: &str| with_places(text.as_bytes(), |_| TimeUnit::Microsecond);
        assert_eq!(micros("170141183460469231731687303715884105.727"), Some(i128::MAX));
        assert_eq!(micros("170141183460469231731687303715884105.728"), None);
    }
}
