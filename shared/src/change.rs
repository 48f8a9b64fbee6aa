//! Changes of status: [`follow`] folds what was written into what was last told of a lead, purely and in any portions.
//!
//! What is folded in are the images of two items, the lead and the evidence of its address, each with its version, so that a
//! record that comes again is known again. It never asks what an item is *now*: a status that lasted a second is told as well as
//! one that lasts. What time alone changes (a window that ends) nobody writes, so it is told with the next change.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::address::AddressKey;
use crate::assessment::{Resolution, assess};
use crate::evidence::{Evidence, EvidenceId, Fact, Piece};
use crate::lead::{Lead, LeadAssessment, LeadId};
use crate::policy::Policy;

/// The `type` of an event about a change.
pub const EVENT_TYPE: &str = "dev.leadlight.lead.status_changed";

/// A status as changes speak of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldStatus {
    /// `active`, `unconfirmed`, `unsubscribed`, `soft_bouncing` or `blocklisted`.
    pub status: String,
    /// Why, if blocklisted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The cause, for reasons that have one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

/// That the status of a lead changed: the `data` of the event. Holds no address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The lead.
    pub lead: LeadId,
    /// What it was.
    pub from: ToldStatus,
    /// What it is.
    pub to: ToldStatus,
    /// Who can lift the block, if blocklisted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolution: Option<Resolution>,
    /// Since when, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Timestamp>,
    /// The evidence behind it, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub evidence: Vec<EvidenceId>,
    /// When what changed it was written, in whole seconds.
    pub changed_at: Timestamp,
}

/// An event in the structured JSON of `CloudEvents` 1.0. Copies of one event have one `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudEvent {
    /// `1.0`.
    pub specversion: String,
    /// Names the event, together with `source`.
    pub id: String,
    /// `/accounts/{account}`.
    pub source: String,
    /// [`EVENT_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The lead.
    pub subject: String,
    /// As `changed_at` in the data.
    pub time: Timestamp,
    /// `application/json`.
    pub datacontenttype: String,
    /// What changed.
    pub data: Change,
}

/// The evidence of an address as of a version of its item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenEvidence {
    /// The address.
    pub address: AddressKey,
    /// The version.
    pub version: u64,
    /// The evidence, less what no status follows from.
    pub evidence: Evidence,
}

/// A lead as of a version of its item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenLead {
    /// Its address.
    pub address: AddressKey,
    /// The version.
    pub version: u64,
    /// The lead, less its history.
    pub lead: Lead,
}

/// What was last told of a lead, and what that followed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The lead, once it was seen. An address may be seen before: a save writes it first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lead: Option<SeenLead>,
    /// The evidence of its address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence: Option<SeenEvidence>,
    /// The evidence of another address that it is about to have, or had.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub other: Option<SeenEvidence>,
    /// What was told last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<ToldStatus>,
    /// How often that changed.
    pub changes: u64,
    /// The last change.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<Change>,
}

/// Something that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A lead, and the evidence of its address as it is now, for a lead that is seen at this address for the first time.
    Lead(Box<SeenLead>, Option<SeenEvidence>),
    /// The evidence of an address that the lead has, or had, or is about to have.
    Evidence(SeenEvidence),
}

impl SeenLead {
    /// The lead as version `version` of its item has it.
    #[must_use]
    pub fn new(address: AddressKey, version: u64, mut lead: Lead) -> Self {
        lead.history.clear();
        lead.rechecked_at.clear();
        lead.former_addresses.clear();
        Self {
            address,
            version,
            lead,
        }
    }

    /// Whether a status can follow from this that does not follow from `before`.
    #[must_use]
    pub fn differs(&self, before: &Self) -> bool {
        self.address != before.address || self.lead != before.lead
    }
}

impl SeenEvidence {
    /// The evidence as version `version` of its item has it.
    #[must_use]
    pub fn new(address: AddressKey, version: u64, evidence: &Evidence) -> Self {
        let matters = |piece: &&Piece| is_of_consequence(&piece.fact);
        Self {
            address,
            version,
            evidence: evidence.pieces().filter(matters).cloned().collect(),
        }
    }

    /// Whether another status can follow from this than from `before`, for any lead. A verification always counts: a save writes
    /// one for a lead that is not there yet.
    #[must_use]
    pub fn differs(&self, before: &Evidence, policy: &Policy, now: Timestamp) -> bool {
        let (old, new) = (before, &self.evidence);
        let decisions = |evidence: &Evidence| -> Vec<EvidenceId> {
            let decides = |piece: &&Piece| match piece.fact {
                Fact::Release { .. } | Fact::Verification { .. } => true,
                Fact::Complaint { .. }
                | Fact::ManualBlock { .. }
                | Fact::HardBounce { .. }
                | Fact::SoftBounce { .. }
                | Fact::Withheld { .. }
                | Fact::Sent { .. }
                | Fact::Delivery { .. }
                | Fact::Subscription { .. }
                | Fact::Note { .. } => false,
            };
            let ids = evidence.pieces().filter(decides);
            ids.map(|piece| piece.id.clone()).collect()
        };
        assess(old, policy, now).condition != assess(new, policy, now).condition
            || old.subscription() != new.subscription()
            || decisions(old) != decisions(new)
    }
}

