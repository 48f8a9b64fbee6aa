//! Leads: persons in the CRM, each with one current address, and what a lead adds to the assessment of that address.
//!
//! A lead adds its standing, a **hold** (the block it carries over when its address is changed) and a sticky complaint, which
//! stays through any change of address. Both come off only by a release of this lead.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::address::{Address, AddressKey};
use crate::assessment::{Assessment, Condition, Reason, Resolution};
use crate::codes::{coded, identifier};
use crate::evidence::{Attribution, Authority, Evidence, EvidenceId, Piece};

identifier! {
    /// The CRM's own id of a lead: 1 to 128 letters, digits, `-`, `_`, `.`, `:`, `~`, but not `.` or `..`. Safe in a URL's path as it is.
    LeadId, max 128, also "-_.:~"
}

/// The most entries that a lead's own history keeps, the newest.
pub const MAX_HISTORY: usize = 32;
/// The most former addresses that a lead remembers, the newest.
pub const MAX_FORMER_ADDRESSES: usize = 8;

coded! {
    /// What the CRM says of a lead when nothing blocks it.
    Standing {
        /// May be mailed.
        Active = "active",
        /// Has not confirmed the address yet.
        Unconfirmed = "unconfirmed",
        /// Wants no marketing mail.
        Unsubscribed = "unsubscribed",
    }
}

/// The status of a lead, as its bubble shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing blocks it.
    Standing(Standing),
    /// Some recent temporary failures; may be mailed.
    SoftBouncing,
    /// Must not be mailed.
    Blocklisted(Reason),
}

impl Status {
    /// The machine-readable code, without reason and cause.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Standing(standing) => standing.code(),
            Self::SoftBouncing => "soft_bouncing",
            Self::Blocklisted(_) => "blocklisted",
        }
    }

    /// The reason, if blocklisted.
    #[must_use]
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Blocklisted(reason) => Some(reason),
            Self::Standing(_) | Self::SoftBouncing => None,
        }
    }
}

/// A block that a lead carries over from its former address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why the lead was blocklisted.
    #[serde(with = "reason_codes")]
    pub reason: Reason,
    /// Since when.
    pub since: Timestamp,
    /// When the hold was taken. Only a newer release of this lead ends it.
    pub taken_at: Timestamp,
    /// The evidence behind the block.
    pub because: Vec<EvidenceId>,
}

/// A spam complaint that stays with the lead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StickyComplaint {
    /// When the recipient complained.
    pub at: Timestamp,
    /// How sure it is.
    pub attribution: Attribution,
    /// The evidence.
    pub evidence: EvidenceId,
}

/// An address that the lead had before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerAddress {
    /// Its key.
    pub key: AddressKey,
    /// When the lead left it. What happened to it later is not this lead's story, complaints excepted.
    pub left_at: Timestamp,
}

/// Something that was done to the lead itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LeadEvent {
    /// The lead was saved for the first time.
    Created {
        /// With this standing.
        standing: Standing,
    },
    /// The address was changed.
    AddressChanged {
        /// Whether the block of the former address was carried over.
        held: bool,
    },
    /// The standing was changed by the CRM.
    StandingChanged {
        /// Before.
        from: Standing,
        /// After.
        to: Standing,
    },
    /// Check again was pressed and nothing could be found out, or something else stood in the way.
    RecheckFailed,
}

/// An entry of a lead's own history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When it was done.
    pub at: Timestamp,
    /// What was done.
    #[serde(flatten)]
    pub event: LeadEvent,
}

/// A lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// The CRM's id of it.
    pub id: LeadId,
    /// Its current address.
    pub address: Address,
    /// What the CRM says of it.
    pub standing: Standing,
    /// Since when the CRM says so. A newer unsubscription by the recipient outweighs it.
    pub standing_since: Timestamp,
    /// The block carried over from the former address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold: Option<Hold>,
    /// Complaints of the recipient, at any address the lead ever had; at most one of each attribution, the newest.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub complaints: BTreeSet<StickyComplaint>,
    /// Addresses it had before, oldest first, at most [`MAX_FORMER_ADDRESSES`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub former_addresses: Vec<FormerAddress>,
    /// When Check again was pressed, within the last hour, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rechecked_at: Vec<Timestamp>,
    /// What was done to it, oldest first, at most [`MAX_HISTORY`].
    #[serde(default)]
    pub history: Vec<HistoryEntry>,
}

