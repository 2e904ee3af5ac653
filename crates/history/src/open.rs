//! Opening a file: everything but the row groups is read and checked.

use std::path::Path;
use std::sync::Arc;

use parquet::file::metadata::ParquetMetaData;
use tapebook_vfs::{OpenMode, Vfs};

use crate::directory::{self, SeriesSpan};
use crate::error::{HistoryError, Part, io_error, structure};
use crate::footer::{self, facts_of, footer_facts, read_end};
use crate::grains::GRAIN_BYTES;
use crate::identity::{ChecksumKind, HistoryIdentity, HistorySeal};
use crate::metadata::Facts;
use crate::pages::KeyPages;
use crate::verified::VerifiedFile;

/// What is known of a file before anything is known of its table.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path: Arc<Path>,
    pub(crate) source: VerifiedFile,
    pub(crate) parquet: ParquetMetaData,
    pub(crate) facts: Facts,
    pub(crate) series: Vec<SeriesSpan>,
    pub(crate) pages: KeyPages,
    pub(crate) seal: HistorySeal,
}

impl Opened {
    /// Without an identity it is taken from the file, which then says what it likes; without a seal likewise.
    pub(crate) fn new(
        vfs: &dyn Vfs,
        path: &Path,
        identity: Option<HistoryIdentity>,
        seal: Option<HistorySeal>,
    ) -> Result<Self, HistoryError> {
        let path: Arc<Path> = path.into();
        let file = vfs.open(&path, OpenMode::Read).map_err(|source| io_error(&path, source))?;
        let file_bytes = file.len().map_err(|source| io_error(&path, source))?;
        let identity = match identity {
            Some(identity) => identity,
            None => footer_facts(&path, &file, file_bytes)?.identity,
        };
        let found = match seal {
            Some(seal) if seal.file_bytes != file_bytes => {
                let (path, expected) = (path.to_path_buf(), seal.file_bytes);
                return Err(HistoryError::Length { path, expected, found: file_bytes });
            }
            Some(seal) => seal.tail_bytes,
            None => file_bytes - footer_facts(&path, &file, file_bytes)?.tail.min(file_bytes),
        };
        let tail = read_end(&path, &file, file_bytes, found)?;
        let tail_offset = file_bytes - found;
        let mut crc = identity.checksum(ChecksumKind::Tail, tail_offset);
        crc.update(&tail);
        let tail_crc = crc.finish();
        if let Some(seal) = seal
            && seal.tail_crc != tail_crc
        {
            // Another file has other checksums as well: say that, where it can be told.
            if let Ok(facts) = footer_facts(&path, &file, file_bytes) {
                check_identity(&path, identity, facts.identity)?;
            }
            return Err(HistoryError::Checksum {
                path: path.to_path_buf(),
                offset: tail_offset,
                part: Part::Tail,
                expected: seal.tail_crc,
                found: tail_crc,
            });
        }
        let source = VerifiedFile::new(&path, &file, identity, tail_offset, tail.clone(), Vec::new());
        let parquet = footer::parse(&path, footer::of_tail(&path, &tail)?)?;
        let facts = facts_of(&path, parquet.file_metadata())?;
        check_identity(&path, identity, facts.identity)?;
        let fail = |part, reason: &str| Err(structure(&path, part, reason));
        if facts.tail != tail_offset || facts.grain_bytes != GRAIN_BYTES as u64 {
            return fail(Part::Footer, "the tail does not begin where it should");
        }
        let sum = parquet
            .row_groups()
            .iter()
            .try_fold(0_u64, |sum, group| sum.checked_add(u64::try_from(group.num_rows()).ok()?));
        if sum != Some(facts.rows) || u64::try_from(parquet.file_metadata().num_rows()) != Ok(facts.rows) {
            return fail(Part::Footer, "the row groups do not have the rows of the file");
        }
        let directory = usize::try_from(facts.directory_bytes).ok().filter(|bytes| *bytes <= tail.len());
        let Some(directory_bytes) = directory else {
            return fail(Part::Directory, "it lies behind the end of the file");
        };
        let series = directory::decode(&tail[..directory_bytes], facts.rows)
            .map_err(|error| structure(&path, Part::Directory, error))?;
        let grain_count = usize::try_from(tail_offset.div_ceil(GRAIN_BYTES as u64)).unwrap_or(usize::MAX);
        let checksums = grain_count
            .checked_mul(4)
            .and_then(|bytes| tail.get(directory_bytes..directory_bytes.checked_add(bytes)?));
        let Some(checksums) = checksums else {
            return fail(Part::Checksums, "there are fewer than grains");
        };
        let grains = checksums.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let parquet = footer::with_page_index(&path, parquet, &source)?;
        let Some(pages) = KeyPages::of(&parquet) else {
            return fail(Part::Footer, "the page index does not have the rows of the row groups");
        };
        Ok(Self {
            source: source.with_grains(grains),
            parquet,
            facts,
            series,
            pages,
            seal: HistorySeal { file_bytes, tail_bytes: found, tail_crc },
            path,
        })
    }
}

fn check_identity(
    path: &Path,
    expected: HistoryIdentity,
    found: HistoryIdentity,
) -> Result<(), HistoryError> {
    if expected == found {
        return Ok(());
    }
    Err(HistoryError::WrongIdentity { path: path.to_path_buf(), expected, found })
}
