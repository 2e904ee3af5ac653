//! A store out of its address and the environment.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::{Limits, TargetError};

/// What is read from the environment. Nothing that would send keys or data unprotected, or accept any certificate.
const VARIABLES: [&str; 21] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_SSE_KMS_KEY_ID",
    "AWS_SSE_BUCKET_KEY_ENABLED",
    "AWS_CHECKSUM_ALGORITHM",
    "AWS_REQUEST_PAYER",
];

/// Where the objects lie: `s3://BUCKET[/PREFIX]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Address {
    pub(crate) bucket: String,
    /// Empty, or names with `/` between them.
    pub(crate) prefix: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, TargetError> {
        let wrong = |reason: String| TargetError::Address { url: url.to_owned(), reason };
        let Some(rest) = url.strip_prefix("s3://") else {
            let scheme = url.split_once("://").map_or(url, |(scheme, _)| scheme);
            return Err(wrong(format!(
                "{scheme} is no object store that this program knows; it knows s3://BUCKET/PREFIX, also with the \
                 AWS_ENDPOINT_URL of another store that speaks S3"
            )));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if bucket.len() < 3 || !bucket.chars().all(plain) {
            return Err(wrong("expected s3://BUCKET/PREFIX with the name of a bucket".to_owned()));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let part_is_plain =
            |part: &str| !part.is_empty() && part.chars().all(|c| plain(c) || "=+@, ".contains(c));
        if !prefix.is_empty() && (!prefix.split('/').all(part_is_plain) || Path::parse(prefix).is_err()) {
            return Err(wrong(
                "the prefix may have letters, digits, and - . _ = + @ between single slashes".to_owned(),
            ));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The URL of an object, of the prefix where `name` is empty.
    pub(crate) fn place(&self, name: &str) -> String {
        let parts = [self.bucket.as_str(), self.prefix.as_str(), name];
        format!("s3://{}", parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"))
    }
}

/// The store, and the endpoint that messages name.
pub(crate) fn open_store(
    address: &Address,
    variable: &dyn Fn(&str) -> Option<String>,
    limits: &Limits,
) -> Result<(AmazonS3, String), TargetError> {
    let given = |name: &str| variable(name).filter(|value| !value.is_empty());
    let endpoint = given("AWS_ENDPOINT_URL_S3").or_else(|| given("AWS_ENDPOINT_URL"));
    let unencrypted = match endpoint.as_deref().map(str::to_ascii_lowercase) {
        None => false,
        Some(endpoint) if endpoint.starts_with("https://") => false,
        Some(endpoint) if endpoint.starts_with("http://") => true,
        Some(_) => return Err(TargetError::Endpoint { endpoint: endpoint.unwrap_or_default() }),
    };
    let only_one = match (given("AWS_ACCESS_KEY_ID"), given("AWS_SECRET_ACCESS_KEY")) {
        (Some(_), None) => Some("AWS_SECRET_ACCESS_KEY"),
        (None, Some(_)) => Some("AWS_ACCESS_KEY_ID"),
        _ => None,
    };
    if let Some(missing) = only_one {
        return Err(TargetError::HalfAKey { missing });
    }
    let options = ClientOptions::new()
        .with_allow_http(unencrypted)
        .with_connect_timeout(limits.connect_timeout)
        .with_timeout(limits.request_timeout)
        .with_user_agent(object_store::HeaderValue::from_static("tapebook"));
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: limits.retries,
        retry_timeout: limits.retry_timeout,
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&address.bucket)
        .with_client_options(options)
        .with_retry(retry);
    for name in VARIABLES {
        let Some(value) = given(name) else { continue };
        let key: AmazonS3ConfigKey = name
            .to_ascii_lowercase()
            .parse()
            .map_err(|_| TargetError::Settings { reason: format!("{name} is not known here") })?;
        builder = builder.with_config(key, value);
    }
    let endpoint = endpoint.unwrap_or_else(|| "Amazon S3".to_owned());
    match builder.build() {
        Ok(store) => Ok((store, endpoint)),
        Err(error) => Err(TargetError::Settings { reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_buckets_with_or_without_a_prefix() {
        let parsed = |url: &str| Address::parse(url).map(|address| (address.bucket, address.prefix));
        let pair = |bucket: &str, prefix: &str| (bucket.to_owned(), prefix.to_owned());
        assert_eq!(parsed("s3://backups").ok(), Some(pair("backups", "")));
        assert_eq!(parsed("s3://backups/").ok(), Some(pair("backups", "")));
        assert_eq!(parsed("s3://my.backups/eu/db-1/").ok(), Some(pair("my.backups", "eu/db-1")));
        for wrong in [
            "s3://",
            "s3:///prefix",
            "s3://a",
            "s3://user:secret@backups/x",
            "s3://backups//x",
            "s3://backups/../x",
            "s3://backups/x?list-type=2",
            "gs://backups",
            "https://example.com/backups",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Address::parse("s3://backups/a").unwrap().place("b/c"), "s3://backups/a/b/c");
        assert_eq!(Address::parse("s3://backups").unwrap().place(""), "s3://backups");
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let address = Address::parse("s3://backups").unwrap();
        let with = |pairs: &[(&str, &str)]| {
            let variable = |name: &str| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            match open_store(&address, &variable, &Limits::default()) {
                Ok((_, endpoint)) => endpoint,
                Err(error) => error.to_string(),
            }
        };
        let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "very-secret")];
        assert_eq!(with(&keys), "Amazon S3");
        assert_eq!(with(&[keys[0], keys[1], ("AWS_ENDPOINT_URL", "http://[::1]:9")]), "http://[::1]:9");
        assert!(with(&keys[..1]).contains("AWS_SECRET_ACCESS_KEY is not set"));
        let half = with(&keys[1..]);
        assert!(half.contains("AWS_ACCESS_KEY_ID is not set") && !half.contains("very-secret"), "{half}");
        assert!(with(&[keys[0], keys[1], ("AWS_ENDPOINT_URL", "localhost:9000")]).contains("http"));
        assert!(with(&[keys[0], keys[1], ("AWS_SERVER_SIDE_ENCRYPTION", "rot13")]).contains("rot13"));
    }
}
