//! The interactive shell, and the same commands from a file or a pipe.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};

use super::completion::{COMMANDS, SqlCompletion};
use super::describe;
use super::{Item, Runner, Script, Summary};
use crate::error::CliError;
use crate::output::OutputArgs;
use crate::text::{count, one_line};

/// Entries that the history keeps.
const HISTORY_ENTRIES_MAX: usize = 10_000;

/// Runs statements and the shell's own commands.
#[derive(Debug)]
pub(crate) struct Shell<'a> {
    runner: &'a Runner,
    output: &'a OutputArgs,
    quiet: bool,
    timing: bool,
    results: u64,
}

/// What happens after a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Continue,
    Quit,
}

impl<'a> Shell<'a> {
    pub(crate) fn new(runner: &'a Runner, output: &'a OutputArgs, quiet: bool) -> Self {
        Self { runner, output, quiet, timing: false, results: 0 }
    }

    /// Runs a whole text and stops at the first error.
    pub(crate) fn run_text(&mut self, text: &str) -> Result<(), CliError> {
        let items = Script::items(text);
        let results = items.iter().filter(|item| matches!(item, Item::Statement(_))).count();
        if items.is_empty() {
            return Err(CliError::usage(
                "there is no statement in it; write one, such as SELECT * FROM trades LIMIT 10",
            ));
        }
        if results > 1 {
            self.one_result_only(results as u64)?;
        }
        for item in items {
            if self.run(&item)? == Next::Quit {
                break;
            }
        }
        Ok(())
    }

    /// Runs what comes in, as it comes, and stops at the first error.
    pub(crate) fn run_input(&mut self, input: impl BufRead) -> Result<(), CliError> {
        let mut script = Script::default();
        for line in input.lines() {
            let line =
                line.map_err(|error| CliError::failed(format!("standard input: cannot read: {error}")))?;
            for item in script.push_line(&line) {
                if self.run(&item)? == Next::Quit {
                    return Ok(());
                }
            }
        }
        match script.finish() {
            Some(item) => self.run(&item).map(drop),
            None => Ok(()),
        }
    }

    /// Talks to the user until he leaves.
    pub(crate) fn run_interactive(&mut self) -> Result<(), CliError> {
        let failed = |error: ReadlineError| CliError::failed(format!("the terminal cannot be read: {error}"));
        let config = Config::builder()
            .max_history_size(HISTORY_ENTRIES_MAX)
            .map_err(failed)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor: Editor<SqlCompletion, DefaultHistory> =
            Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(SqlCompletion::new(self.runner)));
        let history = history_file();
        if let Some(path) = &history {
            // The first time there is none.
            let _ = editor.load_history(path);
        }
        let mut script = Script::default();
        let mut entry = String::new();
        loop {
            let prompt = if script.is_open() { "tapebook-> " } else { "tapebook=> " };
            let line = match editor.readline(prompt) {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => {
                    script.clear();
                    entry.clear();
                    continue;
                }
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(failed(error)),
            };
            let items = script.push_line(&line);
            // A command in the middle of a statement is no part of it.
            let remembered = if matches!(items[..], [Item::Command(_)]) {
                line
            } else {
                entry = if entry.is_empty() { line } else { format!("{entry}\n{line}") };
                if script.is_open() { String::new() } else { entry.clone() }
            };
            if !remembered.trim().is_empty() {
                // Neither a full history nor an unwritable one is worth an error in the middle of work.
                let _ = editor.add_history_entry(remembered);
                if let Some(path) = &history {
                    let _ = editor.append_history(path);
                }
            }
            if !script.is_open() {
                entry.clear();
            }
            if self.run_all(&items) == Next::Quit {
                break;
            }
        }
        Ok(())
    }

    /// Runs items and tells errors; the user decides how to go on.
    fn run_all(&mut self, items: &[Item]) -> Next {
        for item in items {
            self.runner.interrupt().clear();
            match self.run(item) {
                Ok(Next::Continue) => {}
                Ok(Next::Quit) => return Next::Quit,
                Err(CliError::BrokenPipe) => return Next::Quit,
                Err(error) => {
                    error.report();
                    break;
                }
            }
        }
        self.runner.interrupt().clear();
        Next::Continue
    }

    fn run(&mut self, item: &Item) -> Result<Next, CliError> {
        match item {
            Item::Statement(sql) => {
                self.results += 1;
                if self.results > 1 {
                    self.one_result_only(self.results)?;
                }
                let summary = self.runner.run(sql, self.output)?;
                self.tell(summary);
                Ok(Next::Continue)
            }
            Item::Command(command) => self.command(command),
        }
    }

    fn command(&mut self, command: &str) -> Result<Next, CliError> {
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match (name, argument.trim()) {
            ("\\q", "") => return Ok(Next::Quit),
            ("\\d", "") => describe::tables(self.runner, self.output)?,
            ("\\d", table) => describe::table(self.runner, table, self.output)?,
            ("\\r", "") => {}
            ("\\timing", "") => {
                self.timing = !self.timing;
                eprintln!("timing is {}", if self.timing { "on" } else { "off" });
            }
            ("\\?", "") => {
                eprintln!(
                    "A statement ends with a semicolon and may have several lines. Ctrl-C cancels a query."
                );
                for (name, meaning) in COMMANDS {
                    eprintln!("  {name:<8} {meaning}");
                }
            }
            _ => {
                return Err(CliError::failed(format!(
                    "{}: no such command; \\? lists them",
                    one_line(command)
                )));
            }
        }
        Ok(Next::Continue)
    }

    fn one_result_only(&self, results: u64) -> Result<(), CliError> {
        if !self.output.holds_one_result() {
            return Ok(());
        }
        Err(CliError::usage(format!(
            "--output and the forms arrow and parquet hold one result, and there are {results} statements or more; \
             give one statement, or write text to standard output"
        )))
    }

    fn tell(&self, summary: Summary) {
        if self.quiet {
            return;
        }
        let milliseconds = summary.took.as_secs_f64() * 1e3;
        if io::stdout().is_terminal() || self.output.output.is_some() {
            let done = summary.rows.map_or_else(|| "set".to_owned(), |rows| count(rows, "row"));
            match self.timing {
                true => eprintln!("({done}, {milliseconds:.3} ms)"),
                false => eprintln!("({done})"),
            }
        } else if self.timing {
            eprintln!("{milliseconds:.3} ms");
        }
    }
}

/// Where the history is kept: in the user's directory for state, by the XDG rules. It is made where it is missing.
#[allow(clippy::disallowed_methods, reason = "the history is the user's file and no part of the database")]
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    let dir = state.join("tapebook");
    std::fs::create_dir_all(&dir).ok()?;
    Some(dir.join("history"))
}
