//! `tapebook retract`: hides a range of sequences of one table and says why, or shows it again.

use std::io::{self, Write};

use tapebook::{Db, RetractError, RetractionReceipt, SeqRange, TableId, check_reason};

use crate::args::Shared;
use crate::error::{CliError, advice, stdout_error};
use crate::text::count;

/// Arguments of `tapebook retract`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The rows stay stored: as_of('TABLE', N) in SQL shows what was known when the journal had \
                        reached N, and sys.retractions what is hidden, since when and why."
)]
pub(crate) struct RetractArgs {
    /// The table, such as trades or quotes
    table: String,
    /// The first sequence that is hidden
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    from_seq: u64,
    /// The last sequence that is hidden
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    to_seq: u64,
    /// Why, on one line; with --undo it may be left out
    #[arg(long, value_name = "TEXT", required_unless_present = "undo")]
    reason: Option<String>,
    /// Shows the rows of exactly that range again
    #[arg(long)]
    undo: bool,
}

pub(crate) fn run(shared: &Shared, args: &RetractArgs) -> Result<(), CliError> {
    let seqs = SeqRange { first: args.from_seq, last: args.to_seq };
    if seqs.is_empty() {
        let SeqRange { first, last } = seqs;
        return Err(CliError::usage(format!("--from-seq {first} is above --to-seq {last}; swap them")));
    }
    if let Some(reason) = &args.reason {
        check_reason(reason).map_err(|error| CliError::usage(format!("--reason: {error}")))?;
    }
    let db = shared.data_dir().open_existing()?;
    let table = super::import::find_table(db.snapshot().schemas(), &args.table)?.id;
    let line = change(&db, table, seqs, args)?;
    db.close().map_err(CliError::failed)?;
    writeln!(io::stdout(), "{line}").map_err(|error| stdout_error(&error))
}

/// Changes what is hidden; says how many rows that concerns.
fn change(db: &Db, table: TableId, seqs: SeqRange, args: &RetractArgs) -> Result<String, CliError> {
    let shown = || db.snapshot().count_rows(table, seqs).map_err(CliError::failed);
    let before = shown()?;
    let (name, range) = (&*args.table, seqs.first..=seqs.last);
    let reason = args.reason.as_deref().unwrap_or_default();
    if args.undo {
        let receipt = db.undo_retraction((name, range), reason).map_err(|error| refused(&error))?;
        let rows = count(shown()? - before, "row");
        let RetractionReceipt { id, at_seq, .. } = receipt;
        return Ok(format!(
            "showed {rows} of {name} again, seq {seqs}; retraction {id}, undone at seq {at_seq}"
        ));
    }
    let receipt = db.retract(name, range, reason).map_err(|error| refused(&error))?;
    let rows = count(before - shown()?, "row");
    let RetractionReceipt { id, at_seq, .. } = receipt;
    Ok(format!("retracted {rows} of {name}, seq {seqs}; retraction {id}, made at seq {at_seq}"))
}

fn refused(error: &RetractError) -> CliError {
    match advice(error) {
        Some(advice) => CliError::failed(format!("{error}; {advice}")),
        None => CliError::failed(error),
    }
}
