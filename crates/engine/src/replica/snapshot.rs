//! Everything up to one entry, for a node whose log lacks what comes before it: files as they are, and what is not a row.

use std::io;
use std::sync::Arc;

use tapebook_lsm::manifest::layout::{history_name, table_name};
use tapebook_lsm::manifest::{
    self, HistoryFile, StateFile, StateHeader, StateSection, TableFile, VersionEdit, decode_edit,
    encode_edit, encode_state,
};
use tapebook_record::codec::{DecodeError, Decoder, Encoder};
use tapebook_vfs::{File, OpenMode};
use tapebook_wal::LogId;

use super::{InstallError, Replica};
use crate::state::{StoredMembership, decode_state, from_manifest};
use crate::{FlushError, Membership};

const VERSION: u16 = 1;

/// What a flush has written, open: the files stay readable whatever becomes of their names.
pub struct ReplicaSnapshot {
    applied: LogId,
    membership: Option<(LogId, Membership)>,
    description: Vec<u8>,
    parts: Vec<SnapshotPart>,
}

/// How far a snapshot reaches.
#[derive(Clone, Debug, Default)]
pub struct SnapshotHead {
    /// The last entry in it.
    pub applied: LogId,
    /// The membership at that entry, and where it came from.
    pub membership: Option<(LogId, Membership)>,
}

/// A file of a snapshot.
pub struct SnapshotPart {
    /// Its name in the snapshot.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    file: Arc<dyn File>,
}

impl SnapshotPart {
    /// Reads a piece of the file, up to its end.
    pub fn read(&self, offset: u64, bytes_max: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut piece = vec![0; left.min(bytes_max)];
        self.file.read_exact_at(offset, &mut piece)?;
        Ok(piece)
    }
}

impl ReplicaSnapshot {
    /// The last entry in it.
    pub fn applied(&self) -> LogId {
        self.applied
    }

    /// The membership at that entry.
    pub fn membership(&self) -> Option<&(LogId, Membership)> {
        self.membership.as_ref()
    }

    /// What the receiver has to know before the first file.
    pub fn description(&self) -> &[u8] {
        &self.description
    }

    /// Its files.
    pub fn parts(&self) -> &[SnapshotPart] {
        &self.parts
    }
}

impl Replica {
    /// What the last flush has written; `None` before the first.
    pub fn snapshot(&self) -> Result<Option<ReplicaSnapshot>, FlushError> {
        let flusher = &self.db.flusher;
        let (vfs, root) = (&*self.db.vfs, self.db.layout.root());
        let files = flusher.files.lock().map_err(|_| FlushError::Interrupted)?;
        let version = files.version()?;
        let Some(named) = version.state() else { return Ok(None) };
        let (header, sections) = StateFile::read_named(vfs, root, &flusher.store.identity, named)?;
        let open = |name: String, from: String, bytes: u64| {
            let path = root.join(from);
            let file = vfs.open(&path, OpenMode::Read).map_err(|source| FlushError::Io {
                operation: "open a file for a snapshot",
                path,
                source,
            })?;
            Ok::<_, FlushError>(SnapshotPart { name, bytes, file })
        };
        let mut parts = Vec::new();
        for table in version.tables() {
            parts.push(open(table_part(table), table_name(table.file_id), table.bytes)?);
        }
        for file in version.history() {
            parts.push(open(history_part(file), history_name(file.file_id), file.bytes)?);
        }
        let described =
            Described { cluster_id: header.cluster_id, edit: version.to_edit(), header, sections };
        Ok(Some(ReplicaSnapshot {
            applied: described.applied(),
            membership: described.membership(),
            description: described.encode()?,
            parts,
        }))
    }

    /// The last entry that the last flush has written, and the membership then; `None` before the first flush.
    pub fn flushed(&self) -> Result<Option<SnapshotHead>, FlushError> {
        let flusher = &self.db.flusher;
        let files = flusher.files.lock().map_err(|_| FlushError::Interrupted)?;
        let version = files.version()?;
        let Some(named) = version.state() else { return Ok(None) };
        let root = self.db.layout.root();
        let (header, sections) = StateFile::read_named(&*self.db.vfs, root, &flusher.store.identity, named)?;
        let edit = VersionEdit::default();
        let described = Described { cluster_id: header.cluster_id, edit, header, sections };
        Ok(Some(SnapshotHead { applied: described.applied(), membership: described.membership() }))
    }
}

