//! `--retention` and `TAPEBOOK_RETENTION`: what is not kept goes, and what cannot be meant is refused.

use crate::support::Place;

fn with(policy: &str) -> [(&'static str, String); 1] {
    [("TAPEBOOK_RETENTION", policy.to_owned())]
}

#[test]
fn old_days_go_and_without_a_setting_nothing_does() {
    let place = Place::with_trades();
    place.ok(&["compact", "--to", "history"]);
    // Trades of 2024 that are kept for ten years, by an argument and by the environment.
    let asked = ["sql", "--format", "csv", "SELECT CAST(expires_at AS DATE) FROM sys.history"];
    let by_argument = place.ok(&[&asked[..], &["--retention", "*=3650d"]].concat());
    let by_environment = place.run_with(&asked, &with("trades=10y"));
    assert!(
        by_argument.ends_with("\n2034-08-07\n") && by_environment.out == by_argument,
        "{by_environment:?}"
    );
    assert_eq!(place.sql("SELECT count(*) FROM sys.history WHERE expires_at IS NULL"), "1");

    let kept = place.run(&["compact", "--retention", "trades=10y/1MiB,quotes=1d"]);
    assert!(kept.code == 0 && !kept.err.contains("dropped"), "{kept:?}");
    let said = place.run_with(&["compact"], &with("trades=1y"));
    assert!(said.err.contains(", dropped 3 rows ("), "{said:?}");
    assert!(said.err.contains("there are 0 SSTables and 0 history files in 0 partitions"), "{said:?}");
    assert_eq!(place.sql("SELECT count(*) FROM trades"), "0");
    assert_eq!(std::fs::read_dir(place.path("db/history/trades")).unwrap().count(), 0);
    assert!(place.ok(&["verify"]).ends_with(": 0 problems\n"));
    let again = place.ok(&["import", "trades", "trades.csv", "--again"]);
    assert_eq!(again, "imported 3 rows, skipped 0, seq 4..6\n");
    assert_eq!(place.sql("SELECT count(*) FROM trades"), "3", "no process of these was told to drop them");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let place = Place::with_trades();
    for policy in ["90d", "trades=90m", "trades=5GB", "trades=1d,trades=2d"] {
        let line = place.fails(2, &["compact", "--retention", policy]);
        assert!(line.contains("--retention") && line.contains(policy.rsplit(',').next().unwrap()), "{line}");
        assert_eq!(place.run_with(&["sql", "SELECT 1"], &with(policy)).code, 2);
    }
    let line = place.fails(1, &["compact", "--retention", "trade=90d"]);
    assert!(line.contains("\"trade\"") && line.contains("the tables are trades, quotes"), "{line}");
    assert_eq!(place.sql("SELECT count(*) FROM trades"), "3");
}
