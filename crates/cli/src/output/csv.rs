//! CSV as RFC 4180 has it: a header row; NULL is an empty field, an empty text is two quotes.

use std::io::Write;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::cells::Form;
use super::{Destination, OutputError, ResultWriter};

/// Writes CSV.
#[derive(Debug)]
pub(super) struct CsvWriter {
    out: Destination,
    line: String,
}

impl CsvWriter {
    pub(super) fn begin(mut out: Destination, schema: &SchemaRef) -> Result<Self, OutputError> {
        let mut line = String::new();
        for (at, field) in schema.fields().iter().enumerate() {
            if at > 0 {
                line.push(',');
            }
            push_field(&mut line, field.name());
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
        Ok(Self { out, line })
    }
}

impl ResultWriter for CsvWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        let form = Form::new(batch);
        let mut columns = form.columns(batch)?;
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            self.line.clear();
            for (at, column) in columns.iter_mut().enumerate() {
                if at > 0 {
                    self.line.push(',');
                }
                cell.clear();
                if column.write(row, &mut cell)? {
                    push_field(&mut self.line, &cell);
                }
            }
            self.line.push('\n');
            self.out.write_all(self.line.as_bytes())?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        Ok(self.out.flush()?)
    }

    fn finish(self: Box<Self>) -> Result<Destination, OutputError> {
        Ok(self.out)
    }
}

fn push_field(line: &mut String, value: &str) {
    if value.is_empty() || value.contains([',', '"', '\n', '\r']) {
        line.push('"');
        line.push_str(&value.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(value);
    }
}
