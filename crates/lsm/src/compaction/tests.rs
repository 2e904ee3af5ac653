//! The choice against simulated files: it comes to an end, breaks no invariant of a version, and leaves few files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tapebook_record::TableId;

use super::partitions::{begin, days, divide};
use super::{
    Choice, CompactionOptions, Convert, Expired, Facts, Goal, LEVEL_ASIDE, Merge, MergeReason, Retention,
    RetentionPolicy, choose, slice_name,
};
use crate::key::TimeRange;
use crate::manifest::{
    HistoryFile, LogId, LogRange, PARTITION_AS_FLUSHED, Partition, SeqRange, StateRef, TableFile, Version,
    VersionEdit,
};

const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
const ROW_BYTES: u64 = 10;
const OPTIONS: CompactionOptions = CompactionOptions {
    file_bytes: 1_000,
    fan_in: 3,
    late_ratio: 4,
    partition_bytes_min: 200,
    partition_bytes_max: 3_000,
    late_allowance: None,
};

/// Series, time, sequence.
type Row = (u8, i64, u64);

/// The series are those of two tables.
fn table_of(series: u8) -> TableId {
    TableId(1 + u16::from(series % 2))
}

/// Files that are nothing but their rows.
#[derive(Default)]
struct World {
    version: Version,
    rows: BTreeMap<u64, BTreeSet<Row>>,
    last_seq: u64,
    next_file_id: u64,
    latest: BTreeMap<u8, i64>,
    /// Sequences that retractions hide.
    hidden: BTreeSet<u64>,
    /// How long nothing has come for any partition.
    quiet: Duration,
    now: i64,
    retention: Retention,
    /// Rows of slices that went.
    dropped: u64,
}

impl Facts for World {
    fn overlap(&self, a: &TableFile, b: &TableFile) -> bool {
        let (a, b) = (ranges(&self.rows[&a.file_id]), ranges(&self.rows[&b.file_id]));
        a.iter().any(|(series, a)| b.get(series).is_some_and(|b| a.first < b.last && b.first < a.last))
    }

    fn overlap_together(&self, group: &[&Arc<TableFile>], other: &TableFile) -> bool {
        let together = group.iter().flat_map(|file| &self.rows[&file.file_id]).copied().collect();
        let (a, b) = (ranges(&together), ranges(&self.rows[&other.file_id]));
        a.iter().any(|(series, a)| b.get(series).is_some_and(|b| a.first < b.last && b.first < a.last))
    }

    fn weights(&self, file: &TableFile) -> Vec<(i64, u64)> {
        self.rows[&file.file_id].iter().map(|(_, ts, _)| (*ts, ROW_BYTES)).collect()
    }

    fn last_of(&self, file: &TableFile, table: TableId) -> i64 {
        let of_table = self.rows[&file.file_id].iter().filter(|(series, _, _)| table_of(*series) == table);
        of_table.map(|(_, ts, _)| *ts).max().unwrap()
    }

    fn hides_some(&self, file: &HistoryFile) -> bool {
        self.rows[&file.file_id].iter().any(|(_, _, seq)| self.hidden.contains(seq))
    }

    fn shows_some(&self, file: &TableFile) -> bool {
        self.rows[&file.file_id].iter().any(|(_, _, seq)| !self.hidden.contains(seq))
    }

    fn quiet_for(&self, _: u64) -> Duration {
        self.quiet
    }

    fn now(&self) -> i64 {
        self.now
    }
}

fn ranges(rows: &BTreeSet<Row>) -> BTreeMap<u8, TimeRange> {
    let mut ranges = BTreeMap::new();
    for (series, ts, _) in rows {
        let range: &mut TimeRange = ranges.entry(*series).or_insert(TimeRange::EMPTY);
        *range = range.including(*ts);
    }
    ranges
}

impl World {
    fn new() -> Self {
        Self { next_file_id: 1, ..Self::default() }
    }

