//! `POST /v1/statuses`: the statuses of all bubbles on a page, in two batched reads.
//!
//! It only shows: eventually consistent reads, no writes, no decisions. A lead that was never saved in the account, or belongs
//! to another, is `unknown`.

use std::collections::HashSet;

use jiff::Timestamp;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use leadlight::api::{LeadStatus, MAX_STATUSES, StatusesReply, StatusesRequest};
use leadlight::lead::{Lead, LeadId};

use crate::access::{Caller, Scope, authorize};
use crate::app::Store;
use crate::apply::{assess_lead, evidence_of};
use crate::exchange::{self, Exchange};
use crate::problem::Refusal;
use crate::table::item::Key;
use crate::table::{Consistency, TableError};

/// Answers one request. Never fails and never panics: every refusal is a problem document.
pub async fn handle(store: &Store, request: Request) -> Response<Body> {
    handle_at(store, request, Timestamp::now()).await
}

/// Answers one request that arrived at `now`.
pub async fn handle_at(store: &Store, request: Request, now: Timestamp) -> Response<Body> {
    let exchange = Exchange::begin("statuses");
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
        (["v1", "statuses"], &Method::POST) => {}
        (["v1", "statuses"], _) => return Err(Refusal::method_not_allowed("POST")),
        _ => return Err(Refusal::no_such_route()),
    }
    let caller = authorize(store, exchange, request.headers(), Scope::Statuses, now).await?;
    let leads = read_leads(request)?;
    for lead in &leads {
        caller.permit_lead(lead)?;
    }
    let statuses = load_statuses(store, &caller, leads, now).await?;
    exchange::json(StatusCode::OK, &StatusesReply { statuses })
}

/// The different leads asked for, in the order asked.
fn read_leads(request: &Request) -> Result<Vec<LeadId>, Refusal> {
    let StatusesRequest { mut leads } = exchange::read_json(request, &["leads"])?;
    if leads.is_empty() {
        return Err(Refusal::invalid_field(
            "/leads",
            "too_few",
            "at least one lead is needed",
        ));
    }
    if leads.len() > MAX_STATUSES {
        return Err(Refusal::invalid_field(
            "/leads",
            "too_many",
            format!("at most {MAX_STATUSES} leads"),
        ));
    }
    let mut seen = HashSet::new();
    leads.retain(|lead| seen.insert(lead.clone()));
    Ok(leads)
}

async fn load_statuses(
    store: &Store,
    caller: &Caller,
    leads: Vec<LeadId>,
    now: Timestamp,
) -> Result<Vec<LeadStatus>, TableError> {
    let lead_keys: Vec<Key<Lead>> = leads
        .iter()
        .map(|lead| Key::lead(&caller.account, lead))
        .collect();
    let known = store
        .table
        .load_many(&lead_keys, Consistency::Eventual)
        .await?;
    let evidence_key =
        |lead: &Lead| Key::evidence(&caller.account, &store.address_secret.key_of(&lead.address));
    let evidence_keys: Vec<_> = known
        .values()
        .map(|stored| evidence_key(&stored.item))
        .collect();
    let records = store
        .table
        .load_many(&evidence_keys, Consistency::Eventual)
        .await?;
    let status = |(id, key): (LeadId, &Key<Lead>)| {
        let Some(lead) = known.get(key).map(|stored| &stored.item) else {
            return LeadStatus::unknown(id);
        };
        let evidence = evidence_of(records.get(&evidence_key(lead)).map(|stored| &stored.item));
        LeadStatus::new(
            lead,
            assess_lead(lead, &evidence, caller.policy(), now),
            now,
        )
    };
    Ok(leads.into_iter().zip(&lead_keys).map(status).collect())
}
