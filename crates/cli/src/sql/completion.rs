//! Completes keywords, tables, columns and the shell's own commands.

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::runner::Runner;
use crate::output::rows_as_text;

const KEYWORDS: [&str; 55] = [
    "ALL",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COUNT",
    "CROSS",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "RESET",
    "RIGHT",
    "SELECT",
    "SET",
    "SHOW",
    "SUM",
    "THEN",
    "TIMESTAMP",
    "TRUE",
    "UNION",
    "USING",
    "WHEN",
    "WHERE",
    "WITH",
];
const FIVE_COLUMNS: [&str; 5] = ["ts", "symbol", "recv_ts", "feed_seq", "seq"];
const SYSTEM_TABLES: [&str; 10] = [
    "sys.tables",
    "sys.symbols",
    "sys.sstables",
    "sys.history",
    "sys.compactions",
    "sys.wal",
    "sys.retractions",
    "sys.producers",
    "sys.gaps",
    "sys.queries",
];

/// The commands of the shell and what they do.
pub(super) const COMMANDS: [(&str, &str); 5] = [
    ("\\d", "lists the tables; \\d TABLE its columns"),
    ("\\timing", "shows how long each query takes, or no longer"),
    ("\\?", "shows this help"),
    ("\\q", "ends the shell, as Ctrl-D does"),
    ("\\r", "forgets the statement that is being written, as Ctrl-C does"),
];

/// Knows the words that can be completed.
#[derive(Debug)]
pub(super) struct SqlCompletion {
    tables: Vec<String>,
    /// Tables and their columns, without the five that every table has.
    columns: Vec<(String, Vec<String>)>,
}

impl SqlCompletion {
    /// Asks which tables and columns there are. Without an answer there is less to complete, and nothing else is wrong.
    pub(super) fn new(runner: &Runner) -> Self {
        let sql = "SELECT table_name, column_name FROM information_schema.columns \
                   WHERE table_schema = 'public' ORDER BY table_name, ordinal_position";
        let found = runner.collect(sql).and_then(|batches| rows_as_text(&batches)).unwrap_or_default();
        let mut columns: Vec<(String, Vec<String>)> = Vec::new();
        for row in found {
            let [table, column] = row.try_into().unwrap_or_default();
            if FIVE_COLUMNS.contains(&column.as_str()) {
                continue;
            }
            match columns.last_mut() {
                Some((last, own)) if *last == table => own.push(column),
                _ => columns.push((table, vec![column])),
            }
        }
        let tables = columns.iter().map(|(table, _)| table.clone());
        let tables = tables.chain(SYSTEM_TABLES.map(str::to_owned)).collect();
        Self { tables, columns }
    }

    /// Where the word at the end of `line` begins, and what it could become.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        if line.starts_with('\\') && !line.contains(' ') {
            let commands = COMMANDS.iter().map(|(command, _)| (*command).to_owned());
            return (0, commands.filter(|command| command.starts_with(line)).collect());
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let start = line
            .char_indices()
            .rev()
            .take_while(|(_, c)| is_word(*c))
            .last()
            .map_or(line.len(), |(at, _)| at);
        let word = &line[start..];
        let prefix = word.to_lowercase();
        let mut found: Vec<String> =
            self.tables.iter().filter(|name| name.starts_with(&prefix)).cloned().collect();
        if !line.starts_with('\\') && !word.is_empty() {
            found.extend(self.columns_near(line).into_iter().filter(|name| name.starts_with(&prefix)));
            let lower = word.chars().all(|c| c.is_lowercase());
            let keywords = KEYWORDS.iter().filter(|keyword| keyword.starts_with(&word.to_uppercase()));
            found.extend(keywords.map(|word| if lower { word.to_lowercase() } else { (*word).to_owned() }));
        }
        found.sort();
        found.dedup();
        (start, found)
    }

    /// The columns of the tables that the line names, else of all.
    fn columns_near(&self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let named: Vec<_> =
            self.columns.iter().filter(|(table, _)| words.contains(&table.as_str())).collect();
        let chosen = if named.is_empty() { self.columns.iter().collect() } else { named };
        let own = chosen.into_iter().flat_map(|(_, columns)| columns.clone());
        own.chain(FIVE_COLUMNS.map(str::to_owned)).collect()
    }
}

impl Completer for SqlCompletion {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = self.candidates(&line[..pos]);
        Ok((start, found.into_iter().map(|word| Pair { display: word.clone(), replacement: word }).collect()))
    }
}

impl Hinter for SqlCompletion {
    type Hint = String;
}

impl Highlighter for SqlCompletion {}
impl Validator for SqlCompletion {}
impl Helper for SqlCompletion {}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion() -> SqlCompletion {
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        SqlCompletion {
            tables: columns(&["trades", "quotes", "sys.tables"]),
            columns: vec![
                ("trades".to_owned(), columns(&["price", "size"])),
                ("quotes".to_owned(), columns(&["bid_price"])),
            ],
        }
    }

    #[test]
    fn words_keep_the_case_that_was_begun() {
        let completion = completion();
        assert_eq!(completion.candidates("sel"), (0, vec!["select".to_owned()]));
        assert_eq!(completion.candidates("SEL"), (0, vec!["SELECT".to_owned()]));
        assert_eq!(completion.candidates("select * from tra"), (14, vec!["trades".to_owned()]));
        assert_eq!(completion.candidates("\\d sys.t"), (3, vec!["sys.tables".to_owned()]));
        assert_eq!(completion.candidates("\\t"), (0, vec!["\\timing".to_owned()]));
    }

    #[test]
    fn columns_are_those_of_the_tables_that_are_named() {
        let completion = completion();
        assert_eq!(
            completion.candidates("SELECT max(t.price) FROM trades WHERE bid").1,
            Vec::<String>::new()
        );
        assert_eq!(completion.candidates("SELECT pri").1, ["price"]);
    }
}
