//! What the evidence about an address adds up to: [`assess`], a pure and total function. Its steps ARE the policy, strongest first.
//!
//! It never looks at a lead; what a lead adds (standing, hold, sticky complaint) is in [`crate::lead`].

use jiff::{SignedDuration, Timestamp};

use crate::codes::coded;
use crate::evidence::{
    Attribution, Authority, BounceCause, Evidence, EvidenceId, Fact, Message, Piece, Report,
    SuppressionList,
};
use crate::policy::{MAX_SOFT_BOUNCE_THRESHOLD, Policy};
use crate::verification::{Flag, UndeliverableCause, Verdict};

/// Why an address or a lead is blocklisted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The recipient reported spam, or may be the one who did.
    SpamComplaint(Attribution),
    /// A person in support blocked it.
    Manual,
    /// The address or its domain is listed as a spammer's.
    KnownSpammer,
    /// The recipient's server refused for good.
    HardBounce(BounceCause),
    /// SES does not try, because of a list of its own.
    WithheldByProvider(SuppressionList),
    /// A verification found that nothing can be delivered.
    Undeliverable(UndeliverableCause),
    /// Temporary failures that do not end.
    RepeatedSoftBounces,
}

impl Reason {
    /// Every reason there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let complaints = Attribution::ALL.iter().copied().map(Self::SpamComplaint);
        let bounces = BounceCause::ALL.iter().copied().map(Self::HardBounce);
        let withheld = SuppressionList::ALL
            .iter()
            .copied()
            .map(Self::WithheldByProvider);
        let undeliverable = UndeliverableCause::ALL
            .iter()
            .copied()
            .map(Self::Undeliverable);
        let single = [Self::Manual, Self::KnownSpammer, Self::RepeatedSoftBounces];
        complaints
            .chain(bounces)
            .chain(withheld)
            .chain(undeliverable)
            .chain(single)
    }

    /// The machine-readable code, without the cause.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SpamComplaint(_) => "spam_complaint",
            Self::Manual => "manual",
            Self::KnownSpammer => "known_spammer",
            Self::HardBounce(_) => "hard_bounce",
            Self::WithheldByProvider(_) => "withheld_by_provider",
            Self::Undeliverable(_) => "undeliverable",
            Self::RepeatedSoftBounces => "repeated_soft_bounces",
        }
    }

    /// The machine-readable code of the cause, for reasons that have one.
    #[must_use]
    pub fn cause(self) -> Option<&'static str> {
        match self {
            Self::SpamComplaint(attribution) => Some(attribution.code()),
            Self::HardBounce(cause) => Some(cause.code()),
            Self::WithheldByProvider(list) => Some(list.code()),
            Self::Undeliverable(cause) => Some(cause.code()),
            Self::Manual | Self::KnownSpammer | Self::RepeatedSoftBounces => None,
        }
    }

    /// Whether DNS proved that the domain can receive no mail.
    #[must_use]
    pub fn is_of_domain(self) -> bool {
        match self {
            Self::Undeliverable(cause) => cause.is_of_domain(),
            Self::SpamComplaint(_)
            | Self::Manual
            | Self::KnownSpammer
            | Self::HardBounce(_)
            | Self::WithheldByProvider(_)
            | Self::RepeatedSoftBounces => false,
        }
    }

    /// The reason that both codes stand for.
    #[must_use]
    pub fn from_codes(code: &str, cause: Option<&str>) -> Option<Self> {
        Self::all().find(|reason| reason.code() == code && reason.cause() == cause)
    }
}

coded! {
    /// Who can lift a block, and how.
    Resolution {
        /// Anybody, by pressing Check again.
        CheckAgain = "check_again",
        /// Anybody, by correcting the address first and then pressing Check again.
        AfterAddressChange = "after_address_change",
        /// A person in support.
        SupportOnly = "support_only",
        /// Nobody but the recipient.
        Never = "never",
    }
}

/// What is to be said of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing speaks against it.
    Clear,
    /// Some recent temporary failures. May be mailed.
    SoftBouncing,
    /// Must not be mailed.
    Blocklisted(Reason),
}

