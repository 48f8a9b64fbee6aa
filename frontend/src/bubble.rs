//! The bubble: one button per row, whose tone is a class (a shape and a colour in the sheet) and whose words are its name.
//!
//! It is decided here and drawn on the button that the element holds; it has no other node and no listener of its own.

use leadlight::lead::{Standing, Status};
use wasm_bindgen::prelude::*;
use web_sys::HtmlElement;

use crate::statuses::View;
use crate::texts;

#[wasm_bindgen]
extern "C" {
    /// The `CustomStateSet` of an element. Older browsers know only names with two dashes, and throw.
    pub type States;
    #[wasm_bindgen(method, catch)]
    fn add(this: &States, state: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn delete(this: &States, state: &str) -> Result<bool, JsValue>;
}

/// How a bubble looks; each has a shape and a colour of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As the element draws it before anything is known.
    #[default]
    Loading,
    Unknown,
    Failed,
    Active,
    Unconfirmed,
    Unsubscribed,
    SoftBouncing,
    Blocklisted,
}

impl Tone {
    /// The name of the tone: a class of the button, and a custom state of the element.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Active => "active",
            Self::Unconfirmed => "unconfirmed",
            Self::Unsubscribed => "unsubscribed",
            Self::SoftBouncing => "soft-bouncing",
            Self::Blocklisted => "blocklisted",
        }
    }

    fn of(status: Status) -> Self {
        match status {
            Status::Standing(Standing::Active) => Self::Active,
            Status::Standing(Standing::Unconfirmed) => Self::Unconfirmed,
            Status::Standing(Standing::Unsubscribed) => Self::Unsubscribed,
            Status::SoftBouncing => Self::SoftBouncing,
            Status::Blocklisted(_) => Self::Blocklisted,
        }
    }
}

/// The tone of `view`, its name in words, and the reason's name if it has one.
pub(crate) fn face(view: &View) -> (Tone, &'static str, Option<&'static str>) {
    let status = match view {
        View::Loading => return (Tone::Loading, texts::LOADING.0, None),
        View::Failed(fault) => return (Tone::Failed, texts::fault(*fault).0, None),
        View::Known(status) => status,
    };
    match status.status() {
        Some(known) => (
            Tone::of(known),
            texts::status_name(known),
            known.reason().map(texts::reason_name),
        ),
        None if status.status == "unknown" => (Tone::Unknown, texts::UNKNOWN.0, None),
        None => (Tone::Unknown, texts::UNREADABLE.0, None),
    }
}

/// The accessible name of a bubble: “Ann Lee: Blocklisted, hard bounce”.
pub(crate) fn words(view: &View, label: Option<&str>) -> String {
    let (_, name, reason) = face(view);
    let label = label.map(str::trim).filter(|label| !label.is_empty());
    let subject = label
        .map(|label| [label, ": "].concat())
        .unwrap_or_default();
    let reason = reason
        .map(|reason| [", ", reason].concat())
        .unwrap_or_default();
    [&subject, name, &reason].concat()
}

/// Draws `tone` and `words` over a bubble that showed the tone `before`.
pub(crate) fn draw(button: &HtmlElement, states: &States, before: Tone, tone: Tone, words: &str) {
    if before != tone {
        button.set_class_name(tone.name());
        mark(states, before.name(), false);
        mark(states, tone.name(), true);
    }
    // Neither attribute name nor value can be refused.
    let _ = button.set_attribute("aria-label", words);
}

/// Sets or clears a custom state.
pub(crate) fn mark(states: &States, state: &str, on: bool) {
    let outcome = if on {
        states.add(state)
    } else {
        states.delete(state).map(drop)
    };
    // A browser that refuses the name shows the host's own styles without the state; the bubble has its class.
    let _ = outcome;
}

#[cfg(test)]
mod tests {
    use leadlight::api::LeadStatus;
    use leadlight::assessment::Reason;
    use leadlight::lead::LeadId;

    use super::*;
    use crate::statuses::Fault;

    fn known(status: &str, reason: Option<Reason>) -> View {
        View::Known(LeadStatus {
            status: status.to_owned(),
            reason: reason.map(|reason| reason.code().to_owned()),
            cause: reason.and_then(Reason::cause).map(str::to_owned),
            ..LeadStatus::unknown(LeadId::parse("1").unwrap())
        })
    }

    #[test]
    fn every_reason_is_red_and_says_why() {
        for reason in Reason::all() {
            let (tone, name, why) = face(&known("blocklisted", Some(reason)));
            assert_eq!((tone, name), (Tone::Blocklisted, "Blocklisted"));
            assert_eq!(why, Some(texts::reason_name(reason)));
        }
    }

    #[test]
    fn the_name_of_a_bubble_is_lead_status_and_reason() {
        let reason = Reason::all().find(|reason| reason.code() == "hard_bounce");
        let view = known("blocklisted", reason);
        assert_eq!(
            words(&view, Some(" Ann Lee ")),
            "Ann Lee: Blocklisted, hard bounce"
        );
        assert_eq!(words(&view, None), "Blocklisted, hard bounce");
        assert_eq!(words(&known("active", None), Some("")), "Active");
    }

    #[test]
    fn what_is_not_known_is_neutral_and_says_so() {
        assert_eq!(
            face(&View::Loading),
            (Tone::Loading, "Status is loading", None)
        );
        assert_eq!(
            face(&known("unknown", None)),
            (Tone::Unknown, "Not known yet", None)
        );
        assert_eq!(
            face(&known("quarantined", None)),
            (Tone::Unknown, "Status not readable", None)
        );
        assert_eq!(face(&View::Failed(Fault::Offline)).0, Tone::Failed);
    }
}
