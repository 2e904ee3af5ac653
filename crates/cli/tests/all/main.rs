//! Runs the real binary, as users do.

#![allow(clippy::disallowed_methods, reason = "makes files for the binary and looks at those that it leaves")]

mod backup;
mod bench;
mod checkpoint;
mod cluster;
mod crash;
mod demo;
mod errors;
mod files;
mod formats;
mod golden;
mod history;
mod import;
mod objects;
mod remote_sql;
mod resume;
mod retention;
mod retract;
mod serve;
mod served;
mod shell;
mod support;
mod tail;
