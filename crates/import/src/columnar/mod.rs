//! Columns of Arrow: those of Parquet files, and those that come as they are.

mod column;

use std::fmt::Display;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use arrow::datatypes::Fields;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tapebook_record::Level;

use crate::cell::{Cell, Cells};
use crate::error::ImportError;
use crate::import::Import;
use crate::plan::{self, Plan};
use crate::rows::RowPlan;
use column::ColumnValues;

/// Rows that are decoded at a time. Row groups are never held as a whole.
const ROWS_DECODED: usize = 4096;

/// Decoded rows, of which one is looked at.
struct Rows {
    /// By position in the file; what is not needed is not decoded.
    columns: Vec<ColumnValues>,
    row: usize,
}

impl Cells for Rows {
    #[inline]
    fn cell(&self, column: usize) -> Cell<'_> {
        self.columns[column].cell(self.row)
    }

    fn levels(&self, column: usize, out: &mut Vec<Level>) -> Option<bool> {
        self.columns[column].levels(self.row, out)
    }
}

/// Columns of Arrow on their way into rows of a table.
pub(crate) struct ColumnarRows<'a> {
    rows: RowPlan<'a>,
    cells: Rows,
    /// The columns that are needed, in order.
    positions: Vec<usize>,
    row: u64,
}

impl<'a> ColumnarRows<'a> {
    /// Makes the plan for columns of these names and types.
    pub(crate) fn begin(import: &mut Import<'a>, fields: &Fields) -> Result<Self, ImportError> {
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let request = plan::Request {
            file: &import.file,
            schema: import.schema,
            options: import.options,
            names: &names,
        };
        let plan = plan::make(&request)?;
        let used = used_columns(&plan);
        for (column, name) in &used {
            let kind = fields[*column].data_type();
            if !column::is_readable(kind) {
                return Err(ImportError::BadSource {
                    file: import.file.clone(),
                    column: name.clone(),
                    reason: format!("{} holds {kind}, which cannot be read", names[*column]),
                });
            }
        }
        let rows = RowPlan::new(import.schema, &plan, import.options, import.day()?);
        import.planned(plan);
        let mut positions: Vec<usize> = used.iter().map(|(column, _)| *column).collect();
        positions.sort_unstable();
        positions.dedup();
        let cells = Rows { columns: vec![ColumnValues::Nothing; names.len()], row: 0 };
        Ok(Self { rows, cells, positions, row: 0 })
    }

    /// Imports the rows of a batch that has the needed columns, and no other.
    fn take(&mut self, import: &mut Import<'_>, needed: &RecordBatch) -> Result<(), ImportError> {
        decoding(import, self.row, || self.cells.take(needed, &self.positions))?;
        for at in 0..needed.num_rows() {
            self.cells.row = at;
            self.row += 1;
            import.row(&mut self.rows, &self.cells, self.row)?;
        }
        Ok(())
    }

    /// Imports the rows of a batch that has all columns.
    pub(crate) fn take_whole(
        &mut self,
        import: &mut Import<'_>,
        batch: &RecordBatch,
    ) -> Result<(), ImportError> {
        let needed = decoding(import, self.row, || batch.project(&self.positions))?;
        self.take(import, &needed)
    }

    /// Rows that were taken.
    pub(crate) fn row(&self) -> u64 {
        self.row
    }
}

/// Imports a Parquet file.
pub(crate) fn read(import: &mut Import<'_>, file: File) -> Result<(), ImportError> {
    let builder = decoding(import, 0, || ParquetRecordBatchReaderBuilder::try_new(file))?;
    let fields = builder.schema().fields().clone();
    let mut rows = ColumnarRows::begin(import, &fields)?;
    if import.is_plan_only() {
        return Ok(());
    }
    let row_total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let mask = ProjectionMask::roots(builder.parquet_schema(), rows.positions.iter().copied());
    let builder = builder.with_projection(mask).with_batch_size(ROWS_DECODED);
    let mut reader = decoding(import, 0, || builder.build())?;
    while let Some(decoded) = decoding(import, rows.row, || reader.next().transpose())? {
        rows.take(import, &decoded)?;
        let share = u128::from(import.report.bytes) * u128::from(rows.row)
            / u128::from(row_total.max(rows.row).max(1));
        import.bytes_read.set(share as u64);
    }
    Ok(())
}

/// Runs a step of the decoder. It panics at some kinds of damage where it should give an error; to the user both are
/// a damaged file. What the step was working on must not be used after an error.
fn decoding<T, E: Display>(
    import: &Import<'_>,
    row: u64,
    step: impl FnOnce() -> Result<T, E>,
) -> Result<T, ImportError> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(|error| import.damaged(row, &error)),
        Err(_) => Err(import.damaged(row, &"the decoder cannot make sense of it")),
    }
}

impl Rows {
    fn take(&mut self, decoded: &RecordBatch, positions: &[usize]) -> Result<(), arrow::error::ArrowError> {
        for (values, position) in decoded.columns().iter().zip(positions) {
            self.columns[*position] = ColumnValues::of(values)?;
        }
        Ok(())
    }
}

/// The columns of the file that are needed, each with the table's column that needs it.
fn used_columns(plan: &Plan) -> Vec<(usize, String)> {
    let columns = plan.columns.iter();
    columns
        .flat_map(|plan| plan.source.columns().into_iter().map(|of| (of.index, plan.column.clone())))
        .collect()
}
