//! Tables, as text for the terminal and as Markdown for the documentation.

use std::fs::File;
use std::io::Write;

use crate::AnyError;
use crate::setting::Setting;

/// One table with its head and what has to be said about it.
pub struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    /// A table without rows.
    pub fn new(title: impl Into<String>, head: &[&str]) -> Self {
        let head = head.iter().map(|cell| (*cell).to_owned()).collect();
        Self { title: title.into(), head, rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row, which has as many cells as the head.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.head.len(), "a row of {:?}", self.title);
        self.rows.push(cells);
    }

    /// Adds a sentence that stands below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Prints it, and appends it to the Markdown file where one is wanted.
    pub fn publish(&self, setting: &Setting) -> Result<(), AnyError> {
        print!("{}", self.text());
        append(setting, &self.markdown())
    }

    fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.head.len())
            .map(|at| {
                let cells = self.rows.iter().chain([&self.head]).map(|row| row[at].chars().count());
                cells.max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &[String]| {
            let padded: Vec<String> =
                cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            format!("{}\n", padded.join("  ").trim_end())
        };
        let mut text = format!("\n{}\n\n{}", self.title, line(&self.head));
        self.rows.iter().for_each(|row| text += &line(row));
        self.notes.iter().for_each(|note| text += &format!("* {note}\n"));
        text
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text =
            format!("\n**{}**\n\n{}{}|\n", self.title, line(&self.head), "|---".repeat(self.head.len()));
        self.rows.iter().for_each(|row| text += &line(row));
        if !self.notes.is_empty() {
            text.push('\n');
        }
        self.notes.iter().for_each(|note| text += &format!("* {note}\n"));
        text
    }
}

/// Appends to the Markdown file where one is wanted.
pub fn append(setting: &Setting, text: &str) -> Result<(), AnyError> {
    if let Some(path) = &setting.markdown {
        File::options().create(true).append(true).open(path)?.write_all(text.as_bytes())?;
    }
    Ok(())
}
