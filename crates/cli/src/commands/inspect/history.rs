//! Files of history.

use std::path::Path;

use tapebook::Schemas;
use tapebook_history::{ColumnReport, HistoryFile, HistoryReport};
use tapebook_vfs::RealVfs;

use super::{Page, clock};
use crate::error::CliError;

/// Series that are named; a file can have very many.
const SERIES_SHOWN: usize = 10;

pub(super) fn inspect(path: &Path, page: &mut Page<'_>) -> Result<(), CliError> {
    let vfs = RealVfs::new();
    let report = HistoryFile::report_of(&vfs, path).map_err(CliError::failed)?;
    let (identity, seal) = (report.identity, report.seal);
    page.line(format_args!("{}: {} bytes, format {}", path.display(), seal.file_bytes, report.format))?;
    page.field("file", format_args!("{} of cluster {:032x}", identity.file_id, identity.cluster_id))?;
    page.field(
        "table",
        format_args!(
            "{} (number {}), layout {}, rows had {}",
            report.table,
            report.table_id.0,
            report.layout,
            range(report.row_layouts.start(), report.row_layouts.end(), report.rows)
        ),
    )?;
    page.field("written by", report.created_by.as_deref().unwrap_or("somebody who does not say"))?;
    page.field(
        "rows",
        format_args!(
            "{} in {} series, {} bytes a row",
            report.rows,
            report.series.len(),
            per_row(seal.file_bytes, &report)
        ),
    )?;
    page.field("seq", range(report.seq_range.start(), report.seq_range.end(), report.rows))?;
    let (first, last) = (clock(*report.time_range.start()), clock(*report.time_range.end()));
    page.field("ts", range(&first, &last, report.rows))?;
    page.field(
        "left out",
        match report.retractions_through {
            0 => "nothing".to_owned(),
            number => format!("rows that retractions up to number {number} hide"),
        },
    )?;
    let rows_max = report.row_groups.iter().map(|group| group.rows).max().unwrap_or(0);
    page.field("row groups", format_args!("{}, at most {rows_max} rows", report.row_groups.len()))?;
    page.field(
        "behind them",
        format_args!(
            "{} bytes of directory, checksums, page index and footer, checksum {:08x}",
            seal.tail_bytes, seal.tail_crc
        ),
    )?;
    for column in &report.columns {
        page.line(format_args!("  {}", describe(column, &report)))?;
    }
    for span in report.series.iter().take(SERIES_SHOWN) {
        page.line(format_args!(
            "  series {}: {} rows, seq {}..{}, ts {}..{}",
            span.symbol,
            span.rows,
            span.seq_min,
            span.seq_max,
            clock(span.ts_first),
            clock(span.ts_last)
        ))?;
    }
    if report.series.len() > SERIES_SHOWN {
        page.line(format_args!("  and {} more series", report.series.len() - SERIES_SHOWN))?;
    }
    // The report says what the file claims; the rows themselves are read here.
    let schemas = Schemas::standard();
    let Some(schema) = schemas.get(report.table_id) else {
        return page.field(
            "checked",
            "all but the row groups: the columns of a table of one's own are not known here",
        );
    };
    if let Err(error) =
        HistoryFile::open(&vfs, path, identity, Some(seal), schema).and_then(|file| file.verify())
    {
        return page.fail(error);
    }
    page.field("checked", "every checksum and row, page index and filters")
}

fn describe(column: &ColumnReport, report: &HistoryReport) -> String {
    let mut text = format!(
        "{}: {} bytes, {} a row, {} before {}; {}",
        column.name,
        column.bytes,
        per_row(column.bytes, report),
        column.uncompressed_bytes,
        column.compression,
        column.encodings.join(" or ")
    );
    if let Some(nulls) = column.nulls.filter(|nulls| *nulls > 0) {
        text += &format!("; {nulls} NULL");
    }
    if column.filter_bytes > 0 {
        text += &format!(
            "; filters {} bytes, {} a row",
            column.filter_bytes,
            per_row(column.filter_bytes, report)
        );
    }
    text
}

fn per_row(bytes: u64, report: &HistoryReport) -> String {
    if report.rows == 0 { "-".to_owned() } else { format!("{:.3}", bytes as f64 / report.rows as f64) }
}

fn range(first: &impl ToString, last: &impl ToString, rows: u64) -> String {
    if rows == 0 { "none".to_owned() } else { format!("{}..{}", first.to_string(), last.to_string()) }
}
