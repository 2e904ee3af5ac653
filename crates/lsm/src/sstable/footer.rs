//! The last 192 bytes of a file: where everything behind the blocks lies.

use std::path::Path;
use std::sync::Arc;

use super::TABLE_FORMAT;
use super::error::{Part, TableError, checksum, structure};
use super::identity::{ChecksumKind, TableIdentity};
use super::layout::{ALIGN, MAGIC, u16_at, u32_at, u64_at};

pub(super) const FOOTER_BYTES: usize = 192;
const SECTION_BYTES: usize = 24;
const FILE_LENGTH_AT: usize = 144;
const FORMAT_AT: usize = 152;
const CRC_AT: usize = 180;
const MAGIC_AT: usize = 184;

/// The sections, in the order in which they stand in the file and in the footer.
pub(super) const SECTIONS: [Part; 6] =
    [Part::BlockIndex, Part::Directory, Part::Names, Part::IdColumns, Part::PageChecksums, Part::Meta];

/// A stretch of the file with one checksum.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) crc: u32,
}

impl Section {
    /// Its bytes. Only for a section whose place [`Footer::read`] has checked.
    pub(super) fn of(self, file: &[u8]) -> &[u8] {
        &file[self.offset as usize..(self.offset + self.length) as usize]
    }
}

/// Where the sections lie, in the order of [`SECTIONS`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Footer {
    pub(super) sections: [Section; 6],
}

impl Footer {
    pub(super) fn to_bytes(self, identity: TableIdentity, file_length: u64) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        for (section, place) in self.sections.iter().zip(bytes.chunks_exact_mut(SECTION_BYTES)) {
            place[..8].copy_from_slice(&section.offset.to_le_bytes());
            place[8..16].copy_from_slice(&section.length.to_le_bytes());
            place[16..20].copy_from_slice(&section.crc.to_le_bytes());
        }
        bytes[FILE_LENGTH_AT..FILE_LENGTH_AT + 8].copy_from_slice(&file_length.to_le_bytes());
        bytes[FORMAT_AT..FORMAT_AT + 2].copy_from_slice(&TABLE_FORMAT.to_le_bytes());
        let mut crc = identity.checksum(ChecksumKind::Footer, 0);
        crc.update(&bytes[..CRC_AT]);
        bytes[CRC_AT..MAGIC_AT].copy_from_slice(&crc.finish().to_le_bytes());
        bytes[MAGIC_AT..].copy_from_slice(&MAGIC);
        bytes
    }

    /// The checksum of the footer of a file whose footer was read.
    pub(super) fn checksum(file: &[u8]) -> u32 {
        u32_at(&file[file.len() - FOOTER_BYTES..], CRC_AT)
    }

    /// Reads the footer of `file` and checks that every section lies before it, one behind the other.
    pub(super) fn read(path: &Arc<Path>, file: &[u8], identity: TableIdentity) -> Result<Self, TableError> {
        let length =
            |expected| TableError::Length { path: path.to_path_buf(), expected, found: file.len() as u64 };
        let Some((rest, bytes)) = file.split_last_chunk::<FOOTER_BYTES>() else {
            return Err(length(None));
        };
        if bytes[MAGIC_AT..] != MAGIC {
            return Err(length(None));
        }
        let at = rest.len() as u64;
        let mut crc = identity.checksum(ChecksumKind::Footer, 0);
        crc.update(&bytes[..CRC_AT]);
        let (expected, found) = (u32_at(bytes, CRC_AT), crc.finish());
        if expected != found {
            return Err(checksum(path, at, Part::Footer, expected, found));
        }
        let file_length = u64_at(bytes, FILE_LENGTH_AT);
        if file_length != file.len() as u64 {
            return Err(length(Some(file_length)));
        }
        if u16_at(bytes, FORMAT_AT) != TABLE_FORMAT
            || bytes[FORMAT_AT + 2..CRC_AT].iter().any(|byte| *byte != 0)
            || !rest.len().is_multiple_of(ALIGN)
        {
            return Err(structure(path, at, Part::Footer, "a field is set that this version does not know"));
        }
        let mut footer = Self::default();
        let mut end = 0_u64;
        for (number, section) in footer.sections.iter_mut().enumerate() {
            let place = &bytes[number * SECTION_BYTES..(number + 1) * SECTION_BYTES];
            *section = Section { offset: u64_at(place, 0), length: u64_at(place, 8), crc: u32_at(place, 16) };
            let fits = section.offset.is_multiple_of(ALIGN as u64)
                && section.offset >= end
                && section.length <= at
                && section.offset <= at - section.length
                // Only the blocks and id pages before the first section may leave room.
                && (number == 0 || section.offset == end.next_multiple_of(ALIGN as u64))
                && u32_at(place, 20) == 0;
            if !fits {
                let offset = at + (number * SECTION_BYTES) as u64;
                return Err(structure(path, offset, Part::Footer, "a section outside its place"));
            }
            end = section.offset + section.length;
        }
        if end.next_multiple_of(ALIGN as u64) != at {
            return Err(structure(path, at, Part::Footer, "it does not follow the last section"));
        }
        Ok(footer)
    }
}
