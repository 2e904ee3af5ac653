//! Compaction: carries out, one step at a time, what `tapebook_lsm::compaction` chooses.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tapebook_lsm::compaction::{
    Choice, CompactionOptions, Goal, Merge, Move, OpenTables, Outputs, Slice, choose, rewrite,
};
use tapebook_lsm::manifest::layout::table_name;
use tapebook_lsm::manifest::{LogRange, PARTITION_AS_FLUSHED, TableFile, Version, VersionEdit};
use tapebook_lsm::sstable::{Table, TableMeta, TableWriter};
use tapebook_record::Schemas;

use crate::commit::Committer;
use crate::files::describe;
use crate::flush::Flusher;
use crate::{CompactionError, CompactionStats, CompactionStep, FlushError};

/// How long the compacting thread waits before it tries again after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// With so many flushed files that wait for their place, merging is no longer slowed down: what piles up costs every
/// read.
const PILE_UP_FILES: usize = 32;

/// Moves and merges files, one step at a time.
#[derive(Debug)]
pub(crate) struct Compactor {
    pub flusher: Arc<Flusher>,
    pub options: CompactionOptions,
    /// Bytes of rows that merging may write in a second.
    pub bytes_per_second: Option<u64>,
    /// One step at a time. What was found out about files is kept from one to the next.
    known: Mutex<OpenTables>,
    done: Mutex<CompactionStats>,
}

/// How many steps are remembered.
const RECENT_MAX: usize = 100;

/// Where the compacting thread waits for work.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    state: Mutex<WakeState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct WakeState {
    /// Counts the changes that may be work.
    changes: u64,
    closing: bool,
    /// The newest failure, while compacting fails.
    failing: Option<Arc<CompactionError>>,
}

impl Wake {
    fn lock(&self) -> MutexGuard<'_, WakeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be something to do.
    pub(crate) fn wake(&self) {
        self.lock().changes += 1;
        self.changed.notify_all();
    }

