//! Writes one row: its slots and its tail.

use crate::schema::{ColumnKind, TableSchema};
use crate::slot::{self, ID_TEXT_BIT, Id, LEVEL_BYTES, Level};
use crate::{AlignedBytes, record::flags};

/// The most bytes that one row may have, tail included.
pub const ROW_BYTES_MAX: usize = 64 * 1024;

/// A value that a column cannot hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// NaN or infinite.
    #[error("column {column}: {value} is not a finite number")]
    NotFinite {
        /// The column.
        column: String,
        /// The value.
        value: String,
    },
    /// A number that stands for NULL inside, or an id from 2^63 on.
    #[error("column {column}: {value} is out of range")]
    OutOfRange {
        /// The column.
        column: String,
        /// The value.
        value: String,
    },
    /// Not one of the column's words.
    #[error("column {column}: {value:?} is none of {expected}")]
    UnknownWord {
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// The words that it can hold.
        expected: String,
    },
    /// The column holds another type.
    #[error("column {column}: cannot hold {found}")]
    WrongType {
        /// The column.
        column: String,
        /// What was given.
        found: &'static str,
    },
    /// The row's texts and lists are too long.
    #[error("the row has {bytes} bytes, at most {ROW_BYTES_MAX} are possible")]
    RowTooLong {
        /// How many bytes it would have.
        bytes: usize,
    },
}

