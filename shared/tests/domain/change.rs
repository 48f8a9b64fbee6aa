//! What counts as a change, and what is told of a lead while its items are written.

use jiff::Timestamp;
use leadlight::account::AccountId;
use leadlight::address::AddressKey;
use leadlight::assessment::Resolution;
use leadlight::change::{
    Change, CloudEvent, EVENT_TYPE, SeenEvidence, SeenLead, Told, ToldStatus, Written, follow,
};
use leadlight::evidence::{Attribution, BounceCause, Evidence, Fact, Note, Piece};
use leadlight::lead::{Lead, Save, Standing};
use leadlight::policy::Policy;
use leadlight::verification::Verdict;

use crate::{
    address, complaint, day, delivery, hard, key, lead_id, note, piece, recheck, soft, verified,
};

fn other_key() -> AddressKey {
    AddressKey::new("07".to_owned())
}

fn lead(standing: Standing) -> Lead {
    let save = Save {
        address: address("ann@old.example"),
        standing: Some(standing),
        standing_since: Some(day(0)),
    };
    Lead::new(lead_id("ann"), save, day(0))
}

fn seen_lead(address: AddressKey, version: u64, standing: Standing) -> SeenLead {
    SeenLead::new(address, version, lead(standing))
}

fn seen(address: AddressKey, version: u64, pieces: &[Piece]) -> SeenEvidence {
    SeenEvidence::new(address, version, &Evidence::from(pieces.to_vec()))
}

#[test]
fn a_lead_differs_by_its_address_and_by_what_a_status_follows_from() {
    let before = seen_lead(key(), 1, Standing::Active);
    let rows = [
        (seen_lead(key(), 1, Standing::Active), false, "the same"),
        (
            seen_lead(key(), 2, Standing::Active),
            false,
            "another version alone",
        ),
        (
            seen_lead(other_key(), 2, Standing::Active),
            true,
            "another address alone",
        ),
        (
            seen_lead(key(), 2, Standing::Unsubscribed),
            true,
            "another standing alone",
        ),
        (
            seen_lead(other_key(), 2, Standing::Unsubscribed),
            true,
            "both",
        ),
    ];
    for (after, differs, why) in rows {
        assert_eq!(after.differs(&before), differs, "{why}");
    }
}

#[test]
fn evidence_differs_by_what_another_status_can_follow_from() {
    let policy = Policy::default();
    let subscription = |unsubscribed| piece(day(1), Fact::Subscription { unsubscribed });
    let sent = piece(
        day(1),
        match delivery(day(1)).fact {
            Fact::Delivery { message } => Fact::Sent { message },
            other => other,
        },
    );
    let rows: [(&[Piece], &[Piece], bool, &str); 10] = [
        (&[], &[], false, "nothing and nothing"),
        (
            &[],
            &[note(day(1), Note::Delayed)],
            false,
            "a note says nothing",
        ),
        (&[], &[sent], false, "that it was sent says nothing"),
        (
            &[],
            &[delivery(day(1))],
            false,
            "a delivery ends nothing that is not there",
        ),
        (
            &[],
            &[hard(day(1), BounceCause::MailboxMissing)],
            true,
            "a block",
        ),
        (&[], &[soft(day(1))], true, "a strike"),
        (
            &[soft(day(1))],
            &[soft(day(1)), delivery(day(2))],
            true,
            "a delivery ends the strikes",
        ),
        (&[], &[subscription(true)], true, "the recipient's own word"),
        (
            &[],
            &[verified(day(1), Verdict::Deliverable)],
            true,
            "a verification, even of what was good already",
        ),
        (
            &[],
            &[recheck(day(1))],
            true,
            "a release, even of what was not blocked",
        ),
    ];
    for (before, after, differs, why) in rows {
        let before = Evidence::from(before.to_vec());
        let after = seen(key(), 2, after);
        assert_eq!(after.differs(&before, &policy, day(3)), differs, "{why}");
    }
}

#[test]
fn what_no_status_follows_from_is_not_kept() {
    let pieces = [
        note(day(1), Note::Delayed),
        hard(day(1), BounceCause::MailboxMissing),
        delivery(day(2)),
    ];
    let kept = seen(key(), 1, &pieces);
    let times: Vec<Timestamp> = kept.evidence.pieces().map(|piece| piece.at).collect();
    assert_eq!(times, [day(1), day(2)]);
}

/// Folds in, and expects that it was news.
#[track_caller]
fn told(before: Option<&Told>, written: Written, now: Timestamp) -> Told {
    follow(before, written, &Policy::default(), now).unwrap()
}

fn of_lead(seen: SeenLead, now: Option<SeenEvidence>) -> Written {
    Written::Lead(Box::new(seen), now)
}

#[track_caller]
fn check_status(told: &Told, changes: u64, status: &str) {
    let last = told.status.as_ref().map(|status| status.status.as_str());
    assert_eq!((told.changes, last), (changes, Some(status)));
}

