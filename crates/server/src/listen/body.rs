//! Watches the body of a gRPC call: how long its messages say they are, whether they go on coming, and whether the server ends.
//!
//! A message is one byte of flags, its length as four bytes, big endian, and so many bytes. Nothing is copied or changed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tapebook_proto::v1::{Refusal, RefusalReason};
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;

use crate::Lifecycle;

const HEAD_BYTES: usize = 5;

/// The body of one call.
pub(super) struct CallBody<B = Incoming> {
    inner: B,
    messages: Messages,
    /// True where the call has one message, which must come.
    is_unary: bool,
    stall_max: Duration,
    /// Runs while something is waited for.
    patience: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    /// How far the server is, for a call that would go on for ever.
    end: Option<End>,
}

/// The end of the server, as a body waits for it.
struct End {
    lifecycle: Arc<Lifecycle>,
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<B> CallBody<B> {
    pub(super) fn new(inner: B, is_unary: bool, message_bytes_max: usize, stall_max: Duration) -> Self {
        let messages = Messages { bytes_max: message_bytes_max, ..Messages::default() };
        Self { inner, messages, is_unary, stall_max, patience: None, is_waiting: false, end: None }
    }

    /// The same, ended with `CLOSING` when the server ends: what was read until then is still answered.
    pub(super) fn until_closing(self, lifecycle: &Arc<Lifecycle>) -> Self {
        let (lifecycle, waiting) = (Arc::clone(lifecycle), Arc::clone(lifecycle));
        let closing = Box::pin(async move { waiting.closing().await });
        Self { end: Some(End { lifecycle, closing }), ..self }
    }

    /// True where the server ends. `context` is woken when that happens later.
    fn poll_closing(&mut self, context: &mut Context<'_>) -> bool {
        self.end.as_mut().is_some_and(|end| end.closing.as_mut().poll(context).is_ready())
    }

    fn is_closing(&self) -> bool {
        self.end.as_ref().is_some_and(|end| !end.lifecycle.is_serving())
    }

    /// Nothing has come yet. Ready where it has been waited for too long.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let must_come = self.messages.is_inside() || (self.is_unary && !self.messages.has_begun);
        if !must_come {
            return Poll::Pending;
        }
        let until = Instant::now() + self.stall_max;
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(self.stall_max)));
        if !self.is_waiting {
            patience.as_mut().reset(until);
            self.is_waiting = true;
        }
        patience.as_mut().poll(context)
    }
}

