//! For every standard table: the struct lies where the schema says, and what is pushed is what is read.

use proptest::prelude::*;

use super::*;
use crate::batch::{Batch, EncodedBatch};
use crate::model::{self, ModelValue};
use crate::schema::Schemas;

macro_rules! given {
    ($value:expr, Text) => {
        match $value {
            ModelValue::Text(text) => Some(text.as_str()),
            _ => None,
        }
    };
    ($value:expr, Id) => {
        $value.id()
    };
    ($value:expr, Levels) => {
        match $value {
            ModelValue::Levels(levels) => Some(levels.as_slice()),
            _ => None,
        }
    };
    ($value:expr, (Word $word:ident)) => {
        match $value {
            ModelValue::Word(code) => $word::from_code(*code),
            _ => None,
        }
    };
    ($value:expr, $kind:ident) => {
        match $value {
            ModelValue::$kind(value) => Some(*value),
            _ => None,
        }
    };
}

/// What is compared: doubles by their bits, ids by what they are, levels one by one.
macro_rules! compared {
    ($value:expr, Double) => {
        $value.map(f64::to_bits)
    };
    ($value:expr, Id) => {
        $value.map(|id| id.to_string())
    };
    ($value:expr, Levels) => {
        $value.map(|levels| levels.iter().map(|level| level_bits(&level)).collect::<Vec<_>>())
    };
    ($value:expr, $kind:tt) => {
        $value
    };
}

fn level_bits(level: &impl std::borrow::Borrow<Level>) -> (u64, u64) {
    let level = level.borrow();
    (level.price.to_bits(), level.size.to_bits())
}

