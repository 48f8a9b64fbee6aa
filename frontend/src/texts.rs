//! Every word that the widget says, in plain English, chosen by exhaustive match: a new reason breaks the build until it has its
//! sentence. Each reason has a name and one sentence that says what happened and whose fault it is.
//!
//! A sentence with a time in it holds `{time}` where the time goes.

use leadlight::api::Outcome;
use leadlight::assessment::{Reason, Resolution};
use leadlight::evidence::{Attribution, BounceCause, SuppressionList};
use leadlight::lead::{Standing, Status};
use leadlight::verification::UndeliverableCause;

use crate::statuses::{Check, Fault};

/// The language of the texts.
pub(crate) const LANGUAGE: &str = "en";

pub(crate) const CHECK_AGAIN: &str = "Check again";
pub(crate) const CHECKING: &str = "Checking…";
pub(crate) const PROVIDER_TEXT: &str = "The provider’s own words";
pub(crate) const SINCE: &str = "Since {time}";
pub(crate) const RETRY_FROM: &str = "Try again from {time}.";
pub(crate) const SENT: &str = "Sent";
pub(crate) const FAIL: &str = "Fail";

/// The name of a status, as heading and in the name of its bubble. A reason follows in [`reason_name`].
pub(crate) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Standing(Standing::Active) => "Active",
        Status::Standing(Standing::Unconfirmed) => "Unconfirmed",
        Status::Standing(Standing::Unsubscribed) => "Unsubscribed",
        Status::SoftBouncing => "Soft bouncing",
        Status::Blocklisted(_) => "Blocklisted",
    }
}

/// The name of a reason, in lower case.
pub(crate) fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::SpamComplaint(Attribution::Certain) => "spam complaint",
        Reason::SpamComplaint(Attribution::Candidate) => "possible spam complaint",
        Reason::Manual => "blocked by support",
        Reason::KnownSpammer => "known spammer",
        Reason::HardBounce(_) => "hard bounce",
        Reason::WithheldByProvider(_) => "withheld by Amazon SES",
        Reason::Undeliverable(_) => "undeliverable",
        Reason::RepeatedSoftBounces => "repeated soft bounces",
    }
}

/// What a status means, in one sentence.
pub(crate) fn meaning(status: Status) -> &'static str {
    match status {
        Status::Standing(Standing::Active) => "Nothing speaks against sending to this address.",
        Status::Standing(Standing::Unconfirmed) => {
            "The lead has not confirmed this address yet. Nothing else speaks against sending to it."
        }
        Status::Standing(Standing::Unsubscribed) => {
            "The lead has unsubscribed and receives no marketing mail. The address itself is not blocked."
        }
        Status::SoftBouncing => {
            "Recent messages failed for a passing reason on the recipient’s side, such as a full mailbox. \
             Mail is still sent."
        }
        Status::Blocklisted(reason) => reason_meaning(reason),
    }
}

