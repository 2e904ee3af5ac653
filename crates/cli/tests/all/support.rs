//! Runs the binary in a directory of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A directory with a database under `db`, and the binary.
#[derive(Debug)]
pub(crate) struct Place {
    dir: TempDir,
}

/// What a run of the binary left.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("db")
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The binary in this directory, with this database.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapebook"));
        command.args(args).current_dir(self.dir.path()).env("TAPEBOOK_DATA", self.data());
        command.env("HOME", self.dir.path()).env_remove("XDG_STATE_HOME").env_remove("TAPEBOOK_RETENTION");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    /// A run with these variables in its environment.
    pub(crate) fn run_with(&self, args: &[&str], variables: &[(&'static str, String)]) -> Ran {
        let mut command = self.command(args);
        let command = command.envs(variables.iter().map(|(name, value)| (name, value)));
        Ran::of(command.stdin(Stdio::null()).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A child that ends early does not read everything.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran::of(child.wait_with_output().unwrap())
    }

    /// Standard output of a run that must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out
    }

    /// The one line of an error.
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert_eq!(ran.err.trim_end().lines().count(), 1, "{args:?}: {ran:?}");
        assert!(ran.err.starts_with("tapebook: "), "{ran:?}");
        ran.err
    }

    /// The result of a query as CSV, without its header.
    pub(crate) fn sql(&self, query: &str) -> String {
        let out = self.ok(&["sql", "--format", "csv", query]);
        out.split_once('\n').unwrap().1.trim_end().to_owned()
    }

    /// Imports three trades.
    pub(crate) fn with_trades() -> Self {
        let place = Self::new();
        place.write("trades.csv", TRADES);
        let out = place.ok(&["import", "trades", "trades.csv"]);
        assert_eq!(out, "imported 3 rows, skipped 0, seq 1..3\n");
        place
    }
}

/// A small file; `flavor` has no place in the table.
pub(crate) const TRADES: &str = "\
timestamp,symbol,px,qty,side,trade_id,flavor
2024-08-09T00:00:00.000000001Z,B.ETH,3120.5,1.25,buy,7,x
2024-08-09T00:00:01Z,B.BTC,61800.2,0.006,sell,000008,y
2024-08-09T00:00:02Z,B.BTC,61800.3,,,9,z
";

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The only file in a folder whose name ends like this.
pub(crate) fn the_file(dir: &Path, end: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}
