//! An open file of the machine.

use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, pwritev};

use super::mapping::map_file;
use crate::path_error::at_path;
use crate::{File, Mapping};

/// Slices that one `pwritev` takes on Linux (`IOV_MAX`).
const SLICES_PER_CALL: usize = 1024;
const ZEROS_BYTES: usize = 1 << 20;

/// A file of the machine and the path it was opened by.
#[derive(Debug)]
pub(super) struct RealFile {
    file: fs::File,
    path: PathBuf,
}

impl RealFile {
    pub(super) fn new(file: fs::File, path: &Path) -> Self {
        Self { file, path: path.to_path_buf() }
    }

    fn named<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|source| at_path(&self.path, source))
    }

    fn prepare(&self, len: u64) -> io::Result<()> {
        if len > 0 {
            match fallocate(&self.file, FallocateFlags::empty(), 0, len) {
                // Not every file system reserves; the zeros below allocate as well.
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let zeros = vec![0; ZEROS_BYTES.min(usize::try_from(len).unwrap_or(ZEROS_BYTES))];
        let mut offset = 0;
        while offset < len {
            let part = (len - offset).min(ZEROS_BYTES as u64);
            self.file.write_all_at(&zeros[..part as usize], offset)?;
            offset += part;
        }
        self.file.sync_data()
    }
}

impl File for RealFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.named(Err(error)),
            }
        }
        Ok(done)
    }

    fn write_all_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let write = |slices: &[IoSlice<'_>], offset| Ok(pwritev(&self.file, slices, offset)?);
        self.named(write_all(slices, offset, write))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.named(self.file.sync_data())
    }

    fn len(&self) -> io::Result<u64> {
        self.named(self.file.metadata().map(|metadata| metadata.len()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.named(self.file.set_len(len))
    }

    fn prepare_zeroed(&self, len: u64) -> io::Result<()> {
        self.named(self.prepare(len))
    }

    fn map(&self, len: u64) -> io::Result<Mapping> {
        self.named(map_file(&self.file, len))
    }
}

/// Calls `write` until all bytes are out; it may take fewer slices or bytes than it is given.
///
/// The usual case, one call that takes all, copies nothing.
fn write_all(
    slices: &[IoSlice<'_>],
    offset: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    let total: usize = slices.iter().map(|slice| slice.len()).sum();
    let mut done = 0;
    let mut copy = Vec::new();
    let mut rest: &[IoSlice<'_>] = slices;
    while done < total {
        let written = match write(&rest[..rest.len().min(SLICES_PER_CALL)], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        done += written;
        if done < total {
            copy.clear();
            copy.extend_from_slice(slices);
            let mut advanced = copy.as_mut_slice();
            IoSlice::advance_slices(&mut advanced, done);
            rest = advanced;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_interrupted_writes_are_continued() {
        let parts: Vec<Vec<u8>> = (0..3000_usize).map(|index| vec![index as u8; index % 7]).collect();
        let expected: Vec<u8> = parts.concat();
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        for step in [1, 2, 5, 1000, usize::MAX] {
            let mut written = Vec::new();
            let mut calls = 0;
            write_all(&slices, 100, |slices, offset| {
                assert!(slices.len() <= SLICES_PER_CALL);
                assert_eq!(offset, 100 + written.len() as u64);
                calls += 1;
                if calls % 3 == 0 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
                let taken = all.len().min(step);
                written.extend_from_slice(&all[..taken]);
                Ok(taken)
            })
            .unwrap();
            assert_eq!(written, expected, "step {step}");
        }
    }

    #[test]
    fn a_write_that_takes_nothing_ends_with_an_error() {
        let error = write_all(&[IoSlice::new(b"abc")], 0, |_, _| Ok(0)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
