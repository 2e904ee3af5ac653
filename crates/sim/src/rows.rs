//! Rows that are told apart by a number of their own.

use tapebook::{
    Batch, BookDelta, EncodedBatch, Id, Producer, PushError, Quote, ReadRecord, Record, StandardTable,
    TableId, Trade,
};

/// The tables that schedules write to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Trade,
    Quote,
    Delta,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Trade, Self::Quote, Self::Delta];

    pub fn table(self) -> TableId {
        match self {
            Self::Trade => Trade::ID,
            Self::Quote => Quote::ID,
            Self::Delta => BookDelta::ID,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Trade => "trades",
            Self::Quote => "quotes",
            Self::Delta => "book_deltas",
        }
    }

    /// The table's id column, where it has one.
    pub fn id_column(self) -> Option<&'static str> {
        match self {
            Self::Trade => Some("trade_id"),
            Self::Quote => None,
            Self::Delta => Some("order_id"),
        }
    }
}

/// A row as its writer knows it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Row {
    pub kind: Kind,
    pub symbol: String,
    pub ts: i64,
    /// No other row has this number.
    pub number: u32,
}

/// A row with its place in the journal.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct StoredRow {
    pub seq: u64,
    pub row: Row,
}

impl Row {
    fn push(&self, batch: &mut Batch) -> Result<(), PushError> {
        let (symbol, ts) = (&*self.symbol, self.ts);
        let (number, id) = (Some(f64::from(self.number)), Some(Id::Number(self.number.into())));
        match self.kind {
            Kind::Trade => batch.push(Trade { symbol, ts, price: number, trade_id: id, ..Trade::default() }),
            Kind::Quote => batch.push(Quote { symbol, ts, bid_price: number, ..Quote::default() }),
            Kind::Delta => {
                batch.push(BookDelta { symbol, ts, price: number, order_id: id, ..BookDelta::default() })
            }
        }
    }

    /// What a read gave back; a row that cannot be one of ours is an error.
    pub fn read<'a>(kind: Kind, record: impl Into<ReadRecord<'a>>) -> StoredRow {
        let record: ReadRecord<'a> = record.into();
        let (seq, ts, symbol) = (record.seq(), record.ts(), record.symbol().to_owned());
        let number = match kind {
            Kind::Trade => Record::<Trade<'static>>::new(record).and_then(|row| row.price()),
            Kind::Quote => Record::<Quote<'static>>::new(record).and_then(|row| row.bid_price()),
            Kind::Delta => Record::<BookDelta<'static>>::new(record).and_then(|row| row.price()),
        };
        let number = number.unwrap_or_else(|| panic!("seq {seq}: a row without its number")) as u32;
        let row = Self { kind, symbol, ts, number };
        StoredRow { seq, row }
    }
}

/// The rows as their producer sends them.
pub(crate) fn encode(producer: Producer, rows: &[Row]) -> EncodedBatch {
    let mut batch = Batch::from_producer(producer);
    for row in rows {
        row.push(&mut batch).expect("a valid row");
    }
    batch.encode()
}