    fn file(&mut self, rows: BTreeSet<Row>, level: u8, partition: u64) -> TableFile {
        let file_id = self.next_file_id;
        self.next_file_id += 1;
        let times = rows.iter().fold(TimeRange::EMPTY, |times, (_, ts, _)| times.including(*ts));
        let seqs = || rows.iter().map(|(_, _, seq)| *seq);
        let file = TableFile {
            file_id,
            level,
            bytes: rows.len() as u64 * ROW_BYTES,
            rows: rows.len() as u64,
            partition,
            times,
            seqs: SeqRange { first: seqs().min().unwrap(), last: seqs().max().unwrap() },
            log_indexes: LogRange { first: 1, last: 1 },
            checksum: 0,
            tables: BTreeSet::from_iter(rows.iter().map(|(series, _, _)| table_of(*series)))
                .into_iter()
                .collect(),
        };
        self.rows.insert(file_id, rows);
        file
    }

    fn commit(&mut self, edit: VersionEdit) {
        let edit =
            VersionEdit { next_file_id: Some(self.next_file_id + 1), last_seq: Some(self.last_seq), ..edit };
        self.version = self.version.apply(&edit).unwrap_or_else(|error| panic!("{error}"));
        self.next_file_id += 1;
    }

    /// As the engine flushes: what is late for its series goes to a file of its own.
    fn flush(&mut self, rows: &[(u8, i64)]) {
        let (mut in_order, mut late) = (BTreeSet::new(), BTreeSet::new());
        for &(series, ts) in rows {
            self.last_seq += 1;
            let row = (series, ts, self.last_seq);
            let is_late = self.latest.get(&series).is_some_and(|latest| ts < *latest);
            if is_late {
                late.insert(row)
            } else {
                in_order.insert(row)
            };
        }
        for (series, range) in ranges(&in_order) {
            self.latest.insert(series, range.last);
        }
        let files = [in_order, late].into_iter().filter(|rows| !rows.is_empty());
        let tables_added = files.map(|rows| self.file(rows, 0, PARTITION_AS_FLUSHED)).collect();
        let applied = LogId { term: 1, leader_node: 1, index: 1 };
        let state = self.version.state().copied().unwrap_or(StateRef {
            file_id: self.next_file_id,
            applied,
            last_seq: 0,
            rolling_hash: [0; 16],
        });
        self.commit(VersionEdit { tables_added, state: Some(state), ..VersionEdit::default() });
    }

    /// Carries out choices until there is none left; the bytes that were rewritten.
    fn settle(&mut self, goal: Goal) -> u64 {
        let mut rewritten = 0;
        for _ in 0..200 {
            match choose(&self.version, self, &OPTIONS, &self.retention, goal) {
                Choice::Nothing => return rewritten,
                Choice::Move(chosen) => {
                    let file = self.version.table(chosen.file_id).unwrap();
                    let moved =
                        TableFile { level: chosen.level, partition: chosen.partition, ..(**file).clone() };
                    self.commit(VersionEdit {
                        tables_removed: vec![chosen.file_id],
                        tables_added: vec![moved],
                        partitions_added: chosen.begun,
                        ..VersionEdit::default()
                    });
                }
                Choice::Merge(chosen) => rewritten += self.merge(&chosen),
                Choice::Convert(chosen) => rewritten += self.convert(&chosen),
                Choice::Drop(chosen) => rewritten += self.drop_slices(&chosen),
            }
        }
        panic!("no end: {:?}", choose(&self.version, self, &OPTIONS, &self.retention, goal));
    }

    fn merge(&mut self, chosen: &Merge) -> u64 {
        let mut all = BTreeSet::new();
        for file_id in &chosen.inputs {
            all.append(&mut self.rows.remove(file_id).unwrap());
        }
        let bytes = all.len() as u64 * ROW_BYTES;
        let mut tables_added = Vec::new();
        for slice in &chosen.slices {
            let of_slice: Vec<Row> =
                all.iter().copied().filter(|(_, ts, _)| slice.times.contains(*ts)).collect();
            of_slice.iter().for_each(|row| assert!(all.remove(row)));
            let file_rows = match slice.level {
                0 => usize::MAX,
                _ => (OPTIONS.file_bytes / ROW_BYTES) as usize,
            };
            for rows in of_slice.chunks(file_rows) {
                let file = self.file(rows.iter().copied().collect(), slice.level, slice.partition);
                tables_added.push(file);
            }
        }
        assert!(all.is_empty(), "rows without a slice: {all:?}");
        let used = |partition: &&Partition| tables_added.iter().any(|file| file.partition == partition.id);
        let partitions_added = chosen.begun.iter().filter(used).copied().collect();
        self.commit(VersionEdit {
            tables_removed: chosen.inputs.clone(),
            tables_added,
            partitions_added,
            partitions_removed: chosen.ended.into_iter().collect(),
            ..VersionEdit::default()
        });
        bytes
    }

