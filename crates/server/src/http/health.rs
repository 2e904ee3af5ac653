//! Whether reads and writes can be taken.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tapebook::DbStats;

use crate::Node;

/// Below so much free space a flush may fail at any moment.
const DISK_FREE_BYTES_MIN: u64 = 64 << 20;

/// What readiness is decided from.
struct Condition<'a> {
    serving: bool,
    /// A node that knows no leader can neither write nor tell how old what it shows is.
    led: bool,
    /// A write or sync of the log has failed, or a panic has ended the commit pipeline.
    failed: bool,
    stats: &'a DbStats,
    /// `None` where the system does not say.
    disk_free_bytes: Option<u64>,
}

/// Answers 200, or 503 with one line for each reason.
pub(super) async fn ready(State(node): State<Arc<Node>>) -> Response {
    let asked = tokio::task::spawn_blocking(move || {
        let stats = node.db.stats();
        let disk_free_bytes = node.db.vfs().available_bytes(node.db.layout().root()).ok();
        let (serving, failed) = (node.lifecycle.is_serving(), node.db.failure().is_some());
        let led = node.cluster.as_ref().is_none_or(|cluster| cluster.consensus().leader().is_some());
        reasons(&Condition { serving, led, failed, stats: &stats, disk_free_bytes })
    });
    match asked.await {
        Ok(reasons) if reasons.is_empty() => "ready\n".into_response(),
        Ok(reasons) => (StatusCode::SERVICE_UNAVAILABLE, reasons.concat()).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}

/// Why the server is not ready; none where it is. Everybody may see them, so they name no file and nothing that is stored.
fn reasons(condition: &Condition<'_>) -> Vec<&'static str> {
    let Condition { serving, led, failed, stats, disk_free_bytes } = condition;
    let full = disk_free_bytes.is_some_and(|free| free < DISK_FREE_BYTES_MIN);
    let all = [
        (!*serving, "stopping\n"),
        (!*led, "there is no leader\n"),
        (*failed, "the database has failed: restart\n"),
        (stats.flush_failing.is_some(), "MemTables cannot be flushed\n"),
        (full, "the disk is full\n"),
    ];
    all.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason).collect()
}
