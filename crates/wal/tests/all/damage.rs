//! D2, D3, D5, D6, D7, D14, D15: what was once durable is damaged, gone or somebody else's. It is never cut off and
//! never shown; the error names the place.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, OpenMode, Operation, Vfs};
use tapebook_wal::{
    Corruption, Damage, FrameError, LogIdentity, RecoveryError, RecoveryOptions, SEGMENT_BLOCK_BYTES,
    SegmentSummary, Vouch, inspect_segment, recover, verify,
};

use crate::support::*;

/// Two closed and sealed segments of long frames, a third with some short ones; one group each.
struct Log {
    disk: MemoryVfs,
    entries: Vec<Seen>,
    /// Segment, offset and length of each frame, in log order.
    frames: Vec<(u64, u64, u64)>,
}

impl Log {
    fn new() -> Self {
        let (disk, vfs) = disk(5);
        let (wal, sink) = start(&vfs, stepped());
        for n in 0..6 {
            wal.append(batch(payload(n, 19_000)), n).unwrap();
        }
        for n in 6..12 {
            wal.append(batch(payload(n, 100 + n as usize)), n).unwrap();
        }
        assert_eq!(wal.closed_segments().len(), 2);
        for id in [1, 2] {
            wal.seal_segment(id, SegmentSummary::default()).unwrap();
        }
        wal.close().unwrap();
        let mut frames = Vec::new();
        for id in 1..=3 {
            for report in inspect_segment(&*vfs, &segment(id)).unwrap().frames() {
                let report = report.unwrap();
                let bytes = (64 + report.frame.unwrap().payload_bytes).next_multiple_of(16) as u64;
                frames.push((id, report.offset, bytes));
            }
        }
        let entries = sink.memory.lock().unwrap().durable.clone();
        assert_eq!(frames.len(), entries.len());
        Self { disk, entries, frames }
    }

    /// The same log with something done to it.
    fn changed(&self, change: impl FnOnce(&MemoryVfs)) -> Arc<dyn Vfs> {
        let disk = self.disk.fork();
        change(&disk);
        Arc::new(disk)
    }

    fn mark(&self) -> PathBuf {
        dir().join("MARK")
    }
}

fn corruption(vfs: &Arc<dyn Vfs>) -> Corruption {
    match recover_all(vfs) {
        Err(RecoveryError::Corruption(corruption)) => *corruption,
        Err(error) => panic!("{error}"),
        Ok((recovered, shown)) => panic!("{} entries, torn: {:?}", shown.len(), recovered.torn),
    }
}

#[test]
fn a_flipped_byte_of_a_frame_names_the_frame() {
    let log = Log::new();
    for (segment_id, offset, bytes) in &log.frames {
        let near_the_ends = |at: &u64| *at < 100 || *at + 40 > *bytes || at.is_multiple_of(509);
        for at in (0..*bytes).filter(near_the_ends) {
            let vfs = log.changed(|disk| disk.flip_byte(segment(*segment_id), offset + at).unwrap());
            let found = corruption(&vfs);
            assert_eq!((found.path, found.offset), (segment(*segment_id), *offset), "byte {at}");
            let report = verify(&vfs, &dir(), IDENTITY).unwrap();
            assert_eq!(report.problems[0].path, segment(*segment_id));
            assert_eq!(report.problems[0].offset, *offset);
        }
    }
}

#[test]
fn a_flipped_byte_of_a_header_names_the_file() {
    let log = Log::new();
    for segment_id in 1..=3 {
        for at in 0..SEGMENT_BLOCK_BYTES as u64 {
            let vfs = log.changed(|disk| disk.flip_byte(segment(segment_id), at).unwrap());
            let found = corruption(&vfs);
            assert_eq!((found.path, found.offset), (segment(segment_id), 0), "byte {at}");
            assert!(matches!(found.damage, Damage::Header(_)));
        }
    }
}

