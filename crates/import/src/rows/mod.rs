//! Turns one source row into a row of a batch.
//!
//! A [`RowPlan`] is a [`Plan`] with everything resolved that is the same for all rows of a file, so that a row costs
//! no look-up and no allocation.

mod values;

use std::borrow::Cow;

use tapebook_record::batch::RowPlace;
use tapebook_record::{Batch, ColumnKind, Id, Level, PushError, RowWriter, TableSchema};

use crate::cell::{Cell, Cells, Problem};
use crate::options::ImportOptions;
use crate::plan::{Plan, Source};
use crate::time::{Parts, TimeReader, whole};
use crate::words::WordReader;
use values::{append_text, decimal_of, double_of, flag_of, levels_of_text, owned_text, utf8, word_of};

/// Where a value comes from in every row.
#[derive(Clone, Debug)]
enum From {
    Column(usize),
    Constant(Box<str>),
}

impl From {
    #[inline]
    fn cell<'a>(&'a self, cells: &'a impl Cells) -> Cell<'a> {
        match self {
            Self::Column(column) => cells.cell(*column),
            Self::Constant(text) => Cell::Text { bytes: text.as_bytes(), quoted: true },
        }
    }
}

#[derive(Debug)]
enum TimeFrom {
    One(From),
    Parts { date: usize, time: usize, millis: Option<usize> },
}

impl TimeFrom {
    fn of(source: &Source) -> Self {
        match source {
            Source::DateAndTime { date, time, millis } => Self::Parts {
                date: date.index,
                time: time.index,
                millis: millis.as_ref().map(|millis| millis.index),
            },
            other => Self::One(value_from(other)),
        }
    }

    fn parts<'a>(date: usize, time: usize, millis: Option<usize>, cells: &'a impl Cells) -> Parts<'a> {
        Parts {
            date: cells.cell(date),
            time: cells.cell(time),
            millis: millis.map(|column| cells.cell(column)),
        }
    }
}

/// How one column is filled.
#[derive(Debug)]
enum Fill {
    Double,
    BigInt,
    Timestamp,
    Date,
    Decimal,
    Text,
    Id,
    Word(WordReader),
    TrueFalse { when_true: u8, when_false: u8 },
    Flag,
    Levels,
    FlatLevels(Vec<(usize, usize)>),
}

#[derive(Debug)]
struct ColumnFill {
    column: usize,
    from: From,
    fill: Fill,
}

/// A plan, ready to be carried out row by row.
#[derive(Debug)]
pub(crate) struct RowPlan<'a> {
    schema: &'a TableSchema,
    symbol: From,
    symbol_prefix: Option<String>,
    ts: TimeFrom,
    recv_ts: Option<TimeFrom>,
    feed_seq: Option<From>,
    columns: Vec<ColumnFill>,
    time: TimeReader,
    latest_ts: i64,
    nan_as_null: bool,
    symbol_text: String,
    levels: Vec<Level>,
}

/// Why a row did not go into the batch.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The batch is full; nothing is wrong with the row.
    Full,
    /// A bad value, with the name of the table's column where it is known.
    Bad(Option<Cow<'static, str>>, Box<Problem>),
}

impl std::convert::From<PushError> for Refusal {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Full => Self::Full,
            PushError::Symbol(error) => {
                Self::Bad(Some("symbol".into()), Box::new(Problem { value: None, text: error.to_string() }))
            }
            other => Self::Bad(None, Box::new(Problem { value: None, text: other.to_string() })),
        }
    }
}

fn in_column(column: &'static str) -> impl FnOnce(Box<Problem>) -> Refusal {
    move |problem| Refusal::Bad(Some(column.into()), problem)
}

fn value_from(source: &Source) -> From {
    match source {
        Source::Column(column) | Source::TrueFalse { column, .. } => From::Column(column.index),
        Source::DateAndTime { time, .. } => From::Column(time.index),
        Source::Levels(levels) => From::Column(levels.first().map_or(0, |(price, _)| price.index)),
        Source::Constant(text) => From::Constant(text.as_str().into()),
    }
}

fn fill_of(kind: ColumnKind, source: &Source) -> Fill {
    match kind {
        ColumnKind::Double => Fill::Double,
        ColumnKind::BigInt => Fill::BigInt,
        ColumnKind::Timestamp => Fill::Timestamp,
        ColumnKind::Date => Fill::Date,
        ColumnKind::Decimal => Fill::Decimal,
        ColumnKind::Text => Fill::Text,
        ColumnKind::Id => Fill::Id,
        ColumnKind::Flag { .. } => Fill::Flag,
        ColumnKind::Levels => match source {
            Source::Levels(levels) => {
                Fill::FlatLevels(levels.iter().map(|(price, size)| (price.index, size.index)).collect())
            }
            _ => Fill::Levels,
        },
        ColumnKind::Word(words) => match source {
            Source::TrueFalse { when_true, when_false, .. } => Fill::TrueFalse {
                when_true: words.code(when_true).unwrap_or(0),
                when_false: words.code(when_false).unwrap_or(0),
            },
            _ => Fill::Word(WordReader::new(words)),
        },
    }
}

