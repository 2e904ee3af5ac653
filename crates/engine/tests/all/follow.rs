//! Following the journal: every batch once, in order, wherever it is read from, and nobody sleeps through one.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tapebook::{
    Db, Durability, JournalBatch, JournalError, JournalFollower, JournalStart, Options, Producer,
};
use tapebook_vfs::{MemoryVfs, Operation};

use crate::clients::{Clients, append};
use crate::hook::{Gate, HookVfs, is_segment};
use crate::random::Random;
use crate::rows::batch_of;
use crate::support::{HOUR, open, trades, with_archive};

/// The first sequence and the bytes of each batch.
type Batches = Vec<(u64, Vec<u8>)>;

/// Longer than any test waits for what must come.
const LONG: Duration = Duration::from_secs(120);

fn follow(db: &Arc<Db>, from: JournalStart) -> JournalFollower {
    db.follow(from).unwrap_or_else(|error| panic!("{from:?}: {error}"))
}

/// What the journal must say: each batch with its first sequence number and its bytes.
#[derive(Default)]
struct Written {
    batches: Batches,
    last_seq: u64,
}

impl Written {
    /// Appends the next batch of some client; now and then one that is turned away.
    fn write(&mut self, db: &Db, clients: &mut Clients) {
        let sent = clients.next_batch();
        let batch = batch_of(sent.producer, &sent.rows).encode();
        let receipt = db.append_encoded(batch.clone(), Durability::Synced).unwrap().wait().unwrap();
        assert!(!receipt.duplicate);
        self.batches.push((receipt.first_seq, batch.bytes().to_vec()));
        self.last_seq = receipt.last_seq;
        if clients.random.chance(15) {
            assert!(append(db, batch_of(sent.producer, &sent.rows)).duplicate);
            let far_ahead = Producer { batch_number: sent.producer.batch_number + 50, ..sent.producer };
            let refused = db.append(batch_of(far_ahead, &sent.rows), Durability::Synced);
            assert!(refused.and_then(tapebook::PendingAppend::wait).is_err());
        }
    }

    /// The place of the batch that has this sequence number.
    fn place_of(&self, seq: u64) -> usize {
        self.batches.partition_point(|(first_seq, _)| *first_seq <= seq.max(1)).saturating_sub(1)
    }
}

/// A follower, and the batch that it must hand out next.
struct Following {
    follower: JournalFollower,
    place: usize,
}

impl Following {
    fn from(db: &Arc<Db>, written: &Written, seq: u64) -> Result<Self, JournalError> {
        let follower = db.follow(JournalStart::Seq(seq))?;
        let place = if seq > written.last_seq { written.batches.len() } else { written.place_of(seq) };
        Ok(Self { follower, place })
    }

    /// Takes up to `count` batches; false where the journal is no longer kept that far back.
    fn take(&mut self, written: &Written, count: u64, archived: bool) -> bool {
        for _ in 0..count {
            let live = self.follower.is_live();
            match self.follower.try_next() {
                Ok(Some(found)) => {
                    let (first_seq, bytes) = &written.batches[self.place];
                    assert_eq!(found.first_seq, *first_seq);
                    assert!(found.batch.bytes()[..] == bytes[..], "seq {first_seq}");
                    self.place += 1;
                }
                Ok(None) => {
                    assert_eq!(self.place, written.batches.len(), "nothing more is there");
                    assert!(live && self.follower.is_live());
                    assert!(!self.follower.changed().wait(Duration::ZERO));
                }
                Err(JournalError::Gone { wanted, first_seq }) => {
                    assert!(!archived && !live);
                    assert_eq!(wanted, self.follower.next_seq());
                    assert!(wanted < first_seq && first_seq <= written.last_seq + 1);
                    return false;
                }
                Err(error) => panic!("{error}"),
            }
        }
        true
    }
}

