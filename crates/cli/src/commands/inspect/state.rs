//! State files: what is not a row.

use std::path::Path;

use tapebook_lsm::manifest::{STATE_BYTES_MAX, decode_state};
use tapebook_vfs::{RealVfs, Vfs};

use super::{Page, clock, hex};
use crate::error::CliError;

pub(super) fn inspect(path: &Path, page: &mut Page<'_>) -> Result<(), CliError> {
    let bytes = RealVfs::new().read_file(path, STATE_BYTES_MAX).map_err(CliError::failed)?;
    let (header, sections) = match decode_state(&bytes) {
        Ok(decoded) => decoded,
        Err(error) => return page.fail(format!("{}: {error}", path.display())),
    };
    page.line(format_args!("{}: {} bytes", path.display(), bytes.len()))?;
    page.field(
        "file",
        format_args!("{} of cluster {:032x} node {}", header.file_id, header.cluster_id, header.node_id),
    )?;
    page.field("applied", header.applied)?;
    page.field("last seq", header.last_seq)?;
    page.field("epoch", header.epoch)?;
    page.field("rolling hash", hex(&header.rolling_hash))?;
    page.field("commit clock", clock(header.commit_clock))?;
    for section in &sections {
        page.line(format_args!(
            "  section {:?}: version {}, {} bytes",
            section.tag,
            section.version,
            section.bytes.len()
        ))?;
    }
    Ok(())
}
