//! The directory lock: one holder, and a refusal that says who it is.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tapebook_vfs::{LockError, MemoryVfs, RealVfs, Vfs};

const CHILD_DIR: &str = "TAPEBOOK_VFS_LOCK_DIR";

fn one_holder_at_a_time(vfs: &dyn Vfs, dir: &Path) {
    let lock = vfs.lock_dir(dir, "tapebook import\ntrades.csv").unwrap();
    let line = vfs.read_file(&dir.join("LOCK"), 100).unwrap();
    let pid = std::process::id();
    assert_eq!(String::from_utf8(line).unwrap(), format!("pid={pid} command=tapebook import trades.csv\n"));

    let refused = vfs.lock_dir(dir, "tapebook serve").unwrap_err();
    let message = refused.to_string();
    assert!(message.starts_with(&format!("{} is in use by process {pid} (tapebook import", dir.display())));
    assert!(message.ends_with("trades.csv); stop it or choose another directory"), "{message}");
    let LockError::InUse { path, owner } = refused else { panic!("{refused:?}") };
    assert_eq!((path.as_path(), owner.pid), (dir, pid));

    drop(lock);
    drop(vfs.lock_dir(dir, "tapebook serve").unwrap());
    let LockError::Io { source, .. } = vfs.lock_dir(&dir.join("none"), "tapebook").unwrap_err() else {
        panic!()
    };
    assert_eq!(source.kind(), ErrorKind::NotFound);
    assert_eq!(vfs.read_dir(dir).unwrap().len(), 1);
}

#[test]
fn one_holder_at_a_time_on_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    one_holder_at_a_time(&RealVfs::new(), dir.path());
}

#[test]
fn one_holder_at_a_time_in_memory() {
    let vfs = MemoryVfs::new(1);
    vfs.create_dir_all(Path::new("/data")).unwrap();
    one_holder_at_a_time(&vfs, Path::new("/data"));
}

#[test]
fn an_unreadable_lock_file_has_an_unknown_owner() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = RealVfs::new();
    let _lock = vfs.lock_dir(dir.path(), "tapebook").unwrap();
    for content in [&b""[..], b"\xff\xfe garbage", b"pid=x"] {
        let file = vfs.open(&dir.path().join("LOCK"), tapebook_vfs::OpenMode::ReadWrite).unwrap();
        file.set_len(0).unwrap();
        super::write(&*file, 0, content).unwrap();
        let LockError::InUse { owner, .. } = vfs.lock_dir(dir.path(), "tapebook").unwrap_err() else {
            panic!()
        };
        assert_eq!((owner.pid, owner.command.as_str()), (0, "unknown"));
    }
}

#[test]
fn a_long_command_is_cut() {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new(1));
    let _lock = vfs.lock_dir(Path::new("/"), &"ä".repeat(10_000)).unwrap();
    let line = vfs.read_file(Path::new("/LOCK"), 4096).unwrap();
    assert!(line.ends_with("ä\n".as_bytes()));
}

/// Runs only as the other process of the test below: holds the lock until it is killed.
#[test]
fn hold_the_lock_as_a_child() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let _lock = RealVfs::new().lock_dir(Path::new(&dir), "tapebook serve --data here").unwrap();
    println!("\nlocked");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn the_lock_of_another_process_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::hold_the_lock_as_a_child", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap() == "locked"));

    let vfs = RealVfs::new();
    let LockError::InUse { owner, .. } = vfs.lock_dir(dir.path(), "tapebook").unwrap_err() else { panic!() };
    assert_eq!((owner.pid, owner.command.as_str()), (child.id(), "tapebook serve --data here"));
    child.kill().unwrap();
    child.wait().unwrap();
    vfs.lock_dir(dir.path(), "tapebook").unwrap();
}
