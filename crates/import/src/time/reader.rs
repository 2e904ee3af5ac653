//! Reads the time columns of one file.

use super::moment::{self, Moment};
use super::{DAY_NANOS, TimeUnit, Zone, calendar};
use crate::cell::{Cell, Problem};
use crate::number;

const NOT_A_TIME: &str =
    "is no time; known are numbers since the epoch, 2021-01-04T09:30:00.123 and its relatives";
const OUT_OF_RANGE: &str = "is outside of what can be stored (the years 1677 to 2262); check --time-unit";
const NO_DATE: &str = "is a time without a date; give the date with --date";

/// The columns of a time that is in pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) date: Cell<'a>,
    pub(crate) time: Cell<'a>,
    /// Milliseconds to add.
    pub(crate) millis: Option<Cell<'a>>,
}

/// What holds for all times of a file.
#[derive(Clone, Debug)]
pub(crate) struct TimeReader {
    pub(crate) zone: Zone,
    pub(crate) unit: Option<TimeUnit>,
    /// The day of times that have none.
    pub(crate) day: Option<i32>,
}

impl TimeReader {
    /// An event time.
    #[inline]
    pub(crate) fn event(&mut self, cell: Cell<'_>) -> Result<Option<i64>, Box<Problem>> {
        let Some(moment) = self.moment(cell, self.day.is_some())? else { return Ok(None) };
        let moment = match (moment, self.day) {
            (Moment::OnSomeDay(nanos), Some(day)) => moment::local(day, nanos),
            (Moment::OnSomeDay(_), None) => return Err(Problem::with(cell, NO_DATE)),
            (moment, _) => moment,
        };
        self.nanos(moment).map(Some).ok_or_else(|| Problem::with(cell, OUT_OF_RANGE))
    }

    /// A time of receipt. Without a date it is on the day that brings it closest to the event.
    pub(crate) fn receipt(&mut self, cell: Cell<'_>, event: i64) -> Result<Option<i64>, Box<Problem>> {
        let Some(moment) = self.moment(cell, self.day.is_some())? else { return Ok(None) };
        let moment = match moment {
            Moment::OnSomeDay(nanos) => {
                let day = i128::from(DAY_NANOS);
                let event = self.zone.local_of_utc(event);
                let same_day = event.div_euclid(day) * day + i128::from(nanos);
                let apart = same_day - event;
                Moment::Local(if apart > day / 2 {
                    same_day - day
                } else if apart < -day / 2 {
                    same_day + day
                } else {
                    same_day
                })
            }
            moment => moment,
        };
        self.nanos(moment).map(Some).ok_or_else(|| Problem::with(cell, OUT_OF_RANGE))
    }

    /// A time that is not when something happened, such as an expiry: `--date` does not apply to it.
    pub(crate) fn other(&mut self, cell: Cell<'_>) -> Result<Option<i64>, Box<Problem>> {
        match self.moment(cell, false)? {
            None => Ok(None),
            Some(Moment::OnSomeDay(_)) => Err(Problem::with(cell, "is a time without a date")),
            Some(moment) => self.nanos(moment).map(Some).ok_or_else(|| Problem::with(cell, OUT_OF_RANGE)),
        }
    }

    /// A time whose date stands in another column.
    pub(crate) fn parts(&mut self, parts: Parts<'_>) -> Result<Option<i64>, Box<Problem>> {
        let (date, time) = (parts.date.trimmed(), parts.time.trimmed());
        if date.is_null() || time.is_null() {
            return Ok(None);
        }
        let days = self.date(date)?.ok_or_else(|| Problem::with(date, "is no date"))?;
        let mut nanos = self.time_of_day(time).ok_or_else(|| Problem::with(time, "is no time of day"))?;
        if let Some(cell) = parts.millis.map(Cell::trimmed).filter(|cell| !cell.is_null()) {
            let millis = whole(cell).filter(|millis| (0..1000).contains(millis));
            nanos += millis.ok_or_else(|| Problem::with(cell, "are no milliseconds (0 to 999)"))? as i64
                * 1_000_000;
        }
        self.nanos(moment::local(days, nanos)).map(Some).ok_or_else(|| Problem::with(date, OUT_OF_RANGE))
    }

    /// A date, as days since the epoch.
    pub(crate) fn date(&self, cell: Cell<'_>) -> Result<Option<i32>, Box<Problem>> {
        let cell = cell.trimmed();
        let days = match cell {
            Cell::Null => return Ok(None),
            Cell::Date(days) => Some(days),
            Cell::Text { bytes, .. } => match calendar::date(bytes) {
                Some((days, [] | [b'T' | b' ', ..])) => Some(days),
                _ => whole(cell).and_then(packed_date),
            },
            Cell::Timestamp { value, unit, utc } => {
                let nanos = i128::from(value) * i128::from(unit.nanos());
                let local = match i64::try_from(nanos) {
                    Ok(nanos) if utc => self.zone.local_of_utc(nanos),
                    _ => nanos,
                };
                i32::try_from(local.div_euclid(i128::from(DAY_NANOS))).ok()
            }
            cell => whole(cell).and_then(packed_date),
        };
        days.map(Some)
            .ok_or_else(|| Problem::with(cell, "is no date; known are 2021-01-04, 2021.01.04, 20210104"))
    }

