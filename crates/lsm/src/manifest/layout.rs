//! Every name in a data directory, which files a version uses, and which are left over from a crash.
//!
//! ```text
//! IDENTITY  CURRENT  MANIFEST-000001    whose directory it is, which manifest counts, the manifest
//! state/000007.state                    what is not a row
//! tables/000008.sst                     table files
//! tables/000009.parquet                 history files
//! history/TABLE/*.parquet               the history files again, by the names that other programs read them by
//! *.tmp                                 a file that was being written; worthless until it is renamed
//! IDENTITY.unfinished                   the directory is being built as a copy, and is no database yet
//! ```
//!
//! Names are relative to the data directory and use `/`. Names of other kinds (the log, the lock, a user's own
//! files) are never taken for garbage.

use std::collections::BTreeSet;

use super::Version;

/// The file that says whose directory it is.
pub const IDENTITY_NAME: &str = "IDENTITY";
/// The name that `IDENTITY` has until everything else is there, where a directory is built out of another database's
/// files.
pub const UNFINISHED_NAME: &str = "IDENTITY.unfinished";
/// The file that names the manifest.
pub const CURRENT_NAME: &str = "CURRENT";
/// The folder of state files.
pub const STATE_FOLDER: &str = "state";
/// The folder of table files.
pub const TABLES_FOLDER: &str = "tables";
/// The folder of the history.
pub const HISTORY_FOLDER: &str = "history";
/// The end of the name of a file that is being written.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

const MANIFEST_PREFIX: &str = "MANIFEST-";
const HISTORY_PATH_BYTES_MAX: usize = 1024;

/// The name of the manifest with this number.
pub fn manifest_name(number: u64) -> String {
    format!("{MANIFEST_PREFIX}{number:06}")
}

/// The name of the state file with this number.
pub fn state_name(file_id: u64) -> String {
    format!("{STATE_FOLDER}/{file_id:06}.state")
}

/// The name of the table file with this number.
pub fn table_name(file_id: u64) -> String {
    format!("{TABLES_FOLDER}/{file_id:06}.sst")
}

/// The name of the history file with this number.
pub fn history_name(file_id: u64) -> String {
    format!("{TABLES_FOLDER}/{file_id:06}.parquet")
}

/// The number in the name of a manifest.
pub fn manifest_number(name: &str) -> Option<u64> {
    name.strip_prefix(MANIFEST_PREFIX).and_then(number)
}

/// The names of all files that `version` consists of: its tables, its history, its state file. The names below
/// `history/` are not among them; they are made anew from the files where they are missing.
pub fn files_in_use(version: &Version) -> BTreeSet<String> {
    let tables = version.tables().map(|file| table_name(file.file_id));
    let history = version.history().map(|file| history_name(file.file_id));
    let state = version.state().map(|state| state_name(state.file_id));
    tables.chain(history).chain(state).collect()
}

/// Which of `listing` (names of files, relative to the data directory, of the directory itself and of the folders
/// `state`, `tables` and `history`, at any depth) no version uses.
///
/// Those are temporary files of a write that a crash cut short, files whose edit was never committed, files that an
/// edit removed, and every manifest but the one with `manifest_number`. `versions` are all versions that somebody
/// still reads, the current one among them; at open that is the only one.
///
/// Trust it only with a manifest that was read without an error. Where [`Replayed::torn`](super::Replayed) reports a
/// tail, the files of an edit that nobody was told of are among the garbage.
pub fn garbage<'a>(
    versions: impl IntoIterator<Item = &'a Version>,
    current_manifest: u64,
    listing: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let mut used = BTreeSet::new();
    for version in versions {
        used.append(&mut files_in_use(version));
        used.extend(version.history().map(|file| file.path.clone()));
    }
    let unused = |name: &&str| match kind(name) {
        Kind::Temporary => true,
        Kind::Manifest(number) => number != current_manifest,
        Kind::Content => !used.contains(*name),
        Kind::Other => false,
    };
    listing.into_iter().filter(unused).map(str::to_owned).collect()
}

enum Kind {
    Temporary,
    Manifest(u64),
    Content,
    Other,
}

fn kind(name: &str) -> Kind {
    if let Some(target) = name.strip_suffix(TEMPORARY_SUFFIX) {
        let ours = target == IDENTITY_NAME || target == CURRENT_NAME || !matches!(kind(target), Kind::Other);
        return if ours { Kind::Temporary } else { Kind::Other };
    }
    let in_folder = |folder: &str, suffix: &str| {
        let rest = name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        rest.and_then(|rest| rest.strip_suffix(suffix))
    };
    if let Some(number) = manifest_number(name) {
        return Kind::Manifest(number);
    }
    let numbered = in_folder(STATE_FOLDER, ".state")
        .or_else(|| in_folder(TABLES_FOLDER, ".sst"))
        .or_else(|| in_folder(TABLES_FOLDER, ".parquet"));
    if numbered.and_then(number).is_some() || in_folder(HISTORY_FOLDER, ".parquet").is_some() {
        Kind::Content
    } else {
        Kind::Other
    }
}

/// True for `history/` and one or more plain names: no `.`, no `..`, nothing empty, no `\`, no control characters.
pub(crate) fn is_history_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix(HISTORY_FOLDER).and_then(|rest| rest.strip_prefix('/')) else {
        return false;
    };
    let plain = |name: &str| !name.is_empty() && name != "." && name != "..";
    path.len() <= HISTORY_PATH_BYTES_MAX
        && rest.split('/').all(plain)
        && !rest.contains(|c: char| c == '\\' || c.is_control())
}

/// A number in the one form in which this module writes it.
fn number(digits: &str) -> Option<u64> {
    let number = digits.parse().ok()?;
    (format!("{number:06}") == digits).then_some(number)
}
