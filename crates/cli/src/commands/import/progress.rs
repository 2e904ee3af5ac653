//! How far an import is, on a terminal.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tapebook_import::Progress;

/// A bar over the bytes of all files. Without a terminal, or where the user wants it quiet, nothing is drawn.
#[derive(Debug)]
pub(super) struct ImportBar {
    bar: ProgressBar,
    bytes_before: u64,
    rows_before: u64,
}

impl ImportBar {
    pub(super) fn new(bytes_total: u64, quiet: bool) -> Self {
        let target = if !quiet && io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(bytes_total), target);
        let template = "{bar:30} {percent:>3} %  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {msg}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, bytes_before: 0, rows_before: 0 }
    }

    pub(super) fn show(&self, progress: Progress) {
        self.bar.set_position(self.bytes_before + progress.bytes_read);
        self.bar.set_message(format!("{} rows", self.rows_before + progress.rows_imported));
    }

    /// A file is done.
    pub(super) fn advance(&mut self, bytes: u64, rows: u64) {
        self.bytes_before += bytes;
        self.rows_before += rows;
        self.bar.set_position(self.bytes_before);
    }

    /// Prints a line above the bar.
    pub(super) fn log(&self, quiet: bool, message: &str) {
        if !quiet {
            self.bar.suspend(|| eprintln!("{message}"));
        }
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
