//! Recorded market data, imported with the real binary and asked with SQL: our answers against DuckDB's.
//!
//! `tests/golden/answers.json` says which files go into which data directory, what is asked there and what DuckDB
//! answers; `tests/golden/README.md` tells how it is made. Each question is asked four times: while rows are in the
//! MemTable and in SSTables, after a flush, when all of them are history, and over Flight SQL. Integers, texts, times and stored numbers must be equal; computed numbers may
//! differ by 10^-12 of their value.

#![allow(
    clippy::disallowed_methods,
    reason = "reads the golden file and writes a script beside the database"
)]

mod results;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use self::results::{Form, Row};
use crate::served::Served;

#[test]
fn binance_parquet() {
    check("binance_parquet");
}

#[test]
fn binance_csv() {
    check("binance_csv");
}

#[test]
fn fx() {
    check("fx");
}

#[test]
fn cffex() {
    check("cffex");
}

#[test]
fn shanghai() {
    check("shanghai");
}

#[test]
fn every_directory_and_every_question_has_a_test() {
    let golden = golden();
    let directories = list(&golden["directories"]);
    let names: Vec<&str> = directories.iter().map(|directory| text(&directory["name"])).collect();
    assert_eq!(names, ["binance_parquet", "binance_csv", "fx", "cffex", "shanghai"]);
    let asked: usize = directories.iter().map(|directory| questions(&golden, directory).len()).sum();
    assert!(asked > list(&golden["questions"]).len(), "{asked}");
    for question in list(&golden["questions"]) {
        let group = &question["group"];
        assert!(directories.iter().any(|directory| list(&directory["groups"]).contains(group)), "{group}");
    }
}

#[test]
fn a_wrong_cell_is_noticed() {
    let one = |kind, expected, found: &str| difference(kind, &expected, Some(found));
    assert_eq!(one("int", Value::from(1_723_161_254_024_619_568_i64), "1723161254024619568"), None);
    assert!(one("int", Value::from(1_723_161_254_024_619_568_i64), "1723161254024619569").is_some());
    assert!(one("int", Value::from(5), "5.0").is_some());
    assert_eq!(one("double", Value::from("15.93"), "1.593e1"), None);
    assert!(one("double", Value::from("15.929999999999999"), "15.930000000000001").is_some());
    assert_eq!(one("computed", Value::from("1000.0"), "1000.0000000005"), None);
    assert!(one("computed", Value::from("1000.0"), "1000.000000005").is_some());
    assert!(one("text", Value::from("000001"), "1").is_some());
    assert!(one("text", Value::Null, "").is_some());
    assert!(difference("text", &Value::from(""), None).is_some());
    assert_eq!(difference("double", &Value::Null, None), None);
}

