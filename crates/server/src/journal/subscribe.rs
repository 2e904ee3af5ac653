//! `Subscribe`: the journal from a place on, first what is there, then what comes.
//!
//! One task for each subscription. While it is behind it reads a piece at a time on a blocking thread, a few subscriptions at
//! the same time; from then on batches come from memory. What is read waits in a queue of one piece, what is sent in an outbox,
//! and both end where the subscriber's credit does: who is slow costs a bound of memory and nobody else anything.
//!
//! *Invariant*: batches are sent in the order of their sequences, each once; the cursor never lies behind a batch that was not
//! sent or left out by the filter.

use std::collections::VecDeque;
use std::future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tapebook::{FeedGap, JournalBatch, JournalFollower, JournalStart, Schemas};
use tapebook_proto::v1::subscribe_request::What as Request;
use tapebook_proto::v1::subscribe_response::What;
use tapebook_proto::v1::subscribe_start::From as Begin;
use tapebook_proto::v1::{
    Refusal, RefusalReason as Reason, SubscribeRequest, SubscribeResponse, SubscribeStart,
};
use tokio::select;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::credit::Credit;
use super::filter::{Filter, tables_for};
use super::message::{batch_message, gap_message, progress_message};
use super::outbox::Outbox;
use super::registry::Registration;
use super::{on_blocking_thread, refusal};
use crate::Node;
use crate::access::Caller;

/// Messages that wait for the connection.
const MESSAGES_MAX: usize = 64;
/// Batches that are taken from memory before others on the same thread have their turn.
const BATCHES_PER_TURN: usize = 64;
/// About so many bytes of the journal are read from the disk at a time.
const PIECE_BYTES: usize = 1 << 20;
/// How often a subscription is looked at: whether it stalls, may go on, or is to be told how far it is. Half of the longest
/// silence.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(500);

/// Begins a subscription, whose first message says what is wanted.
pub(super) async fn begin(
    node: Arc<Node>,
    caller: Caller,
    mut inbox: Streaming<SubscribeRequest>,
) -> Result<ReceiverStream<Result<SubscribeResponse, Status>>, Status> {
    let start = first_message(&node, &mut inbox).await?;
    let filter = Filter::new(tables_for(&node, &caller, &start)?, &start);
    let now = node.db.vfs().clock().unix_nanos();
    let registration = node.subscribers.register(&caller, &start, now)?;
    let place = place_of(node.db.epoch(), start.from.as_ref())?;
    let filter = match place {
        JournalStart::Seq(seq) => filter.beginning_at(seq),
        _ => filter,
    };
    let db = Arc::clone(&node.db);
    let follower = on_blocking_thread(move || db.follow(place)).await?;
    let follower = follower.map_err(|error| refusal::of_journal(&error))?;
    let (outbox, messages) = Outbox::new(MESSAGES_MAX);
    let credit = Credit::new(start.credit_bytes, node.limits.subscriber_bytes_max);
    registration.show(follower.next_seq(), credit.left(), false);
    let subscription = Subscription {
        next_seq: follower.next_seq(),
        credit,
        filter: Arc::new(filter),
        source: Source::Here(Box::new(follower)),
        queue: VecDeque::new(),
        live: false,
        silent: false,
        blocked_since: None,
        node,
        caller,
        start,
        registration,
    };
    tokio::spawn(subscription.run(inbox, outbox));
    Ok(messages)
}

/// The first message, which must come soon and say where to begin.
async fn first_message(
    node: &Node,
    inbox: &mut Streaming<SubscribeRequest>,
) -> Result<SubscribeStart, Status> {
    let invalid = |message: &str| -> Status { Refusal::new(Reason::Invalid, message).into() };
    let first = timeout(node.limits.handshake_time_max, inbox.message()).await;
    let first = first.map_err(|_| invalid("nothing came that says where to begin"))??;
    match first.and_then(|first| first.what) {
        Some(Request::Start(start)) => Ok(start),
        _ => Err(invalid("the first message of a subscription says where it begins")),
    }
}

