//! Asking a row group's Bloom filter for an id.
//!
//! A filter has up to half a MiB, of which one block of 32 bytes answers. So only its header and that block are read; the
//! place of the block is computed as the format says, and the parquet crate is asked about a filter of that one block.

use parquet::bloom_filter::Sbbf;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::ChunkReader;
use twox_hash::XxHash64;

/// Bytes of a block.
const BLOCK_BYTES: u64 = 32;

/// False where no row of the column chunk has that id; true where one may, or the chunk has no filter.
pub(crate) fn may_contain<R: ChunkReader>(chunk: &ColumnChunkMetaData, source: &R, id: &str) -> Result<bool> {
    let Some((offset, length)) = place(chunk)? else {
        return Ok(true);
    };
    // A header is shorter than the shortest filter, and the length of a filter is a power of two.
    let bits_bytes = length.checked_ilog2().map_or(0, |log| 1_u32 << log);
    let header_bytes = u64::from(length - bits_bytes);
    let header = source.get_bytes(offset, header_bytes as usize)?;
    if u64::from(bits_bytes) < BLOCK_BYTES || *header != *header_of(bits_bytes) {
        // Written in some other way: all of it tells as well.
        return Ok(whole(chunk, source)?.is_none_or(|filter| filter.check(id)));
    }
    let blocks = u64::from(bits_bytes) / BLOCK_BYTES;
    let number = ((XxHash64::oneshot(0, id.as_bytes()) >> 32) * blocks) >> 32;
    let block = source.get_bytes(offset + header_bytes + number * BLOCK_BYTES, BLOCK_BYTES as usize)?;
    Ok(Sbbf::new(&block).check(id))
}

/// All of a column chunk's filter, `None` where it has none.
pub(crate) fn whole<R: ChunkReader>(chunk: &ColumnChunkMetaData, source: &R) -> Result<Option<Sbbf>> {
    let Some((offset, length)) = place(chunk)? else {
        return Ok(None);
    };
    let filter = Sbbf::from_bytes(&source.get_bytes(offset, length as usize)?)?;
    // One without a block answers nothing.
    Ok((filter.num_blocks() > 0).then_some(filter))
}

fn place(chunk: &ColumnChunkMetaData) -> Result<Option<(u64, u32)>> {
    let (Some(offset), Some(length)) = (chunk.bloom_filter_offset(), chunk.bloom_filter_length()) else {
        return Ok(None);
    };
    match (u64::try_from(offset), u32::try_from(length)) {
        (Ok(offset), Ok(length)) => Ok(Some((offset, length))),
        _ => Err(ParquetError::General("a Bloom filter lies nowhere".to_owned())),
    }
}

/// The header of a filter of so many bytes, in Thrift's compact encoding: its length, and that it is the only kind there is.
fn header_of(bits_bytes: u32) -> Vec<u8> {
    let mut header = vec![0x15];
    let mut zigzag = u64::from(bits_bytes) << 1;
    while zigzag >= 0x80 {
        header.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    header.push(zigzag as u8);
    for _algorithm_hash_compression in 0..3 {
        header.extend_from_slice(&[0x1c, 0x1c, 0, 0]);
    }
    header.push(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_what_the_parquet_crate_writes() {
        for bytes in [32, 64, 4096, 1 << 16, 1 << 19, 1 << 22] {
            let mut written = Vec::new();
            Sbbf::new_with_num_of_bytes(bytes).write(&mut written).unwrap();
            assert_eq!(written[..written.len() - bytes], header_of(bytes as u32), "{bytes}");
        }
    }
}
