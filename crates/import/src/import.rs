//! One import: from a path to batches.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::rc::Rc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use tapebook_record::{Batch, TableSchema};

use crate::cell::{Cells, Problem};
use crate::columnar::ColumnarRows;
use crate::error::{ImportError, ImportFailure, RowError};
use crate::input::{self, Format, Opened};
use crate::options::{DateOption, ImportOptions, OnError};
use crate::plan::Plan;
use crate::report::{FIRST_ERRORS_MAX, FileReport, Progress};
use crate::rows::{Refusal, RowPlan};
use crate::sink::BatchSink;
use crate::time::calendar;
use crate::{columnar, csv};

/// Reads a file into batches of one table, in file order, and gives them to `sink`.
///
/// The file is read as a stream; memory does not grow with it. `progress` is called at every batch and now and
/// then between.
///
/// # Errors
///
/// What cannot be read, planned or stored, and with [`OnError::Stop`] the first bad row. The failure's report counts
/// what the sink had taken by then, which includes all good rows before the fault.
pub fn import_file(
    path: &Path,
    schema: &TableSchema,
    options: &ImportOptions,
    sink: &mut dyn BatchSink,
    progress: &mut dyn FnMut(Progress),
) -> Result<FileReport, Box<ImportFailure>> {
    let mut import = Import::new(path, schema, options, sink, progress);
    let result = import.file(path);
    import.finish(result)
}

/// Puts rows that come as Arrow batches into batches of one table, in their order, and gives them to `sink`. `name` is
/// what they are called in errors; a batch that could not be had ends the import with the reason.
///
/// # Errors
///
/// As [`import_file`].
pub fn import_arrow(
    name: &str,
    columns: &Schema,
    batches: impl IntoIterator<Item = Result<RecordBatch, String>>,
    schema: &TableSchema,
    options: &ImportOptions,
    sink: &mut dyn BatchSink,
) -> Result<FileReport, Box<ImportFailure>> {
    let mut progress = |_: Progress| ();
    let mut import = Import::new(Path::new(name), schema, options, sink, &mut progress);
    let result = import.arrow(columns, batches);
    import.finish(result)
}

/// Which source would go where, without reading more than the beginning. Of an archive, its first member.
///
/// # Errors
///
/// Those of [`import_file`] that the beginning of a file shows.
pub fn plan_file(
    path: &Path,
    schema: &TableSchema,
    options: &ImportOptions,
) -> Result<Option<Plan>, ImportError> {
    let mut sink = |_: Batch| Ok(());
    let mut progress = |_: Progress| ();
    let mut import = Import::new(path, schema, options, &mut sink, &mut progress);
    import.plan_only = true;
    import.file(path)?;
    Ok(import.report.plan)
}

/// The state of one import.
pub(crate) struct Import<'a> {
    /// The file, with the member of an archive.
    pub(crate) file: String,
    pub(crate) schema: &'a TableSchema,
    pub(crate) options: &'a ImportOptions,
    pub(crate) report: FileReport,
    pub(crate) bytes_read: Rc<Cell<u64>>,
    /// The name of the file, and of the member of an archive.
    names: [String; 2],
    plan_only: bool,
    batch: Batch,
    sink: &'a mut dyn BatchSink,
    progress: &'a mut dyn FnMut(Progress),
}

impl<'a> Import<'a> {
    fn new(
        path: &Path,
        schema: &'a TableSchema,
        options: &'a ImportOptions,
        sink: &'a mut dyn BatchSink,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Self {
        Self {
            file: path.display().to_string(),
            schema,
            options,
            report: FileReport::default(),
            bytes_read: Rc::default(),
            names: [path.file_name().unwrap_or_default().to_string_lossy().into_owned(), String::new()],
            plan_only: false,
            batch: sink.begin(),
            sink,
            progress,
        }
    }

    fn file(&mut self, path: &Path) -> Result<(), ImportError> {
        let Opened { file, bytes, format } =
            input::open(path).map_err(|source| ImportError::Open { path: path.to_owned(), source })?;
        self.report.bytes = bytes;
        match format {
            Format::Parquet => columnar::read(self, file),
            Format::Zip => self.zip(input::counted(file, &self.bytes_read)),
            _ => {
                let input = input::counted(file, &self.bytes_read);
                let input = input::unpacked(format, input).map_err(|error| self.damaged(0, &error))?;
                self.text(input)
            }
        }
    }

    fn arrow(
        &mut self,
        columns: &Schema,
        batches: impl IntoIterator<Item = Result<RecordBatch, String>>,
    ) -> Result<(), ImportError> {
        let mut rows = ColumnarRows::begin(self, columns.fields())?;
        for batch in batches {
            let batch = batch.map_err(|reason| self.damaged(rows.row(), &reason))?;
            rows.take_whole(self, &batch)?;
        }
        Ok(())
    }

    /// Hands out what is left, and reports.
    fn finish(mut self, result: Result<(), ImportError>) -> Result<FileReport, Box<ImportFailure>> {
        // The rows before a fault were good; a fault of the sink's own is not answered with another batch.
        let result = match result {
            Err(ImportError::Sink(error)) => Err(ImportError::Sink(error)),
            Ok(()) => self.hand_out(),
            Err(error) => self.hand_out().and(Err(error)),
        };
        match result {
            Ok(()) => {
                self.bytes_read.set(self.report.bytes);
                self.tell_progress();
                Ok(self.report)
            }
            Err(error) => Err(Box::new(ImportFailure { error, report: self.report })),
        }
    }

