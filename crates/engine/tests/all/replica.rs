//! A copy of a journal that several nodes keep: what is logged, what is committed, what a restart makes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tapebook::replica::{
    Consensus, EntryError, EntryOrigin, Incoming, InstallError, JournalEntry, NewReplica, ProposedEntry,
    RecoverError, Replica, ReplicaReader, ReplicaSnapshot, recover_alone,
};
use tapebook::{AppendError, Durability, Member, Membership, OpenError, Options, Producer, Schemas};
use tapebook_record::SharedBytes;
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Vfs};
use tapebook_wal::{EntryKind, LogId, Vote};

use crate::support::{open, prices, simulated, trades, with_archive};

/// What a new disk's clock shows, about: the journal is kept for a day.
const NOW: i64 = 1_767_225_600_000_000_000;

/// Nobody decides anything: the tests do.
struct Undecided;

impl Consensus for Undecided {
    fn propose(&self, _: ProposedEntry, _: bool) -> Result<(), AppendError> {
        Err(AppendError::NotLeader { leader: Some((7, "elsewhere:7700".to_owned())) })
    }

    fn flushed(&self, _: LogId) {}
}

fn replica(options: Options, new: Option<NewReplica>) -> Replica {
    Replica::open("/db", options, Arc::new(Undecided), new).unwrap_or_else(|error| panic!("{error}"))
}

/// Node 2 of a cluster of three.
fn second(vfs: &MemoryVfs) -> Replica {
    replica(with_archive(Arc::new(vfs.clone())), Some(NewReplica { cluster_id: 9, node_id: 2, epoch: 1 }))
}

fn id(term: u64, leader_node: u64, index: u64) -> LogId {
    LogId { term, leader_node, index }
}

fn three_voters() -> JournalEntry {
    let member = |node_id| Member { node_id, votes: 1, address: format!("n{node_id}:7700") };
    JournalEntry::membership(&Membership { members: (1..=3).map(member).collect() })
}

/// A batch of one trade, as it comes from the leader.
fn batch(number: u32) -> JournalEntry {
    let producer = Producer { id: 5, epoch: 1, batch_number: u64::from(number) };
    let encoded = trades("A", i64::from(number), number..number + 1).encode().with_producer(producer);
    let schemas = Schemas::standard();
    let origin = EntryOrigin::Wire(&schemas);
    JournalEntry::decode(EntryKind::Batch, 0, NOW + i64::from(number), encoded.bytes().clone(), origin)
        .unwrap()
}

/// Logs entries and has them written; how many are durable by what was told.
fn log(replica: &Replica, entries: Vec<(LogId, JournalEntry)>) {
    let told = Arc::new(AtomicU64::new(0));
    let teller = Arc::clone(&told);
    let done = Box::new(move |outcome: Result<(), _>| {
        outcome.unwrap();
        teller.fetch_add(1, Ordering::Relaxed);
    });
    replica.log(entries.into_iter().map(|(log_id, entry)| (log_id, entry, None)), done);
    replica.drive().unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 1, "told once");
}

fn apply(replica: &Replica, through: u64) {
    let from = replica.applied().0.index + 1;
    let entries = ReplicaReader::default().read(replica, from, through + 1, usize::MAX).unwrap();
    replica.apply(entries);
}

/// The numbers of the batches in the journal.
fn journal(replica: &Replica) -> Vec<u64> {
    let entries = replica.db().journal(1).unwrap();
    entries.map(|entry| entry.unwrap().batch.producer().batch_number).collect()
}

/// The first membership and three batches, the first two committed, on the second node.
fn begun(vfs: &MemoryVfs) -> Replica {
    let replica = second(vfs);
    let entries = (2..=4).map(|index| (id(1, 1, index), batch(index as u32 - 1)));
    log(&replica, [(id(1, 1, 1), three_voters())].into_iter().chain(entries).collect());
    apply(&replica, 3);
    replica.log_commit_mark();
    replica.drive().unwrap();
    replica
}

