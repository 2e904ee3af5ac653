//! Which columns a table has, and where each one's slot lies in a row.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crate::slot;

/// Identifies a table in row headers, keys and files. Standard tables have fixed numbers; the user's own
/// tables begin at [`TableId::FIRST_OWN`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TableId(pub u16);

impl TableId {
    /// The first id that a table of the user's own can have.
    pub const FIRST_OWN: Self = Self(1024);
}

/// The words that a column can hold, stored as their position from 1; 0 stands for NULL.
#[derive(Debug, Eq, PartialEq)]
pub struct Words {
    /// The words in the order of their codes.
    pub words: &'static [&'static str],
}

impl Words {
    /// The code of `word`, or `None` where it is not one of these words.
    pub fn code(&self, word: &str) -> Option<u8> {
        let position = self.words.iter().position(|known| *known == word)?;
        u8::try_from(position + 1).ok()
    }

    /// The word for a code, `None` for NULL and for a code that means nothing.
    pub fn word(&self, code: u8) -> Option<&'static str> {
        self.words.get(usize::from(code).checked_sub(1)?).copied()
    }
}

/// What a column holds, and with it the size and meaning of its slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ColumnKind {
    /// `f64`; NULL is the one NaN [`slot::NULL_DOUBLE_BITS`].
    Double,
    /// `i64`; NULL is `i64::MIN`.
    BigInt,
    /// Nanoseconds since the epoch, UTC, as `i64`; NULL is `i64::MIN`.
    Timestamp,
    /// Days since the epoch as `i32`; NULL is `i32::MIN`.
    Date,
    /// A decimal with nine places as `i128`; NULL is `i128::MIN`.
    Decimal,
    /// Text in the tail, as offset and length; NULL is offset 0.
    Text,
    /// An id: canonical decimal numbers below 2^63 inline, others as text in the tail.
    Id,
    /// One of a few words, as `u8`.
    Word(&'static Words),
    /// Price levels in the tail: pairs of `f64`, best first; NULL is offset 0.
    Levels,
    /// A bit of the row header's flags, given by two masks: *known* and *true*.
    Flag {
        /// Set where the column is not NULL.
        known: u8,
        /// Set where it is true.
        set: u8,
    },
}

impl ColumnKind {
    /// Size of the slot in bytes; 0 where the value lives in the row header.
    pub const fn slot_bytes(self) -> usize {
        match self {
            Self::Double | Self::BigInt | Self::Timestamp | Self::Text | Self::Id | Self::Levels => 8,
            Self::Date => 4,
            Self::Decimal => 16,
            Self::Word(_) => 1,
            Self::Flag { .. } => 0,
        }
    }

    /// Alignment of the slot in bytes.
    pub const fn slot_align(self) -> usize {
        match self {
            Self::Date | Self::Text | Self::Levels => 4,
            Self::Flag { .. } => 1,
            other => other.slot_bytes(),
        }
    }

    fn write_null(self, slot: &mut [u8]) {
        match self {
            Self::Double => slot.copy_from_slice(&slot::NULL_DOUBLE_BITS.to_le_bytes()),
            Self::BigInt | Self::Timestamp => slot.copy_from_slice(&slot::NULL_BIGINT.to_le_bytes()),
            Self::Date => slot.copy_from_slice(&slot::NULL_DATE.to_le_bytes()),
            Self::Decimal => slot.copy_from_slice(&slot::NULL_DECIMAL.to_le_bytes()),
            Self::Id => slot.copy_from_slice(&slot::NULL_ID.to_le_bytes()),
            Self::Text | Self::Levels | Self::Word(_) | Self::Flag { .. } => slot.fill(0),
        }
    }
}

/// One column between `symbol` and `recv_ts`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Column {
    /// The name in SQL.
    pub name: Cow<'static, str>,
    /// What it holds.
    pub kind: ColumnKind,
    /// Where its slot begins in the row.
    pub offset: usize,
    /// The layout version that brought the column; in rows of older ones it is NULL.
    pub since: u16,
}

