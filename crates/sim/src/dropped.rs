//! Rows that retention has dropped: which ones a database may lack, and that none comes back.
//!
//! What goes are whole slices, and when depends on steps of compaction that may be cut off. So the model does not say what
//! must be gone at a moment; it looks what is there, judges what is missing by the policies, and remembers it. Everything
//! that is read afterwards is compared as a whole: without these rows and with all others.

use std::collections::{BTreeMap, BTreeSet};

use tapebook::{
    ReadError, RetentionOptions, RetentionPolicy, Retractions, Snapshot, TableId, TimeRange, Version,
};

use crate::model::View;
use crate::rows::Kind;

/// The sequences of rows that are gone.
pub(crate) type Dropped = BTreeSet<u64>;

/// What can have happened since somebody looked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Since {
    /// No step of compaction: nothing went.
    Nothing,
    /// Steps of compaction, finished or not.
    Steps,
    /// The disk may be as it was earlier.
    Anything,
}

/// The policy of a kind of rows.
fn policy(retention: &RetentionOptions, kind: Kind) -> RetentionPolicy {
    retention.tables.get(kind.name()).copied().unwrap_or(retention.default)
}

/// True where the age of a row of this time is past what is kept.
fn is_too_old(policy: RetentionPolicy, ts: i64, now: i64) -> bool {
    policy.age_max.is_some_and(|age_max| i128::from(now) - i128::from(ts) > age_max.as_nanos() as i128)
}

/// True where rows can be dropped at all.
pub(crate) fn drops(retention: &RetentionOptions) -> bool {
    *retention != RetentionOptions::default()
}

/// Looks which rows a database holds, hidden ones included, and adds to `dropped` what is missing: each row must be one
/// that retention may drop by `now`.
pub(crate) fn note_dropped(
    snapshot: &Snapshot,
    view: &View<'_>,
    retention: &RetentionOptions,
    (now, since): (i64, Since),
    dropped: &mut Dropped,
) -> Result<(), ReadError> {
    if !drops(retention) {
        return Ok(());
    }
    let everything = snapshot.clone().with_retractions(Retractions::default());
    let mut there = BTreeSet::new();
    let mut newest: BTreeMap<Kind, i64> = BTreeMap::new();
    for kind in Kind::ALL {
        for record in everything.scan_table(kind.table(), TimeRange::ALL) {
            let record = record?;
            there.insert(record.seq());
            newest.entry(kind).and_modify(|ts| *ts = record.ts().max(*ts)).or_insert(record.ts());
        }
    }
    let back: Vec<u64> = dropped.intersection(&there).copied().collect();
    assert!(back.is_empty() || since == Since::Anything, "rows {back:?} were gone and are there again");
    dropped.retain(|seq| !there.contains(seq) && *seq <= view.last_seq());
    for stored in view.rows.iter().filter(|stored| !there.contains(&stored.seq)) {
        if !dropped.insert(stored.seq) {
            continue;
        }
        let policy = policy(retention, stored.row.kind);
        let too_old = is_too_old(policy, stored.row.ts, now);
        let newer = newest.get(&stored.row.kind).is_some_and(|newest| *newest > stored.row.ts);
        let too_many = policy.bytes_max.is_some() && newer;
        assert!(too_old || too_many, "{stored:?} is missing and no policy drops it at {now}: {policy:?}");
        assert!(since != Since::Nothing, "{stored:?} is missing, and nothing was compacted");
    }
    Ok(())
}

/// After steps of compaction that came to their end, which began at `began`, no slice is left that must be gone.
pub(crate) fn check_kept(version: &Version, retention: &RetentionOptions, began: i64) {
    // Of an SSTable it is only known how late the last row of any of its tables is.
    let mut last: BTreeMap<(u64, TableId), i64> = BTreeMap::new();
    let mut bytes: BTreeMap<TableId, Vec<u64>> = BTreeMap::new();
    let mut note = |partition, table, ts: i64| {
        last.entry((partition, table)).and_modify(|last| *last = ts.max(*last)).or_insert(ts);
    };
    for file in version.tables().filter(|file| file.partition > 0) {
        file.tables.iter().for_each(|table| note(file.partition, *table, file.times.last));
    }
    for file in version.history() {
        note(file.partition, file.table, file.times.last);
        bytes.entry(file.table).or_default().push(file.bytes);
    }
    for kind in Kind::ALL {
        let policy = policy(retention, kind);
        for ((partition, _), last) in last.iter().filter(|((_, table), _)| *table == kind.table()) {
            let too_old = is_too_old(policy, *last, began);
            assert!(!too_old, "{} of partition {partition} until {last} are kept at {began}", kind.name());
        }
        let files = bytes.get(&kind.table()).map_or(&[][..], Vec::as_slice);
        let too_many = policy.bytes_max.is_some_and(|bytes_max| files.iter().sum::<u64>() > bytes_max);
        assert!(!too_many || files.len() == 1, "{} have {files:?} bytes of history", kind.name());
    }
    let empty = version.partitions().find(|partition| !last.keys().any(|(id, _)| *id == partition.id));
    assert!(empty.is_none(), "{empty:?} holds nothing");
}
