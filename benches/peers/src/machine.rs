//! What it was measured on: processor, memory, disk, kernel, versions.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::report::Table;

/// The packages whose versions are told.
const PACKAGES: [&str; 4] = ["librocksdb-sys", "fjall", "lsm-tree", "redb"];

/// A table about the machine and the disk under a directory.
pub fn describe(dir: &Path, rounds: usize, quick: bool) -> Table {
    let mut table = Table::new("Machine", &["what", "value"]);
    let mut say = |what: &str, value: String| table.row(vec![what.to_owned(), value]);
    say("processor", processor());
    say("memory", memory());
    say("disk", disk(dir).unwrap_or_else(|| "unknown".to_owned()));
    say("system", format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()));
    say("compiler", compiler());
    say("engines", versions());
    say("load", format!("{} when it began", read("/proc/loadavg").trim()));
    let size = if quick { ", small inputs: only to see that it works" } else { "" };
    say("rounds", format!("{rounds}{size}"));
    table
}

fn processor() -> String {
    let text = read("/proc/cpuinfo");
    let model = text.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown").trim().to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores, everything compiled for it (`target-cpu=native`)")
}

fn memory() -> String {
    let text = read("/proc/meminfo");
    let kib =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    format!("{:.1} GiB", kib.unwrap_or(0.0) / f64::from(1 << 20))
}

/// File system, options, device and its scheduler.
fn disk(dir: &Path) -> Option<String> {
    let device = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    let number = format!("{major}:{minor}");
    let mounts = read("/proc/self/mountinfo");
    let mount = mounts.lines().find(|line| line.split_whitespace().nth(2) == Some(&number))?;
    let (place, kind) = mount.split_once(" - ")?;
    let options = place.split_whitespace().nth(5)?;
    let mut words = kind.split_whitespace();
    let (system, name) = (words.next()?, words.next()?);
    let block = format!("/sys/dev/block/{number}");
    let queue = [format!("{block}/queue"), format!("{block}/../queue")];
    let of_queue = |what: &str| {
        let found = queue.iter().map(|queue| read(&format!("{queue}/{what}"))).find(|text| !text.is_empty());
        found.map_or("unknown".to_owned(), |text| text.trim().to_owned())
    };
    Some(format!(
        "{name}, {system} ({options}), scheduler `{}`, {}",
        of_queue("scheduler"),
        of_queue("write_cache")
    ))
}

fn compiler() -> String {
    let said = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
    };
    let rustc = said("rustc").unwrap_or_else(|| "rustc unknown".to_owned());
    if cfg!(feature = "rocksdb") {
        format!("{rustc}; {}", said("c++").unwrap_or_else(|| "C++ unknown".to_owned()))
    } else {
        rustc
    }
}

/// As the lock file states them.
fn versions() -> String {
    let lock = include_str!("../Cargo.lock");
    let version = |package: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
        Some(format!("{package} {}", rest.split('"').next()?))
    };
    let found: Vec<String> = PACKAGES.into_iter().filter_map(version).collect();
    format!("tapebook {}, {}", tapebook_version(lock), found.join(", "))
}

fn tapebook_version(lock: &str) -> &str {
    let rest = lock.split_once("name = \"tapebook\"\nversion = \"").map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split('"').next()).unwrap_or("unknown")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
