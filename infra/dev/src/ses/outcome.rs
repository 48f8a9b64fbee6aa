//! What becomes of a message at one recipient: scripted, or as the mailbox simulator's addresses say.
//!
//! Diagnostics are of the kinds seen in the wild (SES developer guide, *notification contents* and *using the mailbox simulator*).

use serde::{Deserialize, Serialize};

/// The mailbox simulator's domain.
pub const SIMULATOR: &str = "simulator.amazonses.com";

/// What becomes of a message at one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is delivered.
    Deliver,
    /// It is delivered late: SES says so while it retries.
    Delay,
    /// The mailbox does not exist.
    HardBounce,
    /// The receiving server refuses for good and does not say why.
    HardBounceGeneral,
    /// The receiving server did not take it in 14 hours.
    SoftBounce,
    /// The mailbox is full.
    MailboxFull,
    /// The domain does not exist; SES calls that transient.
    InvalidDomain,
    /// The receiving server refuses our reputation, not the recipient.
    PolicyBounce,
    /// The receiving server takes the message for too large.
    MessageTooLarge,
    /// The receiving server refuses the content.
    ContentRejected,
    /// The bounce cannot be understood.
    Undetermined,
    /// It is delivered, and an out-of-office reply comes back.
    AutoReply,
    /// It is delivered, and the recipient reports it as spam.
    Complaint,
    /// It is delivered, and the recipient takes it out of the spam folder.
    NotSpam,
    /// SES withholds it: the address is on its global suppression list.
    Suppressed,
    /// SES withholds it: the address is on the account's suppression list for a bounce.
    #[serde(skip_deserializing)]
    WithheldBounce,
    /// SES withholds it: the address is on the account's suppression list for a complaint.
    #[serde(skip_deserializing)]
    WithheldComplaint,
    /// SES finds a virus in the message, and sends it to nobody.
    Reject,
    /// SES answers every call about the address with 429.
    Throttle,
}

/// The recipient's part of a bounce.
pub(super) struct Bounce {
    pub(super) kind: &'static str,
    pub(super) subtype: &'static str,
    pub(super) action: Option<&'static str>,
    pub(super) status: Option<&'static str>,
    pub(super) diagnostic: Option<&'static str>,
    /// Whether SES itself says so, rather than the receiving server.
    pub(super) by_ses: bool,
}

impl Outcome {
    /// What the mailbox simulator does with an address of its own; labels (`bounce+label@`) are allowed.
    pub(super) fn of_simulator(address: &str) -> Option<Self> {
        let (local, domain) = address.rsplit_once('@')?;
        if !domain.eq_ignore_ascii_case(SIMULATOR) {
            return None;
        }
        let mailbox = local
            .split('+')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        Some(match mailbox.as_str() {
            "success" => Self::Deliver,
            "bounce" => Self::HardBounceGeneral,
            "ooto" => Self::AutoReply,
            "complaint" => Self::Complaint,
            "suppressionlist" => Self::Suppressed,
            _ => Self::HardBounce,
        })
    }

    /// Whether the receiving server takes the message.
    pub(super) fn is_delivered(self) -> bool {
        match self {
            Self::Deliver | Self::Delay | Self::AutoReply | Self::Complaint | Self::NotSpam => true,
            Self::HardBounce
            | Self::HardBounceGeneral
            | Self::SoftBounce
            | Self::MailboxFull
            | Self::InvalidDomain
            | Self::PolicyBounce
            | Self::MessageTooLarge
            | Self::ContentRejected
            | Self::Undetermined
            | Self::Suppressed
            | Self::WithheldBounce
            | Self::WithheldComplaint
            | Self::Reject
            | Self::Throttle => false,
        }
    }

    /// The reason with which SES puts the address on the account's suppression list, if it does.
    #[must_use]
    pub fn suppression(self) -> Option<&'static str> {
        match self {
            Self::HardBounce | Self::HardBounceGeneral | Self::PolicyBounce => Some("BOUNCE"),
            Self::Complaint => Some("COMPLAINT"),
            Self::Deliver
            | Self::Delay
            | Self::SoftBounce
            | Self::MailboxFull
            | Self::InvalidDomain
            | Self::MessageTooLarge
            | Self::ContentRejected
            | Self::Undetermined
            | Self::AutoReply
            | Self::NotSpam
            | Self::Suppressed
            | Self::WithheldBounce
            | Self::WithheldComplaint
            | Self::Reject
            | Self::Throttle => None,
        }
    }

    /// The bounce that SES publishes, if it publishes one.
    pub(super) fn bounce(self) -> Option<Bounce> {
        let failed = |kind, subtype, status, diagnostic| Bounce {
            kind,
            subtype,
            action: Some("failed"),
            status: Some(status),
            diagnostic: Some(diagnostic),
            by_ses: false,
        };
        let withheld = |subtype, diagnostic| Bounce {
            by_ses: true,
            ..failed("Permanent", subtype, "5.1.1", diagnostic)
        };
        Some(match self {
            Self::HardBounce => failed(
                "Permanent",
                "NoEmail",
                "5.1.1",
                "smtp; 550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking \
                 the recipient's email address for typos or unnecessary spaces.",
            ),
            Self::HardBounceGeneral => failed(
                "Permanent",
                "General",
                "5.0.0",
                "smtp; 550 5.0.0 Requested action not taken: mailbox unavailable",
            ),
            Self::SoftBounce => failed(
                "Transient",
                "General",
                "4.4.7",
                "smtp; 554 4.4.7 Message expired: unable to deliver in 840 minutes.<421 4.4.1 Connection timed out>",
            ),
            Self::MailboxFull => failed(
                "Transient",
                "MailboxFull",
                "4.2.2",
                "smtp; 452 4.2.2 The email account that you tried to reach is over quota.",
            ),
            Self::InvalidDomain => failed(
                "Transient",
                "General",
                "5.4.4",
                "smtp; 550 5.4.4 Invalid domain",
            ),
            Self::PolicyBounce => failed(
                "Permanent",
                "General",
                "5.7.1",
                "smtp; 550 5.7.1 Service unavailable, client host blocked because of its reputation",
            ),
            Self::MessageTooLarge => failed(
                "Transient",
                "MessageTooLarge",
                "5.3.4",
                "smtp; 552 5.3.4 Message size exceeds fixed maximum message size",
            ),
            Self::ContentRejected => failed(
                "Transient",
                "ContentRejected",
                "5.6.0",
                "smtp; 554 5.6.0 Message content rejected",
            ),
            Self::Undetermined => Bounce {
                action: None,
                status: None,
                diagnostic: None,
                ..failed("Undetermined", "Undetermined", "", "")
            },
            Self::AutoReply => Bounce {
                action: None,
                status: None,
                diagnostic: None,
                ..failed("Transient", "General", "", "")
            },
            Self::Suppressed => withheld(
                "Suppressed",
                "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an \
                 invalid address. For more information about how to remove an address from the suppression list, see \
                 the Amazon SES Developer Guide.",
            ),
            Self::WithheldBounce => withheld(
                "OnAccountSuppressionList",
                "Amazon SES did not send the message to this address because it is on the suppression list for your \
                 account. For more information about removing addresses from the suppression list, see the Amazon SES \
                 Developer Guide.",
            ),
            Self::Deliver
            | Self::Delay
            | Self::Complaint
            | Self::NotSpam
            | Self::WithheldComplaint
            | Self::Reject
            | Self::Throttle => return None,
        })
    }
}
