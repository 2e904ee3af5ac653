//! A node that has no journal yet answers one question at its port: who it is. The others have to know that it waits.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::service::Routes;

use crate::access::Access;
use crate::cluster::{self, Beginning};
use crate::listen::{Door, Port};
use crate::metrics::Metrics;
use crate::serve::{BACKLOG, LET_GO_TIME_MAX, bind};
use crate::tls::{Inside, Tls};
use crate::{Gate, Phase, ServerOptions, StartError};

/// Answers until it is clear what becomes of the node; then the port is free again, and taken anew.
pub(crate) async fn wait(
    options: &ServerOptions,
    (address, socket): (SocketAddr, TcpSocket),
    tls: Option<Arc<Tls>>,
    beginning: &mut Beginning,
) -> Result<(SocketAddr, TcpSocket), StartError> {
    let listening = |source| StartError::Listen { address, source };
    let access = match options.authenticates() {
        true => Access::certificates(tls.clone()),
        false => Access::open(),
    };
    let gate = Gate {
        access: Arc::new(access),
        limits: Arc::new(options.limits.clone()),
        lifecycle: Arc::default(),
        metrics: Arc::new(Metrics::new()),
    };
    let who = beginning.introduced();
    // Probes hear that nothing is served.
    let (_, health) = tonic_health::server::health_reporter();
    let routes = Routes::new(health).add_service(cluster::service(gate.clone(), who));
    let listener = socket.listen(BACKLOG).map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    let port = Port { inside: Inside::Http2, tls, router: routes.into_axum_router() };
    let door = Arc::new(Door::new(gate.clone()));
    let mut accepting = JoinSet::new();
    accepting.spawn(Arc::clone(&door).accept(listener, Arc::new(port)));
    let waited = beginning.wait().await;
    gate.lifecycle.enter(Phase::Ended);
    while accepting.join_next().await.is_some() {}
    // Whoever is cut off asks again.
    let _ = timeout(LET_GO_TIME_MAX, door.emptied()).await;
    waited?;
    bind(address)
}
