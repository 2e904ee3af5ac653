//! `Scan`: the rows of one series in order of time, a piece at a time.
//!
//! A scan holds one snapshot and the key of the last row that it sent. Each piece begins there anew, on a blocking thread that is
//! free again when the piece is read; so whoever takes rows slowly, or not at all, holds on to no thread.

use std::sync::Arc;

use tapebook::{Batch, Direction, PushError, Snapshot, TableSchema, TimeRange};
use tapebook_proto::v1::{Refusal, RefusalReason as Reason, ScanRequest, ScanResponse};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::message::bytes_of;
use super::outbox::{Outbox, Unsent};
use super::{on_blocking_thread, read, refusal};
use crate::Node;
use crate::access::Caller;

/// A piece is sent when it has so many bytes; it has room for the largest row then.
const PIECE_BYTES: usize = 96 * 1024;
/// Pieces that wait for the connection.
const PIECES_MAX: usize = 4;

/// Begins a scan; what it finds comes out of the stream.
pub(super) fn begin(
    node: &Arc<Node>,
    caller: &Caller,
    request: ScanRequest,
) -> Result<ReceiverStream<Result<ScanResponse, Status>>, Status> {
    let snapshot = node.db.snapshot();
    let schema = read::readable_table(node, caller, &snapshot, &request.table)?;
    let snapshot = match request.as_of_seq {
        0 => snapshot,
        seq => snapshot.as_of(seq).map_err(|error| refusal::of_read(&error))?,
    };
    let (outbox, messages) = Outbox::new(PIECES_MAX);
    tokio::spawn(run(Arc::clone(node), SeriesRead::new(snapshot, schema, request), outbox));
    Ok(messages)
}

async fn run(node: Arc<Node>, mut series: SeriesRead, outbox: Outbox<ScanResponse>) {
    let stall_max = node.limits.subscriber_stall_max;
    let status = loop {
        let read = on_blocking_thread(move || {
            let piece = series.next_piece();
            (series, piece)
        });
        let piece = match read.await {
            Ok((back, piece)) => {
                series = back;
                piece
            }
            Err(status) => break status,
        };
        match piece {
            Ok(Some(piece)) => match outbox.send(piece, stall_max).await {
                Ok(()) => {}
                Err(Unsent::Gone) => return,
                Err(Unsent::Stalled) => {
                    let message = format!("no rows were taken for {} s", stall_max.as_secs());
                    break Refusal::new(Reason::TooSlow, message).into();
                }
            },
            Ok(None) => return,
            Err(refusal) => break refusal.into(),
        }
    };
    outbox.end(status);
}

/// What is left of a scan.
#[derive(Debug)]
struct SeriesRead {
    snapshot: Snapshot,
    schema: Arc<TableSchema>,
    symbol: String,
    range: TimeRange,
    direction: Direction,
    /// The key of the last row that was read.
    last: Option<(i64, u64)>,
    /// Rows that may still be read.
    left: u64,
}

impl SeriesRead {
    fn new(snapshot: Snapshot, schema: Arc<TableSchema>, request: ScanRequest) -> Self {
        let range = match (request.from_ts, request.to_ts) {
            (None, None) => TimeRange::ALL,
            (from, None) => TimeRange::from_bounds(from.unwrap_or(i64::MIN)..),
            (from, Some(to)) => TimeRange::from_bounds(from.unwrap_or(i64::MIN)..to),
        };
        Self {
            snapshot,
            schema,
            symbol: request.symbol,
            range,
            direction: if request.newest_first { Direction::Backward } else { Direction::Forward },
            last: None,
            left: if request.limit == 0 { u64::MAX } else { request.limit },
        }
    }

    /// The rows behind the last one, as far as they fill a message; `None` behind the end.
    fn next_piece(&mut self) -> Result<Option<ScanResponse>, Refusal> {
        let (mut batch, mut seqs) = (Batch::new(), Vec::new());
        let range = self.rest();
        let scan = self.snapshot.scan_series(self.schema.id, &self.symbol, range, self.direction);
        let scan = scan.map_err(|error| refusal::of_read(&error))?;
        let mut last = self.last;
        for record in scan {
            if self.left == 0 || batch.encoded_bytes() >= PIECE_BYTES {
                break;
            }
            let record = record.map_err(|error| refusal::of_read(&error))?;
            if last.is_some_and(|last| !self.comes_behind(record.key(), last)) {
                continue;
            }
            match batch.push_record(&self.schema, &record.raw()) {
                Ok(()) => {}
                Err(PushError::Full) if !batch.is_empty() => break,
                Err(error) => return Err(Refusal::new(Reason::TooLarge, error)),
            }
            seqs.push(record.seq());
            last = Some(record.key());
            self.left -= 1;
        }
        self.last = last;
        let as_of_seq = self.snapshot.visible_seq();
        Ok((!batch.is_empty()).then(|| ScanResponse { batch: bytes_of(&batch.encode()), seqs, as_of_seq }))
    }

    /// The range without what lies before the last row.
    fn rest(&self) -> TimeRange {
        match (self.last, self.direction) {
            (None, _) => self.range,
            (Some((ts, _)), Direction::Forward) => TimeRange { first: ts, ..self.range },
            (Some((ts, _)), Direction::Backward) => TimeRange { last: ts, ..self.range },
        }
    }

    fn comes_behind(&self, key: (i64, u64), last: (i64, u64)) -> bool {
        match self.direction {
            Direction::Forward => key > last,
            Direction::Backward => key < last,
        }
    }
}
