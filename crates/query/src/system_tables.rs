//! The tables of schema `sys`: what the database says about itself, as of the query's snapshot, or a moment after it. What
//! queries run is looked at when a query begins to read it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, StringArray, TimestampNanosecondArray, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use tapebook::{
    Change, CompactionStep, DbStats, FeedGap, FeedNumbers, FeedOverflow, HistoryFile, ProducerState,
    Retraction, Snapshot, SsTable, SystemView, TableSchema,
};

use crate::running::{Entry, RunningQueries};

/// The names that [`table`] knows.
pub(crate) const NAMES: [&str; 10] = [
    "tables",
    "symbols",
    "sstables",
    "history",
    "compactions",
    "wal",
    "retractions",
    "producers",
    "gaps",
    "queries",
];

/// The system table with that name.
pub(crate) fn table(
    name: &str,
    snapshot: &Snapshot,
    stats: &DbStats,
    view: &SystemView,
    running: &Arc<RunningQueries>,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let batch = match name {
        "tables" => tables(snapshot)?,
        "symbols" => symbols(snapshot)?,
        "sstables" => sstables(snapshot, stats)?,
        "history" => history(snapshot, stats)?,
        "compactions" => compactions(stats)?,
        "wal" => wal(snapshot, stats)?,
        "retractions" => retractions(snapshot)?,
        "producers" => producers(view)?,
        "gaps" => gaps(snapshot, view)?,
        "queries" => {
            let now = RunningNow { schema: queries(running)?.schema(), running: Arc::clone(running) };
            let schema = Arc::clone(&now.schema);
            return Ok(Some(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(now)])?)));
        }
        _ => return Ok(None),
    };
    let schema = batch.schema();
    Ok(Some(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?)))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn tables(snapshot: &Snapshot) -> Result<RecordBatch> {
    let schemas: Vec<_> = snapshot.schemas().iter().collect();
    let counted: Vec<(u64, u64)> =
        schemas.iter().map(|table| symbols_and_rows(snapshot, table)).collect::<Result<_>>()?;
    batch(vec![
        ("name", Arc::new(StringArray::from_iter_values(schemas.iter().map(|table| &*table.name)))),
        ("table_id", Arc::new(UInt16Array::from_iter_values(schemas.iter().map(|table| table.id.0)))),
        ("layout", Arc::new(UInt16Array::from_iter_values(schemas.iter().map(|table| table.layout)))),
        ("symbols", Arc::new(UInt64Array::from_iter_values(counted.iter().map(|counted| counted.0)))),
        ("rows", Arc::new(UInt64Array::from_iter_values(counted.iter().map(|counted| counted.1)))),
    ])
}

/// Of what a table shows: symbols, and rows.
fn symbols_and_rows(snapshot: &Snapshot, table: &TableSchema) -> Result<(u64, u64)> {
    let (mut symbols, mut rows) = (0, 0);
    for name in snapshot.symbols_of(table.id) {
        let shown = snapshot
            .count_series(table.id, name)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        symbols += u64::from(shown > 0);
        rows += shown;
    }
    Ok((symbols, rows))
}

fn symbols(snapshot: &Snapshot) -> Result<RecordBatch> {
    let symbols = snapshot.symbols();
    let handles = symbols.handles_by_rank();
    let names = handles.iter().map(|handle| symbols.name(*handle).unwrap_or_default());
    batch(vec![
        ("symbol", Arc::new(StringArray::from_iter_values(names))),
        ("handle", Arc::new(UInt32Array::from_iter_values(handles.iter().copied()))),
        ("rank", Arc::new(UInt32Array::from_iter_values(0..handles.len() as u32))),
    ])
}