/// What the CRM saves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Save {
    /// The address.
    pub address: Address,
    /// The standing; `None` leaves it as it is (`Active` for a new lead).
    pub standing: Option<Standing>,
    /// Since when; `None` is now, if it differs from what is stored.
    pub standing_since: Option<Timestamp>,
}

/// What is to be said of a lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadAssessment {
    /// Its status.
    pub status: Status,
    /// Its standing, as it is when nothing blocks the lead.
    pub standing: Standing,
    /// Since when the status holds, where that is known.
    pub since: Option<Timestamp>,
    /// The evidence that the status follows from, oldest first.
    pub because: Vec<EvidenceId>,
    /// How a block is lifted. `None` unless blocklisted.
    pub resolution: Option<Resolution>,
    /// The time before which Check again is not permitted, where there is one.
    pub check_again_from: Option<Timestamp>,
    /// The provider's own text, if any.
    pub diagnostic: Option<String>,
    /// Whether the block is a hold: it was made by the former address, and says nothing about the present one.
    pub held: bool,
}

/// Why Check again is not permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckAgainRefusal {
    /// There is no block to lift.
    #[error("the lead is not blocklisted")]
    NotBlocklisted,
    /// Only the recipient can take a spam complaint back.
    #[error("a spam complaint cannot be cleared by checking again")]
    Complaint,
    /// Only support can lift this block.
    #[error("this block can only be lifted by support")]
    SupportOnly,
    /// The address has to be corrected first.
    #[error("the address has to be corrected first")]
    AddressUnchanged,
    /// Not yet.
    #[error("the address cannot be checked again yet")]
    TooEarly {
        /// When it can.
        from: Timestamp,
    },
}

impl Lead {
    /// A lead that is saved for the first time.
    #[must_use]
    pub fn new(id: LeadId, save: Save, now: Timestamp) -> Self {
        let standing = save.standing.unwrap_or(Standing::Active);
        let created = HistoryEntry {
            at: now,
            event: LeadEvent::Created { standing },
        };
        Self {
            id,
            address: save.address,
            standing,
            standing_since: save.standing_since.unwrap_or(now),
            hold: None,
            complaints: BTreeSet::new(),
            former_addresses: Vec::new(),
            rechecked_at: Vec::new(),
            history: vec![created],
        }
    }

    /// The lead as the CRM saves it. `before` is what was to be said of it at its present address, `former_key` that
    /// address's key; both matter only if the address changes: a blocklisted lead then takes a hold, and stays red.
    #[must_use]
    pub fn save(
        mut self,
        save: Save,
        before: &LeadAssessment,
        former_key: &AddressKey,
        now: Timestamp,
    ) -> Self {
        if let Some(standing) = save.standing.filter(|standing| *standing != self.standing) {
            self.record(
                now,
                LeadEvent::StandingChanged {
                    from: self.standing,
                    to: standing,
                },
            );
            self.standing = standing;
            self.standing_since = save.standing_since.unwrap_or(now);
        } else if save.standing.is_some() {
            self.standing_since = save
                .standing_since
                .map_or(self.standing_since, |since| since.max(self.standing_since));
        }
        if !self.address.is_same_mailbox(&save.address) {
            self.former_addresses
                .retain(|former| former.key != *former_key);
            self.former_addresses.push(FormerAddress {
                key: former_key.clone(),
                left_at: now,
            });
            keep_last(&mut self.former_addresses, MAX_FORMER_ADDRESSES);
            self.carry_over(before, now);
            self.record(
                now,
                LeadEvent::AddressChanged {
                    held: before.status.reason().is_some(),
                },
            );
        }
        self.address = save.address;
        self
    }

    fn carry_over(&mut self, before: &LeadAssessment, now: Timestamp) {
        let Some(reason) = before.status.reason() else {
            self.hold = None;
            return;
        };
        let since = before.since.unwrap_or(now);
        if let Reason::SpamComplaint(attribution) = reason {
            if let Some(evidence) = before.because.last() {
                self.complaints.insert(StickyComplaint {
                    at: since,
                    attribution,
                    evidence: evidence.clone(),
                });
                self.keep_newest_complaints();
            }
            return;
        }
        self.hold = Some(Hold {
            reason,
            since,
            taken_at: now,
            because: before.because.clone(),
        });
    }

