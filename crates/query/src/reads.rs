//! What a statement reads, for whoever decides whether it may.

use std::collections::BTreeSet;

use datafusion::catalog::TableProvider;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::functions_table::generate_series::GenerateSeriesTable;
use datafusion::logical_expr::{LogicalPlan, TableScan};

use crate::table::SnapshotTable;

/// Something that a statement reads. Names of tables and columns (`information_schema`) and series of numbers are
/// none: they say nothing that was recorded.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reads {
    /// Rows of this table, whatever they were reached by.
    Table(String),
    /// What the database says about itself: this table of schema `sys`.
    System(String),
}

/// All that a plan reads. What is not known is taken for a system table, which fewer may read.
pub(crate) fn of(plan: &LogicalPlan) -> Result<BTreeSet<Reads>> {
    let mut found = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found.extend(of_scan(scan)?);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn of_scan(scan: &TableScan) -> Result<Option<Reads>> {
    let provider = source_as_provider(&scan.source)?;
    let provider: &dyn TableProvider = provider.as_ref();
    if let Some(table) = provider.downcast_ref::<SnapshotTable>() {
        return Ok(Some(Reads::Table(table.name().to_owned())));
    }
    let only_names = scan.table_name.schema() == Some("information_schema");
    // A recursive query scans its own rows.
    if only_names || provider.is::<GenerateSeriesTable>() || provider.is::<CteWorkTable>() {
        return Ok(None);
    }
    Ok(Some(Reads::System(scan.table_name.table().to_owned())))
}
