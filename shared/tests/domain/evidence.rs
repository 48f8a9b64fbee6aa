//! What a piece of evidence says of itself, and what a record keeps.

use leadlight::address::Address;
use leadlight::evidence::{
    AddressRecord, Attribution, BounceCause, Evidence, Fact, MAX_SPELLINGS, Message, Note, Piece,
    SuppressionList,
};
use leadlight::verification::Verdict;

use crate::{
    complaint, day, delivery, hard, hour, manual, note, piece, recheck, report, soft, support,
    verified, withheld,
};

#[test]
fn a_fact_names_the_message_it_is_about() {
    let of = |piece: Piece| piece.fact.message().cloned();
    let message = report(day(1)).message;
    let about = [
        delivery(day(1)),
        complaint(day(1), Attribution::Certain),
        hard(day(1), BounceCause::MailboxMissing),
        soft(day(1)),
        withheld(day(1), SuppressionList::Account),
        note(day(1), Note::Delayed),
    ];
    for piece in about {
        let shown = format!("{piece:?}");
        assert_eq!(of(piece), message, "{shown}");
    }
    let sent = Message {
        id: "m-1".to_owned(),
        sent_at: day(1),
        sender: None,
    };
    let fact = Fact::Sent {
        message: sent.clone(),
    };
    assert_eq!(of(piece(day(1), fact)), Some(sent));
    for piece in [
        manual(day(1)),
        recheck(day(1)),
        verified(day(1), Verdict::Deliverable),
        piece(day(1), Fact::Subscription { unsubscribed: true }),
    ] {
        assert_eq!(of(piece), None);
    }
}

/// The piece of the `n`th hour.
type Made = fn(i64) -> Piece;

#[test]
fn the_newest_pieces_of_each_kind_are_kept() {
    let rows: [(&str, usize, Made); 6] = [
        ("soft bounces", 32, |n| soft(hour(n))),
        ("rechecks", 16, |n| recheck(hour(n))),
        ("notes", 8, |n| note(hour(n), Note::Delayed)),
        ("complaints", 4, |n| {
            complaint(hour(n), Attribution::Certain)
        }),
        ("support's releases", 4, |n| support(hour(n), true)),
        ("deliveries", 4, |n| delivery(hour(n))),
    ];
    for (why, room, made) in rows {
        let room = i64::try_from(room).unwrap();
        let evidence: Evidence = (0..room + 3).map(made).collect();
        let mut kept: Vec<_> = evidence.pieces().map(|piece| piece.at).collect();
        kept.sort_unstable();
        let newest: Vec<_> = (3..room + 3).map(hour).collect();
        assert_eq!(kept, newest, "{why}");
    }
}

#[test]
fn of_two_copies_the_one_that_was_recorded_first_stays() {
    let copy =
        |recorded_at| Piece::new(soft(day(1)).fact, "m-1", &crate::key(), day(1), recorded_at);
    for order in [[hour(25), hour(26)], [hour(26), hour(25)]] {
        let evidence: Evidence = order.map(copy).into_iter().collect();
        let recorded: Vec<_> = evidence.pieces().map(|piece| piece.recorded_at.0).collect();
        assert_eq!(recorded, [hour(25)]);
    }
    assert_eq!(copy(hour(25)).id.as_str(), "soft-bounce:m-1:6b");
}

#[test]
fn the_newest_release_and_the_newest_word_count() {
    let word = |at, unsubscribed| piece(at, Fact::Subscription { unsubscribed });
    let evidence: Evidence = [
        recheck(day(1)),
        support(day(3), false),
        recheck(day(2)),
        word(day(1), true),
        word(day(2), false),
    ]
    .into_iter()
    .collect();
    assert_eq!(evidence.released_at(), Some(day(3)));
    assert_eq!(evidence.subscription(), Some((day(2), false)));
    let nothing = Evidence::default();
    assert_eq!(
        (nothing.released_at(), nothing.subscription()),
        (None, None)
    );
}

#[test]
fn a_record_keeps_some_spellings_and_one_address() {
    let record = |text: &str, spellings: std::ops::Range<usize>| AddressRecord {
        spellings: spellings.map(|n| format!("{n:02}@lead.example")).collect(),
        ..AddressRecord::new(Address::parse(text).unwrap())
    };
    let merged =
        record("Ann@lead.example", 0..MAX_SPELLINGS).merge(record("ann@lead.example", 0..0));
    assert_eq!(merged.spellings.len(), MAX_SPELLINGS, "as many as may be");
    assert_eq!(merged.address.as_str(), "ann@lead.example");
    let more = merged.merge(record("Ann@lead.example", MAX_SPELLINGS..MAX_SPELLINGS + 2));
    assert_eq!(more.spellings.len(), MAX_SPELLINGS);
    assert_eq!(
        more.spellings.first().map(String::as_str),
        Some("02@lead.example")
    );
    assert_eq!(more.address.as_str(), "ann@lead.example");
}
