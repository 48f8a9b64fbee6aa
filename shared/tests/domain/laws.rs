//! What holds for all evidence: merging is a join, order and repetition do not matter, and no complaint is cleared by the way.

use jiff::Timestamp;
use leadlight::assessment::{Condition, Reason, Resolution, assess};
use leadlight::evidence::{
    AddressRecord, Attribution, Authority, BounceCause, Evidence, Fact, Note, Piece, Report,
    SuppressionList,
};
use leadlight::feedback::{Feedback, Published, parse};
use leadlight::gate::{Purpose, Recipient, decide};
use leadlight::lead::{Lead, Save, Status};
use leadlight::policy::Policy;
use leadlight::verification::{UndeliverableCause, Verdict};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::{address, complaint, day, delivery, hour, key, lead_id, piece, report, soft, support};

/// Hours of a story that is long enough to leave every window, short enough to collide.
fn hours() -> impl Strategy<Value = i64> {
    prop_oneof![0_i64..1_200, (0_i64..50).prop_map(|day| day * 24)]
}

fn messages() -> impl Strategy<Value = Report> {
    (0_i64..60, 0_i64..1_200).prop_map(|(id, sent_at)| {
        let mut report = report(hour(sent_at));
        if let Some(message) = report.message.as_mut() {
            message.id = id.to_string();
        }
        report
    })
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Deliverable),
        select(UndeliverableCause::ALL).prop_map(|cause| Verdict::Undeliverable { cause }),
        Just(Verdict::KnownSpammer {
            list: "dbl".to_owned()
        }),
    ]
}

fn facts() -> impl Strategy<Value = Fact> {
    prop_oneof![
        2 => (select(Attribution::ALL), messages()).prop_map(|(attribution, report)| Fact::Complaint { attribution, report }),
        1 => Just(Fact::ManualBlock { actor: "support".to_owned() }),
        3 => (select(BounceCause::ALL), messages()).prop_map(|(cause, report)| Fact::HardBounce { cause, report }),
        8 => messages().prop_map(|report| Fact::SoftBounce { report }),
        2 => (select(SuppressionList::ALL), messages()).prop_map(|(list, report)| Fact::Withheld { list, report }),
        2 => verdicts().prop_map(|verdict| Fact::Verification { verdict }),
        3 => (select(vec!["ann", "bob"]), select(vec![None, Some(true), Some(false)])).prop_map(|(lead, support)| Fact::Release {
            lead: lead_id(lead),
            authority: support.map_or(Authority::Recheck, |with_consent| Authority::Support { actor: "support".to_owned(), with_consent }),
        }),
        4 => messages().prop_filter_map("a message", |report| report.message.map(|message| Fact::Delivery { message })),
        2 => messages().prop_filter_map("a message", |report| report.message.map(|message| Fact::Sent { message })),
        1 => any::<bool>().prop_map(|unsubscribed| Fact::Subscription { unsubscribed }),
        2 => (select(Note::ALL), messages()).prop_map(|(note, report)| Fact::Note { note, report }),
    ]
}

prop_compose! {
    /// Pieces with few enough sources and times that copies, ties and collisions are common.
    fn pieces_one()(fact in facts(), source in 0_u8..40, at in hours(), recorded in hours()) -> Piece {
        Piece::new(fact, &source.to_string(), &key(), hour(at), hour(recorded))
    }
}

pub(crate) fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    prop::collection::vec(pieces_one(), 0..80)
}

fn record(pieces: Vec<Piece>, spelling: String) -> AddressRecord {
    let spellings = [spelling].into();
    AddressRecord {
        address: address("ann@example.com"),
        spellings,
        evidence: Evidence::from(pieces),
    }
}

fn records() -> impl Strategy<Value = AddressRecord> {
    (pieces(), "[aA][nN][nN]@example\\.com").prop_map(|(pieces, spelling)| record(pieces, spelling))
}

/// The bound of a record in pieces: the room of all kinds together.
const MOST_PIECES: usize = 32 + 16 + 8 + 4 * 16;