    /// Ends what is being merged, and the thread.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    pub(crate) fn failing(&self) -> Option<Arc<CompactionError>> {
        self.lock().failing.clone()
    }

    /// Nothing fails and there is nothing to do: waits until that may be different.
    fn wait_for_change(&self, changes: u64) {
        let mut state = self.lock();
        state.failing = None;
        let unchanged = |state: &mut WakeState| state.changes == changes && !state.closing;
        drop(self.changed.wait_while(state, unchanged).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits that long; false where it is closing.
    fn pause(&self, at_most: Duration) -> bool {
        let state = self.lock();
        let wait = self.changed.wait_timeout_while(state, at_most, |state| !state.closing);
        !wait.unwrap_or_else(PoisonError::into_inner).0.closing
    }
}

impl Compactor {
    pub(crate) fn new(
        flusher: Arc<Flusher>,
        options: CompactionOptions,
        bytes_per_second: Option<u64>,
    ) -> Self {
        Self { flusher, options, bytes_per_second, known: Mutex::default(), done: Mutex::default() }
    }

    /// Takes one step towards the goal; false where there is none to take.
    ///
    /// Rows are merged while nothing is locked: only flushes change files meanwhile, and they only add some.
    pub(crate) fn step(&self, committer: &Committer, goal: Goal) -> Result<bool, CompactionError> {
        let mut known = self.known.lock().map_err(|_| CompactionError::Interrupted)?;
        let version = {
            let files = self.flusher.files.lock().map_err(|_| CompactionError::Interrupted)?;
            // Under the lock of `files`, so that there is an open table for every file of the version.
            known.replace(committer.lock_sound()?.tables.iter().map(Arc::clone));
            files.version()?
        };
        let clock = self.flusher.store.vfs.clock();
        let began = clock.monotonic();
        let mut step = match choose(&version, &*known, &self.options, goal) {
            Choice::Nothing => return Ok(false),
            Choice::Move(chosen) => self.apply_move(&version, &chosen)?,
            Choice::Merge(chosen) => self.merge(committer, &version, &known, &chosen)?,
        };
        step.ended_at = clock.unix_nanos();
        step.took = clock.monotonic().saturating_sub(began);
        self.remember(step);
        Ok(true)
    }

    fn remember(&self, step: CompactionStep) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if step.kind == MOVE {
            done.moves += 1;
        } else {
            done.merges += 1;
            done.read_bytes += step.bytes_before;
            done.written_bytes += step.bytes_after;
        }
        if done.recent.len() == RECENT_MAX {
            done.recent.remove(0);
        }
        done.recent.push(step);
    }

    fn apply_move(&self, version: &Version, chosen: &Move) -> Result<CompactionStep, CompactionError> {
        let file = version.table(chosen.file_id).ok_or(CompactionError::Interrupted)?;
        let moved = TableFile { level: chosen.level, partition: chosen.partition, ..TableFile::clone(file) };
        let mut files = self.flusher.files.lock().map_err(|_| CompactionError::Interrupted)?;
        files.commit(VersionEdit {
            tables_removed: vec![chosen.file_id],
            tables_added: vec![moved],
            partitions_added: chosen.begun.clone(),
            ..VersionEdit::default()
        })?;
        let (files, bytes) = (1, file.bytes);
        Ok(step(MOVE, (files, bytes), (files, bytes)))
    }

    fn merge(
        &self,
        committer: &Committer,
        version: &Version,
        known: &OpenTables,
        chosen: &Merge,
    ) -> Result<CompactionStep, CompactionError> {
        let mut inputs = Vec::with_capacity(chosen.inputs.len());
        for file_id in &chosen.inputs {
            inputs.push(Arc::clone(known.get(*file_id).ok_or(CompactionError::Interrupted)?));
        }
        let files: Vec<_> = chosen.inputs.iter().filter_map(|file_id| version.table(*file_id)).collect();
        let mut outputs = NewFiles {
            compactor: self,
            schemas: committer.lock_sound()?.applier.state.schemas.clone(),
            origin: origin(&inputs),
            log_indexes: LogRange {
                first: files.iter().map(|file| file.log_indexes.first).min().unwrap_or(0),
                last: files.iter().map(|file| file.log_indexes.last).max().unwrap_or(0),
            },
            began: self.flusher.store.vfs.clock().monotonic(),
            written: 0,
            begun: Vec::new(),
            done: Vec::new(),
        };
        let result = rewrite(&inputs, &chosen.slices, self.options.file_bytes, &mut outputs)
            .and_then(|()| self.replace(committer, chosen, &outputs));
        if let Err(error) = result {
            let mut files = self.flusher.files.lock().map_err(|_| CompactionError::Interrupted)?;
            if !files.is_unknown() {
                outputs.begun.iter().for_each(|file_id| self.flusher.store.abandon(*file_id));
                files.give_back(outputs.begun);
            }
            return Err(error);
        }
        let read = files.iter().map(|file| file.bytes).sum();
        let written = outputs.done.iter().map(|(file, _)| file.bytes).sum();
        let (before, after) = ((files.len() as u64, read), (outputs.done.len() as u64, written));
        Ok(step(chosen.reason.name(), before, after))
    }

    /// The new files take the place of the old ones: in the manifest, then in the snapshot, in one step each.
    fn replace(
        &self,
        committer: &Committer,
        chosen: &Merge,
        outputs: &NewFiles<'_>,
    ) -> Result<(), CompactionError> {
        let used = |id: u64| outputs.done.iter().any(|(file, _)| file.partition == id);
        let mut files = self.flusher.files.lock().map_err(|_| CompactionError::Interrupted)?;
        files.commit(VersionEdit {
            tables_removed: chosen.inputs.clone(),
            tables_added: outputs.done.iter().map(|(file, _)| file.clone()).collect(),
            partitions_added: chosen.begun.iter().filter(|begun| used(begun.id)).copied().collect(),
            partitions_removed: chosen.ended.into_iter().collect(),
            ..VersionEdit::default()
        })?;
        let mut committed = committer.lock_sound()?;
        committed.tables.retain(|table| !chosen.inputs.contains(&table.identity().file_id));
        committed.tables.extend(outputs.done.iter().map(|(_, table)| Arc::clone(table)));
        // Oldest first, as far as that can be said of files whose sequence numbers overlap.
        committed.tables.sort_by_key(|table| table.seq_range());
        committer.publish_pieces(&mut committed);
        drop(committed);
        files.retire(chosen.inputs.iter().map(|file_id| table_name(*file_id)));
        // Who still reads the old files has them open. What cannot be removed now is tried again with the next change.
        let leftovers = files.remove_retired(&self.flusher.store);
        committer.flush.lock().leftovers = leftovers.err().map(Arc::new);
        Ok(())
    }

    fn files_pile_up(&self) -> bool {
        let version = self.flusher.current.load();
        let waits = |file: &&Arc<TableFile>| file.partition == PARTITION_AS_FLUSHED;
        version.level(0).iter().filter(waits).count() >= PILE_UP_FILES
    }

    pub(crate) fn stats(&self) -> CompactionStats {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let failing = self.flusher.compaction.failing().map(|error| error.to_string());
        CompactionStats { failing, ..done }
    }
}