/// Every retraction that was made. `table` is a word of SQL, so the column is `table_name`.
fn retractions(snapshot: &Snapshot) -> Result<RecordBatch> {
    let all: Vec<&Retraction> = snapshot.retractions().iter().map(|retraction| &**retraction).collect();
    let number = |value: fn(&Retraction) -> Option<u64>| -> ArrayRef {
        Arc::new(UInt64Array::from_iter(all.iter().map(|retraction| value(retraction))))
    };
    let time = |value: fn(&Retraction) -> Option<i64>| -> ArrayRef {
        let times = TimestampNanosecondArray::from_iter(all.iter().map(|retraction| value(retraction)));
        Arc::new(times.with_timezone("UTC"))
    };
    let reason = |change: Option<&Change>| -> Option<String> {
        change.map(|change| change.reason.clone()).filter(|reason| !reason.is_empty())
    };
    let text = |value: &dyn Fn(&Retraction) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(all.iter().map(|retraction| value(retraction))))
    };
    let name = |retraction: &Retraction| {
        snapshot.schemas().get(retraction.table).map(|schema| schema.name.to_string())
    };
    batch(vec![
        ("id", number(|retraction| Some(retraction.id))),
        ("table_name", text(&name)),
        ("from_seq", number(|retraction| Some(retraction.seqs.first))),
        ("to_seq", number(|retraction| Some(retraction.seqs.last))),
        ("reason", text(&|retraction| reason(Some(&retraction.made)))),
        ("made_at_seq", number(|retraction| Some(retraction.made.at_seq))),
        ("made_at", time(|retraction| Some(retraction.made.at))),
        ("undone_at_seq", number(|retraction| retraction.undone.as_ref().map(|undone| undone.at_seq))),
        ("undone_at", time(|retraction| retraction.undone.as_ref().map(|undone| undone.at))),
        ("undone_reason", text(&|retraction| reason(retraction.undone.as_ref()))),
    ])
}

/// Every producer that was ever heard of. `window` is how many of its last batches are answered with their receipts.
fn producers(view: &SystemView) -> Result<RecordBatch> {
    let all = view.producers();
    let number = |value: fn(&ProducerState) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(all.iter().map(|(_, state)| value(state))))
    };
    let seen_at = TimestampNanosecondArray::from_iter_values(all.iter().map(|(_, state)| state.seen_at));
    let overflows: Vec<FeedOverflow> = all.iter().map(|(id, _)| view.feed_overflow(*id)).collect();
    let overflow = |value: fn(&FeedOverflow) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(overflows.iter().map(value)))
    };
    let expired: Vec<bool> = all.iter().map(|(_, state)| state.expired).collect();
    batch(vec![
        ("producer_id", Arc::new(UInt64Array::from_iter_values(all.iter().map(|(id, _)| *id)))),
        ("epoch", number(|state| state.epoch.into())),
        ("last_batch_number", number(|state| state.last_number)),
        ("window", number(|state| state.receipts.len() as u64)),
        ("last_seq", number(|state| state.last_seq)),
        ("seen_at", Arc::new(seen_at.with_timezone("UTC"))),
        ("expired", Arc::new(BooleanArray::from(expired))),
        ("feed", Arc::new(StringArray::from_iter_values(all.iter().map(|(_, state)| feed(state.feed))))),
        ("gaps_unlisted", overflow(|overflow| overflow.gaps_unlisted)),
        ("rows_unwatched", overflow(|overflow| overflow.rows_unwatched)),
    ])
}

/// What a feed's numbers mean, in a word or two.
fn feed(numbers: FeedNumbers) -> String {
    match numbers {
        FeedNumbers::None => "none".to_owned(),
        FeedNumbers::PerSymbol => "per symbol".to_owned(),
        FeedNumbers::PerChannel => "per channel".to_owned(),
        FeedNumbers::Ranges => "ranges".to_owned(),
        FeedNumbers::Backfill { of } => format!("backfill of {of}"),
        _ => "other".to_owned(),
    }
}

