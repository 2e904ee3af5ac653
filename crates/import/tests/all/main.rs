//! What a user sees of an import: files in, rows and messages out.

#![allow(clippy::disallowed_methods, reason = "writes and reads files of its own, outside of any database")]

mod bad_input;
mod formats;
mod market_data;
mod parquet_types;
mod rows;
mod values;
