//! What the schedules are worth: each planted bug is found, and within how many seeds.

use tapebook_sim::{PlantedBug, check_planted};

const SEEDS_MAX: u64 = 1_000;

/// The seeds that it took, from 0 on.
fn seeds_until_found(bug: PlantedBug) -> u64 {
    for seed in 0..SEEDS_MAX {
        if let Err(violation) = check_planted(seed, bug) {
            println!("{bug}: found with {} seeds: {}", seed + 1, violation.message);
            return seed + 1;
        }
    }
    panic!("{bug}: not found within {SEEDS_MAX} seeds");
}

#[test]
fn skipped_syncs_are_found() {
    for bug in [PlantedBug::SkippedLogSync, PlantedBug::SkippedTableSync, PlantedBug::SkippedManifestSync] {
        seeds_until_found(bug);
    }
}

#[test]
fn skipped_directory_syncs_are_found() {
    for bug in [
        PlantedBug::SkippedLogDirectorySync,
        PlantedBug::SkippedTableDirectorySync,
        PlantedBug::SkippedStateDirectorySync,
    ] {
        seeds_until_found(bug);
    }
}

/// The switches exist only where debug assertions do.
#[test]
#[cfg(debug_assertions)]
fn a_tail_cut_or_refused_against_the_evidence_is_found() {
    for bug in [PlantedBug::CutTailThatIsVouchedFor, PlantedBug::RefusedTailThatNothingVouchesFor] {
        let seeds = seeds_until_found(bug);
        let sound = tapebook_sim::check_seed(seeds - 1);
        assert!(sound.is_ok(), "without the bug the same schedule breaks nothing: {sound:?}");
    }
}
