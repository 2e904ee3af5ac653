//! What a file says of itself, for tools.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use parquet::basic::{Compression, Type};
use tapebook_record::TableId;

use crate::directory::SeriesSpan;
use crate::identity::{HistoryIdentity, HistorySeal};
use crate::open::Opened;

/// What a file says of itself, of whichever table it is. Its row groups are not read.
#[derive(Clone, Debug)]
pub struct HistoryReport {
    /// The version of its format.
    pub format: u16,
    /// Which file it is.
    pub identity: HistoryIdentity,
    /// What a manifest would keep of it.
    pub seal: HistorySeal,
    /// Its table.
    pub table_id: TableId,
    /// The table's name when the file was written.
    pub table: String,
    /// The layout version whose columns it has.
    pub layout: u16,
    /// The layout versions that its rows had before.
    pub row_layouts: RangeInclusive<u16>,
    /// The number of its rows.
    pub rows: u64,
    /// Event times of all rows; empty where there are none.
    pub time_range: RangeInclusive<i64>,
    /// Sequence numbers of all rows; empty where there are none.
    pub seq_range: RangeInclusive<u64>,
    /// Rows hidden by retractions up to this number were left out; 0 for none.
    pub retractions_through: u64,
    /// Who wrote it, with version.
    pub created_by: Option<String>,
    /// Its row groups, in their order.
    pub row_groups: Vec<RowGroupReport>,
    /// Its columns, in their order; a list of price levels is two.
    pub columns: Vec<ColumnReport>,
    /// Its series, by name.
    pub series: Vec<SeriesSpan>,
}

/// What a file says of one of its row groups.
#[derive(Clone, Debug)]
pub struct RowGroupReport {
    /// The number of its rows.
    pub rows: u64,
    /// The bytes of its columns, compressed.
    pub bytes: u64,
}

/// What a file says of one of its columns, all row groups together.
#[derive(Clone, Debug)]
pub struct ColumnReport {
    /// Its name, with what it is inside of.
    pub name: String,
    /// How its values are encoded, each way that some row group chose.
    pub encodings: Vec<String>,
    /// How it is compressed.
    pub compression: String,
    /// Its bytes, compressed.
    pub bytes: u64,
    /// Its bytes before compression.
    pub uncompressed_bytes: u64,
    /// Its NULLs, where every row group counts them.
    pub nulls: Option<u64>,
    /// Bytes of its Bloom filters.
    pub filter_bytes: u64,
}

impl HistoryReport {
    pub(crate) fn new(opened: &Opened) -> Self {
        let facts = &opened.facts;
        let groups = opened.parquet.row_groups();
        let bytes = |bytes: i64| u64::try_from(bytes).unwrap_or_default();
        let leaves = opened.parquet.file_metadata().schema_descr().num_columns();
        let columns = (0..leaves).map(|leaf| {
            let chunks = || groups.iter().filter_map(move |group| group.columns().get(leaf));
            let descriptor = opened.parquet.file_metadata().schema_descr().column(leaf);
            // Levels are always in runs, and a dictionary is plain; values are only where there is nothing else.
            let encodings = chunks().map(|chunk| {
                let all: Vec<String> = chunk.encodings().map(|encoding| encoding.to_string()).collect();
                let (is_flag, has_dictionary) =
                    (chunk.column_type() == Type::BOOLEAN, chunk.dictionary_page_offset().is_some());
                let of_values = all.into_iter().filter(|encoding| match encoding.as_str() {
                    "RLE" => is_flag,
                    "PLAIN" => !has_dictionary,
                    _ => true,
                });
                of_values.collect::<Vec<_>>().join("+")
            });
            let nulls =
                chunks().map(|chunk| chunk.statistics().and_then(|statistics| statistics.null_count_opt()));
            ColumnReport {
                name: descriptor.path().string(),
                encodings: encodings.collect::<BTreeSet<_>>().into_iter().collect(),
                compression: chunks().next().map(|chunk| name(chunk.compression())).unwrap_or_default(),
                bytes: sum(chunks().map(|chunk| bytes(chunk.compressed_size()))),
                uncompressed_bytes: sum(chunks().map(|chunk| bytes(chunk.uncompressed_size()))),
                nulls: nulls.collect::<Option<Vec<u64>>>().map(|nulls| sum(nulls.into_iter())),
                filter_bytes: sum(
                    chunks().map(|chunk| bytes(chunk.bloom_filter_length().unwrap_or(0).into()))
                ),
            }
        });
        let row_group = |group: &parquet::file::metadata::RowGroupMetaData| RowGroupReport {
            rows: bytes(group.num_rows()),
            bytes: bytes(group.compressed_size()),
        };
        Self {
            format: facts.format,
            identity: facts.identity,
            seal: opened.seal,
            table_id: TableId(facts.table_id),
            table: facts.table.clone(),
            layout: facts.layout,
            row_layouts: facts.row_layouts.clone(),
            rows: facts.rows,
            time_range: facts.times.clone(),
            seq_range: facts.seqs.clone(),
            retractions_through: facts.retractions_through,
            created_by: opened.parquet.file_metadata().created_by().map(str::to_owned),
            row_groups: groups.iter().map(row_group).collect(),
            columns: columns.collect(),
            series: opened.series.clone(),
        }
    }
}

/// Without the level, which no file says and the parquet crate makes up.
fn name(compression: Compression) -> String {
    compression.to_string().split('(').next().unwrap_or_default().to_owned()
}

/// Nobody vouches for the numbers.
fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}
