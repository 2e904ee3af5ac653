//! One schedule: lives of one data directory, each with a fault and an end, and what must hold from one to the next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tapebook::{
    AppendError, CompactionOptions, Db, Layout, OpenError, Options, PendingAppend, ReadError,
    RetentionOptions, RetentionPolicy, Snapshot, WalOptions,
};
use tapebook_vfs::{Clock, MemoryVfs, Vfs};

use crate::compare::{compare, compare_journal, compare_producers};
use crate::dropped::{Dropped, Since, note_dropped};
use crate::faults::{FaultKind, Machine};
use crate::held::HeldSnapshots;
use crate::model::{Change, Effect, Model, Sent, View};
use crate::random::Random;
use crate::rows::Kind;
use crate::structure::files_below;
use crate::totals::{Group, Totals};
use crate::trace::Trace;
use crate::vouched::vouched_behind;
use crate::watched::InjectedPanic;
use crate::{PlantedBug, operations};

/// Lives before the last one, in which nothing fails.
const LIVES: std::ops::Range<u64> = 2..5;
/// Operations of a life.
const OPERATIONS: std::ops::Range<u64> = 8..45;
/// Attempts to open while faults are drawn for opening.
const CUT_OPENINGS_MAX: u64 = 3;
/// The data directory.
pub(crate) const ROOT: &str = "/db";

/// Small enough that a few flushes bring up every kind of choice.
const SMALL_FILES: CompactionOptions = CompactionOptions {
    file_bytes: 8_000,
    fan_in: 2,
    late_ratio: 2,
    partition_bytes_min: 4_000,
    partition_bytes_max: 20_000,
    late_allowance: None,
};

/// What one seed came to, where no promise was broken.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The hash over everything that happened.
    pub hash: u64,
    /// What it came across.
    pub totals: Totals,
}

/// How a schedule ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    /// It goes on with another life.
    Not,
    /// What a lying disk lost was refused, or is damaged for good: an operator's case.
    Damaged,
}

/// A schedule while it runs.
pub(crate) struct Schedule {
    pub random: Random,
    pub machine: Machine,
    pub layout: Layout,
    pub options: Options,
    pub model: Model,
    pub totals: Totals,
    pub trace: Trace,
    pub fault: FaultKind,
    /// Faults of the layer below when this life began; more mean that one came to pass.
    faults_before: u64,
    /// The disk has lied: what was durable may be damaged from now on.
    pub damaged: bool,
    /// The disk is full now.
    pub full: bool,
    /// Set once an append has heard that the log takes no more: the syncs that were asked for until then.
    pub poisoned: Option<u64>,
    /// The database was opened once, so there is something to verify.
    opened: bool,
    /// Snapshots that are held.
    pub held: HeldSnapshots,
    /// Rows that retention has dropped, as far as somebody looked.
    pub dropped: Dropped,
    /// What can have happened since.
    pub since: Since,
    /// Steps of compaction did not come to their end: what they did may show after the next restart only.
    pub cut_off: bool,
    /// What got no receipt; its producer sends it again.
    pub unsettled: Vec<Sent>,
    /// Most batches are large, so that segments are rolled and recycled and files merged.
    pub heavy: bool,
    pub next_row: u32,
    pub latest_ts: i64,
    pub copies: operations::Copies,
    /// The disk as it was some time ago.
    older: Option<MemoryVfs>,
}

/// Runs one seed. A broken promise unwinds with its message.
pub(crate) fn run(seed: u64, planted: Option<PlantedBug>, shown: bool) -> Outcome {
    PlantedBug::switch_recovery(planted);
    let mut schedule = Schedule::new(seed, planted, shown);
    schedule.go();
    schedule.finish()
}