    /// As the engine converts: what is shown to one history file, what is hidden aside.
    fn convert(&mut self, chosen: &Convert) -> u64 {
        let mut all = BTreeSet::new();
        for file_id in chosen.inputs.iter().chain(&chosen.history) {
            all.append(&mut self.rows.remove(file_id).unwrap());
        }
        let bytes = all.len() as u64 * ROW_BYTES;
        let (aside, shown): (BTreeSet<Row>, BTreeSet<Row>) =
            all.into_iter().partition(|(_, _, seq)| self.hidden.contains(seq));
        let id = chosen.partition.id;
        let mut tables_added = Vec::new();
        if !aside.is_empty() {
            tables_added.push(self.file(aside, LEVEL_ASIDE, id));
        }
        let mut history_added = Vec::new();
        for table in [TableId(1), TableId(2)] {
            let rows: BTreeSet<Row> =
                shown.iter().copied().filter(|(series, _, _)| table_of(*series) == table).collect();
            if rows.is_empty() {
                continue;
            }
            let TableFile { file_id, bytes, rows, partition, times, seqs, .. } = self.file(rows, 0, id);
            let path = format!("history/t{}/{}.parquet", table.0, slice_name(chosen.partition.times));
            let (tail_bytes, tail_crc) = (1, 1);
            history_added.push(HistoryFile {
                file_id,
                table,
                partition,
                rows,
                times,
                seqs,
                bytes,
                tail_bytes,
                tail_crc,
                path,
            });
        }
        self.commit(VersionEdit {
            tables_removed: chosen.inputs.clone(),
            tables_added,
            history_removed: chosen.history.clone(),
            history_added,
            ..VersionEdit::default()
        });
        bytes
    }

    /// As the engine drops: files, and the rows of some tables in files that others share.
    fn drop_slices(&mut self, chosen: &Expired) -> u64 {
        let (before, expired) = (self.slices(), self.expired());
        assert!(chosen.tables.len() + chosen.history.len() + chosen.shared.len() > 0, "{chosen:?}");
        for file_id in chosen.tables.iter().chain(&chosen.history) {
            self.dropped += self.rows.remove(file_id).unwrap().len() as u64;
        }
        let (mut tables_added, mut rewritten) = (Vec::new(), 0);
        for file_id in &chosen.shared {
            let place = Arc::clone(self.version.table(*file_id).unwrap());
            let (goes, stays): (BTreeSet<Row>, BTreeSet<Row>) = self
                .rows
                .remove(file_id)
                .unwrap()
                .into_iter()
                .partition(|(series, _, _)| chosen.without.contains(&table_of(*series)));
            assert!(!goes.is_empty() && !stays.is_empty(), "{file_id} is not shared");
            self.dropped += goes.len() as u64;
            rewritten += stays.len() as u64 * ROW_BYTES;
            tables_added.push(self.file(stays, place.level, place.partition));
        }
        self.commit(VersionEdit {
            tables_removed: chosen.tables.iter().chain(&chosen.shared).copied().collect(),
            tables_added,
            history_removed: chosen.history.clone(),
            partitions_removed: chosen.ended.clone(),
            ..VersionEdit::default()
        });
        let after = self.slices();
        for (slice, rows) in before {
            match after.get(&slice) {
                Some(left) => assert_eq!(*left, rows, "a part of {slice:?} went"),
                None => assert!(expired.contains(&slice), "{slice:?} went and was to be kept"),
            }
        }
        rewritten
    }

    /// The rows of each slice: what a partition holds of a table.
    fn slices(&self) -> BTreeMap<(u64, TableId), BTreeSet<Row>> {
        let mut slices: BTreeMap<_, BTreeSet<Row>> = BTreeMap::new();
        let tables = self.version.tables().map(|file| (file.file_id, file.partition));
        let history = self.version.history().map(|file| (file.file_id, file.partition));
        for (file_id, partition) in tables.chain(history) {
            for row in self.rows[&file_id].iter().filter(|_| partition != PARTITION_AS_FLUSHED) {
                slices.entry((partition, table_of(row.0))).or_default().insert(*row);
            }
        }
        slices
    }

