//! What the popover says of a lead, as keys of the catalogue: decided here, worded and drawn elsewhere. Pure.

use leadlight::api::Outcome;
use leadlight::assessment::{Reason, Resolution};
use leadlight::evidence::{Attribution, SuppressionList};
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

/// What the server told of a lead. Times are milliseconds since 1970, as the browser counts them.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The number of how the bubble looks.
    pub(crate) face: u32,
    /// The key of what that means.
    pub(crate) meaning: String,
    /// The code of the reason of a block.
    pub(crate) reason: Option<String>,
    pub(crate) since: Option<f64>,
    pub(crate) resolution: Option<Resolution>,
    pub(crate) may_check_again: bool,
    pub(crate) check_again_from: Option<f64>,
    /// Whether the block comes from the lead's former address.
    pub(crate) held: bool,
    pub(crate) diagnostic: Option<String>,
    pub(crate) suggestion: Option<String>,
}

/// The key of a sentence, and the time that goes into its `{time}`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sentence {
    pub(crate) key: &'static str,
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
    pub(crate) meaning: &'static str,
    /// When to try again.
    pub(crate) retry_at: Option<f64>,
}

/// Everything that the popover shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) face: u32,
    pub(crate) since: Option<f64>,
    /// The key of what the status means.
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

/// What to say of what was told, and of the press that was made.
pub(crate) fn content(told: Told, check: Option<Check>, now: f64) -> Content {
    let ending = check.and_then(|check| ending(check, told.reason.is_some()));
    let check_again = if check == Some(Check::Sending) {
        Offer::Sending
    } else if may_check_again(&told, now) {
        Offer::Ready
    } else {
        Offer::None
    };
    let advice = advice(&told, check_again);
    let failed = ending
        .as_ref()
        .is_some_and(|ending| ending.outcome == Outcome::Fail);
    let asks = advice
        .as_ref()
        .is_some_and(|advice| SUPPORT.contains(&advice.key));
    Content {
        face: told.face,
        since: told.since,
        meaning: told.meaning,
        advice,
        diagnostic: told.diagnostic,
        suggestion: told.suggestion,
        check_again,
        ending,
        needs_support: failed || asks,
    }
}

/// Whether Check again is to be offered: the server said so, or the time that it named has come.
fn may_check_again(told: &Told, now: f64) -> bool {
    let waited = told.check_again_from.is_some_and(|from| from <= now);
    told.may_check_again || (told.resolution == Some(Resolution::CheckAgain) && waited)
}

/// The advice that sends people to the support team.
const SUPPORT: [&str; 3] = [
    "advice.complaint",
    "advice.candidate_complaint",
    "advice.support",
];

fn advice(told: &Told, check_again: Offer) -> Option<Sentence> {
    let reason = told.reason.as_deref()?;
    let is_withheld = reason == Reason::WithheldByProvider(SuppressionList::Account).code();
    let is_complaint = reason == Reason::SpamComplaint(Attribution::Certain).code();
    let (key, time) = match (check_again, told.resolution?) {
        (Offer::Ready | Offer::Sending, _) if told.held => ("advice.check_corrected", None),
        (Offer::Ready | Offer::Sending, _) => ("advice.check_again", None),
        (Offer::None, Resolution::Never) => ("advice.complaint", None),
        (Offer::None, Resolution::SupportOnly) if is_complaint => {
            ("advice.candidate_complaint", None)
        }
        (Offer::None, Resolution::SupportOnly) => ("advice.support", None),
        (Offer::None, Resolution::CheckAgain) if told.check_again_from.is_some() => {
            let key = if is_withheld {
                "advice.ses_forgets"
            } else {
                "advice.bounced_again"
            };
            (key, told.check_again_from)
        }
        (Offer::None, Resolution::AfterAddressChange | Resolution::CheckAgain) => {
            ("advice.correct", None)
        }
    };
    Some(Sentence { key, time })
}

