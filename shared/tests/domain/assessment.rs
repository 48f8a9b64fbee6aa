//! The policy of `assess`, row by row.

use std::collections::BTreeSet;

use jiff::Timestamp;
use leadlight::assessment::{Assessment, Condition, Reason, Resolution, assess};
use leadlight::evidence::{
    Attribution::{Candidate, Certain},
    BounceCause::{InvalidDomain, MailboxDisabled, MailboxMissing, OwnerChanged, Unspecified},
    Evidence, Fact, Message, Note, Piece,
    SuppressionList::{self, Account, Global, Tenant, Validation},
};
use leadlight::policy::Policy;
use leadlight::verification::{Flag, UndeliverableCause as Cause, Verdict};

use crate::{
    complaint, day, delivery, hard, hour, manual, note, piece, recheck, report, soft, support,
    undeliverable, verified, withheld,
};

/// Today, in every row: 40 days after the start of all stories.
const TODAY: i64 = 40;

fn assess_today(pieces: Vec<Piece>, policy: &Policy) -> Assessment {
    assess(&Evidence::from(pieces), policy, day(TODAY))
}

struct Row {
    why: &'static str,
    pieces: Vec<Piece>,
    expected: &'static str,
}

fn row(why: &'static str, pieces: Vec<Piece>, expected: &'static str) -> Row {
    Row {
        why,
        pieces,
        expected,
    }
}

/// Condition, cause and resolution as one line of codes.
fn summary(assessment: &Assessment) -> String {
    let condition = match assessment.condition {
        Condition::Clear => return "clear".to_owned(),
        Condition::SoftBouncing => return "soft_bouncing".to_owned(),
        Condition::Blocklisted(reason) => reason,
    };
    let cause = condition
        .cause()
        .map(|cause| format!("/{cause}"))
        .unwrap_or_default();
    let resolution = assessment
        .resolution
        .map(Resolution::code)
        .unwrap_or_default();
    format!("{}{cause} {resolution}", condition.code())
}

#[track_caller]
fn check(policy: &Policy, rows: Vec<Row>) {
    for Row {
        why,
        pieces,
        expected,
    } in rows
    {
        assert_eq!(summary(&assess_today(pieces, policy)), expected, "{why}");
    }
}

fn spammer(at: Timestamp) -> Piece {
    verified(
        at,
        Verdict::KnownSpammer {
            list: "dbl".to_owned(),
        },
    )
}

fn risky(at: Timestamp, flag: Flag) -> Piece {
    verified(
        at,
        Verdict::Risky {
            flags: BTreeSet::from([flag]),
        },
    )
}

/// A delivery at `at` of a message that was sent at `sent_at`.
fn late_delivery(at: Timestamp, sent_at: Timestamp) -> Piece {
    piece(
        at,
        Fact::Delivery {
            message: Message {
                id: sent_at.to_string(),
                sent_at,
                sender: None,
            },
        },
    )
}

