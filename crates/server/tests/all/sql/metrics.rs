//! What is counted, and that labels are words of the source.

use super::support::{Place, query};

fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.unwrap_or_else(|| panic!("{name} in\n{text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn work_shows_in_the_numbers() {
    let place = Place::with_trades().await;
    let mut client = place.client("reader").await;
    query(&mut client, "SELECT * FROM trades WHERE symbol = 'A'").await.unwrap();
    query(&mut client, "SELECT * FROM nowhere").await.unwrap_err();
    query(&mut client, "SELECT * FROM sys.wal").await.unwrap_err();
    place.node().db.flush().unwrap();
    let text = place.node().metrics.render(place.node()).unwrap();
    for (name, expected) in [
        ("tapebook_rows_total", 201.0),
        ("tapebook_journal_last_seq", 201.0),
        ("tapebook_queries_total{outcome=\"done\"}", 1.0),
        ("tapebook_queries_total{outcome=\"invalid\"}", 1.0),
        ("tapebook_queries_total{outcome=\"denied\"}", 1.0),
        ("tapebook_queries_running", 0.0),
        ("tapebook_query_rows_total", 150.0),
        ("tapebook_query_seconds_count", 1.0),
        ("tapebook_connections{port=\"grpc\"}", 1.0),
        ("tapebook_refusals_total{kind=\"right\"}", 1.0),
        ("tapebook_subscribers", 0.0),
        ("tapebook_flush_failing", 0.0),
        ("tapebook_log_poisoned", 0.0),
    ] {
        assert_eq!(value(&text, name), expected, "{name} in\n{text}");
    }
    assert!(value(&text, "tapebook_commits_total") >= 3.0);
    assert!(value(&text, "tapebook_log_sync_seconds_count") >= 1.0);
    assert!(
        value(&text, "tapebook_log_sync_seconds_bucket{le=\"+Inf\"}")
            == value(&text, "tapebook_log_sync_seconds_count")
    );
    assert!(
        value(&text, "tapebook_sstable_bytes{level=\"0\"}")
            + value(&text, "tapebook_sstable_bytes{level=\"1\"}")
            > 0.0
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_recorded_or_asked_becomes_a_label() {
    let place = Place::new().await;
    place.append_trades("SECRET.SYMBOL", 0..10);
    let mut client = place.client("trades-reader").await;
    query(&mut client, "SELECT 'secret text' FROM trades WHERE symbol = 'SECRET.SYMBOL'").await.unwrap();
    query(&mut client, "SELECT * FROM secret_table").await.unwrap_err();
    let text = place.node().metrics.render(place.node()).unwrap();
    for secret in ["SECRET", "secret", "trades"] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
}
