//! Rows of the table that is printed.

use crate::measure::{Runs, peak_mib};

/// One line: what was measured, beside its baseline.
pub struct Line<'a> {
    /// What was measured.
    pub what: &'a str,
    /// The unit of both values.
    pub unit: &'a str,
    /// One value for each run.
    pub measured: &'a Runs,
    /// What it is compared with, measured in the same runs.
    pub baseline: Option<(&'a str, &'a Runs)>,
    /// Whatever belongs to it: the processor time, what is in flight.
    pub note: String,
}

/// The table's head.
pub fn head() {
    println!("| what | measured | baseline of the same run | measured / baseline | notes |");
    println!("|---|---|---|---|---|");
}

impl Line<'_> {
    /// Prints the line; values are `median [least–greatest]` over the runs.
    pub fn print(&self) {
        let Self { what, unit, measured, baseline, note } = self;
        let (beside, ratio) = match baseline {
            Some((name, baseline)) => {
                (format!("{name}: {baseline} {unit}"), measured.over(baseline).to_string())
            }
            None => (String::new(), String::new()),
        };
        println!("| {what} | {measured} {unit} | {beside} | {ratio} | {note} |");
    }
}

/// What the process had in memory at most, as a line of its own.
pub fn print_peak(name: &str) {
    println!("| {name}: peak resident memory, input and mapped files included | {} MiB | | | |", peak_mib());
}
