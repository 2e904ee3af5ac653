//! The power fails, or the process is killed, at any call to the disk: what was acknowledged or seen stays, nothing
//! is there twice, and whoever got no answer settles it by sending again.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use tapebook::{CompactionGoal, Db, Durability, Options, WalOptions};
use tapebook_history::HistoryFile;
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Vfs};

use crate::clients::{Clients, Sent, append, check_survivors, send};
use crate::random::Random;
use crate::rows::{batch_of, everything, try_everything};
use crate::support::SMALL_FILES;

/// Replays one seed: `TAPEBOOK_CRASH_SEED=17 cargo test -p tapebook --test all crash::`.
const SEED_VARIABLE: &str = "TAPEBOOK_CRASH_SEED";
const SEEDS_PER_TEST: u64 = 250;
const STEPS: u64 = 110;
/// About as many calls as the longest of these runs makes.
const CALLS: u64 = 1_000;

#[test]
fn a_crash_at_any_call_loses_nothing_first_quarter() {
    crashes(0);
}

#[test]
fn a_crash_at_any_call_loses_nothing_second_quarter() {
    crashes(1);
}

#[test]
fn a_crash_at_any_call_loses_nothing_third_quarter() {
    crashes(2);
}

#[test]
fn a_crash_at_any_call_loses_nothing_last_quarter() {
    crashes(3);
}

fn crashes(quarter: u64) {
    if let Some(seed) = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()) {
        if quarter == seed / SEEDS_PER_TEST % 4 {
            println!("{:?}", run(seed));
        }
        return;
    }
    let mut reached = Reached::default();
    for seed in quarter * SEEDS_PER_TEST..(quarter + 1) * SEEDS_PER_TEST {
        reached.add(&run(seed));
    }
    println!("{reached:?}");
    // Without these the scenario would be about less than it says.
    assert!(reached.acknowledged > 1_000 && reached.unsettled > 20 && reached.survivors > 0, "{reached:?}");
    assert!(reached.tables > 50 && reached.rolls > 20 && reached.recoveries_cut > 20, "{reached:?}");
    assert!(reached.merges > 50 && reached.conversions > 30, "{reached:?}");
}

/// What the runs came across.
#[derive(Debug, Default)]
struct Reached {
    acknowledged: u64,
    unsettled: u64,
    /// Batches without an acknowledgement that survived.
    survivors: u64,
    tables: u64,
    rolls: u64,
    recoveries_cut: u64,
    merges: u64,
    conversions: u64,
}

impl Reached {
    fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.unsettled += other.unsettled;
        self.survivors += other.survivors;
        self.tables += other.tables;
        self.rolls += other.rolls;
        self.recoveries_cut += other.recoveries_cut;
        self.merges += other.merges;
        self.conversions += other.conversions;
    }
}

struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!(
                "seed {seed}; replay: {SEED_VARIABLE}={seed} cargo test -p tapebook --test all crash:: -- --nocapture"
            );
        }
    }
}

fn options(vfs: Arc<dyn Vfs>) -> Options {
    Options {
        vfs,
        wal: WalOptions { segment_bytes: 64 << 10, payload_bytes_max: 32 << 10, ..WalOptions::default() },
        memtable_bytes: 24 << 10,
        frozen_memtables_max: 2,
        compaction: SMALL_FILES,
        max_future: None,
        background: false,
        command: "crash".to_owned(),
        ..Options::default()
    }
}

