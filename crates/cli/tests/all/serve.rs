//! The server as a process: how it begins, ends, is set and is administered.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use crate::support::Place;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that was started and is ready.
struct Served {
    child: Child,
    err: BufReader<ChildStderr>,
    log: String,
}

impl Served {
    fn begin(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        while !log.contains("HTTP on ") {
            assert_ne!(err.read_line(&mut log).unwrap(), 0, "{log}");
        }
        Self { child, err, log }
    }

    /// On any free ports.
    fn on(place: &Place, args: &[&str]) -> Self {
        let ports = ["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
        Self::begin(place.command(&[&ports, args].concat()))
    }

    fn address(&self, protocol: &str) -> String {
        let begin = format!("{protocol} on ");
        let (_, rest) = self.log.split_once(&begin).unwrap();
        rest.split(',').next().unwrap().to_owned()
    }

    fn url(&self) -> String {
        format!("grpc://{}", self.address("gRPC"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it with a signal; exit status and log.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        self.signal(signal);
        self.err.read_to_string(&mut self.log).unwrap();
        (self.child.wait().unwrap().code(), std::mem::take(&mut self.log))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Where a test has failed it may still run.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_until_it_is_told_to_end() {
    let place = Place::with_trades();
    for signal in ["TERM", "INT"] {
        let served = Served::on(&place, &[]);
        let line = place.fails(1, &["sql", "SELECT 1"]);
        assert!(line.contains("tapebook serve"), "{line}");
        let http = served.address("HTTP");
        let mut stream = TcpStream::connect(&http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (code, log) = served.end(signal);
        assert_eq!(code, Some(0), "{log}");
        assert!(log.trim_end().ends_with("ended") && log.contains("everyone who can connect"), "{log}");
        assert!(TcpStream::connect(http).is_err());
        assert_eq!(place.sql("SELECT count(*) FROM trades"), "3");
    }
}

#[test]
fn the_service_manager_is_told() {
    let place = Place::new();
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", place.path("notify"));
    let served = Served::begin(command);
    let told = || {
        let mut bytes = [0; 64];
        let len = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    };
    assert_eq!(told(), "READY=1");
    served.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(served.end("CONT").0, Some(0));
}

#[test]
fn strangers_find_no_open_door() {
    let place = Place::new();
    for args in [
        &["serve", "--listen", "0.0.0.0:0"][..],
        &["serve", "--http-listen", "[::]:0"],
        &["serve", "--listen", "0.0.0.0:0", "--auth", "required"],
    ] {
        let line = place.fails(2, args);
        assert!(line.contains("loopback") && line.contains("insecure"), "{line}");
    }
    assert!(!place.data().exists());
    let served = Served::begin(place.command(&[
        "serve",
        "--listen",
        "0.0.0.0:0",
        "--http-listen",
        "127.0.0.1:0",
        "--insecure",
    ]));
    assert_eq!(served.end("TERM").0, Some(0));
}

#[test]
fn wrong_settings_are_named() {
    let place = Place::new();
    place.write("bad.toml", "listen = \"127.0.0.1:0\"\nqueries_maxx = 3\n");
    let line = place.fails(2, &["serve", "--config", "bad.toml"]);
    assert!(line.contains("bad.toml line 2") && line.contains("did you mean queries_max?"), "{line}");
    let line = place.fails(2, &["serve", "--query-time-max", "5"]);
    assert!(line.contains("--query-time-max") && line.contains("5s"), "{line}");
    let line = place.fails(2, &["serve", "--tls-cert", "x.crt"]);
    assert!(line.contains("tls_key"), "{line}");
    let line = place.fails(1, &["serve", "--tls-cert", "x.crt", "--tls-key", "x.key"]);
    assert!(line.contains("x.crt"), "{line}");
    let line = place.fails(1, &["serve", "--config", "missing.toml"]);
    assert!(line.contains("missing.toml"), "{line}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = place.fails(1, &["serve", "--listen", &address]);
    assert!(line.contains(&address) && line.contains("another address"), "{line}");
}

#[test]
fn config_show_is_a_file_of_settings() {
    let place = Place::new();
    place.write("server.toml", "queries_max = 3\nmax_future = \"off\"\n");
    let variables = [("TAPEBOOK_SYMBOLS_MAX", "77".to_owned())];
    let args = ["config", "show", "--config", "server.toml", "--insecure", "--memtable-bytes", "32MiB"];
    let shown = place.run_with(&args, &variables);
    assert_eq!((shown.code, shown.err.as_str()), (0, ""));
    for (line, origin) in [
        ("queries_max = 3 ", "server.toml line 1"),
        ("max_future = \"off\" ", "server.toml line 2"),
        ("symbols_max = 77 ", "TAPEBOOK_SYMBOLS_MAX"),
        ("insecure = true ", "--insecure"),
        ("memtable_bytes = \"32MiB\" ", "--memtable-bytes"),
        ("listen = \"127.0.0.1:7700\" ", "default"),
        ("data = ", "TAPEBOOK_DATA"),
    ] {
        let found = shown.out.lines().find(|shown| shown.starts_with(line));
        assert!(found.is_some_and(|found| found.ends_with(&format!("# {origin}"))), "{line}: {found:?}");
    }
    place.write("again.toml", &shown.out);
    let again = place.ok(&["config", "show", "--config", "again.toml"]);
    let values = |text: &str| {
        text.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&again), values(&shown.out));
}

#[test]
fn certificates_are_made_shown_and_not_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let line = place.fails(1, &["cert", "issue", "ca", "--client", "x", "--role", "read"]);
    assert!(line.contains("cert init ca"), "{line}");
    place.ok(&["cert", "init", "ca"]);
    place.ok(&["cert", "issue", "ca", "--node", "1", "--host", "localhost", "127.0.0.1"]);
    place.ok(&["cert", "issue", "ca", "--client", "feed-1", "--role", "write", "--table", "trades"]);
    for key in ["ca/ca.key", "ca/node-1.key", "ca/feed-1.key"] {
        let mode = std::fs::metadata(place.path(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let shown = place.ok(&["cert", "show", "ca/feed-1.crt"]);
    assert!(
        shown.contains("feed-1") && shown.contains("write of trades") && shown.contains("Tapebook CA"),
        "{shown}"
    );
    let shown = place.ok(&["cert", "show", "ca/node-1.crt"]);
    assert!(shown.contains("localhost, 127.0.0.1") && shown.contains("node-1"), "{shown}");
    let before = std::fs::read(place.path("ca/ca.key")).unwrap();
    for args in
        [&["cert", "init", "ca"][..], &["cert", "issue", "ca", "--client", "feed-1", "--role", "read"]]
    {
        let line = place.fails(1, args);
        assert!(line.contains("exists already"), "{line}");
    }
    assert_eq!(std::fs::read(place.path("ca/ca.key")).unwrap(), before);
    for args in [
        &["cert", "issue", "ca"][..],
        &["cert", "issue", "ca", "--node", "2"],
        &["cert", "issue", "ca", "--client", "x"],
        &["cert", "issue", "ca", "--client", "x", "--role", "root"],
        &["cert", "issue", "ca", "--client", "x", "--role", "node"],
        &["cert", "issue", "ca", "--client", "x/y", "--role", "read"],
        &["cert", "issue", "ca", "--client", "x", "--role", "admin", "--table", "trades"],
        &["cert", "issue", "ca", "--client", "x", "--role", "read", "--node", "1", "--host", "x"],
    ] {
        place.fails(2, args);
    }
    let line = place.fails(1, &["cert", "show", "ca/ca.key"]);
    assert!(line.contains("ca/ca.key"), "{line}");
}

#[test]
fn tokens_are_made_on_a_directory_that_no_server_has_open() {
    let place = Place::with_trades();
    let token = place.ok(&["token", "create", "board", "--role", "read", "--table", "trades", "--days", "2"]);
    assert!(token.starts_with("tbk_") && token.trim_end().len() == 85, "{token}");
    place.ok(&["token", "create", "ops", "--role", "admin"]);
    let listed = place.ok(&["token", "list"]);
    assert!(listed.contains("board  read of trades") && listed.contains("ops  admin"), "{listed}");
    assert!(!listed.contains(&token[4..20]), "{listed}");
    let line = place.fails(1, &["token", "create", "ops", "--role", "read"]);
    assert!(line.contains("revoke it"), "{line}");
    place.ok(&["token", "revoke", "board"]);
    place.fails(1, &["token", "revoke", "board"]);
    place.fails(2, &["token", "create", "n", "--role", "node"]);
    assert_eq!(place.ok(&["token", "list"]).lines().count(), 1);
}

#[test]
fn a_server_is_administered_by_its_address() {
    let place = Place::with_trades();
    let served = Served::on(&place, &[]);
    let url = served.url();
    place.ok(&["flush", "--url", &url]);
    place.ok(&["compact", "--to", "history", "--url", &url]);
    let (copy, backups) = (place.path("copy"), place.path("backups"));
    place.ok(&["checkpoint", copy.to_str().unwrap(), "--url", &url]);
    place.ok(&["backup", "create", backups.to_str().unwrap(), "--url", &url]);
    let token = place.ok(&["token", "create", "board", "--role", "read", "--url", &url]);
    assert!(place.ok(&["token", "list", "--url", &url]).contains("board  read"));
    place.ok(&["token", "revoke", "board", "--url", &url]);
    let line = place.fails(1, &["checkpoint", "relative", "--url", &url]);
    assert!(line.contains("absolute"), "{line}");
    assert_eq!(served.end("TERM").0, Some(0));
    let audit = std::fs::read_to_string(place.path("db/audit.jsonl")).unwrap();
    assert_eq!(audit.lines().filter(|line| line.contains("\"outcome\":\"done\"")).count(), 7, "{audit}");
    assert!(!audit.contains(token.trim_end().rsplit('_').next().unwrap()));
    let line = place.fails(1, &["flush", "--url", &url]);
    assert!(line.contains("no server could be reached"), "{line}");
    assert_eq!(
        place.ok(&["sql", "--data", "copy", "--format", "csv", "SELECT count(*) FROM trades"]),
        "count(*)\n3\n"
    );
}

#[test]
fn with_certificates_a_server_asks_who_comes() {
    let place = Place::with_trades();
    place.ok(&["cert", "init", "ca"]);
    place.ok(&["cert", "issue", "ca", "--node", "1", "--host", "localhost", "127.0.0.1"]);
    place.ok(&["cert", "issue", "ca", "--client", "ops", "--role", "admin"]);
    place.ok(&["cert", "issue", "ca", "--client", "feed", "--role", "write"]);
    let tls = [
        "--tls-cert",
        "ca/node-1.crt",
        "--tls-key",
        "ca/node-1.key",
        "--tls-ca",
        "ca/ca.crt",
        "--tls-crl",
        "ca/ca.crl",
    ];
    let served = Served::on(&place, &tls);
    let url = served.url().replace("grpc://", "grpcs://");
    let by = |name: &str, action: &[&str]| {
        let (certificate, key) = (format!("ca/{name}.crt"), format!("ca/{name}.key"));
        let own = ["--url", &url, "--tls-ca", "ca/ca.crt", "--tls-cert", &certificate, "--tls-key", &key];
        place.run(&[action, &own].concat())
    };
    assert_eq!(by("ops", &["flush"]).code, 0);
    let refused = by("feed", &["flush"]);
    assert!(refused.code == 1 && refused.err.contains("feed may not administer"), "{refused:?}");
    let token = by("ops", &["token", "create", "deputy", "--role", "admin"]).out;
    let args = ["flush", "--url", &url, "--tls-ca", "ca/ca.crt"];
    let with_token = place.run_with(&args, &[("TAPEBOOK_TOKEN", token.trim_end().to_owned())]);
    assert_eq!(with_token.code, 0, "{with_token:?}");
    let line = place.fails(1, &args);
    assert!(line.contains("certificate or a token"), "{line}");
    place.fails(2, &["flush", "--url", &url]);

    place.ok(&["cert", "revoke", "ca", "ca/ops.crt"]);
    served.signal("HUP");
    let until_refused = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        by("ops", &["token", "list"]).code == 1
    });
    assert!(until_refused, "a revoked certificate still lets in");
    let (code, log) = served.end("TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("new certificates are in use") && !log.contains(token.trim_end()), "{log}");
}
