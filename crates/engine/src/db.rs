//! One database on one machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tapebook_lsm::manifest::Version;
use tapebook_lsm::snapshot::Snapshot;
use tapebook_record::{Batch, EncodedBatch, SharedBytes};
use tapebook_vfs::{DirLock, Vfs};
use tapebook_wal::{EntryKind, Wal};

use crate::append::{Durability, PendingAppend};
use crate::commit::{Change, Committer, Limits};
use crate::compact::{self, Compactor};
use crate::flush::{self, Flusher};
use crate::open::Mode;
use crate::proposals::Handing;
use crate::scrub::{self, Scrubber};
use crate::stats::{DbStats, OpenReport};
use crate::{
    AppendError, CompactionError, CompactionGoal, FlushError, Layout, OpenError, Options, ScrubOptions,
    ScrubStats,
};

/// An open data directory. Share it between threads by reference or in an `Arc`.
///
/// Dropping it ends its threads; [`Db::close`] does the same and says whether all went well. Neither flushes: what
/// is in the log is replayed at the next open.
pub struct Db {
    pub(crate) committer: Arc<Committer>,
    pub(crate) wal: Option<Arc<Wal<Committer>>>,
    pub(crate) flusher: Arc<Flusher>,
    pub(crate) compactor: Arc<Compactor>,
    pub(crate) scrubber: Arc<Scrubber>,
    pub(crate) threads: Vec<JoinHandle<()>>,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) options: Options,
    pub(crate) layout: Layout,
    pub(crate) report: OpenReport,
    pub(crate) stalls: AtomicU64,
    pub(crate) stall_nanos: AtomicU64,
    pub(crate) _lock: Box<dyn DirLock>,
}