fn reason_meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::SpamComplaint(Attribution::Certain) => {
            "The recipient reported one of your messages as spam, and so has revoked consent to receive mail from you."
        }
        Reason::SpamComplaint(Attribution::Candidate) => {
            "One of several recipients reported a message of yours as spam. The provider does not say who; it may have \
             been this lead."
        }
        Reason::Manual => "The support team blocked this address.",
        Reason::KnownSpammer => "The address or its domain is on a list of known spammers.",
        Reason::HardBounce(cause) => match cause {
            BounceCause::MailboxMissing => {
                "The recipient’s mail server says that there is no such mailbox: the address is misspelled or was given up."
            }
            BounceCause::OwnerChanged => {
                "The recipient’s mail server says that the mailbox belongs to somebody else now."
            }
            BounceCause::MailboxDisabled => {
                "The recipient’s mail server says that the mailbox is switched off."
            }
            BounceCause::InvalidDomain => {
                "The domain of the address does not exist or takes no mail: it is misspelled, or its owner let it go."
            }
            BounceCause::Unspecified => {
                "The recipient’s mail server refused the message for good and did not say why. Your message was not at fault."
            }
        },
        Reason::WithheldByProvider(list) => match list {
            SuppressionList::Account => {
                "Amazon SES does not send to this address: it is on your account’s suppression list, after an earlier \
                 bounce or complaint."
            }
            SuppressionList::Tenant => {
                "Amazon SES does not send to this address: it is on your tenant’s suppression list, after an earlier \
                 bounce or complaint."
            }
            SuppressionList::Global => {
                "Amazon SES does not send to this address: it bounced not long ago for another of its customers."
            }
            SuppressionList::Validation => {
                "Amazon SES does not send to this address: its validation judged the address too likely to bounce."
            }
            SuppressionList::Other => {
                "Amazon SES does not send to this address: it is on one of their suppression lists."
            }
        },
        Reason::Undeliverable(cause) => match cause {
            UndeliverableCause::BadSyntax => {
                "The address is not a valid email address: it was mistyped."
            }
            UndeliverableCause::UnsendableLocalPart => {
                "The address is valid, but Amazon SES cannot send to it: the part before the @ holds letters outside plain ASCII."
            }
            UndeliverableCause::NoSuchDomain => {
                "The domain of the address does not exist: it is misspelled, or its owner let it go."
            }
            UndeliverableCause::NoMailServer => {
                "The domain of the address has no mail server: it is misspelled, or its owner takes no mail."
            }
            UndeliverableCause::NullMx => {
                "The domain of the address declares that it accepts no mail at all."
            }
            UndeliverableCause::UnreachableMailServer => {
                "The mail servers of the domain cannot be reached from outside. Only the domain’s owner can change that."
            }
            UndeliverableCause::Disposable => {
                "The address comes from a throwaway service, which your account does not send to."
            }
            UndeliverableCause::Role => {
                "The address names a role rather than a person, which your account does not send to."
            }
            UndeliverableCause::NoReply => {
                "The address says that nobody reads it, and your account does not send to such addresses."
            }
        },
        Reason::RepeatedSoftBounces => {
            "Messages kept failing on the recipient’s side over several days; the mailbox is probably full or abandoned."
        }
    }
}

/// What to do about a block, where Check again is offered.
pub(crate) const CHECK_AGAIN_ADVICE: &str =
    "Make sure that the address is spelled correctly, then check again.";

/// The same, where the address was corrected already: the block comes from the former one.
pub(crate) const CHECK_CORRECTED_ADVICE: &str = "This happened at the lead’s former address. The new one has not been checked yet: make sure that it is \
     spelled correctly, then check again.";

/// Why Check again is not offered, and what to do instead.
pub(crate) fn no_check_again(reason: Reason, resolution: Resolution) -> &'static str {
    match (resolution, reason) {
        (Resolution::Never, _) => {
            "Spam complaints can’t be cleared, because only the recipient can give consent again. If it was a mistake, the \
             recipient may be able to help you remove it: contact the support team."
        }
        (Resolution::SupportOnly, Reason::SpamComplaint(_)) => {
            "Spam complaints can’t be cleared here. If it was not this lead, contact the support team."
        }
        (Resolution::SupportOnly, _) => {
            "Only the support team can lift this block. Contact them if it is in error."
        }
        (Resolution::AfterAddressChange | Resolution::CheckAgain, _) => {
            "Correct the address, save, then check again."
        }
    }
}

/// Why Check again is not offered yet, with the time from which it is.
pub(crate) fn check_again_from(reason: Reason) -> &'static str {
    match reason {
        Reason::WithheldByProvider(_) => {
            "Amazon SES forgets such addresses by itself. Check again is possible from {time}, or with a corrected address."
        }
        Reason::HardBounce(_)
        | Reason::SpamComplaint(_)
        | Reason::Manual
        | Reason::KnownSpammer
        | Reason::Undeliverable(_)
        | Reason::RepeatedSoftBounces => {
            "The address bounced again after it was cleared. Check again is possible from {time}, or with a corrected \
             address."
        }
    }
}

