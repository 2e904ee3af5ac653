//! Rows of any standard table, in the order in which a file takes them.

use std::path::Path;
use std::sync::{Arc, Once};

use arrow::array::RecordBatch;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tapebook_history::{HistoryFile, HistoryIdentity, HistorySummary, HistoryWriter, WriterOptions};
use tapebook_record::batch::RowPlace;
use tapebook_record::projection::Projection;
use tapebook_record::{Batch, ColumnKind, EncodedBatch, Level, PushError, RawRecord, RowWriter, TableSchema};
use tapebook_vfs::{MemoryVfs, Vfs};

pub const IDENTITY: HistoryIdentity = HistoryIdentity { cluster_id: 0x7a, file_id: 3 };
pub const PATH: &str = "/3.parquet";

/// Keeps the panics of the Parquet decoder, which the crate makes errors of, out of the output: there are thousands where
/// every byte of a file is damaged, and finding the names for a backtrace takes far longer than anything else.
pub fn quiet_decoder() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let file = panic.location().map_or("", |location| location.file());
            if !["/parquet-", "/arrow-", "/bytes-"].iter().any(|name| file.contains(name)) {
                loud(panic);
            }
        }));
    });
}

/// The same cases in every run.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x7461_7065_626f_6f6b),
        ..ProptestConfig::default()
    }
}

/// A value of one column; which one counts is the column's to say.
#[derive(Clone, Debug)]
pub struct Value {
    pub double: f64,
    pub int: i64,
    pub decimal: i128,
    pub text: String,
    pub levels: Vec<(f64, f64)>,
}

/// One row: symbol, time, time of receipt, the feed's number, values or NULL.
#[derive(Clone, Debug)]
pub struct Row {
    pub symbol: &'static str,
    pub ts: i64,
    pub recv_ts: Option<i64>,
    pub feed_seq: Option<u64>,
    pub values: Vec<Option<Value>>,
}

impl Row {
    pub fn null(schema: &TableSchema, symbol: &'static str, ts: i64) -> Self {
        Self { symbol, ts, recv_ts: None, feed_seq: None, values: vec![None; schema.columns.len()] }
    }

    fn write(&self, schema: &TableSchema, row: &mut RowWriter<'_>) -> Result<(), PushError> {
        for (at, value) in self.values.iter().enumerate() {
            let Some(value) = value else { continue };
            match schema.columns[at].kind {
                ColumnKind::Double => row.double(at, value.double),
                ColumnKind::BigInt => row.bigint(at, value.int),
                ColumnKind::Timestamp => row.timestamp(at, value.int),
                ColumnKind::Date => row.date(at, (value.int as i32).max(i32::MIN + 1)),
                ColumnKind::Decimal => row.decimal(at, value.decimal),
                ColumnKind::Text | ColumnKind::Id => row.text(at, &value.text),
                ColumnKind::Word(words) => {
                    row.word(at, (value.int.unsigned_abs() % words.words.len() as u64) as u8 + 1)
                }
                ColumnKind::Levels => {
                    let levels =
                        value.levels.iter().map(|(price, size)| Level { price: *price, size: *size });
                    row.levels(at, &levels.collect::<Vec<_>>())
                }
                ColumnKind::Flag { .. } => row.flag(at, value.int % 2 == 0),
            }?;
        }
        Ok(())
    }
}

fn any_double() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::sample::select(vec![f64::MAX, f64::MIN, f64::MIN_POSITIVE, -0.0, 0.0, 5e-324]),
        any::<f64>().prop_filter("finite", |value| value.is_finite()),
        (0..100_i64).prop_map(|cents| cents as f64 / 100.0),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let int = prop_oneof![Just(i64::MIN + 1), Just(i64::MAX), Just(0), i64::MIN + 1..=i64::MAX, 0..50_i64];
    let most = 10_i128.pow(38) - 1;
    let decimal = prop_oneof![Just(-most), Just(most), Just(0), -most..=most, 0..1_000_i128];
    let text = prop_oneof![
        Just(String::new()),
        "\\PC{0,20}",
        any::<u64>().prop_map(|number| number.to_string()),
        (0..30_u64).prop_map(|number| number.to_string()),
        Just("0017".to_owned()),
        Just("a longer text than a view holds inline, again and again".to_owned()),
    ];
    let levels = prop::collection::vec((any_double(), any_double()), 0..6);
    (any_double(), int, decimal, text, levels).prop_map(|(double, int, decimal, text, levels)| Value {
        double,
        int,
        decimal,
        text,
        levels,
    })
}