/// A condition with its grounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// What is to be said of the address.
    pub condition: Condition,
    /// Since when; for a clear address there is no such time.
    pub since: Option<Timestamp>,
    /// The evidence that the condition follows from, oldest first.
    pub because: Vec<EvidenceId>,
    /// How a block is lifted. `None` unless blocklisted.
    pub resolution: Option<Resolution>,
    /// The time before which Check again is not permitted, where there is one.
    pub check_again_from: Option<Timestamp>,
    /// The provider's own text in the newest piece of `because`, if any.
    pub diagnostic: Option<String>,
}

impl Assessment {
    /// The assessment of an address of which nothing is known.
    #[must_use]
    pub fn clear() -> Self {
        Self {
            condition: Condition::Clear,
            since: None,
            because: Vec::new(),
            resolution: None,
            check_again_from: None,
            diagnostic: None,
        }
    }

    fn of(condition: Condition, resolution: Option<Resolution>, mut grounds: Vec<&Piece>) -> Self {
        grounds.sort_unstable();
        Self {
            condition,
            since: grounds.first().map(|piece| piece.at),
            because: grounds.iter().map(|piece| piece.id.clone()).collect(),
            resolution,
            check_again_from: None,
            diagnostic: grounds
                .iter()
                .rev()
                .find_map(|piece| diagnostic(&piece.fact))
                .map(str::to_owned),
        }
    }

    fn block(reason: Reason, resolution: Resolution, grounds: Vec<&Piece>) -> Self {
        Self::of(Condition::Blocklisted(reason), Some(resolution), grounds)
    }

    /// The reason, if the address is blocklisted.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self.condition {
            Condition::Blocklisted(reason) => Some(reason),
            Condition::Clear | Condition::SoftBouncing => None,
        }
    }
}

/// Reads the status of an address from its evidence. Strongest first; the first step that finds something answers.
#[must_use]
pub fn assess(evidence: &Evidence, policy: &Policy, now: Timestamp) -> Assessment {
    let view = View {
        evidence,
        policy,
        now,
    };
    view.complaint()
        .or_else(|| view.manual_block())
        .or_else(|| view.known_spammer())
        .or_else(|| view.hard_bounce())
        .or_else(|| view.withheld())
        .or_else(|| view.undeliverable())
        .or_else(|| view.soft_bounces())
        .unwrap_or_else(Assessment::clear)
}

/// The reason for which a verdict alone blocklists an address under `policy`, if it does.
#[must_use]
pub fn objection(verdict: &Verdict, policy: &Policy) -> Option<Reason> {
    match verdict {
        Verdict::KnownSpammer { .. } => Some(Reason::KnownSpammer),
        Verdict::Undeliverable { cause } => Some(Reason::Undeliverable(*cause)),
        Verdict::Risky { flags }
            if policy.block_disposable && flags.contains(&Flag::Disposable) =>
        {
            Some(Reason::Undeliverable(UndeliverableCause::Disposable))
        }
        Verdict::Risky { flags } if policy.block_role && flags.contains(&Flag::Role) => {
            Some(Reason::Undeliverable(UndeliverableCause::Role))
        }
        Verdict::Risky { flags } if policy.block_no_reply && flags.contains(&Flag::NoReply) => {
            Some(Reason::Undeliverable(UndeliverableCause::NoReply))
        }
        Verdict::Deliverable | Verdict::Risky { .. } | Verdict::Inconclusive { .. } => None,
    }
}

struct View<'a> {
    evidence: &'a Evidence,
    policy: &'a Policy,
    now: Timestamp,
}

impl<'a> View<'a> {
    fn complaint(&self) -> Option<Assessment> {
        let consent = self.supported_at(true);
        let lifted_candidates = consent.max(self.supported_at(false));
        let complaints = |wanted, lifted| {
            self.select(lifted, move |fact| {
                fact.attribution().filter(|found| *found == wanted)
            })
        };
        let certain = complaints(Attribution::Certain, consent);
        if !certain.is_empty() {
            return Some(Assessment::block(
                Reason::SpamComplaint(Attribution::Certain),
                Resolution::Never,
                pieces(certain),
            ));
        }
        let candidates = complaints(Attribution::Candidate, lifted_candidates);
        let reason = Reason::SpamComplaint(Attribution::Candidate);
        (!candidates.is_empty())
            .then(|| Assessment::block(reason, Resolution::SupportOnly, pieces(candidates)))
    }

