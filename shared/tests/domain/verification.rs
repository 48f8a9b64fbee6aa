//! What a verification concludes from what it saw, and from the address itself.
//!
//! The traps of email verification that need no network, by their number in the list that this was built from:
//!
//! | trap | test |
//! | --- | --- |
//! | 1 to 7, 36: what DNS says, and what its silence does not | `only_what_waiting_cannot_change_is_undeliverable`, `what_could_not_be_found_out_never_blocks` |
//! | 12: an abused legitimate domain | `a_warned_domain_makes_nobody_a_spammer` |
//! | 15: a list of domains names a provider | `whoever_shares_a_domain_with_all_the_world_is_not_judged_by_it` |
//! | 16: one mailbox, many spellings | `a_blocklist_finds_every_spelling_of_a_mailbox` |
//! | 17: letter case before the `@` | `neither_letter_case_nor_composition_changes_the_verdict`, `address::letter_case_does_not_make_another_mailbox` |
//! | 18, 19: slips, and real domains that look like slips | `a_slip_is_offered_its_provider`, `a_slip_is_offered_though_its_domain_takes_mail`, `no_provider_is_taken_for_a_slip`, `real_domains_are_not_corrected` |
//! | 20: throwaway domains | `a_throwaway_domain_is_known_with_all_below_it`, `no_list_condemns_a_public_suffix` |
//! | 21: relays | `a_relay_is_no_throwaway_domain` |
//! | 22: roles, and addresses that nobody reads | `a_role_is_noted_and_what_nobody_reads_is_refused_by_policy` |
//! | 23: letters with combining marks | `address::an_address_is_normalised_once` |
//! | 24: valid, but not for SES | `only_what_waiting_cannot_change_is_undeliverable`, `a_local_part_beyond_ascii_is_called_valid` |
//! | 25: odd characters | `address::every_rejection_says_what_is_wrong_and_where`, `address::the_odd_character_is_named` |
//! | 26: pasted names and links | `address::every_rejection_says_what_is_wrong_and_where`, `address::what_is_pasted_offers_the_address_inside` |
//! | 27: letters that look alike | `address::a_domain_of_mixed_scripts_is_shown_with_its_a_label`, `what_is_worth_a_warning_is_flagged` |
//! | 28: legal but unusual forms | `address::a_legal_but_unusual_form_is_never_called_invalid` |
//! | 29: reserved names | `address::names_outside_the_public_dns_are_refused` |
//! | 30: more than 64 octets before the `@` | `what_is_worth_a_warning_is_flagged` |

use std::collections::BTreeSet;

