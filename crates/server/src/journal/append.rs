//! `Append`: batches come in, receipts go out, in the same order.
//!
//! The connection polls [`AppendAnswers`] for what is to be sent. It answers what is durable; where nothing is, it reads the
//! next batches and hands them to the log. So a batch costs neither a task nor a thread, and receipts of one group, which are
//! there at the same time, leave in one write.
//!
//! *Invariant*: every request is answered once, in the order in which they came, or the stream ends with an error before; a receipt is sent
//! only after the engine has said that the batch is durable.
//!
//! What is not answered is bounded by [`crate::Limits::appends_in_flight_max`]: past it the requests are not read, and HTTP/2
//! makes the sender wait. Where the database cannot take a batch at once, it is held and offered again.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tapebook::{AppendError, EncodedBatch, PendingAppend, Schemas, SharedBytes, TableId};
use tapebook_proto::v1::append_response::Outcome;
use tapebook_proto::v1::{
    Accepted, AppendRequest, AppendResponse, Durability, Receipt, Refusal, RefusalReason as Reason,
};
use tapebook_record::batch::BATCH_BYTES_MAX;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::refusal;
use crate::Node;
use crate::access::{Caller, Right};

/// Bytes that one stream may bring before others on the same thread have their turn.
const BYTES_PER_TURN: usize = 2 * BATCH_BYTES_MAX;
/// When a batch that the database could not take is offered again for the first time. It doubles from then on.
const HELD_FOR_MIN: Duration = Duration::from_millis(1);
/// The longest time between two attempts.
const HELD_FOR_MAX: Duration = Duration::from_millis(16);

/// The answers to one stream of batches.
pub struct AppendAnswers {
    node: Arc<Node>,
    caller: Caller,
    requests: Streaming<AppendRequest>,
    inlet: Inlet,
    /// Requests read so far.
    read: u64,
    /// What is not answered yet, oldest first.
    in_flight: VecDeque<InFlight>,
    /// Requests that are to be told at once that they will be written.
    accepted: VecDeque<u64>,
    /// Ready when the server ends.
    closing: BoxFuture<'static, ()>,
    /// Ready when what is in flight should not be waited for: this node does not lead any more, or too few answer it.
    lets_go: BoxFuture<'static, Refusal>,
}

/// Whether more requests are read.
#[derive(Debug)]
enum Inlet {
    Open,
    /// The last one read could not be handed over yet.
    Held(Box<Held>),
    /// Nothing more is read; the status to end with, behind the last answer.
    Ended(Option<Status>),
}

/// A batch that the database has no room for.
#[derive(Debug)]
struct Held {
    batch: EncodedBatch,
    buffered: bool,
    refused_at: Instant,
    pause: Duration,
    next_attempt: Pin<Box<Sleep>>,
}

/// A request that is to be answered.
#[derive(Debug)]
struct InFlight {
    request: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Pending(PendingAppend),
    Refused(Refusal),
}

impl AppendAnswers {
    /// Begins to read.
    pub(super) fn begin(
        node: Arc<Node>,
        caller: Caller,
        requests: Streaming<AppendRequest>,
    ) -> Result<Self, Status> {
        let may = node.access.authorize(&caller, Right::Write, None);
        may.map_err(|denied| refusal::of_denied(&denied))?;
        let lifecycle = Arc::clone(&node.lifecycle);
        let closing = async move { lifecycle.closing().await }.boxed();
        let lets_go = match &node.cluster {
            Some(cluster) => cluster.lets_go().boxed(),
            None => futures::future::pending().boxed(),
        };
        Ok(Self {
            node,
            caller,
            requests,
            inlet: Inlet::Open,
            read: 0,
            in_flight: VecDeque::new(),
            accepted: VecDeque::new(),
            closing,
            lets_go,
        })
    }

