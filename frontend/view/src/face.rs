//! How a bubble looks and what it is called: the tone (a shape and a colour in the sheet) and the keys of its words. Pure.

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

impl Face {
    /// The face of a status by the server's codes; an empty code is none.
    #[must_use]
    pub fn of(status: &str, reason: &str, cause: &str) -> Self {
        if status.is_empty() {
            return Self::Unreadable;
        }
        if status == "unknown" {
            return Self::Unknown;
        }
        let is_it = |face: &Self| {
            let known = face.reason();
            face.code() == status
                && known.map_or("", Reason::code) == reason
                && known.and_then(Reason::cause).unwrap_or_default() == cause
        };
        let found = Self::all().into_iter().find(is_it);
        found.unwrap_or(Self::Unreadable)
    }

    fn code(self) -> &'static str {
        match self {
            Self::Status(status) => status.code(),
            // No status has this code.
            Self::Loading | Self::Unknown | Self::Unreadable | Self::Failed => "",
        }
    }

    fn all() -> Vec<Self> {
        let standings = Standing::ALL.iter().copied().map(Status::Standing);
        let statuses = standings
            .chain([Status::SoftBouncing])
            .chain(Reason::all().map(Status::Blocklisted));
        let mut all = vec![Self::Loading, Self::Unknown, Self::Unreadable, Self::Failed];
        all.extend(statuses.map(Self::Status));
        all
    }

    /// A number that stands for it, in both modules of one build.
    #[must_use]
    pub fn number(self) -> u32 {
        // Every face is in the list, and the list is short.
        let position = Self::all().iter().position(|face| *face == self);
        position
            .and_then(|position| u32::try_from(position).ok())
            .unwrap_or_default()
    }

    /// The face that a number stands for.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let position = usize::try_from(number).unwrap_or_default();
        Self::all()
            .get(position)
            .copied()
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
    use leadlight::api::LeadStatus;
    use leadlight::lead::LeadId;

    use super::*;

    /// Reads the codes, and holds that against how the server itself reads them.
    #[track_caller]
    fn face(status: &str, reason: Option<Reason>) -> Face {
        let code = reason.map(Reason::code);
        let cause = reason.and_then(Reason::cause);
        let face = Face::of(status, code.unwrap_or_default(), cause.unwrap_or_default());
        let told = LeadStatus {
            status: status.to_owned(),
            reason: code.map(str::to_owned),
            cause: cause.map(str::to_owned),
            ..LeadStatus::unknown(LeadId::parse("1").unwrap())
        };
        match told.status() {
            Some(known) => assert_eq!(face, Face::Status(known)),
            None => assert!(
                [Face::Unknown, Face::Unreadable].contains(&face),
                "{face:?}"
            ),
        }
        face
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
    fn every_other_status_has_a_tone_of_its_own() {
        let codes = Standing::ALL.iter().map(|standing| standing.code());
        let mut tones: Vec<&str> = codes
            .chain(["soft_bouncing", "unknown"])
            .map(|code| face(code, None).tone())
            .collect();
        tones.sort_unstable();
        tones.dedup();
        assert_eq!(tones.len(), Standing::ALL.len() + 2);
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
        assert_eq!(face("", None), Face::Unreadable);
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
