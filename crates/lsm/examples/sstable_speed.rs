//! Measures reads of one SSTable: `sstable_speed <directory> [million rows]`.
//!
//! The scan touches `ts` and one column of every record. Each figure is the median of the rounds; the baseline
//! beside it sums the same file's bytes as 64-bit words through the same map.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tapebook_lsm::key::{Direction, TimeRange};
use tapebook_lsm::sstable::{Table, TableIdentity, TableMeta, TableSeries, TableWriter, TableWriterOptions};
use tapebook_record::{Batch, Id, RawRecord, Record, Schemas, StandardTable, TableId, Trade};
use tapebook_vfs::{OpenMode, RealVfs, Vfs};

const ROUNDS: usize = 7;
const IDENTITY: TableIdentity = TableIdentity { cluster_id: 7, file_id: 1 };
const TRADES: TableId = <Trade<'static> as StandardTable>::ID;

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: sstable_speed <directory> [million rows]")?;
    let rows = arguments.next().map_or(Ok(12), |text| text.parse::<u64>())? * 1_000_000;
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let path = Path::new(&directory).join("speed.sst");
    if vfs.exists(&path)? {
        vfs.remove_file(&path)?;
    }
    let seconds = write(&*vfs, &path, rows)?;
    let bytes = vfs.open(&path, OpenMode::Read)?.len()?;
    println!(
        "write: {:.1} M rows/s, {:.1} bytes a row",
        rows as f64 / seconds / 1e6,
        bytes as f64 / rows as f64
    );

    let map = vfs.open(&path, OpenMode::Read)?.map(bytes)?;
    let mut walks = Vec::new();
    let report = |name: &str, all: &[f64]| {
        let seconds = median(all);
        println!(
            "{name}: {:.1} M records/s, {:.2} GB/s",
            rows as f64 / seconds / 1e6,
            bytes as f64 / seconds / 1e9
        );
    };
    let (mut first, mut warm, mut back, mut opened) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut runs = Vec::new();
    for _ in 0..ROUNDS {
        walks.push(timed(|| walk(&map)));
        let start = Instant::now();
        let table = Table::open(&*vfs, &path, IDENTITY)?;
        opened.push(start.elapsed().as_secs_f64());
        let series = table.series(TRADES, "BINANCE.BTCUSDT").ok_or("the series is not there")?;
        first.push(timed(|| scan(&series, Direction::Forward)));
        warm.push(timed(|| scan(&series, Direction::Forward)));
        back.push(timed(|| scan(&series, Direction::Backward)));
        runs.push(timed(|| scan_runs(&series)));
    }
    println!("open: {:.3} ms", median(&opened) * 1e3);
    report("sum of all words", &walks);
    report("scan, first touch", &first);
    report("scan, warm", &warm);
    report("scan, warm, backward", &back);
    report("scan, warm, in runs of 1024", &runs);

    let table = Table::open(&*vfs, &path, IDENTITY)?;
    scan(&table.series(TRADES, "BINANCE.BTCUSDT").ok_or("no series")?, Direction::Forward);
    points(&table, rows)?;
    vfs.remove_file(&path)?;
    Ok(())
}

fn write(vfs: &dyn Vfs, path: &Path, rows: u64) -> Result<f64, AnyError> {
    let mut writer =
        TableWriter::create(vfs, path, IDENTITY, &Schemas::standard(), TableWriterOptions::default())?;
    let mut seq = 0;
    let mut seconds = 0.0;
    while seq < rows {
        let mut batch = Batch::new();
        while seq + (batch.len() as u64) < rows && batch.len() < 1000 {
            let number = seq + batch.len() as u64;
            batch.push(Trade {
                symbol: "BINANCE.BTCUSDT",
                ts: number as i64 * 1000,
                price: Some(60_000.0 + (number % 1000) as f64),
                size: Some(0.001),
                trade_id: Some(Id::Number(number * 3)),
                ..Trade::default()
            })?;
        }
        let batch = batch.encode();
        let start = Instant::now();
        for row in 0..batch.len() {
            let header = batch.row_header(row);
            seq += 1;
            let record = RawRecord {
                ts: header.ts,
                seq,
                recv_ts: header.recv_ts,
                feed_seq: header.feed_seq,
                flags: header.flags,
                layout: header.layout,
                symbol: "BINANCE.BTCUSDT",
                row: batch.row(&header),
            };
            writer.add(TRADES, &record)?;
        }
        seconds += start.elapsed().as_secs_f64();
    }
    let start = Instant::now();
    writer.finish(TableMeta::default())?;
    Ok(seconds + start.elapsed().as_secs_f64())
}

