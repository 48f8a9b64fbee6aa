//! What the popover says of a lead, as plain data: decided here, drawn by the parent module. Pure.

use leadlight::api::LeadStatus;
use leadlight::assessment::Resolution;
use leadlight::lead::Status;

use crate::bubble;
use crate::statuses::{Check, Fault, View, may_check_again, milliseconds};
use crate::texts;

/// A sentence, and the time that goes into its `{time}`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sentence {
    pub(super) text: &'static str,
    pub(super) time: Option<f64>,
}

/// Whether there is a button to check again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    None,
    Ready,
    Sending,
}

/// Everything that the popover shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    /// The name of the status, such as “Blocklisted”.
    pub(super) name: &'static str,
    /// The name of the reason, such as “hard bounce”.
    pub(super) reason: Option<&'static str>,
    pub(super) since: Option<Sentence>,
    pub(super) meaning: &'static str,
    /// What to do next.
    pub(super) advice: Option<Sentence>,
    /// The provider's own text.
    pub(super) diagnostic: Option<String>,
    pub(super) offer: Offer,
    /// How the last press of Check again ended: its name and what it means.
    pub(super) result: Option<(&'static str, &'static str)>,
    /// When to try again after a press that failed.
    pub(super) retry: Option<Sentence>,
}

impl From<&'static str> for Sentence {
    fn from(text: &'static str) -> Self {
        Self { text, time: None }
    }
}

/// What to say of `view`, and of the press of Check again that was made.
pub(super) fn content(view: &View, check: Option<Check>, now: f64) -> Content {
    let (_, name, reason) = bubble::face(view);
    // Only a block has a reason.
    let blank = Content {
        name,
        reason,
        since: None,
        meaning: "",
        advice: None,
        diagnostic: None,
        offer: Offer::None,
        result: check.and_then(|check| texts::check_result(check, reason.is_some())),
        retry: check.and_then(retry),
    };
    let status = match view {
        View::Loading => {
            return Content {
                meaning: texts::LOADING.1,
                ..blank
            };
        }
        View::Failed(fault) => {
            return Content {
                meaning: texts::fault(*fault).1,
                ..blank
            };
        }
        View::Known(status) => status,
    };
    let Some(known) = status.status() else {
        let (_, meaning) = if status.status == "unknown" {
            texts::UNKNOWN
        } else {
            texts::UNREADABLE
        };
        return Content { meaning, ..blank };
    };
    let offer = match check {
        Some(Check::Sending) => Offer::Sending,
        Some(Check::Done(_) | Check::Failed(_)) | None if may_check_again(status, now) => {
            Offer::Ready
        }
        Some(Check::Done(_) | Check::Failed(_)) | None => Offer::None,
    };
    Content {
        since: status.since.map(|since| Sentence {
            text: texts::SINCE,
            time: Some(milliseconds(since)),
        }),
        meaning: texts::meaning(known),
        advice: advice(status, known, offer),
        diagnostic: status.diagnostic.clone(),
        offer,
        ..blank
    }
}

fn advice(status: &LeadStatus, known: Status, offer: Offer) -> Option<Sentence> {
    let reason = known.reason()?;
    match offer {
        Offer::Ready | Offer::Sending if status.held => Some(texts::CHECK_CORRECTED_ADVICE.into()),
        Offer::Ready | Offer::Sending => Some(texts::CHECK_AGAIN_ADVICE.into()),
        Offer::None => match (status.resolution?, status.check_again_from) {
            (Resolution::CheckAgain, Some(from)) => Some(Sentence {
                text: texts::check_again_from(reason),
                time: Some(milliseconds(from)),
            }),
            (resolution, _) => Some(texts::no_check_again(reason, resolution).into()),
        },
    }
}