impl Schedule {
    fn new(seed: u64, planted: Option<PlantedBug>, shown: bool) -> Self {
        let mut random = Random::new(seed ^ 0x7461_7065_626F_6F6B);
        let machine = Machine::new(seed, planted);
        let heavy = random.chance(35);
        let options = draw_options(&machine, heavy, &mut random);
        let latest_ts = machine_clock(&machine) - 900;
        let mut trace = Trace::new(shown);
        trace.line(format_args!(
            "seed {seed}: heavy {heavy}, memtable_bytes {}, frozen {}, pinned {}, unsynced {}, journal {:?}, symbols {}, producers {}, future {:?}, kept {:?}",
            options.memtable_bytes,
            options.frozen_memtables_max,
            options.pinned_bytes_max,
            options.wal.unsynced_bytes_max,
            options.journal_retention,
            options.symbols_max,
            options.producers_max,
            options.max_future,
            options.retention.tables,
        ));
        Self {
            random,
            machine,
            layout: Layout::new(ROOT),
            options,
            model: Model::default(),
            totals: Totals::default(),
            trace,
            fault: FaultKind::None,
            faults_before: 0,
            damaged: false,
            full: false,
            poisoned: None,
            opened: false,
            held: HeldSnapshots::default(),
            dropped: Dropped::new(),
            since: Since::Nothing,
            cut_off: false,
            unsettled: Vec::new(),
            heavy,
            next_row: 1,
            latest_ts,
            copies: operations::Copies::default(),
            older: None,
        }
    }

    fn go(&mut self) {
        let lives = self.random.within(LIVES);
        for _ in 0..lives {
            if self.live() == Ended::Damaged {
                self.totals.count(Group::Outcome, "schedules that a lying disk ended");
                return;
            }
        }
        self.last_life();
    }

    fn finish(mut self) -> Outcome {
        self.trace.bytes(&self.machine.watched.hash().to_le_bytes());
        for (path, bytes) in files_below(&self.machine.disk, "/".as_ref()) {
            // The lock file names a process.
            if !path.ends_with("LOCK") {
                self.trace.bytes(path.as_os_str().as_encoded_bytes());
                self.trace.bytes(&bytes);
            }
        }
        let hash = self.trace.hash();
        Outcome { hash, totals: self.totals }
    }

    /// One life: a fault, an opening, operations, an end.
    fn live(&mut self) -> Ended {
        self.fault = self.random.weighted(&FaultKind::WEIGHTS);
        let at_once = self.random.chance(15) && self.fault != FaultKind::FullDisk;
        let mut before = self.machine.copy();
        let db = if at_once {
            // The fault may strike while the database is being opened.
            self.arm();
            match self.open_under_fault(&mut before) {
                Ok(db) => db,
                Err(ended) => return ended,
            }
        } else {
            self.calm();
            match self.open_calmly(&before) {
                Some(db) => db,
                None => return Ended::Damaged,
            }
        };
        if self.damaged && !at_once {
            self.end(Some(db));
            return Ended::Damaged;
        }
        self.trials(&before);
        if !at_once {
            self.resend(&db);
            self.arm();
        }
        let db = self.work(db);
        self.end(db);
        Ended::Not
    }

    /// The last life: nothing fails any more, everything is settled, and nothing is missing or too much.
    fn last_life(&mut self) {
        self.fault = FaultKind::None;
        self.calm();
        let before = self.machine.copy();
        let Some(db) = self.open_calmly(&before) else {
            self.totals.count(Group::Outcome, "schedules that a lying disk ended");
            return;
        };
        if self.damaged {
            self.end(Some(db));
            return;
        }
        self.trials(&before);
        self.resend(&db);
        for _ in 0..3 {
            self.append(&db, true);
        }
        db.flush().unwrap_or_else(|error| panic!("the last flush: {error}"));
        operations::compact(self, &db);
        self.check(&db, "at the end");
        assert!(db.scrub().problems.is_empty(), "the scrubber: {:?}", db.scrub().problems);
        db.close().unwrap_or_else(|error| panic!("closing: {error}"));
        self.collect();
        let before = self.machine.copy();
        self.verify_clean(&before, "after the end");
        let db = self.open_calmly(&before).expect("an honest disk");
        self.check(&db, "opened once more");
        drop(db);
        operations::check_copies(self);
    }

    fn arm(&mut self) {
        self.faults_before = self.machine.faults();
        let armed = self.machine.arm(self.fault, &mut self.random);
        self.trace.line(format_args!("fault: {armed}"));
    }

    fn calm(&mut self) {
        self.machine.calm();
        self.faults_before = self.machine.faults();
        self.full = false;
        self.poisoned = None;
    }

