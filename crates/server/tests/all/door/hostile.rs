//! X2: malformed, oversized, slow and endless requests on every port are refused within a bound, and nobody else notices.
//!
//! `TAPEBOOK_HOSTILE_SECONDS=600 cargo test -p tapebook-server --test all hostile` throws nonsense for so long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tapebook_market::random::Random;
use tapebook_server::access::RefusalKind;
use tapebook_server::{Limits, Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::support::{Bystander, Duplex, PATIENCE, Place, refused, shake_hands, stop, until_refused};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// Throws at each port of each server in a usual run.
const THROWS: usize = 150;

/// Short bounds, so that the test is.
fn short() -> Limits {
    Limits {
        handshake_time_max: Duration::from_secs(3),
        request_stall_max: Duration::from_secs(3),
        message_bytes_max: 64 << 10,
        ..Limits::default()
    }
}

async fn start(place: &Place, secure: bool) -> Arc<Server> {
    let options = if secure { place.options() } else { place.open_options() };
    Arc::new(Server::start(ServerOptions { limits: short(), ..options }).await.unwrap())
}

/// Waits for the other end to close; what it has said by then.
async fn until_closed(io: &mut dyn Duplex) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is an end as well.
    let ended = timeout(PATIENCE, io.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "the connection is still open; it has said {:?}", String::from_utf8_lossy(&said));
    said
}

