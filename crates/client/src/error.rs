//! Why a call did not succeed.

use tapebook_proto::v1::{Refusal, RefusalReason};
use tonic::{Code, Status};

use crate::{AddressError, TlsError};

/// Why a call did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The addresses cannot be understood.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No server could be reached in the time that there was.
    #[error("no server could be reached: {last}")]
    Unreachable {
        /// What the last attempt said.
        last: String,
    },
    /// The server refused, and says why.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The connection broke, or what came was not what the protocol says.
    #[error("the call failed: {0}")]
    Failed(String),
}

/// What a server refused, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// Why.
    pub reason: RefusalReason,
    /// One line for people.
    pub message: String,
    /// The number that the reason promises, such as the first sequence that is kept.
    pub value: u64,
    /// Where the node that leads is, `HOST:PORT`, where the server does not lead and knows who does.
    pub leader: Option<String>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let reason = refusal.reason();
        let leader = Some(refusal.leader).filter(|leader| !leader.is_empty());
        Self { reason, message: refusal.message, value: refusal.value, leader }
    }
}

impl ClientError {
    /// What the status of a call says.
    pub(crate) fn of_status(status: &Status) -> Self {
        match (Refusal::of_status(status), status.code()) {
            (Some(refusal), _) => Self::Refused(refusal.into()),
            (None, Code::PermissionDenied | Code::Unauthenticated) => Self::Refused(Refused {
                reason: RefusalReason::Forbidden,
                message: status.message().to_owned(),
                value: 0,
                leader: None,
            }),
            (None, code) => Self::Failed(format!("{code}: {}", status.message())),
        }
    }

    /// True where another attempt, perhaps with another server, may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Failed(_) => true,
            Self::Refused(refused) if refused.reason == RefusalReason::UnknownOutcome => true,
            _ => self.may_pass_undone(),
        }
    }

    /// The same, and what was asked for was not done: no attempt does it twice.
    pub(crate) fn may_pass_undone(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refused) => matches!(
                refused.reason,
                RefusalReason::Busy
                    | RefusalReason::Closing
                    | RefusalReason::NotLeader
                    | RefusalReason::Stale
            ),
            Self::Address(_) | Self::Tls(_) | Self::Failed(_) => false,
        }
    }

    /// Where the node is that leads, by what the server says.
    pub(crate) fn leader(&self) -> Option<&str> {
        match self {
            Self::Refused(refused) => refused.leader.as_deref(),
            _ => None,
        }
    }
}
