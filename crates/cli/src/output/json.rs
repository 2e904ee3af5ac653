//! JSON: one array of objects, or one object a line. NULL is `null`, and so is a NaN, for which JSON has no word.

use std::io::Write;

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::datatypes::{DataType, Field};
use arrow::json::writer::make_encoder;
use arrow::record_batch::RecordBatch;

use super::cells::json_options;
use super::{Destination, OutputError, ResultWriter};

/// Writes JSON.
#[derive(Debug)]
pub(super) struct JsonWriter {
    out: Destination,
    /// `[` and `]` around, and commas between, the objects.
    is_array: bool,
    rows: u64,
}

impl JsonWriter {
    pub(super) fn array(out: Destination) -> Self {
        Self { out, is_array: true, rows: 0 }
    }

    pub(super) fn lines(out: Destination) -> Self {
        Self { out, is_array: false, rows: 0 }
    }
}

impl ResultWriter for JsonWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        if batch.num_columns() == 0 {
            return Ok(());
        }
        let rows: ArrayRef = std::sync::Arc::new(StructArray::from(batch.clone()));
        let field = Field::new("", DataType::clone(rows.data_type()), false).into();
        let options = json_options();
        let mut encoder = make_encoder(&field, &rows, &options)?;
        let mut object = Vec::new();
        for row in 0..batch.num_rows() {
            object.clear();
            if self.is_array {
                object.extend_from_slice(if self.rows == 0 { b"[" } else { b",\n" });
            }
            encoder.encode(row, &mut object);
            if !self.is_array {
                object.push(b'\n');
            }
            self.out.write_all(&object)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        Ok(self.out.flush()?)
    }

    fn finish(mut self: Box<Self>) -> Result<Destination, OutputError> {
        if self.is_array {
            self.out.write_all(if self.rows == 0 { b"[]\n" } else { b"]\n" })?;
        }
        Ok(self.out)
    }
}
