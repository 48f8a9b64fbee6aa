//! Evidence about an address: what SES, DNS and people told us, each piece with its time, its source and its id.
//!
//! Evidence only grows by [`Evidence::merge`], a join: commutative, associative, idempotent. So feedback may arrive late,
//! twice or in any order and the record ends the same. It stays small by keeping the newest few pieces of each kind; a kind
//! is chosen so that a weaker piece never pushes out a stronger one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::{Address, AddressKey};
use crate::codes::coded;
use crate::lead::LeadId;
use crate::verification::Verdict;

/// The most characters of a provider's own text that are kept (a DSN line of RFC 5321 has at most 512 octets).
pub const MAX_DIAGNOSTIC_CHARACTERS: usize = 300;
/// The most spellings of an address that are kept for SES's list calls, which need the exact stored letter case.
pub const MAX_SPELLINGS: usize = 8;

/// Names one piece of evidence in the whole deployment: kind, source's id, and address key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EvidenceId(String);

impl EvidenceId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

coded! {
    /// What a hard bounce says is wrong.
    BounceCause {
        /// The mailbox does not exist.
        MailboxMissing = "mailbox_missing",
        /// The mailbox belongs to somebody else now.
        OwnerChanged = "owner_changed",
        /// The mailbox is switched off.
        MailboxDisabled = "mailbox_disabled",
        /// The domain does not exist or takes no mail.
        InvalidDomain = "invalid_domain",
        /// Refused for good, with no cause given.
        Unspecified = "unspecified",
    }
}

impl BounceCause {
    /// Whether only another address can help: asking again about this one cannot disprove the bounce.
    #[must_use]
    pub fn is_about_the_address(self) -> bool {
        match self {
            Self::MailboxMissing | Self::OwnerChanged => true,
            Self::MailboxDisabled | Self::InvalidDomain | Self::Unspecified => false,
        }
    }
}

coded! {
    /// The list for which SES withheld a message.
    SuppressionList {
        /// The list of this AWS account.
        Account = "account",
        /// The list of an SES tenant.
        Tenant = "tenant",
        /// SES's own list, shared by all its customers; it can be neither asked nor cleared.
        Global = "global",
        /// SES's validation judged the address too risky to try.
        Validation = "validation",
        /// A list that SES has named since this was written.
        Other = "other",
    }
}

coded! {
    /// How sure it is who complained.
    Attribution {
        /// The provider named one recipient.
        Certain = "certain",
        /// The provider hid the complainer; SES named all recipients who may have been it.
        Candidate = "candidate",
    }
}

coded! {
    /// What is recorded without any effect on the status.
    Note {
        /// An automatic reply, such as an out-of-office notice.
        AutoReply = "auto_reply",
        /// SES is still trying.
        Delayed = "delayed",
        /// The message was refused for what it held or how large it was.
        MessageFault = "message_fault",
        /// The message was refused for who sent it: policy, reputation, authentication.
        SenderFault = "sender_fault",
        /// The recipient said that a message in the spam folder is no spam.
        NotSpam = "not_spam",
        /// A report about the sender's authentication.
        AuthFailure = "auth_failure",
    }
}

/// The message that a piece of feedback is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Message {
    /// SES's message id.
    pub id: String,
    /// When SES accepted the message.
    pub sent_at: Timestamp,
    /// The domain that it was sent from, where the notification says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sender: Option<String>,
}

/// What the provider reported, in SES's own words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Report {
    /// The message, if the notification names one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<Message>,
    /// SES's type and subtype, such as `Permanent/General`, or the feedback type of a complaint.
    pub classification: String,
    /// The enhanced status code (RFC 3463), such as `5.1.1`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<String>,
    /// The provider's own text, at most [`MAX_DIAGNOSTIC_CHARACTERS`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub diagnostic: Option<String>,
}

/// Who released an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "authority", rename_all = "snake_case")]
pub enum Authority {
    /// A press of Check again that found the address deliverable.
    Recheck,
    /// A person in support.
    Support {
        /// Who.
        actor: String,
        /// Whether the recipient consented; without it no certain complaint is lifted.
        with_consent: bool,
    },
}

/// What a piece of evidence says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The recipient reported spam.
    Complaint {
        /// How sure it is that it was this recipient.
        attribution: Attribution,
        /// What was reported.
        report: Report,
    },
    /// A person in support blocked the address.
    ManualBlock {
        /// Who.
        actor: String,
    },
    /// The address cannot be delivered to.
    HardBounce {
        /// What is wrong.
        cause: BounceCause,
        /// What was reported.
        report: Report,
    },
    /// The address could not be delivered to this time.
    SoftBounce {
        /// What was reported.
        report: Report,
    },
    /// SES did not try, because of something it already knew.
    Withheld {
        /// On which list the address is.
        list: SuppressionList,
        /// What was reported.
        report: Report,
    },
    /// The address was looked at.
    Verification {
        /// What came of it; never `Inconclusive`.
        #[serde(flatten)]
        verdict: Verdict,
    },
    /// Older blocks are lifted, and the hold of one lead.
    Release {
        /// The lead for which it was done.
        lead: LeadId,
        /// Who did it.
        #[serde(flatten)]
        authority: Authority,
    },
    /// SES took a message in for the address. Counted only: it says nothing about the address.
    Sent {
        /// The message.
        message: Message,
    },
    /// A message arrived.
    Delivery {
        /// The message.
        message: Message,
    },
    /// The recipient used SES's subscription management.
    Subscription {
        /// Whether the recipient is unsubscribed from everything now.
        unsubscribed: bool,
    },
    /// Something without effect on the status.
    Note {
        /// What.
        note: Note,
        /// What was reported.
        report: Report,
    },
}

