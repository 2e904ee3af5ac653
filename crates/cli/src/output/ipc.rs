//! Arrow IPC: the stream format for pipes, the file format, which can be read at any place, for files.

use arrow::datatypes::SchemaRef;
use arrow::ipc::writer;
use arrow::record_batch::RecordBatch;

use super::{Destination, OutputError, ResultWriter};

/// Writes the stream format.
pub(super) struct StreamWriter {
    writer: writer::StreamWriter<Destination>,
}

/// Writes the file format.
pub(super) struct FileWriter {
    writer: writer::FileWriter<Destination>,
}

impl StreamWriter {
    pub(super) fn begin(out: Destination, schema: &SchemaRef) -> Result<Self, OutputError> {
        Ok(Self { writer: writer::StreamWriter::try_new(out, schema)? })
    }
}

impl FileWriter {
    pub(super) fn begin(out: Destination, schema: &SchemaRef) -> Result<Self, OutputError> {
        Ok(Self { writer: writer::FileWriter::try_new(out, schema)? })
    }
}

impl ResultWriter for StreamWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        Ok(self.writer.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<Destination, OutputError> {
        self.writer.finish()?;
        Ok(self.writer.into_inner()?)
    }
}

impl ResultWriter for FileWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        Ok(self.writer.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<Destination, OutputError> {
        self.writer.finish()?;
        Ok(self.writer.into_inner()?)
    }
}

impl std::fmt::Debug for StreamWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamWriter").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWriter").finish_non_exhaustive()
    }
}
