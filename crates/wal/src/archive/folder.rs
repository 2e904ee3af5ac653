//! The names in an archive's directory.

use std::io;
use std::path::Path;

use tapebook_vfs::Vfs;

const SUFFIX: &str = ".tape";

/// The name of the file whose first entry has this index; names sort as the journal does.
pub fn archive_name(first_index: u64) -> String {
    format!("{first_index:020}{SUFFIX}")
}

/// The first indexes of all files in `dir`, ascending; none where it is missing.
pub fn list_archive(vfs: &dyn Vfs, dir: &Path) -> io::Result<Vec<u64>> {
    if !vfs.exists(dir)? {
        return Ok(Vec::new());
    }
    let entries = vfs.read_dir(dir)?;
    let mut indexes: Vec<u64> = entries
        .iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| {
            let index = entry.name.strip_suffix(SUFFIX)?.parse().ok()?;
            (archive_name(index) == entry.name).then_some(index)
        })
        .collect();
    indexes.sort_unstable();
    Ok(indexes)
}
