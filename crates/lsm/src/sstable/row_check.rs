//! Whether a row is one of its table: every slot inside the fixed part, every text and list inside the tail.

use tapebook_record::slot::{ID_TEXT_BIT, LEVEL_BYTES, NULL_ID};
use tapebook_record::{ColumnKind, TableSchema};

use super::layout::{u32_at, u64_at};

/// Checks a row that has the layout of `schema`; what is wrong with it otherwise.
pub(super) fn check_row(schema: &TableSchema, row: &[u8]) -> Result<(), &'static str> {
    if row.len() < schema.fixed_bytes {
        return Err("a row shorter than its table's fixed part");
    }
    for column in &schema.columns {
        let at = column.offset;
        match column.kind {
            ColumnKind::Text => {
                if let Some(bytes) = tail(schema, row, u32_at(row, at), u32_at(row, at + 4))? {
                    std::str::from_utf8(bytes).map_err(|_| "a text that is not UTF-8")?;
                }
            }
            ColumnKind::Levels => {
                let bytes = tail(schema, row, u32_at(row, at), u32_at(row, at + 4))?;
                if !bytes.unwrap_or_default().len().is_multiple_of(LEVEL_BYTES) {
                    return Err("not a whole number of price levels");
                }
            }
            ColumnKind::Id => {
                let slot = u64_at(row, at);
                if slot >= ID_TEXT_BIT && slot != NULL_ID {
                    let bytes = tail(schema, row, slot as u32, (slot >> 32) as u32 & 0x7fff_ffff)?;
                    let text = std::str::from_utf8(bytes.ok_or("an id whose text is not there")?);
                    text.map_err(|_| "an id that is not UTF-8")?;
                }
            }
            ColumnKind::Word(words) if row[at] != 0 && words.word(row[at]).is_none() => {
                return Err("a code without a word");
            }
            // Every other pattern of bits is a value.
            _ => {}
        }
    }
    Ok(())
}

/// A piece of the tail; `None` for NULL.
fn tail<'a>(
    schema: &TableSchema,
    row: &'a [u8],
    offset: u32,
    length: u32,
) -> Result<Option<&'a [u8]>, &'static str> {
    let (start, length) = (offset as usize, length as usize);
    if start == 0 {
        return if length == 0 { Ok(None) } else { Err("a length without a place") };
    }
    if start < schema.fixed_bytes {
        return Err("a text or list inside the fixed part");
    }
    row.get(start..start.saturating_add(length)).map(Some).ok_or("a text or list outside its row")
}