/// What a file that was moved as it is counts as.
const MOVE: &str = "move";

/// A step with files and bytes before and after; its times are still to be filled in.
fn step(kind: &'static str, before: (u64, u64), after: (u64, u64)) -> CompactionStep {
    CompactionStep {
        ended_at: 0,
        kind,
        files_before: before.0,
        bytes_before: before.1,
        files_after: after.0,
        bytes_after: after.1,
        took: Duration::ZERO,
    }
}

/// Where the rows of the inputs come from, together.
fn origin(inputs: &[Arc<Table>]) -> TableMeta {
    let metas = || inputs.iter().map(|input| input.meta());
    TableMeta {
        log_index_first: metas().map(|meta| meta.log_index_first).min().unwrap_or(0),
        log_index_last: metas().map(|meta| meta.log_index_last).max().unwrap_or(0),
        term_min: metas().map(|meta| meta.term_min).min().unwrap_or(0),
        term_max: metas().map(|meta| meta.term_max).max().unwrap_or(0),
        retractions_through: metas().map(|meta| meta.retractions_through).min().unwrap_or(0),
        ..TableMeta::default()
    }
}

/// The files that a merge writes.
struct NewFiles<'a> {
    compactor: &'a Compactor,
    schemas: Schemas,
    origin: TableMeta,
    log_indexes: LogRange,
    began: Duration,
    written: u64,
    /// Every file that was begun.
    begun: Vec<u64>,
    done: Vec<(TableFile, Arc<Table>)>,
}

impl Outputs for NewFiles<'_> {
    type Error = CompactionError;

    fn begin(&mut self, _: &Slice) -> Result<TableWriter, CompactionError> {
        let flusher = &self.compactor.flusher;
        let file_id = flusher.files.lock().map_err(|_| CompactionError::Interrupted)?.take_id();
        self.begun.push(file_id);
        Ok(flusher.store.begin(file_id, &self.schemas)?)
    }

    fn end(&mut self, slice: &Slice, writer: TableWriter) -> Result<(), CompactionError> {
        let file_id = writer.identity().file_id;
        let meta = TableMeta { level: u32::from(slice.level), partition: slice.times, ..self.origin };
        let table = self.compactor.flusher.store.end(file_id, writer, meta)?;
        self.done.push((describe(&table, slice.level, slice.partition, self.log_indexes), table));
        Ok(())
    }

    /// Waits as long as the bytes so far should have taken. What is closing does not wait for a merge to end.
    fn pace(&mut self, bytes: u64) -> Result<(), CompactionError> {
        self.written += bytes;
        let wake = &self.compactor.flusher.compaction;
        let due = match self.compactor.bytes_per_second {
            Some(rate) if !self.compactor.files_pile_up() => {
                let should = Duration::from_secs_f64(self.written as f64 / rate.max(1) as f64);
                let clock = self.compactor.flusher.store.vfs.clock();
                should.saturating_sub(clock.monotonic().saturating_sub(self.began))
            }
            _ => Duration::ZERO,
        };
        if wake.pause(due) { Ok(()) } else { Err(CompactionError::Files(FlushError::Closed)) }
    }
}

/// The compacting thread: takes steps while there are some, tries again where one fails, ends when asked.
pub(crate) fn run(compactor: &Compactor, committer: &Committer) {
    let wake = &compactor.flusher.compaction;
    let _end = TellTheEnd(wake);
    loop {
        let changes = {
            let state = wake.lock();
            if state.closing {
                return;
            }
            state.changes
        };
        match compactor.step(committer, Goal::Bounded) {
            Ok(true) => wake.lock().failing = None,
            Ok(false) => wake.wait_for_change(changes),
            Err(error) => {
                wake.lock().failing = Some(Arc::new(error));
                wake.pause(RETRY_AFTER);
            }
        }
    }
}

/// A compacting thread that a panic ended says so.
struct TellTheEnd<'a>(&'a Wake);

impl Drop for TellTheEnd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().failing = Some(Arc::new(CompactionError::Interrupted));
        }
    }
}
