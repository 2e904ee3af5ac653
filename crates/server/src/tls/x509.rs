//! The parts of a certificate and of a revocation list that we want to know (RFC 5280).
//!
//! *Boundary*: nothing is proven here. Whether a signature, a time or a purpose is right is decided by rustls, before a
//! certificate that came over the network gets here.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::der::{BOOLEAN, Der, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET};

const COMMON_NAME: [u8; 3] = [0x55, 4, 3];
const ALTERNATIVE_NAME: [u8; 3] = [0x55, 0x1d, 17];
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 19];
const LIST_NUMBER: [u8; 3] = [0x55, 0x1d, 20];

const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

const VERSION: u8 = 0xa0;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
const CERTIFICATE_EXTENSIONS: u8 = 0xa3;
const LIST_EXTENSIONS: u8 = 0xa0;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;

/// A certificate.
#[derive(Clone, Debug)]
pub(super) struct Certificate<'a> {
    pub serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    /// Seconds since the epoch.
    pub not_before: i64,
    /// The last second of its time.
    pub not_after: i64,
    pub is_authority: bool,
    pub alternatives: Vec<AlternativeName<'a>>,
}

/// One of the other names of a subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AlternativeName<'a> {
    Dns(&'a str),
    Uri(&'a str),
    Address(&'a [u8]),
    /// One that is nothing to us.
    Other,
}

/// What a CA has revoked.
#[derive(Clone, Debug)]
pub(super) struct RevocationList<'a> {
    /// 0 where it has none.
    pub number: u64,
    pub serials: Vec<&'a [u8]>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER; `None` where it is none.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut fields = Der::new(der).sequence()?.sequence()?;
        fields.take_if(VERSION);
        let serial = fields.take(INTEGER)?;
        fields.sequence()?;
        let issuer = fields.take(SEQUENCE)?;
        let mut validity = fields.sequence()?;
        let subject = fields.take(SEQUENCE)?;
        fields.sequence()?;
        fields.take_if(ISSUER_ID);
        fields.take_if(SUBJECT_ID);
        let mut certificate = Self {
            serial,
            issuer,
            subject,
            not_before: seconds(validity.next()?)?,
            not_after: seconds(validity.next()?)?,
            is_authority: false,
            alternatives: Vec::new(),
        };
        if let Some(extensions) = fields.take_if(CERTIFICATE_EXTENSIONS) {
            certificate.read_extensions(extensions)?;
        }
        Some(certificate)
    }

    /// The common names of the subject; there should be one.
    pub(super) fn common_names(&self) -> Vec<&'a str> {
        common_names(self.subject).unwrap_or_default()
    }

    /// The common names of the issuer.
    pub(super) fn issuer_names(&self) -> Vec<&'a str> {
        common_names(self.issuer).unwrap_or_default()
    }

    fn read_extensions(&mut self, extensions: &'a [u8]) -> Option<()> {
        let mut has_alternatives = false;
        for_each_extension(extensions, |id, value| {
            if id == ALTERNATIVE_NAME {
                // Two of them could say different things to different readers.
                if std::mem::replace(&mut has_alternatives, true) {
                    return None;
                }
                self.alternatives = alternative_names(value)?;
            } else if id == BASIC_CONSTRAINTS {
                self.is_authority = Der::new(value).sequence()?.take_if(BOOLEAN) == Some(&[0xff]);
            }
            Some(())
        })
    }
}

impl<'a> RevocationList<'a> {
    /// Reads a list in DER; `None` where it is none.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut fields = Der::new(der).sequence()?.sequence()?;
        fields.take_if(INTEGER);
        fields.sequence()?;
        fields.sequence()?;
        seconds(fields.next()?)?;
        let is_time = |tag| tag == UTC_TIME || tag == GENERALIZED_TIME;
        let mut behind = fields;
        if behind.next().is_some_and(|(tag, _)| is_time(tag)) {
            fields = behind;
        }
        let mut list = Self { number: 0, serials: Vec::new() };
        if let Some(entries) = fields.take_if(SEQUENCE) {
            let mut entries = Der::new(entries);
            while !entries.is_empty() {
                list.serials.push(entries.sequence()?.take(INTEGER)?);
            }
        }
        if let Some(extensions) = fields.take_if(LIST_EXTENSIONS) {
            for_each_extension(extensions, |id, value| {
                if id == LIST_NUMBER {
                    list.number = number(Der::new(value).take(INTEGER)?)?;
                }
                Some(())
            })?;
        }
        Some(list)
    }
}

/// Calls `see` with the id and the value of each extension; `None` where they cannot be read or it says so.
fn for_each_extension<'a>(
    extensions: &'a [u8],
    mut see: impl FnMut(&'a [u8], &'a [u8]) -> Option<()>,
) -> Option<()> {
    let mut all = Der::new(extensions).sequence()?;
    while !all.is_empty() {
        let mut extension = all.sequence()?;
        let id = extension.take(OBJECT_IDENTIFIER)?;
        extension.take_if(BOOLEAN);
        see(id, extension.take(OCTET_STRING)?)?;
    }
    Some(())
}

