//! Writes the first inputs of every target into `corpus/TARGET/`: small files as a database writes them.
//!
//! Run it from the folder `fuzz`: `cargo run --example seeds`. What is there already stays.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tapebook_fuzz::{AS_IT_IS, DIRECTORY, LOG, SEALED, TABLE, manifest_file};
use tapebook_lsm::key::TimeRange;
use tapebook_lsm::manifest::{
    LogId, LogRange, Manifest, Partition, SectionTag, SeqRange, StateHeader, StateRef, StateSection,
    TableFile, Version, VersionEdit, encode_state,
};
use tapebook_lsm::sstable::{TableMeta, TableWriter, TableWriterOptions};
use tapebook_record::{
    Balance, Batch, BookDelta, BookSide, BookSnapshot, Id, Instrument, Level, Order, Producer, Quote,
    RawRecord, Schemas, Side, TableId, Tick, Trade,
};
use tapebook_vfs::{MemoryVfs, Vfs};
use tapebook_wal::{ArchiveHeader, ArchiveWriter, EntryKind, FrameMeta, JournalPoint, archive_name};

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// The first byte of an input that consists of the edits of a manifest.
const EDITS: u8 = 2;
/// The first byte of an input that consists of entries of the archive; one more puts them at the end of all indexes.
const ENTRIES: u8 = 2;
/// The first byte of an input that is a whole manifest to be sealed.
const WHOLE: u8 = 3;

fn main() -> Done {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let put = |target: &str, name: &str, bytes: &[&[u8]]| -> Done {
        fs::create_dir_all(corpus.join(target))?;
        Ok(fs::write(corpus.join(target).join(name), bytes.concat())?)
    };
    for (name, batch) in [("empty", Batch::new()), ("trade", trade()?), ("mixed", mixed()?)] {
        let encoded = batch.encode();
        put("batch", name, &[&[SEALED], encoded.bytes()])?;
        put("batch", &format!("{name}-as-it-is"), &[&[AS_IT_IS], encoded.bytes()])?;
    }
    for (name, batch, block_bytes) in
        [("empty", Batch::new(), 400), ("trade", trade()?, 400), ("mixed", mixed()?, 300)]
    {
        let file = table(&batch, block_bytes)?;
        put("table", name, &[&[SEALED], &file])?;
        put("table", &format!("{name}-as-it-is"), &[&[AS_IT_IS], &file])?;
    }
    let page = fs::read_to_string(corpus.join("../../docs/format/log.md"))?;
    for name in ["retraction", "retraction-undone"] {
        put("retraction", name, &[&example(&page, name)?])?;
    }
    put("producer_expiry", "one", &[&example(&page, "producer-expiry")?])?;
    put("feed_declaration", "backfill", &[&example(&page, "feed-declaration")?])?;
    put("membership", "joint", &[&example(&page, "membership")?])?;
    for target in ["log_frame", "log_segment_header", "log_segment_footer", "log_mark"] {
        let name = match target {
            "log_frame" => "frame",
            "log_segment_header" => "segment-header",
            "log_segment_footer" => "segment-footer",
            _ => "mark-slot",
        };
        let bytes = example(&page, name)?;
        put(target, "example", &[&[SEALED], &bytes])?;
        put(target, "example-twice", &[&[SEALED], &bytes, &bytes])?;
        put(target, "example-as-it-is", &[&[AS_IT_IS], &bytes])?;
    }
    let page = fs::read_to_string(corpus.join("../../docs/format/backup.md"))?;
    let record = example(&page, "backup-record")?;
    put("backup", "example", &[&[SEALED], &record])?;
    put("backup", "as-it-is", &[&[AS_IT_IS], &record])?;
    let page = fs::read_to_string(corpus.join("../../docs/format/archive.md"))?;
    let entry = example(&page, "archive-entry")?;
    put("archive", "entry", &[&[ENTRIES], &entry])?;
    let mut last = entry.clone();
    last[24..32].copy_from_slice(&(u64::MAX - 2).to_le_bytes());
    put("archive", "at-the-end", &[&[ENTRIES + 1], &last])?;
    for payloads in [&[&b"ten records, opaque"[..]][..], &[b"a", b"", b"cd"]] {
        let file = archived(payloads)?;
        put("archive", &format!("sealed-{}", payloads.len()), &[&[SEALED], &file])?;
        put("archive", &format!("as-it-is-{}", payloads.len()), &[&[AS_IT_IS], &file])?;
    }
    let file = manifest()?;
    put("manifest", "edits", &[&[EDITS], &manifest_file::to_pieces(&file)])?;
    put("manifest", "whole", &[&[WHOLE], &file])?;
    put("manifest", "as-it-is", &[&[AS_IT_IS], &file])?;
    put("manifest", "header", &[&[SEALED], &file[..64]])?;
    let state = state()?;
    put("state", "two-sections", &[&[SEALED], &state])?;
    put("state", "as-it-is", &[&[AS_IT_IS], &state])?;
    for file in fs::read_dir(corpus.join("../../crates/history/tests/fixtures/format-1"))? {
        let file = file?;
        let (bytes, name) = (fs::read(file.path())?, file.file_name());
        let name = name.to_string_lossy();
        put("history", &name, &[&[SEALED], &bytes])?;
        put("history", &format!("{name}-as-it-is"), &[&[AS_IT_IS], &bytes])?;
    }
    for (at, (table, options, text)) in TEXTS.iter().enumerate() {
        put("import_csv", &format!("text-{at}"), &[&[table - 1, *options], text.as_bytes()])?;
    }
    Ok(())
}

