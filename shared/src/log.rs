//! The log of a lead: a projection of its own history and of the evidence of its addresses. Nothing is stored for it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::codes::coded;
use crate::evidence::{Authority, Evidence, EvidenceId, Fact, Note, Piece};
use crate::lead::{HistoryEntry, Lead, LeadEvent};
use crate::verification::Verdict;

coded! {
    /// What an entry of the log is about.
    LogEvent {
        /// The lead was saved for the first time.
        Created = "created",
        /// The address was changed; detail `held` if a block was carried over.
        AddressChanged = "address_changed",
        /// The CRM changed the standing; detail is the new one.
        StandingChanged = "standing_changed",
        /// Check again could not be completed.
        RecheckFailed = "recheck_failed",
        /// A spam complaint; detail is the attribution.
        Complaint = "complaint",
        /// Blocked by support.
        ManualBlock = "manual_block",
        /// A hard bounce; detail is the cause.
        HardBounce = "hard_bounce",
        /// A soft bounce.
        SoftBounce = "soft_bounce",
        /// SES did not try; detail is the list.
        Withheld = "withheld",
        /// The address was verified; detail is the verdict, after `risky:` its flags, or the cause why not deliverable.
        Verified = "verified",
        /// Safelisted; detail is who: `recheck` or `support`.
        Safelisted = "safelisted",
        /// A message was delivered.
        Delivered = "delivered",
        /// The recipient unsubscribed from everything.
        Unsubscribed = "unsubscribed",
        /// The recipient subscribed again.
        Subscribed = "subscribed",
        /// An automatic reply.
        AutoReply = "auto_reply",
        /// SES is still trying.
        Delayed = "delayed",
        /// The message was refused for its content or size.
        MessageFault = "message_fault",
        /// The message was refused for its sender.
        SenderFault = "sender_fault",
        /// The recipient said that it is no spam.
        NotSpam = "not_spam",
        /// A report about the sender's authentication.
        AuthFailure = "auth_failure",
    }
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: LogEvent,
    /// More about it: a code that depends on the event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// The provider's own text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub diagnostic: Option<String>,
    /// The evidence behind the entry; lead events have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence: Option<EvidenceId>,
    /// Whether it is about an address that the lead no longer has.
    #[serde(skip_serializing_if = "core::ops::Not::not", default)]
    pub former_address: bool,
}

/// The log of `lead`, newest first.
///
/// `former` holds the evidence of its former addresses, each with the time when the lead left it: what happened there later
/// is not this lead's story, complaints excepted. A release is told of the lead for which it was given only.
#[must_use]
pub fn entries(lead: &Lead, current: &Evidence, former: &[(Timestamp, Evidence)]) -> Vec<Entry> {
    let history = lead.history.iter().map(from_history);
    let of_current = current
        .pieces()
        .filter(|piece| is_about(lead, piece))
        .filter_map(|piece| from_piece(piece, false));
    let of_former = former.iter().flat_map(|(left_at, evidence)| {
        let told = move |piece: &&Piece| {
            is_about(lead, piece) && (piece.at <= *left_at || piece.fact.attribution().is_some())
        };
        evidence
            .pieces()
            .filter(told)
            .filter_map(|piece| from_piece(piece, true))
    });
    let mut entries: Vec<Entry> = history.chain(of_current).chain(of_former).collect();
    entries.sort_unstable_by(|a, b| b.cmp(a));
    entries.dedup();
    entries
}

fn is_about(lead: &Lead, piece: &Piece) -> bool {
    if let Fact::Release { lead: released, .. } = &piece.fact {
        *released == lead.id
    } else {
        true
    }
}

fn from_history(entry: &HistoryEntry) -> Entry {
    let (event, detail) = match entry.event {
        LeadEvent::Created { standing } => (LogEvent::Created, Some(standing.code())),
        LeadEvent::AddressChanged { held } => (LogEvent::AddressChanged, held.then_some("held")),
        LeadEvent::StandingChanged { to, .. } => (LogEvent::StandingChanged, Some(to.code())),
        LeadEvent::RecheckFailed => (LogEvent::RecheckFailed, None),
    };
    let detail = detail.map(str::to_owned);
    Entry {
        at: entry.at,
        event,
        detail,
        diagnostic: None,
        evidence: None,
        former_address: false,
    }
}

/// `None` for a message that left: what came of it is the story.
fn from_piece(piece: &Piece, former_address: bool) -> Option<Entry> {
    let (event, detail, report): (_, Option<Cow<'static, str>>, _) = match &piece.fact {
        Fact::Complaint {
            attribution,
            report,
        } => (
            LogEvent::Complaint,
            Some(attribution.code().into()),
            Some(report),
        ),
        Fact::ManualBlock { .. } => (LogEvent::ManualBlock, None, None),
        Fact::HardBounce { cause, report } => (
            LogEvent::HardBounce,
            Some(cause.code().into()),
            Some(report),
        ),
        Fact::SoftBounce { report } => (LogEvent::SoftBounce, None, Some(report)),
        Fact::Withheld { list, report } => {
            (LogEvent::Withheld, Some(list.code().into()), Some(report))
        }
        Fact::Verification { verdict } => (LogEvent::Verified, Some(verdict_code(verdict)), None),
        Fact::Release {
            authority: Authority::Recheck,
            ..
        } => (LogEvent::Safelisted, Some("recheck".into()), None),
        Fact::Release {
            authority: Authority::Support { .. },
            ..
        } => (LogEvent::Safelisted, Some("support".into()), None),
        Fact::Sent { .. } => return None,
        Fact::Delivery { .. } => (LogEvent::Delivered, None, None),
        Fact::Subscription { unsubscribed: true } => (LogEvent::Unsubscribed, None, None),
        Fact::Subscription {
            unsubscribed: false,
        } => (LogEvent::Subscribed, None, None),
        Fact::Note { note, report } => (note_event(*note), None, Some(report)),
    };
    Some(Entry {
        at: piece.at,
        event,
        detail: detail.map(Cow::into_owned),
        diagnostic: report.and_then(|report| report.diagnostic.clone()),
        evidence: Some(piece.id.clone()),
        former_address,
    })
}

fn verdict_code(verdict: &Verdict) -> Cow<'static, str> {
    match verdict {
        Verdict::Deliverable => "deliverable".into(),
        Verdict::Risky { flags } => {
            let flags: Vec<&str> = flags.iter().map(|flag| flag.code()).collect();
            ["risky:", &flags.join(",")].concat().into()
        }
        Verdict::Undeliverable { cause } => cause.code().into(),
        Verdict::KnownSpammer { .. } => "known_spammer".into(),
        Verdict::Inconclusive { .. } => "inconclusive".into(),
    }
}

fn note_event(note: Note) -> LogEvent {
    match note {
        Note::AutoReply => LogEvent::AutoReply,
        Note::Delayed => LogEvent::Delayed,
        Note::MessageFault => LogEvent::MessageFault,
        Note::SenderFault => LogEvent::SenderFault,
        Note::NotSpam => LogEvent::NotSpam,
        Note::AuthFailure => LogEvent::AuthFailure,
    }
}
