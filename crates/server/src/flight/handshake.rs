//! Users and passwords, for clients that know nothing else: the password is a token.
//!
//! Who calls is settled before a call gets here, from the same header. The answer repeats the token in the form in which
//! clients send it from then on.

use arrow_flight::HandshakeResponse;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};

use super::status;

const AUTHORIZATION: &str = "authorization";

/// The answer to a handshake of somebody who is known.
pub(super) fn answer(
    metadata: &MetadataMap,
) -> Result<Response<BoxStream<'static, Result<HandshakeResponse, Status>>>, Status> {
    let mut response = Response::new(stream::iter([Ok(HandshakeResponse::default())]).boxed());
    if let Some(header) = metadata.get(AUTHORIZATION) {
        let header = header.to_str().map_err(|error| status::malformed("authorization", error))?;
        let bearer = bearer(header).and_then(|bearer| bearer.parse().ok());
        let bearer = bearer.ok_or_else(|| {
            status::malformed(
                "authorization",
                "it is neither `Bearer TOKEN` nor `Basic` with the token as password",
            )
        })?;
        response.metadata_mut().insert(AUTHORIZATION, bearer);
    }
    Ok(response)
}

/// The header that says the same with a token.
fn bearer(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(format!("Bearer {}", rest.trim()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (_user, password) = decoded.split_once(':')?;
    Some(format!("Bearer {password}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_comes_back_as_a_token() {
        assert_eq!(bearer("Basic YW55Ym9keTpzZWM6cmV0").as_deref(), Some("Bearer sec:ret"));
        assert_eq!(bearer("bearer abc").as_deref(), Some("Bearer abc"));
        for wrong in ["Basic", "Basic !!", "Basic YW55Ym9keQ==", "Negotiate YW55Ym9keTpzZWM6cmV0", ""] {
            assert_eq!(bearer(wrong), None, "{wrong:?}");
        }
    }
}
