//! The faults of one life of the process: drawn, armed, and what the rules are behind them.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;

use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Operation, Vfs};

use crate::planted::PlantedBug;
use crate::random::Random;
use crate::watched::{SpoiledWrite, WatchedVfs};

/// About as many calls as a life makes.
const CALLS: u64 = 500;

/// What the disk or the process does in one life, beside what happens at its end.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum FaultKind {
    /// Nothing.
    None,
    /// The power fails in the middle of a call (D1, D13).
    PowerCut,
    /// One call fails with EIO (D9).
    ErrorOnce,
    /// Every call from one on fails with EIO (D9).
    DeadDisk,
    /// One write stores a part of its bytes and fails (D9).
    ShortWrite,
    /// One sync fails, and the pages count as clean from then on (D8).
    FailedSync,
    /// The disk is full, and has room again later (D10).
    FullDisk,
    /// A panic inside a call (P4).
    Panic,
    /// Syncs of one kind of file or directory report success and do nothing (D7).
    LyingSync,
    /// A write is reported and never stored (D6).
    LostWrite,
    /// A write lands elsewhere in its file (D5).
    MisplacedWrite,
    /// A read comes from elsewhere in its file (D5).
    MisplacedRead,
    /// A bit flips between memory and disk (D4).
    SpoiledWrite,
    /// A bit flips between disk and memory (D4).
    SpoiledRead,
}

impl FaultKind {
    /// All of them, with how often they are drawn.
    pub(crate) const WEIGHTS: [(u64, Self); 14] = [
        (20, Self::None),
        (24, Self::PowerCut),
        (8, Self::ErrorOnce),
        (4, Self::DeadDisk),
        (5, Self::ShortWrite),
        (6, Self::FailedSync),
        (8, Self::FullDisk),
        (5, Self::Panic),
        (5, Self::LyingSync),
        (4, Self::LostWrite),
        (4, Self::MisplacedWrite),
        (3, Self::MisplacedRead),
        (3, Self::SpoiledWrite),
        (3, Self::SpoiledRead),
    ];

    /// True where the disk keeps what it has reported as synced. Then nothing may be refused or missing after it.
    pub(crate) fn is_honest(self) -> bool {
        !matches!(
            self,
            Self::LyingSync
                | Self::LostWrite
                | Self::MisplacedWrite
                | Self::MisplacedRead
                | Self::SpoiledWrite
                | Self::SpoiledRead
        )
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no fault",
            Self::PowerCut => "power cut in a call",
            Self::ErrorOnce => "EIO once",
            Self::DeadDisk => "EIO for ever",
            Self::ShortWrite => "short write",
            Self::FailedSync => "failed sync",
            Self::FullDisk => "full disk",
            Self::Panic => "panic",
            Self::LyingSync => "lying sync",
            Self::LostWrite => "lost write",
            Self::MisplacedWrite => "misplaced write",
            Self::MisplacedRead => "misplaced read",
            Self::SpoiledWrite => "spoiled write",
            Self::SpoiledRead => "spoiled read",
        })
    }
}

/// Parts of paths that faults are aimed at, one for each structure that is written.
const FILES: [&str; 8] =
    [".log", "MARK", "/tables/", "/state/", "MANIFEST", "CURRENT", "/archive/", "/backup/"];
/// Directories whose sync may lie.
const DIRECTORIES: [&str; 5] = ["/db/wal", "/db/tables", "/db/state", "/db/archive", "/backup"];

/// A part of no path.
const NO_FILE: &str = "no such file";

/// The simulated disk with the layers that spoil it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub disk: MemoryVfs,
    pub watched: WatchedVfs,
    fault: FaultVfs,
}

impl Machine {
    pub fn new(seed: u64, planted: Option<PlantedBug>) -> Self {
        let disk = MemoryVfs::new(seed);
        let plan = planted.map_or_else(FaultPlan::none, PlantedBug::plan);
        let lower = FaultVfs::new(Arc::new(disk.clone()), plan);
        let fault = FaultVfs::new(Arc::new(lower), FaultPlan::none());
        let watched = WatchedVfs::new(Arc::new(fault.clone()));
        Self { disk, watched, fault }
    }

    pub fn vfs(&self) -> Arc<dyn Vfs> {
        Arc::new(self.watched.clone())
    }

    /// A copy of the disk as it is now, on which nothing fails.
    pub fn copy(&self) -> MemoryVfs {
        let copy = self.disk.fork();
        copy.set_capacity_bytes(None);
        copy.fail_next_sync(NO_FILE);
        copy
    }

    /// Ends every fault.
    pub fn calm(&self) {
        self.fault.set_plan(FaultPlan::none());
        self.disk.set_capacity_bytes(None);
        self.disk.fail_next_sync(NO_FILE);
        self.watched.calm();
    }

