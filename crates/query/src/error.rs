//! Why a query was refused or failed.

use datafusion::error::DataFusionError;

/// Why a query was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The text is not SQL, or names what is not there.
    #[error("{0}")]
    Plan(String),
    /// The query writes, defines or configures something; only reading is possible here.
    #[error("{0}; SQL reads, writing goes through import and the clients")]
    NotReadOnly(String),
    /// It needs more memory than a query may have.
    #[error("the query needs more memory than it may have: {0}")]
    Memory(String),
    /// It failed while it ran.
    #[error("{0}")]
    Execution(String),
}

impl SqlError {
    pub(crate) fn planning(error: &DataFusionError) -> Self {
        Self::Plan(plain(error))
    }

    pub(crate) fn running(error: &DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(reason) => Self::Memory(reason.clone()),
            root => Self::Execution(plain(root)),
        }
    }
}

/// The message on one line, without the library's own prefixes and advice to its developers.
fn plain(error: &DataFusionError) -> String {
    let message = match error.find_root() {
        DataFusionError::SQL(parser, _) => parser.to_string(),
        DataFusionError::Plan(reason)
        | DataFusionError::Execution(reason)
        | DataFusionError::NotImplemented(reason)
        | DataFusionError::Configuration(reason) => reason.clone(),
        DataFusionError::External(source) => source.to_string(),
        DataFusionError::SchemaError(source, _) => source.to_string(),
        other => other.strip_backtrace(),
    };
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