    fn manual_block(&self) -> Option<Assessment> {
        let lifted = self.supported_at(true).max(self.supported_at(false));
        let blocks = self.select(lifted, |fact| {
            if let Fact::ManualBlock { .. } = fact {
                Some(())
            } else {
                None
            }
        });
        (!blocks.is_empty())
            .then(|| Assessment::block(Reason::Manual, Resolution::SupportOnly, pieces(blocks)))
    }

    fn known_spammer(&self) -> Option<Assessment> {
        let (grounds, reason) = self.objection()?;
        (reason == Reason::KnownSpammer)
            .then(|| Assessment::block(reason, Resolution::AfterAddressChange, grounds))
    }

    fn hard_bounce(&self) -> Option<Assessment> {
        let bounces = self.select(self.evidence.released_at(), |fact| {
            if let Fact::HardBounce { cause, .. } = fact {
                Some(*cause)
            } else {
                None
            }
        });
        let about_the_address = bounces
            .iter()
            .rev()
            .find(|(_, cause)| cause.is_about_the_address());
        if let Some((_, cause)) = about_the_address {
            let reason = Reason::HardBounce(*cause);
            return Some(Assessment::block(
                reason,
                Resolution::AfterAddressChange,
                pieces(bounces),
            ));
        }
        let (_, cause) = bounces.last()?;
        let reason = Reason::HardBounce(*cause);
        let interval = days(self.policy.recheck_interval_days);
        let check_again_from = self
            .rechecked_at()
            .and_then(|at| at.checked_add(interval).ok());
        Some(Assessment {
            check_again_from: check_again_from.filter(|from| *from > self.now),
            ..Assessment::block(reason, Resolution::CheckAgain, pieces(bounces))
        })
    }

    fn withheld(&self) -> Option<Assessment> {
        let withheld = self.select(self.evidence.released_at(), |fact| {
            if let Fact::Withheld { list, .. } = fact {
                Some(*list)
            } else {
                None
            }
        });
        let (_, newest) = withheld.last()?;
        let reason = Reason::WithheldByProvider(*newest);
        let global = withheld
            .iter()
            .rev()
            .find(|(_, list)| *list == SuppressionList::Global);
        let forgotten_at = global.and_then(|(piece, _)| {
            piece
                .at
                .checked_add(days(self.policy.global_list_days))
                .ok()
        });
        Some(Assessment {
            check_again_from: forgotten_at.filter(|from| *from > self.now),
            ..Assessment::block(reason, Resolution::CheckAgain, pieces(withheld))
        })
    }

    fn undeliverable(&self) -> Option<Assessment> {
        let (grounds, reason) = self.objection()?;
        let Reason::Undeliverable(cause) = reason else {
            return None;
        };
        let resolution = match cause {
            UndeliverableCause::BadSyntax
            | UndeliverableCause::UnsendableLocalPart
            | UndeliverableCause::Disposable
            | UndeliverableCause::Role
            | UndeliverableCause::NoReply => Resolution::AfterAddressChange,
            UndeliverableCause::NoSuchDomain
            | UndeliverableCause::NoMailServer
            | UndeliverableCause::NullMx
            | UndeliverableCause::UnreachableMailServer => Resolution::CheckAgain,
        };
        Some(Assessment::block(reason, resolution, grounds))
    }

