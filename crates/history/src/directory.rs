//! The exact list of series, stored behind the row groups.

use std::ops::Range;

use tapebook_record::codec::{DecodeError, Decoder, Encoder};

/// What a file has of one symbol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeriesSpan {
    /// The symbol's name.
    pub symbol: String,
    /// The position of its first row in the file, from 0.
    pub first_row: u64,
    /// The number of its rows.
    pub rows: u64,
    /// Its earliest event time.
    pub ts_first: i64,
    /// Its latest event time.
    pub ts_last: i64,
    /// Its lowest sequence number.
    pub seq_min: u64,
    /// Its highest sequence number.
    pub seq_max: u64,
}

impl SeriesSpan {
    /// The positions of its rows in the file.
    pub fn row_range(&self) -> Range<u64> {
        self.first_row..self.first_row + self.rows
    }
}

/// Bytes of a series without its name.
const ENTRY_BYTES_MIN: usize = 44;

/// Writes series as `count, (name, rows, ts_first, ts_last, seq_min, seq_max)*`; a series begins where the one before it ends.
pub(crate) fn encode(series: &[SeriesSpan]) -> Vec<u8> {
    let mut out = Encoder::new();
    out.u32(u32::try_from(series.len()).expect("a file has far fewer than 2^32 series"));
    for span in series {
        out.text(&span.symbol).u64(span.rows).i64(span.ts_first).i64(span.ts_last);
        out.u64(span.seq_min).u64(span.seq_max);
    }
    out.into_bytes()
}

/// Reads what [`encode`] wrote: names in order, no series empty, `rows` rows together.
pub(crate) fn decode(bytes: &[u8], rows: u64) -> Result<Vec<SeriesSpan>, DecodeError> {
    let mut from = Decoder::new(bytes);
    let count = from.count(ENTRY_BYTES_MIN)?;
    let mut series: Vec<SeriesSpan> = Vec::with_capacity(count);
    let mut first_row = 0_u64;
    for _ in 0..count {
        let symbol = from.text()?.to_owned();
        let span = SeriesSpan {
            symbol,
            first_row,
            rows: from.u64()?,
            ts_first: from.i64()?,
            ts_last: from.i64()?,
            seq_min: from.u64()?,
            seq_max: from.u64()?,
        };
        if series.last().is_some_and(|last| last.symbol >= span.symbol) {
            return Err(from.error("series in the order of their names"));
        }
        let end = first_row.checked_add(span.rows).filter(|end| span.rows > 0 && *end <= rows);
        first_row = end.ok_or_else(|| from.error("as many rows as the file has"))?;
        if span.ts_first > span.ts_last || span.seq_min > span.seq_max {
            return Err(from.error("a range that does not end before it begins"));
        }
        series.push(span);
    }
    if first_row != rows {
        return Err(from.error("as many rows as the file has"));
    }
    from.finish()?;
    Ok(series)
}
