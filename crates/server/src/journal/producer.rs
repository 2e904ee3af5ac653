//! `OpenProducer`: what is known of a producer, and what its feed's numbers mean.

use std::sync::Arc;

use tapebook::FeedNumbers as Numbers;
use tapebook_proto::v1::{
    FeedNumbers, OpenProducerRequest, OpenProducerResponse, Refusal, RefusalReason as Reason,
};
use tonic::Status;

use super::{on_blocking_thread, refusal};
use crate::Node;
use crate::access::{Caller, Right};

pub(super) async fn open(
    node: &Arc<Node>,
    caller: &Caller,
    request: &OpenProducerRequest,
) -> Result<OpenProducerResponse, Status> {
    let may = node.access.authorize(caller, Right::Write, None);
    may.map_err(|denied| refusal::of_denied(&denied))?;
    if let Some(cluster) = &node.cluster {
        // What is known here must be all that is known.
        if let Some(refusal) = cluster.refusal() {
            return Err(refusal.into());
        }
        cluster.catch_up_with_leader().await?;
    }
    let id = request.producer_id;
    if id == 0 {
        return Err(Refusal::new(Reason::Invalid, "producer id 0 stands for none; choose another").into());
    }
    if let Some(numbers) = declared(request)? {
        let db = Arc::clone(&node.db);
        // It may wait for room in the log.
        let pending = on_blocking_thread(move || db.declare_feed(id, numbers)).await?;
        let declared = async { pending?.await }.await;
        declared.map_err(|error| refusal::of_append(&error).to_status())?;
    }
    let known = node.db.producer(id).unwrap_or_default();
    Ok(OpenProducerResponse {
        epoch: known.epoch,
        last_batch_number: known.last_number,
        window: tapebook::RECEIPTS_KEPT as u32,
        journal_epoch: node.db.epoch(),
    })
}

/// What the request says about the numbers; `None` where it leaves them as they are.
fn declared(request: &OpenProducerRequest) -> Result<Option<Numbers>, Refusal> {
    let invalid = |message: String| Err(Refusal::new(Reason::Invalid, message));
    match FeedNumbers::try_from(request.feed) {
        Ok(FeedNumbers::Unspecified) => Ok(None),
        Ok(FeedNumbers::None) => Ok(Some(Numbers::None)),
        Ok(FeedNumbers::PerSymbol) => Ok(Some(Numbers::PerSymbol)),
        Ok(FeedNumbers::PerChannel) => Ok(Some(Numbers::PerChannel)),
        Ok(FeedNumbers::Ranges) => Ok(Some(Numbers::Ranges)),
        Ok(FeedNumbers::Backfill) if request.backfill_of == 0 => {
            invalid("a backfill says whose gaps it fills (backfill_of)".to_owned())
        }
        Ok(FeedNumbers::Backfill) => Ok(Some(Numbers::Backfill { of: request.backfill_of })),
        Err(_) => invalid(format!("feed numbers {} are not known", request.feed)),
    }
}
