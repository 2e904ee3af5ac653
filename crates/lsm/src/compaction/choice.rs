//! Decides what to do next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::partitions::{self, Days};
use super::retention::{Expired, Retention, expired};
use super::{CompactionOptions, Facts};
use crate::key::TimeRange;
use crate::manifest::{HistoryFile, PARTITION_AS_FLUSHED, Partition, TableFile, Version};
use tapebook_record::TableId;

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Choice {
    /// All is as it should be.
    Nothing,
    /// A file goes to another place as it is.
    Move(Move),
    /// Files are rewritten.
    Merge(Merge),
    /// A partition becomes history, or its history is written anew.
    Convert(Convert),
    /// Slices go, as retention says.
    Drop(Expired),
}

/// The rows of a partition that become history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Convert {
    /// The partition.
    pub partition: Partition,
    /// The table files that are replaced, by number: all of the partition.
    pub inputs: Vec<u64>,
    /// The history files that are replaced, by number: those of every table that has rows in the inputs, and those with
    /// rows that a retraction hides.
    pub history: Vec<u64>,
}

/// The level of rows that retractions hide, once the others of their partition are history. Other programs read history
/// without knowing of retractions; here are the rows for who looks at an earlier state or undoes one.
pub const LEVEL_ASIDE: u8 = 2;

/// A file that changes its level or its partition. No row is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Move {
    /// The file.
    pub file_id: u64,
    /// Where it goes.
    pub level: u8,
    /// Where it goes.
    pub partition: u64,
    /// Partitions that begin with it.
    pub begun: Vec<Partition>,
}

/// Files that are replaced by new ones with the same rows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Merge {
    /// The files that are replaced, by number.
    pub inputs: Vec<u64>,
    /// Where the rows go: by time, without overlaps; every row has its slice.
    pub slices: Vec<Slice>,
    /// Partitions that begin; one in which no row comes to lie is not needed.
    pub begun: Vec<Partition>,
    /// A partition that ends.
    pub ended: Option<u64>,
    /// Why.
    pub reason: MergeReason,
}

/// Where the rows of a range of time go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slice {
    /// The rows.
    pub times: TimeRange,
    /// Their partition.
    pub partition: u64,
    /// Their level.
    pub level: u8,
}

/// Why files are merged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MergeReason {
    /// Flushed files whose rows lie in several partitions.
    Divide,
    /// Many small files with late rows.
    GatherLate,
    /// Late rows have grown to a share of what they overlap.
    FoldLate,
    /// Small neighbours in order.
    Join,
    /// A partition has outgrown its bound.
    Split,
}

impl MergeReason {
    /// What it is called in tables and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Divide => "divide",
            Self::GatherLate => "gather_late",
            Self::FoldLate => "fold_late",
            Self::Join => "join",
            Self::Split => "split",
        }
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Goal {
    /// The number of files is bounded, with as little writing as that takes.
    Bounded,
    /// Every row lies in L1 of its partition, or in history.
    Settled,
    /// Every row lies in history, but those that retractions hide.
    History,
}

/// What to do next. The same arguments give the same choice; carried out again and again, it comes to
/// [`Choice::Nothing`].
pub fn choose(
    version: &Version,
    facts: &impl Facts,
    options: &CompactionOptions,
    retention: &Retention,
    goal: Goal,
) -> Choice {
    let chooser = Chooser::new(version, facts, options, goal);
    let choice = chooser.place();
    // Before anything is merged: what goes need not be, and may be the room that merging needs.
    let choice = choice.or_else(|| expired(version, facts, retention).map(Choice::Drop));
    let choice = choice.or_else(|| chooser.divide());
    let choice = choice.or_else(|| chooser.convert());
    let choice = choice.or_else(|| chooser.promote());
    let choice = choice.or_else(|| chooser.fold_late());
    let choice = choice.or_else(|| chooser.gather_late());
    let choice = choice.or_else(|| chooser.join());
    choice.or_else(|| chooser.split()).unwrap_or(Choice::Nothing)
}

/// Late rows go into the history of their partition when they are so many times fewer than those that are there.
const HISTORY_RATIO: u64 = 16;
/// Or when nothing has come for so long.
const QUIET_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A file of late rows is not cut, but grows no further than to so many times the bytes of other files.
const LATE_FILES_MAX: u64 = 16;