    /// The slices that the policies do not keep, by their words.
    fn expired(&self) -> BTreeSet<(u64, TableId)> {
        let slices = self.slices();
        let mut expired: BTreeSet<(u64, TableId)> = BTreeSet::new();
        for (slice, rows) in &slices {
            let last = rows.iter().map(|(_, ts, _)| *ts).max().unwrap();
            let age = Duration::from_nanos(u64::try_from(self.now.saturating_sub(last)).unwrap_or(0));
            if self.retention.of(slice.1).age_max.is_some_and(|age_max| age > age_max) {
                expired.insert(*slice);
            }
        }
        for table in [TableId(1), TableId(2)] {
            let Some(bytes_max) = self.retention.of(table).bytes_max else { continue };
            let history = self.version.history().filter(|file| file.table == table);
            let mut kept: Vec<_> =
                history.filter(|file| !expired.contains(&(file.partition, table))).collect();
            kept.sort_by_key(|file| file.times.first);
            while kept.len() > 1 && kept.iter().map(|file| file.bytes).sum::<u64>() > bytes_max {
                expired.insert((kept.remove(0).partition, table));
            }
        }
        expired
    }

    fn check(&self, goal: Goal, rows: u64) {
        let stored: usize = self.rows.values().map(BTreeSet::len).sum();
        assert_eq!(stored as u64 + self.dropped, rows, "every row once");
        assert_eq!(self.expired(), BTreeSet::new(), "what is not kept is gone");
        let partitions = self.slices().into_keys().map(|(partition, _)| partition);
        let held = BTreeSet::from_iter(partitions);
        assert!(self.version.partitions().all(|partition| held.contains(&partition.id)), "none is empty");
        let ordered = self.version.level(1);
        for (at, a) in ordered.iter().enumerate() {
            for b in &ordered[at + 1..] {
                assert!(a.partition != b.partition || !self.overlap(a, b), "{a:?} and {b:?} overlap");
            }
        }
        let level_0 = self.version.level(0);
        // What is aside when its retraction is undone waits until the partition is converted.
        let is_hidden = |(_, _, seq): &Row| self.hidden.contains(seq);
        for file in self.version.level(usize::from(LEVEL_ASIDE)) {
            assert!(self.rows[&file.file_id].iter().all(is_hidden), "rows aside that nothing hides");
        }
        let mut slices = BTreeSet::new();
        for file in self.version.history() {
            assert!(!self.rows[&file.file_id].iter().any(is_hidden), "hidden rows in history");
            assert!(slices.insert((file.partition, file.table)), "a second file for one slice");
        }
        match goal {
            Goal::History => assert!(level_0.is_empty() && ordered.is_empty(), "{level_0:?} {ordered:?}"),
            Goal::Settled => assert!(level_0.is_empty(), "{level_0:?}"),
            Goal::Bounded => {
                let flushed = level_0.iter().filter(|file| file.partition == PARTITION_AS_FLUSHED);
                assert!(flushed.count() < OPTIONS.fan_in);
                for partition in self.version.partitions() {
                    let late = level_0.iter().filter(|file| file.partition == partition.id).count();
                    // Fewer than `fan_in` of each size, and sizes are powers of four.
                    assert!(late <= 2 * 16, "{late} late files in one partition");
                }
            }
        }
    }
}

