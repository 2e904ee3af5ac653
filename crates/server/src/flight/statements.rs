//! What the server holds for its callers between two calls: queries that wait to be fetched, and prepared statements.
//!
//! A caller gets a handle of 128 random bits and nothing else; what it stands for stays here. A handle of somebody else is
//! not known, and neither is one that has expired or was used up. Numbers and bytes are bounded, for each caller and
//! together; what nobody has used for a while makes room first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use tapebook_vfs::Vfs;

use crate::access::{Caller, Grant};
use crate::queries::{CancelHandle, ReadyQuery};

/// A planned query that is not fetched by then is given up: it holds a snapshot.
pub(super) const TICKET_LIFE: Duration = Duration::from_secs(60);
/// A prepared statement that is not used for so long is given up.
pub(super) const PREPARED_LIFE: Duration = Duration::from_secs(60 * 60);

/// Tickets, and prepared statements, of one caller.
const EACH_MAX: usize = 1024;
/// Of all callers.
const ALL_MAX: usize = 8 * 1024;
/// Bytes of the texts and parameters of all prepared statements.
const PREPARED_BYTES_MAX: usize = 64 << 20;
/// Bytes of one row of parameters.
pub(super) const PARAMETER_BYTES_MAX: usize = 1 << 20;

const HANDLE_BYTES: usize = 16;

type Handle = [u8; HANDLE_BYTES];

/// Whose something is: the name that the caller is known by, and what was granted.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Owner {
    name: Arc<str>,
    grant: Arc<Grant>,
}

/// Everything that is held.
#[derive(Debug)]
pub(super) struct Statements {
    vfs: Arc<dyn Vfs>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    tickets: HashMap<Handle, Entry<Ticket>>,
    prepared: HashMap<Handle, Entry<Prepared>>,
    prepared_bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    owner: Owner,
    /// On the monotonic clock; a query that runs stays until it ends.
    expires: Duration,
    what: T,
}

#[derive(Debug)]
enum Ticket {
    Waits(Box<ReadyQuery>),
    /// It was fetched, and can be cancelled.
    Runs(CancelHandle),
}

/// A prepared statement. It holds no snapshot; each time it is run it reads what is there then.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) sql: Arc<str>,
    /// The row that was bound last.
    pub(super) parameters: Option<RecordBatch>,
}

/// Why something is not held.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum HandleError {
    #[error("the ticket is not known: it was used, it has expired after {} s, or it is somebody else's", TICKET_LIFE.as_secs())]
    Ticket,
    #[error(
        "the prepared statement is not known: it was closed, not used for {} min, or it is somebody else's",
        PREPARED_LIFE.as_secs() / 60
    )]
    Prepared,
    #[error("{} of them wait already; fetch, cancel or close some", EACH_MAX)]
    TooManyOfOne,
    #[error("the server holds as many as it can; try again in a minute")]
    TooMany,
    #[error("the parameters have {bytes} bytes, {} are possible", PARAMETER_BYTES_MAX)]
    Parameters { bytes: usize },
}

impl Owner {
    fn of(caller: &Caller) -> Self {
        Self { name: Arc::clone(&caller.name), grant: Arc::clone(&caller.grant) }
    }
}

impl Prepared {
    fn bytes(&self) -> usize {
        self.sql.len() + self.parameters.as_ref().map_or(0, RecordBatch::get_array_memory_size)
    }
}

impl Statements {
    pub(super) fn new(vfs: Arc<dyn Vfs>) -> Self {
        Self { vfs, held: Mutex::default() }
    }

    /// Holds a query until it is fetched.
    pub(super) fn hold(&self, caller: &Caller, query: ReadyQuery) -> Result<Bytes, HandleError> {
        let now = self.vfs.clock().monotonic();
        let mut held = self.lock();
        held.forget_expired(now);
        let owner = Owner::of(caller);
        room(&held.tickets, &owner)?;
        let handle = self.handle();
        let what = Ticket::Waits(Box::new(query));
        held.tickets.insert(handle, Entry { owner, expires: now + TICKET_LIFE, what });
        Ok(Bytes::copy_from_slice(&handle))
    }

    /// Takes a query out, once; from then on it can only be cancelled.
    pub(super) fn take(&self, caller: &Caller, handle: &[u8]) -> Result<ReadyQuery, HandleError> {
        let now = self.vfs.clock().monotonic();
        let mut held = self.lock();
        held.forget_expired(now);
        let entry = of(&mut held.tickets, caller, handle).ok_or(HandleError::Ticket)?;
        let Ticket::Waits(query) = &entry.what else { return Err(HandleError::Ticket) };
        let runs = Ticket::Runs(query.cancel_handle());
        entry.expires = Duration::MAX;
        match std::mem::replace(&mut entry.what, runs) {
            Ticket::Waits(query) => Ok(*query),
            Ticket::Runs(_) => Err(HandleError::Ticket),
        }
    }

