//! What a schedule did, for a person to read and as one hash.
//!
//! Equal seeds must make equal traces, bit for bit: of the lines, of every call to the disk, and of the bytes that lie there
//! at the end.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

/// Lines, and the hash over them.
pub(crate) struct Trace {
    hash: Xxh3,
    shown: bool,
}

impl Trace {
    /// `shown`: the lines go to standard output.
    pub fn new(shown: bool) -> Self {
        Self { hash: Xxh3::new(), shown }
    }

    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        let line = line.to_string();
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        if self.shown {
            println!("{line}");
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    pub fn hash(&self) -> u64 {
        self.hash.digest()
    }
}
