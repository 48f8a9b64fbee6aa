//! The gate: what stands between a message and a recipient, and what to do about it. [`decide`] is pure and total.
//!
//! Whatever is blocklisted is refused for every purpose; an unsubscription stops marketing alone. The gate only reads: it
//! blocks nobody, releases nobody, and never guesses about what could not be loaded (that is for the caller to refuse).

use jiff::Timestamp;

use crate::address::Address;
use crate::assessment::{Assessment, Reason, Resolution, assess};
use crate::codes::coded;
use crate::evidence::{Evidence, EvidenceId, Fact};
use crate::lead::{Lead, Standing};
use crate::policy::Policy;

/// The most recipients of one check.
pub const MAX_CHECKED: usize = 1_000;
/// The most recipients of one message, To, Cc and Bcc together (SES developer guide, *quotas*).
pub const MAX_RECIPIENTS: usize = 50;

coded! {
    /// What a message is for.
    #[derive(Default)]
    Purpose {
        /// The sender wants it read: needs the recipient's consent.
        #[default]
        Marketing = "marketing",
        /// The recipient asked for it: a receipt, a password, an answer.
        Transactional = "transactional",
    }
}

coded! {
    /// What becomes of a message when some of its recipients are refused.
    #[derive(Default)]
    Mode {
        /// It goes to nobody.
        #[default]
        AllOrNothing = "all_or_nothing",
        /// It goes to the others.
        SkipBlocked = "skip_blocked",
    }
}

coded! {
    /// The gate's answer, for one recipient or for all together.
    GateDecision {
        /// May be sent.
        Allow = "allow",
        /// Must not be sent.
        Refuse = "refuse",
    }
}

coded! {
    /// Who can take an objection away.
    Resolver {
        /// Anybody who works with the lead.
        Anyone = "anyone",
        /// A person in support.
        Support = "support",
        /// The recipient, and nobody else.
        Recipient = "recipient",
    }
}

/// Why a recipient is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The lead or its address is blocklisted.
    Blocklisted(Reason),
    /// The lead is saved with another address, whose history this message would leave behind unchecked.
    AnotherAddress,
    /// The recipient wants no marketing mail.
    Unsubscribed,
}

impl Ground {
    /// The machine-readable code, without the cause.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Blocklisted(reason) => reason.code(),
            Self::AnotherAddress => "another_address",
            Self::Unsubscribed => "unsubscribed",
        }
    }

    /// The machine-readable code of the cause, for grounds that have one.
    #[must_use]
    pub fn cause(self) -> Option<&'static str> {
        match self {
            Self::Blocklisted(reason) => reason.cause(),
            Self::AnotherAddress | Self::Unsubscribed => None,
        }
    }
}

/// What stands against one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Why.
    pub ground: Ground,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// The evidence it follows from, oldest first. Empty where the CRM itself said so.
    pub because: Vec<EvidenceId>,
    /// How it is taken away.
    pub resolution: Resolution,
    /// The time before which Check again is not permitted, where there is one.
    pub check_again_from: Option<Timestamp>,
}

impl Objection {
    fn of_address(address: Assessment) -> Option<Self> {
        Some(Self {
            ground: Ground::Blocklisted(address.reason()?),
            since: address.since,
            because: address.because,
            resolution: or_support(address.resolution),
            check_again_from: address.check_again_from,
        })
    }

    /// Who can take it away.
    #[must_use]
    pub fn resolver(&self) -> Resolver {
        match self.resolution {
            Resolution::CheckAgain | Resolution::AfterAddressChange => Resolver::Anyone,
            Resolution::SupportOnly => Resolver::Support,
            Resolution::Never => Resolver::Recipient,
        }
    }