/// A file of the archive with an entry for each payload.
fn archived(payloads: &[&[u8]]) -> Done<Vec<u8>> {
    let disk = MemoryVfs::new(0);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let before = JournalPoint { last_seq: 100, ..JournalPoint::default() };
    let header = ArchiveHeader { log: LOG, epoch: 1, before, previous: 0, created_at: 1000 };
    let mut writer = ArchiveWriter::create(&vfs, Path::new("/"), header)?;
    let mut entry = tapebook_wal::LogId::default();
    for (place, payload) in (1..).zip(payloads) {
        let meta = FrameMeta {
            kind: EntryKind::Batch,
            flags: 0,
            term: 1,
            leader_node: 7,
            index: place,
            proposed_at: 1000,
        };
        writer.add(&meta, 99 + place, 100 + place, payload)?;
        entry = tapebook_wal::LogId { term: 1, leader_node: 7, index: place };
    }
    let last_seq = 100 + payloads.len() as u64;
    writer.finish(JournalPoint { entry, last_seq, rolling_hash: [7; 16] })?;
    Ok(disk.file_bytes(Path::new("/").join(archive_name(1)))?)
}

fn trade() -> Done<Batch> {
    let mut batch = Batch::from_producer(Producer { id: 5, epoch: 1, batch_number: 1 });
    batch.push(Trade {
        symbol: "BINANCE.BTCUSDT",
        ts: 1_723_161_600_000_000_000,
        recv_ts: Some(1_723_161_600_000_100_000),
        feed_seq: Some(9),
        price: Some(61_800.2),
        size: Some(0.006),
        side: Some(Side::Buy),
        trade_id: Some(Id::Number(7)),
        venue: Some("BINANCE"),
        ..Trade::default()
    })?;
    Ok(batch)
}