    /// True where an operation has a reason to fail.
    pub fn is_explained(&self) -> bool {
        self.full || self.damaged || self.struck()
    }

    /// True where this life's fault came to pass.
    pub fn struck(&self) -> bool {
        self.machine.watched.errors() > 0 || self.machine.faults() > self.faults_before
    }

    /// A lie of the disk lasts, whatever becomes of this life.
    pub fn note_lies(&mut self) {
        if !self.fault.is_honest() && self.machine.faults() > self.faults_before {
            self.damaged = true;
        }
    }

    /// Opens where nothing fails. An honest disk must be opened, with all that was promised; what a lying one lost must
    /// be refused where anything proves it, and then this is `None`.
    fn open_calmly(&mut self, before: &MemoryVfs) -> Option<Db> {
        match Db::open_with(ROOT, self.options()) {
            Ok(db) => {
                self.reconcile(&db, before);
                Some(db)
            }
            Err(error) => {
                self.refused(&error);
                None
            }
        }
    }

    /// Opens while a fault is armed.
    fn open_under_fault(&mut self, before: &mut MemoryVfs) -> Result<Db, Ended> {
        for _ in 0..CUT_OPENINGS_MAX {
            let opened = catch_unwind(AssertUnwindSafe(|| Db::open_with(ROOT, self.options())));
            self.note_lies();
            match opened.map_err(resume_unless_injected) {
                Ok(Ok(db)) => {
                    let stale = self.struck() && self.fault == FaultKind::PowerCut;
                    if !stale {
                        self.reconcile(&db, before);
                        return Ok(db);
                    }
                    self.fail_opening(Some(db));
                }
                Ok(Err(error)) if self.struck() => {
                    self.trace.line(format_args!("opening failed: {error}"));
                    self.fail_opening(None);
                }
                Ok(Err(error)) => {
                    self.refused(&error);
                    return Err(Ended::Damaged);
                }
                Err(()) => self.fail_opening(None),
            }
            *before = self.machine.copy();
            if self.damaged || self.random.chance(40) {
                break;
            }
            self.arm();
        }
        self.calm();
        match self.open_calmly(before) {
            Some(db) => Ok(db),
            None => Err(Ended::Damaged),
        }
    }

    fn fail_opening(&mut self, db: Option<Db>) {
        self.count_fault();
        self.totals.count(Group::Outcome, "openings that a fault ended");
        self.crash_or_kill();
        drop(db);
        self.calm();
    }

    /// What came up after opening is what was promised, and from now on it stays.
    pub fn reconcile(&mut self, db: &Db, before: &MemoryVfs) {
        let stats = db.stats();
        let (found, acknowledged) = (stats.applied_index, self.model.applied_index());
        let report = db.open_report();
        self.trace.line(format_args!(
            "opened: entry {found}, acknowledged {acknowledged}, admitted {}, torn {:?}, removed {:?}",
            self.model.admitted_index(),
            report.torn.as_ref().map(|torn| (torn.offset, torn.bytes)),
            report.removed,
        ));
        if report.torn.is_some() {
            self.totals.count(Group::Outcome, "torn tails that were cut");
        }
        if self.opened && !self.damaged && self.random.chance(25) {
            self.verify_clean(before, "before opening");
        }
        self.opened = true;
        assert!(found <= self.model.admitted_index(), "entry {found} is there, and nobody wrote it");
        if found < acknowledged {
            assert!(self.damaged, "lost: the log ends at entry {found}, acknowledged was {acknowledged}");
            if let Some(proof) = vouched_behind(before, &self.layout, found) {
                panic!("lost although provable: ends at {found} of {acknowledged}; {proof}");
            }
            self.totals.count(Group::Outcome, "losses of a lying disk that left no trace");
        } else if found > acknowledged {
            self.totals.count(Group::Outcome, "unanswered entries that survived");
        }
        self.keep_unsettled();
        self.model.end_at(found);
        assert_eq!(db.version().epoch(), 1, "the epoch");
        self.check(db, "after opening");
        self.cut_off = false;
    }

    /// Remembers what got no receipt, for its producers to send again.
    fn keep_unsettled(&mut self) {
        for entry in self.model.unknown() {
            if let Change::Batch(sent) = &entry.change
                && sent.producer.id != 0
            {
                self.unsettled.push(sent.clone());
            }
        }
    }

