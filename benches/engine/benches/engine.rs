//! What needs neither a disk nor turns: `cargo bench -p tapebook-benches`.
//!
//! Everything that is read is in memory or in the page cache. The ratios of the design are measured by the program
//! of this crate instead.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tapebook::{Batch, Db, EncodedBatch, Id, Options, Schemas, Snapshot, StandardTable, Symbols, Trade};
use tapebook_lsm::memtable::MemTable;
use tapebook_market::Row;
use tapebook_market::generator::{self, Ticks};
use tapebook_record::projection::Projection;

const ROWS: u64 = 200_000;
const BATCH_ROWS: usize = 1_000;
const SYMBOLS: u32 = 1_000;

fn ticks(late: f64) -> Ticks {
    let ticks = generator::ticks(1, SYMBOLS, 1.0).expect("the options are in range");
    ticks.late(late, 20_000_000)
}

fn batches(mut ticks: Ticks) -> Vec<EncodedBatch> {
    let batch = |_| {
        let mut batch = Batch::new();
        ticks.fill_batch(&mut batch, BATCH_ROWS).expect("generated rows are possible");
        batch.encode()
    };
    (0..ROWS / BATCH_ROWS as u64).map(batch).collect()
}

fn insert(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memtable insert");
    group.throughput(Throughput::Elements(ROWS)).sample_size(20);
    for (name, late) in [("in order", 0.0), ("5 % late", 0.05), ("50 % late", 0.5)] {
        let batches = batches(ticks(late));
        let mut symbols = Symbols::new();
        let mut resolve = |batch: &EncodedBatch| -> Vec<u32> {
            batch
                .symbols()
                .map(|name| symbols.handle(name).unwrap_or_else(|| symbols.push(name.into())))
                .collect()
        };
        let handles: Vec<Vec<u32>> = batches.iter().map(&mut resolve).collect();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || MemTable::new(1),
                |table| {
                    let mut seq = 1;
                    for (batch, handles) in batches.iter().zip(&handles) {
                        table.insert(batch.clone(), seq, handles);
                        seq += batch.len() as u64;
                    }
                    table
                },
                BatchSize::PerIteration,
            );
        });
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(BATCH_ROWS as u64));
    let mut source = ticks(0.0);
    group.bench_function("make, push and encode 1,000 ticks", |bencher| {
        bencher.iter(|| {
            let mut batch = Batch::new();
            source.fill_batch(&mut batch, BATCH_ROWS).expect("generated rows are possible");
            batch.encode()
        });
    });
    let encoded = batches(ticks(0.0)).swap_remove(0);
    let schemas = Schemas::standard();
    group.bench_function("check 1,000 ticks", |bencher| {
        bencher.iter(|| EncodedBatch::check(encoded.bytes().clone(), &schemas).expect("it is whole"));
    });
}

/// Trades whose ids are their sequence numbers, in an SSTable or in a MemTable.
struct Stored {
    _dir: tempfile::TempDir,
    _db: Db,
    snapshot: Snapshot,
    keys: Vec<(String, i64, u64)>,
}

fn stored(flush: bool) -> Stored {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let options = Options { memtable_bytes: 1 << 30, ..Options::default() };
    let db = Db::open_with(dir.path(), options).expect("the directory is empty");
    let mut source = ticks(0.0).trades(1.0);
    let mut keys = Vec::new();
    for _ in 0..ROWS / BATCH_ROWS as u64 {
        let mut batch = Batch::new();
        while batch.len() < BATCH_ROWS {
            let Row::Trade(trade) = source.next_row() else { continue };
            let seq = keys.len() as u64 + 1;
            batch.push(Trade { trade_id: Some(Id::Number(seq)), ..trade }).expect("the batch has room");
            keys.push((trade.symbol.to_owned(), trade.ts, seq));
        }
        db.submit(batch.encode()).and_then(|pending| pending.wait()).expect("the disk takes it");
    }
    if flush {
        db.flush().expect("the disk takes it");
    }
    Stored { _dir: dir, snapshot: db.snapshot(), _db: db, keys }
}

fn reads(criterion: &mut Criterion) {
    for (place, flush) in [("sstable", true), ("memtable", false)] {
        let stored = stored(flush);
        let Stored { snapshot, keys, .. } = &stored;
        let mut next = 0_usize;
        let mut key = move || {
            next = (next + 0x9e37_79b1) % keys.len();
            &keys[next]
        };
        let mut group = criterion.benchmark_group(format!("point reads, {place}"));
        group.bench_function("get", |bencher| {
            bencher.iter(|| {
                let (symbol, ts, seq) = key();
                snapshot
                    .get(Trade::ID, symbol, *ts, *seq)
                    .expect("the file is whole")
                    .expect("it is there")
                    .seq()
            });
        });
        group.bench_function("last", |bencher| {
            bencher.iter(|| {
                let (symbol, ts, _) = key();
                snapshot.last(Trade::ID, symbol, *ts).expect("the file is whole").expect("it is there").seq()
            });
        });
        group.bench_function("by_id", |bencher| {
            bencher.iter(|| {
                let (_, _, seq) = key();
                snapshot.by_id(Trade::ID, "trade_id", Id::Number(*seq)).expect("the file is whole").len()
            });
        });
        group.finish();

        let mut group = criterion.benchmark_group(format!("scans, {place}"));
        group.throughput(Throughput::Elements(ROWS)).sample_size(20);
        group.bench_function("all trades in key order", |bencher| {
            bencher.iter(|| {
                let rows = snapshot.scan_table(Trade::ID, tapebook::TimeRange::ALL);
                rows.fold(0, |sum, record| sum ^ record.expect("the file is whole").ts())
            });
        });
        group.finish();
        if flush {
            filter(criterion, snapshot);
            projection(criterion, snapshot);
        }
    }
}

fn filter(criterion: &mut Criterion, snapshot: &Snapshot) {
    let table = snapshot.pieces().tables.first().expect("it was flushed");
    let column = Trade::schema().column_index("trade_id").expect("trades have it");
    let mut id = 0;
    criterion.bench_function("bloom filter check, foreign ids", |bencher| {
        bencher.iter(|| {
            id = (id + 1) % (1 << 20);
            table.may_contain_id(Trade::ID, column, Id::Number(ROWS + 1 + id)).expect("the file is whole")
        });
    });
}

fn projection(criterion: &mut Criterion, snapshot: &Snapshot) {
    let records: Vec<_> = snapshot
        .scan_table(Trade::ID, tapebook::TimeRange::ALL)
        .map(|record| record.expect("the file is whole"))
        .collect();
    let records: Vec<_> = records.iter().map(|record| record.raw()).collect();
    let schema = Arc::new(Trade::schema().clone());
    let fields = tapebook_record::projection::arrow_schema(&schema);
    let all: Vec<usize> = (0..fields.fields().len()).collect();
    let named = |names: &[&str]| -> Vec<usize> {
        names.iter().map(|name| fields.index_of(name).expect("trades have it")).collect()
    };
    let mut group = criterion.benchmark_group("projection to Arrow, trades");
    group.throughput(Throughput::Elements(records.len() as u64)).sample_size(20);
    for (name, columns) in [
        ("ts, price, size", named(&["ts", "price", "size"])),
        ("symbol, ts, price", named(&["symbol", "ts", "price"])),
        ("all columns", all),
    ] {
        let mut projection = Projection::new(&schema, &columns);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for records in records.chunks(8_192) {
                    projection.append(records);
                    black_box(projection.finish());
                }
            });
        });
    }
}

criterion_group!(benches, encode, insert, reads);
criterion_main!(benches);
