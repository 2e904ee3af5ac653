//! Edits that would break an invariant are refused, before anything is written.

use super::*;

/// Two flushes, one of them converted.
fn base() -> Version {
    let mut version = Version::default();
    for partition in [1, 2, 1] {
        version = version.apply(&flush(&version, partition)).unwrap();
    }
    let table = TableFile::clone(version.table(1).unwrap());
    let edit = VersionEdit {
        tables_removed: vec![1],
        history_added: vec![history_file(7, &table)],
        next_file_id: Some(8),
        epoch: Some(2),
        ..VersionEdit::default()
    };
    version.apply(&edit).unwrap()
}

/// What `base` answers to a change of an edit that it would take.
fn refusal(change: impl FnOnce(&mut VersionEdit)) -> VersionError {
    let version = base();
    let mut edit = flush(&version, 3);
    edit.history_added.push(history_file(10, &edit.tables_added[0].clone()));
    edit.next_file_id = Some(11);
    version.apply(&edit).expect("the unchanged edit fits");
    change(&mut edit);
    let error = version.apply(&edit).unwrap_err();
    assert_eq!(version, base(), "the version itself never changes");
    error
}

macro_rules! refused {
    ($error:pat, $change:expr) => {
        let error = refusal($change);
        assert!(matches!(error, $error), "{error}");
    };
}

#[test]
fn files() {
    refused!(VersionError::FileExists { file_id: 3 }, |edit| edit.tables_added[0].file_id = 3);
    refused!(VersionError::FileExists { file_id: 7 }, |edit| edit.tables_added[0].file_id = 7);
    refused!(VersionError::FileExists { file_id: 9 }, |edit| edit.tables_added[0].file_id = 9);
    refused!(VersionError::FileExists { file_id: 8 }, |edit| edit
        .tables_added
        .push(edit.tables_added[0].clone()));
    refused!(VersionError::FileNumber { file_id: 11, .. }, |edit| edit.tables_added[0].file_id = 11);
    refused!(VersionError::NoFile { file_id: 1 }, |edit| edit.tables_removed.push(1));
    refused!(VersionError::NoFile { file_id: 3 }, |edit| edit.tables_removed = vec![3, 3]);
    refused!(VersionError::NoFile { file_id: 3 }, |edit| edit.history_removed.push(3));
    refused!(VersionError::Level { found: 8, .. }, |edit| edit.tables_added[0].level = 8);
    refused!(VersionError::Extent { rows: 0, .. }, |edit| edit.tables_added[0].rows = 0);
    refused!(VersionError::Extent { rows: 11, .. }, |edit| edit.tables_added[0].rows = 11);
    refused!(VersionError::Extent { bytes: 0, .. }, |edit| edit.history_added[0].bytes = 0);
    refused!(VersionError::Extent { .. }, |edit| edit.tables_added[0].seqs.first = 0);
    refused!(VersionError::Extent { .. }, |edit| edit.tables_added[0].seqs.last = 30);
    refused!(VersionError::Seq { .. }, |edit| edit.tables_added[0].seqs.last = 41);
    refused!(VersionError::Tables { .. }, |edit| edit.tables_added[0].tables.clear());
    refused!(VersionError::Tables { .. }, |edit| edit.tables_added[0].tables.push(TableId(2)));
    refused!(VersionError::Path { .. }, |edit| edit.history_added[0].path = "history/../x".to_owned());
    refused!(VersionError::PathInUse { file_id: 10, other: 7, .. }, |edit| {
        edit.history_added[0].path = base().history_file(7).unwrap().path.clone();
    });
    refused!(VersionError::LogIndexes { applied: 4, .. }, |edit| edit.tables_added[0].log_indexes.last = 5);
    refused!(VersionError::LogIndexes { .. }, |edit| edit.tables_added[0].log_indexes.first = 5);
}

#[test]
fn partitions() {
    refused!(VersionError::NoPartitionOfFile { partition: 4, .. }, |edit| edit.tables_added[0].partition = 4);
    refused!(VersionError::Times { .. }, |edit| edit.tables_added[0].times.last += 1);
    refused!(VersionError::Times { .. }, |edit| edit.history_added[0].times = TimeRange::EMPTY);
    refused!(VersionError::PartitionTimes { other: 2, .. }, |edit| edit.partitions_added[0].times.first =
        299);
    refused!(VersionError::PartitionTimes { id: 3, other: 3, .. }, |edit| {
        edit.partitions_added[0].times = TimeRange::EMPTY;
    });
    refused!(VersionError::PartitionExists { id: 2 }, |edit| edit.partitions_added[0].id = 2);
    refused!(VersionError::NoPartition { id: 9 }, |edit| edit.partitions_removed.push(9));
    refused!(VersionError::NoPartitionOfFile { file_id: 3, partition: 2 }, |edit| edit
        .partitions_removed
        .push(2));
    let dropped =
        VersionEdit { tables_removed: vec![3], partitions_removed: vec![2], ..VersionEdit::default() };
    assert!(base().apply(&dropped).unwrap().partition(2).is_none());
}

#[test]
fn counters_never_go_back() {
    refused!(VersionError::GoesBack { counter: "next_file_id", .. }, |edit| edit.next_file_id = Some(7));
    refused!(VersionError::GoesBack { counter: "last_seq", .. }, |edit| edit.last_seq = Some(29));
    refused!(VersionError::GoesBack { counter: "epoch", .. }, |edit| edit.epoch = Some(1));
    refused!(VersionError::GoesBack { counter: "log_start", .. }, |edit| edit.log_start = Some(3));
    refused!(VersionError::LogStart { log_start: 6, applied: 4 }, |edit| edit.log_start = Some(6));
    refused!(VersionError::Seq { what: "the state", .. }, |edit| edit.state.as_mut().unwrap().last_seq = 41);
    refused!(VersionError::FileExists { file_id: 7 }, |edit| edit.state.as_mut().unwrap().file_id = 7);
    refused!(VersionError::GoesBack { .. }, |edit| edit.state.as_mut().unwrap().applied.index = 2);
    refused!(VersionError::GoesBack { .. }, |edit| edit.state.as_mut().unwrap().last_seq = 29);
}

#[test]
fn a_refused_edit_changes_nothing_on_the_disk() {
    let (memory, vfs) = new_disk(0);
    let mut manifest = Manifest::create(vfs, &dir(), identity()).unwrap();
    manifest.commit(&flush(manifest.version(), 1)).unwrap();
    let before = memory.file_bytes(path("MANIFEST-000001")).unwrap();
    let refused = manifest.commit(&VersionEdit { tables_removed: vec![77], ..VersionEdit::default() });
    assert!(matches!(refused.unwrap_err(), ManifestError::Refused(VersionError::NoFile { file_id: 77 })));
    assert_eq!(memory.file_bytes(path("MANIFEST-000001")).unwrap(), before);
    manifest.commit(&flush(manifest.version(), 1)).expect("and the manifest goes on");
}
