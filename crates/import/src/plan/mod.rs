//! Which source goes where.
//!
//! A [`Plan`] is made once a file, from its column names alone, and can be shown to the user. It does not read values.

pub(crate) mod aliases;
mod matching;

use std::fmt;

pub(crate) use matching::{Request, make};

/// Where every column of a table comes from in one file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The table.
    pub table: String,
    /// The columns that have a source; the others are NULL.
    pub columns: Vec<ColumnPlan>,
    /// Columns of the file that found no place.
    pub unplaced: Vec<String>,
}

/// One column of a table and its source.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ColumnPlan {
    /// The table's column.
    pub column: String,
    /// Where it comes from.
    pub source: Source,
}

/// A column of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SourceColumn {
    /// Its position, from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
}

/// Where a table's column comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// One column of the file.
    Column(SourceColumn),
    /// A date and a time of day in different columns.
    DateAndTime {
        /// The date.
        date: SourceColumn,
        /// The time of day.
        time: SourceColumn,
        /// Milliseconds to add.
        millis: Option<SourceColumn>,
    },
    /// A column of true and false.
    TrueFalse {
        /// The column.
        column: SourceColumn,
        /// The word for true.
        when_true: &'static str,
        /// The word for false.
        when_false: &'static str,
    },
    /// Prices and sizes of an order book, best level first.
    Levels(Vec<(SourceColumn, SourceColumn)>),
    /// The same text for every row.
    Constant(String),
}

impl Source {
    /// The columns of the file that it reads.
    pub(crate) fn columns(&self) -> Vec<&SourceColumn> {
        match self {
            Self::Column(column) | Self::TrueFalse { column, .. } => vec![column],
            Self::DateAndTime { date, time, millis } => [date, time].into_iter().chain(millis).collect(),
            Self::Levels(levels) => levels.iter().flat_map(|(price, size)| [price, size]).collect(),
            Self::Constant(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(column) => f.write_str(&column.name),
            Self::DateAndTime { date, time, millis: None } => write!(f, "{}+{}", date.name, time.name),
            Self::DateAndTime { date, time, millis: Some(millis) } => {
                write!(f, "{}+{}+{}", date.name, time.name, millis.name)
            }
            Self::TrueFalse { column, when_true, when_false } => {
                write!(f, "{} (true: {when_true}, false: {when_false})", column.name)
            }
            Self::Levels(levels) => match levels.as_slice() {
                [] => f.write_str("no levels"),
                [(price, size), .., (last_price, last_size)] => {
                    write!(f, "{} {} to {} {}", price.name, size.name, last_price.name, last_size.name)
                }
                [(price, size)] => write!(f, "{} {}", price.name, size.name),
            },
            Self::Constant(value) => write!(f, "{value:?}"),
        }
    }
}

impl fmt::Display for Plan {
    /// One line a column: `price <- px`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {}", self.table)?;
        for plan in &self.columns {
            writeln!(f, "  {} <- {}", plan.column, plan.source)?;
        }
        if !self.unplaced.is_empty() {
            writeln!(f, "  without a place: {}", self.unplaced.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