#[test]
fn a_restart_applies_what_is_marked_and_no_more() {
    let vfs = MemoryVfs::new(1);
    let first = begun(&vfs);
    assert_eq!(journal(&first), [1, 2]);
    let hash = first.applied_hash();
    drop(first);

    let again = second(&vfs);
    assert_eq!((again.applied().0, again.opened_log().last), (id(1, 1, 3), id(1, 1, 4)));
    assert_eq!(again.applied_hash(), hash);
    assert_eq!(journal(&again), [1, 2], "the third batch may be void");
    apply(&again, 4);
    assert_eq!(journal(&again), [1, 2, 3]);
}

#[test]
fn an_end_that_a_later_leader_made_void_is_never_seen() {
    let vfs = MemoryVfs::new(2);
    let first = begun(&vfs);
    first.truncate_after(id(1, 1, 3)).unwrap();
    log(&first, vec![(id(2, 3, 4), batch(7)), (id(2, 3, 5), batch(8))]);
    // The producer's numbers must follow: both are turned away, and count as entries.
    apply(&first, 5);
    assert_eq!((journal(&first), first.applied().0), (vec![1, 2], id(2, 3, 5)));
    log(&first, vec![(id(2, 3, 6), batch(3))]);
    apply(&first, 6);
    first.db().flush().unwrap();
    assert_eq!(journal(&first), [1, 2, 3], "from the archive");
    let shown = prices(&first.db().snapshot(), "A");
    drop(first);

    let again = second(&vfs);
    assert_eq!((again.applied().0, journal(&again)), (id(2, 3, 6), vec![1, 2, 3]));
    assert_eq!(prices(&again.db().snapshot(), "A"), shown);
    assert_eq!(shown, [(1, 1, 1.0), (2, 2, 2.0), (3, 3, 3.0)]);
}

#[test]
fn who_led_when_is_read_of_the_log_at_once() {
    let vfs = MemoryVfs::new(4);
    let first = begun(&vfs);
    first.truncate_after(id(1, 1, 3)).unwrap();
    log(&first, vec![(id(2, 3, 4), batch(7)), (id(2, 3, 5), batch(8))]);
    log(&first, vec![(id(4, 2, 6), batch(9))]);
    let last = first.last_of_leaders(id(1, 1, 1), id(4, 2, 6)).unwrap();
    assert_eq!(last, [id(1, 1, 3), id(2, 3, 5), id(4, 2, 6)]);
    let last = first.last_of_leaders(id(2, 3, 4), id(4, 2, 6)).unwrap();
    assert_eq!(last, [id(2, 3, 5), id(4, 2, 6)], "what was cut off is not among them");
}

/// Found by the simulator: a node that came back as a follower read for applying what its log held behind the last commit mark, and
/// went on reading the disk where the log had been truncated meanwhile. The truncation was not synced yet, so the disk still gave the
/// entries of the old leader, and they were applied.
#[test]
fn what_is_read_of_the_log_is_what_counts_however_late_a_truncation_is_written() {
    let vfs = MemoryVfs::new(3);
    drop(begun(&vfs));
    let again = second(&vfs);
    // Nothing of this is on the disk yet, where the old fourth entry still is.
    again.truncate_after(id(1, 1, 3)).unwrap();
    again.log([(id(2, 3, 4), batch(9), None), (id(2, 3, 5), batch(10), None)], Box::new(|_| {}));
    let mut reader = ReplicaReader::default();
    let mut read = Vec::new();
    while read.len() < 3 {
        let from = 3 + read.len() as u64;
        read.extend(reader.read(&again, from, 6, usize::MAX).unwrap().into_iter().map(|(log_id, _)| log_id));
    }
    assert_eq!(read, [id(1, 1, 3), id(2, 3, 4), id(2, 3, 5)]);
    assert_eq!(again.durable_index(), 3, "what comes behind a truncation is durable when that is");
    again.drive().unwrap();
    assert_eq!(again.durable_index(), 5);
}

