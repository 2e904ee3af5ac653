//! `tapebook demo`.

use crate::support::Place;

#[test]
fn it_ends_by_itself_with_a_summary_that_holds() {
    let place = Place::new();
    let ran = place.run(&["demo", "--seconds", "2", "--seed", "7", "--data", "market"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in
        ["with seed 7", "trades", "balances", "synced append p50", "ok: the sum of all balances", "ok: "]
    {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    assert!(!ran.out.contains("WRONG"), "{ran:?}");
    assert!(ran.out.contains("SIM.BTCUSDT"), "a line each second: {ran:?}");
    assert!(ran.err.contains("tapebook sql --data"), "{ran:?}");
    assert!(place.ok(&["verify", "--data", "market"]).ends_with(": 0 problems\n"));
    let trades =
        place.ok(&["sql", "--data", "market", "--format", "csv", "SELECT count(*) > 10 FROM trades"]);
    assert!(trades.ends_with("true\n"), "{trades}");
    let line = place.fails(1, &["demo", "--seconds", "1", "--data", "market"]);
    assert!(line.contains("not empty"), "{line}");
}

#[test]
fn quiet_leaves_the_summary_and_nothing_stays() {
    let place = Place::new();
    let tmp = place.path("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let output = place.command(&["demo", "--seconds", "1", "--quiet"]).env("TMPDIR", &tmp).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("the demonstration ran for"));
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0);
    let output = place.command(&["demo", "--seconds", "1", "--keep"]).env("TMPDIR", &tmp).output().unwrap();
    assert!(output.status.success());
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 1);
}
