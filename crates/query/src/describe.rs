//! Which tables there are, for clients that ask without SQL.

use arrow::datatypes::SchemaRef;
use datafusion::catalog::CatalogProviderList;
use tapebook::Db;

use crate::catalog::{CATALOG, OneCatalog};
use crate::{SqlEngine, SqlError};

/// A table that a query can name.
#[derive(Clone, Debug)]
pub struct TableDescription {
    /// Its schema: `public`, or `sys` for what the database says about itself.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: SchemaRef,
}

impl TableDescription {
    /// True for a table of schema `sys`.
    pub fn is_system(&self) -> bool {
        self.schema != crate::SCHEMA
    }
}

impl SqlEngine {
    /// The tables that queries can name, those of schema `sys` only where they are asked for.
    pub async fn tables(&self, db: &Db, system: bool) -> Result<Vec<TableDescription>, SqlError> {
        let list = OneCatalog::new(db, db.snapshot(), self.running(), self.sources());
        let mut found = Vec::new();
        let Some(catalog) = list.catalog(CATALOG) else { return Ok(found) };
        for name in catalog.schema_names() {
            let Some(schema) = catalog.schema(&name).filter(|_| system || name == crate::SCHEMA) else {
                continue;
            };
            for table in schema.table_names() {
                let provider = schema.table(&table).await.map_err(|error| SqlError::planning(&error))?;
                let Some(provider) = provider else { continue };
                let columns = provider.schema();
                found.push(TableDescription { schema: name.clone(), name: table, columns });
            }
        }
        Ok(found)
    }
}
