//! The database as a whole: one binary, one scenario to a file.

mod backpressure;
mod basics;
mod clients;
mod crash;
mod faults;
mod hook;
mod random;
mod rows;
mod support;
mod syncs;
