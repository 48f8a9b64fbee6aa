//! The log of a lead tells its own story: its history, its addresses, its releases.

use leadlight::assessment::assess;
use leadlight::evidence::{Attribution, Authority, BounceCause, Evidence, Fact};
use leadlight::lead::{Lead, LeadEvent, Save};
use leadlight::log::entries;
use leadlight::policy::Policy;
use leadlight::verification::{Flag, Verdict};

use crate::{address, complaint, day, delivery, hard, key, lead_id, piece, recheck};

#[test]
fn the_log_tells_the_story_newest_first() {
    let save = |text: &str| Save {
        address: address(text),
        standing: None,
        standing_since: None,
    };
    let lead = Lead::new(lead_id("ann"), save("ann@old.example"), day(0));
    let mut bounced = hard(day(1), BounceCause::MailboxMissing);
    if let Fact::HardBounce { report, .. } = &mut bounced.fact {
        report.diagnostic = Some("550 5.1.1 no such user".to_owned());
    }
    let old = Evidence::from(vec![
        bounced,
        hard(day(9), BounceCause::Unspecified),
        complaint(day(10), Attribution::Certain),
    ]);
    let before = Evidence::from(vec![hard(day(1), BounceCause::MailboxMissing)]);
    let blocked = lead.assess(assess(&before, &Policy::default(), day(2)), &before);
    let mut lead = lead.save(save("ann@new.example"), &blocked, &key(), day(2));
    lead.record(day(3), LeadEvent::RecheckFailed);
    let others = Fact::Release {
        lead: lead_id("bob"),
        authority: Authority::Recheck,
    };
    let new = Evidence::from(vec![
        recheck(day(4)),
        piece(day(5), others),
        delivery(day(6)),
    ]);

    let log = entries(&lead, &new, &[(day(2), old)]);
    let told: Vec<_> = log
        .iter()
        .map(|entry| {
            (
                entry.at,
                entry.event.code(),
                entry.detail.as_deref(),
                entry.former_address,
            )
        })
        .collect();
    let expected = [
        (day(10), "complaint", Some("certain"), true),
        (day(6), "delivered", None, false),
        (day(4), "safelisted", Some("recheck"), false),
        (day(3), "recheck_failed", None, false),
        (day(2), "address_changed", Some("held"), false),
        (day(1), "hard_bounce", Some("mailbox_missing"), true),
        (day(0), "created", Some("active"), false),
    ];
    assert_eq!(
        told, expected,
        "without the bounce of day 9 and Bob's release: not Ann's story"
    );
    assert_eq!(log[5].diagnostic.as_deref(), Some("550 5.1.1 no such user"));
}

#[test]
fn a_verification_tells_what_it_noted() {
    let save = Save {
        address: address("ann@example.com"),
        standing: None,
        standing_since: None,
    };
    let lead = Lead::new(lead_id("ann"), save, day(0));
    let flags = [Flag::ImplicitMx, Flag::Role].into();
    let verified = piece(
        day(1),
        Fact::Verification {
            verdict: Verdict::Risky { flags },
        },
    );
    let log = entries(&lead, &Evidence::from(vec![verified]), &[]);
    assert_eq!(log[0].detail.as_deref(), Some("risky:implicit_mx,role"));
}
