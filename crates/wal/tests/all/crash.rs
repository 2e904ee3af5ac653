//! D1, D9, D13, P1: the process or the power dies at any call, again and again on the same disk, and also during
//! recovery. What was completed is there, in order, and nothing is there that nobody appended.

use std::io::ErrorKind;
use std::sync::Arc;

use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, MemoryVfs, Vfs};
use tapebook_wal::{Proposal, RecoveryError, RecoveryOptions, SegmentSummary, Vote, Wal};

use crate::support::*;

const SEEDS: u64 = 400;
const LIVES: u64 = 4;

#[test]
fn every_completed_entry_survives_any_crash() {
    let mut total = Totals::default();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for life in 0..LIVES {
            world.live(life, &mut total);
        }
        world.check_last();
    }
    // The scenario is worthless where it does not get to the interesting places.
    assert!(total.torn > SEEDS / 10, "{total:?}");
    assert!(total.rolled > SEEDS && total.purged > SEEDS / 4, "{total:?}");
    assert!(total.died_in_recovery > SEEDS / 20, "{total:?}");
    assert!(total.kept_unacknowledged > SEEDS / 10, "{total:?}");
}

#[derive(Debug, Default)]
struct Totals {
    torn: u64,
    rolled: u64,
    purged: u64,
    died_in_recovery: u64,
    kept_unacknowledged: u64,
}

