//! Looks at the numbers of the rows that are applied.

use tapebook_record::TableId;

use super::FeedNumbers;
use super::gaps::{Gap, Gaps, Moment};
use super::numbers::{Numbers, Stream};
use super::positions::{Position, Positions};

/// What of a row says where it stands in its feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedRow {
    pub table: TableId,
    pub symbol: u32,
    pub number: Option<u64>,
    /// It is the last row of its event, or an event of its own.
    pub ends_event: bool,
    pub seq: u64,
}

/// Watches the rows of one producer, and says what became of gaps.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    pub positions: &'a mut Positions,
    pub gaps: &'a mut Gaps,
    pub producer: u64,
    /// The commit clock of the entry that brings the rows.
    pub at: i64,
    /// Gaps that were opened or closed, in the order of the rows.
    pub changes: &'a mut Vec<Gap>,
}

impl Watch<'_> {
    /// Looks at a row. `filled` is what the feed declares whose gaps a backfill closes.
    pub(crate) fn row(&mut self, numbers: FeedNumbers, filled: FeedNumbers, row: FeedRow) {
        let series = Stream::Series { table: row.table, symbol: row.symbol };
        match (numbers, row.number) {
            (FeedNumbers::PerSymbol, Some(number)) => self.next(series, number, row.seq),
            (FeedNumbers::PerChannel, Some(number)) => self.next(Stream::Channel, number, row.seq),
            (FeedNumbers::Ranges, _) => self.event_row(series, row),
            (FeedNumbers::Backfill { of }, number) => match (filled, number) {
                (FeedNumbers::PerSymbol, Some(number)) => {
                    self.came(of, series, Numbers::one(number), row.seq)
                }
                (FeedNumbers::PerChannel, Some(number)) => {
                    self.came(of, Stream::Channel, Numbers::one(number), row.seq);
                }
                (FeedNumbers::Ranges, _) => self.backfilled_event_row(of, series, row),
                _ => {}
            },
            (FeedNumbers::None, _) | (_, None) => {}
        }
    }

    /// The producer begins anew, in a greater epoch: what its events had reached is all that comes of them.
    pub(crate) fn end_events(&mut self, seq: u64) {
        for (stream, reached) in self.positions.take_events(self.producer) {
            self.event_came(stream, reached, seq);
        }
    }

    /// A number that should be the one behind the last.
    fn next(&mut self, stream: Stream, number: u64, seq: u64) {
        let first = || Position { last: number, event: None };
        let Some(position) = self.positions.of(self.producer, stream, first) else { return };
        let before = position.last;
        position.last = before.max(number);
        if number > before {
            self.missing_between(stream, before, number, seq);
        } else {
            self.came(self.producer, stream, Numbers::one(number), seq);
        }
    }

    /// A row of an event. Its first one shows whether numbers are missing; its last one, which numbers it covers.
    fn event_row(&mut self, stream: Stream, row: FeedRow) {
        let in_event =
            self.positions.get(self.producer, stream).is_some_and(|position| position.event.is_some());
        if row.number.is_none() && !in_event {
            return;
        }
        let first =
            || Position { last: row.number.map_or(0, |number| number.saturating_sub(1)), event: None };
        let Some(position) = self.positions.of(self.producer, stream, first) else { return };
        let before = position.last;
        let reached = reach(position.event, row.number);
        position.event = reached.filter(|_| !row.ends_event);
        let Some(reached) = reached else { return };
        if !in_event && reached.first > before {
            position.last = reached.first - 1;
            self.missing_between(stream, before, reached.first, row.seq);
        }
        if row.ends_event {
            self.event_came(stream, reached, row.seq);
        }
    }

    fn event_came(&mut self, stream: Stream, reached: Numbers, seq: u64) {
        let first = || Position { last: reached.last, event: None };
        if let Some(position) = self.positions.of(self.producer, stream, first) {
            position.last = position.last.max(reached.last);
        }
        self.came(self.producer, stream, reached, seq);
    }

    /// As [`Watch::event_row`], for the gaps of another producer: only what events cover counts.
    fn backfilled_event_row(&mut self, of: u64, stream: Stream, row: FeedRow) {
        let first = || Position { last: 0, event: None };
        let Some(position) = self.positions.of(self.producer, stream, first) else { return };
        let reached = reach(position.event, row.number);
        position.event = reached.filter(|_| !row.ends_event);
        if let Some(reached) = reached.filter(|_| row.ends_event) {
            self.came(of, stream, reached, row.seq);
        }
    }

    /// What lies between two numbers of a stream has not come.
    fn missing_between(&mut self, stream: Stream, before: u64, next: u64, seq: u64) {
        if next - before < 2 {
            return;
        }
        let numbers = Numbers { first: before + 1, last: next - 1 };
        let seen = Moment { seq, at: self.at };
        let opened = self.gaps.open_gap(self.producer, stream, numbers, seen);
        self.changes.extend(opened);
    }

    /// Numbers came that may have been missing.
    fn came(&mut self, producer: u64, stream: Stream, numbers: Numbers, seq: u64) {
        let moment = Moment { seq, at: self.at };
        for part in self.gaps.close(producer, stream, numbers, moment) {
            if !self.changes.last_mut().is_some_and(|newest| newest.extend_with(&part)) {
                self.changes.push(part);
            }
        }
    }
}

/// What an event covers with one more of its rows.
fn reach(event: Option<Numbers>, number: Option<u64>) -> Option<Numbers> {
    match (event, number) {
        (Some(event), Some(number)) => Some(Numbers { first: event.first, last: event.last.max(number) }),
        (event, number) => event.or(number.map(Numbers::one)),
    }
}
