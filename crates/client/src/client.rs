//! The client: one connection, shared by all that is done with it.

use std::sync::Arc;

use tonic::transport::Channel;

use crate::connect::Connections;
use crate::read::{self, FoundRow, ScanOptions, ScannedRows};
use crate::{
    Admin, ClientError, ClientOptions, ClusterAdmin, KnownProducer, Producer, ProducerError, ProducerOptions,
    SubscribeOptions, Subscription,
};

/// A connection to a server, or to the first that can be reached of several. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    connections: Arc<Connections>,
}

impl Client {
    /// Connects. Where no server can be reached, it tries for [`ClientOptions::retry_for`].
    pub async fn connect(options: ClientOptions) -> Result<Self, ClientError> {
        let connections = Arc::new(Connections::new(options)?);
        connections.call(|_| async { Ok(()) }).await?;
        Ok(Self { connections })
    }

    /// What the server knows of a producer; `None` where he has never written.
    pub async fn known_producer(&self, id: u64) -> Result<Option<KnownProducer>, ClientError> {
        KnownProducer::ask(&self.connections, id).await
    }

    /// Begins to write as a producer: asks what the server knows of him, then goes on from there.
    pub async fn producer(&self, options: ProducerOptions) -> Result<Producer, ProducerError> {
        Producer::open(Arc::clone(&self.connections), options).await
    }

    /// Asks as an administrator, on the connection that there is.
    pub async fn admin(&self) -> Result<Admin, ClientError> {
        Ok(Admin::new(self.connections.connected().await?.admin()))
    }

    /// What all nodes of the server's cluster do, and who belongs to it.
    pub fn cluster(&self) -> ClusterAdmin {
        ClusterAdmin::new(Arc::clone(&self.connections))
    }

    /// The connection that there is, for services that this client does not speak. A call on it needs the token of the
    /// options by itself, as `authorization: Bearer TOKEN`.
    pub async fn channel(&self) -> Result<Channel, ClientError> {
        self.connections.channel().await.map(|(channel, _)| channel)
    }

    /// Follows the journal. Nothing is sent before the first [`Subscription::next`].
    pub fn subscribe(&self, options: SubscribeOptions) -> Subscription {
        Subscription::new(Arc::clone(&self.connections), options)
    }

    /// The row of a table with this symbol, time and sequence; with sequence 0 the last one of that time.
    pub async fn get(
        &self,
        table: &str,
        symbol: &str,
        ts: i64,
        seq: u64,
    ) -> Result<Option<FoundRow>, ClientError> {
        read::get(&self.connections, table, symbol, ts, seq).await
    }

    /// The rows of one series in order of time.
    pub async fn scan(&self, options: ScanOptions) -> Result<ScannedRows, ClientError> {
        read::scan(&self.connections, options).await
    }
}
