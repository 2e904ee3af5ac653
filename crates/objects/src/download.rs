//! Reading an object in ranges, a few ahead of the reader. Each range is a request of its own, bounded in time and sent
//! again where that may help, so that a large object does not depend on one connection.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::Limits;
use crate::error::Asked;

/// Reads one object from its beginning. Every range is of the same version of it.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    store: Arc<dyn ObjectStore>,
    asked: Asked,
    path: Path,
    runtime: Handle,
    limits: Limits,
    bytes: u64,
    tag: Option<String>,
    asked_for: u64,
    coming: VecDeque<JoinHandle<object_store::Result<Bytes>>>,
    here: Bytes,
}

impl ObjectReader {
    pub(crate) fn open(
        store: &Arc<dyn ObjectStore>,
        asked: &Asked,
        path: Path,
        runtime: &Handle,
        limits: &Limits,
    ) -> io::Result<Self> {
        let found = runtime.block_on(store.head(&path)).map_err(|error| asked.told(error))?;
        Ok(Self {
            store: Arc::clone(store),
            asked: asked.clone(),
            path,
            runtime: runtime.clone(),
            limits: *limits,
            bytes: found.size,
            tag: found.e_tag,
            asked_for: 0,
            coming: VecDeque::new(),
            here: Bytes::new(),
        })
    }

    /// The object's length.
    pub(crate) fn len(&self) -> u64 {
        self.bytes
    }

    fn ask_ahead(&mut self) {
        while self.coming.len() < self.limits.parts_in_flight.max(1) && self.asked_for < self.bytes {
            let end = self.bytes.min(self.asked_for + self.limits.part_bytes.max(1));
            let request =
                fetch(Arc::clone(&self.store), self.path.clone(), self.asked_for..end, self.tag.clone());
            self.coming.push_back(self.runtime.spawn(request));
            self.asked_for = end;
        }
    }
}

async fn fetch(
    store: Arc<dyn ObjectStore>,
    path: Path,
    range: Range<u64>,
    tag: Option<String>,
) -> object_store::Result<Bytes> {
    let mut options = GetOptions::new().with_range(Some(range));
    options.if_match = tag;
    store.get_opts(&path, options).await?.bytes().await
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.here.is_empty() {
            self.ask_ahead();
            let Some(next) = self.coming.pop_front() else { return Ok(0) };
            let arrived = self.runtime.block_on(next).map_err(io::Error::other)?;
            self.here = arrived.map_err(|error| self.asked.told(error))?;
            if self.here.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the store sent nothing of a range",
                ));
            }
            self.ask_ahead();
        }
        let read = buffer.len().min(self.here.len());
        self.here.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        self.coming.iter().for_each(JoinHandle::abort);
    }
}