/// Writers, flushes and followers that are now ahead and now behind, with every size of the tail, with and without an archive.
#[test]
fn followers_see_every_batch_once_wherever_it_is_read_from() {
    let (mut gone, mut behind) = (0, 0);
    for seed in 0..48 {
        let mut clients = Clients::new(seed);
        let mut random = Random::new(seed ^ 0xF0);
        let archived = random.chance(60);
        let options = Options {
            journal_retention: archived.then_some(24 * HOUR),
            tail_bytes_max: [0, 3_000, 40_000, 16 << 20][random.below(4) as usize],
            ..with_archive(Arc::new(MemoryVfs::new(seed)))
        };
        let mut written = Written::default();
        for _ in 0..2 {
            let db = Arc::new(open(options.clone()));
            let mut followings: Vec<Following> = Vec::new();
            for _ in 0..120 {
                match random.below(10) {
                    0..5 => written.write(&db, &mut clients),
                    5 if random.chance(40) => db.flush().unwrap(),
                    5 | 6 if followings.len() < 4 => {
                        let seq = random.below(written.last_seq + 2);
                        match Following::from(&db, &written, seq) {
                            Ok(following) => followings.push(following),
                            Err(JournalError::Gone { first_seq, .. }) if !archived => {
                                followings.push(Following::from(&db, &written, first_seq).unwrap());
                            }
                            Err(error) => panic!("seed {seed}: {error}"),
                        }
                    }
                    _ if !followings.is_empty() => {
                        let at = random.below(followings.len() as u64) as usize;
                        behind += u64::from(!followings[at].follower.is_live());
                        let count = 1 + random.below(30);
                        if !followings[at].take(&written, count, archived) {
                            gone += 1;
                            followings.swap_remove(at);
                        }
                    }
                    _ => {}
                }
            }
            for mut following in followings {
                gone += u64::from(!following.take(&written, 1_000, archived));
            }
            Arc::into_inner(db).unwrap().close().unwrap();
        }
    }
    assert!(gone > 5 && behind > 100, "{gone} and {behind}");
}

#[test]
fn a_place_that_was_not_given_yet_is_refused() {
    let db = Arc::new(open(with_archive(Arc::new(MemoryVfs::new(1)))));
    append(&db, trades("S", 0, 0..3));
    let ahead = db.follow(JournalStart::Seq(5)).unwrap_err();
    assert!(matches!(ahead, JournalError::Ahead { wanted: 5, next_seq: 4 }), "{ahead}");
    let mut next = follow(&db, JournalStart::Seq(4));
    let mut latest = follow(&db, JournalStart::Latest);
    assert!(next.try_next().unwrap().is_none() && latest.try_next().unwrap().is_none());
    append(&db, trades("S", 0, 3..4));
    assert_eq!(next.try_next().unwrap().unwrap().first_seq, 4);
    assert_eq!(latest.try_next().unwrap().unwrap().first_seq, 4);
    let inside = follow(&db, JournalStart::Seq(2)).try_next().unwrap().unwrap();
    assert_eq!((inside.first_seq, inside.last_seq()), (1, 3), "a batch is handed out as a whole");
}

/// Without an archive it is said from where the journal is kept: in memory, or behind the files.
#[test]
fn without_an_archive_it_is_said_from_where_the_journal_is_kept() {
    let options = |tail_bytes_max| Options {
        journal_retention: None,
        tail_bytes_max,
        ..with_archive(Arc::new(MemoryVfs::new(2)))
    };
    for tail_bytes_max in [0, 1_500] {
        let db = Arc::new(open(options(tail_bytes_max)));
        for at in 0..20_u32 {
            append(&db, trades("S", at.into(), at..at + 1));
        }
        db.flush().unwrap();
        let gone = db.follow(JournalStart::Seq(3)).unwrap_err();
        let JournalError::Gone { wanted: 3, first_seq } = gone else { panic!("{gone}") };
        assert!(first_seq > 3 && (first_seq == 21) == (tail_bytes_max == 0), "{first_seq}");
        let mut follower = follow(&db, JournalStart::Seq(first_seq));
        if first_seq > 20 {
            append(&db, trades("S", 20, 20..21));
        }
        let found = follower.try_next().unwrap().unwrap();
        assert_eq!(found.first_seq, first_seq);
    }
}

