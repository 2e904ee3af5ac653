//! Following the journal, with a cursor that survives broken connections.

use std::sync::Arc;

use futures::stream::{Stream, try_unfold};
use tapebook_proto::v1;
use tapebook_proto::v1::subscribe_request::What as Request;
use tapebook_proto::v1::subscribe_response::What;
use tapebook_proto::v1::subscribe_start::From as Begin;
use tapebook_proto::v1::{SubscribeRequest, SubscribeResponse, SubscribeStart};
use tapebook_record::{EncodedBatch, RawRecord, TableId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::ClientError;
use crate::backoff::Backoff;
use crate::connect::{Connected, Connections};
use crate::read::decode;

/// Credit that waits to be sent; what does not fit is given together with the next.
const REQUESTS_MAX: usize = 8;

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// Where an earlier one ended. Refused where the journal's history has become another one since.
    Cursor(Cursor),
    /// With this sequence, in whatever history the journal has.
    Seq(u64),
    /// With the first batch whose commit clock, in nanoseconds since the epoch, is not before this time.
    Time(i64),
    /// With what comes from now on.
    Latest,
}

/// A place in the journal: the next sequence to be read, in one history.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// The epoch of the journal, which changes when its history forks.
    pub epoch: u64,
    /// The next sequence.
    pub seq: u64,
}

/// What a subscription is to bring.
#[derive(Clone, Debug)]
pub struct SubscribeOptions {
    /// Where it begins.
    pub start: Start,
    /// Only rows of these tables; none: of all that may be read.
    pub tables: Vec<String>,
    /// Only rows of these symbols; none: of all.
    pub symbols: Vec<String>,
    /// Bytes of batches that may be on their way and not taken yet. Default 4 MiB.
    pub credit_bytes: u64,
}

impl SubscribeOptions {
    /// Everything from a place on.
    pub fn new(start: Start) -> Self {
        Self { start, tables: Vec::new(), symbols: Vec::new(), credit_bytes: 4 << 20 }
    }

    /// Only this table, and others that are named likewise.
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.tables.push(table.into());
        self
    }

    /// Only this symbol, and others that are named likewise.
    #[must_use]
    pub fn symbol(mut self, symbol: impl Into<String>) -> Self {
        self.symbols.push(symbol.into());
        self
    }

    /// With another bound of what is on its way.
    #[must_use]
    pub fn credit_bytes(self, credit_bytes: u64) -> Self {
        Self { credit_bytes, ..self }
    }
}

/// What comes of a subscription.
#[derive(Clone, Debug)]
pub enum Event {
    /// Rows.
    Batch(JournalBatch),
    /// Nothing that was asked for lies before the cursor and has not come. Comes while nothing else does.
    Progress {
        /// How far the subscription is.
        cursor: Cursor,
        /// True where it has brought all there is.
        live: bool,
    },
    /// Numbers that are missing in a feed, or were and have come.
    Gap(FeedGap),
}

/// A range of feed numbers that did not come in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FeedGap {
    /// The producer.
    pub producer_id: u64,
    /// The table; `None`, as the symbol, where the numbers belong to the producer as a whole.
    pub table: Option<String>,
    /// The symbol.
    pub symbol: Option<String>,
    /// The first number that is missing.
    pub first_feed_seq: u64,
    /// The last one.
    pub last_feed_seq: u64,
    /// The sequence of the row that showed it.
    pub seen_seq: u64,
    /// The sequence of the row that closed it, where it is closed.
    pub closed_seq: Option<u64>,
}

/// A batch of the journal, or those of its rows that were asked for.
#[derive(Clone, Debug)]
pub struct JournalBatch {
    first_seq: u64,
    last_seq: u64,
    commit_time: i64,
    batch: EncodedBatch,
    places: Vec<u32>,
}

impl JournalBatch {
    /// The sequence of the first row of the batch, whether it was asked for or not.
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The sequence of its last row.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The commit clock when it was appended, nanoseconds since the epoch.
    pub fn commit_time(&self) -> i64 {
        self.commit_time
    }

    /// The rows that came, as a batch.
    pub fn batch(&self) -> &EncodedBatch {
        &self.batch
    }

    /// The rows that came, each with its table, read in place.
    pub fn records(&self) -> impl Iterator<Item = (TableId, RawRecord<'_>)> {
        let rows = self.batch.rows();
        (0..self.batch.len()).filter_map(move |row| {
            let place = if self.places.is_empty() { row as u64 } else { u64::from(self.places[row]) };
            rows.get(row, self.first_seq + place)
        })
    }

    fn new(message: v1::JournalBatch) -> Result<Self, ClientError> {
        let batch = decode(&message.batch)?;
        let v1::JournalBatch { first_seq, last_seq, commit_time, places, .. } = message;
        let rows = last_seq.checked_sub(first_seq).map_or(0, |more| more + 1);
        let fits = match places.last() {
            None => batch.len() as u64 == rows,
            Some(last) => batch.len() == places.len() && u64::from(*last) < rows,
        };
        if !fits {
            return Err(ClientError::Failed("a batch came whose rows do not fit its sequences".to_owned()));
        }
        Ok(Self { first_seq, last_seq, commit_time, batch, places })
    }
}

/// The journal from a place on.
///
/// Where the connection breaks it is made again, perhaps with another server, and the subscription goes on at its cursor: each row
/// comes once. Where that does not succeed within [`crate::ClientOptions::retry_for`], an error says so; whoever asks for the
/// next event after an error tries again from the cursor.
///
/// The server sends as much as there is credit for, and gets credit for what was taken: a batch counts as taken when the next
/// event is asked for. Who takes nothing for too long is ended with [`crate::RefusalReason::TooSlow`].
#[derive(Debug)]
pub struct Subscription {
    connections: Arc<Connections>,
    options: SubscribeOptions,
    cursor: Option<Cursor>,
    open: Option<Open>,
}

