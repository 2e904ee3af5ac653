//! The task of a producer: numbers batches, sends them, takes the answers, and begins anew where the connection breaks.

use std::sync::Arc;
use std::time::Duration;

use tapebook_proto::v1::append_response::Outcome;
use tapebook_proto::v1::{
    self, AppendRequest, AppendResponse, Durability, OpenProducerRequest, OpenProducerResponse, RefusalReason,
};
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::open_batch::{Sealed, Shared};
use super::receipt::Receipt;
use super::window::Window;
use super::{FeedNumbers, ProducerError, ProducerOptions};
use crate::backoff::Backoff;
use crate::connect::{Connected, Connections, Journal};
use crate::{ClientError, Refused};

/// How long a batch rests that the server had no room for.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// Asks the server what it knows of a producer.
pub(super) async fn ask(
    connections: &Connections,
    producer_id: u64,
    feed: Option<FeedNumbers>,
) -> Result<OpenProducerResponse, ClientError> {
    let (feed, backfill_of) = feed.map_or((v1::FeedNumbers::Unspecified, 0), FeedNumbers::to_wire);
    let request = OpenProducerRequest { producer_id, feed: feed.into(), backfill_of };
    let answer = connections.call(|mut journal| async move { journal.open_producer(request).await });
    Ok(answer.await?.into_inner())
}

/// Owns what a producer has on its way.
#[derive(Debug)]
pub(super) struct Driver {
    connections: Arc<Connections>,
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Sealed>,
    /// The handle is gone: nothing new comes.
    queue_ended: bool,
    window: Window,
    in_flight_max: usize,
    options: ProducerOptions,
    journal_epoch: u64,
    /// Nothing is sent before.
    rests_until: Option<Instant>,
    /// What the last attempt said.
    last: String,
}

/// Why a connection is no longer used.
#[derive(Debug)]
enum Break {
    /// It broke, or its server does not lead; another one may do.
    Lost {
        reason: String,
        /// Where the leader is, if the server has said so.
        leader: Option<String>,
    },
    /// The producer ends.
    Fatal(ProducerError),
}

impl Break {
    fn lost(reason: impl ToString) -> Self {
        Self::Lost { reason: reason.to_string(), leader: None }
    }

    /// The same, with what an error says of the leader.
    fn lost_by(error: &ClientError) -> Self {
        Self::Lost { reason: error.to_string(), leader: error.leader().map(str::to_owned) }
    }

    fn leader(&self) -> Option<&str> {
        match self {
            Self::Lost { leader, .. } => leader.as_deref(),
            Self::Fatal(_) => None,
        }
    }
}

/// What happened while it waited.
enum Event {
    Answer(Result<Option<AppendResponse>, tonic::Status>),
    Queued(Option<Sealed>),
    Overdue,
    Go,
}

