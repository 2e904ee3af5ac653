//! How far the numbers of each stream have come.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::STREAMS_MAX;
use super::numbers::{Numbers, Stream};

/// Where one stream stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Position {
    /// The greatest number that came; all that is missing before it is a gap.
    pub last: u64,
    /// The event that has begun and not ended, with the numbers that it has reached.
    pub event: Option<Numbers>,
}

/// The streams of one producer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Streams {
    pub by_stream: BTreeMap<Stream, Position>,
    /// Rows whose numbers were not looked at, because too many streams are watched already.
    pub unwatched: u64,
}

/// The streams of every producer that declares a feed. Cloning shares them.
///
/// *Invariant*: `streams` is how many there are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Positions {
    by_producer: BTreeMap<u64, Arc<Streams>>,
    streams: usize,
}

impl Positions {
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &Streams)> {
        self.by_producer.iter().map(|(producer, streams)| (*producer, &**streams))
    }

    pub(super) fn insert(&mut self, producer: u64, streams: Streams) {
        self.streams += streams.by_stream.len();
        self.by_producer.insert(producer, Arc::new(streams));
    }

    /// Rows of a producer whose numbers were not looked at.
    pub(crate) fn unwatched(&self, producer: u64) -> u64 {
        self.by_producer.get(&producer).map_or(0, |streams| streams.unwatched)
    }

    /// Forgets where a producer's streams stand; they begin anew with what comes next.
    pub(crate) fn forget(&mut self, producer: u64) {
        if let Some(forgotten) = self.by_producer.remove(&producer) {
            self.streams -= forgotten.by_stream.len();
        }
    }

    /// Where a stream stands, where that is known.
    pub(super) fn get(&self, producer: u64, stream: Stream) -> Option<&Position> {
        self.by_producer.get(&producer)?.by_stream.get(&stream)
    }

    /// As [`Positions::get`], to be changed; made by `first` where it is new. `None` where it is new and too many are watched.
    pub(super) fn of(
        &mut self,
        producer: u64,
        stream: Stream,
        first: impl FnOnce() -> Position,
    ) -> Option<&mut Position> {
        let streams = Arc::make_mut(self.by_producer.entry(producer).or_default());
        if !streams.by_stream.contains_key(&stream) {
            if self.streams >= STREAMS_MAX {
                streams.unwatched += 1;
                return None;
            }
            self.streams += 1;
        }
        Some(streams.by_stream.entry(stream).or_insert_with(first))
    }

    /// Takes the events of a producer that have begun and not ended.
    pub(super) fn take_events(&mut self, producer: u64) -> Vec<(Stream, Numbers)> {
        let Some(streams) = self.by_producer.get_mut(&producer) else { return Vec::new() };
        if streams.by_stream.values().all(|position| position.event.is_none()) {
            return Vec::new();
        }
        let streams = &mut Arc::make_mut(streams).by_stream;
        streams.iter_mut().filter_map(|(stream, position)| Some((*stream, position.event.take()?))).collect()
    }
}