fn collect(follower: &mut JournalFollower, last_seq: u64) -> Vec<JournalBatch> {
    let mut found = Vec::new();
    while follower.next_seq() <= last_seq {
        found.push(follower.try_next().unwrap().expect("it was published"));
    }
    found
}

#[test]
fn a_time_leads_to_the_first_batch_that_is_not_older() {
    for (archived, tail_bytes_max) in
        [(true, 0), (true, 2_000), (true, 16 << 20), (false, 16 << 20), (false, 0)]
    {
        let disk = MemoryVfs::new(3);
        let options = Options {
            journal_retention: archived.then_some(24 * HOUR),
            tail_bytes_max,
            ..with_archive(Arc::new(disk.clone()))
        };
        let db = Arc::new(open(options));
        for at in 0..60_u32 {
            disk.manual_clock().advance(Duration::from_millis(1));
            append(&db, trades("S", at.into(), at * 3..at * 3 + 3));
            if at % 20 == 19 {
                db.flush().unwrap();
            }
        }
        let oldest = match db.follow(JournalStart::Seq(1)) {
            Ok(_) => 1,
            Err(JournalError::Gone { first_seq, .. }) => first_seq,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(oldest == 1, archived || tail_bytes_max > 0, "{oldest}");
        let all =
            if oldest > 180 { Vec::new() } else { collect(&mut follow(&db, JournalStart::Seq(oldest)), 180) };
        assert!(all.is_sorted_by_key(|found| found.commit_clock));
        for found in &all {
            for time in [found.commit_clock - 1, found.commit_clock, found.commit_clock + 1] {
                let expected = all.iter().find(|found| found.commit_clock >= time);
                let first = follow(&db, JournalStart::Time(time)).try_next().unwrap();
                assert_eq!(first.map(|found| found.first_seq), expected.map(|found| found.first_seq));
            }
        }
        let early = db.follow(JournalStart::Time(i64::MIN));
        match early {
            Ok(mut follower) => assert_eq!(follower.try_next().unwrap().unwrap().first_seq, 1),
            Err(JournalError::Gone { wanted, first_seq }) => assert_eq!((wanted, first_seq), (180, 181)),
            Err(error) => panic!("{error}"),
        }
        // What comes before a time in the future is left out.
        let later = db.vfs().clock().unix_nanos() + HOUR.as_nanos() as i64;
        let mut follower = follow(&db, JournalStart::Time(later));
        append(&db, trades("S", 0, 0..2));
        assert!(follower.try_next().unwrap().is_none());
        disk.manual_clock().advance(2 * HOUR);
        append(&db, trades("S", 0, 0..2));
        assert_eq!(follower.try_next().unwrap().unwrap().first_seq, 183);
    }
}

#[test]
fn a_batch_is_not_followed_before_it_is_synced() {
    let gate = Arc::new(Gate::default());
    let (at_sync, armed) = (Arc::clone(&gate), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&armed);
    let vfs = HookVfs::new(Arc::new(MemoryVfs::new(4)), move |operation: Operation, path: &Path| {
        if operation == Operation::Sync && is_segment(path) && counted.load(Ordering::SeqCst) > 0 {
            at_sync.pass();
        }
    });
    let db = Arc::new(open(with_archive(Arc::new(vfs))));
    let mut follower = follow(&db, JournalStart::Latest);
    armed.store(1, Ordering::SeqCst);
    thread::scope(|scope| {
        let writer = scope.spawn(|| append(&db, trades("S", 0, 0..1)));
        gate.wait_for_arrival();
        assert!(follower.try_next().unwrap().is_none(), "written, and not synced");
        let changed = follower.changed();
        gate.open();
        assert!(changed.wait(LONG));
        assert_eq!(follower.try_next().unwrap().unwrap().first_seq, writer.join().unwrap().first_seq);
    });
}

#[test]
fn closing_ends_what_follows_and_waits() {
    let db = Arc::new(open(with_archive(Arc::new(MemoryVfs::new(5)))));
    append(&db, trades("S", 0, 0..2));
    db.flush().unwrap();
    let (mut live, mut stored) = (follow(&db, JournalStart::Latest), follow(&db, JournalStart::Seq(1)));
    let changed = live.changed();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| changed.wait(LONG));
        Arc::into_inner(db).expect("followers do not hold the database").close().unwrap();
        assert!(waiting.join().unwrap());
    });
    assert!(matches!(live.try_next(), Err(JournalError::Closed)));
    assert_eq!(stored.try_next().unwrap().unwrap().first_seq, 1, "what is in memory is still handed out");
    assert!(matches!(stored.try_next(), Err(JournalError::Closed)));
}

