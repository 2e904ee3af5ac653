//! Reading a log that is being written, one that is not, and one that is damaged.

use tapebook_wal::{
    FrameError, LogId, LogReader, Proposal, ReadError, RecoveryError, RecoveryOptions, SegmentSummary,
    inspect_segment, verify,
};

use crate::support::*;

fn indexes(reader: LogReader) -> Vec<u64> {
    reader.map(|entry| entry.unwrap().meta.index).collect()
}

#[test]
fn a_reader_starts_at_any_entry_and_ends_at_what_is_durable() {
    let (_, vfs) = disk(1);
    let (wal, _) = start(&vfs, stepped());
    for n in 1..=30 {
        wal.append(batch(payload(n, 7000)), n).unwrap();
    }
    wal.enqueue(batch(payload(31, 7000)), 31).unwrap();
    for from in 0..=31 {
        assert_eq!(indexes(wal.reader(from)), (from.max(1)..=30).collect::<Vec<_>>());
    }
    let entry = wal.reader(17).next_entry().unwrap().unwrap();
    assert_eq!(entry.payload[..], payload(17, 7000)[..]);
    wal.close().unwrap();
    let offline = LogReader::open(vfs, dir(), IDENTITY, 5).unwrap();
    assert_eq!(indexes(offline), (5..=31).collect::<Vec<_>>());
}

#[test]
fn a_reader_of_purged_entries_is_told_the_first_that_is_left() {
    let (_, vfs) = disk(2);
    let (wal, _) = start(&vfs, stepped());
    for n in 1..=40 {
        wal.append(batch(payload(n, 7000)), n).unwrap();
    }
    let mut slow = wal.reader(1);
    assert_eq!(slow.next_entry().unwrap().unwrap().meta.index, 1);
    let first_left = wal.closed_segments()[2].header.last_log_id.index + 1;
    assert_eq!(wal.purge_through(first_left - 1).unwrap(), 2);
    assert!(matches!(
        wal.reader(1).next_entry(),
        Err(ReadError::Purged { wanted: 1, first_index }) if first_index == first_left
    ));
    // The file that the slow one reads becomes a new segment under its hands.
    for n in 41..=80 {
        wal.append(batch(payload(n, 7000)), n).unwrap();
    }
    let error = slow.find_map(Result::err).unwrap();
    assert!(matches!(error, ReadError::Purged { .. }), "{error}");
    assert!(slow.next().is_none());
}

#[test]
fn a_reader_names_the_damage() {
    let (disk, vfs) = disk(3);
    let (wal, _) = start(&vfs, stepped());
    for n in 1..=30 {
        wal.append(batch(payload(n, 7000)), n).unwrap();
    }
    disk.flip_byte(segment(2), 4096 + 7072 + 1000).unwrap();
    let mut read = 0;
    let error = wal.reader(1).find_map(|entry| entry.map(|_| read += 1).err()).unwrap();
    match error {
        ReadError::Damaged { path, offset, reason: FrameError::Checksum { .. } } => {
            assert_eq!((path, offset), (segment(2), 4096 + 7072));
        }
        error => panic!("{error}"),
    }
    assert_eq!(read, wal.closed_segments()[0].last_index + 1);
    assert!(wal.seal_segment(2, SegmentSummary::default()).is_err());
}

#[test]
fn inspecting_shows_what_is_whole_around_the_damage() {
    let (disk, vfs) = disk(4);
    let (wal, _) = start(&vfs, stepped());
    for n in 1..=9 {
        wal.append(batch(payload(n, 1000)), n).unwrap();
    }
    wal.close().unwrap();
    disk.mutate(segment(1), |file| file[4096 + 3 * 1072 + 10..4096 + 5 * 1072 + 20].fill(0xff)).unwrap();
    let inspection = inspect_segment(&*vfs, &segment(1)).unwrap();
    assert_eq!(inspection.header.as_ref().unwrap().identity, IDENTITY.segment(1));
    assert_eq!(inspection.footer, None);
    let reports: Vec<_> = inspection.frames().map(Result::unwrap).collect();
    let whole: Vec<_> =
        reports.iter().filter_map(|report| report.frame.as_ref().ok().map(|f| f.meta.index)).collect();
    assert_eq!(whole, [1, 2, 3, 7, 8, 9]);
    let damaged: Vec<_> = reports.iter().filter(|report| report.frame.is_err()).collect();
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].offset, 4096 + 3 * 1072);
    let report = verify(&vfs, &dir(), IDENTITY).unwrap();
    assert_eq!((report.segments, report.frames, report.problem_count), (1, 3, 1));
}

