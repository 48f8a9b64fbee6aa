//! Flow.
use jiff::Timestamp;
use lambda_http::{Body, Request, Response};

use crate::config::App;
use crate::problem::Refusal;

/// Answers one request. Never fails and never panics: every refusal is a problem document.
pub async fn handle(app: &App, request: Request) -> Response<Body> {
    handle_at(app, request, Timestamp::now()).await
}

/// Answers one request that arrived at `now`.
pub async fn handle_at(_app: &App, _request: Request, _now: Timestamp) -> Response<Body> {
    Refusal::no_such_route().into_response()
}
