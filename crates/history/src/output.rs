//! Sequential writing through one large buffer, with the checksums of what passes.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use tapebook_record::Crc32c;
use tapebook_vfs::File;

use crate::grains::{self, GRAIN_BYTES};
use crate::identity::{ChecksumKind, HistoryIdentity, HistorySeal};

/// Bytes that are gathered for one write.
const WRITE_BYTES: usize = 1 << 20;

/// A file that is written from front to back: grains first, then the tail. After an error nothing more is written.
#[derive(Debug)]
pub(crate) struct Output {
    file: Arc<dyn File>,
    identity: HistoryIdentity,
    buffer: Vec<u8>,
    /// The position in the file at which the buffer begins.
    buffer_offset: u64,
    failed: bool,
    grain: Vec<u8>,
    grains: Vec<u32>,
    tail: Option<Tail>,
}

#[derive(Debug)]
struct Tail {
    offset: u64,
    crc: Crc32c,
}

impl Output {
    pub(crate) fn new(file: Arc<dyn File>, identity: HistoryIdentity) -> Self {
        Self {
            file,
            identity,
            buffer: Vec::with_capacity(WRITE_BYTES),
            buffer_offset: 0,
            failed: false,
            grain: Vec::with_capacity(GRAIN_BYTES),
            grains: Vec::new(),
            tail: None,
        }
    }

    fn position(&self) -> u64 {
        self.buffer_offset + self.buffer.len() as u64
    }

    fn write_out(&mut self) -> io::Result<()> {
        // A write that failed may have written any part; nothing in the file can be trusted any more.
        self.failed = true;
        self.file.write_all_at(self.buffer_offset, &[IoSlice::new(&self.buffer)])?;
        self.buffer_offset += self.buffer.len() as u64;
        self.buffer.clear();
        self.failed = false;
        Ok(())
    }

    fn end_grain(&mut self) {
        self.grains.push(grains::checksum(self.identity, self.grains.len() as u64, &self.grain));
        self.grain.clear();
    }

    /// Ends the grains here; what follows is the tail. Returns where it begins, and the checksums of the grains.
    pub(crate) fn begin_tail(&mut self) -> (u64, Vec<u32>) {
        if !self.grain.is_empty() {
            self.end_grain();
        }
        let offset = self.position();
        self.tail = Some(Tail { offset, crc: self.identity.checksum(ChecksumKind::Tail, offset) });
        (offset, std::mem::take(&mut self.grains))
    }

    /// Writes what waits and makes the file durable.
    pub(crate) fn finish(&mut self) -> io::Result<HistorySeal> {
        if self.failed {
            return Err(failed_before());
        }
        self.write_out()?;
        self.file.sync_data()?;
        let file_bytes = self.buffer_offset;
        let tail = self.tail.as_ref().ok_or_else(|| io::Error::other("the file has no tail"))?;
        Ok(HistorySeal { file_bytes, tail_bytes: file_bytes - tail.offset, tail_crc: tail.crc.finish() })
    }
}

fn failed_before() -> io::Error {
    io::Error::other("an earlier write of this file failed")
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed {
            return Err(failed_before());
        }
        // As much as fits, so that no write to the file is longer than the buffer.
        let taken = &bytes[..bytes.len().min(WRITE_BYTES - self.buffer.len())];
        self.buffer.extend_from_slice(taken);
        match &mut self.tail {
            Some(tail) => tail.crc.update(taken),
            None => {
                let mut rest = taken;
                while !rest.is_empty() {
                    let (part, behind) = rest.split_at(rest.len().min(GRAIN_BYTES - self.grain.len()));
                    self.grain.extend_from_slice(part);
                    rest = behind;
                    if self.grain.len() == GRAIN_BYTES {
                        self.end_grain();
                    }
                }
            }
        }
        if self.buffer.len() == WRITE_BYTES {
            self.write_out()?;
        }
        Ok(taken.len())
    }

    /// Does nothing: bytes go out a buffer at a time, and the last ones when the file is finished.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
