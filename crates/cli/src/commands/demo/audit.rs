//! What must hold in a market whatever happened in it, asked of the database in SQL.

use crate::error::CliError;
use crate::output::rows_as_text;
use crate::sql::Runner;

/// Money moves between accounts and never comes or goes.
const MONEY: &str = "\
SELECT count(*) AS currencies, count(*) FILTER (WHERE at_first <> at_last) AS wrong FROM (
  SELECT symbol, sum(at_first) AS at_first, sum(at_last) AS at_last FROM (
    SELECT symbol, account,
           first_value(balance ORDER BY ts, seq) AS at_first,
           last_value(balance ORDER BY ts, seq) AS at_last
    FROM balances GROUP BY symbol, account)
  GROUP BY symbol)";
/// Both sides of a trade hear of it.
const EXECUTIONS: &str = "SELECT trades, executions FROM (SELECT count(*) AS trades FROM trades) CROSS JOIN \
     (SELECT count(*) AS executions FROM executions)";
/// Sequence numbers are dense from 1.
const SEQUENCE: &str =
    "SELECT total, last_seq FROM (SELECT sum(rows) AS total FROM sys.tables) CROSS JOIN sys.wal";

/// The answer to one question.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) text: String,
    pub(super) holds: bool,
}

/// Asks all questions.
pub(super) fn audit(runner: &Runner) -> Result<Vec<Finding>, CliError> {
    let [currencies, wrong] = two_numbers(runner, MONEY)?;
    let money = Finding {
        text: format!(
            "the sum of all balances is what it was at the start in {} of {currencies} currencies",
            currencies - wrong
        ),
        holds: wrong == 0 && currencies > 0,
    };
    let [trades, executions] = two_numbers(runner, EXECUTIONS)?;
    let both_sides = Finding {
        text: format!("{trades} trades have {executions} executions"),
        holds: executions == 2 * trades,
    };
    let [rows, last_seq] = two_numbers(runner, SEQUENCE)?;
    let dense = Finding {
        text: format!("{rows} rows have the sequence numbers 1 to {last_seq}"),
        holds: rows == last_seq,
    };
    Ok(vec![money, both_sides, dense])
}

/// The only row of a result with two whole numbers.
fn two_numbers(runner: &Runner, sql: &str) -> Result<[u64; 2], CliError> {
    let rows = rows_as_text(&runner.collect(sql)?)?;
    let numbers: Option<Vec<u64>> = rows.iter().flatten().map(|text| text.parse().ok()).collect();
    match numbers.as_deref() {
        Some([first, second]) => Ok([*first, *second]),
        _ => Err(CliError::failed(format!("the audit gave {rows:?} and not two numbers: {sql}"))),
    }
}
