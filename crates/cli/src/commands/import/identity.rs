//! Which import this is: the same files into the same table, read in the same way, are the same import.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::options::ReadArgs;
use crate::error::CliError;

/// Changes when the same file is read into other batches than before, so that their numbers say something else.
const READING_VERSION: u32 = 1;
const CHUNK_BYTES: usize = 1 << 20;

/// The producer that an import is. Its content decides, not its names or times: a copy of a file is the same file. Names count only
/// where they say which day it is.
pub(super) fn producer_id(table: &str, files: &[PathBuf], read: &ReadArgs) -> Result<u64, CliError> {
    let mut hash = Xxh3::new();
    hash.update(&READING_VERSION.to_le_bytes());
    text(&mut hash, table);
    text(&mut hash, &read.describe());
    for path in files {
        if read.takes_date_from_name() {
            text(&mut hash, &path.file_name().unwrap_or_default().to_string_lossy());
        }
        let bytes = content(&mut hash, path).map_err(|error| {
            CliError::failed(format!("{}: cannot read: {error}; nothing was imported", path.display()))
        })?;
        hash.update(&bytes.to_le_bytes());
    }
    // 0 stands for no producer.
    Ok(hash.digest().max(1))
}

fn text(hash: &mut Xxh3, text: &str) {
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

fn content(hash: &mut Xxh3, path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(bytes),
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}