#[test]
fn flipped_bytes_that_nothing_depends_on_change_nothing() {
    let log = Log::new();
    let (_, last_offset, last_bytes) = *log.frames.last().unwrap();
    let unwritten = (last_offset + last_bytes..(64 << 10) - 4096).step_by(37).map(|at| (segment(3), at));
    let footers =
        (1..=2).flat_map(|id| ((64 << 10) - 4096..64 << 10).step_by(5).map(move |at| (segment(id), at)));
    let mark = (0..8192).step_by(3).map(|at| (log.mark(), at));
    for (path, at) in unwritten.chain(footers).chain(mark) {
        let vfs = log.changed(|disk| disk.flip_byte(&path, at).unwrap());
        let (_, shown) = recover_all(&vfs).unwrap();
        assert_eq!(shown, log.entries, "{} byte {at}", path.display());
        // What was flipped behind the end is zeroed before anything is written there.
        if path == segment(3) {
            let bytes = vfs.read_file(&path, 1 << 20).unwrap();
            assert!(bytes[(last_offset + last_bytes) as usize..].iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn without_the_mark_only_the_last_group_can_be_taken_for_torn() {
    let log = Log::new();
    let all = log.entries.len();
    for (n, (segment_id, offset, bytes)) in log.frames.iter().enumerate() {
        for at in (0..*bytes).step_by(23) {
            let vfs = log.changed(|disk| {
                disk.remove_file(&log.mark()).unwrap();
                disk.flip_byte(segment(*segment_id), offset + at).unwrap();
            });
            if n + 1 < all {
                let found = corruption(&vfs);
                assert_eq!((found.path, found.offset), (segment(*segment_id), *offset));
                continue;
            }
            let (recovered, shown) = recover_all(&vfs).unwrap();
            assert_eq!(shown, log.entries[..n]);
            // A flipped position is no frame of this place at all; any other byte leaves something to report.
            assert_eq!(recovered.torn.is_some(), !(56..64).contains(&at), "byte {at}");
        }
    }
}

#[test]
fn a_frame_in_the_place_of_another_is_not_taken_for_it() {
    let log = Log::new();
    for (from, to) in [(1, 0), (0, 1), (3, 0), (0, 3), (4, 3), (3, 5)] {
        let (from_segment, from_offset, bytes) = log.frames[from];
        let (to_segment, to_offset, _) = log.frames[to];
        let vfs = log.changed(|disk| {
            let source = disk.file_bytes(segment(from_segment)).unwrap();
            let frame = source[from_offset as usize..(from_offset + bytes) as usize].to_vec();
            let to = to_offset as usize;
            disk.mutate(segment(to_segment), |file| file[to..to + frame.len()].copy_from_slice(&frame))
                .unwrap();
        });
        let found = corruption(&vfs);
        assert_eq!((found.path, found.offset), (segment(to_segment), to_offset));
    }
}

/// An older segment's file under the name of a newer one, as after a restore that mixed two copies.
#[test]
fn a_segment_under_another_name_is_not_taken_for_it() {
    let log = Log::new();
    let vfs = log.changed(|disk| {
        let first = disk.file_bytes(segment(1)).unwrap();
        disk.mutate(segment(2), |file| *file = first).unwrap();
    });
    let found = corruption(&vfs);
    assert_eq!(found.path, segment(2));
    assert_eq!(found.damage, Damage::SegmentId { expected: 2, found: 1 });
}

#[test]
fn a_write_that_was_reported_and_never_stored_is_a_hole() {
    for (nth, fault) in [(3, Fault::Skip), (7, Fault::Misplace { offset: 50_000 })] {
        let (disk, _) = disk(9);
        let faulty = FaultVfs::new(Arc::new(disk.clone()), FaultPlan::none());
        let vfs: Arc<dyn Vfs> = Arc::new(faulty.clone());
        let (wal, _) = start(&vfs, stepped());
        let rule = FaultRule::new(fault).on(Operation::Write).path_contains(".log").nth(nth);
        faulty.set_plan(rule.into());
        for n in 0..12 {
            wal.append(batch(payload(n, 500)), n).unwrap();
        }
        wal.close().unwrap();
        disk.remove_file(&dir().join("MARK")).unwrap();
        faulty.set_plan(FaultPlan::none());
        let found = corruption(&vfs);
        assert_eq!(found.offset, 4096 + (nth - 1) * 576);
        assert!(matches!(found.vouch, Vouch::Frame { .. }), "{found}");
        assert!(matches!(found.damage, Damage::Frame(FrameError::Empty)), "{found}");
    }
}

/// A whole frame is missing and another one, of the same length and also whole, lies there from an earlier life of the
/// position: only the chain tells.
#[test]
fn a_lost_rewrite_is_caught_by_the_chain() {
    let (disk, vfs) = disk(10);
    let (wal, _) = start(&vfs, stepped());
    wal.append(batch(payload(1, 500)), 1).unwrap();
    wal.append(batch(payload(2, 500)), 2).unwrap();
    wal.close().unwrap();
    let old = disk.file_bytes(segment(1)).unwrap()[4096..4096 + 576].to_vec();
    // A second life of the same position: the first entry is other, the rest of the log follows it.
    let second = MemoryVfs::new(11);
    let vfs_second: Arc<dyn Vfs> = Arc::new(second.clone());
    let (wal, _) = start(&vfs_second, stepped());
    wal.append(batch(payload(3, 500)), 1).unwrap();
    wal.append(batch(payload(4, 500)), 2).unwrap();
    wal.append(batch(payload(5, 500)), 3).unwrap();
    wal.close().unwrap();
    second.mutate(segment(1), |file| file[4096..4096 + 576].copy_from_slice(&old)).unwrap();
    let found = corruption(&vfs_second);
    assert_eq!(found.offset, 4096 + 576);
    assert!(matches!(found.damage, Damage::Frame(FrameError::Chain { .. })), "{found}");
    drop(vfs);
}

#[test]
fn the_mark_vouches_for_the_last_group() {
    let log = Log::new();
    let (_, offset, bytes) = *log.frames.last().unwrap();
    let vfs = log.changed(|disk| {
        let range = offset as usize..(offset + bytes) as usize;
        disk.mutate(segment(3), |file| file[range].fill(0)).unwrap();
    });
    let found = corruption(&vfs);
    assert!(matches!(found.vouch, Vouch::Mark { .. }), "{found}");
    assert_eq!((found.path, found.offset), (segment(3), offset));
}

/// D7: the disk reports syncs and does nothing; the power goes. What the owner knows catches it.
#[test]
fn a_tail_that_a_lying_sync_lost_is_missed() {
    let mut lost = 0;
    for seed in 0..20 {
        let disk = MemoryVfs::new(seed);
        let faulty = FaultVfs::new(Arc::new(disk.clone()), FaultPlan::none());
        let vfs: Arc<dyn Vfs> = Arc::new(faulty.clone());
        let (wal, _) = start(&vfs, stepped());
        wal.append(batch(payload(1, 500)), 1).unwrap();
        faulty.set_plan(FaultRule::new(Fault::Skip).on(Operation::Sync).for_ever().into());
        for n in 2..=4 {
            wal.append(batch(payload(n, 9000)), n).unwrap();
        }
        drop(wal);
        disk.crash(seed);
        let plain: Arc<dyn Vfs> = Arc::new(disk.clone());
        match recover_with(&plain, &RecoveryOptions { replay_from: 0, durable_index: 4 }) {
            Err(RecoveryError::LostTail { expected_index: 4, found_index, .. }) => {
                lost += 1;
                // Nothing was cut: the refusal repeats itself.
                let again = recover_with(&plain, &RecoveryOptions { replay_from: 0, durable_index: 4 });
                assert!(matches!(again, Err(RecoveryError::LostTail { .. })));
                assert!(found_index < 4);
            }
            Err(RecoveryError::Corruption(_)) => lost += 1,
            Err(error) => panic!("{error}"),
            Ok((_, shown)) => assert_eq!(shown.len(), 4),
        }
    }
    assert!(lost > 10);
}

#[test]
fn a_missing_segment_is_a_hole() {
    let log = Log::new();
    let vfs = log.changed(|disk| disk.remove_file(&segment(2)).unwrap());
    let found = corruption(&vfs);
    assert_eq!(found.path, segment(2));
    assert_eq!(found.damage, Damage::MissingSegment);
    assert_eq!(found.vouch, Vouch::NextSegment { path: segment(3) });

    let vfs = log.changed(|disk| disk.remove_file(&segment(3)).unwrap());
    assert!(matches!(corruption(&vfs).vouch, Vouch::Mark { .. }));

    let vfs = log.changed(|disk| (1..=3).for_each(|id| disk.remove_file(&segment(id)).unwrap()));
    let found = corruption(&vfs);
    assert_eq!((found.path, found.damage), (segment(3), Damage::MissingSegment));

    let vfs = log.changed(|disk| disk.remove_file(&segment(1)).unwrap());
    let error = recover_all(&vfs).unwrap_err();
    assert!(
        matches!(error, RecoveryError::MissingStart { expected_index: 1, found_index: 4, .. }),
        "{error}"
    );
}

#[test]
fn a_segment_that_was_cut_short_is_damage() {
    let log = Log::new();
    for segment_id in 1..=3 {
        let vfs = log.changed(|disk| disk.mutate(segment(segment_id), |file| file.truncate(40_000)).unwrap());
        let found = corruption(&vfs);
        assert_eq!((found.path, found.offset), (segment(segment_id), 40_000));
        let vfs = log.changed(|disk| disk.mutate(segment(segment_id), |file| file.truncate(100)).unwrap());
        assert_eq!(corruption(&vfs).path, segment(segment_id));
    }
}

#[test]
fn the_log_of_another_node_is_refused() {
    let log = Log::new();
    let vfs = log.changed(|_| {});
    let other = LogIdentity { node_id: 4, ..IDENTITY };
    let error = recover(&vfs, &dir(), other, &RecoveryOptions::default(), &mut |_| Ok(())).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, RecoveryError::ForeignLog { expected, found, .. } if expected == other && found == IDENTITY)
    );
    assert!(text.contains("node 3") && text.contains("node 4"), "{text}");
}

/// A visitor that fails: nothing is cut, and the place is named.
#[test]
fn a_visitor_that_refuses_leaves_the_log_as_it_is() {
    let log = Log::new();
    let vfs = log.changed(|_| {});
    let before = vfs.read_file(&segment(3), 1 << 20).unwrap();
    let error = recover(&vfs, &dir(), IDENTITY, &RecoveryOptions::default(), &mut |entry| {
        if entry.meta.index == 8 { Err("no such table".into()) } else { Ok(()) }
    });
    let error = error.unwrap_err();
    assert!(error.to_string().contains("no such table"), "{error}");
    assert_eq!(vfs.read_file(&segment(3), 1 << 20).unwrap(), before);
}

/// A recycled file is full of older frames, whole ones. None of them is taken for an entry of the new segment, and the
/// end of the log is found among them.
#[test]
fn old_frames_of_a_recycled_file_are_not_entries() {
    let (_, vfs) = disk(21);
    let (wal, sink) = start(&vfs, stepped());
    let mut n = 0;
    for round in 0..12 {
        while wal.closed_segments().len() < 2 {
            wal.append(batch(payload(n, 1000)), n).unwrap();
            n += 1;
        }
        if round < 11 {
            assert_eq!(wal.purge_through(wal.closed_segments()[1].last_index).unwrap(), 2);
        }
    }
    assert!(wal.stats().segments_recycled >= 20 && wal.stats().segments_zeroed < 6, "{:?}", wal.stats());
    let kept = wal.closed_segments()[0].header.last_log_id.index;
    let last = wal.last_index();
    wal.close().unwrap();
    let (recovered, shown) =
        recover_with(&vfs, &RecoveryOptions { replay_from: kept + 1, durable_index: last }).unwrap();
    assert_eq!(recovered.torn, None);
    let durable = sink.memory.lock().unwrap().durable.clone();
    assert_eq!(shown, durable[kept as usize..]);
}

/// Bytes that look like a frame of this very place, but were written by nobody with the log's identity.
#[test]
fn a_payload_that_imitates_a_frame_vouches_for_nothing() {
    let (disk, vfs) = disk(22);
    let (wal, _) = start(&vfs, stepped());
    wal.append(batch(payload(1, 100)), 1).unwrap();
    wal.close().unwrap();
    let end = 4096 + 176;
    // A torn frame at the end, and behind it a header that claims to know more.
    let file = disk.open(&segment(1), OpenMode::ReadWrite).unwrap();
    let mut imitation = [0_u8; 64];
    imitation[12] = 1;
    imitation[13] = 1;
    imitation[48..56].copy_from_slice(&u64::MAX.to_le_bytes());
    imitation[56..64].copy_from_slice(&(end as u64 + 320).to_le_bytes());
    file.write_all_at(end as u64 + 320, &[IoSlice::new(&imitation)]).unwrap();
    let (recovered, shown) = recover_all(&vfs).unwrap();
    assert_eq!(shown.len(), 1);
    let torn = recovered.torn.unwrap();
    assert_eq!((torn.offset, torn.frames), (end as u64, 0));
    let (wal, _) = start(&vfs, stepped());
    wal.append(batch(payload(2, 1000)), 2).unwrap();
    wal.close().unwrap();
    assert_eq!(recover_all(&vfs).unwrap().1.len(), 2);
}
