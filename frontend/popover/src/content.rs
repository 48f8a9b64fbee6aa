//! What the popover says of a lead, as keys of the catalogue: decided here, worded and drawn elsewhere. Pure.

use leadlight::api::{LeadStatus, Outcome};
use leadlight::assessment::{Reason, Resolution};
use leadlight_view::face::Face;
use leadlight_view::fault::{Fault, Trouble};

/// A press of Check again, or of the button that takes a suggestion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Check {
    /// Under way.
    Sending,
    /// The server answered.
    Done(Outcome),
    /// The server did not answer, or refused.
    Failed(Trouble),
}

/// What is to be shown of a lead.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(
        clippy::large_enum_variant,
        reason = "nearly every view is a known one"
    )
)]
pub(crate) enum View {
    /// Not known yet.
    Loading,
    /// Known.
    Known(LeadStatus),
    /// Could not be found out.
    Failed(Fault),
}

/// The key of a sentence, and the time that goes into its `{time}`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sentence {
    pub(crate) key: String,
    pub(crate) time: Option<f64>,
}

/// Whether there is a button, and whether it was pressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Offer {
    #[default]
    None,
    Ready,
    Sending,
}

/// How a press ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    /// What follows from it.
    pub(crate) meaning: Sentence,
    /// When to try again.
    pub(crate) retry: Option<Sentence>,
}

/// Everything that the popover shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    /// The name of the status, such as “Blocklisted”.
    pub(crate) name: String,
    /// The name of the reason, such as “hard bounce”.
    pub(crate) reason: Option<String>,
    pub(crate) since: Option<Sentence>,
    pub(crate) meaning: String,
    /// What to do next.
    pub(crate) advice: Option<Sentence>,
    /// The provider's own text.
    pub(crate) diagnostic: Option<String>,
    /// The address that was probably meant.
    pub(crate) suggestion: Option<String>,
    pub(crate) check_again: Offer,
    pub(crate) ending: Option<Ending>,
    /// Whether only a person of the support team can help.
    pub(crate) needs_support: bool,
}

impl From<&str> for Sentence {
    fn from(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            time: None,
        }
    }
}

impl Sentence {
    fn at(key: &str, time: f64) -> Self {
        Self {
            time: Some(time),
            ..Self::from(key)
        }
    }
}

/// What to say of `view`, and of the press that was made.
pub(crate) fn content(view: &View, check: Option<Check>, now: f64) -> Content {
    let (face, meaning) = match view {
        View::Loading => (Face::Loading, "view.loading.meaning".to_owned()),
        View::Failed(fault) => (Face::Failed, fault.sentence().to_owned()),
        View::Known(status) => {
            let face = Face::of(status);
            (face, meaning(face))
        }
    };
    let ending = check.and_then(|check| ending(check, face.reason().is_some()));
    let failed = ending
        .as_ref()
        .is_some_and(|ending| ending.outcome == Outcome::Fail);
    let blank = Content {
        name: face.name(),
        reason: face.reason_name(),
        since: None,
        meaning,
        advice: None,
        diagnostic: None,
        suggestion: None,
        check_again: Offer::None,
        ending,
        needs_support: failed,
    };
    let View::Known(status) = view else {
        return blank;
    };
    let check_again = if check == Some(Check::Sending) {
        Offer::Sending
    } else if may_check_again(status, now) {
        Offer::Ready
    } else {
        Offer::None
    };
    let advice = face
        .reason()
        .and_then(|reason| advice(status, reason, check_again));
    Content {
        since: status
            .since
            .map(|since| Sentence::at("since", milliseconds(since))),
        needs_support: failed || advice.as_ref().is_some_and(asks_for_support),
        advice,
        diagnostic: status.diagnostic.clone(),
        suggestion: status.suggestion.clone(),
        check_again,
        ..blank
    }
}

/// Whether Check again is to be offered: the server said so, or the time that it named has come.
fn may_check_again(status: &LeadStatus, now: f64) -> bool {
    let waited = status
        .check_again_from
        .is_some_and(|from| milliseconds(from) <= now);
    status.may_check_again || (status.resolution == Some(Resolution::CheckAgain) && waited)
}

/// The key of what a face means.
fn meaning(face: Face) -> String {
    match face {
        Face::Loading => "view.loading.meaning".to_owned(),
        Face::Unknown => "view.unknown.meaning".to_owned(),
        Face::Unreadable => "view.unreadable.meaning".to_owned(),
        Face::Failed => Fault::Unavailable.sentence().to_owned(),
        Face::Status(status) => match status.reason() {
            None => ["status.", status.code(), ".meaning"].concat(),
            Some(reason) => {
                let cause = reason.cause().map(|cause| [".", cause].concat());
                let cause = cause.unwrap_or_default();
                ["reason.", reason.code(), &cause, ".meaning"].concat()
            }
        },
    }
}

