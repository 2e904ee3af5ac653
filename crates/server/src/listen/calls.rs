//! What happens to a call before a service sees it.
//!
//! Whose it is, is found out first, from its headers alone: the body of a stranger is never read. Open to everybody are
//! only the probes of health, which say nothing but yes or no.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;
use tonic::Status;
use tower_service::Service;

use super::Port;
use super::body::CallBody;
use super::brief::briefly;
use crate::Gate;
use crate::access::{Peer, RefusalKind, Right};
use crate::tls::Inside;

/// Calls whose messages come when the client has some; every other call has one, which it must send at once.
const STREAMING_FROM_CLIENT: [&str; 8] = [
    "/tapebook.v1.Journal/Append",
    "/tapebook.v1.Journal/Subscribe",
    "/tapebook.v1.Cluster/AppendEntries",
    "/tapebook.v1.Cluster/InstallSnapshot",
    "/arrow.flight.protocol.FlightService/Handshake",
    "/arrow.flight.protocol.FlightService/DoPut",
    "/arrow.flight.protocol.FlightService/DoExchange",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];
const PROBES: [&str; 4] =
    ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/health/live", "/health/ready"];
/// Bytes of the message or body of a probe, which anybody may send.
const PROBE_BYTES_MAX: usize = 4 << 10;
const REFLECTION: &str = "/grpc.reflection.";

/// The calls of one connection.
#[derive(Clone)]
pub(super) struct Calls {
    port: Arc<Port>,
    gate: Gate,
    peer: Arc<Peer>,
    /// True once there was a call.
    has_begun: Arc<AtomicBool>,
}

impl Calls {
    pub(super) fn new(port: Arc<Port>, gate: Gate, peer: Arc<Peer>) -> Self {
        Self { port, gate, peer, has_begun: Arc::default() }
    }

    /// Becomes true with the first call.
    pub(super) fn has_begun(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.has_begun)
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let is_probe = PROBES.contains(&parts.uri.path());
        if !is_probe {
            let access = &self.gate.access;
            let caller = match access.authenticate(&self.peer, parts.headers.get(AUTHORIZATION)) {
                Ok(caller) => caller,
                Err(error) => return self.unauthenticated(&error.to_string()),
            };
            // The one service that others wrote, and that asks nobody.
            if parts.uri.path().starts_with(REFLECTION)
                && let Err(denied) = access.authorize(&caller, Right::Read, None)
            {
                return Status::permission_denied(denied.to_string()).into_http();
            }
            parts.extensions.insert(caller);
        }
        let bytes_max = if is_probe { PROBE_BYTES_MAX } else { self.gate.limits.message_bytes_max };
        let body = match self.port.inside {
            Inside::Http2 => self.watched(parts.uri.path(), body, bytes_max),
            Inside::Http1 => match self.collected(&parts.headers, body, bytes_max).await {
                Ok(body) => body,
                Err(refusal) => return refusal,
            },
        };
        let Ok(response) = self.port.router.clone().call(Request::from_parts(parts, body)).await;
        match self.port.inside {
            Inside::Http2 => briefly(response),
            Inside::Http1 => response,
        }
    }

    fn unauthenticated(&self, reason: &str) -> Response<Body> {
        match self.port.inside {
            Inside::Http2 => Status::unauthenticated(reason).into_http(),
            Inside::Http1 => {
                let mut response = explained(StatusCode::UNAUTHORIZED, reason);
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer, Basic"));
                response
            }
        }
    }

    /// A body of gRPC is read by its service, message by message.
    fn watched(&self, path: &str, body: Incoming, bytes_max: usize) -> Body {
        let is_unary = !STREAMING_FROM_CLIENT.contains(&path);
        let body = CallBody::new(body, is_unary, bytes_max, self.gate.limits.request_stall_max);
        Body::new(if is_unary { body } else { body.until_closing(&self.gate.lifecycle) })
    }

    /// A body of HTTP/1 is small and comes at once, so it is read here, whole.
    async fn collected(
        &self,
        headers: &http::HeaderMap,
        body: Incoming,
        bytes_max: usize,
    ) -> Result<Body, Response<Body>> {
        let limits = &self.gate.limits;
        let too_large = || {
            let reason = format!("the body is longer than {bytes_max} bytes (message_bytes_max)");
            self.refuse(RefusalKind::Size, StatusCode::PAYLOAD_TOO_LARGE, &reason)
        };
        let stated = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if stated.is_some_and(|stated| stated > bytes_max as u64) {
            return Err(too_large());
        }
        match timeout(limits.request_stall_max, Limited::new(body, bytes_max).collect()).await {
            Ok(Ok(collected)) => Ok(Body::from(collected.to_bytes())),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(explained(StatusCode::BAD_REQUEST, "the body ends too early")),
            Err(_) => {
                let waited = limits.request_stall_max.as_millis();
                let reason = format!("the body did not come within {waited} ms (request_stall_max)");
                Err(self.refuse(RefusalKind::Slow, StatusCode::REQUEST_TIMEOUT, &reason))
            }
        }
    }

    fn refuse(&self, kind: RefusalKind, status: StatusCode, reason: &str) -> Response<Body> {
        self.gate.access.refusals().note(kind, self.peer.address, reason);
        explained(status, reason)
    }
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.has_begun.store(true, Ordering::Relaxed);
        let calls = self.clone();
        Box::pin(async move { Ok(calls.answer(request).await) })
    }
}

/// A refusal over HTTP, as JSON.
fn explained(status: StatusCode, reason: &str) -> Response<Body> {
    let json = serde_json::json!({ "error": reason }).to_string();
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
