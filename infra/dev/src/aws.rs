//! This crate's own SDK clients: to loopback, in plain HTTP, with credentials that open nothing.

use aws_credential_types::Credentials;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::{BehaviorVersion, Region};

/// The region of everything local.
pub(crate) const REGION: &str = "us-east-1";

/// Credentials of the form that the SDK asks for.
pub(crate) fn credentials() -> Credentials {
    Credentials::new(
        "AKIALOCALLOCALLOCAL1",
        "a-local-access-key-that-opens-nothing",
        None,
        None,
        "local stack",
    )
}

/// A client of the SES stand-in, which makes one attempt.
pub(crate) fn sesv2(endpoint: &str) -> aws_sdk_sesv2::Client {
    let config = aws_sdk_sesv2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(credentials())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    aws_sdk_sesv2::Client::from_conf(config.build())
}