fn ending(check: Check, blocklisted: bool) -> Option<Ending> {
    let (outcome, meaning, retry_at) = match check {
        Check::Sending => return None,
        Check::Done(Outcome::Sent) if blocklisted => (Outcome::Sent, "check.sent_blocked", None),
        Check::Done(Outcome::Sent) => (Outcome::Sent, "check.sent_clear", None),
        Check::Done(Outcome::Fail) => (Outcome::Fail, "check.failed", None),
        Check::Failed(trouble) if trouble.fault == Fault::Busy => {
            (Outcome::Fail, "check.too_often", trouble.retry_at)
        }
        Check::Failed(trouble) => {
            // Where it was refused, another try would end the same.
            let passes = trouble.fault == Fault::Unavailable;
            let retry_at = trouble.retry_at.filter(|_| passes);
            (Outcome::Fail, "check.failed", retry_at)
        }
    };
    Some(Ending {
        outcome,
        meaning,
        retry_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active() -> Told {
        Told {
            face: 4,
            meaning: "status.active.meaning".to_owned(),
            reason: None,
            since: None,
            resolution: None,
            may_check_again: false,
            check_again_from: None,
            held: false,
            diagnostic: None,
            suggestion: None,
        }
    }

    fn blocked(code: &str, resolution: Resolution) -> Told {
        let known = Reason::all().any(|reason| reason.code() == code);
        assert!(known, "{code}");
        Told {
            meaning: "what it means".to_owned(),
            reason: Some(code.to_owned()),
            since: Some(5.0),
            resolution: Some(resolution),
            may_check_again: resolution == Resolution::CheckAgain,
            diagnostic: Some("550 5.1.1 no such user".to_owned()),
            ..active()
        }
    }

    fn said(told: &Told, check: Option<Check>) -> Content {
        content(told.clone(), check, 10.0)
    }

    #[track_caller]
    fn advised(told: &Told) -> (Offer, &'static str, Option<f64>) {
        let content = said(told, None);
        let Sentence { key, time } = content.advice.unwrap();
        (content.check_again, key, time)
    }

    #[test]
    fn a_block_says_why_since_when_and_what_next() {
        let content = said(&blocked("hard_bounce", Resolution::CheckAgain), None);
        assert_eq!(content.since, Some(5.0));
        assert_eq!(content.meaning, "what it means");
        assert_eq!(
            content.diagnostic.as_deref(),
            Some("550 5.1.1 no such user")
        );
        assert_eq!(content.check_again, Offer::Ready);
        assert!(!content.needs_support);
    }

    #[test]
    fn check_again_is_offered_only_where_it_is_permitted() {
        let never = blocked("spam_complaint", Resolution::Never);
        assert_eq!(advised(&never), (Offer::None, "advice.complaint", None));
        let candidate = blocked("spam_complaint", Resolution::SupportOnly);
        assert_eq!(advised(&candidate).1, "advice.candidate_complaint");
        let manual = blocked("manual", Resolution::SupportOnly);
        assert_eq!(advised(&manual).1, "advice.support");
        let unchanged = blocked("hard_bounce", Resolution::AfterAddressChange);
        assert_eq!(advised(&unchanged), (Offer::None, "advice.correct", None));
        let held = Told {
            held: true,
            ..blocked("hard_bounce", Resolution::CheckAgain)
        };
        assert_eq!(
            advised(&held),
            (Offer::Ready, "advice.check_corrected", None)
        );
        let early = Told {
            may_check_again: false,
            check_again_from: Some(11.0),
            ..blocked("hard_bounce", Resolution::CheckAgain)
        };
        assert_eq!(
            advised(&early),
            (Offer::None, "advice.bounced_again", Some(11.0))
        );
        let later = Told {
            check_again_from: Some(10.0),
            ..early
        };
        assert_eq!(advised(&later).0, Offer::Ready);
        let stopped = Told {
            resolution: Some(Resolution::Never),
            ..later
        };
        assert_eq!(advised(&stopped).0, Offer::None, "waiting changes nothing");
        let withheld = Told {
            may_check_again: false,
            check_again_from: Some(11.0),
            ..blocked("withheld_by_provider", Resolution::CheckAgain)
        };
        assert_eq!(advised(&withheld).1, "advice.ses_forgets");
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
    fn a_press_shows_progress_then_its_outcome_and_what_follows() {
        let bounce = blocked("hard_bounce", Resolution::CheckAgain);
        let sending = said(&bounce, Some(Check::Sending));
        assert_eq!(
            (sending.check_again, sending.ending),
            (Offer::Sending, None)
        );
        let active = active();
        let ended = |told: &Told, check| {
            let ending = said(told, Some(check)).ending.unwrap();
            (ending.outcome, ending.meaning, ending.retry_at)
        };
        assert_eq!(
            ended(&active, Check::Done(Outcome::Sent)),
            (Outcome::Sent, "check.sent_clear", None)
        );
        assert_eq!(
            ended(&bounce, Check::Done(Outcome::Sent)).1,
            "check.sent_blocked"
        );
        assert_eq!(
            ended(&bounce, Check::Done(Outcome::Fail)),
            (Outcome::Fail, "check.failed", None)
        );
        let trouble = |fault| {
            Check::Failed(Trouble {
                fault,
                retry_at: Some(99.0),
            })
        };
        assert_eq!(
            ended(&bounce, trouble(Fault::Busy)),
            (Outcome::Fail, "check.too_often", Some(99.0))
        );
        assert_eq!(
            ended(&bounce, trouble(Fault::Unavailable)),
            (Outcome::Fail, "check.failed", Some(99.0))
        );
        assert_eq!(
            ended(&bounce, trouble(Fault::Refused)).2,
            None,
            "another try would end the same"
        );
    }

    #[test]
    fn what_blocks_nobody_is_said_without_advice() {
        let content = said(&active(), None);
        assert_eq!(content.meaning, "status.active.meaning");
        assert_eq!((content.advice, content.since), (None, None));
        let unheard_of = Told {
            reason: None,
            ..blocked("manual", Resolution::CheckAgain)
        };
        assert_eq!(said(&unheard_of, None).advice, None);
    }

    #[test]
    fn every_key_is_in_the_catalogue() {
        let catalogue = include_str!("../../texts/en.json");
        let mut keys = Vec::new();
        for reason in Reason::all() {
            for resolution in Resolution::ALL {
                for held in [false, true] {
                    let told = Told {
                        held,
                        ..blocked(reason.code(), *resolution)
                    };
                    let content = said(&told, Some(Check::Done(Outcome::Sent)));
                    keys.extend(content.advice.map(|advice| advice.key));
                    keys.extend(content.ending.map(|ending| ending.meaning));
                }
            }
        }
        for key in keys {
            assert!(catalogue.contains(&["\"", key, "\":"].concat()), "{key}");
        }
    }
}
