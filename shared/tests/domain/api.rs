//! What goes over the wire, and what comes back from it.

use leadlight::address::Address;
use leadlight::api::{
    LeadStatus, Permit, SaveLead, SavedLead, StatusesRequest, VerificationReply, WebhookReply,
};
use leadlight::assessment::{Reason, assess};
use leadlight::evidence::{BounceCause, Evidence, Piece};
use leadlight::lead::{CheckAgainRefusal, Lead, Save, Standing, Status};
use leadlight::policy::Policy;
use leadlight::verification::{
    Findings, InconclusiveCause, Listing, MailHosts, UndeliverableCause, Verification,
};
use serde_json::json;

use crate::{address, day, hard, lead_id, recheck, soft, undeliverable};

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

/// What the status of a lead suggests, after `pieces` about its address.
fn suggested(text: &str, pieces: Vec<Piece>) -> Option<String> {
    let save = Save {
        address: address(text),
        standing: None,
        standing_since: None,
    };
    let lead = Lead::new(lead_id("ann"), save, day(0));
    let evidence = Evidence::from(pieces);
    let assessment = lead.assess(assess(&evidence, &Policy::default(), day(2)), &evidence);
    LeadStatus::new(&lead, assessment, day(2)).suggestion
}

#[test]
fn a_status_suggests_what_was_probably_meant() {
    let gone = || undeliverable(day(1), UndeliverableCause::NoSuchDomain);
    let gmail = Some("Ann@gmail.com".to_owned());
    assert_eq!(suggested("Ann@gmai.com", vec![]), gmail, "one slip");
    assert_eq!(
        suggested("Ann@gmaail.co", vec![]),
        None,
        "two slips, and it may take mail"
    );
    assert_eq!(
        suggested("Ann@gmaail.co", vec![gone()]),
        gmail,
        "two slips, and it takes none"
    );
    let bounced = hard(day(1), BounceCause::InvalidDomain);
    assert_eq!(
        suggested("Ann@gmaail.co", vec![bounced]),
        None,
        "a bounce is not DNS's word"
    );
    let released = vec![gone(), recheck(day(2))];
    assert_eq!(
        suggested("Ann@gmaail.co", released),
        None,
        "a verdict that was lifted"
    );
    assert_eq!(
        suggested("Ann@gmail.com", vec![gone()]),
        None,
        "never for a provider"
    );
}

#[test]
fn a_hold_says_nothing_of_the_present_address() {
    let (lead, _) = status_after(vec![]);
    let evidence = Evidence::from(vec![undeliverable(
        day(1),
        UndeliverableCause::NoSuchDomain,
    )]);
    let before = lead.assess(assess(&evidence, &Policy::default(), day(2)), &evidence);
    let save = Save {
        address: address("ann@gmaail.co"),
        standing: None,
        standing_since: None,
    };
    let moved = lead.save(save, &before, &crate::key(), day(2));
    let nothing = Evidence::default();
    let assessment = moved.assess(assess(&nothing, &Policy::default(), day(2)), &nothing);
    assert!(assessment.held && assessment.status.reason().is_some());
    assert_eq!(LeadStatus::new(&moved, assessment, day(2)).suggestion, None);
}

#[test]
fn a_verification_is_told_with_what_was_seen() {
    let ann = address("ann@p\u{430}ypal.com");
    let list = "a list".to_owned();
    let findings = Findings {
        mail_hosts: MailHosts::Implicit,
        listing: Listing::Warned { list },
        unchecked: vec!["another".to_owned()],
    };
    let reply = VerificationReply::new(&ann, &Verification::new(&ann, findings));
    let expected = json!({
        "address": "ann@xn--pypal-4ve.com",
        "shown": "ann@p\u{430}ypal.com (xn--pypal-4ve.com)",
        "verdict": "risky",
        "flags": ["implicit_mx", "listed_with_warning", "mixed_scripts"],
        "sentence": "Mail can be sent to the address, but its domain names no mail server, so that mail goes to the domain itself; \
            its domain is listed as a legitimate one that is being abused; its domain mixes letters of several scripts, \
            which may look like another name.",
        "findings": { "mail_hosts": "implicit", "listing": "warned", "list": "a list" },
        "unchecked": ["another"],
    });
    let told = serde_json::to_value(&reply).unwrap();
    assert_eq!(told, expected);
    assert_eq!(
        serde_json::from_value::<VerificationReply>(told).unwrap(),
        reply
    );

    let cause = InconclusiveCause::DnsTimeout;
    let findings = Findings {
        mail_hosts: MailHosts::Unknown(cause),
        listing: Listing::None,
        unchecked: Vec::new(),
    };
    let ann = address("ann@lead.example");
    let told = serde_json::to_value(VerificationReply::new(
        &ann,
        &Verification::new(&ann, findings),
    ));
    let expected = json!({
        "address": "ann@lead.example",
        "verdict": "inconclusive",
        "cause": "dns_timeout",
        "sentence": "The address could not be checked now: the name servers of its domain did not answer in time.",
        "findings": { "mail_hosts": "unknown", "listing": "none" },
        "retry_after_s": 60,
    });
    assert_eq!(told.unwrap(), expected);
}

#[test]
fn a_text_that_is_no_address_is_told_with_its_fault() {
    let told = |text: &str| {
        let error = Address::parse(text).unwrap_err();
        serde_json::to_value(VerificationReply::not_an_address(&error)).unwrap()
    };
    let expected = json!({
        "verdict": "undeliverable",
        "cause": "bad_syntax",
        "sentence": "This is not an email address that can be used: the address holds a full-width \u{ff20} (U+FF20) at position 4.",
        "syntax": { "code": "unexpected_character", "position": 4, "character": "\u{ff20}" },
    });
    assert_eq!(told("ann\u{ff20}lead.example"), expected);
    let expected = json!({
        "verdict": "undeliverable",
        "cause": "bad_syntax",
        "sentence": "The text holds an address and more: take the address alone.",
        "suggestion": "ann@lead.example",
        "syntax": { "code": "display_name" },
    });
    assert_eq!(told("Ann <ann@lead.example>"), expected);
}

#[test]
fn what_is_secret_is_not_printed_and_the_rest_is() {
    let permit = Permit {
        token: "a-token".to_owned(),
        expires_at: day(1),
    };
    assert_eq!(
        format!("{permit:?}"),
        "Permit { expires_at: 2026-03-02T12:00:00Z, .. }"
    );
    let webhook: WebhookReply = serde_json::from_value(json!({
        "url": "https://crm.example/hook", "state": "enabled", "last_failure": "status 500",
        "changed_at": "2026-03-02T12:00:00Z", "secret": "whsec_c2VjcmV0",
    }))
    .unwrap();
    assert_eq!(
        format!("{webhook:?}"),
        "WebhookReply { url: \"https://crm.example/hook\", state: Enabled, last_failure: Some(\"status 500\"), \
        changed_at: 2026-03-02T12:00:00Z, .. }"
    );
}
