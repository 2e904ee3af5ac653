//! `as_of('trades', n)`: a table as it was known when the journal had reached sequence `n`.

use std::sync::Arc;

use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use tapebook::Snapshot;

use crate::table::SnapshotTable;

pub(crate) const NAME: &str = "as_of";

/// Looks back from the snapshot that the query's other tables share.
#[derive(Debug)]
struct AsOf {
    snapshot: Snapshot,
}

/// The function for one query.
pub(crate) fn function(snapshot: Snapshot) -> Arc<TableFunction> {
    Arc::new(TableFunction::new(NAME.to_owned(), Arc::new(AsOf { snapshot })))
}

impl TableFunctionImpl for AsOf {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let [Expr::Literal(table, _), Expr::Literal(seq, _)] = args.exprs() else {
            return Err(plan(
                "as_of takes a table's name and a sequence number, as in as_of('trades', 1000)",
            ));
        };
        let (Some(Some(name)), Some(seq)) = (table.try_as_str(), number(seq)) else {
            return Err(plan("as_of takes a table's name in quotes and a sequence number from 0"));
        };
        let snapshot = self.snapshot.as_of(seq).map_err(|error| plan(error.to_string()))?;
        let schema = snapshot.schemas().by_name(name).map(Arc::clone);
        let schema = schema.ok_or_else(|| plan(format!("as_of: table {name:?} is not known")))?;
        Ok(Arc::new(SnapshotTable::new(snapshot, schema)))
    }
}

/// The value of a whole number that is not negative.
fn number(value: &ScalarValue) -> Option<u64> {
    match value.cast_to(&arrow::datatypes::DataType::UInt64) {
        Ok(ScalarValue::UInt64(Some(number))) if value.data_type().is_integer() => Some(number),
        _ => None,
    }
}

fn plan(reason: impl Into<String>) -> DataFusionError {
    DataFusionError::Plan(reason.into())
}
