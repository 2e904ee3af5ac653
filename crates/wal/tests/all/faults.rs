//! D4 to D10: the disk says no. At every call, at a sync, and when it is full.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Operation, Vfs};
use tapebook_wal::{
    Proposal, RecoveryError, RecoveryOptions, SegmentSummary, Vote, Wal, WalError, WalOptions,
};

use crate::support::*;

#[test]
fn a_failed_sync_poisons_and_is_not_tried_again() {
    let (disk, vfs) = disk(1);
    let (wal, sink) = start(&vfs, stepped());
    wal.append(batch(payload(1, 300)), 1).unwrap();
    for n in 2..5 {
        wal.enqueue(batch(payload(n, 300)), n).unwrap();
    }
    disk.fail_next_sync(".log");
    let syncs = disk.sync_count_of(segment(1)).unwrap();
    let error = wal.drive().unwrap_err();
    assert!(error.is_poisoned(), "{error}");
    {
        let memory = sink.memory.lock().unwrap();
        assert_eq!(memory.tickets, [1]);
        assert_eq!(memory.failed.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), [2, 3, 4]);
    }
    let refused = wal.append(batch(payload(9, 300)), 9).unwrap_err();
    assert!(refused.error.is_poisoned());
    assert_eq!(refused.ticket, 9);
    assert_eq!(disk.sync_count_of(segment(1)).unwrap(), syncs);
    assert!(wal.close().unwrap_err().is_poisoned());

    // The kernel takes the pages of the failed sync for clean. What recovery shows must be stored all the same.
    disk.crash_process();
    let (_, shown) = recover_all(&vfs).unwrap();
    assert_eq!(shown.len(), 4);
    for seed in 0..20 {
        let copy = disk.fork();
        copy.crash(seed);
        assert_eq!(recover_all(&(Arc::new(copy) as Arc<dyn Vfs>)).unwrap().1, shown);
    }
}

#[test]
fn a_full_disk_is_met_before_anything_is_written() {
    for background in [false, true] {
        let (disk, vfs) = disk(2);
        let options = WalOptions { background, ..stepped() };
        let (wal, sink) = start(&vfs, options.clone());
        disk.set_capacity_bytes(Some(300 << 10));
        let mut taken = 0;
        let refused = loop {
            match wal.append(batch(payload(taken, 5000)), taken) {
                Ok(()) => taken += 1,
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused.error, WalError::NoSpace { needed: 65_536, .. }), "{}", refused.error);
        assert_eq!(refused.ticket, taken);
        assert_eq!(wal.last_index(), taken);
        assert!(wal.poisoned().is_none());
        // What fits into the open segment is still taken.
        wal.append(batch(payload(99, 10)), 99).unwrap();
        assert!(wal.append(batch(payload(98, 5000)), 98).is_err());
        assert!(wal.try_enqueue(batch(payload(98, 5000)), 98).is_err());

        disk.set_capacity_bytes(None);
        wal.append(batch(payload(100, 5000)), 100).unwrap();
        wal.close().unwrap();
        let memory = sink.memory.lock().unwrap();
        assert!(memory.failed.is_empty());
        assert_eq!(memory.durable.len() as u64, taken + 2);
        assert_eq!(recover_all(&vfs).unwrap().1, memory.durable);
    }
}

/// The two slots of the mark are on pages of their own, and a new log writes to the second one only with its second group.
/// A disk that was full by then poisoned the log, although the segment had all its room. Found by the fault schedules
/// (`tapebook-sim --seed 429`).
#[test]
fn the_mark_needs_no_room_once_the_log_is_open() {
    let (disk, vfs) = disk(13);
    let (wal, sink) = start(&vfs, stepped());
    disk.set_capacity_bytes(Some(0));
    for n in 0..4 {
        wal.append(batch(payload(n, 300)), n).unwrap();
    }
    assert!(wal.poisoned().is_none());
    assert_eq!(sink.memory.lock().unwrap().tickets, [0, 1, 2, 3]);
}

/// Purging makes room where the disk has none.
#[test]
fn a_purged_segment_takes_the_place_of_a_new_one() {
    let (disk, vfs) = disk(3);
    let (wal, _) = start(&vfs, stepped());
    disk.set_capacity_bytes(Some(220 << 10));
    let mut n = 0;
    while wal.append(batch(payload(n, 5000)), n).is_ok() {
        n += 1;
    }
    wal.purge_through(n / 2).unwrap();
    wal.append(batch(payload(n, 5000)), n).unwrap();
    assert_eq!(wal.last_index(), n + 1);
}

