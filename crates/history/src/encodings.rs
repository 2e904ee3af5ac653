//! How each column is encoded: by what it means, never by guessing from a file.
//!
//! Times and counters differ little from row to row and are stored as packed differences. Few symbols and words stand in
//! many rows: a dictionary and runs of positions in it. For numbers with a fraction, texts, ids and decimals the meaning
//! does not say which of two or three encodings is smaller: prices that move by ticks repeat, so that either a dictionary
//! or the compressor finds them, depending on how long ago they stood there; ids count up, or are the account that
//! stands in every row. These columns are encoded in each of the ways, and the smallest is kept, in each row group anew.
//! `docs/format/history.md` has the measurements.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{
    BloomFilterPosition, EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};
use tapebook_record::{ColumnKind, TableSchema};

/// Rows of a data page: what a look-up decodes at least of each column that it wants.
const PAGE_ROWS_MAX: usize = 20_000;
/// A page ends when it has so many bytes, before compression.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// A dictionary that would be larger gives up, and the rest of the row group is written without.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;
/// Bytes of the least and greatest value of a page that its index keeps.
const STATISTICS_BYTES_MAX: usize = 64;
/// How often a Bloom filter may say that an id is there when it is not. A filter's size is a power of two.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// One way to encode a column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// A dictionary, behind it what stands here where the dictionary would be too large.
    Dictionary(Encoding),
    Direct(Encoding),
}

/// The ways that a column is tried in.
fn ways(kind: Option<ColumnKind>, is_symbol: bool) -> &'static [Way] {
    const DELTA: &[Way] = &[Way::Direct(Encoding::DELTA_BINARY_PACKED)];
    const WORD: &[Way] = &[Way::Dictionary(Encoding::PLAIN)];
    const TEXT: &[Way] =
        &[Way::Dictionary(Encoding::DELTA_BYTE_ARRAY), Way::Direct(Encoding::DELTA_BYTE_ARRAY)];
    const NUMBER: &[Way] = &[
        Way::Dictionary(Encoding::PLAIN),
        Way::Direct(Encoding::PLAIN),
        Way::Direct(Encoding::BYTE_STREAM_SPLIT),
    ];
    const DECIMAL: &[Way] = &[Way::Dictionary(Encoding::PLAIN), Way::Direct(Encoding::PLAIN)];
    match kind {
        None if is_symbol => WORD,
        None | Some(ColumnKind::BigInt | ColumnKind::Timestamp) => DELTA,
        Some(ColumnKind::Word(_) | ColumnKind::Date) => WORD,
        Some(ColumnKind::Text | ColumnKind::Id) => TEXT,
        Some(ColumnKind::Double | ColumnKind::Levels) => NUMBER,
        Some(ColumnKind::Decimal) => DECIMAL,
        Some(ColumnKind::Flag { .. }) => &[Way::Direct(Encoding::RLE)],
    }
}

/// How the columns of one table are written.
#[derive(Debug)]
pub(crate) struct Encodings {
    pub(crate) parquet_schema: SchemaDescPtr,
    /// One for each number of a way; a column with fewer ways stands in the rest with its first.
    pub(crate) properties: Vec<Arc<WriterProperties>>,
    /// How many ways each leaf is tried in.
    pub(crate) ways: Vec<usize>,
}

impl Encodings {
    pub(crate) fn new(
        schema: &TableSchema,
        arrow_schema: &SchemaRef,
        zstd_level: i32,
        row_group_rows_max: usize,
    ) -> Result<Self> {
        let parquet_schema = ArrowSchemaConverter::new().schema_root(&schema.name).convert(arrow_schema)?;
        let last = schema.columns.len() + 2;
        let leaves: Vec<(Option<ColumnKind>, &'static [Way])> = (0..parquet_schema.num_columns())
            .map(|leaf| {
                let position = parquet_schema.get_column_root_idx(leaf);
                let kind = (2..last).contains(&position).then(|| schema.columns[position - 2].kind);
                (kind, ways(kind, position == 1))
            })
            .collect();
        let count = leaves.iter().map(|(_, ways)| ways.len()).max().unwrap_or(1);
        let mut properties = Vec::with_capacity(count);
        for number in 0..count {
            let mut builder = common(&parquet_schema, zstd_level)?;
            for (leaf, (kind, ways)) in leaves.iter().enumerate() {
                let path = parquet_schema.column(leaf).path().clone();
                builder = match ways.get(number).unwrap_or(&ways[0]) {
                    Way::Dictionary(fallback) => builder
                        .set_column_dictionary_enabled(path.clone(), true)
                        .set_column_encoding(path.clone(), *fallback),
                    Way::Direct(encoding) => builder
                        .set_column_dictionary_enabled(path.clone(), false)
                        .set_column_encoding(path.clone(), *encoding),
                };
                if *kind == Some(ColumnKind::Id) {
                    builder = builder
                        .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
                        .set_column_bloom_filter_max_ndv(path, row_group_rows_max as u64);
                }
            }
            properties.push(Arc::new(builder.build()));
        }
        Ok(Self {
            parquet_schema: Arc::new(parquet_schema),
            properties,
            ways: leaves.iter().map(|(_, ways)| ways.len()).collect(),
        })
    }
}

fn common(parquet_schema: &SchemaDescriptor, zstd_level: i32) -> Result<WriterPropertiesBuilder> {
    let (ts, symbol, seq) = (0, 1, parquet_schema.num_columns() - 1);
    let sorting = [symbol, ts, seq].map(|leaf| SortingColumn {
        column_idx: leaf as i32,
        descending: false,
        nulls_first: false,
    });
    Ok(WriterProperties::builder()
        .set_created_by(concat!("tapebook ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_data_page_size_limit(PAGE_BYTES_MAX)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES_MAX))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES_MAX))
        // Before the tail, where the grains cover them.
        .set_bloom_filter_position(BloomFilterPosition::AfterRowGroup)
        // Where a row group ends is the writer's to say.
        .set_max_row_group_row_count(None)
        .set_sorting_columns(Some(sorting.to_vec())))
}