proptest! {
    #[test]
    fn merging_is_commutative(a in records(), b in records()) {
        prop_assert_eq!(a.clone().merge(b.clone()), b.merge(a));
    }

    #[test]
    fn merging_is_associative(a in records(), b in records(), c in records()) {
        prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.merge(b.merge(c)));
    }

    #[test]
    fn merging_is_idempotent(a in records(), b in records()) {
        let merged = a.clone().merge(b.clone());
        prop_assert_eq!(merged.clone().merge(a), merged.clone());
        prop_assert_eq!(merged.clone().merge(b), merged);
    }

    #[test]
    fn a_record_stays_small(many in prop::collection::vec(pieces_one(), 0..1_500), wide in 0_u32..400) {
        let spread = many.into_iter().enumerate().map(|(n, one)| {
            let source = format!("{wide}-{n}");
            Piece::new(one.fact, &source, &key(), one.at, one.recorded_at.0)
        });
        let evidence: Evidence = spread.collect();
        prop_assert!(evidence.pieces().count() <= MOST_PIECES);
    }

    #[test]
    fn a_record_survives_being_written_down(record in records()) {
        let text = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<AddressRecord>(&text).unwrap(), record);
    }

    #[test]
    fn what_is_blocklisted_is_never_mailable(pieces in pieces(), now in hours()) {
        let evidence = Evidence::from(pieces);
        let lead = Lead::new(lead_id("ann"), save("ann@example.com"), day(0));
        let assessment = lead.assess(assess(&evidence, &Policy::default(), hour(now)), &evidence);
        let blocked = assessment.status.reason().is_some();
        let recipient = Recipient { address: &lead.address, lead: Some(&lead), evidence: &evidence };
        let refused = |purpose| decide(recipient, &Policy::default(), purpose, hour(now)).is_some();
        prop_assert_eq!(refused(Purpose::Transactional), blocked, "only a block refuses all mail");
        prop_assert!(!blocked || refused(Purpose::Marketing));
        prop_assert_eq!(assessment.resolution.is_some(), blocked);
        prop_assert!(!blocked || !assessment.because.is_empty(), "a block cites its evidence");
        prop_assert!(blocked || assessment.may_check_again(hour(now)).is_err());
    }

    #[test]
    fn only_consent_lifts_a_certain_complaint(pieces in pieces(), at in hours(), now in hours()) {
        let consent = |piece: &Piece| matches!(piece.fact, Fact::Release { authority: Authority::Support { with_consent: true, .. }, .. });
        let others = pieces.into_iter().filter(|piece| !consent(piece));
        let evidence: Evidence = others.chain([complaint(hour(at), Attribution::Certain)]).collect();
        let assessment = assess(&evidence, &Policy::default(), hour(now));
        prop_assert_eq!(assessment.reason(), Some(Reason::SpamComplaint(Attribution::Certain)));
        prop_assert_eq!(assessment.resolution, Some(Resolution::Never));
    }

    #[test]
    fn a_complaint_follows_the_lead_to_any_address(elsewhere in pieces(), attribution in select(Attribution::ALL), changes in 1_usize..5) {
        let theirs = |piece: &Piece| match &piece.fact {
            Fact::Release { authority, .. } => *authority == Authority::Recheck,
            _ => true,
        };
        let mut lead = Lead::new(lead_id("ann"), save("ann@old.example"), day(0));
        let old: Evidence = [complaint(day(1), *attribution_of(attribution))].into_iter().collect();
        let before = lead.assess(assess(&old, &Policy::default(), day(2)), &old);
        for change in 0..changes {
            lead = lead.save(save(&format!("ann@new{change}.example")), &before, &key(), day(3));
        }
        let new: Evidence = elsewhere.into_iter().filter(theirs).collect();
        let status = lead.assess(assess(&new, &Policy::default(), day(50)), &new);
        prop_assert!(matches!(status.status, Status::Blocklisted(Reason::SpamComplaint(_))));
        prop_assert!(status.may_check_again(day(50)).is_err());
    }

    #[test]
    fn a_newer_delivery_ends_soft_bounces_and_an_older_one_does_not(bounces in prop::collection::btree_set(0_i64..600, 1..30), delivered in 0_i64..700) {
        let last = *bounces.last().unwrap();
        let first = *bounces.first().unwrap();
        let evidence: Evidence = bounces.iter().map(|at| soft(hour(*at))).chain([delivery(hour(delivered))]).collect();
        let condition = assess(&evidence, &Policy::default(), hour(700)).condition;
        if delivered > last {
            prop_assert_eq!(condition, Condition::Clear);
        } else if delivered <= first {
            let without: Evidence = bounces.iter().map(|at| soft(hour(*at))).collect();
            prop_assert_eq!(condition, assess(&without, &Policy::default(), hour(700)).condition);
            prop_assert_ne!(condition, Condition::Clear);
        } else {
            prop_assert_ne!(condition, Condition::Clear);
        }
    }

    #[test]
    fn only_what_a_verification_may_say_blocks(cause in select(leadlight::verification::InconclusiveCause::ALL), now in hours()) {
        let evidence: Evidence = [piece(day(1), Fact::Verification { verdict: Verdict::Inconclusive { cause } })].into_iter().collect();
        prop_assert_eq!(assess(&evidence, &Policy::default(), hour(now)).condition, Condition::Clear);
    }
}

fn attribution_of(attribution: Attribution) -> &'static Attribution {
    Attribution::ALL
        .iter()
        .find(|one| **one == attribution)
        .unwrap()
}

fn save(text: &str) -> Save {
    Save {
        address: address(text),
        standing: None,
        standing_since: None,
    }
}

