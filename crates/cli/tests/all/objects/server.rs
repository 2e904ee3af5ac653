//! One server for all tests of this process, and what tests do to its objects behind the back of the binary.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::{Builder, Runtime};

use super::proxy::Proxy;

/// The keys of a user.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: String,
}

/// The server. It ends with this process, because its standard input does.
#[derive(Debug)]
pub(super) struct Server {
    _child: Child,
    pub(super) endpoint: String,
    region: String,
    bucket: String,
    /// Who may do everything.
    pub(super) writer: Key,
    /// Who may list and read.
    pub(super) reader: Key,
}

/// A prefix of the server's bucket, and the variables with which the binary finds it.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) url: String,
    pub(super) endpoint: String,
    pub(super) key: Key,
    /// Variables that are not set.
    pub(super) dropped: Vec<&'static str>,
    pub(super) prefix: String,
}

/// Starts the server with the first test that needs it. Without one there is nothing to test, which is a failure.
pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("s3-server");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let python = environment.join("bin/python");
        assert!(
            environment.join("installed.txt").exists(),
            "no S3 server to test against; install it with: scripts/install-tools.sh s3-server {}",
            environment.parent().unwrap().display()
        );
        let mut child = Command::new(python)
            .arg(root.join("scripts/s3-server/serve.py"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let found: serde_json::Value = serde_json::from_str(&line).expect("the server says where it listens");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let key = |name: &str| Key { id: text(&found[name]["id"]), secret: text(&found[name]["secret"]) };
        Server {
            endpoint: text(&found["endpoint"]),
            region: text(&found["region"]),
            bucket: text(&found["bucket"]),
            writer: key("writer"),
            reader: key("reader"),
            _child: child,
        }
    })
}

impl Server {
    /// A prefix for one test.
    pub(super) fn bucket(&self, test: &str) -> Bucket {
        let prefix = format!("tests/{test}");
        Bucket {
            url: format!("s3://{}/{prefix}", self.bucket),
            endpoint: self.endpoint.clone(),
            key: self.writer.clone(),
            dropped: Vec::new(),
            prefix,
        }
    }

    /// The bucket as its owner sees it.
    fn store(&self) -> (Runtime, Arc<dyn ObjectStore>) {
        let store = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_access_key_id(&self.writer.id)
            .with_secret_access_key(&self.writer.secret)
            .build()
            .unwrap();
        (Builder::new_current_thread().enable_all().build().unwrap(), Arc::new(store))
    }
}

impl Bucket {
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", server().region.clone()),
            ("AWS_ACCESS_KEY_ID", self.key.id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.key.secret.clone()),
            // Nobody answers there: a machine in a cloud must not lend its own keys to a test.
            ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1".to_owned()),
        ];
        all.into_iter().filter(|(name, _)| !self.dropped.contains(name)).collect()
    }

    pub(super) fn with_key(&self, key: Key) -> Self {
        Self { key, ..self.clone() }
    }

    pub(super) fn through(&self, proxy: &Proxy) -> Self {
        Self { endpoint: proxy.endpoint(), ..self.clone() }
    }

    /// The keys of a folder, below the prefix, sorted.
    pub(super) fn keys(&self, folder: &str) -> Vec<String> {
        let (runtime, store) = server().store();
        let path = self.path(folder);
        let listed = runtime.block_on(store.list_with_delimiter(Some(&path))).unwrap();
        let mut keys: Vec<String> = listed
            .objects
            .iter()
            .map(|found| format!("{folder}/{}", found.location.filename().unwrap()))
            .collect();
        keys.sort();
        keys
    }

    pub(super) fn get(&self, key: &str) -> Vec<u8> {
        let (runtime, store) = server().store();
        let read = async { store.get(&self.path(key)).await?.bytes().await };
        runtime.block_on(read).unwrap().to_vec()
    }

    pub(super) fn put(&self, key: &str, bytes: Vec<u8>) {
        let (runtime, store) = server().store();
        runtime.block_on(store.put(&self.path(key), bytes.into())).unwrap();
    }

    pub(super) fn delete(&self, key: &str) {
        let (runtime, store) = server().store();
        runtime.block_on(store.delete(&self.path(key))).unwrap();
    }

    fn path(&self, key: &str) -> object_store::path::Path {
        object_store::path::Path::from(format!("{}/{key}", self.prefix))
    }
}