    /// Faults that came to pass, counted by the layer below; errors count apart.
    pub fn faults(&self) -> u64 {
        self.fault.faults() + self.watched.spoiled()
    }

    /// Leaves so much room.
    pub fn fill(&self, room_bytes: u64) {
        const LARGE: u64 = 1 << 40;
        self.disk.set_capacity_bytes(Some(LARGE));
        let available = self.disk.available_bytes("/".as_ref()).expect("the root is there");
        self.disk.set_capacity_bytes(Some(LARGE - available + room_bytes));
    }

    /// Arms a fault for what comes; says which.
    pub fn arm(&self, kind: FaultKind, random: &mut Random) -> String {
        self.calm();
        let nth = 1 + if random.chance(50) { random.below(CALLS) } else { random.below(CALLS / 5) };
        let rule = |fault| FaultRule::new(fault).nth(nth);
        let file = *random.weighted(&[(6, &FILES[..1]), (5, &FILES[1..])]).first().expect("some");
        let file = if file == FILES[0] { file } else { *random.pick(&FILES[1..]) };
        let few = 1 + random.below(12);
        let offset = random.below(128) * 512;
        let (index, mask) = (random.below(4096) as usize, 1 << random.below(8));
        match kind {
            FaultKind::None | FaultKind::FullDisk => return String::new(),
            FaultKind::PowerCut => {
                // As often as not in the middle of what the log writes or syncs, where the most is to be found out.
                let bytes = *random.pick(&[6_000, 600]);
                let bytes = random.below(bytes) as usize;
                let cut = FaultRule::new(Fault::ShortWrite { bytes, error: ErrorKind::Other });
                let cut = match random.below(4) {
                    0 => cut.on(Operation::Write).path_contains(".log").nth(1 + nth / 12),
                    1 => cut.on(Operation::Sync).path_contains(".log").nth(1 + nth / 12),
                    _ => cut.nth(nth),
                };
                self.fault.set_plan(cut.into());
                self.watched.dead_after_error();
            }
            FaultKind::ErrorOnce => {
                let any = rule(Fault::OsError(5));
                let operation = *random.pick(&[
                    Operation::Write,
                    Operation::SyncDir,
                    Operation::Rename,
                    Operation::Read,
                    Operation::Remove,
                    Operation::Prepare,
                    Operation::Map,
                ]);
                let one = FaultRule::new(Fault::OsError(5)).on(operation).nth(few);
                self.fault.set_plan(if random.chance(50) { any.into() } else { one.into() });
            }
            FaultKind::DeadDisk => self.fault.set_plan(rule(Fault::OsError(5)).for_ever().into()),
            FaultKind::ShortWrite => {
                let bytes = random.below(6_000) as usize;
                let short = FaultRule::new(Fault::ShortWrite { bytes, error: ErrorKind::Other });
                self.fault.set_plan(short.on(Operation::Write).nth(1 + nth / 6).into());
            }
            FaultKind::FailedSync => self.disk.fail_next_sync(file),
            FaultKind::Panic => self.watched.panic_in(nth),
            FaultKind::LyingSync => {
                let lie = FaultRule::new(Fault::Skip).nth(few).for_ever();
                let lie = if random.chance(60) {
                    lie.on(Operation::Sync).path_contains(file)
                } else {
                    lie.on(Operation::SyncDir).path_contains(*random.pick(&DIRECTORIES))
                };
                self.fault.set_plan(lie.into());
            }
            FaultKind::LostWrite => {
                let lost = FaultRule::new(Fault::Skip).on(Operation::Write).path_contains(file).nth(few);
                self.fault.set_plan(lost.into());
            }
            FaultKind::MisplacedWrite => {
                let moved = FaultRule::new(Fault::Misplace { offset }).on(Operation::Write);
                self.fault.set_plan(moved.path_contains(file).nth(few).into());
            }
            FaultKind::MisplacedRead => {
                let moved = FaultRule::new(Fault::Misplace { offset }).on(Operation::Read);
                self.fault.set_plan(moved.path_contains(file).nth(few).into());
            }
            FaultKind::SpoiledWrite => {
                let at = random.below(1 << 16);
                self.watched.spoil(SpoiledWrite { path_part: file, nth: few, at, mask });
            }
            FaultKind::SpoiledRead => {
                let operation = *random.pick(&[Operation::Read, Operation::Map]);
                let spoiled = FaultRule::new(Fault::CorruptRead { index, mask }).on(operation);
                self.fault.set_plan(spoiled.path_contains(file).nth(few).into());
            }
        }
        format!("{kind} (nth {nth}, few {few}, {file}, offset {offset})")
    }
}
