//! Sequential writing through one large buffer.

use std::io::{self, IoSlice};
use std::sync::Arc;

use tapebook_record::Crc32c;
use tapebook_vfs::File;

use super::footer::Section;
use super::identity::{ChecksumKind, TableIdentity};
use super::layout::{ALIGN, PAGE_BYTES};

/// A file that is written from front to back. After an error nothing more is written.
#[derive(Debug)]
pub(super) struct Output {
    file: Arc<dyn File>,
    identity: TableIdentity,
    buffer: Vec<u8>,
    /// The position in the file at which the buffer begins.
    buffer_offset: u64,
    write_bytes: usize,
    failed: bool,
    page_checksums: Vec<u32>,
}

impl Output {
    pub(super) fn new(file: Arc<dyn File>, identity: TableIdentity, write_bytes: usize) -> Self {
        let buffer = Vec::with_capacity(write_bytes + PAGE_BYTES);
        Self {
            file,
            identity,
            buffer,
            buffer_offset: 0,
            write_bytes,
            failed: false,
            page_checksums: Vec::new(),
        }
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> u64 {
        self.buffer_offset + self.buffer.len() as u64
    }

    /// Appends what `fill` puts behind the bytes that wait, and gives it back together with its place.
    pub(super) fn append<T>(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
        if self.failed {
            return Err(io::Error::other("an earlier write of this file failed"));
        }
        let result = fill(&mut self.buffer);
        if self.buffer.len() >= self.write_bytes {
            self.flush()?;
        }
        Ok(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A write that failed may have written any part; nothing in the file can be trusted any more.
        self.failed = true;
        self.file.write_all_at(self.buffer_offset, &[IoSlice::new(&self.buffer)])?;
        self.buffer_offset += self.buffer.len() as u64;
        self.buffer.clear();
        self.failed = false;
        Ok(())
    }

    /// Appends zeros up to the next place where something can begin. The buffer may begin anywhere, so it is the
    /// position in the file that counts.
    pub(super) fn pad(&mut self) -> io::Result<()> {
        let zeros = (self.position().next_multiple_of(ALIGN as u64) - self.position()) as usize;
        self.append(|buffer| buffer.resize(buffer.len() + zeros, 0))
    }

    /// Appends a section and the padding behind it.
    pub(super) fn section(&mut self, number: u32, bytes: &[u8]) -> io::Result<Section> {
        let offset = self.position();
        let mut crc = self.identity.checksum(ChecksumKind::Section, number);
        crc.update(bytes);
        for part in bytes.chunks(PAGE_BYTES) {
            self.append(|buffer| buffer.extend_from_slice(part))?;
        }
        self.pad()?;
        Ok(Section { offset, length: bytes.len() as u64, crc: crc.finish() })
    }

    /// Appends bytes in pages with a checksum each, and the padding behind them. `next_page` fills the empty buffer
    /// with the next page; it gives full pages, then a shorter one or none.
    pub(super) fn pages(&mut self, mut next_page: impl FnMut(&mut Vec<u8>)) -> io::Result<(u64, u64)> {
        let offset = self.position();
        let mut length = 0;
        let mut page = Vec::with_capacity(PAGE_BYTES);
        loop {
            page.clear();
            next_page(&mut page);
            debug_assert!(page.len() <= PAGE_BYTES);
            if !page.is_empty() {
                let mut crc = self.identity.checksum(ChecksumKind::Page, self.page_count());
                crc.update(&page);
                self.page_checksums.push(crc.finish());
                self.append(|buffer| buffer.extend_from_slice(&page))?;
                length += page.len() as u64;
            }
            if page.len() < PAGE_BYTES {
                break;
            }
        }
        self.pad()?;
        Ok((offset, length))
    }

    /// How many pages there are so far.
    pub(super) fn page_count(&self) -> u32 {
        self.page_checksums.len() as u32
    }

    /// The checksums of all pages, as they stand in their section.
    pub(super) fn page_checksum_bytes(&self) -> Vec<u8> {
        self.page_checksums.iter().flat_map(|crc| crc.to_le_bytes()).collect()
    }

    /// A checksum of a block, for whoever builds it.
    pub(super) fn block_checksum(&self, number: u32) -> Crc32c {
        self.identity.checksum(ChecksumKind::Block, number)
    }

    /// Writes what waits and makes the file durable.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.append(|_| ())?;
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        self.file.sync_data()?;
        Ok(self.buffer_offset)
    }
}
