//! The target of backups that the user named: a directory, or an address of an object store.

use std::path::Path;
use std::sync::Arc;

use tapebook::BackupTarget;
use tapebook_objects::{is_url, open_target};
use tapebook_vfs::{RealVfs, Vfs};

use crate::error::CliError;

/// A target that may be begun.
pub(crate) fn new_target(target: &Path) -> Result<Box<dyn BackupTarget>, CliError> {
    open_target(Arc::new(RealVfs::new()), target).map_err(CliError::failed)
}

/// A target with backups. One without is nearly always a name mistyped.
pub(crate) fn existing_target(target: &Path) -> Result<Box<dyn BackupTarget>, CliError> {
    let opened = new_target(target)?;
    let begin = format!("`tapebook backup create {}` begins one", target.display());
    if url(target).is_some() {
        let place = opened.place("backups");
        let listed = opened.list("backups");
        let listed = listed.map_err(|error| CliError::failed(format!("{place}: cannot list: {error}")))?;
        if listed.is_empty() {
            return Err(CliError::failed(format!(
                "{place}: there is no backup; check the prefix, or {begin}"
            )));
        }
    } else if !RealVfs::new().exists(target).unwrap_or(true) {
        return Err(CliError::failed(format!("{}: no such directory; {begin}", target.display())));
    }
    Ok(opened)
}

fn url(target: &Path) -> Option<&str> {
    target.to_str().filter(|text| is_url(text))
}
