//! The bytes of a state file.

use tapebook_record::codec::{Decoder, Encoder};
use tapebook_record::{Crc32c, crc32c};

use super::edit_codec::OPTIONAL_TAGS;
use super::frame::{array_at, check_preamble};
use super::identity::FORMAT_VERSION;
use super::{
    FormatError, LogId, STATE_BYTES_MAX, STATE_SECTION_BYTES_MAX, SectionTag, StateHeader, StateSection,
};

const MAGIC: &[u8; 8] = b"TBKSTATE";
const END_MAGIC: &[u8; 8] = b"TBKSTEND";
const HEADER_BYTES: usize = 128;
const SECTION_HEADER_BYTES: usize = 16;
const TRAILER_BYTES: usize = 24;
const SECTION_ALIGN: usize = 8;

/// The bytes of a state file. [`FormatError::Length`] where a section or the file is too long,
/// [`FormatError::Field`] where a tag appears twice.
pub fn encode_state(header: &StateHeader, sections: &[StateSection]) -> Result<Vec<u8>, FormatError> {
    let mut out = Encoder::new();
    out.raw(MAGIC).u32(FORMAT_VERSION).u32(0).u128(header.cluster_id).u64(header.node_id);
    out.u64(header.file_id).u64(header.applied.term).u64(header.applied.leader_node);
    out.u64(header.applied.index).u64(header.last_seq).u64(header.epoch).raw(&header.rolling_hash);
    out.i64(header.commit_clock).raw(&[0; 12]);
    let crc = crc32c(out.as_slice());
    out.u32(crc);
    for (position, section) in sections.iter().enumerate() {
        if sections[..position].iter().any(|other| other.tag == section.tag) {
            return Err(FormatError::Field { offset: out.len() as u64, reason: "each tag once" });
        }
        put_section(&mut out, header, section)?;
    }
    let len = (out.len() + TRAILER_BYTES) as u64;
    out.raw(END_MAGIC).u64(len).u32(sections.len() as u32);
    let crc = crc32c(out.as_slice());
    out.u32(crc);
    Ok(out.into_bytes())
}

fn put_section(out: &mut Encoder, header: &StateHeader, section: &StateSection) -> Result<(), FormatError> {
    let found = section.bytes.len() as u64;
    let total = (out.len() as u64)
        .saturating_add(found + (SECTION_HEADER_BYTES + TRAILER_BYTES + SECTION_ALIGN) as u64);
    if found > u64::from(STATE_SECTION_BYTES_MAX) {
        return Err(FormatError::Length { expected: STATE_SECTION_BYTES_MAX.into(), found });
    }
    if total > STATE_BYTES_MAX {
        return Err(FormatError::Length { expected: STATE_BYTES_MAX, found: total });
    }
    let mut fields = Encoder::new();
    fields.u16(section.tag as u16).u16(section.version).u32(found as u32).u32(0);
    let crc = section_crc(header, out.len() as u64, fields.as_slice(), &section.bytes);
    out.raw(fields.as_slice()).u32(crc).raw(&section.bytes);
    out.raw(&[0; SECTION_ALIGN][..padding(section.bytes.len())]);
    Ok(())
}

/// Decodes a whole state file. Sections that this program does not know and may skip are left out.
pub fn decode_state(bytes: &[u8]) -> Result<(StateHeader, Vec<StateSection>), FormatError> {
    let header = decode_header(bytes)?;
    let (sections_end, count) = decode_trailer(bytes)?;
    let mut sections: Vec<StateSection> = Vec::new();
    let mut fields = Decoder::new(&bytes[..sections_end]);
    fields.raw(HEADER_BYTES)?;
    for _ in 0..count {
        let offset = fields.offset() as u64;
        let start = fields.clone().raw(SECTION_HEADER_BYTES - 4)?;
        let (tag, version, len, reserved) = (fields.u16()?, fields.u16()?, fields.u32()?, fields.u32()?);
        let found = fields.u32()?;
        if len > STATE_SECTION_BYTES_MAX || reserved != 0 {
            return Err(FormatError::Field { offset, reason: "a section of bounded length" });
        }
        let content = fields.raw(len as usize)?;
        let expected = section_crc(&header, offset, start, content);
        if expected != found {
            return Err(FormatError::Checksum { offset, expected, found });
        }
        if fields.raw(padding(content.len()))?.iter().any(|byte| *byte != 0) {
            return Err(FormatError::Field { offset, reason: "zeros behind the section" });
        }
        match SectionTag::from_u16(tag) {
            Some(tag) if sections.iter().any(|other| other.tag == tag) => {
                return Err(FormatError::Field { offset, reason: "each tag once" });
            }
            Some(tag) => sections.push(StateSection { tag, version, bytes: content.to_vec() }),
            None if tag >= OPTIONAL_TAGS => {}
            None => return Err(FormatError::UnknownField { offset, tag }),
        }
    }
    fields.finish()?;
    check_whole(bytes)?;
    Ok((header, sections))
}

fn decode_header(bytes: &[u8]) -> Result<StateHeader, FormatError> {
    let mut fields = check_preamble(bytes.get(..HEADER_BYTES).unwrap_or(bytes), MAGIC, HEADER_BYTES)?;
    fields.raw(4)?;
    Ok(StateHeader {
        cluster_id: fields.u128()?,
        node_id: fields.u64()?,
        file_id: fields.u64()?,
        applied: LogId { term: fields.u64()?, leader_node: fields.u64()?, index: fields.u64()? },
        last_seq: fields.u64()?,
        epoch: fields.u64()?,
        rolling_hash: array_at(fields.raw(16)?, 0),
        commit_clock: fields.i64()?,
    })
}

/// Where the sections end and how many there are.
fn decode_trailer(bytes: &[u8]) -> Result<(usize, u32), FormatError> {
    let found = bytes.len() as u64;
    let expected = (HEADER_BYTES + TRAILER_BYTES) as u64;
    if found < expected || found > STATE_BYTES_MAX {
        return Err(FormatError::Length { expected, found });
    }
    let start = bytes.len() - TRAILER_BYTES;
    let trailer = &bytes[start..];
    if trailer[..8] != *END_MAGIC {
        return Err(FormatError::Magic { expected: *END_MAGIC, found: array_at(trailer, 0) });
    }
    let expected = u64::from_le_bytes(array_at(trailer, 8));
    if expected != found {
        return Err(FormatError::Length { expected, found });
    }
    Ok((start, u32::from_le_bytes(array_at(trailer, 16))))
}

/// Checks every byte. Comes last, because a damaged section is better named by its own checksum.
fn check_whole(bytes: &[u8]) -> Result<(), FormatError> {
    let end = bytes.len() - 4;
    let (expected, found) = (crc32c(&bytes[..end]), u32::from_le_bytes(array_at(bytes, end)));
    if expected == found { Ok(()) } else { Err(FormatError::Checksum { offset: 0, expected, found }) }
}

fn section_crc(header: &StateHeader, offset: u64, fields: &[u8], content: &[u8]) -> u32 {
    let mut crc = Crc32c::seeded(&header.cluster_id.to_le_bytes());
    crc.update(&header.node_id.to_le_bytes());
    crc.update(&header.file_id.to_le_bytes());
    crc.update(&offset.to_le_bytes());
    crc.update(fields);
    crc.update(content);
    crc.finish()
}

fn padding(len: usize) -> usize {
    len.next_multiple_of(SECTION_ALIGN) - len
}
