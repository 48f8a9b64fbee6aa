//! What a lead adds to the assessment of its address: hold, sticky complaint, standing.

use jiff::{SignedDuration, Timestamp};
use leadlight::account::IdentifierError;
use leadlight::assessment::{Reason, Resolution, assess};
use leadlight::evidence::{Attribution, Authority, BounceCause, Evidence, Fact, Piece};
use leadlight::lead::{
    CheckAgainRefusal, Lead, LeadAssessment, LeadId, MAX_FORMER_ADDRESSES, MAX_HISTORY, Save,
    Standing, Status,
};
use leadlight::policy::Policy;

use crate::{
    address, complaint, day, delivery, hard, hour, key, lead_id, manual, piece, recheck, support,
};

fn save(text: &str) -> Save {
    Save {
        address: address(text),
        standing: None,
        standing_since: None,
    }
}

fn standing(standing: Standing, since: Option<Timestamp>) -> Save {
    Save {
        standing: Some(standing),
        standing_since: since,
        ..save("ann@old.example")
    }
}

fn ann() -> Lead {
    Lead::new(lead_id("ann"), save("ann@old.example"), day(0))
}

fn assessed(lead: &Lead, pieces: &[Piece], now: Timestamp) -> LeadAssessment {
    let evidence = Evidence::from(pieces.to_vec());
    lead.assess(assess(&evidence, &Policy::default(), now), &evidence)
}

/// Ann at a new address, changed on day 5 after `old` happened at the old one.
fn moved(old: &[Piece]) -> Lead {
    let lead = ann();
    let before = assessed(&lead, old, day(5));
    lead.save(save("ann@new.example"), &before, &key(), day(5))
}

fn release_of(lead: &str, at: Timestamp) -> Piece {
    piece(
        at,
        Fact::Release {
            lead: lead_id(lead),
            authority: Authority::Recheck,
        },
    )
}

const MISSING: Reason = Reason::HardBounce(BounceCause::MailboxMissing);

#[test]
fn an_id_of_a_lead_stands_in_a_path_as_it_is() {
    let longest = "x".repeat(128);
    for id in ["7", "a.b", "...", ".a", "a.", "~-_:", longest.as_str()] {
        assert_eq!(LeadId::parse(id).map(String::from), Ok(id.to_owned()));
    }
    let odd = |character, position| IdentifierError::UnexpectedCharacter {
        character,
        position,
    };
    for (why, id, error) in [
        ("nothing", "", IdentifierError::Empty),
        ("this segment itself", ".", IdentifierError::Dots),
        ("the segment before", "..", IdentifierError::Dots),
        ("two segments", "a/b", odd('/', 2)),
        ("a query", "ann?", odd('?', 4)),
        ("an escape", "%2e", odd('%', 1)),
        ("a letter that is escaped", "j\u{fc}rgen", odd('\u{fc}', 2)),
        (
            "one too many",
            &"x".repeat(129),
            IdentifierError::TooLong { max: 128 },
        ),
    ] {
        assert_eq!(LeadId::parse(id), Err(error), "{why}");
        let json = serde_json::Value::from(id);
        let read: Result<LeadId, _> = serde_json::from_value(json);
        assert_eq!(read.unwrap_err().to_string(), error.to_string(), "{why}");
    }
}

#[test]
fn a_corrected_lead_stays_red_until_it_is_checked_again() {
    let lead = moved(&[hard(day(1), BounceCause::MailboxMissing)]);
    let held = assessed(&lead, &[], day(6));
    assert_eq!(held.status, Status::Blocklisted(MISSING));
    assert_eq!(
        held.since,
        Some(day(1)),
        "since the bounce, not since the correction"
    );
    assert_eq!(held.because, [hard(day(1), BounceCause::MailboxMissing).id]);
    assert_eq!(
        held.resolution,
        Some(Resolution::CheckAgain),
        "now that the address is another"
    );
    assert_eq!(held.may_check_again(day(6)), Ok(()));
    assert!(held.held, "the present address has done nothing");

    let released = assessed(&lead, &[recheck(day(6))], day(7));
    assert_eq!(released.status, Status::Standing(Standing::Active));
}

