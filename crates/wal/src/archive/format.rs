//! The bytes of an archive file. See `docs/format/archive.md`.
//!
//! Header, and directory with footer, are *skippable frames* of zstd: what any zstd decoder makes of a file is its
//! entries.

use tapebook_record::Crc32c;

use super::ArchiveFormatError;
use crate::format::{
    EntryKind, FRAME_ALIGN, FrameMeta, LogId, LogIdentity, PAYLOAD_BYTES_MAX, array_at, log_id_at,
    put_log_id, u32_at, u64_at,
};

/// The bytes of a file's header.
pub const ARCHIVE_HEADER_BYTES: usize = 128;
/// The bytes of its footer, the last of the file.
pub const ARCHIVE_FOOTER_BYTES: usize = 144;
/// A block is compressed when it has this many bytes of entries.
pub const ARCHIVE_BLOCK_BYTES: usize = 1 << 20;

/// The bytes of a block in the directory.
pub(super) const BLOCK_ENTRY_BYTES: usize = 48;
/// The bytes of an entry in front of its payload.
pub(super) const ENTRY_HEADER_BYTES: usize = 48;
/// No block has more bytes of entries: the one that fills it is the longest there is.
pub(super) const BLOCK_BYTES_MAX: usize =
    ARCHIVE_BLOCK_BYTES + ENTRY_HEADER_BYTES + PAYLOAD_BYTES_MAX + FRAME_ALIGN;
/// The frame header of what a zstd decoder skips: magic and length.
pub(super) const SKIPPABLE_HEADER_BYTES: usize = 8;

const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
const HEADER_MAGIC: &[u8; 8] = b"TBKARCH1";
const FOOTER_MAGIC: &[u8; 8] = b"TBKARCHE";
const FORMAT_VERSION: u32 = 1;

/// A point of the journal: what is true right behind an entry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct JournalPoint {
    /// The entry; index 0 stands before the first one.
    pub entry: LogId,
    /// The last sequence number given by then.
    pub last_seq: u64,
    /// The rolling hash over everything applied by then. Opaque here.
    pub rolling_hash: [u8; 16],
}

/// Whose file it is, and where in the journal it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ArchiveHeader {
    /// Whose log the entries come from.
    pub log: LogIdentity,
    /// The epoch of the journal.
    pub epoch: u64,
    /// What was true before the first entry.
    pub before: JournalPoint,
    /// The checksum of the footer of the file before; 0 where the archive begins here.
    pub previous: u32,
    /// When the file was begun, nanoseconds since the epoch.
    pub created_at: i64,
}

/// What the file holds, known when its last entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ArchiveFooter {
    /// Where the directory begins in the file.
    pub directory_offset: u64,
    /// Blocks.
    pub blocks: u32,
    /// The checksum of the directory.
    pub directory_crc: u32,
    /// The index of the first entry.
    pub first_index: u64,
    /// Entries.
    pub entries: u64,
    /// Bytes of entries before they were compressed.
    pub entry_bytes: u64,
    /// What is true behind the last entry.
    pub through: JournalPoint,
    /// The commit clock of the first entry.
    pub first_commit_clock: i64,
    /// The commit clock of the last entry.
    pub last_commit_clock: i64,
    /// The checksum of the header, which ties the two together.
    pub header_crc: u32,
    /// The footer's own checksum, which the next file's header repeats.
    pub crc: u32,
}

impl ArchiveFooter {
    /// The length of the file, whose end the footer is.
    pub fn file_bytes(&self) -> u64 {
        let directory = SKIPPABLE_HEADER_BYTES as u64 + u64::from(self.blocks) * BLOCK_ENTRY_BYTES as u64;
        self.directory_offset.saturating_add(directory).saturating_add(ARCHIVE_FOOTER_BYTES as u64)
    }
}

/// Where a block lies, and what it begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BlockEntry {
    /// Where its compressed bytes begin in the file.
    pub offset: u64,
    /// How many these are.
    pub compressed_bytes: u32,
    /// How many bytes of entries they become.
    pub entry_bytes: u32,
    /// The index of its first entry.
    pub first_index: u64,
    /// The last sequence number given before its first entry.
    pub seq_before: u64,
    /// The commit clock of its first entry.
    pub first_commit_clock: i64,
    /// The checksum of the compressed bytes.
    pub crc: u32,
}

/// A checksum that has read whose file it is and which: a part of another file is invalid in this one.
pub(super) fn seed(log: LogIdentity, first_index: u64) -> Crc32c {
    let mut crc = Crc32c::seeded(&log.cluster_id.to_le_bytes());
    crc.update(&log.node_id.to_le_bytes());
    crc.update(&first_index.to_le_bytes());
    crc
}

