//! Random work against a simple model: every read, at the newest snapshot and at older ones, answers as the model does.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tapebook::{
    Batch, CompactionGoal, Db, Direction, Durability, Id, Options, Producer, Quote, RawRecord, ReadError,
    Snapshot, StandardTable, TableId, TimeRange, Trade,
};
use tapebook_vfs::MemoryVfs;

use crate::rows::{Row, StoredRow, batch_of};
use crate::support::{SMALL_FILES, open, simulated};

const SYMBOLS: [&str; 5] = ["B", "A", "é", "AA", "Z.1"];
const ABSENT: &str = "none";

#[derive(Clone, Debug)]
enum Step {
    /// Table, symbol and time of each row.
    Append(Vec<(bool, usize, i64)>),
    Flush,
    /// Moves and merges files, all the way or no further than needed.
    Compact(bool),
    /// Closes and opens again, with that many bytes for a MemTable.
    Reopen(u64),
    /// Takes a snapshot that is looked at again at the end.
    Keep,
    /// Compares everything now.
    Check,
}

fn step() -> impl Strategy<Value = Step> {
    let row = (any::<bool>(), 0..SYMBOLS.len(), -5..25_i64);
    prop_oneof![
        12 => prop::collection::vec(row, 1..12).prop_map(Step::Append),
        3 => Just(Step::Flush),
        2 => any::<bool>().prop_map(Step::Compact),
        1 => prop_oneof![Just(1_u64), Just(3_000), Just(1 << 20)].prop_map(Step::Reopen),
        2 => Just(Step::Keep),
        2 => Just(Step::Check),
    ]
}

/// Rows in the order of the journal.
type Model = Vec<StoredRow>;

fn in_key_order(model: &Model, keep: impl Fn(&Row) -> bool) -> Model {
    let mut rows: Model = model.iter().filter(|stored| keep(&stored.row)).cloned().collect();
    rows.sort_by(|a, b| (&a.row.symbol, a.row.ts, a.seq).cmp(&(&b.row.symbol, b.row.ts, b.seq)));
    rows
}

fn check(snapshot: &Snapshot, model: &Model) {
    assert_eq!(snapshot.visible_seq(), model.len() as u64);
    for (table, quote) in [(Trade::ID, false), (Quote::ID, true)] {
        for range in ranges() {
            let expected = in_key_order(model, |row| row.quote == quote && range.contains(row.ts));
            assert_eq!(read(table, snapshot.scan_table(table, range)), expected);
        }
        let names: BTreeSet<&str> = model
            .iter()
            .filter(|stored| stored.row.quote == quote)
            .map(|stored| &*stored.row.symbol)
            .collect();
        assert_eq!(snapshot.symbols_of(table), names.into_iter().collect::<Vec<_>>());
        for symbol in SYMBOLS.into_iter().chain([ABSENT]) {
            check_series(snapshot, model, table, quote, symbol);
        }
    }
    for stored in model.iter().filter(|stored| !stored.row.quote) {
        let found = snapshot.by_id(Trade::ID, "trade_id", Id::Number(stored.row.number.into())).unwrap();
        assert_eq!(read(Trade::ID, found.into_iter().map(Ok)), std::slice::from_ref(stored));
    }
    assert!(snapshot.by_id(Trade::ID, "trade_id", Id::Number(u64::MAX)).unwrap().is_empty());
}

