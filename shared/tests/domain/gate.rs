//! The gate, row by row, and what holds for every recipient.

use jiff::Timestamp;
use leadlight::assessment::{Condition, Resolution, assess};
use leadlight::evidence::{
    Attribution::{Candidate, Certain},
    BounceCause::{MailboxMissing, Unspecified},
    Evidence, Fact, Piece,
    SuppressionList::{Account, Global},
};
use leadlight::gate::{Objection, Purpose, Recipient, Resolver, decide};
use leadlight::lead::{Lead, Save, Standing, Status};
use leadlight::policy::Policy;
use leadlight::verification::UndeliverableCause;
use proptest::prelude::*;
use proptest::sample::select;

use crate::laws::pieces;
use crate::{
    address, complaint, day, delivery, hard, hour, key, lead_id, manual, piece, recheck, soft,
    support, undeliverable, withheld,
};

/// Today, in every row.
const TODAY: i64 = 40;
const ANN: &str = "ann@example.com";

fn subscription(at: Timestamp, unsubscribed: bool) -> Piece {
    piece(at, Fact::Subscription { unsubscribed })
}

/// The lead `ann`, saved with `address` and `standing` on the first day.
fn saved(address_text: &str, standing: Standing) -> Lead {
    let save = Save {
        address: address(address_text),
        standing: Some(standing),
        standing_since: None,
    };
    Lead::new(lead_id("ann"), save, day(0))
}

fn ann(standing: Standing) -> Lead {
    saved(ANN, standing)
}

/// `ann` after her address was changed on day 20, when `pieces` were held against the former one.
fn moved(pieces: Vec<Piece>) -> Lead {
    let former = saved("former@example.com", Standing::Active);
    let evidence = Evidence::from(pieces);
    let before = former.assess(assess(&evidence, &Policy::default(), day(20)), &evidence);
    let save = Save {
        address: address(ANN),
        standing: None,
        standing_since: None,
    };
    former.save(save, &before, &key(), day(20))
}

fn decide_today(lead: Option<&Lead>, evidence: &Evidence, purpose: Purpose) -> Option<Objection> {
    let recipient = Recipient {
        address: &address(ANN),
        lead,
        evidence,
    };
    decide(recipient, &Policy::default(), purpose, day(TODAY))
}

/// Ground, resolution and resolver as one line of codes.
fn summary(objection: Option<&Objection>) -> String {
    let Some(objection) = objection else {
        return "allow".to_owned();
    };
    let cause = objection.ground.cause().map(|cause| format!("/{cause}"));
    let (code, cause) = (objection.ground.code(), cause.unwrap_or_default());
    let resolution = objection.resolution.code();
    format!("{code}{cause} {resolution} {}", objection.resolver())
}

