//! From a port to the services: connections are taken, bounded, greeted and served.
//!
//! A connection has a place among `connections_max`, or is told that there is none. It has `handshake_time_max` to shake hands and to say
//! the first bytes of its protocol ([`greeting`]). Then hyper serves it, with bounds on headers, streams and silence. Each call is
//! authenticated before its body is read ([`calls`]), and its body is watched while it is ([`body`]).
//!
//! *Boundary*: nothing here knows a service. What a call means is behind the router.

mod body;
mod brief;
mod calls;
mod greeting;
mod turn_away;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::calls::Calls;
use self::greeting::{Greeted, NotGreeted, greet};
use crate::access::RefusalKind;
use crate::tls::{Inside, Tls};
use crate::{Gate, Lifecycle};

/// After an error of the operating system (no file descriptors, say) nothing is accepted for so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that are told at one time that there are too many; more are closed without a word.
const TURNED_AWAY_MAX: usize = 16;
/// A peer that does not say anything is asked whether it is there.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);
/// It has so long to answer.
const KEEP_ALIVE_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of the headers of one call.
const HEADER_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;
/// Bytes that may be on their way for one call, and for one connection.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// A whole batch comes in one frame.
const FRAME_BYTES_MAX: u32 = 512 << 10;

/// What is behind one port.
pub(crate) struct Port {
    pub inside: Inside,
    pub tls: Option<Arc<Tls>>,
    pub router: axum::Router,
}

/// Lets connections in, to all ports together as many as there may be.
#[derive(Debug)]
pub(crate) struct Door {
    gate: Gate,
    places: Arc<Semaphore>,
    turning_away: Arc<Semaphore>,
}

impl Door {
    pub(crate) fn new(gate: Gate) -> Self {
        let places = Arc::new(Semaphore::new(gate.limits.connections_max.min(Semaphore::MAX_PERMITS)));
        Self { gate, places, turning_away: Arc::new(Semaphore::new(TURNED_AWAY_MAX)) }
    }

    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        self.gate.limits.connections_max.saturating_sub(self.places.available_permits())
    }

    /// Takes connections until the server ends. Then nothing listens any more, whatever connections there still are.
    pub(crate) async fn accept(self: Arc<Self>, listener: TcpListener, port: Arc<Port>) {
        let mut closing = pin!(self.gate.lifecycle.closing());
        loop {
            tokio::select! {
                biased;
                () = &mut closing => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => self.admit(&port, stream, address),
                    Err(error) => {
                        log::warn!("cannot accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    /// Waits until every connection is closed.
    pub(crate) async fn emptied(&self) {
        let all = u32::try_from(self.gate.limits.connections_max).unwrap_or(u32::MAX);
        // Nobody closes the semaphore.
        let _ = self.places.acquire_many(all).await;
    }

    fn admit(self: &Arc<Self>, port: &Arc<Port>, stream: TcpStream, address: SocketAddr) {
        let (door, port) = (Arc::clone(self), Arc::clone(port));
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            tokio::spawn(async move {
                let protocol = match port.inside {
                    Inside::Http1 => "http",
                    Inside::Http2 => "grpc",
                };
                door.gate.metrics.connection_opened(protocol);
                tokio::select! {
                    () = door.gate.lifecycle.ended() => {}
                    () = door.serve(&port, stream, address) => {}
                }
                door.gate.metrics.connection_closed(protocol);
                drop(place);
            });
            return;
        }
        let max = self.gate.limits.connections_max;
        let reason = format!("there are {max} connections already (connections_max)");
        self.gate.access.refusals().note(RefusalKind::Connections, address, &reason);
        if let Ok(place) = Arc::clone(&self.turning_away).try_acquire_owned() {
            tokio::spawn(async move {
                let told = turn_away::tell(&port, stream, &reason);
                // Whoever does not listen is not told.
                let _ = timeout(door.gate.limits.handshake_time_max, told).await;
                drop(place);
            });
        }
    }

    async fn serve(&self, port: &Arc<Port>, stream: TcpStream, address: SocketAddr) {
        let refusals = self.gate.access.refusals();
        let time_max = self.gate.limits.handshake_time_max;
        let Greeted { io, peer } = match timeout(time_max, greet(port, stream, address)).await {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(NotGreeted::Gone)) => return,
            Ok(Err(NotGreeted::Refused { kind, reason })) => return refusals.note(kind, address, &reason),
            Err(_) => {
                let reason = format!("no handshake within {} ms (handshake_time_max)", time_max.as_millis());
                return refusals.note(RefusalKind::Slow, address, &reason);
            }
        };
        let calls = Calls::new(Arc::clone(port), self.gate.clone(), peer);
        let (io, has_begun) = (TokioIo::new(io), calls.has_begun());
        let ended = match port.inside {
            Inside::Http1 => drive(self.http1().serve_connection(io, calls), &self.gate.lifecycle).await,
            Inside::Http2 => drive(self.http2().serve_connection(io, calls), &self.gate.lifecycle).await,
        };
        let was_idle = has_begun.load(Ordering::Relaxed);
        if let Some((kind, reason)) = ended.err().and_then(|error| complaint(&error, port.inside, was_idle)) {
            refusals.note(kind, address, &reason);
        }
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.gate.limits.handshake_time_max)
            .max_buf_size(HEADER_BYTES_MAX)
            .max_headers(HEADERS_MAX);
        builder
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_TIME_MAX)
            .max_concurrent_streams(self.gate.limits.streams_per_connection_max)
            .max_header_list_size(HEADER_BYTES_MAX as u32)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX);
        builder
    }
}

/// Serves a connection to its end; when the server ends, until its calls have.
async fn drive<C: GracefulConnection>(connection: C, lifecycle: &Lifecycle) -> C::Output {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = lifecycle.closing() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// What was wrong with a connection that has ended, where it was the other end's doing and not the network's. One that has had its calls
/// may go as it likes.
fn complaint(error: &hyper::Error, inside: Inside, has_had_calls: bool) -> Option<(RefusalKind, String)> {
    if error.is_parse_too_large() {
        return Some((RefusalKind::Size, "its headers are too long".to_owned()));
    }
    if error.is_timeout() {
        let is_slow = inside == Inside::Http1 && !has_had_calls;
        return is_slow.then(|| (RefusalKind::Slow, "its headers took too long".to_owned()));
    }
    let by_network = error.is_incomplete_message() || error.is_closed() || causes(error).any(is_of_network);
    (!by_network).then(|| (RefusalKind::Protocol, format!("it does not speak the protocol: {error}")))
}

fn causes(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

fn is_of_network(error: &(dyn Error + 'static)) -> bool {
    let of_http2 = error.downcast_ref::<h2::Error>();
    error.is::<io::Error>() || of_http2.is_some_and(|error| error.is_io() || error.is_remote())
}
