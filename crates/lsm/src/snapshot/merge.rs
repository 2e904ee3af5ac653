//! Merges the sources of one series by `(ts, seq)`.

use tapebook_record::RawRecord;

use crate::key::Direction;
use crate::memtable::MemScan;
use crate::retraction::Hidden;
use crate::sstable::{Scan as FileScan, TableError};

/// Records of one series from one place, already in order.
pub(super) enum Source<'a> {
    File(FileScan<'a>),
    MemTable(MemScan<'a>),
    /// One of the others, without the rows that are hidden.
    Except(Box<Self>, Hidden<'a>),
}

impl<'a> Source<'a> {
    #[inline]
    fn next(&mut self) -> Result<Option<RawRecord<'a>>, TableError> {
        match self {
            Self::File(scan) => scan.next().transpose(),
            Self::MemTable(scan) => Ok(scan.next()),
            Self::Except(source, hidden) => source.next_shown(*hidden),
        }
    }

    fn next_shown(&mut self, hidden: Hidden<'_>) -> Result<Option<RawRecord<'a>>, TableError> {
        loop {
            match self.next()? {
                Some(record) if hidden.contains(record.seq) => {}
                next => return Ok(next),
            }
        }
    }
}

/// Goes on with one source until another one's record is due.
///
/// Sources of in-order data hardly overlap in time, so nearly every record costs one comparison with the
/// bound, whatever the number of sources.
pub(super) struct Merge<'a> {
    direction: Direction,
    current: Option<Lane<'a>>,
    /// Key of the first record of any other lane.
    bound: Option<(i64, u64)>,
    others: Vec<Lane<'a>>,
}

struct Lane<'a> {
    head: RawRecord<'a>,
    rest: Source<'a>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(direction: Direction) -> Self {
        Self { direction, current: None, bound: None, others: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none() && self.others.is_empty()
    }

    pub(super) fn add(&mut self, mut source: Source<'a>) -> Result<(), TableError> {
        if let Some(head) = source.next()? {
            self.others.push(Lane { head, rest: source });
        }
        Ok(())
    }

    fn is_before(&self, a: (i64, u64), b: (i64, u64)) -> bool {
        match self.direction {
            Direction::Forward => a < b,
            Direction::Backward => a > b,
        }
    }

    /// Makes the lane whose record is due the current one. To be called once all sources are added.
    pub(super) fn choose(&mut self) {
        self.others.extend(self.current.take());
        let mut first: Option<usize> = None;
        let mut second: Option<(i64, u64)> = None;
        for (at, lane) in self.others.iter().enumerate() {
            let key = lane.key();
            match first {
                Some(known) if !self.is_before(key, self.others[known].key()) => {
                    if second.is_none_or(|second| self.is_before(key, second)) {
                        second = Some(key);
                    }
                }
                _ => {
                    second = first.map(|known| self.others[known].key());
                    first = Some(at);
                }
            }
        }
        self.bound = second;
        self.current = first.map(|at| self.others.swap_remove(at));
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<RawRecord<'a>>, TableError> {
        let Some(lane) = &mut self.current else {
            return Ok(None);
        };
        let record = lane.head;
        match lane.rest.next()? {
            Some(head) => {
                lane.head = head;
                if let Some(bound) = self.bound
                    && self.is_before(bound, key(&head))
                {
                    self.choose();
                }
            }
            None => {
                self.current = None;
                self.choose();
            }
        }
        Ok(Some(record))
    }
}

impl Lane<'_> {
    fn key(&self) -> (i64, u64) {
        key(&self.head)
    }
}

#[inline]
fn key(record: &RawRecord<'_>) -> (i64, u64) {
    (record.ts, record.seq)
}
