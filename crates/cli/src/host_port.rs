//! Where a node is, as other nodes and clients are told. Nothing is looked up: the name may mean something only to them.

use tapebook_client::Address;

/// Takes `HOST:PORT` or `[IPV6]:PORT` as it is.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let plain = |address: &Address| {
        // As it would be written again: with its port, and brackets where they are needed.
        address.port > 0 && !address.host.contains(['/', '@', ',', '=']) && address.to_string() == text
    };
    let address = text.parse().ok().filter(plain);
    address
        .map(|_| text.to_owned())
        .ok_or_else(|| "expected HOST:PORT, such as node-1.example:7700".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_taken_as_they_are() {
        for text in ["a.example:7700", "10.0.0.1:1", "[::1]:7700", "localhost:65535"] {
            assert_eq!(parse(text), Ok(text.to_owned()));
        }
        for text in [
            "",
            "a",
            "a:",
            ":1",
            "a:0",
            "a:65536",
            "a:x",
            "::1:7700",
            "grpc://a:1",
            "a:1,b:2",
            "1=a:1",
            "a b:1",
        ] {
            assert!(parse(text).unwrap_err().contains("expected HOST:PORT"), "{text}");
        }
    }
}
