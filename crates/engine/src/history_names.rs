//! The names below `history/`, by which other programs read history files.
//!
//! The database itself reads `tables/N.parquet`. Each of those has a second name, `history/TABLE/SLICE.parquet`, that
//! stays the same when late rows or a retraction make a newer file of the slice: the name goes over to it in one rename.
//! Whoever lists the names and then opens them finds each slice once, older or newer, and whoever has a file open keeps
//! it. Nothing depends on these names; where they are missing or behind, they are made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use tapebook_lsm::manifest::layout::{HISTORY_FOLDER, history_name};
use tapebook_lsm::manifest::{HistoryFile, Version};
use tapebook_vfs::{OpenMode, Vfs};

use crate::FlushError;
use crate::files::{io_error, unfinished};
use crate::unfinished::link_or_copy;

/// So many bytes from the end tell two history files apart: the footer says which file it is.
const END_BYTES: usize = 4096;

/// Makes the names those of the version's files, and removes others.
pub(crate) fn publish_names(vfs: &dyn Vfs, root: &Path, version: &Version) -> Result<(), FlushError> {
    let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let history = root.join(HISTORY_FOLDER);
    if entries(vfs, &history)?.is_empty() && version.history().next().is_none() {
        return Ok(());
    }
    for folder in entries(vfs, &history)?.into_iter().filter(|entry| entry.is_dir) {
        folders.insert(format!("{HISTORY_FOLDER}/{}", folder.name), BTreeSet::new());
    }
    for file in version.history() {
        let Some((folder, name)) = file.path.rsplit_once('/') else { continue };
        folders.entry(folder.to_owned()).or_default().insert(name.to_owned());
    }
    let mut changed = BTreeSet::new();
    for file in version.history() {
        let Some((folder, _)) = file.path.rsplit_once('/') else { continue };
        let path = root.join(&file.path);
        let is =
            is_named(vfs, root, file).map_err(|source| io_error("read the history file", &path, source))?;
        if !is {
            name_file(vfs, root, file).map_err(|source| io_error("name the history file", &path, source))?;
            changed.insert(folder.to_owned());
        }
    }
    for (folder, names) in &folders {
        let dir = root.join(folder);
        for entry in entries(vfs, &dir)?.into_iter().filter(|entry| !entry.is_dir) {
            let ours = entry.name.ends_with(".parquet") || entry.name.ends_with(".parquet.tmp");
            if ours && !names.contains(&entry.name) {
                let path = dir.join(&entry.name);
                vfs.remove_file(&path).map_err(|source| io_error("remove a file", &path, source))?;
                changed.insert(folder.clone());
            }
        }
    }
    for folder in changed {
        let dir = root.join(folder);
        vfs.sync_dir(&dir).map_err(|source| io_error("sync the directory", &dir, source))?;
    }
    Ok(())
}

fn entries(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<tapebook_vfs::DirEntry>, FlushError> {
    let list = || if vfs.exists(dir)? { vfs.read_dir(dir) } else { Ok(Vec::new()) };
    list().map_err(|source| io_error("list", dir, source))
}

/// True where the name leads to the file, or to a copy of it.
fn is_named(vfs: &dyn Vfs, root: &Path, file: &HistoryFile) -> io::Result<bool> {
    let named = root.join(&file.path);
    if !vfs.exists(&named)? {
        return Ok(false);
    }
    let end = |path: &Path| {
        let opened = vfs.open(path, OpenMode::Read)?;
        let bytes = opened.len()?;
        let mut end = vec![0; END_BYTES.min(usize::try_from(bytes).unwrap_or(END_BYTES))];
        opened.read_exact_at(bytes - end.len() as u64, &mut end)?;
        io::Result::Ok((bytes, end))
    };
    Ok(end(&named)? == end(&root.join(history_name(file.file_id)))?)
}

fn name_file(vfs: &dyn Vfs, root: &Path, file: &HistoryFile) -> io::Result<()> {
    let named = root.join(&file.path);
    if let Some(folder) = named.parent() {
        vfs.create_dir_all(folder)?;
    }
    let next = unfinished(&named);
    if vfs.exists(&next)? {
        vfs.remove_file(&next)?;
    }
    link_or_copy(vfs, &root.join(history_name(file.file_id)), &next)?;
    vfs.rename(&next, &named)
}