    fn soft_bounces(&self) -> Option<Assessment> {
        let window_start = self
            .now
            .checked_sub(days(self.policy.soft_bounce_window_days))
            .ok();
        let lifted = self.evidence.released_at().max(window_start);
        let bounces = self.select(lifted, |fact| {
            if let Fact::SoftBounce { report } = fact {
                Some(report)
            } else {
                None
            }
        });
        let deliveries: Vec<(Timestamp, &Message)> = self
            .select(lifted, |fact| {
                if let Fact::Delivery { message } = fact {
                    Some(message)
                } else {
                    None
                }
            })
            .into_iter()
            .map(|(piece, message)| (piece.at, message))
            .collect();
        let strikes: Vec<&Piece> = bounces
            .into_iter()
            .filter(|(bounce, report)| {
                !deliveries
                    .iter()
                    .any(|delivery| ends(*delivery, bounce.at, report))
            })
            .map(|(bounce, _)| bounce)
            .collect();
        let mut strike_days: Vec<i64> = strikes
            .iter()
            .map(|piece| piece.at.as_second().div_euclid(86_400))
            .collect();
        strike_days.dedup();
        let reached = strikes.len()
            >= usize::from(
                self.policy
                    .soft_bounce_threshold
                    .clamp(1, MAX_SOFT_BOUNCE_THRESHOLD),
            )
            && strike_days.len() >= usize::from(self.policy.soft_bounce_days);
        if reached {
            return Some(Assessment::block(
                Reason::RepeatedSoftBounces,
                Resolution::CheckAgain,
                strikes,
            ));
        }
        (!strikes.is_empty()).then(|| Assessment::of(Condition::SoftBouncing, None, strikes))
    }

    /// What the newest verification objects to, unless the address was released after it; with it the verifications just before
    /// that objected too. A newer verification always replaces an older one: DNS as it is, not as it was.
    fn objection(&self) -> Option<(Vec<&'a Piece>, Reason)> {
        let verdicts = self.select(self.evidence.released_at(), |fact| {
            if let Fact::Verification { verdict } = fact {
                Some(objection(verdict, self.policy))
            } else {
                None
            }
        });
        let (_, newest) = verdicts.last()?;
        let objecting = verdicts
            .iter()
            .rev()
            .take_while(|(_, objection)| objection.is_some());
        Some((objecting.map(|(piece, _)| *piece).collect(), (*newest)?))
    }

    /// The pieces of one kind that nothing at or after their own time has lifted, oldest first.
    ///
    /// A release outweighs what is older than itself, so a piece of the very same time stays.
    fn select<T>(
        &self,
        lifted: Option<Timestamp>,
        wanted: impl Fn(&'a Fact) -> Option<T>,
    ) -> Vec<(&'a Piece, T)> {
        let mut selected: Vec<(&Piece, T)> = self
            .evidence
            .pieces()
            .filter(|piece| lifted.is_none_or(|lifted| piece.at >= lifted))
            .filter_map(|piece| wanted(&piece.fact).map(|found| (piece, found)))
            .collect();
        selected.sort_unstable_by_key(|(piece, _)| *piece);
        selected
    }

    fn supported_at(&self, consent: bool) -> Option<Timestamp> {
        let given = self
            .evidence
            .releases()
            .filter(|(_, _, authority)| match authority {
                Authority::Support { with_consent, .. } => *with_consent == consent,
                Authority::Recheck => false,
            });
        given.map(|(at, _, _)| at).max()
    }

    fn rechecked_at(&self) -> Option<Timestamp> {
        let rechecks = self
            .evidence
            .releases()
            .filter(|(_, _, authority)| **authority == Authority::Recheck);
        rechecks.map(|(at, _, _)| at).max()
    }
}

fn pieces<T>(selected: Vec<(&Piece, T)>) -> Vec<&Piece> {
    selected.into_iter().map(|(piece, _)| piece).collect()
}

/// Whether a delivery ends the run that a soft bounce belongs to: it happened later, and to a message sent later. A late
/// delivery of the message that bounced, or of an older one, says nothing about the mailbox after the bounce.
fn ends(
    (delivered_at, delivered): (Timestamp, &Message),
    bounced_at: Timestamp,
    report: &Report,
) -> bool {
    let newer_message = report
        .message
        .as_ref()
        .is_none_or(|bounced| delivered.id != bounced.id && delivered.sent_at > bounced.sent_at);
    delivered_at > bounced_at && newer_message
}

fn diagnostic(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::Complaint { report, .. }
        | Fact::HardBounce { report, .. }
        | Fact::SoftBounce { report }
        | Fact::Withheld { report, .. }
        | Fact::Note { report, .. } => report.diagnostic.as_deref(),
        Fact::ManualBlock { .. }
        | Fact::Verification { .. }
        | Fact::Release { .. }
        | Fact::Sent { .. }
        | Fact::Delivery { .. }
        | Fact::Subscription { .. } => None,
    }
}

fn days(days: u16) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(days))
}
