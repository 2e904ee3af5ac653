//! Checkpoints, backups and restores: copies that must say what the original said at one moment, whatever happens later.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook::{
    BackupError, CheckpointError, Db, DirectoryTarget, Options, RestoreBound, list_backups, restore,
    verify_backups,
};
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Vfs};

use crate::compare::compare;
use crate::dropped::{Dropped, Since, note_dropped};
use crate::schedule::{Schedule, machine_clock};
use crate::structure::{Damage, files_below};
use crate::totals::Group;

const BACKUPS: &str = "/backup";
/// Checkpoints of one schedule.
const CHECKPOINTS_MAX: usize = 3;

/// Copies that were made, and what they must say.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    checkpoints: Vec<(PathBuf, u64)>,
    attempts: usize,
    /// The last entry of the newest backup whose maker heard that it is there.
    backed_up: Option<u64>,
}

/// Makes a checkpoint.
pub(crate) fn checkpoint(schedule: &mut Schedule, db: &Db) {
    if schedule.copies.checkpoints.len() == CHECKPOINTS_MAX {
        return;
    }
    // An attempt that failed is made again in its place.
    let dir = PathBuf::from(format!("/checkpoint-{}", schedule.copies.attempts));
    let made = db.checkpoint(&dir);
    schedule.collect();
    if let Err(CheckpointError::Build(tapebook::BuildError::NotEmpty { .. })) = &made {
        // An attempt before came to its end, and only its maker did not hear of it.
        schedule.copies.attempts += 1;
        return;
    }
    let Some(report) = schedule.expect("a checkpoint", made) else { return };
    let point = schedule.model.point(report.last_index);
    assert_eq!(report.last_index, schedule.model.applied_index(), "a checkpoint of everything");
    assert_eq!((report.last_seq, report.rolling_hash), (point.last_seq, point.rolling_hash), "{report:?}");
    schedule.trace.line(format_args!("  at entry {}", report.last_index));
    schedule.copies.attempts += 1;
    if !schedule.damaged {
        schedule.copies.checkpoints.push((dir, report.last_index));
    }
}

/// What was reported as a checkpoint is there, whatever happened since.
pub(crate) fn check_checkpoints(schedule: &mut Schedule) {
    if schedule.damaged {
        schedule.copies.checkpoints.clear();
        return;
    }
    // Each once: the next crash is another schedule's.
    for (dir, index) in std::mem::take(&mut schedule.copies.checkpoints) {
        let disk = schedule.machine.copy();
        let db = open(schedule, &disk, &dir);
        let db = db.unwrap_or_else(|error| panic!("the checkpoint {}: {error}", dir.display()));
        check_copy(schedule, &db, index, "a checkpoint");
        schedule.totals.count(Group::Outcome, "checkpoints that opened");
    }
}

fn open(schedule: &Schedule, disk: &MemoryVfs, dir: &Path) -> Result<Db, tapebook::OpenError> {
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    Db::open_with(dir, Options { vfs, ..schedule.options() })
}

fn check_copy(schedule: &mut Schedule, db: &Db, index: u64, what: &str) {
    assert_eq!(db.stats().applied_index, index, "{what}: its last entry");
    let mut view = schedule.model.view(index);
    // A copy holds what the original held when it was made.
    let (snapshot, mut dropped) = (db.snapshot(), Dropped::new());
    let moment = (machine_clock(&schedule.machine), Since::Steps);
    let noted = note_dropped(&snapshot, &view, &schedule.options.retention, moment, &mut dropped);
    view.dropped = dropped;
    let compared = noted.and_then(|()| compare(&snapshot, &view, &mut schedule.random));
    if let Err(error) = compared {
        assert!(schedule.damaged, "{what}: {error}");
    }
}

/// Makes a backup.
pub(crate) fn backup(schedule: &mut Schedule, db: &Db) {
    let target = DirectoryTarget::new(schedule.machine.vfs(), BACKUPS);
    let made = db.backup(&target);
    let Some(report) = schedule.expect("a backup", made) else { return };
    let point = schedule.model.point(schedule.model.applied_index());
    assert_eq!((report.last_seq, report.rolling_hash), (point.last_seq, point.rolling_hash), "{report:?}");
    schedule.trace.line(format_args!("  {report:?}"));
    if !schedule.damaged {
        schedule.copies.backed_up = Some(schedule.model.applied_index());
    }
}

