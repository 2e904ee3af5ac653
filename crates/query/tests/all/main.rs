//! SQL on a database: one binary, one scenario to a file.

mod retractions;
mod support;
