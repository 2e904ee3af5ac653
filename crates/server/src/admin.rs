//! The service `Admin`: what an administrator does, with a line in the audit log before and after.
//!
//! Each action runs to its end, and gets its second line, whether or not the client waits for it. Where the audit log
//! cannot be written nothing is done.

use std::path::Path;
use std::sync::Arc;

use tapebook::{AppendError, BackupError, CheckpointError, CompactionError, CompactionGoal, FlushError};
use tapebook_proto::v1;
use tapebook_proto::v1::admin_server::{Admin, AdminServer};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::Node;
use crate::access::{Caller, Grant, Right, Role, TokenError};

/// Actions at one time; more are refused.
const ACTIONS_MAX: usize = 4;

/// The service for a node.
pub fn service(node: Arc<Node>) -> AdminServer<impl Admin> {
    let bytes_max = node.limits.message_bytes_max;
    let service = AdminService { node, running: Arc::new(Semaphore::new(ACTIONS_MAX)) };
    AdminServer::new(service).max_decoding_message_size(bytes_max)
}

#[derive(Debug)]
struct AdminService {
    node: Arc<Node>,
    running: Arc<Semaphore>,
}

impl AdminService {
    /// Does something in a thread of its own, between its two lines in the audit log.
    async fn act<T, E>(
        &self,
        caller: Caller,
        action: &'static str,
        detail: String,
        act: impl FnOnce(&Node) -> Result<T, E> + Send + 'static,
    ) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
        E: std::fmt::Display + Into<Failure> + Send + 'static,
    {
        let Ok(running) = Arc::clone(&self.running).try_acquire_owned() else {
            return Err(Status::resource_exhausted(format!(
                "{ACTIONS_MAX} administrative actions are running already; try again when one has ended"
            )));
        };
        let node = Arc::clone(&self.node);
        let acted = tokio::task::spawn_blocking(move || {
            let acted = node.audit.around(&caller, action, &detail, || act(&node));
            drop((node, running));
            acted
        });
        match acted.await {
            Ok(Ok(Ok(done))) => Ok(Response::new(done)),
            Ok(Ok(Err(error))) => {
                let Failure(status) = error.into();
                Err(status)
            }
            Ok(Err(unwritten)) => Err(Status::unavailable(unwritten.to_string())),
            Err(_) => {
                Err(Status::internal(format!("a panic ended the action {action}; the server's log has it")))
            }
        }
    }

