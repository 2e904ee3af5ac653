//! The record of the append measurement: one trade of 128 bytes, key and value, without an id.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tapebook::{Batch, PushError, Side, StandardTable, Trade};

use crate::input::{SYMBOLS, symbol_name, value_of};
use crate::key::{ROW_KEY_BYTES, RowKey, row_key};

/// Bytes of key and value.
pub const SMALL_BYTES: usize = 128;
const BEGIN: i64 = 1_723_161_600_000_000_000;

/// A trade, told from the others by its number.
#[derive(Clone, Copy, Debug)]
pub struct SmallTrade {
    /// Counts from 1; key-value engines take it as the sequence number.
    pub number: u64,
}

impl SmallTrade {
    /// The next one of a database.
    pub fn next(counter: &AtomicU64) -> Self {
        Self { number: counter.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    fn symbol(self) -> u32 {
        // Scattered, so that trades that follow one another go to different places in the key space.
        (self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 % SYMBOLS + 1
    }

    fn ts(self) -> i64 {
        BEGIN + self.number as i64
    }

    /// Adds it to a batch of Tapebook's.
    pub fn push_to(self, batch: &mut Batch) -> Result<(), PushError> {
        let Form { names, filler, .. } = form();
        batch.push(self.row(&names[self.symbol() as usize - 1], filler))
    }

    fn row<'a>(self, symbol: &'a str, filler: &'a str) -> Trade<'a> {
        Trade {
            symbol,
            ts: self.ts(),
            price: Some(61_800.25),
            size: Some(0.006),
            side: Some(Side::Buy),
            venue: Some("GEN"),
            conditions: Some(filler),
            recv_ts: Some(self.ts()),
            feed_seq: Some(self.number),
            ..Trade::default()
        }
    }

    /// Its key in a key-value engine.
    pub fn key(self) -> RowKey {
        row_key(Trade::ID.0, self.symbol(), self.ts(), self.number)
    }

    /// Its value in a key-value engine: what stands in Tapebook's row header beside the key, and the row's bytes. Only
    /// the first words differ from trade to trade.
    pub fn value(self) -> [u8; SMALL_BYTES - ROW_KEY_BYTES] {
        let mut value = form().value;
        value[..8].copy_from_slice(&self.ts().to_le_bytes());
        value[8..16].copy_from_slice(&self.number.to_le_bytes());
        value
    }
}

/// What all small trades share.
struct Form {
    names: Vec<String>,
    /// As long as it takes to come to [`SMALL_BYTES`].
    filler: String,
    value: [u8; SMALL_BYTES - ROW_KEY_BYTES],
}

/// The form is the same for ever, so that it is made once; that there is one is checked by a test.
fn form() -> &'static Form {
    static FORM: OnceLock<Form> = OnceLock::new();
    FORM.get_or_init(|| {
        let names = (1..=SYMBOLS).map(symbol_name).collect();
        let fitting = |filler: String| Some((value_with(&filler)?.try_into().ok()?, filler));
        let (value, filler) =
            (0..SMALL_BYTES).find_map(|length| fitting("x".repeat(length))).expect("some length fits");
        Form { names, filler, value }
    })
}

/// The value of the first small trade with such a filler.
fn value_with(filler: &str) -> Option<Vec<u8>> {
    let first = SmallTrade { number: 1 };
    let mut batch = Batch::new();
    batch.push(first.row(&symbol_name(first.symbol()), filler)).ok()?;
    Some(value_of(&batch.encode(), 0))
}

#[cfg(test)]
mod tests {
    use tapebook::Batch;

    use super::{SMALL_BYTES, SmallTrade};
    use crate::input::value_of;

    #[test]
    fn both_forms_of_a_small_trade_hold_the_same() {
        let mut batch = Batch::new();
        let trades = [1, 2, 77_777].map(|number| SmallTrade { number });
        trades.iter().for_each(|trade| trade.push_to(&mut batch).expect("it fits"));
        let batch = batch.encode();
        for (at, trade) in trades.iter().enumerate() {
            assert_eq!(value_of(&batch, at), trade.value());
            assert_eq!(trade.key().len() + trade.value().len(), SMALL_BYTES);
            assert_eq!(crate::key::ts_of(&trade.key()), batch.row_header(at).ts);
        }
    }
}