    /// Opening was refused.
    fn refused(&mut self, error: &OpenError) {
        let text = error.to_string();
        self.trace.line(format_args!("refused: {text}"));
        assert!(self.damaged, "refused although nothing durable was damaged: {text}");
        assert!(text.contains(ROOT), "a refusal names the file: {text}");
        self.totals.count(Group::Outcome, "losses of a lying disk that were refused");
    }

    /// Sends again what got no receipt: what survived is a duplicate now, and everything else is applied.
    pub fn resend(&mut self, db: &Db) {
        for sent in std::mem::take(&mut self.unsettled) {
            self.send(db, sent, true);
        }
    }

    /// Operations until the fault ends the life or there were enough.
    fn work(&mut self, db: Db) -> Option<Db> {
        let mut db = Some(db);
        let count = self.random.within(OPERATIONS);
        if self.fault == FaultKind::FullDisk && self.random.chance(40) {
            operations::fill(self);
        }
        for at in 0..count {
            let step = catch_unwind(AssertUnwindSafe(|| match &db {
                Some(db) if at == 0 => self.resend(db),
                _ => operations::step(self, &mut db),
            }));
            if step.map_err(resume_unless_injected).is_err() {
                self.after_panic(db.as_ref());
                return db;
            }
            self.collect();
            self.note_lies();
            let Some(db) = &db else { break };
            self.held.judge(&db.snapshot(), self.options.pinned_bytes_max);
            if self.fault == FaultKind::PowerCut && self.struck() {
                break;
            }
            self.check_shown(db);
        }
        if let Some(db) = &db {
            self.check_held();
            if self.full {
                operations::make_room(self, db);
            }
        }
        db
    }

    /// A panic ends the process. Until it does, nothing wrong is said and nothing more is promised.
    fn after_panic(&mut self, db: Option<&Db>) {
        self.trace.line(format_args!("panic"));
        self.machine.watched.panic_never();
        self.totals.count(Group::Fault, self.fault);
        self.collect();
        let Some(db) = db else { return };
        self.check_shown(db);
        let flushed = db.flush().is_ok();
        (self.since, self.cut_off) = (Since::Steps, true);
        let compacted = db.compact(tapebook::CompactionGoal::Settled).is_ok();
        self.trace.line(format_args!("after the panic: flushed {flushed}, compacted {compacted}"));
        self.check_shown(db);
    }

    /// The life ends, one way or the other.
    fn end(&mut self, db: Option<Db>) {
        self.held.take();
        self.count_fault();
        if let Some(log_syncs) = self.poisoned {
            assert_eq!(self.machine.watched.log_syncs(), log_syncs, "a failed sync is not tried again");
            self.totals.count(Group::Outcome, "logs that took no more until a restart");
        }
        let cut = self.fault == FaultKind::PowerCut && self.struck();
        let panicked = self.fault == FaultKind::Panic;
        let way = if cut { 0 } else { self.random.below(100) };
        if way >= 80
            && !panicked
            && let Some(db) = db
        {
            // What waits for the disk is written, or fails.
            let closed = catch_unwind(AssertUnwindSafe(|| db.close()));
            self.collect();
            self.note_lies();
            let closed = closed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            self.trace.line(format_args!("closed: {}", closed.is_ok()));
            let explained = self.is_explained();
            if let Err(error) = closed {
                assert!(explained, "closing failed: {error}");
            }
            self.totals.count(Group::End, "closed");
        } else if (70..80).contains(&way) {
            drop(db);
            self.trace.line(format_args!("dropped"));
            self.totals.count(Group::End, "dropped");
        } else {
            self.crash_or_kill();
            drop(db);
        }
        self.collect();
        self.note_lies();
        self.calm();
        if self.random.chance(40) {
            self.older = Some(self.machine.copy());
        }
        operations::check_checkpoints(self);
    }

    fn count_fault(&mut self) {
        if self.fault != FaultKind::None && self.fault != FaultKind::Panic && self.struck() {
            self.totals.count(Group::Fault, self.fault);
        }
    }

