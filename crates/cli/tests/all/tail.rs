//! `tapebook tail` on a data directory: the rows in the order of the journal.

use crate::support::Place;

const HEADER: &str = "ts,symbol,price,size,side,trade_id";

fn tail(place: &Place, args: &[&str]) -> Vec<String> {
    let args: Vec<&str> =
        ["tail", "trades", "--format", "csv"].into_iter().chain(args.iter().copied()).collect();
    let out = place.ok(&args);
    let mut lines = out.lines().map(str::to_owned);
    let header = lines.next().unwrap();
    assert!(header.starts_with(HEADER) && header.ends_with(",feed_seq,seq"), "{header}");
    lines.collect()
}

#[test]
fn rows_come_in_journal_order_from_where_it_is_told() {
    let place = Place::with_trades();
    let all = tail(&place, &[]);
    assert_eq!(all.len(), 3);
    assert!(all[0].starts_with("2024-08-09T00:00:00.000000001Z,B.ETH,3120.5,1.25,buy,7,"), "{all:?}");
    assert!(all.iter().zip(1..).all(|(line, seq)| line.ends_with(&format!(",{seq}"))), "{all:?}");
    assert_eq!(tail(&place, &["--from-seq", "2"]), all[1..]);
    assert_eq!(tail(&place, &["--symbol", "B.ETH"]), all[..1]);
    assert_eq!(tail(&place, &["--symbol", "B.ETH", "--symbol", "B.BTC", "--from-seq", "3"]), all[2..]);
    // They were committed long after they happened, and before tomorrow.
    assert_eq!(tail(&place, &["--from", "2024-08-10T00:00:00Z"]), all);
    assert_eq!(tail(&place, &["--from", &i64::MAX.to_string()]), Vec::<String>::new());
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    let place = Place::with_trades();
    let follow = place.fails(2, &["tail", "trades", "--follow"]);
    assert!(follow.contains("--follow needs --url"), "{follow}");
    let table = place.fails(1, &["tail", "nonsense"]);
    assert!(table.contains("there is no table nonsense"), "{table}");
    let ahead = place.fails(1, &["tail", "trades", "--from-seq", "5"]);
    assert!(ahead.contains("seq 4"), "{ahead}");
    let time = place.fails(2, &["tail", "trades", "--from", "yesterday"]);
    assert!(time.contains("not a time"), "{time}");
    let nobody = place.fails(1, &["tail", "trades", "--url", "grpc://127.0.0.1:1", "--token", "x"]);
    assert!(nobody.contains("127.0.0.1:1"), "{nobody}");
    let server = place.fails(2, &["bench", "append"]);
    assert!(server.contains("--url"), "{server}");
}
