//! The files that a database consists of, and the one place where they change.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tapebook_history::{HistoryFile, HistoryIdentity, HistorySeal, HistoryWriter, WriterOptions};
use tapebook_lsm::compaction::slice_name;
use tapebook_lsm::key::{Series, TimeRange};
use tapebook_lsm::manifest::layout::{HISTORY_FOLDER, TEMPORARY_SUFFIX};
use tapebook_lsm::manifest::{
    self, Identity, LogRange, Manifest, ManifestError, Partition, SeqRange, TableFile, Version, VersionEdit,
};
use tapebook_lsm::sstable::{Table, TableIdentity, TableMeta, TableWriter, TableWriterOptions};
use tapebook_record::{Schemas, Symbols, TableId, TableSchema};
use tapebook_vfs::Vfs;

use crate::archive::Archive;
use crate::{FlushError, Layout};

/// What flush and compaction change, one at a time.
#[derive(Debug)]
pub(crate) struct Files {
    /// `None` once the database is closed.
    manifest: Option<Manifest>,
    /// The version edit whose outcome is unknown. The files that it names may be in use, so no file may be touched
    /// again before the manifest is read anew.
    unknown: Option<Arc<FlushError>>,
    next_file_id: u64,
    /// Numbers that were given and whose files came to nothing.
    unused: Vec<u64>,
    /// Files that no version names any more, relative to the data directory.
    obsolete: Vec<String>,
    /// How many read files by their names: while there is one, none is removed.
    holders: usize,
    pub flushed: FlushedTimes,
    /// The current version for those who only look at it: files that it names may go any time.
    pub current: Arc<ArcSwap<Version>>,
    /// Where the journal is kept, `None` where it is not.
    pub archive: Option<Archive>,
}

impl Files {
    pub(crate) fn new(manifest: Manifest, flushed: FlushedTimes, archive: Option<Archive>) -> Self {
        let next_file_id = manifest.version().next_file_id();
        let current = Arc::new(ArcSwap::new(Arc::clone(manifest.version())));
        Self {
            manifest: Some(manifest),
            unknown: None,
            next_file_id,
            unused: Vec::new(),
            obsolete: Vec::new(),
            holders: 0,
            flushed,
            current,
            archive,
        }
    }

    /// The version that counts now, for whoever holds the lock and with it every file that the version names. Fails
    /// where it is not known, or the database is closed.
    pub(crate) fn version(&self) -> Result<Arc<Version>, FlushError> {
        match (&self.unknown, &self.manifest) {
            (Some(error), _) => Err(FlushError::Again(Arc::clone(error))),
            (None, Some(manifest)) => Ok(Arc::clone(manifest.version())),
            (None, None) => Err(FlushError::Closed),
        }
    }

    /// A number for a new file.
    pub(crate) fn take_id(&mut self) -> u64 {
        self.unused.pop().unwrap_or_else(|| {
            self.next_file_id += 1;
            self.next_file_id - 1
        })
    }

    /// No number below this is given from now on.
    pub(crate) fn skip_ids(&mut self, next_file_id: u64) {
        self.next_file_id = self.next_file_id.max(next_file_id);
        self.unused.clear();
    }

    /// Gives back numbers whose files no version names. What is left of the files is removed when the number is used
    /// again, or by the next open.
    pub(crate) fn give_back(&mut self, ids: impl IntoIterator<Item = u64>) {
        self.unused.extend(ids);
    }

