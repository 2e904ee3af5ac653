//! SQL over a snapshot of the database, with DataFusion.
//!
//! [`SqlEngine`] plans and runs queries, [`SqlSession`] those of one connection or shell, by what it has set; [`DbSql`] puts
//! `db.sql("SELECT …")` on a database. One snapshot is taken for each query and shared by all its tables. Results are
//! Arrow, streamed as [`QueryStream`].
//!
//! A server goes step by step: a [`Statement`] says what it reads and which parameters it has, a [`PlannedQuery`] what
//! its columns are, and only then it runs.
//!
//! *Boundary*: no type of DataFusion appears in the public API.

#![forbid(unsafe_code)]

mod as_of;
mod catalog;
mod constraints;
mod describe;
mod engine;
mod error;
mod memory;
mod partitions;
mod placeholders;
mod reads;
mod running;
mod scan;
mod session;
mod settings;
mod statement;
mod stream;
mod system_source;
mod system_tables;
mod table;

pub use catalog::{CATALOG, SCHEMA};
pub use describe::TableDescription;
pub use engine::{DbSql, SqlEngine, SqlOptions};
pub use error::SqlError;
pub use reads::Reads;
pub use session::{Answer, SqlSession};
pub use statement::{PlannedQuery, Statement};
pub use stream::QueryStream;
pub use system_source::SystemSource;
