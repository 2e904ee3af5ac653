use proptest::prelude::*;

use super::*;
use crate::model::{self, batch_of, records};
use crate::projection::Projection;
use crate::schema::Schemas;

fn columns_of(schema: &Arc<TableSchema>, records: &[RawRecord<'_>]) -> RecordBatch {
    let all: Vec<usize> = (0..schema.columns.len() + 5).collect();
    let mut projection = Projection::new(schema, &all);
    projection.append(records);
    projection.finish()
}

proptest! {
    #![proptest_config(model::cases(300))]

    #[test]
    fn rows_come_back_byte_for_byte(
        (schema, rows) in prop::sample::select(Schemas::standard().iter().cloned().collect::<Vec<_>>())
            .prop_flat_map(|schema| {
                let rows = prop::collection::vec(model::any_row(&schema), 1..40);
                (Just(schema), rows)
            })
    ) {
        let batch = batch_of(&schema, &rows);
        let expected = records(&batch);
        let mut block = RowBlock::new(&schema);
        // A block is filled again and again.
        for part in [&expected[..expected.len() / 2], &expected[..]] {
            block.fill(&columns_of(&schema, part)).unwrap();
            prop_assert_eq!(block.len(), part.len());
            for (at, expected) in part.iter().enumerate() {
                let found = block.get(at).unwrap();
                prop_assert_eq!(found.row, expected.row, "{} row {}", &schema.name, at);
                prop_assert_eq!(
                    (found.ts, found.seq, found.recv_ts, found.feed_seq, found.flags, found.layout, found.symbol),
                    (
                        expected.ts,
                        expected.seq,
                        expected.recv_ts,
                        expected.feed_seq,
                        expected.flags,
                        expected.layout,
                        expected.symbol
                    )
                );
            }
            prop_assert!(block.get(part.len()).is_none());
        }
    }
}

#[test]
fn columns_of_another_table_are_refused() {
    let schemas = Schemas::standard();
    let trades = schemas.by_name("trades").unwrap();
    let quotes = columns_of(schemas.by_name("quotes").unwrap(), &[]);
    let error = RowBlock::new(trades).fill(&quotes).unwrap_err();
    assert!(matches!(error, RowBlockError::Column { position: 2, .. }), "{error}");
    let short = columns_of(trades, &[]).project(&[0, 1, 2]).unwrap();
    let error = RowBlock::new(trades).fill(&short).unwrap_err();
    assert_eq!(error.to_string(), "column 3 of table trades should be size Float64, found nothing");
}

#[test]
fn a_number_that_is_not_finite_is_refused() {
    let schema = Schemas::standard().by_name("trades").unwrap().clone();
    let batch = batch_of(&schema, &[model::ModelRow::null(&schema)]);
    let columns = columns_of(&schema, &records(&batch));
    let mut arrays = columns.columns().to_vec();
    arrays[2] = Arc::new(PrimitiveArray::<Float64Type>::from(vec![f64::INFINITY]));
    let columns = RecordBatch::try_new(columns.schema(), arrays).unwrap();
    let mut block = RowBlock::new(&schema);
    assert!(matches!(block.fill(&columns), Err(RowBlockError::Value { row: 0, .. })));
    assert!(block.is_empty());
}
