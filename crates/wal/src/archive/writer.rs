//! Writing an archive file.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_record::Crc32c;
use tapebook_vfs::{File, OpenMode, Vfs};
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::folder::archive_name;
use super::format::{
    ARCHIVE_BLOCK_BYTES, ARCHIVE_FOOTER_BYTES, ARCHIVE_HEADER_BYTES, ArchiveFooter, ArchiveHeader,
    BlockEntry, JournalPoint, decode_archive_footer, encode_block_entry, encode_entry, encode_footer,
    encode_header, part_crc, seed, skippable_header,
};
use super::{ArchiveError, ArchiveFormatError};
use crate::format::{FrameMeta, u32_at};

/// Keeps up with the log on one core; higher levels save little on rows of numbers.
const COMPRESSION_LEVEL: i32 = 1;

/// Writes one file, entry by entry, under a temporary name. Dropping it unfinished leaves that file to the next attempt.
pub struct ArchiveWriter {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    path: PathBuf,
    unfinished: PathBuf,
    file: Arc<dyn File>,
    seed: Crc32c,
    header: ArchiveHeader,
    header_crc: u32,
    compressor: Compressor<'static>,
    /// Entries of the block that is not full yet.
    block: Vec<u8>,
    /// What the directory will say of it, known with its first entry.
    begun: Option<BlockEntry>,
    blocks: Vec<BlockEntry>,
    compressed: Vec<u8>,
    end: u64,
    entries: u64,
    entry_bytes: u64,
    clocks: Option<(i64, i64)>,
}

