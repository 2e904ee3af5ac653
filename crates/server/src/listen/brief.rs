//! Keeps what a status says within what every client takes as a header: a longer one would end the client's connection.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::BodyExt;

/// Bytes of a status's message, as it is encoded in its header. Clients take 8 to 16 KiB of headers.
const MESSAGE_BYTES_MAX: usize = 4 << 10;
const MESSAGE: &str = "grpc-message";
/// An ellipsis, encoded.
const CUT: &str = "%E2%80%A6";

/// The response with a message that is not too long, wherever it stands.
pub(super) fn briefly(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    shorten(&mut parts.headers);
    let body = body.map_frame(|frame| match frame.into_trailers() {
        Ok(mut trailers) => {
            shorten(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    });
    Response::from_parts(parts, Body::new(body))
}

fn shorten(headers: &mut HeaderMap) {
    let Some(message) = headers.get(MESSAGE).filter(|message| message.len() > MESSAGE_BYTES_MAX) else {
        return;
    };
    let message = message.to_str().unwrap_or_default();
    let text = format!("{}{CUT}", &message[..last_begin(message.as_bytes(), MESSAGE_BYTES_MAX)]);
    if let Ok(text) = HeaderValue::try_from(text) {
        headers.insert(MESSAGE, text);
    }
}

/// Where the last character begins that begins before `end`. A byte that is no plain one stands as `%` and two digits.
fn last_begin(encoded: &[u8], end: usize) -> usize {
    let mut begin = 0;
    let mut at = 0;
    while at < end.min(encoded.len()) {
        let is_escaped = encoded[at] == b'%';
        // `%8` to `%B`: a byte inside a character.
        let is_inside = is_escaped && encoded.get(at + 1).is_some_and(|digit| b"89abAB".contains(digit));
        if !is_inside {
            begin = at;
        }
        at += if is_escaped { 3 } else { 1 };
    }
    begin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortened(message: &str) -> String {
        let mut headers = tonic::Status::internal(message).into_http::<Body>().into_parts().0.headers;
        shorten(&mut headers);
        let status = tonic::Status::from_header_map(&headers).unwrap();
        assert!(headers[MESSAGE].len() <= MESSAGE_BYTES_MAX + CUT.len());
        status.message().to_owned()
    }

    #[test]
    fn a_short_message_stays_as_it_is() {
        assert_eq!(shortened("a b % é"), "a b % é");
    }

    #[test]
    fn a_long_one_is_cut_between_two_characters() {
        for (character, shift) in [("x", 0), ("é", 1), ("漢", 2), ("🙂", 3), (" ", 1)] {
            let text = format!("{}{}", "-".repeat(shift), character.repeat(20_000));
            let brief = shortened(&text);
            let kept = brief.strip_suffix('…').unwrap();
            assert!(text.starts_with(kept) && kept.len() > 300, "{character}: {}", kept.len());
        }
    }
}
