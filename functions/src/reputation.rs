//! `GET /v1/reputation?from=&to=`: what became of an account's messages, day by day, beside SES's limits.
//!
//! One query for each day, of counts that [`changes`](crate::changes) keeps: what it costs grows with the days asked for and the
//! domains that are sent from, never with the messages. The function also shows what the API is, at `GET /v1/openapi.json`: of all it
//! has the most time, and a function of its own for one file is none.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use leadlight::reputation::Reputation;

use crate::access::{Scope, authorize};
use crate::app::Store;
use crate::exchange::{self, Exchange};
use crate::openapi;
use crate::problem::Refusal;
use crate::table::TableError;

/// The most days of one request: a quarter.
const MOST_DAYS: i32 = 92;
/// The days that are shown unless others are asked for: SES looks at some weeks rather than days.
const DEFAULT_DAYS: i32 = 30;
/// How many days are read at the same time.
const DAYS_AT_ONCE: usize = 16;

/// Answers one request. Never fails and never panics: every refusal is a problem document.
pub async fn handle(store: &Store, request: Request) -> Response<Body> {
    handle_at(store, request, Timestamp::now()).await
}

/// Answers one request that arrived at `now`.
pub async fn handle_at(store: &Store, request: Request, now: Timestamp) -> Response<Body> {
    let exchange = Exchange::begin("reputation");
    let answer = answer(store, &exchange, &request, now).await;
    exchange.finish(answer)
}

async fn answer(
    store: &Store,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    match (exchange::segments(request).as_slice(), request.method()) {
        (["v1", "openapi.json"], &Method::GET) => return Ok(openapi::response()),
        (["v1", "reputation"], &Method::GET) => {}
        (["v1", "reputation" | "openapi.json"], _) => {
            return Err(Refusal::method_not_allowed("GET"));
        }
        _ => return Err(Refusal::no_such_route()),
    }
    let caller = authorize(store, exchange, request.headers(), Scope::Reputation, now).await?;
    // The figures are of all leads.
    caller.permit_recipient(None)?;
    let (from, to) = read_days(request, now)?;
    let account = &caller.account;
    let days = from
        .series(Span::new().days(1))
        .take_while(|day| *day <= to)
        .map(|day| async move {
            let counted = store.table.mail_counts(account, day).await?;
            Ok::<_, TableError>((day, counted))
        });
    let counted: BTreeMap<Date, _> = stream::iter(days)
        .buffer_unordered(DAYS_AT_ONCE)
        .try_collect()
        .await?;
    exchange::json(StatusCode::OK, &Reputation::new(from, to, &counted))
}

fn read_days(request: &Request, now: Timestamp) -> Result<(Date, Date), Refusal> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let day = |name| {
        let text = exchange::parameter(request, name);
        text.map(|text| text.parse::<Date>())
            .transpose()
            .map_err(|_| Refusal::invalid_parameter(name, "must be a day such as 2026-03-31"))
    };
    let to = day("to")?.unwrap_or(today);
    let before = |days: i32| to.checked_sub(Span::new().days(days - 1)).unwrap_or(to);
    let from = day("from")?.unwrap_or_else(|| before(DEFAULT_DAYS));
    if from > to {
        return Err(Refusal::invalid_parameter("from", "must not be after `to`"));
    }
    if from < before(MOST_DAYS) {
        return Err(Refusal::invalid_parameter(
            "from",
            format!("must be at most {MOST_DAYS} days, with the last, before `to`"),
        ));
    }
    Ok((from, to))
}
