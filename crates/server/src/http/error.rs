//! What goes wrong, as HTTP states it: a status, and a JSON object whose `error` says why.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tapebook_query::SqlError;

use crate::access::Denied;
use crate::queries::QueryError;

/// Why a request is not answered with what it asks for.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("nobody knows who calls; send `Authorization: Bearer TOKEN` or a client certificate")]
    Unknown,
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It came by a name that is not this server's, or from a page of another place.
    #[error("{0}")]
    Elsewhere(String),
    #[error("the content type must be application/json")]
    ContentType,
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    #[error("{0}")]
    Malformed(String),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("{0}")]
    Internal(String),
}

impl HttpError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::Denied(_) | Self::Query(QueryError::Denied(_)) => StatusCode::FORBIDDEN,
            Self::Elsewhere(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Query(error) => match error {
                QueryError::Sql(SqlError::Plan(_) | SqlError::NotReadOnly(_) | SqlError::Setting(_))
                | QueryError::TooLong { .. } => StatusCode::BAD_REQUEST,
                QueryError::Sql(SqlError::Memory(_)) => StatusCode::UNPROCESSABLE_ENTITY,
                QueryError::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
                QueryError::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
                QueryError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = format!("{}\n", json!({ "error": self.to_string() }));
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = axum::http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