/// A table's columns at one layout version.
///
/// *Invariant*: slots stand in column order, each at its natural alignment; a later layout only adds slots at
/// the end, so a row of an old layout is a prefix and its missing columns are NULL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableSchema {
    /// The table's number.
    pub id: TableId,
    /// The table's name in SQL.
    pub name: Cow<'static, str>,
    /// The layout version, from 1.
    pub layout: u16,
    /// The columns between `symbol` and `recv_ts`, in order.
    pub columns: Vec<Column>,
    /// Bytes of the fixed part, a multiple of [`TableSchema::row_align`].
    pub fixed_bytes: usize,
    /// Alignment of a row: 16 where the table has decimals, else 8.
    pub row_align: usize,
    null_row: Box<[u8]>,
}

impl TableSchema {
    /// Lays out columns in the order given.
    pub fn new(
        id: TableId,
        name: impl Into<Cow<'static, str>>,
        layout: u16,
        columns: impl IntoIterator<Item = (Cow<'static, str>, ColumnKind)>,
    ) -> Self {
        let mut end = 0_usize;
        let mut row_align = 8;
        let columns: Vec<Column> = columns
            .into_iter()
            .map(|(name, kind)| {
                let offset = end.next_multiple_of(kind.slot_align());
                end = offset + kind.slot_bytes();
                row_align = row_align.max(kind.slot_align());
                Column { name, kind, offset, since: 1 }
            })
            .collect();
        let fixed_bytes = end.next_multiple_of(row_align).max(row_align);
        let mut null_row = vec![0; fixed_bytes].into_boxed_slice();
        for column in &columns {
            column.kind.write_null(&mut null_row[column.offset..column.offset + column.kind.slot_bytes()]);
        }
        Self { id, name: name.into(), layout, columns, fixed_bytes, row_align, null_row }
    }

    /// The next layout version, with more columns behind those there are. `None` where version numbers have run out.
    ///
    /// What lies where a new slot is may be padding or tail in an older row: only [`Column::since`] tells.
    pub fn add_columns(
        &self,
        columns: impl IntoIterator<Item = (Cow<'static, str>, ColumnKind)>,
    ) -> Option<Self> {
        let layout = self.layout.checked_add(1)?;
        let known = self.columns.iter().map(|column| (column.name.clone(), column.kind));
        let mut next = Self::new(self.id, self.name.clone(), layout, known.chain(columns));
        for (at, column) in next.columns.iter_mut().enumerate() {
            column.since = self.columns.get(at).map_or(layout, |known| known.since);
        }
        Some(next)
    }

    /// The position of the column called `name` among [`TableSchema::columns`].
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The id columns with their positions: those that carry Bloom filters and an id index in SSTables.
    pub fn id_columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.kind == ColumnKind::Id)
    }

    /// The fixed part of a row in which every column is NULL.
    pub fn null_row(&self) -> &[u8] {
        &self.null_row
    }
}

/// All tables that a database knows, by number. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Schemas {
    tables: Arc<Vec<Arc<TableSchema>>>,
}

impl Schemas {
    /// The standard tables.
    pub fn standard() -> Self {
        static STANDARD: OnceLock<Schemas> = OnceLock::new();
        STANDARD
            .get_or_init(|| {
                let mut tables = crate::tables::standard_schemas();
                tables.sort_by_key(|table| table.id);
                Self { tables: Arc::new(tables) }
            })
            .clone()
    }

    /// The table with that number.
    pub fn get(&self, id: TableId) -> Option<&Arc<TableSchema>> {
        // Standard tables are numbered from 1 without gaps, so the position is nearly always right.
        let guess = usize::from(id.0).wrapping_sub(1);
        match self.tables.get(guess) {
            Some(table) if table.id == id => Some(table),
            _ => self.tables.binary_search_by_key(&id, |table| table.id).ok().map(|at| &self.tables[at]),
        }
    }

    /// The table with that name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<TableSchema>> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Every table, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TableSchema>> {
        self.tables.iter()
    }
}