/// Rows of every kind of column, some of them twice.
fn mixed() -> Done<Batch> {
    let mut batch = Batch::new();
    for ts in [3, 1, 2, 2] {
        let symbol = if ts == 1 { "SHFE.cu2501" } else { "A" };
        let id = if ts == 3 { Id::Number(7) } else { Id::Text("order-1") };
        batch.push(Trade { symbol, ts, price: Some(1.5), trade_id: Some(id), ..Trade::default() })?;
        batch.push(Order {
            symbol,
            ts,
            order_id: Some(id),
            account: Some(Id::Number(7)),
            kind: Some("limit"),
            ..Order::default()
        })?;
        let levels = [Level { price: 1.0, size: 2.0 }, Level { price: 0.5, size: 4.0 }];
        batch.push(BookSnapshot {
            symbol,
            ts,
            bids: Some(&levels[..ts as usize % 3]),
            ..BookSnapshot::default()
        })?;
        batch.push(Balance {
            symbol: "USDT",
            ts,
            balance: Some(-17),
            account: Some(id),
            ..Balance::default()
        })?;
    }
    batch.push(Quote { symbol: "é", ts: -1, bid_price: Some(0.0), venue: Some(""), ..Quote::default() })?;
    batch.push(Tick { symbol: "A", ts: 0, trading_day: Some(18_631), ..Tick::default() })?;
    batch.push(BookDelta {
        symbol: "A",
        ts: 0,
        side: Some(BookSide::Bid),
        event_end: Some(true),
        snapshot: Some(false),
        ..BookDelta::default()
    })?;
    batch.push(Instrument { symbol: "A", ts: 0, expiry: Some(9), ..Instrument::default() })?;
    Ok(batch)
}