/// Notifications as SES might publish them: few messages and feedback ids, so that many say something about the same one.
fn notifications() -> impl Strategy<Value = Vec<String>> {
    let bounce = (
        select(vec!["Permanent", "Transient", "Undetermined"]),
        select(vec![
            "General",
            "NoEmail",
            "MailboxFull",
            "Suppressed",
            "ContentRejected",
        ]),
        select(vec!["", "5.1.1", "5.4.4", "4.2.2", "5.7.1", "2.0.0"]),
        select(vec!["", "failed", "delayed"]),
    );
    let body = prop_oneof![
        bounce.prop_map(|(kind, subtype, status, action)| ("Bounce", "bounce", json!({ "bounceType": kind, "bounceSubType": subtype, "bouncedRecipients": [{ "emailAddress": "ann@example.com", "status": status, "action": action }] }))),
        select(vec!["abuse", "not-spam", "auth-failure"]).prop_map(|kind| ("Complaint", "complaint", json!({ "complaintFeedbackType": kind, "complainedRecipients": [{ "emailAddress": "Ann <ANN@example.com>" }] }))),
        Just(("Delivery", "delivery", json!({ "recipients": ["ann@example.com"] }))),
        Just(("DeliveryDelay", "deliveryDelay", json!({ "delayedRecipients": [{ "emailAddress": "ann@example.com" }] }))),
    ];
    let one = (body, 0_i64..900, 0_u8..60).prop_map(|((kind, payload_key, mut payload), at, id)| {
        payload["timestamp"] = json!(hour(at).to_string());
        payload["feedbackId"] = json!(format!("f{id}-{at}"));
        json!({ "eventType": kind, "mail": { "messageId": format!("m{id}"), "timestamp": hour(i64::from(id) * 15).to_string() }, payload_key: payload }).to_string()
    });
    prop::collection::vec(one, 1..40)
}

fn feedback(text: &str, received_at: Timestamp) -> Vec<Feedback> {
    match parse(text, received_at) {
        Ok(Published::Notification(notification)) => notification.feedback,
        other => panic!("{other:?}"),
    }
}

fn merged(texts: &[String], received_at: impl Fn(usize) -> Timestamp) -> Evidence {
    let pieces = texts
        .iter()
        .enumerate()
        .flat_map(|(n, text)| feedback(text, received_at(n)));
    pieces.fold(Evidence::default(), |evidence, feedback| {
        evidence.merge([feedback.piece(&key())])
    })
}

proptest! {
    #[test]
    fn any_order_with_any_repetition_ends_the_same(
        (texts, shuffled) in notifications().prop_flat_map(|texts| {
            let doubled: Vec<String> = texts.iter().chain(&texts).chain(texts.first()).cloned().collect();
            (Just(texts), Just(doubled).prop_shuffle())
        }),
        later in 0_i64..1_000,
        now in 900_i64..2_000,
    ) {
        let in_order = merged(&texts, |_| day(60));
        let as_it_came = merged(&shuffled, |n| hour(60 * 24 + later + i64::try_from(n).unwrap()));
        let policy = Policy::default();
        prop_assert_eq!(assess(&in_order, &policy, hour(now)), assess(&as_it_came, &policy, hour(now)));
    }

    #[test]
    fn no_text_at_all_makes_the_parser_panic(text in "\\PC*", at in hours()) {
        let _ = parse(&text, hour(at));
    }
}

#[test]
fn weaker_evidence_never_pushes_out_stronger() {
    let certain = complaint(day(0), Attribution::Certain);
    let candidates = (1..50).map(|n| complaint(day(n), Attribution::Candidate));
    let evidence: Evidence = candidates.chain([certain]).collect();
    let reason = assess(&evidence, &Policy::default(), day(60)).reason();
    assert_eq!(reason, Some(Reason::SpamComplaint(Attribution::Certain)));

    let missing = crate::hard(day(0), BounceCause::MailboxMissing);
    let vague = (1..50).map(|n| crate::hard(day(n), BounceCause::Unspecified));
    let evidence: Evidence = vague.chain([missing]).collect();
    let resolution = assess(&evidence, &Policy::default(), day(60)).resolution;
    assert_eq!(resolution, Some(Resolution::AfterAddressChange));

    let consent = support(day(1), true);
    let rechecks = (2..50).map(|n| crate::recheck(day(n)));
    let evidence: Evidence = rechecks
        .chain([consent, complaint(day(0), Attribution::Certain)])
        .collect();
    assert_eq!(
        assess(&evidence, &Policy::default(), day(60)).condition,
        Condition::Clear
    );
}

#[test]
fn a_record_keeps_eight_spellings_and_prints_its_ids() {
    let spelled = |n: usize| AddressRecord {
        spellings: [format!("{n:02}@example.com")].into(),
        ..AddressRecord::new(address("ann@example.com"))
    };
    let merged = |count| {
        (1..count)
            .map(spelled)
            .fold(spelled(0), AddressRecord::merge)
            .spellings
    };
    assert_eq!(merged(8).len(), 8);
    assert_eq!(merged(20).len(), 8);
    let bounce = crate::hard(day(0), BounceCause::Unspecified);
    assert_eq!(bounce.id.as_str(), "bounce:2026-03-01T12:00:00Z:6b");
    assert_eq!((key().as_str(), key().to_string().as_str()), ("6b", "6b"));
}
