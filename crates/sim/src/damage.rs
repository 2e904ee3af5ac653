//! A trial: a copy of the directory is damaged at rest and opened. The answer is an error that names the place, or the right
//! rows; never wrong rows, never a loss that could have been noticed, never a panic. And a refusal changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tapebook::{CompactionGoal, Db, Durability, Options, Producer, verify};
use tapebook_vfs::{MemoryVfs, Vfs};

use crate::compare::{compare, compare_journal};
use crate::dropped::{Since, note_dropped};
use crate::rows::{Kind, Row, encode};
use crate::schedule::{ROOT, Schedule};
use crate::structure::{Damage, Structure, files_below, replace_below, structures};
use crate::totals::Group;
use crate::vouched::vouched_behind;

/// What was done to the copy.
struct Trial {
    /// The structures that are concerned: one, or `None` for a whole folder.
    structure: Option<Structure>,
    /// The file or folder.
    scope: PathBuf,
    /// What was done to it.
    what: String,
}

/// Folders of which all files are exchanged.
const FOLDERS: [&str; 4] = ["wal", "tables", "state", "archive"];

/// Damages a copy of `before`, which is what the schedule's database was opened from, and judges what comes of it.
pub(crate) fn trial(schedule: &mut Schedule, before: &MemoryVfs, older: Option<&MemoryVfs>) {
    let files = files_below(before, ROOT.as_ref());
    let copy = before.fork();
    let made = if schedule.random.chance(8) {
        exchange_folder(schedule, &copy, &files, older)
    } else {
        damage_file(schedule, &copy, &files, older)
    };
    let Some(trial) = made else { return };
    schedule.trace.line(format_args!("damage: {trial}"));
    trial.judge(schedule, &copy, &files);
}

/// All files of a folder are another database's, or as they were some time ago (D15).
fn exchange_folder(
    schedule: &mut Schedule,
    copy: &MemoryVfs,
    files: &Files,
    older: Option<&MemoryVfs>,
) -> Option<Trial> {
    let scope = Path::new(ROOT).join(schedule.random.pick(&FOLDERS));
    if files_below_of(files, &scope).is_empty() {
        return None;
    }
    let older = older.filter(|_| schedule.random.chance(50));
    let (others, what) = match older {
        Some(older) => (files_below(older, &scope), "older folder"),
        None => (foreign().0.clone(), "foreign folder"),
    };
    replace_below(copy, &scope, &others);
    if files_below(copy, &scope) == files_below_of(files, &scope) {
        return None;
    }
    schedule.totals.count(Group::Damage, format_args!("{what}"));
    Some(Trial { structure: None, scope, what: what.to_owned() })
}

fn files_below_of(files: &Files, scope: &Path) -> Files {
    files
        .iter()
        .filter(|(path, _)| path.starts_with(scope))
        .map(|(path, bytes)| (path.clone(), bytes.clone()))
        .collect()
}

fn damage_file(
    schedule: &mut Schedule,
    copy: &MemoryVfs,
    files: &Files,
    older: Option<&MemoryVfs>,
) -> Option<Trial> {
    let by_structure = structures(files, ROOT.as_ref());
    let random = &mut schedule.random;
    let structure = pick_structure(&by_structure, random)?;
    let path = random.pick(&by_structure[&structure]);
    let older = older.and_then(|older| older.file_bytes(path).ok());
    let foreign = foreign_file(structure, random);
    let damage = Damage::draw(&files[path], older.as_ref(), foreign, random);
    let mark = Path::new(ROOT).join("wal/MARK");
    // The mark is as if it had never reached the disk, so that only the frames can vouch.
    let without_mark = structure == Structure::LastSegment && files.contains_key(&mark) && random.chance(60);
    if without_mark {
        copy.mutate(&mark, |bytes| bytes.fill(0)).expect("the mark is there");
    }
    if !damage.apply(copy, path) {
        return None;
    }
    schedule.totals.count(Group::Damage, format_args!("{structure}, {}", damage.row()));
    let what = if without_mark { format!("{damage}, without the mark") } else { damage.to_string() };
    Some(Trial { structure: Some(structure), scope: path.clone(), what })
}

/// Segments more often than others: about them there is the most to be found out.
fn pick_structure(
    found: &BTreeMap<Structure, Vec<PathBuf>>,
    random: &mut crate::random::Random,
) -> Option<Structure> {
    if found.is_empty() {
        return None;
    }
    let weights: Vec<(u64, Structure)> = found
        .keys()
        .map(|structure| match structure {
            Structure::LastSegment | Structure::ClosedSegment => (5, *structure),
            _ => (2, *structure),
        })
        .collect();
    Some(random.weighted(&weights))
}

