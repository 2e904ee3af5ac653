//! A log of its own for a copy of the database: it begins behind an entry whose effects lie in the copy's files, and
//! repeats what followed.
//!
//! Entries are written anew and never linked: the segments that they come from are recycled.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tapebook_vfs::Vfs;

use super::prepare::prepare_spare;
use super::shared::lock;
use super::tail::begin_segment;
use super::wal::Wal;
use crate::layout::Listing;
use crate::state::LogState;
use crate::{
    DurableEntry, DurableSink, FRAME_ALIGN, FRAME_HEADER_BYTES, LogEntry, LogId, LogIdentity, LogReader,
    PAYLOAD_BYTES_MAX, Proposal, ReadError, RecoveryError, RecoveryOptions, SEGMENT_BLOCK_BYTES,
    SegmentFacts, SegmentHeader, WalError, WalOptions, recover,
};

/// Segments of a copy are at most so long: a short log must not take the space of a long one.
const COPY_SEGMENT_BYTES_MAX: u64 = 1 << 20;

/// Why a log could not be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The log that is copied could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The copy could not be opened.
    #[error(transparent)]
    Open(#[from] RecoveryError),
    /// The copy could not be written.
    #[error(transparent)]
    Write(#[from] WalError),
}

/// A log that nobody uses yet, to which entries of another one are appended as they were.
#[derive(Debug)]
pub struct LogCopy {
    wal: Wal<Forgetful>,
}

impl LogCopy {
    /// Begins a log in `dir`, which must be missing or empty. `header` says what it goes on from;
    /// the length of its segments is chosen here.
    pub fn begin(
        vfs: &Arc<dyn Vfs>,
        dir: &Path,
        mut header: SegmentHeader,
        options: &WalOptions,
    ) -> Result<Self, CopyError> {
        let options = copy_options(options);
        options.validate()?;
        let at_dir = |source| WalError::io("begin a log", dir, source);
        vfs.create_dir_all(dir).map_err(at_dir)?;
        if !Listing::read(&**vfs, dir).map_err(at_dir)?.segment_ids.is_empty() {
            return Err(at_dir(io::ErrorKind::AlreadyExists.into()).into());
        }
        header.segment_bytes = options.segment_bytes;
        let spare = prepare_spare(&**vfs, dir, 1, options.segment_bytes)?;
        begin_segment(&**vfs, dir, &spare, &header)?;
        Self::start(vfs, dir, header.identity.log, header.last_log_id.index + 1, options)
    }

    /// Opens the log in `dir` to append more. `replay_from` is the first entry that the copy's files do not hold.
    pub fn open(
        vfs: &Arc<dyn Vfs>,
        dir: &Path,
        identity: LogIdentity,
        replay_from: u64,
        options: &WalOptions,
    ) -> Result<Self, CopyError> {
        Self::start(vfs, dir, identity, replay_from, copy_options(options))
    }

    fn start(
        vfs: &Arc<dyn Vfs>,
        dir: &Path,
        identity: LogIdentity,
        replay_from: u64,
        options: WalOptions,
    ) -> Result<Self, CopyError> {
        let known = RecoveryOptions { replay_from, durable_index: replay_from.saturating_sub(1) };
        let recovered = recover(vfs, dir, identity, &known, &mut |_| Ok(()))?;
        Ok(Self { wal: Wal::start(Arc::clone(vfs), options, recovered, Arc::new(Forgetful))? })
    }

    /// Appends an entry or note. It is durable when [`LogCopy::finish`] returns.
    pub fn append(&mut self, entry: &LogEntry) -> Result<(), CopyError> {
        let meta = &entry.meta;
        let proposal = || Proposal {
            kind: meta.kind,
            flags: meta.flags,
            term: meta.term,
            leader_node: meta.leader_node,
            index: Some(meta.index),
            proposed_at: Some(meta.proposed_at),
            payload: entry.payload.clone(),
        };
        match self.wal.enqueue(proposal(), ()) {
            Err(refused) if matches!(refused.error, WalError::Busy { .. }) => {
                self.wal.drive()?;
                self.wal.enqueue(proposal(), ()).map_err(|refused| refused.error)?;
            }
            other => other.map_err(|refused| refused.error)?,
        }
        Ok(())
    }

    /// The index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.wal.last_index()
    }

    /// Makes everything durable and closes the log.
    pub fn finish(self) -> Result<(), CopyError> {
        Ok(self.wal.close()?)
    }
}

