//! Where everything lies in a data directory.

use std::path::{Path, PathBuf};

use tapebook_lsm::manifest::layout::{STATE_FOLDER, TABLES_FOLDER, history_name, state_name, table_name};

/// The paths of a data directory.
///
/// ```text
/// IDENTITY              whose directory this is
/// LOCK                  who has it open
/// CURRENT, MANIFEST-*   which files there are
/// wal/                  the log
/// tables/               SSTables and history files
/// history/TABLE/        the history files again, by the names that other programs read them by
/// state/                state files
/// archive/              the journal, as far back as it is kept
/// incoming/             files of another node, until they are installed
/// ```
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The paths under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The data directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The log's directory.
    pub fn wal(&self) -> PathBuf {
        self.root.join("wal")
    }

    /// The directory of the journal's archive.
    pub fn archive(&self) -> PathBuf {
        self.root.join("archive")
    }

    /// The directory of the SSTables.
    pub fn tables(&self) -> PathBuf {
        self.root.join(TABLES_FOLDER)
    }

    /// The directory of the state files.
    pub fn states(&self) -> PathBuf {
        self.root.join(STATE_FOLDER)
    }

    /// Where files of another node lie until they are installed.
    pub fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    /// An SSTable.
    pub fn table(&self, file_id: u64) -> PathBuf {
        self.root.join(table_name(file_id))
    }

    /// A history file.
    pub fn history(&self, file_id: u64) -> PathBuf {
        self.root.join(history_name(file_id))
    }

    /// A state file.
    pub fn state(&self, file_id: u64) -> PathBuf {
        self.root.join(state_name(file_id))
    }
}
