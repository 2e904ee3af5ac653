//! Programs of others read history while it grows and its files are replaced: every answer is one of a whole state.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tapebook::{Batch, CompactionGoal, CompactionOptions, Db, Durability, Options, Trade};
use tapebook_vfs::{RealVfs, Vfs};

const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;
const DAYS: i64 = 6;
const ROWS_OF_A_DAY: i64 = 500;
/// Rows that come late for one day at a time.
const LATE_ROWS: i64 = 10;
const ROUNDS: i64 = 24;

/// A program that counts until its input ends.
struct Counting {
    name: &'static str,
    child: Child,
    lines: Arc<Mutex<Vec<[u64; 3]>>>,
    reading: std::thread::JoinHandle<()>,
}

impl Counting {
    fn start(name: &'static str, folder: &Path) -> Self {
        let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("readers");
        assert!(
            RealVfs::new().exists(&environment.join("installed.txt")).unwrap(),
            "no programs to read history with; install them with: scripts/install-tools.sh readers {}",
            environment.parent().unwrap().display()
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/readers/count.py");
        let mut child = Command::new(environment.join("bin/python"))
            .arg(script)
            .args([name, folder.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&lines);
        let reading = std::thread::spawn(move || {
            for line in output.lines().map(Result::unwrap) {
                let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
                into.lock().unwrap().push(numbers.try_into().unwrap());
            }
        });
        Self { name, child, lines, reading }
    }

    fn answers(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    fn end(mut self) -> (&'static str, Vec<[u64; 3]>) {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        self.reading.join().unwrap();
        assert!(status.success(), "{} failed", self.name);
        (self.name, self.lines.lock().unwrap().clone())
    }
}

fn append(db: &Db, rows: impl Iterator<Item = i64>) {
    let mut batch = Batch::new();
    for ts in rows {
        let symbol = if ts % 2 == 0 { "A" } else { "B" };
        batch.push(Trade { symbol, ts, price: Some(ts as f64), ..Trade::default() }).unwrap();
    }
    db.append(batch, Durability::Synced).unwrap().wait().unwrap();
}

#[test]
fn other_programs_count_right_while_files_are_replaced() {
    let place = tempfile::tempdir().unwrap();
    // So that each day is a partition of its own, whatever little there is in it.
    let compaction = CompactionOptions { partition_bytes_min: 1, ..CompactionOptions::default() };
    let options = Options { compaction, background: false, ..Options::default() };
    let db = Db::open_with(place.path(), options).unwrap();
    let convert = || {
        db.flush().unwrap();
        db.compact(CompactionGoal::History).unwrap();
    };
    for day in 0..DAYS {
        append(&db, (0..ROWS_OF_A_DAY).map(|row| day * DAY + row));
        convert();
    }
    let folder = place.path().join("history/trades");
    let files = RealVfs::new().read_dir(&folder).unwrap();
    assert_eq!(files.len() as i64, DAYS, "a file for each day");
    let first = db.snapshot().visible_seq();
    let programs: Vec<Counting> =
        ["duckdb", "polars", "pandas"].map(|name| Counting::start(name, &folder)).into();
    while programs.iter().any(|program| program.answers() == 0) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for round in 0..ROUNDS {
        let day = round % DAYS;
        append(&db, (0..LATE_ROWS).map(|row| day * DAY + row * 7));
        convert();
    }
    let last = db.snapshot().visible_seq();
    for program in programs {
        let (name, answers) = program.end();
        let mut before = 0;
        for [rows, different, _] in &answers {
            assert_eq!(rows, different, "{name}: a row twice");
            assert!(
                (first..=last).contains(rows) && (rows - first).is_multiple_of(LATE_ROWS as u64),
                "{name}: {rows}"
            );
            assert!(*rows >= before, "{name}: fewer rows than before");
            before = *rows;
        }
        assert_eq!(answers.last().unwrap(), &[last, last, last * (last + 1) / 2], "{name}");
        println!("{name}: {} answers, {} different", answers.len(), {
            let mut different = answers.clone();
            different.dedup();
            different.len()
        });
    }
}
