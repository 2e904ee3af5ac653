//! What several scenarios need.

use std::sync::Arc;
use std::time::Duration;

use tapebook::{Batch, CompactionOptions, Db, Options, Record, Snapshot, Trade, WalOptions};
use tapebook_vfs::{MemoryVfs, Vfs};

/// A simulated database that does everything inside the calls.
pub fn simulated(vfs: &MemoryVfs) -> Options {
    on(Arc::new(vfs.clone()))
}

/// [`simulated`] on any file system.
pub fn on(vfs: Arc<dyn Vfs>) -> Options {
    Options {
        vfs,
        wal: WalOptions { segment_bytes: 512 << 10, ..WalOptions::default() },
        memtable_bytes: 64 << 10,
        background: false,
        command: "test".to_owned(),
        max_future: None,
        ..Options::default()
    }
}

pub const HOUR: Duration = Duration::from_secs(3600);

/// [`on`] with small segments, and with a journal that is kept for a day.
pub fn with_archive(vfs: Arc<dyn Vfs>) -> Options {
    Options {
        wal: WalOptions { segment_bytes: 64 << 10, payload_bytes_max: 32 << 10, ..WalOptions::default() },
        memtable_bytes: 16 << 10,
        journal_retention: Some(24 * HOUR),
        ..on(vfs)
    }
}

/// Small enough that a few flushes bring up every kind of choice.
pub const SMALL_FILES: CompactionOptions = CompactionOptions {
    file_bytes: 8_000,
    fan_in: 2,
    late_ratio: 2,
    partition_bytes_min: 4_000,
    partition_bytes_max: 20_000,
    late_allowance: None,
};

/// A batch of trades of one symbol, whose prices tell them apart.
pub fn trades(symbol: &str, first_ts: i64, prices: std::ops::Range<u32>) -> Batch {
    let mut batch = Batch::new();
    for (at, price) in prices.enumerate() {
        let trade = Trade {
            symbol,
            ts: first_ts + at as i64,
            price: Some(f64::from(price)),
            trade_id: Some(u64::from(price).into()),
            ..Trade::default()
        };
        batch.push(trade).expect("a valid row");
    }
    batch
}

/// `(ts, seq, price)` of every trade of a symbol.
pub fn prices(snapshot: &Snapshot, symbol: &str) -> Vec<(i64, u64, f64)> {
    let of = |trade: Record<'_, Trade<'static>>| (trade.ts(), trade.seq(), trade.price().expect("a price"));
    snapshot.scan::<Trade>(symbol, ..).expect("a scan").map(|trade| of(trade.expect("a trade"))).collect()
}

/// Opens or fails with the reason.
pub fn open(options: Options) -> Db {
    Db::open_with("/db", options).unwrap_or_else(|error| panic!("{error}"))
}
