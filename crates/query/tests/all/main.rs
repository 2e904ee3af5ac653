//! SQL on a database: one binary, one scenario to a file.

mod compactions;
mod pinned;
mod retractions;
mod settings;
mod support;