    /// Makes the complaints among `pieces` stick to the lead. True if that changed anything.
    pub fn mark_complaints<'a>(&mut self, pieces: impl IntoIterator<Item = &'a Piece>) -> bool {
        let before = self.complaints.clone();
        for piece in pieces {
            if let Some(attribution) = piece.fact.attribution() {
                let evidence = piece.id.clone();
                self.complaints.insert(StickyComplaint {
                    at: piece.at,
                    attribution,
                    evidence,
                });
            }
        }
        self.keep_newest_complaints();
        self.complaints != before
    }

    fn keep_newest_complaints(&mut self) {
        let newest = Attribution::ALL.iter().filter_map(|attribution| {
            self.complaints
                .iter()
                .rev()
                .find(|complaint| complaint.attribution == *attribution)
                .cloned()
        });
        self.complaints = newest.collect();
    }

    /// Counts a press of Check again against the hourly limit of one lead.
    ///
    /// # Errors
    /// When the limit is reached: the time from which the next press is accepted.
    pub fn count_recheck(&mut self, most_per_hour: u8, now: Timestamp) -> Result<(), Timestamp> {
        let hour = SignedDuration::from_hours(1);
        self.rechecked_at
            .retain(|at| now.duration_since(*at) < hour);
        if self.rechecked_at.len() < usize::from(most_per_hour) {
            self.rechecked_at.push(now);
            return Ok(());
        }
        let oldest = self.rechecked_at.first().copied().unwrap_or(now);
        Err(oldest.checked_add(hour).unwrap_or(now))
    }

    /// The time of a release given `now` on the ground of `evidence`: later than all that the person could see, even where
    /// another clock ran ahead of ours.
    #[must_use]
    pub fn release_time(&self, evidence: &Evidence, now: Timestamp) -> Timestamp {
        let seen = evidence
            .pieces()
            .map(|piece| piece.at)
            .chain(self.hold.as_ref().map(|hold| hold.taken_at))
            .max();
        let after_seen =
            seen.and_then(|seen| seen.checked_add(SignedDuration::from_millis(1)).ok());
        after_seen.map_or(now, |after| after.max(now))
    }

    /// Adds an entry to the history.
    pub fn record(&mut self, at: Timestamp, event: LeadEvent) {
        self.history.push(HistoryEntry { at, event });
        keep_last(&mut self.history, MAX_HISTORY);
    }

    /// What is to be said of the lead, given what is to be said of its address and the evidence that came from.
    #[must_use]
    pub fn assess(&self, address: Assessment, evidence: &Evidence) -> LeadAssessment {
        let standing = self.standing_now(evidence);
        if let Some(complaint) = self.standing_complaint(evidence) {
            let (attribution, resolution) = match complaint.attribution {
                Attribution::Certain => (Attribution::Certain, Resolution::Never),
                Attribution::Candidate => (Attribution::Candidate, Resolution::SupportOnly),
            };
            // The address's own complaint says the same with more evidence, and a certain one is stronger.
            if address.reason() != Some(Reason::SpamComplaint(attribution))
                && address.reason() != Some(Reason::SpamComplaint(Attribution::Certain))
            {
                return LeadAssessment {
                    status: Status::Blocklisted(Reason::SpamComplaint(attribution)),
                    standing,
                    since: Some(complaint.at),
                    because: vec![complaint.evidence.clone()],
                    resolution: Some(resolution),
                    check_again_from: None,
                    diagnostic: None,
                    held: false,
                };
            }
        }
        if address.reason().is_none()
            && let Some(hold) = self.standing_hold(evidence)
        {
            return LeadAssessment {
                status: Status::Blocklisted(hold.reason),
                standing,
                since: Some(hold.since),
                because: hold.because.clone(),
                resolution: Some(match hold.reason {
                    Reason::Manual | Reason::SpamComplaint(_) => Resolution::SupportOnly,
                    Reason::KnownSpammer
                    | Reason::HardBounce(_)
                    | Reason::WithheldByProvider(_)
                    | Reason::Undeliverable(_)
                    | Reason::RepeatedSoftBounces => Resolution::CheckAgain,
                }),
                check_again_from: None,
                diagnostic: None,
                held: true,
            };
        }
        let Assessment {
            condition,
            since,
            because,
            resolution,
            check_again_from,
            diagnostic,
        } = address;
        let status = match condition {
            Condition::Clear => Status::Standing(standing),
            Condition::SoftBouncing => Status::SoftBouncing,
            Condition::Blocklisted(reason) => Status::Blocklisted(reason),
        };
        LeadAssessment {
            status,
            standing,
            since,
            because,
            resolution,
            check_again_from,
            diagnostic,
            held: false,
        }
    }

    /// The newer of what the CRM said and what the recipient said, who also wins a tie. A release never resurrects consent.
    fn standing_now(&self, evidence: &Evidence) -> Standing {
        match evidence.subscription() {
            Some((at, true)) if at >= self.standing_since => Standing::Unsubscribed,
            Some(_) | None => self.standing,
        }
    }

    /// The strongest complaint that no release of this lead has lifted: consent lifts any, support alone a candidate.
    fn standing_complaint(&self, evidence: &Evidence) -> Option<&StickyComplaint> {
        let lifted = |complaint: &StickyComplaint| {
            self.releases(evidence)
                .any(|(at, authority)| match authority {
                    Authority::Recheck => false,
                    Authority::Support { with_consent, .. } => {
                        at > complaint.at
                            && (*with_consent || complaint.attribution == Attribution::Candidate)
                    }
                })
        };
        self.complaints
            .iter()
            .filter(|complaint| !lifted(complaint))
            .min_by_key(|complaint| complaint.attribution)
    }

    /// The hold, unless a release of this lead is newer. Only support releases a hold that support or a complaint made.
    fn standing_hold(&self, evidence: &Evidence) -> Option<&Hold> {
        let hold = self.hold.as_ref()?;
        let lifted = self.releases(evidence).any(|(at, authority)| {
            let may_lift = match (hold.reason, authority) {
                (Reason::Manual | Reason::SpamComplaint(_), Authority::Recheck) => false,
                (_, Authority::Recheck | Authority::Support { .. }) => true,
            };
            may_lift && at > hold.taken_at
        });
        (!lifted).then_some(hold)
    }

    fn releases<'a>(
        &'a self,
        evidence: &'a Evidence,
    ) -> impl Iterator<Item = (Timestamp, &'a Authority)> {
        evidence
            .releases()
            .filter(|(_, lead, _)| **lead == self.id)
            .map(|(at, _, authority)| (at, authority))
    }
}

