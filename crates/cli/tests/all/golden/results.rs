//! Reads what `tapebook sql -f` wrote for many questions, each behind a `SELECT '…' AS question`.
//!
//! It knows no types: a value is its text, or NULL.

use std::collections::BTreeMap;

/// The cells of a row; `None` is NULL.
pub(super) type Row = Vec<Option<String>>;

/// The columns of each question, in order.
pub(super) type Columns<'a> = BTreeMap<String, Vec<&'a str>>;

/// How results are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Ndjson,
    Csv,
}

impl Form {
    /// What `--format` calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// The rows of each question that has some.
    pub(super) fn read(self, output: &str, columns: &Columns<'_>) -> BTreeMap<String, Vec<Row>> {
        match self {
            Self::Ndjson => ndjson(output, columns),
            Self::Csv => csv(output, columns),
        }
    }
}

fn ndjson(output: &str, columns: &Columns<'_>) -> BTreeMap<String, Vec<Row>> {
    let mut answers: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut current = String::new();
    for line in output.lines() {
        let mut object = json_object(line);
        if let Some(question) = object.remove("question") {
            current = question.unwrap();
            continue;
        }
        let mut cell = |column: &&str| {
            object.remove(*column).unwrap_or_else(|| panic!("{current}: no {column} in {line}"))
        };
        let row = columns[&current].iter().map(&mut cell).collect();
        assert!(object.is_empty(), "{current}: more columns than it has: {line}");
        answers.entry(current.clone()).or_default().push(row);
    }
    answers
}

fn csv(output: &str, columns: &Columns<'_>) -> BTreeMap<String, Vec<Row>> {
    let mut answers: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut rows = output.lines().map(csv_row);
    let mut current = String::new();
    while let Some(row) = rows.next() {
        if row != [Some("question".to_owned())] {
            answers.entry(current.clone()).or_default().push(row);
            continue;
        }
        current = rows.next().unwrap().remove(0).unwrap();
        let header: Vec<String> = rows.next().unwrap().into_iter().flatten().collect();
        assert_eq!(header, columns[&current], "{current}");
    }
    answers
}

/// A flat object with its numbers as they are written: a parser of numbers would round the last bit.
fn json_object(line: &str) -> BTreeMap<String, Option<String>> {
    let mut rest = line.strip_prefix('{').unwrap_or_else(|| panic!("no object: {line}"));
    let mut object = BTreeMap::new();
    while rest != "}" {
        let (key, after) = json_value(rest.trim_start_matches(','));
        let (value, after) =
            json_value(after.strip_prefix(':').unwrap_or_else(|| panic!("no value: {line}")));
        assert!(object.insert(key.unwrap(), value).is_none(), "a column twice: {line}");
        rest = after;
    }
    object
}

/// A text, number or NULL, and what stands behind it.
fn json_value(rest: &str) -> (Option<String>, &str) {
    let bytes = rest.as_bytes();
    if bytes[0] != b'"' {
        let (plain, after) = rest.split_at(rest.find([',', '}']).unwrap());
        return ((plain != "null").then(|| plain.to_owned()), after);
    }
    let mut at = 1;
    while bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    let (quoted, after) = rest.split_at(at + 1);
    (serde_json::from_str(quoted).unwrap(), after)
}

/// The fields of a line; an empty one is NULL, two quotes are an empty text. No answer has a quote or a line end in it.
fn csv_row(line: &str) -> Row {
    let mut row = vec![None];
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '"' => {
                is_quoted = !is_quoted;
                row.last_mut().unwrap().get_or_insert_with(String::new);
            }
            ',' if !is_quoted => row.push(None),
            c => row.last_mut().unwrap().get_or_insert_with(String::new).push(c),
        }
    }
    row
}