use leadlight::address::Address;
use leadlight::assessment::{Reason, objection};
use leadlight::policy::Policy;
use leadlight::verification::{
    Findings, Flag, InconclusiveCause, Listing, MailHosts, UndeliverableCause as Cause, Verdict,
    Verification, blocklist_key, free_mail, is_disposable, is_free_mail, is_no_reply, is_role,
    judge, suggestion,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::address;

fn findings(mail_hosts: MailHosts, listing: Listing) -> Findings {
    Findings {
        mail_hosts,
        listing,
        unchecked: Vec::new(),
    }
}

fn verdict_on(text: &str, mail_hosts: MailHosts) -> Verdict {
    judge(&address(text), &findings(mail_hosts, Listing::None))
}

fn flags_of(verdict: &Verdict) -> Vec<Flag> {
    match verdict {
        Verdict::Risky { flags } => flags.iter().copied().collect(),
        _ => Vec::new(),
    }
}

fn spammer() -> Listing {
    let list = "a list".to_owned();
    Listing::Spammer { list }
}

fn warned() -> Listing {
    let list = "a list".to_owned();
    Listing::Warned { list }
}

/// What is suggested for an address at `domain`.
fn meant(domain: &str, cannot_receive: bool) -> Option<String> {
    let meant = suggestion(&address(&format!("Ann.Lee@{domain}")), cannot_receive)?;
    assert_eq!(meant.local_part(), "Ann.Lee", "only the domain is a slip");
    Some(meant.domain().to_owned())
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

#[test]
fn a_warned_domain_makes_nobody_a_spammer() {
    let verdict = |listing| {
        let verdict = judge(
            &address("ann@lead.example"),
            &findings(MailHosts::Mx, listing),
        );
        let blocks = objection(&verdict, &Policy::default());
        (verdict, blocks)
    };
    let flags = BTreeSet::from([Flag::ListedWithWarning]);
    assert_eq!(verdict(warned()), (Verdict::Risky { flags }, None));
    let list = "a list".to_owned();
    assert_eq!(
        verdict(spammer()),
        (Verdict::KnownSpammer { list }, Some(Reason::KnownSpammer))
    );
}

#[test]
fn a_known_spammer_is_one_whether_or_not_the_domain_answers() {
    for mail_hosts in [
        MailHosts::NoSuchDomain,
        MailHosts::Unknown(InconclusiveCause::DnsTimeout),
    ] {
        let verdict = judge(
            &address("ann@lead.example"),
            &findings(mail_hosts, spammer()),
        );
        let list = "a list".to_owned();
        assert_eq!(verdict, Verdict::KnownSpammer { list }, "{mail_hosts:?}");
    }
}

#[test]
fn whoever_shares_a_domain_with_all_the_world_is_not_judged_by_it() {
    for domain in [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "qq.com",
        "web.de",
        "proton.me",
        "duck.com",
        "x.anonaddy.com",
    ] {
        assert!(is_free_mail(domain), "{domain}");
    }
    for domain in [
        "acme.example",
        "mail.gmail.com.example",
        "gmail.com.evil.example",
    ] {
        assert!(!is_free_mail(domain), "{domain}");
    }
}

#[test]
fn a_blocklist_finds_every_spelling_of_a_mailbox() {
    let rows = [
        (
            "a.b+x@googlemail.com",
            "ab@gmail.com",
            "Gmail knows no dots, tags or second domain",
        ),
        ("AB@Gmail.com", "ab@gmail.com", "nor letter case"),
        (
            "a.b+x@lead.example",
            "a.b@lead.example",
            "elsewhere dots are letters like others",
        ),
        (
            "+x@lead.example",
            "+x@lead.example",
            "a tag of nothing is a name",
        ),
        (
            "Ann@bücher.example",
            "ann@xn--bcher-kva.example",
            "domains as A-labels",
        ),
    ];
    for (text, expected, why) in rows {
        assert_eq!(blocklist_key(&address(text)), expected, "{why}");
    }
    assert!(
        !address("ab@gmail.com").is_same_mailbox(&address("a.b@gmail.com")),
        "mail is sent to what was typed, and evidence kept for it"
    );
}

#[test]
fn a_slip_is_offered_its_provider() {
    let rows = [
        ("gmial.com", "gmail.com"),
        ("gmai.com", "gmail.com"),
        ("gmal.com", "gmail.com"),
        ("gmil.com", "gmail.com"),
        ("gmaill.com", "gmail.com"),
        ("gmaul.com", "gmail.com"),
        ("gnail.com", "gmail.com"),
        ("fmail.com", "gmail.com"),
        ("gmaim.com", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmail.cpm", "gmail.com"),
        ("gmail.cmo", "gmail.com"),
        ("gmail.cm", "gmail.com"),
        ("gmail.comm", "gmail.com"),
        ("gmial.con", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("hotmal.com", "hotmail.com"),
        ("hotmai.com", "hotmail.com"),
        ("hotfail.com", "hotmail.com"),
        ("hotnail.com", "hotmail.com"),
        ("hotmail.con", "hotmail.com"),
        ("hotmail.couk", "hotmail.co.uk"),
        ("hotmal.couk", "hotmail.co.uk"),
        ("yahooo.com", "yahoo.com"),
        ("yaho.com", "yahoo.com"),
        ("yhaoo.com", "yahoo.com"),
        ("yahoo.cmo", "yahoo.com"),
        ("yahoo.couk", "yahoo.co.uk"),
        ("outlok.com", "outlook.com"),
        ("outloook.com", "outlook.com"),
        ("outlook.con", "outlook.com"),
        ("iclod.com", "icloud.com"),
        ("icloud.cpm", "icloud.com"),
        ("aol.con", "aol.com"),
        ("live.con", "live.com"),
        ("googlmail.com", "googlemail.com"),
        ("protonmal.com", "protonmail.com"),
        ("comcst.net", "comcast.net"),
        ("comcast.nte", "comcast.net"),
        ("t-onlin.de", "t-online.de"),
        ("freenet.d", "freenet.de"),
        ("wanado.fr", "wanadoo.fr"),
        ("lapost.net", "laposte.net"),
        ("acme.con", "acme.com"),
        ("acme-works.couk", "acme-works.co.uk"),
    ];
    for (written, expected) in rows {
        assert_eq!(
            meant(written, false).as_deref(),
            Some(expected),
            "{written}"
        );
    }
}

#[test]
fn two_slips_are_one_only_where_the_domain_takes_no_mail() {
    let rows = [
        ("gmaail.co", "gmail.com", "two slips"),
        ("hormial.com", "hotmail.com", "two slips"),
        ("aon.com", "aol.com", "short names have honest neighbours"),
        ("wbe.de", "web.de", "short names have honest neighbours"),
    ];
    for (written, expected, why) in rows {
        assert_eq!(meant(written, false), None, "{written}: {why}");
        assert_eq!(
            meant(written, true).as_deref(),
            Some(expected),
            "{written}: {why}"
        );
    }
    assert_eq!(meant("gxl.ru", true), None, "far from everything");
    assert_eq!(meant("lead.example", true), None, "far from everything");
}

#[test]
fn a_slip_is_offered_though_its_domain_takes_mail() {
    let ann = address("ann@gmai.com");
    let squatted = Verification::new(&ann, findings(MailHosts::Mx, Listing::None));
    assert_eq!(
        squatted.verdict,
        Verdict::Deliverable,
        "the verdict is DNS's"
    );
    assert_eq!(squatted.suggestion, Some(address("ann@gmail.com")));
    let unknown = MailHosts::Unknown(InconclusiveCause::DnsTimeout);
    let two_slips = address("ann@gmaail.co");
    let silent = Verification::new(&two_slips, findings(unknown, Listing::None));
    assert_eq!(
        silent.suggestion, None,
        "silence does not make a domain dead"
    );
    let gone = Verification::new(&two_slips, findings(MailHosts::NoSuchDomain, Listing::None));
    assert_eq!(gone.suggestion, Some(address("ann@gmail.com")));
}

#[test]
fn no_provider_is_taken_for_a_slip() {
    let mut count = 0;
    for domain in free_mail() {
        assert_eq!(meant(domain, true), None, "{domain}");
        count += 1;
    }
    assert!(count > 4_000, "the whole list: {count}");
}

#[test]
fn real_domains_are_not_corrected() {
    for domain in [
        "mailw.com",
        "pm.me",
        "ymail.com",
        "aon.com",
        "love.com",
        "line.com",
        "fox.net",
        "skye.com",
        "weg.de",
        "hey.com",
        "gmx.ch",
        "gmail.hu",
        "yahoo.ca",
        "me.com",
        "hotmail.be",
        "outlook.fr",
        "mail.de",
        "qqq.com",
        "acme.com",
        "acme.co",
        "acme.cm",
        "acme.net",
    ] {
        assert_eq!(meant(domain, false), None, "{domain}");
    }
}

#[test]
fn no_ending_that_exists_is_taken_for_a_slip() {
    for ending in [
        "cim", "cmo", "coim", "comm", "con", "conm", "coom", "copm", "couk", "cpm", "nte", "ocm",
        "ogr", "orgg", "vom", "xom",
    ] {
        assert!(
            meant(&format!("some-company.{ending}"), false).is_some(),
            "{ending}"
        );
        let name = format!("acme.{ending}");
        let suffix = psl::suffix(name.as_bytes()).unwrap();
        assert!(!suffix.is_known(), "{ending} is a top-level domain");
    }
}

#[test]
fn a_throwaway_domain_is_known_with_all_below_it() {
    for domain in [
        "mailinator.com",
        "x.mailinator.com",
        "a.b.mailinator.com",
        "yopmail.com",
    ] {
        assert!(is_disposable(domain), "{domain}");
        let verdict = verdict_on(&format!("ann@{domain}"), MailHosts::Mx);
        assert_eq!(flags_of(&verdict), [Flag::Disposable], "{domain}");
        assert_eq!(
            objection(&verdict, &Policy::default()),
            None,
            "risky is not undeliverable"
        );
    }
    for domain in [
        "mailinator-fans.com",
        "com",
        "mailinator.com.example",
        "gmail.com",
        "lead.example",
    ] {
        assert!(!is_disposable(domain), "{domain}");
    }
}

#[test]
fn a_relay_is_no_throwaway_domain() {
    for domain in [
        "duck.com",
        "mozmail.com",
        "privaterelay.appleid.com",
        "simplelogin.com",
        "ann.simplelogin.com",
        "aleeas.com",
        "addy.io",
        "anonaddy.com",
        "ann.anonaddy.me",
        "passmail.net",
        "nospammail.net",
        "veryfast.biz",
    ] {
        assert!(!is_disposable(domain), "{domain}");
        let verdict = verdict_on(&format!("ann@{domain}"), MailHosts::Mx);
        assert_eq!(verdict, Verdict::Deliverable, "{domain}");
    }
}

#[test]
fn no_list_condemns_a_public_suffix() {
    for suffix in [
        "com.ar", "co.uk", "com", "org", "com.br", "co.jp", "eu.org", "or.at",
    ] {
        assert!(!is_disposable(suffix), "{suffix}");
        assert!(!is_free_mail(suffix), "{suffix}");
    }
}

#[test]
fn a_role_is_noted_and_what_nobody_reads_is_refused_by_policy() {
    let roles = [
        "info",
        "Sales",
        "customer-service",
        "customer.service+crm",
        "postmaster",
        "kontakt",
    ];
    for role in roles {
        assert!(is_role(&address(&format!("{role}@lead.example"))), "{role}");
        let verdict = verdict_on(&format!("{role}@lead.example"), MailHosts::Mx);
        assert_eq!(flags_of(&verdict), [Flag::Role], "{role}");
        assert_eq!(objection(&verdict, &Policy::default()), None, "{role}");
    }
    let unread = [
        "noreply",
        "no-reply",
        "No_Reply",
        "do.not.reply",
        "noreply+orders",
    ];
    let lenient = Policy {
        block_no_reply: false,
        ..Policy::default()
    };
    for unread in unread {
        assert!(
            is_no_reply(&address(&format!("{unread}@lead.example"))),
            "{unread}"
        );
        let verdict = verdict_on(&format!("{unread}@lead.example"), MailHosts::Mx);
        assert_eq!(flags_of(&verdict), [Flag::NoReply], "{unread}");
        let blocks = Some(Reason::Undeliverable(Cause::NoReply));
        assert_eq!(objection(&verdict, &Policy::default()), blocks, "{unread}");
        assert_eq!(objection(&verdict, &lenient), None, "{unread}");
    }
    for person in [
        "ann",
        "information.desk.ann",
        "salesman",
        "noreplyann",
        "ito",
        "supporter",
    ] {
        let verdict = verdict_on(&format!("{person}@lead.example"), MailHosts::Mx);
        assert_eq!(verdict, Verdict::Deliverable, "{person}");
    }
}

#[test]
fn what_is_worth_a_warning_is_flagged() {
    let long = "a".repeat(65);
    let rows = [
        (format!("{long}@lead.example"), vec![Flag::LongLocalPart]),
        (format!("{}@lead.example", &long[1..]), vec![]),
        ("ann@p\u{430}ypal.com".to_owned(), vec![Flag::MixedScripts]),
        ("ann@мир.example".to_owned(), vec![]),
        ("ann@東京カメラ.example".to_owned(), vec![]),
        (
            format!("{}@mailinator.com", "info"),
            vec![Flag::Disposable, Flag::Role],
        ),
    ];
    for (text, expected) in rows {
        let verdict = verdict_on(&text, MailHosts::Mx);
        assert_eq!(flags_of(&verdict), expected, "{text}");
        assert_eq!(objection(&verdict, &Policy::default()), None, "{text}");
    }
}

#[test]
fn a_local_part_beyond_ascii_is_called_valid() {
    let sentence = verdict_on("éve@example.com", MailHosts::Mx).sentence(None);
    assert!(
        sentence.starts_with("The address is valid, but Amazon SES cannot send"),
        "{sentence}"
    );
}

#[test]
fn every_outcome_is_told_in_one_sentence_of_its_own() {
    let undeliverable = Cause::ALL
        .iter()
        .map(|cause| Verdict::Undeliverable { cause: *cause });
    let inconclusive = InconclusiveCause::ALL
        .iter()
        .map(|cause| Verdict::Inconclusive { cause: *cause });
    let risky = Flag::ALL.iter().map(|flag| Verdict::Risky {
        flags: BTreeSet::from([*flag]),
    });
    let list = "a list".to_owned();
    let outcomes = undeliverable
        .chain(inconclusive)
        .chain(risky)
        .chain([Verdict::Deliverable, Verdict::KnownSpammer { list }]);
    let sentences: Vec<String> = outcomes.map(|verdict| verdict.sentence(None)).collect();
    for sentence in &sentences {
        assert!(
            sentence.ends_with('.') && sentence.matches(". ").count() == 0,
            "{sentence}"
        );
        assert!(!sentence.to_lowercase().contains("blacklist"), "{sentence}");
    }
    let different: BTreeSet<&String> = sentences.iter().collect();
    assert_eq!(different.len(), sentences.len());
}

#[test]
fn what_is_inconclusive_says_when_to_ask_again() {
    for cause in InconclusiveCause::ALL {
        let seen = findings(MailHosts::Unknown(*cause), Listing::None);
        let again = Verification::new(&address("ann@lead.example"), seen).retry_after_s;
        assert!(
            again.is_some_and(|seconds| (60..=300).contains(&seconds)),
            "{cause}"
        );
    }
    let settled = Verification::new(
        &address("ann@lead.example"),
        findings(MailHosts::Mx, Listing::None),
    );
    assert_eq!(settled.retry_after_s, None);
}

const MAIL_HOSTS: [MailHosts; 9] = [
    MailHosts::Mx,
    MailHosts::Implicit,
    MailHosts::NoSuchDomain,
    MailHosts::None,
    MailHosts::NullMx,
    MailHosts::Unreachable,
    MailHosts::Unknown(InconclusiveCause::DnsTimeout),
    MailHosts::Unknown(InconclusiveCause::DnsFailure),
    MailHosts::Unknown(InconclusiveCause::DnsUnclear),
];

fn policies() -> impl Strategy<Value = Policy> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(block_disposable, block_role, block_no_reply)| Policy {
            block_disposable,
            block_role,
            block_no_reply,
            ..Policy::default()
        },
    )
}

/// Addresses of every kind that the lists and the rules tell apart.
fn addresses() -> impl Strategy<Value = Address> {
    let local = prop_oneof![
        select(vec!["ann", "info", "noreply", "éve", "a.b+c"]).prop_map(str::to_owned),
        "[a-z]{60,70}",
    ];
    let domain = select(vec![
        "gmail.com",
        "gmial.com",
        "mailinator.com",
        "duck.com",
        "lead.example",
        "p\u{430}ypal.com",
        "bücher.example",
    ]);
    (local, domain).prop_map(|(local, domain)| address(&format!("{local}@{domain}")))
}

proptest! {
    #[test]
    fn what_could_not_be_found_out_never_blocks(cause in select(InconclusiveCause::ALL)) {
        let verdict = verdict_on("ann@example.com", MailHosts::Unknown(cause));
        prop_assert_eq!(objection(&verdict, &Policy::default()), None);
    }

    /// But for a spammer's listing, the account's own policy and what SES cannot send to, only DNS's four permanent answers block.
    #[test]
    fn nothing_but_the_four_permanent_answers_of_dns_blocks(
        address in addresses(),
        mail_hosts in select(&MAIL_HOSTS[..]),
        listing in select(vec![Listing::None, warned(), spammer()]),
        policy in policies(),
    ) {
        let verdict = judge(&address, &findings(mail_hosts, listing.clone()));
        let permanent = [MailHosts::NoSuchDomain, MailHosts::None, MailHosts::NullMx, MailHosts::Unreachable].contains(&mail_hosts);
        match objection(&verdict, &policy) {
            None => prop_assert!(!permanent && listing != spammer() && address.is_sendable_by_ses()),
            Some(Reason::KnownSpammer) => prop_assert_eq!(listing, spammer()),
            Some(Reason::Undeliverable(Cause::UnsendableLocalPart)) => prop_assert!(!address.is_sendable_by_ses()),
            Some(Reason::Undeliverable(Cause::Disposable)) => prop_assert!(policy.block_disposable && is_disposable(address.domain())),
            Some(Reason::Undeliverable(Cause::Role)) => prop_assert!(policy.block_role && is_role(&address)),
            Some(Reason::Undeliverable(Cause::NoReply)) => prop_assert!(policy.block_no_reply && is_no_reply(&address)),
            Some(Reason::Undeliverable(cause)) => prop_assert!(permanent && cause.is_of_domain()),
            Some(reason) => prop_assert!(false, "{:?}", reason),
        }
    }

    #[test]
    fn neither_letter_case_nor_composition_changes_the_verdict(
        address in addresses(),
        mail_hosts in select(&MAIL_HOSTS[..]),
        listing in select(vec![Listing::None, warned(), spammer()]),
    ) {
        let seen = findings(mail_hosts, listing);
        let upper = address.as_str().to_uppercase();
        let decomposed: String = unicode_normalization::UnicodeNormalization::nfd(address.as_str()).collect();
        for text in [upper, decomposed] {
            let other = crate::address(&text);
            prop_assert_eq!(judge(&other, &seen), judge(&address, &seen), "{}", &text);
            prop_assert_eq!(other.key_form(), address.key_form(), "{}", &text);
            prop_assert_eq!(blocklist_key(&other), blocklist_key(&address), "{}", &text);
            prop_assert_eq!(
                suggestion(&other, true).map(|meant| meant.key_form()),
                suggestion(&address, true).map(|meant| meant.key_form()),
                "{}", &text
            );
        }
    }
}

#[test]
fn a_slip_is_the_first_thing_to_say_of_an_address_that_can_be_sent_to() {
    let told = |hosts| {
        let slip = address("ann@gmial.com");
        let verification = Verification::new(&slip, findings(hosts, Listing::None));
        verification
            .verdict
            .sentence(verification.suggestion.as_ref())
    };
    assert_eq!(
        told(MailHosts::Mx),
        "Mail can be sent to the address, but ann@gmail.com was probably meant."
    );
    assert_eq!(
        told(MailHosts::NoSuchDomain),
        "The domain of the address does not exist.",
        "what stands against it comes first, and the suggestion is offered beside it"
    );
}