    /// The next answer, where it is there. `Pending` also where there is nothing to answer.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<AppendResponse> {
        if let Some(request) = self.accepted.pop_front() {
            return Poll::Ready(AppendResponse { request, outcome: Some(Outcome::Accepted(Accepted {})) });
        }
        let Some(oldest) = self.in_flight.front_mut() else { return Poll::Pending };
        let request = oldest.request;
        let outcome = match &mut oldest.state {
            State::Refused(refusal) => Outcome::Refusal(std::mem::take(refusal)),
            State::Pending(pending) => match ready!(Pin::new(pending).poll(context)) {
                Ok(receipt) => Outcome::Receipt(Receipt {
                    first_seq: receipt.first_seq,
                    last_seq: receipt.last_seq,
                    duplicate: receipt.duplicate,
                }),
                Err(error) => Outcome::Refusal(refusal::of_append(&error)),
            },
        };
        self.in_flight.pop_front();
        if let Outcome::Refusal(refusal) = &outcome {
            self.node.metrics.append_refused(refusal.reason());
            if refusal::ends_the_stream(refusal) {
                self.inlet = Inlet::Ended(Some(refusal.to_status()));
            }
        }
        Poll::Ready(AppendResponse { request, outcome: Some(outcome) })
    }

    /// Takes one more request, where there is one and room for it; the bytes that it brought.
    fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        match &mut self.inlet {
            Inlet::Ended(_) => Poll::Pending,
            Inlet::Held(held) => {
                ready!(held.next_attempt.as_mut().poll(context));
                self.offer_again();
                Poll::Ready(0)
            }
            Inlet::Open if self.in_flight.len() >= self.node.limits.appends_in_flight_max.max(1) => {
                Poll::Pending
            }
            Inlet::Open => match ready!(Pin::new(&mut self.requests).poll_next(context)) {
                Some(Ok(request)) => {
                    let bytes = request.batch.len();
                    self.take(request);
                    Poll::Ready(bytes)
                }
                Some(Err(status)) => self.end(Some(status)),
                None => self.end(None),
            },
        }
    }

    /// Where the server ends, nothing more is read; what was handed over is still answered. True where that is new.
    fn poll_closing(&mut self, context: &mut Context<'_>) -> bool {
        if matches!(self.inlet, Inlet::Ended(_)) || self.closing.as_mut().poll(context).is_pending() {
            return false;
        }
        let refusal = Refusal::new(Reason::Closing, "the server ends; send again what has no receipt");
        let ended = Inlet::Ended(Some(refusal.to_status()));
        if let Inlet::Held(_) = std::mem::replace(&mut self.inlet, ended) {
            self.push(State::Refused(refusal));
        }
        true
    }

    /// Where nobody should wait for this node, the stream ends, and what is in flight is unknown. True where that is new.
    fn poll_lets_go(&mut self, context: &mut Context<'_>) -> bool {
        if self.in_flight.is_empty() && !matches!(self.inlet, Inlet::Held(_)) {
            return false;
        }
        let Poll::Ready(refusal) = self.lets_go.as_mut().poll(context) else { return false };
        self.lets_go = futures::future::pending().boxed();
        self.in_flight.clear();
        self.inlet = Inlet::Ended(Some(refusal.to_status()));
        true
    }

    fn end(&mut self, status: Option<Status>) -> Poll<usize> {
        self.inlet = Inlet::Ended(status);
        Poll::Ready(0)
    }

    fn take(&mut self, request: AppendRequest) {
        self.read += 1;
        let buffered = match request.durability() {
            Durability::Buffered => true,
            Durability::Synced => false,
            Durability::Unspecified => self.node.durability == tapebook::Durability::Buffered,
        };
        match self.check(&request.batch) {
            Ok(batch) => self.submit(batch, buffered, None),
            Err(refusal) => self.push(State::Refused(refusal)),
        }
    }

    /// Copies the bytes once, to where the log and the MemTable read them, and checks them there.
    fn check(&self, bytes: &[u8]) -> Result<EncodedBatch, Refusal> {
        if bytes.len() > BATCH_BYTES_MAX {
            return Err(refusal::too_large(bytes.len()));
        }
        let snapshot = self.node.db.snapshot();
        let batch = EncodedBatch::check(SharedBytes::from(bytes), snapshot.schemas());
        let batch = batch.map_err(|error| refusal::of_batch(&error))?;
        self.authorize(&batch, snapshot.schemas())?;
        Ok(batch)
    }

    /// The right to write the table of every row. Rows of one table mostly stand together.
    fn authorize(&self, batch: &EncodedBatch, schemas: &Schemas) -> Result<(), Refusal> {
        let mut allowed: Vec<TableId> = Vec::new();
        for row in 0..batch.len() {
            let table = batch.row_header(row).table;
            if allowed.last() == Some(&table) || allowed.contains(&table) {
                continue;
            }
            let name = schemas.get(table).map(|schema| &*schema.name);
            let may = self.node.access.authorize(&self.caller, Right::Write, name);
            may.map_err(|denied| refusal::of_denied(&denied))?;
            allowed.push(table);
        }
        Ok(())
    }

    /// Hands a batch to the log, or holds it where the database has no room. `held` says how it was held before.
    fn submit(&mut self, batch: EncodedBatch, buffered: bool, held: Option<(Instant, Duration)>) {
        match self.node.db.try_submit(batch.clone()) {
            Ok(pending) => {
                if buffered {
                    self.accepted.push_back(self.read);
                }
                self.push(State::Pending(pending));
            }
            Err(AppendError::Busy) => {
                let now = Instant::now();
                let (refused_at, pause) = held.unwrap_or((now, HELD_FOR_MIN));
                if now.duration_since(refused_at) >= self.node.limits.append_wait_max {
                    return self.push(State::Refused(refusal::of_append(&AppendError::Busy)));
                }
                let next_attempt = Box::pin(sleep_until(now + pause));
                self.inlet = Inlet::Held(Box::new(Held { batch, buffered, refused_at, pause, next_attempt }));
            }
            Err(error) => self.push(State::Refused(refusal::of_append(&error))),
        }
    }

    fn offer_again(&mut self) {
        if let Inlet::Held(held) = std::mem::replace(&mut self.inlet, Inlet::Open) {
            let pause = (held.pause * 2).min(HELD_FOR_MAX);
            self.submit(held.batch, held.buffered, Some((held.refused_at, pause)));
        }
    }

    fn push(&mut self, state: State) {
        self.in_flight.push_back(InFlight { request: self.read, state });
    }
}

impl Stream for AppendAnswers {
    type Item = Result<AppendResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let mut bytes = 0;
        loop {
            if let Poll::Ready(answer) = this.poll_answer(context) {
                return Poll::Ready(Some(Ok(answer)));
            }
            if let Inlet::Ended(status) = &mut this.inlet
                && this.in_flight.is_empty()
            {
                return Poll::Ready(status.take().map(Err));
            }
            if bytes >= BYTES_PER_TURN {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match this.poll_request(context) {
                Poll::Ready(more) => bytes += more,
                Poll::Pending if this.poll_closing(context) || this.poll_lets_go(context) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl fmt::Debug for AppendAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendAnswers")
            .field("read", &self.read)
            .field("in_flight", &self.in_flight.len())
            .field("inlet", &self.inlet)
            .finish_non_exhaustive()
    }
}