#[test]
fn every_step_of_the_policy_has_its_reason() {
    let rows = vec![
        row(
            "nothing is known, nothing is held against it",
            vec![],
            "clear",
        ),
        row(
            "a delivery is no objection",
            vec![delivery(day(39))],
            "clear",
        ),
        // 1. complaints
        row(
            "a certain complaint blocks for good",
            vec![complaint(day(1), Certain)],
            "spam_complaint/certain never",
        ),
        row(
            "a possible complaint blocks too, and says so",
            vec![complaint(day(1), Candidate)],
            "spam_complaint/candidate support_only",
        ),
        row(
            "a certain complaint outranks a possible one",
            vec![complaint(day(1), Certain), complaint(day(2), Candidate)],
            "spam_complaint/certain never",
        ),
        row(
            "a recheck never lifts a complaint",
            vec![complaint(day(1), Certain), recheck(day(2))],
            "spam_complaint/certain never",
        ),
        row(
            "a recheck never lifts a possible complaint",
            vec![complaint(day(1), Candidate), recheck(day(2))],
            "spam_complaint/candidate support_only",
        ),
        row(
            "a delivery never lifts a complaint",
            vec![complaint(day(1), Certain), delivery(day(2))],
            "spam_complaint/certain never",
        ),
        row(
            "support alone never lifts a certain complaint",
            vec![complaint(day(1), Certain), support(day(2), false)],
            "spam_complaint/certain never",
        ),
        row(
            "support with the recipient's consent does",
            vec![complaint(day(1), Certain), support(day(2), true)],
            "clear",
        ),
        row(
            "support alone lifts a possible complaint",
            vec![complaint(day(1), Candidate), support(day(2), false)],
            "clear",
        ),
        row(
            "consent lifts a possible complaint too",
            vec![complaint(day(1), Candidate), support(day(2), true)],
            "clear",
        ),
        row(
            "consent does not outlive the next complaint",
            vec![
                complaint(day(1), Certain),
                support(day(2), true),
                complaint(day(3), Certain),
            ],
            "spam_complaint/certain never",
        ),
        row(
            "consent given before the complaint says nothing about it",
            vec![support(day(1), true), complaint(day(2), Certain)],
            "spam_complaint/certain never",
        ),
        row(
            "at the very same time the complaint wins",
            vec![support(day(1), true), complaint(day(1), Certain)],
            "spam_complaint/certain never",
        ),
        row(
            "not-spam is no consent and lifts nothing",
            vec![complaint(day(1), Certain), note(day(2), Note::NotSpam)],
            "spam_complaint/certain never",
        ),
        row(
            "a complaint is stronger than a bounce",
            vec![complaint(day(1), Certain), hard(day(2), MailboxMissing)],
            "spam_complaint/certain never",
        ),
        row(
            "when consent lifts the complaint, the older bounce goes with it",
            vec![
                hard(day(1), MailboxMissing),
                complaint(day(2), Certain),
                support(day(3), true),
            ],
            "clear",
        ),
        // 2. manual blocks
        row(
            "a manual block is support's to lift",
            vec![manual(day(1))],
            "manual support_only",
        ),
        row(
            "a recheck does not lift a manual block",
            vec![manual(day(1)), recheck(day(2))],
            "manual support_only",
        ),
        row(
            "support lifts it",
            vec![manual(day(1)), support(day(2), false)],
            "clear",
        ),
        row(
            "a manual block is stronger than a bounce",
            vec![manual(day(1)), hard(day(2), MailboxMissing)],
            "manual support_only",
        ),
        row(
            "a block after the release stands",
            vec![support(day(1), false), manual(day(2))],
            "manual support_only",
        ),
        // 3. known spammers
        row(
            "a listed spammer needs another address",
            vec![spammer(day(1))],
            "known_spammer after_address_change",
        ),
        row(
            "a listing outranks a bounce",
            vec![spammer(day(1)), hard(day(2), Unspecified)],
            "known_spammer after_address_change",
        ),
        row(
            "a listing that is gone is gone",
            vec![spammer(day(1)), verified(day(2), Verdict::Deliverable)],
            "clear",
        ),
        // 4. hard bounces
        row(
            "no such mailbox: only another address helps",
            vec![hard(day(1), MailboxMissing)],
            "hard_bounce/mailbox_missing after_address_change",
        ),
        row(
            "somebody else's mailbox now: only another address helps",
            vec![hard(day(1), OwnerChanged)],
            "hard_bounce/owner_changed after_address_change",
        ),
        row(
            "a refusal without a cause can be checked again",
            vec![hard(day(1), Unspecified)],
            "hard_bounce/unspecified check_again",
        ),
        row(
            "a disabled mailbox can come back",
            vec![hard(day(1), MailboxDisabled)],
            "hard_bounce/mailbox_disabled check_again",
        ),
        row(
            "a domain can be mended",
            vec![hard(day(1), InvalidDomain)],
            "hard_bounce/invalid_domain check_again",
        ),
        row(
            "the missing mailbox decides, whatever came after it",
            vec![hard(day(1), MailboxMissing), hard(day(2), Unspecified)],
            "hard_bounce/mailbox_missing after_address_change",
        ),
        row(
            "a bounce may follow a delivery and wins",
            vec![delivery(day(1)), hard(day(2), Unspecified)],
            "hard_bounce/unspecified check_again",
        ),
        row(
            "a delivery never lifts a hard bounce",
            vec![hard(day(1), Unspecified), delivery(day(2))],
            "hard_bounce/unspecified check_again",
        ),
        row(
            "a release lifts what is older",
            vec![hard(day(1), MailboxMissing), recheck(day(2))],
            "clear",
        ),
        row(
            "a release lifts nothing newer",
            vec![recheck(day(1)), hard(day(2), MailboxMissing)],
            "hard_bounce/mailbox_missing after_address_change",
        ),
        row(
            "a bounce reported late is judged by its own time",
            vec![recheck(day(2)), hard(day(1), MailboxMissing)],
            "clear",
        ),
        row(
            "at the very same time the bounce wins",
            vec![recheck(day(1)), hard(day(1), MailboxMissing)],
            "hard_bounce/mailbox_missing after_address_change",
        ),
        row(
            "a hard bounce never expires",
            vec![hard(day(-400), Unspecified)],
            "hard_bounce/unspecified check_again",
        ),
        row(
            "a deliverable domain does not disprove a missing mailbox",
            vec![
                hard(day(1), MailboxMissing),
                verified(day(2), Verdict::Deliverable),
            ],
            "hard_bounce/mailbox_missing after_address_change",
        ),
        // 5. withheld by SES
        row(
            "on the account's list: Check again asks SES why",
            vec![withheld(day(1), Account)],
            "withheld_by_provider/account check_again",
        ),
        row(
            "on a tenant's list likewise",
            vec![withheld(day(1), Tenant)],
            "withheld_by_provider/tenant check_again",
        ),
        row(
            "judged too risky by SES likewise",
            vec![withheld(day(1), Validation)],
            "withheld_by_provider/validation check_again",
        ),
        row(
            "on a list not heard of yet likewise",
            vec![withheld(day(1), SuppressionList::Other)],
            "withheld_by_provider/other check_again",
        ),
        row(
            "on SES's global list",
            vec![withheld(day(1), Global)],
            "withheld_by_provider/global check_again",
        ),
        row(
            "an echo of a bounce adds nothing to the bounce",
            vec![hard(day(1), MailboxMissing), withheld(day(2), Account)],
            "hard_bounce/mailbox_missing after_address_change",
        ),
        row(
            "an echo of a released bounce says that SES still withholds",
            vec![
                hard(day(1), MailboxMissing),
                recheck(day(2)),
                withheld(day(3), Account),
            ],
            "withheld_by_provider/account check_again",
        ),
        row(
            "a release lifts an older echo",
            vec![withheld(day(1), Account), recheck(day(2))],
            "clear",
        ),
        // 6. undeliverable by verification
        row(
            "bad syntax needs another address",
            vec![undeliverable(day(1), Cause::BadSyntax)],
            "undeliverable/bad_syntax after_address_change",
        ),
        row(
            "a missing domain can appear",
            vec![undeliverable(day(1), Cause::NoSuchDomain)],
            "undeliverable/no_such_domain check_again",
        ),
        row(
            "a mail server can be set up",
            vec![undeliverable(day(1), Cause::NoMailServer)],
            "undeliverable/no_mail_server check_again",
        ),
        row(
            "a null MX can be taken away",
            vec![undeliverable(day(1), Cause::NullMx)],
            "undeliverable/null_mx check_again",
        ),
        row(
            "a mail server can be opened",
            vec![undeliverable(day(1), Cause::UnreachableMailServer)],
            "undeliverable/unreachable_mail_server check_again",
        ),
        row(
            "the newest verification decides",
            vec![
                undeliverable(day(1), Cause::NullMx),
                verified(day(2), Verdict::Deliverable),
            ],
            "clear",
        ),
        row(
            "and also when it is the worse one",
            vec![
                verified(day(1), Verdict::Deliverable),
                undeliverable(day(2), Cause::NullMx),
            ],
            "undeliverable/null_mx check_again",
        ),
        row(
            "a verification before the release is settled by it",
            vec![undeliverable(day(1), Cause::NullMx), support(day(2), false)],
            "clear",
        ),
        row(
            "a bounce says more than DNS",
            vec![
                undeliverable(day(2), Cause::NullMx),
                hard(day(1), Unspecified),
            ],
            "hard_bounce/unspecified check_again",
        ),
        row(
            "risky is not undeliverable",
            vec![risky(day(1), Flag::Disposable)],
            "clear",
        ),
        row(
            "a role address is not undeliverable",
            vec![risky(day(1), Flag::Role)],
            "clear",
        ),
        // 7 and 8. soft bounces
        row(
            "one soft bounce is amber",
            vec![soft(day(39))],
            "soft_bouncing",
        ),
        row(
            "four on four days are amber",
            vec![soft(day(30)), soft(day(31)), soft(day(32)), soft(day(33))],
            "soft_bouncing",
        ),
        row(
            "five on three days block",
            vec![
                soft(day(30)),
                soft(hour(30 * 24 + 1)),
                soft(day(31)),
                soft(hour(31 * 24 + 1)),
                soft(day(32)),
            ],
            "repeated_soft_bounces check_again",
        ),
        row(
            "five on two days are a bad afternoon",
            vec![
                soft(day(30)),
                soft(hour(30 * 24 + 1)),
                soft(hour(30 * 24 + 2)),
                soft(day(31)),
                soft(hour(31 * 24 + 1)),
            ],
            "soft_bouncing",
        ),
        row(
            "five on five days block",
            vec![
                soft(day(30)),
                soft(day(31)),
                soft(day(32)),
                soft(day(33)),
                soft(day(34)),
            ],
            "repeated_soft_bounces check_again",
        ),
        row(
            "the fifth one outside the window counts no longer",
            vec![
                soft(day(9)),
                soft(day(31)),
                soft(day(32)),
                soft(day(33)),
                soft(day(34)),
            ],
            "soft_bouncing",
        ),
        row(
            "all outside the window: forgotten",
            vec![
                soft(day(1)),
                soft(day(2)),
                soft(day(3)),
                soft(day(4)),
                soft(day(5)),
            ],
            "clear",
        ),
        row(
            "a newer delivery ends the run",
            vec![
                soft(day(30)),
                soft(day(31)),
                soft(day(32)),
                soft(day(33)),
                soft(day(34)),
                delivery(day(35)),
            ],
            "clear",
        ),
        row(
            "a delivery in the middle takes the older ones away",
            vec![
                soft(day(30)),
                soft(day(31)),
                soft(day(32)),
                delivery(hour(32 * 24 + 1)),
                soft(day(33)),
                soft(day(34)),
            ],
            "soft_bouncing",
        ),
        row(
            "an older delivery ends nothing",
            vec![
                delivery(day(29)),
                soft(day(30)),
                soft(day(31)),
                soft(day(32)),
                soft(day(33)),
                soft(day(34)),
            ],
            "repeated_soft_bounces check_again",
        ),
        row(
            "a late delivery of the very message that bounced changes nothing",
            vec![soft(day(34)), late_delivery(day(35), day(34))],
            "soft_bouncing",
        ),
        row(
            "a late delivery of an older message changes nothing",
            vec![soft(day(34)), late_delivery(day(35), day(33))],
            "soft_bouncing",
        ),
        row(
            "a delivery at the very same time ends nothing",
            vec![soft(day(34)), late_delivery(day(34), day(35))],
            "soft_bouncing",
        ),
        row(
            "a message sent at the very same time is no newer one",
            vec![
                soft(day(34)),
                piece(
                    day(35),
                    Fact::Delivery {
                        message: Message {
                            id: "another".to_owned(),
                            sent_at: day(34),
                            sender: None,
                        },
                    },
                ),
            ],
            "soft_bouncing",
        ),
        row(
            "a release ends the run",
            vec![
                soft(day(30)),
                soft(day(31)),
                soft(day(32)),
                soft(day(33)),
                soft(day(34)),
                recheck(day(35)),
            ],
            "clear",
        ),
        row(
            "a hard bounce is stronger than soft ones",
            vec![soft(day(39)), hard(day(1), Unspecified)],
            "hard_bounce/unspecified check_again",
        ),
        row(
            "an auto-reply is no strike and no life sign",
            vec![soft(day(39)), note(hour(39 * 24 + 1), Note::AutoReply)],
            "soft_bouncing",
        ),
        // notes
        row(
            "an auto-reply is no strike",
            vec![note(day(39), Note::AutoReply)],
            "clear",
        ),
        row(
            "a delay is no strike",
            vec![note(day(39), Note::Delayed)],
            "clear",
        ),
        row(
            "the message's fault is no strike",
            vec![note(day(39), Note::MessageFault)],
            "clear",
        ),
        row(
            "the sender's fault blocks nobody",
            vec![note(day(39), Note::SenderFault)],
            "clear",
        ),
        row(
            "not-spam is no complaint",
            vec![note(day(39), Note::NotSpam)],
            "clear",
        ),
        row(
            "a report about authentication is no complaint",
            vec![note(day(39), Note::AuthFailure)],
            "clear",
        ),
        row(
            "an unsubscription blocks nobody",
            vec![piece(day(39), Fact::Subscription { unsubscribed: true })],
            "clear",
        ),
    ];
    assert!(rows.len() >= 60, "the table has shrunk to {}", rows.len());
    check(&Policy::default(), rows);
}