    /// Cancels a query, fetched or not.
    pub(super) fn cancel(&self, caller: &Caller, handle: &[u8]) -> Result<(), HandleError> {
        let mut held = self.lock();
        held.forget_expired(self.vfs.clock().monotonic());
        of(&mut held.tickets, caller, handle).ok_or(HandleError::Ticket)?;
        let key = Handle::try_from(handle).map_err(|_| HandleError::Ticket)?;
        if let Some(Entry { what: Ticket::Runs(running), .. }) = held.tickets.remove(&key) {
            running.cancel();
        }
        Ok(())
    }

    /// Holds a prepared statement.
    pub(super) fn prepare(&self, caller: &Caller, sql: &str) -> Result<Bytes, HandleError> {
        let now = self.vfs.clock().monotonic();
        let mut held = self.lock();
        held.forget_expired(now);
        let owner = Owner::of(caller);
        room(&held.prepared, &owner)?;
        let what = Prepared { sql: sql.into(), parameters: None };
        held.spend(0, what.bytes())?;
        let handle = self.handle();
        held.prepared.insert(handle, Entry { owner, expires: now + PREPARED_LIFE, what });
        Ok(Bytes::copy_from_slice(&handle))
    }

    /// A prepared statement, with its parameters.
    pub(super) fn prepared(&self, caller: &Caller, handle: &[u8]) -> Result<Prepared, HandleError> {
        let now = self.vfs.clock().monotonic();
        let mut held = self.lock();
        held.forget_expired(now);
        let entry = of(&mut held.prepared, caller, handle).ok_or(HandleError::Prepared)?;
        entry.expires = now + PREPARED_LIFE;
        Ok(entry.what.clone())
    }

    /// Binds a row of parameters, in place of the one before.
    pub(super) fn bind(
        &self,
        caller: &Caller,
        handle: &[u8],
        parameters: Option<RecordBatch>,
    ) -> Result<(), HandleError> {
        let bytes = parameters.as_ref().map_or(0, RecordBatch::get_array_memory_size);
        if bytes > PARAMETER_BYTES_MAX {
            return Err(HandleError::Parameters { bytes });
        }
        let now = self.vfs.clock().monotonic();
        let mut held = self.lock();
        held.forget_expired(now);
        let entry = of(&mut held.prepared, caller, handle).ok_or(HandleError::Prepared)?;
        let before = entry.what.bytes();
        let bound = Prepared { sql: Arc::clone(&entry.what.sql), parameters };
        let after = bound.bytes();
        held.spend(before, after)?;
        if let Some(entry) = of(&mut held.prepared, caller, handle) {
            entry.what = bound;
            entry.expires = now + PREPARED_LIFE;
        }
        Ok(())
    }

    /// Forgets a prepared statement.
    pub(super) fn close(&self, caller: &Caller, handle: &[u8]) -> Result<(), HandleError> {
        let mut held = self.lock();
        of(&mut held.prepared, caller, handle).ok_or(HandleError::Prepared)?;
        let key = Handle::try_from(handle).map_err(|_| HandleError::Prepared)?;
        if let Some(entry) = held.prepared.remove(&key) {
            held.prepared_bytes -= entry.what.bytes();
        }
        Ok(())
    }

    fn handle(&self) -> Handle {
        let mut handle = [0; HANDLE_BYTES];
        handle[..8].copy_from_slice(&self.vfs.random_u64().to_le_bytes());
        handle[8..].copy_from_slice(&self.vfs.random_u64().to_le_bytes());
        handle
    }

    /// Nothing that is done under the lock can leave it half changed.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn forget_expired(&mut self, now: Duration) {
        self.tickets.retain(|_, entry| match &entry.what {
            Ticket::Waits(_) => entry.expires > now,
            Ticket::Runs(query) => !query.is_over(),
        });
        let bytes = &mut self.prepared_bytes;
        self.prepared.retain(|_, entry| {
            let stays = entry.expires > now;
            if !stays {
                *bytes -= entry.what.bytes();
            }
            stays
        });
    }

    /// Accounts for a prepared statement that had `before` bytes and now has `after`.
    fn spend(&mut self, before: usize, after: usize) -> Result<(), HandleError> {
        let bytes = self.prepared_bytes - before + after;
        if bytes > PREPARED_BYTES_MAX {
            return Err(HandleError::TooMany);
        }
        self.prepared_bytes = bytes;
        Ok(())
    }
}

/// The caller's own entry with that handle.
fn of<'a, T>(
    entries: &'a mut HashMap<Handle, Entry<T>>,
    caller: &Caller,
    handle: &[u8],
) -> Option<&'a mut Entry<T>> {
    let entry = entries.get_mut(&Handle::try_from(handle).ok()?)?;
    (entry.owner == Owner::of(caller)).then_some(entry)
}

fn room<T>(entries: &HashMap<Handle, Entry<T>>, owner: &Owner) -> Result<(), HandleError> {
    if entries.len() >= ALL_MAX {
        return Err(HandleError::TooMany);
    }
    // Few callers hold so many that it is worth a count of its own.
    match entries.values().filter(|entry| entry.owner == *owner).count() {
        EACH_MAX.. => Err(HandleError::TooManyOfOne),
        _ => Ok(()),
    }
}
