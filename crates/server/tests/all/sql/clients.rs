//! Clients that others wrote: the ADBC driver (Go) and flightsql-dbapi on Arrow's C++ library.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use tapebook_server::Server;

use super::support::{fill, tokens};
use crate::door::support::Place;

#[tokio::test(flavor = "multi_thread")]
async fn the_adbc_driver_asks_prepares_ingests_and_cancels() {
    run("adbc.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arrow_cpp_asks_and_prepares() {
    run("dbapi.py").await;
}

/// Runs a script against a server with TLS. Without the clients there is nothing to test, which is a failure.
async fn run(script: &str) {
    let place = Place::new();
    let server: Server = place.start().await;
    let tokens = tokens(&server);
    fill(&server.node().db);
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("sql-clients");
    assert!(
        environment.join("installed.txt").exists(),
        "no clients to test with; install them with: scripts/install-tools.sh sql-clients {}",
        environment.parent().unwrap().display()
    );
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let output = Command::new(environment.join("bin/python"))
        .arg(root.join("scripts/sql-clients").join(script))
        .arg(server.grpc_address().unwrap().to_string())
        .arg(place.path("ca.crt"))
        .args([&tokens["admin"], &tokens["trades-reader"]])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.trim_end().ends_with("ok"), "{script}:\n{out}\n{err}");
}