#[test]
fn an_account_may_refuse_throwaway_and_role_addresses() {
    let policy = Policy {
        block_disposable: true,
        block_role: true,
        ..Policy::default()
    };
    check(
        &policy,
        vec![
            row(
                "throwaway, by policy",
                vec![risky(day(1), Flag::Disposable)],
                "undeliverable/disposable after_address_change",
            ),
            row(
                "role, by policy",
                vec![risky(day(1), Flag::Role)],
                "undeliverable/role after_address_change",
            ),
            row(
                "implicit MX is never refused",
                vec![risky(day(1), Flag::ImplicitMx)],
                "clear",
            ),
        ],
    );
}

#[test]
fn an_account_may_count_soft_bounces_its_own_way() {
    let policy = Policy {
        soft_bounce_threshold: 2,
        soft_bounce_days: 1,
        soft_bounce_window_days: 5,
        ..Policy::default()
    };
    check(
        &policy,
        vec![
            row(
                "two within the window",
                vec![soft(day(39)), soft(hour(39 * 24 + 1))],
                "repeated_soft_bounces check_again",
            ),
            row(
                "one of them outside",
                vec![soft(day(34)), soft(day(39))],
                "soft_bouncing",
            ),
        ],
    );
}

#[test]
fn an_unspecified_bounce_is_checked_again_at_most_once_in_thirty_days() {
    let policy = Policy::default();
    let bounced_after =
        |released| assess_today(vec![recheck(released), hard(day(39), Unspecified)], &policy);
    assert_eq!(
        bounced_after(day(20)).check_again_from,
        Some(day(50)),
        "released 20 days ago"
    );
    assert_eq!(
        bounced_after(day(10)).check_again_from,
        None,
        "released 30 days ago"
    );
    let by_support = assess_today(
        vec![support(day(38), false), hard(day(39), Unspecified)],
        &policy,
    );
    assert_eq!(
        by_support.check_again_from, None,
        "support's release is not counted"
    );
}