/// Where to begin, in a journal of this epoch.
fn place_of(epoch: u64, from: Option<&Begin>) -> Result<JournalStart, Refusal> {
    match from {
        Some(Begin::Cursor(cursor)) if cursor.epoch != 0 && cursor.epoch != epoch => {
            let message = format!(
                "the cursor is of epoch {}, the journal of epoch {epoch}: its history is another one from some sequence on",
                cursor.epoch
            );
            Err(Refusal::with_value(Reason::Epoch, message, epoch))
        }
        Some(Begin::Cursor(cursor)) => Ok(JournalStart::Seq(cursor.seq.max(1))),
        Some(Begin::CommitTime(time)) => Ok(JournalStart::Time(*time)),
        Some(Begin::Latest(true)) => Ok(JournalStart::Latest),
        Some(Begin::Latest(false)) | None => {
            Err(Refusal::new(Reason::Invalid, "the subscription does not say where it begins"))
        }
    }
}

/// A subscription that goes on.
struct Subscription {
    node: Arc<Node>,
    caller: Caller,
    start: SubscribeStart,
    registration: Registration,
    filter: Arc<Filter>,
    source: Source,
    /// Read and not sent.
    queue: VecDeque<Found>,
    credit: Credit,
    /// The sequence behind all that was sent or left out.
    next_seq: u64,
    /// It has got all there is.
    live: bool,
    /// Nothing was sent since it was looked at.
    silent: bool,
    /// Since when there is something for it that it does not take.
    blocked_since: Option<Instant>,
}

/// Who has the follower in hand.
enum Source {
    Here(Box<JournalFollower>),
    /// A blocking thread, which hands it back with what it has read.
    Reading(BoxFuture<'static, Result<Piece, Status>>),
}

/// What was read from the disk in one go.
struct Piece {
    follower: Box<JournalFollower>,
    found: Result<Vec<Found>, Refusal>,
}

/// Something of the journal, as the subscriber gets it.
struct Found {
    /// `None` where the filter leaves all of it out.
    message: Option<What>,
    /// The sequence behind it.
    next_seq: u64,
}

/// What has to happen before there is more to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    /// Others have their turn.
    Turn,
    /// Something is appended.
    Journal,
    /// The disk is read.
    Disk,
    /// The connection takes a message.
    Room,
    /// The subscriber gives credit.
    Credit,
}

/// What happened while it waited.
enum Event {
    Gone,
    Closing,
    Request(SubscribeRequest),
    NoMoreRequests,
    Look,
    Read(Result<Piece, Status>),
    Go,
}

impl Subscription {
    async fn run(mut self, inbox: Streaming<SubscribeRequest>, outbox: Outbox<SubscribeResponse>) {
        if let Some(status) = self.follow(inbox, &outbox).await {
            outbox.end(status);
        }
    }

