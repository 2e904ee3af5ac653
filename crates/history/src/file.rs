//! An open file.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use tapebook_record::projection::{RowBlock, arrow_schema};
use tapebook_record::{Id, TableId, TableSchema};
use tapebook_vfs::{OpenMode, Vfs};

use crate::batches::HistoryBatches;
use crate::blocks::HistoryBlocks;
use crate::by_id;
use crate::decoder::decoding;
use crate::directory::SeriesSpan;
use crate::error::{HistoryError, Part, io_error};
use crate::footer::footer_facts;
use crate::identity::{HistoryIdentity, HistorySeal};
use crate::metadata::Facts;
use crate::open::Opened;
use crate::pages::KeyPages;
use crate::report::HistoryReport;
use crate::rows::HistoryRows;
use crate::search;
use crate::selection::Selection;
use crate::verified::VerifiedFile;
use crate::verify;

/// A file of history: its metadata in memory, its rows on disk. Cloning shares it.
#[derive(Clone, Debug)]
pub struct HistoryFile {
    pub(crate) path: Arc<Path>,
    pub(crate) schema: Arc<TableSchema>,
    pub(crate) source: VerifiedFile,
    pub(crate) metadata: ArrowReaderMetadata,
    facts: Arc<Facts>,
    pub(crate) series: Arc<[SeriesSpan]>,
    pub(crate) pages: Arc<KeyPages>,
    seal: HistorySeal,
}

impl HistoryFile {
    /// Opens a file and checks that it is the one that was asked for, that it is whole, and everything in it but the
    /// row groups, whose pages are checked when they are read.
    ///
    /// `seal` is what the writer said of the file. Without it, which is for tools that have nothing but the file, damage
    /// behind the row groups is noticed only where it makes no sense.
    pub fn open(
        vfs: &dyn Vfs,
        path: &Path,
        identity: HistoryIdentity,
        seal: Option<HistorySeal>,
        schema: &Arc<TableSchema>,
    ) -> Result<Self, HistoryError> {
        let opened = Opened::new(vfs, path, Some(identity), seal)?;
        let path = opened.path;
        check_table(&path, schema, &opened.facts)?;
        let columns = file_columns(schema, opened.facts.layout);
        let metadata = decoding(&path, Part::Footer, || {
            let options = ArrowReaderOptions::new().with_schema(columns);
            ArrowReaderMetadata::try_new(Arc::new(opened.parquet), options)
        })?;
        Ok(Self {
            source: opened.source,
            schema: Arc::clone(schema),
            metadata,
            facts: Arc::new(opened.facts),
            series: opened.series.into(),
            pages: Arc::new(opened.pages),
            seal: opened.seal,
            path,
        })
    }

    /// Which file the file at `path` says that it is, and which table's rows it says that it has. For tools that have
    /// nothing but the file; a database knows what it expects.
    pub fn identity_of(vfs: &dyn Vfs, path: &Path) -> Result<(HistoryIdentity, TableId), HistoryError> {
        let path: Arc<Path> = path.into();
        let file = vfs.open(&path, OpenMode::Read).map_err(|source| io_error(&path, source))?;
        let file_bytes = file.len().map_err(|source| io_error(&path, source))?;
        let facts = footer_facts(&path, &file, file_bytes)?;
        Ok((facts.identity, TableId(facts.table_id)))
    }

    /// Everything that the file at `path` says of itself, of whichever table it is. For tools, as
    /// [`HistoryFile::identity_of`].
    pub fn report_of(vfs: &dyn Vfs, path: &Path) -> Result<HistoryReport, HistoryError> {
        Opened::new(vfs, path, None, None).map(|opened| HistoryReport::new(&opened))
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which file it is.
    pub fn identity(&self) -> HistoryIdentity {
        self.facts.identity
    }

    /// What a manifest keeps of the file.
    pub fn seal(&self) -> HistorySeal {
        self.seal
    }

    /// The table's schema, as it was given when the file was opened.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.facts.rows
    }

    /// Event times of all rows; empty where there are none.
    pub fn time_range(&self) -> RangeInclusive<i64> {
        self.facts.times.clone()
    }

    /// Sequence numbers of all rows; empty where there are none.
    pub fn seq_range(&self) -> RangeInclusive<u64> {
        self.facts.seqs.clone()
    }

    /// The layout versions that its rows had before they came here.
    pub fn row_layouts(&self) -> RangeInclusive<u16> {
        self.facts.row_layouts.clone()
    }

    /// Rows hidden by retractions up to this number were left out when the file was written; 0 for none.
    pub fn retractions_through(&self) -> u64 {
        self.facts.retractions_through
    }

    /// Every symbol with its exact ranges, by name.
    pub fn all_series(&self) -> &[SeriesSpan] {
        &self.series
    }

    /// What the file has of one symbol.
    pub fn series(&self, symbol: &str) -> Option<&SeriesSpan> {
        self.series.get(self.series_at(symbol)?)
    }

