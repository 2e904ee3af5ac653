//! Replay: what the log holds behind the last flush is applied again, in the same order.
//!
//! One thread reads the log, proves its checksums and decodes the batches; another applies them. Where the database may
//! have no threads of its own, one does both.
//!
//! Only what is committed is applied. As long as nobody but this node votes, every entry is; from the first membership with
//! other voters on, an entry is once a commit mark says so, and until then it waits, because a later leader may have made it
//! void.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{panic, thread};

use tapebook_record::{EncodedBatch, SharedBytes};
use tapebook_vfs::Vfs;
use tapebook_wal::{
    EntryKind, FrameMeta, LogId, LogIdentity, Recovered, RecoveredEntry, RecoveryOptions, VisitResult,
    recover,
};

use crate::FeedDeclaration;
use crate::apply::{Applier, MemtableBounds};
use crate::producers::ProducerExpiry;
use crate::retraction::RetractionEntry;
use crate::state::StoredMembership;
use crate::{Layout, Membership, OpenError};

/// About so many bytes are handed over at a time: few enough that they are in the second-level cache when they are applied.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait to be applied at most.
const CHUNKS_WAITING_MAX: usize = 8;

/// Applies entries of the log to what the last flush left.
pub(crate) struct Replay {
    pub applier: Applier,
    pub bounds: MemtableBounds,
    pub entries: u64,
    pub bytes: u64,
    /// Where the log left out entries last, for a snapshot of another node, unless that was taken back.
    pub jump: Option<Jump>,
}

/// Entries that the log left out: those between both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jump {
    pub from: LogId,
    pub to: LogId,
}

impl Replay {
    pub(crate) fn new(applier: Applier, bounds: MemtableBounds) -> Self {
        Self { applier, bounds, entries: 0, bytes: 0, jump: None }
    }

    /// Recovers the log in `layout` and applies all its entries from `options.replay_from` on. After an error, what was
    /// applied means nothing.
    pub(crate) fn run(
        &mut self,
        vfs: &Arc<dyn Vfs>,
        layout: &Layout,
        identity: LogIdentity,
        options: &RecoveryOptions,
        threads: bool,
    ) -> Result<Recovered, OpenError> {
        let dir = layout.wal();
        let membership = self.applier.state.membership.as_ref();
        let applied = self.applier.state.applied;
        let mut uncommitted = Uncommitted::new(identity.node_id, applied, membership);
        if !threads {
            let recovered = recover(vfs, &dir, identity, options, &mut |entry| {
                uncommitted.visit(entry, &mut |decoded| self.apply(decoded))
            })?;
            self.jump = uncommitted.jump;
            uncommitted.finish(&mut |decoded| self.apply(decoded));
            return Ok(recovered);
        }
        let (recovered, jump) = thread::scope(|scope| {
            let (sender, receiver) = sync_channel(CHUNKS_WAITING_MAX);
            let (emptied_sender, emptied) = sync_channel(CHUNKS_WAITING_MAX);
            let applying = scope.spawn(|| self.apply_all(receiver, emptied_sender));
            let mut chunks = Chunks { sender, emptied, chunk: Vec::new(), bytes: 0 };
            let recovered = recover(vfs, &dir, identity, options, &mut |entry| {
                uncommitted.visit(entry, &mut |decoded| chunks.add(decoded))
            });
            uncommitted.finish(&mut |decoded| chunks.add(decoded));
            chunks.hand_over();
            drop(chunks);
            if let Err(panicked) = applying.join() {
                panic::resume_unwind(panicked);
            }
            Ok::<_, OpenError>((recovered?, uncommitted.jump))
        })?;
        self.jump = jump;
        Ok(recovered)
    }

    fn apply_all(&mut self, chunks: Receiver<Vec<Decoded>>, emptied: SyncSender<Vec<Decoded>>) {
        for mut chunk in chunks {
            chunk.drain(..).for_each(|decoded| self.apply(decoded));
            // Where there are enough of them, or nobody reads any more, this one is not needed again.
            let _ = emptied.try_send(chunk);
        }
    }

    fn apply(&mut self, decoded: Decoded) {
        self.entries += 1;
        self.bytes += decoded.payload_bytes() as u64;
        match decoded.content {
            Content::Other(payload) => self.applier.apply_other(&decoded.meta, &payload),
            Content::Retraction(entry, _) => {
                // As with batches, one that was refused is refused again.
                let _ = self.applier.apply_retraction(&decoded.meta, &entry);
            }
            Content::Expiry(entry, _) => self.applier.apply_expiry(&decoded.meta, &entry),
            Content::Declaration(entry, _) => self.applier.apply_declaration(&decoded.meta, &entry),
            Content::Batch(batch) => {
                // A batch that was refused when it was first applied is refused again.
                let _ = self.applier.apply_batch(&decoded.meta, batch);
            }
        }
        self.applier.freeze_if_due(&self.bounds);
    }
}

/// An entry that can be applied.
struct Decoded {
    meta: FrameMeta,
    content: Content,
}

