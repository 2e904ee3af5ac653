//! Objects with their length and hash, which every reader proves.

use std::io::{self, Read};

use xxhash_rust::xxh3::Xxh3;

use super::{BackupError, BackupTarget};

/// An object of a backup.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BackupFile {
    /// Its name in the data directory that it came from.
    pub name: String,
    /// Its name in the target.
    pub object: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// XXH3 of its bytes, 128 bits.
    pub hash: [u8; 16],
}

/// Passes bytes on and computes their length and hash.
pub(super) struct Hashing<'a> {
    from: &'a mut dyn Read,
    hash: Xxh3,
    pub(super) bytes: u64,
}

impl<'a> Hashing<'a> {
    pub(super) fn new(from: &'a mut dyn Read) -> Self {
        Self { from, hash: Xxh3::new(), bytes: 0 }
    }

    pub(super) fn hash(&self) -> [u8; 16] {
        self.hash.digest128().to_le_bytes()
    }
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Reads an object and hands its bytes on, piece by piece. An error where it is not what was written, after the last
/// piece: until this returns, nothing that was handed on is to be trusted.
pub(super) fn read_checked(
    target: &dyn BackupTarget,
    file: &BackupFile,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), BackupError> {
    let place = || target.place(&file.object);
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => BackupError::Missing { place: place() },
        _ => BackupError::io("read", place(), source),
    };
    let mut object = target.get(&file.object).map_err(io)?;
    let mut hashing = Hashing::new(&mut *object);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = hashing.read(&mut buffer).map_err(io)?;
        if read == 0 {
            break;
        }
        if hashing.bytes > file.bytes {
            break;
        }
        take(&buffer[..read]).map_err(|source| BackupError::io("copy", place(), source))?;
    }
    if hashing.bytes != file.bytes {
        let reason = format!("{} bytes or more, expected {}", hashing.bytes, file.bytes);
        return Err(BackupError::Damaged { place: place(), reason });
    }
    if hashing.hash() != file.hash {
        return Err(BackupError::Damaged {
            place: place(),
            reason: "its checksum is not that of the backup".to_owned(),
        });
    }
    Ok(())
}
