//! Every error has its reason and its number.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tapebook::FlushError;

use super::*;

fn full() -> Arc<io::Error> {
    Arc::new(io::ErrorKind::StorageFull.into())
}

fn path() -> PathBuf {
    PathBuf::from("log/1")
}

#[test]
fn an_append_that_failed_says_what_to_do() {
    let producer = 7;
    let gap = ProducerRefusal::Gap { producer, expected: 5, found: 9 };
    let fenced = ProducerRefusal::Fenced { producer, current: 4, found: 3 };
    let too_old = ProducerRefusal::TooOld { producer, oldest: 6, found: 2 };
    let expired = ProducerRefusal::Expired { producer, epoch: 2 };
    let unknown = ProducerRefusal::Unknown { producer };
    let too_many = ProducerRefusal::TooMany { producer, max: 8 };
    let future = AppendError::Future { row: 0, ts: 9, now: 1, max_future_seconds: 60 };
    let symbols = AppendError::TooManySymbols { name: "A".to_owned(), max: 3 };
    let no_space = WalError::NoSpace { path: path(), needed: 1, source: full() };
    let prepare = WalError::Prepare { path: path(), source: full() };
    let poisoned = WalError::Poisoned { operation: "sync", path: path(), source: full() };
    let busy = WalError::Busy { unsynced_bytes: 9, unsynced_bytes_max: 8 };
    let long = WalError::PayloadTooLong { found: 9, max: 7 };
    let table: [(AppendError, Reason, u64); 18] = [
        (AppendError::Empty, Reason::Invalid, 0),
        (future, Reason::Future, 60),
        (gap.into(), Reason::ProducerGap, 5),
        (fenced.into(), Reason::ProducerFenced, 4),
        (too_old.into(), Reason::ProducerTooOld, 6),
        (expired.into(), Reason::ProducerExpired, 2),
        (unknown.into(), Reason::Invalid, 0),
        (too_many.into(), Reason::TooMany, 8),
        (symbols, Reason::TooMany, 3),
        (AppendError::FlushFailing(Arc::new(FlushError::Interrupted)), Reason::Storage, 0),
        (AppendError::Busy, Reason::Busy, 0),
        (no_space.into(), Reason::Storage, 0),
        (prepare.into(), Reason::Storage, 0),
        (poisoned.into(), Reason::UnknownOutcome, 0),
        (busy.into(), Reason::Busy, 8),
        (long.into(), Reason::TooLarge, 7),
        (AppendError::Interrupted, Reason::UnknownOutcome, 0),
        (AppendError::Closed, Reason::Closing, 0),
    ];
    for (error, reason, value) in table {
        let refusal = of_append(&error);
        assert_eq!((refusal.reason(), refusal.value), (reason, value), "{error}");
        assert_eq!(refusal.message, error.to_string());
        let ends = matches!(reason, Reason::UnknownOutcome | Reason::Closing);
        assert_eq!(ends_the_stream(&refusal), ends, "{error}");
    }
}

#[test]
fn what_cannot_be_read_says_from_where_on_it_can() {
    let gone = JournalError::Gone { wanted: 1, first_seq: 17 };
    assert_eq!((of_journal(&gone).reason(), of_journal(&gone).value), (Reason::JournalGone, 17));
    let ahead = JournalError::Ahead { wanted: 9, next_seq: 5 };
    assert_eq!((of_journal(&ahead).reason(), of_journal(&ahead).value), (Reason::Invalid, 5));
    assert_eq!(of_journal(&JournalError::Closed).reason(), Reason::Closing);
    assert_eq!(of_journal(&JournalError::Database(FlushError::Interrupted)).reason(), Reason::Storage);
    let not_reached = ReadError::NotReached { asked: 9, reached: 4 };
    assert_eq!((of_read(&not_reached).reason(), of_read(&not_reached).value), (Reason::Invalid, 4));
    assert_eq!(of_read(&ReadError::UnknownTable("x".to_owned())).reason(), Reason::Invalid);
    let released = ReadError::Released { pinned_bytes: 9, pinned_bytes_max: 8 };
    assert_eq!((of_read(&released).reason(), of_read(&released).value), (Reason::TooSlow, 8));
    let short = ReadError::ShortRow { table: "trades".to_owned(), seq: 1 };
    assert_eq!(of_read(&short).reason(), Reason::Storage);
}

#[test]
fn bytes_that_are_no_batch_are_invalid_or_too_many() {
    let long = BatchError::Length { expected: BATCH_BYTES_MAX + 1, found: BATCH_BYTES_MAX + 1 };
    assert_eq!((of_batch(&long).reason(), of_batch(&long).value), (Reason::TooLarge, BATCH_BYTES_MAX as u64));
    let cut = BatchError::Length { expected: 100, found: 90 };
    assert_eq!(of_batch(&cut).reason(), Reason::Invalid);
    assert_eq!(of_batch(&BatchError::NotABatch { length: 3 }).reason(), Reason::Invalid);
}
