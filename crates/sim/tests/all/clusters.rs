//! As many schedules of a cluster as fit into a run of all tests; `cargo run --release -p tapebook-sim -- --cluster --seeds 10000`
//! runs more and longer ones.

use tapebook_sim::check_cluster;

const SEEDS_PER_TEST: u64 = 100;
const SECONDS: u64 = 5;

#[test]
fn no_promise_of_a_cluster_is_broken_first_half() {
    check(0);
}

#[test]
fn no_promise_of_a_cluster_is_broken_second_half() {
    check(1);
}

/// A file that a node had already was not sent; compaction did without it before the snapshot was in place, so that the version named a
/// file that was gone.
#[test]
fn a_file_that_a_snapshot_shares_with_the_node_stays_until_it_is_in_place() {
    check_cluster(5249, 20, false).unwrap();
}

fn check(half: u64) {
    let (mut receipts, mut retries, mut elections, mut snapshots) = (0, 0, 0, 0);
    for seed in half * SEEDS_PER_TEST..(half + 1) * SEEDS_PER_TEST {
        let run = || match check_cluster(seed, SECONDS, false) {
            Ok(outcome) => outcome,
            Err(violation) => panic!(
                "{violation}\nreplay: cargo run --bin tapebook-sim -- --cluster --seconds {SECONDS} --seed {seed}"
            ),
        };
        let outcome = run();
        assert_eq!(run(), outcome, "seed {seed} runs another way the second time");
        receipts += outcome.receipts;
        retries += outcome.retries;
        elections += outcome.elections;
        snapshots += outcome.snapshots;
    }
    println!("{receipts} receipts, {retries} batches sent again, {elections} leaders, {snapshots} snapshots");
    // Without these the schedules would be about less than they say.
    assert!(receipts > 10_000 && retries > 5_000 && elections > SEEDS_PER_TEST && snapshots > 20);
}
