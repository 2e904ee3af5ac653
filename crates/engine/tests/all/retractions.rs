//! What a retraction hides, since when, and what is refused.

use std::sync::{Arc, Barrier};

use tapebook::{
    Db, Durability, Options, Quote, REASON_BYTES_MAX, ReasonError, RetractError, SeqRange, Snapshot,
    StandardTable, TimeRange, Trade,
};
use tapebook_vfs::{MemoryVfs, Vfs};

use crate::support::{open, prices, simulated, trades};

fn append(db: &Db, symbol: &str, first_ts: i64, prices: std::ops::Range<u32>) {
    db.append(trades(symbol, first_ts, prices), Durability::Synced).unwrap().wait().unwrap();
}

/// The sequences of a symbol that are shown.
fn seqs(snapshot: &Snapshot, symbol: &str) -> Vec<u64> {
    prices(snapshot, symbol).into_iter().map(|(_, seq, _)| seq).collect()
}

#[test]
fn it_survives_replay_flush_and_restart_and_so_does_its_end() {
    let vfs = MemoryVfs::new(1);
    let db = open(simulated(&vfs));
    append(&db, "B", 0, 0..10);
    db.flush().unwrap();
    append(&db, "B", 100, 10..20);
    let before = db.snapshot();
    let receipt = db.retract("trades", 8..=12, "imported twice").unwrap();
    assert_eq!((receipt.id, receipt.seqs, receipt.at_seq), (1, SeqRange { first: 8, last: 12 }, 20));
    let expected: Vec<u64> = (1..=7).chain(13..=20).collect();
    assert_eq!(seqs(&db.snapshot(), "B"), expected);
    assert_eq!(seqs(&before, "B"), (1..=20).collect::<Vec<_>>(), "an older snapshot does not change");

    // Replayed from the log, then from the state file of a flush, with and without entries behind it.
    db.close().unwrap();
    let db = open(simulated(&vfs));
    assert_eq!(seqs(&db.snapshot(), "B"), expected);
    db.flush().unwrap();
    assert_eq!(seqs(&db.snapshot(), "B"), expected);
    db.close().unwrap();
    let db = open(simulated(&vfs));
    assert_eq!(db.open_report().replayed_entries, 0);
    let snapshot = db.snapshot();
    assert_eq!(seqs(&snapshot, "B"), expected);
    let known = snapshot.retractions().get(1).unwrap();
    assert_eq!((&*known.made.reason, known.made.at_seq), ("imported twice", 20));
    assert!(known.made.at > i64::MIN, "the commit clock is kept");

    let undone = db.undo_retraction(1, "they were two").unwrap();
    assert_eq!((undone.id, undone.at_seq), (1, 20));
    assert_eq!(seqs(&db.snapshot(), "B"), (1..=20).collect::<Vec<_>>());
    append(&db, "B", 200, 20..21);
    db.flush().unwrap();
    db.close().unwrap();
    let db = open(simulated(&vfs));
    assert_eq!(seqs(&db.snapshot(), "B"), (1..=21).collect::<Vec<_>>());
    assert_eq!(db.snapshot().retractions().get(1).unwrap().undone.as_ref().unwrap().reason, "they were two");
    db.close().unwrap();
    let disk: Arc<dyn Vfs> = Arc::new(vfs);
    let report = tapebook::verify(&disk, std::path::Path::new("/db"), "verify").unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

#[test]
fn as_of_the_moment_before_shows_the_rows() {
    let vfs = MemoryVfs::new(2);
    let db = open(simulated(&vfs));
    append(&db, "B", 0, 0..10);
    db.retract("trades", 1..=10, "a wrong day").unwrap();
    append(&db, "B", 100, 10..15);
    db.flush().unwrap();
    db.undo_retraction(("trades", 1..=10), "").unwrap();
    append(&db, "B", 200, 15..20);
    let snapshot = db.snapshot();
    let as_of = |seq| seqs(&snapshot.as_of(seq).unwrap(), "B");
    assert!(as_of(0).is_empty());
    assert_eq!(as_of(10), (1..=10).collect::<Vec<_>>(), "the whole range is still seen when it was made");
    assert_eq!(as_of(11), [11]);
    assert_eq!(as_of(15), [11, 12, 13, 14, 15]);
    assert_eq!(as_of(16), (1..=16).collect::<Vec<_>>());
    assert_eq!(as_of(20), seqs(&snapshot, "B"));
    let earlier = snapshot.as_of(12).unwrap();
    assert_eq!((earlier.visible_seq(), seqs(&earlier.as_of(10).unwrap(), "B").len()), (12, 10));
    assert_eq!(
        snapshot.as_of(21).unwrap_err().to_string(),
        "the journal has reached sequence 20, it cannot be read as of 21"
    );
}

#[test]
fn the_last_row_is_the_last_one_that_is_shown() {
    let vfs = MemoryVfs::new(3);
    let db = open(simulated(&vfs));
    append(&db, "B", 0, 0..10);
    db.flush().unwrap();
    // Late rows between the others: sequences and times do not go together.
    append(&db, "B", 5, 10..15);
    append(&db, "B", 50, 15..20);
    let last = |at| {
        let snapshot = db.snapshot();
        snapshot.last(Trade::ID, "B", at).unwrap().map(|record| (record.ts(), record.seq()))
    };
    assert_eq!(last(i64::MAX), Some((54, 20)));
    db.retract("trades", 16..=20, "all of the last batch").unwrap();
    assert_eq!(last(i64::MAX), Some((9, 15)));
    db.retract("trades", 15..=15, "one of two at the same time").unwrap();
    assert_eq!(last(i64::MAX), Some((9, 10)));
    db.retract("trades", 3..=14, "what is left but two").unwrap();
    assert_eq!(last(i64::MAX), Some((1, 2)));
    db.retract("trades", 1..=20, "everything").unwrap();
    assert_eq!(last(i64::MAX), None);
    let snapshot = db.snapshot();
    assert_eq!(snapshot.scan_table(Trade::ID, TimeRange::ALL).count(), 0);
    assert_eq!((snapshot.symbols_of(Trade::ID), snapshot.series_rows(Trade::ID, "B")), (vec!["B"], 20));
    assert_eq!(snapshot.count_series(Trade::ID, "B").unwrap(), 0);
    db.undo_retraction(4, "not everything").unwrap();
    assert_eq!(last(i64::MAX), Some((1, 2)), "what others hide stays hidden");
}

#[test]
fn only_its_own_table_is_hidden() {
    let vfs = MemoryVfs::new(4);
    let db = open(simulated(&vfs));
    let mut batch = trades("B", 0, 0..2);
    batch.push(Quote { symbol: "B", ts: 0, bid_price: Some(1.0), ..Quote::default() }).unwrap();
    db.append(batch, Durability::Synced).unwrap().wait().unwrap();
    db.retract("quotes", 1..=3, "a bad feed").unwrap();
    let snapshot = db.snapshot();
    assert_eq!(seqs(&snapshot, "B"), [1, 2]);
    assert!(snapshot.last(Quote::ID, "B", 0).unwrap().is_none());
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let vfs = MemoryVfs::new(5);
    let db = open(simulated(&vfs));
    append(&db, "B", 0, 0..10);
    let says = |error: RetractError, part: &str| {
        let text = error.to_string();
        assert!(text.contains(part) && !text.contains('\n'), "{text}");
    };
    let refused = |table: &str, seqs, reason: &str| db.retract(table, seqs, reason).unwrap_err();
    says(refused("trade", 1..=2, "x"), "table \"trade\" is not known");
    says(refused("trades", 0..=2, "x"), "count from 1");
    #[allow(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let reversed = 3..=2;
    says(refused("trades", reversed, "x"), "sequences 3..2 are not a range");
    says(refused("trades", 9..=11, "x"), "9..11 go beyond the journal, whose last sequence is 10");
    for reason in ["", " "] {
        assert!(matches!(refused("trades", 1..=2, reason), RetractError::Reason(ReasonError::Missing)));
    }
    let long = "x".repeat(REASON_BYTES_MAX + 1);
    says(refused("trades", 1..=2, &long), "1025 bytes, 1024 are possible");
    says(refused("trades", 1..=2, "two\nlines"), "U+000A");

    says(db.undo_retraction(1, "").unwrap_err(), "there is no retraction 1");
    says(db.undo_retraction(("trades", 1..=2), "").unwrap_err(), "1..2 of that table are not retracted");
    db.retract("trades", 1..=2, "x").unwrap();
    says(refused("trades", 1..=2, "y"), "are retracted already, by retraction 1");
    says(db.undo_retraction(("quotes", 1..=2), "").unwrap_err(), "not retracted");
    says(db.undo_retraction(("trades", 1..=3), "").unwrap_err(), "not retracted");
    db.undo_retraction(1, "").unwrap();
    says(db.undo_retraction(1, "").unwrap_err(), "retraction 1 of sequences 1..2 is undone already");
    says(db.undo_retraction(("trades", 1..=2), "").unwrap_err(), "undone already");
    assert_eq!(db.retract("trades", 1..=2, "again").unwrap().id, 2);
    assert_eq!(db.snapshot().retractions().len(), 2);
}

/// Both find the range free, so only applying can tell them apart; a replay must decide alike.
#[test]
fn of_two_at_once_the_log_takes_one() {
    let vfs = MemoryVfs::new(6);
    let options = || Options { background: true, ..simulated(&vfs) };
    let db = open(options());
    append(&db, "B", 0, 0..64);
    for seq in 1..=64 {
        let barrier = Barrier::new(2);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let retract = |reason: &'static str| {
                let (db, barrier) = (&db, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    db.retract("trades", seq..=seq, reason)
                })
            };
            let threads = [retract("one"), retract("other")];
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let made: Vec<u64> = outcomes.iter().flatten().map(|receipt| receipt.id).collect();
        assert_eq!(made, [seq], "{outcomes:?}");
        assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(RetractError::Standing { .. }))));
    }
    let retractions = db.snapshot().retractions().clone();
    db.close().unwrap();
    let db = open(options());
    assert_eq!(*db.snapshot().retractions(), retractions);
    assert!(seqs(&db.snapshot(), "B").is_empty());
}
