//! Values as text, for tables and CSV: times in RFC 3339 with nanoseconds, numbers exact, lists and structs as JSON.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};

use super::OutputError;

/// Times in UTC.
pub(super) const UTC_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.9fZ";
/// Times with another zone, with their offset.
const OFFSET_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.9f%:z";

/// What JSON needs to know, also for the lists inside a cell.
pub(super) fn json_options() -> EncoderOptions {
    EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_timestamp_format(UTC_FORMAT.to_owned())
        .with_timestamp_tz_format(UTC_FORMAT.to_owned())
}

/// Reads one column of a batch as text.
pub(super) enum Column<'a> {
    Plain(&'a ArrayRef, ArrayFormatter<'a>),
    Nested(&'a ArrayRef, NullableEncoder<'a>),
}

/// The fields of a result, and how JSON is to be written; what [`Column`] borrows.
pub(super) struct Form {
    fields: Vec<FieldRef>,
    json: EncoderOptions,
}

impl Form {
    pub(super) fn new(batch: &RecordBatch) -> Self {
        let field = |array: &ArrayRef| Arc::new(Field::new("", array.data_type().clone(), true));
        Self { fields: batch.columns().iter().map(field).collect(), json: json_options() }
    }

    pub(super) fn columns<'a>(&'a self, batch: &'a RecordBatch) -> Result<Vec<Column<'a>>, OutputError> {
        let pairs = batch.columns().iter().zip(&self.fields);
        pairs.map(|(array, field)| self.column(array, field)).collect()
    }

    fn column<'a>(&'a self, array: &'a ArrayRef, field: &'a FieldRef) -> Result<Column<'a>, OutputError> {
        if array.data_type().is_nested() {
            return Ok(Column::Nested(array, make_encoder(field, array, &self.json)?));
        }
        let zoned = match array.data_type() {
            DataType::Timestamp(_, Some(zone)) if !is_utc(zone) => OFFSET_FORMAT,
            _ => UTC_FORMAT,
        };
        let options = FormatOptions::new()
            .with_display_error(false)
            .with_duration_format(DurationFormat::ISO8601)
            .with_timestamp_format(Some(UTC_FORMAT))
            .with_timestamp_tz_format(Some(zoned));
        Ok(Column::Plain(array, ArrayFormatter::try_new(array, &options)?))
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Z" | "+00:00" | "Etc/UTC")
}

impl Column<'_> {
    /// Appends the value to `out`; false, and nothing appended, for NULL.
    pub(super) fn write(&mut self, row: usize, out: &mut String) -> Result<bool, OutputError> {
        match self {
            Self::Plain(array, formatter) => {
                if array.is_null(row) {
                    return Ok(false);
                }
                let shown = formatter.value(row).try_to_string()?;
                write!(out, "{shown}").map_err(|error| OutputError::Form(error.to_string()))?;
            }
            Self::Nested(array, encoder) => {
                if array.is_null(row) {
                    return Ok(false);
                }
                let mut json = Vec::new();
                encoder.encode(row, &mut json);
                out.push_str(&String::from_utf8_lossy(&json));
            }
        }
        Ok(true)
    }
}