    /// What to do about it, in one plain sentence.
    #[must_use]
    pub fn what_to_do(&self) -> &'static str {
        match (self.ground, self.resolution) {
            (Ground::AnotherAddress, _) => "Save the lead with this address, then send again.",
            (Ground::Unsubscribed, _) => {
                "Send no marketing mail until the person subscribes again."
            }
            (Ground::Blocklisted(Reason::SpamComplaint(_)), Resolution::SupportOnly) => {
                "Reach the person through another channel first, then ask support to lift the block."
            }
            (Ground::Blocklisted(Reason::SpamComplaint(_)), _) => {
                "Reach the person through another channel first."
            }
            (Ground::Blocklisted(_), Resolution::AfterAddressChange) => {
                "Correct the address and press Check again."
            }
            (Ground::Blocklisted(_), Resolution::CheckAgain) if self.check_again_from.is_some() => {
                "Correct the address, or wait until it may be checked again, and press Check again."
            }
            (Ground::Blocklisted(_), Resolution::CheckAgain) => {
                "Make sure that the address is right and press Check again."
            }
            (Ground::Blocklisted(_), Resolution::SupportOnly | Resolution::Never) => {
                "Ask support to lift the block."
            }
        }
    }
}

/// Somebody to whom a message is to go, with what is known.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// Where it is to go.
    pub address: &'a Address,
    /// The lead it is for. `None` if it is for none, or for one that was never saved: then the address alone is judged.
    pub lead: Option<&'a Lead>,
    /// The evidence about `address`.
    pub evidence: &'a Evidence,
}

/// What stands against sending a message for `purpose` to `recipient` at `now`; `None` lets it through. Strongest first.
#[must_use]
pub fn decide(
    recipient: Recipient<'_>,
    policy: &Policy,
    purpose: Purpose,
    now: Timestamp,
) -> Option<Objection> {
    recipient
        .blocklisted(policy, now)
        .or_else(|| recipient.another_address())
        .or_else(|| match purpose {
            Purpose::Marketing => recipient.unsubscribed(),
            Purpose::Transactional => None,
        })
}

impl GateDecision {
    /// The decision about one recipient.
    #[must_use]
    pub fn of(objection: Option<&Objection>) -> Self {
        objection.map_or(Self::Allow, |_| Self::Refuse)
    }
}

impl Recipient<'_> {
    fn blocklisted(&self, policy: &Policy, now: Timestamp) -> Option<Objection> {
        let address = assess(self.evidence, policy, now);
        let found = match self.lead {
            Some(lead) => lead.assess(address, self.evidence),
            None => return Objection::of_address(address),
        };
        Some(Objection {
            ground: Ground::Blocklisted(found.status.reason()?),
            since: found.since,
            because: found.because,
            resolution: or_support(found.resolution),
            check_again_from: found.check_again_from,
        })
    }

    fn another_address(&self) -> Option<Objection> {
        let elsewhere = !self.lead?.address.is_same_mailbox(self.address);
        elsewhere.then_some(Objection {
            ground: Ground::AnotherAddress,
            since: None,
            because: Vec::new(),
            resolution: Resolution::AfterAddressChange,
            check_again_from: None,
        })
    }

    /// The newer of what the CRM said and what the recipient said, as [`Lead::assess`] reads it.
    fn unsubscribed(&self) -> Option<Objection> {
        let said_by_crm = self.lead.map(|lead| (lead.standing_since, lead.standing));
        let said_by_recipient = self
            .newest_subscription()
            .filter(|(at, unsubscribed, _)| {
                said_by_crm.is_none_or(|(since, _)| *unsubscribed && *at >= since)
            })
            .map(|(at, unsubscribed, id)| (at, unsubscribed, vec![id.clone()]));
        let (since, unsubscribed, because) = said_by_recipient.or_else(|| {
            said_by_crm
                .map(|(since, standing)| (since, standing == Standing::Unsubscribed, Vec::new()))
        })?;
        unsubscribed.then_some(Objection {
            ground: Ground::Unsubscribed,
            since: Some(since),
            because,
            resolution: Resolution::Never,
            check_again_from: None,
        })
    }

    fn newest_subscription(&self) -> Option<(Timestamp, bool, &EvidenceId)> {
        let words = self.evidence.pieces().filter_map(|piece| {
            if let Fact::Subscription { unsubscribed } = piece.fact {
                Some((piece.at, unsubscribed, &piece.id))
            } else {
                None
            }
        });
        words.max()
    }
}

/// Every block has a resolution. Were one without, it would still be a block, and for a person to look at.
fn or_support(resolution: Option<Resolution>) -> Resolution {
    resolution.unwrap_or(Resolution::SupportOnly)
}