fn run(seed: u64) -> Reached {
    let _replay = Replay(seed);
    let disk = MemoryVfs::new(seed);
    let mut clients = Clients::new(seed);
    let crash_at = 1 + clients.random.below(CALLS);
    let fault = FaultVfs::new(Arc::new(disk.clone()), stop_at(crash_at, &mut clients.random));
    let mut reached = Reached::default();
    let db = work(&fault, &mut clients);
    let seen = db.as_ref().and_then(|db| try_everything(&db.snapshot()).ok()).unwrap_or_default();
    reached.tables = db.as_ref().map_or(0, |db| db.snapshot().pieces().tables.len() as u64);
    reached.merges = db.as_ref().map_or(0, |db| db.stats().compaction.merges);
    reached.conversions = db.as_ref().map_or(0, |db| db.stats().compaction.conversions);
    reached.rolls = db.as_ref().map_or(0, |db| db.stats().wal.segments_begun);
    crash(&disk, &mut clients.random);
    drop(db);
    clients.collect_receipts();
    reached.acknowledged = clients.acknowledged.len() as u64;
    reached.unsettled = clients.unsettled.len() as u64;

    while clients.random.chance(50) {
        // The machine fails again while the database is being opened.
        let plan = stop_at(1 + clients.random.below(60), &mut clients.random);
        let fault = FaultVfs::new(Arc::new(disk.clone()), plan);
        let opened = Db::open_with("/db", options(Arc::new(fault.clone())));
        reached.recoveries_cut += u64::from(opened.is_err());
        crash(&disk, &mut clients.random);
        drop(opened);
    }

    let db = Db::open_with("/db", options(Arc::new(disk.clone()))).unwrap_or_else(|error| panic!("{error}"));
    let survived = everything(&db.snapshot());
    check_survivors(&survived, &seen, &clients);
    let there = |sent: &&Sent| survived.iter().any(|stored| stored.row == sent.rows[0]);
    reached.survivors = clients.unsettled.iter().filter(there).count() as u64;
    clients.send_again(&db, &survived);
    for _ in 0..3 {
        let sent = clients.next_batch();
        let receipt = append(&db, batch_of(sent.producer, &sent.rows));
        assert!(!receipt.duplicate);
        clients.settle(&sent, receipt);
    }
    db.flush().unwrap_or_else(|error| panic!("{error}"));
    if clients.random.chance(50) {
        db.compact(some_goal(&mut clients.random)).unwrap_or_else(|error| panic!("{error}"));
    }
    clients.acknowledged.sort();
    assert_eq!(everything(&db.snapshot()), clients.acknowledged, "every batch once, nothing else");
    db.close().unwrap_or_else(|error| panic!("{error}"));

    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let report = tapebook::verify(&vfs, Path::new("/db"), "verify").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.problems, Vec::<String>::new());
    let db = Db::open_with("/db", options(vfs)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(everything(&db.snapshot()), clients.acknowledged);
    assert_eq!(db.stats().leftovers, None);
    check_names(&disk, &db);
    reached
}

/// Other programs find each history file under its name, and nothing else.
pub fn check_names(disk: &MemoryVfs, db: &Db) {
    let mut expected = BTreeSet::new();
    for file in db.version().history() {
        let path = Path::new("/db").join(&file.path);
        let (identity, _) = HistoryFile::identity_of(disk, &path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(identity.file_id, file.file_id);
        expected.insert(path);
    }
    let mut found = BTreeSet::new();
    let history = Path::new("/db/history");
    for folder in disk.read_dir(history).unwrap_or_default() {
        let folder = history.join(folder.name);
        found.extend(disk.read_dir(&folder).unwrap().into_iter().map(|entry| folder.join(entry.name)));
    }
    assert_eq!(found, expected);
}

/// From the call with this number on nothing works any more; a write may get half way.
fn stop_at(call: u64, random: &mut Random) -> FaultPlan {
    let bytes = random.below(6_000) as usize;
    let half = FaultRule::new(Fault::ShortWrite { bytes, error: ErrorKind::Other }).nth(call);
    FaultPlan::none().with(half).with(FaultRule::new(Fault::Error(ErrorKind::Other)).nth(call).for_ever())
}

fn crash(disk: &MemoryVfs, random: &mut Random) {
    if random.chance(25) {
        disk.crash_process();
    } else {
        disk.crash(random.next());
    }
}

fn some_goal(random: &mut Random) -> CompactionGoal {
    match random.below(3) {
        0 => CompactionGoal::Bounded,
        1 => CompactionGoal::Settled,
        _ => CompactionGoal::History,
    }
}

/// Works until something fails or there is nothing left to do; the database as it stands then.
fn work(fault: &FaultVfs, clients: &mut Clients) -> Option<Db> {
    let open = || Db::open_with("/db", options(Arc::new(fault.clone()))).ok();
    let mut db = open()?;
    for _ in 0..STEPS {
        match clients.random.below(100) {
            0..10 => {
                if db.flush().is_err() {
                    return Some(db);
                }
            }
            10..18 => {
                if db.compact(some_goal(&mut clients.random)).is_err() {
                    return Some(db);
                }
            }
            18..22 => {
                if clients.random.chance(50) {
                    let closed = db.close();
                    clients.collect_receipts();
                    closed.ok()?;
                } else {
                    drop(db);
                    clients.collect_receipts();
                }
                db = open()?;
                let Ok(survived) = try_everything(&db.snapshot()) else { return Some(db) };
                check_survivors(&survived, &[], clients);
                // The clients know nothing of the restart but that some receipts did not come.
                let mut again = std::mem::take(&mut clients.unsettled).into_iter();
                while let Some(sent) = again.next() {
                    if !send(&db, clients, sent, Durability::Synced) {
                        clients.unsettled.extend(again);
                        return Some(db);
                    }
                }
            }
            step => {
                let durability = if step < 46 { Durability::Buffered } else { Durability::Synced };
                let sent = clients.next_batch();
                let sent = send(&db, clients, sent, durability);
                clients.collect_receipts();
                let visible = db.snapshot().visible_seq();
                assert!(
                    clients.acknowledged.iter().all(|stored| stored.seq <= visible),
                    "what is acknowledged is seen"
                );
                if !sent {
                    return Some(db);
                }
            }
        }
    }
    Some(db)
}
