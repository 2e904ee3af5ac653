//! What the demonstration shows each second: a board that is redrawn on a terminal, one line elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use console::Term;

use super::feed::Feed;
use crate::error::{CliError, stdout_error};
use crate::output;
use crate::sql::Runner;
use crate::text::rfc3339;

/// The time that quotes and trades on the board come from.
const LOOK_BACK_NANOS: i64 = 60_000_000_000;

/// Shows how the feed is doing.
#[derive(Debug)]
pub(super) struct Board {
    terminal: Option<Term>,
    quiet: bool,
    place: String,
    rows_before: u64,
    lines_drawn: usize,
}

impl Board {
    pub(super) fn new(place: String, quiet: bool) -> Self {
        let terminal = io::stdout().is_terminal().then(Term::stdout);
        Self { terminal, quiet, place, rows_before: 0, lines_drawn: 0 }
    }

    /// Asks the database and shows the answer. `since` is the time since the last call.
    pub(super) fn show(
        &mut self,
        runner: &Runner,
        feed: &Feed,
        elapsed: Duration,
        since: Duration,
    ) -> Result<(), CliError> {
        if self.quiet {
            return Ok(());
        }
        let rows = feed.rows.load(std::sync::atomic::Ordering::Relaxed);
        let rate = (rows - self.rows_before) as f64 / since.as_secs_f64().max(1e-3);
        self.rows_before = rows;
        let latency = feed.latency();
        let status = format!(
            "{:>4.0} s  {rows} rows  {rate:.0} rows/s  synced append p50 {} p99 {}",
            elapsed.as_secs_f64(),
            milliseconds(latency.quantile(0.5)),
            milliseconds(latency.quantile(0.99)),
        );
        let batches = runner.collect(&live_query(crate::clock::unix_nanos()))?;
        let text = match &self.terminal {
            None => {
                let symbols = output::rows_as_text(&batches)?;
                let symbols = symbols
                    .iter()
                    .map(|row| format!("{} {} spread {} vwap {}", row[0], row[1], row[4], row[5]));
                [status].into_iter().chain(symbols).collect::<Vec<_>>().join("; ") + "\n"
            }
            Some(_) => {
                let table = output::table_text(&batches)?;
                format!("{}\n{status}\n\n{table}\nCtrl-C ends the demonstration.\n", self.place)
            }
        };
        self.draw(&text).map_err(|error| stdout_error(&error))
    }

    fn draw(&mut self, text: &str) -> io::Result<()> {
        match &mut self.terminal {
            Some(terminal) => {
                terminal.clear_last_lines(self.lines_drawn)?;
                terminal.write_all(text.as_bytes())?;
                self.lines_drawn = text.lines().count();
                terminal.flush()
            }
            None => io::stdout().write_all(text.as_bytes()),
        }
    }
}

/// Last trade, best bid and offer, and the average price by volume, of each symbol.
fn live_query(now: i64) -> String {
    let since = rfc3339(now.saturating_sub(LOOK_BACK_NANOS));
    format!(
        "SELECT q.symbol, t.last, q.bid, q.ask, q.ask - q.bid AS spread, t.vwap, t.trades FROM (
           SELECT symbol, CAST(last_value(bid_price ORDER BY ts, seq) AS DECIMAL(18,5)) AS bid,
                  CAST(last_value(ask_price ORDER BY ts, seq) AS DECIMAL(18,5)) AS ask
           FROM quotes WHERE ts >= '{since}' GROUP BY symbol) q
         LEFT JOIN (
           SELECT symbol, CAST(last_value(price ORDER BY ts, seq) AS DECIMAL(18,5)) AS last,
                  CAST(sum(price * size) / sum(size) AS DECIMAL(18,5)) AS vwap, count(*) AS trades
           FROM trades WHERE ts >= '{since}' GROUP BY symbol) t
         ON q.symbol = t.symbol ORDER BY q.symbol"
    )
}

/// A duration as milliseconds.
pub(super) fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}