impl Fact {
    /// For a complaint: how sure it is who complained.
    #[must_use]
    pub fn attribution(&self) -> Option<Attribution> {
        if let Self::Complaint { attribution, .. } = self {
            Some(*attribution)
        } else {
            None
        }
    }

    /// The message that it is about, where one is named.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Sent { message } | Self::Delivery { message } => Some(message),
            Self::Complaint { report, .. }
            | Self::HardBounce { report, .. }
            | Self::SoftBounce { report }
            | Self::Withheld { report, .. }
            | Self::Note { report, .. } => report.message.as_ref(),
            Self::ManualBlock { .. }
            | Self::Verification { .. }
            | Self::Release { .. }
            | Self::Subscription { .. } => None,
        }
    }
}

/// One piece of evidence. Its order is by time, so that "newest" has one meaning; of two copies the one recorded first stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Piece {
    /// When it happened, by the source's own clock.
    pub at: Timestamp,
    /// Its id.
    pub id: EvidenceId,
    /// Whether the source's time lay in our future, and `at` is the time of receipt instead.
    #[serde(skip_serializing_if = "core::ops::Not::not", default)]
    pub clamped: bool,
    /// What it says.
    #[serde(flatten)]
    pub fact: Fact,
    /// When we first recorded it. Last and reversed in the order, so that the time of receipt decides between copies only.
    #[serde(with = "reversed")]
    pub recorded_at: Reverse<Timestamp>,
}

impl Piece {
    /// A piece with the id that follows from what it says, `source` (SES's feedback id, else the message id; for what we did
    /// ourselves any id of ours) and the address it is about. So the same event makes the same id, whichever way it came.
    #[must_use]
    pub fn new(
        fact: Fact,
        source: &str,
        key: &AddressKey,
        at: Timestamp,
        recorded_at: Timestamp,
    ) -> Self {
        let id = EvidenceId([Kind::of(&fact).code(), ":", source, ":", key.as_str()].concat());
        Self {
            at,
            recorded_at: Reverse(recorded_at),
            id,
            clamped: false,
            fact,
        }
    }
}

mod reversed {
    use std::cmp::Reverse;

    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Reverse<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.0.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Reverse<Timestamp>, D::Error> {
        Timestamp::deserialize(deserializer).map(Reverse)
    }
}

/// The pieces that compete for the same room in a bounded record. Pieces with different power are of different kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Complaint(Attribution),
    ManualBlock,
    HardBounce { about_the_address: bool },
    SoftBounce,
    Withheld(SuppressionList),
    Verification,
    Recheck,
    SupportRelease { with_consent: bool },
    Sent,
    Delivery,
    Subscription,
    Note,
}

impl Kind {
    fn of(fact: &Fact) -> Self {
        match fact {
            Fact::Complaint { attribution, .. } => Self::Complaint(*attribution),
            Fact::ManualBlock { .. } => Self::ManualBlock,
            Fact::HardBounce { cause, .. } => Self::HardBounce {
                about_the_address: cause.is_about_the_address(),
            },
            Fact::SoftBounce { .. } => Self::SoftBounce,
            Fact::Withheld { list, .. } => Self::Withheld(*list),
            Fact::Verification { .. } => Self::Verification,
            Fact::Release {
                authority: Authority::Recheck,
                ..
            } => Self::Recheck,
            Fact::Release {
                authority: Authority::Support { with_consent, .. },
                ..
            } => Self::SupportRelease {
                with_consent: *with_consent,
            },
            Fact::Sent { .. } => Self::Sent,
            Fact::Delivery { .. } => Self::Delivery,
            Fact::Subscription { .. } => Self::Subscription,
            Fact::Note { .. } => Self::Note,
        }
    }