    /// Sends until there is a reason to end, or (`None`) nobody is there any more.
    async fn follow(
        &mut self,
        inbox: Streaming<SubscribeRequest>,
        outbox: &Outbox<SubscribeResponse>,
    ) -> Option<Status> {
        let mut inbox = Some(inbox);
        let lifecycle = Arc::clone(&self.node.lifecycle);
        let mut closing = pin!(lifecycle.closing());
        let mut look = interval(LOOKED_AT_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A client that knows the epoch from the beginning can go on with its cursor whenever the connection breaks.
        self.tell_progress(outbox);
        loop {
            let wait = match self.pump(outbox) {
                Ok(wait) => wait,
                Err(refusal) => return Some(refusal.into()),
            };
            self.registration.show(self.next_seq, self.credit.left(), self.live);
            let event = next_event(wait, &mut self.source, &mut inbox, outbox, &mut look);
            let event = select! {
                biased;
                () = closing.as_mut() => Event::Closing,
                event = event => event,
            };
            let done = match event {
                Event::Go => Ok(()),
                Event::Gone => return None,
                Event::Closing => {
                    let message =
                        format!("the server ends; the subscription can go on from seq {}", self.next_seq);
                    return Some(Refusal::with_value(Reason::Closing, message, self.next_seq).into());
                }
                Event::Request(request) => self.take_credit(&request),
                Event::NoMoreRequests => {
                    inbox = None;
                    Ok(())
                }
                Event::Look => self.look(outbox),
                Event::Read(Ok(piece)) => self.take_piece(piece),
                Event::Read(Err(status)) => return Some(status),
            };
            if let Err(refusal) = done {
                return Some(refusal.into());
            }
        }
    }

    /// Sends what is there, as far as it may; says what must happen before there is more to do.
    fn pump(&mut self, outbox: &Outbox<SubscribeResponse>) -> Result<Wait, Refusal> {
        for _ in 0..BATCHES_PER_TURN {
            if let Some(wait) = self.send_queued(outbox) {
                self.blocked_since.get_or_insert_with(Instant::now);
                return Ok(wait);
            }
            let Source::Here(follower) = &mut self.source else { return Ok(Wait::Disk) };
            if !follower.is_live() {
                self.live = false;
                self.read_from_disk();
                return Ok(Wait::Disk);
            }
            let next = follower.try_next().map_err(|error| refusal::of_journal(&error))?;
            let gaps = std::iter::from_fn(|| follower.next_gap()).collect::<Vec<_>>();
            let schemas = self.node.db.snapshot().schemas().clone();
            let idle = next.is_none() && gaps.is_empty();
            self.queue.extend(found(next, gaps, &self.filter, &schemas)?);
            if idle {
                self.come_to_the_end(outbox);
                return Ok(Wait::Journal);
            }
        }
        Ok(Wait::Turn)
    }

    /// Sends what was read; says what it waits for where that is not all.
    fn send_queued(&mut self, outbox: &Outbox<SubscribeResponse>) -> Option<Wait> {
        while let Some(found) = self.queue.front_mut() {
            if let Some(message) = &found.message {
                let bytes = match message {
                    What::Batch(batch) => batch.batch.len(),
                    _ => 0,
                };
                if bytes > 0 && !self.credit.is_left() {
                    return Some(Wait::Credit);
                }
                let Some(room) = outbox.try_room() else { return Some(Wait::Room) };
                room.send(Ok(SubscribeResponse { what: found.message.take() }));
                self.credit.spend(bytes);
                self.silent = false;
                self.blocked_since = None;
            }
            self.next_seq = self.next_seq.max(found.next_seq);
            self.queue.pop_front();
        }
        None
    }

    /// Everything there is was sent; the first time that is worth a word.
    fn come_to_the_end(&mut self, outbox: &Outbox<SubscribeResponse>) {
        if let Source::Here(follower) = &self.source {
            self.next_seq = follower.next_seq();
        }
        if !std::mem::replace(&mut self.live, true) {
            self.tell_progress(outbox);
        }
    }

    fn tell_progress(&mut self, outbox: &Outbox<SubscribeResponse>) {
        if let Some(room) = outbox.try_room() {
            room.send(Ok(progress_message(self.node.db.epoch(), self.next_seq, self.live)));
            self.silent = false;
        }
    }

    /// Gives the follower to a blocking thread, which waits until not too many others read.
    fn read_from_disk(&mut self) {
        let readers = self.registration.subscribers().readers();
        let (filter, schemas) = (Arc::clone(&self.filter), self.node.db.snapshot().schemas().clone());
        let waiting = Source::Reading(future::pending().boxed());
        if let Source::Here(follower) = std::mem::replace(&mut self.source, waiting) {
            let read = async move {
                let turn = readers.acquire_owned().await;
                let read = on_blocking_thread(move || read_piece(follower, &filter, &schemas)).await;
                drop(turn);
                read
            };
            self.source = Source::Reading(read.boxed());
        }
    }

    fn take_piece(&mut self, piece: Piece) -> Result<(), Refusal> {
        self.source = Source::Here(piece.follower);
        self.queue.extend(piece.found?);
        Ok(())
    }

    fn take_credit(&mut self, request: &SubscribeRequest) -> Result<(), Refusal> {
        match request.what {
            Some(Request::CreditBytes(bytes)) => {
                self.credit.give(bytes);
                Ok(())
            }
            _ => Err(Refusal::new(
                Reason::Invalid,
                "a subscription begins once; after that it takes credit only",
            )),
        }
    }

    /// Looks whether it stalls, may still read what it reads, and is to be told how far it is.
    fn look(&mut self, outbox: &Outbox<SubscribeResponse>) -> Result<(), Refusal> {
        let stall_max = self.node.limits.subscriber_stall_max;
        if self.blocked_since.is_some_and(|since| since.elapsed() >= stall_max) {
            let (seconds, next_seq) = (stall_max.as_secs_f32(), self.next_seq);
            let message =
                format!("nothing was taken for {seconds} s; the subscription can go on from seq {next_seq}");
            return Err(Refusal::with_value(Reason::TooSlow, message, next_seq));
        }
        let tables = tables_for(&self.node, &self.caller, &self.start)?;
        if let Some(filter) = self.filter.with_tables(tables) {
            self.filter = Arc::new(filter);
        }
        if std::mem::replace(&mut self.silent, true) {
            self.tell_progress(outbox);
        }
        Ok(())
    }
}

/// Waits for what there is to wait for, and for what may come at any time.
async fn next_event(
    wait: Wait,
    source: &mut Source,
    inbox: &mut Option<Streaming<SubscribeRequest>>,
    outbox: &Outbox<SubscribeResponse>,
    look: &mut tokio::time::Interval,
) -> Event {
    let awaited = async {
        match (wait, source) {
            (Wait::Turn, _) => tokio::task::yield_now().await,
            (Wait::Journal, Source::Here(follower)) => follower.changed().await,
            (Wait::Disk, Source::Reading(read)) => return Event::Read(read.await),
            (Wait::Room, _) => outbox.room().await,
            // Credit comes as a request.
            _ => future::pending().await,
        }
        Event::Go
    };
    let request = async {
        match inbox {
            Some(inbox) => match inbox.message().await {
                Ok(Some(request)) => Event::Request(request),
                Ok(None) => Event::NoMoreRequests,
                Err(_) => Event::Gone,
            },
            None => future::pending().await,
        }
    };
    select! {
        biased;
        () = outbox.gone() => Event::Gone,
        event = request => event,
        _ = look.tick() => Event::Look,
        event = awaited => event,
    }
}

/// Reads about a piece, until what follows is in memory.
fn read_piece(mut follower: Box<JournalFollower>, filter: &Filter, schemas: &Schemas) -> Piece {
    let mut all = Vec::new();
    let mut bytes = 0;
    let done = loop {
        if bytes >= PIECE_BYTES || follower.is_live() {
            break Ok(());
        }
        let next = match follower.try_next() {
            Ok(next) => next,
            Err(error) => break Err(refusal::of_journal(&error)),
        };
        let gaps = std::iter::from_fn(|| follower.next_gap()).collect();
        let Some(next) = next else { break Ok(()) };
        bytes += next.batch.bytes().len();
        match found(Some(next), gaps, filter, schemas) {
            Ok(more) => all.extend(more),
            Err(refusal) => break Err(refusal),
        }
    };
    // What was read before an error is sent; the error comes again with the next attempt.
    let found = if all.is_empty() { done.map(|()| all) } else { Ok(all) };
    Piece { follower, found }
}

/// What the subscriber gets of a batch and of the gaps that it showed or closed.
fn found(
    batch: Option<JournalBatch>,
    gaps: Vec<FeedGap>,
    filter: &Filter,
    schemas: &Schemas,
) -> Result<Vec<Found>, Refusal> {
    let mut found = Vec::new();
    if let Some(batch) = batch {
        let message = batch_message(&batch, filter, schemas)?.map(What::Batch);
        found.push(Found { message, next_seq: batch.last_seq() + 1 });
    }
    for gap in gaps {
        if filter.takes_gap(&gap) {
            // It belongs to a batch that comes before it.
            found.push(Found { message: Some(What::Gap(gap_message(&gap, schemas))), next_seq: 0 });
        }
    }
    Ok(found)
}
