//! Plans and runs queries.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use arrow::record_batch::RecordBatch;
use datafusion::config::Dialect;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use tapebook::Db;

use crate::catalog::{CATALOG, OneCatalog, SCHEMA};
use crate::memory::QueryPool;
use crate::running::RunningQueries;
use crate::settings::Settings;
use crate::statement::Rest;
use crate::{QueryStream, SqlError, Statement, SystemSource, as_of, placeholders};

/// How queries run.
#[derive(Clone, Debug)]
pub struct SqlOptions {
    /// Threads that one query uses at most. Default: one per processor.
    pub partitions: usize,
    /// Memory that all running queries share, as far as operators account for it. Default 4 GiB.
    pub memory_bytes_max: usize,
    /// Memory of one query. Default: what all share.
    pub query_memory_bytes_max: usize,
    /// Bytes that operators which run out of memory may write to temporary files; 0: they fail. Default 100 GiB.
    pub spill_bytes_max: u64,
    /// Rows in one Arrow batch. Default 8,192.
    pub batch_rows: usize,
}

impl Default for SqlOptions {
    fn default() -> Self {
        Self {
            partitions: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes_max: 4 << 30,
            query_memory_bytes_max: 4 << 30,
            spill_bytes_max: 100 << 30,
            batch_rows: 8192,
        }
    }
}

/// Plans and runs queries; one for a process, used by all threads. It belongs to no database.
#[derive(Clone)]
pub struct SqlEngine {
    template: Arc<SessionState>,
    query_memory_bytes_max: usize,
    running: Arc<RunningQueries>,
    sources: Arc<[Arc<dyn SystemSource>]>,
}

impl SqlEngine {
    /// An engine with its functions and bounds.
    pub fn new(options: &SqlOptions) -> Result<Self, SqlError> {
        let mut config = SessionConfig::new()
            .with_target_partitions(options.partitions.max(1))
            .with_batch_size(options.batch_rows.max(1))
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(true);
        // Sources are sorted by (symbol, ts, seq): merging them beats repartitioning and sorting again.
        config.options_mut().optimizer.prefer_existing_sort = true;
        config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
        let spilling = match options.spill_bytes_max {
            0 => DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
            bytes => DiskManagerBuilder::default().with_max_temp_directory_size(bytes),
        };
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(options.memory_bytes_max, 1.0)
            .with_disk_manager_builder(spilling)
            .build_arc()
            .map_err(|error| SqlError::planning(&error))?;
        let template = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .build();
        Ok(Self {
            template: Arc::new(template),
            query_memory_bytes_max: options.query_memory_bytes_max,
            running: Arc::default(),
            sources: Arc::default(),
        })
    }

    /// The same engine, with another table in schema `sys`.
    #[must_use]
    pub fn with_source(self, source: Arc<dyn SystemSource>) -> Self {
        let sources = self.sources.iter().cloned().chain([source]).collect();
        Self { sources, ..self }
    }

    /// Plans a query over one snapshot and starts it. Its rows come through the stream.
    ///
    /// Must be called inside a Tokio runtime; better not the one that serves the log.
    pub async fn query(&self, db: &Db, sql: &str) -> Result<QueryStream, SqlError> {
        self.understand(db, sql, Settings::default()).await?.start().await
    }

    /// Understands a statement that only reads, over everything that is durable now, or as it was known when the journal had
    /// reached `as_of_seq`. Its parameters are `$1`, `$2`, … or `?`.
    pub async fn prepare(&self, db: &Db, sql: &str, as_of_seq: Option<u64>) -> Result<Statement, SqlError> {
        let settings = Settings { as_of_seq: as_of_seq.unwrap_or_default() };
        self.understand(db, sql, settings).await?.only_reading()
    }

    /// Understands a statement over one snapshot, by the settings of a session.
    pub(crate) async fn understand(
        &self,
        db: &Db,
        sql: &str,
        settings: Settings,
    ) -> Result<Statement, SqlError> {
        // The one snapshot of this query, for its tables and for those that look back.
        let newest = db.snapshot();
        let shared = self.template.runtime_env();
        let pool = Arc::new(QueryPool::new(Arc::clone(&shared.memory_pool), self.query_memory_bytes_max));
        let runtime = RuntimeEnvBuilder::from_runtime_env(shared)
            .with_memory_pool(Arc::clone(&pool) as _)
            .build_arc()
            .map_err(|error| SqlError::planning(&error))?;
        let running = Arc::clone(&self.running);
        let catalog =
            OneCatalog::new(db, settings.view(&newest)?, Arc::clone(&running), Arc::clone(&self.sources));
        let mut state = SessionStateBuilder::new_from_existing(SessionState::clone(&self.template))
            .with_runtime_env(runtime)
            .with_catalog_list(Arc::new(catalog));
        let functions = state.table_functions().get_or_insert_default();
        functions.insert(as_of::NAME.to_owned(), as_of::function(newest.clone()));
        let config = state.config().get_or_insert_default();
        config.options_mut().extensions.insert(settings);
        let state = state.build();
        let plan = state.create_logical_plan(&placeholders::numbered(sql)).await;
        let plan = plan.map_err(|error| SqlError::planning(&error))?;
        Ok(Statement { state, plan, snapshot: newest, rest: Rest { sql: sql.into(), pool, running } })
    }

    pub(crate) fn sources(&self) -> Arc<[Arc<dyn SystemSource>]> {
        Arc::clone(&self.sources)
    }

    pub(crate) fn running(&self) -> Arc<RunningQueries> {
        Arc::clone(&self.running)
    }
}

impl std::fmt::Debug for SqlEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlEngine").finish_non_exhaustive()
    }
}

/// SQL on a database.
///
/// ```no_run
/// use tapebook::Db;
/// use tapebook_query::DbSql;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let db = Db::open("data")?;
/// let frames = db.sql("SELECT symbol, count(*) FROM trades GROUP BY symbol").await?;
/// # Ok(())
/// # }
/// ```
pub trait DbSql {
    /// Runs a query over everything that is durable now and collects its rows.
    fn sql(&self, sql: &str) -> impl Future<Output = Result<Vec<RecordBatch>, SqlError>> + Send;
}

impl DbSql for Db {
    async fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>, SqlError> {
        static ENGINE: OnceLock<SqlEngine> = OnceLock::new();
        let engine = match ENGINE.get() {
            Some(engine) => engine,
            None => {
                let engine = SqlEngine::new(&SqlOptions::default())?;
                ENGINE.get_or_init(|| engine)
            }
        };
        engine.query(self, sql).await?.collect().await
    }
}