/// Whether a status can follow from it.
fn is_of_consequence(fact: &Fact) -> bool {
    match fact {
        Fact::Sent { .. } | Fact::Note { .. } => false,
        Fact::Complaint { .. }
        | Fact::ManualBlock { .. }
        | Fact::HardBounce { .. }
        | Fact::SoftBounce { .. }
        | Fact::Withheld { .. }
        | Fact::Verification { .. }
        | Fact::Release { .. }
        | Fact::Delivery { .. }
        | Fact::Subscription { .. } => true,
    }
}

impl CloudEvent {
    /// The event about `change` of a lead of `account`.
    #[must_use]
    pub fn new(id: String, account: &AccountId, change: Change) -> Self {
        Self {
            specversion: "1.0".to_owned(),
            id,
            source: format!("/accounts/{account}"),
            kind: EVENT_TYPE.to_owned(),
            subject: change.lead.to_string(),
            time: change.changed_at,
            datacontenttype: "application/json".to_owned(),
            data: change,
        }
    }
}

impl Told {
    fn nothing() -> Self {
        Self {
            lead: None,
            evidence: None,
            other: None,
            status: None,
            changes: 0,
            change: None,
        }
    }

    /// Whether `written` was folded in before, or something newer in its place.
    #[must_use]
    pub fn knows(&self, written: &Written) -> bool {
        match written {
            Written::Lead(lead, _) => self
                .lead
                .as_ref()
                .is_some_and(|known| known.version >= lead.version),
            Written::Evidence(seen) => [&self.evidence, &self.other]
                .into_iter()
                .flatten()
                .any(|known| known.address == seen.address && known.version >= seen.version),
        }
    }

    fn take_in(&mut self, written: Written) {
        match written {
            Written::Lead(lead, now) => {
                let is_at = |seen: &Option<SeenEvidence>| {
                    seen.as_ref()
                        .is_some_and(|seen| seen.address == lead.address)
                };
                if is_at(&self.other) {
                    core::mem::swap(&mut self.evidence, &mut self.other);
                } else if !is_at(&self.evidence) {
                    self.other = core::mem::replace(&mut self.evidence, now);
                }
                self.lead = Some(*lead);
            }
            Written::Evidence(seen) => {
                let lead = self.lead.as_ref();
                if lead.is_some_and(|lead| lead.address == seen.address) {
                    self.evidence = Some(seen);
                } else {
                    self.other = Some(seen);
                }
            }
        }
    }

    /// What is to be said of the lead, as far as it was seen.
    fn assess(&self, policy: &Policy, now: Timestamp) -> Option<(&Lead, LeadAssessment)> {
        let seen = self.lead.as_ref()?;
        let nothing = Evidence::default();
        let evidence = self
            .evidence
            .as_ref()
            .filter(|known| known.address == seen.address)
            .map_or(&nothing, |known| &known.evidence);
        let assessment = seen.lead.assess(assess(evidence, policy, now), evidence);
        Some((&seen.lead, assessment))
    }
}

/// Folds `written`, at `now`, into what was told; `None` if it is known. A lead of which nothing was told yet is taken to have
/// been at its standing.
#[must_use]
pub fn follow(
    told: Option<&Told>,
    written: Written,
    policy: &Policy,
    now: Timestamp,
) -> Option<Told> {
    let mut told = told.cloned().unwrap_or_else(Told::nothing);
    if told.knows(&written) {
        return None;
    }
    told.take_in(written);
    let Some((lead, assessment)) = told.assess(policy, now) else {
        return Some(told);
    };
    let reason = assessment.status.reason();
    let to = ToldStatus {
        status: assessment.status.code().to_owned(),
        reason: reason.map(|reason| reason.code().to_owned()),
        cause: reason.and_then(|reason| reason.cause().map(str::to_owned)),
    };
    let standing = ToldStatus {
        status: assessment.standing.code().to_owned(),
        reason: None,
        cause: None,
    };
    let from = told.status.clone().unwrap_or(standing);
    if from != to {
        let change = Change {
            lead: lead.id.clone(),
            from,
            to: to.clone(),
            resolution: assessment.resolution,
            since: assessment.since,
            evidence: assessment.because,
            changed_at: now,
        };
        told.changes += 1;
        told.change = Some(change);
    }
    told.status = Some(to);
    Some(told)
}
