//! How a refusal travels where there is no message for it: in the details of a gRPC status.
//!
//! The details are a `google.rpc.Status`, as every gRPC library expects them, that holds one `Refusal`.

use prost::Message;
use tonic::{Code, Status};

use crate::v1::{Refusal, RefusalReason};

/// What an `Any` that holds a [`Refusal`] says of itself.
const TYPE_URL: &str = "type.googleapis.com/tapebook.v1.Refusal";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// Bytes of a refusal's message. It goes into a header, and twice.
const MESSAGE_BYTES_MAX: usize = 2_000;

impl Refusal {
    /// A refusal that has no number to tell.
    pub fn new(reason: RefusalReason, message: impl ToString) -> Self {
        Self::with_value(reason, message, 0)
    }

    /// A refusal with the number that its reason promises.
    pub fn with_value(reason: RefusalReason, message: impl ToString, value: u64) -> Self {
        let mut message = message.to_string();
        if message.len() > MESSAGE_BYTES_MAX {
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
            message.push('…');
        }
        Self { reason: reason.into(), message, value, leader: String::new() }
    }

    /// Another node leads: at this address, where it is known.
    pub fn not_leader(message: impl ToString, leader: Option<&str>) -> Self {
        Self { leader: leader.unwrap_or_default().to_owned(), ..Self::new(RefusalReason::NotLeader, message) }
    }

    /// The status of a call that ends with this refusal.
    pub fn to_status(&self) -> Status {
        let code = code(self.reason());
        let any = Any { type_url: TYPE_URL.to_owned(), value: self.encode_to_vec() };
        let details = RpcStatus { code: code.into(), message: self.message.clone(), details: vec![any] };
        Status::with_details(code, self.message.clone(), details.encode_to_vec().into())
    }

    /// The refusal in the details of a status; `None` where the call ended for another cause.
    pub fn of_status(status: &Status) -> Option<Self> {
        let details = RpcStatus::decode(status.details()).ok()?;
        let any = details.details.iter().find(|any| any.type_url == TYPE_URL)?;
        Self::decode(&*any.value).ok()
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refusal.to_status()
    }
}

/// The gRPC code for programs that know nothing of our reasons.
fn code(reason: RefusalReason) -> Code {
    match reason {
        RefusalReason::Unspecified | RefusalReason::UnknownOutcome => Code::Unknown,
        RefusalReason::Invalid | RefusalReason::Future => Code::InvalidArgument,
        RefusalReason::Forbidden => Code::PermissionDenied,
        RefusalReason::ProducerGap
        | RefusalReason::ProducerFenced
        | RefusalReason::ProducerTooOld
        | RefusalReason::ProducerExpired
        | RefusalReason::Epoch => Code::FailedPrecondition,
        RefusalReason::TooLarge | RefusalReason::TooMany | RefusalReason::Storage => Code::ResourceExhausted,
        RefusalReason::Busy | RefusalReason::Closing | RefusalReason::NotLeader | RefusalReason::Stale => {
            Code::Unavailable
        }
        RefusalReason::JournalGone => Code::OutOfRange,
        RefusalReason::TooSlow => Code::Aborted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_comes_back_out_of_a_status() {
        let refusal = Refusal::with_value(RefusalReason::JournalGone, "gone", 17);
        let status = refusal.to_status();
        assert_eq!(status.code(), Code::OutOfRange);
        assert_eq!(status.message(), "gone");
        assert_eq!(Refusal::of_status(&status), Some(refusal));
    }

    #[test]
    fn what_is_quoted_at_length_is_cut_off() {
        let refusal = Refusal::new(RefusalReason::Invalid, "é".repeat(5_000));
        assert_eq!(refusal.message, format!("{}…", "é".repeat(1_000)));
    }

    #[test]
    fn a_status_without_details_or_with_other_ones_holds_no_refusal() {
        assert_eq!(Refusal::of_status(&Status::internal("x")), None);
        let odd = Status::with_details(Code::Internal, "x", bytes::Bytes::from_static(b"\xff\xff\xff"));
        assert_eq!(Refusal::of_status(&odd), None);
    }
}
