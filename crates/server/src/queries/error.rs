//! Why a query was refused or ended early.

use tapebook_query::SqlError;

use crate::access::Denied;

/// Why a query was refused or ended early. Each bound has its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The statement is wrong, needs too much memory or failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// It reads what the caller may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Its text is too long.
    #[error("the statement has {bytes} bytes, {bytes_max} are possible")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// As many queries as may run do, and as many as may wait wait.
    #[error("{running} queries run and {waiting} wait, which is all the server takes; ask again later")]
    TooMany {
        /// How many may run.
        running: usize,
        /// How many may wait.
        waiting: usize,
    },
    /// It took longer than a query may, the time that it waited included.
    #[error("the query was ended after {seconds} s, the longest that one may take; ask for less at a time")]
    TooSlow {
        /// The bound.
        seconds: u64,
    },
    /// Somebody has cancelled it.
    #[error("the query was cancelled")]
    Cancelled,
    /// Whoever asked has gone away. Nobody sees this.
    #[error("nobody waits for the result")]
    Abandoned,
    /// The server is about to end.
    #[error("the server is stopping; ask again when it is back")]
    Stopping,
    /// A panic ended it, and nothing but it.
    #[error("the query failed inside the server; its log says more")]
    Panicked,
}

impl QueryError {
    /// A word for metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Sql(SqlError::Plan(_) | SqlError::NotReadOnly(_) | SqlError::Setting(_))
            | Self::TooLong { .. } => "invalid",
            Self::Sql(SqlError::Released(_)) => "released",
            Self::Sql(SqlError::Memory(_)) => "memory",
            Self::Sql(_) => "failed",
            Self::Denied(_) => "denied",
            Self::TooMany { .. } => "too_many",
            Self::TooSlow { .. } => "too_slow",
            Self::Cancelled => "cancelled",
            Self::Abandoned => "abandoned",
            Self::Stopping => "stopping",
            Self::Panicked => "panicked",
        }
    }
}
