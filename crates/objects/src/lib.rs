//! Backups in object storage: [`ObjectTarget`] is a [`BackupTarget`] over S3 and what speaks its
//! protocol.
//!
//! It owns how an object gets there and back: uploads in parts of bounded memory, checked when they are done; downloads in
//! ranges; retries and timeouts; what a refusal means and what to do about it. Which objects a backup has, their hashes
//! and the order in which they are written are the engine's business.
//!
//! *Boundary*: this is the only crate that names the library `object_store`, and none of its types appears in the
//! interface. A program that embeds the database without it compiles no HTTP client.

#![forbid(unsafe_code)]

mod download;
mod error;
mod limits;
mod settings;
mod stored;
mod target;
mod upload;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use tapebook::{BackupTarget, DirectoryTarget};
use tapebook_vfs::Vfs;

pub use error::TargetError;
pub use limits::Limits;
pub use target::ObjectTarget;

/// The target of backups that somebody named: an address of an object store, or the path of a directory. Nothing is
/// sent or made yet.
pub fn open_target(vfs: Arc<dyn Vfs>, target: &Path) -> Result<Box<dyn BackupTarget>, TargetError> {
    match target.to_str().filter(|text| is_url(text)) {
        Some(url) => Ok(Box::new(ObjectTarget::open(url)?)),
        None => Ok(Box::new(DirectoryTarget::new(vfs, target))),
    }
}

/// True where the text is an address of an object store and not the path of a directory.
pub fn is_url(target: &str) -> bool {
    target.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}