    /// Makes the edit durable, and the version that it leads to current. Everything that it names is durable already.
    pub(crate) fn commit(&mut self, edit: VersionEdit) -> Result<(), FlushError> {
        self.version()?;
        let edit = VersionEdit { next_file_id: Some(self.next_file_id), ..edit };
        let manifest = self.manifest.as_mut().ok_or(FlushError::Closed)?;
        match manifest.commit(&edit) {
            Ok(version) => {
                self.current.store(version);
                Ok(())
            }
            Err(error @ ManifestError::Poisoned(_)) => {
                let error = Arc::new(FlushError::from(error));
                self.unknown = Some(Arc::clone(&error));
                Err(FlushError::Again(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// True where it is not known whether the last edit came about: the files that it names must stay.
    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown.is_some()
    }

    /// Notes files that the current version does without.
    pub(crate) fn retire(&mut self, names: impl IntoIterator<Item = String>) {
        self.obsolete.extend(names);
    }

    /// Removes what was retired. The rows are safe whatever becomes of this, and what stays is tried again with the
    /// next change, or by the next open.
    pub(crate) fn remove_retired(&mut self, store: &TableStore) -> Result<(), FlushError> {
        if self.are_held() {
            return Ok(());
        }
        while let Some(name) = self.obsolete.last() {
            store.remove_if_there(&store.layout.root().join(name))?;
            self.obsolete.pop();
        }
        Ok(())
    }

    /// Keeps every file that is there now, until [`Files::release`].
    pub(crate) fn hold(&mut self) {
        self.holders += 1;
    }

    /// Ends one [`Files::hold`].
    pub(crate) fn release(&mut self) {
        self.holders = self.holders.checked_sub(1).expect("whoever releases files held them");
    }

    /// True where somebody reads files by their names.
    pub(crate) fn are_held(&self) -> bool {
        self.holders > 0
    }

    pub(crate) fn close(&mut self) -> Option<Manifest> {
        self.manifest.take()
    }
}

/// The latest time of each series that is in a file. Rows before it are late: in a file of their own they do not make
/// the others overlap what is there already.
#[derive(Debug, Default)]
pub(crate) struct FlushedTimes {
    latest: HashMap<Series, i64>,
}

impl FlushedTimes {
    pub(crate) fn of<'a>(
        tables: impl IntoIterator<Item = &'a Arc<Table>>,
        history: impl IntoIterator<Item = &'a Arc<HistoryFile>>,
        symbols: &Symbols,
    ) -> Self {
        let mut times = Self::default();
        for table in tables {
            times.add(table, symbols);
        }
        for file in history {
            for span in file.all_series() {
                times.note(file.schema().id, &span.symbol, span.ts_last, symbols);
            }
        }
        times
    }

    pub(crate) fn add(&mut self, table: &Table, symbols: &Symbols) {
        for series in table.all_series() {
            self.note(series.table_id(), series.name(), series.time_range().last, symbols);
        }
    }

    fn note(&mut self, table: TableId, name: &str, ts: i64, symbols: &Symbols) {
        // Every name that a file holds was interned before it was flushed.
        let Some(symbol) = symbols.handle(name) else { return };
        let latest = self.latest.entry(Series { table, symbol }).or_insert(i64::MIN);
        *latest = (*latest).max(ts);
    }

    /// Rows before this time are late.
    pub(crate) fn latest(&self, series: Series) -> i64 {
        self.latest.get(&series).copied().unwrap_or(i64::MIN)
    }
}

/// Writes table and history files: under a temporary name until they are whole.
#[derive(Debug)]
pub(crate) struct TableStore {
    pub vfs: Arc<dyn Vfs>,
    pub layout: Layout,
    pub identity: Identity,
    pub options: TableWriterOptions,
    pub history_options: WriterOptions,
}

impl TableStore {
    /// Begins a file. What an earlier attempt left under its number is removed; nothing refers to it.
    pub(crate) fn begin(&self, file_id: u64, schemas: &Schemas) -> Result<TableWriter, FlushError> {
        let unfinished = self.make_room(&self.layout.table(file_id))?;
        let identity = self.table_identity(file_id);
        Ok(TableWriter::create(&*self.vfs, &unfinished, identity, schemas, self.options)?)
    }

    /// As [`TableStore::begin`], for a history file.
    pub(crate) fn begin_history(
        &self,
        file_id: u64,
        schema: &Arc<TableSchema>,
    ) -> Result<HistoryWriter, FlushError> {
        let unfinished = self.make_room(&self.layout.history(file_id))?;
        let identity = self.history_identity(file_id);
        Ok(HistoryWriter::create(&*self.vfs, &unfinished, identity, schema, self.history_options)?)
    }

    /// The name under which a file is written, free of what an earlier attempt left.
    fn make_room(&self, path: &Path) -> Result<PathBuf, FlushError> {
        let unfinished = unfinished(path);
        self.remove_if_there(path)?;
        self.remove_if_there(&unfinished)?;
        Ok(unfinished)
    }

    /// Makes a file durable under its name and opens it.
    pub(crate) fn end(
        &self,
        file_id: u64,
        writer: TableWriter,
        meta: TableMeta,
    ) -> Result<Arc<Table>, FlushError> {
        let path = self.layout.table(file_id);
        writer.finish(meta)?;
        self.rename_finished(&path)?;
        Ok(Table::open(&*self.vfs, &path, self.table_identity(file_id))?)
    }

    /// As [`TableStore::end`], for a history file.
    pub(crate) fn end_history(
        &self,
        file_id: u64,
        writer: HistoryWriter,
        schema: &Arc<TableSchema>,
    ) -> Result<Arc<HistoryFile>, FlushError> {
        let path = self.layout.history(file_id);
        let seal = writer.finish(0)?.seal;
        self.rename_finished(&path)?;
        let identity = self.history_identity(file_id);
        Ok(Arc::new(HistoryFile::open(&*self.vfs, &path, identity, Some(seal), schema).map_err(Box::new)?))
    }

    fn rename_finished(&self, path: &Path) -> Result<(), FlushError> {
        let renamed = self.vfs.rename(&unfinished(path), path);
        renamed.map_err(|source| io_error("rename the new file", path, source))?;
        let dir = self.layout.tables();
        self.vfs.sync_dir(&dir).map_err(|source| io_error("sync the directory", &dir, source))
    }

    /// Removes a file that came to nothing, in whatever state it is. Where even that fails, the next attempt or the
    /// next open does it.
    pub(crate) fn abandon(&self, file_id: u64) {
        for path in [self.layout.table(file_id), self.layout.history(file_id)] {
            let _ = self.remove_if_there(&unfinished(&path));
            let _ = self.remove_if_there(&path);
        }
    }

    pub(crate) fn remove_if_there(&self, path: &Path) -> Result<(), FlushError> {
        let there = self.vfs.exists(path).map_err(|source| io_error("look for a file", path, source))?;
        if there {
            self.vfs.remove_file(path).map_err(|source| io_error("remove a file", path, source))?;
        }
        Ok(())
    }

    pub(crate) fn table_identity(&self, file_id: u64) -> TableIdentity {
        TableIdentity { cluster_id: self.identity.cluster_id, file_id }
    }

    pub(crate) fn history_identity(&self, file_id: u64) -> HistoryIdentity {
        HistoryIdentity { cluster_id: self.identity.cluster_id, file_id }
    }
}

pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    name.into()
}

/// What the manifest says of a table.
pub(crate) fn describe(table: &Table, level: u8, partition: u64, log_indexes: LogRange) -> TableFile {
    let (first, last) = table.seq_range().expect("no file without rows is written");
    TableFile {
        file_id: table.identity().file_id,
        level,
        bytes: table.file_bytes(),
        rows: table.rows(),
        partition,
        times: table.time_range(),
        seqs: SeqRange { first, last },
        log_indexes,
        checksum: table.footer_checksum(),
        tables: table.tables().iter().map(|stats| stats.table).collect(),
    }
}

/// What the manifest says of a history file.
pub(crate) fn describe_history(file: &HistoryFile, partition: &Partition) -> manifest::HistoryFile {
    let HistorySeal { file_bytes, tail_bytes, tail_crc } = file.seal();
    let (times, seqs) = (file.time_range(), file.seq_range());
    manifest::HistoryFile {
        file_id: file.identity().file_id,
        table: file.schema().id,
        partition: partition.id,
        rows: file.rows(),
        times: TimeRange { first: *times.start(), last: *times.end() },
        seqs: SeqRange { first: *seqs.start(), last: *seqs.end() },
        bytes: file_bytes,
        tail_bytes,
        tail_crc,
        path: format!("{HISTORY_FOLDER}/{}/{}.parquet", file.schema().name, slice_name(partition.times)),
    }
}

pub(crate) fn io_error(operation: &'static str, path: &Path, source: std::io::Error) -> FlushError {
    FlushError::Io { operation, path: path.to_owned(), source }
}
