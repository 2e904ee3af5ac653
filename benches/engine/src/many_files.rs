//! A database of many small history files: what opening it takes, and what a conversion takes beside them.

use std::path::Path;
use std::sync::Arc;

use tapebook::{Batch, CompactionGoal, Db, Durability, Options};
use tapebook_history::{HistoryIdentity, HistoryWriter, WriterOptions};
use tapebook_lsm::compaction::slice_name;
use tapebook_lsm::key::TimeRange;
use tapebook_lsm::manifest::layout::{HISTORY_FOLDER, history_name};
use tapebook_lsm::manifest::{HistoryFile, Identity, Manifest, Partition, SeqRange, VersionEdit};
use tapebook_market::generator;
use tapebook_record::{RawRecord, StandardTable, TableSchema, Trade};
use tapebook_vfs::{RealVfs, Vfs};

use crate::AnyError;
use crate::measure::{Runs, anonymous_mib, cost};
use crate::report::Line;
use crate::setting::Setting;

/// Ten years of twelve tables are 43,000 slices.
const FILES: u64 = 16_000;
const SYMBOLS: u32 = 20;
const ROWS_PER_FILE: usize = 200;
const DAY_NANOS: i64 = 24 * 60 * 60 * 1_000_000_000;
/// A midnight.
const FIRST_DAY: i64 = 946_684_800_000_000_000;
const FILES_PER_EDIT: usize = 500;

/// Opens and closes the database twice, then converts two more days.
pub fn open(setting: &Setting) -> Result<(), AnyError> {
    let dir = setting.scratch()?;
    let files = setting.size(FILES);
    make(dir.path(), files)?;
    for what in ["first, which makes the names", "again"] {
        let before = anonymous_mib();
        let (cost, db) = cost(|| Db::open(dir.path()));
        let db = db?;
        Line {
            what: &format!("open with {files} history files, {what}"),
            unit: "s",
            measured: &Runs::from_iter([cost.wall_seconds]),
            baseline: None,
            note: format!(
                "processor {:.3} s; {} descriptors; {:.0} MiB more in memory; one run",
                cost.cpu_seconds,
                std::fs::read_dir("/proc/self/fd")?.count(),
                anonymous_mib() - before
            ),
        }
        .print();
        db.close()?;
    }
    let db = Db::open_with(dir.path(), Options { background: false, ..Options::default() })?;
    append(&db, day(files + 1))?;
    db.flush()?;
    let (cost, steps) = cost(|| db.compact(CompactionGoal::History).map_err(AnyError::from));
    Line {
        what: &format!("two more days become history beside {files} files"),
        unit: "s",
        measured: &Runs::from_iter([cost.wall_seconds]),
        baseline: None,
        note: format!("{} steps of compaction; one run", steps?),
    }
    .print();
    Ok(())
}

/// When a day begins.
fn day(number: u64) -> i64 {
    FIRST_DAY + number as i64 * DAY_NANOS
}

fn append(db: &Db, from: i64) -> Result<(), AnyError> {
    let mut batch = Batch::new();
    generator::ticks(1, SYMBOLS, 0.0)?.trades(1.0).start(from).fill_batch(&mut batch, ROWS_PER_FILE)?;
    db.append(batch, Durability::Synced)?.wait()?;
    Ok(())
}

/// A database with one day in an SSTable, and the same rows as history of each of the days after it.
fn make(dir: &Path, files: u64) -> Result<(), AnyError> {
    // Without threads, so that nothing is moved into a partition meanwhile.
    let db = Db::open_with(dir, Options { background: false, ..Options::default() })?;
    append(&db, day(0))?;
    db.flush()?;
    let snapshot = db.snapshot();
    let rows = snapshot.scan_table(Trade::ID, TimeRange::ALL).collect::<Result<Vec<_>, _>>()?;
    let schema = snapshot.schemas().get(Trade::ID).ok_or("there are no trades")?;
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let identity = Identity::read(&*vfs, dir)?;
    db.close()?;
    let (mut manifest, version) = Manifest::open(Arc::clone(&vfs), dir, identity)?;
    let first_id = version.next_file_id();
    let mut edit = VersionEdit::default();
    for at in 0..files {
        let shifted: Vec<RawRecord<'_>> = rows
            .iter()
            .map(|row| row.raw())
            .map(|row| RawRecord { ts: row.ts - day(0) + day(at + 1), ..row })
            .collect();
        let first = day(at + 1);
        let partition = Partition { id: at + 1, times: TimeRange { first, last: first + DAY_NANOS - 1 } };
        let file = write(&*vfs, dir, &identity, first_id + at, schema, &shifted, &partition)?;
        edit.partitions_added.push(partition);
        edit.history_added.push(file);
        if edit.history_added.len() == FILES_PER_EDIT || at + 1 == files {
            edit.next_file_id = Some(first_id + at + 1);
            manifest.commit(&std::mem::take(&mut edit))?;
        }
    }
    Ok(manifest.close()?)
}

fn write(
    vfs: &dyn Vfs,
    dir: &Path,
    identity: &Identity,
    file_id: u64,
    schema: &Arc<TableSchema>,
    rows: &[RawRecord<'_>],
    partition: &Partition,
) -> Result<HistoryFile, AnyError> {
    let identity = HistoryIdentity { cluster_id: identity.cluster_id, file_id };
    let path = dir.join(history_name(file_id));
    let mut writer = HistoryWriter::create(vfs, &path, identity, schema, WriterOptions::default())?;
    writer.add(rows)?;
    let written = writer.finish(0)?;
    Ok(HistoryFile {
        file_id,
        table: schema.id,
        partition: partition.id,
        rows: written.rows,
        times: TimeRange { first: *written.times.start(), last: *written.times.end() },
        seqs: SeqRange { first: *written.seqs.start(), last: *written.seqs.end() },
        bytes: written.seal.file_bytes,
        tail_bytes: written.seal.tail_bytes,
        tail_crc: written.seal.tail_crc,
        path: format!("{HISTORY_FOLDER}/{}/{}.parquet", schema.name, slice_name(partition.times)),
    })
}
