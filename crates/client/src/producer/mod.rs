//! Writing exactly once.
//!
//! A [`Producer`] has an id, an epoch and numbers its batches. The server applies each number once, so a batch that is sent again,
//! because the connection broke before its receipt came, gets the receipt of the first time. The handle gathers rows
//! ([`open_batch`]), a task numbers them ([`window`]) and speaks to the server ([`driver`]).
//!
//! *Invariant*: a batch is completed once, with a receipt only where the server has sent one. A number is never used for other
//! rows than those that it was first sent with.

mod driver;
mod error;
mod open_batch;
mod options;
mod receipt;
mod window;

use std::sync::Arc;

use tapebook_record::{Batch, PushError, StandardRow};
use tokio::sync::mpsc;

use self::driver::Driver;
pub use self::error::ProducerError;
use self::open_batch::{Sealed, Shared};
pub use self::options::{FeedNumbers, ProducerOptions};
pub use self::receipt::{AppendedBatch, AppendedRow, Receipt, RowReceipt};
use crate::ClientError;
use crate::connect::Connections;

/// Batches that are closed and have no number yet.
const QUEUED_MAX: usize = 4;

/// Writes rows and batches, each exactly once, over broken connections and restarts of the server.
///
/// Rows are gathered until a batch is full or its first row has waited for [`ProducerOptions::linger`]; they come into the journal
/// in the order in which they were pushed. Where too much is on its way, pushing waits.
///
/// Where no receipt comes for [`ProducerOptions::give_up_after`] it ends, and says that the outcome is not known.
/// Dropping it sends what it holds; [`Producer::flush`] waits for that.
///
/// At one time only one process may write with an id: one that opens the producer anew fences the other one off.
#[derive(Debug)]
pub struct Producer {
    id: u64,
    epoch: u32,
    last_batch_number: u64,
    shared: Arc<Shared>,
    queue: mpsc::Sender<Sealed>,
}

/// What a server knows of a producer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KnownProducer {
    /// The epoch in which he has written last.
    pub epoch: u32,
    /// The number of his last durable batch in it.
    pub last_batch_number: u64,
}

impl KnownProducer {
    pub(crate) async fn ask(connections: &Connections, id: u64) -> Result<Option<Self>, ClientError> {
        let opened = driver::ask(connections, id, None).await?;
        let known = Self { epoch: opened.epoch, last_batch_number: opened.last_batch_number };
        Ok((opened.epoch > 0 || opened.last_batch_number > 0).then_some(known))
    }
}

impl Producer {
    pub(crate) async fn open(
        connections: Arc<Connections>,
        options: ProducerOptions,
    ) -> Result<Self, ProducerError> {
        let opened = driver::ask(&connections, options.id, options.feed).await?;
        let (epoch, last_batch_number) = match options.epoch {
            None => (opened.epoch.saturating_add(1), 0),
            Some(own) if own == opened.epoch => (own, opened.last_batch_number),
            Some(own) if own > opened.epoch => (own, 0),
            Some(own) => return Err(ProducerError::Fenced { id: options.id, current: opened.epoch, own }),
        };
        let shared = Arc::new(Shared::new(options.batch_bytes()));
        let (queue, queued) = mpsc::channel(QUEUED_MAX);
        let producer = Self { id: options.id, epoch, last_batch_number, shared: Arc::clone(&shared), queue };
        let driver = Driver::new(connections, shared, queued, options, epoch, last_batch_number, &opened);
        tokio::spawn(driver.run());
        Ok(producer)
    }

    /// Its id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The epoch that it began with.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The number of the last batch that was durable in this epoch when it was opened: where it goes on.
    pub fn last_batch_number(&self) -> u64 {
        self.last_batch_number
    }

    /// Adds a row to the open batch; waits while too much is on its way. What it returns is the row's receipt, to be awaited when
    /// it is needed.
    pub async fn push(&self, row: impl StandardRow + Copy) -> Result<AppendedRow, ProducerError> {
        loop {
            self.seal(|open| open.is_full()).await?;
            match self.shared.push(row) {
                // Others have filled it meanwhile.
                Err(ProducerError::Row(PushError::Full)) if self.shared.has_rows() => {
                    self.seal(|_| true).await?
                }
                pushed => return pushed,
            }
        }
    }

    /// Appends a batch behind the rows that were pushed; waits while too much is on its way. Its own producer is replaced.
    pub async fn append(&self, batch: Batch) -> Result<AppendedBatch, ProducerError> {
        if batch.is_empty() {
            return Err(ProducerError::Empty);
        }
        self.seal(|_| true).await?;
        let room = self.room().await?;
        // Held while it is queued: whoever holds it sees in the queue all that is older than what is open.
        let mut open = self.shared.lock();
        let (sealed, appended) = open.follow_with(batch);
        room.send(sealed);
        Ok(appended)
    }

    /// Sends what was pushed and waits until all of it is durable; the error is that of the last batch.
    pub async fn flush(&self) -> Result<(), ProducerError> {
        self.seal(|_| true).await?;
        let last = self.shared.lock().last();
        match last {
            Some(last) => last.await.map(drop),
            None => Ok(()),
        }
    }

    /// Closes the open batch, where it has rows and `when` says so.
    async fn seal(&self, when: impl Fn(&open_batch::OpenBatch) -> bool) -> Result<(), ProducerError> {
        self.shared.check()?;
        if !self.shared.has_rows() || !when(&self.shared.lock()) {
            return Ok(());
        }
        let room = self.room().await?;
        let mut open = self.shared.lock();
        if when(&open)
            && let Some(sealed) = open.seal()
        {
            room.send(sealed);
        }
        Ok(())
    }

    async fn room(&self) -> Result<mpsc::Permit<'_, Sealed>, ProducerError> {
        match self.queue.reserve().await {
            Ok(room) => Ok(room),
            Err(_) => {
                self.shared.check()?;
                Err(ProducerError::Ended)
            }
        }
    }
}
