//! Tells a connection for which there is no place that there is none, in its own protocol.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Port;
use super::greeting::{Duplex, shake_hands};
use crate::tls::Inside;

/// An empty SETTINGS frame, without which a client of HTTP/2 understands nothing else.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const GOAWAY: u8 = 7;
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// Says why, then waits for the other end to close.
pub(super) async fn tell(port: &Port, stream: TcpStream, reason: &str) -> io::Result<()> {
    let mut io: Box<dyn Duplex> = match &port.tls {
        None => Box::new(stream),
        Some(_) => match shake_hands(port, stream).await {
            Ok(stream) => Box::new(stream),
            Err(_) => return Ok(()),
        },
    };
    let message = match port.inside {
        Inside::Http1 => http1(reason),
        Inside::Http2 => http2(reason),
    };
    io.write_all(&message).await?;
    io.shutdown().await?;
    // A socket that is closed with unread bytes takes back what it has sent.
    let mut ignored = [0; 1024];
    while io.read(&mut ignored).await? > 0 {}
    Ok(())
}

fn http1(reason: &str) -> Vec<u8> {
    let length = reason.len() + 2;
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nconnection: close\r\nretry-after: 1\r\n\
         content-length: {length}\r\n\r\n{reason}\r\n"
    )
    .into_bytes()
}

/// A GOAWAY frame (RFC 9113, 6.8) with the reason as its debug data.
fn http2(reason: &str) -> Vec<u8> {
    let mut bytes = SETTINGS.to_vec();
    let length = u32::try_from(8 + reason.len()).unwrap_or(8);
    bytes.extend_from_slice(&length.to_be_bytes()[1..]);
    bytes.extend_from_slice(&[GOAWAY, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&0_u32.to_be_bytes());
    bytes.extend_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
    bytes.extend_from_slice(reason.as_bytes());
    bytes
}
