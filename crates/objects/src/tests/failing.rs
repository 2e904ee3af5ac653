//! A store in memory with one fault.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    None,
    /// The part of this number, from 0.
    Part(usize),
    /// The end of an upload.
    Complete,
    /// A byte of what is stored is another.
    FlipsStored,
    /// What is stored lacks its last byte.
    CutsStored,
    /// Conditional writes are refused.
    NoConditions,
    /// A conditional write is done, and done again.
    CreatesTwice,
}

#[derive(Debug)]
pub(super) struct Failing {
    inner: InMemory,
    failure: Failure,
    /// The next look at an object says that it is not there.
    pub(super) hides: AtomicBool,
    in_flight: Arc<AtomicUsize>,
    pub(super) most_in_flight: Arc<AtomicUsize>,
    pub(super) given_up: Arc<AtomicUsize>,
}

impl Failing {
    pub(super) fn new(failure: Failure) -> Arc<Self> {
        Arc::new(Self {
            inner: InMemory::new(),
            failure,
            hides: AtomicBool::new(false),
            in_flight: Arc::default(),
            most_in_flight: Arc::default(),
            given_up: Arc::default(),
        })
    }

    fn spoiled(&self, payload: PutPayload) -> PutPayload {
        spoil(self.failure, payload)
    }
}

fn spoil(failure: Failure, payload: PutPayload) -> PutPayload {
    let mut bytes = payload.iter().flat_map(|part| part.to_vec()).collect::<Vec<u8>>();
    match failure {
        Failure::FlipsStored => bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1),
        Failure::CutsStored => drop(bytes.pop()),
        _ => {}
    }
    PutPayload::from_bytes(Bytes::from(bytes))
}

fn failed() -> Error {
    Error::Generic { store: "memory", source: "as the scenario wants".into() }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Lets a part take its time, so that others are in flight beside it.
async fn linger() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[async_trait::async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if options.mode == PutMode::Create {
            match self.failure {
                Failure::NoConditions => {
                    let operation = "a conditional write".to_owned();
                    return Err(Error::NotImplemented { operation, implementer: self.to_string() });
                }
                Failure::CreatesTwice => {
                    self.inner.put(location, payload.clone()).await?;
                }
                _ => {}
            }
        }
        self.inner.put_opts(location, self.spoiled(payload), options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(FailingUpload {
            inner: self.inner.put_multipart_opts(location, options).await?,
            failure: self.failure,
            parts: 0,
            in_flight: Arc::clone(&self.in_flight),
            most_in_flight: Arc::clone(&self.most_in_flight),
            given_up: Arc::clone(&self.given_up),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.inner.get_opts(location, options).await?;
        if self.hides.swap(false, Ordering::SeqCst) {
            let path = location.to_string();
            return Err(Error::NotFound { path, source: "as the scenario wants".into() });
        }
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FailingUpload {
    inner: Box<dyn MultipartUpload>,
    failure: Failure,
    parts: usize,
    in_flight: Arc<AtomicUsize>,
    most_in_flight: Arc<AtomicUsize>,
    given_up: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl MultipartUpload for FailingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let number = self.parts;
        self.parts += 1;
        let sent = self.inner.put_part(spoil(self.failure, data));
        let (fails, in_flight, most) = (
            self.failure == Failure::Part(number),
            Arc::clone(&self.in_flight),
            Arc::clone(&self.most_in_flight),
        );
        let part: BoxFuture<'static, Result<()>> = Box::pin(async move {
            most.fetch_max(in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            linger().await;
            let outcome = if fails { Err(failed()) } else { sent.await };
            in_flight.fetch_sub(1, Ordering::SeqCst);
            outcome
        });
        part
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.failure == Failure::Complete {
            return Err(failed());
        }
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.given_up.fetch_add(1, Ordering::SeqCst);
        self.inner.abort().await
    }
}
