//! Appending, rolling, purging, sealing, and what comes back after a restart.

use tapebook_record::SharedBytes;
use tapebook_wal::{EntryKind, LogId, Proposal, RecoveryOptions, Vote};

use crate::support::*;

#[test]
fn what_was_appended_comes_back() {
    let (_, vfs) = disk(1);
    let (wal, sink) = start(&vfs, stepped());
    for n in 0..50 {
        wal.append(batch(payload(n, n as usize * 37)), n).unwrap();
    }
    let memory = sink.memory.lock().unwrap();
    assert_eq!(memory.tickets, (0..50).collect::<Vec<_>>());
    assert_eq!(
        memory.durable.iter().map(|seen| seen.index).collect::<Vec<_>>(),
        (1..=50).collect::<Vec<_>>()
    );
    assert_eq!(wal.last_index(), 50);
    let durable = memory.durable.clone();
    drop(memory);
    let end = wal.synced_position();
    wal.close().unwrap();
    let (recovered, shown) = recover_all(&vfs).unwrap();
    assert_eq!(shown, durable);
    assert_eq!(recovered.end, end);
    assert_eq!(recovered.torn, None);
    assert_eq!(recovered.first_index, 1);
    assert_eq!(recovered.state.last_log_id, LogId { term: 1, leader_node: 3, index: 50 });
}

#[test]
fn segments_roll_and_restate_what_older_ones_said() {
    let (_, vfs) = disk(2);
    let (wal, sink) = start(&vfs, stepped());
    wal.append(Proposal::vote(Vote { term: 4, node: 9, committed: true }), 0).unwrap();
    let membership = Proposal::entry(EntryKind::Membership, 4, 9, SharedBytes::from(&b"three nodes"[..]));
    wal.append(membership, 1).unwrap();
    wal.append(Proposal::commit_mark(LogId { term: 4, leader_node: 9, index: 1 }), 2).unwrap();
    wal.append(Proposal::purge(LogId { term: 4, leader_node: 9, index: 1 }), 3).unwrap();
    for n in 4..30 {
        wal.append(batch(payload(n, 9000)), n).unwrap();
    }
    let closed = wal.closed_segments();
    assert_eq!(closed.len(), 4);
    let second = &closed[1].header;
    assert_eq!(second.vote, Some(Vote { term: 4, node: 9, committed: true }));
    assert_eq!(second.membership.as_ref().unwrap().bytes, b"three nodes");
    assert_eq!(second.purge.unwrap().index, 1);
    assert_eq!(second.commit_index, 1);
    assert_eq!(second.last_log_id.index, closed[0].last_index);
    assert_eq!(second.facts.at_index, closed[0].last_index);
    assert_eq!(second.facts.last_seq, second.facts.at_index * 10);

    let last_of_second = closed[1].last_index;
    assert_eq!(wal.purge_through(last_of_second).unwrap(), 2);
    let durable = sink.memory.lock().unwrap().durable.clone();
    wal.close().unwrap();
    let (recovered, shown) =
        recover_with(&vfs, &RecoveryOptions { replay_from: last_of_second + 1, durable_index: 0 }).unwrap();
    assert_eq!(recovered.first_index, last_of_second + 1);
    assert_eq!(shown, durable.into_iter().filter(|seen| seen.index > last_of_second).collect::<Vec<_>>());
    assert_eq!(recovered.state.vote, Some(Vote { term: 4, node: 9, committed: true }));
    assert_eq!(recovered.state.membership.as_ref().unwrap().log_id.index, 1);
}
