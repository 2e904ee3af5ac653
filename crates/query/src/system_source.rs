//! Tables of schema `sys` about what is outside the database, which whoever runs queries provides.

use std::fmt::Debug;

use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;

/// A table of schema `sys` about something outside the database, such as the nodes of a cluster.
pub trait SystemSource: Debug + Send + Sync {
    /// Its name in the schema.
    fn name(&self) -> &'static str;

    /// Its rows at this moment, looked at when a query that names it is planned; or why there are none.
    fn rows(&self) -> BoxFuture<'_, Result<RecordBatch, String>>;
}
