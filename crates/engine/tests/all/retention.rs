//! Slices go whole, by age and by size, and nothing else goes: for readers, on the disk, and over crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tapebook::{
    CompactionGoal, Db, DirectoryTarget, OpenError, Options, Producer, RestoreBound, RetentionOptions,
    RetentionPolicy, restore, verify,
};
use tapebook_vfs::{Clock, Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Vfs};

use crate::clients::append;
use crate::crash::check_names;
use crate::rows::{Row, StoredRow, batch_of, everything};
use crate::support::{on, open};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DAY_NANOS: i64 = DAY.as_nanos() as i64;
/// Rows of each table that a day has.
const ROWS: u64 = 20;

fn by_age(days: u32) -> RetentionPolicy {
    RetentionPolicy { age_max: Some(days * DAY), bytes_max: None }
}

fn by_size(bytes_max: u64) -> RetentionPolicy {
    RetentionPolicy { age_max: None, bytes_max: Some(bytes_max) }
}

/// A database that keeps everything but for these tables.
fn options(vfs: &Arc<dyn Vfs>, tables: &[(&str, RetentionPolicy)]) -> Options {
    let tables: BTreeMap<_, _> = tables.iter().map(|(name, policy)| ((*name).to_owned(), *policy)).collect();
    let retention = RetentionOptions { tables, ..RetentionOptions::default() };
    Options { retention, journal_retention: Some(365 * DAY), memtable_bytes: 1 << 20, ..on(Arc::clone(vfs)) }
}

/// When a day of five began, by the clock of a new disk; the fifth is the day before the clock's.
fn day(number: i64) -> i64 {
    MemoryVfs::new(0).manual_clock().unix_nanos() - (6 - number) * DAY_NANOS
}

/// Trades and quotes of the first five days, a flush for each day.
fn five_days(db: &Db) {
    for number in 1..=5 {
        append_day(db, number, 1..=ROWS as u32);
        db.flush().unwrap();
    }
}

/// Rows of one day with these numbers, of both tables.
fn append_day(db: &Db, number: i64, rows: std::ops::RangeInclusive<u32>) {
    let row = |quote, at: u32| {
        let ts = day(number) + i64::from(at);
        Row { quote, symbol: "S".to_owned(), ts, number: number as u32 * 1_000 + at }
    };
    let rows: Vec<Row> = rows.flat_map(|at| [row(false, at), row(true, at)]).collect();
    append(db, batch_of(Producer::default(), &rows));
}

/// The slices with rows, by table and day, and how many each has.
fn slices(rows: &[StoredRow]) -> BTreeMap<(&'static str, i64), u64> {
    let mut slices = BTreeMap::new();
    for StoredRow { row, .. } in rows {
        let table = if row.quote { "quotes" } else { "trades" };
        *slices.entry((table, (row.ts - day(1)) / DAY_NANOS + 1)).or_default() += 1;
    }
    slices
}

/// The days that a table has rows of, each of them whole.
fn days_of(db: &Db, table: &str) -> Vec<i64> {
    let rows = everything(&db.snapshot());
    let slices = slices(&rows).into_iter().filter(|((of, _), _)| *of == table);
    slices.inspect(|(_, rows)| assert_eq!(*rows, ROWS, "a whole day")).map(|((_, day), _)| day).collect()
}

fn is_sound(vfs: &Arc<dyn Vfs>, dir: &str) {
    assert_eq!(verify(vfs, Path::new(dir), "verify").unwrap().problems, Vec::<String>::new());
}

/// The files of tables on the disk.
fn stored(disk: &MemoryVfs) -> usize {
    disk.read_dir(Path::new("/db/tables")).unwrap().len()
}

