//! One group's bytes: what one vectored write takes.

use std::io::{self, IoSlice};

use tapebook_record::Crc32c;
use tapebook_vfs::File;

use crate::format::{FRAME_ALIGN, FrameLinks, FrameMeta, encode_frame_header};

/// Payloads up to this length are copied behind their header: cheaper than an entry of the vectored write.
const COPIED_PAYLOAD_BYTES_MAX: usize = 2048;

/// Frames that are being gathered.
#[derive(Debug, Default)]
pub(crate) struct GroupBytes {
    /// Headers, padding and short payloads.
    bytes: Vec<u8>,
    /// Long payloads: behind how many of `bytes` they belong, and the entry that they are of.
    referenced: Vec<(usize, usize)>,
    len: usize,
}

impl GroupBytes {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.referenced.clear();
        self.len = 0;
    }

    /// The bytes of all frames.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends the frame of the group's entry number `entry`; returns its checksum.
    pub fn push(
        &mut self,
        seed: &Crc32c,
        meta: &FrameMeta,
        links: &FrameLinks,
        payload: &[u8],
        entry: usize,
    ) -> u32 {
        let before = self.bytes.len();
        let crc = encode_frame_header(&mut self.bytes, seed, meta, links, payload);
        if payload.len() <= COPIED_PAYLOAD_BYTES_MAX {
            self.bytes.extend_from_slice(payload);
        } else {
            self.referenced.push((self.bytes.len(), entry));
            self.len += payload.len();
        }
        let padding = payload.len().next_multiple_of(FRAME_ALIGN) - payload.len();
        self.bytes.extend_from_slice(&[0; FRAME_ALIGN][..padding]);
        self.len += self.bytes.len() - before;
        crc
    }

    /// Writes the frames at `offset`; `payload_of` gives the payload of an entry.
    pub fn write<'a>(
        &self,
        file: &dyn File,
        offset: u64,
        payload_of: impl Fn(usize) -> &'a [u8],
    ) -> io::Result<()> {
        if self.referenced.is_empty() {
            return file.write_all_at(offset, &[IoSlice::new(&self.bytes)]);
        }
        let mut slices = Vec::with_capacity(2 * self.referenced.len() + 1);
        let mut from = 0;
        for (to, entry) in &self.referenced {
            slices.push(IoSlice::new(&self.bytes[from..*to]));
            slices.push(IoSlice::new(payload_of(*entry)));
            from = *to;
        }
        if from < self.bytes.len() {
            slices.push(IoSlice::new(&self.bytes[from..]));
        }
        file.write_all_at(offset, &slices)
    }
}
