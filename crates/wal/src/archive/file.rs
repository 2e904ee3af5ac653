//! Reading an archive file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_record::{AlignedBytes, SharedBytes};
use tapebook_vfs::{File, OpenMode, Vfs};
use zstd::bulk::Decompressor;

use super::folder::archive_name;
use super::format::{
    ARCHIVE_FOOTER_BYTES, ARCHIVE_HEADER_BYTES, ArchiveFooter, ArchiveHeader, BLOCK_ENTRY_BYTES, BlockEntry,
    ENTRY_HEADER_BYTES, SKIPPABLE_HEADER_BYTES, decode_archive_footer, decode_archive_header,
    decode_directory, decode_entry, part_crc, seed, skippable_header,
};
use super::writer::compression_error;
use super::{ArchiveError, ArchiveFormatError};
use crate::format::{FrameMeta, LogId, LogIdentity, u32_at};

/// An entry of the archive.
#[derive(Clone, Debug)]
pub struct ArchivedEntry {
    /// What the log said of it.
    pub meta: FrameMeta,
    /// The first sequence number that it gave; 0 where it gave none.
    pub first_seq: u64,
    /// The payload.
    pub payload: SharedBytes,
}

impl ArchivedEntry {
    /// Names the entry.
    pub fn log_id(&self) -> LogId {
        LogId { term: self.meta.term, leader_node: self.meta.leader_node, index: self.meta.index }
    }
}

/// An open file whose header, footer and directory are sound. A block is checked when it is read.
#[derive(Clone, Debug)]
pub struct ArchiveFile {
    path: PathBuf,
    file: Arc<dyn File>,
    bytes: u64,
    header: ArchiveHeader,
    footer: ArchiveFooter,
    blocks: Arc<[BlockEntry]>,
}

impl ArchiveFile {
    /// Opens the file of this log in `dir` whose first entry has this index.
    pub fn open(vfs: &dyn Vfs, dir: &Path, log: LogIdentity, first_index: u64) -> Result<Self, ArchiveError> {
        let path = dir.join(archive_name(first_index));
        let file =
            vfs.open(&path, OpenMode::Read).map_err(|source| ArchiveError::io("open", &path, source))?;
        Self::read(path, file, log, first_index)
    }

    /// Opens a file as what its own header says it is: for whoever looks at a file and knows nothing of it. It may be
    /// another log's, or not lie where it should.
    pub fn open_as_it_is(vfs: &dyn Vfs, path: &Path) -> Result<Self, ArchiveError> {
        let file = vfs.open(path, OpenMode::Read).map_err(|source| ArchiveError::io("open", path, source))?;
        let bytes = file.len().map_err(|source| ArchiveError::io("read", path, source))?;
        let mut start = vec![0; bytes.min(ARCHIVE_HEADER_BYTES as u64) as usize];
        file.read_exact_at(0, &mut start).map_err(|source| ArchiveError::io("read", path, source))?;
        let header =
            decode_archive_header(&start).map_err(|source| ArchiveError::damaged(path, 0, source))?;
        Self::read(path.to_owned(), file, header.log, header.before.entry.index + 1)
    }