#[test]
fn slices_go_by_age_as_the_clock_moves_and_with_them_files_names_and_partitions() {
    let disk = MemoryVfs::new(1);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let db = open(options(&vfs, &[("trades", by_age(10))]));
    five_days(&db);
    db.compact(CompactionGoal::History).unwrap();
    let all = everything(&db.snapshot());
    assert_eq!((all.len(), db.version().history().count()), (200, 10));
    let before = db.snapshot();

    disk.manual_clock().advance(5 * DAY);
    assert_eq!(db.compact(CompactionGoal::Bounded).unwrap(), 1);
    assert_eq!(days_of(&db, "trades"), [2, 3, 4, 5]);
    assert_eq!(days_of(&db, "quotes"), [1, 2, 3, 4, 5]);
    let done = db.stats().compaction;
    assert_eq!((done.drops, done.dropped_rows, done.written_bytes > done.dropped_bytes), (1, ROWS, true));
    let step = done.recent.last().unwrap();
    assert_eq!((step.kind, step.rows_dropped, step.bytes_before), ("drop", ROWS, done.dropped_bytes));
    assert_eq!((step.files_before, step.files_after, stored(&disk)), (1, 0, 9));
    check_names(&disk, &db);

    disk.manual_clock().advance(2 * DAY);
    db.compact(CompactionGoal::Bounded).unwrap();
    assert_eq!(db.stats().compaction.drops, 2, "two days in one step");
    assert_eq!(days_of(&db, "trades"), [4, 5]);
    assert_eq!(everything(&before), all, "who reads an older snapshot has its files open");
    assert_eq!(db.version().partitions().count(), 5);
    drop(before);
    db.close().unwrap();
    is_sound(&vfs, "/db");

    let db = open(options(&vfs, &[("trades", by_age(10)), ("quotes", by_age(1))]));
    assert_eq!(everything(&db.snapshot()).len(), 140, "opening drops nothing");
    db.compact(CompactionGoal::Bounded).unwrap();
    assert_eq!((days_of(&db, "trades"), days_of(&db, "quotes")), (vec![4, 5], vec![]));
    assert_eq!(db.version().partitions().count(), 2, "partitions without a file end");
    disk.manual_clock().advance(3 * DAY);
    db.compact(CompactionGoal::Bounded).unwrap();
    assert_eq!((everything(&db.snapshot()).len(), db.version().partitions().count()), (0, 0));
    assert_eq!((stored(&disk), db.stats().leftovers), (0, None));
    check_names(&disk, &db);

    // The journal goes on: numbers, and what its archive keeps.
    assert_eq!(append(&db, batch_of(Producer::default(), &[all[0].row.clone()])).first_seq, 201);
    assert_eq!(db.journal(1).unwrap().map(|batch| batch.unwrap().batch.len()).sum::<usize>(), 201);
    db.flush().unwrap();
    db.close().unwrap();
    is_sound(&vfs, "/db");
    let db = open(options(&vfs, &[]));
    assert_eq!(everything(&db.snapshot()).len(), 1, "what is older than is kept goes with the next step");
    db.compact(CompactionGoal::History).unwrap();
    assert_eq!(everything(&db.snapshot()).len(), 1);
}

#[test]
fn with_too_many_bytes_the_oldest_days_go() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(2));
    let db = open(options(&vfs, &[]));
    five_days(&db);
    db.compact(CompactionGoal::History).unwrap();
    let version = db.version();
    let schemas = tapebook::Schemas::standard();
    let trades = schemas.by_name("trades").unwrap().id;
    let bytes: Vec<u64> =
        version.history().filter(|file| file.table == trades).map(|file| file.bytes).collect();
    db.close().unwrap();

    let room = bytes.iter().sum::<u64>() - 1;
    let db = open(options(&vfs, &[("trades", by_size(room))]));
    db.compact(CompactionGoal::Bounded).unwrap();
    assert_eq!(days_of(&db, "trades"), [2, 3, 4, 5]);
    db.close().unwrap();
    let db = open(options(&vfs, &[("trades", by_size(bytes[0] * 5 / 2))]));
    // Late, and only for a slice that stays: it goes with it.
    append_day(&db, 3, 21..=21);
    db.flush().unwrap();
    db.compact(CompactionGoal::Bounded).unwrap();
    assert_eq!(days_of(&db, "trades"), [4, 5]);
    assert_eq!(slices(&everything(&db.snapshot()))[&("quotes", 3)], ROWS + 1);
    db.close().unwrap();
    let db = open(options(&vfs, &[("trades", by_size(1))]));
    db.compact(CompactionGoal::Bounded).unwrap();
    assert_eq!(days_of(&db, "trades"), [5], "the newest stays, however large it is");
    db.close().unwrap();
    is_sound(&vfs, "/db");
}

