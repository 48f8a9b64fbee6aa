//! Refusals, as problem documents (RFC 9457). What a caller did wrong is said with a code and the field; what went wrong on our
//! side is logged with its causes and shown as no more than "try again".

use jiff::{SignedDuration, Timestamp};
use lambda_http::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use lambda_http::http::{HeaderValue, StatusCode};
use lambda_http::{Body, Response};
use leadlight::address::AddressError;
use leadlight::api::{Problem, RecipientAnswer};
use leadlight::lead::CheckAgainRefusal;

use crate::apply::ApplyError;
use crate::sends::MailError;
use crate::table::TableError;

/// What every problem's type begins with; a code follows.
pub const PROBLEMS: &str = "https://leadlight.dev/problems/";
/// The content type of problem documents.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// When to come back after an outage: long enough for a throttled table to recover, short enough for a person who waits.
const RETRY_AFTER_OUTAGE_S: i64 = 2;
/// SES counts its sending rate by the second.
const RETRY_AFTER_THROTTLING_S: i64 = 1;
/// SES counts its quota over the last 24 hours, so that some of it comes back all the time.
const RETRY_AFTER_QUOTA_S: i64 = 15 * 60;

/// A request that was not carried out, and why.
#[derive(Debug)]
pub struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, code: &str, title: &str) -> Self {
        let problem = Problem {
            kind: [PROBLEMS, code].concat(),
            title: title.to_owned(),
            status: status.as_u16(),
            ..Problem::default()
        };
        Self(Box::new(Parts {
            status,
            problem,
            headers: Vec::new(),
            cause: None,
        }))
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.problem.detail = Some(detail.into());
        self
    }

    fn field(mut self, field: impl Into<String>) -> Self {
        self.0.problem.field = Some(field.into());
        self
    }

    fn code(mut self, code: impl Into<String>) -> Self {
        self.0.problem.code = Some(code.into());
        self
    }

    fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.0
            .headers
            .extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    fn retry_in_s(self, seconds: i64) -> Self {
        self.header(RETRY_AFTER, &seconds.max(1).to_string())
    }

    fn cause(mut self, error: &(dyn core::error::Error + 'static)) -> Self {
        self.0.cause = Some(chain(error));
        self
    }

    /// There is nothing at this path.
    #[must_use]
    pub fn no_such_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here")
    }

    /// The account has no webhook.
    #[must_use]
    pub fn no_webhook() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-webhook",
            "The account has no webhook",
        )
    }

    /// There is something at this path, but not by this method.
    #[must_use]
    pub fn method_not_allowed(allowed: &str) -> Self {
        let refusal = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "This method is not allowed here",
        );
        refusal.header(ALLOW, allowed)
    }

    /// The body is said to be something else than JSON.
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        let title = "The body must be JSON";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            title,
        )
        .detail("send the header Content-Type: application/json")
        .field("content-type")
    }

    /// The body is larger than any request needs to be.
    #[must_use]
    pub fn body_too_large(most_octets: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
        )
        .detail(format!("at most {most_octets} octets"))
    }

    /// The body is no JSON, or no UTF-8.
    #[must_use]
    pub fn malformed_json(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-json",
            "The body is not JSON",
        )
        .detail(detail)
    }

    /// A field of the body is missing, unknown, or not of its kind. `field` is a JSON pointer, or the name of what is wrong
    /// outside the body.
    #[must_use]
    pub fn invalid_field(field: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-field",
            "A field is not valid",
        )
        .detail(detail)
        .field(field)
        .code(code)
    }

    /// The address is none that can be kept.
    #[must_use]
    pub fn invalid_address(field: &str, error: &AddressError) -> Self {
        let (kind, title) = if error.is_unusual_form() {
            (
                "unsupported-address",
                "The form of the address is not supported",
            )
        } else {
            ("invalid-address", "The address is not valid")
        };
        let mut refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, title)
            .detail(error.to_string())
            .field(field)
            .code(error.code());
        refusal.0.problem.suggestion = error.inner().map(|address| address.as_str().to_owned());
        refusal
    }

    /// A query parameter is not valid.
    #[must_use]
    pub fn invalid_parameter(name: &str, detail: impl Into<String>) -> Self {
        let title = "A query parameter is not valid";
        Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", title)
            .detail(detail)
            .field(name)
    }

    /// The request carries no access token that is good. `challenge` goes into `WWW-Authenticate` (RFC 6750 section 3).
    #[must_use]
    pub fn unauthorized(code: &str, detail: impl Into<String>, challenge: &str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "A valid access token is needed",
        )
        .detail(detail)
        .field("authorization")
        .code(code)
        .header(WWW_AUTHENTICATE, challenge)
    }

    /// The request comes from a page whose origin the account does not list.
    #[must_use]
    pub fn foreign_origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "Pages of this origin may not use the account's tokens",
        )
        .detail("the account lists the origins of its pages, and this is none of them")
        .field("origin")
    }

    /// The access token is good, but not for this.
    #[must_use]
    pub fn forbidden(code: &str, detail: impl Into<String>, challenge: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "The access token does not permit this",
        )
        .detail(detail)
        .code(code)
        .header(WWW_AUTHENTICATE, challenge)
    }

    /// A message is not from a topic that is listed, not of now, or not signed by SNS.
    #[must_use]
    pub fn untrusted_message(code: &str, field: &str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "untrusted-message",
            "The message is not one that is taken",
        )
        .detail(detail)
        .field(field)
        .code(code)
    }

    /// A message of SNS cannot be recorded, however often it comes: a 4xx other than 429 makes SNS give it up at once, into the
    /// dead-letter queue of its subscription.
    #[must_use]
    pub fn unreadable_notification(error: &(dyn core::error::Error + 'static)) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unreadable-notification",
            "The notification cannot be recorded",
        )
        .detail("it is kept in the dead-letter queue of the subscription; the log says why")
        .field("/Message")
        .cause(error)
    }

    /// SNS does not know the subscription that is to be confirmed, any more or at all.
    #[must_use]
    pub fn unknown_subscription(error: &(dyn core::error::Error + 'static)) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown-subscription",
            "The subscription cannot be confirmed",
        )
        .detail("Amazon SNS does not know its token, or knows it no longer; subscribe again")
        .field("/Token")
        .cause(error)
    }

    /// The account has no such lead.
    #[must_use]
    pub fn unknown_lead() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-lead",
            "The account has no such lead",
        )
    }

    /// Check again may not be pressed.
    #[must_use]
    pub fn check_again_refused(refusal: CheckAgainRefusal) -> Self {
        let (detail, retry_at) = match refusal {
            CheckAgainRefusal::NotBlocklisted => ("the lead is not blocklisted", None),
            CheckAgainRefusal::Complaint => (
                "spam complaints cannot be cleared; if the complaint was made in error, only the recipient can take it back, \
                 through support",
                None,
            ),
            CheckAgainRefusal::SupportOnly => ("only support can lift this block", None),
            CheckAgainRefusal::AddressUnchanged => {
                ("correct the address and save the lead first", None)
            }
            CheckAgainRefusal::TooEarly { from } => {
                ("the address cannot be checked again yet", Some(from))
            }
        };
        let mut problem = Self::new(
            StatusCode::CONFLICT,
            "check-again-refused",
            "The lead cannot be checked again now",
        )
        .detail(detail)
        .code(refusal.code());
        problem.0.problem.retry_at = retry_at;
        problem
    }

    /// Check again was pressed too often. `code` says what is limited: `lead` or `account`.
    #[must_use]
    pub fn too_many_rechecks(code: &str, retry_at: Timestamp, now: Timestamp) -> Self {
        let mut refusal = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-rechecks",
            "Check again was pressed too often",
        )
        .code(code);
        refusal.0.problem.retry_at = Some(retry_at);
        // Rounded up: a caller who comes back a fraction too early is refused again.
        let wait = retry_at
            .duration_since(now)
            .saturating_add(SignedDuration::from_millis(999));
        refusal.retry_in_s(wait.as_secs())
    }

    /// A token, or all of an account, asked more than it may in a minute. `code` says which.
    #[must_use]
    pub fn too_many_requests(code: &str, limit: u32, retry_at: Timestamp, now: Timestamp) -> Self {
        let mut refusal = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "There are too many requests",
        )
        .detail(format!("at most {limit} in a minute"))
        .code(code);
        refusal.0.problem.retry_at = Some(retry_at);
        refusal.retry_in_s(retry_at.as_second() - now.as_second())
    }

    /// The gate refuses a message for these recipients. Nothing was sent.
    #[must_use]
    pub fn recipients_blocked(blocked: Vec<RecipientAnswer>) -> Self {
        let mut refusal = Self::new(
            StatusCode::CONFLICT,
            "recipients-blocked",
            "The message was not sent: some of its recipients are blocked",
        )
        .detail(
            "nothing was sent; clear the recipients in blocked, or leave them out, and send again",
        );
        refusal.0.problem.blocked = blocked;
        refusal
    }

    /// The sender is no sending identity of the account.
    #[must_use]
    pub fn foreign_sender() -> Self {
        let title = "The account may not send from this address";
        Self::new(StatusCode::FORBIDDEN, "foreign-sender", title)
            .detail("neither the address nor its domain is a sending identity of the account")
            .field("/from/address")
    }

    /// A permit is not good for the message.
    #[must_use]
    pub fn invalid_permit(code: &str, detail: impl Into<String>) -> Self {
        let title = "The permit is not good for this message";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-permit", title)
            .detail(detail)
            .field("/permit")
            .code(code)
    }

    /// The `Idempotency-Key` was used for something else.
    #[must_use]
    pub fn idempotency_key_reused() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "The Idempotency-Key was used for another message",
        )
        .detail("take a new key for a new message")
        .field("idempotency-key")
    }

    /// Another request under the same `Idempotency-Key` is not answered yet.
    #[must_use]
    pub fn request_in_progress() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "request-in-progress",
            "The same request is still being answered",
        )
        .detail("ask again with the same key for its answer")
        .field("idempotency-key")
        .retry_in_s(RETRY_AFTER_OUTAGE_S)
    }

    /// SES was given the message and did not say whether it took it.
    #[must_use]
    pub fn outcome_unknown(request_tag: &str, error: &(dyn core::error::Error + 'static)) -> Self {
        Self::may_be_sent(StatusCode::BAD_GATEWAY, request_tag)
            .detail(
                "Amazon SES was given the message and did not say whether it took it; it is not tried again. SES's events for a \
                 message that was sent carry the tag leadlight-request with the value of request_tag",
            )
            .cause(error)
    }

    /// A request under the same `Idempotency-Key` ended without anybody knowing whether its message was sent.
    #[must_use]
    pub fn earlier_outcome_unknown(request_tag: &str) -> Self {
        Self::may_be_sent(StatusCode::CONFLICT, request_tag)
            .detail(
                "an earlier request with this key ended before it was known whether Amazon SES took the message; it was sent once \
                 or not at all, and is never sent again under this key. SES's events for a message that was sent carry the tag \
                 leadlight-request with the value of request_tag",
            )
            .field("idempotency-key")
    }

    fn may_be_sent(status: StatusCode, request_tag: &str) -> Self {
        let title = "It is not known whether the message was sent";
        let mut refusal = Self::new(status, "send-outcome-unknown", title);
        refusal.0.problem.request_tag = Some(request_tag.to_owned());
        refusal
    }

    /// SES did not take the message: nothing was sent.
    fn not_sent(error: &MailError) -> Self {
        let unsendable = StatusCode::UNPROCESSABLE_ENTITY;
        match error {
            MailError::Throttled => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "sending-too-fast",
                "Amazon SES takes no more messages at this rate",
            )
            .detail("nothing was sent; send again in a moment")
            .retry_in_s(RETRY_AFTER_THROTTLING_S),
            MailError::QuotaUsedUp => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "sending-quota-used-up",
                "Amazon SES takes no more messages today",
            )
            .detail("nothing was sent; the quota counts the last 24 hours")
            .retry_in_s(RETRY_AFTER_QUOTA_S)
            .cause(error),
            MailError::Rejected { because } => {
                let title = "Amazon SES does not take this message";
                let detail = because.as_deref().unwrap_or("nothing was sent");
                Self::new(unsendable, "message-rejected", title).detail(detail)
            }
            MailError::MailFromNotVerified => Self::new(
                unsendable,
                "mail-from-not-verified",
                "The MAIL FROM domain of the sender is not verified with Amazon SES",
            )
            .detail("nothing was sent")
            .field("/from/address"),
            MailError::Stopped { code } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "sending-stopped",
                "Sending with Amazon SES is stopped",
            )
            .detail("nothing was sent; the operator has to see to it")
            .code(*code)
            .cause(error),
            MailError::Unreachable(_) => Self::unavailable(error),
            MailError::Misconfigured(_) | MailError::Unknown(_) => Self::internal(error),
        }
    }

    /// What is to be said when SES could not be given a message.
    #[must_use]
    pub fn mail(error: &MailError, request_tag: &str) -> Self {
        if error.may_be_sent() {
            Self::outcome_unknown(request_tag, error)
        } else {
            Self::not_sent(error)
        }
    }

    /// Something that is needed is away or overloaded; nothing was decided.
    #[must_use]
    pub fn unavailable(error: &(dyn core::error::Error + 'static)) -> Self {
        Self::out_of_time().cause(error)
    }

    /// It took longer than a caller waits; nothing was decided.
    #[must_use]
    pub fn out_of_time() -> Self {
        let title = "The service cannot answer at the moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title)
            .detail("try again in a moment")
            .retry_in_s(RETRY_AFTER_OUTAGE_S)
    }

    /// A fault of ours.
    #[must_use]
    pub fn internal(error: &(dyn core::error::Error + 'static)) -> Self {
        let title = "Something went wrong on our side";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title).cause(error)
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The document.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// What went wrong on our side, with its causes, for the log.
    #[must_use]
    pub fn logged_cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let Parts {
            status,
            problem,
            headers,
            cause: _,
        } = *self.0;
        // A document of strings and numbers always becomes JSON; were it not so, the status would still say enough.
        let mut response =
            Response::new(serde_json::to_string(&problem).map_or(Body::Empty, Body::Text));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().extend(headers);
        response
    }
}

impl From<TableError> for Refusal {
    fn from(error: TableError) -> Self {
        if error.is_temporary() {
            Self::unavailable(&error)
        } else {
            Self::internal(&error)
        }
    }
}

impl From<ApplyError> for Refusal {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Table(error) => error.into(),
            ApplyError::Contended(error) => Self::unavailable(&error),
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn core::error::Error + 'static)) -> String {
    let causes = core::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
