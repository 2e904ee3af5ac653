//! Retention: which slices go because they are too old, or because their table has too many bytes.
//!
//! A *slice* is all that a partition holds of one table, in history, in SSTables, and aside. It goes as a whole and in
//! one step, so that a reader sees all of it or nothing: files with rows of nothing else are dropped, and an SSTable
//! that other tables share is written anew without it. No row goes on its own.
//!
//! Flushed files wait until they have their place: only then is it known what else is in their slices.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tapebook_record::TableId;

use super::Facts;
use crate::manifest::{HistoryFile, PARTITION_AS_FLUSHED, TableFile, Version};

/// How much of a table is kept. The default keeps everything.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RetentionPolicy {
    /// A slice goes when the time of its last row is longer ago than this, by the clock. `None`: never.
    pub age_max: Option<Duration>,
    /// With more bytes of history than this, the table's oldest slices go, but never its newest one. What is not history
    /// yet does not count. `None`: there is no bound.
    pub bytes_max: Option<u64>,
}

impl RetentionPolicy {
    /// When a slice whose last row has this time goes because of its age; `None`: never, or past the end of time.
    pub fn expires_at(&self, last: i64) -> Option<i64> {
        let age_max = i64::try_from(self.age_max?.as_nanos()).ok()?;
        last.checked_add(age_max)
    }
}

/// The policy of every table. The default keeps everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Retention {
    /// Tables with a policy of their own.
    pub tables: BTreeMap<TableId, RetentionPolicy>,
    /// The policy of all others.
    pub default: RetentionPolicy,
}

impl Retention {
    /// The policy of a table.
    pub fn of(&self, table: TableId) -> RetentionPolicy {
        self.tables.get(&table).copied().unwrap_or(self.default)
    }

    fn keeps_everything(&self) -> bool {
        let all = self.tables.values().chain([&self.default]);
        all.into_iter().all(|policy| *policy == RetentionPolicy::default())
    }
}

/// Slices that go.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expired {
    /// Table files that are dropped, by number.
    pub tables: Vec<u64>,
    /// History files that are dropped, by number.
    pub history: Vec<u64>,
    /// Table files of one partition that are written anew, by number, each in its place.
    pub shared: Vec<u64>,
    /// The tables whose rows are not written again.
    pub without: Vec<TableId>,
    /// Partitions that hold nothing afterwards, and end.
    pub ended: Vec<u64>,
}

/// The slices that go next: all for which no row must be written, else those of one partition.
pub(super) fn expired(version: &Version, facts: &impl Facts, retention: &Retention) -> Option<Expired> {
    if retention.keeps_everything() {
        return None;
    }
    let mut gone = too_old(version, facts, retention);
    for (partition, table) in too_many(version, retention, &gone) {
        gone.entry(partition).or_default().insert(table);
    }
    let whole: BTreeMap<_, _> = gone
        .iter()
        .filter(|(partition, tables)| !files_of(version, **partition).any(|file| is_shared(file, tables)))
        .map(|(partition, tables)| (*partition, tables.clone()))
        .collect();
    if !whole.is_empty() {
        return Some(dropped(version, &whole));
    }
    let (partition, tables) = gone.pop_first()?;
    let shared = files_of(version, partition).filter(|file| is_shared(file, &tables));
    let shared = shared.map(|file| file.file_id).collect();
    let without = tables.iter().copied().collect();
    Some(Expired { shared, without, ..dropped(version, &BTreeMap::from([(partition, tables)])) })
}

/// Tables by partition.
type Slices = BTreeMap<u64, BTreeSet<TableId>>;

/// Slices whose last row is older than their table keeps rows.
fn too_old(version: &Version, facts: &impl Facts, retention: &Retention) -> Slices {
    let mut last: BTreeMap<(u64, TableId), i64> = BTreeMap::new();
    let mut note = |partition, table, ts| {
        let last = last.entry((partition, table)).or_insert(ts);
        *last = ts.max(*last);
    };
    for file in version.tables().filter(|file| file.partition != PARTITION_AS_FLUSHED) {
        for table in &file.tables {
            note(file.partition, *table, facts.last_of(file, *table));
        }
    }
    for file in version.history() {
        note(file.partition, file.table, file.times.last);
    }
    let mut gone = Slices::new();
    for ((partition, table), last) in last {
        if retention.of(table).expires_at(last).is_some_and(|expires_at| expires_at < facts.now()) {
            gone.entry(partition).or_default().insert(table);
        }
    }
    gone
}

/// The oldest slices of tables that have too many bytes of history without those that are gone.
fn too_many(version: &Version, retention: &Retention, gone: &Slices) -> Vec<(u64, TableId)> {
    let mut kept: BTreeMap<TableId, Vec<&HistoryFile>> = BTreeMap::new();
    for file in version.history() {
        if !gone.get(&file.partition).is_some_and(|tables| tables.contains(&file.table)) {
            kept.entry(file.table).or_default().push(file);
        }
    }
    let mut more = Vec::new();
    for (table, mut files) in kept {
        let Some(bytes_max) = retention.of(table).bytes_max else { continue };
        files.sort_unstable_by_key(|file| std::cmp::Reverse(file.times.first));
        let mut bytes = 0_u64;
        for (newer, file) in files.into_iter().enumerate() {
            bytes = bytes.saturating_add(file.bytes);
            if newer > 0 && bytes > bytes_max {
                more.push((file.partition, table));
            }
        }
    }
    more
}

/// What is dropped and what ends where these slices go; shared files stay.
fn dropped(version: &Version, gone: &Slices) -> Expired {
    let goes = |partition: u64, table: TableId| gone.get(&partition).is_some_and(|of| of.contains(&table));
    let mut expired = Expired::default();
    let mut left: BTreeSet<u64> = BTreeSet::new();
    for file in version.tables() {
        if file.tables.iter().all(|table| goes(file.partition, *table)) {
            expired.tables.push(file.file_id);
        } else {
            left.insert(file.partition);
        }
    }
    for file in version.history() {
        if goes(file.partition, file.table) {
            expired.history.push(file.file_id);
        } else {
            left.insert(file.partition);
        }
    }
    let ended = version.partitions().map(|partition| partition.id).filter(|id| !left.contains(id));
    expired.ended = ended.collect();
    expired
}

fn files_of(version: &Version, partition: u64) -> impl Iterator<Item = &TableFile> {
    version.tables().map(|file| &**file).filter(move |file| file.partition == partition)
}

/// True where a file has rows of these tables, and of others.
fn is_shared(file: &TableFile, tables: &BTreeSet<TableId>) -> bool {
    let goes = file.tables.iter().filter(|table| tables.contains(table)).count();
    goes > 0 && goes < file.tables.len()
}
