//! Where following the journal begins.

use super::JournalError;
use super::source::JournalSource;
use super::stored::Stored;

/// Where following the journal begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JournalStart {
    /// With the batch that has this sequence number. It must have been given, or be the next one.
    Seq(u64),
    /// With the first batch whose commit clock, in nanoseconds since the epoch, is not before this time. Where batches that
    /// may belong to it are no longer kept, that is [`JournalError::Gone`].
    Time(i64),
    /// With what comes from now on.
    Latest,
}

/// The first sequence number to read, and the time before which batches are left out.
pub(super) fn first_seq(
    source: &JournalSource,
    start: JournalStart,
) -> Result<(u64, Option<i64>), JournalError> {
    let next_seq = source.tail().last_seq() + 1;
    match start {
        JournalStart::Latest => Ok((next_seq, None)),
        JournalStart::Seq(wanted) if wanted > next_seq => Err(JournalError::Ahead { wanted, next_seq }),
        JournalStart::Seq(wanted) => Ok((wanted.max(1), None)),
        JournalStart::Time(time) => Ok((seq_at(source, time)?, Some(time))),
    }
}

/// A sequence number before which every batch is older than `time`.
fn seq_at(source: &JournalSource, time: i64) -> Result<u64, JournalError> {
    if let Some(seq) = source.tail().seq_at(time) {
        return Ok(seq);
    }
    let (last_seq, commit_clock) = {
        let committed = source.committer.lock_sound()?;
        (committed.applier.state.last_seq, committed.applier.state.commit_clock)
    };
    if commit_clock < time {
        return Ok(last_seq + 1);
    }
    if let Some(seq) = source.archived_seq_at(time)? {
        return Ok(seq);
    }
    // Without an archive only a batch that is older shows that no other one is missing.
    let first_seq = source.with_stored(|stored| Ok(stored.behind.last_seq + 1))?;
    if first_seq == 1 {
        return Ok(first_seq);
    }
    let oldest = Stored::open(source, first_seq)?.next()?;
    if oldest.is_some_and(|oldest| oldest.commit_clock < time) {
        return Ok(first_seq);
    }
    Err(JournalError::Gone { wanted: first_seq - 1, first_seq: first_seq.min(source.tail().first_seq()) })
}
