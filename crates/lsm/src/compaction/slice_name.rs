//! What the files of a partition are called for other programs.

use crate::key::TimeRange;

const DAY_NANOS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// The name of a time range: `2026-11-22` for a day, `2026-01-01_2026-03-31` for several, `start` and `end` where the
/// range is open, and with the time of day where it is not of whole days. Ranges that differ have names that differ.
///
/// ```
/// use tapebook_lsm::compaction::slice_name;
/// use tapebook_lsm::key::TimeRange;
///
/// let day = 24 * 60 * 60 * 1_000_000_000;
/// assert_eq!(slice_name(TimeRange { first: 0, last: day - 1 }), "1970-01-01");
/// assert_eq!(slice_name(TimeRange { first: -day, last: 2 * day - 1 }), "1969-12-31_1970-01-02");
/// assert_eq!(slice_name(TimeRange { first: i64::MIN, last: day }), "start_1970-01-02T000000.000000000");
/// ```
pub fn slice_name(times: TimeRange) -> String {
    let first = match times.first {
        i64::MIN => "start".to_owned(),
        first if first.rem_euclid(DAY_NANOS) == 0 => date(first),
        first => moment(first),
    };
    let last = match times.last {
        i64::MAX => "end".to_owned(),
        last if last.rem_euclid(DAY_NANOS) == DAY_NANOS - 1 => date(last),
        last => moment(last),
    };
    if first == last { first } else { format!("{first}_{last}") }
}

fn moment(ts: i64) -> String {
    let nanos = ts.rem_euclid(DAY_NANOS);
    let seconds = nanos / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hours:02}{minutes:02}{seconds:02}.{:09}", date(ts), nanos % 1_000_000_000)
}

/// The day in the proleptic Gregorian calendar, by the algorithm `civil_from_days` of Howard Hinnant,
/// <https://howardhinnant.github.io/date_algorithms.html>.
fn date(ts: i64) -> String {
    let shifted = ts.div_euclid(DAY_NANOS) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let known = [(0, "1970-01-01"), (-1, "1969-12-31"), (11_016, "2000-02-29"), (20_779, "2026-11-22")];
        for (day, expected) in known {
            assert_eq!(date(day * DAY_NANOS), expected);
            assert_eq!(date(day * DAY_NANOS + DAY_NANOS - 1), expected);
        }
        assert_eq!(date(i64::MAX), "2262-04-11");
        assert_eq!(date(i64::MIN), "1677-09-21");
    }
}
