//! How a bubble looks and what it is called: the tone (a shape and a colour in the sheet) and the keys of its words. Pure.

use leadlight::assessment::Reason;
use leadlight::evidence::Attribution;
use leadlight::lead::{Standing, Status};

use crate::fault::Fault;

/// What a bubble shows: a status, or why there is none. It is a number that both modules of one build understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face(u32);

impl Face {
    /// Not known yet.
    pub const LOADING: Self = Self(0);
    /// The lead was never saved.
    pub const UNKNOWN: Self = Self(1);
    /// Of a kind that this version does not know.
    pub const UNREADABLE: Self = Self(2);
    /// Could not be found out.
    pub const FAILED: Self = Self(3);
    /// The number of the first status. Every one has its own, in the order of [`statuses`].
    const FIRST: u32 = 4;

    /// The face of a status by the server's codes; an empty code is none.
    #[must_use]
    pub fn of(status: &str, reason: &str, cause: &str) -> Self {
        if status == "unknown" {
            return Self::UNKNOWN;
        }
        let is_it = |known: Status| {
            let known_reason = known.reason();
            known.code() == status
                && known_reason.map_or("", Reason::code) == reason
                && known_reason.and_then(Reason::cause).unwrap_or_default() == cause
        };
        let mut numbered = (Self::FIRST..).zip(statuses());
        let found = numbered.find(|(_, known)| is_it(*known));
        found.map_or(Self::UNREADABLE, |(number, _)| Self(number))
    }

    /// The number that stands for it.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The face that a number stands for.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The status, if it is known and of a kind that this version knows.
    #[must_use]
    pub fn status(self) -> Option<Status> {
        let place = usize::try_from(self.0.checked_sub(Self::FIRST)?).ok()?;
        statuses().nth(place)
    }

    /// The class of the button, and the custom state of the element.
    #[must_use]
    pub fn tone(self) -> &'static str {
        match (self, self.status()) {
            (Self::LOADING, _) => "loading",
            (Self::FAILED, _) => "failed",
            (_, None) => "unknown",
            (_, Some(Status::Standing(Standing::Active))) => "active",
            (_, Some(Status::Standing(Standing::Unconfirmed))) => "unconfirmed",
            (_, Some(Status::Standing(Standing::Unsubscribed))) => "unsubscribed",
            (_, Some(Status::SoftBouncing)) => "soft-bouncing",
            (_, Some(Status::Blocklisted(_))) => "blocklisted",
        }
    }

    /// The key of its name.
    #[must_use]
    pub fn name(self) -> String {
        match (self, self.status()) {
            (Self::LOADING, _) => "view.loading.name".to_owned(),
            (Self::UNKNOWN, _) => "view.unknown.name".to_owned(),
            (Self::FAILED, _) => "fault.name".to_owned(),
            (_, None) => "view.unreadable.name".to_owned(),
            (_, Some(status)) => ["status.", status.code(), ".name"].concat(),
        }
    }

    /// The key of the sentence that says what it means; `fault` is what went wrong where it could not be found out.
    #[must_use]
    pub fn meaning(self, fault: Option<Fault>) -> String {
        let status = match (self, self.status()) {
            (Self::LOADING, _) => return "view.loading.meaning".to_owned(),
            (Self::UNKNOWN, _) => return "view.unknown.meaning".to_owned(),
            (Self::FAILED, _) => {
                let fault = fault.unwrap_or(Fault::Unavailable);
                return fault.sentence().to_owned();
            }
            (_, None) => return "view.unreadable.meaning".to_owned(),
            (_, Some(status)) => status,
        };
        let Some(reason) = status.reason() else {
            return ["status.", status.code(), ".meaning"].concat();
        };
        let [dot, cause] = reason.cause().map_or(["", ""], |cause| [".", cause]);
        ["reason.", reason.code(), dot, cause, ".meaning"].concat()
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
        self.status()?.reason()
    }
}

fn statuses() -> impl Iterator<Item = Status> {
    let standings = Standing::ALL.iter().copied().map(Status::Standing);
    standings
        .chain([Status::SoftBouncing])
        .chain(Reason::all().map(Status::Blocklisted))
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
            Some(known) => assert_eq!(face.status(), Some(known)),
            None => assert!(
                [Face::UNKNOWN, Face::UNREADABLE].contains(&face),
                "{face:?}"
            ),
        }
        face
    }

    #[test]
    fn every_reason_is_red_and_says_why() {
        for reason in Reason::all() {
            let face = face("blocklisted", Some(reason));
            assert_eq!(face.status(), Some(Status::Blocklisted(reason)));
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
        assert_eq!(face("unknown", None), Face::UNKNOWN);
        assert_eq!(face("quarantined", None), Face::UNREADABLE);
        assert_eq!(face("", None), Face::UNREADABLE);
        assert_eq!(face("blocklisted", None), Face::UNREADABLE, "but why?");
        assert_eq!(Face::UNREADABLE.tone(), "unknown");
        assert_eq!(Face::UNREADABLE.name(), "view.unreadable.name");
        assert_eq!(Face::UNKNOWN.reason_name(), None);
    }

    #[test]
    fn every_face_is_named_and_explained_in_the_catalogue() {
        let catalogue = include_str!("../../texts/en.json");
        let known = (Face::FIRST..).zip(statuses());
        let views = [Face::LOADING, Face::UNKNOWN, Face::UNREADABLE, Face::FAILED];
        let faces = known.map(|(number, _)| Face(number)).chain(views);
        let keys = faces.flat_map(|face| {
            let keys = [
                Some(face.name()),
                Some(face.meaning(None)),
                face.reason_name(),
            ];
            keys.into_iter().flatten()
        });
        for key in keys {
            assert!(catalogue.contains(&format!("\"{key}\":")), "{key}");
        }
        let failed = Face::FAILED.meaning(Some(Fault::Forbidden));
        assert_eq!(failed, "fault.forbidden");
        let missing = face(
            "blocklisted",
            Reason::all().find(|reason| reason.cause() == Some("mailbox_missing")),
        );
        assert_eq!(
            missing.meaning(None),
            "reason.hard_bounce.mailbox_missing.meaning"
        );
    }

    #[test]
    fn every_face_has_a_number_of_its_own() {
        for status in statuses() {
            let reason = status.reason();
            let cause = reason.and_then(Reason::cause).unwrap_or_default();
            let face = Face::of(status.code(), reason.map_or("", Reason::code), cause);
            assert_eq!(face.status(), Some(status));
            assert_eq!(Face::from_number(face.number()), face);
        }
        let beyond = Face::from_number(u32::MAX);
        assert_eq!((beyond.status(), beyond.tone()), (None, "unknown"));
        assert_eq!(beyond.name(), "view.unreadable.name");
    }
}