impl LeadAssessment {
    /// Whether Check again may be pressed now. The widget offers the button, and the server accepts the press, by this alone.
    ///
    /// # Errors
    /// When it may not, with the reason.
    pub fn may_check_again(&self, now: Timestamp) -> Result<(), CheckAgainRefusal> {
        match self.resolution {
            None => Err(CheckAgainRefusal::NotBlocklisted),
            Some(Resolution::Never) => Err(CheckAgainRefusal::Complaint),
            Some(Resolution::SupportOnly) => Err(CheckAgainRefusal::SupportOnly),
            Some(Resolution::AfterAddressChange) => Err(CheckAgainRefusal::AddressUnchanged),
            Some(Resolution::CheckAgain) => match self.check_again_from {
                Some(from) if from > now => Err(CheckAgainRefusal::TooEarly { from }),
                Some(_) | None => Ok(()),
            },
        }
    }
}

fn keep_last<T>(entries: &mut Vec<T>, most: usize) {
    entries.drain(..entries.len().saturating_sub(most));
}

mod reason_codes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::assessment::Reason;

    #[derive(Serialize, Deserialize)]
    struct Codes<'a> {
        code: std::borrow::Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        cause: Option<std::borrow::Cow<'a, str>>,
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde calls"
    )]
    pub(super) fn serialize<S: Serializer>(
        reason: &Reason,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Codes {
            code: reason.code().into(),
            cause: reason.cause().map(Into::into),
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Reason, D::Error> {
        let codes = Codes::deserialize(deserializer)?;
        Reason::from_codes(&codes.code, codes.cause.as_deref())
            .ok_or_else(|| D::Error::custom("unknown reason"))
    }
}
