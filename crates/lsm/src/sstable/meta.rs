//! The properties of a file: tagged, length-prefixed fields, so that later versions can add some.

use std::ops::RangeInclusive;

use tapebook_record::TableId;
use tapebook_record::codec::{DecodeError, Decoder, Encoder};

use crate::key::TimeRange;

/// Fields from this tag on must be understood by whoever reads the file; others may be passed over.
const CRITICAL_TAGS: u16 = 0x8000;
const TABLES: u16 = 1;
const TOTALS: u16 = 2;
const ORIGIN: u16 = 3;
const RETRACTIONS: u16 = 4;

/// Where a file comes from. The writer keeps it as it is and gives it no meaning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableMeta {
    /// The level that it was written for.
    pub level: u32,
    /// The time partition that it belongs to.
    pub partition: TimeRange,
    /// The first log index whose rows can be in it.
    pub log_index_first: u64,
    /// The last log index whose rows can be in it.
    pub log_index_last: u64,
    /// The lowest term among them.
    pub term_min: u64,
    /// The highest term among them.
    pub term_max: u64,
    /// Rows hidden by retractions up to this number were dropped when the file was written; 0 for none.
    pub retractions_through: u64,
}

impl Default for TableMeta {
    fn default() -> Self {
        Self {
            level: 0,
            partition: TimeRange::ALL,
            log_index_first: 0,
            log_index_last: 0,
            term_min: 0,
            term_max: 0,
            retractions_through: 0,
        }
    }
}

/// What a file holds of one table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableStats {
    /// The table.
    pub table: TableId,
    /// The oldest layout version among its rows.
    pub layout_first: u16,
    /// The newest layout version among its rows.
    pub layout_last: u16,
    /// The alignment of its rows in bytes.
    pub row_align: u16,
    /// Its rows.
    pub rows: u64,
    /// Its series.
    pub series: u32,
    /// Its blocks.
    pub blocks: u32,
}

/// Sums over the whole file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Totals {
    pub(super) rows: u64,
    pub(super) ts: TimeRange,
    pub(super) seq_min: u64,
    pub(super) seq_max: u64,
}

impl Totals {
    pub(super) const NONE: Self = Self { rows: 0, ts: TimeRange::EMPTY, seq_min: u64::MAX, seq_max: 0 };

    pub(super) fn add(&mut self, rows: u64, ts: TimeRange, seq: RangeInclusive<u64>) {
        self.rows += rows;
        self.ts = self.ts.including(ts.first).including(ts.last);
        self.seq_min = self.seq_min.min(*seq.start());
        self.seq_max = self.seq_max.max(*seq.end());
    }
}

/// All properties of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Properties {
    pub(super) tables: Vec<TableStats>,
    pub(super) totals: Totals,
    pub(super) meta: TableMeta,
}

impl Properties {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        let mut field = Encoder::new();
        field.u32(self.tables.len() as u32);
        for table in &self.tables {
            field.u16(table.table.0).u16(table.layout_first).u16(table.layout_last).u16(table.row_align);
            field.u64(table.rows).u32(table.series).u32(table.blocks);
        }
        put(&mut out, TABLES, &field);
        let mut field = Encoder::new();
        field.u64(self.totals.rows).i64(self.totals.ts.first).i64(self.totals.ts.last);
        field.u64(self.totals.seq_min).u64(self.totals.seq_max);
        put(&mut out, TOTALS, &field);
        let mut field = Encoder::new();
        let meta = &self.meta;
        field.u32(meta.level).i64(meta.partition.first).i64(meta.partition.last);
        field.u64(meta.log_index_first).u64(meta.log_index_last).u64(meta.term_min).u64(meta.term_max);
        put(&mut out, ORIGIN, &field);
        let mut field = Encoder::new();
        field.u64(meta.retractions_through);
        put(&mut out, RETRACTIONS, &field);
        out.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Decoder::new(bytes);
        let (mut tables, mut totals) = (None, None);
        let mut meta = TableMeta::default();
        let mut last_tag = 0;
        while fields.remaining() > 0 {
            let at = fields.offset();
            let tag = fields.u16()?;
            if tag <= last_tag {
                return Err(DecodeError { offset: at, reason: "fields in the order of their tags" });
            }
            last_tag = tag;
            let mut field = Decoder::new(fields.bytes()?);
            let within = |error: DecodeError| DecodeError { offset: at + 6 + error.offset, ..error };
            match tag {
                TABLES => tables = Some(decode_tables(&mut field).map_err(within)?),
                TOTALS => totals = Some(decode_totals(&mut field).map_err(within)?),
                ORIGIN => decode_origin(&mut field, &mut meta).map_err(within)?,
                RETRACTIONS => meta.retractions_through = field.u64().map_err(within)?,
                CRITICAL_TAGS.. => {
                    return Err(DecodeError { offset: at, reason: "a field that this version knows" });
                }
                _ => continue,
            }
            field.finish().map_err(within)?;
        }
        match (tables, totals) {
            (Some(tables), Some(totals)) => Ok(Self { tables, totals, meta }),
            _ => Err(fields.error("fields for tables and totals")),
        }
    }
}

fn put(out: &mut Encoder, tag: u16, field: &Encoder) {
    out.u16(tag).bytes(field.as_slice());
}

fn decode_tables(field: &mut Decoder<'_>) -> Result<Vec<TableStats>, DecodeError> {
    (0..field.count(24)?)
        .map(|_| {
            Ok(TableStats {
                table: TableId(field.u16()?),
                layout_first: field.u16()?,
                layout_last: field.u16()?,
                row_align: field.u16()?,
                rows: field.u64()?,
                series: field.u32()?,
                blocks: field.u32()?,
            })
        })
        .collect()
}

fn decode_totals(field: &mut Decoder<'_>) -> Result<Totals, DecodeError> {
    Ok(Totals {
        rows: field.u64()?,
        ts: TimeRange { first: field.i64()?, last: field.i64()? },
        seq_min: field.u64()?,
        seq_max: field.u64()?,
    })
}

fn decode_origin(field: &mut Decoder<'_>, meta: &mut TableMeta) -> Result<(), DecodeError> {
    meta.level = field.u32()?;
    meta.partition = TimeRange { first: field.i64()?, last: field.i64()? };
    meta.log_index_first = field.u64()?;
    meta.log_index_last = field.u64()?;
    meta.term_min = field.u64()?;
    meta.term_max = field.u64()?;
    Ok(())
}