/// A flush: rows of some series, hours from a start.
fn flushes() -> impl Strategy<Value = Vec<Vec<(u8, i64)>>> {
    // Mostly times that go on with the flushes, some late by up to a day, few anywhere.
    let row = (0..4_u8, 0..100_u32, 0..4 * HOUR, -400..400_i64);
    let flush = (prop::collection::vec(row, 1..40), 1..20_i64);
    prop::collection::vec(flush, 1..40).prop_map(|flushes| {
        let mut now = 0;
        flushes
            .into_iter()
            .map(|(rows, hours)| {
                now += hours * HOUR;
                let at = |kind, offset, days: i64| match kind {
                    0..80 => now + offset,
                    80..97 => now - offset * 6,
                    _ => now + days * DAY,
                };
                rows.into_iter()
                    .map(|(series, kind, offset, days)| (series, at(kind, offset, days)))
                    .collect()
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn choices_come_to_an_end_and_keep_the_invariants(flushes in flushes(), every in 1..6_usize) {
        let mut world = World::new();
        let mut rows = 0;
        for (number, flush) in flushes.iter().enumerate() {
            world.flush(flush);
            rows += flush.len() as u64;
            if number % every == 0 {
                world.settle(Goal::Bounded);
                world.check(Goal::Bounded, rows);
            }
        }
        world.settle(Goal::Settled);
        world.check(Goal::Settled, rows);
        prop_assert_eq!(choose(&world.version, &world, &OPTIONS, &world.retention, Goal::Settled), Choice::Nothing);
    }

    #[test]
    fn conversions_come_to_an_end_whatever_is_late_or_retracted(
        flushes in flushes(),
        steps in prop::collection::vec((0..5_u8, any::<u64>(), 0..30_u64), 1..20),
    ) {
        let mut world = World::new();
        let (mut rows, mut flushes) = (0, flushes.iter());
        for (kind, at, length) in steps {
            for flush in flushes.by_ref().take(3) {
                world.flush(flush);
                rows += flush.len() as u64;
            }
            let first = at % (world.last_seq + 1);
            let range = first..first + length;
            match kind {
                0 => world.hidden.extend(range),
                1 => world.hidden.retain(|seq| !range.contains(seq)),
                _ => {}
            }
            let goal = if kind == 4 { Goal::History } else { Goal::Bounded };
            world.settle(goal);
            world.check(goal, rows);
        }
        world.settle(Goal::History);
        world.check(Goal::History, rows);
        prop_assert_eq!(choose(&world.version, &world, &OPTIONS, &world.retention, Goal::History), Choice::Nothing);
    }
}

fn policy() -> impl Strategy<Value = RetentionPolicy> {
    let age_max = prop::option::of((0..600_u64).prop_map(|hours| Duration::from_secs(hours * 3_600)));
    let bytes_max = prop::option::of((0..400_u64).prop_map(|rows| rows * ROW_BYTES));
    (age_max, bytes_max).prop_map(|(age_max, bytes_max)| RetentionPolicy { age_max, bytes_max })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slices_go_whole_when_the_policies_do_not_keep_them_and_nothing_else_does(
        flushes in flushes(),
        steps in prop::collection::vec((0..6_u8, any::<u64>(), 0..60_i64), 1..20),
        policies in (policy(), prop::option::of(policy())),
    ) {
        let tables = policies.1.map(|policy| (TableId(2), policy)).into_iter().collect();
        let mut world = World::new();
        world.retention = Retention { tables, default: policies.0 };
        let (mut rows, mut flushes) = (0, flushes.iter());
        for (kind, at, hours) in steps {
            for flush in flushes.by_ref().take(3) {
                world.flush(flush);
                rows += flush.len() as u64;
            }
            world.now += hours * HOUR;
            let first = at % (world.last_seq + 1);
            match kind {
                0 => world.hidden.extend(first..first + 20),
                1 => world.hidden.retain(|seq| !(first..first + 20).contains(seq)),
                _ => {}
            }
            let goal = if kind > 3 { Goal::History } else { Goal::Bounded };
            world.settle(goal);
            world.check(goal, rows);
        }
        world.now += 10_000 * DAY;
        world.settle(Goal::Settled);
        world.check(Goal::Settled, rows);
        if policies.0.age_max.is_some() && policies.1.is_none() {
            prop_assert_eq!(world.version.partitions().count(), 0, "all is too old in the end");
        }
    }
}

/// Two days with rows of two tables; the second one's last row of a day is an hour later.
fn two_days_of_two_tables(goal: Goal) -> World {
    let mut world = World::new();
    for day in 0..2 {
        world.flush(&(0..30).map(|at| (0, day * DAY + at)).collect::<Vec<_>>());
        world.flush(&(0..30).map(|at| (1, day * DAY + HOUR + at)).collect::<Vec<_>>());
    }
    world.settle(goal);
    world
}

fn next(world: &World) -> Choice {
    choose(&world.version, world, &OPTIONS, &world.retention, Goal::Bounded)
}

#[test]
fn a_slice_goes_when_its_last_row_is_too_old_and_its_partition_with_the_last_slice() {
    let mut world = two_days_of_two_tables(Goal::History);
    world.retention.default.age_max = Some(Duration::from_secs(3 * 24 * 3_600));
    world.now = 3 * DAY + 29;
    assert_eq!(next(&world), Choice::Nothing, "it is as old as it may be");
    world.now += 1;
    let Choice::Drop(chosen) = next(&world) else { panic!("a nanosecond more") };
    assert_eq!((chosen.tables.len(), chosen.history.len(), chosen.ended.len()), (0, 1, 0), "{chosen:?}");
    world.drop_slices(&chosen);
    assert_eq!(next(&world), Choice::Nothing, "the other table's rows are younger");
    world.now += HOUR;
    let Choice::Drop(chosen) = next(&world) else { panic!("now it is their turn") };
    assert_eq!((chosen.history.len(), chosen.ended.len()), (1, 1), "{chosen:?}");
    world.drop_slices(&chosen);
    // Late: it would be in the slice that has gone, and gets one of its own, which goes at once.
    world.flush(&[(0, 5)]);
    world.settle(Goal::Bounded);
    world.check(Goal::Bounded, 121);
    assert_eq!((world.version.partitions().count(), world.dropped), (1, 61));
}

#[test]
fn a_file_that_tables_share_is_written_anew_and_after_those_that_only_go() {
    let mut world = World::new();
    for day in 0..2 {
        world.flush(&(0..30).flat_map(|at| [(0, day * DAY + at), (1, day * DAY + at)]).collect::<Vec<_>>());
    }
    world.flush(&(0..30).map(|at| (0, 2 * DAY + at)).collect::<Vec<_>>());
    world.settle(Goal::Bounded);
    let policy = RetentionPolicy { age_max: Some(Duration::ZERO), bytes_max: None };
    world.retention.tables = [(TableId(1), policy)].into();
    world.now = 3 * DAY;
    let Choice::Drop(first) = next(&world) else { panic!("table 1 is too old") };
    assert_eq!((first.tables.len(), first.shared.len(), first.ended.len()), (1, 0, 1), "{first:?}");
    world.drop_slices(&first);
    for _ in 0..2 {
        let Choice::Drop(shared) = next(&world) else { panic!("table 1 is too old") };
        assert_eq!((shared.tables.len(), shared.shared.len(), shared.ended.len()), (0, 1, 0), "{shared:?}");
        assert_eq!(shared.without, [TableId(1)]);
        assert_eq!(world.drop_slices(&shared), 30 * ROW_BYTES);
    }
    assert_eq!(next(&world), Choice::Nothing);
    assert_eq!((world.version.tables().count(), world.dropped), (2, 90));
}

#[test]
fn with_too_many_bytes_the_oldest_history_goes_and_the_newest_never() {
    let mut world = World::new();
    for day in 0..4 {
        world.flush(&(0..30).map(|at| (0, day * DAY + at)).collect::<Vec<_>>());
    }
    world.settle(Goal::Bounded);
    world.retention.default.bytes_max = Some(2 * 30 * ROW_BYTES);
    assert_eq!(next(&world), Choice::Nothing, "what is not history yet does not count");
    world.settle(Goal::History);
    world.check(Goal::History, 120);
    let kept = |world: &World| {
        let mut days: Vec<i64> = world.version.history().map(|file| file.times.first / DAY).collect();
        days.sort_unstable();
        days
    };
    assert_eq!(kept(&world), [2, 3]);
    world.retention.default.bytes_max = Some(0);
    world.settle(Goal::Bounded);
    assert_eq!(kept(&world), [3]);
}

#[test]
fn a_slice_becomes_history_when_it_is_over_and_quiet() {
    let options = CompactionOptions { late_allowance: Some(Duration::from_secs(3_600)), ..OPTIONS };
    let mut world = World::new();
    let rows: Vec<(u8, i64)> = (0..160).map(|at| (0, at * 1_000)).collect();
    world.flush(&rows);
    world.settle(Goal::Bounded);
    let chosen = |world: &World| choose(&world.version, world, &options, &world.retention, Goal::Bounded);

    (world.quiet, world.now) = (Duration::from_secs(3_599), 2 * DAY);
    assert_eq!(chosen(&world), Choice::Nothing, "something may still come");
    (world.quiet, world.now) = (Duration::from_secs(3_600), DAY / 2);
    assert_eq!(chosen(&world), Choice::Nothing, "its time is not over");
    world.now = 2 * DAY;
    let Choice::Convert(convert) = chosen(&world) else { panic!("quiet, and over") };
    world.convert(&convert);
    assert_eq!(chosen(&world), Choice::Nothing);

    // Few late rows wait for more, or for a day.
    world.flush(&[(0, 5)]);
    world.settle(Goal::Bounded);
    assert_eq!(chosen(&world), Choice::Nothing);
    world.quiet = Duration::from_secs(24 * 3_600);
    assert!(matches!(chosen(&world), Choice::Convert(_)), "nothing has come for a day");
    world.quiet = Duration::from_secs(3_600);
    world.flush(&(0..10).map(|at| (0, at * 7)).collect::<Vec<_>>());
    world.settle(Goal::Bounded);
    let Choice::Convert(convert) = chosen(&world) else { panic!("a sixteenth of what is there") };
    assert_eq!(convert.history.len(), 1, "it is written anew");
}

/// `count` rows of each of two series from `first` on, some minutes apart.
fn in_order(first: i64, count: i64) -> Vec<(u8, i64)> {
    (0..count).flat_map(|at| [(0, first + at * HOUR / 10), (1, first + at * HOUR / 10)]).collect()
}

#[test]
fn rows_in_order_are_moved_and_never_rewritten() {
    let mut world = World::new();
    for flush in 0..20 {
        // Big enough not to be joined.
        world.flush(&in_order(flush * HOUR * 10 / 3, 30));
    }
    // Files over midnight are divided, nothing else is written again.
    let rewritten = world.settle(Goal::Bounded);
    assert!(world.version.level(0).is_empty());
    let days = world.version.partitions().count() as u64;
    assert_eq!(days, 3);
    assert!(rewritten <= (days - 1) * 60 * ROW_BYTES, "{rewritten} bytes");
}

#[test]
fn small_neighbours_are_joined() {
    let mut world = World::new();
    for flush in 0..30 {
        world.flush(&in_order(flush * HOUR / 2, 3));
        world.settle(Goal::Bounded);
    }
    assert!(world.version.tables().count() <= 8, "{} files", world.version.tables().count());
}

#[test]
fn late_rows_are_gathered_and_folded_when_they_have_grown() {
    let mut world = World::new();
    for flush in 0..6 {
        world.flush(&in_order(flush * 3 * HOUR, 30));
    }
    world.settle(Goal::Bounded);
    let ordered: Vec<u64> = world.version.level(1).iter().map(|file| file.file_id).collect();
    for late in 0..4 {
        world.flush(&[(0, late * HOUR + 1), (1, 17 * HOUR + late)]);
        world.settle(Goal::Bounded);
    }
    assert!(world.version.level(0).len() < OPTIONS.fan_in, "they were gathered");
    assert!(
        ordered.iter().all(|file_id| world.version.table(*file_id).is_some()),
        "nothing else was touched"
    );

    world.flush(&(0..100).map(|at| (0, at * HOUR / 6 + 2)).collect::<Vec<_>>());
    world.settle(Goal::Bounded);
    assert!(world.version.level(0).is_empty(), "they were folded");
    assert!(ordered.iter().all(|file_id| world.version.table(*file_id).is_none()));
}

#[test]
fn older_data_that_comes_later_is_not_late() {
    let mut world = World::new();
    world.flush(&in_order(100 * DAY, 40));
    world.settle(Goal::Bounded);
    for flush in 0..5 {
        world.flush(&in_order(10 * DAY + flush * 4 * HOUR, 40));
    }
    assert_eq!(world.settle(Goal::Bounded), 0);
    assert_eq!(world.version.level(1).len(), 6);
}

#[test]
fn twenty_years_of_daily_bars_share_a_partition() {
    let mut world = World::new();
    let bars: Vec<(u8, i64)> = (0..19).map(|at| (0, at * 365 * DAY)).collect();
    world.flush(&bars);
    world.settle(Goal::Bounded);
    assert_eq!(world.version.partitions().count(), 1);
}

#[test]
fn stray_times_do_not_make_many_partitions() {
    let mut world = World::new();
    for flush in 0..200 {
        let mut rows = in_order(40_000 * DAY + flush * HOUR, 5);
        rows.push((0, (flush * 7_919 % 20_000) * DAY));
        world.flush(&rows);
        world.settle(Goal::Bounded);
    }
    let count = world.version.partitions().count();
    // Nine days of rows in order, and what lies before them, divided where it has grown.
    assert!(count <= 14, "{count} partitions");
}

#[test]
fn a_dense_partition_is_split_at_days() {
    let mut world = World::new();
    let sparse: Vec<(u8, i64)> = (0..10).map(|at| (0, at * 100 * DAY)).collect();
    world.flush(&sparse);
    world.settle(Goal::Bounded);
    let whole = *world.version.partitions().next().unwrap();
    for day in 200..205 {
        world.flush(&in_order(day * DAY, 60));
        world.settle(Goal::Bounded);
    }
    let parts: Vec<Partition> = world.version.partitions().copied().collect();
    assert!(parts.len() >= 3, "{parts:?}");
    let mut times: Vec<TimeRange> = parts.iter().map(|part| part.times).collect();
    times.sort_by_key(|times| times.first);
    assert_eq!((times[0].first, times[times.len() - 1].last), (whole.times.first, whole.times.last));
    assert!(times.windows(2).all(|pair| pair[0].last + 1 == pair[1].first && pair[1].first % DAY == 0));
}

#[test]
fn a_choice_says_why() {
    let mut world = World::new();
    world.flush(&in_order(DAY - HOUR, 30));
    let Choice::Merge(chosen) = choose(&world.version, &world, &OPTIONS, &world.retention, Goal::Bounded)
    else {
        panic!("a file over midnight is divided");
    };
    assert_eq!((chosen.reason, chosen.reason.name()), (MergeReason::Divide, "divide"));
    assert_eq!(chosen.begun.len(), 2);
}

#[test]
fn partitions_cover_what_they_are_begun_for() {
    let existing = [TimeRange { first: 10 * DAY, last: 11 * DAY - 1 }];
    let covers = |times: TimeRange, weights: &[(i64, u64)]| {
        let begun = begin(&existing, times, &days(weights.iter().copied()), &OPTIONS);
        let mut all: Vec<TimeRange> = existing.iter().chain(&begun).copied().collect();
        all.sort_by_key(|times| times.first);
        assert!(all.windows(2).all(|pair| pair[0].last < pair[1].first), "{all:?}");
        for ts in [times.first, times.last].into_iter().chain(weights.iter().map(|(ts, _)| *ts)) {
            assert!(all.iter().any(|times| times.contains(ts)), "{ts} in {all:?}");
        }
        begun
    };
    let day = |day: i64| TimeRange { first: day * DAY, last: (day + 1) * DAY - 1 };
    assert_eq!(covers(TimeRange { first: 12 * DAY + 5, last: 13 * DAY + 5 }, &[]), [day(12), day(13)]);
    assert_eq!(covers(TimeRange { first: 10 * DAY, last: 10 * DAY + 5 }, &[]), []);
    let before = covers(TimeRange { first: 3 * DAY, last: 3 * DAY }, &[(3 * DAY, 10)]);
    assert_eq!(before, [TimeRange { first: i64::MIN, last: 10 * DAY - 1 }]);
    let all = TimeRange::ALL;
    covers(all, &[(i64::MIN, 500), (0, 500), (9 * DAY, 500), (20 * DAY, 500), (i64::MAX, 500)]);
    covers(TimeRange { first: 9 * DAY, last: 14 * DAY }, &[(9 * DAY, 500), (12 * DAY, 500), (14 * DAY, 10)]);
}

#[test]
fn a_single_day_is_not_divided() {
    let weights = days([(0, 10_000), (HOUR, 10_000)]);
    assert_eq!(divide(TimeRange { first: 0, last: DAY - 1 }, &weights, &OPTIONS), None);
}
