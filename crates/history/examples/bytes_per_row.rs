//! Imports a file of market data, writes it as history and prints what every column costs.
//!
//! `cargo run --release -p tapebook-history --example bytes_per_row -- FILE TABLE [--out FILE] [--level N] [--rows N]
//! [--map COLUMN=SOURCE]…`. Rows are numbered in the order of the file, which is that of the journal, and sorted as history
//! is. The file is opened again and every row is compared before anything is printed.

#![allow(clippy::disallowed_methods, reason = "measures wall time and reads the user's own files")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use parquet::file::reader::{FileReader, SerializedFileReader};
use tapebook_history::{HistoryFile, HistoryIdentity, HistoryWriter, Selection, WriterOptions};
use tapebook_import::{ImportOptions, import_file};
use tapebook_record::{Batch, EncodedBatch, RawRecord, Schemas};
use tapebook_vfs::{RealVfs, Vfs};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let source = arguments.next().ok_or("FILE is missing")?;
    let table = arguments.next().ok_or("TABLE is missing")?;
    let mut out: Option<PathBuf> = None;
    let mut options = WriterOptions::default();
    let mut import = ImportOptions::new(i64::MAX);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("an option without a value")?;
        match name.as_str() {
            "--out" => out = Some(value.into()),
            "--level" => options.zstd_level = value.parse()?,
            "--rows" => options.row_group_rows = value.parse()?,
            "--map" => {
                let (column, source) = value.split_once('=').ok_or("COLUMN=SOURCE is missing")?;
                import.map.push((column.to_owned(), source.to_owned()));
            }
            other => return Err(format!("{other} is no option").into()),
        }
    }
    let schemas = Schemas::standard();
    let schema = schemas.by_name(&table).ok_or("no such table")?;
    let mut batches: Vec<EncodedBatch> = Vec::new();
    let mut sink = |batch: Batch| {
        batches.push(batch.encode());
        Ok(())
    };
    import_file(Path::new(&source), schema, &import, &mut sink, &mut |_| ())?;
    let names: Vec<Vec<&str>> = batches.iter().map(|batch| batch.symbols().collect()).collect();
    let mut records: Vec<RawRecord<'_>> = Vec::new();
    for (batch, names) in batches.iter().zip(&names) {
        for row in 0..batch.len() {
            let header = batch.row_header(row);
            records.push(RawRecord {
                ts: header.ts,
                seq: records.len() as u64 + 1,
                recv_ts: header.recv_ts,
                feed_seq: header.feed_seq,
                flags: header.flags,
                layout: header.layout,
                symbol: names[header.symbol as usize],
                row: batch.row(&header),
            });
        }
    }
    records.sort_by_key(|record| (record.symbol, record.ts, record.seq));

    let vfs = RealVfs::new();
    let path =
        out.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("{}.parquet", std::process::id())));
    let identity = HistoryIdentity { cluster_id: 1, file_id: 1 };
    let start = Instant::now();
    let mut writer = HistoryWriter::create(&vfs, &path, identity, schema, options)?;
    for part in records.chunks(1024) {
        writer.add(part)?;
    }
    let summary = writer.finish(0)?;
    let write = start.elapsed();

    let file = HistoryFile::open(&vfs, &path, identity, Some(summary.seal), schema)?;
    let all: Vec<usize> = (0..schema.columns.len() + 5).collect();
    let start = Instant::now();
    let mut rows = 0;
    for batch in file.batches(&all, &Selection::default(), 8192)? {
        rows += batch?.num_rows();
    }
    let arrow = start.elapsed();
    let start = Instant::now();
    let mut scan = file.rows_of(&Selection::default())?;
    let mut scanned = 0;
    while let Some(found) = scan.next()? {
        let expected = records.get(scanned).ok_or("too many rows")?;
        let same = (found.symbol, found.ts, found.seq, found.recv_ts, found.feed_seq, found.flags, found.row)
            == (
                expected.symbol,
                expected.ts,
                expected.seq,
                expected.recv_ts,
                expected.feed_seq,
                expected.flags,
                expected.row,
            );
        if !same {
            return Err(format!("row {scanned} is another one").into());
        }
        scanned += 1;
    }
    let scan = start.elapsed();
    if (rows, scanned) != (records.len(), records.len()) {
        return Err("rows are missing".into());
    }

    let per_row = |bytes: u64| bytes as f64 / records.len() as f64;
    let reader = SerializedFileReader::new(std::fs::File::open(&path)?)?;
    let mut columns: BTreeMap<usize, (String, u64, u64, Vec<String>)> = BTreeMap::new();
    for group in reader.metadata().row_groups() {
        for (at, column) in group.columns().iter().enumerate() {
            let entry =
                columns.entry(at).or_insert_with(|| (column.column_path().string(), 0, 0, Vec::new()));
            entry.1 += column.compressed_size() as u64;
            entry.2 += column.bloom_filter_length().unwrap_or(0) as u64;
            // Levels are always in runs; values are only where they are flags.
            let is_flag = column.column_type() == parquet::basic::Type::BOOLEAN;
            let ways = column.encodings().map(|encoding| encoding.to_string());
            let ways: Vec<String> = ways.filter(|way| way != "RLE" || is_flag).collect();
            if !entry.3.contains(&ways.join("+")) {
                entry.3.push(ways.join("+"));
            }
        }
    }
    println!(
        "{table}: {rows} rows, {} series, {} row groups, {} bytes, {:.3} bytes a row",
        summary.series,
        summary.row_groups,
        summary.seal.file_bytes,
        per_row(summary.seal.file_bytes)
    );
    for (name, bytes, filter, ways) in columns.values() {
        println!(
            "  {name:24} {:8.3}  filter {:6.3}  {}",
            per_row(*bytes),
            per_row(*filter),
            ways.join(" / ")
        );
    }
    println!("  {:24} {:8.3}", "behind the row groups", per_row(summary.seal.tail_bytes));
    let rate = |time: std::time::Duration| records.len() as f64 / time.as_secs_f64() / 1e6;
    println!(
        "  M rows/s: write {:.2}, read as Arrow {:.2}, read as rows {:.2}",
        rate(write),
        rate(arrow),
        rate(scan)
    );
    if out.is_none() {
        vfs.remove_file(&path)?;
    }
    Ok(())
}
