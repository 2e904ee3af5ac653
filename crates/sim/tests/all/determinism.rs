//! Equal seeds make equal schedules, bit for bit, or no seed could be replayed.

use tapebook_sim::check_seed;

#[test]
fn a_seed_gives_the_same_trace_twice() {
    let hashes = |seeds: std::ops::Range<u64>| -> Vec<u64> {
        seeds.map(|seed| check_seed(seed).expect("no violation").hash).collect()
    };
    let first = hashes(0..40);
    // In another thread, whose hash maps have other keys.
    let second = std::thread::spawn(move || hashes(0..40)).join().expect("no panic");
    assert_eq!(first, second);
    let mut distinct = first.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), first.len(), "other seeds give other traces");
}