impl<'a> RowPlan<'a> {
    /// `day` is what `--date` means for this file.
    pub(crate) fn new(
        schema: &'a TableSchema,
        plan: &Plan,
        options: &ImportOptions,
        day: Option<i32>,
    ) -> Self {
        let source =
            |name: &str| plan.columns.iter().find(|plan| plan.column == name).map(|plan| &plan.source);
        let nothing = Source::Constant(String::new());
        let columns = schema
            .columns
            .iter()
            .enumerate()
            .filter_map(|(column, known)| {
                let source = source(&known.name)?;
                Some(ColumnFill { column, from: value_from(source), fill: fill_of(known.kind, source) })
            })
            .collect();
        Self {
            schema,
            symbol: value_from(source("symbol").unwrap_or(&nothing)),
            symbol_prefix: options.symbol_prefix.clone().filter(|_| options.symbol.is_none()),
            ts: TimeFrom::of(source("ts").unwrap_or(&nothing)),
            recv_ts: source("recv_ts").map(TimeFrom::of),
            feed_seq: source("feed_seq").map(value_from),
            columns,
            time: TimeReader { zone: options.time_zone.clone(), unit: options.time_unit, day },
            latest_ts: options.latest_ts.unwrap_or(i64::MAX),
            nan_as_null: options.nan_as_null,
            symbol_text: String::new(),
            levels: Vec::new(),
        }
    }

    /// Adds the row to the batch, or says why it did not. The batch is unchanged then.
    pub(crate) fn push(&mut self, batch: &mut Batch, cells: &impl Cells) -> Result<(), Refusal> {
        let ts = self.event_time(cells)?;
        let recv_ts = self.receipt_time(cells, ts)?;
        let feed_seq = self.feed_seq(cells)?;
        let Self { schema, symbol, symbol_prefix, columns, time, nan_as_null, symbol_text, levels, .. } =
            self;
        let symbol =
            symbol_of(symbol, symbol_prefix.as_deref(), cells, symbol_text).map_err(in_column("symbol"))?;
        let place = RowPlace { symbol, ts, recv_ts, feed_seq };
        batch.push_row(schema, place, |row| {
            for fill in columns.iter() {
                if let Err(problem) = write_column(time, *nan_as_null, levels, row, fill, cells) {
                    return Err(Refusal::Bad(Some(schema.columns[fill.column].name.clone()), problem));
                }
            }
            Ok(())
        })
    }

    fn event_time(&mut self, cells: &impl Cells) -> Result<i64, Refusal> {
        let (cell, ts) = match &self.ts {
            TimeFrom::One(from) => {
                let cell = from.cell(cells);
                (cell, self.time.event(cell))
            }
            TimeFrom::Parts { date, time, millis } => {
                (cells.cell(*time), self.time.parts(TimeFrom::parts(*date, *time, *millis, cells)))
            }
        };
        let problem = match ts {
            Ok(Some(ts)) if ts <= self.latest_ts => return Ok(ts),
            Ok(Some(_)) => Problem::with(
                cell,
                "is in the future; check --time-unit and --time-zone, or allow it with --allow-future",
            ),
            Ok(None) => Problem::with(cell, "is no time, and every row needs one"),
            Err(problem) => problem,
        };
        Err(in_column("ts")(problem))
    }

    fn receipt_time(&mut self, cells: &impl Cells, event: i64) -> Result<Option<i64>, Refusal> {
        match &self.recv_ts {
            None => Ok(None),
            Some(TimeFrom::One(from)) => self.time.receipt(from.cell(cells), event),
            Some(TimeFrom::Parts { date, time, millis }) => {
                self.time.parts(TimeFrom::parts(*date, *time, *millis, cells))
            }
        }
        .map_err(in_column("recv_ts"))
    }

    fn feed_seq(&self, cells: &impl Cells) -> Result<Option<u64>, Refusal> {
        let Some(from) = &self.feed_seq else { return Ok(None) };
        let cell = from.cell(cells).trimmed();
        if cell.is_null() {
            return Ok(None);
        }
        match whole(cell).and_then(|number| u64::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(in_column("feed_seq")(Problem::with(cell, "is no whole number from 0 on"))),
        }
    }
}

