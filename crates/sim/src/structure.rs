//! The kinds of files that a database is made of, and what can happen to one while nobody looks.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};

use crate::random::Random;

/// A kind of file. A new one needs a line in [`Structure::of`] and a name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Structure {
    Identity,
    Current,
    Manifest,
    State,
    Table,
    ClosedSegment,
    LastSegment,
    Mark,
    Spare,
    Archive,
    History,
}

impl Structure {
    /// What a file is, by its path in the data directory. The last segment counts as a closed one here.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "IDENTITY" => Self::Identity,
            "CURRENT" => Self::Current,
            "wal/MARK" => Self::Mark,
            _ if name.starts_with("MANIFEST-") => Self::Manifest,
            _ if name.starts_with("wal/spare-") => Self::Spare,
            _ if name.starts_with("wal/") && name.ends_with(".log") => Self::ClosedSegment,
            _ if name.starts_with("tables/") && name.ends_with(".sst") => Self::Table,
            _ if name.starts_with("tables/") && name.ends_with(".parquet") => Self::History,
            _ if name.starts_with("state/") && name.ends_with(".state") => Self::State,
            _ if name.starts_with("archive/") && name.ends_with(".tape") => Self::Archive,
            _ => return None,
        })
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity",
            Self::Current => "CURRENT",
            Self::Manifest => "manifest",
            Self::State => "state file",
            Self::Table => "SSTable",
            Self::ClosedSegment => "closed segment",
            Self::LastSegment => "last segment",
            Self::Mark => "mark",
            Self::Spare => "spare segment",
            Self::Archive => "archive",
            Self::History => "history file",
        })
    }
}

/// Every file below a directory with its path and bytes.
pub(crate) fn files_below(disk: &MemoryVfs, dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let Ok(entries) = disk.read_dir(dir) else { return files };
    for entry in entries {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            files.extend(files_below(disk, &path));
        } else if let Ok(bytes) = disk.file_bytes(&path) {
            files.insert(path, bytes);
        }
    }
    files
}

/// The files of a data directory by kind.
pub(crate) fn structures(
    files: &BTreeMap<PathBuf, Vec<u8>>,
    root: &Path,
) -> BTreeMap<Structure, Vec<PathBuf>> {
    let mut found: BTreeMap<Structure, Vec<PathBuf>> = BTreeMap::new();
    for path in files.keys() {
        let name = path.strip_prefix(root).ok().and_then(Path::to_str);
        if let Some(structure) = name.and_then(Structure::of) {
            found.entry(structure).or_default().push(path.clone());
        }
    }
    // Segments are listed in their order.
    if let Some(last) = found.get_mut(&Structure::ClosedSegment).and_then(Vec::pop) {
        found.insert(Structure::LastSegment, vec![last]);
    }
    found.retain(|_, paths| !paths.is_empty());
    found
}

/// Puts other files in the place of all that lie in `scope`, a directory or a file; `files` are by their whole paths.
pub(crate) fn replace_below(disk: &MemoryVfs, scope: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    let there = files_below(disk, scope);
    let single = disk.file_bytes(scope).is_ok().then(|| scope.to_owned());
    for path in there.into_keys().chain(single) {
        disk.remove_file(&path).expect("it was listed");
    }
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with(scope)) {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let made = disk.create_dir_all(parent).and_then(|()| disk.open(path, OpenMode::CreateNew));
        made.and_then(|_| disk.mutate(path, |to| to.clone_from(bytes))).expect("there is room");
    }
}

/// What happens to a file.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    /// A bit flips (D3).
    Flip { offset: u64, mask: u8 },
    /// A part of it reads as zeros: a write that was never stored (D6).
    Zeros { offset: u64, len: u64 },
    /// A part of it is written over another part (D5).
    Moved { from: u64, to: u64, len: u64 },
    /// Its end is cut off.
    Cut { len: u64 },
    /// It is gone (D13, D14).
    Missing,
    /// It is as it was earlier: nothing since was stored (D6).
    Older(Vec<u8>),
    /// It is another database's (D15).
    Foreign(Vec<u8>),
}

impl Damage {
    /// Draws what happens to a file with these bytes, given what can take its place.
    pub fn draw(
        bytes: &[u8],
        older: Option<&Vec<u8>>,
        foreign: Option<&Vec<u8>>,
        random: &mut Random,
    ) -> Self {
        // Most of a file may be space that is not used yet; there is little to find out in it.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last as u64 + 1);
        let place = |random: &mut Random| {
            let reach = if random.chance(90) { used } else { bytes.len().max(1) as u64 };
            random.below(reach)
        };
        match random.below(20) {
            0..10 => Self::Flip { offset: place(random), mask: 1 << random.below(8) },
            10..12 => {
                let len = *random.pick(&[8, 64, 512, 4096]);
                Self::Zeros { offset: place(random) / len * len, len }
            }
            12..14 => {
                let len = *random.pick(&[512, 4096]);
                Self::Moved { from: place(random) / len * len, to: place(random) / len * len, len }
            }
            14..16 => Self::Cut { len: place(random) },
            16..17 => Self::Missing,
            17..19 => older.map_or(Self::Missing, |bytes| Self::Older(bytes.clone())),
            _ => foreign.map_or(Self::Missing, |bytes| Self::Foreign(bytes.clone())),
        }
    }

    /// Carries it out; false where nothing changed by it.
    pub fn apply(&self, disk: &MemoryVfs, path: &Path) -> bool {
        let before = disk.file_bytes(path).expect("the file was listed");
        if matches!(self, Self::Missing) {
            disk.remove_file(path).expect("the file was listed");
            return true;
        }
        let mut changed = before.clone();
        let part = |offset: u64, len: u64| {
            let end = before.len().min((offset + len) as usize);
            (offset as usize).min(end)..end
        };
        match self {
            Self::Flip { offset, mask } => {
                if let Some(byte) = changed.get_mut(*offset as usize) {
                    *byte ^= mask;
                }
            }
            Self::Zeros { offset, len } => changed[part(*offset, *len)].fill(0),
            Self::Moved { from, to, len } => {
                let len = part(*from, *len).len().min(part(*to, *len).len());
                changed.copy_within(*from as usize..*from as usize + len, *to as usize);
            }
            Self::Cut { len } => changed.truncate(*len as usize),
            Self::Older(bytes) | Self::Foreign(bytes) => changed.clone_from(bytes),
            Self::Missing => {}
        }
        let differs = changed != before;
        if differs {
            disk.mutate(path, |bytes| *bytes = changed).expect("the file was listed");
        }
        differs
    }

    /// The fault of the catalogue that it stands for.
    pub fn row(&self) -> &'static str {
        match self {
            Self::Flip { .. } => "flipped bit",
            Self::Zeros { .. } => "lost part",
            Self::Moved { .. } => "misplaced part",
            Self::Cut { .. } => "cut file",
            Self::Missing => "missing file",
            Self::Older(_) => "older file",
            Self::Foreign(_) => "foreign file",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row())?;
        match self {
            Self::Flip { offset, mask } => write!(f, " at byte {offset}, mask {mask:#04x}"),
            Self::Zeros { offset, len } => write!(f, " of {len} bytes at byte {offset}"),
            Self::Moved { from, to, len } => write!(f, " of {len} bytes from {from} to {to}"),
            Self::Cut { len } => write!(f, " after {len} bytes"),
            Self::Missing | Self::Older(_) | Self::Foreign(_) => Ok(()),
        }
    }
}
