//! Merges the sources of one series by `(ts, seq)`.

use tapebook_record::ReadRecord;

use super::ReadError;
use super::history_scan::HistoryScan;
use crate::key::Direction;
use crate::memtable::MemScan;
use crate::retraction::Hidden;
use crate::sstable::Scan as FileScan;

/// Records of one series from one place, already in order.
pub(super) enum Source<'a> {
    File(FileScan<'a>),
    MemTable(MemScan<'a>),
    History(Box<HistoryScan>),
    /// One of the others, without the rows that are hidden.
    Except(Box<Self>, Hidden<'a>),
}

impl<'a> Source<'a> {
    #[inline]
    fn next(&mut self) -> Result<Option<ReadRecord<'a>>, ReadError> {
        match self {
            Self::File(scan) => Ok(scan.next().transpose()?.map(ReadRecord::from)),
            Self::MemTable(scan) => Ok(scan.next().map(ReadRecord::from)),
            Self::History(scan) => Ok(scan.next()?),
            Self::Except(source, hidden) => source.next_shown(*hidden),
        }
    }

    fn next_shown(&mut self, hidden: Hidden<'_>) -> Result<Option<ReadRecord<'a>>, ReadError> {
        loop {
            match self.next()? {
                Some(record) if hidden.contains(record.seq()) => {}
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
    head: ReadRecord<'a>,
    rest: Source<'a>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(direction: Direction) -> Self {
        Self { direction, current: None, bound: None, others: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none() && self.others.is_empty()
    }

    pub(super) fn add(&mut self, mut source: Source<'a>) -> Result<(), ReadError> {
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
    pub(super) fn next(&mut self) -> Result<Option<ReadRecord<'a>>, ReadError> {
        let Some(lane) = &mut self.current else {
            return Ok(None);
        };
        match lane.rest.next()? {
            Some(head) => {
                let key = head.key();
                let record = std::mem::replace(&mut lane.head, head);
                if let Some(bound) = self.bound
                    && self.is_before(bound, key)
                {
                    self.choose();
                }
                Ok(Some(record))
            }
            None => {
                let ended = self.current.take();
                self.choose();
                Ok(ended.map(|lane| lane.head))
            }
        }
    }
}

impl Lane<'_> {
    fn key(&self) -> (i64, u64) {
        self.head.key()
    }
}
