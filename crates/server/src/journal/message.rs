//! What is sent, made of what the engine hands out.

use bytes::Bytes;
use tapebook::{EncodedBatch, FeedGap, JournalBatch, Schemas};
use tapebook_proto::v1::subscribe_response::What;
use tapebook_proto::v1::{self, Cursor, Progress, Refusal, RefusalReason as Reason, SubscribeResponse};

use super::filter::{Filter, Selection};

/// The bytes of a batch, without a copy.
pub(super) fn bytes_of(batch: &EncodedBatch) -> Bytes {
    Bytes::from_owner(batch.bytes().clone())
}

/// The rows of a batch that pass, as a message; `None` where none does.
pub(super) fn batch_message(
    found: &JournalBatch,
    filter: &Filter,
    schemas: &Schemas,
) -> Result<Option<v1::JournalBatch>, Refusal> {
    let (batch, places) = match filter.select(&found.batch, found.first_seq) {
        Selection::None => return Ok(None),
        Selection::All => (bytes_of(&found.batch), Vec::new()),
        Selection::Some(places) => {
            let some = found.batch.select(&places, schemas);
            // What was in a batch fits into one, so this is a batch that is not as it was written.
            let some = some.map_err(|error| Refusal::new(Reason::Storage, error))?;
            (bytes_of(&some), places)
        }
    };
    let (first_seq, last_seq, commit_time) = (found.first_seq, found.last_seq(), found.commit_clock);
    Ok(Some(v1::JournalBatch { first_seq, last_seq, commit_time, batch, places }))
}

/// A gap in the numbers of a feed.
pub(super) fn gap_message(gap: &FeedGap, schemas: &Schemas) -> v1::FeedGap {
    v1::FeedGap {
        producer_id: gap.producer,
        table: gap
            .table
            .and_then(|table| schemas.get(table))
            .map(|table| table.name.to_string())
            .unwrap_or_default(),
        symbol: gap.symbol.as_deref().unwrap_or_default().to_owned(),
        first_feed_seq: gap.first_feed_seq,
        last_feed_seq: gap.last_feed_seq,
        seen_seq: gap.seen_seq,
        closed_seq: gap.closed_seq.unwrap_or(0),
    }
}

/// How far a subscriber has come.
pub(super) fn progress_message(epoch: u64, seq: u64, live: bool) -> SubscribeResponse {
    let cursor = Some(Cursor { epoch, seq });
    SubscribeResponse { what: Some(What::Progress(Progress { cursor, live })) }
}