    fn time_of_day(&self, cell: Cell<'_>) -> Option<i64> {
        match cell {
            Cell::TimeOfDay(nanos) => Some(nanos),
            Cell::Text { bytes, .. } if memchr::memchr(b':', bytes).is_some() => {
                calendar::time_of_day(bytes).filter(|(_, rest)| rest.is_empty()).map(|(nanos, _)| nanos)
            }
            cell => {
                let value = i64::try_from(whole(cell)?).ok()?;
                match self.unit {
                    Some(unit) => {
                        value.checked_mul(unit.nanos()).filter(|nanos| (0..DAY_NANOS).contains(nanos))
                    }
                    None => calendar::packed_time_of_day(value),
                }
            }
        }
    }

    #[inline]
    fn moment(&self, cell: Cell<'_>, since_midnight: bool) -> Result<Option<Moment>, Box<Problem>> {
        Ok(Some(match cell.trimmed() {
            Cell::Null => return Ok(None),
            Cell::Timestamp { value, unit, utc } => {
                let nanos = i128::from(value) * i128::from(unit.nanos());
                if utc { Moment::Utc(nanos) } else { Moment::Local(nanos) }
            }
            Cell::Date(days) => moment::local(days, 0),
            Cell::TimeOfDay(nanos) => Moment::OnSomeDay(nanos),
            Cell::Text { bytes, .. } => match number::integer(bytes) {
                Some(value) => self.number(cell, value, since_midnight)?,
                None => self.text(bytes, since_midnight).ok_or_else(|| Problem::with(cell, NOT_A_TIME))?,
            },
            other => match whole(other) {
                Some(value) => self.number(cell, value, since_midnight)?,
                None => return Err(Problem::with(cell, NOT_A_TIME)),
            },
        }))
    }

    #[inline]
    fn number(&self, cell: Cell<'_>, value: i128, since_midnight: bool) -> Result<Moment, Box<Problem>> {
        if since_midnight {
            let Some(unit) = self.unit else {
                let text = "is a number since midnight; give its unit with --time-unit s|ms|us|ns";
                return Err(Problem::with(cell, text));
            };
            return match value.checked_mul(i128::from(unit.nanos())) {
                Some(nanos) if (0..i128::from(DAY_NANOS)).contains(&nanos) => {
                    Ok(Moment::OnSomeDay(nanos as i64))
                }
                _ => {
                    Err(Problem::with(cell, "is not within one day; check --time-unit, or leave out --date"))
                }
            };
        }
        let unit = match self.unit {
            Some(unit) => unit,
            None => {
                if let Some(moment) = packed(value) {
                    return Ok(moment);
                }
                TimeUnit::of_epoch(value)
            }
        };
        value
            .checked_mul(i128::from(unit.nanos()))
            .map(Moment::Utc)
            .ok_or_else(|| Problem::with(cell, OUT_OF_RANGE))
    }

    fn text(&self, bytes: &[u8], since_midnight: bool) -> Option<Moment> {
        if let Some(moment) = moment::written_out(bytes) {
            return Some(moment);
        }
        let unit = |whole| self.unit.unwrap_or(TimeUnit::of_epoch(whole));
        if since_midnight {
            self.unit?;
            let nanos = moment::with_places(bytes, unit)?;
            return (0..i128::from(DAY_NANOS)).contains(&nanos).then_some(Moment::OnSomeDay(nanos as i64));
        }
        moment::with_places(bytes, unit).map(Moment::Utc)
    }

    #[inline]
    fn nanos(&mut self, moment: Moment) -> Option<i64> {
        // The least i64 stands for NULL.
        match moment {
            Moment::Utc(nanos) => i64::try_from(nanos).ok(),
            Moment::Local(nanos) => self.zone.utc_of_local(nanos),
            Moment::OnSomeDay(_) => None,
        }
        .filter(|nanos| *nanos != i64::MIN)
    }
}

/// Numbers of 8, 14 and 17 digits that read as dates are dates: since the epoch they would lie before 1973 or
/// after 2262.
#[inline]
fn packed(value: i128) -> Option<Moment> {
    match value {
        10_000_000..100_000_000 => packed_date(value).map(|days| moment::local(days, 0)),
        10_000_000_000_000..100_000_000_000_000 | 10_000_000_000_000_000..100_000_000_000_000_000 => {
            let (days, nanos) = calendar::packed_date_time(value.to_string().as_bytes())?;
            Some(moment::local(days, nanos))
        }
        _ => None,
    }
}

fn packed_date(value: i128) -> Option<i32> {
    let value = u32::try_from(value).ok()?;
    calendar::days((value / 10_000) as i32, value / 100 % 100, value % 100).filter(|_| value >= 10_000_000)
}

/// The whole number in a cell.
pub(crate) fn whole(cell: Cell<'_>) -> Option<i128> {
    match cell {
        Cell::Text { bytes, .. } => number::integer(bytes),
        Cell::Int(value) => Some(i128::from(value)),
        Cell::UInt(value) => Some(i128::from(value)),
        Cell::Double(value) if value.trunc() == value && value.abs() < 9_007_199_254_740_992.0 => {
            Some(value as i128)
        }
        Cell::Decimal { units, scale } => {
            let divisor = 10_i128.checked_pow(scale)?;
            (units % divisor == 0).then_some(units / divisor)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
