//! Sending an object: in one request, or in parts of which a few are in flight. An object appears when its last part is
//! there and the upload is completed; one that was cut off is none.

use std::io::{self, Read};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::task::JoinSet;

use crate::Limits;
use crate::error::Asked;
use crate::stored::Sent;

/// Sends all that `content` has, which must be `bytes` bytes. True where it went in parts.
pub(crate) async fn send(
    store: &dyn ObjectStore,
    asked: &Asked,
    path: &Path,
    content: &mut dyn Read,
    bytes: u64,
    limits: &Limits,
) -> io::Result<(Sent, bool)> {
    let part_bytes = limits.part_bytes_of(bytes);
    let mut parts = Parts { content, left: bytes, part_bytes, sent: Sent::default() };
    if bytes <= part_bytes {
        let part = parts.next()?.unwrap_or_default();
        parts.must_have_ended()?;
        store.put(path, PutPayload::from_bytes(part)).await.map_err(|error| asked.told(error))?;
        return Ok((parts.sent, false));
    }
    let mut upload = store.put_multipart(path).await.map_err(|error| asked.told(error))?;
    let mut sent = send_parts(&mut *upload, asked, &mut parts, limits.parts_in_flight).await;
    if sent.is_ok() {
        sent = upload.complete().await.map(|_| ()).map_err(|error| asked.told(error));
    }
    if let Err(error) = sent {
        // Parts that stay cost room, but are no object. Why the upload failed is what matters.
        let _ = tokio::time::timeout(limits.connect_timeout, upload.abort()).await;
        return Err(error);
    }
    Ok((parts.sent, true))
}

async fn send_parts(
    upload: &mut dyn MultipartUpload,
    asked: &Asked,
    parts: &mut Parts<'_>,
    in_flight: usize,
) -> io::Result<()> {
    // Parts that are in flight end with the set.
    let mut flying = JoinSet::new();
    let told = |landed: Result<object_store::Result<()>, tokio::task::JoinError>| match landed {
        Ok(outcome) => outcome.map_err(|error| asked.told(error)),
        Err(error) => Err(io::Error::other(error)),
    };
    while let Some(part) = parts.next()? {
        while flying.len() >= in_flight.max(1) {
            let Some(landed) = flying.join_next().await else { break };
            told(landed)?;
        }
        flying.spawn(upload.put_part(PutPayload::from_bytes(part)));
    }
    parts.must_have_ended()?;
    while let Some(landed) = flying.join_next().await {
        told(landed)?;
    }
    Ok(())
}

/// The content, part by part.
struct Parts<'a> {
    content: &'a mut dyn Read,
    left: u64,
    part_bytes: u64,
    sent: Sent,
}

impl Parts<'_> {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let length = self.left.min(self.part_bytes);
        let mut part = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.content.read_exact(&mut part).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(io::ErrorKind::InvalidData, "it ended before the length that was announced")
            }
            _ => error,
        })?;
        self.left -= length;
        self.sent.add(&part);
        Ok(Some(part.into()))
    }

    fn must_have_ended(&mut self) -> io::Result<()> {
        match self.content.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than was announced")),
            Err(error) => Err(error),
        }
    }
}
