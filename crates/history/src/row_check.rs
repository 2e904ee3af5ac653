//! Whether the columns show all that a row has.
//!
//! A projection to Arrow shows a value that it cannot read as NULL, and flags only where the table has a column for
//! them. That is right for a reader. But once a row is history, what its columns do not show is gone; so a row that
//! holds more is refused.

use tapebook_record::record::{Value, flags};
use tapebook_record::slot::{LEVEL_BYTES, NULL_ID};
use tapebook_record::{ColumnKind, RawRecord, TableSchema};

/// Fails with what would be lost.
pub(crate) fn check_row(schema: &TableSchema, record: &RawRecord<'_>) -> Result<(), &'static str> {
    if record.layout == 0 || record.layout > schema.layout {
        return Err("its layout version is not known");
    }
    if record.layout == schema.layout && record.row.len() < schema.fixed_bytes {
        return Err("it is shorter than the table's fixed part");
    }
    if record.flags & flags::FEED_SEQ == 0 && record.feed_seq != 0 {
        return Err("it has a feed_seq that its flags deny");
    }
    let mut flags_shown = flags::FEED_SEQ;
    for (at, column) in schema.columns.iter().enumerate() {
        if column.since > record.layout {
            continue;
        }
        if let ColumnKind::Flag { known, set } = column.kind {
            flags_shown |= known | set;
            if record.flags & (known | set) == set {
                return Err("a flag is set that is not known");
            }
            continue;
        }
        let slot = record.row.get(column.offset..column.offset + column.kind.slot_bytes());
        let Some(slot) = slot else {
            return Err("a column lies outside it");
        };
        let null = match column.kind {
            ColumnKind::Text | ColumnKind::Levels => [0; 8].as_slice(),
            ColumnKind::Word(_) => &[0],
            ColumnKind::Id => &NULL_ID.to_le_bytes(),
            // Every pattern of bits is a number or NULL.
            _ => continue,
        };
        let length = slot.get(4..).and_then(|length| length.first_chunk().copied()).map(u32::from_le_bytes);
        match record.value(schema, at) {
            Value::Levels(_)
                if length.is_none_or(|length| !(length as usize).is_multiple_of(LEVEL_BYTES)) =>
            {
                return Err("not a whole number of price levels");
            }
            Value::Null if slot != null => return Err("a text, list or word cannot be read"),
            Value::Levels(levels) if levels.iter().any(|level| !is_level(level)) => {
                return Err("a price level is not finite");
            }
            _ => {}
        }
    }
    if record.flags & !flags_shown != 0 {
        return Err("it has flags that its table does not have");
    }
    Ok(())
}

fn is_level(level: tapebook_record::Level) -> bool {
    level.price.is_finite() && level.size.is_finite()
}
