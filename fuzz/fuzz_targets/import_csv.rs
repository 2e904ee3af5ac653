//! Files that are to be imported: text, and text in gzip, zstd and zip. Parquet is left to those who decode it.

#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tapebook_fuzz::split;
use tapebook_import::{DateOption, ImportOptions, OnError, Progress, TimeUnit, import_file};
use tapebook_record::{Batch, EncodedBatch, Schemas, TableSchema};

/// The end of 2030: the clock of an import is an option.
const NOW: i64 = 1_924_905_600_000_000_000;

fuzz_target!(|input: &[u8]| {
    let (table, rest) = split(input);
    let (bits, text) = split(rest);
    if text.starts_with(b"PAR1") {
        return;
    }
    let schemas = Schemas::standard();
    let Some(schema) = schemas.iter().nth(usize::from(table) % schemas.iter().count()) else { return };
    let path = path();
    std::fs::write(path, text).expect("the folder for temporary files can be written");
    import(schema, &schemas, path, &options(bits));
});

/// A file of this process's own, in memory where the machine has that.
fn path() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        folder.join(format!("tapebook-fuzz-{}.csv", std::process::id()))
    })
}

fn options(bits: u8) -> ImportOptions {
    let mut options = ImportOptions::new(NOW);
    let on = |bit: u8| bits & 1 << bit != 0;
    options.on_error = if on(0) { OnError::Skip } else { OnError::Stop };
    options.nan_as_null = on(1);
    options.time_unit = on(2).then_some(TimeUnit::Microsecond);
    options.symbol = on(3).then(|| "X".to_owned());
    options.date = on(4).then_some(DateOption::Day(18_631));
    options.latest_ts = options.latest_ts.filter(|_| !on(5));
    options.batch_rows = if on(6) { 3 } else { options.batch_rows };
    if on(7) {
        options.time_zone = "America/New_York".parse().expect("a known zone");
        options.symbol_prefix = Some("NYSE.".to_owned());
    }
    options
}

fn import(schema: &TableSchema, schemas: &Schemas, path: &PathBuf, options: &ImportOptions) {
    let mut rows = 0;
    let mut sink = |batch: Batch| {
        assert!(!batch.is_empty() && batch.len() <= options.batch_rows);
        let encoded = batch.encode();
        assert_eq!(encoded.bytes().len(), batch.encoded_bytes());
        EncodedBatch::check(encoded.bytes().clone(), schemas)
            .expect("what is imported is a batch that is taken");
        rows += batch.len() as u64;
        Ok(())
    };
    let mut before = Progress::default();
    let result = import_file(path, schema, options, &mut sink, &mut |progress| {
        assert!(progress.bytes_read >= before.bytes_read && progress.bytes_read <= progress.bytes_total);
        before = progress;
    });
    match result {
        Ok(report) => {
            assert_eq!(report.rows_imported, rows);
            assert_eq!(report.rows_read, report.rows_imported + report.rows_skipped);
        }
        Err(failure) => {
            assert_eq!(failure.report.rows_imported, rows);
            let _ = failure.to_string();
        }
    }
}
