//! A prefix of a bucket as the target of backups.

use std::io::{self, Read};
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tapebook::{BackupTarget, TargetObject};
use tokio::runtime::Runtime;
use xxhash_rust::xxh3::Xxh3;

use crate::download::ObjectReader;
use crate::error::{Asked, is_not_implemented};
use crate::settings::{Address, open_store};
use crate::stored::Sent;
use crate::upload::send;
use crate::{Limits, TargetError};

/// Backups below a prefix of a bucket. Its methods block; they must not be called from an asynchronous task.
#[derive(Debug)]
pub struct ObjectTarget {
    store: Arc<dyn ObjectStore>,
    address: Address,
    asked: Asked,
    limits: Limits,
    runtime: Runtime,
}

/// Threads that keep requests going while the caller reads a file.
const WORKERS: usize = 2;

impl ObjectTarget {
    /// The target `s3://BUCKET[/PREFIX]`, with keys, region and endpoint from the usual `AWS_` variables of the
    /// environment. Nothing is sent yet.
    pub fn open(url: &str) -> Result<Self, TargetError> {
        Self::open_with(url, &|name| std::env::var(name).ok(), Limits::default())
    }

    /// The same with variables and bounds from somewhere else.
    pub fn open_with(
        url: &str,
        variable: &dyn Fn(&str) -> Option<String>,
        limits: Limits,
    ) -> Result<Self, TargetError> {
        let address = Address::parse(url)?;
        let (store, endpoint) = open_store(&address, variable, &limits)?;
        Self::over(Arc::new(store), address, endpoint, limits)
    }

    pub(crate) fn over(
        store: Arc<dyn ObjectStore>,
        address: Address,
        endpoint: String,
        limits: Limits,
    ) -> Result<Self, TargetError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("tapebook-objects")
            .enable_all()
            .build()
            .map_err(|error| TargetError::Settings { reason: format!("cannot start threads: {error}") })?;
        let asked = Asked { bucket: address.bucket.clone(), endpoint };
        Ok(Self { store, address, asked, limits, runtime })
    }

    fn path(&self, name: &str) -> io::Result<Path> {
        let parts = [self.address.prefix.as_str(), name];
        let joined = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        Path::parse(joined).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    fn reader(&self, path: Path) -> io::Result<ObjectReader> {
        ObjectReader::open(&self.store, &self.asked, path, self.runtime.handle(), &self.limits)
    }

    fn head(&self, path: &Path) -> io::Result<ObjectMeta> {
        self.runtime.block_on(self.store.head(path)).map_err(|error| self.asked.told(error))
    }

    /// Proves that the store holds what was sent: by length and tag, and where the tag says nothing, by reading it.
    fn check_stored(&self, path: &Path, sent: &Sent, in_parts: bool) -> io::Result<()> {
        let differs = |detail: String| Err(io::Error::other(TargetError::Differs { detail }));
        let found = match self.head(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return differs("it is not there".to_owned());
            }
            found => found?,
        };
        if found.size != sent.bytes {
            return differs(format!("{} bytes, expected {}", found.size, sent.bytes));
        }
        if sent.has_tag(found.e_tag.as_deref(), in_parts) {
            return Ok(());
        }
        let (mut reader, mut hash) = (self.reader(path.clone())?, Xxh3::new());
        let mut buffer = vec![0; 1 << 20];
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
        if reader.len() != sent.bytes || hash.digest128() != sent.hash() {
            return differs("its bytes are others".to_owned());
        }
        Ok(())
    }

    /// True where the object holds exactly these bytes.
    fn holds(&self, path: &Path, content: &[u8]) -> io::Result<bool> {
        let reader = self.reader(path.clone())?;
        if reader.len() != content.len() as u64 {
            return Ok(false);
        }
        let mut found = Vec::with_capacity(content.len());
        reader.take(content.len() as u64 + 1).read_to_end(&mut found)?;
        Ok(found == content)
    }
}

impl BackupTarget for ObjectTarget {
    fn put(&self, name: &str, content: &mut dyn Read, bytes: u64) -> io::Result<()> {
        let path = self.path(name)?;
        let sending = send(&*self.store, &self.asked, &path, content, bytes, &self.limits);
        let (sent, in_parts) = self.runtime.block_on(sending)?;
        self.check_stored(&path, &sent, in_parts)
    }

    fn put_new(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path(name)?;
        // Also for stores that do not know conditional writes, or do not heed them.
        match self.head(&path) {
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let payload = || PutPayload::from(content.to_vec());
        let created = self.store.put_opts(&path, payload(), PutMode::Create.into());
        match self.runtime.block_on(created) {
            Ok(_) => {}
            // A request that was sent again may have met what it had written the first time.
            Err(object_store::Error::AlreadyExists { .. }) => {
                return match self.holds(&path, content)? {
                    true => Ok(()),
                    false => Err(io::ErrorKind::AlreadyExists.into()),
                };
            }
            Err(error) if is_not_implemented(&error) => {
                let put = self.runtime.block_on(self.store.put(&path, payload()));
                put.map_err(|error| self.asked.told(error))?;
            }
            Err(error) => return Err(self.asked.told(error)),
        }
        let mut sent = Sent::default();
        sent.add(content);
        self.check_stored(&path, &sent, false)
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.reader(self.path(name)?)?))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<TargetObject>> {
        let path = self.path(folder)?;
        let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&path)));
        let listed = listed.map_err(|error| self.asked.told(error))?;
        let mut objects: Vec<TargetObject> = listed
            .objects
            .iter()
            .filter_map(|found| {
                let name = found.location.filename()?;
                Some(TargetObject { name: format!("{folder}/{name}"), bytes: found.size })
            })
            .collect();
        objects.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        Ok(objects)
    }

    fn place(&self, name: &str) -> String {
        self.address.place(name)
    }
}
