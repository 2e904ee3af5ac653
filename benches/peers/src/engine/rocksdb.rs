//! RocksDB, configured as its tuning guide says for a server that writes much and whose data fits the cache.
//!
//! * Durability: `WriteOptions::sync`, which is `fdatasync` of its log for each group of writers; its own group commit
//!   gathers what several threads write. Log files are recycled (`recycle_log_file_num`), so that in the long run its log,
//!   like Tapebook's, is written into blocks that exist.
//! * MemTables of 64 MiB, four at most, one thread to flush and one to compact for each core; leveled compaction with
//!   dynamic level sizes; LZ4 on every level but those that it writes first; checksums on, as by default.
//! * Reads: one cache of 4 GiB (HyperClock), Bloom filters of 10 bits a key, hash indexes inside of blocks. Point reads
//!   use `get_pinned` without a copy, the last one at a time `seek_for_prev` on an iterator that is kept.
//! * Rows and what leads to them by id are in one column family, apart by the first bytes of the key: a second one would
//!   keep old logs alive and write no less.
//! * Bulk load: sorted SST files, moved into the database by `ingest_external_file`; sorting is part of the time.

use std::path::{Path, PathBuf};

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRawIterator, DataBlockIndexType,
    IngestExternalFileOptions, Options, ReadOptions, SstFileWriter, WaitForCompactOptions, WriteBatch,
    WriteOptions,
};
use tapebook::{StandardTable, Trade};

use super::{CACHE_BYTES, Engine, MEMTABLE_BYTES, Reader, Sum, f64_at, sorted};
use crate::AnyError;
use crate::input::{Known, Rows, offset_in_value};
use crate::key::{id_key, row_key, row_of_id, seq_of, ts_of};
use crate::small::SmallTrade;

/// Entries of a file that is loaded in bulk: some 64 MiB.
const ENTRIES_OF_FILE: usize = 600_000;
const BLOOM_BITS: f64 = 10.0;

/// An open database.
pub struct RocksDbEngine {
    db: DB,
    options: Options,
    dir: PathBuf,
    price: usize,
}

impl RocksDbEngine {
    /// Opens it.
    pub fn open(dir: &Path) -> Result<Self, AnyError> {
        let options = options();
        let db = DB::open(&options, dir)?;
        Ok(Self { db, options, dir: dir.to_path_buf(), price: offset_in_value("price")? })
    }

    fn write_synced(&self, batch: WriteBatch) -> Result<(), AnyError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        Ok(self.db.write_opt(batch, &options)?)
    }
}

fn options() -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_hyper_clock_cache(CACHE_BYTES, 0));
    table.set_bloom_filter(BLOOM_BITS, false);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    let cores = std::thread::available_parallelism().map_or(2, usize::from) as i32;
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&table);
    options.set_max_background_jobs(cores.max(2));
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(4);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_recycle_log_file_num(4);
    // Large files are written out evenly instead of all at once at their end.
    options.set_bytes_per_sync(1 << 20);
    options
}

impl Engine for RocksDbEngine {
    fn append(&self, trades: &[SmallTrade]) -> Result<(), AnyError> {
        let mut batch = WriteBatch::default();
        trades.iter().for_each(|trade| batch.put(trade.key(), trade.value()));
        self.write_synced(batch)
    }

    fn write(&self, rows: &Rows) -> Result<(), AnyError> {
        let mut batch = WriteBatch::default();
        rows.entries().for_each(|(key, value)| batch.put(key, value));
        self.write_synced(batch)
    }

    fn load(&self, all: &[Rows]) -> Result<(), AnyError> {
        let mut files = Vec::new();
        for (number, entries) in sorted(all).chunks(ENTRIES_OF_FILE).enumerate() {
            let path = self.dir.join(format!("load-{number}.sst"));
            let mut file = SstFileWriter::create(&self.options);
            file.open(&path)?;
            entries.iter().try_for_each(|(key, value)| file.put(key, value))?;
            file.finish()?;
            files.push(path);
        }
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        Ok(self.db.ingest_external_file_opts(&options, files)?)
    }

    fn flush(&self) -> Result<(), AnyError> {
        self.db.flush()?;
        Ok(self.db.wait_for_compact(&WaitForCompactOptions::default())?)
    }

    fn compact(&self) -> Result<(), AnyError> {
        self.db.flush()?;
        self.db.compact_range(None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }

    fn is_log(&self, path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "log")
    }

    fn reader(&self) -> Result<Box<dyn Reader + '_>, AnyError> {
        Ok(Box::new(RocksDbReader { db: &self.db, iterator: self.db.raw_iterator(), price: self.price }))
    }
}

struct RocksDbReader<'a> {
    db: &'a DB,
    iterator: DBRawIterator<'a>,
    price: usize,
}

impl RocksDbReader<'_> {
    fn scan(&self, first: &[u8], end: &[u8]) -> Result<Sum, AnyError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(end);
        let mut iterator = self.db.raw_iterator_opt(options);
        iterator.seek(first);
        let mut sum = Sum::default();
        while let Some((key, value)) = iterator.item() {
            sum.add(ts_of(key), f64_at(value, self.price));
            iterator.next();
        }
        iterator.status()?;
        Ok(sum)
    }
}

impl Reader for RocksDbReader<'_> {
    fn get(&mut self, of: &Known) -> Result<Option<f64>, AnyError> {
        let found = self.db.get_pinned(row_key(Trade::ID.0, of.symbol, of.ts, of.seq))?;
        Ok(found.map(|value| f64_at(&value, self.price)))
    }

    fn last(&mut self, symbol: u32, at: i64) -> Result<Option<(i64, f64)>, AnyError> {
        let key = row_key(Trade::ID.0, symbol, at, u64::MAX);
        self.iterator.seek_for_prev(key);
        match self.iterator.item() {
            Some((found, value)) if found[..6] == key[..6] => {
                Ok(Some((ts_of(found), f64_at(value, self.price))))
            }
            Some(_) => Ok(None),
            None => Ok(self.iterator.status().map(|()| None)?),
        }
    }

    fn by_id(&mut self, id: u64) -> Result<Option<(u64, f64)>, AnyError> {
        let Some(value) = self.db.get_pinned(id_key(id))? else { return Ok(None) };
        let key = row_of_id(Trade::ID.0, &value).ok_or("an id leads to no key")?;
        let row = self.db.get_pinned(key)?;
        Ok(row.map(|value| (seq_of(&key), f64_at(&value, self.price))))
    }

    fn scan_series(&mut self, symbol: u32, first: i64, last: i64) -> Result<Sum, AnyError> {
        let end = row_key(Trade::ID.0, symbol, last.saturating_add(1), 0);
        self.scan(&row_key(Trade::ID.0, symbol, first, 0), &end)
    }

    fn scan_table(&mut self) -> Result<Sum, AnyError> {
        self.scan(&Trade::ID.0.to_be_bytes(), &(Trade::ID.0 + 1).to_be_bytes())
    }
}
