//! Compaction: carries out, one step at a time, what `tapebook_lsm::compaction` chooses.

mod dropping;
mod new_files;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tapebook_lsm::compaction::{
    Choice, CompactionOptions, Convert, Goal, Merge, MergeReason, Move, OpenFiles, Retention, choose,
    convert, rewrite,
};
use tapebook_lsm::manifest::layout::{history_name, table_name};
use tapebook_lsm::manifest::{LogRange, PARTITION_AS_FLUSHED, TableFile, Version, VersionEdit};
use tapebook_lsm::sstable::Table;
use tapebook_vfs::Clock;

use self::new_files::{NewFiles, origin};
use crate::commit::Committer;
use crate::files::describe_history;
use crate::flush::Flusher;
use crate::history_names::publish_names;
use crate::{CompactionError, CompactionStats, CompactionStep};

/// How long the compacting thread waits before it tries again after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// With so many flushed files that wait for their place, merging is no longer slowed down: what piles up costs every
/// read.
const PILE_UP_FILES: usize = 32;

/// How often the compacting thread looks whether a partition has become quiet.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Moves, merges, converts and drops files, one step at a time.
#[derive(Debug)]
pub(crate) struct Compactor {
    pub flusher: Arc<Flusher>,
    pub options: CompactionOptions,
    pub retention: Retention,
    /// Bytes of rows that merging may write in a second.
    pub bytes_per_second: Option<u64>,
    /// One step at a time. What was found out about files is kept from one to the next.
    known: Mutex<Known>,
    done: Mutex<CompactionStats>,
}

/// What is kept from one step to the next.
#[derive(Debug, Default)]
pub(crate) struct Known {
    files: OpenFiles,
    /// When something last came for each partition, by the monotonic clock; what is there when the database is opened
    /// came then.
    came: HashMap<u64, Duration>,
}

impl Known {
    fn note_time(&mut self, version: &Version, clock: &dyn Clock) {
        let now = clock.monotonic();
        let mut quiet = HashMap::new();
        for partition in version.partitions() {
            let came = *self.came.entry(partition.id).or_insert(now);
            quiet.insert(partition.id, now.saturating_sub(came));
        }
        self.came.retain(|id, _| quiet.contains_key(id));
        self.files.set_time(clock.unix_nanos(), quiet);
    }
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
    fn wait_for_change(&self, changes: u64, at_most: Duration) {
        let mut state = self.lock();
        state.failing = None;
        let unchanged = |state: &mut WakeState| state.changes == changes && !state.closing;
        let wait = self.changed.wait_timeout_while(state, at_most, unchanged);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
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
        retention: Retention,
        bytes_per_second: Option<u64>,
    ) -> Self {
        Self {
            flusher,
            options,
            retention,
            bytes_per_second,
            known: Mutex::default(),
            done: Mutex::default(),
        }
    }

