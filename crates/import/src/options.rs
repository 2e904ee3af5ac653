//! What the user says about a file.

use std::str::FromStr;

use crate::time::{TimeUnit, Zone, calendar};

const DAY_NANOS: i64 = 86_400_000_000_000;

/// What to do with a bad row.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnError {
    /// Hand out the rows before it and end with its error.
    #[default]
    Stop,
    /// Leave it out, count it, go on.
    Skip,
}

impl FromStr for OnError {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stop" => Ok(Self::Stop),
            "skip" => Ok(Self::Skip),
            other => Err(format!("{other:?} is neither stop nor skip")),
        }
    }
}

/// The day of times that have none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DateOption {
    /// This day, counted from 1970-01-01.
    Day(i32),
    /// The day in the name of the archive member or, where that has none, of the file.
    Name,
}

impl FromStr for DateOption {
    type Err = String;

    /// `name`, or a day such as `2014-05-01` or `20140501`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "name" {
            return Ok(Self::Name);
        }
        match calendar::whole_date(text.as_bytes()) {
            Some(day) => Ok(Self::Day(day)),
            None => Err(format!("{text:?} is neither a date such as 2014-05-01 nor `name`")),
        }
    }
}

/// How to read files into a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The columns of a text file that has no header, in order.
    pub columns: Option<Vec<String>>,
    /// What stands between the fields of a text file; found out where it is not given.
    pub delimiter: Option<u8>,
    /// `(column, source)`: take the column from this source. `a+b` takes a date from `a` and a time from `b`.
    pub map: Vec<(String, String)>,
    /// `(column, value)`: every row has this value.
    pub set: Vec<(String, String)>,
    /// Columns of the file that are left out on purpose, so that `strict` does not mind them.
    pub ignore: Vec<String>,
    /// Every row has this symbol.
    pub symbol: Option<String>,
    /// Put before every symbol that comes from the file.
    pub symbol_prefix: Option<String>,
    /// The day of times that have none. With it whole numbers are the time since midnight in [`Self::time_unit`].
    pub date: Option<DateOption>,
    /// The zone of times that name none.
    pub time_zone: Zone,
    /// The unit of times that are numbers. Where it is not given, the size of each number says it:
    /// below 10^11 seconds, below 10^14 milliseconds, below 10^17 microseconds, else nanoseconds.
    pub time_unit: Option<TimeUnit>,
    /// Refuse a file that has columns without a place.
    pub strict: bool,
    /// What to do with a bad row.
    pub on_error: OnError,
    /// A NaN is NULL and not a bad row.
    pub nan_as_null: bool,
    /// The most rows in a batch; fewer where 256 KiB are reached before.
    pub batch_rows: usize,
    /// Event times after this one are bad rows; `None` allows every time.
    pub latest_ts: Option<i64>,
}

impl ImportOptions {
    /// What holds where the user says nothing. `now` is the clock in nanoseconds since the epoch; event times
    /// more than a day after it are refused.
    pub fn new(now: i64) -> Self {
        Self {
            columns: None,
            delimiter: None,
            map: Vec::new(),
            set: Vec::new(),
            ignore: Vec::new(),
            symbol: None,
            symbol_prefix: None,
            date: None,
            time_zone: Zone::utc(),
            time_unit: None,
            strict: false,
            on_error: OnError::Stop,
            nan_as_null: false,
            batch_rows: 4096,
            latest_ts: Some(now.saturating_add(DAY_NANOS)),
        }
    }
}
