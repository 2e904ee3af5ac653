//! One series of one SSTable through the public iterator: warm, at first touch, and from the disk.

use std::ffi::OsString;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use tapebook::{Db, Snapshot, Trade};
use tapebook_vfs::{OpenMode, RealVfs, Vfs};

use crate::AnyError;
use crate::input::Trades;
use crate::measure::{Runs, cost, io_counter};
use crate::report::Line;
use crate::setting::{Setting, files_in, one_piece};

const ROWS: u64 = 8_000_000;
const READ_BYTES: usize = 1 << 20;
const GIB: f64 = (1_u64 << 30) as f64;

/// Millions of records and GiB a second.
pub fn one_table(setting: &Setting) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let rows = setting.size(ROWS);
    let symbol = write(dir.path(), rows)?;
    let path = files_in(&dir.path().join("tables"))?.pop().ok_or("nothing was flushed")?;
    let bytes = RealVfs::new().open(&path, OpenMode::Read)?.len()?;

    let mut records: [Runs; 4] = Default::default();
    let mut rates: [Runs; 5] = Default::default();
    let mut from_disk = Runs::default();
    for run in 0..=setting.runs {
        let walk = {
            let map = RealVfs::new().open(&path, OpenMode::Read)?.map(bytes)?;
            walk(&map);
            cost(|| black_box(walk(&map))).0.wall_seconds
        };
        let (first, warm, back) = {
            let db = Db::open_with(dir.path(), one_piece())?;
            let snapshot = db.snapshot();
            let first = scan_seconds(&snapshot, &symbol, rows)?;
            let (back, done) = cost(|| scan_back(&snapshot, &symbol));
            done?;
            (first, scan_seconds(&snapshot, &symbol, rows)?, back.wall_seconds)
        };
        forget(&path)?;
        let disk = read_seconds(&path)?;
        forget(&path)?;
        let before = io_counter("read_bytes");
        let db = Db::open_with(dir.path(), one_piece())?;
        let cold = scan_seconds(&db.snapshot(), &symbol, rows)?;
        drop(db);
        if run == 0 && !setting.quick {
            continue;
        }
        from_disk.push((io_counter("read_bytes") - before) as f64 / bytes as f64 * 100.0);
        for (records, seconds) in records.iter_mut().zip([warm, first, back, cold]) {
            records.push(rows as f64 / seconds / 1e6);
        }
        for (rates, seconds) in rates.iter_mut().zip([warm, first, cold, walk, disk]) {
            rates.push(bytes as f64 / GIB / seconds);
        }
    }
    let sum = rates[3].times(rows as f64 / bytes as f64 * GIB / 1e6);
    let lines =
        [("warm", 0), ("at first touch: opened anew, file in the page cache", 1), ("warm, backward", 2)];
    for (what, at) in lines {
        Line {
            what: &format!("scan of one series, {rows} trades in one SSTable, {what}"),
            unit: "M records/s",
            measured: &records[at],
            baseline: Some(("sum of the same mapped bytes as words", &sum)),
            note: format!(
                "`ts` and `price` of each record; {:.0} bytes a record; one thread",
                bytes as f64 / rows as f64
            ),
        }
        .print();
    }
    Line {
        what: &format!("scan of one series, {rows} trades in one SSTable, cold"),
        unit: "GiB/s",
        measured: &rates[2],
        baseline: Some(("`read` of the same file, 1 MiB at a time, cold", &rates[4])),
        note: format!(
            "{} M records/s; the page cache was told to drop the file, {} % of it was read from the disk; the host may cache",
            records[3], from_disk
        ),
    }
    .print();
    Ok(())
}

/// Makes the table; the name of its one symbol.
fn write(dir: &Path, rows: u64) -> Result<String, AnyError> {
    let db = Db::open_with(dir, one_piece())?;
    let mut trades = Trades::new(1)?;
    let mut newest = None;
    for _ in 0..rows / 1_000 {
        newest = Some(db.submit(trades.batch(1_000, |_| {})?)?);
    }
    if let Some(pending) = newest {
        pending.wait()?;
    }
    db.flush()?;
    let symbol = trades.symbols().first().cloned().ok_or("there is no symbol")?;
    let shown = db.snapshot().visible_seq();
    db.close()?;
    if shown == rows { Ok(symbol) } else { Err(format!("{shown} rows were written, expected {rows}").into()) }
}

fn scan_seconds(snapshot: &Snapshot, symbol: &str, rows: u64) -> Result<f64, AnyError> {
    let (took, counted) = cost(|| -> Result<u64, AnyError> {
        let (mut count, mut times, mut sum) = (0, 0, 0.0);
        for trade in snapshot.scan::<Trade>(symbol, ..)? {
            let trade = trade?;
            times ^= trade.ts();
            sum += trade.price().unwrap_or(0.0);
            count += 1;
        }
        black_box((times, sum));
        Ok(count)
    });
    let counted = counted?;
    if counted == rows {
        Ok(took.wall_seconds)
    } else {
        Err(format!("{counted} rows, expected {rows}").into())
    }
}

fn scan_back(snapshot: &Snapshot, symbol: &str) -> Result<(), AnyError> {
    let (mut times, mut sum) = (0, 0.0);
    for trade in snapshot.scan_back::<Trade>(symbol, ..)? {
        let trade = trade?;
        times ^= trade.ts();
        sum += trade.price().unwrap_or(0.0);
    }
    black_box((times, sum));
    Ok(())
}

fn walk(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

/// Drops the file from the page cache; nobody may have it mapped. `dd` is told to read nothing and to keep nothing.
fn forget(path: &Path) -> Result<(), AnyError> {
    File::open(path)?.sync_all()?;
    let mut input = OsString::from("if=");
    input.push(path);
    let said = Command::new("dd").arg(input).args(["iflag=nocache", "count=0", "status=none"]).status()?;
    if said.success() { Ok(()) } else { Err("dd could not drop a file from the page cache".into()) }
}

fn read_seconds(path: &Path) -> Result<f64, AnyError> {
    let file = File::open(path)?;
    let mut buffer = vec![0; READ_BYTES];
    let (took, done) = cost(|| -> std::io::Result<()> {
        let mut offset = 0;
        loop {
            match file.read_at(&mut buffer, offset)? {
                0 => return Ok(()),
                read => offset += read as u64,
            }
        }
    });
    done?;
    Ok(took.wall_seconds)
}
