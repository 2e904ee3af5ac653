//! What Tapebook stores: tables, records, batches and symbols, and how they look in memory, in the log and in Arrow.
//!
//! One row layout serves every table: a fixed part with one slot per column and a tail for texts and lists
//! ([`schema`], [`slot`]). A [`Batch`] gathers rows at the edge and is encoded once; an [`EncodedBatch`] is those
//! bytes, and from then on the log, the MemTable, followers and subscribers use them as they are. A
//! [`Record`] is one row read in place. [`projection`] turns rows into Arrow columns.
//!
//! This crate does no I/O and knows nothing of logs, files or threads.

#![forbid(unsafe_code)]

pub mod batch;
mod bytes;
mod checksum;
pub mod codec;
#[cfg(test)]
mod model;
#[cfg(feature = "arrow")]
pub mod projection;
mod read_record;
pub mod record;
mod row_writer;
pub mod schema;
mod shared_bytes;
pub mod slot;
pub mod symbol;
pub mod tables;

pub use batch::{Batch, BatchError, BatchRows, EncodedBatch, Producer, PushError, RowHeader};
pub use bytes::{AlignedBytes, BATCH_ALIGN};
pub use checksum::{Crc32c, crc32c};
pub use read_record::ReadRecord;
pub use record::{RawRecord, Record};
pub use row_writer::{RowWriter, ValueError};
pub use schema::{Column, ColumnKind, Schemas, TableId, TableSchema, Words};
pub use shared_bytes::SharedBytes;
pub use slot::{Id, Level, Levels};
pub use symbol::{SYMBOL_BYTES_MAX, SymbolError, Symbols};
pub use tables::{
    Action, Balance, Bar, BookDelta, BookSide, BookSnapshot, Execution, Instrument, Liquidity, Order,
    OrderStatus, OrderUpdate, Position, PositionEffect, Quote, Side, StandardRow, StandardTable, Tick, Trade,
};
