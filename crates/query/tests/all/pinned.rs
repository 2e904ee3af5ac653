//! A slow query keeps in memory what was flushed meanwhile; it ends where that is too much.

use futures::StreamExt;
use tapebook::Options;
use tapebook_query::{QueryStream, SqlError};

use crate::support::Place;

/// Rows enough for many Arrow batches, more than may wait for whoever takes them.
const ROWS: u32 = 100_000;

/// Few enough bytes that one flushed MemTable is too much.
fn place() -> Place {
    let place = Place::with(Options { pinned_bytes_max: 1 << 10, ..Options::default() });
    (0..ROWS / 1_000).for_each(|part| place.append_trades("A", part * 1_000..(part + 1) * 1_000));
    place
}

fn begin(place: &Place, sql: &str) -> QueryStream {
    place.runtime.block_on(place.engine.query(&place.db, sql)).expect("a query")
}

fn next(place: &Place, stream: &mut QueryStream) -> Option<Result<usize, SqlError>> {
    place.runtime.block_on(stream.next()).map(|batch| batch.map(|batch| batch.num_rows()))
}

fn write_ten_memtables(place: &Place) {
    for round in 1..=10 {
        place.append_trades("A", round * ROWS..round * ROWS + 100);
        place.db.flush().unwrap();
    }
}

#[test]
fn a_slow_query_is_ended_and_a_new_one_is_not() {
    let place = place();
    let mut slow = begin(&place, "SELECT * FROM trades");
    let mut sorting = begin(&place, "SELECT * FROM trades ORDER BY price DESC");
    let mut quick = begin(&place, "SELECT count(*) FROM trades");
    assert!(next(&place, &mut slow).is_some_and(|batch| batch.unwrap() > 0), "the first rows come");
    assert_eq!(next(&place, &mut quick).unwrap().unwrap(), 1);
    assert!(next(&place, &mut quick).is_none());
    assert_eq!(place.db.stats().pinned.memtables, 0);

    write_ten_memtables(&place);
    let pinned = place.db.stats().pinned;
    assert_eq!(pinned.memtables, 1, "the one that the slow queries began with");
    assert!(pinned.bytes > 1 << 20, "{pinned:?}");
    for stream in [&mut slow, &mut sorting] {
        let Some(Err(ended)) = next(&place, stream) else { panic!("the query goes on") };
        assert!(
            matches!(&ended, SqlError::Released(reason) if reason.contains("pinned_bytes_max = 1024")),
            "{ended}"
        );
        assert!(next(&place, stream).is_none(), "and that is its end");
    }
    assert!(place.db.stats().pinned.reads_ended >= 2);
    assert_eq!(place.rows("SELECT count(*) FROM trades"), (ROWS + 1_000).to_string(), "asked again");
    // The streams are still there. What reads for them notices that nobody takes its rows.
    while place.db.stats().pinned.memtables > 0 {
        std::thread::yield_now();
    }
    assert_eq!(
        place.rows("SELECT pinned_memtables, pinned_bytes, reads_ended >= 2 FROM sys.wal"),
        "0 0 true"
    );
}
