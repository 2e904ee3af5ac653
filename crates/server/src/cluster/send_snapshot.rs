//! Sends files to a node whose entries are gone, no faster than is allowed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tapebook::replica::ReplicaSnapshot;
use tapebook_proto::v1;
use tapebook_proto::v1::cluster_client::ClusterClient;
use tapebook_proto::v1::snapshot_request::What as Sent;
use tapebook_proto::v1::snapshot_response::What as Said;
use tapebook_replication::{SILENCE_MAX, Vote};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::transport::reason_of;
use super::wire;

/// Bytes of a file that are sent at a time.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that wait to be sent.
const PIECES_WAITING_MAX: usize = 4;

/// Sends a snapshot and waits until it is in place; what the node votes for by then.
pub(super) async fn send(
    mut client: ClusterClient<Channel>,
    sender: v1::Sender,
    vote: Vote,
    snapshot: Arc<ReplicaSnapshot>,
    bytes_per_second: u64,
) -> Result<Vote, String> {
    let (sending, requests) = mpsc::channel(PIECES_WAITING_MAX);
    let begin = v1::SnapshotBegin {
        sender: Some(sender),
        vote: Some(wire::vote_to_wire(vote)),
        description: Bytes::copy_from_slice(snapshot.description()),
    };
    // The channel is empty, so there is room.
    let _ = sending.try_send(v1::SnapshotRequest { what: Some(Sent::Begin(begin)) });
    let begun = timeout(SILENCE_MAX, client.install_snapshot(ReceiverStream::new(requests)));
    let begun = begun.await.map_err(|_| silent())?.map_err(|status| reason_of(&status))?;
    let mut answers = begun.into_inner();
    let wanted = loop {
        match next(&mut answers).await? {
            Said::Wanted(wanted) => break wanted,
            Said::Progress(_) => {}
            Said::Installed(vote) => return wire::vote_of(Some(vote)).map_err(|error| error.to_string()),
        }
    };
    let files = tokio::spawn(send_files(sending, snapshot, wanted.files, bytes_per_second));
    let installed = async {
        loop {
            if let Said::Installed(vote) = next(&mut answers).await? {
                return wire::vote_of(Some(vote)).map_err(|error| error.to_string());
            }
        }
    };
    let installed = installed.await;
    files.abort();
    installed
}

/// Sends what was wanted. Where the receiver is gone or a file cannot be read the stream ends, and the receiver says so.
async fn send_files(
    sending: mpsc::Sender<v1::SnapshotRequest>,
    snapshot: Arc<ReplicaSnapshot>,
    wanted: Vec<v1::WantedFile>,
    bytes_per_second: u64,
) {
    let mut pace = Pace::new(bytes_per_second);
    for v1::WantedFile { name, mut offset } in wanted {
        let Some(bytes) = snapshot.parts().iter().find(|part| part.name == name).map(|part| part.bytes)
        else {
            continue;
        };
        while offset < bytes {
            let (reading, file) = (Arc::clone(&snapshot), name.clone());
            let read = tokio::task::spawn_blocking(move || {
                let part = reading.parts().iter().find(|part| part.name == file)?;
                part.read(offset, PIECE_BYTES)
                    .inspect_err(|error| log::warn!("{file}: not sent: {error}"))
                    .ok()
            });
            let Ok(Some(piece)) = read.await else { return };
            pace.wait_for(piece.len() as u64).await;
            let length = piece.len() as u64;
            let piece = v1::SnapshotPiece { name: name.clone(), offset, bytes: piece.into() };
            if sending.send(v1::SnapshotRequest { what: Some(Sent::Piece(piece)) }).await.is_err() {
                return;
            }
            offset += length;
        }
    }
    // Whoever is gone need not be told.
    let _ = sending.send(v1::SnapshotRequest { what: Some(Sent::End(v1::SnapshotEnd {})) }).await;
}

/// What the receiver says next. One that works says at least that.
async fn next(answers: &mut Streaming<v1::SnapshotResponse>) -> Result<Said, String> {
    let answer = timeout(SILENCE_MAX, answers.message()).await.map_err(|_| silent())?;
    let answer = answer.map_err(|status| reason_of(&status))?;
    answer
        .and_then(|answer| answer.what)
        .ok_or_else(|| "the node ended the transfer without a word".to_owned())
}

fn silent() -> String {
    format!("no answer within {} s", SILENCE_MAX.as_secs())
}

/// Lets bytes through at a rate, and a little ahead of it.
struct Pace {
    bytes_per_second: u64,
    next: Instant,
}

impl Pace {
    fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), next: Instant::now() }
    }

    async fn wait_for(&mut self, bytes: u64) {
        sleep_until(self.next).await;
        let took = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        self.next = self.next.max(Instant::now()) + took;
    }
}
