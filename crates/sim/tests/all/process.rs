//! The real process on the real file system, killed with SIGKILL at named points (P1).
//!
//! A child runs this same test binary: it opens a database through a file system that kills its own process before, in the
//! middle of or after the n-th call of a kind, writes, and reports each receipt over a pipe. The parent opens the
//! directory, checks every receipt and that nothing is there twice, and starts the next child in the same directory.

mod child;
mod killing;
mod ledger;

use std::path::Path;
use std::process::{Command, Stdio};

use self::child::Assignment;
use self::killing::{Mode, Point};
use self::ledger::Ledger;

/// Kills of one kind, each in the middle of what the one before has left.
const KILLS_PER_POINT: u64 = 3;

#[test]
fn what_was_acknowledged_survives_a_kill_at_every_named_point() {
    let mut missed = Vec::new();
    for point in Point::ALL {
        let new_place = || tempfile::tempdir().expect("a temporary directory");
        let (mut place, mut ledger, mut kills, mut batches) = (new_place(), Ledger::default(), 0, 0);
        for round in 0..KILLS_PER_POINT {
            if point.is_at_creation() {
                (place, ledger) = (new_place(), Ledger::default());
            }
            let mode = [Mode::Before, Mode::Middle, Mode::After][(round % 3) as usize];
            // The first time as early as can be, then later and later.
            let nth = [1, 2, 7][(round % 3) as usize].min(point.nth_max());
            let assignment = Assignment { point, nth, mode, round, next_batch: ledger.next_batch() };
            let (told, killed) = run(place.path(), &assignment);
            kills += u64::from(killed);
            batches += ledger.take(&told);
            ledger.check(place.path(), &format!("{assignment:?}"));
        }
        println!("{point:?}: {kills} kills, {batches} batches acknowledged");
        if kills == 0 {
            missed.push(point);
        }
    }
    assert!(missed.is_empty(), "nothing was killed at {missed:?}");
}

/// Runs a child to its end; what it told, and whether it was killed.
fn run(place: &Path, assignment: &Assignment) -> (String, bool) {
    let child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["process::child::work", "--exact", "--nocapture", "--test-threads=1"])
        .env(child::VARIABLE, assignment.encode(place))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child");
    let output = child.wait_with_output().expect("its end");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let killed = !output.status.success();
    if killed {
        use std::os::unix::process::ExitStatusExt;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(9), "{assignment:?}: {told}\n{errors}");
    }
    // The last line may be cut off.
    (told[..told.rfind('\n').map_or(0, |end| end + 1)].to_owned(), killed)
}
