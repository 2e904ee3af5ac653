//! Times: from what a file has to nanoseconds since the epoch, UTC.
//!
//! It owns every rule about units, dates, zones and ranges; it does not know columns.

pub(crate) mod calendar;
mod moment;
mod reader;
mod zone;

use std::str::FromStr;

pub(crate) use reader::{Parts, TimeReader, whole};
pub use zone::Zone;

/// Nanoseconds of a day.
pub(crate) const DAY_NANOS: i64 = 86_400_000_000_000;

/// The unit of times that are numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimeUnit {
    /// Seconds, `s`.
    Second,
    /// Milliseconds, `ms`.
    Millisecond,
    /// Microseconds, `us`.
    Microsecond,
    /// Nanoseconds, `ns`.
    Nanosecond,
}

impl TimeUnit {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Millisecond => "ms",
            Self::Microsecond => "us",
            Self::Nanosecond => "ns",
        }
    }

    /// Its length in nanoseconds.
    pub fn nanos(self) -> i64 {
        match self {
            Self::Second => 1_000_000_000,
            Self::Millisecond => 1_000_000,
            Self::Microsecond => 1_000,
            Self::Nanosecond => 1,
        }
    }

    /// The unit that makes a number since the epoch a time of our days: in each, the years 1973 to 2262 fall
    /// into its own range.
    pub(crate) fn of_epoch(value: i128) -> Self {
        match value.unsigned_abs() {
            0..100_000_000_000 => Self::Second,
            100_000_000_000..100_000_000_000_000 => Self::Millisecond,
            100_000_000_000_000..100_000_000_000_000_000 => Self::Microsecond,
            _ => Self::Nanosecond,
        }
    }
}

impl FromStr for TimeUnit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "s" => Ok(Self::Second),
            "ms" => Ok(Self::Millisecond),
            "us" | "µs" => Ok(Self::Microsecond),
            "ns" => Ok(Self::Nanosecond),
            other => Err(format!("{other:?} is none of s, ms, us, ns")),
        }
    }
}
