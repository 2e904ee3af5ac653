//! Columns for people. On a terminal long texts are cut to fit the line; in a pipe every value is whole.

use std::io::{self, IsTerminal, Write};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use console::{measure_text_width, truncate_str};

use super::cells::Form;
use super::{Destination, OutputError, ResultWriter};

/// Rows that are looked at before the widths of the columns are settled.
const SIZING_ROWS: usize = 1000;
/// Bytes of cells that are held for that at most.
const SIZING_BYTES_MAX: usize = 4 << 20;
/// No column is cut below this width.
const CUT_WIDTH_MIN: usize = 8;
/// What stands between two columns.
const SEPARATOR: &str = " | ";

/// Writes a table.
#[derive(Debug)]
pub(super) struct TableWriter {
    out: Destination,
    names: Vec<String>,
    align_right: Vec<bool>,
    line_width_max: Option<usize>,
    held: Vec<Vec<String>>,
    held_bytes: usize,
    /// Settled when the header is written.
    widths: Option<Vec<usize>>,
}

impl TableWriter {
    pub(super) fn new(out: Destination, schema: &SchemaRef) -> Self {
        let on_terminal = matches!(out, Destination::Stdout(_)) && io::stdout().is_terminal();
        if on_terminal { Self::for_terminal(out, schema) } else { Self::with_width(out, schema, None) }
    }

    /// A table that fits the terminal's lines, wherever it is written first.
    pub(super) fn for_terminal(out: Destination, schema: &SchemaRef) -> Self {
        Self::with_width(out, schema, Some(usize::from(console::Term::stdout().size().1)))
    }

    pub(super) fn with_width(out: Destination, schema: &SchemaRef, line_width_max: Option<usize>) -> Self {
        let fields = schema.fields();
        Self {
            out,
            names: fields.iter().map(|field| printable(field.name())).collect(),
            align_right: fields.iter().map(|field| field.data_type().is_numeric()).collect(),
            line_width_max,
            held: Vec::new(),
            held_bytes: 0,
            widths: None,
        }
    }

    /// Settles the widths and writes the header and the rows that were held.
    fn settle(&mut self) -> io::Result<Vec<usize>> {
        let mut widths: Vec<usize> = self.names.iter().map(|name| measure_text_width(name)).collect();
        for row in &self.held {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(cell));
            }
        }
        if let Some(line_width_max) = self.line_width_max {
            cut_to_fit(&mut widths, &self.align_right, line_width_max);
        }
        let names = self.names.clone();
        self.write_row(&names, &widths)?;
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        writeln!(self.out, "{}", rules.join("+").trim_end())?;
        for row in std::mem::take(&mut self.held) {
            self.write_row(&row, &widths)?;
        }
        Ok(widths)
    }

    fn write_row(&mut self, cells: &[String], widths: &[usize]) -> io::Result<()> {
        let mut line = String::from(" ");
        for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if at > 0 {
                line.push_str(SEPARATOR);
            }
            let shown =
                if self.line_width_max.is_some() { truncate_str(cell, *width, "…") } else { cell.into() };
            let padding = " ".repeat(width.saturating_sub(measure_text_width(&shown)));
            let (before, behind) =
                if self.align_right[at] { (padding.as_str(), "") } else { ("", padding.as_str()) };
            line.push_str(before);
            line.push_str(&shown);
            line.push_str(behind);
        }
        writeln!(self.out, "{}", line.trim_end())
    }
}

impl ResultWriter for TableWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        let form = Form::new(batch);
        let mut columns = form.columns(batch)?;
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(columns.len());
            for column in &mut columns {
                let mut cell = String::new();
                if column.write(row, &mut cell)? {
                    cell = printable(&cell);
                }
                cells.push(cell);
            }
            match self.widths.take() {
                Some(widths) => {
                    self.write_row(&cells, &widths)?;
                    self.widths = Some(widths);
                }
                None => {
                    self.held_bytes += cells.iter().map(String::len).sum::<usize>();
                    self.held.push(cells);
                    if self.held.len() >= SIZING_ROWS || self.held_bytes >= SIZING_BYTES_MAX {
                        self.widths = Some(self.settle()?);
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Destination, OutputError> {
        if self.widths.is_none() {
            self.settle()?;
        }
        Ok(self.out)
    }
}

/// Takes width from the widest columns of text, never from numbers, until the line fits or nothing is left to take.
fn cut_to_fit(widths: &mut [usize], keep: &[bool], line_width_max: usize) {
    let between = 2 + SEPARATOR.len() * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + between > line_width_max {
        let widest = widths
            .iter_mut()
            .zip(keep)
            .filter(|(width, keep)| !**keep && **width > CUT_WIDTH_MIN)
            .max_by_key(|(width, _)| **width);
        match widest {
            Some((width, _)) => *width -= 1,
            None => return,
        }
    }
}

/// Control characters could move the cursor or break a row in two.
fn printable(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
