//! From the bytes of a manifest to the version that they lead to; decides what is a torn tail and what is corruption.
//!
//! An edit is relied on only after it was synced, and the next one is written only then. So a frame was durable where a
//! whole frame follows, where `CURRENT` names its end, or where a mark does. A broken frame that was durable is
//! corruption. Any other broken bytes are an edit that nobody was told of.

use std::path::Path;

use super::edit_codec::decode_edit;
use super::frame::{FrameSeed, MANIFEST_BLOCK_BYTES, find_later_frame, frame_at, newest_mark};
use super::{Current, FormatError, Identity, ManifestError, StorageError, Version, decode_manifest_header};

/// What a manifest leads to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Replayed {
    /// The version after the last whole edit.
    pub version: Version,
    /// How many edits the manifest holds, the first snapshot included.
    pub edits: u64,
    /// The position behind the last whole edit.
    pub end: u64,
    /// Everything before this position is known to be durable.
    pub durable_end: u64,
    /// The remains of an edit that was never committed.
    pub torn: Option<TornTail>,
    pub(crate) last_crc: u32,
}

/// The remains of an edit whose commit a crash cut short.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TornTail {
    /// Where they begin.
    pub offset: u64,
    /// How many bytes there are, up to the last one that is not zero.
    pub bytes: u64,
}

/// Replays the bytes of the manifest at `path` that `current` names. `path` is only for errors.
pub fn replay_manifest(
    path: &Path,
    bytes: &[u8],
    identity: &Identity,
    current: &Current,
) -> Result<Replayed, ManifestError> {
    let header = decode_manifest_header(bytes).map_err(|source| StorageError::damaged(path, source))?;
    identity.check_own(path, header.cluster_id, header.node_id)?;
    if header.number != current.manifest {
        let source = FormatError::Field { offset: 40, reason: "the number in the file's name" };
        return Err(StorageError::damaged(path, source).into());
    }
    Replay { path, bytes, seed: FrameSeed { identity: *identity, manifest: header.number }, current }.run()
}

struct Replay<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    seed: FrameSeed,
    current: &'a Current,
}

impl Replay<'_> {
    fn run(&self) -> Result<Replayed, ManifestError> {
        let mark = newest_mark(self.bytes, self.seed);
        let marked_end = mark.map_or(0, |mark| mark.durable_end);
        let mut replayed = Replayed {
            version: Version::default(),
            edits: 0,
            end: MANIFEST_BLOCK_BYTES,
            durable_end: marked_end.max(self.current.first_frame_end),
            torn: None,
            last_crc: 0,
        };
        let broken = loop {
            match frame_at(self.bytes, replayed.end, self.seed) {
                Err(error) => break error,
                Ok(frame) => {
                    let corrupt = |reason| self.corrupt(&replayed, reason);
                    if (frame.ordinal, frame.previous_crc) != (replayed.edits, replayed.last_crc) {
                        return Err(corrupt(format!(
                            "is edit {} after checksum {:#010x}, expected after {:#010x}",
                            frame.ordinal, frame.previous_crc, replayed.last_crc
                        )));
                    }
                    if replayed.edits == 0
                        && (frame.end, frame.crc)
                            != (self.current.first_frame_end, self.current.first_frame_crc)
                    {
                        return Err(corrupt("is not the snapshot that CURRENT names".to_owned()));
                    }
                    let edit = decode_edit(frame.payload).map_err(|error| corrupt(error.to_string()))?;
                    if let Err(error) = replayed.version.advance(&edit) {
                        return Err(self.corrupt(&replayed, error.to_string()));
                    }
                    replayed.edits += 1;
                    replayed.end = frame.end;
                    replayed.last_crc = frame.crc;
                }
            }
        };
        // A manifest is named only when its first edit is durable, so one without edits is never right.
        if replayed.end < replayed.durable_end || replayed.edits == 0 {
            let proof = if marked_end > replayed.end { "a mark" } else { "CURRENT" };
            let reason =
                format!("{broken}; {proof} says that it was durable up to byte {}", replayed.durable_end);
            return Err(self.corrupt(&replayed, reason));
        }
        self.judge_tail(replayed, &broken)
    }

    fn judge_tail(&self, mut replayed: Replayed, broken: &FormatError) -> Result<Replayed, ManifestError> {
        let rest = self.bytes.get(replayed.end as usize..).unwrap_or_default();
        let Some(last) = rest.iter().rposition(|byte| *byte != 0) else {
            return Ok(replayed);
        };
        if let Some((offset, ordinal)) = find_later_frame(self.bytes, replayed.end, replayed.edits, self.seed)
        {
            let reason = format!("{broken}; edit {ordinal} at byte {offset} shows that it was durable");
            return Err(self.corrupt(&replayed, reason));
        }
        replayed.torn = Some(TornTail { offset: replayed.end, bytes: last as u64 + 1 });
        Ok(replayed)
    }

    fn corrupt(&self, replayed: &Replayed, reason: String) -> ManifestError {
        ManifestError::Corrupt {
            path: self.path.to_owned(),
            offset: replayed.end,
            ordinal: replayed.edits,
            reason,
        }
    }
}
