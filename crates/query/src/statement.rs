//! A statement that was understood and does not run yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::ParamValues;
use datafusion::execution::TaskContext;
use datafusion::execution::context::{SQLOptions, SessionContext, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;
use tapebook::Snapshot;

use crate::memory::QueryPool;
use crate::running::RunningQueries;
use crate::{QueryStream, Reads, SqlError, reads};

/// Parameters that one statement may have.
const PARAMETERS_MAX: usize = 1024;

/// A statement that was understood, over one snapshot. It does not run yet, and holds the snapshot while it lives.
pub struct Statement {
    pub(crate) state: SessionState,
    pub(crate) plan: LogicalPlan,
    pub(crate) snapshot: Snapshot,
    pub(crate) rest: Rest,
}

/// What goes on from the statement to the query.
pub(crate) struct Rest {
    pub(crate) sql: Arc<str>,
    pub(crate) pool: Arc<QueryPool>,
    pub(crate) running: Arc<RunningQueries>,
}

/// A query that is planned to its last operator, over one snapshot, and not begun.
pub struct PlannedQuery {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    snapshot: Snapshot,
    rest: Rest,
}

impl Statement {
    /// Itself, where it writes, defines and configures nothing.
    pub(crate) fn only_reading(self) -> Result<Self, SqlError> {
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        match options.verify_plan(&self.plan).map_err(|error| SqlError::planning(&error)) {
            Ok(()) => Ok(self),
            Err(SqlError::Plan(reason)) => Err(SqlError::NotReadOnly(reason)),
            Err(other) => Err(other),
        }
    }

    /// Starts it, where it only reads and has no parameters.
    pub(crate) async fn start(self) -> Result<QueryStream, SqlError> {
        self.only_reading()?.plan(None).await?.run()
    }

    /// What it reads, wherever in the statement.
    pub fn reads(&self) -> Result<BTreeSet<Reads>, SqlError> {
        reads::of(&self.plan).map_err(|error| SqlError::planning(&error))
    }

    /// The columns of its result, as far as they are known before it has its parameters.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }

    /// Its parameters, in order, named `$1`, `$2`, …; a text where nothing says which type.
    pub fn parameters(&self) -> Result<Schema, SqlError> {
        let known = self.plan.get_parameter_fields().map_err(|error| SqlError::planning(&error))?;
        let mut fields = vec![None; known.len()];
        for (name, field) in known {
            let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
            let place = number.and_then(|number| number.checked_sub(1)).filter(|place| *place < fields.len());
            let place = place.ok_or_else(|| {
                SqlError::Plan(format!("parameter {name}: parameters are numbered from $1 on, without a gap"))
            })?;
            let data_type = field.map_or(DataType::Utf8, |field| field.data_type().clone());
            fields[place] = Some(Field::new(name, data_type, true));
        }
        if fields.len() > PARAMETERS_MAX {
            return Err(SqlError::Plan(format!(
                "the statement has {} parameters, {PARAMETERS_MAX} are possible",
                fields.len()
            )));
        }
        Ok(Schema::new(fields.into_iter().flatten().collect::<Vec<_>>()))
    }

    /// Plans it. `parameters` is one row, a column for each parameter; none where it has none.
    ///
    /// Must be called inside a Tokio runtime; better not the one that serves the log.
    pub async fn plan(self, parameters: Option<&RecordBatch>) -> Result<PlannedQuery, SqlError> {
        let values = values(parameters)?;
        let wanted = self.parameters()?.fields().len();
        if values.len() != wanted {
            return Err(SqlError::Plan(format!(
                "the statement has {wanted} parameters, {} were given",
                values.len()
            )));
        }
        let failed = |error| SqlError::planning(&error);
        let plan = match wanted {
            0 => self.plan,
            _ => self.plan.with_param_values(ParamValues::from(values)).map_err(failed)?,
        };
        let context = SessionContext::new_with_state(self.state);
        let frame = context.execute_logical_plan(plan).await.map_err(failed)?;
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await.map_err(failed)?;
        Ok(PlannedQuery { plan, context, snapshot: self.snapshot, rest: self.rest })
    }
}

impl PlannedQuery {
    /// The columns of the result, exactly as they come.
    pub fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    /// Begins it. Its rows come through the stream.
    ///
    /// Must be called inside a Tokio runtime; better not the one that serves the log.
    pub fn run(self) -> Result<QueryStream, SqlError> {
        let stream = datafusion::physical_plan::execute_stream(self.plan, self.context)
            .map_err(|error| SqlError::running(&error))?;
        Ok(QueryStream::new(stream, self.snapshot))
    }

    /// As [`PlannedQuery::run`]; `sys.queries` shows it as long as it runs. `started_at` is in nanoseconds since the
    /// epoch.
    pub fn run_listed(self, caller: &str, started_at: i64) -> Result<QueryStream, SqlError> {
        let Rest { sql, pool, running } = &self.rest;
        let listed = running.add(caller, sql, started_at, Arc::clone(pool));
        Ok(self.run()?.listed(listed))
    }
}

/// The values of the one row of parameters.
fn values(parameters: Option<&RecordBatch>) -> Result<Vec<ScalarValue>, SqlError> {
    let Some(parameters) = parameters else { return Ok(Vec::new()) };
    if parameters.num_rows() != 1 {
        return Err(SqlError::Plan(format!(
            "a statement takes one row of parameters, {} were given",
            parameters.num_rows()
        )));
    }
    let value = |column: &ArrayRef| {
        ScalarValue::try_from_array(column, 0).map_err(|error| SqlError::planning(&error))
    };
    parameters.columns().iter().map(value).collect()
}

impl std::fmt::Debug for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statement").field("sql", &self.rest.sql).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for PlannedQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlannedQuery").field("sql", &self.rest.sql).finish_non_exhaustive()
    }
}