    fn series_at(&self, symbol: &str) -> Option<usize> {
        self.series.binary_search_by(|span| span.symbol.as_str().cmp(symbol)).ok()
    }

    /// The rows of each row group, as positions in the file: what threads can divide among themselves.
    pub fn row_groups(&self) -> Vec<Range<u64>> {
        let mut first = 0;
        let groups = self.metadata.metadata().row_groups().iter();
        groups
            .map(|group| {
                let range = first..first + group.num_rows() as u64;
                first = range.end;
                range
            })
            .collect()
    }

    /// The selected rows as Arrow batches of `columns`, positions in the table's Arrow schema in the order wanted, at most
    /// `batch_rows` rows each, in file order. Only row groups and pages that can have such rows are read.
    ///
    /// # Panics
    ///
    /// Where a position is not below the number of fields.
    pub fn batches(
        &self,
        columns: &[usize],
        selection: &Selection,
        batch_rows: usize,
    ) -> Result<HistoryBatches, HistoryError> {
        HistoryBatches::new(self, columns, selection, batch_rows)
    }

    /// The selected rows as records, in file order.
    pub fn rows_of(&self, selection: &Selection) -> Result<HistoryRows, HistoryError> {
        HistoryRows::new(self, selection)
    }

    /// The rows of one series in a range of time as blocks, from the first to the last. Nothing is read before the first
    /// block is asked for.
    pub fn blocks(&self, symbol: &str, times: RangeInclusive<i64>) -> HistoryBlocks {
        HistoryBlocks::new(self, self.series_at(symbol), times, false)
    }

    /// [`HistoryFile::blocks`] from the last block to the first; inside a block rows ascend all the same.
    pub fn blocks_backward(&self, symbol: &str, times: RangeInclusive<i64>) -> HistoryBlocks {
        HistoryBlocks::new(self, self.series_at(symbol), times, true)
    }

    /// The row with that key: its block and its position there.
    pub fn get(
        &self,
        symbol: &str,
        ts: i64,
        seq: u64,
    ) -> Result<Option<(Arc<RowBlock>, usize)>, HistoryError> {
        search::get(self, symbol, ts, seq)
    }

    /// The last row of a series, by time and sequence number, whose time is at most `at` and whose sequence number is
    /// `shown`, which is asked from the last one back: its block and its position there.
    pub fn last(
        &self,
        symbol: &str,
        at: i64,
        shown: impl FnMut(u64) -> bool,
    ) -> Result<Option<(Arc<RowBlock>, usize)>, HistoryError> {
        search::last(self, symbol, at, shown)
    }

    /// Every row that has that id in a column, a position among the table's own columns, in file order. A column that is
    /// not one of [`TableSchema::id_columns`] has none.
    ///
    /// Row groups whose Bloom filter or page index excludes the id are not read.
    pub fn by_id(&self, column: usize, id: Id<'_>) -> Result<Vec<(Arc<RowBlock>, usize)>, HistoryError> {
        by_id::by_id(self, column, id)
    }

    pub(crate) fn candidates(&self, selection: &Selection) -> crate::prune::Candidates {
        crate::prune::candidates(&self.series, &self.pages, selection)
    }

    /// The positions of all columns of the table's Arrow schema.
    pub(crate) fn all_columns(&self) -> Vec<usize> {
        (0..self.schema.columns.len() + 5).collect()
    }

    /// How many of the table's own columns the file has; it lacks those of later layouts.
    pub(crate) fn own_columns(&self) -> usize {
        own_columns(&self.schema, self.facts.layout)
    }

    /// Reads everything: checks every byte against its checksum, decodes every row, and compares order, counts and ranges
    /// with what the file says of itself, and times, sequence numbers and ids with page index and filters.
    pub fn verify(&self) -> Result<(), HistoryError> {
        verify::verify(self)
    }
}

fn own_columns(schema: &TableSchema, layout: u16) -> usize {
    schema.columns.iter().take_while(|column| column.since <= layout).count()
}

/// The Arrow schema of the table as it was when the file was written.
fn file_columns(schema: &TableSchema, layout: u16) -> SchemaRef {
    let full = arrow_schema(schema);
    let (own, all) = (own_columns(schema, layout), schema.columns.len());
    let kept = (0..2 + own).chain(2 + all..full.fields().len());
    Arc::new(Schema::new(kept.map(|at| full.field(at).clone()).collect::<Vec<_>>()))
}

fn check_table(path: &Path, schema: &TableSchema, facts: &Facts) -> Result<(), HistoryError> {
    if facts.table_id == schema.id.0 && (1..=schema.layout).contains(&facts.layout) {
        return Ok(());
    }
    Err(HistoryError::WrongTable {
        path: path.to_path_buf(),
        expected: format!("table {} ({}), layout up to {}", schema.id.0, schema.name, schema.layout),
        found: format!("table {} ({}), layout {}", facts.table_id, facts.table, facts.layout),
    })
}