#[test]
fn a_bounce_is_one_change_however_often_it_comes() {
    let saved = told(
        None,
        of_lead(seen_lead(key(), 1, Standing::Active), None),
        day(0),
    );
    check_status(&saved, 0, "active");
    assert_eq!(saved.change, None);
    let bounce = hard(day(1), BounceCause::MailboxMissing);
    let written = Written::Evidence(seen(key(), 1, std::slice::from_ref(&bounce)));
    let bounced = told(Some(&saved), written.clone(), day(1));
    check_status(&bounced, 1, "blocklisted");
    let change = bounced.change.clone().unwrap();
    let plain = |status: &str| ToldStatus {
        status: status.to_owned(),
        reason: None,
        cause: None,
    };
    let expected = Change {
        lead: lead_id("ann"),
        from: plain("active"),
        to: ToldStatus {
            reason: Some("hard_bounce".to_owned()),
            cause: Some("mailbox_missing".to_owned()),
            ..plain("blocklisted")
        },
        resolution: Some(Resolution::AfterAddressChange),
        since: Some(day(1)),
        evidence: vec![bounce.id.clone()],
        changed_at: day(1),
    };
    assert_eq!(change, expected);
    assert_eq!(
        follow(Some(&bounced), written, &Policy::default(), day(2)),
        None
    );
    // A newer version that says the same is news, and no change.
    let again = told(
        Some(&bounced),
        Written::Evidence(seen(key(), 2, &[bounce])),
        day(2),
    );
    check_status(&again, 1, "blocklisted");
    assert_eq!(again.change, bounced.change);
    let account = AccountId::parse("acme").unwrap();
    let event = CloudEvent::new("id-1".to_owned(), &account, change.clone());
    let expected = CloudEvent {
        specversion: "1.0".to_owned(),
        id: "id-1".to_owned(),
        source: "/accounts/acme".to_owned(),
        kind: EVENT_TYPE.to_owned(),
        subject: "ann".to_owned(),
        time: day(1),
        datacontenttype: "application/json".to_owned(),
        data: change,
    };
    assert_eq!(event, expected);
}

#[test]
fn what_is_older_than_what_is_known_is_known() {
    let lead = |version| of_lead(seen_lead(key(), version, Standing::Active), None);
    let evidence = |key: AddressKey, version| Written::Evidence(seen(key, version, &[]));
    let mut story = told(None, lead(2), day(0));
    story = told(Some(&story), evidence(key(), 5), day(0));
    story = told(Some(&story), evidence(other_key(), 3), day(0));
    let rows = [
        (lead(1), true, "an older lead"),
        (lead(2), true, "the same lead"),
        (lead(3), false, "a newer lead"),
        (evidence(key(), 4), true, "older evidence"),
        (evidence(key(), 5), true, "the same evidence"),
        (evidence(key(), 6), false, "newer evidence"),
        (
            evidence(other_key(), 3),
            true,
            "the same of the other address",
        ),
        (
            evidence(other_key(), 4),
            false,
            "newer of the other address",
        ),
        (
            evidence(AddressKey::new("99".to_owned()), 1),
            false,
            "of a third address",
        ),
    ];
    for (written, known, why) in rows {
        assert_eq!(story.knows(&written), known, "{why}");
        let followed = follow(Some(&story), written, &Policy::default(), day(1));
        assert_eq!(followed.is_none(), known, "{why}");
    }
}

#[test]
fn a_lead_takes_the_evidence_of_the_address_that_it_has() {
    let bounce = [hard(day(1), BounceCause::MailboxMissing)];
    // A save writes the evidence of the new address first; of a lead that was not seen nothing is told.
    let early = told(
        None,
        Written::Evidence(seen(other_key(), 1, &bounce)),
        day(1),
    );
    assert_eq!((early.changes, &early.status), (0, &None));
    let arrived = of_lead(seen_lead(other_key(), 1, Standing::Active), None);
    let arrived = told(Some(&early), arrived, day(1));
    check_status(&arrived, 1, "blocklisted");

    // The evidence of an address that it does not have yet changes nothing, until it has it.
    let at_home = told(
        None,
        of_lead(seen_lead(key(), 1, Standing::Active), None),
        day(0),
    );
    let clean = Written::Evidence(seen(key(), 1, &[]));
    let at_home = told(Some(&at_home), clean, day(0));
    let before = told(
        Some(&at_home),
        Written::Evidence(seen(other_key(), 1, &bounce)),
        day(1),
    );
    check_status(&before, 0, "active");
    let moved = of_lead(seen_lead(other_key(), 2, Standing::Active), None);
    let moved = told(Some(&before), moved, day(2));
    check_status(&moved, 1, "blocklisted");
    // And what it left stays what it was: back there, it is clean.
    let back = of_lead(seen_lead(key(), 3, Standing::Active), None);
    check_status(&told(Some(&moved), back, day(3)), 2, "active");

    // Evidence that comes along with a lead is that of its address.
    let along = of_lead(
        seen_lead(other_key(), 2, Standing::Active),
        Some(seen(other_key(), 1, &bounce)),
    );
    let along = told(Some(&at_home), along, day(2));
    check_status(&along, 1, "blocklisted");
    // Of an address that it has already, what was seen counts, not what comes along.
    let stale = of_lead(
        seen_lead(other_key(), 3, Standing::Active),
        Some(seen(other_key(), 0, &[])),
    );
    check_status(&told(Some(&along), stale, day(3)), 1, "blocklisted");
}

#[test]
fn a_change_of_standing_is_told_unless_a_block_hides_it() {
    let saved = told(
        None,
        of_lead(seen_lead(key(), 1, Standing::Active), None),
        day(0),
    );
    let left = of_lead(seen_lead(key(), 2, Standing::Unsubscribed), None);
    check_status(&told(Some(&saved), left.clone(), day(1)), 1, "unsubscribed");
    let complained = [complaint(day(1), Attribution::Certain)];
    let complained = Written::Evidence(seen(key(), 1, &complained));
    let complained = told(Some(&saved), complained, day(1));
    check_status(&complained, 1, "blocklisted");
    check_status(&told(Some(&complained), left, day(2)), 1, "blocklisted");
}
