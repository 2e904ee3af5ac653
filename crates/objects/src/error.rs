//! Why an object store could not do something, in words that say what to do.

use std::error::Error;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

const DETAIL_CHARS_MAX: usize = 300;

/// Why an address cannot be used, or what a store refused. Names no key and no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Not the address of a bucket.
    #[error("{url}: {reason}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An endpoint without a scheme.
    #[error("AWS_ENDPOINT_URL is {endpoint:?}: expected a URL that begins with https:// or http://")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// One half of a pair of keys.
    #[error("{missing} is not set; set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")]
    HalfAKey {
        /// The variable that is missing.
        missing: &'static str,
    },
    /// Another setting.
    #[error("the settings of the object store: {reason}; see the AWS_ variables of the environment")]
    Settings {
        /// What the library said.
        reason: String,
    },
    /// There are no credentials.
    #[error("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({detail})")]
    NoCredentials {
        /// What was tried last.
        detail: String,
    },
    /// There is no such bucket.
    #[error(
        "the bucket {bucket} does not exist at {endpoint}; make it, or check its name and AWS_ENDPOINT_URL"
    )]
    NoBucket {
        /// The bucket.
        bucket: String,
        /// Where.
        endpoint: String,
    },
    /// The bucket is somewhere else.
    #[error("{endpoint} has the bucket {bucket} in another region; set AWS_REGION to it")]
    Region {
        /// The bucket.
        bucket: String,
        /// Where.
        endpoint: String,
    },
    /// The keys are not right.
    #[error("{endpoint} does not accept the keys ({code}); check {check}")]
    Keys {
        /// Where.
        endpoint: String,
        /// What the store said.
        code: String,
        /// What may be wrong.
        check: &'static str,
    },
    /// The keys are right, but not allowed to do this.
    #[error(
        "{endpoint} refuses access; the owner of the keys must be allowed to list, read and write in the bucket {bucket} \
         (s3:ListBucket, s3:GetObject, s3:PutObject, s3:AbortMultipartUpload)"
    )]
    Refused {
        /// Where.
        endpoint: String,
        /// The bucket.
        bucket: String,
    },
    /// Nobody answers.
    #[error("cannot reach {endpoint}: {detail}; check AWS_ENDPOINT_URL and the network, then try again")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What the network said.
        detail: String,
    },
    /// It took too long, with all retries.
    #[error("{endpoint} did not answer in time: {detail}; try again")]
    Timeout {
        /// Where.
        endpoint: String,
        /// What took too long.
        detail: String,
    },
    /// The store holds something else than was sent.
    #[error(
        "what the store holds is not what was sent ({detail}); make the backup again, and check the store"
    )]
    Differs {
        /// How it differs.
        detail: String,
    },
    /// The object is replaced while it is read.
    #[error("the object was replaced while it was read; try again")]
    Replaced,
    /// Anything else.
    #[error("{endpoint}: {detail}")]
    Other {
        /// Where.
        endpoint: String,
        /// What the store said.
        detail: String,
    },
}

/// Who is asked, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) bucket: String,
    pub(crate) endpoint: String,
}

impl Asked {
    /// The error of the library as one for people. `NotFound` and `AlreadyExists` are what callers can act on; whatever
    /// concerns the store as a whole is of no kind, so that nobody takes a missing bucket for a missing object.
    pub(crate) fn told(&self, error: object_store::Error) -> io::Error {
        use object_store::Error as Said;
        let text = chain(&error);
        let code = between(&text, "<Code>", "</Code>").unwrap_or_default();
        let explained = self.explain(&error, code, &text);
        match (explained, error) {
            (Some(explained), _) => io::Error::other(explained),
            (None, Said::NotFound { .. }) => {
                io::Error::new(io::ErrorKind::NotFound, "there is no such object")
            }
            (None, Said::AlreadyExists { .. }) => io::ErrorKind::AlreadyExists.into(),
            (None, Said::Precondition { .. }) => io::Error::other(TargetError::Replaced),
            (None, _) => {
                let detail = between(&text, "<Message>", "</Message>")
                    .map_or_else(|| shortened(&text), |message| shortened(&format!("{code}: {message}")));
                io::Error::other(TargetError::Other { endpoint: self.endpoint.clone(), detail })
            }
        }
    }

    fn explain(&self, error: &object_store::Error, code: &str, text: &str) -> Option<TargetError> {
        use object_store::Error as Said;
        let (bucket, endpoint) = (self.bucket.clone(), self.endpoint.clone());
        let keys =
            |check| Some(TargetError::Keys { endpoint: endpoint.clone(), code: shortened(code), check });
        match code {
            "NoSuchBucket" => return Some(TargetError::NoBucket { bucket, endpoint }),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
                return Some(TargetError::Region { bucket, endpoint });
            }
            "InvalidAccessKeyId" => return keys("AWS_ACCESS_KEY_ID"),
            "SignatureDoesNotMatch" => return keys("AWS_SECRET_ACCESS_KEY"),
            "ExpiredToken" | "InvalidToken" => return keys("AWS_SESSION_TOKEN, which may have expired"),
            "RequestTimeTooSkewed" => return keys("the clock of this machine"),
            _ => {}
        }
        if text.contains("/latest/") || text.contains("169.254.") {
            return Some(TargetError::NoCredentials { detail: shortened(&deepest(error)) });
        }
        if text.contains("without LOCATION") {
            return Some(TargetError::Region { bucket, endpoint });
        }
        if let Some(http) = http_error(error) {
            let detail = shortened(&deepest(error));
            return Some(match http.kind() {
                HttpErrorKind::Timeout => TargetError::Timeout { endpoint, detail },
                _ => TargetError::Unreachable { endpoint, detail },
            });
        }
        match error {
            Said::PermissionDenied { .. } | Said::Unauthenticated { .. } => {
                Some(TargetError::Refused { endpoint, bucket })
            }
            _ => None,
        }
    }
}

/// True where the store says that it does not know conditional writes.
pub(crate) fn is_not_implemented(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. })
        || chain(error).contains("<Code>NotImplemented</Code>")
}

fn causes(error: &object_store::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let outermost: &(dyn Error + 'static) = error;
    std::iter::successors(Some(outermost), |error: &&(dyn Error + 'static)| (*error).source())
}

fn http_error(error: &object_store::Error) -> Option<&HttpError> {
    causes(error).find_map(|cause| cause.downcast_ref::<HttpError>())
}

/// Every cause, the outermost first.
fn chain(error: &object_store::Error) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn deepest(error: &object_store::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(DETAIL_CHARS_MAX).collect()
}