#[test]
fn a_hold_ends_by_nothing_but_a_newer_release_of_the_same_lead() {
    let lead = moved(&[hard(day(1), BounceCause::MailboxMissing)]);
    let held = |pieces: &[Piece]| assessed(&lead, pieces, day(9)).status.reason().is_some();
    assert!(held(&[delivery(day(8))]), "a delivery is no release");
    assert!(
        held(&[release_of("bob", day(8))]),
        "another lead's release is not this one's"
    );
    assert!(
        held(&[recheck(day(4))]),
        "a release before the hold was about something else"
    );
    assert!(
        held(&[recheck(day(5))]),
        "at the very same time the hold wins"
    );
    assert!(!held(&[recheck(day(6))]));
    assert!(!held(&[support(day(6), false)]));
}

#[test]
fn a_lead_that_was_not_blocked_takes_no_hold() {
    let lead = moved(&[delivery(day(1))]);
    assert_eq!(
        assessed(&lead, &[], day(6)).status,
        Status::Standing(Standing::Active)
    );
}

#[test]
fn a_late_bounce_of_the_former_address_does_not_block_the_lead_at_its_new_one() {
    let lead = moved(&[]);
    // The bounce goes into the evidence of the former address, which the lead's status no longer reads.
    assert_eq!(
        assessed(&lead, &[], day(6)).status,
        Status::Standing(Standing::Active)
    );
}

#[test]
fn a_hold_goes_along_to_the_third_address() {
    let lead = moved(&[hard(day(1), BounceCause::MailboxMissing)]);
    let before = assessed(&lead, &[], day(6));
    let lead = lead.save(save("ann@third.example"), &before, &key(), day(6));
    let held = assessed(&lead, &[], day(7));
    assert_eq!(
        (held.status, held.since),
        (Status::Blocklisted(MISSING), Some(day(1)))
    );
}

#[test]
fn saving_in_another_letter_case_is_no_change_of_address() {
    let lead = ann();
    let blocked = assessed(&lead, &[hard(day(1), BounceCause::MailboxMissing)], day(5));
    let lead = lead.save(save("ANN@old.example"), &blocked, &key(), day(5));
    assert_eq!((lead.hold, lead.former_addresses.len()), (None, 0));
    assert_eq!(
        lead.address,
        address("ANN@old.example"),
        "but the spelling is kept"
    );
}

#[test]
fn the_new_addresses_own_block_is_shown_before_the_hold() {
    let lead = moved(&[hard(day(1), BounceCause::MailboxMissing)]);
    let both = assessed(&lead, &[hard(day(6), BounceCause::InvalidDomain)], day(7));
    assert!(!both.held);
    assert_eq!(
        both.status,
        Status::Blocklisted(Reason::HardBounce(BounceCause::InvalidDomain))
    );
}

#[test]
fn a_manual_hold_is_supports_to_lift() {
    let lead = moved(&[manual(day(1))]);
    let held = |pieces: &[Piece]| assessed(&lead, pieces, day(9));
    assert_eq!(
        held(&[]).may_check_again(day(9)),
        Err(CheckAgainRefusal::SupportOnly)
    );
    assert_eq!(
        held(&[recheck(day(6))]).status,
        Status::Blocklisted(Reason::Manual)
    );
    assert_eq!(
        held(&[support(day(6), false)]).status,
        Status::Standing(Standing::Active)
    );
}

#[test]
fn a_complaint_goes_along_and_only_consent_lifts_it() {
    let lead = moved(&[complaint(day(1), Attribution::Certain)]);
    let status = |pieces: &[Piece]| assessed(&lead, pieces, day(9)).status;
    let complained = Status::Blocklisted(Reason::SpamComplaint(Attribution::Certain));
    assert_eq!(status(&[]), complained);
    assert_eq!(status(&[recheck(day(6)), delivery(day(7))]), complained);
    assert_eq!(status(&[support(day(6), false)]), complained);
    assert_eq!(
        status(&[support(day(6), true)]),
        Status::Standing(Standing::Active)
    );
    let refusal = assessed(&lead, &[], day(9)).may_check_again(day(9));
    assert_eq!(refusal, Err(CheckAgainRefusal::Complaint));
}

#[test]
fn a_possible_complaint_goes_along_and_support_may_lift_it() {
    let lead = moved(&[complaint(day(1), Attribution::Candidate)]);
    let assessment = assessed(&lead, &[], day(9));
    let complained = Status::Blocklisted(Reason::SpamComplaint(Attribution::Candidate));
    assert_eq!(assessment.status, complained);
    assert_eq!(
        assessment.may_check_again(day(9)),
        Err(CheckAgainRefusal::SupportOnly)
    );
    let released = assessed(&lead, &[support(day(6), false)], day(9));
    assert_eq!(released.status, Status::Standing(Standing::Active));
}

