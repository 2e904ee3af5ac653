//! What the Parquet decoder reads from: bytes of the file whose checksums were found right.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use tapebook_vfs::File;

use crate::decoder::reading;
use crate::error::{HistoryError, Part, io_error};
use crate::grains::{self, GRAIN_BYTES};
use crate::identity::HistoryIdentity;
use crate::thrift::is_sane_page_header;

/// A file of which the tail is in memory, checked; everything before it is checked a grain at a time, whenever it is
/// read. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedFile {
    inner: Arc<Inner>,
    /// Why a read failed: the decoder makes a text of every error that it hands on.
    failure: Arc<Mutex<Option<HistoryError>>>,
}

#[derive(Debug)]
struct Inner {
    path: Arc<Path>,
    file: Arc<dyn File>,
    identity: HistoryIdentity,
    tail_offset: u64,
    tail: Bytes,
    grains: Vec<u32>,
}

impl VerifiedFile {
    /// `grains` may be empty while only the tail is read.
    pub(crate) fn new(
        path: &Arc<Path>,
        file: &Arc<dyn File>,
        identity: HistoryIdentity,
        tail_offset: u64,
        tail: Bytes,
        grains: Vec<u32>,
    ) -> Self {
        let inner =
            Inner { path: Arc::clone(path), file: Arc::clone(file), identity, tail_offset, tail, grains };
        Self { inner: Arc::new(inner), failure: Arc::default() }
    }

    /// The same file with the checksums that were found in its tail.
    pub(crate) fn with_grains(self, grains: Vec<u32>) -> Self {
        let inner = match Arc::try_unwrap(self.inner) {
            Ok(inner) => Inner { grains, ..inner },
            Err(shared) => Inner {
                path: Arc::clone(&shared.path),
                file: Arc::clone(&shared.file),
                identity: shared.identity,
                tail_offset: shared.tail_offset,
                tail: shared.tail.clone(),
                grains,
            },
        };
        Self { inner: Arc::new(inner), failure: Arc::default() }
    }

    /// The same file for one scan, which learns of its own failures only.
    pub(crate) fn for_scan(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), failure: Arc::default() }
    }

    /// Why a read failed since the last call, where one did.
    pub(crate) fn take_failure(&self) -> Option<HistoryError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn read(&self, start: u64, length: usize) -> io::Result<Bytes> {
        reading(|| self.inner.read(start, length)).map_err(|error| {
            let text = error.to_string();
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            io::Error::other(text)
        })
    }

    /// Reads and checks every grain, while `pace`, which is told how many bytes come next, answers true; false where it
    /// did not to the end.
    pub(crate) fn scrub(&self, mut pace: impl FnMut(u64) -> bool) -> std::result::Result<bool, HistoryError> {
        let (mut at, end) = (0, self.inner.tail_offset);
        while at < end {
            let length = (end - at).min(64 * GRAIN_BYTES as u64);
            if !pace(length) {
                return Ok(false);
            }
            self.inner.read(at, length as usize)?;
            at += length;
        }
        Ok(true)
    }
}

impl Inner {
    /// Bytes that were found right, or an error that names the grain.
    fn read(&self, start: u64, length: usize) -> std::result::Result<Bytes, HistoryError> {
        let end = start.checked_add(length as u64);
        let file_end = self.tail_offset + self.tail.len() as u64;
        let Some(end) = end.filter(|end| *end <= file_end) else {
            let error =
                io::Error::new(io::ErrorKind::UnexpectedEof, "a part lies behind the end of the file");
            return Err(io_error(&self.path, error));
        };
        if start >= self.tail_offset {
            let at = (start - self.tail_offset) as usize;
            return Ok(self.tail.slice(at..at + length));
        }
        if end > self.tail_offset {
            let reason = "a part lies half in the tail";
            return Err(crate::error::structure(&self.path, Part::Pages, reason));
        }
        let grain = GRAIN_BYTES as u64;
        let first = start / grain * grain;
        let last = end.div_ceil(grain).saturating_mul(grain).min(self.tail_offset);
        let mut bytes = vec![0; (last - first) as usize];
        self.file.read_exact_at(first, &mut bytes).map_err(|source| io_error(&self.path, source))?;
        for (at, bytes) in bytes.chunks(GRAIN_BYTES).enumerate() {
            let number = first / grain + at as u64;
            let found = grains::checksum(self.identity, number, bytes);
            // Where there are too few checksums the file was refused when it was opened.
            let expected = self.grains.get(number as usize).copied().unwrap_or(!found);
            if found != expected {
                return Err(HistoryError::Checksum {
                    path: self.path.to_path_buf(),
                    offset: number * grain,
                    part: Part::Grain(number),
                    expected,
                    found,
                });
            }
        }
        Ok(Bytes::from(bytes).slice((start - first) as usize..(end - first) as usize))
    }
}

impl Length for VerifiedFile {
    fn len(&self) -> u64 {
        self.inner.tail_offset + self.inner.tail.len() as u64
    }
}

impl ChunkReader for VerifiedFile {
    type T = VerifiedRead;

    fn get_read(&self, start: u64) -> Result<VerifiedRead> {
        Ok(VerifiedRead { file: self.clone(), at: start, bytes: io::Cursor::default() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        Ok(self.read(start, length)?)
    }
}

/// Pages of the file, for a decoder that takes a page's header at its word.
#[derive(Clone, Debug)]
pub(crate) struct Pages(pub(crate) VerifiedFile);

impl Length for Pages {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Pages {
    type T = VerifiedRead;

    fn get_read(&self, start: u64) -> Result<VerifiedRead> {
        self.0.get_read(start)
    }

    /// With the page index each page is read at once, its header first.
    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let page = self.0.get_bytes(start, length)?;
        if is_sane_page_header(&page) {
            return Ok(page);
        }
        Err(ParquetError::General(format!("the page at byte {start} declares more than there can be")))
    }
}

/// Reads on from some place.
#[derive(Debug)]
pub(crate) struct VerifiedRead {
    file: VerifiedFile,
    at: u64,
    bytes: io::Cursor<Bytes>,
}

impl Read for VerifiedRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        let inner = &self.file.inner;
        let end = if self.at < inner.tail_offset { inner.tail_offset } else { self.file.len() };
        let length = end.saturating_sub(self.at).min(GRAIN_BYTES as u64) as usize;
        if length == 0 {
            return Ok(0);
        }
        self.bytes = io::Cursor::new(self.file.read(self.at, length)?);
        self.at += length as u64;
        self.bytes.read(buffer)
    }
}
