//! Whatever is inserted, every read gives what a sorted map gives, at every sequence number.

use proptest::prelude::*;

use super::*;
use crate::key::{Direction, TimeRange};

const SYMBOLS: u32 = 5;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 48,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

/// Rows whose times mostly go up, with as many late ones as `late_percent` says, and many equal times.
fn rows(late_percent: u32) -> impl Strategy<Value = Vec<Row>> {
    let row = (any::<bool>(), 0..SYMBOLS, 0..100_u32, 0..200_i64, prop::option::of(0..60_u64));
    prop::collection::vec(row, 1..1_500).prop_map(move |rows| {
        let with_time = rows.into_iter().enumerate().map(|(at, (quote, symbol, percent, late, id))| {
            let now = at as i64 / 4;
            let ts = if percent < late_percent { now - late } else { now };
            // Some ids are numbers, some are texts.
            let trade_id = id.map(|id| if id % 3 == 0 { format!("T{id:03}") } else { id.to_string() });
            Row { quote, symbol: if percent < 60 { 0 } else { symbol }, ts, trade_id }
        });
        with_time.collect()
    })
}

/// Compares all reads of one series.
fn compare(table: &MemTable, model: &Model, series: Series, visible_seq: u64, ranges: &[(i64, i64)]) {
    let symbols = symbols(SYMBOLS);
    let expected = model.keys(series, visible_seq);
    let Some(found) = table.series(series, visible_seq, &symbols) else {
        assert!(expected.is_empty(), "{series:?} up to {visible_seq} is missing");
        return;
    };
    assert_eq!(found.series(), series);
    assert!(!found.is_empty());
    assert_eq!(found.len(), expected.len());
    let times = expected.iter().fold(TimeRange::EMPTY, |range, (ts, _)| range.including(*ts));
    assert_eq!(found.time_range(), times);
    for range in
        ranges.iter().map(|(first, last)| TimeRange { first: *first, last: *last }).chain([TimeRange::ALL])
    {
        let mut within: Vec<_> = expected.iter().filter(|(ts, _)| range.contains(*ts)).copied().collect();
        let forward: Vec<_> = found.scan(range, Direction::Forward).map(|row| key_of(series, row)).collect();
        assert_eq!(forward, within);
        within.reverse();
        let backward: Vec<_> =
            found.scan(range, Direction::Backward).map(|row| key_of(series, row)).collect();
        assert_eq!(backward, within);
        for ts in [range.first, range.last] {
            let last = expected.iter().rfind(|(at, _)| *at <= ts).copied();
            assert_eq!(found.last_at(ts).map(|row| key_of(series, row)), last);
        }
    }
    for (ts, seq) in model.keys(series, u64::MAX) {
        let is_visible = seq <= visible_seq;
        assert_eq!(found.get(ts, seq).map(|row| key_of(series, row)), is_visible.then_some((ts, seq)));
        assert!(found.get(ts + 1, seq).is_none());
    }
}

fn compare_ids(table: &MemTable, model: &Model, visible_seq: u64) {
    let symbols = symbols(SYMBOLS);
    let schema = <Trade<'static> as StandardTable>::schema();
    let column = schema.column_index("trade_id").unwrap();
    for id in 0..60 {
        for id in [format!("T{id:03}"), id.to_string()] {
            let mut expected: Vec<(u64, u32)> = Vec::new();
            for ((_, symbol), rows) in &model.rows {
                let matching = rows
                    .iter()
                    .filter(|((_, seq), found)| *seq <= visible_seq && found.as_ref() == Some(&id));
                expected.extend(matching.map(|((_, seq), _)| (*seq, *symbol)));
            }
            expected.sort_unstable_by(|a, b| b.cmp(a));
            let found = table.by_id(schema, column, Id::from(&*id), visible_seq, &symbols);
            let found: Vec<_> = found.map(|(series, row)| (key_of(series, row).1, series.symbol)).collect();
            assert_eq!(found, expected, "{id}");
        }
    }
    assert_eq!(table.by_id(schema, column + 100, Id::from("1"), visible_seq, &symbols).count(), 0);
}

fn every_series() -> impl Iterator<Item = Series> {
    [TRADES, QUOTES]
        .into_iter()
        .flat_map(|table| (0..SYMBOLS + 1).map(move |symbol| Series { table, symbol }))
}