    /// Waits until no step is taken, and lets none begin as long as the answer is held; `None` where a panic ended one. What was
    /// known of the files is forgotten.
    pub(crate) fn hold(&self) -> Option<MutexGuard<'_, Known>> {
        let mut known = self.known.lock().ok()?;
        *known = Known::default();
        Some(known)
    }

    /// Takes one step towards the goal; false where there is none to take.
    ///
    /// Rows are merged while nothing is locked: only flushes change files meanwhile, and they only add some.
    pub(crate) fn step(&self, committer: &Committer, goal: Goal) -> Result<bool, CompactionError> {
        let mut known = self.known.lock().map_err(|_| CompactionError::Interrupted)?;
        let version = {
            let files = self.flusher.files.lock().map_err(|_| CompactionError::Interrupted)?;
            // Under the lock of `files`, so that there is an open table for every file of the version.
            let committed = committer.lock_sound()?;
            let retractions = committed.applier.state.retractions.clone();
            let tables = committed.tables.iter().map(Arc::clone);
            known.files.replace(tables, committed.history.clone(), retractions);
            files.version()?
        };
        let clock = self.flusher.store.vfs.clock();
        known.note_time(&version, clock);
        let began = clock.monotonic();
        let mut step = match choose(&version, &known.files, &self.options, &self.retention, goal) {
            Choice::Nothing => return Ok(false),
            Choice::Move(chosen) => {
                let step = self.apply_move(&version, &chosen)?;
                known.came.insert(chosen.partition, began);
                step
            }
            Choice::Merge(chosen) => {
                let step = self.merge(committer, &version, &known.files, &chosen)?;
                if chosen.reason == MergeReason::Divide {
                    known.came.extend(chosen.slices.iter().map(|slice| (slice.partition, began)));
                }
                step
            }
            Choice::Convert(chosen) => self.convert(committer, &version, &known.files, &chosen)?,
            Choice::Drop(chosen) => self.drop_slices(committer, &version, &known.files, &chosen)?,
        };
        step.ended_at = clock.unix_nanos();
        step.took = clock.monotonic().saturating_sub(began);
        self.remember(step);
        Ok(true)
    }

    fn remember(&self, step: CompactionStep) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        match step.kind {
            MOVE => done.moves += 1,
            DROP => {
                done.drops += 1;
                done.dropped_rows += step.rows_dropped;
                done.dropped_bytes += step.bytes_before.saturating_sub(step.bytes_after);
                done.written_bytes += step.bytes_after;
            }
            kind => {
                match kind {
                    CONVERT => done.conversions += 1,
                    _ => done.merges += 1,
                }
                done.read_bytes += step.bytes_before;
                done.written_bytes += step.bytes_after;
            }
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
        let extent = Extent::of([(file.bytes, file.rows)]);
        Ok(step(MOVE, extent, extent))
    }

    fn merge(
        &self,
        committer: &Committer,
        version: &Version,
        known: &OpenFiles,
        chosen: &Merge,
    ) -> Result<CompactionStep, CompactionError> {
        let inputs = inputs(known, &chosen.inputs)?;
        let mut outputs = self.begin_outputs(committer, version, &inputs)?;
        let result =
            rewrite(&inputs, &chosen.slices, &[], self.options.file_bytes, &mut outputs).and_then(|()| {
                let used = |id: u64| outputs.tables.iter().any(|(file, _)| file.partition == id);
                let edit = VersionEdit {
                    tables_removed: chosen.inputs.clone(),
                    partitions_added: chosen.begun.iter().filter(|begun| used(begun.id)).copied().collect(),
                    partitions_removed: chosen.ended.into_iter().collect(),
                    ..VersionEdit::default()
                };
                self.replace(committer, edit, &outputs)
            });
        self.outcome(result, outputs, chosen.reason.name(), version, &chosen.inputs, &[])
    }

    /// A partition becomes history.
    fn convert(
        &self,
        committer: &Committer,
        version: &Version,
        known: &OpenFiles,
        chosen: &Convert,
    ) -> Result<CompactionStep, CompactionError> {
        let inputs = inputs(known, &chosen.inputs)?;
        let mut history = Vec::with_capacity(chosen.history.len());
        for file_id in &chosen.history {
            history.push(Arc::clone(known.history().file(*file_id).ok_or(CompactionError::Interrupted)?));
        }
        let mut outputs = self.begin_outputs(committer, version, &inputs)?;
        outputs.partition = Some(chosen.partition);
        let result = convert(&inputs, &history, known.retractions(), chosen.partition, &mut outputs)
            .and_then(|()| {
                let edit = VersionEdit {
                    tables_removed: chosen.inputs.clone(),
                    history_removed: chosen.history.clone(),
                    ..VersionEdit::default()
                };
                self.replace(committer, edit, &outputs)
            });
        self.outcome(result, outputs, CONVERT, version, &chosen.inputs, &chosen.history)
    }

    fn begin_outputs(
        &self,
        committer: &Committer,
        version: &Version,
        inputs: &[Arc<Table>],
    ) -> Result<NewFiles<'_>, CompactionError> {
        let files = || inputs.iter().filter_map(|input| version.table(input.identity().file_id));
        Ok(NewFiles {
            compactor: self,
            schemas: committer.lock_sound()?.applier.state.schemas.clone(),
            origin: origin(inputs),
            log_indexes: LogRange {
                first: files().map(|file| file.log_indexes.first).min().unwrap_or(0),
                last: files().map(|file| file.log_indexes.last).max().unwrap_or(0),
            },
            partition: None,
            began: self.flusher.store.vfs.clock().monotonic(),
            written: 0,
            begun: Vec::new(),
            tables: Vec::new(),
            history: Vec::new(),
        })
    }

    /// Tells what a step did, or removes what it left.
    fn outcome(
        &self,
        result: Result<(), CompactionError>,
        outputs: NewFiles<'_>,
        kind: &'static str,
        version: &Version,
        tables: &[u64],
        history: &[u64],
    ) -> Result<CompactionStep, CompactionError> {
        if let Err(error) = result {
            let mut files = self.flusher.files.lock().map_err(|_| CompactionError::Interrupted)?;
            if !files.is_unknown() {
                outputs.begun.iter().for_each(|file_id| self.flusher.store.abandon(*file_id));
                files.give_back(outputs.begun);
            }
            return Err(error);
        }
        let tables = tables.iter().filter_map(|file_id| version.table(*file_id));
        let history = history.iter().filter_map(|file_id| version.history_file(*file_id));
        let before = Extent::of(
            tables.map(|file| (file.bytes, file.rows)).chain(history.map(|file| (file.bytes, file.rows))),
        );
        let written = outputs.tables.iter().map(|(file, _)| (file.bytes, file.rows));
        let converted = outputs.history.iter().map(|file| (file.seal().file_bytes, file.rows()));
        Ok(step(kind, before, Extent::of(written.chain(converted))))
    }

    /// The new files take the place of those that `edit` removes: in the manifest, then in the snapshot, in one step
    /// each.
    fn replace(
        &self,
        committer: &Committer,
        edit: VersionEdit,
        outputs: &NewFiles<'_>,
    ) -> Result<(), CompactionError> {
        let (tables, history) = (edit.tables_removed.clone(), edit.history_removed.clone());
        let partition = outputs.partition;
        let described = partition
            .into_iter()
            .flat_map(|partition| outputs.history.iter().map(move |file| describe_history(file, &partition)));
        let mut files = self.flusher.files.lock().map_err(|_| CompactionError::Interrupted)?;
        files.commit(VersionEdit {
            tables_added: outputs.tables.iter().map(|(file, _)| file.clone()).collect(),
            history_added: described.collect(),
            ..edit
        })?;
        let mut committed = committer.lock_sound()?;
        committed.tables.retain(|table| !tables.contains(&table.identity().file_id));
        committed.tables.extend(outputs.tables.iter().map(|(_, table)| Arc::clone(table)));
        // Oldest first, as far as that can be said of files whose sequence numbers overlap.
        committed.tables.sort_by_key(|table| table.seq_range());
        let names_change = !history.is_empty() || !outputs.history.is_empty();
        if names_change {
            committed.history = committed.history.changed(&history, outputs.history.iter().cloned());
        }
        committer.publish_pieces(&mut committed);
        drop(committed);
        files.retire(tables.iter().map(|file_id| table_name(*file_id)));
        files.retire(history.iter().map(|file_id| history_name(*file_id)));
        // Who still reads the old files has them open. What cannot be done now is tried again with the next change.
        let store = &self.flusher.store;
        let mut tidied = Ok(());
        if names_change {
            tidied = publish_names(&*store.vfs, store.layout.root(), &*files.version()?);
        }
        tidied = tidied.and_then(|()| files.remove_retired(store));
        committer.flush.lock().leftovers = tidied.err().map(Arc::new);
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
/// What a partition that became history counts as.
const CONVERT: &str = "convert";
/// What slices that went count as.
const DROP: &str = "drop";

/// What files come to.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    files: u64,
    bytes: u64,
    rows: u64,
}

