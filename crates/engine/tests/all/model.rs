//! Random work against a simple model: every read, at the newest snapshot and at older ones, answers as the model does.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use tapebook::{
    Batch, CompactionGoal, Db, Direction, Durability, Id, Options, Producer, Quote, ReadError, ReadRecord,
    RetractError, RetractionReceipt, SeqRange, Snapshot, StandardTable, TableId, TimeRange, Trade,
};
use tapebook_history::{HistoryFile, Selection};
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
    /// Moves, merges and converts files, so far.
    Compact(CompactionGoal),
    /// Closes and opens again, with that many bytes for a MemTable.
    Reopen(u64),
    /// Takes a snapshot that is looked at again at the end.
    Keep,
    /// Hides a range that begins at one of the rows; of quotes or of trades.
    Retract(bool, Index, u64),
    /// Shows again what one of the retractions hid; named by its range or by its number.
    Undo(bool, Index),
    /// Compares everything now.
    Check,
    /// Compares everything as of one of the sequences.
    CheckAsOf(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let row = (any::<bool>(), 0..SYMBOLS.len(), -5..25_i64);
    prop_oneof![
        12 => prop::collection::vec(row, 1..12).prop_map(Step::Append),
        3 => Just(Step::Flush),
        3 => prop_oneof![
            Just(CompactionGoal::Bounded),
            Just(CompactionGoal::Settled),
            Just(CompactionGoal::History),
        ]
        .prop_map(Step::Compact),
        1 => prop_oneof![Just(1_u64), Just(3_000), Just(1 << 20)].prop_map(Step::Reopen),
        2 => Just(Step::Keep),
        3 => (any::<bool>(), any::<Index>(), 0..20_u64)
            .prop_map(|(quote, first, length)| Step::Retract(quote, first, length)),
        2 => (any::<bool>(), any::<Index>()).prop_map(|(by_range, which)| Step::Undo(by_range, which)),
        2 => Just(Step::Check),
        2 => any::<Index>().prop_map(Step::CheckAsOf),
    ]
}

type Rows = Vec<StoredRow>;

/// What was written, in the order of the journal, and what was hidden of it.
#[derive(Clone, Debug, Default)]
struct Model {
    rows: Rows,
    retractions: Vec<Hidden>,
}

#[derive(Clone, Debug)]
struct Hidden {
    quote: bool,
    seqs: SeqRange,
    made_at: u64,
    undone_at: Option<u64>,
}

impl Model {
    fn last_seq(&self) -> u64 {
        self.rows.len() as u64
    }

    /// What was known when the last sequence was `seq`.
    fn as_of(&self, seq: u64) -> Self {
        let rows = self.rows[..seq as usize].to_vec();
        let known = self.retractions.iter().filter(|hidden| hidden.made_at < seq).cloned();
        let known =
            known.map(|hidden| Hidden { undone_at: hidden.undone_at.filter(|at| *at < seq), ..hidden });
        Self { rows, retractions: known.collect() }
    }

    fn shows(&self, stored: &StoredRow) -> bool {
        !self.retractions.iter().any(|hidden| {
            hidden.undone_at.is_none() && hidden.quote == stored.row.quote && hidden.seqs.contains(stored.seq)
        })
    }

    fn shown(&self) -> Rows {
        self.rows.iter().filter(|stored| self.shows(stored)).cloned().collect()
    }
}

fn in_key_order(rows: &Rows, keep: impl Fn(&Row) -> bool) -> Rows {
    let mut rows: Rows = rows.iter().filter(|stored| keep(&stored.row)).cloned().collect();
    rows.sort_by(|a, b| (&a.row.symbol, a.row.ts, a.seq).cmp(&(&b.row.symbol, b.row.ts, b.seq)));
    rows
}

fn check(snapshot: &Snapshot, model: &Model) {
    assert_eq!(snapshot.visible_seq(), model.last_seq());
    check_retractions(snapshot, model);
    let shown = model.shown();
    for (table, quote) in [(Trade::ID, false), (Quote::ID, true)] {
        for range in ranges() {
            let expected = in_key_order(&shown, |row| row.quote == quote && range.contains(row.ts));
            assert_eq!(read(table, snapshot.scan_table(table, range)), expected);
        }
        let names: BTreeSet<&str> = model
            .rows
            .iter()
            .filter(|stored| stored.row.quote == quote)
            .map(|stored| &*stored.row.symbol)
            .collect();
        assert_eq!(snapshot.symbols_of(table), names.into_iter().collect::<Vec<_>>());
        for symbol in SYMBOLS.into_iter().chain([ABSENT]) {
            check_series(snapshot, model, &shown, (table, quote, symbol));
        }
        for seqs in [SeqRange { first: 1, last: u64::MAX }, SeqRange { first: 5, last: 14 }] {
            let counted =
                shown.iter().filter(|stored| stored.row.quote == quote && seqs.contains(stored.seq));
            assert_eq!(snapshot.count_rows(table, seqs).unwrap(), counted.count() as u64);
        }
    }
    for stored in model.rows.iter().filter(|stored| !stored.row.quote) {
        let found = snapshot.by_id(Trade::ID, "trade_id", Id::Number(stored.row.number.into())).unwrap();
        let expected = if model.shows(stored) { std::slice::from_ref(stored) } else { &[] };
        assert_eq!(read(Trade::ID, found.into_iter().map(Ok)), expected);
    }
    assert!(snapshot.by_id(Trade::ID, "trade_id", Id::Number(u64::MAX)).unwrap().is_empty());
}