#[test]
fn sstables_that_tables_share_are_written_anew_in_the_same_step() {
    let disk = MemoryVfs::new(3);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let mut with_policy = options(&vfs, &[("trades", by_age(2))]);
    with_policy.compaction.late_allowance = None;
    let db = open(with_policy.clone());
    five_days(&db);
    // Late rows of the second day, and rows of both tables there that a retraction hides.
    append_day(&db, 2, 21..=21);
    db.flush().unwrap();
    let before = db.snapshot();
    db.compact(CompactionGoal::Bounded).unwrap();
    assert_eq!(days_of(&db, "trades"), [5]);
    let quotes = slices(&everything(&db.snapshot()));
    assert_eq!((quotes[&("quotes", 1)], quotes[&("quotes", 2)]), (ROWS, ROWS + 1));
    let done = db.stats().compaction;
    let drops: Vec<_> = done.recent.iter().filter(|step| step.kind == "drop").collect();
    assert!(drops.iter().all(|step| step.files_before == step.files_after && step.bytes_after > 0));
    assert_eq!((done.dropped_rows, drops.len()), (4 * ROWS + 1, 4), "one step for each day");
    assert_eq!(everything(&before).len(), 202);
    drop(before);
    db.close().unwrap();
    is_sound(&vfs, "/db");
    let db = open(with_policy);
    assert_eq!(slices(&everything(&db.snapshot())), quotes);
    db.compact(CompactionGoal::History).unwrap();
    assert_eq!(slices(&everything(&db.snapshot())), quotes);
}

#[test]
fn hidden_rows_go_with_their_slice_and_retractions_stay() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(4));
    let db = open(options(&vfs, &[("trades", by_age(5))]));
    five_days(&db);
    // Trades and quotes take turns: some rows of both tables of the first day, and all trades of the second.
    db.retract("trades", 1..=10, "a wrong import").unwrap();
    db.retract("quotes", 1..=10, "a wrong import").unwrap();
    db.retract("trades", 41..=80, "a wrong import").unwrap();
    let hidden = everything(&db.snapshot());
    db.compact(CompactionGoal::History).unwrap();
    let shown = everything(&db.snapshot());
    let expected = hidden.into_iter().filter(|stored| stored.row.quote || stored.row.ts > day(2));
    assert_eq!(shown, expected.collect::<Vec<_>>(), "the first day is five days and some hours old");
    let earlier = everything(&db.snapshot().as_of(200).unwrap());
    assert_eq!(slices(&earlier).get(&("trades", 1)), None, "gone as of any sequence");
    assert_eq!((slices(&earlier)[&("quotes", 1)], slices(&earlier)[&("trades", 2)]), (ROWS, ROWS));
    db.undo_retraction(1, "").unwrap();
    db.compact(CompactionGoal::History).unwrap();
    assert_eq!(everything(&db.snapshot()), shown, "nothing comes back");
    db.close().unwrap();
    is_sound(&vfs, "/db");

    let db = open(options(&vfs, &[("trades", by_age(4))]));
    db.compact(CompactionGoal::Bounded).unwrap();
    db.undo_retraction(3, "").unwrap();
    assert_eq!(days_of(&db, "trades"), [3, 4, 5], "a slice of hidden rows alone went as well");
    db.undo_retraction(2, "").unwrap();
    assert_eq!(days_of(&db, "quotes"), [1, 2, 3, 4, 5]);
}

#[test]
fn copies_and_backups_keep_what_they_had() {
    let disk = MemoryVfs::new(5);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let target = DirectoryTarget::new(Arc::clone(&vfs), "/backup");
    let policies = [("trades", by_age(4)), ("quotes", by_age(2))];
    let db = open(options(&vfs, &[]));
    five_days(&db);
    db.compact(CompactionGoal::History).unwrap();
    let all = everything(&db.snapshot());
    db.backup(&target).unwrap();
    db.close().unwrap();

    let db = open(options(&vfs, &policies));
    db.compact(CompactionGoal::Bounded).unwrap();
    append_day(&db, 5, 21..=21);
    let kept = everything(&db.snapshot());
    assert_eq!(kept.len(), 3 * 20 + 20 + 2);
    db.checkpoint("/copy").unwrap();
    let copy = Db::open_with("/copy", options(&vfs, &[])).unwrap();
    assert_eq!(everything(&copy.snapshot()), kept);
    copy.close().unwrap();
    is_sound(&vfs, "/copy");
    db.backup(&target).unwrap();

    // From the older backup, along the journal: with all that was there then.
    for (dir, bound, expected) in [
        ("/latest", RestoreBound::Latest, &kept),
        ("/before", RestoreBound::Seq(200), &all),
        ("/half", RestoreBound::Seq(201), &all),
    ] {
        restore(&target, &vfs, Path::new(dir), bound, "restore").unwrap_or_else(|error| panic!("{error}"));
        is_sound(&vfs, dir);
        let restored = Db::open_with(dir, options(&vfs, &policies)).unwrap();
        assert_eq!(everything(&restored.snapshot()), *expected, "{dir}");
        restored.compact(CompactionGoal::Bounded).unwrap();
        let left = everything(&restored.snapshot());
        assert!(
            left.iter().all(|stored| kept.contains(stored)) && left.len() >= 80,
            "{dir}: it is dropped again"
        );
    }
}

