//! Reads the files that users have into batches of a table: CSV (plain, gzip, zstd, inside zip) and Parquet; and rows
//! that come as Arrow batches.
//!
//! The way of a row: a file is recognised and unpacked as a stream (`input`), split into records (`csv`) or decoded in
//! pieces (`columnar`); a [`Plan`], made once from the column names, says which source goes where; `rows` turns each
//! source row into a row of a [`tapebook_record::Batch`], with the rules of `time`, `number` and `words`; full
//! batches go to a [`BatchSink`].
//!
//! *Boundary*: this crate reads, and nothing else. It knows no database, numbers no rows and keeps no state between
//! files.
//!
//! # Values
//!
//! An empty field is NULL, and so is an unquoted `NULL`, `null` or `\N`, except in `symbol`, where names such as `NULL`,
//! `NAN` and `TRUE` are names. An empty text in quotes is an empty text. Numbers are what Rust's own parser makes of
//! them; thousands separators are not guessed. NaN and infinity are bad values
//! (see [`ImportOptions::nan_as_null`]). Ids stay texts where they are no canonical number, so `000001` keeps its
//! zeros. `n`, `0`, `none` and `unknown` mean NULL for a side.
//!
//! # Times
//!
//! - Numbers: [`ImportOptions::time_unit`], else their size says the unit. Numbers of 8, 14 and 17 digits that read as
//!   `YYYYMMDD`, `YYYYMMDDhhmmss` and `YYYYMMDDhhmmssmmm` are local dates and times.
//! - Text: a date (`2021-01-04`, `2021.01.04`, `2021/01/04`, `20210104`), then `T`, `D` or a space, then a time with up
//!   to nine places, then nothing, `Z` or an offset. Without a zone it is local, as [`ImportOptions::time_zone`] says.
//! - Date and time in two columns; the time may also be a number such as `93000123` (09:30:00.123), or since midnight
//!   in [`ImportOptions::time_unit`] where that is given.
//! - With [`ImportOptions::date`] numbers are clock time since midnight. A time of receipt without a date is on the day
//!   that brings it closest to its event.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "reads the user's own files, which are no part of the database's disk"
)]

mod cell;
mod columnar;
mod csv;
mod error;
mod import;
mod input;
mod number;
mod options;
pub mod plan;
mod report;
mod rows;
mod sink;
mod time;
mod words;

pub use error::{ImportError, ImportFailure, RowError};
pub use import::{import_arrow, import_file, plan_file};
pub use options::{DateOption, ImportOptions, OnError};
pub use plan::{ColumnPlan, Plan, Source, SourceColumn};
pub use report::{FIRST_ERRORS_MAX, FileReport, Progress};
pub use sink::{BatchSink, SinkError};
pub use time::{TimeUnit, Zone};