impl Db {
    /// Opens a data directory with the default options; makes it where it is missing or empty.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(dir, Options::default())
    }

    /// Opens a data directory.
    pub fn open_with(dir: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        crate::open::open(dir.as_ref(), options, Mode::Alone).map(|opened| opened.db)
    }

    /// Appends a batch. With [`Durability::Synced`] and nobody else writing, this thread writes and syncs it, and the
    /// receipt is there when this returns. Waits while too much is unsynced or waits to be flushed.
    pub fn append(&self, batch: Batch, durability: Durability) -> Result<PendingAppend, AppendError> {
        if batch.is_empty() {
            return Err(AppendError::Empty);
        }
        self.append_encoded(batch.encode(), durability)
    }

    /// Appends a batch that is encoded already, as [`Db::append`].
    pub fn append_encoded(
        &self,
        batch: EncodedBatch,
        durability: Durability,
    ) -> Result<PendingAppend, AppendError> {
        self.check_bounds(&batch)?;
        self.admit()?;
        let handing = match durability {
            Durability::Synced => Handing::Write,
            Durability::Buffered => Handing::Queue,
        };
        self.propose(batch, handing)
    }

    /// Appends a batch from an asynchronous task: the log's own thread writes and syncs it, this one only queues it.
    pub fn submit(&self, batch: EncodedBatch) -> Result<PendingAppend, AppendError> {
        self.append_encoded(batch, Durability::Buffered)
    }

    /// As [`Db::submit`], for a caller that must not wait: answers [`AppendError::Busy`] where it would have to. Nothing was
    /// taken then, and the batch may be offered again.
    pub fn try_submit(&self, batch: EncodedBatch) -> Result<PendingAppend, AppendError> {
        self.check_bounds(&batch)?;
        self.try_admit()?;
        self.propose(batch, Handing::TryQueue)
    }

    /// Writes and completes everything that was accepted, in this thread. For a database without threads of its own
    /// ([`Options::background`]), whose accepted batches otherwise wait for the next synced append.
    pub fn drive(&self) -> Result<(), AppendError> {
        self.wal()?.drive().map(drop).map_err(AppendError::Log)
    }

    /// Everything that is durable now, as one unchanging view.
    pub fn snapshot(&self) -> Snapshot {
        self.committer.snapshot()
    }

    /// The epoch of the journal, which changes when its history forks: in a restore.
    pub fn epoch(&self) -> u64 {
        self.flusher.current.load().epoch()
    }

    /// The newest sequence number that is visible; 0 where there is none.
    pub fn last_seq(&self) -> u64 {
        self.committer.snapshot().visible_seq()
    }

    /// Writes every row that a snapshot shows now to SSTables and waits for it. Rows that come meanwhile are not waited
    /// for.
    pub fn flush(&self) -> Result<(), FlushError> {
        let through = self.committer.freeze()?;
        let wal = self.wal.as_ref().ok_or(FlushError::Closed)?;
        if !self.options.background {
            while self.committer.unflushed() < through {
                self.flusher.flush_one(&self.committer, wal)?;
            }
            return Ok(());
        }
        let mut state = self.committer.flush.lock();
        let failures = state.failures;
        state.asked = true;
        drop(state);
        self.committer.flush.notify();
        let mut state = self.committer.flush.lock();
        while self.committer.unflushed() < through {
            if let Some(error) = state.failing.clone().filter(|_| state.failures > failures) {
                return Err(FlushError::Again(error));
            }
            if state.ended {
                return Err(state.failing.clone().map_or(FlushError::Closed, FlushError::Again));
            }
            state = self.committer.flush.wait(state);
        }
        Ok(())
    }

    /// Moves, merges and converts files until the goal is reached, and drops what [`Options::retention`] does not keep, in
    /// this thread; returns how many steps that took. Flushes nothing: what is in MemTables stays there.
    ///
    /// The database compacts by itself towards [`CompactionGoal::Bounded`] where it has threads of its own
    /// ([`Options::background`]).
    pub fn compact(&self, goal: CompactionGoal) -> Result<u64, CompactionError> {
        let mut steps = 0;
        while self.compactor.step(&self.committer, goal)? {
            steps += 1;
        }
        Ok(steps)
    }

    /// Reads every SSTable again, as fast as it can, and verifies its checksums; what is wrong stands in the answer.
    /// The database does so by itself as [`Options::scrub`] says, where it has threads of its own.
    pub fn scrub(&self) -> ScrubStats {
        self.scrubber.pass(&self.committer, self.vfs.clock(), None);
        self.scrubber.stats()
    }

    /// The files that hold flushed rows, and the partitions that they belong to, as of the last change of them.
    pub fn version(&self) -> Arc<Version> {
        self.flusher.current.load_full()
    }

    /// Ends the database's threads, after everything that was appended is durable.
    pub fn close(mut self) -> Result<(), AppendError> {
        self.stop_threads();
        self.flusher.close();
        match self.wal.take().and_then(Arc::into_inner) {
            Some(wal) => wal.close().map_err(AppendError::Log),
            None => Ok(()),
        }
    }

    /// Why the database takes no more appends until it is opened anew, where that is so: a write or sync of the log has
    /// failed, or a panic has ended the commit pipeline. Reads go on.
    pub fn failure(&self) -> Option<AppendError> {
        if self.committer.is_interrupted() {
            return Some(AppendError::Interrupted);
        }
        self.wal.as_ref().and_then(|wal| wal.failure()).map(AppendError::Log)
    }

    /// What opening found and did.
    pub fn open_report(&self) -> &OpenReport {
        &self.report
    }

    /// The paths of the data directory.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The file system that it lies on.
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }

    /// Counters since the start, and what is in memory now.
    pub fn stats(&self) -> DbStats {
        let (memtable_bytes, frozen, applied_index) = {
            let committed = self.committer.lock();
            let applier = &committed.applier;
            (applier.bytes(), applier.frozen.len(), applier.state.applied.index)
        };
        let flush = {
            let state = self.committer.flush.lock();
            let text = |error: &Option<Arc<FlushError>>| error.as_ref().map(ToString::to_string);
            (text(&state.failing), text(&state.leftovers))
        };
        DbStats {
            rows_applied: self.committer.rows_applied.load(Ordering::Relaxed),
            applied_index,
            memtable_bytes,
            frozen_memtables: frozen,
            pinned: self.committer.pinned.stats(),
            stalls: self.stalls.load(Ordering::Relaxed),
            stall_time: Duration::from_nanos(self.stall_nanos.load(Ordering::Relaxed)),
            flush_failing: flush.0,
            leftovers: flush.1,
            version: self.version(),
            retention: self.compactor.retention.clone(),
            compaction: self.compactor.stats(),
            scrub: self.scrubber.stats(),
            wal: self.wal.as_ref().map(|wal| wal.stats()).unwrap_or_default(),
        }
    }

    fn wal(&self) -> Result<&Wal<Committer>, AppendError> {
        self.wal.as_deref().ok_or(AppendError::Closed)
    }

    fn check_bounds(&self, batch: &EncodedBatch) -> Result<(), AppendError> {
        self.check_times(batch)?;
        let Options { symbols_max, producers_max, .. } = self.options;
        self.committer.check_limits(batch, Limits { symbols_max, producers_max })
    }

    fn propose(&self, batch: EncodedBatch, handing: Handing) -> Result<PendingAppend, AppendError> {
        let payload = batch.bytes().clone();
        self.propose_change(EntryKind::Batch, payload, Change::Batch(batch), handing)
    }

    /// Has a change durable, committed and applied.
    pub(crate) fn propose_change(
        &self,
        kind: EntryKind,
        payload: SharedBytes,
        change: Change,
        handing: Handing,
    ) -> Result<PendingAppend, AppendError> {
        self.flusher.proposals.propose(&self.committer, self.wal()?, kind, payload, change, handing)
    }

    /// Refuses rows that lie too far in the future; a wrong clock or unit would pin whole partitions.
    fn check_times(&self, batch: &EncodedBatch) -> Result<(), AppendError> {
        let Some(max_future) = self.options.max_future else {
            return Ok(());
        };
        let now = self.vfs.clock().unix_nanos();
        let latest = now.saturating_add(i64::try_from(max_future.as_nanos()).unwrap_or(i64::MAX));
        for row in 0..batch.len() {
            let ts = batch.row_header(row).ts;
            if ts > latest {
                return Err(AppendError::Future { row, ts, now, max_future_seconds: max_future.as_secs() });
            }
        }
        Ok(())
    }

    /// Waits until there is room for another MemTable to be frozen.
    fn admit(&self) -> Result<(), AppendError> {
        if !self.is_full() {
            return Ok(());
        }
        let since = self.vfs.clock().monotonic();
        self.stalls.fetch_add(1, Ordering::Relaxed);
        let admitted = self.wait_for_flush();
        let stalled = self.vfs.clock().monotonic().saturating_sub(since);
        self.stall_nanos.fetch_add(u64::try_from(stalled.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        admitted
    }

    /// As [`Db::admit`], without waiting.
    fn try_admit(&self) -> Result<(), AppendError> {
        if !self.is_full() {
            return Ok(());
        }
        let state = self.committer.flush.lock();
        match &state.failing {
            _ if !self.is_full() => Ok(()),
            Some(error) => Err(AppendError::FlushFailing(Arc::clone(error))),
            None if state.ended => Err(AppendError::Closed),
            None => Err(AppendError::Busy),
        }
    }

    fn is_full(&self) -> bool {
        self.committer.frozen() >= self.options.frozen_memtables_max.max(1)
    }

    fn wait_for_flush(&self) -> Result<(), AppendError> {
        if !self.options.background {
            let flushed = self.flusher.flush_one(&self.committer, self.wal()?);
            return flushed.map(drop).map_err(|error| AppendError::FlushFailing(Arc::new(error)));
        }
        let mut state = self.committer.flush.lock();
        while self.is_full() {
            if let Some(error) = &state.failing {
                return Err(AppendError::FlushFailing(Arc::clone(error)));
            }
            if state.ended {
                return Err(AppendError::Closed);
            }
            state = self.committer.flush.wait(state);
        }
        Ok(())
    }

    fn stop_threads(&mut self) {
        self.flusher.compaction.close();
        self.committer.flush.lock().closing = true;
        self.committer.flush.notify();
        self.scrubber.close();
        for thread in self.threads.drain(..) {
            // Whoever waits for a flush that panicked has been told.
            let _ = thread.join();
        }
    }

    /// Starts the threads that flush, compact and scrub.
    pub(crate) fn start_threads(&mut self) -> std::io::Result<()> {
        let Some(wal) = self.wal.clone() else { return Ok(()) };
        let (flusher, committer) = (Arc::clone(&self.flusher), Arc::clone(&self.committer));
        self.start("tapebook-flush", move || flush::run(&flusher, &committer, &wal))?;
        let (compactor, committer) = (Arc::clone(&self.compactor), Arc::clone(&self.committer));
        self.start("tapebook-compact", move || compact::run(&compactor, &committer))?;
        let ScrubOptions { every, bytes_per_second } = self.options.scrub;
        if let Some(every) = every {
            let (scrubber, committer) = (Arc::clone(&self.scrubber), Arc::clone(&self.committer));
            let vfs = Arc::clone(&self.vfs);
            let run = move || scrub::run(&scrubber, &committer, vfs.clock(), every, bytes_per_second);
            self.start("tapebook-scrub", run)?;
        }
        Ok(())
    }

    fn start(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(())
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("dir", &self.layout.root()).finish_non_exhaustive()
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.stop_threads();
        // Under the lock under which followers take the log in hand, so that it ends here and in no other thread.
        let files = self.flusher.files.lock();
        drop(self.wal.take());
        drop(files);
        self.committer.tail.close();
    }
}