impl Trial {
    fn judge(&self, schedule: &mut Schedule, copy: &MemoryVfs, files: &BTreeMap<PathBuf, Vec<u8>>) {
        let untouched = copy.fork();
        let vfs: Arc<dyn Vfs> = Arc::new(copy.clone());
        let verified = verify(&(Arc::new(copy.fork()) as Arc<dyn Vfs>), ROOT.as_ref(), "verify");
        let problems = verified.map(|report| report.problems).unwrap_or_else(|error| vec![error.to_string()]);
        let options = Options { vfs, ..schedule.options() };
        let expected = schedule.model.applied_index();
        let db = match Db::open_with(ROOT, options.clone()) {
            Err(error) => {
                let text = error.to_string();
                schedule.trace.line(format_args!("  refused: {text}"));
                self.check_text(&text);
                assert!(!problems.is_empty(), "{self}: refused ({text}), but verify finds nothing");
                schedule.totals.count(Group::Outcome, "damage that was refused");
                self.repair(copy, files, schedule, options);
                return;
            }
            Ok(db) => db,
        };
        let found = db.stats().applied_index;
        assert!(found <= expected, "{self}: entry {found} of {expected}");
        if found < expected {
            if let Some(proof) = vouched_behind(&untouched, &schedule.layout, found) {
                panic!("{self}: lost although provable: the log ends at {found} of {expected}; {proof}");
            }
            schedule.trace.line(format_args!("  ends at {found} of {expected}, nothing vouches"));
            schedule.totals.count(Group::Outcome, "damage of the tail that left no trace");
        }
        let mut error = self.read(schedule, &db, found);
        if error.is_none() {
            // Damage that no read came across must not become right by being copied.
            let flushed = db.flush().map_err(|error| error.to_string());
            let compacted = db.compact(CompactionGoal::History).map_err(|error| error.to_string());
            error = flushed.err().or(compacted.err()).or_else(|| self.read(schedule, &db, found));
        }
        match error {
            Some(text) => {
                schedule.trace.line(format_args!("  an error: {text}"));
                self.check_text(&text);
                schedule.totals.count(Group::Outcome, "damage that a read named");
            }
            None => schedule.totals.count(Group::Outcome, "damage that changed no answer"),
        }
    }

    /// Reads everything; an error is told, a wrong answer unwinds.
    fn read(&self, schedule: &mut Schedule, db: &Db, index: u64) -> Option<String> {
        let mut view = schedule.model.view(index);
        // The copy goes its own way, and older files may hold what has gone since.
        let (snapshot, mut dropped) = (db.snapshot(), schedule.dropped.clone());
        let moment = (db.vfs().clock().unix_nanos(), Since::Anything);
        let noted = note_dropped(&snapshot, &view, &schedule.options.retention, moment, &mut dropped);
        view.dropped = dropped;
        let compared = noted.and_then(|()| compare(&snapshot, &view, &mut schedule.random));
        if let Err(error) = compared {
            return Some(error.to_string());
        }
        if index == schedule.model.applied_index()
            && let Err(error) = compare_journal(db, &schedule.model, 1)
        {
            return Some(error.to_string());
        }
        None
    }

    /// A refusal changes nothing: with the file as it was, everything is there.
    fn repair(
        &self,
        copy: &MemoryVfs,
        files: &BTreeMap<PathBuf, Vec<u8>>,
        schedule: &mut Schedule,
        options: Options,
    ) {
        copy.crash_process();
        replace_below(copy, &self.scope, files);
        let db = Db::open_with(ROOT, options)
            .unwrap_or_else(|error| panic!("{self}: the refusal has changed something: {error}"));
        let (found, expected) = (db.stats().applied_index, schedule.model.applied_index());
        assert_eq!(found, expected, "{self}: after the file was put back");
        assert_eq!(self.read(schedule, &db, found), None, "{self}: after the file was put back");
    }

    /// The text names the file that is damaged, or says which other one does not go with it.
    fn check_text(&self, text: &str) {
        let name = self.scope.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let names_it = text.contains(&*name);
        // Where others are damaged it is files beside them that do not fit; what is named is one of the directory then.
        let direct = matches!(self.structure, Some(Structure::Table | Structure::Archive));
        assert!(names_it || (!direct && text.contains(ROOT)), "{self}: the error does not say where: {text}");
    }
}

impl std::fmt::Display for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.scope.display(), self.what)
    }
}

/// A file of the same kind of another database.
fn foreign_file(structure: Structure, random: &mut crate::random::Random) -> Option<&'static Vec<u8>> {
    let (files, by_structure) = foreign();
    by_structure.get(&structure).map(|paths| &files[random.pick(paths)])
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Another database with every kind of file, made once.
fn foreign() -> &'static (Files, BTreeMap<Structure, Vec<PathBuf>>) {
    static FOREIGN: OnceLock<(Files, BTreeMap<Structure, Vec<PathBuf>>)> = OnceLock::new();
    FOREIGN.get_or_init(|| {
        let disk = MemoryVfs::new(u64::MAX);
        let mut options = Options {
            vfs: Arc::new(disk.clone()),
            background: false,
            max_future: None,
            memtable_bytes: 1 << 20,
            journal_retention: Some(std::time::Duration::from_secs(3600)),
            command: "sim".to_owned(),
            ..Options::default()
        };
        options.wal.segment_bytes = 64 << 10;
        options.wal.payload_bytes_max = 32 << 10;
        let db = Db::open_with(ROOT, options).expect("a new database");
        for batch in 0..40_u32 {
            let row = |at: u32| {
                let symbol = format!("S{}", at % 3);
                Row { kind: Kind::Trade, symbol, ts: i64::from(batch * 50 + at), number: 1 + batch * 50 + at }
            };
            let rows: Vec<Row> = (0..50).map(row).collect();
            let appended = db.append_encoded(encode(Producer::default(), &rows), Durability::Synced);
            appended.and_then(tapebook::PendingAppend::wait).expect("an append");
            if batch % 15 == 14 {
                db.flush().expect("a flush");
            }
        }
        db.close().expect("closing");
        let root = Path::new(ROOT);
        let files = files_below(&disk, root);
        let by_structure = structures(&files, root);
        (files, by_structure)
    })
}
