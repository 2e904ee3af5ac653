//! Parquet with zstd, one row group after another.

use std::io;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::{Destination, OutputError, ResultWriter};

/// Bytes that a row group may take in memory before it is written.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;

/// Writes Parquet.
pub(super) struct ParquetWriter {
    writer: ArrowWriter<Destination>,
}

impl ParquetWriter {
    pub(super) fn begin(out: Destination, schema: &SchemaRef) -> Result<Self, OutputError> {
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        Ok(Self { writer: ArrowWriter::try_new(out, schema.clone(), Some(properties))? })
    }
}

impl ResultWriter for ParquetWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        self.writer.write(batch)?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES_MAX {
            self.writer.flush()?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Destination, OutputError> {
        Ok(self.writer.into_inner()?)
    }
}

impl From<ParquetError> for OutputError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(source) => Self::Form(source.to_string()),
            },
            other => Self::Form(other.to_string()),
        }
    }
}

impl std::fmt::Debug for ParquetWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetWriter").finish_non_exhaustive()
    }
}
