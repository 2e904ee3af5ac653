//! A log that begins behind any entry of another one, and repeats what followed.

use std::path::PathBuf;
use std::sync::Arc;

use tapebook_wal::{
    CopyError, EntryKind, LogCopy, LogEntry, LogId, LogReader, Proposal, ReadError, RecoveryError,
    RecoveryOptions, SegmentFacts, Vote, Wal, WalError, WalOptions, inspect_segment, recover, segment_path,
    verify,
};

use crate::support::*;

const FACTS: SegmentFacts = SegmentFacts { last_seq: 77, at_index: 5, rolling_hash: [3; 16] };
const VOTE: Vote = Vote { term: 2, node: 5, committed: true };

fn copy_dir() -> PathBuf {
    PathBuf::from("/copy/wal")
}

/// Entries of several kinds over several segments, with a vote behind the ninth and entries of term 1 that became void.
fn write(wal: &TestWal, entries: u64) {
    for n in 1..=entries {
        let proposal = match n {
            2 => Proposal::entry(EntryKind::Membership, 1, IDENTITY.node_id, payload(n, 100)),
            20 => Proposal::entry(EntryKind::Blank, 2, IDENTITY.node_id, Default::default()),
            _ => Proposal { term: if n > 12 { 2 } else { 1 }, ..batch(payload(n, 7000)) },
        };
        wal.append(proposal, n).unwrap();
        if n == 9 {
            wal.append(Proposal::vote(VOTE), 0).unwrap();
        }
        if n == 12 {
            for void in 0..8 {
                wal.append(batch(payload(900 + void, 6000)), 0).unwrap();
            }
            let last_kept = LogId { term: 1, leader_node: IDENTITY.node_id, index: 12 };
            wal.append(Proposal::truncate(last_kept), 0).unwrap();
            wal.append(Proposal::vote(Vote { term: 3, ..VOTE }), 0).unwrap();
        }
    }
}

/// The entry with this index, or the first one with it where others became void.
fn first_from(wal: &TestWal, index: u64) -> LogId {
    wal.reader(index).map(Result::unwrap).find(|entry| entry.meta.kind.is_entry()).unwrap().log_id()
}

/// The entries that count, in order: what a later truncation made void is left out.
fn valid(entries: impl Iterator<Item = LogEntry>) -> Vec<LogEntry> {
    let mut valid: Vec<LogEntry> = Vec::new();
    for entry in entries {
        match entry.meta.kind {
            EntryKind::Truncate => valid.retain(|kept| kept.meta.index <= entry.meta.index),
            kind if kind.is_entry() => valid.push(entry),
            _ => {}
        }
    }
    valid
}

#[test]
fn a_copy_begins_behind_any_entry_and_repeats_the_others() {
    let (_, vfs) = disk(1);
    let (wal, _) = start(&vfs, stepped());
    write(&wal, 30);
    let original = valid(wal.reader(1).map(Result::unwrap));
    assert_eq!(
        original.iter().map(|entry| entry.meta.index).collect::<Vec<_>>(),
        (1..=30).collect::<Vec<_>>()
    );
    assert!(wal.closed_segments().len() > 3);
    let log_id = |index: usize| index.checked_sub(1).map_or(LogId::default(), |at| original[at].log_id());
    for behind in 0..=30 {
        for (at, through) in [behind, (behind + 4).min(30), 30].into_iter().enumerate() {
            let dir = copy_dir().join(format!("{behind}-{at}"));
            let copy = wal.copy_behind(&vfs, log_id(behind), log_id(through), FACTS, &dir).unwrap();
            assert_eq!(copy.last_index(), through as u64);
            copy.finish().unwrap();
            let known = RecoveryOptions { replay_from: behind as u64 + 1, durable_index: through as u64 };
            let mut shown = Vec::new();
            let recovered = recover(&vfs, &dir, IDENTITY, &known, &mut |entry| {
                let (position, meta, payload) = (entry.position, entry.meta, entry.payload);
                shown.push(LogEntry { position, meta, payload });
                Ok(())
            });
            let recovered = recovered.unwrap();
            let bytes = |entry: &LogEntry| (entry.meta, entry.payload.to_vec());
            let expected: Vec<_> = original[behind..through].iter().map(bytes).collect();
            let shown = valid(shown.into_iter());
            assert_eq!(shown.iter().map(bytes).collect::<Vec<_>>(), expected, "behind {behind}");
            assert_eq!(recovered.first_index, behind as u64 + 1);
            assert_eq!(recovered.state.last_log_id, log_id(through));
            let clock = through.checked_sub(1).map_or(0, |at| original[at].meta.proposed_at);
            assert!(recovered.state.last_proposed_at >= clock);
            let membership = recovered.state.membership.as_ref().map(|newest| newest.log_id.index);
            assert_eq!(membership, (through >= 2).then_some(2));
            // Behind the ninth and the twelfth, the header of the next segment may know of the vote already.
            let vote = match through {
                9 | 12 => None,
                0..9 => Some(None),
                10..12 => Some(Some(VOTE)),
                _ => Some(Some(Vote { term: 3, ..VOTE })),
            };
            if let Some(vote) = vote {
                assert_eq!(recovered.state.vote, vote, "behind {behind} through {through}");
            }
            let report = verify(&vfs, &dir, IDENTITY).unwrap();
            assert_eq!((report.problems, report.torn_bytes), (vec![], 0));
        }
    }
}

