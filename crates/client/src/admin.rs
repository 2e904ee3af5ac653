//! What an administrator asks of a server.

use tapebook_proto::v1;

use crate::{ClientError, connect};

/// What an administrator asks of a server. Each call is made once: where the connection breaks it may have been carried out, and
/// the server's audit log says whether it was.
#[derive(Clone, Debug)]
pub struct Admin {
    client: connect::Admin,
}

impl Admin {
    pub(crate) fn new(client: connect::Admin) -> Self {
        Self { client }
    }

    /// Writes what is in memory to SSTables.
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        answer(self.client.flush(v1::FlushRequest {}).await).map(drop)
    }

    /// Moves and merges files, and with `to_history` converts everything; how many steps that took.
    pub async fn compact(&mut self, to_history: bool) -> Result<u64, ClientError> {
        answer(self.client.compact(v1::CompactRequest { to_history }).await).map(|done| done.steps)
    }

    /// Copies the database into a directory of the server; the last sequence that the copy has.
    pub async fn checkpoint(&mut self, directory: &str) -> Result<u64, ClientError> {
        let request = v1::CheckpointRequest { directory: directory.to_owned() };
        answer(self.client.checkpoint(request).await).map(|done| done.last_seq)
    }

    /// Backs the database up to a directory of the server or to object storage; the backup's number and its last sequence.
    pub async fn backup(&mut self, target: &str) -> Result<(u64, u64), ClientError> {
        let request = v1::BackupRequest { target: target.to_owned() };
        answer(self.client.backup(request).await).map(|done| (done.number, done.last_seq))
    }

    /// Makes a token; its text, which is shown this once.
    pub async fn create_token(&mut self, request: v1::CreateTokenRequest) -> Result<String, ClientError> {
        answer(self.client.create_token(request).await).map(|done| done.token)
    }

    /// All tokens, without their texts.
    pub async fn list_tokens(&mut self) -> Result<Vec<v1::Token>, ClientError> {
        answer(self.client.list_tokens(v1::ListTokensRequest {}).await).map(|done| done.tokens)
    }

    /// Ends a token.
    pub async fn revoke_token(&mut self, name: &str) -> Result<(), ClientError> {
        answer(self.client.revoke_token(v1::RevokeTokenRequest { name: name.to_owned() }).await).map(drop)
    }

    /// Ends a producer: its batches are refused until it comes with a greater epoch.
    pub async fn expire_producer(&mut self, producer_id: u64) -> Result<(), ClientError> {
        answer(self.client.expire_producer(v1::ExpireProducerRequest { producer_id }).await).map(drop)
    }
}

fn answer<T>(answered: Result<tonic::Response<T>, tonic::Status>) -> Result<T, ClientError> {
    answered.map(tonic::Response::into_inner).map_err(|status| ClientError::of_status(&status))
}