/// The name of an SSTable in a snapshot and in the directory of incoming files: it names this very file.
pub(crate) fn table_part(file: &TableFile) -> String {
    format!("{:06}-{:08x}.sst", file.file_id, file.checksum)
}

/// As [`table_part`].
pub(crate) fn history_part(file: &HistoryFile) -> String {
    format!("{:06}-{:08x}.parquet", file.file_id, file.tail_crc)
}

/// A snapshot without its files.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub cluster_id: u128,
    /// Makes the sender's version out of the empty one.
    pub edit: VersionEdit,
    pub header: StateHeader,
    pub sections: Vec<StateSection>,
}

impl Described {
    pub fn applied(&self) -> LogId {
        from_manifest(self.header.applied)
    }

    pub fn membership(&self) -> Option<(LogId, Membership)> {
        let state = decode_state(&self.header, &self.sections).ok()?;
        state.membership.as_ref().and_then(StoredMembership::decoded)
    }

    fn encode(&self) -> Result<Vec<u8>, FlushError> {
        let state = encode_state(&self.header, &self.sections).map_err(|error| {
            let reason = io::Error::other(error.to_string());
            FlushError::Io { operation: "describe a snapshot", path: Default::default(), source: reason }
        })?;
        let mut out = Encoder::new();
        out.u16(VERSION).u128(self.cluster_id).bytes(&encode_edit(&self.edit)).bytes(&state);
        Ok(out.into_bytes())
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, InstallError> {
        let mut fields = Decoder::new(bytes);
        if fields.u16()? != VERSION {
            return Err(DecodeError { offset: 0, reason: "version 1 of a snapshot" }.into());
        }
        let cluster_id = fields.u128()?;
        let foreign = |error: manifest::FormatError| InstallError::Description { reason: error.to_string() };
        let edit = decode_edit(fields.bytes()?).map_err(foreign)?;
        let (header, sections) = manifest::decode_state(fields.bytes()?).map_err(foreign)?;
        fields.finish()?;
        // What does not fit together is refused before anything is written.
        decode_state(&header, &sections)?;
        manifest::Version::default()
            .apply(&edit)
            .map_err(|error| InstallError::Description { reason: error.to_string() })?;
        Ok(Self { cluster_id, edit, header, sections })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{SystemState, encode_sections, to_manifest};
    use proptest::prelude::*;

    fn described() -> Described {
        let applied = LogId { term: 3, leader_node: 2, index: 17 };
        let bytes = Membership::of_one(2).encode();
        let membership = Some(StoredMembership { log_id: LogId { index: 5, ..applied }, bytes });
        let state = SystemState { applied, membership, last_seq: 40, ..SystemState::new() };
        let header = StateHeader {
            cluster_id: 7,
            node_id: 1,
            file_id: 9,
            applied: to_manifest(applied),
            last_seq: 40,
            epoch: 1,
            rolling_hash: [3; 16],
            commit_clock: 1,
        };
        let edit = VersionEdit {
            next_file_id: Some(10),
            last_seq: Some(40),
            state: Some(header.to_ref()),
            log_start: Some(18),
            ..VersionEdit::default()
        };
        Described { cluster_id: 7, edit, header, sections: encode_sections(&state) }
    }

    #[test]
    fn a_description_comes_back() {
        let described = described();
        let again = Described::decode(&described.encode().unwrap()).unwrap();
        assert_eq!((again.cluster_id, &again.edit, again.header), (7, &described.edit, described.header));
        assert_eq!(again.applied(), LogId { term: 3, leader_node: 2, index: 17 });
        assert_eq!(again.membership().unwrap().0.index, 5);
    }

    proptest! {
        /// It comes from another node: whatever it is, it is refused or something that can be installed.
        #[test]
        fn any_description_is_refused_or_sound(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
            random in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let whole = described().encode().unwrap();
            let mut changed = whole.clone();
            for (at, byte) in changes {
                let at = at.index(changed.len());
                changed[at] = byte;
            }
            for bytes in [&changed[..], &whole[..cut.index(whole.len())], &random] {
                if let Ok(sound) = Described::decode(bytes) {
                    prop_assert!(decode_state(&sound.header, &sound.sections).is_ok());
                    prop_assert!(Described::decode(&sound.encode().unwrap()).is_ok());
                }
            }
        }
    }
}
