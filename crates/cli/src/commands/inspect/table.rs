//! SSTables.

use std::path::Path;

use tapebook::{Schemas, TableId};
use tapebook_lsm::sstable::{Table, TableIdentity};
use tapebook_vfs::RealVfs;

use super::{Page, clock};
use crate::error::CliError;

pub(super) fn inspect(path: &Path, page: &mut Page<'_>) -> Result<(), CliError> {
    let vfs = RealVfs::new();
    let identity = TableIdentity::of_file(&vfs, path).map_err(CliError::failed)?;
    let table = Table::open(&vfs, path, identity).map_err(CliError::failed)?;
    let report = table.report();
    page.line(format_args!("{}: {} bytes, format {}", path.display(), report.file_bytes, report.format))?;
    page.field("file", format_args!("{} of cluster {:032x}", identity.file_id, identity.cluster_id))?;
    page.field("rows", format_args!("{} in {} series", report.rows, report.series))?;
    if let Some((first, last)) = report.seq_range {
        page.field("seq", format_args!("{first}..{last}"))?;
        page.field(
            "ts",
            format_args!("{}..{}", clock(report.time_range.first), clock(report.time_range.last)),
        )?;
    }
    let meta = &report.meta;
    page.field("level", meta.level)?;
    page.field("log", format_args!("index {}..{}", meta.log_index_first, meta.log_index_last))?;
    page.field("blocks", format_args!("{}, {} bytes", report.blocks, report.block_bytes))?;
    let [index, directory, names, ids, checksums, properties] = report.section_bytes;
    page.field(
        "other bytes",
        format_args!(
            "block index {index}, directory {directory}, names {names}, id columns {ids}, \
             page checksums {checksums}, properties {properties}"
        ),
    )?;
    let schemas = Schemas::standard();
    let name =
        |id: TableId| schemas.get(id).map_or(format!("table {}", id.0), |table| table.name.to_string());
    for stats in &report.tables {
        page.line(format_args!(
            "  {}: {} rows, {} series, {} blocks, layout {}..{}",
            name(stats.table),
            stats.rows,
            stats.series,
            stats.blocks,
            stats.layout_first,
            stats.layout_last
        ))?;
    }
    for column in &report.id_columns {
        let known = schemas.get(column.table).and_then(|table| table.columns.get(usize::from(column.column)));
        let column_name = known.map_or(column.column.to_string(), |known| known.name.to_string());
        let passes = match column.false_positives {
            Some(share) => format!("{:.2} % false positives", share * 100.0),
            None => "DAMAGED".to_owned(),
        };
        page.line(format_args!(
            "  {}.{column_name}: {} ids, {} different; filter {} bytes, {passes}; index {} bytes",
            name(column.table),
            column.ids,
            column.distinct,
            column.filter_bytes,
            column.index_bytes
        ))?;
    }
    // The report says what the file claims; the rows themselves are read here.
    if let Err(error) = table.verify(&schemas) {
        return page.fail(error);
    }
    page.field("checked", "every checksum and row")
}
