//! Names: what a process sees, what the disk holds, and the changes between the two. Bytes live elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::random::SplitMix64;

/// What a name stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Entry {
    Directory,
    File(u64),
}

/// Every name of the disk.
///
/// Invariant: `visible` is `durable` with all of `pending` applied in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Namespace {
    visible: BTreeMap<PathBuf, Entry>,
    durable: BTreeMap<PathBuf, Entry>,
    pending: Vec<Change>,
}

/// One atomic change, such as a rename: all of its edits survive or none does.
#[derive(Clone, Debug)]
struct Change {
    edits: Vec<(PathBuf, Option<Entry>)>,
    /// Directories that were not synced since.
    unsynced: BTreeSet<PathBuf>,
}

impl Namespace {
    pub(super) fn get(&self, path: &Path) -> Option<Entry> {
        if path.as_os_str().is_empty() { Some(Entry::Directory) } else { self.visible.get(path).copied() }
    }

    /// The entries right below a directory.
    pub(super) fn children<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = (&'a Path, Entry)> {
        self.visible
            .range(dir.to_path_buf()..)
            .take_while(move |(path, _)| path.starts_with(dir))
            .filter(move |(path, _)| path.parent() == Some(dir))
            .map(|(path, entry)| (path.as_path(), *entry))
    }

    /// A directory, durable at once: whoever creates one syncs its parent in the same call.
    pub(super) fn add_directory(&mut self, path: &Path) {
        self.visible.insert(path.to_path_buf(), Entry::Directory);
        self.durable.insert(path.to_path_buf(), Entry::Directory);
    }

    /// Applies the edits together; durable after a sync of every directory that they touch.
    pub(super) fn change(&mut self, edits: Vec<(PathBuf, Option<Entry>)>) {
        let unsynced = edits.iter().map(|(path, _)| parent(path)).collect();
        apply(&mut self.visible, &edits);
        self.pending.push(Change { edits, unsynced });
    }

    /// Makes the changes in `dir` durable, with the earlier ones that they build upon.
    pub(super) fn sync(&mut self, dir: &Path) {
        let mut needed = BTreeSet::new();
        let mut durable = vec![false; self.pending.len()];
        for (index, change) in self.pending.iter_mut().enumerate().rev() {
            let touched = change.unsynced.remove(dir);
            let complete = touched && change.unsynced.is_empty();
            durable[index] = complete || change.paths().any(|path| needed.contains(path));
            if durable[index] {
                needed.extend(change.paths().cloned());
            }
        }
        let mut durable = durable.into_iter();
        self.pending.retain(|change| {
            let done = durable.next().unwrap_or(false);
            if done {
                apply(&mut self.durable, &change.edits);
            }
            !done
        });
    }

    /// The power fails: a subset of the pending changes survives, without those that build upon a lost one.
    /// Returns how many survived and how many were lost.
    pub(super) fn crash(&mut self, random: &mut SplitMix64) -> (u64, u64) {
        let pending = std::mem::take(&mut self.pending);
        let survival = Survival::choose(pending.len(), random);
        let mut lost_paths = BTreeSet::new();
        let (mut kept, mut lost) = (0, 0);
        for (index, change) in pending.iter().enumerate() {
            if survival.keeps(index, random) && !change.paths().any(|path| lost_paths.contains(path)) {
                apply(&mut self.durable, &change.edits);
                kept += 1;
            } else {
                lost_paths.extend(change.paths());
                lost += 1;
            }
        }
        self.visible = self.durable.clone();
        (kept, lost)
    }

    /// Every file that some name leads to, or may lead to after a crash.
    pub(super) fn reachable(&self) -> BTreeSet<u64> {
        let pending =
            self.pending.iter().flat_map(|change| change.edits.iter().filter_map(|(_, entry)| *entry));
        files(self.visible.values().copied().chain(self.durable.values().copied()).chain(pending))
    }

    /// Every file that a name leads to now.
    pub(super) fn visible_files(&self) -> BTreeSet<u64> {
        files(self.visible.values().copied())
    }
}

impl Change {
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.edits.iter().map(|(path, _)| path)
    }
}

/// How a crash treats changes: journals keep a prefix, others any subset that respects dependencies.
enum Survival {
    Prefix(usize),
    Independent { eighths: usize },
}

impl Survival {
    fn choose(pending: usize, random: &mut SplitMix64) -> Self {
        if random.chance(4) {
            Self::Prefix(random.below(pending + 1))
        } else {
            Self::Independent { eighths: [1, 4, 7][random.below(3)] }
        }
    }

    fn keeps(&self, index: usize, random: &mut SplitMix64) -> bool {
        match *self {
            Self::Prefix(len) => index < len,
            Self::Independent { eighths } => random.chance(eighths),
        }
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Entry>, edits: &[(PathBuf, Option<Entry>)]) {
    for (path, entry) in edits {
        match entry {
            Some(entry) => names.insert(path.clone(), *entry),
            None => names.remove(path),
        };
    }
}

fn files(entries: impl Iterator<Item = Entry>) -> BTreeSet<u64> {
    entries
        .filter_map(|entry| match entry {
            Entry::File(inode) => Some(inode),
            Entry::Directory => None,
        })
        .collect()
}

/// The directory that holds `path`; the root holds itself.
pub(super) fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_path_buf()
}