/// A seeded checksum of a part that begins at `offset` of the file.
pub(super) fn part_crc(seed: &Crc32c, offset: u64, bytes: &[u8]) -> u32 {
    let mut crc = seed.clone();
    crc.update(&offset.to_le_bytes());
    crc.update(bytes);
    crc.finish()
}

/// The frame header that lets a zstd decoder skip `bytes` of content.
pub(super) fn skippable_header(bytes: u32) -> [u8; SKIPPABLE_HEADER_BYTES] {
    let mut header = [0; SKIPPABLE_HEADER_BYTES];
    header[..4].copy_from_slice(&SKIPPABLE_MAGIC.to_le_bytes());
    header[4..].copy_from_slice(&bytes.to_le_bytes());
    header
}

fn i64_at(bytes: &[u8], offset: usize) -> i64 {
    i64::from_le_bytes(array_at(bytes, offset))
}

fn check_crc(bytes: &[u8], expected: u32) -> Result<(), ArchiveFormatError> {
    let found = u32_at(bytes, bytes.len() - 4);
    if found == expected { Ok(()) } else { Err(ArchiveFormatError::Checksum { expected, found }) }
}

pub(super) fn encode_header(header: &ArchiveHeader) -> [u8; ARCHIVE_HEADER_BYTES] {
    let mut bytes = [0; ARCHIVE_HEADER_BYTES];
    let content = ARCHIVE_HEADER_BYTES - SKIPPABLE_HEADER_BYTES;
    bytes[..8].copy_from_slice(&skippable_header(content as u32));
    bytes[8..16].copy_from_slice(HEADER_MAGIC);
    bytes[16..20].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[20..24].copy_from_slice(&header.previous.to_le_bytes());
    bytes[24..40].copy_from_slice(&header.log.cluster_id.to_le_bytes());
    bytes[40..48].copy_from_slice(&header.log.node_id.to_le_bytes());
    bytes[48..56].copy_from_slice(&header.epoch.to_le_bytes());
    bytes[56..64].copy_from_slice(&header.created_at.to_le_bytes());
    put_log_id(&mut bytes, 64, &header.before.entry);
    bytes[88..96].copy_from_slice(&header.before.last_seq.to_le_bytes());
    bytes[96..112].copy_from_slice(&header.before.rolling_hash);
    let crc = tapebook_record::crc32c(&bytes[..124]);
    bytes[124..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Decodes the first [`ARCHIVE_HEADER_BYTES`] of a file. Its checksum is not seeded, so that another database's file is
/// told apart from a damaged one.
pub fn decode_archive_header(bytes: &[u8]) -> Result<ArchiveHeader, ArchiveFormatError> {
    let Some(bytes) = bytes.get(..ARCHIVE_HEADER_BYTES) else {
        let (expected, found) = (ARCHIVE_HEADER_BYTES as u64, bytes.len() as u64);
        return Err(ArchiveFormatError::TooShort { expected, found });
    };
    let frame = skippable_header((ARCHIVE_HEADER_BYTES - SKIPPABLE_HEADER_BYTES) as u32);
    if bytes[..8] != frame || bytes[8..16] != *HEADER_MAGIC {
        return Err(ArchiveFormatError::Magic { found: array_at(bytes, 8) });
    }
    check_crc(bytes, tapebook_record::crc32c(&bytes[..124]))?;
    let found = u32_at(bytes, 16);
    if found != FORMAT_VERSION {
        return Err(ArchiveFormatError::Newer { found, supported: FORMAT_VERSION });
    }
    let reserved = u64_at(bytes, 112) | u64::from(u32_at(bytes, 120));
    if reserved != 0 {
        return Err(ArchiveFormatError::Field { expected: "zeros at byte 112", found: reserved });
    }
    let entry = log_id_at(bytes, 64);
    if entry.index == u64::MAX {
        return Err(ArchiveFormatError::Field {
            expected: "an index with one behind it",
            found: entry.index,
        });
    }
    let cluster_id = u128::from_le_bytes(array_at(bytes, 24));
    Ok(ArchiveHeader {
        log: LogIdentity { cluster_id, node_id: u64_at(bytes, 40) },
        epoch: u64_at(bytes, 48),
        before: JournalPoint { entry, last_seq: u64_at(bytes, 88), rolling_hash: array_at(bytes, 96) },
        previous: u32_at(bytes, 20),
        created_at: i64_at(bytes, 56),
    })
}

/// The footer's bytes. Its checksum is computed here; `footer.crc` is not read.
pub(super) fn encode_footer(footer: &ArchiveFooter, seed: &Crc32c) -> [u8; ARCHIVE_FOOTER_BYTES] {
    let mut bytes = [0; ARCHIVE_FOOTER_BYTES];
    bytes[..8].copy_from_slice(&footer.directory_offset.to_le_bytes());
    bytes[8..12].copy_from_slice(&footer.blocks.to_le_bytes());
    bytes[12..16].copy_from_slice(&footer.directory_crc.to_le_bytes());
    bytes[16..24].copy_from_slice(&footer.first_index.to_le_bytes());
    bytes[24..32].copy_from_slice(&footer.entries.to_le_bytes());
    bytes[32..40].copy_from_slice(&footer.entry_bytes.to_le_bytes());
    put_log_id(&mut bytes, 40, &footer.through.entry);
    bytes[64..72].copy_from_slice(&footer.through.last_seq.to_le_bytes());
    bytes[72..88].copy_from_slice(&footer.through.rolling_hash);
    bytes[88..96].copy_from_slice(&footer.first_commit_clock.to_le_bytes());
    bytes[96..104].copy_from_slice(&footer.last_commit_clock.to_le_bytes());
    bytes[104..108].copy_from_slice(&footer.header_crc.to_le_bytes());
    bytes[132..140].copy_from_slice(FOOTER_MAGIC);
    let mut crc = seed.clone();
    crc.update(&bytes[..140]);
    bytes[140..].copy_from_slice(&crc.finish().to_le_bytes());
    bytes
}

/// Decodes the last [`ARCHIVE_FOOTER_BYTES`] of the file with this header.
pub fn decode_archive_footer(
    bytes: &[u8],
    header: &ArchiveHeader,
) -> Result<ArchiveFooter, ArchiveFormatError> {
    let start = bytes.len().checked_sub(ARCHIVE_FOOTER_BYTES);
    let Some(bytes) = start.map(|start| &bytes[start..]) else {
        let (expected, found) = (ARCHIVE_FOOTER_BYTES as u64, bytes.len() as u64);
        return Err(ArchiveFormatError::TooShort { expected, found });
    };
    if bytes[132..140] != *FOOTER_MAGIC {
        return Err(ArchiveFormatError::Magic { found: array_at(bytes, 132) });
    }
    let first_index = header.before.entry.index + 1;
    let mut crc = seed(header.log, first_index);
    crc.update(&bytes[..140]);
    let crc = crc.finish();
    check_crc(bytes, crc)?;
    let field = |expected, found| Err(ArchiveFormatError::Field { expected, found });
    if bytes[108..132].iter().any(|byte| *byte != 0) {
        return field("zeros at byte 108", u64_at(bytes, 108));
    }
    let footer = ArchiveFooter {
        directory_offset: u64_at(bytes, 0),
        blocks: u32_at(bytes, 8),
        directory_crc: u32_at(bytes, 12),
        first_index: u64_at(bytes, 16),
        entries: u64_at(bytes, 24),
        entry_bytes: u64_at(bytes, 32),
        through: JournalPoint {
            entry: log_id_at(bytes, 40),
            last_seq: u64_at(bytes, 64),
            rolling_hash: array_at(bytes, 72),
        },
        first_commit_clock: i64_at(bytes, 88),
        last_commit_clock: i64_at(bytes, 96),
        header_crc: u32_at(bytes, 104),
        crc,
    };
    if footer.first_index != first_index {
        return field("the entry behind the header's", footer.first_index);
    }
    if footer.entries == 0
        || header.before.entry.index.checked_add(footer.entries) != Some(footer.through.entry.index)
    {
        return field("as many entries as indexes", footer.entries);
    }
    if footer.through.entry.index == u64::MAX || footer.through.last_seq == u64::MAX {
        return field("an entry and a sequence with one behind them", footer.through.entry.index);
    }
    if footer.through.last_seq < header.before.last_seq {
        return field("a sequence that does not go back", footer.through.last_seq);
    }
    Ok(footer)
}

pub(super) fn encode_block_entry(out: &mut Vec<u8>, block: &BlockEntry) {
    out.extend_from_slice(&block.offset.to_le_bytes());
    out.extend_from_slice(&block.compressed_bytes.to_le_bytes());
    out.extend_from_slice(&block.entry_bytes.to_le_bytes());
    out.extend_from_slice(&block.first_index.to_le_bytes());
    out.extend_from_slice(&block.seq_before.to_le_bytes());
    out.extend_from_slice(&block.first_commit_clock.to_le_bytes());
    out.extend_from_slice(&block.crc.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
}

/// Decodes a directory whose checksum is right. Its blocks lie one behind the other from the header to the directory.
pub(super) fn decode_directory(
    bytes: &[u8],
    footer: &ArchiveFooter,
) -> Result<Vec<BlockEntry>, ArchiveFormatError> {
    let mut blocks: Vec<BlockEntry> = Vec::with_capacity(bytes.len() / BLOCK_ENTRY_BYTES);
    let mut offset = ARCHIVE_HEADER_BYTES as u64;
    for bytes in bytes.chunks_exact(BLOCK_ENTRY_BYTES) {
        let block = BlockEntry {
            offset: u64_at(bytes, 0),
            compressed_bytes: u32_at(bytes, 8),
            entry_bytes: u32_at(bytes, 12),
            first_index: u64_at(bytes, 16),
            seq_before: u64_at(bytes, 24),
            first_commit_clock: i64_at(bytes, 32),
            crc: u32_at(bytes, 40),
        };
        let field = |expected, found| Err(ArchiveFormatError::Field { expected, found });
        if block.offset != offset || block.compressed_bytes == 0 {
            return field("a block behind the one before", block.offset);
        }
        if block.entry_bytes as usize > BLOCK_BYTES_MAX {
            return field("a block within the limit", block.entry_bytes.into());
        }
        let follows = match blocks.last() {
            None => block.first_index == footer.first_index,
            Some(before) => {
                block.first_index > before.first_index
                    && block.first_index <= footer.through.entry.index
                    && block.seq_before >= before.seq_before
            }
        };
        if !follows {
            return field("a block whose entries follow", block.first_index);
        }
        offset += u64::from(block.compressed_bytes);
        blocks.push(block);
    }
    if offset != footer.directory_offset {
        let expected = "blocks up to the directory";
        return Err(ArchiveFormatError::Field { expected, found: offset });
    }
    Ok(blocks)
}

/// Appends an entry to a block. `first_seq` is 0 where it gave no sequence number.
pub(super) fn encode_entry(out: &mut Vec<u8>, meta: &FrameMeta, first_seq: u64, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.push(meta.kind as u8);
    out.push(0);
    out.extend_from_slice(&meta.flags.to_le_bytes());
    out.extend_from_slice(&meta.term.to_le_bytes());
    out.extend_from_slice(&meta.leader_node.to_le_bytes());
    out.extend_from_slice(&meta.index.to_le_bytes());
    out.extend_from_slice(&meta.proposed_at.to_le_bytes());
    out.extend_from_slice(&first_seq.to_le_bytes());
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(FRAME_ALIGN), 0);
}

/// An entry of a block, without its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct EntryHeader {
    pub meta: FrameMeta,
    pub first_seq: u64,
    pub payload_bytes: usize,
}

/// Decodes the entry at `offset` of a block, and says where the next one begins.
pub(super) fn decode_entry(block: &[u8], offset: usize) -> Result<(EntryHeader, usize), ArchiveFormatError> {
    let rest = &block[offset..];
    let too_short = |expected: usize| {
        Err(ArchiveFormatError::TooShort { expected: expected as u64, found: rest.len() as u64 })
    };
    if rest.len() < ENTRY_HEADER_BYTES {
        return too_short(ENTRY_HEADER_BYTES);
    }
    let payload_bytes = u32_at(rest, 0) as usize;
    if payload_bytes > PAYLOAD_BYTES_MAX {
        let expected = "a payload within the limit";
        return Err(ArchiveFormatError::Field { expected, found: payload_bytes as u64 });
    }
    let bytes = (ENTRY_HEADER_BYTES + payload_bytes).next_multiple_of(FRAME_ALIGN);
    if rest.len() < bytes {
        return too_short(bytes);
    }
    let kind = EntryKind::from_number(rest[4]).filter(|kind| kind.is_entry());
    let Some(kind) = kind.filter(|_| rest[5] == 0) else {
        return Err(ArchiveFormatError::Field { expected: "a kind of entry", found: rest[4].into() });
    };
    let meta = FrameMeta {
        kind,
        flags: u16::from_le_bytes(array_at(rest, 6)),
        term: u64_at(rest, 8),
        leader_node: u64_at(rest, 16),
        index: u64_at(rest, 24),
        proposed_at: i64_at(rest, 32),
    };
    Ok((EntryHeader { meta, first_seq: u64_at(rest, 40), payload_bytes }, offset + bytes))
}
