//! Recorded market data of real venues, where it is there.

use std::path::{Path, PathBuf};

use tapebook_import::{FileReport, ImportOptions, OnError, import_file};
use tapebook_record::{Batch, Schemas};

use crate::rows::options;

/// A file or folder of the test data; `None` where there is none and none is required.
fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TAPEBOOK_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("TAPEBOOK_REQUIRE_TEST_DATA").is_some_and(|value| value == "1");
    assert!(!required, "{} is missing", path.display());
    println!("skipped: {} is missing", path.display());
    None
}

struct Seen {
    report: FileReport,
    first_ts: i64,
    last_ts: i64,
    first_symbol: String,
}

fn import(table: &str, path: &Path, options: &ImportOptions) -> Seen {
    let schemas = Schemas::standard();
    let mut seen = None;
    let mut sink = |batch: Batch| {
        let encoded = batch.encode();
        let (first, last) = (encoded.row_header(0), encoded.row_header(encoded.len() - 1));
        let (_, _, last_ts) =
            seen.get_or_insert_with(|| (encoded.symbols().next().unwrap().to_owned(), first.ts, last.ts));
        *last_ts = last.ts;
        Ok(())
    };
    let report = import_file(path, schemas.by_name(table).unwrap(), options, &mut sink, &mut |_| ()).unwrap();
    let (first_symbol, first_ts, last_ts) = seen.unwrap();
    Seen { report, first_ts, last_ts, first_symbol }
}

fn nanos(text: &str) -> i64 {
    let moment: jiff::Timestamp = text.parse().unwrap();
    i64::try_from(moment.as_nanosecond()).unwrap()
}

fn fields(report: &FileReport) -> Vec<String> {
    report
        .plan
        .iter()
        .flat_map(|plan| &plan.columns)
        .map(|plan| format!("{}<-{}", plan.column, plan.source))
        .collect()
}

#[test]
fn binance_trades_and_quotes() {
    for (table, file, rows) in [
        ("trades", "trades.csv.gz", 95_508),
        ("trades", "trades.parquet", 95_508),
        ("quotes", "quotes.csv.gz", 382_955),
        ("quotes", "quotes.parquet", 382_955),
    ] {
        let Some(path) = data(&format!("binance_normalized/{file}")) else { return };
        let mut strict = options();
        strict.strict = true;
        let seen = import(table, &path, &strict);
        assert_eq!(seen.report.rows_imported, rows, "{file}");
        assert_eq!(seen.first_symbol, "BINANCE_UM.BTCUSDT", "{file}");
        let first = if table == "trades" { "2023-04-05T00:00:04.962Z" } else { "2023-04-05T00:00:00.089Z" };
        assert_eq!(seen.first_ts, nanos(first), "{file}");
    }
}

#[test]
fn binance_book_deltas() {
    let Some(path) = data("binance_normalized/book_deltas.parquet") else { return };
    let seen = import("book_deltas", &path, &options());
    assert_eq!(seen.report.rows_imported, 2_684_288);
    assert_eq!(
        fields(&seen.report),
        [
            "symbol<-symbol",
            "ts<-ts",
            "recv_ts<-recv_ts",
            "feed_seq<-last_update_id",
            "side<-side",
            "price<-price",
            "size<-size"
        ]
    );
    assert_eq!(seen.report.unplaced_columns, ["first_update_id"]);
}

#[test]
fn cffex_ticks() {
    let Some(path) = data("cn_futures_cffex_if_ticks/cffex_if_ticks.csv.gz") else { return };
    let mut shanghai = options();
    shanghai.time_zone = "Asia/Shanghai".parse().unwrap();
    shanghai.strict = true;
    let seen = import("ticks", &path, &shanghai);
    assert_eq!(seen.report.rows_imported, 84_347);
    assert_eq!(seen.first_symbol, "CFFEX.IF2101");
    assert_eq!(seen.first_ts, nanos("2021-01-04T01:29:00.400Z"));
}

#[test]
fn fx_quotes_of_two_venues() {
    for (folder, zone, rows, first) in [
        ("fxcm-eurusd", "UTC-05", 1_144_807, "2014-05-01T05:00:01.787Z"),
        ("oanda-eurusd", "UTC", 532_903, "2014-05-01T00:00:"),
    ] {
        let Some(folder) = data(&format!("lean_fx_ticks/{folder}")) else { return };
        let mut given = options();
        given.time_zone = zone.parse().unwrap();
        given.date = Some("name".parse().unwrap());
        given.time_unit = Some("ms".parse().unwrap());
        given.columns = Some(["ts", "bid_price", "ask_price"].map(str::to_owned).to_vec());
        given.symbol = Some("FXCM.EURUSD".into());
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let seen: Vec<Seen> = files.iter().map(|file| import("quotes", file, &given)).collect();
        assert_eq!(seen.iter().map(|seen| seen.report.rows_imported).sum::<u64>(), rows, "{zone}");
        if first.ends_with('Z') {
            assert_eq!(seen[0].first_ts, nanos(first));
        }
        assert!(seen.windows(2).all(|pair| pair[0].last_ts < pair[1].first_ts), "{zone}");
    }
}

#[test]
fn shanghai_orders_and_trades() {
    let mut shanghai = options();
    shanghai.time_zone = "Asia/Shanghai".parse().unwrap();
    let Some(path) = data("cn_equity_l2_dolphindb/SHorders.zip") else { return };
    let seen = import("orders", &path, &shanghai);
    assert_eq!(seen.report.rows_imported, 149_359);
    assert_eq!(seen.first_symbol, "605580.SH");
    assert_eq!(seen.first_ts, nanos("2023-07-11T01:15:00.280Z"));
    let Some(path) = data("cn_equity_l2_dolphindb/SHtrans.zip") else { return };
    assert_eq!(import("trades", &path, &shanghai).report.rows_imported, 109_616);
    let Some(path) = data("cn_equity_l2_dolphindb/tradeData.zip") else { return };
    assert_eq!(import("trades", &path, &shanghai).report.rows_imported, 181_683);
}

#[test]
fn the_line_that_is_cut_off_is_one_bad_row() {
    let Some(path) = data("cn_equity_l2_dolphindb/SHorderTrans.zip") else { return };
    let mut skip = options();
    skip.time_zone = "Asia/Shanghai".parse().unwrap();
    skip.on_error = OnError::Skip;
    let seen = import("orders", &path, &skip);
    assert_eq!((seen.report.rows_imported, seen.report.rows_skipped), (219_200, 1));
    assert!(seen.report.first_errors[0].contains("row 219202"), "{:?}", seen.report.first_errors);
}

#[test]
fn five_levels_and_bars() {
    let Some(path) = data("cn_futures_bars_tqsdk/SHFE.cu1909_l5_ticks_400.csv") else { return };
    assert_eq!(import("book_snapshots", &path, &options()).report.rows_imported, 400);
    let Some(path) = data("cn_futures_bars_tqsdk/cn_futures_bars.csv.gz") else { return };
    assert_eq!(import("bars", &path, &options()).report.rows_imported, 277_682);
}
