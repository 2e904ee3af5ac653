//! How a database is opened.

use std::sync::Arc;
use std::time::Duration;

use tapebook_history::WriterOptions;
use tapebook_lsm::compaction::CompactionOptions;
use tapebook_lsm::sstable::TableWriterOptions;
use tapebook_vfs::{RealVfs, Vfs};
use tapebook_wal::WalOptions;

use crate::{RetentionOptions, ScrubOptions};

/// How a database is opened. The defaults are right for a server on its own disk.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file system with its clock and randomness.
    pub vfs: Arc<dyn Vfs>,
    /// How the log is written.
    pub wal: WalOptions,
    /// How SSTables are written.
    pub table: TableWriterOptions,
    /// How history files are written.
    pub history: WriterOptions,
    /// A MemTable is flushed when its batches and its index have this many bytes. Default 64 MiB.
    pub memtable_bytes: u64,
    /// So many MemTables may wait to be flushed, at least 1; with more, appends wait. Default 4.
    pub frozen_memtables_max: usize,
    /// Bytes of MemTables that were flushed and that readers may still hold, batches and index. Where it is more, the
    /// oldest reads end with [`ReadError::Released`](crate::ReadError::Released), so that slow ones do not fill the
    /// memory; later ones and writes go on. With less than a few MemTables, reads that are not slow end, too. Default 1 GiB.
    pub pinned_bytes_max: u64,
    /// A restart after a crash shall have replayed the log within this time: MemTables are flushed before the log behind
    /// the files grows beyond what was replayed in it at the last open, or is likely to be. Default one second.
    pub recovery_target: Duration,
    /// When files are moved and merged.
    pub compaction: CompactionOptions,
    /// Bytes of rows that merging may write in a second; `None`: as fast as it can. Where files pile up it is as fast
    /// as it can anyway. Default 64 MiB.
    pub compaction_bytes_per_second: Option<u64>,
    /// How much of each table is kept. The default keeps everything.
    pub retention: RetentionOptions,
    /// When and how fast files are read again to find damage early.
    pub scrub: ScrubOptions,
    /// Rows whose time is further ahead of the clock are refused. `None`: none are. Default one day.
    pub max_future: Option<Duration>,
    /// With so many symbols, a batch with a new one is refused; batches on their way may go a little past it. Default
    /// 1,000,000.
    pub symbols_max: usize,
    /// With so many producers, expired ones included, a batch of a new one is refused, as with symbols. Default 100,000.
    pub producers_max: usize,
    /// A producer that was not heard of for so long, by the commit clock, expires: its receipts are forgotten, and it goes on
    /// with a greater epoch only. It still counts as a producer. `None`: none does by itself. Default 30 days.
    pub producer_idle_max: Option<Duration>,
    /// How long the journal is kept behind the log, by the commit clock: files of the archive whose last entry is older
    /// are removed, whole files at a time. `None` (the default): nothing is archived, and what is archived already
    /// stays. A library does not double what its user writes unless it is asked to; who wants to follow the journal
    /// from the past, or to restore to any sequence, asks.
    pub journal_retention: Option<Duration>,
    /// With more bytes than this, the oldest files of the archive go before their time, but never its newest one. `None`
    /// (the default): there is no bound.
    pub journal_bytes_max: Option<u64>,
    /// Bytes of the newest batches that are kept for followers of the journal, so that who keeps up reads nothing from the
    /// disk. They are shared with the MemTable as long as that has them. Default 16 MiB.
    pub tail_bytes_max: u64,
    /// True (the default): threads of its own write the log's queue, flush, compact and scrub. False: no thread is started, and
    /// everything happens inside the calls; for simulations.
    pub background: bool,
    /// What the lock file says that this process does.
    pub command: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            vfs: Arc::new(RealVfs::new()),
            wal: WalOptions::default(),
            table: TableWriterOptions::default(),
            history: WriterOptions::default(),
            memtable_bytes: 64 << 20,
            frozen_memtables_max: 4,
            pinned_bytes_max: 1 << 30,
            recovery_target: Duration::from_secs(1),
            compaction: CompactionOptions::default(),
            compaction_bytes_per_second: Some(64 << 20),
            retention: RetentionOptions::default(),
            scrub: ScrubOptions::default(),
            max_future: Some(Duration::from_secs(24 * 60 * 60)),
            symbols_max: 1_000_000,
            producers_max: 100_000,
            producer_idle_max: Some(Duration::from_secs(30 * 24 * 60 * 60)),
            journal_retention: None,
            journal_bytes_max: None,
            tail_bytes_max: 16 << 20,
            background: true,
            command: std::env::args().take(2).collect::<Vec<_>>().join(" "),
        }
    }
}
