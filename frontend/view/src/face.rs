//! How a bubble looks and what it is called: the tone (a shape and a colour in the sheet) and the keys of its words. Pure.

use leadlight::api::LeadStatus;
use leadlight::assessment::Reason;
use leadlight::evidence::Attribution;
use leadlight::lead::{Standing, Status};

/// What a bubble shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Not known yet.
    Loading,
    /// The lead was never saved.
    Unknown,
    /// Of a kind that this version does not know.
    Unreadable,
    /// Could not be found out.
    Failed,
    /// Known.
    Status(Status),
}

/// The faces that are no status, by their numbers.
const PLAIN: [Face; 4] = [Face::Loading, Face::Unknown, Face::Unreadable, Face::Failed];

impl Face {
    /// The face of a status as the server tells it.
    #[must_use]
    pub fn of(status: &LeadStatus) -> Self {
        match status.status() {
            Some(known) => Self::Status(known),
            None if status.status == "unknown" => Self::Unknown,
            None => Self::Unreadable,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let standings = Standing::ALL.iter().copied().map(Status::Standing);
        let statuses = standings
            .chain([Status::SoftBouncing])
            .chain(Reason::all().map(Status::Blocklisted));
        PLAIN.into_iter().chain(statuses.map(Self::Status))
    }

    /// A number that stands for it while the page is open.
    #[must_use]
    pub fn number(self) -> u32 {
        // Every face is in the list, and the list is short.
        Self::all()
            .position(|face| face == self)
            .and_then(|position| u32::try_from(position).ok())
            .unwrap_or_default()
    }

    /// The face that a number stands for.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        Self::all()
            .nth(usize::try_from(number).unwrap_or_default())
            .unwrap_or(Self::Unreadable)
    }

    /// The class of the button, and the custom state of the element.
    #[must_use]
    pub fn tone(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Unknown | Self::Unreadable => "unknown",
            Self::Failed => "failed",
            Self::Status(Status::Standing(Standing::Active)) => "active",
            Self::Status(Status::Standing(Standing::Unconfirmed)) => "unconfirmed",
            Self::Status(Status::Standing(Standing::Unsubscribed)) => "unsubscribed",
            Self::Status(Status::SoftBouncing) => "soft-bouncing",
            Self::Status(Status::Blocklisted(_)) => "blocklisted",
        }
    }

    /// The key of its name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Loading => "view.loading.name".to_owned(),
            Self::Unknown => "view.unknown.name".to_owned(),
            Self::Unreadable => "view.unreadable.name".to_owned(),
            Self::Failed => "fault.name".to_owned(),
            Self::Status(status) => ["status.", status.code(), ".name"].concat(),
        }
    }

    /// The key of the name of its reason, which a block alone has.
    #[must_use]
    pub fn reason_name(self) -> Option<String> {
        let reason = self.reason()?;
        // Who cannot be sure that it was this lead must not say so.
        let cause = if reason == Reason::SpamComplaint(Attribution::Candidate) {
            ".candidate"
        } else {
            ""
        };
        Some(["reason.", reason.code(), cause, ".name"].concat())
    }

    /// The reason of a block.
    #[must_use]
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::Status(status) => status.reason(),
            Self::Loading | Self::Unknown | Self::Unreadable | Self::Failed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use leadlight::lead::LeadId;

    use super::*;

    fn face(status: &str, reason: Option<Reason>) -> Face {
        Face::of(&LeadStatus {
            status: status.to_owned(),
            reason: reason.map(|reason| reason.code().to_owned()),
            cause: reason.and_then(Reason::cause).map(str::to_owned),
            ..LeadStatus::unknown(LeadId::parse("1").unwrap())
        })
    }

    #[test]
    fn every_reason_is_red_and_says_why() {
        for reason in Reason::all() {
            let face = face("blocklisted", Some(reason));
            assert_eq!(face, Face::Status(Status::Blocklisted(reason)));
            assert_eq!(face.tone(), "blocklisted");
            assert_eq!(face.name(), "status.blocklisted.name");
            assert!(face.reason_name().unwrap().contains(reason.code()));
        }
    }

    #[test]
    fn a_complaint_that_may_be_anothers_is_called_possible() {
        let name = |attribution| {
            face("blocklisted", Some(Reason::SpamComplaint(attribution))).reason_name()
        };
        let [certain, candidate] = [Attribution::Certain, Attribution::Candidate].map(name);
        assert_eq!(certain.as_deref(), Some("reason.spam_complaint.name"));
        assert_eq!(
            candidate.as_deref(),
            Some("reason.spam_complaint.candidate.name")
        );
    }

    #[test]
    fn what_is_not_known_is_neutral_and_says_so() {
        assert_eq!(face("unknown", None), Face::Unknown);
        assert_eq!(face("quarantined", None), Face::Unreadable);
        assert_eq!(face("blocklisted", None), Face::Unreadable, "but why?");
        assert_eq!(Face::Unreadable.tone(), "unknown");
        assert_eq!(Face::Unreadable.name(), "view.unreadable.name");
        assert_eq!(Face::Unknown.reason_name(), None);
    }

    #[test]
    fn every_face_has_a_number_of_its_own() {
        for (number, face) in (0..).zip(Face::all()) {
            assert_eq!((face.number(), Face::from_number(number)), (number, face));
        }
        assert_eq!(Face::from_number(u32::MAX), Face::Unreadable);
    }
}
