//! One value of a source row, before it is known what it becomes.

use tapebook_record::Level;

use crate::error::cut_short;
use crate::time::TimeUnit;

/// A value as the file has it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Text {
        bytes: &'a [u8],
        quoted: bool,
    },
    Int(i64),
    UInt(u64),
    Double(f64),
    Decimal {
        units: i128,
        scale: u32,
    },
    Bool(bool),
    /// `utc` is false where the file says that the time is local.
    Timestamp {
        value: i64,
        unit: TimeUnit,
        utc: bool,
    },
    /// Days since the epoch.
    Date(i32),
    /// Nanoseconds since midnight.
    TimeOfDay(i64),
    /// A type that no column can hold.
    Other(&'static str),
}

impl<'a> Cell<'a> {
    /// A text without the spaces around it, or `Null` where it stands for no value.
    pub(crate) fn trimmed(self) -> Self {
        match self {
            Self::Text { bytes, quoted } => {
                let bytes = bytes.trim_ascii();
                if bytes.is_empty() || (!quoted && is_null_word(bytes)) {
                    Self::Null
                } else {
                    Self::Text { bytes, quoted }
                }
            }
            other => other,
        }
    }

    pub(crate) fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value for a message.
    pub(crate) fn shown(self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Text { bytes, .. } => cut_short(bytes),
            Self::Int(value) => value.to_string(),
            Self::UInt(value) => value.to_string(),
            Self::Double(value) => value.to_string(),
            Self::Decimal { units, scale } => format!("{units}e-{scale}"),
            Self::Bool(value) => value.to_string(),
            Self::Timestamp { value, unit, .. } => format!("{value} {}", unit.name()),
            Self::Date(days) => format!("day {days}"),
            Self::TimeOfDay(nanos) => format!("{nanos} ns after midnight"),
            Self::Other(kind) => kind.to_owned(),
        }
    }
}

/// What databases and data frames write for a missing value. NaN is not among them: it may be a fault.
pub(crate) fn is_null_word(bytes: &[u8]) -> bool {
    matches!(bytes, b"NULL" | b"null" | b"Null" | b"\\N")
}

/// The values of the source row that is being imported.
pub(crate) trait Cells {
    /// The value in a column of the file.
    fn cell(&self, column: usize) -> Cell<'_>;

    /// Appends the price levels in a column that holds lists; `None` where it does not, `Some(false)` for NULL.
    fn levels(&self, column: usize, out: &mut Vec<Level>) -> Option<bool>;
}

/// A value that the column cannot take.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) value: Option<String>,
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn with(cell: Cell<'_>, text: impl Into<String>) -> Box<Self> {
        Box::new(Self { value: Some(cell.shown()), text: text.into() })
    }
}