    pub fn crash_or_kill(&mut self) {
        if self.random.chance(25) {
            self.machine.disk.crash_process();
            self.trace.line(format_args!("killed"));
            self.totals.count(Group::End, "killed");
        } else {
            let outcome = self.machine.disk.crash(self.random.bits());
            self.trace.line(format_args!("power cut: {outcome:?}"));
            self.totals.count(Group::End, "power cut");
        }
    }

    /// Looks for receipts and applies what they settle.
    pub fn collect(&mut self) {
        while let Some(entry) = self.model.next_unknown() {
            let Some(outcome) = entry.pending.as_ref().and_then(PendingAppend::poll_receipt) else { return };
            let found = match outcome {
                Ok(receipt) => Ok(receipt),
                Err(AppendError::Producer(refusal)) => Err(refusal),
                Err(AppendError::Log(_) | AppendError::Interrupted | AppendError::Closed) => return,
                Err(other) => panic!("an outcome that nobody expects: {other}"),
            };
            let expected = self.model.apply_next();
            if expected == Effect::Expiry {
                assert!(found.is_ok(), "an expiry was refused: {found:?}");
            } else {
                assert_eq!(Effect::Batch(found), expected, "a receipt");
            }
            self.totals.count(
                Group::Outcome,
                match &expected {
                    Effect::Expiry => "producers that expired",
                    Effect::Batch(Ok(receipt)) if receipt.duplicate => "duplicates",
                    Effect::Batch(Ok(_)) => "batches acknowledged",
                    _ => "batches refused by their number",
                },
            );
        }
    }

    /// What is shown is what was acknowledged, no less and no more. Cheap; [`Schedule::check`] compares everything.
    pub fn check_shown(&mut self, db: &Db) {
        let visible = db.snapshot().visible_seq();
        assert_eq!(visible, self.model.last_seq(), "what is acknowledged is what is shown");
    }

    /// Compares everything that is shown.
    pub fn check(&mut self, db: &Db, when: &str) {
        let snapshot = db.snapshot();
        let noted = self.note_dropped(&snapshot);
        let mut view = self.model.view(self.model.applied_index());
        view.dropped.clone_from(&self.dropped);
        let random = &mut self.random;
        let compared = self.machine.watched.calmly(|| noted.and_then(|()| compare(&snapshot, &view, random)));
        compare_producers(db, &self.model);
        let explained = self.is_explained();
        if let Err(error) = compared {
            let text = error.to_string();
            assert!(explained, "{when}: a read failed: {text}");
            assert!(text.contains(ROOT), "an error names the file: {text}");
            self.trace.line(format_args!("{when}: a read failed: {text}"));
        }
    }

    /// Looks which rows retention has dropped.
    pub fn note_dropped(&mut self, snapshot: &Snapshot) -> Result<(), ReadError> {
        let view = self.model.view(self.model.applied_index());
        let since = if self.damaged { Since::Anything } else { self.since };
        let now = machine_clock(&self.machine);
        let (retention, dropped) = (&self.options.retention, &mut self.dropped);
        let look = || note_dropped(snapshot, &view, retention, (now, since), dropped);
        self.machine.watched.calmly(look)?;
        if !self.cut_off {
            self.since = Since::Nothing;
        }
        Ok(())
    }

    /// Compares the journal from some sequence on.
    pub fn check_journal(&mut self, db: &Db) {
        let from = self.random.below(self.model.last_seq() + 2);
        match compare_journal(db, &self.model, from) {
            Ok(reached) => {
                self.trace.line(format_args!("journal from {from}: reached {reached}"));
                let all = self.options.journal_retention.is_some_and(|kept| kept > Duration::from_secs(1))
                    && self.options.journal_bytes_max.is_none();
                assert!(reached || !all || self.damaged, "the journal from {from} on is kept");
            }
            Err(error) => {
                let text = error.to_string();
                assert!(self.is_explained(), "the journal from {from}: {text}");
            }
        }
    }