/// Fills the columns of one row of a batch; a column that is not set is NULL.
///
/// Positions are those of [`TableSchema::columns`].
#[derive(Debug)]
pub struct RowWriter<'a> {
    pub(crate) rows: &'a mut AlignedBytes,
    pub(crate) schema: &'a TableSchema,
    pub(crate) start: usize,
    pub(crate) flags: u8,
    bytes_max: usize,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn begin(rows: &'a mut AlignedBytes, schema: &'a TableSchema) -> Self {
        Self::begin_with_max(rows, schema, ROW_BYTES_MAX)
    }

    /// A row of up to `bytes_max` bytes: one that was let in within the limit may be longer where each of its values
    /// is given a place of its own.
    pub(crate) fn begin_with_max(
        rows: &'a mut AlignedBytes,
        schema: &'a TableSchema,
        bytes_max: usize,
    ) -> Self {
        rows.pad_to(schema.row_align);
        let start = rows.len();
        rows.extend_from_slice(schema.null_row());
        Self { rows, schema, start, flags: 0, bytes_max }
    }

    /// Pads the row and returns its length and flags.
    pub(crate) fn finish(self) -> Result<(usize, u8), ValueError> {
        self.rows.pad_to(self.schema.row_align);
        let bytes = self.rows.len() - self.start;
        if bytes > self.bytes_max {
            return Err(ValueError::RowTooLong { bytes });
        }
        Ok((bytes, self.flags))
    }

    fn name(&self, column: usize) -> String {
        self.schema.columns[column].name.to_string()
    }

    fn wrong_type(&self, column: usize, found: &'static str) -> ValueError {
        ValueError::WrongType { column: self.name(column), found }
    }

    fn out_of_range(&self, column: usize, value: impl ToString) -> ValueError {
        ValueError::OutOfRange { column: self.name(column), value: value.to_string() }
    }

    #[inline]
    fn put(&mut self, column: usize, bytes: &[u8]) {
        let at = self.start + self.schema.columns[column].offset;
        self.rows[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put_tail(&mut self, column: usize, align: usize, bytes: &[u8]) -> Result<(u32, u32), ValueError> {
        let end = self.rows.len() - self.start + bytes.len();
        if end + align > self.bytes_max {
            return Err(ValueError::RowTooLong { bytes: end });
        }
        self.rows.pad_to(align);
        let offset = (self.rows.len() - self.start) as u32;
        self.rows.extend_from_slice(bytes);
        let length = bytes.len() as u32;
        if !matches!(self.schema.columns[column].kind, ColumnKind::Id) {
            let mut slot = [0; 8];
            slot[..4].copy_from_slice(&offset.to_le_bytes());
            slot[4..].copy_from_slice(&length.to_le_bytes());
            self.put(column, &slot);
        }
        Ok((offset, length))
    }

    /// Sets a `DOUBLE`. NaN and infinity are refused.
    #[inline]
    pub fn double(&mut self, column: usize, value: f64) -> Result<(), ValueError> {
        if self.schema.columns[column].kind != ColumnKind::Double {
            return Err(self.wrong_type(column, "a number with a fraction"));
        }
        if !value.is_finite() {
            return Err(ValueError::NotFinite { column: self.name(column), value: value.to_string() });
        }
        self.put(column, &value.to_bits().to_le_bytes());
        Ok(())
    }

    /// Sets a `BIGINT`.
    pub fn bigint(&mut self, column: usize, value: i64) -> Result<(), ValueError> {
        if self.schema.columns[column].kind != ColumnKind::BigInt {
            return Err(self.wrong_type(column, "a whole number"));
        }
        if value == slot::NULL_BIGINT {
            return Err(self.out_of_range(column, value));
        }
        self.put(column, &value.to_le_bytes());
        Ok(())
    }

    /// Sets a `TIMESTAMP`, nanoseconds since the epoch, UTC.
    pub fn timestamp(&mut self, column: usize, nanos: i64) -> Result<(), ValueError> {
        if self.schema.columns[column].kind != ColumnKind::Timestamp {
            return Err(self.wrong_type(column, "a time"));
        }
        if nanos == slot::NULL_BIGINT {
            return Err(self.out_of_range(column, nanos));
        }
        self.put(column, &nanos.to_le_bytes());
        Ok(())
    }

    /// Sets a `DATE`, days since the epoch.
    pub fn date(&mut self, column: usize, days: i32) -> Result<(), ValueError> {
        if self.schema.columns[column].kind != ColumnKind::Date {
            return Err(self.wrong_type(column, "a date"));
        }
        if days == slot::NULL_DATE {
            return Err(self.out_of_range(column, days));
        }
        self.put(column, &days.to_le_bytes());
        Ok(())
    }

    /// Sets a `DECIMAL(38,9)`, in units of 10^-9; up to 38 digits.
    pub fn decimal(&mut self, column: usize, value: i128) -> Result<(), ValueError> {
        if self.schema.columns[column].kind != ColumnKind::Decimal {
            return Err(self.wrong_type(column, "a decimal"));
        }
        if value.unsigned_abs() > DECIMAL_UNITS_MAX {
            return Err(self.out_of_range(column, value));
        }
        self.put(column, &value.to_le_bytes());
        Ok(())
    }

    /// Sets a text, an id or a word, whichever the column holds.
    pub fn text(&mut self, column: usize, value: &str) -> Result<(), ValueError> {
        match self.schema.columns[column].kind {
            ColumnKind::Text => self.put_tail(column, 1, value.as_bytes()).map(drop),
            ColumnKind::Id => self.id(column, Id::from(value)),
            ColumnKind::Word(words) => {
                let Some(code) = words.code(value) else {
                    return Err(ValueError::UnknownWord {
                        column: self.name(column),
                        value: value.to_owned(),
                        expected: words.words.join(", "),
                    });
                };
                self.put(column, &[code]);
                Ok(())
            }
            _ => Err(self.wrong_type(column, "a text")),
        }
    }

    /// Sets an id.
    pub fn id(&mut self, column: usize, value: Id<'_>) -> Result<(), ValueError> {
        if self.schema.columns[column].kind != ColumnKind::Id {
            return Err(self.wrong_type(column, "an id"));
        }
        // A text that spells a number must become that number, or one id would have two encodings.
        let value = if let Id::Text(text) = value { Id::from(text) } else { value };
        let slot = match value {
            Id::Number(number) if number >= ID_TEXT_BIT => return Err(self.out_of_range(column, number)),
            Id::Number(number) => number,
            Id::Text(text) => {
                let (offset, length) = self.put_tail(column, 1, text.as_bytes())?;
                ID_TEXT_BIT | u64::from(length) << 32 | u64::from(offset)
            }
        };
        self.put(column, &slot.to_le_bytes());
        Ok(())
    }

    /// Sets a word by its code, from 1.
    pub fn word(&mut self, column: usize, code: u8) -> Result<(), ValueError> {
        match self.schema.columns[column].kind {
            ColumnKind::Word(words) if words.word(code).is_some() => {
                self.put(column, &[code]);
                Ok(())
            }
            ColumnKind::Word(_) => Err(self.out_of_range(column, code)),
            _ => Err(self.wrong_type(column, "a word")),
        }
    }

    /// Sets price levels, best first.
    pub fn levels(&mut self, column: usize, levels: &[Level]) -> Result<(), ValueError> {
        if self.schema.columns[column].kind != ColumnKind::Levels {
            return Err(self.wrong_type(column, "price levels"));
        }
        let mut bytes = Vec::with_capacity(levels.len() * LEVEL_BYTES);
        for level in levels {
            for value in [level.price, level.size] {
                if !value.is_finite() {
                    return Err(ValueError::NotFinite {
                        column: self.name(column),
                        value: value.to_string(),
                    });
                }
                bytes.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
        self.put_tail(column, 8, &bytes).map(drop)
    }

    /// Sets a flag.
    pub fn flag(&mut self, column: usize, value: bool) -> Result<(), ValueError> {
        let ColumnKind::Flag { known, set } = self.schema.columns[column].kind else {
            return Err(self.wrong_type(column, "true or false"));
        };
        self.flags = self.flags & !(known | set) | known | if value { set } else { 0 };
        debug_assert_eq!(self.flags & !flags::ALL, 0);
        Ok(())
    }
}

/// 38 nines, the largest `DECIMAL(38,9)` in its own units.
pub const DECIMAL_UNITS_MAX: u128 = 10_u128.pow(38) - 1;
