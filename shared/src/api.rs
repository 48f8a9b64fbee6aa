//! The wire types that the functions and the widget share. JSON, times as RFC 3339, codes as in the enums they come from.

use core::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::{Address, AddressError};
use crate::assessment::{Reason, Resolution};
use crate::codes::coded;
use crate::evidence::EvidenceId;
use crate::gate::{GateDecision, Mode, Objection, Purpose, Resolver};
#[cfg(feature = "schema")]
use crate::gate::{MAX_CHECKED, MAX_RECIPIENTS};
use crate::lead::{CheckAgainRefusal, Lead, LeadAssessment, LeadId, Standing, Status};
use crate::log::Entry;
use crate::verification::{Listing, UndeliverableCause, Verdict, Verification, suggestion};

/// The most leads of one `POST /v1/statuses`.
pub const MAX_STATUSES: usize = 100;

/// `POST /v1/statuses`: asks for the status of 1 to [`MAX_STATUSES`] leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StatusesRequest {
    /// The leads. Duplicates are folded.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_STATUSES)))]
    pub leads: Vec<LeadId>,
}

/// The answer to [`StatusesRequest`]: one entry per different lead, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusesReply {
    /// The statuses.
    pub statuses: Vec<LeadStatus>,
}

/// The status of one lead, as its bubble shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeadStatus {
    /// The lead.
    pub lead: LeadId,
    /// `active`, `unconfirmed`, `unsubscribed`, `soft_bouncing` or `blocklisted`; `unknown` for a lead that was never saved.
    pub status: String,
    /// What the lead is when nothing blocks it. Absent for an unknown lead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub standing: Option<Standing>,
    /// The code of the [`Reason`], if blocklisted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The cause within the reason, if it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Timestamp>,
    /// The evidence that the status follows from, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub because: Vec<EvidenceId>,
    /// How a block is lifted, if blocklisted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolution: Option<Resolution>,
    /// Whether Check again may be pressed now.
    #[serde(default)]
    pub may_check_again: bool,
    /// The time before which Check again is not permitted, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub check_again_from: Option<Timestamp>,
    /// The provider's own text, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub diagnostic: Option<String>,
    /// Whether the block was made by the lead's former address, and the present one is yet to be checked.
    #[serde(skip_serializing_if = "core::ops::Not::not", default)]
    pub held: bool,
    /// The address that was probably meant instead of the lead's present one, if that looks like a slip. It is for a person to take.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suggestion: Option<String>,
}

impl LeadStatus {
    /// The status of `lead`, which was assessed at `now`.
    #[must_use]
    pub fn new(lead: &Lead, assessment: LeadAssessment, now: Timestamp) -> Self {
        let may_check_again = assessment.may_check_again(now).is_ok();
        let reason = assessment.status.reason();
        // A hold speaks of the former address.
        let cannot_receive = !assessment.held && reason.is_some_and(Reason::is_of_domain);
        Self {
            suggestion: suggestion(&lead.address, cannot_receive).map(String::from),
            lead: lead.id.clone(),
            status: assessment.status.code().to_owned(),
            standing: Some(assessment.standing),
            reason: reason.map(|reason| reason.code().to_owned()),
            cause: reason.and_then(Reason::cause).map(str::to_owned),
            since: assessment.since,
            because: assessment.because,
            resolution: assessment.resolution,
            may_check_again,
            check_again_from: assessment.check_again_from,
            diagnostic: assessment.diagnostic,
            held: assessment.held,
        }
    }

    /// The status of a lead that was never saved in this account.
    #[must_use]
    pub fn unknown(lead: LeadId) -> Self {
        Self {
            lead,
            status: "unknown".to_owned(),
            standing: None,
            reason: None,
            cause: None,
            since: None,
            because: Vec::new(),
            resolution: None,
            may_check_again: false,
            check_again_from: None,
            diagnostic: None,
            held: false,
            suggestion: None,
        }
    }

    /// The status as the domain's type; `None` for an unknown lead, and for codes this version does not know.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self.status.as_str() {
            "soft_bouncing" => Some(Status::SoftBouncing),
            "blocklisted" => Reason::from_codes(self.reason.as_deref()?, self.cause.as_deref())
                .map(Status::Blocklisted),
            standing => Standing::from_code(standing).map(Status::Standing),
        }
    }
}

/// `PUT /v1/leads/{id}`: saves a lead. The same call again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SaveLead {
    /// The lead's address, bare.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "idn-email")))]
    pub address: String,
    /// The lead's standing; absent leaves it as it is (`active` for a new lead).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub standing: Option<Standing>,
    /// Since when the lead has that standing; absent is now, if it changes. Matters where the recipient unsubscribes by SES.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub standing_since: Option<Timestamp>,
}

