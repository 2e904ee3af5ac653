//! HTTP: for people, probes and metrics, and for programs that have nothing else.
//!
//! | path | what |
//! |---|---|
//! | `GET /` | says what this is |
//! | `GET /health/live` | 200 while the process answers |
//! | `GET /health/ready` | 200 where reads and writes can be taken, else 503 and why |
//! | `GET /metrics` | everything that is counted, as OpenMetrics text |
//! | `POST /query` | SQL in, JSON or Arrow out |
//!
//! A browser carries a user's rights to wherever a page sends it. So `Host` must be an address, `localhost` or a name that the
//! server was told, which a page that had its name point here afterwards is not; `Origin` must be the same place; and `/query`
//! takes JSON only, which no page of another place can send without being asked (`origin`).
//!
//! Liveness and readiness are told to everybody, everything else to those who may read.

mod body;
mod error;
mod health;
mod origin;
mod query;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::header;
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};

use self::error::HttpError;
use crate::Node;
use crate::access::{Caller, Right};
use crate::metrics;

/// What is found at `/`.
const PAGE: &str = include_str!("page.html");

/// The routes. Every request's extensions must hold a [`Caller`], but for those of `/health`.
pub fn router(node: Arc<Node>) -> Router {
    let bytes_max = node.limits.message_bytes_max;
    Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/metrics", get(metrics))
        .route("/query", post(query::answer))
        .layer(DefaultBodyLimit::max(bytes_max))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&node), origin::check))
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(health::ready))
        .with_state(node)
}

async fn metrics(
    State(node): State<Arc<Node>>,
    caller: Option<Extension<Caller>>,
) -> Result<Response, HttpError> {
    let caller = known(caller)?;
    node.access.authorize(&caller, Right::Read, None)?;
    // It asks the file system how much is free.
    let rendered = tokio::task::spawn_blocking(move || node.metrics.render(&node)).await;
    match rendered {
        Ok(Ok(text)) => Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()),
        Ok(Err(_)) | Err(_) => Err(HttpError::Internal("metrics cannot be written".to_owned())),
    }
}

/// Who calls.
fn known(caller: Option<Extension<Caller>>) -> Result<Caller, HttpError> {
    caller.map(|Extension(caller)| caller).ok_or(HttpError::Unknown)
}
