//! One record, read in place.

use std::fmt;
use std::marker::PhantomData;

use crate::read_record::ReadRecord;
use crate::schema::{ColumnKind, TableSchema};
use crate::slot::{self, Id, Levels};
use crate::tables::StandardTable;

/// The flags of a row header.
pub mod flags {
    /// `feed_seq` is given.
    pub const FEED_SEQ: u8 = 1 << 0;
    /// The last row of its event.
    pub const EVENT_END: u8 = 1 << 1;
    /// A row of a snapshot.
    pub const SNAPSHOT: u8 = 1 << 2;
    /// [`EVENT_END`] is known to be set or not.
    pub const EVENT_END_KNOWN: u8 = 1 << 3;
    /// [`SNAPSHOT`] is known to be set or not.
    pub const SNAPSHOT_KNOWN: u8 = 1 << 4;
    /// Every flag with a meaning; the others are 0.
    pub const ALL: u8 = FEED_SEQ | EVENT_END | SNAPSHOT | EVENT_END_KNOWN | SNAPSHOT_KNOWN;
}

/// A row with its place in the journal, whatever its table. Copying it copies references.
#[derive(Clone, Copy)]
pub struct RawRecord<'a> {
    /// Event time, nanoseconds since the epoch, UTC.
    pub ts: i64,
    /// Position in the journal.
    pub seq: u64,
    /// Time of receipt, or [`slot::NULL_BIGINT`].
    pub recv_ts: i64,
    /// The feed's own number; meaningful where [`flags::FEED_SEQ`] is set.
    pub feed_seq: u64,
    /// See [`flags`].
    pub flags: u8,
    /// The layout version of the row.
    pub layout: u16,
    /// What the record is about.
    pub symbol: &'a str,
    /// Fixed part and tail.
    pub row: &'a [u8],
}

impl<'a> RawRecord<'a> {
    /// Time of receipt, `None` where the source gave none.
    #[inline]
    pub fn recv_ts(&self) -> Option<i64> {
        (self.recv_ts != slot::NULL_BIGINT).then_some(self.recv_ts)
    }

    /// The feed's own number, `None` where the source gave none.
    #[inline]
    pub fn feed_seq(&self) -> Option<u64> {
        (self.flags & flags::FEED_SEQ != 0).then_some(self.feed_seq)
    }

    /// The value of one column; the column must be of this row's table. A column that a row of an older
    /// layout does not have is NULL.
    pub fn value(&self, schema: &TableSchema, column: usize) -> Value<'a> {
        let column = &schema.columns[column];
        let (row, at) = (self.row, column.offset);
        let slot_bytes = column.kind.slot_bytes();
        if self.layout < column.since || (slot_bytes > 0 && at + slot_bytes > row.len()) {
            return Value::Null;
        }
        let value = match column.kind {
            ColumnKind::Double => {
                let value = f64::from_bits(slot::u64_at(row, at));
                (!value.is_nan()).then_some(Value::Double(value))
            }
            ColumnKind::BigInt => {
                let value = slot::i64_at(row, at);
                (value != slot::NULL_BIGINT).then_some(Value::BigInt(value))
            }
            ColumnKind::Timestamp => {
                let value = slot::i64_at(row, at);
                (value != slot::NULL_BIGINT).then_some(Value::Timestamp(value))
            }
            ColumnKind::Date => {
                let value = slot::u32_at(row, at) as i32;
                (value != slot::NULL_DATE).then_some(Value::Date(value))
            }
            ColumnKind::Decimal => {
                let value = slot::i128_at(row, at);
                (value != slot::NULL_DECIMAL).then_some(Value::Decimal(value))
            }
            ColumnKind::Text => slot::tail_at(row, at).and_then(slot::text).map(Value::Text),
            ColumnKind::Id => slot::id(row, slot::u64_at(row, at)).map(Value::Id),
            ColumnKind::Word(words) => words.word(row[at]).map(Value::Text),
            ColumnKind::Levels => slot::tail_at(row, at).map(|bytes| Value::Levels(Levels::new(bytes))),
            ColumnKind::Flag { known, set } => {
                (self.flags & known != 0).then_some(Value::Bool(self.flags & set != 0))
            }
        };
        value.unwrap_or(Value::Null)
    }

    /// The id in a column, `None` for NULL or where the column holds no ids.
    #[inline]
    pub fn id(&self, schema: &TableSchema, column: usize) -> Option<Id<'a>> {
        let column = &schema.columns[column];
        if column.kind != ColumnKind::Id || self.layout < column.since || column.offset + 8 > self.row.len() {
            return None;
        }
        slot::id(self.row, slot::u64_at(self.row, column.offset))
    }
}

