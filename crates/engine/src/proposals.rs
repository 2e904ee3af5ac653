//! How a change gets into the journal: into the log of a database that is alone, or to the consensus layer of a replica, which
//! gives it a place in the log of all nodes.

use std::fmt;
use std::sync::Arc;

use tapebook_record::SharedBytes;
use tapebook_wal::{EntryKind, LogId, Proposal, Wal, WalError};

use crate::AppendError;
use crate::append::{Completer, Completion, PendingAppend};
use crate::commit::{Change, Committer, Ticket};
use crate::replica::{JournalEntry, ProposedEntry, WaitingWriter};

/// The consensus layer, as a replica sees it.
pub trait Consensus: Send + Sync + 'static {
    /// Queues an entry, in the order of the calls. Where `may_wait`, it waits for room; otherwise, and where nothing can be
    /// taken at all, it refuses the entry ([`WaitingWriter::refuse`] is not called then).
    fn propose(&self, proposed: ProposedEntry, may_wait: bool) -> Result<(), AppendError>;

    /// Everything up to this entry is in files, so that the log can be purged up to there once no other node needs it. It must
    /// return at once: a flush waits for it.
    fn flushed(&self, through: LogId);
}

/// How long the caller may be held up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Handing {
    /// The caller writes and syncs where nobody else does.
    Write,
    /// The caller queues, and waits for room.
    Queue,
    /// The caller queues, and is refused where there is no room.
    TryQueue,
}

/// Where this database's changes go.
#[derive(Clone)]
pub(crate) enum Proposals {
    /// Into its own log, as the leader of this term.
    Own { term: u64, node_id: u64 },
    /// To the consensus layer.
    Cluster(Arc<dyn Consensus>),
}

impl Proposals {
    /// Hands a change over.
    pub(crate) fn propose(
        &self,
        committer: &Committer,
        wal: &Wal<Committer>,
        kind: EntryKind,
        payload: SharedBytes,
        change: Change,
        handing: Handing,
    ) -> Result<PendingAppend, AppendError> {
        let completion = Completion::new(&committer.waiters);
        match self {
            Self::Own { term, node_id } => {
                let proposal = Proposal::entry(kind, *term, *node_id, payload);
                let ticket = Ticket::Apply { change, completer: Completer::new(&completion) };
                let handed_over = match handing {
                    Handing::Write => wal.append(proposal, ticket),
                    Handing::Queue => wal.enqueue(proposal, ticket),
                    Handing::TryQueue => wal.try_enqueue(proposal, ticket),
                };
                handed_over.map_err(|refused| match refused.error {
                    WalError::Busy { .. } => AppendError::Busy,
                    error => AppendError::Log(error),
                })?;
            }
            Self::Cluster(consensus) => {
                let waiting = WaitingWriter::new(Completer::in_cluster(&completion));
                let entry = JournalEntry::proposed(kind, payload, change);
                consensus.propose(ProposedEntry { entry, waiting }, handing != Handing::TryQueue)?;
            }
        }
        Ok(PendingAppend { completion })
    }
}

impl fmt::Debug for Proposals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own { term, .. } => write!(f, "Own(term {term})"),
            Self::Cluster(_) => f.write_str("Cluster"),
        }
    }
}
