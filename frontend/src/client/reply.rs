//! Reads the server's answers off the plain objects that the browser made of them, without a JSON parser in the module.
//!
//! An answer of another shape reads as nothing; what is read is checked by the domain's own types.

use jiff::Timestamp;
use js_sys::{Array, Date, Object, Reflect};
use leadlight::api::{LeadStatus, Outcome};
use leadlight::assessment::Resolution;
use leadlight::lead::{LeadId, Standing};
use wasm_bindgen::prelude::*;

/// The body that asks for `leads`.
pub(super) fn statuses_request(leads: &[LeadId]) -> JsValue {
    let ids: Array = leads
        .iter()
        .map(|lead| JsValue::from_str(lead.as_str()))
        .collect();
    let body = Object::new();
    // Setting a property of an object that we made cannot fail.
    let _ = Reflect::set(&body, &"leads".into(), &ids);
    body.into()
}

/// The statuses of an answer; one that cannot be read is left out.
pub(super) fn statuses_reply(reply: &JsValue) -> Option<Vec<LeadStatus>> {
    let statuses: Array = member(reply, "statuses")?.dyn_into().ok()?;
    Some(
        statuses
            .iter()
            .filter_map(|status| lead_status(&status))
            .collect(),
    )
}

/// The outcome of a recheck, and the status afterwards.
pub(super) fn recheck_reply(reply: &JsValue) -> Option<(Outcome, LeadStatus)> {
    let outcome = match text(reply, "outcome")?.as_str() {
        "sent" => Outcome::Sent,
        "fail" => Outcome::Fail,
        _ => return None,
    };
    Some((outcome, lead_status(&member(reply, "status")?)?))
}

/// When a problem document says to try again.
pub(super) fn retry_at(problem: &JsValue) -> Option<f64> {
    time(problem, "retry_at")
}

fn lead_status(value: &JsValue) -> Option<LeadStatus> {
    Some(LeadStatus {
        lead: LeadId::parse(&text(value, "lead")?).ok()?,
        status: text(value, "status")?,
        standing: text(value, "standing").and_then(|code| Standing::from_code(&code)),
        reason: text(value, "reason"),
        cause: text(value, "cause"),
        since: timestamp(value, "since"),
        // The ids of the evidence are for the record; no bubble shows them.
        because: Vec::new(),
        resolution: text(value, "resolution").and_then(|code| Resolution::from_code(&code)),
        may_check_again: member(value, "may_check_again").is_some_and(|may| may.is_truthy()),
        check_again_from: timestamp(value, "check_again_from"),
        diagnostic: text(value, "diagnostic"),
        held: member(value, "held").is_some_and(|held| held.is_truthy()),
        suggestion: text(value, "suggestion"),
    })
}

fn member(value: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(value, &JsValue::from_str(name)).ok()
}

fn text(value: &JsValue, name: &str) -> Option<String> {
    member(value, name)?.as_string()
}

fn time(value: &JsValue, name: &str) -> Option<f64> {
    let time = Date::parse(&text(value, name)?);
    time.is_finite().then_some(time)
}

fn timestamp(value: &JsValue, name: &str) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a date's milliseconds are whole and fit"
    )]
    let milliseconds = time(value, name)? as i64;
    Timestamp::from_millisecond(milliseconds).ok()
}
