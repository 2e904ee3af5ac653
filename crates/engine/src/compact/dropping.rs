//! Slices that go, as retention says.

use std::slice;

use tapebook_lsm::compaction::{Expired, OpenFiles, Slice, rewrite};
use tapebook_lsm::key::TimeRange;
use tapebook_lsm::manifest::{Version, VersionEdit};

use super::{Compactor, DROP, inputs};
use crate::commit::Committer;
use crate::{CompactionError, CompactionStep};

impl Compactor {
    /// Drops files, and writes those anew that other tables share, in one step: a reader sees all of a slice or nothing.
    pub(super) fn drop_slices(
        &self,
        committer: &Committer,
        version: &Version,
        known: &OpenFiles,
        chosen: &Expired,
    ) -> Result<CompactionStep, CompactionError> {
        let shared = inputs(known, &chosen.shared)?;
        let mut outputs = self.begin_outputs(committer, version, &shared)?;
        let tables: Vec<u64> = chosen.tables.iter().chain(&chosen.shared).copied().collect();
        let rewritten = shared.iter().try_for_each(|file| {
            let there = version.table(file.identity().file_id).ok_or(CompactionError::Interrupted)?;
            let place = Slice { times: TimeRange::ALL, partition: there.partition, level: there.level };
            let file = slice::from_ref(file);
            rewrite(file, &[place], &chosen.without, self.options.file_bytes, &mut outputs)
        });
        let result = rewritten.and_then(|()| {
            let edit = VersionEdit {
                tables_removed: tables.clone(),
                history_removed: chosen.history.clone(),
                partitions_removed: chosen.ended.clone(),
                ..VersionEdit::default()
            };
            self.replace(committer, edit, &outputs)
        });
        self.outcome(result, outputs, DROP, version, &tables, &chosen.history)
    }
}