/// Wakes a thread, and counts.
struct Parked {
    thread: Thread,
    woken: AtomicU64,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Waits for a future in this thread, without an executor.
fn block_on(future: impl Future<Output = ()>) {
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicU64::new(0) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut future = pin!(future);
    while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        thread::park();
    }
}

#[test]
fn a_task_is_woken_once_for_a_group() {
    let db = Arc::new(open(with_archive(Arc::new(MemoryVfs::new(6)))));
    let follower = follow(&db, JournalStart::Latest);
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicU64::new(0) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut context = Context::from_waker(&waker);
    let mut changed = pin!(follower.changed());
    for _ in 0..3 {
        assert!(changed.as_mut().poll(&mut context).is_pending());
    }
    drop(follower.changed());
    let pending: Vec<_> =
        (0..5_u32).map(|at| db.append(trades("S", 0, at..at + 1), Durability::Buffered).unwrap()).collect();
    assert_eq!(parked.woken.load(Ordering::SeqCst), 0);
    db.drive().unwrap();
    assert_eq!(parked.woken.load(Ordering::SeqCst), 1);
    assert!(pending.into_iter().all(|pending| pending.wait().is_ok()));
    assert_eq!(changed.poll(&mut context), Poll::Ready(()));
}

/// Writers in several threads, a database that flushes and purges in threads of its own, and followers that wait as threads
/// and as tasks. A wake-up that is lost ends the test.
#[test]
fn concurrent_writers_are_followed_without_losing_a_wake_up() {
    const WRITERS: u32 = 3;
    const BATCHES: u32 = 400;
    for (seed, tail_bytes_max) in [(7, 16 << 20), (8, 4_000), (9, 0)] {
        let options =
            Options { background: true, tail_bytes_max, ..with_archive(Arc::new(MemoryVfs::new(seed))) };
        let db = Arc::new(open(options));
        let all = u64::from(WRITERS * BATCHES) * 3;
        let seen: Mutex<Vec<Batches>> = Mutex::default();
        thread::scope(|scope| {
            for number in 0..4 {
                let mut follower = follow(&db, JournalStart::Seq(1));
                let (seen, db) = (&seen, &db);
                scope.spawn(move || {
                    let mut found = Vec::new();
                    while follower.next_seq() <= all {
                        if let Some(next) = follower.try_next().unwrap_or_else(|error| panic!("{error}")) {
                            assert!(db.last_seq() >= next.last_seq(), "what is followed is visible");
                            found.push((next.first_seq, next.batch.bytes().to_vec()));
                        } else if number % 2 == 0 {
                            assert!(follower.changed().wait(LONG), "a wake-up was lost");
                        } else {
                            block_on(follower.changed());
                        }
                    }
                    seen.lock().unwrap().push(found);
                });
            }
            for writer in 0..WRITERS {
                let db = &db;
                scope.spawn(move || {
                    for at in 0..BATCHES {
                        let price = (writer * BATCHES + at) * 3;
                        append(db, trades("S", at.into(), price..price + 3));
                    }
                });
            }
        });
        let seen = seen.into_inner().unwrap();
        assert!(seen.iter().all(|found| found == &seen[0]));
        let seqs = seen[0].iter().map(|(first_seq, _)| *first_seq);
        assert!(seqs.eq((1..=all).step_by(3)));
        Arc::into_inner(db).unwrap().close().unwrap();
    }
}