    /// Snapshots that were taken long ago still show what they showed, but for those that keep too much in memory: they
    /// say so, and no others do.
    pub fn check_held(&mut self) {
        for held in self.held.take() {
            let released = held.snapshot.check_held().is_err();
            assert_eq!(
                released, held.is_over,
                "a held snapshot ends where it is over the bound, and only there"
            );
            let view = View { dropped: held.dropped, ..self.model.view(held.index) };
            let random = &mut self.random;
            let compared = self.machine.watched.calmly(|| compare(&held.snapshot, &view, random));
            self.totals.count(
                Group::Outcome,
                if released { "held snapshots over the bound" } else { "held snapshots within the bound" },
            );
            match compared {
                Err(ReadError::Released { .. }) => assert!(released, "released behind its back"),
                Err(error) => assert!(self.is_explained(), "a held snapshot: {error}"),
                Ok(()) => assert!(!released || view.last_seq() == 0, "a released snapshot is read"),
            }
        }
    }

    /// Checks the whole directory without opening it.
    fn verify_clean(&mut self, disk: &MemoryVfs, when: &str) {
        let copy: Arc<dyn Vfs> = Arc::new(disk.fork());
        let report = tapebook::verify(&copy, ROOT.as_ref(), "verify");
        let report = report.unwrap_or_else(|error| panic!("{when}: {error}"));
        assert_eq!(report.problems, Vec::<String>::new(), "{when}");
    }

    /// Damages copies of the directory as it was before it was opened.
    fn trials(&mut self, before: &MemoryVfs) {
        if self.damaged || self.struck() {
            return;
        }
        let count = *self.random.pick(&[0, 0, 1, 2]);
        for _ in 0..count {
            crate::damage::trial(self, before, self.older.clone().as_ref());
        }
    }

    /// Options for the main database.
    pub fn options(&self) -> Options {
        self.options.clone()
    }
}

/// Goes on with a panic that nobody has injected.
pub(crate) fn resume_unless_injected(panic: Box<dyn std::any::Any + Send>) {
    if !panic.is::<InjectedPanic>() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn machine_clock(machine: &Machine) -> i64 {
    machine.disk.manual_clock().unix_nanos()
}

fn draw_options(machine: &Machine, heavy: bool, random: &mut Random) -> Options {
    let day = Duration::from_secs(24 * 60 * 60);
    Options {
        vfs: machine.vfs(),
        wal: WalOptions {
            segment_bytes: 64 << 10,
            payload_bytes_max: 32 << 10,
            unsynced_bytes_max: *random.pick(&[20 << 10, 16 << 20]),
            spare_segments_max: *random.pick(&[0, 1, 4]),
            ..WalOptions::default()
        },
        memtable_bytes: if heavy { 192 << 10 } else { *random.pick(&[8 << 10, 24 << 10, 64 << 10]) },
        frozen_memtables_max: random.within(1..4) as usize,
        pinned_bytes_max: *random.pick(&[1 << 30, 40 << 10, 4 << 10]),
        compaction: SMALL_FILES,
        max_future: random.chance(40).then_some(day),
        symbols_max: if random.chance(20) { 12 } else { 1_000_000 },
        producers_max: if random.chance(20) { 3 } else { 100_000 },
        journal_retention: random.weighted(&[
            (5, None),
            (4, Some(day)),
            (1, Some(Duration::from_micros(900))),
        ]),
        journal_bytes_max: random.chance(20).then_some(20_000),
        retention: draw_retention(random),
        background: false,
        command: "sim".to_owned(),
        ..Options::default()
    }
}

/// Mostly everything is kept; else some tables keep little, so that what is read may still be compared with what others
/// keep.
fn draw_retention(random: &mut Random) -> RetentionOptions {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let mut retention = RetentionOptions::default();
    if random.chance(65) {
        return retention;
    }
    for kind in Kind::ALL {
        // In milliseconds a schedule's own rows grow old, in the others those of hours and years before it.
        let age_max = random.weighted(&[
            (4, None),
            (1, Some(Duration::from_millis(3))),
            (2, Some(HOUR)),
            (2, Some(30 * 24 * HOUR)),
            (2, Some(5 * 365 * 24 * HOUR)),
        ]);
        let bytes_max = random.weighted(&[(4, None), (1, Some(1)), (1, Some(8_000))]);
        retention.tables.insert(kind.name().to_owned(), RetentionPolicy { age_max, bytes_max });
    }
    retention
}
