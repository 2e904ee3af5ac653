//! `sys.sstables` and `sys.compactions` say where files belong and what became of them.

use std::time::Duration;

use tapebook::{CompactionGoal, Options, RetentionOptions, RetentionPolicy};

use crate::support::Place;

#[test]
fn files_have_their_place_and_steps_are_remembered() {
    let place = Place::new();
    place.append_trades("A", 0..100);
    place.db.flush().unwrap();
    place.db.compact(CompactionGoal::Settled).unwrap();
    // Late: it overlaps what is there.
    place.append_trades("A", 10..20);
    place.db.flush().unwrap();
    place.db.compact(CompactionGoal::Settled).unwrap();
    assert_eq!(place.rows("SELECT level, partition, rows FROM sys.sstables"), "1 1 110");
    let steps = place.rows("SELECT kind, files_before, files_after FROM sys.compactions ORDER BY ended_at");
    assert_eq!(steps, "move 1 1 | move 1 1 | fold_late 2 1");
    assert_eq!(
        place.rows("SELECT count(*) FROM sys.compactions WHERE bytes_after > 0 AND took_nanos > 0"),
        "3"
    );
}

#[test]
fn what_is_kept_and_what_was_dropped_is_shown() {
    let age_max = Some(Duration::from_secs(200 * 365 * 24 * 60 * 60));
    let trades = RetentionPolicy { age_max, bytes_max: None };
    let retention = RetentionOptions { tables: [("trades".to_owned(), trades)].into(), ..Default::default() };
    let mut place = Place::with(Options { retention, ..Options::default() });
    place.append_trades("A", 0..100);
    place.db.flush().unwrap();
    place.append_trades("A", 100..110);
    place.append_quote("A", 7);
    place.db.flush().unwrap();
    place.db.compact(CompactionGoal::Settled).unwrap();
    // A file with rows of a table that is kept for ever is, too.
    let files = "SELECT rows, CAST(expires_at AS DATE) FROM sys.sstables ORDER BY rows";
    assert_eq!(place.rows(files), "11 - | 100 2169-11-13");
    place.db.compact(CompactionGoal::History).unwrap();
    let history = "SELECT table_name, rows, CAST(expires_at AS DATE) FROM sys.history ORDER BY rows";
    assert_eq!(place.rows(history), "quotes 1 - | trades 110 2169-11-13");

    place.reopen(Options {
        retention: RetentionOptions {
            default: RetentionPolicy { age_max: Some(Duration::ZERO), bytes_max: None },
            ..RetentionOptions::default()
        },
        background: false,
        ..Options::default()
    });
    place.db.compact(CompactionGoal::Bounded).unwrap();
    let steps = "SELECT kind, files_before, files_after, rows_dropped, bytes_before > 0, bytes_after FROM sys.compactions";
    assert_eq!(place.rows(steps), "drop 2 0 111 true 0");
    assert_eq!(place.rows("SELECT count(*) FROM trades"), "0");
}
