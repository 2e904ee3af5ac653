//! Rows that are told apart by a number of their own, and everything that a snapshot shows of them.

use tapebook::{
    Batch, Id, Producer, PushError, Quote, ReadError, ReadRecord, Record, Snapshot, StandardTable, TableId,
    TimeRange, Trade,
};

/// A row as the scenario knows it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Row {
    /// True for a quote, false for a trade.
    pub quote: bool,
    pub symbol: String,
    pub ts: i64,
    /// No other row has this number.
    pub number: u32,
}

/// A row with its place in the journal.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct StoredRow {
    pub seq: u64,
    pub row: Row,
}

impl Row {
    pub fn push(&self, batch: &mut Batch) -> Result<(), PushError> {
        let (symbol, ts, number) = (&*self.symbol, self.ts, self.number);
        if self.quote {
            return batch.push(Quote { symbol, ts, bid_price: Some(number.into()), ..Quote::default() });
        }
        let trade_id = Some(Id::Number(number.into()));
        batch.push(Trade { symbol, ts, price: Some(number.into()), trade_id, ..Trade::default() })
    }

    /// Reads the row back.
    pub fn read<'a>(table: TableId, record: impl Into<ReadRecord<'a>>) -> StoredRow {
        let record: ReadRecord<'a> = record.into();
        let quote = table == Quote::ID;
        let number = if quote {
            Record::<Quote<'static>>::new(record.clone()).expect("a quote").bid_price()
        } else {
            Record::<Trade<'static>>::new(record.clone()).expect("a trade").price()
        };
        let number = number.expect("every row has its number") as u32;
        StoredRow {
            seq: record.seq(),
            row: Self { quote, symbol: record.symbol().to_owned(), ts: record.ts(), number },
        }
    }
}

pub fn batch_of(producer: Producer, rows: &[Row]) -> Batch {
    let mut batch = Batch::from_producer(producer);
    for row in rows {
        row.push(&mut batch).expect("a valid row");
    }
    batch
}

/// Everything that a snapshot shows, in journal order. Checks the order of the scans on the way.
pub fn everything(snapshot: &Snapshot) -> Vec<StoredRow> {
    try_everything(snapshot).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`everything`], on a disk that may fail; history is read from it, the rest is in memory or mapped.
pub fn try_everything(snapshot: &Snapshot) -> Result<Vec<StoredRow>, ReadError> {
    let mut all = Vec::new();
    for table in [Trade::ID, Quote::ID] {
        let rows: Vec<StoredRow> = snapshot
            .scan_table(table, TimeRange::ALL)
            .map(|record| Ok(Row::read(table, record?)))
            .collect::<Result<_, ReadError>>()?;
        assert!(
            rows.is_sorted_by_key(|stored| (&stored.row.symbol, stored.row.ts, stored.seq)),
            "a table's rows are in key order"
        );
        all.extend(rows);
    }
    all.sort();
    Ok(all)
}
