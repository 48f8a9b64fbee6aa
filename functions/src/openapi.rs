//! What the API is: the description (OpenAPI 3.1) of every route, for whoever writes or generates a client.
//!
//! The file is made from the types that the routes take and give, by `cargo dev openapi`; nothing here knows how. Whoever reads it needs
//! no token: it holds nothing that is not in this repository.

use lambda_http::http::HeaderValue;
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lambda_http::{Body, Response};

/// The description, as JSON.
pub const DOCUMENT: &str = include_str!("../openapi.json");
/// How long it may be kept by whoever asks for it.
const KEPT: &str = "public, max-age=3600";

pub(crate) fn response() -> Response<Body> {
    let mut response = Response::new(Body::from(DOCUMENT));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(KEPT));
    response
}
