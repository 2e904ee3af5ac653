//! Takes in the files of a snapshot that the leader sends.

use std::sync::Arc;
use std::time::Duration;

use tapebook_proto::v1;
use tapebook_proto::v1::snapshot_request::What as Sent;
use tapebook_proto::v1::snapshot_response::What as Said;
use tapebook_replication::SILENCE_MAX;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::{Status, Streaming};

use super::{Cluster, wire};

/// How often the sender hears that it goes on.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Receives what follows the beginning, and installs it. `_alone` lets nobody else do so meanwhile.
pub(super) async fn receive(
    cluster: Arc<Cluster>,
    begin: v1::SnapshotBegin,
    requests: Streaming<v1::SnapshotRequest>,
    answers: mpsc::Sender<Result<v1::SnapshotResponse, Status>>,
    _alone: OwnedMutexGuard<()>,
) {
    let work = install(cluster, begin, requests, answers.clone());
    let mut work = std::pin::pin!(work);
    let mut tell = interval(TELL_EVERY);
    tell.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let installed = loop {
        tokio::select! {
            installed = &mut work => break installed,
            _ = tell.tick() => {
                let progress = said(Said::Progress(v1::SnapshotProgress {}));
                if answers.send(Ok(progress)).await.is_err() {
                    return;
                }
            }
        }
    };
    let answer = installed.map(|vote| said(Said::Installed(vote)));
    if let Err(status) = &answer {
        log::warn!("a snapshot was not taken in: {}", status.message());
    }
    // The leader tries again where it has not heard this.
    let _ = answers.send(answer).await;
}

fn said(what: Said) -> v1::SnapshotResponse {
    v1::SnapshotResponse { what: Some(what) }
}

async fn install(
    cluster: Arc<Cluster>,
    begin: v1::SnapshotBegin,
    mut requests: Streaming<v1::SnapshotRequest>,
    answers: mpsc::Sender<Result<v1::SnapshotResponse, Status>>,
) -> Result<v1::NodeVote, Status> {
    let vote = wire::vote_of(begin.vote).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let receiver = Arc::clone(&cluster);
    let mut incoming = blocking(move || {
        receiver.consensus().receive_snapshot(&begin.description).map_err(|error| error.to_string())
    })
    .await?;
    let wanted = incoming.wanted().into_iter().map(|(name, offset)| v1::WantedFile { name, offset });
    let wanted = said(Said::Wanted(v1::SnapshotWanted { files: wanted.collect() }));
    answers.send(Ok(wanted)).await.map_err(|_| Status::cancelled("the leader is gone"))?;
    loop {
        let request = timeout(SILENCE_MAX, requests.message()).await;
        let request = request.map_err(|_| Status::deadline_exceeded("the leader fell silent"))??;
        match request.and_then(|request| request.what) {
            Some(Sent::Piece(piece)) => {
                incoming = blocking(move || {
                    let written = incoming.write(&piece.name, piece.offset, &piece.bytes);
                    written.map(|()| incoming).map_err(|error| error.to_string())
                })
                .await?;
            }
            Some(Sent::End(_)) => break,
            Some(Sent::Begin(_)) => {
                return Err(Status::invalid_argument("a snapshot begins inside another one"));
            }
            None => return Err(Status::cancelled("the leader went away in the middle of a snapshot")),
        }
    }
    let received = blocking(move || incoming.finish().map_err(|error| error.to_string())).await?;
    let installed = cluster.consensus().install_snapshot(vote, received).await;
    installed.map(wire::vote_to_wire).map_err(|error| Status::unavailable(error.to_string()))
}

/// Does something that writes to the disk where it disturbs nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Status::failed_precondition),
        Err(_) => Err(Status::internal("a panic ended taking in a snapshot; the server's log says more")),
    }
}
