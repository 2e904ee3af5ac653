//! As many schedules as fit into a run of all tests; `cargo run --release -p tapebook-sim -- --seeds 10000` runs more.

use tapebook_sim::{Group, Totals, check_seed};

const SEEDS_PER_TEST: u64 = 200;

#[test]
fn no_promise_is_broken_first_quarter() {
    check(0);
}

#[test]
fn no_promise_is_broken_second_quarter() {
    check(1);
}

#[test]
fn no_promise_is_broken_third_quarter() {
    check(2);
}

#[test]
fn no_promise_is_broken_last_quarter() {
    check(3);
}

fn check(quarter: u64) {
    let mut totals = Totals::default();
    for seed in quarter * SEEDS_PER_TEST..(quarter + 1) * SEEDS_PER_TEST {
        match check_seed(seed) {
            Ok(outcome) => totals.add(&outcome.totals),
            Err(violation) => panic!("{violation}\nreplay: cargo run -p tapebook-sim -- --seed {seed}"),
        }
    }
    println!("{totals}");
    // Without these the schedules would be about less than they say.
    let reached = |group, name: &str, least: u64| {
        let found = totals.of(group, name);
        assert!(found >= least, "{name}: {found}, expected at least {least}");
    };
    for fault in
        ["EIO once", "failed sync", "full disk", "lost write", "lying sync", "misplaced write", "panic"]
    {
        reached(Group::Fault, fault, 1);
    }
    reached(Group::Fault, "power cut in a call", 30);
    reached(Group::Operation, "Compact", 200);
    reached(Group::Outcome, "steps that dropped slices", 20);
    reached(Group::Outcome, "batches acknowledged", 2_000);
    reached(Group::Outcome, "duplicates", 200);
    reached(Group::Outcome, "torn tails that were cut", 2);
    reached(Group::Outcome, "unanswered entries that survived", 5);
    reached(Group::Outcome, "checkpoints that opened", 20);
    reached(Group::Outcome, "backups that were restored", 20);
    reached(Group::Outcome, "full disks that had room again", 5);
    reached(Group::Outcome, "damage that was refused", 50);
    reached(Group::Outcome, "damage that a read named", 3);
    reached(Group::Outcome, "losses of a lying disk that were refused", 5);
    reached(Group::Outcome, "held snapshots over the bound", 10);
    reached(Group::Outcome, "held snapshots within the bound", 20);
}