/// Numbers that are missing in feeds, and the newest ones that were and have come. Table and symbol are NULL where the numbers belong
/// to the producer as a whole.
fn gaps(snapshot: &Snapshot, view: &SystemView) -> Result<RecordBatch> {
    let all = view.feed_gaps();
    let number = |value: fn(&FeedGap) -> Option<u64>| -> ArrayRef {
        Arc::new(UInt64Array::from_iter(all.iter().map(value)))
    };
    let time = |value: fn(&FeedGap) -> Option<i64>| -> ArrayRef {
        let times = TimestampNanosecondArray::from_iter(all.iter().map(value));
        Arc::new(times.with_timezone("UTC"))
    };
    let table = |gap: &FeedGap| Some(snapshot.schemas().get(gap.table?)?.name.to_string());
    batch(vec![
        ("producer_id", number(|gap| Some(gap.producer))),
        ("table_name", Arc::new(StringArray::from_iter(all.iter().map(table)))),
        ("symbol", Arc::new(StringArray::from_iter(all.iter().map(|gap| gap.symbol.as_deref())))),
        ("from_feed_seq", number(|gap| Some(gap.first_feed_seq))),
        ("to_feed_seq", number(|gap| Some(gap.last_feed_seq))),
        ("seen_seq", number(|gap| Some(gap.seen_seq))),
        ("seen_at", time(|gap| Some(gap.seen_at))),
        ("closed_seq", number(|gap| gap.closed_seq)),
        ("closed_at", time(|gap| gap.closed_at)),
    ])
}

/// The queries that run when it is read, the one that reads it among them.
#[derive(Debug)]
struct RunningNow {
    schema: SchemaRef,
    running: Arc<RunningQueries>,
}

impl PartitionStream for RunningNow {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch = queries(&self.running);
        let schema = Arc::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(async move { batch })))
    }
}

fn queries(running: &RunningQueries) -> Result<RecordBatch> {
    let entries = running.entries();
    let number = |value: fn(&Entry) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(entries.iter().map(|entry| value(entry))))
    };
    let text = |value: fn(&Entry) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(entries.iter().map(|entry| value(entry))))
    };
    let started_at = TimestampNanosecondArray::from_iter_values(entries.iter().map(|entry| entry.started_at));
    batch(vec![
        ("id", number(|entry| entry.id)),
        ("caller", text(|entry| &entry.caller)),
        ("started_at", Arc::new(started_at.with_timezone("UTC"))),
        ("rows", number(Entry::rows)),
        ("memory_bytes", number(Entry::memory_bytes)),
        ("sql", text(|entry| &entry.sql)),
    ])
}

fn sstables(snapshot: &Snapshot, stats: &DbStats) -> Result<RecordBatch> {
    let files = &snapshot.pieces().tables;
    let number = |value: fn(&SsTable) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(files.iter().map(|file| value(file))))
    };
    let time = |value: fn(&SsTable) -> i64| -> ArrayRef {
        let times = TimestampNanosecondArray::from_iter_values(files.iter().map(|file| value(file)));
        Arc::new(times.with_timezone("UTC"))
    };
    // The snapshot knows the files, the version where they belong. A file that just came or went is in one of them only.
    let places: Vec<_> = files.iter().map(|file| stats.version.table(file.identity().file_id)).collect();
    let place = |value: fn(&tapebook::TableFile) -> Option<u64>| -> ArrayRef {
        Arc::new(UInt64Array::from_iter(places.iter().map(|place| place.and_then(|file| value(file)))))
    };
    batch(vec![
        ("file_id", number(|file| file.identity().file_id)),
        ("level", place(|file| Some(file.level.into()))),
        ("partition", place(|file| Some(file.partition).filter(|partition| *partition > 0))),
        ("rows", number(|file| file.rows())),
        ("bytes", number(|file| file.file_bytes())),
        ("first_ts", time(|file| file.time_range().first)),
        ("last_ts", time(|file| file.time_range().last)),
        ("first_seq", number(|file| file.seq_range().map_or(0, |seqs| seqs.0))),
        ("last_seq", number(|file| file.seq_range().map_or(0, |seqs| seqs.1))),
        ("expires_at", timestamps(files.iter().map(|file| table_expires_at(file, stats)))),
    ])
}

