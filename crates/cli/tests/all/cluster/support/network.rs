//! Where the nodes of a test live: each in a network namespace of its own, or on loopback addresses.
//!
//! Namespaces hang on one bridge, and a route in one of them that leads nowhere cuts one direction of one link. They need root; where
//! they cannot be made, the nodes share the loopback device and no link can be cut.
//!
//! Everything is named after the process that made it, so that processes do not get into each other's way and what a killed
//! one has left is found and removed by the next.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::process::{Command, Stdio};

/// Everything of ours begins with this, then the process id.
const PREFIX: &str = "tbk";
const PORT: u16 = 7700;
/// 198.18.0.0/15 is set aside for tests; each process takes 16 addresses of it.
const FIRST: u32 = 0xc612_0000;
const BLOCKS: u32 = 1 << 13;
const BLOCK: u32 = 16;
const BITS: u32 = 28;
/// `loopback` here does without namespaces.
const CHOICE: &str = "TAPEBOOK_CLUSTER_NETWORK";

/// A network for one test.
#[derive(Debug)]
pub(crate) struct Network {
    /// The first address of the block; `None` on loopback.
    block: Option<u32>,
    namespaces: Vec<u64>,
}

/// Where one node is.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) address: SocketAddrV4,
    namespace: Option<String>,
}

impl Home {
    /// A program that runs there.
    pub(crate) fn command(&self, program: &str) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, program]);
                command
            }
        }
    }
}

impl Network {
    pub(crate) fn new() -> Self {
        let mut network = Self { block: None, namespaces: Vec::new() };
        if std::env::var(CHOICE).is_ok_and(|choice| choice == "loopback") {
            return network;
        }
        remove_leftovers();
        if let Err(reason) = network.begin() {
            eprintln!("nodes share the loopback device: {reason}");
            network = Self { block: None, namespaces: Vec::new() };
        }
        network
    }

    fn begin(&mut self) -> Result<(), String> {
        let block = free_block()?;
        self.block = Some(block);
        let bridge = own_name();
        ip(&["link", "add", "name", &bridge, "type", "bridge"])?;
        ip(&["addr", "add", &format!("{}/{BITS}", Ipv4Addr::from(block + BLOCK - 2)), "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        // The first one shows whether namespaces can be made at all.
        self.make_namespace(0, block)
    }

    fn make_namespace(&mut self, node: u64, block: u32) -> Result<(), String> {
        let (name, bridge) = (namespace(node), own_name());
        ip(&["netns", "add", &name])?;
        self.namespaces.push(node);
        ip(&["link", "add", "name", &name, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
        ip(&["link", "set", &name, "master", &bridge, "up"])?;
        let address = format!("{}/{BITS}", address(block, node));
        ip(&["-n", &name, "addr", "add", &address, "dev", "eth0"])?;
        ip(&["-n", &name, "link", "set", "eth0", "up"])?;
        ip(&["-n", &name, "link", "set", "lo", "up"])
    }

    /// A place for a node, ids 1 to 12.
    pub(crate) fn home(&mut self, node: u64) -> Home {
        assert!((1..=12).contains(&node), "there is no room for node {node}");
        match self.block {
            Some(block) => {
                self.make_namespace(node, block).unwrap();
                let address = SocketAddrV4::new(address(block, node), PORT);
                Home { address, namespace: Some(namespace(node)) }
            }
            None => {
                let [.., high, low] = std::process::id().to_be_bytes();
                let node = u8::try_from(node).unwrap();
                let host = Ipv4Addr::new(127, high.max(1), low, 10 + node);
                let port = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap().port();
                Home { address: SocketAddrV4::new(host, port), namespace: None }
            }
        }
    }

    /// True where links can be cut.
    pub(crate) fn can_cut(&self) -> bool {
        self.block.is_some()
    }

    /// Nothing that a node sends reaches another one any more.
    pub(crate) fn cut(&self, from: u64, to: u64) {
        let block = self.block.expect("links can be cut");
        let to = address(block, to).to_string();
        ip(&["-n", &namespace(from), "route", "add", "blackhole", &to]).unwrap();
    }

    /// The way is free again.
    pub(crate) fn heal(&self, from: u64, to: u64) {
        let block = self.block.expect("links can be cut");
        let to = address(block, to).to_string();
        ip(&["-n", &namespace(from), "route", "del", "blackhole", &to]).unwrap();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Nothing is lost where this fails: the next test removes it.
        for node in &self.namespaces {
            // The kernel takes its time with a namespace; the next one gets the same name.
            let _ = ip(&["link", "del", &namespace(*node)]);
            let _ = ip(&["netns", "del", &namespace(*node)]);
        }
        if self.block.is_some() {
            let _ = ip(&["link", "del", &own_name()]);
        }
    }
}

/// What belongs to this process: its bridge, the source of what it mounts.
pub(crate) fn own_name() -> String {
    format!("{PREFIX}{}", std::process::id())
}

fn namespace(node: u64) -> String {
    format!("{}n{node}", own_name())
}

fn address(block: u32, node: u64) -> Ipv4Addr {
    Ipv4Addr::from(block + 1 + u32::try_from(node).unwrap())
}

fn ip(args: &[&str]) -> Result<(), String> {
    run("ip", args).map(drop)
}

/// What a program of the system printed.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let told = |error: &dyn std::fmt::Display| format!("{program} {}: {error}", args.join(" "));
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| told(&error))?;
    if !output.status.success() {
        return Err(told(&String::from_utf8_lossy(&output.stderr).trim_end()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sixteen addresses that nobody here uses. Two processes that look at the same time look in different places.
fn free_block() -> Result<u32, String> {
    let begin = std::process::id();
    for attempt in 0..64 {
        let block = FIRST + (begin.wrapping_add(attempt) % BLOCKS) * BLOCK;
        let used =
            run("ip", &["-4", "-o", "addr", "show", "to", &format!("{}/{BITS}", Ipv4Addr::from(block))])?;
        if used.trim().is_empty() {
            return Ok(block);
        }
    }
    Err("198.18.0.0/15 is full".to_owned())
}

/// Removes what processes have left that were killed before they could.
fn remove_leftovers() {
    let is_left = |name: &str| {
        let id = name.strip_prefix(PREFIX)?;
        let end = id.find(|c: char| !c.is_ascii_digit()).unwrap_or(id.len());
        let id: u32 = id[..end].parse().ok()?;
        // Of one that has ended and was not waited for there is nothing to read.
        let runs = std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|command| !command.is_empty());
        (!runs).then(|| name.to_owned())
    };
    let first_words = |text: String, at: usize| -> Vec<String> {
        text.lines().filter_map(|line| is_left(line.split_whitespace().nth(at)?)).collect()
    };
    for name in first_words(run("ip", &["netns", "list"]).unwrap_or_default(), 0) {
        // They serve a test that is no more.
        for process in run("ip", &["netns", "pids", &name]).unwrap_or_default().split_whitespace() {
            let _ = run("kill", &["-KILL", process]);
        }
        let _ = run("ip", &["netns", "del", &name]);
    }
    for name in first_words(run("ip", &["-br", "link", "show", "type", "bridge"]).unwrap_or_default(), 0) {
        let _ = run("ip", &["link", "del", &name]);
    }
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    for line in mounts.lines() {
        let mut words = line.split_whitespace();
        if let (Some(source), Some(place)) = (words.next(), words.next())
            && is_left(source).is_some()
        {
            let _ = run("umount", &["--lazy", place]);
        }
    }
}
