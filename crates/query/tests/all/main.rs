//! SQL on a database: one binary, one scenario to a file.

mod compactions;
mod feeds;
mod pinned;
mod retractions;
mod settings;
mod statements;
mod support;