impl fmt::Debug for RawRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRecord")
            .field("symbol", &self.symbol)
            .field("ts", &self.ts)
            .field("seq", &self.seq)
            .field("row_bytes", &self.row.len())
            .finish_non_exhaustive()
    }
}

/// One column's value.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Unknown.
    Null,
    /// A `DOUBLE`.
    Double(f64),
    /// A `BIGINT`.
    BigInt(i64),
    /// Nanoseconds since the epoch, UTC.
    Timestamp(i64),
    /// Days since the epoch.
    Date(i32),
    /// In units of 10^-9.
    Decimal(i128),
    /// A text or a word.
    Text(&'a str),
    /// An id.
    Id(Id<'a>),
    /// Price levels.
    Levels(Levels<'a>),
    /// A flag.
    Bool(bool),
}

/// A record of a standard table: its columns, with the journal's beside them.
///
/// The accessors of each table, such as [`Record::price`](crate::tables), read a column. Who wants the slots themselves
/// finds them in [`Record::fixed`], for example `trade.fixed().price.get()`; texts and ids need the whole row, as in
/// `trade.fixed().venue.get(trade.raw().row)`.
pub struct Record<'a, T: StandardTable> {
    read: ReadRecord<'a>,
    table: PhantomData<fn() -> T>,
}

impl<'a, T: StandardTable> Record<'a, T> {
    /// Reads a row of the table `T`; `None` where it is shorter than the table's fixed part.
    #[inline(always)]
    pub fn new(read: impl Into<ReadRecord<'a>>) -> Option<Self> {
        let read = read.into();
        T::fixed(read.row())?;
        Some(Self { read, table: PhantomData })
    }

    /// The row and its place in the journal.
    #[inline]
    pub fn raw(&self) -> RawRecord<'_> {
        self.read.raw()
    }

    /// What the record is about.
    #[inline]
    pub fn symbol(&self) -> &str {
        self.read.symbol()
    }

    /// Event time, nanoseconds since the epoch, UTC.
    #[inline]
    pub fn ts(&self) -> i64 {
        self.read.ts()
    }

    /// Time of receipt, nanoseconds since the epoch, UTC.
    #[inline]
    pub fn recv_ts(&self) -> Option<i64> {
        self.raw().recv_ts()
    }

    /// The feed's own number.
    #[inline]
    pub fn feed_seq(&self) -> Option<u64> {
        self.raw().feed_seq()
    }

    /// Position in the journal.
    #[inline]
    pub fn seq(&self) -> u64 {
        self.read.seq()
    }

    /// The fixed part, in place.
    #[inline]
    pub fn fixed(&self) -> &T::Fixed {
        T::fixed(self.read.row()).expect("checked when the record was made")
    }
}

impl<T: StandardTable> Clone for Record<'_, T> {
    fn clone(&self) -> Self {
        Self { read: self.read.clone(), table: PhantomData }
    }
}

impl<T: StandardTable> fmt::Debug for Record<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (schema, raw) = (T::schema(), self.raw());
        let mut out = f.debug_struct(&schema.name);
        out.field("symbol", &raw.symbol).field("ts", &raw.ts);
        for (at, column) in schema.columns.iter().enumerate() {
            out.field(&column.name, &raw.value(schema, at));
        }
        out.field("seq", &raw.seq).finish()
    }
}
