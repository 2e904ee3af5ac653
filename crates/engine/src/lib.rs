//! Tapebook, embedded: a journal and history database for trading systems, in your process.
//!
//! [`Db::open`] opens a data directory. [`Db::append`] makes a [`Batch`] durable and returns its place in the
//! journal; [`Db::snapshot`] reads everything that is durable, from one moment.
//!
//! ```no_run
//! use tapebook::{Batch, Db, Durability, Side, Trade};
//!
//! let db = Db::open("data")?;
//! let mut batch = Batch::new();
//! batch.push(Trade {
//!     symbol: "BINANCE.BTCUSDT",
//!     ts: 1_723_161_600_000_000_000,
//!     price: Some(61_800.2),
//!     size: Some(0.006),
//!     side: Some(Side::Buy),
//!     ..Trade::default()
//! })?;
//! let receipt = db.append(batch, Durability::Synced)?.wait()?;
//! assert_eq!(receipt.first_seq, receipt.last_seq);
//! for trade in db.snapshot().scan::<Trade>("BINANCE.BTCUSDT", ..)? {
//!     let trade = trade?; // read in place, no copy
//!     println!("{} {:?}", trade.ts(), trade.price());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What holds the parts together: a batch joins the log, one sync covers its group, then it is *applied* (duplicates
//! turned away, symbols interned, sequence numbers given, rows indexed in the MemTable), a new snapshot is
//! published, and only then does its writer get the receipt. **Visibility never runs ahead of durability.**

#![forbid(unsafe_code)]

mod append;
mod apply;
mod archive;
mod backup;
mod checkpoint;
mod commit;
mod compact;
mod db;
mod error;
mod feeds;
mod files;
mod flush;
mod history_names;
mod journal;
mod layout;
mod membership;
mod open;
mod options;
mod pinned;
mod producers;
mod proposals;
mod recovery;
mod replay;
pub mod replica;
mod retention;
mod retraction;
mod scrub;
mod state;
mod stats;
mod system_view;
mod unfinished;
mod verify;
mod verify_archive;

pub use append::{Durability, PendingAppend, Receipt};
pub use archive::ArchivingError;
pub use backup::{
    BACKUP_RECORD_BYTES_MAX, Backup, BackupArchiveFile, BackupError, BackupFile, BackupReport, BackupTarget,
    BackupVerifyReport, DirectoryTarget, RestoreBound, RestoreReport, TargetObject, list_backups,
    read_backup, restore, verify_backups,
};
pub use checkpoint::{CheckpointError, CheckpointReport};
pub use db::Db;
pub use error::{AppendError, CompactionError, FlushError, OpenError};
pub use feeds::{FeedDeclaration, FeedGap, FeedNumbers, FeedOverflow};
pub use journal::{JournalBatch, JournalChanged, JournalError, JournalFollower, JournalReader, JournalStart};
pub use layout::Layout;
pub use membership::{Member, Membership};
pub use options::Options;
pub use producers::{EXPIRIES_MAX, Expiry, ProducerExpiry, ProducerRefusal, ProducerState, RECEIPTS_KEPT};
pub use retention::RetentionOptions;
pub use retraction::{
    REASON_BYTES_MAX, ReasonError, RetractError, RetractionEntry, RetractionName, RetractionReceipt,
    check_reason,
};
pub use scrub::ScrubOptions;
pub use stats::{CompactionStats, CompactionStep, DbStats, OpenReport, PinnedStats, ScrubStats};
pub use system_view::SystemView;
pub use unfinished::BuildError;
pub use verify::{VerifyReport, verify};

pub use tapebook_history::WriterOptions as HistoryWriterOptions;
pub use tapebook_lsm::compaction::{CompactionOptions, Goal as CompactionGoal, Retention, RetentionPolicy};
pub use tapebook_lsm::key::{Direction, TimeRange};
pub use tapebook_lsm::manifest::{HistoryFile, LEVELS, Partition, SeqRange, TableFile, Version};
pub use tapebook_lsm::retraction::{Change, Retraction, Retractions};
pub use tapebook_lsm::snapshot::{ReadError, RecordScan, SeriesScan, Snapshot, TableScan};
pub use tapebook_lsm::sstable::{Table as SsTable, TableStats as SsTableStats, TableWriterOptions};
pub use tapebook_record::*;
pub use tapebook_wal::{WalError, WalOptions, WalStats};
