//! Results as the user wants them: a table, CSV, JSON, Arrow or Parquet, on standard output or in a file.
//!
//! Every writer takes one Arrow batch after another and keeps none of them; only the table looks at its first rows
//! before it decides how wide its columns are.

mod cells;
mod csv;
mod destination;
mod ipc;
mod json;
mod parquet;
mod table;

use std::fmt::Debug;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::error::CliError;
pub(crate) use destination::Destination;

/// How results look.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns for people
    Table,
    /// Comma-separated values with a header row
    Csv,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// Arrow IPC: the stream format on standard output, the file format with --output
    Arrow,
    /// Parquet with zstd
    Parquet,
}

/// Where results go, and in which form.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct OutputArgs {
    /// The form of results [default: what the name of --output says, else table]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Writes the result into this file, which appears when it is complete
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

impl OutputArgs {
    /// The form that was asked for or follows from the file's name.
    pub(crate) fn format(&self) -> Format {
        self.format.or_else(|| self.output.as_deref().and_then(Format::of_name)).unwrap_or(Format::Table)
    }

    /// True where what follows a first result would not be a second one but garbage.
    pub(crate) fn holds_one_result(&self) -> bool {
        self.output.is_some() || matches!(self.format(), Format::Arrow | Format::Parquet)
    }

    /// Refuses bytes on a terminal.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        let binary = matches!(self.format(), Format::Arrow | Format::Parquet);
        if binary && self.output.is_none() && io::stdout().is_terminal() {
            return Err(CliError::usage(
                "Arrow and Parquet are not for a terminal; name a file with --output or send them through a pipe",
            ));
        }
        Ok(())
    }

    /// What to call the place of results in a message.
    pub(crate) fn place(&self) -> String {
        self.output.as_ref().map_or("standard output".to_owned(), |path| path.display().to_string())
    }

    /// Begins a result with these columns.
    pub(crate) fn begin(&self, schema: &SchemaRef) -> Result<Box<dyn ResultWriter>, CliError> {
        let destination = match &self.output {
            Some(path) => Destination::file(path)?,
            None => Destination::stdout(),
        };
        let place = destination.place();
        let in_file = self.output.is_some();
        let writer: Result<Box<dyn ResultWriter>, OutputError> = match self.format() {
            Format::Table => Ok(Box::new(table::TableWriter::new(destination, schema))),
            Format::Csv => csv::CsvWriter::begin(destination, schema).map(|writer| Box::new(writer) as _),
            Format::Json => Ok(Box::new(json::JsonWriter::array(destination))),
            Format::Ndjson => Ok(Box::new(json::JsonWriter::lines(destination))),
            Format::Arrow if in_file => {
                ipc::FileWriter::begin(destination, schema).map(|writer| Box::new(writer) as _)
            }
            Format::Arrow => {
                ipc::StreamWriter::begin(destination, schema).map(|writer| Box::new(writer) as _)
            }
            Format::Parquet => {
                parquet::ParquetWriter::begin(destination, schema).map(|writer| Box::new(writer) as _)
            }
        };
        writer.map_err(|error| error.at(&place))
    }
}

impl Format {
    fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "arrow" | "feather" => Some(Self::Arrow),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Takes the batches of one result.
pub(crate) trait ResultWriter: Debug {
    /// Writes a batch.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError>;

    /// Lets whoever watches see what was written so far, where the form has whole rows by then.
    fn flush(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    /// Writes what comes behind the last batch and gives the destination back.
    fn finish(self: Box<Self>) -> Result<Destination, OutputError>;
}

/// Why a result could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A column that the form has no place for.
    #[error("{0}; choose another --format")]
    Form(String),
}

impl OutputError {
    pub(crate) fn at(&self, place: &str) -> CliError {
        match self {
            Self::Io(error) => CliError::writing(place, error),
            Self::Form(_) => CliError::failed(format!("{place}: {self}")),
        }
    }
}

impl From<ArrowError> for OutputError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => Self::Io(error),
            ArrowError::ExternalError(source) => match source.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(source) => Self::Form(source.to_string()),
            },
            other => Self::Form(other.to_string()),
        }
    }
}

/// A small result as a table, as wide as the terminal allows.
pub(crate) fn table_text(batches: &[RecordBatch]) -> Result<String, CliError> {
    let Some(first) = batches.first() else { return Ok(String::new()) };
    let memory = Destination::Memory(Vec::new());
    let mut writer: Box<dyn ResultWriter> =
        Box::new(table::TableWriter::for_terminal(memory, &first.schema()));
    let written = batches.iter().try_for_each(|batch| writer.write(batch)).and_then(|()| writer.finish());
    match written.map_err(|error| error.at("the table"))? {
        Destination::Memory(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Ok(String::new()),
    }
}

/// The cells of a small result, NULL as an empty text.
pub(crate) fn rows_as_text(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>, CliError> {
    let read = || -> Result<Vec<Vec<String>>, OutputError> {
        let mut rows = Vec::new();
        for batch in batches {
            let form = cells::Form::new(batch);
            let mut columns = form.columns(batch)?;
            for row in 0..batch.num_rows() {
                let mut texts = vec![String::new(); columns.len()];
                for (column, text) in columns.iter_mut().zip(&mut texts) {
                    column.write(row, text)?;
                }
                rows.push(texts);
            }
        }
        Ok(rows)
    };
    read().map_err(|error| error.at("the result"))
}

#[cfg(test)]
mod tests;
