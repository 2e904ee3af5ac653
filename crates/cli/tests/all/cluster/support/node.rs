//! One node: a process of the binary, its directory and its log.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::network::Home;
use super::{PATIENCE, network};

/// Lines of a log that are shown when a test fails.
const LINES_SHOWN: usize = 150;
/// Small enough that logs roll, MemTables are flushed and a node that was away for a while is sent files.
const SMALL: [&str; 8] = [
    "--wal-segment-bytes",
    "4MiB",
    "--memtable-bytes",
    "2MiB",
    "--log-entries-kept",
    "2000",
    "--http-listen",
    "off",
];

/// What others may know of a node while it is started and ended.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) node_id: u64,
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// How often it was started.
    lives: AtomicU64,
}

impl Place {
    pub(crate) fn life(&self) -> u64 {
        self.lives.load(Ordering::SeqCst)
    }
}

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Arc<Place>,
    pub(crate) data: PathBuf,
    home: Home,
    /// What it is started with, besides its directory.
    pub(crate) flags: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Node {
    pub(crate) fn new(node_id: u64, dir: &std::path::Path, home: Home, flags: Vec<String>) -> Self {
        let address = home.address.to_string();
        let place = Arc::new(Place { node_id, address, lives: AtomicU64::new(0) });
        let (data, log) = (dir.join(format!("node-{node_id}")), dir.join(format!("node-{node_id}.log")));
        let flags = flags.into_iter().chain(SMALL.map(str::to_owned)).collect();
        Self { place, data, home, flags, log, child: None }
    }

    /// Another value for a flag that it has.
    pub(crate) fn set(&mut self, flag: &str, value: &str) {
        let at = self.flags.iter().position(|given| given == flag).unwrap();
        self.flags[at + 1] = value.to_owned();
    }

    /// The command as it is started.
    fn command(&self) -> Command {
        let mut command = self.home.command(env!("CARGO_BIN_EXE_tapebook"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TAPEBOOK_") {
                command.env_remove(name);
            }
        }
        command.args(["serve", "--listen", &self.place.address, "--data"]).arg(&self.data);
        command.args(&self.flags).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "node {} runs already", self.place.node_id);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        self.place.lives.fetch_add(1, Ordering::SeqCst);
        self.child = Some(self.command().stderr(Stdio::from(log)).spawn().unwrap());
    }

    pub(crate) fn runs(&self) -> bool {
        self.child.is_some()
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("the node runs");
        network::run("kill", &[&format!("-{name}"), &child.id().to_string()]).unwrap();
    }

    /// Stops its threads where they are.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn wake(&self) {
        self.signal("CONT");
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("the node runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends it in order.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            let child = self.child.as_mut().expect("the node runs");
            if let Some(status) = child.try_wait().unwrap() {
                self.child = None;
                return status;
            }
            assert!(Instant::now() < until, "node {} does not end", self.place.node_id);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// True where it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of the log, each line with the node before it.
    pub(crate) fn show_log(&self) {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        for line in &lines[lines.len().saturating_sub(LINES_SHOWN)..] {
            eprintln!("node {} | {line}", self.place.node_id);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
