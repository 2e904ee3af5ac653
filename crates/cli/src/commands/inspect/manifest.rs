//! The manifest: which files a data directory consists of.

use std::path::Path;

use tapebook_lsm::manifest::{Identity, Manifest, decode_manifest_header};
use tapebook_vfs::{OpenMode, RealVfs, Vfs};

use super::{Page, clock, hex};
use crate::error::CliError;

/// What the beginning of a manifest says is in these bytes.
const HEADER_BYTES: u64 = 4096;

pub(super) fn inspect(path: &Path, page: &mut Page<'_>) -> Result<(), CliError> {
    let vfs = RealVfs::new();
    let is_dir = vfs.read_dir(path).is_ok();
    let dir = if is_dir {
        path
    } else {
        path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
    };
    if !is_dir {
        describe_header(&vfs, path, page)?;
    }
    let identity = Identity::read(&vfs, dir).or_else(|error| page.fail(error))?;
    let replayed = Manifest::read(&vfs, dir, identity).or_else(|error| page.fail(error))?;
    page.line(format_args!("{}: {identity}, created {}", dir.display(), clock(identity.created_at)))?;
    page.field("edits", format_args!("{}, {} bytes", replayed.edits, replayed.end))?;
    if let Some(torn) = &replayed.torn {
        page.field(
            "unfinished edit",
            format_args!("{} bytes at byte {}, which nobody was told of", torn.bytes, torn.offset),
        )?;
    }
    let version = &replayed.version;
    page.field("epoch", version.epoch())?;
    page.field("last seq in files", version.last_seq())?;
    page.field("log is needed from", format_args!("index {}", version.log_start()))?;
    page.field("next file", version.next_file_id())?;
    if let Some(state) = version.state() {
        page.field(
            "state file",
            format_args!(
                "{}, applied {}, last seq {}, rolling hash {}",
                state.file_id,
                state.applied,
                state.last_seq,
                hex(&state.rolling_hash)
            ),
        )?;
    }
    for partition in version.partitions() {
        let (first, last) = (clock(partition.times.first), clock(partition.times.last));
        page.line(format_args!("  partition {}: {first}..{last}", partition.id))?;
    }
    for file in version.tables() {
        page.line(format_args!(
            "  table {}: level {}, partition {}, {} rows, {} bytes, seq {}, ts {}..{}, log index {}",
            file.file_id,
            file.level,
            file.partition,
            file.rows,
            file.bytes,
            file.seqs,
            clock(file.times.first),
            clock(file.times.last),
            file.log_indexes
        ))?;
    }
    for file in version.history() {
        page.line(format_args!(
            "  history {}: {}, {} rows, {} bytes, seq {}, ts {}..{}",
            file.file_id,
            file.path,
            file.rows,
            file.bytes,
            file.seqs,
            clock(file.times.first),
            clock(file.times.last)
        ))?;
    }
    Ok(())
}

/// What a manifest's own file says, also where it is not the one in use.
fn describe_header(vfs: &RealVfs, path: &Path, page: &mut Page<'_>) -> Result<(), CliError> {
    let read = || {
        let file = vfs.open(path, OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?.min(HEADER_BYTES)).unwrap_or(0)];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: std::io::Error| CliError::failed(error))?;
    let header = match decode_manifest_header(&bytes) {
        Ok(header) => header,
        Err(error) => return page.fail(format!("{}: {error}", path.display())),
    };
    page.line(format_args!(
        "{}: manifest {} of cluster {:032x} node {}, begun {}",
        path.display(),
        header.number,
        header.cluster_id,
        header.node_id,
        clock(header.created_at)
    ))
}
