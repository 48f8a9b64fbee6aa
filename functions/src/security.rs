//! The headers of every answer that keep browsers from doing anything with it but what the page that asked does.
//!
//! After the OWASP *REST security* and *HTTP headers* cheat sheets. An answer holds data, never a page: it loads nothing, is framed by
//! nobody, is kept by nobody, is taken for no other kind, and is read by the page that asked alone.

use lambda_http::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use lambda_http::http::{HeaderMap, HeaderValue};

/// The headers, but for `Cache-Control`, which is `no-store` unless an answer knows better.
pub const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=63072000; includeSubDomains"),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// Adds them to the headers of an answer.
pub(crate) fn secure(headers: &mut HeaderMap) {
    headers.extend(HEADERS);
}
