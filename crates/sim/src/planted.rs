//! Bugs that are planted to see that the schedules find them.

use std::fmt;

use tapebook_vfs::{Fault, FaultPlan, FaultRule, Operation};

/// A bug of the kind that crash consistency is about.
///
/// Those of the file system are planted below the database, which does not know. Those of the log's recovery are
/// switches of `tapebook_wal::planted`, which exist only where debug assertions are compiled in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlantedBug {
    /// The log is not synced before receipts.
    SkippedLogSync,
    /// The directory of the log is not synced when a segment gets its name.
    SkippedLogDirectorySync,
    /// The directory of the SSTables is not synced before a version edit names one.
    SkippedTableDirectorySync,
    /// The directory of the state files is not synced before a version edit names one.
    SkippedStateDirectorySync,
    /// An SSTable is not synced before a version edit names it.
    SkippedTableSync,
    /// The manifest is not synced before its edit counts.
    SkippedManifestSync,
    /// A tail is cut although a later frame vouches for it.
    CutTailThatIsVouchedFor,
    /// A tail is refused although nothing vouches for it.
    RefusedTailThatNothingVouchesFor,
}

impl PlantedBug {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SkippedLogSync,
        Self::SkippedLogDirectorySync,
        Self::SkippedTableDirectorySync,
        Self::SkippedStateDirectorySync,
        Self::SkippedTableSync,
        Self::SkippedManifestSync,
        Self::CutTailThatIsVouchedFor,
        Self::RefusedTailThatNothingVouchesFor,
    ];

    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SkippedLogSync => "skipped-log-sync",
            Self::SkippedLogDirectorySync => "skipped-log-directory-sync",
            Self::SkippedTableDirectorySync => "skipped-table-directory-sync",
            Self::SkippedStateDirectorySync => "skipped-state-directory-sync",
            Self::SkippedTableSync => "skipped-table-sync",
            Self::SkippedManifestSync => "skipped-manifest-sync",
            Self::CutTailThatIsVouchedFor => "cut-vouched-tail",
            Self::RefusedTailThatNothingVouchesFor => "refused-torn-tail",
        }
    }

    /// The bug with that name, where this build can plant it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| bug.name() == name && bug.is_available())
    }

    /// False for bugs of the recovery where they are not compiled in.
    pub fn is_available(self) -> bool {
        cfg!(debug_assertions)
            || !matches!(self, Self::CutTailThatIsVouchedFor | Self::RefusedTailThatNothingVouchesFor)
    }

    /// What the file system leaves out.
    pub(crate) fn plan(self) -> FaultPlan {
        let skipped = |operation, path: &str| {
            FaultRule::new(Fault::Skip).on(operation).path_contains(path).for_ever().into()
        };
        match self {
            Self::SkippedLogSync => skipped(Operation::Sync, ".log"),
            Self::SkippedLogDirectorySync => skipped(Operation::SyncDir, "/db/wal"),
            Self::SkippedTableDirectorySync => skipped(Operation::SyncDir, "/db/tables"),
            Self::SkippedStateDirectorySync => skipped(Operation::SyncDir, "/db/state"),
            Self::SkippedTableSync => skipped(Operation::Sync, "/db/tables"),
            Self::SkippedManifestSync => skipped(Operation::Sync, "MANIFEST"),
            Self::CutTailThatIsVouchedFor | Self::RefusedTailThatNothingVouchesFor => FaultPlan::none(),
        }
    }

    /// Switches a bug of the recovery on in this thread; none switches it off.
    pub(crate) fn switch_recovery(bug: Option<Self>) {
        #[cfg(debug_assertions)]
        tapebook_wal::planted::set(match bug {
            Some(Self::CutTailThatIsVouchedFor) => Some(tapebook_wal::planted::RecoveryBug::CutDespiteVouch),
            Some(Self::RefusedTailThatNothingVouchesFor) => {
                Some(tapebook_wal::planted::RecoveryBug::RefuseTornTail)
            }
            _ => None,
        });
        #[cfg(not(debug_assertions))]
        let _ = bug;
    }
}

impl fmt::Display for PlantedBug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