fn check(rows: &[Row], batch_rows: usize, cuts: &[prop::sample::Index], ranges: &[(i64, i64)]) {
    let table = MemTable::new(1);
    let mut model = Model::new();
    for rows in rows.chunks(batch_rows) {
        model.insert(&table, rows);
        if model.next_seq.is_multiple_of(5) {
            compare_ids(&table, &model, model.next_seq / 2);
        }
    }
    let last_seq = model.next_seq - 1;
    let cuts = cuts.iter().map(|cut| cut.index(rows.len() + 1) as u64).chain([last_seq, u64::MAX]);
    for visible_seq in cuts {
        for series in every_series() {
            compare(&table, &model, series, visible_seq, ranges);
        }
        compare_ids(&table, &model, visible_seq);
        for id in [TRADES, QUOTES] {
            let mut found: Vec<u32> = table.series_of(id, visible_seq).collect();
            found.sort_unstable();
            let visible =
                |symbol: &u32| !model.keys(Series { table: id, symbol: *symbol }, visible_seq).is_empty();
            assert_eq!(found, (0..SYMBOLS).filter(visible).collect::<Vec<_>>());
        }
    }
    let times = rows.iter().fold(TimeRange::EMPTY, |range, row| range.including(row.ts));
    assert_eq!(table.ts_range(), times);
    assert_eq!(table.seq_range(), Some(1..=last_seq));
    assert_eq!(table.rows(), rows.len() as u64);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn reads_are_those_of_a_sorted_map_with_few_late_rows(
        rows in rows(5),
        batch_rows in 1..200_usize,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 2),
        ranges in prop::collection::vec((-100..500_i64, -100..500_i64), 3),
    ) {
        check(&rows, batch_rows, &cuts, &ranges);
    }

    #[test]
    fn reads_are_those_of_a_sorted_map_with_many_late_rows(
        rows in rows(70),
        batch_rows in 1..200_usize,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 2),
        ranges in prop::collection::vec((-100..500_i64, -100..500_i64), 3),
    ) {
        check(&rows, batch_rows, &cuts, &ranges);
    }
}

#[test]
fn series_come_in_the_order_of_tables_and_names() {
    let table = MemTable::new(1);
    let mut model = Model::new();
    let rows: Vec<Row> =
        (0..600).map(|at| Row { quote: at % 3 == 0, symbol: at % 300, ts: 0, trade_id: None }).collect();
    model.insert(&table, &rows);
    let symbols = symbols(300);
    let ordered = table.series_in_key_order(&symbols);
    let mut expected: Vec<(TableId, String)> =
        model.rows.keys().map(|(table, symbol)| (TableId(*table), name(*symbol))).collect();
    expected.sort_by(|a, b| (a.0.0, &a.1).cmp(&(b.0.0, &b.1)));
    let found: Vec<_> = ordered.iter().map(|series| (series.table, name(series.symbol))).collect();
    assert_eq!(found, expected);
    assert_eq!(table.tables(u64::MAX).collect::<Vec<_>>(), [TRADES, QUOTES]);
    assert_eq!(table.tables(0).count(), 0);
}

#[test]
fn any_table_and_any_handle_has_a_place() {
    let table = MemTable::new(1);
    let mut symbols_known = Symbols::new();
    symbols_known.push(name(0).into());
    let rows = [Row { quote: false, symbol: 0, ts: 5, trade_id: None }];
    let handles = [0, 1, 255, 256, 65_535, 1 << 24, u32::MAX];
    for (at, handle) in handles.into_iter().enumerate() {
        let (batch, _) = batch(&rows, at as u64 + 1);
        table.insert(batch, at as u64 + 1, &[handle]);
    }
    assert_eq!(table.series_of(TRADES, u64::MAX).collect::<Vec<_>>(), handles);
    let series = |symbol| Series { table: TRADES, symbol };
    assert_eq!(table.series(series(0), u64::MAX, &symbols_known).unwrap().len(), 1);
    // Rows whose symbol the reader does not know are none that he may see.
    assert!(table.series(series(255), u64::MAX, &symbols_known).is_none());
    assert!(table.series(series(254), u64::MAX, &symbols_known).is_none());
}

#[test]
#[should_panic(expected = "rows come in order")]
fn a_sequence_number_is_not_given_twice() {
    let table = MemTable::new(1);
    let rows = vec![Row { quote: false, symbol: 0, ts: 5, trade_id: None }; 2];
    for first_seq in [1, 2] {
        let (batch, handles) = batch(&rows, first_seq);
        table.insert(batch, first_seq, &handles);
    }
}
