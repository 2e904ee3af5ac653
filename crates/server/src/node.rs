//! What every service of one server shares.

use std::sync::Arc;

use tapebook::{Db, Durability};
use tapebook_query::SqlEngine;
use tapebook_vfs::Vfs;
use tokio::runtime::Handle;

use crate::access::{Access, AuditLog, Refusals, TokenStore};
use crate::journal::Subscribers;
use crate::metrics::Metrics;
use crate::queries::{self, Queries};
use crate::tls::Tls;
use crate::{Lifecycle, Limits, ServerOptions, StartError};

/// One database and all that its services need beside it. Shared by all of them.
#[derive(Debug)]
pub struct Node {
    /// The database.
    pub db: Arc<Db>,
    /// Plans and runs queries.
    pub sql: SqlEngine,
    /// Who may do what.
    pub access: Access,
    /// The access tokens that there are.
    pub tokens: Arc<TokenStore>,
    /// Where administrative actions are written down.
    pub audit: Arc<AuditLog>,
    /// Bounds.
    pub limits: Limits,
    /// Who follows the journal.
    pub subscribers: Arc<Subscribers>,
    /// When a writer is answered that does not say when.
    pub durability: Durability,
    /// Queries run here, so that they do not hold up what serves the log.
    pub query_runtime: Handle,
    /// How far the server is.
    pub lifecycle: Arc<Lifecycle>,
    /// Runs queries of many callers within bounds.
    pub queries: Queries,
    /// What is counted.
    pub metrics: Metrics,
    /// The names besides `localhost` and addresses by which the HTTP port may be called.
    pub http_hosts: Vec<String>,
}

impl Node {
    /// A node on an open database, with the tokens and the audit log that lie beside it. It listens to nobody yet.
    pub fn new(
        db: Db,
        options: &ServerOptions,
        tls: Option<Arc<Tls>>,
        query_runtime: Handle,
    ) -> Result<Self, StartError> {
        let vfs: Arc<dyn Vfs> = Arc::clone(db.vfs());
        let audit = AuditLog::open(Arc::clone(&vfs), options.audit.clone()).map_err(StartError::Audit)?;
        let audit = Arc::new(audit);
        let tokens = Arc::new(TokenStore::open(Arc::clone(&vfs), db.layout().root())?);
        let access = match options.authenticates() {
            true => Access::required(Arc::clone(&tokens), tls),
            false => Access::open(),
        };
        let lifecycle: Arc<Lifecycle> = Arc::default();
        Ok(Self {
            db: Arc::new(db),
            sql: queries::engine(&options.limits)?,
            access: access.telling(Arc::new(Refusals::new(vfs, Arc::clone(&audit)))),
            tokens,
            audit,
            limits: options.limits.clone(),
            subscribers: Arc::new(Subscribers::new(options.limits.subscriptions_max)),
            durability: options.durability,
            queries: Queries::new(&options.limits, query_runtime.clone(), Arc::clone(&lifecycle)),
            query_runtime,
            lifecycle,
            metrics: Metrics::new(),
            http_hosts: options.http_hosts.clone(),
        })
    }
}
