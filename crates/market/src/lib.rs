//! A simulated market: the demonstration of Tapebook, and the source of realistic records for tests and load.
//!
//! A [`Market`] has instruments, accounts with money, participants who send and cancel orders, and a venue that
//! matches them by price and time. It writes all of it, the private side and the public one, as rows of the
//! standard tables, and these rows agree with each other:
//!
//! - Money is whole units of 10^-9. What an order could cost is held back when it is accepted; of each currency,
//!   the sum over all accounts, that of the fees included, never changes.
//! - Every trade is one row in `trades` and two in `executions`. For each order, `order_updates` tell `accepted`,
//!   then any number of `partially_filled`, then `filled` or `cancelled` unless it still stands; or only `rejected`.
//! - Of `book_deltas` the book at any moment follows; in the order-by-order form, an order whose `fill`s add up to
//!   its size is gone without a `delete`. A `quotes` row comes whenever the best bid or offer is another one.
//! - Public rows are numbered: `feed_seq` rises by 1 per symbol and table, in the order in which things happened,
//!   which with late rows is not that of their arrival.
//!
//! Everything follows from the seed and the options, byte for byte and on every machine: there is no clock but the
//! simulated one, and no randomness but [`random::Random`].
//!
//! ```
//! use tapebook_market::{Market, MarketOptions, Row};
//! use tapebook_record::Batch;
//!
//! let mut market = Market::new(MarketOptions { seed: 7, ..MarketOptions::default() })?;
//!
//! // Row by row, one event at a time …
//! let mut trades = 0;
//! while trades < 10 {
//!     market.step(|row| trades += usize::from(matches!(row, Row::Trade(_))));
//! }
//!
//! // … or in batches, ready to be written.
//! for batch in market.batches(500).take(3) {
//!     assert_eq!(batch?.encode().len(), 500);
//! }
//! let mut batch = Batch::new();
//! market.fill_batch(&mut batch, 100)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Load without agreement, but far faster, comes from [`generator::ticks`].
//!
//! This crate does no I/O and starts no thread.

#![forbid(unsafe_code)]

mod account;
mod delivery;
mod feed;
pub mod generator;
mod instrument;
mod market;
mod matching;
pub mod options;
pub mod order_book;
mod participant;
mod position;
pub mod random;
mod row;
mod statistics;
mod venue;
mod weighted;

pub use account::Holding;
pub use instrument::InstrumentSpec;
pub use market::Market;
pub use options::{BookFeed, MarketOptions, OptionsError, Participants};
pub use order_book::OrderBook;
pub use position::NetPosition;
pub use row::Row;
