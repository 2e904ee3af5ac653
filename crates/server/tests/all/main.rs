//! A server in this process, and everybody who might come. One binary, a folder for each part, a file for each scenario.

#![allow(
    clippy::disallowed_methods,
    reason = "reads the clock, makes certificates and looks at the files that the server leaves"
)]

mod cluster;
mod door;
mod journal;
mod sql;