fn check_retractions(snapshot: &Snapshot, model: &Model) {
    let table = |quote| if quote { Quote::ID } else { Trade::ID };
    let found = snapshot.retractions().iter().map(|retraction| {
        let undone_at = retraction.undone.as_ref().map(|undone| undone.at_seq);
        (retraction.id, retraction.table, retraction.seqs, retraction.made.at_seq, undone_at)
    });
    let expected = (1..)
        .zip(&model.retractions)
        .map(|(id, hidden)| (id, table(hidden.quote), hidden.seqs, hidden.made_at, hidden.undone_at));
    assert!(found.eq(expected), "{:?}, {:?}", snapshot.retractions(), model.retractions);
}

fn check_series(snapshot: &Snapshot, model: &Model, shown: &Rows, series: (TableId, bool, &str)) {
    let (table, quote, symbol) = series;
    let of_series = |row: &Row| row.quote == quote && row.symbol == symbol;
    let series = in_key_order(shown, of_series);
    assert_eq!(snapshot.count_series(table, symbol).unwrap(), series.len() as u64);
    let stored = model.rows.iter().filter(|stored| of_series(&stored.row)).count() as u64;
    assert!(snapshot.series_rows(table, symbol) >= stored);
    for range in ranges() {
        let mut expected = series.clone();
        expected.retain(|stored| range.contains(stored.row.ts));
        let scan = |direction| read(table, snapshot.scan_series(table, symbol, range, direction).unwrap());
        let (leading, rest) = snapshot.leading_history(table, symbol, range);
        let selection = Selection {
            symbols: Some(vec![symbol.to_owned()]),
            times: range.first..=range.last,
            ..Selection::default()
        };
        let mut by_files = Rows::new();
        for file in leading {
            let mut rows = file.rows_of(&selection).unwrap();
            while let Some(row) = rows.next().unwrap() {
                by_files.push(Row::read(table, row));
            }
        }
        by_files.extend(read(table, snapshot.scan_series(table, symbol, rest, Direction::Forward).unwrap()));
        assert_eq!(by_files, scan(Direction::Forward), "history first, then the rest");
        assert_eq!(scan(Direction::Forward), expected);
        expected.reverse();
        assert_eq!(scan(Direction::Backward), expected);
    }
    for at in (-7..28).chain([i64::MIN, i64::MAX]) {
        let expected = series.iter().rfind(|stored| stored.row.ts <= at);
        let found = snapshot.last(table, symbol, at).unwrap().map(|record| Row::read(table, record));
        assert_eq!(found.as_ref(), expected);
    }
    for stored in &model.rows {
        let found = snapshot.get(table, symbol, stored.row.ts, stored.seq).unwrap();
        let there = of_series(&stored.row) && model.shows(stored);
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

fn read<'a>(table: TableId, records: impl Iterator<Item = Result<ReadRecord<'a>, ReadError>>) -> Rows {
    records.map(|record| Row::read(table, record.unwrap_or_else(|error| panic!("{error}")))).collect()
}

struct Run {
    disk: MemoryVfs,
    db: Db,
    model: Model,
    kept: Vec<(Snapshot, Model)>,
}

impl Run {
    fn options(disk: &MemoryVfs, memtable_bytes: u64) -> Options {
        Options { memtable_bytes, frozen_memtables_max: 3, compaction: SMALL_FILES, ..simulated(disk) }
    }

    fn new() -> Self {
        let disk = MemoryVfs::new(1);
        let db = open(Self::options(&disk, 3_000));
        Self { disk, db, model: Model::default(), kept: Vec::new() }
    }

    fn step(mut self, step: Step) -> Self {
        match step {
            Step::Append(rows) => self.append(&rows),
            Step::Flush => self.db.flush().unwrap(),
            Step::Compact(goal) => {
                self.db.compact(goal).unwrap();
                self.check_history(goal);
            }
            Step::Reopen(memtable_bytes) => {
                self.db.close().unwrap();
                self.db = open(Self::options(&self.disk, memtable_bytes));
            }
            Step::Keep => self.kept.push((self.db.snapshot(), self.model.clone())),
            Step::Retract(quote, first, length) => self.retract(quote, first, length),
            Step::Undo(by_range, which) => self.undo(by_range, which),
            Step::Check => check(&self.db.snapshot(), &self.model),
            Step::CheckAsOf(seq) => self.check_as_of(seq.index(self.model.rows.len() + 1) as u64),
        }
        self
    }

    fn append(&mut self, rows: &[(bool, usize, i64)]) {
        let first = self.model.last_seq() + 1;
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
        self.model.rows.extend(rows.into_iter().zip(first..).map(|(row, seq)| StoredRow { seq, row }));
    }

    fn retract(&mut self, quote: bool, first: Index, length: u64) {
        let last_seq = self.model.last_seq();
        if last_seq == 0 {
            return;
        }
        let first = first.index(self.model.rows.len()) as u64 + 1;
        let seqs = SeqRange { first, last: (first + length).min(last_seq) };
        let of_range =
            |hidden: &Hidden| hidden.undone_at.is_none() && hidden.quote == quote && hidden.seqs == seqs;
        let standing = self.model.retractions.iter().position(of_range);
        let outcome = self.db.retract(name(quote), seqs.first..=seqs.last, "a wrong import");
        if let Some(at) = standing {
            let id = at as u64 + 1;
            assert!(matches!(outcome, Err(RetractError::Standing { id: found, .. }) if found == id));
            return;
        }
        let id = self.model.retractions.len() as u64 + 1;
        assert_eq!(outcome.unwrap(), RetractionReceipt { id, seqs, at_seq: last_seq });
        self.model.retractions.push(Hidden { quote, seqs, made_at: last_seq, undone_at: None });
    }

    fn undo(&mut self, by_range: bool, which: Index) {
        if self.model.retractions.is_empty() {
            return;
        }
        let at = which.index(self.model.retractions.len());
        let Hidden { quote, seqs, .. } = self.model.retractions[at];
        let outcome = if by_range {
            self.db.undo_retraction((name(quote), seqs.first..=seqs.last), "")
        } else {
            self.db.undo_retraction(at as u64 + 1, "it was right")
        };
        let same = |hidden: &Hidden| hidden.quote == quote && hidden.seqs == seqs;
        let standing = |(other, hidden): (usize, &Hidden)| {
            hidden.undone_at.is_none() && (if by_range { same(hidden) } else { other == at })
        };
        let at_seq = self.model.last_seq();
        match self.model.retractions.iter().enumerate().position(standing) {
            Some(at) => {
                assert_eq!(outcome.unwrap(), RetractionReceipt { id: at as u64 + 1, seqs, at_seq });
                self.model.retractions[at].undone_at = Some(at_seq);
            }
            None => assert!(matches!(outcome, Err(RetractError::UndoneAlready { .. }))),
        }
    }

    /// Other programs find every slice under its name, with what is shown of it and nothing else.
    fn check_history(&self, goal: CompactionGoal) {
        let snapshot = self.db.snapshot();
        let mut found = Vec::new();
        for file in self.db.version().history() {
            let path = self.db.layout().root().join(&file.path);
            let schema = snapshot.schemas().get(file.table).unwrap();
            let (identity, table) = HistoryFile::identity_of(&self.disk, &path).unwrap();
            assert_eq!((identity.file_id, table), (file.file_id, file.table));
            let opened = HistoryFile::open(&self.disk, &path, identity, None, schema).unwrap();
            let mut rows = opened.rows_of(&Selection::default()).unwrap();
            while let Some(row) = rows.next().unwrap() {
                found.push(Row::read(table, row));
            }
        }
        found.sort_by_key(|stored| stored.seq);
        let shown = self.model.shown();
        assert!(
            found.iter().all(|stored| shown.contains(stored)),
            "history shows what is hidden, or what nobody wrote"
        );
        let version = self.db.version();
        let in_files = version.tables().map(|file| file.rows).sum::<u64>()
            + version.history().map(|file| file.rows).sum::<u64>();
        if goal == CompactionGoal::History && in_files == self.model.last_seq() {
            assert_eq!(found, shown);
        }
    }

    fn check_as_of(&self, seq: u64) {
        let snapshot = self.db.snapshot();
        check(&snapshot.as_of(seq).unwrap(), &self.model.as_of(seq));
        let error = snapshot.as_of(self.model.last_seq() + 1).unwrap_err();
        assert!(matches!(error, ReadError::NotReached { .. }));
    }
}

fn name(quote: bool) -> &'static str {
    if quote { "quotes" } else { "trades" }
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
        for (snapshot, model) in &run.kept {
            check(snapshot, model);
            let half = model.last_seq() / 2;
            check(&snapshot.as_of(half).unwrap(), &model.as_of(half));
        }
    }
}
