//! Certificates change while the server runs.

use tapebook_server::access::{RefusalKind, Role};
use tapebook_server::tls::CertificateSummary;
use tapebook_server::{Server, ServerOptions};
use tonic::Code;

use super::support::{PATIENCE, Place, connect, first_call, list_tokens, refused, shake_hands};

/// The fingerprint of the certificate that a fresh connection is shown.
async fn shown(server: &Server, place: &Place) -> Vec<u8> {
    let stream = shake_hands(server.grpc_address().unwrap(), place.tls(None), b"h2").await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    ring::digest::digest(&ring::digest::SHA256, &chain[0]).as_ref().to_vec()
}

fn fingerprint(place: &Place) -> Vec<u8> {
    let pem = std::fs::read_to_string(place.path("node.crt")).unwrap();
    CertificateSummary::read(&pem).unwrap().fingerprint
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_used_and_the_old_connection_goes_on() {
    let place = Place::new();
    let options = ServerOptions { tls_reload_every: std::time::Duration::from_millis(10), ..place.options() };
    let server = Server::start(options).await.unwrap();
    let admin = place.client("ops", Role::Admin, 0);
    let channel = connect(&server, Some(place.tls(Some(&admin)))).await.unwrap();
    list_tokens(channel.clone(), None).await.unwrap();
    let first = shown(&server, &place).await;
    assert_eq!(first, fingerprint(&place));
    place.write_pair("node", &place.node());
    let changed = async {
        while shown(&server, &place).await == first {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, changed).await.unwrap();
    assert_eq!(shown(&server, &place).await, fingerprint(&place));
    list_tokens(channel, None).await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_is_refused_and_the_old_stays() {
    let place = Place::new();
    let server = place.start().await;
    let (before, good) = (shown(&server, &place).await, place.node());
    let foreign_key = place.node().key;
    let expired = tapebook_server::tls::Subject::Node { id: 1, hosts: vec!["localhost".to_owned()] };
    let expired = place.authority.issue(&expired, super::support::now() - 100 * 86_400, 10).unwrap();
    for (certificate, key) in [
        ("", good.key.as_str()),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &good.key),
        (&good.certificate, "no key"),
        (&good.certificate, &foreign_key),
        (&expired.certificate, &expired.key),
    ] {
        place.write("node.crt", certificate);
        place.write("node.key", key);
        server.reload().await;
        assert_eq!(shown(&server, &place).await, before);
    }
    place.write_pair("node", &good);
    place.write("ca.crl", "nothing");
    server.reload().await;
    assert_eq!(shown(&server, &place).await, before);
    place.write("ca.crl", &place.authority.revoke(None, &[], super::support::now(), 5).unwrap());
    server.reload().await;
    assert_eq!(shown(&server, &place).await, fingerprint(&place));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_ends_what_it_began() {
    let place = Place::new();
    let server = place.start().await;
    let (bad, good) = (place.client("leaver", Role::Admin, 0), place.client("ops", Role::Admin, 0));
    let open = |issued| connect(&server, Some(place.tls(Some(issued))));
    let (leaver, ops) = (open(&bad).await.unwrap(), open(&good).await.unwrap());
    list_tokens(leaver.clone(), None).await.unwrap();
    let serial = CertificateSummary::read(&bad.certificate).unwrap().serial;
    let before = std::fs::read_to_string(place.path("ca.crl")).unwrap();
    place.write(
        "ca.crl",
        &place.authority.revoke(Some(&before), &[serial], super::support::now(), 5).unwrap(),
    );
    server.reload().await;

    let status = list_tokens(leaver, None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("the certificate is revoked"), "{status}");
    assert!(first_call(&server, place.tls(Some(&bad))).await.is_err());
    super::support::until_refused(&server, RefusalKind::Certificate, 2).await;
    let line = place.audit_line(|line| line["caller"] == "leaver" && line["event"] == "refused").await;
    assert_eq!(line["kind"], "certificate");
    list_tokens(ops, None).await.unwrap();
    assert_eq!(first_call(&server, place.tls(Some(&good))).await, Ok(()));
    assert!(refused(&server, RefusalKind::Certificate) >= 2);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_is_taken_away_takes_its_clients_along() {
    let place = Place::new();
    let server = place.start().await;
    let admin = place.client("ops", Role::Admin, 0);
    let channel = connect(&server, Some(place.tls(Some(&admin)))).await.unwrap();
    list_tokens(channel.clone(), None).await.unwrap();
    let other = Place::new();
    for file in ["ca.crt", "ca.crl"] {
        place.write(file, &std::fs::read_to_string(other.path(file)).unwrap());
    }
    server.reload().await;
    assert_eq!(list_tokens(channel, None).await.unwrap_err().code(), Code::Unauthenticated);
    assert!(first_call(&server, place.tls(Some(&admin))).await.is_err());
    server.stop().await.unwrap();
}
