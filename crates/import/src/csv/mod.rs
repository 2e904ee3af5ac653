//! Text files: delimited records, with or without a header.

mod records;
mod sniff;

use std::io::Read;

use tapebook_record::Level;

pub(crate) use records::Records;
use records::{Malformed, RECORD_BYTES_MAX};

use crate::cell::{Cell, Cells, Problem};
use crate::error::{ImportError, cut_short};
use crate::import::Import;
use crate::plan::{self, Plan};
use crate::rows::{Refusal, RowPlan};

/// How often progress is told, in rows.
const ROWS_BETWEEN_PROGRESS: u64 = 64 * 1024;

impl<R: Read> Cells for Records<R> {
    #[inline]
    fn cell(&self, column: usize) -> Cell<'_> {
        match self.field(column) {
            Some((bytes, quoted)) => Cell::Text { bytes, quoted },
            None => Cell::Null,
        }
    }

    fn levels(&self, _column: usize, _out: &mut Vec<Level>) -> Option<bool> {
        None
    }
}

/// A text file of which the header has been read.
pub(crate) struct TextFile<R> {
    records: Records<R>,
    names: Vec<String>,
    plan: Plan,
    /// The first record is data and has been read already.
    holds_first: bool,
}

impl<R> TextFile<R> {
    pub(crate) fn into_plan(self) -> Plan {
        self.plan
    }
}

/// Reads the header and plans; `None` for a file without anything in it.
pub(crate) fn open<R: Read>(import: &Import<'_>, input: R) -> Result<Option<TextFile<R>>, ImportError> {
    let mut records = Records::new(input);
    let damaged = |error: std::io::Error| import.damaged(0, &error);
    let head = records.peek().map_err(damaged)?;
    let wrong = |reason: &str| ImportError::Format { file: import.file.clone(), reason: reason.to_owned() };
    if let Some(kind) = foreign(head) {
        return Err(wrong(kind));
    }
    let bom = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let delimiter = import.options.delimiter.unwrap_or_else(|| sniff::delimiter(&head[bom..]));
    records.skip(bom);
    records.delimiter = delimiter;
    match records.next().map_err(damaged)? {
        None => return Ok(None),
        Some(Err(fault)) => return Err(wrong(&format!("the first line {}", text_of(fault)))),
        Some(Ok(())) => {}
    }
    let fields = || (0..records.field_count()).filter_map(|at| records.field(at)).map(|(bytes, _)| bytes);
    let (names, holds_first) = match &import.options.columns {
        Some(columns) => (columns.clone(), true),
        None if sniff::is_header(fields()) => (fields().zip(1..).map(name_of).collect(), false),
        None => {
            let first_line = fields()
                .map(String::from_utf8_lossy)
                .collect::<Vec<_>>()
                .join(&char::from(delimiter).to_string());
            return Err(ImportError::NoHeader {
                file: import.file.clone(),
                first_line: cut_short(first_line.as_bytes()),
            });
        }
    };
    let request =
        plan::Request { file: &import.file, schema: import.schema, options: import.options, names: &names };
    let plan = plan::make(&request)?;
    Ok(Some(TextFile { records, names, plan, holds_first }))
}

/// Imports a text file, or the member of an archive.
pub(crate) fn read<R: Read>(import: &mut Import<'_>, input: R) -> Result<(), ImportError> {
    let Some(TextFile { mut records, names, plan, holds_first }) = open(import, input)? else {
        return Ok(());
    };
    let mut rows = RowPlan::new(import.schema, &plan, import.options, import.day()?);
    import.planned(plan);
    let mut pending = holds_first;
    loop {
        if !pending {
            match records.next() {
                Ok(None) => return Ok(()),
                Ok(Some(Ok(()))) => {}
                Ok(Some(Err(fault))) => {
                    let problem = Problem { value: None, text: format!("the line {}", text_of(fault)) };
                    import.bad_row(records.line(), Refusal::Bad(None, Box::new(problem)))?;
                    continue;
                }
                Err(error) => return Err(import.damaged(records.line(), &error)),
            }
        }
        pending = false;
        let fields = records.field_count();
        // A delimiter at the end of a line is no field of its own.
        let one_empty_more = fields == names.len() + 1
            && records.field(names.len()).is_some_and(|(bytes, _)| bytes.is_empty());
        if fields == names.len() || one_empty_more {
            import.row(&mut rows, &records, records.line())?;
        } else {
            let text = format!(
                "the line has {fields} fields, {} are expected: it is cut off or broken",
                names.len()
            );
            import.bad_row(records.line(), Refusal::Bad(None, Box::new(Problem { value: None, text })))?;
        }
        if import.report.rows_read.is_multiple_of(ROWS_BETWEEN_PROGRESS) {
            import.tell_progress();
        }
    }
}

/// A column's name; one without a name is called by its position, from 1.
fn name_of((name, position): (&[u8], usize)) -> String {
    match name.trim_ascii() {
        [] => format!("column{position}"),
        name => String::from_utf8_lossy(name).into_owned(),
    }
}

/// What a file is that is no text of records.
fn foreign(head: &[u8]) -> Option<&'static str> {
    let first = head.trim_ascii_start().first();
    if head.starts_with(b"PAR1") {
        Some("Parquet inside an archive cannot be read; unpack it first")
    } else if head.starts_with(b"DBN") {
        Some("this is Databento's DBN, not CSV or Parquet")
    } else if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        Some("this is UTF-16; convert it to UTF-8")
    } else if head.contains(&0) {
        Some("this is neither text nor Parquet, nor one of gzip, zstd and zip")
    } else if first == Some(&b'{') {
        Some("this is JSON, not CSV or Parquet")
    } else {
        None
    }
}

fn text_of(fault: Malformed) -> String {
    match fault {
        Malformed::OpenQuote => "has a quote that is never closed".to_owned(),
        Malformed::TextAfterQuote => "has text between a closing quote and the next delimiter".to_owned(),
        Malformed::TooLong => format!("has more than {RECORD_BYTES_MAX} bytes"),
    }
}
