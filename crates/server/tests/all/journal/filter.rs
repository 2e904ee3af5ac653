//! Whatever is asked for, what comes is exactly the rows that a plain filter of the whole journal leaves.

use proptest::prelude::*;
use tapebook::{Balance, Batch, Id, Quote, StandardTable, TableId, Trade};
use tapebook_client::{Event, Start, SubscribeOptions};

use super::support::{Server, bytes_of};

const SYMBOLS: [&str; 4] = ["A", "BB", "C.C", "D"];
const TABLES: [&str; 3] = ["trades", "quotes", "balances"];

/// A row of one of three tables, with and without texts, of 8 and of 16 bytes alignment.
#[derive(Clone, Debug)]
struct Row {
    table: usize,
    symbol: usize,
    number: u64,
    text: Option<String>,
}

/// Everything that tells one row from another.
type Seen = (TableId, u64, String, i64, Option<u64>, Vec<u8>);

impl Row {
    fn push(&self, batch: &mut Batch) {
        let (symbol, ts, feed_seq) =
            (SYMBOLS[self.symbol], self.number as i64, self.number.is_multiple_of(3).then_some(self.number));
        let venue = self.text.as_deref();
        let pushed = match self.table {
            0 => {
                let trade_id = venue.map(Id::from);
                batch.push(Trade {
                    symbol,
                    ts,
                    feed_seq,
                    venue,
                    trade_id,
                    price: Some(1.0),
                    ..Trade::default()
                })
            }
            1 => batch.push(Quote { symbol, ts, feed_seq, venue, bid_price: Some(2.0), ..Quote::default() }),
            _ => {
                let balance = Some(i128::from(self.number));
                batch.push(Balance {
                    symbol,
                    ts,
                    feed_seq,
                    account: venue.map(Id::from),
                    balance,
                    ..Balance::default()
                })
            }
        };
        pushed.unwrap();
    }
}

fn rows() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let row = (0..3_usize, 0..4_usize, 0..1_000_u64, proptest::option::of("[a-z]{0,20}"))
        .prop_map(|(table, symbol, number, text)| Row { table, symbol, number, text });
    proptest::collection::vec(proptest::collection::vec(row, 1..12), 1..8)
}

fn seen(table: TableId, row: &tapebook::RawRecord<'_>) -> Seen {
    (table, row.seq, row.symbol.to_owned(), row.ts, row.feed_seq(), row.row.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_filter_leaves_out_what_it_says_and_changes_nothing_else(
        batches in rows(),
        tables in proptest::collection::btree_set(0..3_usize, 0..3),
        symbols in proptest::collection::btree_set(0..4_usize, 0..4),
        from_seq in 1..30_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::start().await;
            let mut appender = server.appender().await;
            let (mut wanted, mut next_seq) = (Vec::new(), 1);
            for rows in &batches {
                let mut batch = Batch::new();
                rows.iter().for_each(|row| row.push(&mut batch));
                let batch = batch.encode();
                for (place, row) in rows.iter().enumerate() {
                    let seq = next_seq + place as u64;
                    let table = tables.is_empty() || tables.contains(&row.table);
                    let symbol = symbols.is_empty() || symbols.contains(&row.symbol);
                    if table && symbol && seq >= from_seq {
                        let (table, record) = batch.rows().get(place, seq).unwrap();
                        wanted.push(seen(table, &record));
                    }
                }
                next_seq += rows.len() as u64;
                appender.send(bytes_of(&batch));
                appender.receipt().await;
            }
            let mut options = SubscribeOptions::new(Start::Seq(from_seq.min(next_seq)));
            options.tables = tables.iter().map(|table| TABLES[*table].to_owned()).collect();
            options.symbols = symbols.iter().map(|symbol| SYMBOLS[*symbol].to_owned()).collect();
            let mut journal = server.client().await.subscribe(options);
            let mut found = Vec::new();
            loop {
                match journal.next().await.unwrap() {
                    Event::Batch(batch) => {
                        assert!(!batch.batch().is_empty());
                        // A batch that was made anew is one that would be taken.
                        let bytes = batch.batch().bytes().clone();
                        tapebook::EncodedBatch::check(bytes, &tapebook::Schemas::standard()).unwrap();
                        found.extend(batch.records().map(|(table, row)| seen(table, &row)));
                    }
                    Event::Progress { cursor, live: true } if cursor.seq == next_seq => break,
                    _ => {}
                }
            }
            assert_eq!(found, wanted);
        });
    }
}

#[test]
fn the_tables_are_those_that_the_rows_are_of() {
    let names: Vec<&str> =
        [Trade::schema(), Quote::schema(), Balance::schema()].map(|schema| &*schema.name).to_vec();
    assert_eq!(names, TABLES);
}