impl Extent {
    /// Of files by their bytes and rows.
    fn of(files: impl IntoIterator<Item = (u64, u64)>) -> Self {
        files.into_iter().fold(Self::default(), |sum, (bytes, rows)| Self {
            files: sum.files + 1,
            bytes: sum.bytes + bytes,
            rows: sum.rows + rows,
        })
    }
}

/// The open tables of these numbers.
fn inputs(known: &OpenFiles, file_ids: &[u64]) -> Result<Vec<Arc<Table>>, CompactionError> {
    file_ids.iter().map(|id| known.get(*id).cloned().ok_or(CompactionError::Interrupted)).collect()
}

/// A step with what there was before and after; its times are still to be filled in.
fn step(kind: &'static str, before: Extent, after: Extent) -> CompactionStep {
    CompactionStep {
        ended_at: 0,
        kind,
        files_before: before.files,
        bytes_before: before.bytes,
        files_after: after.files,
        bytes_after: after.bytes,
        rows_dropped: before.rows.saturating_sub(after.rows),
        took: Duration::ZERO,
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
            Ok(false) => {
                let allowance = compactor.options.late_allowance.unwrap_or(LOOK_EVERY);
                wake.wait_for_change(changes, allowance.clamp(Duration::from_millis(10), LOOK_EVERY));
            }
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
