//! The client's examples run.

use super::support::Server;

#[allow(dead_code, reason = "the examples' own `main`")]
#[path = "../../../../client/examples/follow.rs"]
mod follow;
#[allow(dead_code, reason = "the examples' own `main`")]
#[path = "../../../../client/examples/produce.rs"]
mod produce;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_example_writes_the_other_one_follows() {
    let server = Server::start().await;
    produce::run(&server.url()).await.unwrap();
    follow::run(&server.url(), 100).await.unwrap();
}