macro_rules! test_table {
    ($module:ident, $row:ident, $fixed:ident, { $($column:ident: $kind:tt),+ $(,)? } flags { $($flag:ident),* }) => {
        mod $module {
            use super::*;

            #[test]
            fn the_struct_lies_where_the_schema_says() {
                let schema = <$row<'static> as StandardTable>::schema();
                assert_eq!(schema.id, <$row<'static> as StandardTable>::ID);
                assert_eq!(schema.fixed_bytes, size_of::<$fixed>());
                assert_eq!(schema.row_align.max(align_of::<$fixed>()), schema.row_align);
                let slots: Vec<_> = schema.columns.iter().filter(|column| column.kind.slot_bytes() > 0).collect();
                let fields = [$((std::mem::offset_of!($fixed, $column), size_of::<slot_type!($kind)>(), column_kind!($kind))),+];
                assert_eq!(slots.len(), fields.len());
                for (slot, (offset, bytes, kind)) in slots.iter().zip(fields) {
                    assert_eq!((slot.offset, slot.kind.slot_bytes(), slot.kind), (offset, bytes, kind), "{}", slot.name);
                    assert_eq!(slot.offset % slot.kind.slot_align(), 0, "{}", slot.name);
                }
            }

            #[test]
            fn a_row_of_nulls_reads_as_none() {
                let mut batch = Batch::new();
                batch.push($row { symbol: "X", ..$row::default() }).unwrap();
                let batch = batch.encode();
                EncodedBatch::check(batch.bytes().clone(), &Schemas::standard()).unwrap();
                let read = Record::<$row<'static>>::new(model::records(&batch)[0]).unwrap();
                $(assert!(read.$column().is_none());)+
                $(assert!(read.$flag().is_none());)*
                assert_eq!((read.recv_ts(), read.feed_seq(), read.ts(), read.seq()), (None, None, 0, 1));
                let schema = <$row<'static> as StandardTable>::schema();
                assert_eq!(read.raw().row, schema.null_row());
            }

            proptest! {
                #![proptest_config(model::cases(40))]

                #[test]
                fn what_is_pushed_is_what_is_read(
                    rows in prop::collection::vec(model::any_row(<$row<'static> as StandardTable>::schema()), 1..24)
                ) {
                    let schema = <$row<'static> as StandardTable>::schema();
                    let mut batch = Batch::new();
                    let mut structs = Vec::new();
                    for row in &rows {
                        let mut values = row.values.iter();
                        let written = $row {
                            symbol: &row.symbol,
                            ts: row.ts,
                            recv_ts: row.recv_ts,
                            feed_seq: row.feed_seq,
                            $($column: given!(values.next().unwrap(), $kind),)+
                            $($flag: given!(values.next().unwrap(), Bool),)*
                        };
                        batch.push(written).unwrap();
                        structs.push(written);
                    }
                    let batch = batch.encode();
                    let batch = EncodedBatch::check(batch.bytes().clone(), &Schemas::standard()).unwrap();
                    // A row written by column gives the same bytes as a row written from the struct.
                    let by_column = model::batch_of(schema, &rows);
                    prop_assert_eq!(&batch.bytes()[..], &by_column.bytes()[..]);
                    let records = model::records(&batch);
                    prop_assert_eq!(records.len(), rows.len());
                    for ((row, written), raw) in rows.iter().zip(&structs).zip(records) {
                        row.assert_is(schema, &raw);
                        let read = Record::<$row<'static>>::new(raw).unwrap();
                        $(prop_assert_eq!(compared!(read.$column(), $kind), compared!(written.$column, $kind));)+
                        $(prop_assert_eq!(read.$flag(), written.$flag);)*
                    }
                }
            }
        }
    };
}

test_table!(trades, Trade, TradeFixed, {
    price: Double, size: Double, side: (Word Side), trade_id: Id, venue: Text, conditions: Text,
    bid_order_id: Id, ask_order_id: Id,
} flags {});
test_table!(quotes, Quote, QuoteFixed, {
    bid_price: Double, bid_size: Double, ask_price: Double, ask_size: Double, venue: Text, conditions: Text,
} flags {});
test_table!(ticks, Tick, TickFixed, {
    last_price: Double, open: Double, high: Double, low: Double, pre_close: Double, pre_settlement: Double,
    upper_limit: Double, lower_limit: Double, volume: Double, turnover: Double, open_interest: Double,
    bid_price: Double, bid_size: Double, ask_price: Double, ask_size: Double, trading_day: Date,
} flags {});
test_table!(book_snapshots, BookSnapshot, BookSnapshotFixed, { bids: Levels, asks: Levels } flags {});
test_table!(book_deltas, BookDelta, BookDeltaFixed, {
    side: (Word BookSide), action: (Word Action), price: Double, size: Double, order_id: Id,
} flags { event_end, snapshot });
test_table!(bars, Bar, BarFixed, {
    period: Text, open: Double, high: Double, low: Double, close: Double, volume: Double, turnover: Double,
    trade_count: BigInt, open_interest: Double,
} flags {});
test_table!(orders, Order, OrderFixed, {
    order_id: Id, account: Id, side: (Word Side), position_effect: (Word PositionEffect), kind: Text,
    time_in_force: Text, price: Double, size: Double, client_order_id: Id,
} flags {});
test_table!(order_updates, OrderUpdate, OrderUpdateFixed, {
    order_id: Id, account: Id, status: (Word OrderStatus), filled: Double, remaining: Double,
    average_price: Double, reason: Text,
} flags {});
test_table!(executions, Execution, ExecutionFixed, {
    execution_id: Id, order_id: Id, account: Id, side: (Word Side), position_effect: (Word PositionEffect),
    price: Double, size: Double, fee: Double, liquidity: (Word Liquidity),
} flags {});
test_table!(balances, Balance, BalanceFixed, {
    account: Id, balance: Decimal, available: Decimal, frozen: Decimal, margin: Decimal,
} flags {});
test_table!(positions, Position, PositionFixed, {
    account: Id, side: Text, size: Double, average_price: Double, margin: Double, realized_pnl: Double,
    unrealized_pnl: Double,
} flags {});
test_table!(instruments, Instrument, InstrumentFixed, {
    venue: Text, kind: Text, tick_size: Double, lot_size: Double, multiplier: Double, currency: Text,
    expiry: Timestamp,
} flags {});

#[test]
fn standard_tables_are_numbered_from_1_without_gaps() {
    let schemas = Schemas::standard();
    for (at, schema) in schemas.iter().enumerate() {
        assert_eq!(usize::from(schema.id.0), at + 1);
        assert_eq!(schemas.get(schema.id).unwrap().name, schema.name);
        assert_eq!(schemas.by_name(&schema.name).unwrap().id, schema.id);
        assert_eq!(schema.layout, 1);
    }
    assert_eq!(schemas.iter().count(), 12);
    assert!(schemas.get(TableId(0)).is_none() && schemas.get(TableId(13)).is_none());
    assert!(schemas.by_name("trade").is_none());
}

#[test]
fn words_have_codes_from_1() {
    for (words, first, last) in [(Side::WORDS, "buy", "sell"), (Action::WORDS, "set", "clear")] {
        assert_eq!(words.code(first), Some(1));
        assert_eq!(words.code(last), Some(words.words.len() as u8));
        assert_eq!(words.word(0), None);
        assert_eq!(words.word(words.words.len() as u8 + 1), None);
        assert_eq!(words.code("BUY"), None);
    }
    assert_eq!(PositionEffect::CloseToday.as_str(), "close_today");
}