/// The answer to `PUT` and `GET /v1/leads/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SavedLead {
    /// The lead's current address, normalised.
    pub address: String,
    /// Its status.
    #[serde(flatten)]
    pub status: LeadStatus,
    /// What the verification of this save found; absent if the address was not verified now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verification: Option<VerificationReply>,
}

impl SavedLead {
    /// The view of `lead`, assessed at `now`.
    #[must_use]
    pub fn new(
        lead: &Lead,
        assessment: LeadAssessment,
        verification: Option<&Verification>,
        now: Timestamp,
    ) -> Self {
        Self {
            address: lead.address.as_str().to_owned(),
            status: LeadStatus::new(lead, assessment, now),
            verification: verification
                .map(|verification| VerificationReply::new(&lead.address, verification)),
        }
    }
}

/// How a press of Check again ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The request was processed; the status says what came of it.
    Sent,
    /// The request could not be processed; nothing was changed.
    Fail,
}

/// The answer to `POST /v1/leads/{id}/rechecks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecheckReply {
    /// How it ended.
    pub outcome: Outcome,
    /// The status afterwards.
    pub status: LeadStatus,
    /// What the verification found.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verification: Option<VerificationReply>,
    /// Why the block stands although the verification has nothing against the address, in one sentence of English.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept_because: Option<String>,
}

/// The answer to `POST /v1/notifications`, which SNS does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotificationReply {
    /// What became of the message.
    pub outcome: NotificationOutcome,
}

/// What became of a message of SNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NotificationOutcome {
    /// What it says is recorded, or was before.
    Recorded,
    /// The subscription is confirmed: the topic's notifications will come.
    Confirmed,
    /// The subscription ended; that is logged, and nothing was done about it.
    Noted,
}

/// `POST /v1/verifications`: asks what is to be said of an address, without saving anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// The address as it was typed. That it is no address at all is an answer, not an error.
    pub address: String,
}

/// What is to be said of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerificationReply {
    /// The address, normalised. Absent where the text is no address that can be kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
    /// The address for a person's eyes: the domain in its own letters, with the A-label form beside it where scripts mix. Absent
    /// where that is no different.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shown: Option<String>,
    /// The verdict, with its cause, flags or list.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The verdict in one sentence of English.
    pub sentence: String,
    /// The address that was probably meant. To be offered, never to be taken without asking.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suggestion: Option<String>,
    /// What was seen. Absent where nothing had to be looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub findings: Option<Seen>,
    /// What is wrong with the text. Only where it is no address that can be kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub syntax: Option<SyntaxFault>,
    /// The names of the blocklists that could not be asked.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unchecked: Vec<String>,
    /// Seconds after which asking again makes sense. Always there for an inconclusive verdict.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_s: Option<u32>,
}

/// What a verification saw outside the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Seen {
    /// The code of the [`MailHosts`](crate::verification::MailHosts).
    pub mail_hosts: String,
    /// `none`, `warned` or `spammer`.
    pub listing: String,
    /// The list that warns or names a spammer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub list: Option<String>,
}

/// Why a text is no address that can be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyntaxFault {
    /// The code of the [`AddressError`].
    pub code: String,
    /// Where the fault stands, in characters counted from 1, without outer blanks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub position: Option<usize>,
    /// The character that is at fault.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub character: Option<char>,
}

impl VerificationReply {
    /// What is to be said of `address`, which was verified.
    #[must_use]
    pub fn new(address: &Address, verification: &Verification) -> Self {
        let findings = &verification.findings;
        let (listing, list) = match &findings.listing {
            Listing::None => ("none", None),
            Listing::Warned { list } => ("warned", Some(list.clone())),
            Listing::Spammer { list } => ("spammer", Some(list.clone())),
        };
        let shown = address.shown();
        Self {
            shown: (shown != address.as_str()).then_some(shown),
            address: Some(address.as_str().to_owned()),
            verdict: verification.verdict.clone(),
            sentence: verification
                .verdict
                .sentence(verification.suggestion.as_ref()),
            suggestion: verification.suggestion.clone().map(String::from),
            findings: Some(Seen {
                mail_hosts: findings.mail_hosts.code().to_owned(),
                listing: listing.to_owned(),
                list,
            }),
            syntax: None,
            unchecked: findings.unchecked.clone(),
            retry_after_s: verification.retry_after_s,
        }
    }

