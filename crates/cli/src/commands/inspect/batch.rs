//! One encoded batch, from a file of its own or out of a log segment.

use std::path::Path;

use tapebook::{EncodedBatch, RawRecord, RowHeader, Schemas, SharedBytes, TableSchema};
use tapebook_record::batch::BATCH_BYTES_MAX;
use tapebook_record::record::Value;
use tapebook_vfs::{OpenMode, RealVfs, Vfs};
use tapebook_wal::{
    EntryKind, FRAME_HEADER_BYTES, LogPosition, PAYLOAD_BYTES_MAX, decode_frame, inspect_segment,
};

use super::{Page, clock};
use crate::error::CliError;
use crate::text::{count, rfc3339};

pub(super) fn inspect(path: &Path, offset: Option<u64>, page: &mut Page<'_>) -> Result<(), CliError> {
    let vfs = RealVfs::new();
    let bytes = match offset {
        Some(offset) => from_segment(&vfs, path, offset)?,
        None => vfs.read_file(path, BATCH_BYTES_MAX as u64).map_err(CliError::failed)?,
    };
    let schemas = Schemas::standard();
    let checked = EncodedBatch::check(SharedBytes::from(bytes.as_slice()), &schemas);
    let batch = checked.or_else(|error| page.fail(format!("{}: {error}", path.display())))?;
    let header = batch.header();
    page.line(format_args!(
        "{}: batch of {} bytes, {}",
        path.display(),
        bytes.len(),
        count(batch.len() as u64, "row")
    ))?;
    page.field("format", header.format)?;
    page.field("checksum", format_args!("{:#010x}", header.crc))?;
    let producer = header.producer;
    match producer.id {
        0 => page.field("producer", "none")?,
        id => page.field(
            "producer",
            format_args!("{id}, epoch {}, batch number {}", producer.epoch, producer.batch_number),
        )?,
    }
    let symbols: Vec<&str> = batch.symbols().collect();
    page.field("symbols", symbols.join(", "))?;
    for row in 0..batch.len() {
        let header = batch.row_header(row);
        let symbol = symbols.get(header.symbol as usize).copied().unwrap_or("?");
        let Some(schema) = schemas.get(header.table) else { continue };
        page.line(format_args!("  {row:>5}  {}", describe(&header, symbol, batch.row(&header), schema)))?;
    }
    Ok(())
}

fn from_segment(vfs: &RealVfs, path: &Path, offset: u64) -> Result<Vec<u8>, CliError> {
    let fail = |reason: String| CliError::failed(format!("{}: {reason}", path.display()));
    let inspection = inspect_segment(vfs, path).map_err(|error| fail(error.to_string()))?;
    let header = inspection.header.map_err(|error| fail(error.to_string()))?;
    let file = vfs.open(path, OpenMode::Read).map_err(|error| fail(error.to_string()))?;
    let mut bytes = vec![0; FRAME_HEADER_BYTES + PAYLOAD_BYTES_MAX];
    let read = file.read_at(offset, &mut bytes).map_err(|error| fail(error.to_string()))?;
    let position = LogPosition(header.base.0.saturating_add(offset));
    let frame = decode_frame(&bytes[..read], &header.identity, position).map_err(|error| {
        fail(format!("at byte {offset}: {error}; `tapebook inspect wal` lists where frames begin"))
    })?;
    match frame.meta.kind {
        EntryKind::Batch => Ok(frame.payload.to_vec()),
        other => Err(fail(format!("at byte {offset}: a frame of kind {}, not a batch", other.name()))),
    }
}

/// A row in one line: table, key, then every column that is not NULL.
fn describe(header: &RowHeader, symbol: &str, row: &[u8], schema: &TableSchema) -> String {
    let record = RawRecord {
        ts: header.ts,
        seq: 0,
        recv_ts: header.recv_ts,
        feed_seq: header.feed_seq,
        flags: header.flags,
        layout: header.layout,
        symbol,
        row,
    };
    let mut parts = vec![schema.name.to_string(), clock(header.ts), symbol.to_owned()];
    for (at, column) in schema.columns.iter().enumerate() {
        if let Some(value) = shown(&record.value(schema, at)) {
            parts.push(format!("{}={value}", column.name));
        }
    }
    parts.extend(record.recv_ts().map(|recv_ts| format!("recv_ts={}", rfc3339(recv_ts))));
    parts.extend(record.feed_seq().map(|feed_seq| format!("feed_seq={feed_seq}")));
    parts.join(" ")
}

fn shown(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Double(value) => value.to_string(),
        Value::BigInt(value) => value.to_string(),
        Value::Timestamp(value) => rfc3339(*value),
        Value::Date(days) => rfc3339(i64::from(*days).saturating_mul(86_400_000_000_000))[..10].to_owned(),
        Value::Decimal(units) => {
            let sign = if *units < 0 { "-" } else { "" };
            let units = units.unsigned_abs();
            format!("{sign}{}.{:09}", units / 1_000_000_000, units % 1_000_000_000)
        }
        Value::Text(text) => format!("{text:?}"),
        Value::Id(id) => id.to_string(),
        Value::Levels(levels) => {
            let levels = levels.iter().map(|level| format!("{}@{}", level.size, level.price));
            format!("[{}]", levels.collect::<Vec<_>>().join(" "))
        }
        Value::Bool(value) => value.to_string(),
    })
}