    /// Stands first in the id of a piece, so that copies of one piece always compete for the same room.
    const fn code(self) -> &'static str {
        match self {
            Self::Complaint(Attribution::Certain) => "complaint",
            Self::Complaint(Attribution::Candidate) => "possible-complaint",
            Self::ManualBlock => "manual-block",
            Self::HardBounce {
                about_the_address: true,
            } => "bounce-address",
            Self::HardBounce {
                about_the_address: false,
            } => "bounce",
            Self::SoftBounce => "soft-bounce",
            Self::Withheld(SuppressionList::Account) => "withheld-account",
            Self::Withheld(SuppressionList::Tenant) => "withheld-tenant",
            Self::Withheld(SuppressionList::Global) => "withheld-global",
            Self::Withheld(SuppressionList::Validation) => "withheld-validation",
            Self::Withheld(SuppressionList::Other) => "withheld",
            Self::Verification => "verification",
            Self::Recheck => "release",
            Self::SupportRelease {
                with_consent: false,
            } => "support-release",
            Self::SupportRelease { with_consent: true } => "consent",
            Self::Sent => "sent",
            Self::Delivery => "delivery",
            Self::Subscription => "subscription",
            Self::Note => "note",
        }
    }

    /// How many of the newest pieces are kept.
    const fn room(self) -> usize {
        match self {
            Self::SoftBounce => 32,
            Self::Recheck => 16,
            Self::Note => 8,
            Self::Complaint(_)
            | Self::ManualBlock
            | Self::HardBounce { .. }
            | Self::Withheld(_)
            | Self::Verification
            | Self::SupportRelease { .. }
            | Self::Sent
            | Self::Delivery
            | Self::Subscription => 4,
        }
    }
}

/// The evidence about one address, newest pieces of each kind, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Piece>", into = "Vec<Piece>")]
pub struct Evidence {
    pieces: BTreeMap<EvidenceId, Piece>,
}

impl Evidence {
    /// Every piece, in the order of the ids.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.values()
    }

    /// The join of both: every piece of either, of copies the greater, of each kind the newest.
    #[must_use]
    pub fn merge(mut self, other: impl IntoIterator<Item = Piece>) -> Self {
        for piece in other {
            match self.pieces.get(&piece.id) {
                Some(known) if *known >= piece => {}
                Some(_) | None => {
                    self.pieces.insert(piece.id.clone(), piece);
                }
            }
        }
        self.bound()
    }

    fn bound(mut self) -> Self {
        let mut by_kind: BTreeMap<Kind, Vec<&Piece>> = BTreeMap::new();
        for piece in self.pieces.values() {
            by_kind
                .entry(Kind::of(&piece.fact))
                .or_default()
                .push(piece);
        }
        let mut surplus = Vec::new();
        for (kind, mut pieces) in by_kind {
            pieces.sort_unstable_by(|a, b| b.cmp(a));
            surplus.extend(
                pieces
                    .iter()
                    .skip(kind.room())
                    .map(|piece| piece.id.clone()),
            );
        }
        for id in surplus {
            self.pieces.remove(&id);
        }
        self
    }

    /// When the newest release was given, by anybody.
    #[must_use]
    pub fn released_at(&self) -> Option<Timestamp> {
        self.releases().map(|(at, _, _)| at).max()
    }

    pub(crate) fn releases(&self) -> impl Iterator<Item = (Timestamp, &LeadId, &Authority)> {
        self.pieces().filter_map(|piece| {
            if let Fact::Release { lead, authority } = &piece.fact {
                Some((piece.at, lead, authority))
            } else {
                None
            }
        })
    }

    /// The newest word of the recipient to SES's subscription management: when, and whether it was to unsubscribe.
    #[must_use]
    pub fn subscription(&self) -> Option<(Timestamp, bool)> {
        let words = self.pieces().filter_map(|piece| {
            if let Fact::Subscription { unsubscribed } = piece.fact {
                Some((piece.at, unsubscribed))
            } else {
                None
            }
        });
        words.max()
    }
}

impl From<Vec<Piece>> for Evidence {
    fn from(pieces: Vec<Piece>) -> Self {
        Self::default().merge(pieces)
    }
}

impl From<Evidence> for Vec<Piece> {
    fn from(evidence: Evidence) -> Self {
        evidence.pieces.into_values().collect()
    }
}

impl FromIterator<Piece> for Evidence {
    fn from_iter<I: IntoIterator<Item = Piece>>(pieces: I) -> Self {
        Self::default().merge(pieces)
    }
}

impl IntoIterator for Evidence {
    type Item = Piece;
    type IntoIter = std::collections::btree_map::IntoValues<EvidenceId, Piece>;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_values()
    }
}

/// What is kept of an address: the address, the spellings that SES used, and the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRecord {
    /// The address as first seen; of two spellings the greater, so that merging stays a join.
    pub address: Address,
    /// SES's own spellings, for its list calls; at most [`MAX_SPELLINGS`].
    #[serde(default)]
    pub spellings: BTreeSet<String>,
    /// The evidence.
    pub evidence: Evidence,
}

impl AddressRecord {
    /// A record without evidence.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            spellings: BTreeSet::new(),
            evidence: Evidence::default(),
        }
    }

    /// The join of both records of one address.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let mut spellings: BTreeSet<String> =
            self.spellings.into_iter().chain(other.spellings).collect();
        while spellings.len() > MAX_SPELLINGS {
            spellings.pop_first();
        }
        Self {
            address: self.address.max(other.address),
            spellings,
            evidence: self.evidence.merge(other.evidence),
        }
    }
}
