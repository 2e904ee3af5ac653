//! Why a query was refused or failed.

use datafusion::error::DataFusionError;
use tapebook::ReadError;

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
    /// There is no such setting, or it cannot have that value.
    #[error("{0}")]
    Setting(String),
    /// It needs more memory than a query may have.
    #[error("the query needs more memory than it may have: {0}")]
    Memory(String),
    /// It was so slow that what it reads had to leave memory.
    #[error("{0}")]
    Released(String),
    /// It failed while it ran.
    #[error("{0}")]
    Execution(String),
}

impl SqlError {
    pub(crate) fn planning(error: &DataFusionError) -> Self {
        Self::released(error).unwrap_or_else(|| Self::Plan(plain(error)))
    }

    pub(crate) fn running(error: &DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(reason) => Self::Memory(reason.clone()),
            root => Self::released(root).unwrap_or_else(|| Self::Execution(plain(root))),
        }
    }

    /// Whether it ended because of what it held in memory.
    fn released(error: &DataFusionError) -> Option<Self> {
        let DataFusionError::External(source) = error.find_root() else { return None };
        match source.downcast_ref() {
            Some(read @ ReadError::Released { .. }) => Some(Self::Released(read.to_string())),
            _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_snapshot_is_told_from_other_failures() {
        let released = || ReadError::Released { pinned_bytes: 2, pinned_bytes_max: 1 };
        let error = DataFusionError::External(Box::new(released())).context("somewhere in a plan");
        for told in [SqlError::running(&error), SqlError::planning(&error)] {
            assert!(
                matches!(&told, SqlError::Released(reason) if *reason == released().to_string()),
                "{told:?}"
            );
        }
        let other = ReadError::NotReached { asked: 2, reached: 1 };
        let error = DataFusionError::External(Box::new(other));
        assert!(matches!(SqlError::running(&error), SqlError::Execution(_)));
        assert!(matches!(SqlError::planning(&error), SqlError::Plan(_)));
    }
}
