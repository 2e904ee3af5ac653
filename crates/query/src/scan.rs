//! The leaf of every plan: rows of a snapshot, read in place and projected into Arrow columns.

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use tapebook::{Direction, RawRecord, ReadRecord, Snapshot, TableSchema};
use tapebook_history::{HistoryFile, Selection};
use tapebook_record::projection::Projection;
use tokio::sync::mpsc::Sender;

use crate::constraints::Constraints;
use crate::partitions::Partition;

/// Batches that may wait for a slow consumer, for each partition.
const BATCHES_AHEAD_MAX: usize = 2;

/// Reads the series of a table, ordered by `(symbol, ts, seq)` in each partition.
#[derive(Debug)]
pub(crate) struct SnapshotScan {
    snapshot: Snapshot,
    schema: Arc<TableSchema>,
    projected: SchemaRef,
    columns: Vec<usize>,
    constraints: Constraints,
    partitions: Vec<Partition>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SnapshotScan {
    pub(crate) fn new(
        snapshot: Snapshot,
        schema: Arc<TableSchema>,
        projected: SchemaRef,
        columns: Vec<usize>,
        constraints: Constraints,
        partitions: Vec<Partition>,
    ) -> Result<Self> {
        let equivalences =
            EquivalenceProperties::new_with_orderings(Arc::clone(&projected), ordering(&projected));
        let properties = PlanProperties::new(
            equivalences,
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self {
            snapshot,
            schema,
            projected,
            columns,
            constraints,
            partitions,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

/// The longest prefix of `(symbol, ts, seq)` that was not projected away.
fn ordering(projected: &SchemaRef) -> Option<LexOrdering> {
    let options = SortOptions { descending: false, nulls_first: false };
    let keys = ["symbol", "ts", "seq"].iter().map_while(|name| {
        let column = Column::new_with_schema(name, projected).ok()?;
        Some(PhysicalSortExpr::new(Arc::new(column), options))
    });
    LexOrdering::new(keys)
}

impl DisplayAs for SnapshotScan {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbols: usize = self.partitions.iter().map(|partition| partition.len()).sum();
        write!(f, "SnapshotScan: table={}, symbols={symbols}", self.schema.name)?;
        write!(f, ", partitions={}, seq<={}", self.partitions.len(), self.snapshot.visible_seq())?;
        if self.constraints.times != tapebook::TimeRange::ALL {
            write!(f, ", ts=[{}, {}]", self.constraints.times.first, self.constraints.times.last)?;
        }
        if self.constraints.seqs != (0, u64::MAX) {
            write!(f, ", seq=[{}, {}]", self.constraints.seqs.0, self.constraints.seqs.1)?;
        }
        let names: Vec<&str> = self.projected.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, ", columns=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for SnapshotScan {
    fn name(&self) -> &str {
        "SnapshotScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(symbols) = self.partitions.get(partition) else {
            return Err(DataFusionError::Internal(format!("partition {partition} does not exist")));
        };
        let mut builder =
            RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.projected), BATCHES_AHEAD_MAX);
        let reader = Reader {
            snapshot: self.snapshot.clone(),
            schema: Arc::clone(&self.schema),
            columns: self.columns.clone(),
            constraints: self.constraints.clone(),
            symbols: Arc::clone(symbols),
            batch_rows: context.session_config().batch_size(),
            output_rows: MetricBuilder::new(&self.metrics).counter("output_rows", partition),
            sender: builder.tx(),
        };
        builder.spawn_blocking(move || reader.run());
        Ok(builder.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Reads one partition in a thread of its own: rows are borrowed from the snapshot, which lives as long as it does.
struct Reader {
    snapshot: Snapshot,
    schema: Arc<TableSchema>,
    columns: Vec<usize>,
    constraints: Constraints,
    symbols: Partition,
    batch_rows: usize,
    output_rows: Count,
    sender: Sender<Result<RecordBatch>>,
}

/// Rows that are gathered before their columns are written one after another.
const RUN_ROWS: usize = 1024;

impl Reader {
    fn run(self) -> Result<()> {
        let (seq_first, seq_last) = self.constraints.seqs;
        if self.constraints.times.is_empty() || seq_first > seq_last {
            return Ok(());
        }
        let mut projection = Projection::new(&self.schema, &self.columns);
        let mut run: Vec<ReadRecord<'_>> = Vec::with_capacity(RUN_ROWS);
        let mut rows = 0;
        for symbol in &*self.symbols {
            let (history, rest) =
                self.snapshot.leading_history(self.schema.id, symbol, self.constraints.times);
            if !history.is_empty() {
                append(&mut projection, &mut run, &mut rows);
                let waiting = if rows > 0 { Some(projection.finish()) } else { None };
                rows = 0;
                if waiting.is_some_and(|batch| !self.send(batch)) || !self.send_history(&history, symbol)? {
                    return Ok(());
                }
            }
            let scan = self
                .snapshot
                .scan_series(self.schema.id, symbol, rest, Direction::Forward)
                .map_err(external)?;
            for record in scan {
                let record = record.map_err(external)?;
                if record.seq() < seq_first || record.seq() > seq_last {
                    continue;
                }
                run.push(record);
                if run.len() == RUN_ROWS || rows + run.len() == self.batch_rows {
                    append(&mut projection, &mut run, &mut rows);
                    if rows == self.batch_rows {
                        rows = 0;
                        if !self.send(projection.finish()) {
                            return Ok(());
                        }
                    }
                }
            }
        }
        append(&mut projection, &mut run, &mut rows);
        if rows > 0 {
            self.send(projection.finish());
        }
        Ok(())
    }

    /// Hands on the columns of history files as they are; false where nobody wants more.
    fn send_history(&self, files: &[&HistoryFile], symbol: &str) -> Result<bool> {
        let (times, seqs) = (self.constraints.times, self.constraints.seqs);
        let selection = Selection {
            symbols: Some(vec![symbol.to_owned()]),
            times: times.first..=times.last,
            seqs: seqs.0..=seqs.1,
        };
        for file in files {
            let batches = file.batches(&self.columns, &selection, self.batch_rows).map_err(external)?;
            for batch in batches {
                self.snapshot.check_held().map_err(external)?;
                if !self.send(batch.map_err(external)?) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Hands a batch on; false where nobody wants more.
    fn send(&self, batch: RecordBatch) -> bool {
        self.output_rows.add(batch.num_rows());
        self.sender.blocking_send(Ok(batch)).is_ok()
    }
}

fn append(projection: &mut Projection, run: &mut Vec<ReadRecord<'_>>, rows: &mut usize) {
    let records: Vec<RawRecord<'_>> = run.iter().map(ReadRecord::raw).collect();
    projection.append(&records);
    *rows += records.len();
    drop(records);
    run.clear();
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