/// Any rows of a table, in key order but for the sequence numbers, which are given by position.
pub fn any_rows(schema: &TableSchema, most: usize) -> impl Strategy<Value = Vec<Row>> + use<> {
    let symbols = vec!["BINANCE.BTCUSDT", "BINANCE.ETHUSDT", "SHFE.cu2501", "é", "a"];
    let ts = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), 0..20_i64];
    let recv_ts = prop::option::of(prop_oneof![Just(i64::MIN + 1), i64::MIN + 1..=i64::MAX, 0..20_i64]);
    let values = prop::collection::vec(prop::option::weighted(0.75, any_value()), schema.columns.len());
    let row = (prop::sample::select(symbols), ts, recv_ts, any::<Option<u64>>(), values)
        .prop_map(|(symbol, ts, recv_ts, feed_seq, values)| Row { symbol, ts, recv_ts, feed_seq, values });
    prop::collection::vec(row, 1..most).prop_map(|mut rows| {
        rows.sort_by_key(|row| (row.symbol, row.ts));
        rows
    })
}

/// Encoded rows with their symbols; the sequence number is `seq_of` the position.
pub struct Rows {
    batches: Vec<(EncodedBatch, Vec<String>)>,
    seq_of: fn(usize) -> u64,
}

impl Rows {
    pub fn new(schema: &TableSchema, rows: &[Row]) -> Self {
        Self::with_seqs(schema, rows, |at| at as u64 + 1)
    }

    pub fn with_seqs(schema: &TableSchema, rows: &[Row], seq_of: fn(usize) -> u64) -> Self {
        let mut batches = Vec::new();
        for part in rows.chunks(100) {
            let mut batch = Batch::new();
            for row in part {
                let place =
                    RowPlace { symbol: row.symbol, ts: row.ts, recv_ts: row.recv_ts, feed_seq: row.feed_seq };
                batch.push_row(schema, place, |writer| row.write(schema, writer)).unwrap();
            }
            let batch = batch.encode();
            let names = batch.symbols().map(str::to_owned).collect();
            batches.push((batch, names));
        }
        Self { batches, seq_of }
    }

    pub fn records(&self) -> Vec<RawRecord<'_>> {
        let rows = self.batches.iter().flat_map(|(batch, names)| {
            (0..batch.len()).map(move |row| (batch, names, batch.row_header(row)))
        });
        rows.enumerate()
            .map(|(at, (batch, names, header))| RawRecord {
                ts: header.ts,
                seq: (self.seq_of)(at),
                recv_ts: header.recv_ts,
                feed_seq: header.feed_seq,
                flags: header.flags,
                layout: header.layout,
                symbol: &names[header.symbol as usize],
                row: batch.row(&header),
            })
            .collect()
    }
}

/// What the existing projection gives of them.
pub fn projected(schema: &Arc<TableSchema>, columns: &[usize], records: &[RawRecord<'_>]) -> RecordBatch {
    let mut projection = Projection::new(schema, columns);
    projection.append(records);
    projection.finish()
}

pub fn all_columns(schema: &TableSchema) -> Vec<usize> {
    (0..schema.columns.len() + 5).collect()
}

/// Writes records, some at a time, into the file at [`PATH`].
pub fn write(
    vfs: &dyn Vfs,
    schema: &Arc<TableSchema>,
    options: WriterOptions,
    records: &[RawRecord<'_>],
) -> HistorySummary {
    let mut writer = HistoryWriter::create(vfs, Path::new(PATH), IDENTITY, schema, options).unwrap();
    for part in records.chunks(7) {
        writer.add(part).unwrap();
    }
    writer.finish(5).unwrap()
}

/// Writes records and opens the file.
pub fn written(
    schema: &Arc<TableSchema>,
    options: WriterOptions,
    records: &[RawRecord<'_>],
) -> (MemoryVfs, HistoryFile) {
    let vfs = MemoryVfs::new(1);
    let summary = write(&vfs, schema, options, records);
    let file = HistoryFile::open(&vfs, Path::new(PATH), IDENTITY, Some(summary.seal), schema).unwrap();
    assert_eq!((file.rows(), file.seal()), (summary.rows, summary.seal));
    (vfs, file)
}

/// Everything of a record, for comparison.
#[derive(Debug, Eq, PartialEq)]
pub struct Whole {
    pub symbol: String,
    pub numbers: (i64, u64, i64, u64, u8, u16),
    pub row: Vec<u8>,
}

impl From<RawRecord<'_>> for Whole {
    fn from(record: RawRecord<'_>) -> Self {
        let RawRecord { ts, seq, recv_ts, feed_seq, flags, layout, .. } = record;
        Self {
            symbol: record.symbol.to_owned(),
            numbers: (ts, seq, recv_ts, feed_seq, flags, layout),
            row: record.row.to_vec(),
        }
    }
}