async fn raw(address: Option<SocketAddr>) -> TcpStream {
    TcpStream::connect(address.unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handshake_is_not_waited_for() {
    let place = Place::new();
    let server = start(&place, true).await;
    let bystander = Bystander::begin(&server, Some(place.tls(None))).await;
    let mut slow: Vec<Box<dyn Duplex>> = Vec::new();
    for begin in [&b""[..], &[0x16, 3, 1, 2, 0, 1], &[0x16]] {
        for address in [server.grpc_address(), server.http_address()] {
            let mut stream = raw(address).await;
            stream.write_all(begin).await.unwrap();
            slow.push(Box::new(stream));
        }
    }
    // Hands shaken, and then no preface.
    let mut stream = shake_hands(server.grpc_address().unwrap(), place.tls(None), b"h2").await.unwrap();
    stream.write_all(&PREFACE[..10]).await.unwrap();
    slow.push(Box::new(stream));
    for stream in &mut slow {
        until_closed(&mut **stream).await;
    }
    until_refused(&server, RefusalKind::Slow, 7).await;
    // A byte now and then does not help.
    let mut stream = raw(server.grpc_address()).await;
    let dripping = async {
        while stream.write_all(&[0x16]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, dripping).await.unwrap();
    bystander.end().await;
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_tls_and_no_tls_are_refused() {
    let place = Place::new();
    let server = start(&place, true).await;
    for address in [server.grpc_address(), server.http_address()] {
        let mut stream = raw(address).await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        until_closed(&mut stream).await;
        // A client of TLS 1.2, as OpenSSL 1.0 began: no supported_versions.
        let mut stream = raw(address).await;
        stream.write_all(&tls12_hello()).await.unwrap();
        until_closed(&mut stream).await;
    }
    until_refused(&server, RefusalKind::Protocol, 4).await;
    // What is spoken inside must be what the port has.
    let wrong = shake_hands(server.grpc_address().unwrap(), place.tls(None), b"http/1.1").await;
    assert!(wrong.is_err());
    stop(server).await;
}

/// A ClientHello of TLS 1.2 with one cipher suite and no extension.
fn tls12_hello() -> Vec<u8> {
    let mut hello = vec![3, 3];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0xc0, 0x2f, 1, 0]);
    let mut handshake = vec![1, 0, 0, hello.len() as u8];
    handshake.extend_from_slice(&hello);
    let mut record = vec![0x16, 3, 1, 0, handshake.len() as u8];
    record.extend_from_slice(&handshake);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_one_port_for_another_is_told() {
    let place = Place::new();
    let server = start(&place, false).await;
    let mut stream = raw(server.grpc_address()).await;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let said = String::from_utf8(until_closed(&mut stream).await).unwrap();
    assert!(said.starts_with("HTTP/1.1 505") && said.contains("gRPC"), "{said}");
    let mut stream = raw(server.grpc_address()).await;
    stream.write_all(&tls12_hello()).await.unwrap();
    until_closed(&mut stream).await;
    let mut stream = raw(server.http_address()).await;
    stream.write_all(PREFACE).await.unwrap();
    until_closed(&mut stream).await;
    until_refused(&server, RefusalKind::Protocol, 3).await;
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_is_not_waited_for() {
    let place = Place::new();
    let server = start(&place, false).await;
    let bystander = Bystander::begin(&server, None).await;
    let mut half = Vec::new();
    for begin in [
        "GET /health/live HTTP/1.1\r\nhost: x\r\n",
        "GET",
        "POST /query HTTP/1.1\r\nhost: x\r\nx-half",
        "POST /query HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf",
    ] {
        let mut stream = raw(server.http_address()).await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        half.push(stream);
    }
    // A call of gRPC whose one message does not come, or only half of it.
    let mut calls = Vec::new();
    for body in [&b""[..], &[0, 0, 0, 0, 9, 1, 2]] {
        let mut stream = raw(server.grpc_address()).await;
        stream.write_all(&[PREFACE, SETTINGS, &headers_frame(), &data_frame(body)].concat()).await.unwrap();
        calls.push(stream);
    }
    let mut said = Vec::new();
    for stream in &mut half {
        said = until_closed(stream).await;
    }
    assert!(said.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&said));
    until_refused(&server, RefusalKind::Slow, 4).await;
    for stream in &mut calls {
        until_answered(stream).await;
    }
    bystander.end().await;
    stop(server).await;
}

/// HEADERS of a call of `grpc.health.v1.Health/Check`, without END_STREAM, every name and value spelled out.
fn headers_frame() -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        block.extend_from_slice(&[0, name.len() as u8]);
        block.extend_from_slice(name.as_bytes());
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    }
    frame(1, 4, &block)
}

fn data_frame(body: &[u8]) -> Vec<u8> {
    if body.is_empty() { Vec::new() } else { frame(0, 0, body) }
}

/// A frame of stream 1.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Reads until stream 1 is answered or reset.
async fn until_answered(stream: &mut TcpStream) {
    let mut said = Vec::new();
    let reading = async {
        let mut piece = [0; 4096];
        while !has_answer_of_stream_1(&said) {
            let read = stream.read(&mut piece).await.unwrap();
            assert_ne!(read, 0, "the connection ends without an answer");
            said.extend_from_slice(&piece[..read]);
        }
    };
    timeout(PATIENCE, reading).await.expect("half a call is waited for");
}

fn has_answer_of_stream_1(mut bytes: &[u8]) -> bool {
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let (kind, stream) = (bytes[3], u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]));
        if stream == 1 && (kind == 1 || kind == 3) {
            return true;
        }
        match bytes.get(9 + length..) {
            Some(rest) => bytes = rest,
            None => return false,
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_an_end_are_refused() {
    let place = Place::new();
    let server = start(&place, false).await;
    let bystander = Bystander::begin(&server, None).await;
    let mut stream = raw(server.http_address()).await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let flooding =
        async { while stream.write_all(b"x-more: and more and more and more and more\r\n").await.is_ok() {} };
    timeout(PATIENCE, flooding).await.expect("the server reads headers for ever");
    // HTTP/2: CONTINUATION after CONTINUATION (CVE-2024-27316 and its like).
    let mut stream = raw(server.grpc_address()).await;
    let begin = [PREFACE, SETTINGS, &frame(1, 0, &[0x40, 1, b'a', 1, b'b'])].concat();
    stream.write_all(&begin).await.unwrap();
    let more = frame(
        9,
        0,
        &[0, 10, b'x', b'-', b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'8', 2, b'o', b'k'].repeat(400),
    );
    let flooding = async { while stream.write_all(&more).await.is_ok() {} };
    timeout(PATIENCE, flooding).await.expect("the server reads headers for ever");
    until_refused(&server, RefusalKind::Protocol, 1).await;
    assert!(refused(&server, RefusalKind::Size) + refused(&server, RefusalKind::Protocol) >= 2);
    bystander.end().await;
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_an_end_is_refused() {
    let place = Place::new();
    let server = start(&place, false).await;
    let bystander = Bystander::begin(&server, None).await;
    let mut stream = raw(server.http_address()).await;
    stream.write_all(b"POST /query HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = [b"400\r\n".to_vec(), vec![b'x'; 0x400], b"\r\n".to_vec()].concat();
    let flooding = async { while stream.write_all(&chunk).await.is_ok() {} };
    timeout(PATIENCE, flooding).await.expect("the server reads the body for ever");
    until_refused(&server, RefusalKind::Size, 1).await;
    bystander.end().await;
    stop(server).await;
}

fn below(random: &mut Random, bound: usize) -> usize {
    random.below(bound as u64) as usize
}

/// Nonsense: random bytes, or something right with a few bytes changed, cut or doubled.
fn nonsense(random: &mut Random) -> Vec<u8> {
    let right: [Vec<u8>; 6] = [
        [PREFACE, SETTINGS, &headers_frame(), &data_frame(&[0, 0, 0, 0, 0])].concat(),
        [PREFACE, SETTINGS].concat(),
        tls12_hello(),
        b"POST /query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
            .to_vec(),
        b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        Vec::new(),
    ];
    let mut bytes = right[below(random, right.len())].clone();
    if bytes.is_empty() {
        let len = below(random, 300);
        return (0..len).map(|_| random.next_u64() as u8).collect();
    }
    for _ in 0..=below(random, 4) {
        let at = below(random, bytes.len());
        match below(random, 4) {
            0 => bytes[at] = random.next_u64() as u8,
            1 => bytes.truncate(at.max(1)),
            2 => bytes.insert(at, random.next_u64() as u8),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_on_every_port_harms_nobody() {
    let seconds = std::env::var("TAPEBOOK_HOSTILE_SECONDS").ok().and_then(|text| text.parse().ok());
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    for secure in [false, true] {
        let place = Place::new();
        let server = start(&place, secure).await;
        let tls = secure.then(|| place.tls(None));
        let bystander = Bystander::begin(&server, tls.clone()).await;
        let mut throwing = tokio::task::JoinSet::new();
        for (seed, address) in [(1, server.grpc_address()), (2, server.http_address())] {
            let (address, tls) = (address.unwrap(), tls.clone());
            throwing.spawn(async move {
                let mut random = Random::new(seed);
                for throw in 0.. {
                    let is_over = end.map_or(throw >= THROWS, |end| Instant::now() >= end);
                    if is_over {
                        break;
                    }
                    let bytes = nonsense(&mut random);
                    let inside = below(&mut random, 2) == 0;
                    throw_at(address, tls.clone().filter(|_| inside), &bytes).await;
                }
            });
        }
        while let Some(thrown) = throwing.join_next().await {
            thrown.unwrap();
        }
        bystander.end().await;
        stop(server).await;
    }
}

/// Says it and waits a moment for the answer. What it would take to get a connection closed is tested elsewhere.
async fn throw_at(address: SocketAddr, tls: Option<Arc<tokio_rustls::rustls::ClientConfig>>, bytes: &[u8]) {
    let mut io: Box<dyn Duplex> = match tls {
        None => Box::new(TcpStream::connect(address).await.unwrap()),
        Some(tls) => {
            match shake_hands(address, tls, if bytes.len().is_multiple_of(2) { b"h2" } else { b"http/1.1" })
                .await
            {
                Ok(stream) => Box::new(stream),
                Err(_) => return,
            }
        }
    };
    // The other end may have had enough before all of it was said.
    let _ = io.write_all(bytes).await;
    let _ = timeout(Duration::from_millis(20), io.read(&mut [0; 256])).await;
}
