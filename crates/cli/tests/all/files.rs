//! `verify`, `flush`, `compact`, `inspect` and `completions`.

use crate::support::{Place, the_file};

#[test]
fn a_sound_directory_verifies_before_and_after_a_flush() {
    let place = Place::with_trades();
    let before = place.ok(&["verify"]);
    assert!(before.contains("0 SSTables") && before.ends_with(": 0 problems\n"), "{before}");
    let ran = place.run(&["flush"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.err.contains("1 SSTable"), "{ran:?}");
    let after = place.ok(&["verify"]);
    assert!(after.contains("1 SSTable, 3 rows"), "{after}");
    assert_eq!(place.sql("SELECT count(*), max(seq) FROM trades"), "3,3");
    assert_eq!(place.run(&["flush", "--quiet"]).err, "");
    assert_eq!(place.sql("SELECT count(*) FROM sys.sstables"), "1");
}

#[test]
fn a_compacted_directory_holds_the_same_in_one_partition() {
    let place = Place::with_trades();
    place.ok(&["flush"]);
    let before = place.sql("SELECT * FROM trades ORDER BY seq");
    let ran = place.run(&["compact"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.err.contains("1 SSTable and 0 history files in 1 partition"), "{ran:?}");
    assert_eq!(place.sql("SELECT * FROM trades ORDER BY seq"), before);
    let sound = place.ok(&["verify"]);
    assert!(sound.contains("1 SSTable, 3 rows") && sound.ends_with(": 0 problems\n"), "{sound}");
    let again = place.run(&["compact"]).err;
    assert!(again.contains("moved 0 files"), "nothing is left to do: {again}");
}

#[test]
fn files_are_described_in_words() {
    let place = Place::with_trades();
    let wal = place.ok(&["inspect", "wal", "db/wal"]);
    assert!(wal.contains("batch") && wal.contains("membership") && wal.contains("cluster"), "{wal}");
    let frame = wal.lines().find(|line| line.contains(" batch ")).unwrap();
    let offset = frame.split_whitespace().next().unwrap();
    let segment = the_file(&place.path("db/wal"), ".log");
    let batch = place.ok(&["inspect", "batch", segment.to_str().unwrap(), "--offset", offset]);
    assert!(batch.contains("3 rows") && batch.contains("B.BTC, ") | batch.contains(", B.BTC"), "{batch}");
    assert!(
        batch.contains("trades 2024-08-09T00:00:01.000000000Z B.BTC price=61800.2 size=0.006"),
        "{batch}"
    );
    let line = place.fails(1, &["inspect", "batch", segment.to_str().unwrap(), "--offset", "5"]);
    assert!(line.contains("at byte 5"), "{line}");

    place.ok(&["flush"]);
    let table = the_file(&place.path("db/tables"), ".sst");
    let table = place.ok(&["inspect", "table", table.to_str().unwrap()]);
    assert!(
        table.contains("3 in 2 series")
            && table.contains("trades: 3 rows")
            && table.contains("trades.trade_id"),
        "{table}"
    );
    // Whether flushing left time for it or not.
    place.ok(&["compact"]);
    let manifest = place.ok(&["inspect", "manifest", "db"]);
    assert!(
        manifest.contains("level 1") && manifest.contains("3 rows") && manifest.contains("seq 1..3"),
        "{manifest}"
    );
    let named = the_file(&place.path("db"), "MANIFEST-000001");
    assert!(place.ok(&["inspect", "manifest", named.to_str().unwrap()]).contains("manifest 1 of cluster"));
    let state = the_file(&place.path("db/state"), ".state");
    let state = place.ok(&["inspect", "state", state.to_str().unwrap()]);
    assert!(state.contains("last seq: 3") && state.contains("Symbols"), "{state}");

    let path = the_file(&place.path("db/archive"), ".tape");
    let archive = place.ok(&["inspect", "archive", path.to_str().unwrap()]);
    assert!(archive.contains("through: index ") && archive.contains("last seq 3"), "{archive}");
    assert!(archive.contains("  batch      index ") && archive.contains("seq 1.."), "{archive}");
    assert!(archive.ends_with("checked: every checksum and index\n"), "{archive}");
    let whole = std::fs::read(&path).unwrap();
    for (at, place_of_it) in [(130, "at byte 128"), (whole.len() - 3, "at byte"), (20, "at byte 0")] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let line = place.fails_after_output(&["inspect", "archive", path.to_str().unwrap()]);
        assert!(line.contains(place_of_it) && line.contains(".tape"), "{at}: {line}");
    }
    std::fs::write(&path, whole).unwrap();

    place.ok(&["backup", "create", "target"]);
    place.ok(&["backup", "create", "target"]);
    let both = place.ok(&["inspect", "backup", "target"]);
    assert!(both.contains("backup 1, ") && both.contains("backup 2, "), "{both}");
    let second = place.ok(&["inspect", "backup", "target", "--number", "2"]);
    assert!(second.contains("last seq: 3") && second.contains("objects/tables/"), "{second}");
    assert!(!second.contains("backup 1, "), "{second}");
    let record = place.path("target/backups/000002.backup");
    let alone = place.ok(&["inspect", "backup", record.to_str().unwrap()]);
    assert_eq!(alone.lines().skip(1).collect::<Vec<_>>(), second.lines().skip(1).collect::<Vec<_>>());
    let line = place.fails(1, &["inspect", "backup", "target", "--number", "7"]);
    assert!(line.contains("000007.backup"), "{line}");
    let mut bytes = std::fs::read(&record).unwrap();
    bytes[70] ^= 1;
    std::fs::write(&record, bytes).unwrap();
    let line = place.fails(1, &["inspect", "backup", record.to_str().unwrap()]);
    assert!(line.contains("000002.backup") && line.contains("checksum"), "{line}");
}

/// A file of history that every version must read.
const HISTORY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../history/tests/fixtures/format-1/trades.parquet");

#[test]
fn a_file_of_history_says_what_is_in_it() {
    let place = Place::new();
    let said = place.ok(&["inspect", "history", HISTORY]);
    for part in [
        "6200 bytes, format 1\n",
        "file: 43 of cluster 00112233445566778899aabbccddeeff\n",
        "table: trades (number 1), layout 1, rows had 1..1\n",
        "rows: 12 in 2 series, 516.667 bytes a row\n",
        "seq: 1..12\n",
        "left out: rows that retractions up to number 9 hide\n",
        "row groups: 2, at most 8 rows\n",
        " before ZSTD; DELTA_BINARY_PACKED\n",
        "series BINANCE.BTCUSDT: 7 rows, seq 1..7, ts 1970-01-01T00:00:00.000001000Z..",
        "checked: every checksum and row, page index and filters\n",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    let filters = said.lines().find(|line| line.contains("  trade_id: ")).unwrap();
    assert!(filters.contains("; filters ") && filters.contains(" NULL"), "{filters}");

    let mut bytes = std::fs::read(HISTORY).unwrap();
    bytes[100] ^= 1;
    std::fs::write(place.path("damaged.parquet"), bytes).unwrap();
    let line = place.fails_after_output(&["inspect", "history", "damaged.parquet"]);
    assert!(line.contains("damaged.parquet, byte 0: grain 0 has checksum"), "{line}");
}

#[test]
fn files_of_another_kind_are_refused() {
    let place = Place::with_trades();
    for kind in ["wal", "table", "history", "manifest", "batch", "state", "archive", "backup"] {
        let line = place.fails_after_output(&["inspect", kind, "trades.csv"]);
        assert!(line.contains("trades.csv") || line.contains("IDENTITY"), "{kind}: {line}");
    }
}

#[test]
fn shells_get_their_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(place.ok(&["completions", shell]).contains("import"), "{shell}");
    }
}

impl Place {
    /// The one line of an error that may follow some output.
    fn fails_after_output(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.err.trim_end().lines().count()), (1, 1), "{args:?}: {ran:?}");
        ran.err
    }
}
