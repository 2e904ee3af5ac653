//! X1: whose credential is no good is refused, counted and written down, and no secret is.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use tapebook_proto::v1;
use tapebook_proto::v1::admin_client::AdminClient;
use tapebook_server::access::{RefusalKind, Role};
use tapebook_server::tls::{Authority, CertificateSummary, Issued};
use tapebook_server::{Authentication, Server, ServerOptions, StartError};
use tonic::Code;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use super::support::{
    Place, all_bytes, connect, first_call, is_healthy, list_tokens, now, refused, until_refused, with_token,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_lets_in_whom_its_role_says() {
    let place = Place::new();
    let server = place.start().await;
    let admin = place.client("ops", Role::Admin, 0);
    assert_eq!(first_call(&server, place.tls(Some(&admin))).await, Ok(()));
    for (role, count) in [(Role::Read, 1), (Role::Write, 2)] {
        let issued = place.client("feed", role, 0);
        let error = first_call(&server, place.tls(Some(&issued))).await.unwrap_err();
        assert!(error.contains("feed may not administer"), "{error}");
        assert_eq!(refused(&server, RefusalKind::Right), count);
    }
    let error = first_call(&server, place.tls(Some(&place.node()))).await.unwrap_err();
    assert!(error.contains("node-1 may not administer"), "{error}");
    let line = place.audit_line(|line| line["kind"] == "right" && line["caller"] == "node-1").await;
    assert_eq!((&line["event"], &line["credential"]), (&"refused".into(), &"certificate".into()));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_are_no_good_are_refused() {
    let place = Place::new();
    let server = place.start().await;
    let stranger = Place::new();
    let issuer = test_issuer();
    for (file, more) in [("ca.crt", &issuer.certificate), ("ca.crl", &issuer.revoked)] {
        place.write(file, &(std::fs::read_to_string(place.path(file)).unwrap() + more));
    }
    server.reload().await;
    let uris = |uris: &[&str]| issuer.issue("x", uris, ExtendedKeyUsagePurpose::ClientAuth);
    let other_purpose = issuer.issue("x", &["tapebook:role:admin"], ExtendedKeyUsagePurpose::ServerAuth);
    for (what, issued, reason) in [
        ("expired", place.client("late", Role::Admin, 20), "its certificate is expired"),
        ("not begun", place.client("early", Role::Admin, -5), "its certificate is not valid yet"),
        ("another CA", stranger.client("stranger", Role::Admin, 0), "of a CA that is not trusted here"),
        ("a server's", other_purpose, "not one of a client"),
        ("no role", uris(&[]), "names 0 roles"),
        ("two roles", uris(&["tapebook:role:read", "tapebook:role:admin"]), "names 2 roles"),
        ("no such role", uris(&["tapebook:role:root"]), "there is no role"),
        (
            "a name of nobody",
            issuer.issue("a b", &["tapebook:role:admin"], ExtendedKeyUsagePurpose::ClientAuth),
            "is no name",
        ),
    ] {
        let before = refused(&server, RefusalKind::Certificate);
        assert!(first_call(&server, place.tls(Some(&issued))).await.is_err(), "{what}");
        until_refused(&server, RefusalKind::Certificate, before + 1).await;
        let line =
            place.audit_line(|line| line["reason"].as_str().is_some_and(|text| text.contains(reason))).await;
        assert_eq!(line["kind"], "certificate", "{what}");
    }
    let admin = place.client("ops", Role::Admin, 0);
    assert_eq!(first_call(&server, place.tls(Some(&admin))).await, Ok(()));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_name_is_not_trusted() {
    let place = Place::new();
    let hosts = vec!["elsewhere.example".to_owned()];
    let elsewhere = tapebook_server::tls::Subject::Node { id: 2, hosts };
    place.write_pair("node", &place.authority.issue(&elsewhere, now(), 5).unwrap());
    let server = place.start().await;
    let error = first_call(&server, place.tls(None)).await.unwrap_err();
    assert!(error.contains("NotValidForName"), "{error}");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_credential_there_are_only_probes() {
    let place = Place::new();
    let server = place.start().await;
    let channel = connect(&server, Some(place.tls(None))).await.unwrap();
    is_healthy(channel.clone()).await.unwrap();
    let status = list_tokens(channel.clone(), None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = reflect(channel.clone(), None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(refused(&server, RefusalKind::Credential), 2);
    let token = create_token(&server, &place, "board", Role::Read).await;
    assert!(reflect(channel, Some(&token)).await.unwrap().contains(&"tapebook.v1.Admin".to_owned()));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_until_it_is_revoked_and_in_no_file() {
    let place = Place::new();
    let server = place.start().await;
    let token = create_token(&server, &place, "deputy", Role::Admin).await;
    let reader = create_token(&server, &place, "board", Role::Read).await;
    let channel = connect(&server, Some(place.tls(None))).await.unwrap();
    assert_eq!(list_tokens(channel.clone(), Some(&token)).await.unwrap(), ["board", "deputy"]);
    let status = list_tokens(channel.clone(), Some(&reader)).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "board may not administer"));

    let forged = format!("{}{}", &token[..token.len() - 1], if token.ends_with('0') { '1' } else { '0' });
    let status = list_tokens(channel.clone(), Some(&forged)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let request = with_token(v1::RevokeTokenRequest { name: "deputy".to_owned() }, Some(&token));
    AdminClient::new(channel.clone()).revoke_token(request).await.unwrap();
    let status = list_tokens(channel, Some(&token)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(refused(&server, RefusalKind::Token), 2);

    place.audit_line(|line| line["kind"] == "token").await;
    let actions: Vec<_> = place
        .audit()
        .iter()
        .filter(|line| line["outcome"] == "done")
        .map(|line| line["action"].clone())
        .collect();
    assert_eq!(actions, ["create_token", "create_token", "list_tokens", "revoke_token"]);
    server.stop().await.unwrap();
    let files = all_bytes(&place.path("db"));
    for secret in [&token, &reader, &forged] {
        let secret = secret.rsplit('_').next().unwrap().as_bytes();
        assert!(!files.windows(secret.len()).any(|window| window == secret), "a secret is in a file");
    }
    let server = place.start().await;
    assert_eq!(server.node().tokens.list().len(), 1);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_administrator_asks_for_is_checked() {
    let place = Place::new();
    let server = place.start().await;
    let admin = place.client("ops", Role::Admin, 0);
    let channel = connect(&server, Some(place.tls(Some(&admin)))).await.unwrap();
    let mut client = AdminClient::new(channel);
    let request = v1::CheckpointRequest { directory: "copy".to_owned() };
    assert_eq!(client.checkpoint(request).await.unwrap_err().code(), Code::InvalidArgument);
    let copy = place.path("copy").to_str().unwrap().to_owned();
    client.checkpoint(v1::CheckpointRequest { directory: copy }).await.unwrap();
    assert!(!place.path("copy/TOKENS").exists() && place.path("copy/IDENTITY").exists());
    let grant = |role: v1::Role| Some(v1::Grant { role: role.into(), tables: vec!["trades".to_owned()] });
    for (name, grant, code) in [
        ("a b", grant(v1::Role::Read), Code::InvalidArgument),
        ("x", grant(v1::Role::Admin), Code::InvalidArgument),
        ("x", grant(v1::Role::Node), Code::InvalidArgument),
        ("x", None, Code::InvalidArgument),
    ] {
        let request = v1::CreateTokenRequest { name: name.to_owned(), grant, expires_at: 0 };
        assert_eq!(client.create_token(request).await.unwrap_err().code(), code, "{name}");
    }
    let request = v1::RevokeTokenRequest { name: "nobody".to_owned() };
    assert_eq!(client.revoke_token(request).await.unwrap_err().code(), Code::NotFound);
    place.audit_line(|line| line["action"] == "revoke_token" && line["outcome"] == "failed").await;
    let target = place.path("backups").to_str().unwrap().to_owned();
    assert_eq!(client.backup(v1::BackupRequest { target }).await.unwrap().into_inner().number, 1);
    client.flush(v1::FlushRequest {}).await.unwrap();
    client.compact(v1::CompactRequest { to_history: true }).await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_asks_nobody_and_listens_to_no_stranger() {
    let place = Place::new();
    let server = Server::start(place.open_options()).await.unwrap();
    let channel = connect(&server, None).await.unwrap();
    assert_eq!(list_tokens(channel, None).await.unwrap(), Vec::<String>::new());
    server.stop().await.unwrap();

    let stranger = Some("0.0.0.0:0".parse().unwrap());
    let exposed = ServerOptions { http_listen: stranger, ..place.open_options() };
    assert!(matches!(Server::start(exposed).await, Err(StartError::Exposed(_))));
    let no_lock = ServerOptions { listen: stranger, authentication: Authentication::Off, ..place.options() };
    assert!(matches!(Server::start(no_lock).await, Err(StartError::Exposed(_))));
    let locked = ServerOptions { listen: stranger, ..place.options() };
    Server::start(locked).await.unwrap().stop().await.unwrap();
    let insecure = ServerOptions { listen: stranger, insecure: true, ..place.open_options() };
    Server::start(insecure).await.unwrap().stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_alone_are_enough_on_loopback() {
    let place = Place::new();
    let options = ServerOptions { authentication: Authentication::Required, ..place.open_options() };
    let server = Server::start(options).await.unwrap();
    let grant = tapebook_server::access::Grant::everything();
    let token = server.node().tokens.create("ops", grant, None).unwrap();
    let channel = connect(&server, None).await.unwrap();
    assert_eq!(list_tokens(channel.clone(), None).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(list_tokens(channel, Some(token.reveal())).await.unwrap(), ["ops"]);
    server.stop().await.unwrap();
}

async fn create_token(server: &Server, place: &Place, name: &str, role: Role) -> String {
    let admin = place.client("ops", Role::Admin, 0);
    let channel = connect(server, Some(place.tls(Some(&admin)))).await.unwrap();
    let role = if role == Role::Admin { v1::Role::Admin } else { v1::Role::Read };
    let grant = Some(v1::Grant { role: role.into(), tables: Vec::new() });
    let request = v1::CreateTokenRequest { name: name.to_owned(), grant, expires_at: 0 };
    AdminClient::new(channel).create_token(request).await.unwrap().into_inner().token
}

async fn reflect(
    channel: tonic::transport::Channel,
    token: Option<&str>,
) -> Result<Vec<String>, tonic::Status> {
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let request = with_token(tokio_stream::once(ask), token);
    let mut answers =
        ServerReflectionClient::new(channel).server_reflection_info(request).await?.into_inner();
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let answer = answers.message().await?.and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    Ok(list.service.into_iter().map(|service| service.name).collect())
}

/// A CA that signs anything.
struct TestIssuer {
    certificate: String,
    revoked: String,
    issuer: Issuer<'static, KeyPair>,
}

fn test_issuer() -> TestIssuer {
    let (authority, issued) = Authority::create(now(), 30).unwrap();
    let key = KeyPair::from_pem(&issued.key).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, CertificateSummary::read(&issued.certificate).unwrap().name);
    let issuer = Issuer::new(params, key);
    let revoked = authority.revoke(None, &[], now(), 30).unwrap();
    TestIssuer { certificate: issued.certificate, revoked, issuer }
}

impl TestIssuer {
    fn issue(&self, name: &str, uris: &[&str], purpose: ExtendedKeyUsagePurpose) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}
