//! One table of one snapshot, as DataFusion sees it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use tapebook::{Snapshot, TableSchema};
use tapebook_record::projection::arrow_schema;

use crate::constraints::Constraints;
use crate::partitions::partition;
use crate::scan::SnapshotScan;

#[derive(Debug)]
pub(crate) struct SnapshotTable {
    snapshot: Snapshot,
    schema: Arc<TableSchema>,
    arrow_schema: SchemaRef,
}

impl SnapshotTable {
    pub(crate) fn new(snapshot: Snapshot, schema: Arc<TableSchema>) -> Self {
        let arrow_schema = arrow_schema(&schema);
        Self { snapshot, schema, arrow_schema }
    }

    pub(crate) fn name(&self) -> &str {
        &self.schema.name
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.arrow_schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // What is understood is applied row by row, so nobody needs to look again and LIMIT can be pushed down.
        let pushdown = |filter: &&Expr| match Constraints::of(filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(pushdown).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let constraints =
            filters.iter().filter_map(Constraints::of).fold(Constraints::NONE, Constraints::and);
        let columns = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.arrow_schema.fields().len()).collect(),
        };
        let partitions =
            partition(&self.snapshot, self.schema.id, &constraints, state.config().target_partitions());
        let scan = SnapshotScan::new(
            self.snapshot.clone(),
            Arc::clone(&self.schema),
            Arc::new(self.arrow_schema.project(&columns)?),
            columns,
            constraints,
            partitions,
        )?;
        Ok(Arc::new(scan))
    }
}