#[test]
fn a_vote_survives_and_is_told_when_it_is_durable() {
    let vfs = MemoryVfs::new(4);
    let vote = Vote { term: 4, node: 3, committed: false };
    let first = begun(&vfs);
    let told = Arc::new(AtomicU64::new(0));
    let teller = Arc::clone(&told);
    first
        .log_vote(vote, Box::new(move |outcome| teller.store(u64::from(outcome.is_ok()), Ordering::Relaxed)));
    assert_eq!(told.load(Ordering::Relaxed), 0, "nothing is written yet");
    first.drive().unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 1);
    drop(first);
    assert_eq!(second(&vfs).opened_log().vote, Some(vote));
}

#[test]
fn a_database_that_was_alone_becomes_a_replica_and_is_one_again() {
    let vfs = MemoryVfs::new(5);
    let alone = open(simulated(&vfs));
    alone.append(trades("A", 10, 10..12), Durability::Synced).unwrap().wait().unwrap();
    alone.flush().unwrap();
    alone.append(trades("A", 12, 12..13), Durability::Synced).unwrap().wait().unwrap();
    let shown = prices(&alone.snapshot(), "A");
    drop(alone);

    let replica = replica(simulated(&vfs), None);
    assert_eq!(prices(&replica.db().snapshot(), "A"), shown, "nobody else votes, so all of it is committed");
    let last = replica.opened_log().last;
    assert_eq!((replica.applied().0, last.term, last.leader_node), (last, 1, 1));
    let refused = replica.db().append(trades("A", 13, 13..14), Durability::Synced).unwrap_err();
    assert_eq!(refused.to_string(), "this node does not lead the cluster; node 7 at elsewhere:7700 does");
    log(&replica, vec![(id(2, 1, last.index + 1), JournalEntry::blank())]);
    apply(&replica, last.index + 1);
    drop(replica);

    let alone = open(simulated(&vfs));
    let receipt = alone.append(trades("A", 13, 13..14), Durability::Synced).unwrap().wait().unwrap();
    assert_eq!(receipt.first_seq, 4);
}

#[test]
fn a_node_that_has_joined_never_founds_a_cluster_of_the_same_name() {
    let vfs = MemoryVfs::new(1);
    assert_eq!(NewReplica::existing(&vfs, "/db").unwrap(), None);
    drop(second(&vfs));
    let there = NewReplica::existing(&vfs, "/db").unwrap().unwrap();
    assert_eq!((there.cluster_id, there.node_id), (9, 2));
    let founder = Replica::found("/db", with_archive(Arc::new(vfs.clone())), Arc::new(Undecided), 2).unwrap();
    assert_eq!(founder.opened_log().membership, None);
    assert_eq!((founder.opened_log().last, founder.opened_log().vote), (LogId::default(), None));
}

#[test]
fn one_node_goes_on_alone_with_all_that_it_has_and_another_epoch() {
    let vfs = MemoryVfs::new(1);
    drop(begun(&vfs));
    let before = second(&vfs).db().epoch();
    let recovered = recover_alone("/db", with_archive(Arc::new(vfs.clone()))).unwrap();
    let lost: Vec<u64> = recovered.lost.iter().map(|member| member.node_id).collect();
    assert_eq!((recovered.node_id, lost), (2, vec![1, 3]));
    assert_eq!((recovered.committed.index, recovered.last.index, recovered.last_seq), (3, 4, 3));
    assert!(recovered.epoch > before);

    let again = recover_alone("/db", with_archive(Arc::new(vfs.clone()))).unwrap_err();
    assert!(matches!(again, RecoverError::NotNeeded { node_id: 2, .. }), "{again}");
    let replica = second(&vfs);
    assert_eq!(replica.opened_log().last, id(2, 2, 5), "in a term of its own");
    assert_eq!(journal(&replica), [1, 2, 3], "the third batch may have been acknowledged");
    assert_eq!((replica.db().epoch(), replica.node_ids_through()), (recovered.epoch, 3));
    replica.close().unwrap();
    let db = open(with_archive(Arc::new(vfs.clone())));
    assert_eq!(prices(&db.snapshot(), "A").len(), 3);
}

