//! The service `tapebook.v1.Journal`: writes and reads the journal over gRPC.
//!
//! It turns messages into calls of the engine and what comes of them into messages. Every call needs a right, every row of a
//! batch the right to its table ([`crate::access`]); every error becomes a refusal that says what to do (`refusal`).
//!
//! Appending has neither a task nor a queue of its own: `append` is polled by the connection, submits what it can read and
//! answers what is durable. What reads the disk (a scan, a subscriber that catches up) does so on blocking threads, one bounded
//! piece at a time, so that nobody who is slow holds on to a thread.
//!
//! *Boundary*: what is durable, in which order, and what a producer's number means is decided by the engine.

mod append;
mod credit;
mod filter;
mod message;
mod outbox;
mod producer;
mod read;
pub(crate) mod refusal;
mod registry;
mod scan;
mod subscribe;

use std::sync::Arc;

use tapebook_proto::v1::journal_server::{Journal, JournalServer};
use tapebook_proto::v1::{
    AppendRequest, GetRequest, GetResponse, OpenProducerRequest, OpenProducerResponse, ScanRequest,
    ScanResponse, SubscribeRequest, SubscribeResponse,
};
use tapebook_record::batch::BATCH_BYTES_MAX;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

pub use self::append::AppendAnswers;
pub use self::registry::{SubscriberState, Subscribers};
use crate::Node;
use crate::access::Caller;

/// The largest message that is taken: a batch, or a subscription with many symbols. A batch above its own bound is refused
/// with a reason as long as it fits; a larger message ends its stream.
const MESSAGE_BYTES_MAX: usize = 4 * BATCH_BYTES_MAX;

/// The service on a node.
pub fn service(node: Arc<Node>) -> JournalServer<JournalService> {
    let bytes_max = MESSAGE_BYTES_MAX.min(node.limits.message_bytes_max);
    JournalServer::new(JournalService { node }).max_decoding_message_size(bytes_max)
}

/// Answers the calls.
#[derive(Clone, Debug)]
pub struct JournalService {
    node: Arc<Node>,
}

#[tonic::async_trait]
impl Journal for JournalService {
    type AppendStream = AppendAnswers;
    type SubscribeStream = ReceiverStream<Result<SubscribeResponse, Status>>;
    type ScanStream = ReceiverStream<Result<ScanResponse, Status>>;

    async fn open_producer(
        &self,
        request: Request<OpenProducerRequest>,
    ) -> Result<Response<OpenProducerResponse>, Status> {
        let caller = caller_of(&request)?;
        let opened = producer::open(&self.node, &caller, &request.into_inner()).await?;
        Ok(Response::new(opened))
    }

    async fn append(
        &self,
        request: Request<Streaming<AppendRequest>>,
    ) -> Result<Response<AppendAnswers>, Status> {
        let caller = caller_of(&request)?;
        let answers = AppendAnswers::begin(Arc::clone(&self.node), caller, request.into_inner())?;
        Ok(Response::new(answers))
    }

    async fn subscribe(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let caller = caller_of(&request)?;
        let messages = subscribe::begin(Arc::clone(&self.node), caller, request.into_inner()).await?;
        Ok(Response::new(messages))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let caller = caller_of(&request)?;
        let found = read::get(&self.node, &caller, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn scan(&self, request: Request<ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        let caller = caller_of(&request)?;
        let rows = scan::begin(&self.node, &caller, request.into_inner())?;
        Ok(Response::new(rows))
    }
}

/// Who makes a call. Nobody gets past here without having been looked at.
fn caller_of<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>();
    caller.cloned().ok_or_else(|| Status::unauthenticated("it is not known who calls"))
}

/// Runs something that may read the disk where it disturbs nobody.
async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Status::internal("the call ended with a panic; the server's log says more"))
}