impl Driver {
    pub(super) fn new(
        connections: Arc<Connections>,
        shared: Arc<Shared>,
        queue: mpsc::Receiver<Sealed>,
        options: ProducerOptions,
        epoch: u32,
        last_batch_number: u64,
        opened: &OpenProducerResponse,
    ) -> Self {
        Self {
            connections,
            shared,
            queue,
            queue_ended: false,
            window: Window::new(options.id, epoch, last_batch_number + 1),
            in_flight_max: options.in_flight_max.min(opened.window as usize).max(1),
            options,
            journal_epoch: opened.journal_epoch,
            rests_until: None,
            last: String::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let Err(error) = self.drive().await else { return };
        // From now on whoever pushes hears of it; what came before that is settled below.
        let error = self.shared.ended.get_or_init(|| error).clone();
        let not_sent = || Err(ProducerError::NotSent(Box::new(error.clone())));
        for (done, sent) in self.window.drain() {
            done.complete(if sent { Err(error.clone()) } else { not_sent() });
        }
        self.queue.close();
        while let Some(sealed) = self.queue.recv().await {
            sealed.done.complete(not_sent());
        }
        if let Some(sealed) = self.shared.lock().seal() {
            sealed.done.complete(not_sent());
        }
    }

    /// Sends until the handle is gone and everything is answered.
    async fn drive(&mut self) -> Result<(), ProducerError> {
        let mut backoff = Backoff::new();
        while self.wait_for_work().await {
            let leader = match self.send_over_a_connection(&mut backoff).await {
                Ok(()) => return Ok(()),
                Err(Break::Fatal(error)) => return Err(error),
                Err(Break::Lost { reason, leader }) => {
                    self.last = reason;
                    leader
                }
            };
            self.window.rewind();
            self.check_overdue()?;
            backoff.pause_unless_redirected(leader.as_deref()).await;
        }
        Ok(())
    }

    /// Waits until there is something to send; false where nothing will come any more.
    async fn wait_for_work(&mut self) -> bool {
        loop {
            self.fill_window();
            if !self.window.is_empty() {
                return true;
            }
            if self.queue_ended {
                return false;
            }
            let due = self.due();
            select! {
                sealed = self.queue.recv() => self.take(sealed),
                () = self.shared.changed.notified() => {}
                () = until(due) => {}
            }
        }
    }

    async fn send_over_a_connection(&mut self, backoff: &mut Backoff) -> Result<(), Break> {
        // There is something to send, so there is a deadline.
        let deadline = self.deadline().unwrap_or_else(Instant::now);
        let begun = timeout_at(deadline, self.begin()).await;
        let (connected, requests, answers) = begun.map_err(|_| Break::lost("no answer in time"))??;
        let sent = self.pump(requests, answers, backoff).await;
        if let Err(broken) = &sent {
            self.connections.forget(&connected, broken.leader()).await;
        }
        sent
    }

    /// A connection to a server that knows the same of this producer as before.
    async fn begin(
        &self,
    ) -> Result<(Connected, mpsc::Sender<AppendRequest>, Streaming<AppendResponse>), Break> {
        let connected = self.connections.connected().await.map_err(Break::lost)?;
        match self.begin_on(connected.journal()).await {
            Ok((requests, answers)) => Ok((connected, requests, answers)),
            Err(broken) => {
                self.connections.forget(&connected, broken.leader()).await;
                Err(broken)
            }
        }
    }

    async fn begin_on(
        &self,
        mut journal: Journal,
    ) -> Result<(mpsc::Sender<AppendRequest>, Streaming<AppendResponse>), Break> {
        let failed = |status: tonic::Status| {
            let error = ClientError::of_status(&status);
            if error.may_pass() { Break::lost_by(&error) } else { Break::Fatal(error.into()) }
        };
        let request = OpenProducerRequest { producer_id: self.options.id, feed: 0, backfill_of: 0 };
        let opened = journal.open_producer(request).await.map_err(failed)?.into_inner();
        self.check_opened(&opened).map_err(Break::Fatal)?;
        let (requests, waiting) = mpsc::channel(self.in_flight_max);
        let answers = journal.append(ReceiverStream::new(waiting)).await.map_err(failed)?;
        Ok((requests, answers.into_inner()))
    }

    fn check_opened(&self, opened: &OpenProducerResponse) -> Result<(), ProducerError> {
        let (id, own) = (self.options.id, self.window.epoch());
        if opened.journal_epoch != self.journal_epoch {
            let (was, is) = (self.journal_epoch, opened.journal_epoch);
            return Err(ProducerError::OtherJournal(format!("its epoch was {was} and is {is}")));
        }
        if opened.epoch > own {
            return Err(ProducerError::Fenced { id, current: opened.epoch, own });
        }
        Ok(())
    }

    /// Sends and takes answers; `Ok` where the handle is gone and everything is answered.
    async fn pump(
        &mut self,
        requests: mpsc::Sender<AppendRequest>,
        mut answers: Streaming<AppendResponse>,
        backoff: &mut Backoff,
    ) -> Result<(), Break> {
        loop {
            self.fill_window();
            self.send(&requests);
            if self.queue_ended && self.window.is_empty() {
                return Ok(());
            }
            let room = !self.queue_ended && self.window.len() < self.in_flight_max;
            let (due, deadline, rest) = (self.due(), self.deadline(), self.rests_until);
            let unsent = rest.is_none() && self.window.has_unsent();
            let event = select! {
                biased;
                answer = answers.message() => Event::Answer(answer),
                sealed = self.queue.recv(), if room => Event::Queued(sealed),
                () = self.shared.changed.notified(), if room => Event::Go,
                () = until(due), if room => Event::Go,
                () = until(rest) => Event::Go,
                _ = requests.reserve(), if unsent => Event::Go,
                () = until(deadline) => Event::Overdue,
            };
            match event {
                Event::Go => {}
                Event::Queued(sealed) => self.take(sealed),
                Event::Overdue => self.check_overdue().map_err(Break::Fatal)?,
                Event::Answer(Ok(Some(answer))) => {
                    self.answered(answer)?;
                    backoff.reset();
                }
                Event::Answer(Ok(None)) => return Err(Break::lost("the server ended the stream")),
                Event::Answer(Err(status)) => return Err(Break::lost_by(&ClientError::of_status(&status))),
            }
        }
    }

    /// Numbers what was closed, as far as the window allows.
    fn fill_window(&mut self) {
        while self.window.len() < self.in_flight_max {
            match self.queue.try_recv() {
                Ok(sealed) => self.window.push(sealed),
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.queue_ended = true;
                    return self.take_open(|_| true);
                }
                Err(mpsc::error::TryRecvError::Empty) => {
                    let due = self.due().is_some_and(|due| due <= Instant::now());
                    return self.take_open(|full| due || full);
                }
            }
        }
    }