fn scan(series: &TableSeries<'_>, direction: Direction) -> f64 {
    let mut sum = 0.0;
    let mut times = 0_i64;
    for record in series.scan(TimeRange::ALL, direction) {
        let record = record.expect("the file is whole");
        times ^= record.ts;
        if let Some(trade) = Record::<Trade<'static>>::new(record) {
            sum += trade.fixed().price.raw();
        }
    }
    black_box(times);
    sum
}

fn scan_runs(series: &TableSeries<'_>) -> f64 {
    let mut run = Vec::with_capacity(1024);
    let mut scan = series.scan(TimeRange::ALL, Direction::Forward);
    let mut sum = 0.0;
    while scan.next_run(&mut run, 1024).expect("the file is whole") > 0 {
        for record in run.drain(..) {
            black_box(record.ts);
            if let Some(trade) = Record::<Trade<'static>>::new(record) {
                sum += trade.fixed().price.raw();
            }
        }
    }
    sum
}

fn walk(bytes: &[u8]) -> f64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(*word))) as f64
}

fn points(table: &Table, rows: u64) -> Result<(), AnyError> {
    const COUNT: u64 = 200_000;
    let series = table.series(TRADES, "BINANCE.BTCUSDT").ok_or("no series")?;
    let column = Trade::schema().column_index("trade_id").ok_or("no column")?;
    let at = |step: u64| step.wrapping_mul(0x9e37_79b9_7f4a_7c15) % rows;
    let measure = |name: &str, call: &mut dyn FnMut(u64) -> bool, expected: bool| {
        let mut nanos: Vec<u64> = Vec::with_capacity(COUNT as usize);
        let all = Instant::now();
        for step in 0..COUNT {
            let start = Instant::now();
            assert_eq!(call(at(step)), expected, "{name}");
            nanos.push(start.elapsed().as_nanos() as u64);
        }
        let mean = all.elapsed().as_nanos() as u64 / COUNT;
        nanos.sort_unstable();
        println!(
            "{name}: p50 {} ns, p99 {} ns, mean {mean} ns",
            nanos[nanos.len() / 2],
            nanos[nanos.len() * 99 / 100]
        );
    };
    for _ in 0..2 {
        measure(
            "get",
            &mut |row| series.get(row as i64 * 1000, row + 1).is_ok_and(|found| found.is_some()),
            true,
        );
        measure(
            "last at",
            &mut |row| series.last_at(row as i64 * 1000 + 5).is_ok_and(|found| found.is_some()),
            true,
        );
        let mut by_id = |row| {
            table.by_id(TRADES, column, Id::Number(row * 3)).is_ok_and(|mut found| found.next().is_some())
        };
        measure("by id", &mut by_id, true);
        let mut missing = |row| {
            table.by_id(TRADES, column, Id::Number(row * 3 + 1)).is_ok_and(|mut found| found.next().is_some())
        };
        measure("by id, not there", &mut missing, false);
    }
    // Short slices: whatever else the machine does hits few of them, and the median is free of it.
    let mut passed = 0_u64;
    let mut slices = |name: &str, id: &dyn Fn(u64) -> u64| {
        let mut all = Vec::new();
        for slice in 0..2000 {
            let start = Instant::now();
            for step in slice * 1000..(slice + 1) * 1000 {
                let found = table.may_contain_id(TRADES, column, Id::Number(id(step)));
                passed += u64::from(found.is_ok_and(|found| found));
            }
            all.push(start.elapsed().as_secs_f64() / 1000.0 * 1e9);
        }
        println!("{name}: {:.1} ns", median(&all));
    };
    slices("filter check, cached lines", &|step| step % 64 * 3 + 1);
    slices("filter check, random lines", &|step| at(step) * 3 + 1);
    black_box(passed);
    Ok(())
}

fn timed(run: impl FnOnce() -> f64) -> f64 {
    let start = Instant::now();
    black_box(run());
    start.elapsed().as_secs_f64()
}

fn median(all: &[f64]) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
