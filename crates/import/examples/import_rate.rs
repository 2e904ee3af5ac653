//! Imports files into nothing and prints how fast that went.
//!
//! `cargo run --release -p tapebook-import --example import_rate -- TABLE FILE… [-- OPTION=VALUE…]`, with the options
//! `columns`, `symbol`, `date`, `time-zone`, `time-unit`, `on-error`, `map`, `set`.

#![allow(clippy::disallowed_methods, reason = "measures wall time of reading the user's own files")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use tapebook_import::{ImportOptions, import_file, plan_file};
use tapebook_record::{Batch, Schemas};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let table = arguments.next().ok_or("TABLE is missing")?;
    let arguments: Vec<String> = arguments.collect();
    let (files, settings) = match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (&arguments[..], &[][..]),
    };
    let mut options = ImportOptions::new(i64::MAX);
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or("an option is NAME=VALUE")?;
        let pair =
            || value.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or("COLUMN=… is missing");
        match name {
            "columns" => options.columns = Some(value.split(',').map(str::to_owned).collect()),
            "symbol" => options.symbol = Some(value.to_owned()),
            "date" => options.date = Some(value.parse()?),
            "time-zone" => options.time_zone = value.parse()?,
            "time-unit" => options.time_unit = Some(value.parse()?),
            "on-error" => options.on_error = value.parse()?,
            "map" => options.map.push(pair()?),
            "set" => options.set.push(pair()?),
            other => return Err(format!("{other} is no option").into()),
        }
    }
    let schemas = Schemas::standard();
    let schema = schemas.by_name(&table).ok_or("no such table")?;
    if let Some(plan) =
        files.first().map(|file| plan_file(Path::new(file), schema, &options)).transpose()?.flatten()
    {
        print!("{plan}");
    }
    let start = Instant::now();
    let (mut rows, mut batches, mut skipped) = (0, 0_u64, 0);
    let mut first_error = None;
    for file in files {
        let mut sink = |batch: Batch| {
            batches += 1;
            std::hint::black_box(&batch);
            Ok(())
        };
        let report = import_file(Path::new(file), schema, &options, &mut sink, &mut |_| ())?;
        rows += report.rows_imported;
        skipped += report.rows_skipped;
        first_error = first_error.or(report.first_errors.first().cloned());
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{rows} rows, {skipped} skipped, {batches} batches, {seconds:.3} s, {:.0} rows/s",
        rows as f64 / seconds
    );
    if let Some(error) = first_error {
        println!("first error: {error}");
    }
    Ok(())
}
