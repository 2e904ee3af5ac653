//! The bytes that decide about rotation are those that were given and allocated.

use super::*;

#[test]
fn batch_bytes_are_those_of_the_batches() {
    let table = MemTable::new(9);
    let mut model = Model::new();
    assert!(table.is_empty());
    assert_eq!((table.id(), table.batch_bytes(), table.index_bytes(), table.seq_range()), (9, 0, 0, None));
    let mut bytes = 0;
    for len in [1, 10, 100] {
        let rows: Vec<Row> = (0..len)
            .map(|at| Row { quote: at % 2 == 0, symbol: at % 7, ts: at.into(), trade_id: None })
            .collect();
        bytes += model.insert(&table, &rows).bytes().len();
    }
    assert_eq!(table.batch_bytes(), bytes);
    assert_eq!((table.rows(), table.seq_range()), (111, Some(1..=111)));
}

/// A row in order takes an entry of 24 bytes and, with the chunk that it begins, never more than twice that.
#[test]
fn index_bytes_follow_the_rows() {
    let table = MemTable::new(1);
    let mut model = Model::new();
    let rows = |first: i64| -> Vec<Row> {
        (first..first + 500)
            .map(|ts| Row { quote: false, symbol: 0, ts, trade_id: Some(ts.to_string()) })
            .collect()
    };
    model.insert(&table, &rows(0));
    let before = table.index_bytes();
    for batch in 1..41 {
        model.insert(&table, &rows(batch * 500));
    }
    let grown = table.index_bytes() - before;
    assert!((20_000 * 24..20_000 * 50).contains(&grown), "{grown} bytes for 20,000 rows");
    // One late row brings the late runs, and an id index is counted from the first look-up on.
    let before = table.index_bytes();
    model.insert(&table, &[Row { quote: false, symbol: 0, ts: 3, trade_id: None }]);
    let late = table.index_bytes();
    assert!((500..5_000).contains(&(late - before)), "{} bytes for a late row", late - before);
    let schema = <Trade<'static> as StandardTable>::schema();
    let column = schema.column_index("trade_id").unwrap();
    assert_eq!(table.by_id(schema, column, Id::from("19999"), u64::MAX, &symbols(1)).count(), 1);
    let indexed = table.index_bytes() - late;
    assert!((20_500 * 28..20_500 * 80).contains(&indexed), "{indexed} bytes for 20,500 ids");
}