fn check_series(snapshot: &Snapshot, model: &Model, table: TableId, quote: bool, symbol: &str) {
    let series = in_key_order(model, |row| row.quote == quote && row.symbol == symbol);
    assert_eq!(snapshot.series_rows(table, symbol), series.len() as u64);
    for range in ranges() {
        let mut expected = series.clone();
        expected.retain(|stored| range.contains(stored.row.ts));
        let scan = |direction| read(table, snapshot.scan_series(table, symbol, range, direction).unwrap());
        assert_eq!(scan(Direction::Forward), expected);
        expected.reverse();
        assert_eq!(scan(Direction::Backward), expected);
    }
    for at in (-7..28).chain([i64::MIN, i64::MAX]) {
        let expected = series.iter().rfind(|stored| stored.row.ts <= at);
        let found = snapshot.last(table, symbol, at).unwrap().map(|record| Row::read(table, record));
        assert_eq!(found.as_ref(), expected);
    }
    for stored in model {
        let found = snapshot.get(table, symbol, stored.row.ts, stored.seq).unwrap();
        let there = stored.row.quote == quote && stored.row.symbol == symbol;
        assert_eq!(found.map(|record| Row::read(table, record)).as_ref(), there.then_some(stored));
        assert!(snapshot.get(table, symbol, stored.row.ts + 1, stored.seq).unwrap().is_none());
    }
    let beyond = snapshot.visible_seq() + 1;
    assert!((-5..25).all(|ts| snapshot.get(table, symbol, ts, beyond).unwrap().is_none()));
}

fn ranges() -> [TimeRange; 6] {
    [
        TimeRange::ALL,
        TimeRange::EMPTY,
        TimeRange { first: 0, last: 9 },
        TimeRange { first: 7, last: 7 },
        TimeRange { first: 20, last: i64::MAX },
        TimeRange { first: i64::MIN, last: -6 },
    ]
}

fn read<'a>(table: TableId, records: impl Iterator<Item = Result<RawRecord<'a>, ReadError>>) -> Model {
    records.map(|record| Row::read(table, record.unwrap_or_else(|error| panic!("{error}")))).collect()
}

struct Run {
    disk: MemoryVfs,
    db: Db,
    model: Model,
    kept: Vec<(Snapshot, usize)>,
}

impl Run {
    fn options(disk: &MemoryVfs, memtable_bytes: u64) -> Options {
        Options { memtable_bytes, frozen_memtables_max: 3, compaction: SMALL_FILES, ..simulated(disk) }
    }

    fn new() -> Self {
        let disk = MemoryVfs::new(1);
        let db = open(Self::options(&disk, 3_000));
        Self { disk, db, model: Vec::new(), kept: Vec::new() }
    }

    fn step(mut self, step: Step) -> Self {
        match step {
            Step::Append(rows) => self.append(&rows),
            Step::Flush => self.db.flush().unwrap(),
            Step::Compact(settled) => {
                let goal = if settled { CompactionGoal::Settled } else { CompactionGoal::Bounded };
                self.db.compact(goal).unwrap();
            }
            Step::Reopen(memtable_bytes) => {
                self.db.close().unwrap();
                self.db = open(Self::options(&self.disk, memtable_bytes));
            }
            Step::Keep => self.kept.push((self.db.snapshot(), self.model.len())),
            Step::Check => check(&self.db.snapshot(), &self.model),
        }
        self
    }

    fn append(&mut self, rows: &[(bool, usize, i64)]) {
        let first = self.model.len() as u64 + 1;
        let rows: Vec<Row> = rows
            .iter()
            .zip(first..)
            .map(|((quote, symbol, ts), seq)| {
                // Numbers that have nothing to do with the order of the rows.
                let number = seq as u32 * 7_919 % 99_991;
                Row { quote: *quote, symbol: SYMBOLS[*symbol].to_owned(), ts: *ts, number }
            })
            .collect();
        let batch: Batch = batch_of(Producer::default(), &rows);
        let receipt = self.db.append(batch, Durability::Synced).unwrap().wait().unwrap();
        assert_eq!((receipt.first_seq, receipt.last_seq), (first, first + rows.len() as u64 - 1));
        self.model.extend(rows.into_iter().zip(first..).map(|(row, seq)| StoredRow { seq, row }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_read_answers_as_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        let mut run = Run::new();
        for step in steps {
            run = run.step(step);
        }
        check(&run.db.snapshot(), &run.model);
        for (snapshot, rows) in &run.kept {
            check(snapshot, &run.model[..*rows].to_vec());
        }
    }
}