/// Every call fails in turn, once and for ever, with an error and in the middle of a write: the outcome is an error or
/// the right data, and a restart finds all that was completed.
#[test]
fn any_failing_call_leaves_a_log_that_opens() {
    let calls = {
        let faulty = FaultVfs::new(Arc::new(MemoryVfs::new(4)), FaultPlan::none());
        scenario(&faulty);
        faulty.calls()
    };
    assert!(calls > 100, "{calls}");
    for nth in 1..=calls {
        for variant in 0..4 {
            let rule = match variant {
                0 => FaultRule::new(Fault::OsError(5)),
                1 => FaultRule::new(Fault::OsError(5)).for_ever(),
                2 => FaultRule::new(Fault::ShortWrite { bytes: 100, error: ErrorKind::Other }),
                _ => FaultRule::new(Fault::Error(ErrorKind::StorageFull)),
            };
            let disk = MemoryVfs::new(4);
            let faulty = FaultVfs::new(Arc::new(disk.clone()), rule.nth(nth).into());
            let completed = scenario(&faulty);
            disk.crash_process();
            let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
            let first = match recover_all(&vfs) {
                Err(RecoveryError::MissingStart { found_index, .. }) => found_index,
                _ => 1,
            };
            assert!(first <= 20);
            let (recovered, shown) =
                recover_with(&vfs, &RecoveryOptions { replay_from: first, durable_index: 0 }).unwrap();
            let last = recovered.state.last_log_id.index;
            assert!(
                completed.last().is_none_or(|completed| *completed <= last),
                "call {nth}, variant {variant}"
            );
            let indexes: Vec<_> = shown.iter().map(|seen| seen.index).collect();
            assert_eq!(indexes, (first..=last).collect::<Vec<_>>(), "call {nth}, variant {variant}");
            for seen in shown {
                assert_eq!(seen.payload, payload(seen.index, 5000).to_vec());
            }
        }
    }
}

/// Two lives with rolls, a seal and a purge; every error is swallowed. Returns the indexes completed.
fn scenario(faulty: &FaultVfs) -> Vec<u64> {
    let vfs: Arc<dyn Vfs> = Arc::new(faulty.clone());
    let mut completed = Vec::new();
    for _ in 0..2 {
        let recovered = recover_all(&vfs)
            .or_else(|_| recover_with(&vfs, &RecoveryOptions { replay_from: 20, durable_index: 0 }));
        let Ok((recovered, _)) = recovered else { continue };
        let sink = Arc::new(RememberingSink::default());
        let Ok(wal) = Wal::start(vfs.clone(), stepped(), recovered, sink.clone()) else { continue };
        for _ in 0..30 {
            let next = wal.last_index() + 1;
            let _ = wal.append(batch(payload(next, 5000)), next);
        }
        let _ = wal.seal_segment(1, SegmentSummary::default());
        let _ = wal.purge_through(19);
        let _ = wal.close();
        completed.extend(sink.memory.lock().unwrap().durable.iter().map(|seen| seen.index));
    }
    assert!(completed.is_sorted());
    assert_eq!(completed.iter().collect::<BTreeSet<_>>().len(), completed.len());
    completed
}

/// Only the sync of its own file may complete an entry: seen from inside the sink, on the trace of the disk.
#[test]
fn nothing_is_completed_before_its_sync() {
    use tapebook_wal::{DurableEntry, DurableSink};

    struct TracingSink {
        disk: MemoryVfs,
    }
    impl DurableSink for TracingSink {
        type Ticket = u64;
        fn durable(&self, entries: &mut Vec<DurableEntry<u64>>) {
            let trace = self.disk.operations();
            for entry in entries.drain(..) {
                let segment_id = entry.position.0 / (64 << 10) + 1;
                let offset = entry.position.0 % (64 << 10);
                let end = offset + 64 + entry.payload.len() as u64;
                let of_segment: Vec<_> =
                    trace.iter().filter(|operation| operation.path == segment(segment_id)).collect();
                let written = of_segment.iter().rposition(|o| {
                    o.operation == Operation::Write && o.offset <= offset && end <= o.offset + o.len
                });
                let synced = of_segment.iter().rposition(|o| o.operation == Operation::Sync);
                assert!(written.is_some() && synced > written, "completed before its sync: {:?}", entry.meta);
            }
        }
        fn failed(&self, _: Vec<u64>, _: &WalError) {}
    }

    let (disk, vfs) = disk(6);
    let (recovered, _) = recover_all(&vfs).unwrap();
    disk.set_trace(true);
    let wal = Wal::start(vfs, stepped(), recovered, Arc::new(TracingSink { disk })).unwrap();
    let mut random = Random(6);
    for n in 0..300 {
        let proposal = batch(payload(n, random.below(4000) as usize));
        match random.below(3) {
            0 => wal.append(proposal, n).unwrap(),
            1 => wal.enqueue(proposal, n).unwrap(),
            _ => wal.append(Proposal::vote(Vote { term: n, node: 1, committed: false }), n).unwrap(),
        }
    }
    wal.drive().unwrap();
}

