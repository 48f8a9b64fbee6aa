//! What an address is blocked for, worked out in the plainest way: the oracle that the product's answers are held against.
//!
//! Written from the rules in words, not from the product's code, and without its care for bounds, ties and explanations.

use jiff::{SignedDuration, Timestamp};
use leadlight::evidence::{Attribution, Authority, Evidence, Fact, Piece};
use leadlight::policy::Policy;
use leadlight::verification::Verdict;

use crate::Plant;

/// The code of the reason for which an address is blocked, if it is.
pub(crate) fn reason(
    evidence: &Evidence,
    policy: &Policy,
    now: Timestamp,
    plant: Option<Plant>,
) -> Option<&'static str> {
    let all: Vec<&Piece> = evidence.pieces().collect();
    let released = all
        .iter()
        .filter(|piece| matches!(piece.fact, Fact::Release { .. }))
        .map(|piece| piece.at)
        .max();
    let is_open = |piece: &Piece| released.is_none_or(|released| piece.at >= released);
    let any = |wanted: &dyn Fn(&Fact) -> bool| {
        all.iter()
            .any(|piece| wanted(&piece.fact) && is_open(piece))
    };

    let complains = |piece: &&Piece| {
        let complaint = Complaint::read(piece);
        complaint.is_some_and(|complaint| {
            let is_lifted = releases(evidence).any(|(_, release)| complaint.is_lifted_by(release));
            !is_lifted && (plant != Some(Plant::ForgivingOracle) || is_open(piece))
        })
    };
    if all.iter().any(complains) {
        return Some("spam_complaint");
    }
    if any(&|fact| matches!(fact, Fact::HardBounce { .. })) {
        return Some("hard_bounce");
    }
    if any(&|fact| matches!(fact, Fact::Withheld { .. })) {
        return Some("withheld_by_provider");
    }
    let verified = all
        .iter()
        .filter(|piece| is_open(piece))
        .filter_map(|piece| {
            if let Fact::Verification { verdict } = &piece.fact {
                Some((piece.at, verdict))
            } else {
                None
            }
        })
        .max_by_key(|(at, _)| *at);
    if let Some((_, Verdict::Undeliverable { .. })) = verified {
        return Some("undeliverable");
    }
    bounces_softly(&all, policy, now, released).then_some("repeated_soft_bounces")
}

/// When somebody complained, or may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Complaint {
    at: Timestamp,
    attribution: Attribution,
}

/// When something was released, and by whom.
pub(crate) type Release<'a> = (Timestamp, &'a Authority);

impl Complaint {
    /// The complaint that a piece of evidence is, if it is one.
    pub(crate) fn read(piece: &Piece) -> Option<Self> {
        let Fact::Complaint { attribution, .. } = piece.fact else {
            return None;
        };
        let at = piece.at;
        Some(Self { at, attribution })
    }

    /// Support alone lifts a complaint, and one that is certain only where the recipient consents.
    pub(crate) fn is_lifted_by(self, (at, authority): Release<'_>) -> bool {
        match authority {
            Authority::Recheck => false,
            Authority::Support { with_consent, .. } => {
                at > self.at && (*with_consent || self.attribution == Attribution::Candidate)
            }
        }
    }
}

/// Every release in the evidence of an address, with the lead that it is of.
pub(crate) fn releases(evidence: &Evidence) -> impl Iterator<Item = (&str, Release<'_>)> {
    evidence.pieces().filter_map(|piece| {
        let Fact::Release { lead, authority } = &piece.fact else {
            return None;
        };
        Some((lead.as_str(), (piece.at, authority)))
    })
}

fn bounces_softly(
    all: &[&Piece],
    policy: &Policy,
    now: Timestamp,
    released: Option<Timestamp>,
) -> bool {
    let window = SignedDuration::from_hours(24 * i64::from(policy.soft_bounce_window_days));
    let counts = |at: Timestamp| {
        released.is_none_or(|released| at >= released) && now.duration_since(at) <= window
    };
    let strikes: Vec<Timestamp> = all
        .iter()
        .filter(|piece| counts(piece.at))
        .filter_map(|piece| {
            if let Fact::SoftBounce { report } = &piece.fact {
                Some((piece.at, report.message.as_ref()?.sent_at))
            } else {
                None
            }
        })
        .filter(|(bounced_at, sent_at)| {
            !all.iter().any(|piece| {
                if let Fact::Delivery { message } = &piece.fact {
                    piece.at > *bounced_at && message.sent_at > *sent_at
                } else {
                    false
                }
            })
        })
        .map(|(at, _)| at)
        .collect();
    let mut days: Vec<i64> = strikes
        .iter()
        .map(|at| at.as_second().div_euclid(86_400))
        .collect();
    days.sort_unstable();
    days.dedup();
    strikes.len() >= usize::from(policy.soft_bounce_threshold)
        && days.len() >= usize::from(policy.soft_bounce_days)
}
