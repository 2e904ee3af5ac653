//! The names that a query can use: the tables of one snapshot, and the system tables.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use tapebook::{Db, DbStats, Snapshot, SystemView};

use crate::running::RunningQueries;
use crate::table::SnapshotTable;
use crate::{SystemSource, system_tables};

/// The one catalog.
pub const CATALOG: &str = "tapebook";
/// The schema that names without one belong to.
pub const SCHEMA: &str = "public";
const SYSTEM_SCHEMA: &str = "sys";

/// The one catalog, bound to the snapshot of one query.
#[derive(Debug)]
pub(crate) struct OneCatalog {
    catalog: Arc<QueryCatalog>,
}

#[derive(Debug)]
struct QueryCatalog {
    tables: Arc<SnapshotSchema>,
    system: Arc<SystemSchema>,
}

/// Schema `public`: standard tables and the user's own.
#[derive(Debug)]
struct SnapshotSchema {
    snapshot: Snapshot,
}

/// Schema `sys`.
#[derive(Debug)]
struct SystemSchema {
    snapshot: Snapshot,
    stats: DbStats,
    view: SystemView,
    running: Arc<RunningQueries>,
    sources: Arc<[Arc<dyn SystemSource>]>,
}

impl SystemSchema {
    fn source(&self, name: &str) -> Option<&Arc<dyn SystemSource>> {
        self.sources.iter().find(|source| source.name() == name)
    }
}

impl OneCatalog {
    /// The tables of the snapshot that a query reads, and of what the database says about itself.
    pub(crate) fn new(
        db: &Db,
        snapshot: Snapshot,
        running: Arc<RunningQueries>,
        sources: Arc<[Arc<dyn SystemSource>]>,
    ) -> Self {
        let tables = Arc::new(SnapshotSchema { snapshot: snapshot.clone() });
        let (stats, view) = (db.stats(), db.system_view());
        let system = Arc::new(SystemSchema { snapshot, stats, view, running, sources });
        Self { catalog: Arc::new(QueryCatalog { tables, system }) }
    }
}

impl CatalogProviderList for OneCatalog {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::clone(&self.catalog) as _)
    }
}

impl CatalogProvider for QueryCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned(), SYSTEM_SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            SCHEMA => Some(Arc::clone(&self.tables) as _),
            SYSTEM_SCHEMA => Some(Arc::clone(&self.system) as _),
            _ => None,
        }
    }
}

#[async_trait]
impl SchemaProvider for SnapshotSchema {
    fn table_names(&self) -> Vec<String> {
        self.snapshot.schemas().iter().map(|table| table.name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let schema = self.snapshot.schemas().by_name(name);
        Ok(schema.map(|schema| Arc::new(SnapshotTable::new(self.snapshot.clone(), Arc::clone(schema))) as _))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.snapshot.schemas().by_name(name).is_some()
    }
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        let own = system_tables::NAMES.iter().copied();
        own.chain(self.sources.iter().map(|source| source.name())).map(str::to_owned).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(source) = self.source(name) {
            let rows = source.rows().await.map_err(DataFusionError::Execution)?;
            return Ok(Some(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?)));
        }
        system_tables::table(name, &self.snapshot, &self.stats, &self.view, &self.running)
    }

    fn table_exist(&self, name: &str) -> bool {
        system_tables::NAMES.contains(&name) || self.source(name).is_some()
    }
}
