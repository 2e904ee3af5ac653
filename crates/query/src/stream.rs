//! The rows of a result, as they come.

use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt};
use tapebook::Snapshot;

use crate::SqlError;
use crate::running::Listed;

/// A result, streamed in Arrow batches. Dropping it ends the query.
///
/// A query that is so slow that what it reads must leave memory ends with [`SqlError::Released`].
pub struct QueryStream {
    schema: SchemaRef,
    /// `None` once it has ended; whatever it held is free then.
    running: Option<Running>,
}

struct Running {
    stream: SendableRecordBatchStream,
    /// What the query reads.
    snapshot: Snapshot,
    /// Its place in the list of queries, where it has one.
    listed: Option<Listed>,
}

impl QueryStream {
    pub(crate) fn new(stream: SendableRecordBatchStream, snapshot: Snapshot) -> Self {
        Self { schema: stream.schema(), running: Some(Running { stream, snapshot, listed: None }) }
    }

    /// Stays in a list of queries until it ends, and counts its rows there.
    pub(crate) fn listed(mut self, listed: Listed) -> Self {
        if let Some(running) = &mut self.running {
            running.listed = Some(listed);
        }
        self
    }

    /// The columns of the result.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// All rows; only for results that fit into memory.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, SqlError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

impl Running {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch, SqlError>>> {
        // Here and not only in the scans: those wait for whoever takes the batches, and may be done while a sort is not.
        if let Err(released) = self.snapshot.check_held() {
            return Poll::Ready(Some(Err(SqlError::Released(released.to_string()))));
        }
        let next = self.stream.poll_next_unpin(context).map_err(|error| SqlError::running(&error));
        if let (Poll::Ready(Some(Ok(batch))), Some(listed)) = (&next, &self.listed) {
            listed.add_rows(batch.num_rows());
        }
        next
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch, SqlError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(running) = &mut self.running else { return Poll::Ready(None) };
        let next = running.poll_next(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.running = None;
        }
        next
    }
}

impl std::fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}