const COMPLAINT: &str = "spam_complaint";
const WITHHELD: &str = "withheld_by_provider";
const SUPPORT: [&str; 3] = [
    "advice.complaint",
    "advice.candidate_complaint",
    "advice.support",
];

fn asks_for_support(advice: &Sentence) -> bool {
    SUPPORT.contains(&advice.key.as_str())
}

fn advice(status: &LeadStatus, reason: Reason, check_again: Offer) -> Option<Sentence> {
    let key = match (check_again, status.resolution?) {
        (Offer::Ready | Offer::Sending, _) if status.held => "advice.check_corrected",
        (Offer::Ready | Offer::Sending, _) => "advice.check_again",
        (Offer::None, Resolution::Never) => "advice.complaint",
        (Offer::None, Resolution::SupportOnly) if reason.code() == COMPLAINT => {
            "advice.candidate_complaint"
        }
        (Offer::None, Resolution::SupportOnly) => "advice.support",
        (Offer::None, Resolution::AfterAddressChange) => "advice.correct",
        (Offer::None, Resolution::CheckAgain) => match status.check_again_from {
            Some(from) => {
                let key = if reason.code() == WITHHELD {
                    "advice.ses_forgets"
                } else {
                    "advice.bounced_again"
                };
                return Some(Sentence::at(key, milliseconds(from)));
            }
            None => "advice.correct",
        },
    };
    Some(key.into())
}

fn ending(check: Check, blocklisted: bool) -> Option<Ending> {
    let (outcome, meaning, retry) = match check {
        Check::Sending => return None,
        Check::Done(Outcome::Sent) if blocklisted => (Outcome::Sent, "check.sent_blocked", None),
        Check::Done(Outcome::Sent) => (Outcome::Sent, "check.sent_clear", None),
        Check::Done(Outcome::Fail) => (Outcome::Fail, "check.failed", None),
        Check::Failed(trouble) if trouble.fault == Fault::Busy => {
            (Outcome::Fail, "check.too_often", trouble.retry_at)
        }
        Check::Failed(trouble) => (
            Outcome::Fail,
            "check.failed",
            trouble
                .retry_at
                .filter(|_| trouble.fault == Fault::Unavailable),
        ),
    };
    Some(Ending {
        outcome,
        meaning: meaning.into(),
        retry: retry.map(|time| Sentence::at("retry_from", time)),
    })
}

