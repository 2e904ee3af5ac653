//! Following the journal: what is stored, then what comes.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::source::JournalSource;
use super::stored::Stored;
use super::tail::{Here, Published};
use super::{JournalBatch, JournalChanged, JournalError, JournalStart, start};
use crate::{Db, FeedGap};

/// Changes of gaps that wait to be asked for.
const GAPS_UNASKED_MAX: usize = 1 << 14;

/// Reads the journal from one place on, for as long as the database is open: every batch once, in order, without a gap.
///
/// It begins with the batch that has the sequence number or time that was asked for; what of it comes before is the
/// caller's to leave out. It may go to another thread, and keeps nobody from closing the database.
///
/// ```no_run
/// use std::{sync::Arc, time::Duration};
/// use tapebook::{Db, JournalStart};
///
/// let db = Arc::new(Db::open("data")?);
/// let mut follower = db.follow(JournalStart::Latest)?;
/// loop {
///     while let Some(found) = follower.try_next()? {
///         println!("seq {}..={}", found.first_seq, found.last_seq());
///     }
///     follower.changed().wait(Duration::from_secs(1));
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JournalFollower {
    source: JournalSource,
    /// The first sequence number that was not handed out yet.
    next_seq: u64,
    /// Batches before this commit time are left out, until one is not before it.
    not_before: Option<i64>,
    /// Taken from the tail, and not handed out yet.
    taken: VecDeque<Published>,
    /// Where it reads while it is behind the tail.
    stored: Option<Stored>,
    /// Changes of gaps that were made by `gaps_known_through` and are not told yet, with the sequence numbers that made them. Those of
    /// later batches come with them.
    gaps_ahead: VecDeque<(u64, FeedGap)>,
    gaps_known_through: u64,
    /// Changes of gaps in what was handed out.
    gaps: VecDeque<FeedGap>,
}

impl Db {
    /// Follows the journal from a place on.
    pub fn follow(self: &Arc<Self>, from: JournalStart) -> Result<JournalFollower, JournalError> {
        let source = JournalSource::of(self);
        let (next_seq, not_before) = start::first_seq(&source, from)?;
        let mut follower = JournalFollower {
            source,
            next_seq,
            not_before,
            taken: VecDeque::new(),
            stored: None,
            gaps_ahead: VecDeque::new(),
            gaps_known_through: 0,
            gaps: VecDeque::new(),
        };
        if follower.source.tail().look(next_seq) == Here::Behind {
            // What is not kept is told at once.
            follower.stored = Some(follower.open()?);
        }
        Ok(follower)
    }
}

impl JournalFollower {
    /// The next batch, where it is there by now; `None` where it is not. While it is behind the newest batches it reads the
    /// disk, so a task asks [`JournalFollower::is_live`] first.
    ///
    /// After [`JournalError::Gone`] the place is lost: another follower can begin with the sequence that it names.
    pub fn try_next(&mut self) -> Result<Option<JournalBatch>, JournalError> {
        loop {
            let Some(Published { batch, mut gaps }) = self.next()? else { return Ok(None) };
            if batch.last_seq() <= self.gaps_known_through {
                gaps = self.gaps_through(batch.last_seq());
            }
            self.next_seq = batch.last_seq() + 1;
            if self.not_before.is_some_and(|time| batch.commit_clock < time) {
                continue;
            }
            self.not_before = None;
            self.gaps.extend(gaps);
            self.bound_gaps();
            return Ok(Some(batch));
        }
    }

    /// True where the next batch comes from memory, or is not there yet.
    pub fn is_live(&self) -> bool {
        !self.taken.is_empty() || self.source.tail().look(self.next_seq) != Here::Behind
    }

    /// The next change of a feed gap that came with what was handed out: numbers are missing, or what was missing has come. Of what
    /// lies back, only gaps are told that [`SystemView::feed_gaps`](crate::SystemView::feed_gaps) still lists. Who does not ask for
    /// them loses the oldest.
    pub fn next_gap(&mut self) -> Option<FeedGap> {
        self.gaps.pop_front()
    }

    /// The sequence number behind all that was handed out.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Ends when there may be more than was handed out so far, or the database is closed.
    pub fn changed(&self) -> JournalChanged {
        JournalChanged::new(self.source.tail(), self.next_seq)
    }

    fn next(&mut self) -> Result<Option<Published>, JournalError> {
        loop {
            if let Some(taken) = self.taken.pop_front() {
                return Ok(Some(taken));
            }
            match self.source.tail().take(self.next_seq, &mut self.taken) {
                Here::Taken => self.stored = None,
                Here::NotYet => return Ok(None),
                Here::Closed => return Err(JournalError::Closed),
                Here::Behind => {
                    let mut stored = match self.stored.take() {
                        Some(stored) => stored,
                        None => self.open()?,
                    };
                    if let Some(batch) = stored.next().map_err(|error| self.kept_in_memory(error))? {
                        self.stored = Some(stored);
                        return Ok(Some(Published { batch, gaps: Vec::new() }));
                    }
                    // It has come to the end of what was applied when it was opened; there is more by now.
                }
            }
        }
    }

    fn open(&mut self) -> Result<Stored, JournalError> {
        let stored = Stored::open(&self.source, self.next_seq).map_err(|error| self.kept_in_memory(error))?;
        self.gaps_known_through = stored.last_seq();
        self.gaps_ahead = gap_changes(stored.gaps(), self.next_seq..=stored.last_seq());
        Ok(stored)
    }

    fn gaps_through(&mut self, seq: u64) -> Vec<FeedGap> {
        let count = self.gaps_ahead.partition_point(|(at, _)| *at <= seq);
        self.gaps_ahead.drain(..count).map(|(_, gap)| gap).collect()
    }

    fn bound_gaps(&mut self) {
        let excess = self.gaps.len().saturating_sub(GAPS_UNASKED_MAX);
        self.gaps.drain(..excess);
    }

    /// The tail may reach back further than what is stored.
    fn kept_in_memory(&self, error: JournalError) -> JournalError {
        match error {
            JournalError::Gone { wanted, first_seq } => {
                JournalError::Gone { wanted, first_seq: first_seq.min(self.source.tail().first_seq()) }
            }
            error => error,
        }
    }
}

/// What became of gaps in a range of sequence numbers, in their order.
fn gap_changes(gaps: impl Iterator<Item = FeedGap>, seqs: RangeInclusive<u64>) -> VecDeque<(u64, FeedGap)> {
    let mut changes = Vec::new();
    for gap in gaps {
        if let Some(closed_seq) = gap.closed_seq.filter(|closed_seq| seqs.contains(closed_seq)) {
            changes.push((closed_seq, gap.clone()));
        }
        if seqs.contains(&gap.seen_seq) {
            changes.push((gap.seen_seq, FeedGap { closed_seq: None, closed_at: None, ..gap }));
        }
    }
    changes.sort_by_key(|(seq, gap)| (*seq, gap.closed_seq.is_some()));
    changes.into()
}
