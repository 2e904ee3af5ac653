//! What every service of one server shares.

use std::sync::Arc;

use tapebook::{Db, Durability};
use tapebook_query::SqlEngine;
use tapebook_vfs::Vfs;
use tokio::runtime::Handle;

use crate::access::{Access, AuditLog, Refusals, TokenStore};
use crate::cluster::Cluster;
use crate::journal::Subscribers;
use crate::metrics::Metrics;
use crate::queries::{self, Following, Nodes, Queries};
use crate::tls::Tls;
use crate::{Gate, Lifecycle, Limits, ServerOptions, StartError};

/// One database and all that its services need beside it. Shared by all of them.
#[derive(Debug)]
pub struct Node {
    /// The database.
    pub db: Arc<Db>,
    /// Plans and runs queries.
    pub sql: SqlEngine,
    /// Who may do what.
    pub access: Arc<Access>,
    /// The access tokens that there are.
    pub tokens: Arc<TokenStore>,
    /// Where administrative actions are written down.
    pub audit: Arc<AuditLog>,
    /// Bounds.
    pub limits: Arc<Limits>,
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
    pub metrics: Arc<Metrics>,
    /// The names besides `localhost` and addresses by which the HTTP port may be called.
    pub http_hosts: Vec<String>,
    /// This node among others; `None` for a database that is served without consensus.
    pub cluster: Option<Arc<Cluster>>,
}

impl Node {
    /// A node on an open database, with the tokens and the audit log that lie beside it. It listens to nobody yet.
    pub fn new(
        db: Arc<Db>,
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
        let subscribers = Arc::new(Subscribers::new(options.limits.subscriptions_max));
        let following = Following { db: Arc::clone(&db), subscribers: Arc::clone(&subscribers) };
        Ok(Self {
            db,
            sql: queries::engine(&options.limits)?.with_source(Arc::new(following)),
            access: Arc::new(access.telling(Arc::new(Refusals::new(vfs, Arc::clone(&audit))))),
            tokens,
            audit,
            limits: Arc::new(options.limits.clone()),
            subscribers,
            durability: options.durability,
            queries: Queries::new(&options.limits, query_runtime.clone(), Arc::clone(&lifecycle)),
            query_runtime,
            lifecycle,
            metrics: Arc::new(Metrics::new()),
            http_hosts: options.http_hosts.clone(),
            cluster: None,
        })
    }

    /// The same, as a node of a cluster.
    #[must_use]
    pub fn in_cluster(self, cluster: Arc<Cluster>) -> Self {
        let sql = self.sql.with_source(Arc::new(Nodes(Arc::clone(&cluster))));
        Self { cluster: Some(cluster), sql, ..self }
    }

    /// What a connection meets before any service.
    pub fn gate(&self) -> Gate {
        Gate {
            access: Arc::clone(&self.access),
            limits: Arc::clone(&self.limits),
            lifecycle: Arc::clone(&self.lifecycle),
            metrics: Arc::clone(&self.metrics),
        }
    }
}