/// A time as the browser counts it.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of any date fit the 53 bits"
)]
fn milliseconds(time: jiff::Timestamp) -> f64 {
    time.as_millisecond() as f64
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use leadlight::assessment::Reason;
    use leadlight::lead::LeadId;

    use super::*;

    fn blocked(code: &str, resolution: Resolution) -> LeadStatus {
        let reason = Reason::all().find(|reason| reason.code() == code).unwrap();
        LeadStatus {
            status: "blocklisted".to_owned(),
            reason: Some(reason.code().to_owned()),
            cause: reason.cause().map(str::to_owned),
            since: Some(Timestamp::UNIX_EPOCH),
            resolution: Some(resolution),
            may_check_again: resolution == Resolution::CheckAgain,
            diagnostic: Some("550 5.1.1 no such user".to_owned()),
            ..LeadStatus::unknown(LeadId::parse("1").unwrap())
        }
    }

    fn said(status: &LeadStatus, check: Option<Check>) -> Content {
        content(&View::Known(status.clone()), check, 10.0)
    }

    #[track_caller]
    fn advised(status: &LeadStatus) -> (Offer, String, Option<f64>) {
        let content = said(status, None);
        let advice = content.advice.unwrap();
        (content.check_again, advice.key, advice.time)
    }

    #[test]
    fn a_block_says_what_why_since_when_and_what_next() {
        let content = said(&blocked("hard_bounce", Resolution::CheckAgain), None);
        assert_eq!(content.name, "status.blocklisted.name");
        assert_eq!(content.reason.as_deref(), Some("reason.hard_bounce.name"));
        assert_eq!(content.since, Some(Sentence::at("since", 0.0)));
        assert_eq!(
            content.meaning,
            "reason.hard_bounce.mailbox_missing.meaning"
        );
        assert_eq!(
            content.diagnostic.as_deref(),
            Some("550 5.1.1 no such user")
        );
        assert_eq!(content.check_again, Offer::Ready);
        assert!(!content.needs_support);
    }

    #[test]
    fn check_again_is_offered_only_where_it_is_permitted() {
        let key = |key: &str| key.to_owned();
        let never = blocked("spam_complaint", Resolution::Never);
        assert_eq!(
            advised(&never),
            (Offer::None, key("advice.complaint"), None)
        );
        let candidate = blocked("spam_complaint", Resolution::SupportOnly);
        assert_eq!(advised(&candidate).1, "advice.candidate_complaint");
        let manual = blocked("manual", Resolution::SupportOnly);
        assert_eq!(advised(&manual).1, "advice.support");
        let unchanged = blocked("hard_bounce", Resolution::AfterAddressChange);
        assert_eq!(
            advised(&unchanged),
            (Offer::None, key("advice.correct"), None)
        );
        let held = LeadStatus {
            held: true,
            ..blocked("hard_bounce", Resolution::CheckAgain)
        };
        assert_eq!(
            advised(&held),
            (Offer::Ready, key("advice.check_corrected"), None)
        );
        let early = LeadStatus {
            may_check_again: false,
            check_again_from: Some(Timestamp::from_millisecond(11).unwrap()),
            ..blocked("hard_bounce", Resolution::CheckAgain)
        };
        assert_eq!(
            advised(&early),
            (Offer::None, key("advice.bounced_again"), Some(11.0))
        );
        let later = LeadStatus {
            check_again_from: Some(Timestamp::from_millisecond(10).unwrap()),
            ..early
        };
        assert_eq!(advised(&later).0, Offer::Ready);
        let withheld = LeadStatus {
            may_check_again: false,
            check_again_from: Some(Timestamp::from_millisecond(11).unwrap()),
            ..blocked("withheld_by_provider", Resolution::CheckAgain)
        };
        assert_eq!(advised(&withheld).1, "advice.ses_forgets");
        let stopped = LeadStatus {
            resolution: Some(Resolution::Never),
            ..later
        };
        assert_eq!(advised(&stopped).0, Offer::None, "waiting changes nothing");
    }

    #[test]
    fn support_is_named_where_only_they_can_help() {
        let needs = |code, resolution| said(&blocked(code, resolution), None).needs_support;
        assert!(needs("spam_complaint", Resolution::Never));
        assert!(needs("spam_complaint", Resolution::SupportOnly));
        assert!(needs("manual", Resolution::SupportOnly));
        assert!(!needs("hard_bounce", Resolution::AfterAddressChange));
        let failed = Some(Check::Done(Outcome::Fail));
        let bounce = blocked("hard_bounce", Resolution::CheckAgain);
        assert!(said(&bounce, failed).needs_support);
    }

    #[test]
    fn a_press_shows_progress_then_its_outcome_and_the_status_afterwards() {
        let bounce = blocked("hard_bounce", Resolution::CheckAgain);
        let sending = said(&bounce, Some(Check::Sending));
        assert_eq!(
            (sending.check_again, sending.ending),
            (Offer::Sending, None)
        );
        let active = LeadStatus {
            status: "active".to_owned(),
            ..LeadStatus::unknown(LeadId::parse("1").unwrap())
        };
        let ended = |status, check| said(status, Some(check)).ending.unwrap();
        let sent = ended(&active, Check::Done(Outcome::Sent));
        assert_eq!(sent.meaning.key, "check.sent_clear");
        let still = ended(&bounce, Check::Done(Outcome::Sent));
        assert_eq!(still.meaning.key, "check.sent_blocked");
        let fail = ended(&bounce, Check::Done(Outcome::Fail));
        assert_eq!(
            (fail.outcome, fail.meaning.key.as_str(), fail.retry),
            (Outcome::Fail, "check.failed", None)
        );
        let trouble = |fault| {
            Check::Failed(Trouble {
                fault,
                retry_at: Some(99.0),
            })
        };
        let busy = ended(&bounce, trouble(Fault::Busy));
        assert_eq!(busy.meaning.key, "check.too_often");
        assert_eq!(busy.retry, Some(Sentence::at("retry_from", 99.0)));
        let refused = ended(&bounce, trouble(Fault::Refused));
        assert_eq!(refused.retry, None, "another try would end the same");
    }

    #[test]
    fn what_is_not_known_is_said_without_advice() {
        let failed = content(&View::Failed(Fault::Forbidden), None, 10.0);
        assert_eq!(
            (failed.name.as_str(), failed.meaning.as_str()),
            ("fault.name", "fault.forbidden")
        );
        let loading = content(&View::Loading, None, 10.0);
        assert_eq!(loading.meaning, "view.loading.meaning");
        let unknown = said(&LeadStatus::unknown(LeadId::parse("1").unwrap()), None);
        assert_eq!(unknown.meaning, "view.unknown.meaning");
        assert_eq!((unknown.advice, unknown.since), (None, None));
    }

    #[test]
    fn every_key_is_in_the_catalogue() {
        let catalogue = include_str!("../../texts/en.json");
        let mut keys = Vec::new();
        for reason in Reason::all() {
            for resolution in Resolution::ALL {
                let mut status = blocked(reason.code(), *resolution);
                status.cause = reason.cause().map(str::to_owned);
                for check in [None, Some(Check::Done(Outcome::Sent))] {
                    let content = said(&status, check);
                    keys.extend([content.name, content.meaning]);
                    keys.extend(content.reason);
                    keys.extend(content.advice.map(|advice| advice.key));
                    keys.extend(content.ending.map(|ending| ending.meaning.key));
                }
            }
        }
        for key in keys {
            assert!(catalogue.contains(&["\"", &key, "\":"].concat()), "{key}");
        }
    }
}