#[test]
fn every_answer_of_the_gate_has_its_reason() {
    use Standing::{Active, Unconfirmed, Unsubscribed};
    struct Row(
        &'static str,
        Option<Lead>,
        Vec<Piece>,
        &'static str,
        &'static str,
    );
    let allow = "allow";
    let unsubscribed = "unsubscribed never recipient";
    let rows = vec![
        Row(
            "nothing is known of the address, and no lead is named",
            None,
            vec![],
            allow,
            allow,
        ),
        Row(
            "an active lead without history",
            Some(ann(Active)),
            vec![],
            allow,
            allow,
        ),
        Row(
            "an unconfirmed lead is the CRM's to judge",
            Some(ann(Unconfirmed)),
            vec![],
            allow,
            allow,
        ),
        Row(
            "a delivery is no objection",
            Some(ann(Active)),
            vec![delivery(day(30))],
            allow,
            allow,
        ),
        Row(
            "soft bounces below the threshold may be mailed",
            Some(ann(Active)),
            vec![soft(day(38))],
            allow,
            allow,
        ),
        Row(
            "soft bouncing hides no unsubscription",
            Some(ann(Unsubscribed)),
            vec![soft(day(38))],
            unsubscribed,
            allow,
        ),
        Row(
            "the CRM says unsubscribed",
            Some(ann(Unsubscribed)),
            vec![],
            unsubscribed,
            allow,
        ),
        Row(
            "the recipient unsubscribed with SES after the CRM's word",
            Some(ann(Active)),
            vec![subscription(day(5), true)],
            unsubscribed,
            allow,
        ),
        Row(
            "the recipient unsubscribed at the very moment of the CRM's word",
            Some(ann(Active)),
            vec![subscription(day(0), true)],
            unsubscribed,
            allow,
        ),
        Row(
            "the CRM's word is newer than the recipient's",
            Some(ann(Active)),
            vec![subscription(hour(-1), true)],
            allow,
            allow,
        ),
        Row(
            "no lead is named, so the recipient's own word decides",
            None,
            vec![subscription(day(5), true)],
            unsubscribed,
            allow,
        ),
        Row(
            "the recipient came back",
            None,
            vec![subscription(day(5), true), subscription(day(6), false)],
            allow,
            allow,
        ),
        Row(
            "the recipient came back and left again",
            None,
            vec![subscription(day(6), false), subscription(day(7), true)],
            unsubscribed,
            allow,
        ),
        Row(
            "coming back with SES is not consent where the CRM knows of none",
            Some(ann(Unsubscribed)),
            vec![subscription(day(5), false)],
            unsubscribed,
            allow,
        ),
        Row(
            "a missing mailbox, lead or no lead",
            None,
            vec![hard(day(39), MailboxMissing)],
            "hard_bounce/mailbox_missing after_address_change anyone",
            "hard_bounce/mailbox_missing after_address_change anyone",
        ),
        Row(
            "a hard bounce outweighs an unsubscription: the stronger ground is named",
            Some(ann(Unsubscribed)),
            vec![hard(day(39), Unspecified)],
            "hard_bounce/unspecified check_again anyone",
            "hard_bounce/unspecified check_again anyone",
        ),
        Row(
            "a complaint stops transactional mail too",
            Some(ann(Active)),
            vec![complaint(day(1), Certain)],
            "spam_complaint/certain never recipient",
            "spam_complaint/certain never recipient",
        ),
        Row(
            "a possible complaint is for support",
            None,
            vec![complaint(day(1), Candidate)],
            "spam_complaint/candidate support_only support",
            "spam_complaint/candidate support_only support",
        ),
        Row(
            "a complaint that the recipient took back",
            Some(ann(Active)),
            vec![complaint(day(1), Certain), support(day(2), true)],
            allow,
            allow,
        ),
        Row(
            "a person blocked it",
            None,
            vec![manual(day(1))],
            "manual support_only support",
            "manual support_only support",
        ),
        Row(
            "withheld by SES",
            None,
            vec![withheld(day(39), Account)],
            "withheld_by_provider/account check_again anyone",
            "withheld_by_provider/account check_again anyone",
        ),
        Row(
            "the domain is gone",
            None,
            vec![undeliverable(day(39), UndeliverableCause::NoSuchDomain)],
            "undeliverable/no_such_domain check_again anyone",
            "undeliverable/no_such_domain check_again anyone",
        ),
        Row(
            "released after the bounce",
            Some(ann(Active)),
            vec![hard(day(30), Unspecified), recheck(day(31))],
            allow,
            allow,
        ),
        Row(
            "a corrected address is held until Check again",
            Some(moved(vec![hard(day(19), MailboxMissing)])),
            vec![],
            "hard_bounce/mailbox_missing check_again anyone",
            "hard_bounce/mailbox_missing check_again anyone",
        ),
        Row(
            "a corrected address that was checked again",
            Some(moved(vec![hard(day(19), MailboxMissing)])),
            vec![recheck(day(21))],
            allow,
            allow,
        ),
        Row(
            "a complaint follows the lead to its new address",
            Some(moved(vec![complaint(day(19), Certain)])),
            vec![recheck(day(21))],
            "spam_complaint/certain never recipient",
            "spam_complaint/certain never recipient",
        ),
        Row(
            "an address that was never saved with the lead goes round its hold",
            Some(saved("other@example.com", Active)),
            vec![],
            "another_address after_address_change anyone",
            "another_address after_address_change anyone",
        ),
        Row(
            "the lead's own letter case is no other address",
            Some(saved("ANN@example.com", Active)),
            vec![],
            allow,
            allow,
        ),
        Row(
            "what is known of the address itself is the better reason",
            Some(saved("other@example.com", Active)),
            vec![hard(day(39), MailboxMissing)],
            "hard_bounce/mailbox_missing after_address_change anyone",
            "hard_bounce/mailbox_missing after_address_change anyone",
        ),
    ];
    for Row(why, lead, pieces, marketing, transactional) in rows {
        let evidence = Evidence::from(pieces);
        for (purpose, expected) in [
            (Purpose::Marketing, marketing),
            (Purpose::Transactional, transactional),
        ] {
            let objection = decide_today(lead.as_ref(), &evidence, purpose);
            assert_eq!(summary(objection.as_ref()), expected, "{why} ({purpose})");
        }
    }
}