fn common_names(name: &[u8]) -> Option<Vec<&str>> {
    let (mut names, mut parts) = (Vec::new(), Der::new(name));
    while !parts.is_empty() {
        let mut attributes = Der::new(parts.take(SET)?);
        while !attributes.is_empty() {
            let mut attribute = attributes.sequence()?;
            let id = attribute.take(OBJECT_IDENTIFIER)?;
            let (tag, value) = attribute.next()?;
            if id == COMMON_NAME {
                let is_text = [UTF8_STRING, PRINTABLE_STRING, IA5_STRING].contains(&tag);
                names.push(std::str::from_utf8(value).ok().filter(|_| is_text)?);
            }
        }
    }
    Some(names)
}

fn alternative_names(value: &[u8]) -> Option<Vec<AlternativeName<'_>>> {
    let (mut names, mut all) = (Vec::new(), Der::new(value).sequence()?);
    while !all.is_empty() {
        let (tag, content) = all.next()?;
        let text = || std::str::from_utf8(content).ok();
        names.push(match tag {
            DNS_NAME => AlternativeName::Dns(text()?),
            URI => AlternativeName::Uri(text()?),
            IP_ADDRESS => AlternativeName::Address(content),
            _ => AlternativeName::Other,
        });
    }
    Some(names)
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` as seconds since the epoch.
fn seconds((tag, content): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let is_plain = text.bytes().all(|c| c.is_ascii_digit());
    let (year, rest) = match (tag, text.len()) {
        (UTC_TIME, 12) if is_plain => {
            let year: i16 = text[..2].parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
        }
        (GENERALIZED_TIME, 14) if is_plain => (text[..4].parse().ok()?, &text[4..]),
        _ => return None,
    };
    let part = |place: usize| rest[2 * place..2 * place + 2].parse::<i8>().ok();
    let time = DateTime::new(year, part(0)?, part(1)?, part(2)?, part(3)?, part(4)?, 0).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// A number that is not negative.
fn number(bytes: &[u8]) -> Option<u64> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let digits = bytes.get(start..).filter(|digits| digits.len() <= 8)?;
    Some(digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

    use super::super::{Authority, Subject};
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn certificate() -> CertificateDer<'static> {
        let (authority, _) = Authority::create(NOW, 10).unwrap();
        let hosts = vec!["db.example".to_owned(), "10.0.0.7".to_owned()];
        let issued = authority.issue(&Subject::Node { id: 3, hosts }, NOW, 2).unwrap();
        CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()
    }

    #[test]
    fn a_certificate_is_read() {
        let der = certificate();
        let read = Certificate::read(&der).unwrap();
        assert_eq!(read.common_names(), ["node-3"]);
        assert!(read.issuer_names()[0].starts_with("Tapebook CA "));
        assert_eq!((read.not_before, read.not_after), (NOW - 3_600, NOW + 2 * 86_400));
        assert!(!read.is_authority && !read.serial.is_empty());
        use AlternativeName::{Address, Dns, Uri};
        let names = [Dns("db.example"), Address(&[10, 0, 0, 7]), Uri("tapebook:role:node")];
        assert_eq!(read.alternatives, names);
    }

    #[test]
    fn a_list_is_read() {
        let (authority, files) = Authority::create(NOW, 10).unwrap();
        let ca = CertificateDer::from_pem_slice(files.certificate.as_bytes()).unwrap();
        assert!(Certificate::read(&ca).unwrap().is_authority);
        for serials in [vec![], vec![vec![1], vec![2, 3]]] {
            let pem = authority.revoke(None, &serials, NOW, 10).unwrap();
            let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap();
            let list = RevocationList::read(&der).unwrap();
            assert_eq!((list.number, list.serials), (1, serials.iter().map(Vec::as_slice).collect()));
        }
    }

    #[test]
    fn whatever_is_damaged_is_read_without_a_panic() {
        let der = certificate().to_vec();
        for at in 0..der.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = der.clone();
                damaged[at] ^= change;
                if let Some(read) = Certificate::read(&damaged) {
                    let _ = (read.common_names(), read.issuer_names());
                }
                let _ = RevocationList::read(&damaged);
            }
            assert!(Certificate::read(&der[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn times_are_of_two_kinds() {
        assert_eq!(seconds((UTC_TIME, b"491231235959Z")), Some(2_524_607_999));
        assert_eq!(seconds((UTC_TIME, b"700101000000Z")), Some(0));
        assert_eq!(seconds((GENERALIZED_TIME, b"20240809000000Z")), Some(1_723_161_600));
        for (tag, text) in [
            (UTC_TIME, "20240809000000Z"),
            (UTC_TIME, "241332000000Z"),
            (UTC_TIME, "2408090000Z"),
            (GENERALIZED_TIME, "20240809000000"),
            (GENERALIZED_TIME, "+0240809000000Z"),
            (INTEGER, "240809000000Z"),
        ] {
            assert_eq!(seconds((tag, text.as_bytes())), None, "{text}");
        }
    }
}
