//! Where servers are: `grpc://HOST:PORT`, or with TLS `grpcs://HOST:PORT[,HOST:PORT…]`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The port of gRPC where an address names none.
const DEFAULT_PORT: u16 = 7700;

/// One server.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A text that says no address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{text:?} is not an address of servers: {reason}; expected grpc://HOST:PORT or grpcs://HOST:PORT[,HOST:PORT…]"
)]
pub struct AddressError {
    text: String,
    reason: &'static str,
}

impl Address {
    /// True where no network lies before it.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost",
        }
    }
}

/// Takes a URL apart; true where it asks for TLS.
pub(crate) fn parse_url(url: &str) -> Result<(bool, Vec<Address>), AddressError> {
    let fail = |reason| AddressError { text: url.to_owned(), reason };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| fail("it has no scheme"))?;
    let tls = match scheme {
        "grpc" => false,
        "grpcs" => true,
        _ => return Err(fail("its scheme is not known")),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@']) {
        return Err(fail("there is more in it than hosts and ports"));
    }
    let addresses = rest.split(',').map(str::parse).collect::<Result<Vec<Address>, _>>();
    Ok((tls, addresses.map_err(|error| fail(error.reason))?))
}

impl FromStr for Address {
    type Err = AddressError;

    /// `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = |reason| AddressError { text: text.to_owned(), reason };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) =
                    rest.split_once(']').ok_or_else(|| fail("an IPv6 address is not closed"))?;
                (host, port.strip_prefix(':'))
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(fail("a host is missing"));
        }
        let port =
            port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| fail("a port is not a number")))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_servers_and_whether_there_is_tls() {
        let (tls, addresses) = parse_url("grpcs://a.example:1,[::1]:2,c").unwrap();
        assert!(tls);
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["a.example:1", "[::1]:2", "c:7700"]);
        assert!(!parse_url("grpc://127.0.0.1:7700/").unwrap().0);
    }

    #[test]
    fn what_is_no_url_is_refused_with_its_text() {
        for url in
            ["", "a:1", "http://a:1", "grpc://", "grpc://a:x", "grpc://a:1/b", "grpc://[::1", "grpc://u@a:1"]
        {
            let error = parse_url(url).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{url:?}")), "{error}");
        }
    }
}
