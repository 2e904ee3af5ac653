//! The file of settings: TOML, one line for each.

#![allow(clippy::disallowed_methods, reason = "reads the user's own file")]

use std::path::Path;

use toml::{Table, Value};

use crate::error::CliError;

const FILE_BYTES_MAX: u64 = 1 << 20;

/// One setting, as text.
pub(super) struct Entry {
    pub key: String,
    pub text: String,
    /// From 1.
    pub line: usize,
}

/// Reads the file. Whether its settings exist is not looked at here.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, CliError> {
    let place = path.display();
    let cannot = |reason: &dyn std::fmt::Display| CliError::failed(format!("{place}: cannot read: {reason}"));
    let bytes = std::fs::metadata(path).map_err(|error| cannot(&error))?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(cannot(&format!("it has {bytes} bytes, {FILE_BYTES_MAX} are possible")));
    }
    let content = std::fs::read_to_string(path).map_err(|error| cannot(&error))?;
    let table: Table =
        content.parse().map_err(|error| CliError::usage(format!("{place}: no TOML: {error}")))?;
    let entry = |(key, value): (String, Value)| {
        let line = line_of(&content, &key);
        let text = text_of(value)
            .map_err(|expected| CliError::usage(format!("{place} line {line}: {key}: {expected}")))?;
        Ok(Entry { key, text, line })
    };
    table.into_iter().map(entry).collect()
}

fn text_of(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(switch) => Ok(switch.to_string()),
        Value::Table(_) => Err("settings have no sections; write the settings one below the other"),
        _ => Err("expected a text, a whole number, true or false"),
    }
}

/// The line that sets a key. TOML has other ways to write one, for which this is the first line.
fn line_of(content: &str, key: &str) -> usize {
    let sets = |line: &str| {
        let line = line.trim_start().trim_start_matches(['"', '\'', '[']);
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '"', '\'', ']']))
    };
    content.lines().position(sets).map_or(1, |place| place + 1)
}