#[test]
fn a_founder_has_the_id_that_it_was_given() {
    let vfs = MemoryVfs::new(1);
    let founder = Replica::found("/db", simulated(&vfs), Arc::new(Undecided), 7).unwrap();
    assert_eq!(founder.node_id(), 7);
    let (_, membership) = founder.opened_log().membership.clone().unwrap();
    assert_eq!(membership, Membership::of_one(7));
}

#[test]
fn an_id_that_was_taken_out_is_remembered() {
    let vfs = MemoryVfs::new(1);
    let replica = second(&vfs);
    let member = |node_id| Member { node_id, votes: 1, address: format!("n{node_id}:7700") };
    let of = |ids: &[u64]| {
        JournalEntry::membership(&Membership { members: ids.iter().copied().map(member).collect() })
    };
    log(&replica, vec![(id(1, 1, 1), of(&[1, 2, 5])), (id(1, 1, 2), of(&[1, 2])), (id(1, 1, 3), batch(1))]);
    apply(&replica, 3);
    assert_eq!(replica.node_ids_through(), 5);
    replica.db().flush().unwrap();
    replica.log_commit_mark();
    replica.drive().unwrap();
    drop(replica);
    assert_eq!(second(&vfs).node_ids_through(), 5);
}

#[test]
fn a_node_of_a_cluster_is_not_opened_as_if_it_were_alone() {
    let vfs = MemoryVfs::new(6);
    drop(begun(&vfs));
    let error = tapebook::Db::open_with("/db", simulated(&vfs)).unwrap_err();
    assert!(matches!(error, OpenError::Clustered { node_id: 2, voters: 3, .. }), "{error}");
    assert_eq!(error.to_string(), "/db: node 2 of a cluster with 3 voters; start it with `tapebook serve`");
}

#[test]
fn a_batch_that_changed_on_its_way_is_refused() {
    let encoded = trades("A", 1, 1..3).encode();
    let schemas = Schemas::standard();
    for at in 0..encoded.bytes().len() {
        let mut bytes = encoded.bytes().to_vec();
        bytes[at] ^= 0x10;
        let payload = SharedBytes::from(&*bytes);
        let refused = JournalEntry::decode(EntryKind::Batch, 0, 1, payload, EntryOrigin::Wire(&schemas));
        assert!(matches!(refused, Err(EntryError::Batch(_))), "byte {at}");
    }
    let note = JournalEntry::decode(EntryKind::Vote, 0, 1, SharedBytes::default(), EntryOrigin::Log);
    assert_eq!(note.unwrap_err().to_string(), "a vote is not an entry");
}

const CLUSTER: u128 = 9;

fn node(vfs: Arc<dyn Vfs>, node_id: u64) -> Result<Replica, OpenError> {
    let new = NewReplica { cluster_id: CLUSTER, node_id, epoch: 1 };
    Replica::open("/db", with_archive(vfs), Arc::new(Undecided), Some(new))
}

/// A node with batches 1 to `batches`, flushed now and then, the last ones not.
fn filled(vfs: &MemoryVfs, node_id: u64, batches: u32, flush_every: u32) -> Replica {
    let replica = node(Arc::new(vfs.clone()), node_id).unwrap();
    log(&replica, vec![(id(1, 1, 1), three_voters())]);
    for number in 1..=batches {
        let index = u64::from(number) + 1;
        log(&replica, vec![(id(1, 1, index), batch(number))]);
        apply(&replica, index);
        if number.is_multiple_of(flush_every) {
            replica.db().flush().unwrap();
            replica.db().compact(tapebook::CompactionGoal::Settled).unwrap();
        }
    }
    replica.log_commit_mark();
    replica.drive().unwrap();
    replica
}