#[test]
fn one_sync_covers_a_group() {
    let (disk, vfs) = disk(7);
    let (wal, sink) = start(&vfs, stepped());
    let before = disk.sync_count();
    for n in 0..40 {
        wal.enqueue(batch(payload(n, 200)), n).unwrap();
    }
    assert_eq!(wal.drive().unwrap(), 40);
    assert_eq!(disk.sync_count(), before + 1);
    assert_eq!(sink.memory.lock().unwrap().groups, [40]);
    assert_eq!(wal.stats().group_entries_max, 40);
}

#[test]
fn unsynced_bytes_are_bounded() {
    let (_, vfs) = disk(8);
    let options = WalOptions { unsynced_bytes_max: 3000, ..stepped() };
    let (wal, sink) = start(&vfs, options);
    for n in 0..2 {
        wal.enqueue(batch(payload(n, 1000)), n).unwrap();
    }
    let refused = wal.enqueue(batch(payload(2, 1000)), 2).unwrap_err();
    assert!(matches!(refused.error, WalError::Busy { unsynced_bytes: 2144, .. }), "{refused}");
    // An append writes what is before it rather than to wait for nobody.
    wal.append(batch(payload(2, 1000)), 2).unwrap();
    assert_eq!(sink.memory.lock().unwrap().tickets, [0, 1, 2]);
    assert_eq!(wal.stats().unsynced_bytes, 0);
}

#[test]
fn what_cannot_be_written_is_refused_with_its_ticket() {
    let (_, vfs) = disk(9);
    let (wal, _) = start(&vfs, stepped());
    let refused = wal.append(batch(payload(0, 20_481)), 5).unwrap_err();
    assert!(matches!(refused.error, WalError::PayloadTooLong { found: 20_481, max: 20_480 }));
    assert_eq!(refused.ticket, 5);
    let wrong = Proposal { index: Some(7), ..batch(payload(0, 10)) };
    let refused = wal.append(wrong, 6).unwrap_err();
    assert!(matches!(refused.error, WalError::Index { expected: 1, found: 7 }));
    assert_eq!(wal.last_index(), 0);
    for options in [
        WalOptions { segment_bytes: 100, ..stepped() },
        WalOptions { segment_bytes: 65_537, ..stepped() },
        WalOptions { payload_bytes_max: 60 << 10, ..stepped() },
        WalOptions { payload_bytes_max: 2 << 20, ..WalOptions::default() },
    ] {
        let (_, vfs) = disk(10);
        let (recovered, _) = recover_all(&vfs).unwrap();
        let started = Wal::start(vfs, options, recovered, Arc::new(RememberingSink::default()));
        assert!(matches!(started.err(), Some(WalError::Options { .. })));
    }
}

/// A sink that panics takes the log with it; nobody waits for ever.
#[test]
fn a_panic_in_the_sink_poisons_the_log() {
    use tapebook_wal::{DurableEntry, DurableSink};
    struct PanickingSink;
    impl DurableSink for PanickingSink {
        type Ticket = ();
        fn durable(&self, _: &mut Vec<DurableEntry<()>>) {
            panic!("as the scenario wants it");
        }
        fn failed(&self, _: Vec<()>, _: &WalError) {}
    }
    let (_, vfs) = disk(11);
    let (recovered, _) = recover_all(&vfs).unwrap();
    let wal = Wal::start(vfs, stepped(), recovered, Arc::new(PanickingSink)).unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = wal.append(batch(payload(1, 10)), ());
    }));
    assert!(outcome.is_err());
    assert!(wal.append(batch(payload(1, 10)), ()).unwrap_err().error.is_poisoned());
    assert!(wal.close().is_err());
}
