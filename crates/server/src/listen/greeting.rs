//! The first bytes of a connection: the handshake of TLS, and the preface of HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, rustls};

use super::Port;
use crate::access::{Peer, RefusalKind};
use crate::tls::{Inside, reason_of};

/// What a client of HTTP/2 says first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The first byte of a handshake of TLS.
const TLS_HANDSHAKE: u8 = 0x16;
const ANSWER_TO_HTTP1: &[u8] =
    b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain\r\nconnection: close\r\n\
    content-length: 50\r\n\r\nThis port speaks gRPC (HTTP/2). HTTP is on 7701.\r\n";

/// Bytes both ways, in clear or inside TLS.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that has said what it is.
pub(super) struct Greeted {
    pub io: Prefixed,
    pub peer: Arc<Peer>,
}

/// Why it did not come so far.
pub(super) enum NotGreeted {
    /// It went away.
    Gone,
    /// It said something that is no good.
    Refused { kind: RefusalKind, reason: String },
}

impl From<io::Error> for NotGreeted {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

fn refused(kind: RefusalKind, reason: impl Into<String>) -> NotGreeted {
    NotGreeted::Refused { kind, reason: reason.into() }
}

/// Shakes hands and reads the preface. How long that may take is the caller's business.
pub(super) async fn greet(
    port: &Port,
    stream: TcpStream,
    address: SocketAddr,
) -> Result<Greeted, NotGreeted> {
    // Without it a lone small message waits for the acknowledgement of the one before.
    stream.set_nodelay(true)?;
    let (mut io, peer) = match &port.tls {
        None => (Box::new(stream) as Box<dyn Duplex>, Peer { address, certificate: None }),
        Some(tls) => {
            let stream = shake_hands(port, stream).await?;
            let certificate = stream.get_ref().1.peer_certificates().map(|chain| tls.peer(chain));
            (Box::new(stream) as Box<dyn Duplex>, Peer { address, certificate })
        }
    };
    let prefix: &[u8] = match port.inside {
        Inside::Http1 => &[],
        Inside::Http2 => {
            read_preface(&mut *io).await?;
            PREFACE
        }
    };
    Ok(Greeted { io: Prefixed { prefix, io }, peer: Arc::new(peer) })
}

/// The handshake of TLS, where the port has it.
pub(super) async fn shake_hands(
    port: &Port,
    stream: TcpStream,
) -> Result<tokio_rustls::server::TlsStream<TcpStream>, NotGreeted> {
    let Some(tls) = &port.tls else { return Err(NotGreeted::Gone) };
    let accepted = TlsAcceptor::from(tls.config(port.inside)).accept(stream).await;
    accepted.map_err(|error| {
        let reason = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        match reason {
            Some(error @ rustls::Error::InvalidCertificate(_)) => {
                refused(RefusalKind::Certificate, format!("its certificate is {}", reason_of(error)))
            }
            Some(error) => refused(RefusalKind::Protocol, format!("no handshake of TLS 1.3: {error}")),
            None => NotGreeted::Gone,
        }
    })
}

/// Reads the preface, and stops at the first byte that is another one.
async fn read_preface(io: &mut dyn Duplex) -> Result<(), NotGreeted> {
    let mut found = [0; PREFACE.len()];
    let mut len = 0;
    while len < found.len() {
        let read = io.read(&mut found[len..]).await?;
        if read == 0 {
            return Err(NotGreeted::Gone);
        }
        len += read;
        if found[..len] != PREFACE[..len] {
            return Err(explain(io, &found[..len]).await);
        }
    }
    Ok(())
}

/// What the other end seems to speak; in HTTP/1 it gets an answer.
async fn explain(io: &mut dyn Duplex, found: &[u8]) -> NotGreeted {
    if found.first() == Some(&TLS_HANDSHAKE) {
        return refused(RefusalKind::Protocol, "it speaks TLS, and this server has no certificate");
    }
    let methods: [&[u8]; 4] = [b"GET ", b"POST", b"HEAD", b"OPTI"];
    if methods.iter().any(|method| found.starts_with(method)) {
        // Whether it hears it is its own affair.
        let _ = io.write_all(ANSWER_TO_HTTP1).await;
        let _ = io.shutdown().await;
        return refused(RefusalKind::Protocol, "it speaks HTTP/1 on the port of gRPC");
    }
    refused(RefusalKind::Protocol, "it does not speak HTTP/2")
}

/// Gives bytes that were read already once more, then what comes.
pub(super) struct Prefixed {
    prefix: &'static [u8],
    io: Box<dyn Duplex>,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let (now, later) = self.prefix.split_at(self.prefix.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.prefix = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_http1_has_the_length_that_it_says() {
        let text = std::str::from_utf8(ANSWER_TO_HTTP1).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