/// Imports what belongs into a data directory and asks it everything, wherever the rows are.
fn check(name: &str) {
    let Some(data) = market_data() else { return };
    let golden = golden();
    let directory = list(&golden["directories"])
        .iter()
        .find(|directory| directory["name"] == name)
        .unwrap_or_else(|| panic!("{name} is no directory of answers.json"));
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("data");
    for import in list(&directory["imports"]) {
        run_import(&database, &data, import);
    }
    let questions = questions(&golden, directory);
    let mut wrong = ask(&database, &questions, Form::Ndjson, "before the flush");
    tapebook(&database, &["flush"]);
    wrong.extend(ask(&database, &questions, Form::Csv, "after the flush"));
    tapebook(&database, &["compact", "--to", "history"]);
    wrong.extend(ask(&database, &questions, Form::Ndjson, "out of history"));
    tapebook(&database, &["verify"]);
    wrong.extend(ask_server(&database, &questions));
    assert!(wrong.is_empty(), "{} answers differ from DuckDB's:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The recorded data; `None` where there is none and none is required.
fn market_data() -> Option<PathBuf> {
    let root = std::env::var_os("TAPEBOOK_TEST_DATA")
        .map_or_else(|| workspace().join("../shared/data"), PathBuf::from);
    if root.is_dir() {
        return Some(root);
    }
    let required = std::env::var_os("TAPEBOOK_REQUIRE_TEST_DATA").is_some_and(|value| value == "1");
    assert!(!required, "{} is missing", root.display());
    println!("skipped: {} is missing", root.display());
    None
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn golden() -> Value {
    let path = workspace().join("tests/golden/answers.json");
    serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().map(text).collect()
}

fn questions<'a>(golden: &'a Value, directory: &Value) -> Vec<&'a Value> {
    let groups = list(&directory["groups"]);
    list(&golden["questions"]).iter().filter(|question| groups.contains(&question["group"])).collect()
}

/// Runs a command that must succeed and gives its standard output.
fn tapebook(database: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tapebook"))
        .arg("--quiet")
        .arg("--data")
        .arg(database)
        .args(args)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let last = stdout.lines().rfind(|line| line.contains("question")).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tapebook {}: {stderr}\n{last}", args.join(" "));
    stdout
}

fn run_import(database: &Path, data: &Path, import: &Value) {
    let files: Vec<String> =
        texts(&import["files"]).iter().map(|file| data.join(file).display().to_string()).collect();
    let mut args = vec!["import", text(&import["table"])];
    args.extend(files.iter().map(String::as_str));
    args.extend(texts(&import["args"]));
    let stdout = tapebook(database, &args);
    let (rows, first) = (import["rows"].as_u64().unwrap(), import["first_seq"].as_u64().unwrap());
    let expected = format!("imported {rows} rows, skipped 0, seq {first}..{}", first + rows - 1);
    assert_eq!(stdout.lines().last(), Some(expected.as_str()), "{}", args.join(" "));
}

/// Asks all questions in one run and tells which answers are wrong.
fn ask(database: &Path, questions: &[&Value], form: Form, when: &str) -> Vec<String> {
    let file = script(database, questions);
    let output = tapebook(database, &["sql", "-f", &file, "--format", form.name()]);
    wrong_answers(&output, questions, form, when)
}

/// Asks a server on the directory everything, and tells which answers are wrong.
fn ask_server(database: &Path, questions: &[&Value]) -> Vec<String> {
    let file = script(database, questions);
    let served = Served::start(database);
    let output = served.ok(&["sql", "-f", &file, "--format", Form::Ndjson.name()]);
    wrong_answers(&output, questions, Form::Ndjson, "over Flight SQL")
}

/// A file with all questions, each behind its name.
fn script(database: &Path, questions: &[&Value]) -> String {
    let script: String = questions
        .iter()
        .map(|question| format!("SELECT '{}' AS question;\n{};\n", name(question), text(&question["sql"])))
        .collect();
    let file = database.with_extension("sql");
    fs::write(&file, script).unwrap();
    file.display().to_string()
}

fn wrong_answers(output: &str, questions: &[&Value], form: Form, when: &str) -> Vec<String> {
    let columns = questions.iter().map(|question| (name(question), texts(&question["columns"]))).collect();
    let answers = form.read(output, &columns);
    let wrong = |question: &&Value| {
        let found = answers.get(&name(question)).map_or(&[][..], Vec::as_slice);
        let wrong = differences(question, found);
        let sql = text(&question["sql"]);
        (!wrong.is_empty()).then(|| format!("{} {when}\n{sql}\n{}", name(question), wrong.join("\n")))
    };
    questions.iter().filter_map(wrong).collect()
}

fn name(question: &Value) -> String {
    format!("{}.{}", text(&question["group"]), text(&question["name"]))
}

fn differences(question: &Value, found: &[Row]) -> Vec<String> {
    let rows = list(&question["rows"]);
    if found.len() != rows.len() {
        return vec![format!("  {} rows, expected {}", found.len(), rows.len())];
    }
    let (columns, kinds) = (texts(&question["columns"]), texts(&question["kinds"]));
    let mut wrong = Vec::new();
    for (at, (expected, found)) in rows.iter().zip(found).enumerate() {
        if found.len() != columns.len() {
            wrong.push(format!("  row {at}: {} columns, expected {}", found.len(), columns.len()));
            continue;
        }
        for (column, expected) in list(expected).iter().enumerate() {
            if let Some(reason) = difference(kinds[column], expected, found[column].as_deref()) {
                wrong.push(format!("  row {at}, {}: {reason}", columns[column]));
            }
        }
    }
    wrong
}

/// How a cell differs from the golden one.
fn difference(kind: &str, expected: &Value, found: Option<&str>) -> Option<String> {
    let is_equal = match (expected, found) {
        (Value::Null, None) => true,
        (Value::Null, Some(_)) | (_, None) => false,
        (expected, Some(found)) => match kind {
            "int" => expected.to_string().as_str() == found,
            "double" => number(found) == number(text(expected)),
            "computed" => {
                let (found, expected) = (number(found), number(text(expected)));
                (found - expected).abs() <= expected.abs() * 1e-12
            }
            "text" => found == text(expected),
            other => panic!("{other} is no kind of value"),
        },
    };
    (!is_equal).then(|| format!("{}, expected {expected}", found.unwrap_or("NULL")))
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}
