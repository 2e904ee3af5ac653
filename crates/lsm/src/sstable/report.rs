//! What `tapebook inspect table` shows.

use std::fmt;
use std::path::PathBuf;

use tapebook_record::TableId;

use super::TABLE_FORMAT;
use super::bloom::LINE_BYTES;
use super::identity::TableIdentity;
use super::layout::PAGE_BYTES;
use super::meta::{TableMeta, TableStats};
use super::table::Table;
use crate::key::TimeRange;

/// What a file is and what it holds, without its rows. `Display` gives the text for people.
#[derive(Clone, Debug)]
pub struct TableReport {
    /// The file.
    pub path: PathBuf,
    /// Which file it is.
    pub identity: TableIdentity,
    /// The version of its format.
    pub format: u16,
    /// Its length in bytes.
    pub file_bytes: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Series of all tables.
    pub series: u64,
    /// Event times of all rows.
    pub time_range: TimeRange,
    /// The lowest and the highest sequence number, `None` without rows.
    pub seq_range: Option<(u64, u64)>,
    /// Blocks of rows.
    pub blocks: u64,
    /// Bytes in them.
    pub block_bytes: u64,
    /// How many of them had their checksum verified since the file was opened.
    pub blocks_verified: u64,
    /// Bytes of block index, directory, names, id columns, page checksums and properties, in this order.
    pub section_bytes: [u64; 6],
    /// What the file holds of each table.
    pub tables: Vec<TableStats>,
    /// Filters and id indexes.
    pub id_columns: Vec<IdColumnReport>,
    /// Where the file comes from.
    pub meta: TableMeta,
}

/// The filter and the index of one id column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IdColumnReport {
    /// The table.
    pub table: TableId,
    /// Position of the column in its table.
    pub column: u16,
    /// Rows whose id is not NULL.
    pub ids: u64,
    /// Different ids among them.
    pub distinct: u64,
    /// Bytes of the Bloom filter.
    pub filter_bytes: u64,
    /// Bits of the filter that are probed for each id.
    pub probes: u32,
    /// The share of foreign ids that pass, as the bits that are set let expect; between 0 and 1. Only where the
    /// pages of the filter are whole.
    pub false_positives: Option<f64>,
    /// Bytes of the id index.
    pub index_bytes: u64,
}

impl Table {
    /// Describes the file. Reads the filters, not the rows.
    pub fn report(&self) -> TableReport {
        let block_bytes =
            (0..self.block_count()).map(|block| u64::from(self.block_entry(block).length)).sum();
        TableReport {
            path: self.path.to_path_buf(),
            identity: self.identity,
            format: TABLE_FORMAT,
            file_bytes: self.file_bytes(),
            rows: self.rows(),
            series: self.series_count() as u64,
            time_range: self.time_range(),
            seq_range: self.seq_range(),
            blocks: u64::from(self.block_count()),
            block_bytes,
            blocks_verified: self.verified_blocks.len() as u64,
            section_bytes: self.footer.sections.map(|section| section.length),
            tables: self.tables().to_vec(),
            id_columns: (0..self.id_columns.len()).map(|at| self.report_id_column(at)).collect(),
            meta: *self.meta(),
        }
    }

    fn report_id_column(&self, at: usize) -> IdColumnReport {
        let column = &self.id_columns[at];
        let start = column.filter_offset as usize;
        let filter = &self.source[start..start + column.filter_length as usize];
        let whole = filter.chunks(PAGE_BYTES).enumerate().all(|(page, bytes)| {
            let offset = column.filter_offset + (page * PAGE_BYTES) as u64;
            self.verify_page(column.first_page + page as u32, offset, bytes).is_ok()
        });
        let pass = |line: &[u8]| {
            let ones: u32 = line.iter().map(|byte| byte.count_ones()).sum();
            (f64::from(ones) / (LINE_BYTES * 8) as f64).powi(column.probes as i32)
        };
        let pass_all: f64 = filter.chunks(LINE_BYTES).map(pass).sum();
        IdColumnReport {
            table: column.table,
            column: column.column,
            ids: column.ids,
            distinct: column.distinct,
            filter_bytes: column.filter_length,
            probes: column.probes,
            false_positives: whole.then(|| pass_all / column.lines() as f64),
            index_bytes: column.index_length,
        }
    }
}

impl fmt::Display for TableReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.identity;
        writeln!(f, "{}: table {} of cluster {:032x}", self.path.display(), id.file_id, id.cluster_id)?;
        writeln!(
            f,
            "format {}, {} bytes, {} rows, {} series",
            self.format, self.file_bytes, self.rows, self.series
        )?;
        if let Some((first, last)) = self.seq_range {
            writeln!(f, "ts {} to {}, seq {first} to {last}", self.time_range.first, self.time_range.last)?;
        }
        let meta = &self.meta;
        writeln!(
            f,
            "level {}, partition {} to {}, log index {} to {}, term {} to {}, retractions through {}",
            meta.level,
            meta.partition.first,
            meta.partition.last,
            meta.log_index_first,
            meta.log_index_last,
            meta.term_min,
            meta.term_max,
            meta.retractions_through,
        )?;
        writeln!(f, "{} blocks, {} bytes, {} verified", self.blocks, self.block_bytes, self.blocks_verified)?;
        let [index, directory, names, id_columns, checksums, properties] = self.section_bytes;
        writeln!(
            f,
            "block index {index} bytes, directory {directory}, names {names}, id columns {id_columns}, \
             page checksums {checksums}, properties {properties}",
        )?;
        for table in &self.tables {
            writeln!(
                f,
                "table {}: {} rows, {} series, {} blocks, layout {} to {}",
                table.table.0, table.rows, table.series, table.blocks, table.layout_first, table.layout_last,
            )?;
        }
        for column in &self.id_columns {
            write!(
                f,
                "table {} column {}: {} ids, {} different, filter {} bytes, {} probes, ",
                column.table.0,
                column.column,
                column.ids,
                column.distinct,
                column.filter_bytes,
                column.probes,
            )?;
            match column.false_positives {
                Some(share) => write!(f, "{:.2} % false positives", share * 100.0)?,
                None => f.write_str("damaged")?,
            }
            writeln!(f, ", index {} bytes", column.index_bytes)?;
        }
        Ok(())
    }
}
