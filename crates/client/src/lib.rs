//! The Rust client of a Tapebook server: writes exactly once, follows the journal, reads rows.
//!
//! ```no_run
//! use tapebook_client::{Client, ClientOptions, ProducerOptions, Start, SubscribeOptions};
//! use tapebook_record::Trade;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(ClientOptions::from_url("grpc://127.0.0.1:7700")?).await?;
//!
//! // Batches are numbered, so that one that is sent again after a broken connection is still written once.
//! let producer = client.producer(ProducerOptions::new(7)).await?;
//! let written = producer.push(Trade { symbol: "BINANCE.BTCUSDT", ts: 1, price: Some(61_800.2), ..Trade::default() }).await?;
//! println!("durable as seq {}", written.await?.seq);
//!
//! // A subscription goes on where it was after a broken connection.
//! let mut journal = client.subscribe(SubscribeOptions::new(Start::Seq(1)).table("trades"));
//! loop {
//!     let batch = journal.next_batch().await?;
//!     for (_, trade) in batch.records() {
//!         println!("seq {}: {} at {}", trade.seq, trade.symbol, trade.ts);
//!     }
//! }
//! # }
//! ```
//!
//! A [`Client`] knows several addresses and holds one connection; where it breaks, the next address is tried, with a growing
//! pause. Where the server is one of several nodes and another one leads, writes go there, at the address that it names. Whatever must
//! not wait for ever has a bound, and the error at its end says what is known.
//!
//! [`Client::cluster`] shows what the nodes do and changes who belongs to them; [`Client::admin`] asks for the rest of what
//! administrators may ask for.
//!
//! *Boundary*: it knows the wire and the batch format and nothing of the engine.

#![forbid(unsafe_code)]

mod address;
mod admin;
mod backoff;
mod client;
mod cluster;
mod connect;
mod error;
mod options;
mod producer;
mod read;
mod subscribe;

pub use address::{Address, AddressError};
pub use admin::Admin;
pub use client::Client;
pub use cluster::{ClusterAdmin, ClusterStatus, Member, NodeRole, NodeState};
pub use error::{ClientError, Refused};
pub use options::{ClientOptions, Tls, TlsError};
pub use producer::{
    AppendedBatch, AppendedRow, FeedNumbers, KnownProducer, Producer, ProducerError, ProducerOptions,
    Receipt, RowReceipt,
};
pub use read::{FoundRow, ScanOptions, ScannedPiece, ScannedRows};
pub use subscribe::{Cursor, Event, FeedGap, JournalBatch, Start, SubscribeOptions, Subscription};

pub use tapebook_proto::v1::RefusalReason;
