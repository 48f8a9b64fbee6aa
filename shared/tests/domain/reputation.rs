//! What is counted as what, the rates that follow, and how days, senders and providers are summed up.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use leadlight::evidence::{Attribution, BounceCause, Fact, Message, Note, SuppressionList};
use leadlight::reputation::{
    BOUNCE_LIMIT, COMPLAINT_LIMIT, Counted, Counts, Figures, MailboxProvider, Outcome, Reputation,
};
use leadlight::verification::Verdict;

use crate::{complaint, day, delivery, hard, manual, note, recheck, soft, verified, withheld};

#[test]
fn every_fact_about_a_message_is_counted_as_what_became_of_it() {
    let at = day(0);
    let sent = Fact::Sent {
        message: Message {
            id: "m".to_owned(),
            sent_at: at,
            sender: None,
        },
    };
    let rows = [
        (sent, Some(Outcome::Sent), "SES took it in"),
        (delivery(at).fact, Some(Outcome::Delivered), "it arrived"),
        (
            hard(at, BounceCause::Unspecified).fact,
            Some(Outcome::HardBounce),
            "refused for good",
        ),
        (soft(at).fact, Some(Outcome::SoftBounce), "refused for now"),
        (
            withheld(at, SuppressionList::Global).fact,
            Some(Outcome::WithheldGlobally),
            "SES counts it as a bounce",
        ),
        (
            withheld(at, SuppressionList::Account).fact,
            Some(Outcome::Withheld),
            "the account's own list counts in no rate",
        ),
        (
            complaint(at, Attribution::Certain).fact,
            Some(Outcome::Complaint),
            "the recipient complained",
        ),
        (
            complaint(at, Attribution::Candidate).fact,
            Some(Outcome::PossibleComplaint),
            "this recipient or another",
        ),
        (
            note(at, Note::MessageFault).fact,
            Some(Outcome::MessageFault),
            "for what it held",
        ),
        (
            note(at, Note::SenderFault).fact,
            Some(Outcome::SenderFault),
            "for who sent it",
        ),
        (
            note(at, Note::AutoReply).fact,
            None,
            "it arrived, and its delivery says so",
        ),
        (
            note(at, Note::Delayed).fact,
            None,
            "nothing became of it yet",
        ),
        (
            note(at, Note::NotSpam).fact,
            None,
            "the opposite of a complaint",
        ),
        (
            verified(at, Verdict::Deliverable).fact,
            None,
            "about no message",
        ),
        (manual(at).fact, None, "about no message"),
        (recheck(at).fact, None, "about no message"),
    ];
    for (fact, outcome, why) in rows {
        assert_eq!(Outcome::of(&fact), outcome, "{fact:?}: {why}");
    }
}

#[test]
fn a_domain_tells_who_keeps_the_mailbox_where_everybody_knows_it() {
    let rows = [
        ("gmail.com", MailboxProvider::Google),
        ("googlemail.com", MailboxProvider::Google),
        ("hotmail.fr", MailboxProvider::Microsoft),
        ("outlook.com", MailboxProvider::Microsoft),
        ("yahoo.co.jp", MailboxProvider::Yahoo),
        ("aol.com", MailboxProvider::Yahoo),
        ("icloud.com", MailboxProvider::Apple),
        ("gmx.net", MailboxProvider::UnitedInternet),
        ("web.de", MailboxProvider::UnitedInternet),
        ("t-online.de", MailboxProvider::Operator),
        ("example.com", MailboxProvider::Other),
        ("notgmail.com", MailboxProvider::Other),
        ("mail.gmail.com.example", MailboxProvider::Other),
        ("localhost", MailboxProvider::Other),
    ];
    for (domain, provider) in rows {
        assert_eq!(MailboxProvider::of(domain), provider, "{domain}");
    }
}

#[test]
fn every_outcome_has_a_count_of_its_own() {
    let mut counts = Counts::default();
    for (n, outcome) in (1..).zip(Outcome::ALL) {
        counts.add(*outcome, n);
    }
    counts.add(Outcome::Delivered, u64::MAX);
    let expected = Counts {
        sent: 1,
        delivered: u64::MAX,
        hard_bounces: 3,
        soft_bounces: 4,
        withheld: 5,
        withheld_globally: 6,
        complaints: 7,
        possible_complaints: 8,
        message_faults: 9,
        sender_faults: 10,
    };
    assert_eq!(counts, expected, "and none turns over");
}