/// Restores the backups on a copy of the disk, to the end or to some sequence; interrupted at first, now and then.
pub(crate) fn restore_somewhere(schedule: &mut Schedule) {
    let disk = schedule.machine.copy();
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let target = DirectoryTarget::new(Arc::clone(&vfs), BACKUPS);
    let dir = Path::new("/restored");
    let bound = match schedule.random.below(3) {
        0 => RestoreBound::Seq(schedule.random.below(schedule.model.last_seq() + 2)),
        _ => RestoreBound::Latest,
    };
    if schedule.random.chance(40) {
        interrupted(schedule, &disk, dir, bound);
    }
    let restored = restore(&target, &vfs, dir, bound, "sim");
    let report = match restored {
        Ok(report) => report,
        Err(error) => {
            schedule.trace.line(format_args!("  not restored: {error}"));
            let none = match &error {
                BackupError::None { .. } => schedule.copies.backed_up.is_none(),
                // Not every sequence is kept, unless the journal is.
                BackupError::TooEarly { .. } | BackupError::Unreachable { .. } => {
                    matches!(bound, RestoreBound::Seq(_))
                }
                _ => false,
            };
            assert!(none || schedule.damaged, "a backup cannot be restored: {error}");
            return;
        }
    };
    schedule.trace.line(format_args!("  {report:?}"));
    assert!(report.epoch > 1, "a restore begins another epoch");
    if let RestoreBound::Seq(seq) = bound {
        assert!(report.last_seq <= seq, "{report:?}, no further than {seq}");
    } else if let Some(backed_up) = schedule.copies.backed_up {
        assert!(report.last_index >= backed_up, "{report:?}, backed up was entry {backed_up}");
    }
    if report.last_index > schedule.model.applied_index() {
        // The backup holds entries whose writers had no receipt, and the log lost them since.
        assert!(schedule.damaged, "{report:?} is more than was ever durable");
        return;
    }
    let point = schedule.model.point(report.last_index);
    assert_eq!((report.last_seq, report.rolling_hash), (point.last_seq, point.rolling_hash), "{report:?}");
    let db = match open(schedule, &disk, dir) {
        Ok(db) => db,
        Err(error) => {
            // A read that went wrong while the backup was made went into the backup.
            assert!(schedule.damaged, "what was restored: {error}");
            return;
        }
    };
    assert_eq!(db.version().epoch(), report.epoch);
    check_copy(schedule, &db, report.last_index, "what was restored");
    schedule.totals.count(Group::Outcome, "backups that were restored");
}

/// A restore that a power cut ends. What it leaves is no database, and is replaced by the next attempt.
fn interrupted(schedule: &mut Schedule, disk: &MemoryVfs, dir: &Path, bound: RestoreBound) {
    let nth = 1 + schedule.random.below(60);
    let dead = FaultRule::new(Fault::Error(std::io::ErrorKind::Other)).nth(nth).for_ever();
    let vfs: Arc<dyn Vfs> = Arc::new(FaultVfs::new(Arc::new(disk.clone()), FaultPlan::none().with(dead)));
    let target = DirectoryTarget::new(Arc::clone(&vfs), BACKUPS);
    let first = restore(&target, &vfs, dir, bound, "sim");
    disk.crash(schedule.random.bits());
    if first.is_ok() || disk.exists(&dir.join("IDENTITY")).unwrap_or(false) {
        // It had come to its end: out of the way with it.
        for path in files_below(disk, dir).keys() {
            disk.remove_file(path).expect("it was listed");
        }
    }
}

/// The backups of an honest disk are whole at the end.
pub(crate) fn check_copies(schedule: &mut Schedule) {
    let disk = schedule.machine.copy();
    let target = DirectoryTarget::new(Arc::new(disk), BACKUPS);
    let backups = list_backups(&target).unwrap_or_else(|error| panic!("the backups: {error}"));
    let report = verify_backups(&target).unwrap_or_else(|error| panic!("the backups: {error}"));
    assert_eq!(report.problems, Vec::<String>::new(), "{} backups", backups.len());
    if !backups.is_empty() {
        restore_somewhere(schedule);
        damage_backup(schedule);
    }
}

/// A damaged object of a backup is noticed, or takes no part in what is restored.
fn damage_backup(schedule: &mut Schedule) {
    let disk = schedule.machine.copy();
    let objects = files_below(&disk, BACKUPS.as_ref());
    let paths: Vec<&PathBuf> = objects.keys().collect();
    let path = *schedule.random.pick(&paths);
    let damage = Damage::draw(&objects[path], None, None, &mut schedule.random);
    if !damage.apply(&disk, path) {
        return;
    }
    schedule.trace.line(format_args!("damage: {}, {damage}", path.display()));
    schedule.totals.count(Group::Damage, format_args!("backup, {}", damage.row()));
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let target = DirectoryTarget::new(Arc::clone(&vfs), BACKUPS);
    let problems = match verify_backups(&target) {
        Ok(report) => report.problems,
        Err(error) => vec![error.to_string()],
    };
    match restore(&target, &vfs, "/restored".as_ref(), RestoreBound::Latest, "sim") {
        Ok(report) => {
            let db = open(schedule, &disk, "/restored".as_ref());
            let db = db.unwrap_or_else(|error| panic!("{damage} of {}: {error}", path.display()));
            check_copy(schedule, &db, report.last_index, "restored from a damaged backup");
        }
        // A backup without its record never was.
        Err(BackupError::None { .. }) => {}
        Err(error) => {
            let text = error.to_string();
            assert!(!problems.is_empty(), "{damage} of {}: {text}, but verify finds nothing", path.display());
            assert!(text.contains(BACKUPS), "{damage} of {}: does not say where: {text}", path.display());
            schedule.totals.count(Group::Outcome, "damage of backups that was refused");
        }
    }
}
