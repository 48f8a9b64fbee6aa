//! What goes over the wire, and what comes back from it.

use leadlight::api::{LeadStatus, SaveLead, SavedLead, StatusesRequest};
use leadlight::assessment::{Reason, assess};
use leadlight::evidence::{BounceCause, Evidence, Piece};
use leadlight::lead::{CheckAgainRefusal, Lead, Save, Standing, Status};
use leadlight::policy::Policy;
use serde_json::json;

use crate::{address, day, hard, lead_id, soft};

fn status_after(pieces: Vec<Piece>) -> (Lead, LeadStatus) {
    let save = Save {
        address: address("Ann@Example.com"),
        standing: None,
        standing_since: None,
    };
    let lead = Lead::new(lead_id("ann"), save, day(0));
    let evidence = Evidence::from(pieces);
    let assessment = lead.assess(assess(&evidence, &Policy::default(), day(2)), &evidence);
    let status = LeadStatus::new(&lead, assessment, day(2));
    (lead, status)
}

#[test]
fn a_blocklisted_lead_says_why_since_when_and_what_to_do() {
    let bounce = hard(day(1), BounceCause::Unspecified);
    let (_, status) = status_after(vec![bounce.clone()]);
    let expected = json!({
        "lead": "ann", "status": "blocklisted", "standing": "active",
        "reason": "hard_bounce", "cause": "unspecified", "since": "2026-03-02T12:00:00Z",
        "because": [bounce.id.as_str()], "resolution": "check_again", "may_check_again": true,
    });
    assert_eq!(serde_json::to_value(&status).unwrap(), expected);
}

#[test]
fn the_status_is_the_same_on_both_sides() {
    let rows = [
        (vec![], Some(Status::Standing(Standing::Active))),
        (vec![soft(day(1))], Some(Status::SoftBouncing)),
        (
            vec![hard(day(1), BounceCause::MailboxMissing)],
            Some(Status::Blocklisted(Reason::HardBounce(
                BounceCause::MailboxMissing,
            ))),
        ),
    ];
    for (pieces, expected) in rows {
        let (_, status) = status_after(pieces);
        let read: LeadStatus =
            serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
        assert_eq!((read.status(), &read), (expected, &status));
    }
    assert_eq!(LeadStatus::unknown(lead_id("ann")).status(), None);
    let (_, mut newer) = status_after(vec![]);
    newer.status = "levitating".to_owned();
    assert_eq!(newer.status(), None, "a code from a later version");
}

#[test]
fn a_saved_lead_shows_its_address_as_it_was_kept() {
    let (lead, _) = status_after(vec![]);
    let evidence = Evidence::default();
    let assessment = lead.assess(assess(&evidence, &Policy::default(), day(2)), &evidence);
    let view = serde_json::to_value(SavedLead::new(&lead, assessment, None, day(2))).unwrap();
    assert_eq!(view["address"], "Ann@example.com");
    assert_eq!(view["status"], "active");
    assert_eq!(view["may_check_again"], false);
}

#[test]
fn unknown_fields_of_a_request_are_refused() {
    let save = json!({ "address": "ann@example.com", "adress": "typo" });
    assert!(serde_json::from_value::<SaveLead>(save).is_err());
    let statuses = json!({ "leads": ["ann"], "lead": "bob" });
    assert!(serde_json::from_value::<StatusesRequest>(statuses).is_err());
    assert!(serde_json::from_value::<StatusesRequest>(json!({ "leads": ["an n"] })).is_err());
}

#[test]
fn every_refusal_of_check_again_has_its_own_code() {
    let refusals = [
        CheckAgainRefusal::NotBlocklisted,
        CheckAgainRefusal::Complaint,
        CheckAgainRefusal::SupportOnly,
        CheckAgainRefusal::AddressUnchanged,
        CheckAgainRefusal::TooEarly { from: day(3) },
    ];
    let codes = refusals.map(CheckAgainRefusal::code);
    let expected = [
        "not_blocklisted",
        "complaint",
        "support_only",
        "address_unchanged",
        "too_early",
    ];
    assert_eq!(codes, expected);
}
