//! Files of the archive: header, footer, every entry.

use std::path::Path;

use tapebook_vfs::RealVfs;
use tapebook_wal::{ArchiveFile, JournalPoint};

use super::{Page, clock, damaged, hex, log_id};
use crate::error::CliError;

pub(super) fn inspect(path: &Path, page: &mut Page<'_>) -> Result<(), CliError> {
    let file = ArchiveFile::open_as_it_is(&RealVfs::new(), path).or_else(|error| page.fail(error))?;
    let (header, footer) = (file.header(), file.footer());
    page.line(format_args!("{}: {} bytes", path.display(), file.file_bytes()))?;
    page.field("cluster", format_args!("{:032x} node {}", header.log.cluster_id, header.log.node_id))?;
    page.field("epoch", header.epoch)?;
    page.field("created", clock(header.created_at))?;
    page.field("behind", point(&header.before))?;
    match header.previous {
        0 => page.field("file before", "none")?,
        crc => page.field("file before", format_args!("its checksum is {crc:#010x}"))?,
    }
    page.field("through", point(&footer.through))?;
    page.field("checksum", format_args!("{:#010x}", footer.crc))?;
    page.field(
        "committed",
        format_args!("{}..{}", clock(footer.first_commit_clock), clock(footer.last_commit_clock)),
    )?;
    page.field(
        "entries",
        format_args!("{} in {} blocks, {} bytes", footer.entries, footer.blocks, footer.entry_bytes),
    )?;
    for entry in file.entries_from(0) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return page.fail(damaged(path, unplaced(path, &error.to_string()))),
        };
        let meta = &entry.meta;
        let seq = match entry.first_seq {
            0 => "-".to_owned(),
            first => format!("seq {first}.."),
        };
        page.line(format_args!(
            "  {:<10} index {:<8} term {:<4} {:>7} bytes  {}  {seq}",
            meta.kind.name(),
            meta.index,
            meta.term,
            entry.payload.len(),
            clock(meta.proposed_at),
        ))?;
    }
    page.field("checked", "every checksum and index")
}

fn point(point: &JournalPoint) -> String {
    let JournalPoint { entry, last_seq, rolling_hash } = point;
    format!("{}, last seq {last_seq}, rolling hash {}", log_id(entry), hex(rolling_hash))
}

/// An error without the file's name, where that stands before it anyway.
fn unplaced(path: &Path, error: &str) -> String {
    error.strip_prefix(&format!("{}: ", path.display())).unwrap_or(error).to_owned()
}