#[test]
fn rates_are_what_ses_would_say_and_lean_to_the_worse() {
    let counts = |sent, delivered, hard_bounces, soft_bounces, withheld_globally| Counts {
        sent,
        delivered,
        hard_bounces,
        soft_bounces,
        withheld_globally,
        withheld: 1_000,
        ..Counts::default()
    };
    let rows = [
        (
            counts(0, 0, 0, 0, 0),
            None,
            "without a message there is no rate",
        ),
        (
            counts(200, 190, 4, 0, 1),
            Some(0.025),
            "its global list counts, the account's own does not",
        ),
        (
            counts(0, 6, 2, 0, 0),
            Some(0.25),
            "where Send events are not published the outcomes are taken",
        ),
        (
            counts(5, 5, 2, 1, 0),
            Some(0.25),
            "or where fewer of them came",
        ),
        (counts(8, 0, 0, 0, 0), Some(0.0), "nothing bounced yet"),
    ];
    for (counts, rate, why) in rows {
        assert_eq!(counts.bounce_rate(), rate, "{why}");
        assert_eq!(Figures::from(counts).bounce_rate, rate, "{why}");
    }
    let complaints = |delivered, complaints, possible_complaints| Counts {
        sent: 1_000,
        delivered,
        complaints,
        possible_complaints,
        ..Counts::default()
    };
    let rows = [
        (complaints(0, 3, 1), None, "nothing was delivered"),
        (
            complaints(800, 1, 1),
            Some(0.0025),
            "a possible one counts whole",
        ),
        (complaints(800, 0, 0), Some(0.0), "nobody complained"),
    ];
    for (counts, rate, why) in rows {
        assert_eq!(counts.complaint_rate(), rate, "{why}");
        assert_eq!(Figures::from(counts).complaint_rate, rate, "{why}");
    }
}

#[test]
fn a_reputation_tells_every_day_every_sender_and_every_provider_once() {
    let by = |sender: &str, provider, outcome| Counted {
        sender: sender.to_owned(),
        provider,
        outcome,
    };
    let counted: BTreeMap<Date, BTreeMap<Counted, u64>> = [
        (
            date(2026, 2, 27),
            [(
                by("a.example", MailboxProvider::Google, Outcome::Delivered),
                100,
            )]
            .into(),
        ),
        (
            date(2026, 2, 28),
            [
                (
                    by("a.example", MailboxProvider::Google, Outcome::Delivered),
                    3,
                ),
                (
                    by("b.example", MailboxProvider::Google, Outcome::HardBounce),
                    1,
                ),
            ]
            .into(),
        ),
        (
            date(2026, 3, 2),
            [(
                by("a.example", MailboxProvider::Other, Outcome::Delivered),
                4,
            )]
            .into(),
        ),
        (
            date(2026, 3, 3),
            [(
                by("c.example", MailboxProvider::Apple, Outcome::Delivered),
                100,
            )]
            .into(),
        ),
    ]
    .into();

    let told = Reputation::new(date(2026, 2, 28), date(2026, 3, 2), &counted);

    let days: Vec<_> = told
        .days
        .iter()
        .map(|day| (day.date, day.figures.counts.delivered))
        .collect();
    let expected = [
        (date(2026, 2, 28), 3),
        (date(2026, 3, 1), 0),
        (date(2026, 3, 2), 4),
    ];
    assert_eq!(
        days, expected,
        "the days asked for, both ends among them, and the quiet one"
    );
    assert_eq!(told.total.counts.delivered, 7);
    assert_eq!(told.total.bounce_rate, Some(0.125));
    let senders: Vec<_> = told
        .senders
        .iter()
        .map(|sender| {
            (
                sender.domain.as_str(),
                sender.figures.counts.delivered,
                sender.figures.bounce_rate,
            )
        })
        .collect();
    assert_eq!(
        senders,
        [("a.example", 7, Some(0.0)), ("b.example", 0, Some(1.0))]
    );
    let providers: Vec<_> = told
        .providers
        .iter()
        .map(|provider| (provider.provider, provider.figures.bounce_rate))
        .collect();
    assert_eq!(
        providers,
        [
            (MailboxProvider::Google, Some(0.25)),
            (MailboxProvider::Other, Some(0.0))
        ]
    );
    assert_eq!(
        (told.limits.bounce, told.limits.complaint),
        (BOUNCE_LIMIT, COMPLAINT_LIMIT)
    );
}
