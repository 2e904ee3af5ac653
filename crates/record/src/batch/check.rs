//! What a batch from outside must be. Nothing here panics, whatever the bytes are.

use std::collections::HashSet;

use super::header::{BatchHeader, CRC_COVERS_FROM, HEADER_BYTES, MAGIC, ROW_HEADER_BYTES, RowHeader};
use super::{BATCH_BYTES_MAX, BATCH_FORMAT};
use crate::crc32c;
use crate::record::flags;
use crate::row_writer::{DECIMAL_UNITS_MAX, ROW_BYTES_MAX};
use crate::schema::{Column, ColumnKind, Schemas};
use crate::slot::{
    self, ID_TEXT_BIT, LEVEL_BYTES, NULL_DECIMAL, NULL_DOUBLE_BITS, NULL_ID, canonical_number, i128_at,
    u32_at, u64_at,
};
use crate::symbol::{SymbolError, check_symbol};

/// Bytes that are not a batch.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// They do not begin like one.
    #[error("not a batch: {length} bytes that do not begin with {:?}", String::from_utf8_lossy(&MAGIC))]
    NotABatch {
        /// How many bytes there are.
        length: usize,
    },
    /// A format that this version does not know.
    #[error("batch format {found} is not known, this version reads up to {BATCH_FORMAT}")]
    UnknownFormat {
        /// The version found.
        found: u16,
    },
    /// Too long, or not as long as it says.
    #[error("the batch has {found} bytes, expected {expected}, at most {BATCH_BYTES_MAX}")]
    Length {
        /// What the header says.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// The bytes are not those that were written.
    #[error("batch checksum {found:#010x}, expected {expected:#010x}: the bytes were damaged on the way")]
    Checksum {
        /// What the header says.
        expected: u32,
        /// What the bytes give.
        found: u32,
    },
    /// A part is not where it can be.
    #[error("batch, byte {offset}: {reason}")]
    Structure {
        /// Where in the batch.
        offset: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A name in the dictionary is not possible.
    #[error("batch, symbol {index}: {source}")]
    Symbol {
        /// Position in the dictionary.
        index: usize,
        /// What is wrong with it.
        source: SymbolError,
    },
    /// A row is not possible.
    #[error("batch, row {row}{}: {reason}", column.as_ref().map(|name| format!(", column {name}")).unwrap_or_default())]
    Row {
        /// Position in the batch.
        row: usize,
        /// The column, where it is one column's fault.
        column: Option<String>,
        /// What is wrong there.
        reason: &'static str,
    },
}

/// Length, format and checksum: after this the bytes are those that the writer had.
pub(super) fn checksum(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::read(bytes).ok_or(BatchError::NotABatch { length: bytes.len() })?;
    if header.format != BATCH_FORMAT {
        return Err(BatchError::UnknownFormat { found: header.format });
    }
    if header.length as usize != bytes.len() || bytes.len() > BATCH_BYTES_MAX {
        return Err(BatchError::Length { expected: header.length as usize, found: bytes.len() });
    }
    let found = crc32c(&bytes[CRC_COVERS_FROM..]);
    if found != header.crc {
        return Err(BatchError::Checksum { expected: header.crc, found });
    }
    Ok(header)
}

/// Every part lies where it says, so that reading it cannot go out of bounds.
pub(super) fn structure(bytes: &[u8], header: &BatchHeader) -> Result<(), BatchError> {
    let fail = |offset, reason| Err(BatchError::Structure { offset, reason });
    if header.flags != 0 || !BatchHeader::reserved_is_zero(bytes) {
        return fail(0, "a flag or reserved field is set that this version does not know");
    }
    let headers = header.row_headers_offset as usize;
    let rows = header.rows_offset as usize;
    let count = header.count as usize;
    if header.count == 0 {
        return fail(16, "no rows");
    }
    if headers < HEADER_BYTES || !headers.is_multiple_of(8) || headers > bytes.len() {
        return fail(24, "row headers outside the batch");
    }
    if rows != (headers + count.saturating_mul(ROW_HEADER_BYTES)).next_multiple_of(16) || rows > bytes.len() {
        return fail(28, "rows do not follow the row headers");
    }
    let mut at = HEADER_BYTES;
    for _ in 0..header.symbol_count {
        match bytes[at..headers].split_first() {
            Some((length, rest)) if rest.len() >= usize::from(*length) => at += 1 + usize::from(*length),
            _ => return fail(at, "the dictionary of symbols is cut off"),
        }
    }
    if at.next_multiple_of(8) != headers || bytes[at..headers].iter().any(|byte| *byte != 0) {
        return fail(at, "bytes between dictionary and row headers");
    }
    for row in 0..count {
        let at = headers + row * ROW_HEADER_BYTES;
        let row_header = RowHeader::read(&bytes[at..at + ROW_HEADER_BYTES]);
        let (start, length) = (row_header.offset as usize, row_header.length as usize);
        if start < rows || start.saturating_add(length) > bytes.len() || !start.is_multiple_of(8) {
            return fail(at, "a row outside the batch");
        }
        if row_header.symbol >= header.symbol_count {
            return fail(at, "a symbol that the dictionary does not have");
        }
    }
    Ok(())
}

/// Every name and every value is one that a writer of ours could have written.
pub(super) fn rows(bytes: &[u8], header: &BatchHeader, schemas: &Schemas) -> Result<(), BatchError> {
    let headers = header.row_headers_offset as usize;
    let mut names = HashSet::new();
    let mut at = HEADER_BYTES;
    for index in 0..header.symbol_count as usize {
        let end = at + 1 + usize::from(bytes[at]);
        let name = std::str::from_utf8(&bytes[at + 1..end])
            .map_err(|_| BatchError::Structure { offset: at, reason: "a symbol that is not UTF-8" })?;
        check_symbol(name).map_err(|source| BatchError::Symbol { index, source })?;
        if !names.insert(name) {
            return Err(BatchError::Structure {
                offset: at,
                reason: "a symbol stands twice in the dictionary",
            });
        }
        at = end;
    }
    let mut next_row = header.rows_offset as usize;
    for row in 0..header.count as usize {
        let at = headers + row * ROW_HEADER_BYTES;
        let row_header = RowHeader::read(&bytes[at..at + ROW_HEADER_BYTES]);
        let fail = |reason| Err(BatchError::Row { row, column: None, reason });
        let Some(schema) = schemas.get(row_header.table) else {
            return fail("its table is not known");
        };
        if row_header.layout != schema.layout {
            return fail("its layout version is not known");
        }
        if row_header.flags & !flags::ALL != 0 {
            return fail("it has flags that are not known");
        }
        if row_header.flags & flags::FEED_SEQ == 0 && row_header.feed_seq != 0 {
            return fail("it has a feed_seq that its flags deny");
        }
        let start = row_header.offset as usize;
        let length = row_header.length as usize;
        if start != next_row.next_multiple_of(schema.row_align) {
            return fail("rows do not follow each other");
        }
        if length < schema.fixed_bytes || length > ROW_BYTES_MAX || !length.is_multiple_of(schema.row_align) {
            return fail("its length does not fit its table");
        }
        next_row = start + length;
        let row_bytes = &bytes[start..next_row];
        let mut flags_meant = flags::FEED_SEQ;
        for column in &schema.columns {
            if let ColumnKind::Flag { known, set } = column.kind {
                flags_meant |= known | set;
                if row_header.flags & (known | set) == set {
                    return fail("a flag is set that is not known");
                }
            }
            value(row_bytes, schema.fixed_bytes, column).map_err(|reason| BatchError::Row {
                row,
                column: Some(column.name.to_string()),
                reason,
            })?;
        }
        if row_header.flags & !flags_meant != 0 {
            return fail("it has flags that its table does not have");
        }
    }
    if next_row != bytes.len() {
        return Err(BatchError::Structure { offset: next_row, reason: "bytes behind the last row" });
    }
    Ok(())
}

fn value(row: &[u8], fixed_bytes: usize, column: &Column) -> Result<(), &'static str> {
    let at = column.offset;
    match column.kind {
        ColumnKind::Double => double(u64_at(row, at)),
        ColumnKind::BigInt | ColumnKind::Timestamp | ColumnKind::Date | ColumnKind::Flag { .. } => Ok(()),
        ColumnKind::Decimal => {
            let value = i128_at(row, at);
            if value == NULL_DECIMAL || value.unsigned_abs() <= DECIMAL_UNITS_MAX {
                Ok(())
            } else {
                Err("more than 38 digits")
            }
        }
        ColumnKind::Word(words) => {
            if row[at] == 0 || words.word(row[at]).is_some() {
                Ok(())
            } else {
                Err("a code without a word")
            }
        }
        ColumnKind::Text => match tail(row, fixed_bytes, u32_at(row, at), u32_at(row, at + 4))? {
            Some(bytes) => slot::text(bytes).map(drop).ok_or("not UTF-8"),
            None => Ok(()),
        },
        ColumnKind::Id => {
            let id = u64_at(row, at);
            if id < ID_TEXT_BIT || id == NULL_ID {
                return Ok(());
            }
            let (offset, length) = slot::id_text_span(id);
            let bytes = tail(row, fixed_bytes, offset, length)?.ok_or("an id's text outside the row")?;
            slot::text(bytes).ok_or("not UTF-8")?;
            if canonical_number(bytes).is_some() { Err("a number written as text") } else { Ok(()) }
        }
        ColumnKind::Levels => match tail(row, fixed_bytes, u32_at(row, at), u32_at(row, at + 4))? {
            Some(bytes) if !bytes.len().is_multiple_of(LEVEL_BYTES) => Err("not a whole number of levels"),
            Some(bytes) => {
                let finite = bytes.chunks_exact(8).all(|value| f64::from_bits(u64_at(value, 0)).is_finite());
                if finite { Ok(()) } else { Err("not a finite number") }
            }
            None => Ok(()),
        },
    }
}

fn double(bits: u64) -> Result<(), &'static str> {
    if f64::from_bits(bits).is_finite() || bits == NULL_DOUBLE_BITS {
        Ok(())
    } else {
        Err("not a finite number")
    }
}

/// A piece of the tail; `None` for NULL.
fn tail(row: &[u8], fixed_bytes: usize, offset: u32, length: u32) -> Result<Option<&[u8]>, &'static str> {
    if offset == 0 {
        return if length == 0 { Ok(None) } else { Err("a length without a place") };
    }
    if (offset as usize) < fixed_bytes {
        return Err("a text or list inside the fixed part");
    }
    slot::tail(row, offset, length).map(Some).ok_or("a text or list outside the row")
}