/// A subscription at a server.
#[derive(Debug)]
struct Open {
    connected: Connected,
    messages: Streaming<SubscribeResponse>,
    requests: mpsc::Sender<SubscribeRequest>,
    /// Bytes that were taken since credit was given.
    taken: u64,
}

impl Subscription {
    pub(crate) fn new(connections: Arc<Connections>, options: SubscribeOptions) -> Self {
        Self { connections, options, cursor: None, open: None }
    }

    /// Where it goes on; `None` before the server has said where it begins.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The next event. It may be dropped and asked for again; nothing is lost.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        let mut until = None;
        let mut backoff = Backoff::new();
        loop {
            let error = match self.try_next().await {
                Ok(event) => return Ok(event),
                Err(error) => error,
            };
            if let Some(open) = self.open.take()
                && error.may_pass()
            {
                self.connections.forget(&open.connected, error.leader()).await;
            }
            let retry_for = self.connections.options().retry_for;
            if !error.may_pass() || Instant::now() >= *until.get_or_insert_with(|| Instant::now() + retry_for)
            {
                return Err(error);
            }
            backoff.pause_unless_redirected(error.leader()).await;
        }
    }

    /// The next batch; other events are passed over.
    pub async fn next_batch(&mut self) -> Result<JournalBatch, ClientError> {
        loop {
            if let Event::Batch(batch) = self.next().await? {
                return Ok(batch);
            }
        }
    }

    /// The events as a stream, which ends behind the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event, ClientError>> + Send {
        try_unfold(self, |mut subscription| async move {
            let event = subscription.next().await?;
            Ok::<_, ClientError>(Some((event, subscription)))
        })
    }

    async fn try_next(&mut self) -> Result<Event, ClientError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.begin().await?,
        };
        let open = self.open.insert(open);
        open.give_credit(self.options.credit_bytes);
        loop {
            let message = open.messages.message().await.map_err(|status| ClientError::of_status(&status))?;
            let Some(message) = message else {
                return Err(ClientError::Failed("the server ended the subscription".to_owned()));
            };
            match message.what {
                Some(What::Batch(batch)) => {
                    open.taken += batch.batch.len() as u64;
                    let batch = JournalBatch::new(batch)?;
                    let epoch = self.cursor.map_or(0, |cursor| cursor.epoch);
                    self.cursor = Some(Cursor { epoch, seq: batch.last_seq + 1 });
                    return Ok(Event::Batch(batch));
                }
                Some(What::Progress(progress)) => {
                    let Some(cursor) = progress.cursor else { continue };
                    let cursor = Cursor { epoch: cursor.epoch, seq: cursor.seq };
                    self.cursor = Some(cursor);
                    return Ok(Event::Progress { cursor, live: progress.live });
                }
                Some(What::Gap(gap)) => return Ok(Event::Gap(gap.into())),
                // A newer server says something that is not known here.
                None => {}
            }
        }
    }

    async fn begin(&self) -> Result<Open, ClientError> {
        let from = match (self.cursor, self.options.start) {
            (Some(cursor), _) | (None, Start::Cursor(cursor)) => {
                Begin::Cursor(v1::Cursor { epoch: cursor.epoch, seq: cursor.seq })
            }
            (None, Start::Seq(seq)) => Begin::Cursor(v1::Cursor { epoch: 0, seq }),
            (None, Start::Time(time)) => Begin::CommitTime(time),
            (None, Start::Latest) => Begin::Latest(true),
        };
        let start = SubscribeStart {
            from: Some(from),
            tables: self.options.tables.clone(),
            symbols: self.options.symbols.clone(),
            credit_bytes: self.options.credit_bytes,
        };
        let (requests, waiting) = mpsc::channel(REQUESTS_MAX);
        // A new queue has room.
        let _ = requests.try_send(SubscribeRequest { what: Some(Request::Start(start)) });
        let connected = self.connections.connected().await?;
        let answer = match connected.journal().subscribe(ReceiverStream::new(waiting)).await {
            Ok(answer) => answer,
            Err(status) => {
                let error = ClientError::of_status(&status);
                if error.may_pass() {
                    self.connections.forget(&connected, error.leader()).await;
                }
                return Err(error);
            }
        };
        Ok(Open { connected, messages: answer.into_inner(), requests, taken: 0 })
    }
}

impl Open {
    /// Tells the server what was taken, when that is half of the credit.
    fn give_credit(&mut self, credit_bytes: u64) {
        if self.taken > credit_bytes / 2 {
            let request = SubscribeRequest { what: Some(Request::CreditBytes(self.taken)) };
            if self.requests.try_send(request).is_ok() {
                self.taken = 0;
            }
        }
    }
}

impl From<v1::FeedGap> for FeedGap {
    fn from(gap: v1::FeedGap) -> Self {
        Self {
            producer_id: gap.producer_id,
            table: Some(gap.table).filter(|table| !table.is_empty()),
            symbol: Some(gap.symbol).filter(|symbol| !symbol.is_empty()),
            first_feed_seq: gap.first_feed_seq,
            last_feed_seq: gap.last_feed_seq,
            seen_seq: gap.seen_seq,
            closed_seq: Some(gap.closed_seq).filter(|seq| *seq > 0),
        }
    }
}