enum Content {
    Batch(EncodedBatch),
    /// With the bytes of its payload.
    Retraction(RetractionEntry, usize),
    /// With the bytes of its payload.
    Expiry(ProducerExpiry, usize),
    /// With the bytes of its payload.
    Declaration(FeedDeclaration, usize),
    Other(SharedBytes),
}

impl Decoded {
    fn payload_bytes(&self) -> usize {
        match &self.content {
            Content::Batch(batch) => batch.bytes().len(),
            Content::Retraction(_, payload_bytes)
            | Content::Expiry(_, payload_bytes)
            | Content::Declaration(_, payload_bytes) => *payload_bytes,
            Content::Other(payload) => payload.len(),
        }
    }
}

/// `None` for a note: only entries are applied.
fn decode(entry: RecoveredEntry) -> Result<Option<Decoded>, Box<dyn std::error::Error + Send + Sync>> {
    if !entry.meta.kind.is_entry() {
        return Ok(None);
    }
    let content = match entry.meta.kind {
        EntryKind::Batch => Content::Batch(EncodedBatch::from_log(entry.payload)?),
        EntryKind::Retraction => {
            Content::Retraction(RetractionEntry::decode(&entry.payload)?, entry.payload.len())
        }
        EntryKind::ProducerExpiry => {
            Content::Expiry(ProducerExpiry::decode(&entry.payload)?, entry.payload.len())
        }
        EntryKind::FeedDeclaration => {
            Content::Declaration(FeedDeclaration::decode(&entry.payload)?, entry.payload.len())
        }
        _ => Content::Other(entry.payload),
    };
    Ok(Some(Decoded { meta: entry.meta, content }))
}

/// Entries that may not be applied yet.
struct Uncommitted {
    node_id: u64,
    /// True once the log holds a membership in which other nodes vote.
    votes_count: bool,
    /// True where the newest membership has no other voter.
    alone: bool,
    waiting: VecDeque<Decoded>,
    /// The last entry before what comes next.
    last: LogId,
    jump: Option<Jump>,
}

impl Uncommitted {
    fn new(node_id: u64, applied: LogId, membership: Option<&StoredMembership>) -> Self {
        // Before the first entry there is none, and that entry is a membership.
        let decoded = membership.and_then(StoredMembership::decoded);
        let alone = decoded.is_none_or(|(_, membership)| membership.is_ruled_by(node_id));
        Self { node_id, votes_count: !alone, alone, waiting: VecDeque::new(), last: applied, jump: None }
    }

    fn visit(&mut self, entry: RecoveredEntry, apply: &mut impl FnMut(Decoded)) -> VisitResult {
        let RecoveredEntry { meta, .. } = entry;
        let log_id = LogId { term: meta.term, leader_node: meta.leader_node, index: meta.index };
        match meta.kind {
            EntryKind::Purge if log_id.index > self.last.index => {
                self.jump = Some(Jump { from: self.last, to: log_id });
                self.last = log_id;
            }
            EntryKind::CommitMark => {
                while let Some(first) = self.waiting.pop_front_if(|first| first.meta.index <= meta.index) {
                    apply(first);
                }
            }
            EntryKind::Truncate => {
                while self.waiting.pop_back_if(|last| last.meta.index > meta.index).is_some() {}
                self.jump = self.jump.filter(|jump| jump.to.index <= meta.index);
                self.last = log_id;
            }
            EntryKind::Membership => {
                self.alone = Membership::decode(&entry.payload)?.is_ruled_by(self.node_id);
                self.votes_count |= !self.alone;
            }
            _ => {}
        }
        if meta.kind.is_entry() {
            self.last = log_id;
        }
        match decode(entry)? {
            Some(decoded) if self.votes_count => self.waiting.push_back(decoded),
            Some(decoded) => apply(decoded),
            None => {}
        }
        Ok(())
    }

    /// At the end of the log, what waits on a node that alone votes is committed: it is durable here.
    fn finish(&mut self, apply: &mut impl FnMut(Decoded)) {
        if self.alone {
            self.waiting.drain(..).for_each(apply);
        }
    }
}

/// Gathers decoded entries for the thread that applies them.
struct Chunks {
    sender: SyncSender<Vec<Decoded>>,
    /// Chunks that were applied, to be filled again: memory that is in a cache and needs no page fault.
    emptied: Receiver<Vec<Decoded>>,
    chunk: Vec<Decoded>,
    bytes: usize,
}

impl Chunks {
    fn add(&mut self, decoded: Decoded) {
        // Entries without a payload take memory, too.
        self.bytes += decoded.payload_bytes() + size_of::<Decoded>();
        self.chunk.push(decoded);
        if self.bytes >= CHUNK_BYTES {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let chunk = std::mem::replace(&mut self.chunk, self.emptied.try_recv().unwrap_or_default());
        self.bytes = 0;
        // Where nobody receives any more, the applying thread has panicked, and its panic goes on after reading.
        let _ = self.sender.send(chunk);
    }
}
