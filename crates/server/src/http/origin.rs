//! Refuses what a browser sends here because a page of somebody else told it to.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::Response;

use super::error::HttpError;
use crate::Node;

/// Lets a request through that was meant for this server.
pub(super) async fn check(
    State(node): State<Arc<Node>>,
    request: Request,
    next: Next,
) -> Result<Response, HttpError> {
    decide(request.headers(), request.uri(), &node.http_hosts)?;
    Ok(next.run(request).await)
}

/// `names` are those of this server besides addresses and `localhost`.
fn decide(headers: &HeaderMap, uri: &Uri, names: &[String]) -> Result<(), HttpError> {
    let refused = |what: &str, found: &str| {
        let found: String = found.chars().take(80).collect();
        HttpError::Elsewhere(format!(
            "{what} {found:?} is not this server; call it by an address, by localhost or by a name of http_hosts"
        ))
    };
    let host = text(headers, &HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
    let host = host.ok_or_else(|| refused("host", ""))?;
    if !is_ours(name_of(host), names) {
        return Err(refused("host", host));
    }
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let place = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    match place {
        // The very place that was called, port and all.
        Some(place) if place.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(refused("origin", origin)),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &axum::http::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _port)| name),
    }
}

/// A page can make any name point here, but no address that is not here.
fn is_ours(name: &str, names: &[String]) -> bool {
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn decided(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        decide(&headers, &Uri::from_static("/query"), &["db.example".to_owned()]).is_ok()
    }

    #[test]
    fn a_server_is_called_by_its_own_names_and_by_addresses() {
        for host in ["127.0.0.1:7701", "[::1]:7701", "localhost:7701", "LOCALHOST", "db.example", "10.1.2.3"]
        {
            assert!(decided(host, None), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:7701",
            "localhost.evil.example",
            "db.example.evil",
            "",
            "127.0.0.1.evil:1",
        ] {
            assert!(!decided(host, None), "{host}");
        }
    }

    #[test]
    fn only_its_own_pages_may_call() {
        assert!(decided("localhost:7701", Some("http://localhost:7701")));
        assert!(decided("db.example", Some("https://db.example")));
        for origin in [
            "http://localhost:8000",
            "https://evil.example",
            "null",
            "http://db.example",
            "ftp://localhost:7701",
        ] {
            assert!(!decided("localhost:7701", Some(origin)), "{origin}");
        }
    }
}