    /// What is to be said of a text that is no address that can be kept.
    #[must_use]
    pub fn not_an_address(error: &AddressError) -> Self {
        Self {
            address: None,
            shown: None,
            verdict: Verdict::Undeliverable {
                cause: UndeliverableCause::BadSyntax,
            },
            sentence: error.sentence(),
            suggestion: error.inner().cloned().map(String::from),
            findings: None,
            syntax: Some(SyntaxFault {
                code: error.code().to_owned(),
                position: error.position(),
                character: error.character(),
            }),
            unchecked: Vec::new(),
            retry_after_s: None,
        }
    }
}

/// The answer to `GET /v1/leads/{id}/log`, newest entry first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogReply {
    /// A page of entries.
    pub entries: Vec<Entry>,
    /// Asks for the next page, as `?cursor=`; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_cursor: Option<String>,
}

/// `POST /v1/send-checks`: asks whether a message may go to 1 to [`MAX_CHECKED`] recipients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SendChecksRequest {
    /// The recipients. The same mailbox for the same lead is checked once.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_CHECKED)))]
    pub recipients: Vec<CheckRecipient>,
    /// What the message is for.
    #[serde(default)]
    pub purpose: Purpose,
}

/// A recipient of [`SendChecksRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckRecipient {
    /// The address: bare, in angle brackets, or behind a display name.
    pub address: String,
    /// The lead it is for, if it is for one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lead_id: Option<LeadId>,
}

/// The answer to [`SendChecksRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SendChecksReply {
    /// For all together: `allow` if no recipient is refused.
    pub decision: GateDecision,
    /// What the message was said to be for.
    pub purpose: Purpose,
    /// One answer for each different recipient, in the order asked.
    pub recipients: Vec<RecipientAnswer>,
    /// The decision in a form that can be shown to others. Absent if refused, and where the deployment signs none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub permit: Option<Permit>,
}

/// The gate's answer for one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecipientAnswer {
    /// The address, normalised.
    pub address: String,
    /// The lead, if one was named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lead_id: Option<LeadId>,
    /// Where the recipient stands in the request, counted from 0; several places if it was named several times.
    pub positions: Vec<usize>,
    /// The decision.
    pub decision: GateDecision,
    /// What stands against it, if refused.
    #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
    pub blocked: Option<Blocked>,
}

/// Why a recipient is refused, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Blocked {
    /// The code of the [`Ground`](crate::gate::Ground): a [`Reason`]'s, `another_address` or `unsubscribed`.
    pub reason: String,
    /// The cause within the reason, if it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Timestamp>,
    /// The evidence that it follows from, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub because: Vec<EvidenceId>,
    /// How it is taken away.
    pub resolution: Resolution,
    /// Who can.
    pub resolver: Resolver,
    /// What to do, in one sentence.
    pub what_to_do: String,
    /// The time before which Check again is not permitted, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub check_again_from: Option<Timestamp>,
}

impl From<Objection> for Blocked {
    fn from(objection: Objection) -> Self {
        Self {
            reason: objection.ground.code().to_owned(),
            cause: objection.ground.cause().map(str::to_owned),
            resolver: objection.resolver(),
            what_to_do: objection.what_to_do().to_owned(),
            since: objection.since,
            because: objection.because,
            resolution: objection.resolution,
            check_again_from: objection.check_again_from,
        }
    }
}

/// A signed statement that a check was passed. It is verified with a key of `GET /v1/permit-keys`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Permit {
    /// The statement, a JWT.
    pub token: String,
    /// From when it is good no more.
    pub expires_at: Timestamp,
}

/// Without the token: whoever holds it passes for checked.
impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// `POST /v1/sends`: sends one message, if the gate lets it through. At most
/// [`MAX_RECIPIENTS`] recipients in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// The sender. Its address or domain must be a sending identity of the account.
    pub from: Mailbox,
    /// The recipients.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_RECIPIENTS)))]
    pub to: Vec<SendRecipient>,
    /// The recipients in copy.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_RECIPIENTS)))]
    pub cc: Vec<SendRecipient>,
    /// The recipients in blind copy.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_RECIPIENTS)))]
    pub bcc: Vec<SendRecipient>,
    /// Where answers go, if not to the sender.
    #[serde(default)]
    pub reply_to: Vec<Mailbox>,
    /// The subject: one line.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub subject: String,
    /// The text. Text, HTML or both are needed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// The HTML.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub html: Option<String>,
    /// Files that go with it.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Headers of the sender's own.
    #[serde(default)]
    pub headers: Vec<Header>,
    /// How recipients unsubscribe: the headers `List-Unsubscribe` and `List-Unsubscribe-Post`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub list_unsubscribe: Option<ListUnsubscribe>,
    /// What becomes of the message if some recipients are refused.
    #[serde(default)]
    pub mode: Mode,
    /// What the message is for.
    #[serde(default)]
    pub purpose: Purpose,
    /// The permit of an earlier check of the same recipients. It must be good; the recipients are checked again all the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub permit: Option<String>,
}

