//! `tapebook serve` on a data directory, and the command that asks it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use crate::support::Ran;

/// A server. It ends when this is dropped.
pub(crate) struct Served {
    pub(crate) url: String,
    child: Child,
    /// Read on until the end, it would hold the server up.
    _err: BufReader<ChildStderr>,
}

impl Served {
    pub(crate) fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tapebook"))
            .args(["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        while !log.contains("HTTP on ") {
            assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
        }
        let address = log.split_once("gRPC on ").unwrap().1.split(',').next().unwrap();
        Self { url: format!("grpc://{address}"), child, _err: err }
    }

    /// The command, asking this server.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapebook"));
        command.arg("--quiet").args(args).args(["--url", &self.url]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Standard output of a run that must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
