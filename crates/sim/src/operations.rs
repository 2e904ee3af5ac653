//! What a schedule asks of the database. A new kind of operation is a variant, a weight and an arm of [`step`].

mod append;
mod copies;
mod retract;

use tapebook::{CompactionGoal, Db};

use crate::dropped::{Since, check_kept};
use crate::faults::FaultKind;
use crate::schedule::{ROOT, Schedule, machine_clock};
use crate::totals::Group;

pub(crate) use copies::{Copies, check_checkpoints, check_copies};

/// A kind of operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    AppendSynced,
    AppendBuffered,
    AppendDamaged,
    Flood,
    Drive,
    Flush,
    Compact,
    Read,
    Journal,
    Hold,
    Scrub,
    Retract,
    Undo,
    Expire,
    Checkpoint,
    Backup,
    Restore,
    Reopen,
    Room,
}

const WEIGHTS: [(u64, Operation); 19] = [
    (40, Operation::AppendSynced),
    (14, Operation::AppendBuffered),
    (1, Operation::AppendDamaged),
    (2, Operation::Flood),
    (3, Operation::Drive),
    (9, Operation::Flush),
    (7, Operation::Compact),
    (6, Operation::Read),
    (3, Operation::Journal),
    (2, Operation::Hold),
    (1, Operation::Scrub),
    (5, Operation::Retract),
    (3, Operation::Undo),
    (2, Operation::Expire),
    (2, Operation::Checkpoint),
    (2, Operation::Backup),
    (2, Operation::Restore),
    (3, Operation::Reopen),
    (5, Operation::Room),
];

/// Draws an operation and carries it out. Leaves `None` where the process has ended.
pub(crate) fn step(schedule: &mut Schedule, db: &mut Option<Db>) {
    let operation = schedule.random.weighted(&WEIGHTS);
    let Some(open) = db.as_ref() else { return };
    let seldom = schedule.heavy && operation == Operation::Flush && schedule.random.chance(70);
    if seldom {
        return;
    }
    if operation == Operation::Room && schedule.fault != FaultKind::FullDisk {
        return;
    }
    schedule.trace.line(format_args!("{operation:?}"));
    schedule.totals.count(Group::Operation, format_args!("{operation:?}"));
    match operation {
        Operation::AppendSynced => schedule.append(open, true),
        Operation::AppendBuffered => schedule.append(open, false),
        Operation::AppendDamaged => schedule.append_damaged(),
        Operation::Flood => schedule.flood(open),
        Operation::Drive => {
            let driven = open.drive();
            schedule.expect("writing the queue", driven);
        }
        Operation::Flush => {
            let flushed = open.flush();
            schedule.expect("a flush", flushed);
        }
        Operation::Compact => compact(schedule, open),
        Operation::Read => {
            schedule.collect();
            schedule.check(open, "a read");
        }
        Operation::Journal => {
            schedule.collect();
            schedule.check_journal(open);
        }
        Operation::Hold => {
            schedule.collect();
            if schedule.held.have_room() {
                let snapshot = open.snapshot();
                if schedule.note_dropped(&snapshot).is_ok() {
                    let (index, dropped) = (schedule.model.applied_index(), schedule.dropped.clone());
                    schedule.held.hold(snapshot, index, dropped);
                }
            } else {
                schedule.check_held();
            }
        }
        Operation::Scrub => {
            let problems = open.scrub().problems;
            assert!(problems.is_empty() || schedule.is_explained(), "the scrubber found {problems:?}");
        }
        Operation::Retract => schedule.retract(open),
        Operation::Undo => schedule.undo(open),
        Operation::Expire => schedule.expire(open),
        Operation::Checkpoint => copies::checkpoint(schedule, open),
        Operation::Backup => copies::backup(schedule, open),
        Operation::Restore => copies::restore_somewhere(schedule),
        Operation::Reopen => reopen(schedule, db),
        Operation::Room if schedule.full => make_room(schedule, open),
        Operation::Room => fill(schedule),
    }
}

/// The disk is full, or nearly.
pub(crate) fn fill(schedule: &mut Schedule) {
    let room = if schedule.random.chance(30) { 0 } else { schedule.random.below(200_000) };
    schedule.machine.fill(room);
    schedule.full = true;
    schedule.totals.count(Group::Fault, FaultKind::FullDisk);
    schedule.trace.line(format_args!("  room for {room} bytes"));
}

pub(crate) fn compact(schedule: &mut Schedule, db: &Db) {
    let goal = match schedule.random.below(3) {
        0 => CompactionGoal::Bounded,
        1 => CompactionGoal::Settled,
        _ => CompactionGoal::History,
    };
    let began = machine_clock(&schedule.machine);
    let before = db.stats().compaction.drops;
    let cut_off_before = schedule.cut_off;
    (schedule.since, schedule.cut_off) = (Since::Steps, true);
    let steps = db.compact(goal);
    schedule.cut_off = cut_off_before || steps.is_err();
    schedule.trace.line(format_args!("  {:?} steps, {goal:?}", steps.as_ref().ok()));
    if schedule.expect("compacting", steps).is_some() {
        check_kept(&db.version(), &schedule.options.retention, began);
    }
    for _ in before..db.stats().compaction.drops {
        schedule.totals.count(Group::Outcome, "steps that dropped slices");
    }
}

/// There is room again: everything works at once, without a restart.
pub(crate) fn make_room(schedule: &mut Schedule, db: &Db) {
    schedule.machine.calm();
    schedule.full = false;
    schedule.collect();
    schedule.append(db, true);
    db.flush().unwrap_or_else(|error| panic!("there is room again, and a flush fails: {error}"));
    schedule.check_shown(db);
    schedule.totals.count(Group::Outcome, "full disks that had room again");
}

/// Ends the process in one of the orderly ways and begins another one, on the same spoiled disk.
fn reopen(schedule: &mut Schedule, db: &mut Option<Db>) {
    let Some(open) = db.take() else { return };
    schedule.held.take();
    let explained = schedule.is_explained();
    let poisoned = schedule.poisoned.take();
    assert!(
        poisoned.is_none_or(|syncs| syncs == schedule.machine.watched.log_syncs()),
        "a sync was tried again"
    );
    if schedule.random.chance(50) {
        let closed = open.close();
        schedule.collect();
        if let Err(error) = &closed {
            assert!(explained || schedule.is_explained(), "closing failed: {error}");
        }
    } else {
        drop(open);
    }
    if explained || schedule.is_explained() {
        // What opens is for the next life to judge: with its fault over.
        return;
    }
    let before = schedule.machine.copy();
    match Db::open_with(ROOT, schedule.options()) {
        Ok(opened) => {
            if schedule.fault == FaultKind::PowerCut && schedule.struck() {
                drop(opened);
                return;
            }
            schedule.reconcile(&opened, &before);
            schedule.resend(&opened);
            *db = Some(opened);
        }
        Err(error) => {
            schedule.note_lies();
            assert!(schedule.is_explained(), "opening again failed: {error}");
        }
    }
}

impl Schedule {
    /// An operation failed: it needs a reason.
    pub(crate) fn expect<T, E: std::fmt::Display>(&mut self, what: &str, outcome: Result<T, E>) -> Option<T> {
        self.collect();
        self.note_lies();
        match outcome {
            Ok(done) => Some(done),
            Err(error) => {
                let text = error.to_string();
                self.trace.line(format_args!("  failed: {text}"));
                assert!(self.is_explained(), "{what} failed without a reason: {text}");
                self.totals.count(Group::Outcome, "operations that failed with a reason");
                None
            }
        }
    }
}