/// The name and the sentence of a lead that was never saved.
pub(crate) const UNKNOWN: (&str, &str) = (
    "Not known yet",
    "Nothing is known of this lead. Save it with an email address, and it gets a status.",
);

/// The name and the sentence of a status that this version of the widget cannot read.
pub(crate) const UNREADABLE: (&str, &str) = (
    "Status not readable",
    "The status is newer than this page. Reload the page to see it.",
);

/// The name and the sentence of a status that is on its way.
pub(crate) const LOADING: (&str, &str) = (
    "Status is loading",
    "The status of this lead is on its way.",
);

/// The name and the sentence of a failure to read the status.
pub(crate) fn fault(fault: Fault) -> (&'static str, &'static str) {
    let name = "Status not available";
    let sentence = match fault {
        Fault::Offline => {
            "The status could not be read, because the server was not reached. Open this again to retry."
        }
        Fault::Unauthorised => {
            "The status could not be read, because your session has ended. Reload the page."
        }
        Fault::Forbidden => "You may not see the status of this lead.",
        Fault::Busy => {
            "The status could not be read, because of too many requests. Open this again in a while."
        }
        Fault::InvalidLead => "The page names no lead here, or one that cannot exist.",
        Fault::NotFound | Fault::Refused | Fault::Unavailable => {
            "The status could not be read just now. Open this again to retry."
        }
    };
    (name, sentence)
}

/// How a press of Check again ended: its name, and what it means for a lead that is blocklisted now or not. Nothing while it
/// is under way.
pub(crate) fn check_result(
    check: Check,
    blocklisted: bool,
) -> Option<(&'static str, &'static str)> {
    let failed =
        "The request could not be processed. Contact the support team for more assistance.";
    match check {
        Check::Sending => None,
        Check::Done(Outcome::Sent) if blocklisted => Some((
            SENT,
            "The request was processed. The lead stays blocklisted, for the reason above.",
        )),
        Check::Done(Outcome::Sent) => Some((SENT, "The request was processed.")),
        Check::Done(Outcome::Fail) => Some((FAIL, failed)),
        Check::Failed(trouble) => Some(match trouble.fault {
            Fault::Busy => (
                FAIL,
                "The request could not be processed, because this was checked too often.",
            ),
            Fault::Offline
            | Fault::Unauthorised
            | Fault::Forbidden
            | Fault::NotFound
            | Fault::Refused
            | Fault::Unavailable
            | Fault::InvalidLead => (FAIL, failed),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_sentence_of_its_own() {
        let sentences: BTreeSet<_> = Reason::all().map(reason_meaning).collect();
        assert_eq!(sentences.len(), Reason::all().count());
        for sentence in sentences {
            assert!(
                sentence.ends_with('.') && !sentence.contains("  "),
                "{sentence}"
            );
        }
    }

    #[test]
    fn a_complaint_says_that_it_cannot_be_cleared_and_why() {
        let sentence = no_check_again(
            Reason::SpamComplaint(Attribution::Certain),
            Resolution::Never,
        );
        assert!(sentence.starts_with("Spam complaints can’t be cleared, because"));
    }

    #[test]
    fn the_outcomes_are_named_as_the_help_page_names_them() {
        let (name, sentence) = check_result(Check::Done(Outcome::Sent), false).unwrap();
        assert_eq!((name, sentence), ("Sent", "The request was processed."));
        let (name, sentence) = check_result(Check::Done(Outcome::Fail), true).unwrap();
        let fail =
            "The request could not be processed. Contact the support team for more assistance.";
        assert_eq!((name, sentence), ("Fail", fail));
        assert_eq!(check_result(Check::Sending, true), None);
    }
}
