//! Declaring what a producer's numbers mean, and what is known of gaps.

use std::sync::Arc;

use tapebook_record::{SharedBytes, Symbols};
use tapebook_wal::EntryKind;

use super::gaps::Gap;
use super::numbers::Stream;
use super::{FeedDeclaration, FeedGap, FeedNumbers};
use crate::append::{Completer, Completion, PendingAppend};
use crate::commit::Change;
use crate::proposals::Handing;
use crate::{AppendError, Db, ProducerRefusal, Receipt, SystemView};

impl Db {
    /// Says what the `feed_seq` of a producer's rows mean from now on; missing numbers are gaps then, see [`SystemView::feed_gaps`].
    /// It may be said before the producer's first batch, and again at any time: what is as it was changes nothing. A change
    /// begins anew, and forgets which numbers were missing. So a feed that counts from 1 again is declared [`FeedNumbers::None`] and
    /// then as before.
    pub fn declare_feed(&self, producer: u64, numbers: FeedNumbers) -> Result<PendingAppend, AppendError> {
        if producer == 0 {
            return Err(ProducerRefusal::Unknown { producer }.into());
        }
        self.committer.check_producer(producer, self.options.producers_max)?;
        if self.producer(producer).is_some_and(|known| known.feed == numbers) {
            let completion = Completion::new(&self.committer.waiters);
            let last_seq = self.last_seq();
            let receipt = Receipt { first_seq: last_seq + 1, last_seq, duplicate: true };
            Completer::new(&completion).complete(Ok(receipt));
            return Ok(PendingAppend { completion });
        }
        let entry = FeedDeclaration { producer, numbers };
        let payload = SharedBytes::from(&*entry.encode());
        let change = Change::DeclareFeed(entry);
        self.propose_change(EntryKind::FeedDeclaration, payload, change, Handing::Write)
    }
}

impl SystemView {
    /// Numbers that are missing in feeds, by producer, table, symbol and number, and then the newest ones that were missing and have
    /// come. Past a bound of 1,024 for a producer, neighbours are joined: what is listed has every missing number, and some that
    /// came.
    pub fn feed_gaps(&self) -> Vec<FeedGap> {
        let (gaps, symbols) = {
            let committed = self.committer.lock();
            let state = &committed.applier.state;
            (state.gaps.clone(), state.symbols.clone())
        };
        gaps.iter().map(|gap| gap.shown(&symbols)).collect()
    }
}

impl SystemView {
    /// What could not be watched or listed of a producer's feed, because a bound was reached; both are 0 where all was.
    pub fn feed_overflow(&self, producer: u64) -> FeedOverflow {
        let committed = self.committer.lock();
        let state = &committed.applier.state;
        FeedOverflow {
            gaps_unlisted: state.gaps.unlisted(producer),
            rows_unwatched: state.feeds.unwatched(producer),
        }
    }
}

/// What could not be watched or listed of a feed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FeedOverflow {
    /// Gaps that there was no room for, and none before them to join them with.
    pub gaps_unlisted: u64,
    /// Rows of symbols that there was no room to watch.
    pub rows_unwatched: u64,
}

impl Gap {
    /// The gap with the name of its symbol.
    pub(crate) fn shown(&self, symbols: &Symbols) -> FeedGap {
        let (table, symbol) = match self.stream {
            Stream::Channel => (None, None),
            Stream::Series { table, symbol } => (Some(table), Some(symbols.name(symbol).unwrap_or_default())),
        };
        FeedGap {
            producer: self.producer,
            table,
            symbol: symbol.map(Arc::from),
            first_feed_seq: self.numbers.first,
            last_feed_seq: self.numbers.last,
            seen_seq: self.seen.seq,
            seen_at: self.seen.at,
            closed_seq: self.closed.map(|moment| moment.seq),
            closed_at: self.closed.map(|moment| moment.at),
        }
    }
}