/// An address with a display name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mailbox {
    /// The address, bare.
    pub address: String,
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
}

/// A recipient of [`SendRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SendRecipient {
    /// The address, bare.
    pub address: String,
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The lead it is for, if it is for one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lead_id: Option<LeadId>,
}

/// A file that goes with a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The file's name.
    pub name: String,
    /// Its media type, such as `application/pdf`; absent lets SES tell by the name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    /// Its octets, in Base64 (RFC 4648 section 4).
    pub content: String,
}

/// A header of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its name. Names that the message or SES sets itself are refused.
    pub name: String,
    /// Its value: printable ASCII on one line.
    pub value: String,
}

/// How recipients unsubscribe. At least one way is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ListUnsubscribe {
    /// An `https` address that takes the one-click POST of RFC 8058.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// An address that takes mail with the subject `unsubscribe`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mailto: Option<String>,
}

/// The answer to [`SendRequest`]: SES has the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SendReply {
    /// SES's id of the message.
    pub message_id: String,
    /// What the tag `leadlight-request` says in SES's events about the message.
    pub request_tag: String,
    /// To whom it goes. Positions count To, Cc and Bcc one after the other.
    pub sent_to: Vec<RecipientAnswer>,
    /// Who was left out, by `mode: skip_blocked`.
    pub skipped: Vec<RecipientAnswer>,
}

/// A problem document (RFC 9457), with the members that ours carry beside the standard ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// A URI that names the kind of problem, always `https://leadlight.dev/problems/` and a code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// The field that is wrong, as a JSON pointer into the body, or the name of a header, path or query parameter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// A machine-readable code of what is wrong with the field.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// What was probably meant: the address inside a pasted display name or link.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suggestion: Option<String>,
    /// When to try again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_at: Option<Timestamp>,
    /// The recipients for which a message was refused.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub blocked: Vec<RecipientAnswer>,
    /// What the tag `leadlight-request` says in SES's events, should the message have been sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_tag: Option<String>,
}

impl CheckAgainRefusal {
    /// The machine-readable code of the refusal.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotBlocklisted => "not_blocklisted",
            Self::Complaint => "complaint",
            Self::SupportOnly => "support_only",
            Self::AddressUnchanged => "address_unchanged",
            Self::TooEarly { .. } => "too_early",
        }
    }
}

/// What `PUT /v1/webhook` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SaveWebhook {
    /// Where changes of status are to be told: `https`, and reachable from the Internet.
    pub url: String,
    /// Makes a new secret. The former one signs as well for another 24 hours.
    #[serde(default)]
    pub rotate_secret: bool,
}

coded! {
    /// Whether a webhook is used.
    WebhookState {
        /// Changes are delivered to it.
        Enabled = "enabled",
        /// Nothing is delivered to it until it is saved again.
        Disabled = "disabled",
    }
}

coded! {
    /// Why a webhook is not used any more.
    DisabledBecause {
        /// The receiver answered 410 (Gone).
        Gone = "gone",
        /// Every delivery failed for days.
        Failing = "failing",
    }
}

/// The webhook of an account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookReply {
    /// The receiver.
    pub url: String,
    /// Whether it is used.
    pub state: WebhookState,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disabled_because: Option<DisabledBecause>,
    /// Since when not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disabled_at: Option<Timestamp>,
    /// Since when deliveries fail, if the last one did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failing_since: Option<Timestamp>,
    /// How, such as `status 500`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_failure: Option<String>,
    /// When it was saved last.
    pub changed_at: Timestamp,
    /// The secret (`whsec_` and Base64). Shown once, in the answer to the request that made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret: Option<String>,
    /// Until when the former secret signs as well.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub former_secret_until: Option<Timestamp>,
}

/// Without the secret.
impl fmt::Debug for WebhookReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookReply")
            .field("url", &self.url)
            .field("state", &self.state)
            .field("last_failure", &self.last_failure)
            .field("changed_at", &self.changed_at)
            .finish_non_exhaustive()
    }
}