    /// What is open is younger than what waits in the queue, and is put there under the lock: so it is taken only where, under the
    /// lock, the queue is empty.
    fn take_open(&mut self, when: impl Fn(bool) -> bool) {
        let mut open = self.shared.lock();
        if !when(open.is_full()) {
            return;
        }
        let next = match self.queue.try_recv() {
            Ok(older) => Some(older),
            Err(_) => open.seal(),
        };
        drop(open);
        if let Some(sealed) = next {
            self.window.push(sealed);
        }
    }

    fn take(&mut self, sealed: Option<Sealed>) {
        match sealed {
            Some(sealed) => self.window.push(sealed),
            None => self.queue_ended = true,
        }
    }

    fn send(&mut self, requests: &mpsc::Sender<AppendRequest>) {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.rests_until = None;
        while self.window.has_unsent()
            && let Ok(room) = requests.try_reserve()
            && let Some(batch) = self.window.send_next()
        {
            room.send(AppendRequest { batch, durability: Durability::Synced.into() });
        }
    }

    /// Settles the batch that an answer is about.
    fn answered(&mut self, answer: AppendResponse) -> Result<(), Break> {
        if matches!(answer.outcome, Some(Outcome::Accepted(_))) {
            return Ok(());
        }
        match self.window.answered() {
            Some(true) => {}
            Some(false) => return Ok(()),
            None => return Err(Break::lost("an answer came that nothing was asked for")),
        }
        match answer.outcome {
            Some(Outcome::Receipt(receipt)) => {
                let v1::Receipt { first_seq, last_seq, duplicate } = receipt;
                if let Some(settled) = self.window.pop() {
                    settled.done.complete(Ok(Receipt { first_seq, last_seq, duplicate }));
                }
                Ok(())
            }
            Some(Outcome::Refusal(refusal)) => self.refused(refusal.into()),
            Some(Outcome::Accepted(_)) | None => Err(Break::lost("an answer came that says nothing")),
        }
    }

    /// The oldest batch was refused.
    fn refused(&mut self, refused: Refused) -> Result<(), Break> {
        let id = self.options.id;
        match refused.reason {
            RefusalReason::Busy | RefusalReason::Storage => {
                self.last = refused.message;
                self.window.send_again();
                self.rests_until = Some(Instant::now() + BUSY_PAUSE);
                Ok(())
            }
            RefusalReason::NotLeader => {
                // It was not taken here, and so none behind it.
                self.window.send_again();
                Err(Break::lost_by(&refused.into()))
            }
            RefusalReason::Closing
            | RefusalReason::Stale
            | RefusalReason::UnknownOutcome
            | RefusalReason::Unspecified => Err(Break::lost_by(&refused.into())),
            RefusalReason::ProducerFenced => {
                let current = u32::try_from(refused.value).unwrap_or(u32::MAX);
                Err(Break::Fatal(ProducerError::Fenced { id, current, own: self.window.epoch() }))
            }
            RefusalReason::ProducerExpired => Err(Break::Fatal(ProducerError::Expired { id })),
            RefusalReason::ProducerGap | RefusalReason::ProducerTooOld => {
                Err(Break::Fatal(ProducerError::OtherJournal(refused.message)))
            }
            // It may have been written over an earlier connection, and those behind it, too.
            _ if self.window.oldest_was_sent_before() => {
                let given_up_after = self.options.give_up_after;
                let last = format!("it was refused when it was sent again: {refused}");
                Err(Break::Fatal(ProducerError::UnknownOutcome { given_up_after, last }))
            }
            _ if self.options.end_at_refusal => Err(Break::Fatal(ProducerError::Refused(refused))),
            _ => {
                if let Some(settled) = self.window.give_up_oldest() {
                    settled.done.complete(Err(ProducerError::Refused(refused)));
                }
                Ok(())
            }
        }
    }

    /// When the open batch has waited long enough.
    fn due(&self) -> Option<Instant> {
        self.shared.lock().since().map(|since| since + self.options.linger)
    }

    /// When the oldest batch has waited for too long.
    fn deadline(&self) -> Option<Instant> {
        self.window.oldest().map(|since| since + self.options.give_up_after)
    }

    fn check_overdue(&self) -> Result<(), ProducerError> {
        let overdue = self.deadline().is_some_and(|deadline| deadline <= Instant::now());
        let (given_up_after, last) = (self.options.give_up_after, self.last.clone());
        if overdue { Err(ProducerError::UnknownOutcome { given_up_after, last }) } else { Ok(()) }
    }
}

/// Waits until a moment; for ever where there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
