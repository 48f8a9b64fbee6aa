//! What a verification concludes from what it saw.

use std::collections::BTreeSet;

use leadlight::assessment::{Reason, objection};
use leadlight::policy::Policy;
use leadlight::verification::{
    Findings, Flag, InconclusiveCause, Listing, MailHosts, UndeliverableCause as Cause, Verdict,
    judge,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::address;

fn verdict_on(text: &str, mail_hosts: MailHosts) -> Verdict {
    let findings = Findings {
        mail_hosts,
        listing: Listing::None,
        unchecked: Vec::new(),
    };
    judge(&address(text), &findings)
}

#[test]
fn only_what_waiting_cannot_change_is_undeliverable() {
    let undeliverable = |cause| Verdict::Undeliverable { cause };
    let implicit = Verdict::Risky {
        flags: BTreeSet::from([Flag::ImplicitMx]),
    };
    let timeout = InconclusiveCause::DnsTimeout;
    let rows = [
        (
            MailHosts::Mx,
            Verdict::Deliverable,
            "a mail server that can be reached",
        ),
        (
            MailHosts::Implicit,
            implicit,
            "no MX: mostly a web server, but allowed (RFC 5321)",
        ),
        (
            MailHosts::NoSuchDomain,
            undeliverable(Cause::NoSuchDomain),
            "NXDOMAIN",
        ),
        (
            MailHosts::None,
            undeliverable(Cause::NoMailServer),
            "a domain without hosts",
        ),
        (
            MailHosts::NullMx,
            undeliverable(Cause::NullMx),
            "the domain wants no mail (RFC 7505)",
        ),
        (
            MailHosts::Unreachable,
            undeliverable(Cause::UnreachableMailServer),
            "private hosts only",
        ),
        (
            MailHosts::Unknown(timeout),
            Verdict::Inconclusive { cause: timeout },
            "silence proves nothing",
        ),
    ];
    for (mail_hosts, expected, why) in rows {
        assert_eq!(verdict_on("ann@example.com", mail_hosts), expected, "{why}");
    }
    let unsendable = verdict_on("éve@example.com", MailHosts::Mx);
    assert_eq!(
        unsendable,
        undeliverable(Cause::UnsendableLocalPart),
        "valid, but SES cannot send to it"
    );
}

#[test]
fn what_is_risky_blocks_only_where_the_policy_says_so() {
    let risky = |flag| Verdict::Risky {
        flags: BTreeSet::from([flag]),
    };
    let lenient = Policy::default();
    let strict = Policy {
        block_disposable: true,
        block_role: true,
        ..Policy::default()
    };
    let only_role = Policy {
        block_role: true,
        ..Policy::default()
    };
    let role = Some(Reason::Undeliverable(Cause::Role));
    assert_eq!(objection(&risky(Flag::Disposable), &lenient), None);
    assert_eq!(objection(&risky(Flag::Role), &lenient), None);
    assert_eq!(
        objection(&risky(Flag::Disposable), &strict),
        Some(Reason::Undeliverable(Cause::Disposable))
    );
    assert_eq!(objection(&risky(Flag::Disposable), &only_role), None);
    assert_eq!(objection(&risky(Flag::Role), &only_role), role);
    assert_eq!(objection(&risky(Flag::ImplicitMx), &strict), None);
}

proptest! {
    #[test]
    fn what_could_not_be_found_out_never_blocks(cause in select(InconclusiveCause::ALL)) {
        let verdict = verdict_on("ann@example.com", MailHosts::Unknown(cause));
        prop_assert_eq!(objection(&verdict, &Policy::default()), None);
    }

    #[test]
    fn letter_case_does_not_change_the_verdict(local in "[a-z]{1,9}", upper in any::<bool>()) {
        let text = format!("{local}@example.com");
        let text = if upper { text.to_uppercase() } else { text };
        prop_assert_eq!(verdict_on(&text, MailHosts::Mx), Verdict::Deliverable);
    }
}
