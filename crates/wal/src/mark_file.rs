//! The mark file: tells a torn tail from the loss of what was once durable.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_vfs::{File, OpenMode, Vfs};

use crate::format::{
    LogIdentity, LogPosition, MARK_BYTES, MARK_SLOT_BYTES, Mark, decode_mark, encode_mark, mark_slot_offset,
};
use crate::layout::MARK_NAME;

/// The open mark file.
#[derive(Debug)]
pub(crate) struct MarkFile {
    pub path: PathBuf,
    file: Arc<dyn File>,
    identity: LogIdentity,
    next_counter: u64,
}

/// The newest mark of a directory, where there is a readable one.
pub(crate) fn read_mark(vfs: &dyn Vfs, dir: &Path, identity: LogIdentity) -> io::Result<Option<Mark>> {
    let path = dir.join(MARK_NAME);
    if !vfs.exists(&path)? {
        return Ok(None);
    }
    let file = vfs.open(&path, OpenMode::Read)?;
    let mut newest: Option<Mark> = None;
    for counter in 0..2 {
        let mut slot = [0; MARK_SLOT_BYTES];
        match file.read_exact_at(mark_slot_offset(counter), &mut slot) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            Err(error) => return Err(error),
        }
        if let Some(mark) = decode_mark(&slot, identity) {
            newest = newest.filter(|newest| newest.counter > mark.counter).or(Some(mark));
        }
    }
    Ok(newest)
}

impl MarkFile {
    /// Opens or creates the file, behind the newest mark. A new file is durable after the directory's sync.
    ///
    /// Both slots are written as they are, so that they have their space from now on: a mark that found the disk full would
    /// poison a log that has all the room it needs.
    pub fn open(vfs: &dyn Vfs, dir: &Path, identity: LogIdentity, newest: Option<Mark>) -> io::Result<Self> {
        let path = dir.join(MARK_NAME);
        let file = vfs.open(&path, OpenMode::CreateOrOpen)?;
        let mut slots = [0; MARK_BYTES as usize];
        let there = file.len()?.min(MARK_BYTES) as usize;
        file.read_exact_at(0, &mut slots[..there])?;
        file.write_all_at(0, &[IoSlice::new(&slots)])?;
        let next_counter = newest.map_or(0, |mark| mark.counter.wrapping_add(1));
        Ok(Self { path, file, identity, next_counter })
    }

    /// States that everything before `position` is durable. Not synced: it reaches the disk when it will.
    pub fn write(&mut self, position: LogPosition, segment_id: u64) -> io::Result<()> {
        let mark = Mark { counter: self.next_counter, position, segment_id };
        let slot = encode_mark(&mark, self.identity);
        self.file.write_all_at(mark_slot_offset(mark.counter), &[IoSlice::new(&slot)])?;
        self.next_counter = mark.counter.wrapping_add(1);
        Ok(())
    }

    /// Makes the marks so far durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
