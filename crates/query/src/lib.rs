//! SQL over a snapshot of the database, with DataFusion.
//!
//! [`SqlEngine`] plans and runs queries, [`SqlSession`] those of one connection or shell, by what it has set; [`DbSql`] puts
//! `db.sql("SELECT …")` on a database. One snapshot is taken for each query and shared by all its tables. Results are
//! Arrow, streamed as [`QueryStream`].
//!
//! *Boundary*: no type of DataFusion appears in the public API.

#![forbid(unsafe_code)]

mod as_of;
mod catalog;
mod constraints;
mod engine;
mod error;
mod partitions;
mod scan;
mod session;
mod settings;
mod stream;
mod system_tables;
mod table;

pub use engine::{DbSql, SqlEngine, SqlOptions};
pub use error::SqlError;
pub use session::{Answer, SqlSession};
pub use stream::QueryStream;