/// When all that a file holds is too old to be kept: with the last of its tables.
fn table_expires_at(file: &SsTable, stats: &DbStats) -> Option<i64> {
    let of_table = |table: &tapebook::SsTableStats| {
        let last = file.series_of(table.table).map(|series| series.time_range().last).max()?;
        stats.retention.of(table.table).expires_at(last)
    };
    let all: Option<Vec<i64>> = file.tables().iter().map(of_table).collect();
    all?.into_iter().max()
}

fn timestamps(times: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter(times).with_timezone("UTC"))
}

/// The history files; `path` is the name by which other programs read one, below the data directory.
fn history(snapshot: &Snapshot, stats: &DbStats) -> Result<RecordBatch> {
    let files: Vec<&HistoryFile> = stats.version.history().map(|file| &**file).collect();
    let number = |value: fn(&HistoryFile) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(files.iter().map(|file| value(file))))
    };
    let time = |value: fn(&HistoryFile) -> i64| -> ArrayRef {
        let times = TimestampNanosecondArray::from_iter_values(files.iter().map(|file| value(file)));
        Arc::new(times.with_timezone("UTC"))
    };
    let table = |file: &HistoryFile| snapshot.schemas().get(file.table).map(|schema| schema.name.to_string());
    let expires_at = |file: &HistoryFile| stats.retention.of(file.table).expires_at(file.times.last);
    batch(vec![
        ("file_id", number(|file| file.file_id)),
        ("table_name", Arc::new(StringArray::from_iter(files.iter().map(|file| table(file))))),
        ("partition", number(|file| file.partition)),
        ("rows", number(|file| file.rows)),
        ("bytes", number(|file| file.bytes)),
        ("first_ts", time(|file| file.times.first)),
        ("last_ts", time(|file| file.times.last)),
        ("first_seq", number(|file| file.seqs.first)),
        ("last_seq", number(|file| file.seqs.last)),
        ("expires_at", timestamps(files.iter().map(|file| expires_at(file)))),
        ("path", Arc::new(StringArray::from_iter_values(files.iter().map(|file| file.path.as_str())))),
    ])
}

fn compactions(stats: &DbStats) -> Result<RecordBatch> {
    let steps = &stats.compaction.recent;
    let number = |value: fn(&CompactionStep) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(steps.iter().map(value)))
    };
    let ended_at = TimestampNanosecondArray::from_iter_values(steps.iter().map(|step| step.ended_at));
    batch(vec![
        ("ended_at", Arc::new(ended_at.with_timezone("UTC"))),
        ("kind", Arc::new(StringArray::from_iter_values(steps.iter().map(|step| step.kind)))),
        ("files_before", number(|step| step.files_before)),
        ("bytes_before", number(|step| step.bytes_before)),
        ("files_after", number(|step| step.files_after)),
        ("bytes_after", number(|step| step.bytes_after)),
        ("rows_dropped", number(|step| step.rows_dropped)),
        ("took_nanos", number(|step| u64::try_from(step.took.as_nanos()).unwrap_or(u64::MAX))),
    ])
}

fn wal(snapshot: &Snapshot, stats: &DbStats) -> Result<RecordBatch> {
    let one = |value: u64| -> ArrayRef { Arc::new(UInt64Array::from(vec![value])) };
    batch(vec![
        ("last_seq", one(snapshot.visible_seq())),
        ("rows_applied", one(stats.rows_applied)),
        ("memtable_bytes", one(stats.memtable_bytes)),
        ("frozen_memtables", one(stats.frozen_memtables as u64)),
        ("pinned_memtables", one(stats.pinned.memtables as u64)),
        ("pinned_bytes", one(stats.pinned.bytes)),
        ("reads_ended", one(stats.pinned.reads_ended)),
        ("stalls", one(stats.stalls)),
        ("stall_nanos", one(u64::try_from(stats.stall_time.as_nanos()).unwrap_or(u64::MAX))),
        ("unsynced_bytes", one(stats.wal.unsynced_bytes)),
        ("flush_failing", Arc::new(StringArray::from(vec![stats.flush_failing.clone()]))),
    ])
}