#[test]
fn the_global_list_can_be_left_only_by_waiting() {
    let policy = Policy::default();
    let withheld_at = |at| assess_today(vec![withheld(at, Global)], &policy).check_again_from;
    assert_eq!(withheld_at(day(30)), Some(day(44)), "withheld 10 days ago");
    assert_eq!(withheld_at(day(26)), None, "withheld 14 days ago");
    let also_listed = assess_today(
        vec![withheld(day(30), Global), withheld(day(31), Account)],
        &policy,
    );
    assert_eq!(
        also_listed.check_again_from,
        Some(day(44)),
        "leaving the account's list is not enough"
    );
}

#[test]
fn a_block_names_its_evidence_and_the_providers_own_words() {
    let mut newest = report(day(2));
    newest.diagnostic = Some("550 5.1.1 no such user".to_owned());
    let pieces = vec![
        hard(day(1), Unspecified),
        piece(
            day(2),
            Fact::HardBounce {
                cause: MailboxMissing,
                report: newest,
            },
        ),
        delivery(day(3)),
    ];
    let bounces: Vec<_> = pieces
        .iter()
        .take(2)
        .map(|piece| piece.id.clone())
        .collect();
    let assessment = assess_today(pieces, &Policy::default());
    assert_eq!(assessment.because, bounces);
    assert_eq!(assessment.since, Some(day(1)));
    assert_eq!(
        assessment.diagnostic.as_deref(),
        Some("550 5.1.1 no such user")
    );
}

#[test]
fn every_reason_is_found_again_by_its_codes() {
    for reason in Reason::all() {
        assert_eq!(
            Reason::from_codes(reason.code(), reason.cause()),
            Some(reason)
        );
    }
    assert_eq!(Reason::from_codes("hard_bounce", None), None);
    assert_eq!(Reason::from_codes("manual", Some("unspecified")), None);
}

#[test]
fn an_undeliverable_address_is_so_since_the_first_verification_that_said_so() {
    let since = |pieces| assess_today(pieces, &Policy::default()).since;
    let null_mx = |at| undeliverable(at, Cause::NullMx);
    assert_eq!(
        since(vec![null_mx(day(1)), null_mx(day(2)), null_mx(day(3))]),
        Some(day(1))
    );
    let mended = verified(day(2), Verdict::Deliverable);
    assert_eq!(
        since(vec![null_mx(day(1)), mended, null_mx(day(3))]),
        Some(day(3))
    );
    assert_eq!(
        since(vec![null_mx(day(1)), recheck(day(2)), null_mx(day(3))]),
        Some(day(3))
    );
}
