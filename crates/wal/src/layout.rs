//! The names in a log's directory.

use std::io;
use std::path::{Path, PathBuf};

use tapebook_vfs::Vfs;

pub(crate) const MARK_NAME: &str = "MARK";

/// The file of a segment.
pub fn segment_path(dir: &Path, segment_id: u64) -> PathBuf {
    dir.join(format!("{segment_id:010}.log"))
}

/// A prepared file that waits to become a segment.
pub(crate) fn spare_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("spare-{number}"))
}

/// A file that is being prepared; worthless until it is renamed to a spare.
pub(crate) fn preparing_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("preparing-{number}"))
}

/// What lies in a log's directory, each list sorted.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub segment_ids: Vec<u64>,
    /// Number and length.
    pub spares: Vec<(u64, u64)>,
    pub preparing: Vec<u64>,
}

impl Listing {
    pub fn read(vfs: &dyn Vfs, dir: &Path) -> io::Result<Self> {
        let mut listing = Self::default();
        for entry in vfs.read_dir(dir)?.into_iter().filter(|entry| !entry.is_dir) {
            if let Some(id) = entry.name.strip_suffix(".log").and_then(parse_segment_id) {
                listing.segment_ids.push(id);
            } else if let Some(number) = entry.name.strip_prefix("spare-").and_then(|n| n.parse().ok()) {
                listing.spares.push((number, entry.len));
            } else if let Some(number) = entry.name.strip_prefix("preparing-").and_then(|n| n.parse().ok()) {
                listing.preparing.push(number);
            }
        }
        listing.segment_ids.sort_unstable();
        listing.spares.sort_unstable();
        Ok(listing)
    }

    /// A number that no spare has.
    pub fn next_spare(&self) -> u64 {
        let numbers = self.spares.iter().map(|(number, _)| number).chain(&self.preparing);
        numbers.max().map_or(1, |number| number.saturating_add(1))
    }
}

fn parse_segment_id(digits: &str) -> Option<u64> {
    let id = digits.parse().ok()?;
    (format!("{id:010}") == digits).then_some(id)
}