    fn text(&mut self, input: impl std::io::Read) -> Result<(), ImportError> {
        if self.plan_only {
            self.report.plan = csv::open(self, input)?.map(csv::TextFile::into_plan);
            return Ok(());
        }
        csv::read(self, input)
    }

    fn zip(&mut self, input: BufReader<input::CountedFile>) -> Result<(), ImportError> {
        let archive = self.file.clone();
        let mut zip = zip::ZipArchive::new(input).map_err(|error| self.damaged(0, &error))?;
        for at in 0..zip.len() {
            let member = zip.by_index(at).map_err(|error| self.damaged(0, &error))?;
            let name = String::from_utf8_lossy(member.name_raw()).into_owned();
            // What macOS adds to archives describes files and is none.
            if !member.is_file() || name.starts_with("__MACOSX/") || name.ends_with(".DS_Store") {
                continue;
            }
            self.file = format!("{archive}:{name}");
            self.names[1] = name.clone();
            let mut input = BufReader::with_capacity(64 * 1024, member);
            let head = input.fill_buf().map_err(|error| self.damaged(0, &error))?;
            let format = Format::of(&name, &head[..head.len().min(512)]);
            if format == Format::Zip {
                let reason = "an archive inside an archive cannot be read; unpack it first".to_owned();
                return Err(ImportError::Format { file: self.file.clone(), reason });
            }
            let input = input::unpacked(format, input).map_err(|error| self.damaged(0, &error))?;
            self.text(input)?;
            if self.plan_only && self.report.plan.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// The day that `--date` means for this file.
    pub(crate) fn day(&self) -> Result<Option<i32>, ImportError> {
        match self.options.date {
            None => Ok(None),
            Some(DateOption::Day(day)) => Ok(Some(day)),
            Some(DateOption::Name) => {
                let [file, member] = &self.names;
                let day = calendar::date_in_name(member).or_else(|| calendar::date_in_name(file));
                day.map(Some).ok_or_else(|| ImportError::NoDateInName { file: self.file.clone() })
            }
        }
    }

    pub(crate) fn is_plan_only(&self) -> bool {
        self.plan_only
    }

    pub(crate) fn damaged(&self, row: u64, reason: &dyn std::fmt::Display) -> ImportError {
        ImportError::Damaged { file: self.file.clone(), row, reason: reason.to_string() }
    }

    pub(crate) fn planned(&mut self, plan: Plan) {
        // A header can have hundreds of thousands of names, too many to search a list for each.
        let mut known: HashSet<String> = self.report.unplaced_columns.iter().cloned().collect();
        let new = plan.unplaced.iter().filter(|name| known.insert(String::clone(name)));
        self.report.unplaced_columns.extend(new.cloned());
        self.report.plan = Some(plan);
    }

    /// Puts one source row into the batch, or deals with it as a bad one.
    #[inline]
    pub(crate) fn row(
        &mut self,
        rows: &mut RowPlan<'_>,
        cells: &impl Cells,
        row: u64,
    ) -> Result<(), ImportError> {
        let mut pushed = rows.push(&mut self.batch, cells);
        if matches!(pushed, Err(Refusal::Full)) && !self.batch.is_empty() {
            self.hand_out()?;
            pushed = rows.push(&mut self.batch, cells);
        }
        match pushed {
            Ok(()) => {
                self.report.rows_read += 1;
                if self.batch.len() >= self.options.batch_rows.max(1) { self.hand_out() } else { Ok(()) }
            }
            Err(refusal) => self.bad_row(row, refusal),
        }
    }

    /// Counts a bad row, or ends the import with it.
    #[cold]
    pub(crate) fn bad_row(&mut self, row: u64, refusal: Refusal) -> Result<(), ImportError> {
        self.report.rows_read += 1;
        let (column, problem) = match refusal {
            Refusal::Bad(column, problem) => (column.map(|name| name.into_owned()), *problem),
            Refusal::Full => (None, Problem { value: None, text: "the row does not fit a batch".to_owned() }),
        };
        let plans = self.report.plan.iter().flat_map(|plan| &plan.columns);
        let source = column.as_ref().and_then(|column| plans.clone().find(|plan| plan.column == *column));
        let error = RowError {
            file: self.file.clone(),
            row,
            source: source.map(|plan| plan.source.to_string()),
            column,
            value: problem.value,
            problem: problem.text,
        };
        match self.options.on_error {
            OnError::Stop => Err(ImportError::Row(Box::new(error))),
            OnError::Skip => {
                self.report.rows_skipped += 1;
                if self.report.first_errors.len() < FIRST_ERRORS_MAX {
                    self.report.first_errors.push(error.to_string());
                }
                Ok(())
            }
        }
    }

    fn hand_out(&mut self) -> Result<(), ImportError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let rows = self.batch.len() as u64;
        self.sink.take(std::mem::take(&mut self.batch)).map_err(ImportError::Sink)?;
        self.batch = self.sink.begin();
        self.report.rows_imported += rows;
        self.tell_progress();
        Ok(())
    }

    pub(crate) fn tell_progress(&mut self) {
        (self.progress)(Progress {
            bytes_read: self.bytes_read.get().min(self.report.bytes),
            bytes_total: self.report.bytes,
            rows_imported: self.report.rows_imported,
            rows_skipped: self.report.rows_skipped,
        });
    }
}