#[test]
fn an_objection_says_since_when_on_what_evidence_and_what_to_do() {
    let bounce = hard(day(39), MailboxMissing);
    let evidence = Evidence::from(vec![bounce.clone()]);
    let objection = decide_today(None, &evidence, Purpose::Marketing).unwrap();
    assert_eq!(objection.since, Some(day(39)));
    assert_eq!(objection.because, [bounce.id]);
    assert_eq!(
        objection.what_to_do(),
        "Correct the address and press Check again."
    );

    let word = subscription(day(5), true);
    let evidence = Evidence::from(vec![word.clone()]);
    let objection = decide_today(Some(&ann(Standing::Active)), &evidence, Purpose::Marketing);
    let objection = objection.unwrap();
    assert_eq!(objection.since, Some(day(5)));
    assert_eq!(objection.because, [word.id]);
    assert_eq!(objection.resolver(), Resolver::Recipient);

    let by_crm = ann(Standing::Unsubscribed);
    let objection = decide_today(Some(&by_crm), &Evidence::default(), Purpose::Marketing);
    let objection = objection.unwrap();
    assert_eq!((objection.since, objection.because), (Some(day(0)), vec![]));

    let complaint = Evidence::from(vec![complaint(day(1), Certain)]);
    let objection = decide_today(None, &complaint, Purpose::Transactional).unwrap();
    assert_eq!(
        objection.what_to_do(),
        "Reach the person through another channel first."
    );

    let global = Evidence::from(vec![withheld(day(39), Global)]);
    let objection = decide_today(None, &global, Purpose::Marketing).unwrap();
    assert_eq!(objection.check_again_from, Some(day(53)));
    assert!(
        objection
            .what_to_do()
            .contains("wait until it may be checked again")
    );

    let account = Evidence::from(vec![withheld(day(39), Account)]);
    let objection = decide_today(None, &account, Purpose::Marketing).unwrap();
    assert_eq!(objection.check_again_from, None);
    assert_eq!(
        objection.what_to_do(),
        "Make sure that the address is right and press Check again."
    );
}

fn leads() -> impl Strategy<Value = Option<Lead>> {
    let lead = (
        select(Standing::ALL),
        select(vec![ANN, "ANN@example.com", "other@example.com"]),
        pieces(),
        any::<bool>(),
    );
    prop::option::of(lead.prop_map(|(standing, at, history, has_moved)| {
        if !has_moved {
            return saved(at, standing);
        }
        let mut lead = moved(history);
        lead.standing = standing;
        lead
    }))
}

proptest! {
    #[test]
    fn what_is_blocklisted_is_refused_for_every_purpose(lead in leads(), history in pieces()) {
        let evidence = Evidence::from(history);
        let condition = assess(&evidence, &Policy::default(), day(TODAY));
        let status = lead.as_ref().map(|lead| lead.assess(condition.clone(), &evidence).status);
        let blocked = match (status, condition.condition) {
            (Some(Status::Blocklisted(reason)), _) | (None, Condition::Blocklisted(reason)) => Some(reason),
            (Some(_), _) | (None, Condition::Clear | Condition::SoftBouncing) => None,
        };
        for purpose in Purpose::ALL {
            let objection = decide_today(lead.as_ref(), &evidence, *purpose);
            if let Some(reason) = blocked {
                prop_assert_eq!(objection.as_ref().map(|objection| objection.ground.code()), Some(reason.code()));
            } else if *purpose == Purpose::Transactional {
                let elsewhere = lead.as_ref().is_some_and(|lead| !lead.address.is_same_mailbox(&address(ANN)));
                prop_assert_eq!(objection.is_some(), elsewhere);
            }
        }
    }

    #[test]
    fn an_address_that_is_blocklisted_is_refused_whatever_the_lead(lead in leads(), history in pieces()) {
        let evidence = Evidence::from(history);
        if decide_today(None, &evidence, Purpose::Transactional).is_some() {
            prop_assert!(decide_today(lead.as_ref(), &evidence, Purpose::Transactional).is_some());
        }
    }

    #[test]
    fn marketing_stops_exactly_where_the_leads_standing_says_unsubscribed(standing in select(Standing::ALL), history in pieces()) {
        let lead = saved(ANN, standing);
        let evidence = Evidence::from(history);
        let found = lead.assess(assess(&evidence, &Policy::default(), day(TODAY)), &evidence);
        let refused = decide_today(Some(&lead), &evidence, Purpose::Marketing).is_some();
        let unsubscribed = found.standing == Standing::Unsubscribed;
        prop_assert_eq!(refused, found.status.reason().is_some() || unsubscribed);
    }

    #[test]
    fn every_objection_says_who_can_do_what(lead in leads(), history in pieces(), purpose in select(Purpose::ALL)) {
        if let Some(objection) = decide_today(lead.as_ref(), &Evidence::from(history), purpose) {
            prop_assert!(objection.what_to_do().ends_with('.'));
            prop_assert_eq!(objection.resolver() == Resolver::Recipient, objection.resolution == Resolution::Never);
        }
    }
}