type Files<'a> = Vec<&'a Arc<TableFile>>;

struct Chooser<'a, F> {
    facts: &'a F,
    options: &'a CompactionOptions,
    goal: Goal,
    /// By time.
    partitions: Vec<Partition>,
    flushed: Files<'a>,
    /// Files of level 0 that have a partition: rows that were late.
    late: BTreeMap<u64, Files<'a>>,
    /// Files of level 1, by their first time.
    ordered: BTreeMap<u64, Files<'a>>,
    /// Rows that retractions hide.
    aside: BTreeMap<u64, Files<'a>>,
    history: BTreeMap<u64, Vec<&'a Arc<HistoryFile>>>,
}

impl<'a, F: Facts> Chooser<'a, F> {
    fn new(version: &'a Version, facts: &'a F, options: &'a CompactionOptions, goal: Goal) -> Self {
        let mut partitions: Vec<Partition> = version.partitions().copied().collect();
        partitions.sort_unstable_by_key(|partition| partition.times.first);
        let mut late: BTreeMap<u64, Files<'a>> = BTreeMap::new();
        let mut ordered: BTreeMap<u64, Files<'a>> = BTreeMap::new();
        let mut flushed = Vec::new();
        for file in version.level(0) {
            match file.partition {
                PARTITION_AS_FLUSHED => flushed.push(file),
                partition => late.entry(partition).or_default().push(file),
            }
        }
        for file in version.level(1) {
            ordered.entry(file.partition).or_default().push(file);
        }
        for files in ordered.values_mut() {
            files.sort_unstable_by_key(|file| (file.times.first, file.times.last, file.file_id));
        }
        let mut aside: BTreeMap<u64, Files<'a>> = BTreeMap::new();
        for file in version.level(usize::from(LEVEL_ASIDE)) {
            aside.entry(file.partition).or_default().push(file);
        }
        let mut history: BTreeMap<u64, Vec<&'a Arc<HistoryFile>>> = BTreeMap::new();
        for file in version.history() {
            history.entry(file.partition).or_default().push(file);
        }
        Self { facts, options, goal, partitions, flushed, late, ordered, aside, history }
    }

    fn ordered(&self, partition: u64) -> &[&'a Arc<TableFile>] {
        self.ordered.get(&partition).map_or(&[], Vec::as_slice)
    }

    fn overlaps_ordered(&self, file: &TableFile, partition: u64) -> bool {
        self.ordered(partition).iter().any(|other| self.facts.overlap(file, other))
    }