fn table(batch: &Batch, block_bytes: usize) -> Done<Vec<u8>> {
    let encoded = batch.encode();
    let names: Vec<&str> = encoded.symbols().collect();
    let mut rows: Vec<(TableId, RawRecord<'_>)> = (0..encoded.len())
        .map(|at| {
            let header = encoded.row_header(at);
            let record = RawRecord {
                ts: header.ts,
                seq: at as u64 + 1,
                recv_ts: header.recv_ts,
                feed_seq: header.feed_seq,
                flags: header.flags,
                layout: header.layout,
                symbol: names[header.symbol as usize],
                row: encoded.row(&header),
            };
            (header.table, record)
        })
        .collect();
    rows.sort_by_key(|(table, row)| (*table, row.symbol, row.ts, row.seq));
    let (vfs, path) = (MemoryVfs::new(1), Path::new("/seed.sst"));
    let options = TableWriterOptions { block_bytes, ..TableWriterOptions::default() };
    let mut writer = TableWriter::create(&vfs, path, TABLE, &Schemas::standard(), options)?;
    for (table, row) in &rows {
        writer.add(*table, row)?;
    }
    writer.finish(TableMeta::default())?;
    Ok(vfs.file_bytes(path)?)
}

/// The bytes of an example of a format page; lines that are left out are zeros.
fn example(page: &str, name: &str) -> Done<Vec<u8>> {
    let start = page.split_once(&format!("```text {name}\n")).ok_or("no such example")?.1;
    let mut bytes = Vec::new();
    for line in start.lines().take_while(|line| !line.starts_with("```")) {
        let (offset, row) = line.split_once(' ').ok_or("no offset")?;
        bytes.resize(usize::from_str_radix(offset, 16)?, 0);
        for byte in row.split_whitespace() {
            bytes.push(u8::from_str_radix(byte, 16)?);
        }
    }
    Ok(bytes)
}

/// A manifest of flushes into two partitions and a move.
fn manifest() -> Done<Vec<u8>> {
    let memory = MemoryVfs::new(1);
    let dir = Path::new("/data");
    memory.create_dir_all(dir)?;
    let mut manifest = Manifest::create(Arc::new(memory.clone()), dir, DIRECTORY)?;
    for partition in 1..=2 {
        manifest.commit(&flush(manifest.version(), partition))?;
    }
    let moved =
        manifest.version().tables().next().map(|file| TableFile { level: 1, ..TableFile::clone(file) });
    let removed = moved.iter().map(|file| file.file_id).collect();
    manifest.commit(&VersionEdit {
        tables_added: moved.into_iter().collect(),
        tables_removed: removed,
        epoch: Some(3),
        ..VersionEdit::default()
    })?;
    manifest.close()?;
    let mut file = memory.file_bytes(dir.join("MANIFEST-000001"))?;
    let end = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    file.truncate(end.next_multiple_of(8));
    Ok(file)
}

fn flush(version: &Version, partition: u64) -> VersionEdit {
    let (id, seq) = (version.next_file_id(), version.last_seq());
    let index = version.state().map_or(0, |state| state.applied.index) + 1;
    let times = TimeRange { first: partition as i64 * 100, last: partition as i64 * 100 + 99 };
    let applied = LogId { term: 1, leader_node: DIRECTORY.node_id, index };
    VersionEdit {
        tables_added: vec![TableFile {
            file_id: id,
            level: 0,
            bytes: 4096,
            rows: 10,
            partition,
            times,
            seqs: SeqRange { first: seq + 1, last: seq + 10 },
            log_indexes: LogRange { first: index, last: index },
            checksum: 0xfeed_0000,
            tables: vec![TableId(1), TableId(2)],
        }],
        partitions_added: vec![Partition { id: partition, times }],
        state: Some(StateRef { file_id: id + 1, applied, last_seq: seq + 10, rolling_hash: [7; 16] }),
        log_start: Some(index + 1),
        next_file_id: Some(id + 2),
        last_seq: Some(seq + 10),
        ..VersionEdit::default()
    }
}

fn state() -> Done<Vec<u8>> {
    let header = StateHeader {
        cluster_id: DIRECTORY.cluster_id,
        node_id: DIRECTORY.node_id,
        file_id: 7,
        applied: LogId { term: 1, leader_node: 7, index: 5 },
        last_seq: 30,
        epoch: 2,
        rolling_hash: [0xab; 16],
        commit_clock: 2_000,
    };
    let section = |tag, bytes: &[u8]| StateSection { tag, version: 1, bytes: bytes.to_vec() };
    let sections = [section(SectionTag::Symbols, b"SHFE.cu2501"), section(SectionTag::Settings, b"")];
    Ok(encode_state(&header, &sections)?)
}

/// Table, bits of options, text.
const TEXTS: [(u8, u8, &str); 12] = [
    (
        1,
        0,
        "symbol,ts,price,size,side,trade_id\nX,1609761600000,1.5,2,buy,7\nY,2021-01-04T12:00:00Z,,,,a-1\n",
    ),
    (1, 9, "id,price,qty,quote_qty,time,is_buyer_maker\n1,61800.2,0.006,370.8,1723161600000,true\n2,x,,,,\n"),
    (1, 1, "symbol;ts;price\r\n\"X\";20210104;\"1\"\r\n\"a\"\"b\";20210104093000123;1e5\r\n\"open;1;2\r\n"),
    (1, 0x90, "symbol,time,price\nIBM,09:30:00.123,\nIBM,93000123,NaN\n"),
    (2, 1, "symbol\tts\trecv_ts\tbid_price1\tbid_size1\nX\t1609761600.5\t12:00\t1\t2\n"),
    (3, 0, "InstrumentID,TradingDay,UpdateTime,UpdateMillisec,LastPrice\ncu2501,20210104,09:30:00,500,1\n"),
    (4, 1, "symbol,ts,bids,asks\nX,1609761600000,\"[[1.5, 2], [1, \"\"3\"\"]]\",[]\n"),
    (
        4,
        0x41,
        "symbol,ts,bids[0].price,bids[0].amount,asks[0].price,asks[0].amount\nX,1609761600000,1,2,3,4\n",
    ),
    (5, 1, "symbol,ts,side,action,price,size,event_end\nX,1609761600000,bid,set,1,0,true\nX,1,n,0,,,maybe\n"),
    (6, 0x21, "symbol,ts,period,open,high,low,close,volume,trade_count\nX,2031-01-04,1m,1,2,1,2,9,3.0\n"),
    (10, 1, "symbol,ts,account,balance,available\nUSDT,1609761600000,7,1.000000001,-1e-9\nUSDT,1,a,1e31,x\n"),
    (12, 1, "symbol,ts,venue,expiry\nX,1609761600000,,2021-02-30\nX,1609761600000,NULL,2024-03-10 02:30\n"),
];
