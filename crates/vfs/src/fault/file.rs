//! An open file whose calls pass through a fault plan.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Fault, FaultVfs};
use crate::memory::AlignedBytes;
use crate::path_error::at_path;
use crate::{File, Mapping, Operation};

/// A file of the wrapped file system.
#[derive(Debug)]
pub(super) struct FaultFile {
    pub(super) inner: Arc<dyn File>,
    pub(super) vfs: FaultVfs,
    pub(super) path: PathBuf,
}

impl FaultFile {
    fn failure(&self, fault: Fault) -> io::Error {
        at_path(&self.path, fault.error())
    }
}

impl File for FaultFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        match self.vfs.arrive(Operation::Read, &self.path) {
            None => self.inner.read_at(offset, buf),
            Some(Fault::Misplace { offset }) => self.inner.read_at(offset, buf),
            Some(Fault::CorruptRead { index, mask }) => {
                let read = self.inner.read_at(offset, buf)?;
                corrupt(&mut buf[..read], index, mask);
                Ok(read)
            }
            Some(fault) => Err(self.failure(fault)),
        }
    }

    fn write_all_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        match self.vfs.arrive(Operation::Write, &self.path) {
            None => self.inner.write_all_at(offset, slices),
            Some(Fault::Misplace { offset }) => self.inner.write_all_at(offset, slices),
            Some(Fault::Skip) => Ok(()),
            Some(fault @ Fault::ShortWrite { bytes, .. }) => {
                self.inner.write_all_at(offset, &first_bytes(slices, bytes))?;
                Err(self.failure(fault))
            }
            Some(fault) => Err(self.failure(fault)),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.vfs.call(Operation::Sync, &self.path, Some(()), || self.inner.sync_data())
    }

    fn len(&self) -> io::Result<u64> {
        self.vfs.call(Operation::Metadata, &self.path, None, || self.inner.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.vfs.call(Operation::SetLen, &self.path, Some(()), || self.inner.set_len(len))
    }

    fn prepare_zeroed(&self, len: u64) -> io::Result<()> {
        self.vfs.call(Operation::Prepare, &self.path, Some(()), || self.inner.prepare_zeroed(len))
    }

    fn map(&self, len: u64) -> io::Result<Mapping> {
        match self.vfs.arrive(Operation::Map, &self.path) {
            None => self.inner.map(len),
            Some(Fault::CorruptRead { index, mask }) => {
                let map = self.inner.map(len)?;
                let copy = AlignedBytes::read(map.len(), |bytes| {
                    bytes.copy_from_slice(&map);
                    corrupt(bytes, index, mask);
                    bytes.len()
                });
                Ok(Mapping::new(Arc::new(copy)))
            }
            Some(fault) => Err(self.failure(fault)),
        }
    }
}

fn corrupt(bytes: &mut [u8], index: usize, mask: u8) {
    if !bytes.is_empty() {
        bytes[index % bytes.len()] ^= mask;
    }
}

fn first_bytes<'a>(slices: &'a [IoSlice<'a>], mut bytes: usize) -> Vec<IoSlice<'a>> {
    let mut first = Vec::new();
    for slice in slices {
        let part = slice.len().min(bytes);
        first.push(IoSlice::new(&slice[..part]));
        bytes -= part;
    }
    first
}
