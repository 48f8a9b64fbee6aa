//! Reads the server's answers off the plain objects that the browser made of them, without a JSON parser in the module.
//!
//! An answer of another shape reads as nothing; what is read is checked by the domain's own types.

use jiff::Timestamp;
use js_sys::{Array, Date, Reflect};
use leadlight::api::{LeadStatus, Outcome};
use leadlight::assessment::Resolution;
use leadlight::lead::{LeadId, Standing};
use wasm_bindgen::prelude::*;

use crate::face::Face;
use crate::fault::{Fault, Trouble};

/// The elements of a list that is a member of `value`.
#[must_use]
pub fn list(value: &JsValue, name: &str) -> Option<Array> {
    member(value, name)?.dyn_into().ok()
}

/// The lead that a status is of, and how it looks.
#[must_use]
pub fn face(value: &JsValue) -> Option<(LeadId, Face)> {
    let status = LeadStatus {
        status: text(value, "status")?,
        reason: text(value, "reason"),
        cause: text(value, "cause"),
        ..LeadStatus::unknown(LeadId::try_from(text(value, "lead")?).ok()?)
    };
    let face = Face::of(&status);
    Some((status.lead, face))
}

/// A whole status.
#[must_use]
pub fn lead_status(value: &JsValue) -> Option<LeadStatus> {
    let is_true = |name| member(value, name).is_some_and(|member: JsValue| member.is_truthy());
    Some(LeadStatus {
        lead: LeadId::try_from(text(value, "lead")?).ok()?,
        status: text(value, "status")?,
        standing: text(value, "standing").and_then(|code| Standing::from_code(&code)),
        reason: text(value, "reason"),
        cause: text(value, "cause"),
        since: timestamp(value, "since"),
        // The ids of the evidence are for the record; no bubble shows them.
        because: Vec::new(),
        resolution: text(value, "resolution").and_then(|code| Resolution::from_code(&code)),
        may_check_again: is_true("may_check_again"),
        check_again_from: timestamp(value, "check_again_from"),
        diagnostic: text(value, "diagnostic"),
        held: is_true("held"),
        suggestion: text(value, "suggestion"),
    })
}

/// How a recheck ended, and the status afterwards as it was told.
#[must_use]
pub fn recheck(value: &JsValue) -> Option<(Outcome, JsValue)> {
    let outcome = match text(value, "outcome")?.as_str() {
        "sent" => Outcome::Sent,
        "fail" => Outcome::Fail,
        _ => return None,
    };
    Some((outcome, member(value, "status")?))
}

/// What an answer of this status means for whoever asked, and when to try again: as the problem document says, or so many seconds
/// after `now` as the `Retry-After` header does, if it is a number.
///
/// # Errors
/// The answer is no success.
pub fn check(status: u16, body: &JsValue, retry_after: f64, now: f64) -> Result<(), Trouble> {
    let Some(fault) = Fault::of_answer(status) else {
        return Ok(());
    };
    let later = now + retry_after * 1_000.0;
    let retry_at = time(body, "retry_at").or_else(|| later.is_finite().then_some(later));
    Err(Trouble { fault, retry_at })
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
