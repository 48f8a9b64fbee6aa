//! `POST /v1/verifications`: what is to be said of an address, for forms. Nothing is saved, and no lead is looked at.
//!
//! A text that is no address is an answer like any other, not a mistake of the caller.

use jiff::Timestamp;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use leadlight::address::Address;
use leadlight::api::{VerificationReply, VerifyRequest};

use crate::access::{Scope, authorize};
use crate::app::App;
use crate::exchange::{self, Exchange};
use crate::problem::Refusal;
use crate::verifier::{Freshness, Verifier};

/// Answers one request. Never fails and never panics: every refusal is a problem document.
pub async fn handle(app: &App<Verifier>, request: Request) -> Response<Body> {
    handle_at(app, request, Timestamp::now()).await
}

/// Answers one request that arrived at `now`.
pub async fn handle_at(app: &App<Verifier>, request: Request, now: Timestamp) -> Response<Body> {
    let exchange = Exchange::begin("verifications");
    let answer = answer(app, &exchange, &request, now).await;
    exchange.finish(answer)
}

async fn answer(
    app: &App<Verifier>,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    match (exchange::segments(request).as_slice(), request.method()) {
        (["v1", "verifications"], &Method::POST) => {}
        (["v1", "verifications"], _) => return Err(Refusal::method_not_allowed("POST")),
        _ => return Err(Refusal::no_such_route()),
    }
    let caller = authorize(app, exchange, request.headers(), Scope::Verifications, now).await?;
    // What is asked about is nobody's address yet, so a token that is good for some leads alone is not good for it.
    caller.permit_recipient(None)?;
    let VerifyRequest { address } = exchange::read_json(request, &["address"])?;
    let reply = match Address::parse(&address) {
        Ok(address) => {
            let verification = app.services.verify(&address, Freshness::Remembered).await;
            VerificationReply::new(&address, &verification)
        }
        Err(error) => VerificationReply::not_an_address(&error),
    };
    exchange::json(StatusCode::OK, &reply)
}