#[test]
fn a_complaint_that_names_the_former_address_later_sticks_to_the_lead_too() {
    let mut lead = moved(&[]);
    let late = [complaint(day(6), Attribution::Certain), delivery(day(7))];
    assert!(lead.mark_complaints(&late), "marked");
    assert!(!lead.mark_complaints(&late), "once");
    let complained = Status::Blocklisted(Reason::SpamComplaint(Attribution::Certain));
    assert_eq!(
        assessed(&lead, &[recheck(day(8))], day(9)).status,
        complained
    );
}

#[test]
fn the_certain_complaint_is_shown_before_the_possible_one() {
    let mut lead = moved(&[]);
    lead.mark_complaints(&[complaint(day(6), Attribution::Certain)]);
    let at_new_address = [complaint(day(7), Attribution::Candidate)];
    let shown = assessed(&lead, &at_new_address, day(9));
    assert_eq!(
        shown.status,
        Status::Blocklisted(Reason::SpamComplaint(Attribution::Certain))
    );
    assert_eq!(shown.resolution, Some(Resolution::Never));
}

#[test]
fn a_release_returns_to_the_standing_as_it_is_then() {
    let lead = ann();
    let bounced = [hard(day(1), BounceCause::Unspecified)];
    let blocked = assessed(&lead, &bounced, day(2));
    let lead = lead.save(
        standing(Standing::Unsubscribed, None),
        &blocked,
        &key(),
        day(2),
    );
    let released = [bounced[0].clone(), recheck(day(3))];
    let status = assessed(&lead, &released, day(4)).status;
    assert_eq!(
        status,
        Status::Standing(Standing::Unsubscribed),
        "consent is not resurrected"
    );
}

#[test]
fn the_newer_of_the_crms_word_and_the_recipients_decides_the_standing() {
    let unsubscribed = piece(day(3), Fact::Subscription { unsubscribed: true });
    let resubscribed = piece(
        day(4),
        Fact::Subscription {
            unsubscribed: false,
        },
    );
    let lead = ann();
    let standing_of = |lead: &Lead, pieces: &[Piece]| assessed(lead, pieces, day(9)).standing;
    assert_eq!(
        standing_of(&lead, std::slice::from_ref(&unsubscribed)),
        Standing::Unsubscribed
    );
    assert_eq!(
        standing_of(&lead, &[unsubscribed.clone(), resubscribed]),
        Standing::Active
    );

    let before = assessed(&lead, std::slice::from_ref(&unsubscribed), day(5));
    let synced = lead
        .clone()
        .save(standing(Standing::Active, None), &before, &key(), day(5));
    let why = "a nightly sync that repeats what it always said is no new consent";
    assert_eq!(
        standing_of(&synced, std::slice::from_ref(&unsubscribed)),
        Standing::Unsubscribed,
        "{why}"
    );
    let since = Some(day(5));
    let renewed = lead.save(standing(Standing::Active, since), &before, &key(), day(5));
    assert_eq!(
        standing_of(&renewed, &[unsubscribed]),
        Standing::Active,
        "dated consent is"
    );
}

#[test]
fn check_again_is_permitted_by_resolution_and_time_alone() {
    let at = |pieces: &[Piece]| assessed(&ann(), pieces, day(40)).may_check_again(day(40));
    let rows = [
        (vec![], Err(CheckAgainRefusal::NotBlocklisted)),
        (vec![hard(day(1), BounceCause::Unspecified)], Ok(())),
        (
            vec![hard(day(1), BounceCause::MailboxMissing)],
            Err(CheckAgainRefusal::AddressUnchanged),
        ),
        (
            vec![complaint(day(1), Attribution::Certain)],
            Err(CheckAgainRefusal::Complaint),
        ),
        (
            vec![complaint(day(1), Attribution::Candidate)],
            Err(CheckAgainRefusal::SupportOnly),
        ),
        (vec![manual(day(1))], Err(CheckAgainRefusal::SupportOnly)),
        (
            vec![recheck(day(30)), hard(day(31), BounceCause::Unspecified)],
            Err(CheckAgainRefusal::TooEarly { from: day(60) }),
        ),
    ];
    for (pieces, expected) in rows {
        assert_eq!(at(&pieces), expected, "{pieces:?}");
    }
}

#[test]
fn presses_are_counted_within_the_hour() {
    let mut lead = ann();
    for press in 0..3 {
        assert_eq!(lead.count_recheck(3, hour(0)), Ok(()), "press {press}");
    }
    assert_eq!(
        lead.count_recheck(3, hour(0)),
        Err(hour(1)),
        "and says when to come back"
    );
    assert_eq!(lead.count_recheck(3, hour(1)), Ok(()), "an hour later");
}