struct World {
    disk: MemoryVfs,
    random: Random,
    /// Entries by index, from 1; those behind `completed` may or may not survive.
    admitted: Vec<Seen>,
    completed: u64,
    /// Entries up to here may be gone.
    purge_asked: u64,
    vote_completed: u64,
    vote_admitted: u64,
    next_payload: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            disk: MemoryVfs::new(seed),
            random: Random(seed.wrapping_mul(7919)),
            admitted: Vec::new(),
            completed: 0,
            purge_asked: 0,
            vote_completed: 0,
            vote_admitted: 0,
            next_payload: 1,
        }
    }

    fn recovery_options(&self) -> RecoveryOptions {
        RecoveryOptions { replay_from: self.purge_asked + 1, durable_index: self.completed }
    }

    /// From a recovery to a crash.
    fn live(&mut self, life: u64, total: &mut Totals) {
        let plain: Arc<dyn Vfs> = Arc::new(self.disk.clone());
        let faulty = FaultVfs::new(plain.clone(), self.death());
        let vfs: Arc<dyn Vfs> = Arc::new(faulty);
        match recover_with(&vfs, &self.recovery_options()) {
            Ok((recovered, shown)) => {
                total.torn += u64::from(recovered.torn.is_some());
                self.check(&shown, recovered.state.vote.map_or(0, |vote| vote.term), total);
                self.write(life, &vfs, recovered, total);
            }
            Err(RecoveryError::Io { .. }) => total.died_in_recovery += 1,
            Err(error) => panic!("life {life}: {error}"),
        }
        let crash = self.random.next();
        if crash.is_multiple_of(4) {
            self.disk.crash_process();
        } else {
            self.disk.crash(crash);
        }
    }

    /// Everything fails from some call on; the first of them, where it is a write, may be half done.
    fn death(&mut self) -> FaultPlan {
        let nth =
            if self.random.below(4) == 0 { self.random.below(40) } else { 30 + self.random.below(400) } + 1;
        let bytes = self.random.below(9000) as usize;
        let first = FaultRule::new(Fault::ShortWrite { bytes, error: ErrorKind::Other }).nth(nth);
        let later = FaultRule::new(Fault::Error(ErrorKind::Other)).nth(nth).for_ever();
        FaultPlan::none().with(first).with(later)
    }

    fn write(
        &mut self,
        life: u64,
        vfs: &Arc<dyn Vfs>,
        recovered: tapebook_wal::Recovered,
        total: &mut Totals,
    ) {
        let sink = Arc::new(RememberingSink::default());
        let Ok(wal) = Wal::start(vfs.clone(), stepped(), recovered, sink.clone()) else { return };
        for _ in 0..200 {
            if wal.poisoned().is_some() {
                break;
            }
            self.step(&wal, total);
        }
        let memory = sink.memory.lock().unwrap();
        for seen in memory.durable.iter() {
            if seen.kind.is_entry() {
                assert_eq!(seen.index, self.completed + 1, "life {life}: completed out of order");
                assert_eq!(*seen, self.admitted[self.completed as usize], "life {life}");
                self.completed = seen.index;
            } else {
                self.vote_completed += 1;
            }
        }
        total.rolled += wal.closed_segments().len() as u64;
    }

    fn step(&mut self, wal: &TestWal, total: &mut Totals) {
        match self.random.below(20) {
            0 => {
                let vote = Vote { term: self.vote_admitted + 1, node: 3, committed: false };
                if wal.append(Proposal::vote(vote), 0).is_ok() {
                    self.vote_admitted += 1;
                }
            }
            1 => {
                if let Some(closed) = wal.closed_segments().last() {
                    let _ = wal.seal_segment(closed.header.identity.segment_id, SegmentSummary::default());
                }
            }
            2 => {
                let closed = wal.closed_segments();
                if closed.len() > 2 {
                    self.purge_asked = self.purge_asked.max(closed[1].last_index);
                    total.purged += u64::from(wal.purge_through(self.purge_asked).is_ok());
                }
            }
            3..=9 => self.propose(wal, true),
            10..=12 => drop(wal.drive()),
            _ => self.propose(wal, false),
        }
    }

    fn propose(&mut self, wal: &TestWal, append: bool) {
        let len = match self.random.below(4) {
            0 => self.random.below(20_000),
            1 => self.random.below(5000),
            _ => self.random.below(300),
        };
        let payload = payload(self.next_payload, len as usize);
        self.next_payload += 1;
        let proposal = batch(payload.clone());
        let before = wal.last_index();
        let admitted = if append { wal.append(proposal, before) } else { wal.enqueue(proposal, before) };
        if admitted.is_ok() {
            let kind = tapebook_wal::EntryKind::Batch;
            self.admitted.push(Seen { index: before + 1, kind, payload: payload.to_vec() });
            assert_eq!(self.admitted.len() as u64, before + 1);
        }
    }

    /// What is shown is what was admitted, without a gap, and at least all that was completed.
    fn check(&mut self, shown: &[Seen], vote: u64, total: &mut Totals) {
        let entries: Vec<_> = shown.iter().filter(|seen| seen.kind.is_entry()).collect();
        let last = entries.last().map_or(self.purge_asked, |seen| seen.index);
        assert!(last >= self.completed, "lost: {last} of {}", self.completed);
        assert!(last <= self.admitted.len() as u64, "invented");
        for (at, seen) in entries.iter().enumerate() {
            assert_eq!(seen.index, self.purge_asked + 1 + at as u64);
            assert_eq!(**seen, self.admitted[seen.index as usize - 1]);
        }
        assert!((self.vote_completed..=self.vote_admitted).contains(&vote), "the vote went back");
        total.kept_unacknowledged += u64::from(last > self.completed);
        self.admitted.truncate(last as usize);
        self.completed = last;
        (self.vote_completed, self.vote_admitted) = (vote, vote);
    }

    /// The disk without faults; and what one recovery has shown, the next one shows, whatever is cut in between.
    fn check_last(&mut self) {
        let vfs: Arc<dyn Vfs> = Arc::new(self.disk.clone());
        let (_, first) = recover_with(&vfs, &self.recovery_options()).unwrap();
        self.check(&first, self.vote_completed, &mut Totals::default());
        self.disk.crash(self.random.next());
        let (recovered, second) = recover_with(&vfs, &self.recovery_options()).unwrap();
        assert_eq!(first, second);
        assert_eq!(recovered.torn, None);
        let report = tapebook_wal::verify(&vfs, &dir(), IDENTITY).unwrap();
        assert_eq!(report.problems, []);
    }
}