    /// As [`ArchiveFile::open`], of a file that is open already, under whatever name.
    pub fn read(
        path: PathBuf,
        file: Arc<dyn File>,
        log: LogIdentity,
        first_index: u64,
    ) -> Result<Self, ArchiveError> {
        let io = |operation, source| ArchiveError::io(operation, &path, source);
        let bytes = file.len().map_err(|source| io("read", source))?;
        let damaged = |offset, source| ArchiveError::damaged(&path, offset, source);
        let least = (ARCHIVE_HEADER_BYTES + SKIPPABLE_HEADER_BYTES + ARCHIVE_FOOTER_BYTES) as u64;
        if bytes < least {
            return Err(damaged(bytes, ArchiveFormatError::TooShort { expected: least, found: bytes }));
        }
        let read = |offset: u64, len: usize| {
            let mut buffer = vec![0; len];
            file.read_exact_at(offset, &mut buffer).map_err(|source| io("read", source)).map(|()| buffer)
        };
        let block = read(0, ARCHIVE_HEADER_BYTES)?;
        let header = decode_archive_header(&block).map_err(|source| damaged(0, source))?;
        if header.log != log {
            return Err(ArchiveError::Foreign { path: path.clone(), expected: log, found: header.log });
        }
        if header.before.entry.index + 1 != first_index {
            let (expected, found) = (first_index, header.before.entry.index + 1);
            return Err(ArchiveError::Order { path: path.clone(), expected, found });
        }
        let footer_offset = bytes - ARCHIVE_FOOTER_BYTES as u64;
        let footer = read(footer_offset, ARCHIVE_FOOTER_BYTES)?;
        let footer =
            decode_archive_footer(&footer, &header).map_err(|source| damaged(footer_offset, source))?;
        let header_crc = u32_at(&block, ARCHIVE_HEADER_BYTES - 4);
        if footer.header_crc != header_crc {
            let source = ArchiveFormatError::Checksum { expected: footer.header_crc, found: header_crc };
            return Err(damaged(0, source));
        }
        let directory_bytes = u64::from(footer.blocks) * BLOCK_ENTRY_BYTES as u64;
        let start = footer.directory_offset.checked_add(SKIPPABLE_HEADER_BYTES as u64);
        if start.and_then(|start| start.checked_add(directory_bytes)) != Some(footer_offset) {
            let source = ArchiveFormatError::Field {
                expected: "a directory that ends at the footer",
                found: footer.directory_offset,
            };
            return Err(damaged(footer_offset, source));
        }
        let at = footer.directory_offset;
        let directory = read(at, SKIPPABLE_HEADER_BYTES + directory_bytes as usize)?;
        let (skipped, directory) = directory.split_at(SKIPPABLE_HEADER_BYTES);
        let expected = part_crc(&seed(log, first_index), at, directory);
        let length = directory.len() + ARCHIVE_FOOTER_BYTES;
        if skipped != skippable_header(length as u32) || expected != footer.directory_crc {
            let source = ArchiveFormatError::Checksum { expected, found: footer.directory_crc };
            return Err(damaged(at, source));
        }
        let blocks = decode_directory(directory, &footer).map_err(|source| damaged(at, source))?.into();
        Ok(Self { path, file, bytes, header, footer, blocks })
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Its length.
    pub fn file_bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it begins.
    pub fn header(&self) -> &ArchiveHeader {
        &self.header
    }

    /// What it holds.
    pub fn footer(&self) -> &ArchiveFooter {
        &self.footer
    }

    /// The entries from the one with `from_index` on; all where that lies before the file.
    pub fn entries_from(&self, from_index: u64) -> ArchiveEntries {
        let block = self.blocks.partition_point(|block| block.first_index <= from_index).saturating_sub(1);
        self.entries(block, from_index)
    }

    /// The entries from the block on in which the sequence number `seq` was given, if it was given in this file.
    pub fn entries_around(&self, seq: u64) -> ArchiveEntries {
        let block = self.blocks.partition_point(|block| block.seq_before < seq).saturating_sub(1);
        self.entries(block, 0)
    }

    /// A sequence number of this file, or the last one before it, up to which every entry is older than `time`, if its first
    /// entry is. Where entries are not that old, it lies a block before them at most.
    pub fn seq_before(&self, time: i64) -> u64 {
        let newer = self.blocks.partition_point(|block| block.first_commit_clock < time);
        let block = newer.checked_sub(1).and_then(|place| self.blocks.get(place));
        block.map_or(self.header.before.last_seq, |block| block.seq_before)
    }

    fn entries(&self, block: usize, from_index: u64) -> ArchiveEntries {
        ArchiveEntries {
            file: self.clone(),
            next_block: block,
            next_index: self.blocks.get(block).map_or(0, |block| block.first_index),
            from_index,
            block: Arc::default(),
            offset: 0,
            ended: false,
        }
    }

    fn read_block(&self, place: usize) -> Result<Arc<AlignedBytes>, ArchiveError> {
        let block = &self.blocks[place];
        let mut compressed = vec![0; block.compressed_bytes as usize];
        self.file
            .read_exact_at(block.offset, &mut compressed)
            .map_err(|source| ArchiveError::io("read", &self.path, source))?;
        let damaged = |source| ArchiveError::damaged(&self.path, block.offset, source);
        let found = part_crc(&seed(self.header.log, self.footer.first_index), block.offset, &compressed);
        if found != block.crc {
            return Err(damaged(ArchiveFormatError::Checksum { expected: block.crc, found }));
        }
        let mut entries = AlignedBytes::zeroed(block.entry_bytes as usize);
        let length = Decompressor::new()
            .and_then(|mut zstd| zstd.decompress_to_buffer(&compressed, &mut entries[..]))
            .map_err(|error| damaged(compression_error(&error)))?;
        if length != entries.len() {
            let (expected, found) = (entries.len() as u64, length as u64);
            return Err(damaged(ArchiveFormatError::TooShort { expected, found }));
        }
        Ok(Arc::new(entries))
    }
}

/// The entries of a file, in log order. After an error it ends.
#[derive(Debug)]
pub struct ArchiveEntries {
    file: ArchiveFile,
    next_block: usize,
    next_index: u64,
    from_index: u64,
    block: Arc<AlignedBytes>,
    offset: usize,
    ended: bool,
}

impl ArchiveEntries {
    fn read(&mut self) -> Result<Option<ArchivedEntry>, ArchiveError> {
        loop {
            if self.offset == self.block.len() {
                if self.next_block == self.file.blocks.len() {
                    let last = self.file.footer.through.entry.index;
                    return if self.next_index == last + 1 { Ok(None) } else { Err(self.order(last + 1)) };
                }
                let first_index = self.file.blocks[self.next_block].first_index;
                if first_index != self.next_index {
                    return Err(self.order(first_index));
                }
                self.block = self.file.read_block(self.next_block)?;
                self.offset = 0;
                self.next_block += 1;
                continue;
            }
            let at = self.offset;
            let (entry, next) = decode_entry(&self.block, at).map_err(|source| {
                let offset = self.file.blocks[self.next_block - 1].offset;
                ArchiveError::damaged(&self.file.path, offset, source)
            })?;
            self.offset = next;
            if entry.meta.index != self.next_index {
                return Err(self.order(entry.meta.index));
            }
            self.next_index += 1;
            if entry.meta.index < self.from_index {
                continue;
            }
            let start = at + ENTRY_HEADER_BYTES;
            let payload = SharedBytes::part(&self.block, start..start + entry.payload_bytes);
            return Ok(Some(ArchivedEntry { meta: entry.meta, first_seq: entry.first_seq, payload }));
        }
    }

    fn order(&self, found: u64) -> ArchiveError {
        ArchiveError::Order { path: self.file.path.clone(), expected: self.next_index, found }
    }
}

impl Iterator for ArchiveEntries {
    type Item = Result<ArchivedEntry, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