    fn next_partition_id(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.id).max().unwrap_or(PARTITION_AS_FLUSHED) + 1
    }

    fn days(&self, files: &[&Arc<TableFile>]) -> Days {
        partitions::days(files.iter().flat_map(|file| self.facts.weights(file)))
    }

    /// The partitions that must begin for these files.
    fn begun_for(&self, files: &[&Arc<TableFile>]) -> Vec<Partition> {
        let hull = hull(files);
        let existing: Vec<TimeRange> = self.partitions.iter().map(|partition| partition.times).collect();
        let begun = partitions::begin(&existing, hull, &self.days(files), self.options);
        begun.into_iter().zip(self.next_partition_id()..).map(|(times, id)| Partition { id, times }).collect()
    }

    /// A flushed file that lies in one partition goes there.
    fn place(&self) -> Option<Choice> {
        self.flushed.iter().find_map(|file| {
            let within = |partition: &&Partition| {
                partition.times.contains(file.times.first) && partition.times.contains(file.times.last)
            };
            let mut begun = Vec::new();
            let partition = match self.partitions.iter().find(within) {
                Some(partition) => partition.id,
                None => {
                    begun = self.begun_for(&[*file]);
                    let new = begun.iter().find(within)?.id;
                    begun.retain(|partition| partition.id == new);
                    new
                }
            };
            let level = u8::from(!self.overlaps_ordered(file, partition));
            Some(Choice::Move(Move { file_id: file.file_id, level, partition, begun }))
        })
    }

    /// Flushed files of several partitions are divided: at once where their rows came in order, else when there are
    /// some to be divided together.
    fn divide(&self) -> Option<Choice> {
        let in_order = |file: &&&Arc<TableFile>| {
            let mut ordered = self.ordered.values().flatten();
            !ordered.any(|other| self.facts.overlap(file, other))
        };
        let files: Files<'a> = match self.flushed.iter().find(in_order) {
            Some(file) => vec![*file],
            None if self.flushed.len() >= self.options.fan_in.max(2) || self.goal != Goal::Bounded => {
                self.flushed.clone()
            }
            None => return None,
        };
        if files.is_empty() {
            return None;
        }
        let begun = self.begun_for(&files);
        let times = hull(&files);
        let mut slices: Vec<Slice> = self
            .partitions
            .iter()
            .chain(&begun)
            .filter(|partition| partition.times.overlaps(times))
            .map(|partition| Slice { times: partition.times, partition: partition.id, level: 0 })
            .collect();
        slices.sort_unstable_by_key(|slice| slice.times.first);
        Some(self.merge(files, slices, begun, None, MergeReason::Divide))
    }

    /// A partition that has been quiet becomes history; one whose retractions changed is written anew.
    fn convert(&self) -> Option<Choice> {
        self.partitions.iter().find_map(|partition| {
            let history = self.history.get(&partition.id).map_or(&[][..], Vec::as_slice);
            let aside = self.aside.get(&partition.id).map_or(&[][..], Vec::as_slice);
            let mut files: Files<'a> = self.ordered(partition.id).to_vec();
            files.extend(self.late.get(&partition.id).into_iter().flatten());
            let is_due = (!files.is_empty() && self.is_quiet(partition, &files, history))
                || history.iter().any(|file| self.facts.hides_some(file))
                || aside.iter().any(|file| self.facts.shows_some(file));
            if !is_due {
                return None;
            }
            files.extend(aside);
            let tables: BTreeSet<TableId> =
                files.iter().flat_map(|file| file.tables.iter().copied()).collect();
            let replaced =
                |file: &&&Arc<HistoryFile>| tables.contains(&file.table) || self.facts.hides_some(file);
            let mut inputs: Vec<u64> = files.iter().map(|file| file.file_id).collect();
            inputs.sort_unstable();
            let history = history.iter().filter(replaced).map(|file| file.file_id).collect();
            Some(Choice::Convert(Convert { partition: *partition, inputs, history }))
        })
    }

    /// True where little more can be expected for a partition, so that what has come can be written for good.
    fn is_quiet(&self, partition: &Partition, files: &Files<'_>, history: &[&Arc<HistoryFile>]) -> bool {
        if self.goal == Goal::History {
            return true;
        }
        let quiet = self.facts.quiet_for(partition.id);
        if self.options.late_allowance.is_none_or(|allowance| quiet < allowance) {
            return false;
        }
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        let there: u64 = history.iter().map(|file| file.rows).sum();
        let is_over = partition.times.last < self.facts.now() && rows.saturating_mul(HISTORY_RATIO) >= there;
        is_over || quiet >= QUIET_MAX
    }

    /// A late file that overlaps nothing any more is not late.
    fn promote(&self) -> Option<Choice> {
        self.late.iter().find_map(|(&partition, late)| {
            let file = late.iter().find(|file| !self.overlaps_ordered(file, partition))?;
            Some(Choice::Move(Move { file_id: file.file_id, level: 1, partition, begun: Vec::new() }))
        })
    }

    /// Late files are merged into what they overlap, when they have grown to a share of it.
    fn fold_late(&self) -> Option<Choice> {
        self.late.iter().find_map(|(&partition, late)| {
            let due = |overlapped: &Files<'_>| {
                self.goal != Goal::Bounded
                    || bytes(late).saturating_mul(self.options.late_ratio) >= bytes(overlapped)
            };
            let mut overlapped = self.ordered(partition).to_vec();
            overlapped.retain(|file| late.iter().any(|late| self.facts.overlap(late, file)));
            // Asked first, because what lies between is not known as fast.
            if !due(&overlapped) {
                return None;
            }
            let inputs: Files<'a> = late.iter().copied().chain(overlapped).collect();
            let inputs = self.with_what_lies_between(partition, inputs);
            let overlapped: Files<'a> = inputs.iter().copied().filter(|file| file.level > 0).collect();
            due(&overlapped).then(|| self.within(partition, inputs, 1, MergeReason::FoldLate))
        })
    }

    /// These files, and those of L1 that lie between them in time: merged without them, they would overlap them.
    fn with_what_lies_between(&self, partition: u64, files: Files<'a>) -> Files<'a> {
        let mut files = files;
        loop {
            let times = hull(&files);
            let chosen = |file: &TableFile| files.iter().any(|chosen| chosen.file_id == file.file_id);
            let between = self.ordered(partition).iter().copied().filter(|file| {
                file.times.overlaps(times) && !chosen(file) && self.facts.overlap_together(&files, file)
            });
            let between: Files<'a> = between.collect();
            if between.is_empty() {
                return files;
            }
            files.extend(between);
        }
    }

    /// Late files of about one size become one.
    fn gather_late(&self) -> Option<Choice> {
        self.late.iter().find_map(|(&partition, late)| {
            let mut by_size: BTreeMap<u32, Files<'a>> = BTreeMap::new();
            for file in late {
                by_size.entry(size_class(file.bytes)).or_default().push(file);
            }
            let bytes_max = self.options.file_bytes.saturating_mul(LATE_FILES_MAX);
            let files = by_size
                .into_values()
                .find(|files| files.len() >= self.options.fan_in.max(2) && bytes(files) <= bytes_max)?;
            Some(self.within(partition, files, 0, MergeReason::GatherLate))
        })
    }

    /// Small neighbours in L1 become one.
    fn join(&self) -> Option<Choice> {
        self.ordered.iter().find_map(|(&partition, files)| {
            let fan_in = self.options.fan_in.max(2);
            let group = files.windows(fan_in).find(|group| {
                let largest = group.iter().map(|file| file.bytes).max().unwrap_or(0);
                bytes(group) <= self.options.file_bytes
                    && largest.saturating_mul(2) <= bytes(group)
                    && self.with_what_lies_between(partition, group.to_vec()).len() == fan_in
            })?;
            Some(self.within(partition, group.to_vec(), 1, MergeReason::Join))
        })
    }

    /// A partition that has outgrown its bound is divided into shorter ones.
    fn split(&self) -> Option<Choice> {
        self.partitions.iter().find_map(|partition| {
            let late = self.late.get(&partition.id).into_iter().flatten();
            let files: Files<'a> = self.ordered(partition.id).iter().chain(late).copied().collect();
            if bytes(&files) <= self.options.partition_bytes_max || self.history.contains_key(&partition.id) {
                return None;
            }
            let parts = partitions::divide(partition.times, &self.days(&files), self.options)?;
            let begun: Vec<Partition> = parts
                .into_iter()
                .zip(self.next_partition_id()..)
                .map(|(times, id)| Partition { id, times })
                .collect();
            let slices = begun
                .iter()
                .map(|partition| Slice { times: partition.times, partition: partition.id, level: 1 })
                .collect();
            Some(self.merge(files, slices, begun, Some(partition.id), MergeReason::Split))
        })
    }

    fn within(&self, partition: u64, files: Files<'a>, level: u8, reason: MergeReason) -> Choice {
        let slices = vec![Slice { times: TimeRange::ALL, partition, level }];
        self.merge(files, slices, Vec::new(), None, reason)
    }

    fn merge(
        &self,
        files: Files<'a>,
        slices: Vec<Slice>,
        begun: Vec<Partition>,
        ended: Option<u64>,
        reason: MergeReason,
    ) -> Choice {
        let mut inputs: Vec<u64> = files.iter().map(|file| file.file_id).collect();
        inputs.sort_unstable();
        Choice::Merge(Merge { inputs, slices, begun, ended, reason })
    }
}

/// Files of one class differ in size by less than four times.
fn size_class(bytes: u64) -> u32 {
    bytes.max(1).ilog2() / 2
}

fn bytes(files: &[&Arc<TableFile>]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}

/// The smallest range that all of the files lie in.
fn hull<'f, 'a: 'f>(files: impl IntoIterator<Item = &'f &'a Arc<TableFile>>) -> TimeRange {
    files
        .into_iter()
        .fold(TimeRange::EMPTY, |hull, file| hull.including(file.times.first).including(file.times.last))
}