#[test]
fn a_policy_for_a_table_that_there_is_not_is_refused_before_anything_is_made() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(6));
    let error = Db::open_with("/db", options(&vfs, &[("trade", by_age(1))])).unwrap_err();
    assert!(matches!(&error, OpenError::RetentionOfUnknownTable { name, .. } if name == "trade"));
    assert!(error.to_string().contains("the tables are trades, quotes"), "{error}");
    assert!(!vfs.exists(Path::new("/db")).unwrap());
}

/// A database of which a step of compaction drops: whole files where it is history, and a file that is shared.
fn before_a_drop(history: bool) -> MemoryVfs {
    let disk = MemoryVfs::new(7);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let mut unconverted = options(&vfs, &[]);
    unconverted.compaction.late_allowance = None;
    let db = open(unconverted);
    five_days(&db);
    let goal = if history { CompactionGoal::History } else { CompactionGoal::Bounded };
    db.compact(goal).unwrap();
    db.close().unwrap();
    disk
}

/// Each day's trades are there as a whole or not at all, whatever happened, and quotes of all days; `all` is what there
/// was before.
fn check_whole(db: &Db, all: &[StoredRow]) -> BTreeSet<i64> {
    let rows = everything(&db.snapshot());
    assert!(rows.iter().all(|stored| all.contains(stored)));
    assert_eq!(days_of(db, "quotes"), [1, 2, 3, 4, 5]);
    days_of(db, "trades").into_iter().collect()
}

/// Every call of the steps that drop fails, once or from then on; then the power fails.
fn a_drop_is_cut_off(history: bool, for_ever: bool) {
    let prepared = before_a_drop(history);
    let with_policy = |vfs: Arc<dyn Vfs>| {
        let mut options = options(&vfs, &[("trades", by_age(3))]);
        options.compaction.late_allowance = None;
        open(options)
    };
    let all = everything(&with_policy(Arc::new(prepared.fork())).snapshot());
    let counting = FaultVfs::new(Arc::new(prepared.fork()), FaultPlan::none());
    let db = with_policy(Arc::new(counting.clone()));
    let first = counting.calls() + 1;
    db.compact(CompactionGoal::Bounded).unwrap();
    let last = counting.calls();
    assert_eq!(check_whole(&db, &all), BTreeSet::from([4, 5]));
    assert!(last - first > 20, "{first} to {last}");
    let mut cut = BTreeSet::new();
    for call in first..=last {
        let disk = prepared.fork();
        let rule = FaultRule::new(Fault::Error(ErrorKind::Other)).nth(call);
        let rule = if for_ever { rule.for_ever() } else { rule };
        let failing = FaultVfs::new(Arc::new(disk.clone()), rule.into());
        let db = with_policy(Arc::new(failing.clone()));
        let outcome = db.compact(CompactionGoal::Bounded);
        assert!(failing.faults() > 0, "call {call}");
        let seen = (!for_ever).then(|| check_whole(&db, &all));
        if outcome.is_ok() {
            // What could not be tidied up does not matter to whoever reads.
            assert!(seen.is_none_or(|seen| seen == BTreeSet::from([4, 5])), "call {call}");
        }
        if call % 3 == 0 {
            disk.crash_process();
        } else {
            disk.crash(call);
        }
        drop(db);
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        is_sound(&vfs, "/db");
        let db = open(options(&vfs, &[]));
        cut.insert(check_whole(&db, &all));
        check_names(&disk, &db);
        db.close().unwrap();
        let db = with_policy(Arc::clone(&vfs));
        db.compact(CompactionGoal::Bounded).unwrap_or_else(|error| panic!("call {call}: {error}"));
        assert_eq!(check_whole(&db, &all), BTreeSet::from([4, 5]), "call {call}");
        assert_eq!(db.stats().leftovers, None);
        check_names(&disk, &db);
    }
    assert!(cut.len() > 1, "before and after: {cut:?}");
}

#[test]
fn any_call_that_fails_while_history_is_dropped_leaves_whole_days() {
    a_drop_is_cut_off(true, false);
}

#[test]
fn the_power_fails_at_any_call_while_history_is_dropped() {
    a_drop_is_cut_off(true, true);
}

#[test]
fn any_call_that_fails_while_shared_files_are_written_anew_leaves_whole_days() {
    a_drop_is_cut_off(false, false);
}

#[test]
fn the_power_fails_at_any_call_while_shared_files_are_written_anew() {
    a_drop_is_cut_off(false, true);
}