/// Whatever an earlier setting allowed into the log fits into the copy, as far as its segments do.
fn copy_options(options: &WalOptions) -> WalOptions {
    let segment_bytes = options.segment_bytes.min(COPY_SEGMENT_BYTES_MAX);
    let overhead = 2 * SEGMENT_BLOCK_BYTES + FRAME_HEADER_BYTES + FRAME_ALIGN;
    let payload_bytes_max = (segment_bytes as usize).saturating_sub(overhead).min(PAYLOAD_BYTES_MAX);
    WalOptions {
        segment_bytes,
        payload_bytes_max: payload_bytes_max as u32,
        linger_max: Duration::ZERO,
        spare_segments_max: 0,
        background: false,
        ..options.clone()
    }
}

/// Nobody waits for the entries of a copy.
#[derive(Debug)]
struct Forgetful;

impl DurableSink for Forgetful {
    type Ticket = ();

    fn durable(&self, entries: &mut Vec<DurableEntry<()>>) {
        entries.clear();
    }

    fn failed(&self, _tickets: Vec<()>, _error: &WalError) {}
}

impl<S: DurableSink> Wal<S> {
    /// Writes to `dir` of `vfs` a log that begins behind the entry `behind` (index 0: at the start) and repeats what follows, up
    /// to the entry `through`. Both are durable and committed here, and nothing from `behind` on is purged
    /// meanwhile: the caller sees to that. `facts` is what the files of the copy hold.
    ///
    /// The copy's first segment goes on where this log's current one will end, in number and position, so that no frame
    /// of one can be taken for a frame of the other.
    pub fn copy_behind(
        &self,
        vfs: &Arc<dyn Vfs>,
        behind: LogId,
        through: LogId,
        facts: SegmentFacts,
        dir: &Path,
    ) -> Result<LogCopy, CopyError> {
        let shared = &self.shared;
        let limit = Some(self.synced_position());
        let (mut headers, current) = {
            let segments = lock(&shared.segments);
            let closed = segments.closed.iter().map(|closed| closed.header.clone());
            (closed.chain([segments.current.clone()]).collect::<Vec<_>>(), segments.current.clone())
        };
        let Some(place) = headers.iter().rposition(|header| header.last_log_id.index <= behind.index) else {
            let first_index = headers.first().map_or(1, |first| first.last_log_id.index + 1);
            return Err(ReadError::Purged { wanted: behind.index, first_index }.into());
        };
        headers.drain(..place);
        let mut state = LogState::before_segment(&headers[0]);
        let (own_vfs, log_dir) = (Arc::clone(&shared.vfs), shared.dir.clone());
        let mut reader =
            LogReader::over(own_vfs, log_dir, headers, state.next_index(), limit, shared.purged.clone());
        while state.last_log_id != behind {
            let entry = reader.next_entry()?.ok_or_else(|| self.ends_before(behind.index))?;
            let observed = state.observe(&entry.meta, &entry.payload, reader.last_crc());
            observed.map_err(|gap| self.ends_before(gap.expected))?;
        }
        let base = current.next_base();
        let header = SegmentHeader {
            identity: shared.identity.segment(current.identity.segment_id + 1),
            segment_bytes: current.segment_bytes,
            base,
            previous_end: base,
            created_at: shared.vfs.clock().unix_nanos(),
            chain: state.chain,
            last_log_id: state.last_log_id,
            last_proposed_at: state.last_proposed_at,
            commit_index: state.commit_index,
            vote: state.vote,
            purge: state.purge,
            membership: state.membership,
            facts,
        };
        let mut copy = LogCopy::begin(vfs, dir, header, &shared.options)?;
        let mut last = behind;
        while last != through {
            let entry = reader.next_entry()?.ok_or_else(|| self.ends_before(through.index))?;
            copy.append(&entry)?;
            if entry.meta.kind.is_entry() {
                last = entry.log_id();
            }
        }
        Ok(copy)
    }

    fn ends_before(&self, index: u64) -> ReadError {
        let reason = format!("the log ends before entry {index}");
        let source = io::Error::new(io::ErrorKind::InvalidData, reason);
        ReadError::Io { path: self.shared.dir.clone(), source }
    }
}
