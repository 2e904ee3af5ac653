//! The engines behind one interface: how each one writes, settles, and is read.

mod fjall;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod tapebook;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::AnyError;
use crate::input::{Known, Rows};
use crate::measure::io_counter;
use crate::small::SmallTrade;

/// The memory that an engine may use to hold what it read, where it has a cache of its own: more than any input here.
const CACHE_BYTES: usize = 4 << 30;
/// A MemTable's size, where an engine has one: Tapebook's default, and RocksDB's and fjall's.
const MEMTABLE_BYTES: usize = 64 << 20;
/// So long nothing is written by a process that has settled.
const QUIET: Duration = Duration::from_secs(1);
const SETTLED_AT_LAST: Duration = Duration::from_secs(300);

/// Which engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Ours.
    Tapebook,
    /// The `rocksdb` crate.
    #[cfg(feature = "rocksdb")]
    RocksDb,
    /// The `fjall` crate.
    Fjall,
    /// The `redb` crate.
    Redb,
}

/// All engines, ours first.
pub const ALL: &[Kind] = &[
    Kind::Tapebook,
    #[cfg(feature = "rocksdb")]
    Kind::RocksDb,
    Kind::Fjall,
    Kind::Redb,
];

impl Kind {
    /// The name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tapebook => "Tapebook",
            #[cfg(feature = "rocksdb")]
            Self::RocksDb => "RocksDB",
            Self::Fjall => "fjall",
            Self::Redb => "redb",
        }
    }

    /// How [`Engine::load`] loads.
    pub fn way_to_load(self) -> &'static str {
        match self {
            Self::Tapebook => "the usual synced batches, 16 in flight",
            #[cfg(feature = "rocksdb")]
            Self::RocksDb => "sorted SST files, ingested",
            Self::Fjall => "sorted, `start_ingestion`",
            Self::Redb => "sorted, one transaction",
        }
    }

    /// Opens a database in a directory, which is made where it is missing.
    pub fn open(self, dir: &Path) -> Result<Arc<dyn Engine>, AnyError> {
        std::fs::create_dir_all(dir)?;
        Ok(match self {
            Self::Tapebook => Arc::new(tapebook::TapebookEngine::open(dir)?),
            #[cfg(feature = "rocksdb")]
            Self::RocksDb => Arc::new(rocksdb::RocksDbEngine::open(dir)?),
            Self::Fjall => Arc::new(fjall::FjallEngine::open(dir)?),
            Self::Redb => Arc::new(redb::RedbEngine::open(dir)?),
        })
    }
}

/// A database as all measurements use it. Whatever was written is on the disk when the call returns.
pub trait Engine: Send + Sync {
    /// Writes a few small trades at once, atomically.
    fn append(&self, trades: &[SmallTrade]) -> Result<(), AnyError>;
    /// Writes a batch atomically.
    fn write(&self, rows: &Rows) -> Result<(), AnyError>;
    /// Loads everything as fast as it can into an empty database; nothing need be durable before the end.
    fn load(&self, all: &[Rows]) -> Result<(), AnyError>;
    /// Writes to tables what is only in memory and in the log.
    fn flush(&self) -> Result<(), AnyError>;
    /// Brings the files into the form that is best to read.
    fn compact(&self) -> Result<(), AnyError>;
    /// True for a file of the log.
    fn is_log(&self, path: &Path) -> bool;
    /// Everything that is there now, to read from one thread.
    fn reader(&self) -> Result<Box<dyn Reader + '_>, AnyError>;
    /// Ours, where it is ours.
    fn tapebook(&self) -> Option<&::tapebook::Db> {
        None
    }
}

/// Reads trades. A row that is found is touched: its price is read out of it.
pub trait Reader {
    /// By key: the price.
    fn get(&mut self, of: &Known) -> Result<Option<f64>, AnyError>;
    /// The last one of a symbol at a time, the greatest sequence number among equal times: its time and price.
    fn last(&mut self, symbol: u32, at: i64) -> Result<Option<(i64, f64)>, AnyError>;
    /// By trade id: sequence number and price.
    fn by_id(&mut self, id: u64) -> Result<Option<(u64, f64)>, AnyError>;
    /// All trades of a symbol from one time to another, both included.
    fn scan_series(&mut self, symbol: u32, first: i64, last: i64) -> Result<Sum, AnyError>;
    /// All trades, by symbol, time and sequence number.
    fn scan_table(&mut self) -> Result<Sum, AnyError>;
}

/// What a scan has seen: proof that every row was read, and in order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// How many rows.
    pub rows: u64,
    /// All times, one upon another.
    pub times: i64,
    /// The sum of the prices, whose last digits depend on the order.
    pub prices: f64,
}

impl Sum {
    /// Adds a row.
    #[inline]
    pub fn add(&mut self, ts: i64, price: f64) {
        self.rows += 1;
        self.times = self.times.rotate_left(1) ^ ts;
        self.prices += price;
    }
}

/// Flushes, and waits until nothing more is written: background work that was put off is done.
pub fn settle(engine: &dyn Engine) -> Result<Duration, AnyError> {
    let begun = Instant::now();
    engine.flush()?;
    let (mut written, mut since) = (io_counter("wchar"), Instant::now());
    while since.elapsed() < QUIET {
        if begun.elapsed() > SETTLED_AT_LAST {
            return Err("an engine still writes five minutes after its last append".into());
        }
        thread::sleep(Duration::from_millis(20));
        let now = io_counter("wchar");
        if now != written {
            (written, since) = (now, Instant::now());
        }
    }
    Ok(begun.elapsed().saturating_sub(QUIET))
}

/// Bytes that the files under a directory take on the disk: of the log, and of everything else.
pub fn on_disk(engine: &dyn Engine, dir: &Path) -> Result<(u64, u64), AnyError> {
    let (mut log, mut rest) = (0, 0);
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let about = std::fs::symlink_metadata(&path)?;
            // A block is 512 bytes here, whatever the file system's are; holes are not counted.
            match path {
                path if about.is_dir() => dirs.push(path),
                path if engine.is_log(&path) => log += about.blocks() * 512,
                _ => rest += about.blocks() * 512,
            }
        }
    }
    Ok((log, rest))
}

/// Entries of many batches in the order of their keys, as a bulk load wants them.
fn sorted(all: &[Rows]) -> Vec<(&[u8], &[u8])> {
    let mut entries: Vec<_> = all.iter().flat_map(Rows::entries).collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

/// A number in a value.
#[inline]
fn f64_at(bytes: &[u8], at: usize) -> f64 {
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
    word.map_or(f64::NAN, f64::from_le_bytes)
}