/// The symbol of a row; `text` is where it is put together. Symbols can be called NULL, NAN or TRUE; only nothing
/// at all is no symbol.
#[inline]
fn symbol_of<'a>(
    from: &'a From,
    prefix: Option<&str>,
    cells: &'a impl Cells,
    text: &'a mut String,
) -> Result<&'a str, Box<Problem>> {
    let cell = from.cell(cells);
    let prefix = prefix.filter(|_| matches!(from, From::Column(_)));
    let missing = || Problem::with(cell, "is no symbol, and every row needs one");
    match (cell, prefix) {
        (Cell::Text { bytes, .. }, _) if bytes.trim_ascii().is_empty() => return Err(missing()),
        (Cell::Text { bytes, .. }, None) => return utf8(cell, bytes.trim_ascii()),
        _ => {}
    }
    text.clear();
    text.push_str(prefix.unwrap_or_default());
    match cell {
        Cell::Text { bytes, .. } => text.push_str(utf8(cell, bytes.trim_ascii())?),
        cell if append_text(cell, text) => {}
        _ => return Err(missing()),
    }
    Ok(text)
}

#[inline]
fn write_column(
    time: &mut TimeReader,
    nan_as_null: bool,
    levels: &mut Vec<Level>,
    row: &mut RowWriter<'_>,
    fill: &ColumnFill,
    cells: &impl Cells,
) -> Result<(), Box<Problem>> {
    let column = fill.column;
    match &fill.fill {
        Fill::FlatLevels(columns) => {
            levels.clear();
            for (number, (price, size)) in (1..).zip(columns) {
                let price = double_of(cells.cell(*price), nan_as_null)?;
                let size = double_of(cells.cell(*size), nan_as_null)?;
                match (price, size) {
                    // A level that is not there has neither a price nor a size; feeds write 0 for either.
                    (None | Some(0.0), None | Some(0.0)) => {}
                    (Some(price), Some(size)) => levels.push(Level { price, size }),
                    _ => {
                        let text = format!("level {number} has a price or a size, but not both");
                        return Err(Box::new(Problem { value: None, text }));
                    }
                }
            }
            return row
                .levels(column, levels)
                .map_err(|error| Problem::with(Cell::Other("levels"), error.to_string()));
        }
        Fill::Levels => {
            levels.clear();
            let found = match fill.from {
                From::Column(at) => cells.levels(at, levels),
                From::Constant(_) => None,
            };
            let cell = fill.from.cell(cells);
            let found = match found {
                Some(found) => found,
                None => levels_of_text(cell.trimmed(), levels).ok_or_else(|| {
                    Problem::with(cell, "is no list of levels; known is [[price, size], [price, size]]")
                })?,
            };
            if found {
                row.levels(column, levels).map_err(|error| Problem::with(cell, error.to_string()))?;
            }
            return Ok(());
        }
        _ => {}
    }
    let cell = fill.from.cell(cells);
    let done = match &fill.fill {
        Fill::Double => match double_of(cell, nan_as_null)? {
            Some(value) => row.double(column, value),
            None => Ok(()),
        },
        Fill::BigInt => match cell.trimmed() {
            Cell::Null => Ok(()),
            Cell::Double(value) if value.is_nan() && nan_as_null => Ok(()),
            cell => match whole(cell).and_then(|number| i64::try_from(number).ok()) {
                Some(number) => row.bigint(column, number),
                None => return Err(Problem::with(cell, "is no whole number that fits 64 bits")),
            },
        },
        Fill::Timestamp => match time.other(cell)? {
            Some(nanos) => row.timestamp(column, nanos),
            None => Ok(()),
        },
        Fill::Date => match time.date(cell)? {
            Some(days) => row.date(column, days),
            None => Ok(()),
        },
        Fill::Decimal => match decimal_of(cell, nan_as_null)? {
            Some(units) => row.decimal(column, units),
            None => Ok(()),
        },
        Fill::Text => match cell {
            Cell::Null => Ok(()),
            Cell::Text { bytes, quoted: false } if bytes.is_empty() || crate::cell::is_null_word(bytes) => {
                Ok(())
            }
            Cell::Text { bytes, .. } => row.text(column, utf8(cell, bytes)?),
            cell => row.text(column, &owned_text(cell)?),
        },
        Fill::Id => match cell.trimmed() {
            Cell::Null => Ok(()),
            Cell::Text { bytes, .. } => row.id(column, Id::from(utf8(cell, bytes)?)),
            Cell::Int(number) if number >= 0 => row.id(column, Id::Number(number as u64)),
            cell => row.id(column, Id::from(owned_text(cell)?.as_str())),
        },
        Fill::Word(reader) => match word_of(cell.trimmed(), reader)? {
            0 => Ok(()),
            code => row.word(column, code),
        },
        Fill::TrueFalse { when_true, when_false } => match flag_of(cell)? {
            Some(value) => row.word(column, if value { *when_true } else { *when_false }),
            None => Ok(()),
        },
        Fill::Flag => match flag_of(cell)? {
            Some(value) => row.flag(column, value),
            None => Ok(()),
        },
        Fill::Levels | Fill::FlatLevels(_) => Ok(()),
    };
    done.map_err(|error| Problem::with(cell, error.to_string()))
}
