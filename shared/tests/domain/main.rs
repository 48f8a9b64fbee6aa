//! The laws and the policy of the domain, as properties and as tables with a reason on each row.

#![expect(
    clippy::disallowed_macros,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests state cases, they decide nothing"
)]

mod address;
mod api;
mod assessment;
mod change;
mod evidence;
mod feedback;
mod gate;
mod laws;
mod lead;
mod log;
mod reputation;
mod verification;

use jiff::{SignedDuration, Timestamp};
use leadlight::address::{Address, AddressKey};
use leadlight::evidence::{
    Attribution, Authority, BounceCause, Fact, Message, Note, Piece, Report, SuppressionList,
};
use leadlight::lead::LeadId;
use leadlight::verification::{UndeliverableCause, Verdict};

/// Noon of the first day of all stories.
const START: &str = "2026-03-01T12:00:00Z";

/// `day` days after the start.
fn day(day: i64) -> Timestamp {
    hour(24 * day)
}

/// `hour` hours after the start.
fn hour(hour: i64) -> Timestamp {
    let start: Timestamp = START.parse().unwrap();
    start.checked_add(SignedDuration::from_hours(hour)).unwrap()
}

fn key() -> AddressKey {
    AddressKey::new("6b".to_owned())
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn lead_id(text: &str) -> LeadId {
    LeadId::parse(text).unwrap()
}

/// A piece whose source is its time, so that pieces of different times are different events.
fn piece(at: Timestamp, fact: Fact) -> Piece {
    Piece::new(fact, &at.to_string(), &key(), at, at)
}

/// A report about a message that was sent at the time of the event.
fn report(at: Timestamp) -> Report {
    let message = Message {
        id: at.to_string(),
        sent_at: at,
        sender: None,
    };
    Report {
        message: Some(message),
        classification: String::new(),
        status: None,
        diagnostic: None,
    }
}

fn hard(at: Timestamp, cause: BounceCause) -> Piece {
    piece(
        at,
        Fact::HardBounce {
            cause,
            report: report(at),
        },
    )
}

fn soft(at: Timestamp) -> Piece {
    piece(at, Fact::SoftBounce { report: report(at) })
}

fn complaint(at: Timestamp, attribution: Attribution) -> Piece {
    piece(
        at,
        Fact::Complaint {
            attribution,
            report: report(at),
        },
    )
}

fn withheld(at: Timestamp, list: SuppressionList) -> Piece {
    piece(
        at,
        Fact::Withheld {
            list,
            report: report(at),
        },
    )
}

fn delivery(at: Timestamp) -> Piece {
    piece(
        at,
        Fact::Delivery {
            message: Message {
                id: at.to_string(),
                sent_at: at,
                sender: None,
            },
        },
    )
}

fn note(at: Timestamp, note: Note) -> Piece {
    piece(
        at,
        Fact::Note {
            note,
            report: report(at),
        },
    )
}

fn verified(at: Timestamp, verdict: Verdict) -> Piece {
    piece(at, Fact::Verification { verdict })
}

fn undeliverable(at: Timestamp, cause: UndeliverableCause) -> Piece {
    verified(at, Verdict::Undeliverable { cause })
}

fn manual(at: Timestamp) -> Piece {
    piece(
        at,
        Fact::ManualBlock {
            actor: "support".to_owned(),
        },
    )
}

fn recheck(at: Timestamp) -> Piece {
    piece(
        at,
        Fact::Release {
            lead: lead_id("ann"),
            authority: Authority::Recheck,
        },
    )
}

fn support(at: Timestamp, with_consent: bool) -> Piece {
    let authority = Authority::Support {
        actor: "support".to_owned(),
        with_consent,
    };
    piece(
        at,
        Fact::Release {
            lead: lead_id("ann"),
            authority,
        },
    )
}
