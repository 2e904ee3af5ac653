//! Tests of the file systems through their public traits.

mod capacity;
mod conformance;
mod crash_bytes;
mod crash_names;
mod crash_process;
mod differential;
mod faults;
mod lock;
mod observe;

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use proptest::test_runner::{Config, RngSeed};
use tapebook_vfs::{File, OpenMode, Vfs};

/// Writes `bytes` to a file, which it creates where it is missing, without a sync.
fn put(vfs: &dyn Vfs, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = vfs.open(Path::new(path), OpenMode::CreateOrOpen).unwrap();
    file.write_all_at(0, &[IoSlice::new(bytes)]).unwrap();
    file
}

/// The same, durable with its name.
fn put_durably(vfs: &dyn Vfs, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = put(vfs, path, bytes);
    file.sync_data().unwrap();
    vfs.sync_dir(Path::new(path).parent().unwrap()).unwrap();
    file
}

fn write(file: &dyn File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(offset, &[IoSlice::new(bytes)])
}

fn get(vfs: &dyn Vfs, path: &str) -> io::Result<Vec<u8>> {
    vfs.read_file(Path::new(path), 1 << 30)
}

fn exists(vfs: &dyn Vfs, path: &str) -> bool {
    vfs.exists(Path::new(path)).unwrap()
}

/// Property tests draw the same cases in every run.
fn seeded(cases: u32) -> Config {
    Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(0x7461_7065), ..Config::default() }
}