impl<B> Body for CallBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_closing() {
            return Poll::Ready(Some(Err(closing())));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) else {
            if self.poll_closing(context) {
                return Poll::Ready(Some(Err(closing())));
            }
            ready!(self.poll_patience(context));
            let waited = self.stall_max.as_millis();
            return Poll::Ready(Some(Err(Status::deadline_exceeded(format!(
                "the message did not come within {waited} ms (request_stall_max)"
            )))));
        };
        self.is_waiting = false;
        Poll::Ready(match frame {
            None => None,
            Some(Err(error)) => Some(Err(Status::from_error(error.into()))),
            Some(Ok(frame)) => match frame.data_ref().map_or(Ok(()), |data| self.messages.follow(data)) {
                Ok(()) => Some(Ok(frame)),
                Err(status) => Some(Err(status)),
            },
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn closing() -> Status {
    Refusal::new(RefusalReason::Closing, "the server ends; go on with another one, or with this one later")
        .to_status()
}

/// Where in its messages a body is.
#[derive(Debug, Default)]
struct Messages {
    bytes_max: usize,
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that have come.
    head_bytes: usize,
    /// Bytes of the message that have not.
    left: usize,
    has_begun: bool,
}

impl Messages {
    fn is_inside(&self) -> bool {
        self.head_bytes > 0 || self.left > 0
    }

    fn follow(&mut self, mut data: &[u8]) -> Result<(), Status> {
        self.has_begun |= !data.is_empty();
        while !data.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(data.len());
                self.left -= taken;
                data = &data[taken..];
                continue;
            }
            let taken = (HEAD_BYTES - self.head_bytes).min(data.len());
            self.head[self.head_bytes..self.head_bytes + taken].copy_from_slice(&data[..taken]);
            self.head_bytes += taken;
            data = &data[taken..];
            if self.head_bytes == HEAD_BYTES {
                let [_, length @ ..] = self.head;
                (self.head_bytes, self.left) = (0, u32::from_be_bytes(length) as usize);
                self.check_length()?;
            }
        }
        Ok(())
    }

    fn check_length(&self) -> Result<(), Status> {
        if self.left <= self.bytes_max {
            return Ok(());
        }
        Err(Status::resource_exhausted(format!(
            "a message of {} bytes; at most {} are taken (message_bytes_max)",
            self.left, self.bytes_max
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::BodyExt;

    use super::*;

    /// Frames, then silence.
    struct Frames(VecDeque<Vec<u8>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            match self.0.pop_front() {
                Some(data) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(data))))),
                None => Poll::Pending,
            }
        }
    }

    fn message(len: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&(len as u32).to_be_bytes());
        bytes.resize(HEAD_BYTES + len, 7);
        bytes
    }

    #[test]
    fn messages_are_followed_however_they_are_cut() {
        let bytes = [message(3), message(0), message(100)].concat();
        for piece in 1..bytes.len() {
            let mut messages = Messages { bytes_max: 100, ..Messages::default() };
            for data in bytes.chunks(piece) {
                messages.follow(data).unwrap();
            }
            assert!(!messages.is_inside(), "pieces of {piece}");
            let mut messages = Messages { bytes_max: 99, ..Messages::default() };
            let refused = bytes.chunks(piece).find_map(|data| messages.follow(data).err()).unwrap();
            assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        }
    }

    /// The first error of a body whose messages may stop for 10 ms, or none in much longer.
    async fn first_error(frames: Vec<Vec<u8>>, is_unary: bool) -> Option<Status> {
        let mut body = CallBody::new(Frames(frames.into()), is_unary, 1_000, Duration::from_millis(10));
        let reading = async {
            loop {
                match body.frame().await {
                    Some(Ok(_)) => {}
                    Some(Err(status)) => return status,
                    None => unreachable!("the frames never end"),
                }
            }
        };
        tokio::time::timeout(Duration::from_millis(300), reading).await.ok()
    }

    #[tokio::test]
    async fn a_message_that_stops_is_not_waited_for() {
        let half = message(50)[..20].to_vec();
        let stopped = first_error(vec![message(3), half], false).await.unwrap();
        assert_eq!(stopped.code(), tonic::Code::DeadlineExceeded);
        assert!(first_error(vec![vec![0, 0]], false).await.is_some());
        assert!(first_error(vec![], true).await.is_some());
    }

    #[tokio::test]
    async fn a_stream_is_told_that_the_server_ends() {
        for is_waiting in [true, false] {
            let lifecycle = Arc::new(Lifecycle::default());
            let body = CallBody::new(Frames(vec![message(3)].into()), false, 1_000, Duration::from_secs(60));
            let mut body = body.until_closing(&lifecycle);
            if is_waiting {
                assert!(body.frame().await.unwrap().is_ok());
            }
            let (told, ()) = tokio::join!(body.frame(), async {
                tokio::task::yield_now().await;
                lifecycle.enter(crate::Phase::Closing);
            });
            // What had come before the end is still read.
            let told = if is_waiting { told } else { body.frame().await };
            let refusal = Refusal::of_status(&told.unwrap().unwrap_err()).unwrap();
            assert_eq!(refusal.reason(), RefusalReason::Closing);
        }
    }

    #[tokio::test]
    async fn a_stream_may_be_silent_between_its_messages() {
        assert!(first_error(vec![], false).await.is_none());
        assert!(first_error(vec![message(3), message(7)], false).await.is_none());
        assert!(first_error(vec![message(3)], true).await.is_none());
    }
}
