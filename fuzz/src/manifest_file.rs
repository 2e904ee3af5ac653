//! Manifests out of pieces: a whole one is mostly zeros, and no place for mutations.

use tapebook_lsm::manifest::{Current, MANIFEST_BLOCK_BYTES};

use crate::{DIRECTORY, seal};

/// The manifest's number.
pub const NUMBER: u64 = 1;

/// Builds a manifest of the edits in `pieces`, each a length of two bytes and as many bytes, or what is left.
pub fn from_pieces(mut pieces: &[u8]) -> Vec<u8> {
    let mut file = vec![0; MANIFEST_BLOCK_BYTES as usize];
    while let Some((length, rest)) = pieces.split_first_chunk::<2>() {
        let (payload, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        file.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        file.extend_from_slice(&[0; 20]);
        file.extend_from_slice(payload);
        file.resize(file.len().next_multiple_of(8), 0);
        pieces = rest;
    }
    file
}

/// The pieces that a manifest was or could have been built of.
pub fn to_pieces(file: &[u8]) -> Vec<u8> {
    let mut pieces = Vec::new();
    let mut rest = file.get(MANIFEST_BLOCK_BYTES as usize..).unwrap_or_default();
    while let Some((header, after)) = rest.split_first_chunk::<24>() {
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(payload) = after.get(..length).filter(|payload| !payload.is_empty()) else { break };
        pieces.extend_from_slice(&(length as u16).to_le_bytes());
        pieces.extend_from_slice(payload);
        rest = after.get(length.next_multiple_of(8)..).unwrap_or_default();
    }
    pieces
}

/// Seals a manifest, and gives the `CURRENT` that names it.
pub fn seal(file: &mut [u8]) -> Current {
    let (first_frame_end, first_frame_crc) = seal::manifest(file, NUMBER).unwrap_or_default();
    Current {
        cluster_id: DIRECTORY.cluster_id,
        node_id: DIRECTORY.node_id,
        manifest: NUMBER,
        first_frame_end,
        first_frame_crc,
    }
}