/// Hands over what is wanted in pieces of so many bytes.
fn hand_over(snapshot: &ReplicaSnapshot, incoming: &mut Incoming, bytes: usize) -> Result<(), InstallError> {
    for (name, mut offset) in incoming.wanted() {
        let part = snapshot.parts().iter().find(|part| part.name == name).unwrap();
        while offset < part.bytes {
            let piece = part.read(offset, bytes).unwrap();
            incoming.write(&name, offset, &piece)?;
            offset += piece.len() as u64;
        }
    }
    Ok(())
}

/// Has the log jump, durably.
fn jump(replica: &Replica, to: LogId) -> bool {
    let told = Arc::new(AtomicU64::new(0));
    let teller = Arc::clone(&told);
    replica
        .jump_log(to, Box::new(move |outcome| teller.store(u64::from(outcome.is_ok()), Ordering::Relaxed)));
    let _ = replica.drive();
    told.load(Ordering::Relaxed) == 1
}

fn take_in(replica: &Replica, snapshot: &ReplicaSnapshot) -> Result<(), InstallError> {
    let mut incoming = replica.receive(snapshot.description())?;
    hand_over(snapshot, &mut incoming, 700)?;
    let received = incoming.finish()?;
    if replica.applied().0.index < received.applied().index {
        jump(replica, received.applied());
    }
    replica.install(received)
}

#[test]
fn a_snapshot_takes_the_place_of_everything_and_the_log_goes_on_behind_it() {
    let (ours, theirs) = (MemoryVfs::new(11), MemoryVfs::new(12));
    let sender = filled(&theirs, 1, 60, 20);
    let snapshot = sender.snapshot().unwrap().unwrap();
    assert_eq!(snapshot.applied(), id(1, 1, 61));
    // With files of the same numbers and other content.
    let receiver = filled(&ours, 2, 7, 3);
    let before = receiver.db().snapshot();
    take_in(&receiver, &snapshot).unwrap();
    assert_eq!((receiver.applied(), receiver.applied_hash()), (sender.applied(), sender.applied_hash()));
    assert_eq!(prices(&receiver.db().snapshot(), "A"), prices(&sender.db().snapshot(), "A"));
    assert_eq!(prices(&before, "A").len(), 7, "who read before reads on");
    let left = receiver.db().vfs().read_dir(std::path::Path::new("/db/incoming")).unwrap();
    assert!(left.is_empty(), "{left:?}");
    for replica in [&sender, &receiver] {
        log(replica, vec![(id(1, 1, 62), batch(61))]);
        apply(replica, 62);
    }
    take_in(&receiver, &snapshot).unwrap();
    assert_eq!(receiver.applied_hash(), sender.applied_hash(), "an old one takes nothing back");
    receiver.db().flush().unwrap();
    assert_eq!(receiver.applied_hash(), sender.applied_hash());
    let journal = receiver.db().journal(61).unwrap();
    assert_eq!(journal.count(), 1, "its journal begins behind the snapshot");
    drop(receiver);
    let again = node(Arc::new(ours.clone()), 2).unwrap();
    assert_eq!(again.applied_hash(), sender.applied_hash());
    assert_eq!(prices(&again.db().snapshot(), "A").len(), 61);
    assert!(again.opened_log().before_first.index >= 61);
    drop(again);
    let ours: Arc<dyn Vfs> = Arc::new(ours);
    let found = tapebook::verify(&ours, std::path::Path::new("/db"), "test").unwrap();
    assert!(found.problems.is_empty(), "{:?}", found.problems);
}

