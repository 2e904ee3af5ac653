//! As many connections and calls as there may be, and one more; and those who only sit there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tapebook_proto::v1;
use tapebook_proto::v1::admin_client::AdminClient;
use tapebook_server::access::RefusalKind;
use tapebook_server::{Limits, Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::support::{
    Bystander, PATIENCE, Place, connect, is_healthy, refused, shake_hands, stop, until_refused,
};

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told_so_on_every_port() {
    for secure in [false, true] {
        let place = Place::new();
        let options = if secure { place.options() } else { place.open_options() };
        let limits = Limits { connections_max: 3, ..Limits::default() };
        let server = Server::start(ServerOptions { limits, ..options }).await.unwrap();
        let tls = secure.then(|| place.tls(None));
        let mut places = Vec::new();
        for _ in 0..3 {
            let channel = connect(&server, tls.clone()).await.unwrap();
            is_healthy(channel.clone()).await.unwrap();
            places.push(channel);
        }
        assert_eq!(server.connections(), 3);
        for (address, protocol) in [(server.grpc_address(), &b"h2"[..]), (server.http_address(), b"http/1.1")]
        {
            let answer = answer_to_a_newcomer(address.unwrap(), tls.clone(), protocol).await;
            assert!(answer.contains("there are 3 connections already (connections_max)"), "{answer}");
        }
        let one_too_many = match connect(&server, tls.clone()).await {
            Ok(channel) => is_healthy(channel).await.map_err(|status| format!("{status:?}")),
            Err(error) => Err(format!("{error:?}")),
        };
        assert!(one_too_many.is_err());
        assert!(refused(&server, RefusalKind::Connections) >= 3);
        for channel in &places {
            is_healthy(channel.clone()).await.unwrap();
        }
        drop(places);
        let there_is_room = async {
            while server.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            is_healthy(connect(&server, tls.clone()).await.unwrap()).await.unwrap();
        };
        timeout(PATIENCE, there_is_room).await.unwrap();
        server.stop().await.unwrap();
    }
}

async fn answer_to_a_newcomer(
    address: SocketAddr,
    tls: Option<Arc<tokio_rustls::rustls::ClientConfig>>,
    protocol: &[u8],
) -> String {
    let mut io: Box<dyn super::support::Duplex> = match tls {
        None => Box::new(TcpStream::connect(address).await.unwrap()),
        Some(tls) => Box::new(shake_hands(address, tls, protocol).await.unwrap()),
    };
    let mut answer = Vec::new();
    timeout(PATIENCE, io.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_that_only_sit_there_harm_nobody() {
    const IDLE: usize = 1_000;
    let wanted = 2 * IDLE as u64 + 500;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
        assert!(raised.is_ok(), "the test needs {wanted} open files: raise the hard limit (ulimit -Hn)");
    }
    let place = Place::new();
    let limits = Limits { handshake_time_max: Duration::from_secs(3), ..Limits::default() };
    let server = Arc::new(Server::start(ServerOptions { limits, ..place.open_options() }).await.unwrap());
    let bystander = Bystander::begin(&server, None).await;
    let mut idle = Vec::new();
    for number in 0..IDLE {
        let address = if number % 2 == 0 { server.grpc_address() } else { server.http_address() };
        idle.push(TcpStream::connect(address.unwrap()).await.unwrap());
    }
    bystander.goes_on().await;
    until_refused(&server, RefusalKind::Slow, IDLE as u64).await;
    let closed = async {
        for connection in &mut idle {
            // Where the server has answered before it closed, that comes first.
            let mut answer = Vec::new();
            let _ = connection.read_to_end(&mut answer).await;
        }
    };
    timeout(PATIENCE, closed).await.expect("all of them are closed");
    bystander.end().await;
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_so_many_calls_at_one_time() {
    let place = Place::new();
    let limits = Limits { streams_per_connection_max: 4, ..Limits::default() };
    let server = Server::start(ServerOptions { limits, ..place.open_options() }).await.unwrap();
    let channel = connect(&server, None).await.unwrap();
    let watch = |channel| async {
        let request = HealthCheckRequest { service: String::new() };
        HealthClient::new(channel).watch(request).await.map(tonic::Response::into_inner)
    };
    let mut watches = Vec::new();
    for _ in 0..4 {
        watches.push(watch(channel.clone()).await.unwrap());
    }
    // The client keeps the bound that the server has told it, and waits.
    let fifth = tokio::spawn(watch(channel.clone()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!fifth.is_finished());
    is_healthy(connect(&server, None).await.unwrap()).await.unwrap();
    watches.pop();
    timeout(PATIENCE, fifth).await.unwrap().unwrap().unwrap();
    drop(watches);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_is_refused_and_the_connection_goes_on() {
    let place = Place::new();
    let limits = Limits { message_bytes_max: 10_000, ..Limits::default() };
    let server = Server::start(ServerOptions { limits, ..place.open_options() }).await.unwrap();
    let channel = connect(&server, None).await.unwrap();
    let request = v1::RevokeTokenRequest { name: "x".repeat(20_000) };
    let status = AdminClient::new(channel.clone()).revoke_token(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("message_bytes_max"), "{status}");
    // What everybody may send has a bound of its own.
    let request = HealthCheckRequest { service: "x".repeat(5_000) };
    let status = HealthClient::new(channel.clone()).check(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    is_healthy(channel).await.unwrap();
    let mut stream = TcpStream::connect(server.http_address().unwrap()).await.unwrap();
    stream.write_all(b"POST /query HTTP/1.1\r\nhost: x\r\ncontent-length: 10001\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    server.stop().await.unwrap();
}
