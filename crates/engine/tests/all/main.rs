//! The database as a whole: one binary, one scenario to a file.

mod basics;
mod support;
