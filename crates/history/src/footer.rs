//! The end of a file: Parquet's footer and page index, and what the footer says of the file.
//!
//! The decoder is only given what was looked at before ([`thrift`](crate::thrift)).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::ChunkReader;
use tapebook_vfs::File;

use crate::HISTORY_FORMAT;
use crate::decoder::decoding;
use crate::error::{HistoryError, Part, io_error, structure};
use crate::identity::TAIL_BYTES_MAX;
use crate::metadata::{Facts, FactsError};
use crate::thrift::{is_sane_footer, is_sane_index};
use crate::verified::VerifiedFile;

/// `PAR1`, and in front of it the footer's length.
const TRAILER_BYTES: u64 = 8;

/// The footer in the bytes behind the row groups.
pub(crate) fn of_tail<'a>(path: &Path, tail: &'a [u8]) -> Result<&'a [u8], HistoryError> {
    let footer = tail.split_last_chunk::<8>().and_then(|(before, trailer)| {
        let length = trailer.first_chunk().copied().map(u32::from_le_bytes)?;
        let start = before.len().checked_sub(usize::try_from(length).ok()?)?;
        (trailer[4..] == *b"PAR1").then(|| &before[start..])
    });
    footer.ok_or_else(|| structure(path, Part::Footer, "it does not lie in the tail"))
}

/// Decodes a footer.
pub(crate) fn parse(path: &Path, footer: &[u8]) -> Result<ParquetMetaData, HistoryError> {
    if !is_sane_footer(footer) {
        return Err(structure(path, Part::Footer, "it declares more than it has"));
    }
    decoding::<_, ParquetError>(path, Part::Footer, || ParquetMetaDataReader::decode_metadata(footer))
}

/// Adds the page index to what the footer says.
pub(crate) fn with_page_index(
    path: &Path,
    metadata: ParquetMetaData,
    source: &VerifiedFile,
) -> Result<ParquetMetaData, HistoryError> {
    decoding(path, Part::Footer, || {
        for chunk in metadata.row_groups().iter().flat_map(|group| group.columns()) {
            let places = [
                (chunk.column_index_offset(), chunk.column_index_length()),
                (chunk.offset_index_offset(), chunk.offset_index_length()),
            ];
            for (offset, length) in places {
                let (Some(offset), Some(length)) = (offset, length) else { continue };
                let bytes = source.get_bytes(u64::try_from(offset)?, usize::try_from(length)?)?;
                if !is_sane_index(&bytes) {
                    return Err(ParquetError::General("a page index declares more than it has".to_owned()));
                }
            }
        }
        let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
            .with_page_index_policy(PageIndexPolicy::Required);
        reader.read_page_indexes(source)?;
        reader.finish()
    })
}

/// What the footer's metadata says of the file.
pub(crate) fn facts_of(path: &Path, metadata: &FileMetaData) -> Result<Facts, HistoryError> {
    let pairs = metadata.key_value_metadata().map(Vec::as_slice).unwrap_or_default();
    Facts::read(pairs, HISTORY_FORMAT).map_err(|error| match error {
        FactsError::NotOurs => {
            let reason = "a Parquet file without tapebook.format";
            HistoryError::NotHistory { path: path.to_path_buf(), reason }
        }
        FactsError::Newer(found) => HistoryError::NewerFormat { path: path.to_path_buf(), found },
        FactsError::Bad(key) => structure(path, Part::Footer, format!("{key} is missing or cannot be")),
    })
}

/// What the footer says, on nobody's word but its own.
pub(crate) fn footer_facts(
    path: &Path,
    file: &Arc<dyn File>,
    file_bytes: u64,
) -> Result<Facts, HistoryError> {
    let not_history = |reason| HistoryError::NotHistory { path: path.to_path_buf(), reason };
    if file_bytes < 2 * TRAILER_BYTES {
        return Err(not_history("too short for a Parquet file"));
    }
    let trailer = read_end(path, file, file_bytes, TRAILER_BYTES)?;
    if trailer[4..] != *b"PAR1" {
        return Err(not_history("it does not end with PAR1: it was cut off or never finished"));
    }
    let length = trailer.first_chunk().copied().map_or(0, u32::from_le_bytes);
    let bytes = u64::from(length) + TRAILER_BYTES;
    let footer = read_end(path, file, file_bytes, bytes)?;
    let metadata = parse(path, &footer[..length as usize])?;
    facts_of(path, metadata.file_metadata())
}

/// The last bytes of a file, bounded.
pub(crate) fn read_end(
    path: &Path,
    file: &Arc<dyn File>,
    file_bytes: u64,
    bytes: u64,
) -> Result<Bytes, HistoryError> {
    if bytes > file_bytes || bytes > TAIL_BYTES_MAX {
        return Err(structure(
            path,
            Part::Footer,
            format!("{bytes} bytes cannot stand behind the row groups"),
        ));
    }
    let mut end = vec![0; bytes as usize];
    file.read_exact_at(file_bytes - bytes, &mut end).map_err(|source| io_error(path, source))?;
    Ok(end.into())
}
