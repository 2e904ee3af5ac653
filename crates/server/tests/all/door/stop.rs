//! The end of a server: in order, in time, and when its disk fails.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tapebook::{Batch, Durability, Trade};
use tapebook_server::access::RefusalKind;
use tapebook_server::{Limits, Server, ServerOptions};
use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, Operation, RealVfs};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::support::{PATIENCE, Place, connect, is_healthy, refused};

fn trade(ts: i64) -> Batch {
    let mut batch = Batch::new();
    batch.push(Trade { symbol: "X", ts, price: Some(1.0), ..Trade::default() }).unwrap();
    batch
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_in_order() {
    let place = Place::new();
    let server = Server::start(place.open_options()).await.unwrap();
    server.node().db.append(trade(1), Durability::Synced).unwrap().wait().unwrap();
    let (grpc, http) = (server.grpc_address().unwrap(), server.http_address().unwrap());
    let channel = connect(&server, None).await.unwrap();
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, ServingStatus::Serving as i32);
    let ending = tokio::spawn(server.stop());
    let mut last = ServingStatus::Serving as i32;
    let watching = async {
        while let Ok(Some(told)) = watch.message().await {
            last = told.status;
        }
    };
    timeout(PATIENCE, watching).await.expect("the watch ends");
    assert_eq!(last, ServingStatus::NotServing as i32);
    // Nothing was left to wait for.
    timeout(PATIENCE, ending).await.unwrap().unwrap().unwrap();
    for address in [grpc, http] {
        assert!(TcpStream::connect(address).await.is_err());
    }
    let server = Server::start(place.open_options()).await.unwrap();
    let db = &server.node().db;
    assert_eq!(db.open_report().replayed_entries, 0, "it was flushed");
    assert_eq!(db.last_seq(), 1);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_end_is_cut_off() {
    let place = Place::new();
    let limits = Limits { shutdown_time_max: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start(ServerOptions { limits, ..place.open_options() }).await.unwrap();
    let mut stream = TcpStream::connect(server.grpc_address().unwrap()).await.unwrap();
    // A preface, then silence: a connection that answers nothing, as of a machine that has died.
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let connected = async {
        while server.connections() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, connected).await.unwrap();
    timeout(PATIENCE, server.stop()).await.expect("it ends within its bound").unwrap();
    assert!(Server::start(place.open_options()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_named_before_the_database_is_opened() {
    let place = Place::new();
    let server = Server::start(place.open_options()).await.unwrap();
    let other = Place::new();
    let taken = ServerOptions { listen: server.grpc_address(), ..other.open_options() };
    let error = Server::start(taken).await.unwrap_err().to_string();
    assert!(error.contains(&server.grpc_address().unwrap().to_string()), "{error}");
    assert!(!other.path("db").exists());
    let error = Server::start(place.open_options()).await.unwrap_err().to_string();
    assert!(error.contains("process"), "{error}");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_synced_ends_the_server() {
    let place = Place::new();
    let disk = Arc::new(FaultVfs::new(Arc::new(RealVfs::new()), FaultPlan::none()));
    let mut options = place.open_options();
    options.database.vfs = Arc::clone(&disk) as Arc<_>;
    let server = Server::start(options).await.unwrap();
    let channel = connect(&server, None).await.unwrap();
    assert!(timeout(Duration::from_millis(300), server.failed()).await.is_err());
    disk.set_plan(FaultRule::new(Fault::Error(ErrorKind::Other)).on(Operation::Sync).into());
    let appended = server.node().db.append(trade(1), Durability::Synced).and_then(|pending| pending.wait());
    assert!(appended.is_err());
    let reason = timeout(PATIENCE, server.failed()).await.unwrap();
    assert!(reason.contains("sync"), "{reason}");
    let request = HealthCheckRequest { service: String::new() };
    let told = HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner();
    assert_eq!(told.status, ServingStatus::NotServing as i32);
    is_healthy(channel).await.unwrap();
    assert_eq!(refused(&server, RefusalKind::Protocol), 0);
    assert!(server.stop().await.is_err(), "what was lost is told at the end, too");
}
