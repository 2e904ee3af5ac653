//! Some rows of a batch, and the same rows from another producer.

use proptest::prelude::*;

use super::*;
use crate::model::{self, ModelRow};
use crate::schema::TableSchema;
use crate::tables::{Balance, StandardTable};

/// Rows of three tables: with texts and ids, with flags, and with an alignment of 16.
fn rows() -> impl Strategy<Value = Vec<(&'static TableSchema, ModelRow, bool)>> {
    let tables = [Trade::schema(), BookDelta::schema(), Balance::schema()];
    let row = prop::sample::select(tables.to_vec())
        .prop_flat_map(|schema| (Just(schema), model::any_row(schema), any::<bool>()));
    prop::collection::vec(row, 1..24)
}

proptest! {
    #![proptest_config(model::cases(60))]

    #[test]
    fn some_rows_make_a_batch_that_pushing_them_alone_would_have_made(rows in rows()) {
        let (mut all, mut some, mut places) = (Batch::from_producer(Producer { id: 7, epoch: 1, batch_number: 2 }), Batch::new(), Vec::new());
        for (place, (schema, row, wanted)) in rows.iter().enumerate() {
            row.push(&mut all, schema).unwrap();
            if *wanted {
                row.push(&mut some, schema).unwrap();
                places.push(place as u32);
            }
        }
        prop_assume!(!places.is_empty());
        let selected = all.encode().select(&places, &Schemas::standard()).unwrap();
        assert_eq!(&**selected.bytes(), &**some.encode().bytes());
        EncodedBatch::check(selected.bytes().clone(), &Schemas::standard()).unwrap();
    }
}

#[test]
fn another_producer_changes_nothing_but_the_header() {
    let mut batch = Batch::new();
    batch.push(Trade { symbol: "X", ts: 7, ..Trade::default() }).unwrap();
    let producer = Producer { id: 9, epoch: 8, batch_number: 7 };
    let changed = batch.encode().with_producer(producer);
    batch.set_producer(producer);
    assert_eq!(&**changed.bytes(), &**batch.encode().bytes());
    assert_eq!(EncodedBatch::from_log(changed.bytes().clone()).unwrap().producer(), producer);
}

#[test]
fn a_row_that_does_not_fit_leaves_the_batch_as_it_was() {
    let mut batch = Batch::new();
    let conditions = "x".repeat(60_000);
    let row = Trade { symbol: "X", ts: 7, conditions: Some(&conditions), ..Trade::default() };
    batch.push(row).unwrap();
    let one = batch.encode();
    let (_, record) = one.rows().get(0, 1).unwrap();
    let mut pushed = 1;
    let error = loop {
        match batch.push_record(Trade::schema(), &record) {
            Ok(()) => pushed += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error, pushed), (PushError::Full, 4));
    let whole = EncodedBatch::check(batch.encode().bytes().clone(), &Schemas::standard()).unwrap();
    assert_eq!(whole.len(), 4);
}

#[test]
fn rows_of_a_table_that_nobody_knows_are_not_selected() {
    let own = TableSchema::new(crate::TableId(2_000), "own", 1, []);
    let mut batch = Batch::new();
    let place = RowPlace { symbol: "X", ts: 1, recv_ts: None, feed_seq: None };
    batch.push_row(&own, place, |_| Ok::<(), PushError>(())).unwrap();
    let error = batch.encode().select(&[0], &Schemas::standard()).unwrap_err();
    assert_eq!(error, PushError::UnknownTable(own.id));
}