fn retry(check: Check) -> Option<Sentence> {
    let Check::Failed(trouble) = check else {
        return None;
    };
    let time = trouble
        .retry_at
        .filter(|_| trouble.fault == Fault::Busy || trouble.fault == Fault::Unavailable)?;
    Some(Sentence {
        text: texts::RETRY_FROM,
        time: Some(time),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use leadlight::api::Outcome;
    use leadlight::assessment::Reason;
    use leadlight::lead::LeadId;

    use super::*;
    use crate::statuses::Trouble;

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

    fn advice_of(status: &LeadStatus) -> (Offer, &'static str) {
        let content = content(&View::Known(status.clone()), None, 10.0);
        (
            content.offer,
            content.advice.map_or("", |advice| advice.text),
        )
    }

    #[test]
    fn a_block_says_what_why_since_when_and_what_next() {
        let view = View::Known(blocked("hard_bounce", Resolution::CheckAgain));
        let content = content(&view, None, 10.0);
        assert_eq!(
            (content.name, content.reason),
            ("Blocklisted", Some("hard bounce"))
        );
        assert_eq!(
            content.since,
            Some(Sentence {
                text: "Since {time}",
                time: Some(0.0)
            })
        );
        assert!(content.meaning.contains("no such mailbox"));
        assert_eq!(
            content.diagnostic.as_deref(),
            Some("550 5.1.1 no such user")
        );
        assert_eq!(content.offer, Offer::Ready);
    }

    #[test]
    fn check_again_is_offered_only_where_it_is_permitted() {
        let never = blocked("spam_complaint", Resolution::Never);
        assert_eq!(
            advice_of(&never),
            (
                Offer::None,
                texts::no_check_again(never.status().unwrap().reason().unwrap(), Resolution::Never)
            )
        );
        let unchanged = blocked("hard_bounce", Resolution::AfterAddressChange);
        assert_eq!(
            advice_of(&unchanged),
            (Offer::None, "Correct the address, save, then check again.")
        );
        let held = LeadStatus {
            held: true,
            ..blocked("hard_bounce", Resolution::CheckAgain)
        };
        assert_eq!(
            advice_of(&held),
            (Offer::Ready, texts::CHECK_CORRECTED_ADVICE)
        );
        let from = Timestamp::from_millisecond(11).unwrap();
        let early = LeadStatus {
            may_check_again: false,
            check_again_from: Some(from),
            ..blocked("hard_bounce", Resolution::CheckAgain)
        };
        assert_eq!(advice_of(&early).0, Offer::None);
        assert!(advice_of(&early).1.contains("{time}"));
        let later = LeadStatus {
            check_again_from: Some(Timestamp::from_millisecond(10).unwrap()),
            ..early
        };
        assert_eq!(advice_of(&later).0, Offer::Ready);
    }

    #[test]
    fn a_press_shows_progress_then_its_outcome_and_the_status_afterwards() {
        let view = View::Known(blocked("hard_bounce", Resolution::CheckAgain));
        assert_eq!(
            content(&view, Some(Check::Sending), 10.0).offer,
            Offer::Sending
        );
        let active = LeadStatus {
            status: "active".to_owned(),
            ..LeadStatus::unknown(LeadId::parse("1").unwrap())
        };
        let sent = content(&View::Known(active), Some(Check::Done(Outcome::Sent)), 10.0);
        assert_eq!((sent.name, sent.offer), ("Active", Offer::None));
        assert_eq!(sent.result, Some(("Sent", "The request was processed.")));
        let still = content(&view, Some(Check::Done(Outcome::Sent)), 10.0);
        assert!(
            still
                .result
                .unwrap()
                .1
                .ends_with("stays blocklisted, for the reason above.")
        );
        let busy = Check::Failed(Trouble {
            fault: Fault::Busy,
            retry_at: Some(99.0),
        });
        let failed = content(&view, Some(busy), 10.0);
        assert_eq!(failed.result.map(|(name, _)| name), Some("Fail"));
        assert_eq!(
            failed.retry,
            Some(Sentence {
                text: texts::RETRY_FROM,
                time: Some(99.0)
            })
        );
    }
}