    fn administrator<R>(&self, request: &Request<R>) -> Result<Caller, Status> {
        let caller = request.extensions().get::<Caller>();
        let caller = caller.ok_or_else(|| Status::unauthenticated("it is not known who makes this call"))?;
        let authorized = self.node.access.authorize(caller, Right::Admin, None);
        authorized.map_err(|denied| Status::permission_denied(denied.to_string()))?;
        Ok(caller.clone())
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn flush(&self, request: Request<v1::FlushRequest>) -> Result<Response<v1::FlushResponse>, Status> {
        let caller = self.administrator(&request)?;
        self.act(caller, "flush", String::new(), |node| node.db.flush().map(|()| v1::FlushResponse {})).await
    }

    async fn compact(
        &self,
        request: Request<v1::CompactRequest>,
    ) -> Result<Response<v1::CompactResponse>, Status> {
        let caller = self.administrator(&request)?;
        let to_history = request.get_ref().to_history;
        let detail = if to_history { "to history" } else { "" };
        self.act(caller, "compact", detail.to_owned(), move |node| {
            node.db.flush()?;
            let goal = if to_history { CompactionGoal::History } else { CompactionGoal::Settled };
            let steps = node.db.compact(goal)?;
            Ok::<_, Failure>(v1::CompactResponse { steps })
        })
        .await
    }

    async fn checkpoint(
        &self,
        request: Request<v1::CheckpointRequest>,
    ) -> Result<Response<v1::CheckpointResponse>, Status> {
        let caller = self.administrator(&request)?;
        let directory = place(&request.get_ref().directory)?;
        self.act(caller, "checkpoint", format!("to {directory}"), move |node| {
            let report = node.db.checkpoint(&directory)?;
            Ok::<_, CheckpointError>(v1::CheckpointResponse { last_seq: report.last_seq })
        })
        .await
    }

    async fn backup(
        &self,
        request: Request<v1::BackupRequest>,
    ) -> Result<Response<v1::BackupResponse>, Status> {
        let caller = self.administrator(&request)?;
        let target = match tapebook_objects::is_url(&request.get_ref().target) {
            true => request.get_ref().target.clone(),
            false => place(&request.get_ref().target)?,
        };
        self.act(caller, "backup", format!("to {target}"), move |node| {
            let opened = tapebook_objects::open_target(Arc::clone(node.db.vfs()), Path::new(&target));
            let report = node.db.backup(&*opened.map_err(BackupFailure::Target)?)?;
            let (number, last_seq) = (report.number, report.last_seq);
            Ok::<_, BackupFailure>(v1::BackupResponse { number, last_seq })
        })
        .await
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let caller = self.administrator(&request)?;
        let v1::CreateTokenRequest { name, grant, expires_at } = request.get_ref().clone();
        let grant = grant_of(grant)?;
        let expires_at = Some(expires_at).filter(|at| *at != 0);
        self.act(caller, "create_token", format!("{name}: {grant}"), move |node| {
            let text = node.tokens.create(&name, grant, expires_at)?;
            Ok::<_, TokenError>(v1::CreateTokenResponse { token: text.reveal().to_owned() })
        })
        .await
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let caller = self.administrator(&request)?;
        self.act(caller, "list_tokens", String::new(), |node| {
            let tokens = node.tokens.list().into_iter().map(|token| v1::Token {
                name: token.name.to_string(),
                grant: Some(v1::Grant {
                    role: v1::Role::from(token.grant.role).into(),
                    tables: token.grant.tables.iter().flatten().cloned().collect(),
                }),
                created_at: token.created_at,
                expires_at: token.expires_at.unwrap_or(0),
            });
            Ok::<_, TokenError>(v1::ListTokensResponse { tokens: tokens.collect() })
        })
        .await
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let caller = self.administrator(&request)?;
        let name = request.get_ref().name.clone();
        self.act(caller, "revoke_token", name.clone(), move |node| {
            node.tokens.revoke(&name).map(|()| v1::RevokeTokenResponse {})
        })
        .await
    }

    async fn expire_producer(
        &self,
        request: Request<v1::ExpireProducerRequest>,
    ) -> Result<Response<v1::ExpireProducerResponse>, Status> {
        let caller = self.administrator(&request)?;
        let id = request.get_ref().producer_id;
        self.act(caller, "expire_producer", id.to_string(), move |node| {
            node.db.expire_producer(id)?.wait()?;
            Ok::<_, AppendError>(v1::ExpireProducerResponse {})
        })
        .await
    }
}

/// A place on the server. It does not begin where the server happened to be started.
fn place(path: &str) -> Result<String, Status> {
    if Path::new(path).is_absolute() {
        return Ok(path.to_owned());
    }
    Err(Status::invalid_argument(format!("{path:?}: not an absolute path; it is a place on the server")))
}

fn grant_of(grant: Option<v1::Grant>) -> Result<Grant, Status> {
    let v1::Grant { role, tables } = grant.unwrap_or_default();
    let role = match v1::Role::try_from(role) {
        Ok(v1::Role::Read) => Role::Read,
        Ok(v1::Role::Write) => Role::Write,
        Ok(v1::Role::Admin) => Role::Admin,
        // A node is known by its certificate.
        _ => return Err(Status::invalid_argument("a token has the role read, write or admin")),
    };
    Grant::new(role, tables).map_err(|error| Status::invalid_argument(error.to_string()))
}

impl From<Role> for v1::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Node => Self::Node,
            Role::Read => Self::Read,
            Role::Write => Self::Write,
            Role::Admin => Self::Admin,
        }
    }
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
enum BackupFailure {
    #[error(transparent)]
    Target(tapebook_objects::TargetError),
    #[error(transparent)]
    Backup(#[from] BackupError),
}

/// What the client is told of an action that failed.
struct Failure(Status);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.message())
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        let message = error.to_string();
        Self(match error {
            TokenError::Exists { .. } => Status::already_exists(message),
            TokenError::Unknown { .. } => Status::not_found(message),
            TokenError::Name(_) | TokenError::Expired => Status::invalid_argument(message),
            TokenError::TooMany => Status::resource_exhausted(message),
            TokenError::File(_) => Status::unavailable(message),
        })
    }
}

/// Errors of the disk, or of what was asked for in the face of it: nothing that sending again at once would heal.
macro_rules! failed_precondition {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self(Status::failed_precondition(error.to_string()))
            }
        })+
    };
}

failed_precondition!(FlushError, CompactionError, CheckpointError, BackupFailure, AppendError);