#[test]
fn a_sealed_segment_says_what_it_holds() {
    let (_, vfs) = disk(5);
    let (wal, _) = start(&vfs, stepped());
    for n in 1..=30 {
        wal.append(batch(payload(n, 7000)), n).unwrap();
    }
    let summary = SegmentSummary { seqs: Some((80, 150)), rolling_hash: [3; 16] };
    let second = wal.closed_segments()[1].clone();
    let footer = wal.seal_segment(2, summary).unwrap();
    assert_eq!(footer.indexes, Some((second.header.last_log_id.index + 1, second.last_index)));
    assert_eq!(footer.frames, second.last_index - second.header.last_log_id.index);
    assert_eq!(footer.summary, summary);
    assert_eq!(inspect_segment(&*vfs, &segment(2)).unwrap().footer, Some(footer));
    assert!(wal.seal_segment(99, summary).is_err());
    let current = wal.current_segment().identity.segment_id;
    assert!(wal.seal_segment(current, summary).is_err());
}

/// A follower's log: the tail is truncated, other entries follow, and a snapshot from elsewhere jumps ahead.
#[test]
fn truncations_and_jumps_are_replayed() {
    let (_, vfs) = disk(6);
    let (wal, _) = start(&vfs, stepped());
    let id = |term, index| LogId { term, leader_node: 3, index };
    for n in 1..=5 {
        wal.append(batch(payload(n, 100)), n).unwrap();
    }
    wal.append(Proposal::truncate(id(1, 3)), 0).unwrap();
    assert_eq!(wal.last_index(), 3);
    assert!(wal.append(Proposal::truncate(id(1, 4)), 0).is_err());
    wal.append(Proposal { term: 2, index: Some(4), ..batch(payload(6, 100)) }, 0).unwrap();
    wal.append(Proposal::purge(id(2, 50)), 0).unwrap();
    assert_eq!(wal.last_index(), 50);
    wal.append(Proposal { term: 2, ..batch(payload(7, 100)) }, 0).unwrap();
    wal.close().unwrap();
    let (recovered, shown) = recover_all(&vfs).unwrap();
    assert_eq!(recovered.state.last_log_id, id(2, 51));
    assert_eq!(recovered.state.purge, Some(id(2, 50)));
    assert_eq!(shown.iter().map(|seen| seen.index).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 3, 4, 50, 51]);
}

#[test]
fn recovery_reads_from_where_it_is_asked_to() {
    let (disk, vfs) = disk(7);
    let (wal, _) = start(&vfs, stepped());
    for n in 1..=60 {
        wal.append(batch(payload(n, 7000)), n).unwrap();
    }
    wal.close().unwrap();
    disk.set_trace(true);
    let options = RecoveryOptions { replay_from: 55, durable_index: 54 };
    let (_, shown) = recover_with(&vfs, &options).unwrap();
    assert_eq!(shown.iter().map(|seen| seen.index).collect::<Vec<_>>(), (55..=60).collect::<Vec<_>>());
    let read: u64 = disk.operations().iter().filter(|o| o.path == segment(1)).map(|o| o.len).sum();
    assert!(read <= 4096, "only the header of an older segment is read, not {read} bytes");
    let beyond = RecoveryOptions { replay_from: 1, durable_index: 61 };
    assert!(matches!(recover_with(&vfs, &beyond), Err(RecoveryError::LostTail { found_index: 60, .. })));
}

/// The disk has entries that a truncation makes void as soon as it is written: they must not count as durable in between.
#[test]
fn what_a_truncation_on_its_way_makes_void_is_not_durable() {
    let (_, vfs) = disk(8);
    let (wal, _) = start(&vfs, stepped());
    for n in 1..=5 {
        wal.append(batch(payload(n, 100)), n).unwrap();
    }
    assert_eq!(wal.synced_index(), 5);
    wal.enqueue(Proposal::truncate(LogId { term: 1, leader_node: 3, index: 3 }), 0).unwrap();
    wal.enqueue(batch(payload(6, 100)), 0).unwrap();
    assert_eq!(wal.synced_index(), 3);
    wal.drive().unwrap();
    assert_eq!(wal.synced_index(), 4);
}
