//! Errors as gRPC states them.

use tapebook_query::SqlError;
use tonic::Status;

use super::statements::HandleError;
use crate::access::Denied;
use crate::queries::QueryError;

/// How a refused query is told.
pub(super) fn of_query(error: QueryError) -> Status {
    let message = error.to_string();
    match error {
        QueryError::Sql(SqlError::Plan(_) | SqlError::NotReadOnly(_) | SqlError::Setting(_))
        | QueryError::TooLong { .. } => Status::invalid_argument(message),
        // What it read had to leave memory; asked again, and fetched faster, it may come to its end.
        QueryError::Sql(SqlError::Released(_)) => Status::aborted(message),
        QueryError::Sql(SqlError::Memory(_)) | QueryError::TooMany { .. } => {
            Status::resource_exhausted(message)
        }
        QueryError::Denied(_) => Status::permission_denied(message),
        QueryError::TooSlow { .. } => Status::deadline_exceeded(message),
        QueryError::Cancelled | QueryError::Abandoned => Status::cancelled(message),
        QueryError::Stopping => Status::unavailable(message),
        QueryError::Sql(_) | QueryError::Panicked => Status::internal(message),
    }
}

pub(super) fn denied(error: &Denied) -> Status {
    Status::permission_denied(error.to_string())
}

/// The beginning of what somebody sent.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A message that cannot be understood.
pub(super) fn malformed(what: &str, reason: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("{what} cannot be understood: {reason}"))
}

/// Something of Flight SQL that is not there, and what is instead.
pub(super) fn unsupported(reason: &str) -> Status {
    Status::unimplemented(reason)
}

impl From<HandleError> for Status {
    fn from(error: HandleError) -> Self {
        let message = error.to_string();
        match error {
            HandleError::Ticket | HandleError::Prepared => Self::not_found(message),
            HandleError::TooManyOfOne | HandleError::TooMany => Self::resource_exhausted(message),
            HandleError::Parameters { .. } => Self::invalid_argument(message),
        }
    }
}
