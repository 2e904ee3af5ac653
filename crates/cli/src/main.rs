//! The command `tapebook`.
//!
//! It turns arguments into calls of the library and results into text, CSV, JSON, Arrow or Parquet. Data goes to
//! standard output; progress, logs and errors go to standard error. It keeps no state but the shell's history.
//!
//! *Boundary*: nothing here decides what is durable, visible or valid. What a file of the database means is asked of
//! the crate that owns it.

#![forbid(unsafe_code)]

mod args;
mod backup_target;
mod clock;
mod commands;
mod connect;
mod data_dir;
mod error;
mod host_port;
mod interrupt;
mod latency;
mod log_lines;
mod notify;
mod output;
mod remote;
mod retention;
mod server_sql;
mod settings;
mod sql;
mod text;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Arguments;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return args::refuse(&error),
    };
    // Where it fails, whatever needs more files says so.
    let _ = tapebook_vfs::raise_open_files_limit();
    match commands::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