#[test]
fn a_copy_shares_no_place_with_its_original() {
    let (_, vfs) = disk(2);
    let (wal, _) = start(&vfs, stepped());
    write(&wal, 12);
    let behind = first_from(&wal, 5);
    wal.copy_behind(&vfs, behind, first_from(&wal, 12), FACTS, &copy_dir()).unwrap().finish().unwrap();
    let current = wal.current_segment();
    let segment_id = current.identity.segment_id + 1;
    let copied = inspect_segment(&*vfs, &segment_path(&copy_dir(), segment_id)).unwrap().header.unwrap();
    assert_eq!((copied.base, copied.facts), (current.next_base(), FACTS));
}

#[test]
fn a_copy_goes_on_as_a_log_and_takes_more_entries() {
    let (_, vfs) = disk(3);
    let (wal, _) = start(&vfs, stepped());
    write(&wal, 11);
    let (behind, through) = (first_from(&wal, 5), first_from(&wal, 7));
    wal.copy_behind(&vfs, behind, through, FACTS, &copy_dir()).unwrap().finish().unwrap();
    let mut copy = LogCopy::open(&vfs, &copy_dir(), IDENTITY, 6, &stepped()).unwrap();
    assert_eq!(copy.last_index(), 7);
    for entry in wal.reader(8) {
        copy.append(&entry.unwrap()).unwrap();
    }
    let gap = wal.reader(2).next_entry().unwrap().unwrap();
    let error = copy.append(&gap).unwrap_err();
    assert!(matches!(error, CopyError::Write(WalError::Index { expected: 12, found: 2 })), "{error}");
    copy.finish().unwrap();
    let known = RecoveryOptions { replay_from: 6, durable_index: 11 };
    let recovered = recover(&vfs, &copy_dir(), IDENTITY, &known, &mut |_| Ok(())).unwrap();
    let sink = Arc::new(RememberingSink::default());
    let options = WalOptions { segment_bytes: 128 << 10, ..stepped() };
    let again = Wal::start(vfs.clone(), options, recovered, sink).unwrap();
    for n in 12..30 {
        again.append(batch(payload(n, 7000)), n).unwrap();
    }
    let indexes: Vec<u64> =
        valid(again.reader(6).map(Result::unwrap)).iter().map(|entry| entry.meta.index).collect();
    assert_eq!(indexes, (6..30).collect::<Vec<_>>());
    again.close().unwrap();
    assert_eq!(verify(&vfs, &copy_dir(), IDENTITY).unwrap().problems, []);
}

#[test]
fn a_copy_is_not_begun_where_it_cannot_be_right() {
    let (_, vfs) = disk(4);
    let (wal, _) = start(&vfs, stepped());
    write(&wal, 30);
    let ids: Vec<LogId> = valid(wal.reader(1).map(Result::unwrap)).iter().map(LogEntry::log_id).collect();
    let error = wal.copy_behind(&vfs, ids[24], ids[29], FACTS, &dir()).unwrap_err();
    assert!(matches!(error, CopyError::Write(WalError::Io { .. })), "{error}");
    assert!(error.to_string().contains("/data/wal"), "{error}");
    let error = wal
        .copy_behind(&vfs, ids[24], LogId { index: 31, ..ids[29] }, FACTS, &copy_dir().join("beyond"))
        .unwrap_err();
    assert!(error.to_string().contains("ends before entry 31"), "{error}");
    let other_term = LogId { term: 9, ..ids[24] };
    let error = wal.copy_behind(&vfs, other_term, ids[29], FACTS, &copy_dir().join("term")).unwrap_err();
    assert!(error.to_string().contains("ends before entry 25"), "{error}");

    let first_left = wal.closed_segments()[1].header.last_log_id.index + 1;
    wal.purge_through(first_left - 1).unwrap();
    let purged =
        wal.copy_behind(&vfs, ids[first_left as usize - 3], ids[29], FACTS, &copy_dir().join("purged"));
    assert!(matches!(purged, Err(CopyError::Read(ReadError::Purged { .. }))), "{purged:?}");

    // Whoever opens the copy says what the files hold; a log that ends before is refused.
    wal.copy_behind(&vfs, ids[24], ids[24], FACTS, &copy_dir()).unwrap().finish().unwrap();
    let error = LogCopy::open(&vfs, &copy_dir(), IDENTITY, 28, &stepped()).unwrap_err();
    assert!(matches!(error, CopyError::Open(RecoveryError::LostTail { .. })), "{error}");
    assert!(LogReader::open(vfs, copy_dir(), IDENTITY, 26).unwrap().next().is_none());
}