#[test]
fn a_snapshot_that_is_cut_off_anywhere_leaves_what_was_here_or_is_in_place() {
    let theirs = MemoryVfs::new(13);
    let sender = filled(&theirs, 1, 40, 20);
    let snapshot = sender.snapshot().unwrap().unwrap();
    let prepared = MemoryVfs::new(14);
    let hash_before = filled(&prepared, 2, 7, 3).applied_hash();
    prepared.crash_process();
    let (mut old, mut new, mut calls) = (0, 0, 0);
    for nth in 1.. {
        let disk = prepared.fork();
        let faulty = Arc::new(FaultVfs::new(Arc::new(disk.clone()), FaultPlan::none()));
        let replica = node(Arc::clone(&faulty) as Arc<dyn Vfs>, 2).unwrap();
        let rule = FaultRule::new(Fault::OsError(5)).nth(nth).for_ever();
        faulty.set_plan(FaultPlan::none().with(rule));
        let outcome = take_in(&replica, &snapshot);
        let died = faulty.faults() > 0;
        drop(replica);
        for seed in 0..3 {
            let after = disk.fork();
            after.crash(nth * 10 + seed);
            let again = node(Arc::new(after.clone()), 2)
                .unwrap_or_else(|error| panic!("call {nth}: {error}, after {outcome:?}"));
            match again.applied_hash() {
                hash if hash == hash_before => {
                    assert_eq!(again.opened_log().last, id(1, 1, 8), "call {nth}: the jump is taken back");
                    old += 1;
                }
                hash => {
                    assert_eq!(hash, sender.applied_hash(), "call {nth}");
                    new += 1;
                }
            }
            // The next attempts, with what this one has fetched, as far as the power cut left it whole.
            let attempts: Vec<_> = (0..=snapshot.parts().len()).map(|_| take_in(&again, &snapshot)).collect();
            let whole =
                |outcome: &Result<(), InstallError>| !matches!(outcome, Err(InstallError::Damaged { .. }));
            assert!(
                attempts.iter().find(|outcome| whole(outcome)).is_some_and(Result::is_ok),
                "{attempts:?}"
            );
            assert_eq!(again.applied_hash(), sender.applied_hash(), "call {nth}");
            log(&again, vec![(id(1, 1, 42), batch(41))]);
            apply(&again, 42);
            assert_eq!(prices(&again.db().snapshot(), "A").len(), 41);
        }
        calls = nth;
        if !died {
            assert!(outcome.is_ok(), "{outcome:?}");
            break;
        }
    }
    assert!(calls > 20 && old > 20 && new > 10, "{calls} calls, {old} old, {new} new");
}

#[test]
fn what_changed_on_its_way_is_found_and_fetched_again() {
    let (ours, theirs) = (MemoryVfs::new(15), MemoryVfs::new(16));
    let sender = filled(&theirs, 1, 40, 20);
    let snapshot = sender.snapshot().unwrap().unwrap();
    let receiver = filled(&ours, 2, 7, 3);
    let before = receiver.applied_hash();
    let mut incoming = receiver.receive(snapshot.description()).unwrap();
    let wanted = incoming.wanted();
    let refused = incoming.write(&wanted[0].0, 5, b"x").unwrap_err();
    assert!(matches!(refused, InstallError::Piece { expected: 0, .. }), "{refused}");
    for (name, _) in &wanted {
        let part = snapshot.parts().iter().find(|part| part.name == *name).unwrap();
        let mut bytes = part.read(0, usize::MAX).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        incoming.write(name, 0, &bytes).unwrap();
    }
    let damaged = incoming.finish().map(drop).unwrap_err();
    assert!(matches!(damaged, InstallError::Damaged { .. }), "{damaged}");
    assert_eq!(receiver.applied_hash(), before);
    // One damaged file goes with each attempt, and the whole snapshot comes in the end.
    let attempts = (0..wanted.len() + 1).find(|_| take_in(&receiver, &snapshot).is_ok());
    assert!(attempts.is_some());
    assert_eq!(receiver.applied_hash(), sender.applied_hash());

    let foreign = MemoryVfs::new(17);
    let other = NewReplica { cluster_id: 10, node_id: 2, epoch: 1 };
    let other = replica(with_archive(Arc::new(foreign)), Some(other));
    let refused = other.receive(snapshot.description()).map(drop).unwrap_err();
    assert!(matches!(refused, InstallError::Foreign { .. }), "{refused}");
    for length in 0..snapshot.description().len() {
        assert!(receiver.receive(&snapshot.description()[..length]).is_err(), "{length}");
    }
}
