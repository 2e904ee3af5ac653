//! Which files of a directory nobody uses.

use super::*;
use crate::manifest::layout::{files_in_use, garbage, state_name, table_name};

#[test]
fn only_files_of_ours_that_no_version_uses_are_garbage() {
    let first = Version::default().apply(&flush(&Version::default(), 1)).unwrap();
    let second = first.apply(&flush(&first, 1)).unwrap();
    let used: Vec<_> = files_in_use(&second).into_iter().collect();
    assert_eq!(used, ["state/000004.state", "tables/000001.sst", "tables/000003.sst"]);

    let kept = [
        "IDENTITY",
        "CURRENT",
        "LOCK",
        "MANIFEST-000002",
        "wal/0000000001.log",
        "notes.txt",
        "notes.txt.tmp",
    ];
    let kept = kept.into_iter().chain([
        "MANIFEST-2",
        "tables/3.sst",
        "tables/deep/000009.sst",
        "state",
        "other/1.parquet",
    ]);
    let unused = ["CURRENT.tmp", "IDENTITY.tmp", "MANIFEST-000001", "MANIFEST-000003", "state/000002.state"];
    let unused =
        unused.into_iter().chain(["state/000009.state.tmp", "tables/000009.sst", "tables/000009.sst.tmp"]);
    let unused: Vec<_> = unused.chain(["history/trades/x.parquet", "history/trades/x.parquet.tmp"]).collect();
    let used = used.iter().map(String::as_str);
    let listing: Vec<&str> = kept.chain(used).chain(unused.iter().copied()).collect();
    assert_eq!(garbage([&second], 2, listing.iter().copied()), unused);

    let both = garbage([&first, &second], 2, listing.iter().copied());
    assert!(!both.contains(&state_name(2)), "a reader of the first version still needs its state");
    assert!(both.contains(&table_name(9)));
}

#[test]
fn a_history_path_stays_below_its_folder() {
    let good = ["history/a.parquet", "history/trades/2026-11-22/000001.parquet", "history/a b/ü.parquet"];
    let bad =
        ["", "history", "history/", "/history/a", "history//a", "history/../a", "history/./a", "tables/a"];
    let odd = ["history/a\\b", "history/a\nb", "historya", "history/a/"];
    assert!(good.into_iter().all(layout::is_history_path));
    assert!(!bad.into_iter().chain(odd).any(layout::is_history_path));
    assert!(!layout::is_history_path(&format!("history/{}", "a".repeat(2000))));
}
