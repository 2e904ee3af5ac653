//! `kill -9` at any moment: the directory verifies, and every row whose receipt was printed is there.
//!
//! The same directories are killed again and again, so that recovery itself, and what follows it, is killed too.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};

use tapebook_market::random::Random;

use crate::support::Place;

/// Directories, and how often the process in each one is killed.
const DIRECTORIES: u64 = 4;
const KILLS: u64 = 25;
/// Rows of the file; far more than are imported before a kill.
const ROWS: u64 = 40_000;

#[test]
fn what_was_acknowledged_survives_a_hundred_kills() {
    let place = Place::new();
    let rows: String = (1..=ROWS).map(|row| format!("{row},S{},1.5,{row}\n", row % 7)).collect();
    place.write("rows.csv", &format!("ts,symbol,price,trade_id\n{rows}"));
    let mut random = Random::new(20_240_809);
    for directory in 0..DIRECTORIES {
        let data = place.path(&format!("db{directory}"));
        let mut imports = Imports::default();
        for _ in 0..KILLS {
            imports.kill_one(&place, &data, &mut random);
        }
        assert!(imports.acknowledged > 0, "no import came as far as a receipt");
        std::fs::remove_dir_all(&data).unwrap();
    }
}

/// What is known about the imports into one directory.
#[derive(Debug, Default)]
struct Imports {
    /// The last sequence number that a receipt named.
    acknowledged: u64,
}

impl Imports {
    fn kill_one(&mut self, place: &Place, data: &Path, random: &mut Random) {
        let data = data.to_str().unwrap();
        // Small batches make many receipts; a few kills come before the first.
        let receipts = random.below(60);
        let batch_rows = (1 + random.below(40)).to_string();
        let args = [
            "import",
            "trades",
            "rows.csv",
            "--again",
            "--data",
            data,
            "--time-unit",
            "s",
            "--batch-rows",
            &batch_rows,
            "--progress-receipts",
        ];
        let child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        self.acknowledged = self.acknowledged.max(killed_after(child, receipts));

        let verified = place.run(&["verify", "--data", data]);
        let begun = Path::new(data).join("CURRENT").exists();
        // Before its first file is complete there is no database yet.
        assert!(verified.code == 0 || (!begun && self.acknowledged == 0), "{verified:?}");
        if self.acknowledged == 0 {
            return;
        }
        // Each import begins with row 1 of the file, and no row of it is left out.
        let query = "SELECT count(*), max(seq), count(DISTINCT seq),
                            count(*) FILTER (WHERE id = 1 OR id = before + 1)
                     FROM (SELECT seq, id, lag(id) OVER (ORDER BY seq) AS before
                           FROM (SELECT seq, CAST(trade_id AS BIGINT) AS id FROM trades))";
        let ran = place.run(&["sql", "--quiet", "--data", data, "--format", "csv", query]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let numbers: Vec<u64> =
            ran.out.lines().last().unwrap().split(',').map(|number| number.parse().unwrap()).collect();
        assert!(numbers[0] >= self.acknowledged, "{} of {} acknowledged rows", numbers[0], self.acknowledged);
        assert!(
            numbers.iter().all(|number| *number == numbers[0]),
            "rows are missing or out of order: {numbers:?}"
        );
    }
}

/// Kills the process when it has printed so many receipts; returns the last sequence number that it acknowledged.
fn killed_after(mut child: Child, receipts: u64) -> u64 {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    for _ in 0..receipts {
        if out.read_line(&mut told).unwrap() == 0 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it printed until it died was acknowledged as well.
    out.read_to_string(&mut told).unwrap();
    let whole = &told[..told.rfind('\n').map_or(0, |end| end + 1)];
    let last = whole.lines().rev().find_map(|line| line.strip_prefix("receipt ")?.split_once(".."));
    last.map_or(0, |(_, last)| last.parse().unwrap())
}