impl ArchiveWriter {
    /// Begins a file in `dir`, which exists. A file of the same name is replaced when this one is finished.
    pub fn create(vfs: &Arc<dyn Vfs>, dir: &Path, header: ArchiveHeader) -> Result<Self, ArchiveError> {
        let first_index = header.before.entry.index + 1;
        let path = dir.join(archive_name(first_index));
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(".tmp");
        let unfinished = PathBuf::from(unfinished);
        match vfs.remove_file(&unfinished) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(ArchiveError::io("remove", &unfinished, source));
            }
            _ => {}
        }
        let file = vfs.open(&unfinished, OpenMode::CreateNew);
        let file = file.map_err(|source| ArchiveError::io("create", &unfinished, source))?;
        let compressor = new_compressor().map_err(|source| ArchiveError::io("compress", &path, source))?;
        let bytes = encode_header(&header);
        let mut writer = Self {
            vfs: Arc::clone(vfs),
            dir: dir.to_owned(),
            path,
            unfinished,
            file,
            seed: seed(header.log, first_index),
            header,
            header_crc: u32_at(&bytes, ARCHIVE_HEADER_BYTES - 4),
            compressor,
            block: Vec::with_capacity(ARCHIVE_BLOCK_BYTES),
            begun: None,
            blocks: Vec::new(),
            compressed: Vec::new(),
            end: 0,
            entries: 0,
            entry_bytes: 0,
            clocks: None,
        };
        writer.write(&[&bytes])?;
        Ok(writer)
    }

    /// Adds the next entry. `seq_before` is the last sequence number given before it; `first_seq` is the one that it
    /// gave first, 0 where it gave none.
    pub fn add(
        &mut self,
        meta: &FrameMeta,
        seq_before: u64,
        first_seq: u64,
        payload: &[u8],
    ) -> Result<(), ArchiveError> {
        let expected = self.header.before.entry.index + self.entries + 1;
        if meta.index != expected || !meta.kind.is_entry() {
            return Err(ArchiveError::Order { path: self.path.clone(), expected, found: meta.index });
        }
        self.begun.get_or_insert(BlockEntry {
            offset: 0,
            compressed_bytes: 0,
            entry_bytes: 0,
            first_index: meta.index,
            seq_before,
            first_commit_clock: meta.proposed_at,
            crc: 0,
        });
        encode_entry(&mut self.block, meta, first_seq, payload);
        self.entries += 1;
        let first = self.clocks.map_or(meta.proposed_at, |(first, _)| first);
        self.clocks = Some((first, meta.proposed_at));
        if self.block.len() >= ARCHIVE_BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    /// Entries so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Ends the file: when this returns, it is durable under its name. `through` is what is true behind the last entry.
    ///
    /// # Panics
    ///
    /// Where no entry was added, or `through` is not the last one.
    pub fn finish(mut self, through: JournalPoint) -> Result<(PathBuf, ArchiveFooter), ArchiveError> {
        assert_eq!(through.entry.index, self.header.before.entry.index + self.entries, "the last entry");
        let (first_commit_clock, last_commit_clock) = self.clocks.expect("a file has an entry");
        self.end_block()?;
        let directory_offset = self.end;
        let mut directory = Vec::new();
        for block in &self.blocks {
            encode_block_entry(&mut directory, block);
        }
        let footer = ArchiveFooter {
            directory_offset,
            blocks: self.blocks.len() as u32,
            directory_crc: part_crc(&self.seed, directory_offset, &directory),
            first_index: self.header.before.entry.index + 1,
            entries: self.entries,
            entry_bytes: self.entry_bytes,
            through,
            first_commit_clock,
            last_commit_clock,
            header_crc: self.header_crc,
            crc: 0,
        };
        let footer = encode_footer(&footer, &self.seed);
        let skipped = skippable_header((directory.len() + ARCHIVE_FOOTER_BYTES) as u32);
        self.write(&[&skipped, &directory, &footer])?;
        self.file.sync_data().map_err(|source| ArchiveError::io("sync", &self.unfinished, source))?;
        let renamed = self.vfs.rename(&self.unfinished, &self.path);
        renamed.map_err(|source| ArchiveError::io("rename to", &self.path, source))?;
        let synced = self.vfs.sync_dir(&self.dir);
        synced.map_err(|source| ArchiveError::io("sync the directory", &self.dir, source))?;
        let footer = decode_archive_footer(&footer, &self.header);
        let footer = footer.map_err(|source| ArchiveError::damaged(&self.path, directory_offset, source))?;
        Ok((self.path, footer))
    }

    fn end_block(&mut self) -> Result<(), ArchiveError> {
        let Some(mut begun) = self.begun.take() else { return Ok(()) };
        self.compressed.resize(zstd::zstd_safe::compress_bound(self.block.len()), 0);
        let compressed = self.compressor.compress_to_buffer(&self.block, &mut self.compressed[..]);
        let length = compressed.map_err(|source| ArchiveError::io("compress", &self.unfinished, source))?;
        begun.offset = self.end;
        begun.compressed_bytes = length as u32;
        begun.entry_bytes = self.block.len() as u32;
        begun.crc = part_crc(&self.seed, self.end, &self.compressed[..length]);
        let compressed = std::mem::take(&mut self.compressed);
        let written = self.write(&[&compressed[..length]]);
        self.compressed = compressed;
        self.entry_bytes += self.block.len() as u64;
        self.block.clear();
        self.blocks.push(begun);
        written
    }

    fn write(&mut self, parts: &[&[u8]]) -> Result<(), ArchiveError> {
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let written = self.file.write_all_at(self.end, &slices);
        written.map_err(|source| ArchiveError::io("write", &self.unfinished, source))?;
        self.end += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        Ok(())
    }
}

impl std::fmt::Debug for ArchiveWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveWriter")
            .field("path", &self.path)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

fn new_compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(COMPRESSION_LEVEL)?;
    // Whoever decodes a file with other tools has these two only.
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
    Ok(compressor)
}

/// Why a block's bytes do not become entries.
pub(super) fn compression_error(error: &io::Error) -> ArchiveFormatError {
    ArchiveFormatError::Compression { reason: error.to_string() }
}
