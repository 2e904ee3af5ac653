//! What an error means to whoever is at the other end: a reason to act on, a line to read, and a number.

use tapebook::{AppendError, BatchError, JournalError, ProducerRefusal, ReadError, WalError};
use tapebook_proto::v1::{Refusal, RefusalReason as Reason};
use tapebook_record::batch::BATCH_BYTES_MAX;

use crate::access::Denied;

/// Why a batch was not appended, or why nobody knows.
pub(crate) fn of_append(error: &AppendError) -> Refusal {
    if let AppendError::NotLeader { leader } = error {
        return Refusal::not_leader(error, leader.as_ref().map(|(_, address)| &**address));
    }
    let (reason, value) = match error {
        AppendError::Empty => (Reason::Invalid, 0),
        AppendError::Future { max_future_seconds, .. } => (Reason::Future, *max_future_seconds),
        AppendError::Producer(refusal) => of_producer(refusal),
        AppendError::TooManySymbols { max, .. } => (Reason::TooMany, *max as u64),
        AppendError::FlushFailing(_) => (Reason::Storage, 0),
        AppendError::Busy => (Reason::Busy, 0),
        AppendError::Log(error) => of_log(error),
        AppendError::Closed => (Reason::Closing, 0),
        // Whatever else it is, to send the batch again is right.
        _ => (Reason::UnknownOutcome, 0),
    };
    Refusal::with_value(reason, error, value)
}

fn of_producer(refusal: &ProducerRefusal) -> (Reason, u64) {
    match refusal {
        ProducerRefusal::Gap { expected, .. } => (Reason::ProducerGap, *expected),
        ProducerRefusal::Fenced { current, .. } => (Reason::ProducerFenced, (*current).into()),
        ProducerRefusal::TooOld { oldest, .. } => (Reason::ProducerTooOld, *oldest),
        ProducerRefusal::Expired { epoch, .. } => (Reason::ProducerExpired, (*epoch).into()),
        ProducerRefusal::TooMany { max, .. } => (Reason::TooMany, *max as u64),
        _ => (Reason::Invalid, 0),
    }
}

fn of_log(error: &WalError) -> (Reason, u64) {
    match error {
        WalError::NoSpace { .. } | WalError::Prepare { .. } => (Reason::Storage, 0),
        WalError::Busy { unsynced_bytes_max, .. } => (Reason::Busy, *unsynced_bytes_max),
        WalError::PayloadTooLong { max, .. } => (Reason::TooLarge, *max as u64),
        WalError::Closed => (Reason::Closing, 0),
        _ => (Reason::UnknownOutcome, 0),
    }
}

/// Why bytes are not a batch.
pub(super) fn of_batch(error: &BatchError) -> Refusal {
    match error {
        BatchError::Length { found, .. } if *found > BATCH_BYTES_MAX => too_large(*found),
        _ => Refusal::new(Reason::Invalid, error),
    }
}

/// A batch is larger than any may be.
pub(super) fn too_large(bytes: usize) -> Refusal {
    let message =
        format!("the batch has {bytes} bytes, at most {BATCH_BYTES_MAX} are taken; send fewer rows");
    Refusal::with_value(Reason::TooLarge, message, BATCH_BYTES_MAX as u64)
}

/// Why rows could not be read.
pub(super) fn of_read(error: &ReadError) -> Refusal {
    match error {
        ReadError::NotReached { reached, .. } => Refusal::with_value(Reason::Invalid, error, *reached),
        ReadError::UnknownTable(_) | ReadError::UnknownIdColumn { .. } => {
            Refusal::new(Reason::Invalid, error)
        }
        ReadError::Released { pinned_bytes_max, .. } => {
            Refusal::with_value(Reason::TooSlow, error, *pinned_bytes_max)
        }
        _ => Refusal::new(Reason::Storage, error),
    }
}

/// Why the journal cannot be followed.
pub(super) fn of_journal(error: &JournalError) -> Refusal {
    match error {
        JournalError::Gone { first_seq, .. } => Refusal::with_value(Reason::JournalGone, error, *first_seq),
        JournalError::Ahead { next_seq, .. } => Refusal::with_value(Reason::Invalid, error, *next_seq),
        JournalError::Closed => Refusal::new(Reason::Closing, error),
        _ => Refusal::new(Reason::Storage, error),
    }
}

/// What the caller may not do.
pub(super) fn of_denied(denied: &Denied) -> Refusal {
    Refusal::new(Reason::Forbidden, denied)
}

/// There is no table of that name.
pub(super) fn unknown_table(name: &str) -> Refusal {
    Refusal::new(Reason::Invalid, format!("there is no table {name:?}"))
}

/// True where nothing else on the stream can end better: it closes behind this answer.
pub(super) fn ends_the_stream(refusal: &Refusal) -> bool {
    matches!(refusal.reason(), Reason::UnknownOutcome | Reason::Closing | Reason::NotLeader)
}

#[cfg(test)]
mod tests;
