//! `sys.sstables` and `sys.compactions` say where files belong and what became of them.

use tapebook::CompactionGoal;

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