#[test]
fn a_release_is_later_than_all_that_was_seen() {
    let lead = moved(&[hard(day(1), BounceCause::MailboxMissing)]);
    let seen = Evidence::from(vec![hard(day(10), BounceCause::Unspecified)]);
    let after = day(10).checked_add(SignedDuration::from_millis(1)).unwrap();
    assert_eq!(
        lead.release_time(&seen, day(9)),
        after,
        "although our clock is behind"
    );
    assert_eq!(lead.release_time(&seen, day(11)), day(11));
    let after_hold = day(5).checked_add(SignedDuration::from_millis(1)).unwrap();
    assert_eq!(lead.release_time(&Evidence::default(), day(4)), after_hold);
}

#[test]
fn a_lead_stays_small() {
    let mut lead = ann();
    let clear = assessed(&lead, &[], day(0));
    for change in 0..100 {
        let former = leadlight::address::AddressKey::new(change.to_string());
        lead = lead.save(
            save(&format!("ann@a{change}.example")),
            &clear,
            &former,
            day(change),
        );
    }
    assert_eq!(lead.history.len(), MAX_HISTORY);
    assert_eq!(lead.former_addresses.len(), MAX_FORMER_ADDRESSES);
    let written = serde_json::to_string(&lead).unwrap();
    assert_eq!(serde_json::from_str::<Lead>(&written).unwrap(), lead);
}

#[test]
fn a_held_lead_survives_being_written_down() {
    let mut lead = moved(&[hard(day(1), BounceCause::MailboxMissing)]);
    lead.mark_complaints(&[complaint(day(6), Attribution::Candidate)]);
    let written = serde_json::to_string(&lead).unwrap();
    assert_eq!(serde_json::from_str::<Lead>(&written).unwrap(), lead);
}

#[test]
fn of_many_complaints_the_newest_of_each_attribution_is_kept() {
    let mut lead = moved(&[]);
    let many = (1..20).map(|n| {
        let attribution = if n % 2 == 0 {
            Attribution::Certain
        } else {
            Attribution::Candidate
        };
        complaint(day(n), attribution)
    });
    lead.mark_complaints(&many.collect::<Vec<_>>());
    let kept: Vec<_> = lead
        .complaints
        .iter()
        .map(|kept| (kept.at, kept.attribution))
        .collect();
    assert_eq!(
        kept,
        [
            (day(18), Attribution::Certain),
            (day(19), Attribution::Candidate)
        ]
    );
}

#[test]
fn the_addresss_certain_complaint_is_shown_before_the_leads_possible_one() {
    let mut lead = moved(&[]);
    lead.mark_complaints(&[complaint(day(6), Attribution::Candidate)]);
    let at_address = complaint(day(7), Attribution::Certain);
    let shown = assessed(&lead, std::slice::from_ref(&at_address), day(9));
    assert_eq!(
        (shown.resolution, shown.because),
        (Some(Resolution::Never), vec![at_address.id])
    );
}

#[test]
fn at_the_very_same_time_the_recipient_wins() {
    let unsubscribed = piece(day(0), Fact::Subscription { unsubscribed: true });
    assert_eq!(
        assessed(&ann(), &[unsubscribed], day(1)).standing,
        Standing::Unsubscribed
    );
    let lead = moved(&[complaint(day(1), Attribution::Certain)]);
    let consent_then = assessed(&lead, &[support(day(1), true)], day(9));
    assert!(
        consent_then.status.reason().is_some(),
        "consent of the same moment lifts nothing"
    );
}

#[test]
fn every_status_has_its_code() {
    let codes = [Status::SoftBouncing, Status::Blocklisted(MISSING)].map(Status::code);
    assert_eq!(codes, ["soft_bouncing", "blocklisted"]);
    assert_eq!(
        Status::Standing(Standing::Unconfirmed).code(),
        "unconfirmed"
    );
}

#[test]
fn the_day_comes_when_it_can_be_checked_again() {
    let pieces = [recheck(day(30)), hard(day(31), BounceCause::Unspecified)];
    let seen_early = assessed(&ann(), &pieces, day(40));
    assert_eq!(
        seen_early.may_check_again(day(60)),
        Ok(()),
        "thirty days after the release"
    );
    let moment_before = day(60).checked_sub(SignedDuration::from_millis(1)).unwrap();
    assert!(seen_early.may_check_again(moment_before).is_err());
}
